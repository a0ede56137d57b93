"""The two ends of a memory connection, as asyncio sees them.

`LinkTransport` is a whole `asyncio.Transport`: any `asyncio.Protocol` or `BufferedProtocol` that
runs over TCP runs over it unchanged, streams and TLS (`loop.start_tls`) included. Where asyncio
leaves room it does what TCP does:

* `close()` sends what waits, then a FIN; bytes that reach a closed end are lost and answered
  with a RESET;
* `abort()` forgets what waits and sends a RESET; what was on its way before still arrives;
* a connection that is cut loses all that was under way, both ways, and both ends get
  `connection_lost(ConnectionResetError)`.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from mqttsec.net.link import Kind, Pipe
from mqttsec.net.settings import Address, LossCause

if TYPE_CHECKING:
    from mqttsec.net.connection import Connection

_HIGH_WATER = 64 * 1024
"""asyncio's own default: bytes waiting at the writer above which it is asked to pause."""


class LinkTransport(asyncio.Transport):
    """One end of a connection over a memory link."""

    __slots__ = (
        "__weakref__", "_buffered", "_closing", "_eof_written", "_high", "_loop", "_lost", "_low",
        "_protocol", "_reading_paused", "_reset_due", "_reset_sent", "_unread", "_unread_eof",
        "_writing_paused", "connection", "incoming", "outgoing",
    )  # fmt: skip

    # asyncio's sign that loop.start_tls() may be used.
    _start_tls_compatible = True

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.BaseProtocol,
        connection: Connection,
        pipes: tuple[Pipe, Pipe],
        addresses: tuple[Address, Address],
    ) -> None:
        super().__init__({"sockname": addresses[0], "peername": addresses[1], "connection": connection})
        self._loop = loop
        self.connection = connection
        """The connection, for example to cut it."""
        self.outgoing, self.incoming = pipes
        self._unread = bytearray()
        self._unread_eof = False
        self._reading_paused = False
        self._writing_paused = False
        self._eof_written = False
        self._reset_due = False
        self._reset_sent = False
        self._closing = False
        self._lost = False
        self._low, self._high = _HIGH_WATER // 4, _HIGH_WATER
        self.set_protocol(protocol)
        self.incoming.reader = self
        self.outgoing.writer = self

    def __repr__(self) -> str:
        state = "closed" if self._lost else "closing" if self._closing else "open"
        here, there = self.get_extra_info("sockname"), self.get_extra_info("peername")
        return f"<LinkTransport {here} to {there} {state}>"

    # Protocol and state

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol."""
        self._protocol: Any = protocol
        self._buffered = isinstance(protocol, asyncio.BufferedProtocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol in charge."""
        return cast(asyncio.BaseProtocol, self._protocol)

    def is_closing(self) -> bool:
        """True once the end was closed, aborted, reset or cut."""
        return self._closing

    # Reading

    def is_reading(self) -> bool:
        """True unless reading is paused or over."""
        return not self._reading_paused and not self._closing

    def pause_reading(self) -> None:
        """Take no data; when the window is full the peer's writer has to wait."""
        if not self._closing:
            self._reading_paused = True

    def resume_reading(self) -> None:
        """Take data again, beginning with what came meanwhile."""
        if self._closing or not self._reading_paused:
            return
        self._reading_paused = False
        if self._unread or self._unread_eof:
            self._loop.call_soon(self._read_on)

    def arrived(self, kind: Kind, data: bytes) -> None:
        """Take what came over the link (called by the incoming pipe)."""
        if kind is Kind.RESET:
            self._was_reset()
        elif self._closing:
            if kind is Kind.DATA:
                self._too_late(data)
        elif self._reading_paused or self._unread:
            self._unread += data
            self._unread_eof |= kind is Kind.FIN
        elif kind is Kind.DATA:
            self._feed(data)
        else:
            self._feed_eof()

    def _was_reset(self) -> None:
        if not self._lost:
            self._discard_unread()
            self.outgoing.abandon(LossCause.CLOSED)
            self._reset_sent = True
            self.lose(ConnectionResetError(errno.ECONNRESET, "the other end reset the connection"))

    def _too_late(self, data: bytes) -> None:
        """Bytes for an end that reads no more: lost, and the writer has to learn it.

        RFC 9293 (3.10.7.1): "An incoming segment not containing a RST causes a RST to be sent in
        response." It follows the FIN, so that what this end wrote last is still read.
        """
        self.incoming.discard(data, LossCause.CLOSED)
        self._reset_due = True
        if self._lost:
            self._send_reset()

    def _send_reset(self) -> None:
        if not self._reset_sent:
            self._reset_sent = True
            self.outgoing.signal(Kind.RESET)

    def _read_on(self) -> None:
        if self._reading_paused or self._closing:
            return
        if self._unread:
            data, self._unread = bytes(self._unread), bytearray()
            self._feed(data)
        if self._unread_eof and not self._reading_paused and not self._closing:
            self._unread_eof = False
            self._feed_eof()

    def _feed(self, data: bytes) -> None:
        self.incoming.taken(len(data))
        try:
            if self._buffered:
                self._feed_buffers(data)
            else:
                self._protocol.data_received(data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fail(error, "data_received() raised")

    def _feed_buffers(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest and not self._lost:
            buffer = self._protocol.get_buffer(len(rest))
            size = min(len(buffer), len(rest))
            if not size:
                raise RuntimeError("get_buffer() returned an empty buffer")
            buffer[:size] = rest[:size]
            self._protocol.buffer_updated(size)
            rest = rest[size:]

    def _feed_eof(self) -> None:
        try:
            keep_open = self._protocol.eof_received()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fail(error, "eof_received() raised")
            return
        if not keep_open:
            self.close()

    def unread(self) -> bytes:
        """Take out what arrived and was not read; for a connection that is cut."""
        data, self._unread = bytes(self._unread), bytearray()
        return data

    def _discard_unread(self) -> None:
        data = self.unread()
        if data:
            self.incoming.discard(data, LossCause.CLOSED)
            self._reset_due = True

    # Writing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes; those written to an end that is closing are lost and reported as such."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data must be bytes, bytearray or memoryview, not {type(data).__name__}")
        if self._eof_written:
            raise RuntimeError("cannot write() after write_eof()")
        if not data:
            return
        if self._closing:
            self.outgoing.refuse(bytes(data))
            return
        self.outgoing.send(bytes(data))
        if len(self.outgoing.unsent) > self._high and not self._writing_paused:
            self._writing_paused = True
            self._tell("pause_writing")

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send several pieces as one."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """True: a memory connection can be half closed."""
        return True

    def write_eof(self) -> None:
        """Say that nothing more will be written; reading goes on."""
        if not self._closing and not self._eof_written:
            self._eof_written = True
            self.outgoing.finish()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set how many waiting bytes make the writer pause (`high`) and go on (`low`)."""
        if high is None:
            high = _HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._low, self._high = low, high

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """`low` and `high`."""
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        """Bytes that wait at this end because the window is full."""
        return len(self.outgoing.unsent)

    def drained(self) -> None:
        """Fewer bytes wait (called by the outgoing pipe)."""
        if self._writing_paused and len(self.outgoing.unsent) <= self._low:
            self._writing_paused = False
            self._tell("resume_writing")
        if self._closing and self.outgoing.finished:
            self.lose(None)

    def _tell(self, what: str) -> None:
        try:
            getattr(self._protocol, what)()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._complain(error, f"{what}() raised")

    # Ending

    def close(self) -> None:
        """Read no more, send what waits, then end; `connection_lost(None)` follows."""
        if self._closing:
            return
        self._closing = True
        self._discard_unread()
        self.outgoing.finish()
        if self.outgoing.finished:
            self.lose(None)

    def abort(self) -> None:
        """End now; what waits here is lost. `connection_lost(None)` follows."""
        self._end_abruptly(None)

    def _force_close(self, error: BaseException | None) -> None:
        # asyncio's TLS ends the transport beneath it by this name.
        self._end_abruptly(error)

    def lose(self, error: BaseException | None) -> None:
        """Have `connection_lost(error)` called, once, from the loop."""
        self._closing = True
        if not self._lost:
            self._lost = True
            if self._reset_due:
                self._send_reset()
            self._loop.call_soon(self._call_connection_lost, error)

    def _end_abruptly(self, error: BaseException | None) -> None:
        if self._lost:
            return
        self._closing = True
        self._discard_unread()
        self.outgoing.abandon(LossCause.ABORTED)
        self._send_reset()
        self.lose(error)

    def _fail(self, error: BaseException, what: str) -> None:
        """A protocol's own mistake ends its connection, nobody else's."""
        if not isinstance(error, OSError):
            self._complain(error, what)
        self._end_abruptly(error)

    def _complain(self, error: BaseException, what: str) -> None:
        self._loop.call_exception_handler(
            {"message": what, "exception": error, "transport": self, "protocol": self._protocol}
        )

    def _call_connection_lost(self, error: BaseException | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            self._protocol = None
            self.connection.end_is_over()
