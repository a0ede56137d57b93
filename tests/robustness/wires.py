"""A broker without a network: connections whose other end is the test itself, in the same loop.

`Wire` is the transport that the broker's protocol writes to. `Peer` is a client of a few lines on top of
it: enough to be connected, to answer, and to be a bystander that counts what it gets.
"""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mqttsec.mqtt5 import Broker
from mqttsec.mqtt5.connection import Connection
from mqttsec.packets import (
    MQTT_5,
    Connack,
    Connect,
    Packet,
    PacketType,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Splitter,
    decode,
    encode,
)


class Wire(asyncio.Transport):
    """The broker's transport; as strict as asyncio's own about what may be done when."""

    def __init__(self, loop: asyncio.AbstractEventLoop, make_protocol: Callable[[], Connection]) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 1883)})
        self._loop = loop
        self._closing = False
        self._eof = False
        self._lost = False
        self._paused = False
        self._inbox: list[bytes] = []
        self.written = bytearray()
        """What the broker wrote and nobody took yet."""
        self.protocol = make_protocol()
        self.protocol.connection_made(self)

    # The broker's side.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not self._closing:
            self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._eof = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        if self._inbox:
            self._loop.call_soon(self._deliver)

    def is_reading(self) -> bool:
        return not self._paused

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._lose)

    abort = close

    def _lose(self) -> None:
        if not self._lost:
            self._lost = True
            self.protocol.connection_lost(None)

    # The other side.

    @property
    def ended(self) -> bool:
        """True when the broker sends no more."""
        return self._eof or self._closing

    @property
    def gone(self) -> bool:
        """True when the broker has let go of the connection."""
        return self._lost

    @property
    def all_read(self) -> bool:
        """True when the broker is reading and has read all that was fed."""
        return not self._paused and not self._inbox

    def feed(self, data: bytes) -> None:
        """Bytes reach the broker, unless it has stopped reading."""
        self._inbox.append(data)
        self._deliver()

    def _deliver(self) -> None:
        while self._inbox and not self._paused and not self._closing:
            self.protocol.data_received(self._inbox.pop(0))

    def hang_up(self) -> None:
        """The other side closes (or dies): the broker reads the end of the stream."""
        if not self._closing and not self.protocol.eof_received():
            self.close()

    def take(self) -> bytes:
        """What the broker wrote since the last time."""
        data = bytes(self.written)
        self.written.clear()
        return data


class Peer:
    """A client on a `Wire`. `received` are the messages that it got, in order, once each."""

    def __init__(self, broker: Broker, protocol: int = MQTT_5) -> None:
        self.protocol = protocol
        self.wire = Wire(asyncio.get_running_loop(), broker.protocol_factory("default"))
        self.received: list[Publish] = []
        self.packets: list[Packet] = []
        """Everything that came and is no PUBLISH and no part of one's hand-shake."""
        self.unfinished: dict[int, Publish] = {}
        """Our QoS 1 and 2 publications by Packet Identifier."""
        self._splitter = Splitter()
        self._seen: set[int] = set()
        self._next = 0

    async def connect(self, packet: Connect) -> Connack:
        """Connect; fails where the broker does not answer within a few turns of the loop."""
        self.send(packet)
        for _ in range(100):
            await asyncio.sleep(0)
            self.read()
            if self.packets:
                answer = self.packets.pop(0)
                assert isinstance(answer, Connack), answer
                return answer
        raise AssertionError(f"no answer to {packet}")

    def send(self, packet: Packet) -> None:
        """Send one packet."""
        self.wire.feed(encode(packet, self.protocol))

    def publish(self, topic: str, payload: bytes, qos: int) -> None:
        """Publish; the hand-shake is finished by `read`."""
        number = None
        if qos:
            self._next = number = self._next % 65_535 + 1
        packet = Publish(topic, payload, qos, packet_id=number)
        if number is not None:
            self.unfinished[number] = packet
        self.send(packet)

    def read(self) -> None:
        """Take what the broker wrote, check that it is well formed, and answer it."""
        for frame in self._splitter.feed(self.wire.take()):
            packet = decode(frame, self.protocol, from_client=False)
            if isinstance(packet, Publish):
                self._message(packet)
            elif isinstance(packet, Pubrec):
                assert packet.reason_code < 0x80, packet
                self.send(Pubrel(packet.packet_id))
            elif isinstance(packet, Pubrel):
                self._seen.discard(packet.packet_id)
                self.send(Pubcomp(packet.packet_id))
            elif isinstance(packet, (Puback, Pubcomp)):
                assert packet.reason_code < 0x80, packet
                del self.unfinished[packet.packet_id]
            else:
                self.packets.append(packet)

    def _message(self, packet: Publish) -> None:
        number = packet.packet_id
        if number is None:
            self.received.append(packet)
        elif packet.qos == 1:
            self.received.append(packet)
            self.send(Puback(number))
        else:
            if number not in self._seen:
                self._seen.add(number)
                self.received.append(packet)
            self.send(Pubrec(number))


class Complaints(logging.Handler):
    """Everything that went wrong without anybody looking: log records and exceptions of the loop."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """A log record of a warning or worse, or with a traceback."""
        text = self.format(record)
        if record.exc_info or record.levelno >= logging.ERROR or record.name == "asyncio":
            self.found.append(f"{record.name}: {text}")

    def warning(self, message: Warning | str, category: type[Warning], filename: str, lineno: int,
                file: Any = None, line: str | None = None) -> None:
        """A warning of Python's own about what was left lying."""
        if issubclass(category, (RuntimeWarning, ResourceWarning)):
            self.found.append(f"{filename}:{lineno}: {category.__name__}: {message}")

    def loop_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception that asyncio found nobody to give to."""
        self.found.append(f"event loop: {context['message']} {context.get('exception')!r}")

    def check(self) -> None:
        """Fail if anything was found."""
        assert not self.found, "\n".join(self.found[:10])


@contextmanager
def complaints(loop: asyncio.AbstractEventLoop | None = None) -> Iterator[Complaints]:
    """Watch the logs, and the exceptions of a loop."""
    watcher = Complaints()
    root = logging.getLogger()
    root.addHandler(watcher)
    if loop is not None:
        loop.set_exception_handler(watcher.loop_exception)
    with warnings.catch_warnings():
        # "coroutine ... was never awaited", "unclosed transport": nothing else tells of them.
        warnings.simplefilter("always")
        warnings.showwarning = watcher.warning
        try:
            yield watcher
        finally:
            root.removeHandler(watcher)


def type_of(frame: bytes) -> PacketType | None:
    """The packet type of a frame, as far as it has one."""
    return PacketType(frame[0] >> 4) if frame and frame[0] >> 4 else None
