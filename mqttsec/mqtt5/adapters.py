"""Connections that are no asyncio transports: WebSockets, and amqtt's reader and writer adapters."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from amqtt.adapters import ReaderAdapter, WriterAdapter
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

_CHUNK = 1  # amqtt's adapters read exactly as many bytes as asked for, so more than one could wait for ever.


class QueueTransport(asyncio.Transport):
    """A transport whose writes are sent, in order, by one task of its own."""

    def __init__(
        self,
        protocol: asyncio.Protocol,
        deliver: Callable[[bytes], Awaitable[None]],
        peer: tuple[str, int] | None,
        ssl_object: Any = None,
    ) -> None:
        super().__init__({"peername": peer, "ssl_object": ssl_object})
        self._protocol = protocol
        self._deliver = deliver
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._size = 0
        self._high = 64 * 1024
        self._paused = False
        self._closing = False
        self._readable = asyncio.Event()
        self._readable.set()
        self.sender = asyncio.ensure_future(self._send())

    async def _send(self) -> None:
        while True:
            data = await self._queue.get()
            if data is None:
                return
            await self._deliver(data)
            self._size -= len(data)
            if self._paused and self._size <= self._high // 4:
                self._paused = False
                self._protocol.resume_writing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue bytes."""
        if self._closing:
            return
        self._queue.put_nowait(bytes(data))
        self._size += len(data)
        if not self._paused and self._size > self._high:
            self._paused = True
            self._protocol.pause_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set how many bytes may wait before the protocol is paused."""
        self._high = 64 * 1024 if high is None else high

    def get_write_buffer_size(self) -> int:
        """Bytes that wait."""
        return self._size

    def can_write_eof(self) -> bool:
        """There is no half-closing here."""
        return False

    def close(self) -> None:
        """Send what waits, then close."""
        if not self._closing:
            self._closing = True
            self._queue.put_nowait(None)
            self._readable.set()

    def abort(self) -> None:
        """Close at once."""
        self._closing = True
        self.sender.cancel()
        self._readable.set()

    def is_closing(self) -> bool:
        """True from `close` on."""
        return self._closing

    def pause_reading(self) -> None:
        """Take no more bytes from the network."""
        self._readable.clear()

    def resume_reading(self) -> None:
        """Take bytes again."""
        self._readable.set()

    async def readable(self) -> None:
        """Wait until reading is not paused."""
        await self._readable.wait()


async def _serve(
    protocol: asyncio.Protocol, transport: QueueTransport, receive: Callable[[], Awaitable[bytes]]
) -> None:
    """Run one connection until either side ends it. `receive` returns b"" at the end."""
    protocol.connection_made(transport)

    async def read() -> None:
        while True:
            await transport.readable()
            data = await receive()
            if not data:
                return
            protocol.data_received(data)

    reader = asyncio.ensure_future(read())
    try:
        await asyncio.wait({reader, transport.sender}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        transport._closing = True
        for task in (reader, transport.sender):
            task.cancel()
        await asyncio.gather(reader, transport.sender, return_exceptions=True)
        protocol.connection_lost(None)


async def serve_websocket(websocket: ServerConnection, protocol: asyncio.Protocol) -> None:
    """Serve one WebSocket client (MQTT 5, chapter 6)."""
    peer = websocket.remote_address
    transport = QueueTransport(
        protocol,
        websocket.send,
        None if peer is None else (str(peer[0]), int(peer[1])),
        websocket.transport.get_extra_info("ssl_object"),
    )

    async def receive() -> bytes:
        try:
            data = await websocket.recv()
        except ConnectionClosed:
            return b""
        if isinstance(data, str):
            # [MQTT-6.0.0-1] "If any other type of data frame is received the recipient MUST close the Network
            # Connection."
            await websocket.close(1003, "MQTT is sent in binary frames")
            return b""
        return data

    await _serve(protocol, transport, receive)
    await websocket.close()


async def serve_adapters(reader: ReaderAdapter, writer: WriterAdapter, protocol: asyncio.Protocol) -> None:
    """Serve one connection over amqtt's adapters (`external_connected`)."""

    async def deliver(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    async def receive() -> bytes:
        try:
            return bytes(await reader.read(_CHUNK))
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    transport = QueueTransport(protocol, deliver, writer.get_peer_info(), writer.get_ssl_info())
    await _serve(protocol, transport, receive)
    # A client that is gone already cannot be half-closed (OSError), which is as good.
    with contextlib.suppress(OSError, asyncio.CancelledError):
        await writer.close()
