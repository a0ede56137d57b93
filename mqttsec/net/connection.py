"""One connection of a memory network: its two pipes, its opening handshake, its end."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from mqttsec.net.link import Kind, Pipe, Wire
from mqttsec.net.settings import Address, Loss, LossCause
from mqttsec.net.transport import LinkTransport

if TYPE_CHECKING:
    from mqttsec.net.network import MemoryNetwork

ProtocolFactory: TypeAlias = Callable[[], asyncio.BaseProtocol]
"""Makes the protocol of one new connection."""


class Connection:
    """One connection of a `MemoryNetwork` with its two ends. Network, listeners and labs hold it."""

    def __init__(
        self,
        network: MemoryNetwork,
        number: int,
        client: Address,
        server: Address,
        wires: tuple[Wire, Wire],
        seed: str,
    ) -> None:
        self.number = number
        """Counts the connections of its network from 1."""
        self.client = client
        """Address of the end that opened it."""
        self.server = server
        """Address of the end that listened."""
        self.client_transport: LinkTransport | None = None
        """The opening end, once the handshake is done."""
        self.server_transport: LinkTransport | None = None
        """The listening end, half a round trip later."""
        self.carried = 0
        """Bytes that set off so far, both directions together."""
        self.nameless = False
        """True if the opening host was made up for this connection."""
        self._network = network
        there, back = wires
        post = network.post
        self._to_server = Pipe(post, self, there, back, f"{seed} there")
        self._to_client = Pipe(post, self, back, there, f"{seed} back")
        self._ends_open = 0
        self._handshake_over = False

    @property
    def retransmitted(self) -> int:
        """How many transmissions were lost and repeated, both directions together."""
        return self._to_server.retransmitted + self._to_client.retransmitted

    @property
    def reordered(self) -> int:
        """How many segments took a detour, both directions together."""
        return self._to_server.reordered + self._to_client.reordered

    def cut(self) -> None:
        """End the connection at once: all bytes under way, both ways, are lost and reported.

        Both ends get `connection_lost(ConnectionResetError)`.
        """
        self._sever(LossCause.CUT)

    def broken(self) -> None:
        """The link broke (called by a pipe)."""
        self._sever(LossCause.BREAK)

    def _sever(self, cause: LossCause) -> None:
        ends = ((self._to_server, self.server_transport), (self._to_client, self.client_transport))
        for pipe, reader in ends:
            unread = reader.unread() if reader is not None else b""
            lost = unread + pipe.drop_everything()
            if lost:
                pipe.discard(lost, cause)
        error = ConnectionResetError(
            errno.ECONNRESET, f"the link between {self.client[0]} and {self.server[0]} was cut"
        )
        if self.client_transport is None:
            self.dial_failed(error)
        for _, end in ends:
            if end is not None:
                end.lose(error)
        self._handshake_over = True
        self._forget_if_over()

    def lost(self, pipe: Pipe, offset: int, data: bytes, cause: LossCause) -> None:
        """Report bytes that will never arrive (called by pipes)."""
        there = pipe is self._to_server
        source, destination = (self.client, self.server) if there else (self.server, self.client)
        now = self._network.post.loop.time()
        self._network.report(Loss(now, self.number, source, destination, offset, data, cause))

    def hold(self) -> None:
        """Let nothing arrive, either way, until `release`."""
        self._to_server.hold()
        self._to_client.hold()

    def release(self) -> None:
        """Let what was held arrive."""
        self._to_server.release()
        self._to_client.release()

    def end_is_over(self) -> None:
        """One end has had its `connection_lost` (called by transports)."""
        self._ends_open -= 1
        self._forget_if_over()

    def _forget_if_over(self) -> None:
        # The opening end may be over before the listening end begins.
        if self._handshake_over and self._ends_open == 0:
            self._network.forget(self)

    # The opening handshake: SYN, SYN_ACK or REFUSED, ACK.

    def dial(
        self,
        factory: ProtocolFactory,
        opened: Callable[[LinkTransport], None],
        failed: Callable[[Exception], None],
        timeout: float,
    ) -> None:
        """Open the connection; `opened` or `failed` is called when that is decided."""
        self._factory, self._opened, self._failed = factory, opened, failed
        self._timer = self._network.post.loop.call_later(timeout, self._timed_out)
        self._to_server.reader = _Doorkeeper(self)
        self._to_client.reader = _Caller(self)
        self._to_server.signal(Kind.SYN)

    def give_up(self) -> None:
        """Abandon a handshake that nobody waits for any more."""
        self._timer.cancel()
        self._failed = _ignore
        if self.client_transport is None:
            self._to_server.drop_everything()
            self._to_client.drop_everything()
            self._network.forget(self)
        else:
            self.client_transport.abort()

    def dial_failed(self, error: Exception) -> None:
        """End the handshake with an error for the caller; the first one counts."""
        self._timer.cancel()
        failed, self._failed = self._failed, _ignore
        self._to_server.drop_everything()
        self._to_client.drop_everything()
        self._network.forget(self)
        failed(error)

    def _timed_out(self) -> None:
        what = f"{self.server[0]} does not answer {self.client[0]}: no way through"
        self.dial_failed(TimeoutError(errno.ETIMEDOUT, what))

    def answer_syn(self) -> None:
        """The SYN has reached the listening host."""
        listening = self._network.listener(self.server) is not None
        self._to_client.signal(Kind.SYN_ACK if listening else Kind.REFUSED)

    def open_client(self) -> None:
        """The SYN_ACK has come back: the opening end begins to exist."""
        self._timer.cancel()
        loop = self._network.post.loop
        try:
            protocol = self._factory()
        except Exception as error:
            self.dial_failed(error)
            return
        self._failed = _ignore
        self._ends_open += 1
        self._to_server.signal(Kind.ACK)
        self.client_transport = LinkTransport(
            loop, protocol, self, (self._to_server, self._to_client), (self.client, self.server)
        )
        _begin(loop, protocol, self.client_transport)
        self._opened(self.client_transport)

    def open_server(self) -> None:
        """The ACK has come: the listening end begins to exist."""
        loop = self._network.post.loop
        listener = self._network.listener(self.server)
        self._handshake_over = True
        if listener is None:
            self._turn_away()
            return
        try:
            protocol = listener.protocol_factory()
        except Exception as error:
            loop.call_exception_handler(
                {"message": "a listener's protocol factory raised", "exception": error}
            )
            self._turn_away()
            return
        self._ends_open += 1
        self.server_transport = LinkTransport(
            loop, protocol, self, (self._to_client, self._to_server), (self.server, self.client)
        )
        _begin(loop, protocol, self.server_transport)

    def _turn_away(self) -> None:
        self._to_client.signal(Kind.RESET)
        self._forget_if_over()


class _Doorkeeper:
    """Reads what reaches the listening host before the listening end exists."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def arrived(self, kind: Kind, data: bytes) -> None:
        """Take a segment of the handshake; anything else finds a closed door."""
        if kind is Kind.SYN:
            self._connection.answer_syn()
        elif kind is Kind.ACK:
            self._connection.open_server()
        elif kind is Kind.DATA:
            self._connection._to_server.discard(data, LossCause.CLOSED)


class _Caller:
    """Reads what reaches the opening host before the opening end exists."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def arrived(self, kind: Kind, data: bytes) -> None:
        """Take the answer to the SYN."""
        if kind is Kind.SYN_ACK:
            self._connection.open_client()
        else:
            host, port = self._connection.server
            self._connection.dial_failed(
                ConnectionRefusedError(errno.ECONNREFUSED, f"nobody listens on port {port} of {host}")
            )


def _ignore(_: Exception) -> None:
    pass


def _begin(loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol, transport: LinkTransport) -> None:
    try:
        protocol.connection_made(transport)
    except Exception as error:
        loop.call_exception_handler(
            {"message": "connection_made() raised", "exception": error, "transport": transport}
        )
        transport.abort()
