"""Captures: a trace as a `.pcap` file that Wireshark's own MQTT dissector reads.

MQTT packets have no network headers in a trace, so they get plausible ones: every party has an
IPv4 address, every network connection is a TCP connection with its three-way handshake, running
sequence numbers and its FIN. The packets themselves are the trace's own, byte for byte.

Wireshark learns from the CONNECT whether a connection speaks MQTT 5 or 3.1.1. So a capture of a
part of a trace should begin before the connections in question.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from mqttsec.errors import TraceError
from mqttsec.trace.arrows import arrows
from mqttsec.trace.connections import Connection, connections
from mqttsec.trace.events import Event
from mqttsec.trace.views import parties_of

MQTT_PORT = 1883
"""IANA's port for MQTT; the dissector is registered for it."""
MQTT_TLS_PORT = 8883
"""IANA's port for MQTT over TLS."""
MAX_SEGMENT = 65_495
"""An IPv4 packet has at most 65,535 bytes, 40 of which are headers here."""

_LINKTYPE_RAW = 101
_NANOSECOND_MAGIC = 0xA1B23C4D
_FIN, _SYN, _PSH, _ACK = 0x01, 0x02, 0x08, 0x10
_MAX_RECORD = 16_384


def write_capture(events: Iterable[Event], path: str | Path, start: float = 0.0) -> int:
    """Write the packets of `events` to the pcap file `path`; returns how many MQTT packets there are.

    `start` is the time of day of the trace's zero, in seconds since 1970. Open the file with
    Wireshark, or read it with `tshark -r FILE -Y mqtt -V`. Passwords are in it, as they were on the
    wire. Raises `TraceError` if the file cannot be written.
    """
    events = tuple(events)
    data = capture(events, start)
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise TraceError(
            f"cannot write the capture to {path}: {error.strerror or error}; choose another folder or name"
        ) from error
    return len(arrows(events))


def capture(events: Iterable[Event], start: float = 0.0) -> bytes:
    """The packets of `events` (a `Trace` or a view of one) as the bytes of a pcap file.

    A packet is captured where it was sent, also if the network lost it later. A packet that a view
    hides becomes a TLS record of its length, filled with zeros, on port 8883.
    """
    events = tuple(events)
    streams = connections(events)
    addresses = _addresses(events, streams)
    frames: list[tuple[float, int, bytes]] = []
    ports: dict[str, int] = {}
    for stream in streams:
        port = ports.get(stream.client, 0)
        ports[stream.client] = port + 1
        # The dynamic ports (RFC 6335, 6), a new one for each connection of a client.
        writer = _TcpWriter(addresses[stream.client], 49_152 + port % 16_384,
                            addresses[stream.server], MQTT_TLS_PORT if stream.hidden else MQTT_PORT)
        for time, data in writer.frames(stream):
            frames.append((time, len(frames), data))
    frames.sort(key=lambda frame: frame[:2])
    out = bytearray(struct.pack("<IHHiIII", _NANOSECOND_MAGIC, 2, 4, 0, 0, 262_144, _LINKTYPE_RAW))
    for identification, (time, _, data) in enumerate(frames):
        nanoseconds = round((start + time) * 1_000_000_000)
        if not 0 <= nanoseconds < 2**32 * 1_000_000_000:
            raise TraceError(f"a capture holds times from 1970 to 2106; {start + time} s is not one")
        packet = _with_identification(data, identification & 0xFFFF)
        out += struct.pack("<IIII", *divmod(nanoseconds, 1_000_000_000), len(packet), len(packet)) + packet
    return bytes(out)


def capture_addresses(events: Iterable[Event]) -> dict[str, str]:
    """Which party has which IPv4 address in the capture: servers 10.0.0.1, ..., clients 10.1.0.1, ...

    In order of appearance, so that the same trace gives the same addresses.
    """
    events = tuple(events)
    return _addresses(events, connections(events))


def _addresses(events: tuple[Event, ...], streams: tuple[Connection, ...]) -> dict[str, str]:
    servers = {stream.server for stream in streams}
    # A party without a name (a connection that ended before its CONNECT) needs an address, too.
    ends = [name for stream in streams for name in (stream.client, stream.server)]
    addresses: dict[str, str] = {}
    numbers = {True: 0, False: 0}
    for name in dict.fromkeys((*parties_of(events), *ends)):
        serving = name in servers
        numbers[serving] += 1
        number = numbers[serving]
        addresses[name] = f"10.{0 if serving else 1 + (number >> 16)}.{number >> 8 & 0xFF}.{number & 0xFF}"
    return addresses


class _TcpWriter:
    """Writes one TCP connection between two made-up hosts."""

    def __init__(self, client: str, client_port: int, server: str, server_port: int) -> None:
        self._addresses = (_address(client), _address(server))
        self._ports = (client_port, server_port)
        self._sequence = [0, 0]

    def frames(self, stream: Connection) -> list[tuple[float, bytes]]:
        """The IP packets of the connection with their times, which never go back."""
        first = stream.packets[0].time
        # Nothing can travel before the handshake, whoever's clock says so.
        begin = first if stream.opened is None else min(first, stream.opened)
        frames = [
            (begin, self._segment(0, _SYN)),
            (begin, self._segment(1, _SYN | _ACK)),
            (begin, self._segment(0, _ACK)),
        ]
        last = begin
        for arrow in sorted(stream.packets, key=lambda arrow: (arrow.time, arrow.number)):
            direction = 0 if arrow.sender == stream.client else 1
            last = max(last, arrow.time)
            data = arrow.frame or _tls_records(arrow.hidden_bytes)
            for at in range(0, len(data), MAX_SEGMENT):
                part = data[at : at + MAX_SEGMENT]
                push = _PSH if at + len(part) == len(data) else 0
                frames.append((last, self._segment(direction, _ACK | push, part)))
        if stream.closed is not None:
            last = max(last, stream.closed)
            ending = 0 if stream.closed_by == stream.client else 1
            frames += [
                (last, self._segment(ending, _FIN | _ACK)),
                (last, self._segment(1 - ending, _FIN | _ACK)),
                (last, self._segment(ending, _ACK)),
            ]
        return frames

    def _segment(self, direction: int, flags: int, data: bytes = b"") -> bytes:
        """One segment from the client (0) or the server (1) with its IPv4 header (RFC 9293, 3.1)."""
        source, destination = self._addresses[direction], self._addresses[1 - direction]
        header = struct.pack(
            ">HHIIBBHHH", self._ports[direction], self._ports[1 - direction], self._sequence[direction],
            self._sequence[1 - direction] if flags & _ACK else 0, 5 << 4, flags, 65_535, 0, 0,
        )
        pseudo = source + destination + struct.pack(">BBH", 0, 6, len(header) + len(data))
        checksum = _checksum(pseudo + header + data)
        # SYN and FIN count as one byte of the sequence space (RFC 9293, 3.4).
        advance = len(data) + bool(flags & (_SYN | _FIN))
        self._sequence[direction] = (self._sequence[direction] + advance) & 0xFFFF_FFFF
        segment = header[:16] + struct.pack(">H", checksum) + header[18:] + data
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0x4000, 64, 6, 0) + source + destination
        return ip + segment


def _with_identification(packet: bytes, identification: int) -> bytes:
    """The IPv4 packet with its Identification, and with the header checksum that follows from it."""
    header = packet[:4] + struct.pack(">H", identification) + packet[6:20]
    return header[:10] + struct.pack(">H", _checksum(header)) + header[12:] + packet[20:]


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071): the complement of the one's complement sum of 16-bit words."""
    # 0x10000 is 1 modulo 0xFFFF, so the remainder is that sum; only a sum of no words is zero.
    total = int.from_bytes(data + b"\0" * (len(data) % 2), "big") % 0xFFFF or 0xFFFF
    return total ^ 0xFFFF


def _address(text: str) -> bytes:
    return bytes(map(int, text.split(".")))


def _tls_records(length: int) -> bytes:
    """Application data records (RFC 8446, 5.2) as long as those of a packet of `length` bytes."""
    records = bytearray()
    while length > 0:
        part = min(length, _MAX_RECORD)
        length -= part
        # One byte for the content type and 16 for the authentication tag.
        records += struct.pack(">BHH", 23, 0x0303, part + 17) + bytes(part + 17)
    return bytes(records)
