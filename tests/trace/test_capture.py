"""The capture, read back byte by byte without Wireshark."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mqttsec.errors import TraceError
from mqttsec.packets import Connack, Connect, Pingreq, Publish, encode
from mqttsec.trace import (
    EventKind,
    arrows,
    capture,
    capture_addresses,
    connections,
    seen_on_network,
    servers_of,
    write_capture,
)
from tests.trace.runs import BROKER, Script, weather

FIN, SYN, PSH, ACK = 1, 2, 8, 16


@dataclass
class Segment:
    time: float
    source: tuple[str, int]
    destination: tuple[str, int]
    sequence: int
    acknowledged: int
    flags: int
    data: bytes


def words_sum(data: bytes) -> int:
    """RFC 1071, word by word: 0xFFFF over data that holds its own right checksum."""
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total


def segments(data: bytes) -> Iterator[Segment]:
    assert struct.unpack_from("<IHHiIII", data) == (0xA1B23C4D, 2, 4, 0, 0, 262144, 101)
    at = 24
    while at < len(data):
        seconds, nanoseconds, length, original = struct.unpack_from("<IIII", data, at)
        assert length == original
        packet = data[at + 16 : at + 16 + length]
        at += 16 + length
        assert packet[0] == 0x45 and packet[9] == 6
        assert struct.unpack_from(">H", packet, 2) == (length,)
        assert words_sum(packet[:20]) == 0xFFFF
        tcp = packet[20:]
        assert words_sum(packet[12:20] + struct.pack(">HH", 6, len(tcp)) + tcp) == 0xFFFF
        ports = struct.unpack_from(">HH", tcp)
        sequence, acknowledged, offset, flags = struct.unpack_from(">IIBB", tcp, 4)
        assert offset == 5 << 4
        ends = [".".join(map(str, packet[start : start + 4])) for start in (12, 16)]
        yield Segment(
            seconds + nanoseconds / 1e9,
            (ends[0], ports[0]),
            (ends[1], ports[1]),
            sequence,
            acknowledged,
            flags,
            tcp[20:],
        )


def check_streams(data: bytes) -> dict[tuple[tuple[str, int], tuple[str, int]], bytes]:
    """Every stream opens by handshake, numbers its bytes without a gap, and says nothing after FIN."""
    sent: dict[tuple[tuple[str, int], tuple[str, int]], bytearray] = defaultdict(bytearray)
    following: dict[tuple[tuple[str, int], tuple[str, int]], int] = {}
    finished = set()
    before = 0.0
    for segment in segments(data):
        assert segment.time >= before
        before = segment.time
        way, back = (segment.source, segment.destination), (segment.destination, segment.source)
        if segment.flags & SYN:
            assert way not in following
            assert bool(segment.flags & ACK) == (back in following)
            following[way] = segment.sequence
        assert segment.sequence == following[way]
        if segment.flags & ACK:
            assert segment.acknowledged == following[back]
        assert way not in finished or not segment.data
        following[way] = (segment.sequence + len(segment.data) + bool(segment.flags & (SYN | FIN))) % 2**32
        if segment.flags & FIN:
            finished.add(way)
        sent[way] += segment.data
    return {way: bytes(data) for way, data in sent.items()}


def test_streams_hold_the_packets_byte_for_byte() -> None:
    trace = weather(0.055, lossy=True)
    streams = check_streams(capture(trace))
    address = capture_addresses(trace)
    assert address == {"dashboard": "10.1.0.1", BROKER: "10.0.0.1", "station": "10.1.0.2"}
    assert len(streams) == 4
    for (source, destination), data in streams.items():
        names = {address[name]: name for name in address}
        ends = (names[source[0]], names[destination[0]])
        assert data == b"".join(a.frame for a in arrows(trace) if (a.sender, a.receiver) == ends)
        assert 1883 in (source[1], destination[1])


def test_times_are_those_of_the_trace() -> None:
    found = list(segments(capture(weather(0.055), start=1_700_000_000.0)))
    assert [round(segment.time - 1_700_000_000, 3) for segment in found if segment.data] == [
        round(arrow.sent or 0.0, 3) for arrow in arrows(weather(0.055))
    ]


def test_close_is_by_fin_of_the_one_who_closed() -> None:
    fins = [segment for segment in segments(capture(weather())) if segment.flags & FIN]
    assert [segment.source[0] for segment in fins] == ["10.0.0.1", "10.1.0.2"]


@pytest.mark.parametrize("length", [65_495, 65_496, 200_000])
def test_large_packet_is_split_into_legal_segments(length: int) -> None:
    frame = encode(Publish("big", bytes(length - 10)))
    script = Script()
    script.pass_on("a", BROKER, Connect("a"))
    script.pass_on("a", BROKER, frame)
    data = capture(script.trace)
    assert check_streams(data)[("10.1.0.1", 49152), ("10.0.0.1", 1883)].endswith(frame)
    parts = [segment for segment in segments(data) if segment.data][1:]
    assert max(len(part.data) for part in parts) <= 65_495
    assert [bool(part.flags & PSH) for part in parts] == [False] * (len(parts) - 1) + [True]


def test_each_connection_has_a_port_of_its_own() -> None:
    script = Script()
    for ends in ((1, 4), (2, 5)):
        script.trace.record(EventKind.OPENED, "a", BROKER, connection=ends[0])
        script.wait(0.5)
        script.pass_on("a", BROKER, Connect("a"), ends=ends)
        script.pass_on(BROKER, "a", Connack(), ends=ends[::-1])
        script.trace.record(EventKind.CLOSED, BROKER, "a", connection=ends[1])
    ports = {source[1] for source, _ in check_streams(capture(script.trace))} - {1883}
    assert ports == {49152, 49153}
    opened = [segment.time for segment in segments(capture(script.trace)) if segment.flags == SYN]
    assert [round(time, 3) for time in opened] == [0.0, 0.52]


def test_without_numbers_a_connect_begins_a_connection() -> None:
    script = Script()
    for _ in range(2):
        script.pass_on("a", BROKER, Connect("a"))
        script.pass_on(BROKER, "a", Connack())
    assert [len(each.packets) for each in connections(script.trace)] == [2, 2]


def test_both_numberings_are_brought_together_also_in_the_middle_of_a_run() -> None:
    script = Script()
    script.sent("a", BROKER, Pingreq(), connection=3)
    script.wait(1.0)
    script.sent(BROKER, "a", Publish("t"), connection=9)
    script.wait(1.0)
    script.pass_on("a", BROKER, Publish("u"), ends=(3, 9))
    [connection] = connections(script.trace)
    assert (connection.client, connection.server, len(connection.packets)) == ("a", BROKER, 3)


def test_broker_is_known_by_what_it_does_not_by_its_name() -> None:
    script = Script()
    script.pass_on("broker", "hub", Connect("broker"))
    script.pass_on("leaf", "broker", Connect("leaf"))
    assert servers_of(script.trace) == ("hub", "broker")
    assert [(each.client, each.server) for each in connections(script.trace)] == [
        ("broker", "hub"),
        ("leaf", "broker"),
    ]


def test_hidden_packets_become_tls_records_without_content() -> None:
    script = Script()
    script.pass_on("a", BROKER, Publish("secret", b"secret" * 4000), protected=True)
    data = capture(seen_on_network(script.trace))
    assert b"secret" not in data
    [stream] = [stream for stream in check_streams(data).values() if stream]
    size = len(encode(Publish("secret", b"secret" * 4000)))
    first, second = 16_384, size - 16_384
    assert stream == (
        b"\x17\x03\x03"
        + struct.pack(">H", first + 17)
        + bytes(first + 17)
        + b"\x17\x03\x03"
        + struct.pack(">H", second + 17)
        + bytes(second + 17)
    )
    assert {segment.destination[1] for segment in segments(data) if segment.data} == {8883}


def test_many_clients_have_addresses_of_their_own() -> None:
    script = Script()
    for number in range(300):
        script.pass_on(f"c{number}", BROKER, Pingreq())
    addresses = capture_addresses(script.trace)
    assert len(set(addresses.values())) == 301
    assert addresses["c299"] == "10.1.1.44"


def test_party_without_a_name_is_captured() -> None:
    script = Script()
    script.received(BROKER, "", b"\x10\x00", connection=1)
    assert any(check_streams(capture(script.trace)).values())


def test_empty_trace_is_a_capture_without_packets() -> None:
    assert list(segments(capture([]))) == []


def test_file_is_written_and_trouble_named(tmp_path: Path) -> None:
    file = tmp_path / "run.pcap"
    assert write_capture(weather(), file) == 14
    assert file.read_bytes() == capture(weather())
    with pytest.raises(TraceError, match="cannot write the capture to .*choose another folder"):
        write_capture(weather(), tmp_path / "no" / "run.pcap")
    with pytest.raises(TraceError, match="from 1970 to 2106"):
        capture(weather(), start=-10.0)
