"""A socket that is none: the client end of a memory connection as code written for sockets wants it.

Code that polls a non-blocking socket (paho-mqtt with an external loop) runs over a memory link,
and so under virtual time, by getting a `LinkSocket` where it would make a `socket.socket`.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable

from mqttsec.errors import ConfigurationError
from mqttsec.net.network import MemoryNetwork
from mqttsec.net.settings import Address, LinkSettings
from mqttsec.net.transport import LinkTransport

_BUFFER = 64 * 1024
"""Bytes kept for `recv` before the peer has to wait, and from `send` before the link is open."""


class LinkSocket:
    """A non-blocking stream socket over a memory link, as `socket.socket` behaves.

    Making it begins to connect, as a non-blocking `connect` does; what is sent meanwhile waits.
    `recv` raises `BlockingIOError` when there is nothing, returns `b""` at the end of the stream,
    and raises the connection's own error (`ConnectionRefusedError`, `ConnectionResetError`,
    `TimeoutError`) if there was one; `send` may take a part, and raises `BlockingIOError` when
    there is no room.

    `on_readable()` is called from the loop when `recv` has something to tell, again and again
    while each call takes something; `on_writable()` when there is room after a `BlockingIOError`.
    The other arguments are those of `MemoryNetwork.connect`.
    """

    def __init__(
        self,
        network: MemoryNetwork,
        host: str,
        port: int,
        *,
        source: str | Address | None = None,
        settings: LinkSettings | None = None,
        on_readable: Callable[[], object] | None = None,
        on_writable: Callable[[], object] | None = None,
    ) -> None:
        self.on_readable = on_readable
        """Called when `recv` has data, the end of the stream, or an error to tell."""
        self.on_writable = on_writable
        """Called when `send` has room again."""
        self._loop = network.post.loop
        self._transport: LinkTransport | None = None
        self._inbox = bytearray()
        self._outbox = bytearray()
        self._writing_paused = False
        self._wants_room = False
        self._over = False
        self._over_told = False
        self._error: Exception | None = None
        self._closed = False
        self._calls_read = 0
        self._reading_called = False
        self.connection = network.dial(
            lambda: _Inbox(self), host, port, self._opened, self._failed, source=source, settings=settings
        )
        """The connection, for example to cut it."""

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Take up to `size` bytes that have arrived."""
        self._check_open()
        if not self._inbox and not self._over:
            raise BlockingIOError(errno.EAGAIN, "nothing has arrived yet")
        self._calls_read += 1
        if not self._inbox:
            self._over_told = True
            if self._error is not None:
                raise self._error
            return b""
        data = bytes(self._inbox[:size])
        del self._inbox[:size]
        if len(self._inbox) < _BUFFER and self._transport is not None:
            self._transport.resume_reading()
        return data

    def send(self, data: bytes | bytearray | memoryview, flags: int = 0) -> int:
        """Write bytes; return how many there was room for."""
        self._check_open()
        if self._error is not None:
            raise self._error
        if self._transport is None:
            size = min(len(data), _BUFFER - len(self._outbox))
            if size <= 0 < len(data):
                self._wants_room = True
                raise BlockingIOError(errno.EAGAIN, "the link is not open yet, and enough waits for it")
            self._outbox += data[:size]
            return size
        if self._transport.is_closing():
            raise BrokenPipeError(errno.EPIPE, "the connection has ended")
        if self._writing_paused:
            self._wants_room = True
            raise BlockingIOError(errno.EAGAIN, "the other end does not keep up")
        self._transport.write(data)
        return len(data)

    def pending(self) -> int:
        """How many bytes `recv` could return at once."""
        return len(self._inbox)

    def close(self) -> None:
        """Close the connection after what was sent; no callback follows."""
        if self._closed:
            return
        self._closed = True
        if self._transport is not None:
            self._transport.close()
        elif self._error is None and not self._outbox:
            self.connection.give_up()
        # With bytes waiting for the link to open, it is closed once they are on their way.

    def fileno(self) -> int:
        """-1, as of a closed socket: there is nothing that `select` could wait for."""
        return -1

    def setblocking(self, flag: bool) -> None:
        """Accept `False`; a memory link has no thread that could wait (`ConfigurationError`)."""
        if flag:
            raise ConfigurationError(
                "a LinkSocket cannot block: its answers come from the loop it would stop"
            )

    def settimeout(self, seconds: float | None) -> None:
        """Accept 0, which means non-blocking."""
        self.setblocking(seconds != 0)

    def getsockname(self) -> Address:
        """The own address."""
        return self.connection.client

    def getpeername(self) -> Address:
        """The address of the other end."""
        return self.connection.server

    def _check_open(self) -> None:
        if self._closed:
            raise OSError(errno.EBADF, "this LinkSocket is closed")

    def _opened(self, transport: LinkTransport) -> None:
        self._transport = transport
        if self._outbox:
            transport.write(self._outbox)
            self._outbox = bytearray()
        if self._closed:
            transport.close()
        elif not self._writing_paused:
            self._room()

    def _failed(self, error: Exception) -> None:
        self._ended(error)

    def _received(self, data: bytes) -> None:
        self._inbox += data
        if len(self._inbox) >= _BUFFER and self._transport is not None:
            self._transport.pause_reading()
        self._tell_readable()

    def _ended(self, error: Exception | None) -> None:
        self._over = True
        self._error = self._error or error
        self._tell_readable()

    def _tell_readable(self) -> None:
        if not self._reading_called and not self._closed and self.on_readable is not None:
            self._reading_called = True
            self._loop.call_soon(self._call_readable)

    def _call_readable(self) -> None:
        self._reading_called = False
        if self._closed or self.on_readable is None:
            return
        before = self._calls_read
        self.on_readable()
        # Like a selector, call while there is something; unlike it, not if nobody takes it: that
        # would keep the loop busy for ever, and virtual time standing still.
        if self._calls_read != before and (self._inbox or (self._over and not self._over_told)):
            self._tell_readable()

    def _pause(self) -> None:
        self._writing_paused = True

    def _room(self) -> None:
        self._writing_paused = False
        if self._wants_room and not self._closed:
            self._wants_room = False
            if self.on_writable is not None:
                self._loop.call_soon(self.on_writable)


class _Inbox(asyncio.Protocol):
    """Puts what the transport tells into the socket."""

    def __init__(self, socket: LinkSocket) -> None:
        self._socket = socket

    def data_received(self, data: bytes) -> None:
        self._socket._received(data)

    def eof_received(self) -> bool:
        # The socket stays writable: half closed, as a real one.
        self._socket._ended(None)
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._socket._ended(error)

    def pause_writing(self) -> None:
        self._socket._pause()

    def resume_writing(self) -> None:
        self._socket._room()
