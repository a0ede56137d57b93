"""The load generator's own protocol work: what it counts and what it answers, however the bytes are cut."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from mqttsec.errors import ConnectionFailed, ProtocolError
from mqttsec.measure.crowd import (
    READABLE,
    AcknowledgingReceiver,
    CountingReceiver,
    Crowd,
    Endpoint,
    ExactlyOnceReceiver,
    Publisher,
)
from mqttsec.measure.frames import PUBACK, TOPIC, PublishFrames, acknowledgements, leading
from mqttsec.packets import Puback, Pubcomp, Publish, Pubrec, Pubrel, Splitter, decode, encode

Wire = tuple[socket.socket, socket.socket]


@pytest.fixture
def wire() -> Iterator[Wire]:
    """(the load's end, the broker's end) of one TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    theirs.settimeout(5)
    with ours, theirs:
        yield ours, theirs


def deliver(theirs: socket.socket, endpoint: Endpoint, data: bytes) -> None:
    """Send `data` and let the endpoint read it as soon as its kernel has it."""
    theirs.sendall(data)
    ours = endpoint.socket
    ours.settimeout(5)
    ours.recv(1, socket.MSG_PEEK)
    ours.setblocking(False)
    endpoint.on_event(READABLE)


def answers(theirs: socket.socket, count: int, protocol: int) -> list[object]:
    """The next `count` packets that the endpoint has sent."""
    splitter, frames = Splitter(), list[bytes]()
    while len(frames) < count:
        frames += splitter.feed(theirs.recv(65536))
    return [decode(frame, protocol, from_client=True) for frame in frames]


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("length", [0, 3, 100, 1000])
def test_frames_are_whole_publish_packets_of_equal_length(qos: int, protocol: int, length: int) -> None:
    frames = PublishFrames(length, qos, 5, protocol)
    parts = Splitter().feed(frames.blob)
    packets = [decode(part, protocol, from_client=True) for part in parts]
    assert {len(part) for part in parts} == {frames.stride}
    assert all(part.startswith(frames.head) and frames.head.endswith(TOPIC.encode()) for part in parts)
    assert [(p.topic, p.qos, len(p.payload), p.packet_id) for p in packets if isinstance(p, Publish)] == [
        (TOPIC, qos, length, number if qos else None) for number in range(1, 6)]


def test_acknowledgements_of_a_batch() -> None:
    assert acknowledgements(PUBACK, b"\x00\x12", b"\x01\x34") == bytes.fromhex("40020001 40021234")
    assert (leading(b"aab", b"a"), leading(b"", b"a"), leading(b"ba", b"a")) == (2, 0, 0)


def test_qos_0_counts_bytes(wire: Wire) -> None:
    frames, received = PublishFrames(100, 0, 3), [0]
    receiver = CountingReceiver("r", wire[0], frames, received, 0)
    deliver(wire[1], receiver, frames.blob)
    assert received == [3 * frames.stride]


def test_qos_1_acknowledges_every_identifier_wherever_the_stream_is_cut(wire: Wire) -> None:
    frames, received = PublishFrames(5, 1, 3), [0]
    receiver = AcknowledgingReceiver("r", wire[0], frames, received, 0)
    for turn, cut in enumerate(range(1, len(frames.blob)), 1):
        deliver(wire[1], receiver, frames.blob[:cut])
        deliver(wire[1], receiver, frames.blob[cut:])
        assert answers(wire[1], 3, 4) == [Puback(1), Puback(2), Puback(3)]
        assert received == [turn * 3 * frames.stride]


def test_qos_2_answers_both_halves_in_order_wherever_the_stream_is_cut(wire: Wire) -> None:
    # Packet Identifier 0x3462 and a payload of "b" and "4": first bytes of other packets in the wrong place.
    def publish(identifier: int) -> bytes:
        return encode(Publish(TOPIC, b"4b4b4", 2, packet_id=identifier), 4)

    stream = (publish(1) + publish(0x3462) + encode(Pubrel(1), 4) + publish(7)
              + encode(Pubrel(0x3462), 4) + encode(Pubrel(7), 4))
    expected = [Pubrec(1), Pubrec(0x3462), Pubcomp(1), Pubrec(7), Pubcomp(0x3462), Pubcomp(7)]
    frames, received = PublishFrames(5, 2, 1), [0]
    receiver = ExactlyOnceReceiver("r", wire[0], frames, received, 0)
    for turn, cut in enumerate(range(1, len(stream)), 1):
        deliver(wire[1], receiver, stream[:cut])
        deliver(wire[1], receiver, stream[cut:])
        assert answers(wire[1], 6, 4) == expected
        assert received == [turn * 3 * frames.stride]


@pytest.mark.parametrize("kind, qos", [(AcknowledgingReceiver, 1), (ExactlyOnceReceiver, 2)])
@pytest.mark.parametrize("foreign", [
    encode(Publish("another/topic", b"12345", 1, packet_id=1), 4),
    encode(Publish(TOPIC, b"12345", 0), 4) * 2,
    encode(Publish(TOPIC, b"123456", 2, packet_id=1), 4) * 2,
])
def test_an_unexpected_packet_is_an_error_not_a_figure(
        wire: Wire, kind: type[AcknowledgingReceiver] | type[ExactlyOnceReceiver], qos: int,
        foreign: bytes) -> None:
    receiver = kind("subscriber 1", wire[0], PublishFrames(5, qos, 1), [0], 0)
    with pytest.raises(ProtocolError, match="subscriber 1"):
        deliver(wire[1], receiver, foreign)


def test_a_publisher_at_qos_2_releases_and_counts_the_end_of_exchanges(wire: Wire) -> None:
    publisher = Publisher(wire[0], PublishFrames(10, 2, 4))
    publisher.push(2 * publisher.frames.stride)
    assert not publisher.idle and publisher.room == 2 * publisher.frames.stride
    deliver(wire[1], publisher, encode(Pubrec(1), 4) + encode(Pubrec(2), 4) + encode(Pubcomp(1), 4))
    wire[1].recv(2 * publisher.frames.stride, socket.MSG_WAITALL)
    assert answers(wire[1], 2, 4) == [Pubrel(1), Pubrel(2)]
    assert publisher.acknowledged == 1
    deliver(wire[1], publisher, encode(Pubcomp(2), 4))
    assert publisher.idle and publisher.room == 4 * publisher.frames.stride


def test_a_publisher_keeps_to_the_receive_maximum(wire: Wire) -> None:
    publisher = Publisher(wire[0], PublishFrames(10, 1, 100), receive_maximum=3)
    assert publisher.room == 3 * publisher.frames.stride


def test_what_does_not_fit_into_the_socket_is_sent_later(wire: Wire) -> None:
    endpoint = Endpoint("r", wire[0])
    data = bytes(range(256)) * 80_000  # 20 MB: more than both socket buffers hold
    endpoint.answer(bytearray(data))
    endpoint.answer(bytearray(b"the end"))
    seen = bytearray()
    while not seen.endswith(b"the end"):
        seen += wire[1].recv(1 << 20)
        endpoint.on_event(4)  # EPOLLOUT
    assert seen == data + b"the end"


def test_a_connection_that_the_broker_closes_is_an_error(wire: Wire) -> None:
    receiver = CountingReceiver("subscriber 3", wire[0], PublishFrames(5, 0, 1), [0], 0)
    with pytest.raises(ConnectionFailed, match="subscriber 3"):
        wire[1].close()
        wire[0].setblocking(True)
        wire[0].recv(1, socket.MSG_PEEK)  # returns when the end of the stream is there
        wire[0].setblocking(False)
        receiver.on_event(READABLE)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionFailed, match=f"subscriber 1 cannot connect to 127.0.0.1:{port}"):
        Crowd("127.0.0.1", port, 1, PublishFrames(5, 0, 1))
