"""A byte stream cut anywhere gives the same packets, and never holds more than one unfinished one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqttsec.errors import MalformedPacketError, ProtocolError
from mqttsec.packets import Publish, Splitter, encode
from tests.packets.corpus import CORPUS

FRAMES = [seed.frame for seed in CORPUS] + [encode(Publish("long", b"x" * size)) for size in (120, 20_000)]


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:stop] for start, stop in zip(edges, edges[1:], strict=False)]


@settings(max_examples=200, deadline=None)
@given(frames=st.lists(st.sampled_from(FRAMES), max_size=8),
       cuts=st.lists(st.integers(0, 100_000), max_size=12), lazy=st.booleans())
def test_any_chunking_gives_the_same_packets(frames: list[bytes], cuts: list[int], lazy: bool) -> None:
    splitter, found = Splitter(), []
    for piece in pieces(b"".join(frames), cuts):
        found += list(splitter.iterate(piece)) if lazy else splitter.feed(piece)
    assert found == frames and splitter.pending == 0


def test_byte_by_byte_and_all_at_once() -> None:
    stream = b"".join(FRAMES[:-1])
    splitter = Splitter()
    assert [frame for byte in stream for frame in splitter.feed(bytes((byte,)))] == FRAMES[:-1]
    assert Splitter().feed(stream) == FRAMES[:-1]


def test_pending_is_the_unfinished_packet() -> None:
    splitter = Splitter()
    frame = encode(Publish("a", b"x" * 300))
    assert splitter.feed(FRAMES[0] + frame[:100]) == [FRAMES[0]] and splitter.pending == 100
    assert splitter.feed(frame[100:] + b"\xc0") == [frame] and splitter.pending == 1
    assert splitter.feed(b"\x00") == [b"\xc0\x00"] and splitter.pending == 0


def test_a_packet_of_exactly_the_maximum_passes() -> None:
    frame = encode(Publish("a", b"x" * 500))
    assert Splitter(len(frame)).feed(frame) == [frame]
    with pytest.raises(ProtocolError) as caught:
        Splitter(len(frame) - 1).feed(frame)
    assert caught.value.reason_code == 0x95


def test_a_packet_that_will_be_too_large_is_refused_at_its_length() -> None:
    splitter = Splitter(1_000)
    assert splitter.feed(b"\x30\xff\xff") == []
    with pytest.raises(ProtocolError, match="Maximum Packet Size") as caught:
        splitter.feed(b"\x7f")
    assert caught.value.reason_code == 0x95


@pytest.mark.parametrize("header", ["30 80 80 80 80", "30 FF FF FF FF 01", "30 80 00", "30 FF 80 00"])
def test_a_malformed_remaining_length(header: str) -> None:
    # [MQTT-1.5.5-1]; 2.1.4: at most four bytes.
    data = bytes.fromhex(header)
    with pytest.raises(MalformedPacketError):
        Splitter().feed(data)
    splitter = Splitter()
    with pytest.raises(MalformedPacketError):
        for byte in data:
            splitter.feed(bytes((byte,)))


def test_the_largest_remaining_length_is_waited_for() -> None:
    splitter = Splitter()
    assert splitter.feed(b"\x30\xff\xff\xff\x7f" + b"x" * 100) == [] and splitter.pending == 105


def test_good_packets_before_a_bad_one_count() -> None:
    good, found = FRAMES[0], []
    splitter = Splitter()
    with pytest.raises(MalformedPacketError):
        for frame in splitter.iterate(good + good + b"\x30\x80\x80\x80\x80"):
            found.append(frame)
    assert found == [good, good]


def test_a_large_packet_in_small_pieces_takes_linear_time() -> None:
    # 16 MiB in 4,096 pieces: were each piece joined to all before it, this would copy 32 GiB.
    frame = encode(Publish("a", bytes(16 * 1024 * 1024)))
    splitter, found = Splitter(), []
    for start in range(0, len(frame), 4_096):
        found += splitter.feed(frame[start : start + 4_096])
    assert found == [frame]
