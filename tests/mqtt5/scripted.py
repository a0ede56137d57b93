"""A peer that plays the Server by a script, so that a test says packet by packet what the client meets.

`ScriptedServer` listens on a real socket in a thread (for paho), `ScriptedPeer` on a memory network
(for the asyncio client). Both read scripts that look alike: expect a packet, send a packet.
"""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

from mqttsec.errors import AuthenticationError
from mqttsec.net import MemoryNetwork
from mqttsec.packets import Packet, Splitter, decode, encode

P = TypeVar("P")


class Conversation:
    """One connection of a `ScriptedServer`."""

    def __init__(self, connection: socket.socket, protocol: int) -> None:
        self._connection = connection
        self._protocol = protocol
        self._splitter = Splitter()
        self._frames: list[bytes] = []
        connection.settimeout(10)

    def expect(self, kind: type[P]) -> P:
        while not self._frames:
            data = self._connection.recv(65_536)
            assert data, f"the client closed the connection instead of sending {kind.__name__}"
            self._frames += self._splitter.feed(data)
        packet = decode(self._frames.pop(0), self._protocol, from_client=True)
        assert isinstance(packet, kind), f"{packet} instead of {kind.__name__}"
        return packet

    def expect_end(self) -> None:
        assert not self._frames, f"more packets: {self._frames}"
        try:
            assert self._connection.recv(65_536) == b""
        except ConnectionResetError:
            pass

    def send(self, *packets: Packet | bytes) -> None:
        data = [part if isinstance(part, bytes) else encode(part, self._protocol) for part in packets]
        self._connection.sendall(b"".join(data))

    def close(self) -> None:
        self._connection.close()


class ScriptedServer:
    """Runs one script per connection, in turn; a failed assertion of a script fails the test."""

    def __init__(self, *scripts: Callable[[Conversation], None], protocol: int = 5) -> None:
        self._scripts = scripts
        self._protocol = protocol
        self._outcome: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        try:
            for script in self._scripts:
                connection, _ = self._listener.accept()
                with connection:
                    script(Conversation(connection, self._protocol))
        except BaseException as error:
            self._outcome.put(error)
        else:
            self._outcome.put(None)

    def finish(self) -> None:
        """Wait until the scripts are through, and raise what went wrong in them."""
        error = self._outcome.get(timeout=20)
        self._outcome.put(error)
        if error is not None:
            raise error

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
        self._listener.close()


class Line(asyncio.Protocol):
    """One connection of a `ScriptedPeer`: a conversation to await."""

    def __init__(self, protocol: int) -> None:
        self._protocol = protocol
        self._splitter = Splitter()
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        for frame in self._splitter.feed(data):
            self._frames.put_nowait(frame)

    def connection_lost(self, error: Exception | None) -> None:
        self._frames.put_nowait(None)

    async def expect(self, kind: type[P], within: float | None = 60.0) -> P:
        frame = await asyncio.wait_for(self._frames.get(), within)
        assert frame is not None, f"the client closed the connection instead of sending {kind.__name__}"
        packet = decode(frame, self._protocol, from_client=True)
        assert isinstance(packet, kind), f"{packet} instead of {kind.__name__}"
        return packet

    async def expect_end(self, within: float = 60.0) -> None:
        frame = await asyncio.wait_for(self._frames.get(), within)
        assert frame is None, f"{frame!r} instead of the end"

    async def expect_silence(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        assert self._frames.empty(), f"{self._frames.get_nowait()!r} instead of silence"

    def send(self, *packets: Packet | bytes) -> None:
        assert self.transport is not None
        for part in packets:
            self.transport.write(part if isinstance(part, bytes) else encode(part, self._protocol))

    def close(self) -> None:
        assert self.transport is not None
        self.transport.close()

    def abort(self) -> None:
        assert self.transport is not None
        self.transport.abort()


class ScriptedPeer:
    """Listens as "broker", port 1883, of a memory network; `line()` is the next connection."""

    def __init__(self, network: MemoryNetwork, protocol: int = 5) -> None:
        self._lines: asyncio.Queue[Line] = asyncio.Queue()
        self._protocol = protocol
        network.listen(self._make, "broker", 1883)

    def _make(self) -> Line:
        line = Line(self._protocol)
        self._lines.put_nowait(line)
        return line

    async def line(self) -> Line:
        return await asyncio.wait_for(self._lines.get(), 60)


async def together(*parts: Coroutine[Any, Any, Any]) -> list[Any]:
    """Run coroutines side by side; the first error of any of them is the error."""
    return list(await asyncio.gather(*parts))


class Sums:
    """A toy authentication method: the Server gives numbers, the Client answers with their sum so far.

    The Server proves itself with the last word `proof`, the Client begins with `hello`.
    """

    method = "sums"

    def __init__(self, proof: bytes | None = b"fine", give_up_at: int | None = None) -> None:
        self.proof = proof
        self.give_up_at = give_up_at
        self.exchanges = 0
        self.finished = 0
        self._sum = 0

    def first(self) -> bytes | None:
        self.exchanges += 1
        self._sum = 0
        return b"hello"

    def challenge(self, data: bytes | None) -> bytes | None:
        number = int(data or b"0")
        if number == self.give_up_at:
            raise AuthenticationError(f"{number} is not a number that an honest Server gives")
        self._sum += number
        return str(self._sum).encode()

    def finish(self, data: bytes | None) -> None:
        if data != self.proof:
            raise AuthenticationError("the Server could not prove itself")
        self.finished += 1
