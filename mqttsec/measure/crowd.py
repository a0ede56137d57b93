"""One publisher and its subscribers on raw sockets: as little work per message as Python allows.

What makes it thin: frames are built once; all frames of a run have the same length, so receivers count
bytes and never look at a message; at QoS 0 the kernel throws the bytes away instead of copying them
(MSG_TRUNC, tcp(7)); at QoS 1 and 2 the Packet Identifiers of a whole batch are cut out with one slice and
acknowledged with one write; readiness is edge-triggered, so an event is delivered once per arrival.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Sequence
from typing import TypeVar

from mqttsec.errors import ConnectionFailed, ProtocolError
from mqttsec.measure.frames import (
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    TOPIC,
    PublishFrames,
    acknowledgements,
    leading,
)
from mqttsec.packets import (
    Connack,
    Connect,
    Disconnect,
    Splitter,
    Suback,
    Subscribe,
    SubscribeFilter,
    decode,
    encode,
)

HANDSHAKE_SECONDS = 10.0
Answer = TypeVar("Answer", Connack, Suback)
READABLE, WRITABLE = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR, select.EPOLLOUT
_buffer = bytearray(1 << 20)
"""Every socket reads into this one: its content never outlives the call that read it."""
_view = memoryview(_buffer)


class Endpoint:
    """A connected client: reads what has arrived, remembers half a frame, queues what does not fit."""

    def __init__(self, name: str, sock: socket.socket) -> None:
        self.name = name
        self.socket = sock
        self._tail = b""
        self._unsent = bytearray()
        sock.setblocking(False)

    def on_event(self, events: int) -> None:
        """Serve one epoll event. Raises `ConnectionFailed` when the broker has ended the connection."""
        if events & WRITABLE and self._unsent:
            waiting, self._unsent = self._unsent, bytearray()
            self.answer(waiting)
        if events & READABLE:
            self.on_readable()

    def on_readable(self) -> None:
        """Read until nothing is left: an edge-triggered event is not repeated."""
        while True:
            held = len(self._tail)
            _buffer[:held] = self._tail
            try:
                got = self.socket.recv_into(_view[held:])
            except BlockingIOError:
                return
            except OSError as error:
                raise self._ended(str(error)) from error
            if not got:
                raise self._ended("it closed the connection")
            end = held + got
            done = self.consume(end)
            self._tail = bytes(_view[done:end])
            if end < len(_buffer):
                return

    def consume(self, end: int) -> int:
        """Handle the whole frames in the buffer up to `end`; returns how many bytes they take."""
        raise NotImplementedError

    def answer(self, data: bytearray) -> None:
        """Write `data` now, or the rest of it when the socket can take it."""
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise self._ended(str(error)) from error
        if sent < len(data):
            self._unsent = data[sent:]

    def _ended(self, how: str) -> ConnectionFailed:
        return ConnectionFailed(f"The broker ended the connection of {self.name}: {how}.")

    def _unexpected(self, position: int) -> ProtocolError:
        seen = bytes(_view[position:position + 8]).hex(" ")
        return ProtocolError(f"{self.name} received a packet that nobody in this run sends or that has "
                             f"another length than expected: {seen} ...")


class Publisher(Endpoint):
    """Sends the frames of a blob round and round; `sent` counts the bytes.

    `receive_maximum` is the broker's: how many messages at QoS 1 and 2 may be on their way (MQTT 5, 4.9).
    """

    def __init__(self, sock: socket.socket, frames: PublishFrames,
                 receive_maximum: int | None = None) -> None:
        super().__init__("the publisher", sock)
        self.frames = frames
        self.sent = 0
        self.acknowledged = 0
        """Messages whose QoS 1 or 2 exchange is over."""
        self._blob = memoryview(frames.blob)
        self._most = min(frames.count, receive_maximum or 65_535) * frames.stride

    @property
    def room(self) -> int:
        """Bytes that may be sent now: Receive Maximum (4.9), and no identifier twice in use (2.2.1)."""
        if not self.frames.qos:
            return len(self._blob)
        return self._most - (self.sent - self.acknowledged * self.frames.stride)

    @property
    def idle(self) -> bool:
        """No message of ours is on its way to the broker or waits for its acknowledgement."""
        return not self.frames.qos or self.acknowledged * self.frames.stride == self.sent

    def push(self, amount: int) -> int:
        """Send at most `amount` bytes of the blob; returns how many the socket took."""
        begin = self.sent % len(self._blob)
        try:
            taken = self.socket.send(self._blob[begin:begin + amount])
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._ended(str(error)) from error
        self.sent += taken
        return taken

    def consume(self, end: int) -> int:
        """PUBACK ends an exchange at QoS 1; at QoS 2 PUBREC is answered by PUBREL, PUBCOMP ends it."""
        position, releases = 0, bytearray()
        while end - position >= 4:
            kind = bytes(_view[position:position + 1])
            if kind not in (PUBACK, PUBREC, PUBCOMP) or _buffer[position + 1] != 2:
                raise self._unexpected(position)
            run = min(leading(_buffer[position:end:4], kind), (end - position) // 4)
            stop = position + 4 * run
            if kind == PUBREC:
                high, low = _buffer[position + 2:stop:4], _buffer[position + 3:stop:4]
                releases += acknowledgements(PUBREL, high, low)
            else:
                self.acknowledged += run
            position = stop
        if releases:
            self.answer(releases)
        return position


class Receiver(Endpoint):
    """A subscriber: adds the bytes of the PUBLISH packets it has received to `received[index]`."""

    def __init__(self, name: str, sock: socket.socket, frames: PublishFrames, received: list[int],
                 index: int) -> None:
        super().__init__(name, sock)
        self._stride = frames.stride
        self._head = frames.head
        self._identifier = len(frames.head)
        self._received = received
        self._index = index


class CountingReceiver(Receiver):
    """At QoS 0 the number of bytes says everything."""

    def on_readable(self) -> None:
        """Let the kernel count and discard: no byte is copied."""
        while True:
            try:
                got = self.socket.recv_into(_buffer, 0, socket.MSG_TRUNC)
            except BlockingIOError:
                return
            except OSError as error:
                raise self._ended(str(error)) from error
            if not got:
                raise self._ended("it closed the connection")
            self._received[self._index] += got
            if got < len(_buffer):
                return


class AcknowledgingReceiver(Receiver):
    """At QoS 1 every PUBLISH is answered by a PUBACK; a batch of them by one write."""

    def consume(self, end: int) -> int:
        """Acknowledge the whole frames."""
        stride, count = self._stride, end // self._stride
        stop = count * stride
        in_step = leading(_buffer[:stop:stride], self._head[:1]) == count
        if not in_step or not _buffer.startswith(self._head[:end]):
            raise self._unexpected(0)
        if count:
            at = self._identifier
            self.answer(acknowledgements(PUBACK, _buffer[at:stop:stride], _buffer[at + 1:stop:stride]))
            self._received[self._index] += stop
        return stop


class ExactlyOnceReceiver(Receiver):
    """At QoS 2 PUBLISH is answered by PUBREC and PUBREL by PUBCOMP; the second exchange makes it count."""

    def consume(self, end: int) -> int:
        """Answer runs of PUBLISH and runs of PUBREL in the order they came in."""
        position, answers, stride = 0, bytearray(), self._stride
        publish = self._head[:1]
        while position < end:
            kind = bytes(_view[position:position + 1])
            length = stride if kind == publish else 4
            count = min(leading(_buffer[position:end:length], kind), (end - position) // length)
            if not count:
                break
            stop = position + count * length
            if kind == publish:
                if not _buffer.startswith(self._head, position):
                    raise self._unexpected(position)
                at = position + self._identifier
                answers += acknowledgements(PUBREC, _buffer[at:stop:stride], _buffer[at + 1:stop:stride])
            elif kind == PUBREL and _buffer[position + 1] == 2:
                high, low = _buffer[position + 2:stop:4], _buffer[position + 3:stop:4]
                answers += acknowledgements(PUBCOMP, high, low)
                self._received[self._index] += count * stride
            else:
                raise self._unexpected(position)
            position = stop
        if answers:
            self.answer(answers)
        return position


class Crowd:
    """One publisher and `subscribers` receivers, connected to a broker; a context manager."""

    def __init__(self, host: str, port: int, subscribers: int, frames: PublishFrames) -> None:
        self.received = [0] * subscribers
        """Bytes of PUBLISH that each receiver has received (at QoS 2: whose exchange is over)."""
        self.frames = frames
        self.handlers: dict[int, Callable[[int], None]] = {}
        """File descriptor -> what serves its events."""
        self.receivers: list[Receiver] = []
        self._sockets: list[socket.socket] = []
        self._epoll = select.epoll()
        self._limit = subscribers + 1
        kind = (CountingReceiver, AcknowledgingReceiver, ExactlyOnceReceiver)[frames.qos]
        try:
            for index in range(subscribers):
                name = f"subscriber {index + 1}"
                sock, _ = self._enter(host, port, name)
                subscribe = Subscribe(1, (SubscribeFilter(TOPIC, frames.qos),))
                sock.sendall(encode(subscribe, frames.protocol))
                _answer(sock, frames.protocol, name, Suback)
                self.receivers.append(kind(name, sock, frames, self.received, index))
            sock, connack = self._enter(host, port, "the publisher")
            self.publisher = Publisher(sock, frames, connack.properties.receive_maximum)
            for endpoint in (self.publisher, *self.receivers):
                self.handlers[endpoint.socket.fileno()] = endpoint.on_event
                events = select.EPOLLIN | select.EPOLLET
                # A receiver at QoS 0 never writes: no event about that.
                self._epoll.register(endpoint.socket, events | (0 if kind is CountingReceiver
                                                                and endpoint is not self.publisher
                                                                else select.EPOLLOUT))
        except BaseException:
            self.close()
            raise

    def poll(self, seconds: float) -> Sequence[tuple[int, int]]:
        """The (file descriptor, events) pairs that are ready, waiting for the first at most `seconds`."""
        return self._epoll.poll(seconds, self._limit)

    def serve(self, seconds: float) -> None:
        """Wait at most `seconds` and handle whatever is ready."""
        handlers = self.handlers
        for descriptor, events in self._epoll.poll(seconds, self._limit):
            handlers[descriptor](events)

    def close(self) -> None:
        """Say DISCONNECT and close every socket."""
        for sock in self._sockets:
            try:
                sock.send(encode(Disconnect(), self.frames.protocol))
            except OSError:
                pass  # the broker went first, or reads no more: closing is all that is left
            sock.close()
        self._epoll.close()

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _enter(self, host: str, port: int, name: str) -> tuple[socket.socket, Connack]:
        try:
            sock = socket.create_connection((host, port), timeout=HANDSHAKE_SECONDS)
        except OSError as error:
            raise ConnectionFailed(f"{name} cannot connect to {host}:{port}: {error}.") from error
        self._sockets.append(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connect = Connect(f"bench-{name.replace(' ', '-')}", protocol=self.frames.protocol)
        sock.sendall(encode(connect, self.frames.protocol))
        return sock, _answer(sock, self.frames.protocol, name, Connack)


def _answer(sock: socket.socket, protocol: int, name: str, wanted: type[Answer]) -> Answer:
    """The one packet that the broker answers with; raises `ConnectionFailed` if it is another or refuses."""
    splitter, kind = Splitter(), wanted.__name__.upper()
    frames: list[bytes] = []
    try:
        while not frames:
            data = sock.recv(4096)
            if not data:
                raise ConnectionFailed(f"{name} waited for a {kind} and the broker hung up.")
            frames += splitter.feed(data)
    except OSError as error:
        raise ConnectionFailed(f"{name} waited for a {kind} in vain: {error}.") from error
    packet = decode(frames[0], protocol, from_client=False)
    if not isinstance(packet, wanted):
        raise ConnectionFailed(f"{name} expected a {kind} and received {packet}.")
    code = packet.reason_code if isinstance(packet, Connack) else packet.reason_codes[0]
    # Any code of a CONNACK but 0 refuses; SUBACK grants a QoS up to 2 (3.9.3).
    if code > (0 if isinstance(packet, Connack) else 2):
        raise ConnectionFailed(f"The broker refused {name}: {kind} with 0x{code:02X}.", code)
    return packet
