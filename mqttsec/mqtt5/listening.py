"""How clients reach the broker: amqtt's listeners, made to serve our connections.

TCP and TLS are served by the protocol itself, WebSockets and amqtt's own adapters through a transport of
`adapters`; a network in memory takes `protocol_factory`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import amqtt.broker
import websockets.asyncio.server
from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.contexts import ListenerConfig, ListenerType
from amqtt.errors import BrokerError, PluginError, PluginLoadError
from dacite import DaciteError
from websockets import Subprotocol
from websockets.asyncio.server import ServerConnection

from mqttsec.errors import ConfigurationError
from mqttsec.mqtt5.adapters import serve_adapters, serve_websocket
from mqttsec.mqtt5.connection import Connection
from mqttsec.mqtt5.settings import BrokerSettings

if TYPE_CHECKING:
    from mqttsec.mqtt5.broker import Broker

_ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"
_CONFIGURATION_FAULTS = (
    BrokerError,
    PluginError,
    PluginLoadError,
    DaciteError,
    ValueError,
    TypeError,
    KeyError,
    OSError,
)
_PORT_FAULTS = (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL)

# amqtt logs a traceback of what `start` raises as well.
_log = logging.getLogger(__name__)
_log.addFilter(lambda record: record.msg != "Broker startup failed")
# websockets logs a traceback for each client that does not get through the opening handshake.
_websocket_log = logging.getLogger(f"{__name__}.websocket")
_websocket_log.setLevel(logging.CRITICAL)


class ListeningBroker(amqtt.broker.Broker):  # type: ignore[misc, unused-ignore]
    """amqtt's broker with our listeners."""

    def __init__(
        self, settings: BrokerSettings, config: dict[str, Any], loop: asyncio.AbstractEventLoop | None
    ) -> None:
        full = {"listeners": {"default": {"type": "tcp", "bind": "127.0.0.1:0"}}, **config}
        full.setdefault("plugins", {_ANONYMOUS: {"allow_anonymous": settings.allow_anonymous}})
        try:
            super().__init__(full, loop)
        except _CONFIGURATION_FAULTS as error:
            raise ConfigurationError(
                f"amqtt does not take this broker configuration: {_why(error)}"
            ) from error
        self.logger = _log
        self.settings = settings
        self.connections: set[Connection] = set()
        """All open network connections."""
        self._open_by_listener: Counter[str] = Counter()
        self._stopping = False

    async def start(self) -> None:
        """Open the listeners.

        Raises `ConfigurationError`, for example for a port that is in use.
        """
        self._stopping = False
        try:
            await super().start()
        except BrokerError as error:
            await self._undo_start()
            port_is_wrong = isinstance(error.__cause__, OSError) and error.__cause__.errno in _PORT_FAULTS
            hint = ". Choose another port, or port 0 for a free one" if port_is_wrong else ""
            raise ConfigurationError(f"{error}{hint}") from error

    async def _undo_start(self) -> None:
        # Of several listeners the first may be open when the second fails.
        for server in self._servers.values():
            await server.close_instance()
        self._servers.clear()
        await self.plugins_manager.close()

    def _stop_listening(self) -> None:
        for server in self._servers.values():
            if isinstance(server.instance, websockets.asyncio.server.Server):
                # Their clients are told in MQTT first, then in WebSocket.
                server.instance.close(close_connections=False)
            elif server.instance is not None:
                server.instance.close()

    @property
    def bound(self) -> dict[str, tuple[str, int]]:
        """(host, port) of each TCP, TLS or WebSocket listener by name, once started."""
        found = {}
        for name, server in self._servers.items():
            sockets = getattr(server.instance, "sockets", None)
            if sockets:
                found[name] = (str(sockets[0].getsockname()[0]), int(sockets[0].getsockname()[1]))
        return found

    def protocol_factory(self, listener: str = "default") -> Callable[[], Connection]:
        """What makes the protocol of a new connection: for TCP, TLS and in-memory links.

        Raises `ConfigurationError` for a listener that the configuration does not name.
        """
        if listener not in self.listeners_config:
            raise ConfigurationError(
                f"there is no listener {listener!r}; there are {[*self.listeners_config]}"
            )
        return partial(Connection, cast("Broker", self), listener)

    async def _create_server_instance(
        self,
        listener_name: str,
        listener_type: ListenerType,
        address: str | None,
        port: int,
        ssl_context: ssl.SSLContext | None,
    ) -> Any:
        if not 0 <= port <= 65_535:
            # uvloop would take what is left of it in 16 bits.
            raise BrokerError(f"there is no port {port}: choose 1 to 65535, or 0 for a free one")
        if listener_type is ListenerType.TCP:
            # As amqtt does, but with the protocol itself in place of two streams: no task per connection.
            return await self._loop.create_server(
                self.protocol_factory(listener_name),
                address,
                port,
                reuse_address=True,
                ssl=ssl_context,
                backlog=1024,
            )
        if listener_type is ListenerType.WS:
            # As amqtt does, but with room for MQTT's largest packet (websockets' own limit is 1 MiB), without
            # compression, whose state is dearer than the connection, and without a second keep alive.
            return await websockets.asyncio.server.serve(
                partial(self.ws_connected, listener_name=listener_name),
                address,
                port,
                ssl=ssl_context,
                subprotocols=[Subprotocol("mqtt")],
                max_size=self.settings.maximum_packet_size + 1024 * 1024,
                compression=None,
                ping_interval=None,
                open_timeout=self.settings.connect_timeout,
                close_timeout=self.settings.close_timeout,
                logger=_websocket_log,
            )
        return await super()._create_server_instance(listener_name, listener_type, address, port, ssl_context)

    def _create_ssl_context(self, listener: ListenerConfig) -> ssl.SSLContext:
        context: ssl.SSLContext = amqtt.broker.Broker._create_ssl_context(listener)
        if self.settings.require_client_certificate:
            if not context.cert_store_stats()["x509_ca"]:
                raise BrokerError("client certificates are required: name their CA by the listener's cafile")
            # amqtt only asks for a certificate; who wants to know its clients must insist.
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    async def ws_connected(self, websocket: ServerConnection, listener_name: str) -> None:
        """A WebSocket client connected (chapter 6)."""
        await serve_websocket(websocket, self.protocol_factory(listener_name)())

    async def _client_connected(
        self, listener_name: str, reader: ReaderAdapter, writer: WriterAdapter
    ) -> None:
        """A connection over amqtt's adapters, as its `external_connected` makes them."""
        if listener_name not in self._servers:
            raise ConfigurationError(f"there is no listener {listener_name!r}")
        await serve_adapters(reader, writer, self.protocol_factory(listener_name)())

    def opened(self, connection: Connection) -> bool:
        """Count a new connection in; False when there are too many."""
        self.connections.add(connection)
        self._open_by_listener[connection.listener] += 1
        # amqtt's own limit of a listener; 0 and -1 say that there is none.
        limit = self.listeners_config[connection.listener].max_connections
        return (
            len(self.connections) <= self.settings.max_connections
            and not (0 < limit < self._open_by_listener[connection.listener])
            and not self._stopping
        )


def _why(error: BaseException) -> str:
    """What amqtt says, with its reasons; the outer ones often say nothing."""
    reasons = [str(error)]
    while error.__cause__ is not None:
        error = error.__cause__
        reasons.append(str(error))
    return ": ".join(dict.fromkeys(filter(None, reasons)))
