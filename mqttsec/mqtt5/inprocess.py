"""A broker for a notebook cell: the real one, behind a synchronous face.

It runs on the background thread of `mqttsec.net.Runtime`; a cell never needs `await`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from mqttsec.errors import ConfigurationError
from mqttsec.mqtt5.auth import AuthenticationMethod
from mqttsec.mqtt5.broker import Broker
from mqttsec.mqtt5.hooks import Extension
from mqttsec.mqtt5.settings import BrokerSettings
from mqttsec.net import Runtime, runtime
from mqttsec.trace.events import Trace


class InProcessBroker:
    """Start with `with InProcessBroker() as broker:` or `start()`; clients connect to `host`, `port`.

    Args:
        settings: see `BrokerSettings`.
        host: address of the TCP listener; loopback by default.
        port: its port; 0 takes a free one.
        websocket_port: port of a WebSocket listener; None: no such listener, 0: a free port.
        tls_port: port of a TLS listener; None: none. Needs `certificate` and `key`.
        certificate: PEM file of the TLS listener's certificate.
        key: PEM file of its private key.
        ca: PEM file that client certificates are checked against.
        plugins: amqtt plugins, dotted path to configuration.
        trace: where events are recorded.
        methods: enhanced authentication methods.
        extensions: what takes hold of the broker by its hooks.
        thread: the runtime to run on; by default the process's own.

    Raises:
        ConfigurationError: for a TLS listener without certificate or key; on `start`, for a port in use or
            a configuration that cannot work; for the address of a listener that there is not (yet).

    """

    def __init__(
        self,
        settings: BrokerSettings | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        websocket_port: int | None = None,
        tls_port: int | None = None,
        certificate: str | Path | None = None,
        key: str | Path | None = None,
        ca: str | Path | None = None,
        plugins: dict[str, Any] | None = None,
        trace: Trace | None = None,
        methods: Iterable[AuthenticationMethod] = (),
        required_method: str | None = None,
        extensions: Iterable[Extension] = (),
        thread: Runtime | None = None,
    ) -> None:
        listeners: dict[str, Any] = {"default": {"type": "tcp", "bind": f"{host}:{port}"}}
        if websocket_port is not None:
            listeners["websocket"] = {"type": "ws", "bind": f"{host}:{websocket_port}"}
        if tls_port is not None:
            if certificate is None or key is None:
                raise ConfigurationError("tls_port needs certificate and key: PEM files")
            listeners["tls"] = {
                "type": "tcp",
                "bind": f"{host}:{tls_port}",
                "ssl": True,
                "certfile": str(certificate),
                "keyfile": str(key),
            }
            if ca is not None:
                listeners["tls"]["cafile"] = str(ca)
        self._config: dict[str, Any] = {"listeners": listeners}
        if plugins is not None:
            self._config["plugins"] = plugins
        self._settings = settings
        self._methods = tuple(methods)
        self._required_method = required_method
        self._extensions = tuple(extensions)
        self._runtime = thread or runtime()
        self.trace = trace
        """Where events are recorded, if anywhere."""
        self.broker: Broker | None = None
        """The broker itself, while it runs; touch it on its own loop only (`Runtime.call`)."""
        self._bound: dict[str, tuple[str, int]] = {}

    def start(self) -> InProcessBroker:
        """Start; returns itself."""
        if self.broker is None:
            self.broker = self._runtime.run(self._start())
        return self

    async def _start(self) -> Broker:
        broker = Broker(
            self._settings,
            dict(self._config),
            trace=self.trace,
            methods=self._methods,
            required_method=self._required_method,
            extensions=self._extensions,
        )
        await broker.start()
        self._bound = broker.bound
        return broker

    def stop(self) -> None:
        """Stop and close every connection; calling it twice does no harm."""
        broker, self.broker = self.broker, None
        if broker is not None:
            self._runtime.run(broker.shutdown())

    @property
    def host(self) -> str:
        """Address of the TCP listener."""
        return self._address("default")[0]

    @property
    def port(self) -> int:
        """Port of the TCP listener."""
        return self._address("default")[1]

    @property
    def websocket_port(self) -> int:
        """Port of the WebSocket listener."""
        return self._address("websocket")[1]

    @property
    def tls_port(self) -> int:
        """Port of the TLS listener."""
        return self._address("tls")[1]

    def _address(self, listener: str) -> tuple[str, int]:
        if listener not in self._config["listeners"]:
            raise ConfigurationError(f"this broker has no such listener: make it with {listener}_port=0")
        if listener not in self._bound:
            raise ConfigurationError("this broker has not been started: call start(), or use it in a `with`")
        return self._bound[listener]

    def __enter__(self) -> InProcessBroker:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
