"""A network in memory: hosts by name, listeners, connections, partitions.

    network = MemoryNetwork(default=LinkSettings(delay=0.02), seed=1)
    server = network.listen(BrokerProtocol, "broker", 1883)
    transport, protocol = await network.connect(ClientProtocol, "broker", 1883, source="alice")

It runs on any asyncio loop, on `VirtualClockLoop` exactly: the same program and seed give the
same bytes at the same times on every machine. Everything belongs to one loop and its thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from mqttsec.errors import ConfigurationError
from mqttsec.net.connection import Connection, ProtocolFactory
from mqttsec.net.link import Post, Wire
from mqttsec.net.settings import Address, LinkSettings, Loss
from mqttsec.net.transport import LinkTransport

P = TypeVar("P", bound=asyncio.BaseProtocol)

_FIRST_EPHEMERAL_PORT = 49152
"""Begin of the Dynamic Ports (RFC 6335, 6)."""

_CONNECT_TIMEOUT = 127.0
"""Seconds for which Linux repeats an unanswered SYN."""

_LOSSES_KEPT = 10_000


def _checked(settings: LinkSettings) -> LinkSettings:
    """`settings` themselves, or a `ConfigurationError` that says how to make some."""
    if not isinstance(settings, LinkSettings):
        raise ConfigurationError(
            f"{settings!r} is no LinkSettings: write LinkSettings(delay=0.05), delay in seconds, for example"
        )
    return settings


class MemoryServer:
    """A listener on a `MemoryNetwork`, to be used like an `asyncio.Server`."""

    def __init__(self, network: MemoryNetwork, address: Address, protocol_factory: ProtocolFactory) -> None:
        self.address = address
        """The host and the port; the port that was chosen if 0 was asked for."""
        self.protocol_factory = protocol_factory
        """Makes the protocol of every accepted connection."""
        self._network = network

    def is_serving(self) -> bool:
        """True until it is closed."""
        return self._network.listener(self.address) is self

    def close(self) -> None:
        """Accept no more connections; those that are open stay."""
        if self.is_serving():
            del self._network._listeners[self.address]

    async def wait_closed(self) -> None:
        """Return at once: closing takes no time here."""

    async def __aenter__(self) -> MemoryServer:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class MemoryNetwork:
    """Hosts that are joined pairwise by links, all in memory.

    `default` holds for every pair of hosts that `set_link` does not name. `seed` decides every
    random number. `on_loss` is called with each `Loss`; the last 10,000 are kept in `losses`.
    `loop` is the running loop of the first use unless it is given.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop | None = None,
        default: LinkSettings | None = None,
        seed: int | str = 0,
        on_loss: Callable[[Loss], None] | None = None,
    ) -> None:
        self.default = LinkSettings() if default is None else _checked(default)
        """Settings of links that have none of their own."""
        self.on_loss = on_loss
        """Called with every `Loss` at the moment it happens."""
        self.losses: deque[Loss] = deque(maxlen=_LOSSES_KEPT)
        """The latest losses, oldest first."""
        self._seed = seed
        self._bound_loop = loop
        self._posts: Post | None = None
        self._listeners: dict[Address, MemoryServer] = {}
        self._wires: dict[tuple[str, str], Wire] = {}
        self._own_settings: dict[tuple[str, str], LinkSettings] = {}
        self._partitions: set[frozenset[str]] = set()
        self._connections: dict[int, Connection] = {}
        self._count = 0
        self._pair_counts: dict[tuple[Address, str], int] = {}
        self._ports: dict[str, int] = {}

    # Listening and connecting

    def listen(self, protocol_factory: ProtocolFactory, host: str, port: int = 0) -> MemoryServer:
        """Accept connections to a port of a host; port 0 takes a free one.

        Raises `ConfigurationError` if the port is taken.
        """
        if not isinstance(port, int) or not 0 <= port <= 65535:
            raise ConfigurationError(f"port {port!r} on {host} does not exist: give 0 to 65535")
        if port == 0:
            port = self._ephemeral_port(host)
        if (host, port) in self._listeners:
            raise ConfigurationError(
                f"port {port} of {host} is taken: close its listener, or listen on port 0"
            )
        server = MemoryServer(self, (host, port), protocol_factory)
        self._listeners[server.address] = server
        return server

    async def connect(
        self,
        protocol_factory: Callable[[], P],
        host: str,
        port: int,
        *,
        source: str | Address | None = None,
        settings: LinkSettings | None = None,
        timeout: float = _CONNECT_TIMEOUT,
    ) -> tuple[LinkTransport, P]:
        """Open a connection, as `loop.create_connection` does; it takes one round trip.

        `source` names the opening host (and port); without it the host is a new one. With
        `settings` this connection gets a link of its own, both ways.
        Raises `ConnectionRefusedError` if nobody listens there, and `TimeoutError` if a
        partition keeps the answer away for `timeout` seconds.
        """
        outcome: asyncio.Future[LinkTransport] = asyncio.get_running_loop().create_future()
        made: list[P] = []

        def make() -> P:
            made.append(protocol_factory())
            return made[0]

        def opened(transport: LinkTransport) -> None:
            if not outcome.done():
                outcome.set_result(transport)

        def failed(error: Exception) -> None:
            if not outcome.done():
                outcome.set_exception(error)

        connection = self.dial(
            make, host, port, opened, failed, source=source, settings=settings, timeout=timeout
        )
        try:
            return await outcome, made[0]
        except asyncio.CancelledError:
            connection.give_up()
            raise

    def dial(
        self,
        protocol_factory: ProtocolFactory,
        host: str,
        port: int,
        opened: Callable[[LinkTransport], None],
        failed: Callable[[Exception], None],
        *,
        source: str | Address | None = None,
        settings: LinkSettings | None = None,
        timeout: float = _CONNECT_TIMEOUT,
    ) -> Connection:
        """Begin to open a connection without waiting; `opened` or `failed` is called back.

        The arguments are those of `connect`, which is this made awaitable.
        """
        self._count += 1
        nameless = source is None
        if source is None:
            source = f"host-{self._count}"
        client = (source, self._ephemeral_port(source)) if isinstance(source, str) else source
        wires = self._wire(client[0], host), self._wire(host, client[0])
        if settings is not None:
            wires = Wire(_checked(settings)), Wire(settings)
        # The seed counts the connections between these two only: what others do changes nothing.
        pair = ((host, port), client[0])
        nth = self._pair_counts[pair] = self._pair_counts.get(pair, 0) + 1
        seed = f"{self._seed} {client[0]} {host}:{port} {nth}"
        connection = Connection(self, self._count, client, (host, port), wires, seed)
        connection.nameless = nameless
        self._connections[connection.number] = connection
        if frozenset((client[0], host)) in self._partitions:
            connection.hold()
        connection.dial(protocol_factory, opened, failed, timeout)
        return connection

    async def open_streams(
        self, host: str, port: int, **options: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection as `asyncio.open_connection` does; `options` are those of `connect`."""
        reader = asyncio.StreamReader()
        transport, protocol = await self.connect(
            lambda: asyncio.StreamReaderProtocol(reader), host, port, **options
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())

    def listen_streams(
        self,
        connected: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None],
        host: str,
        port: int = 0,
    ) -> MemoryServer:
        """Listen as `asyncio.start_server` does: `connected(reader, writer)` for each connection."""

        def make() -> asyncio.StreamReaderProtocol:
            return asyncio.StreamReaderProtocol(asyncio.StreamReader(), connected)

        return self.listen(make, host, port)

    # Links

    def set_link(self, a: str, b: str, settings: LinkSettings, *, both: bool = True) -> None:
        """Give the link from host `a` to host `b` (and back, if `both`) settings of its own.

        Open connections feel it from the next byte that sets off. Raises `ConfigurationError` for
        what is no `LinkSettings`.
        """
        settings = _checked(settings)
        for pair in ((a, b), (b, a)) if both else ((a, b),):
            self._own_settings[pair] = settings
            if pair in self._wires:
                self._wires[pair].settings = settings

    def link(self, a: str, b: str) -> LinkSettings:
        """The settings that hold from host `a` to host `b`."""
        return self._own_settings.get((a, b), self.default)

    def set_rtts(self, hosts: Sequence[str], matrix: Sequence[Sequence[float]]) -> None:
        """Set delays from a matrix of round-trip times in seconds, one row and column a host.

        Each direction takes half of its entry; other settings of the links stay.
        Raises `ConfigurationError` unless the matrix is as wide and as high as `hosts` is long.
        """
        if len(matrix) != len(hosts) or any(len(row) != len(hosts) for row in matrix):
            raise ConfigurationError(f"{len(hosts)} hosts need a matrix of {len(hosts)} x {len(hosts)} times")
        for a, row in zip(hosts, matrix, strict=True):
            for b, rtt in zip(hosts, row, strict=True):
                self.set_link(a, b, replace(self.link(a, b), delay=float(rtt) / 2), both=False)

    def partition(self, a: str, b: str) -> None:
        """Let nothing through between two hosts until `heal`; no end is told.

        Connections stay open and what is written waits, as with TCP, whose own patience of a
        quarter of an hour is taken to be endless. A new connection times out.
        """
        self._partitions.add(frozenset((a, b)))
        for connection in self._between(a, b):
            connection.hold()

    def heal(self, a: str, b: str) -> None:
        """End a partition; what waited is sent again."""
        pair = frozenset((a, b))
        if pair in self._partitions:
            self._partitions.remove(pair)
            for connection in self._between(a, b):
                connection.release()

    def cut(self, a: str, b: str) -> int:
        """Cut every connection between two hosts; return how many there were."""
        connections = self._between(a, b)
        for connection in connections:
            connection.cut()
        return len(connections)

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The connections that are open or being opened, oldest first."""
        return tuple(self._connections.values())

    # For connections and listeners

    @property
    def post(self) -> Post:
        """What wakes all pipes of this network, bound to the loop of its first use."""
        if self._posts is None:
            self._posts = Post(self._bound_loop or asyncio.get_running_loop())
        elif self._posts.loop.is_closed():
            raise ConfigurationError("this MemoryNetwork's event loop is closed: make a new network")
        return self._posts

    def _between(self, a: str, b: str) -> list[Connection]:
        return [c for c in self.connections if {c.client[0], c.server[0]} == {a, b}]

    def _wire(self, a: str, b: str) -> Wire:
        if (a, b) not in self._wires:
            self._wires[a, b] = Wire(self.link(a, b))
        return self._wires[a, b]

    def listener(self, address: Address) -> MemoryServer | None:
        """Who listens on an address, if anybody."""
        return self._listeners.get(address)

    def _ephemeral_port(self, host: str) -> int:
        port = self._ports.get(host, _FIRST_EPHEMERAL_PORT - 1) + 1
        while port > 65535 or (host, port) in self._listeners:
            port = port + 1 if port < 65535 else _FIRST_EPHEMERAL_PORT
        self._ports[host] = port
        return port

    def report(self, loss: Loss) -> None:
        """Keep a loss and tell whoever asked to be told."""
        self.losses.append(loss)
        if self.on_loss is not None:
            self.on_loss(loss)

    def forget(self, connection: Connection) -> None:
        """Both ends of a connection are over."""
        self._connections.pop(connection.number, None)
        if connection.nameless:
            # Its host never comes back; a network that lives long must not remember it.
            source, (host, port) = connection.client[0], connection.server
            self._wires.pop((source, host), None)
            self._wires.pop((host, source), None)
            self._pair_counts.pop(((host, port), source), None)
            self._ports.pop(source, None)
