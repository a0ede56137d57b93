"""Packets to bytes and back: the Fixed Header (MQTT 5, 2.1) and one table of all packet formats.

`decode` refuses whatever the standard calls malformed or a Protocol Error in a single packet;
rules that need the state of a connection are the connection's business. The decoder reads through
a `Reader`, so handing it a `RecordingReader` yields the byte explanation (see `explain`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mqttsec.errors import MalformedPacketError, ProtocolError
from mqttsec.packets import connecting, publishing, subscribing
from mqttsec.packets.packets import MQTT_5, Packet, Puback, Pubcomp, Pubrec, Pubrel
from mqttsec.packets.parts import QOS_MEANINGS
from mqttsec.packets.publishing import check_publish_properties
from mqttsec.packets.reason_codes import PacketType
from mqttsec.packets.wire import Reader, variable_byte_integer

__all__ = ["check_publish_properties", "decode", "decode_with", "encode"]


@dataclass(frozen=True)
class _Format:
    """A row of tables 2-1 (packet types) and 2-2 (flag bits), with the functions that know the rest."""

    packet_type: PacketType
    """Control Packet type."""
    from_client: bool | None
    """True: only a Client sends it; False: only a Server; None: both do."""
    flags: int | None
    """The flag bits, where they are reserved."""
    pull: Callable[[Reader, int, int], Packet]
    """(reader, flags, protocol) to the packet, from the byte after the Fixed Header."""
    push: Callable[[bytearray, Any, int], int]
    """(out, packet, protocol): appends what follows the Fixed Header, returns the flags."""
    check_sender: Callable[[Any, bool], None] | None = None
    """(packet, from_client): refuses what only the other side may say."""


_FORMATS: dict[int, _Format] = {int(row.packet_type): row for row in (
    _Format(PacketType.CONNECT, True, 0, connecting.pull_connect, connecting.push_connect),
    _Format(PacketType.CONNACK, False, 0, connecting.pull_connack, connecting.push_connack),
    _Format(PacketType.PUBLISH, None, None, publishing.pull_publish, publishing.push_publish,
            publishing.check_publish_sender),
    _Format(PacketType.PUBACK, None, 0, publishing.pull_answer(Puback), publishing.push_answer),
    _Format(PacketType.PUBREC, None, 0, publishing.pull_answer(Pubrec), publishing.push_answer),
    _Format(PacketType.PUBREL, None, 2, publishing.pull_answer(Pubrel), publishing.push_answer),
    _Format(PacketType.PUBCOMP, None, 0, publishing.pull_answer(Pubcomp), publishing.push_answer),
    _Format(PacketType.SUBSCRIBE, True, 2, subscribing.pull_subscribe, subscribing.push_subscribe),
    _Format(PacketType.SUBACK, False, 0, subscribing.pull_suback, subscribing.push_suback),
    _Format(PacketType.UNSUBSCRIBE, True, 2, subscribing.pull_unsubscribe, subscribing.push_unsubscribe),
    _Format(PacketType.UNSUBACK, False, 0, subscribing.pull_unsuback, subscribing.push_unsuback),
    _Format(PacketType.PINGREQ, True, 0, connecting.pull_pingreq, connecting.push_ping),
    _Format(PacketType.PINGRESP, False, 0, connecting.pull_pingresp, connecting.push_ping),
    _Format(PacketType.DISCONNECT, None, 0, connecting.pull_disconnect, connecting.push_disconnect,
            connecting.check_disconnect_sender),
    _Format(PacketType.AUTH, None, 0, connecting.pull_auth, connecting.push_auth,
            connecting.check_auth_sender),
)}


def decode(frame: bytes, protocol: int = MQTT_5, from_client: bool | None = None) -> Packet:
    """Decode one whole packet.

    `protocol` is the connection's Protocol Version (a CONNECT says its own). With `from_client`
    set, what only the other side may send is refused too.
    Raises `MalformedPacketError` or `ProtocolError`, whose `reason_code` answers the sender.
    """
    return decode_with(Reader(frame), protocol, from_client)


def decode_with(reader: Reader, protocol: int, from_client: bool | None = None) -> Packet:
    """Decode through a reader of the caller's: the common way of `decode` and `explain`."""
    first = reader.byte("Fixed Header")
    flags = first & 0x0F
    row = _FORMATS.get(first >> 4)
    if row is None:
        # Table 2-1: type 0 is "Reserved", its direction of flow "Forbidden".
        raise MalformedPacketError("Control Packet type 0 is reserved")
    if reader.recording:
        _name_first_byte(reader, row, flags)
    length = reader.variable_byte_integer("Remaining Length")
    if length != reader.end - reader.position:
        raise MalformedPacketError(f"Remaining Length says {length} bytes, there are {reader.remaining}")
    # [MQTT-2.1.3-1] "Where a flag bit is marked as 'Reserved' it is reserved for future use and MUST be
    # set to the value listed"; 2.1.3: "If invalid flags are received it is a Malformed Packet."
    if row.flags is not None and flags != row.flags:
        raise MalformedPacketError(f"the flags 0b{flags:04b} are not those of {row.packet_type.name}")
    if from_client is not None and row.from_client is not None and from_client != row.from_client:
        raise ProtocolError(f"{row.packet_type.name} comes from the wrong side")
    _check_protocol(row, protocol, from_client)
    packet = row.pull(reader, flags, protocol)
    if reader.position < reader.end:
        raise MalformedPacketError(f"{row.packet_type.name} has {reader.remaining} bytes too many")
    if from_client is not None and row.check_sender is not None:
        row.check_sender(packet, from_client)
    return packet


def encode(packet: Packet, protocol: int = MQTT_5) -> bytes:
    """Encode one packet; `protocol` as in `decode`.

    What MQTT 3.1.1 has no place for (properties, most Reason Codes) is left out there.
    Raises `MalformedPacketError` or `ProtocolError` for what the standard does not allow to send.
    """
    row = _FORMATS[packet.packet_type]
    _check_protocol(row, protocol, None)
    out = bytearray()
    flags = row.push(out, packet, protocol)
    return bytes((row.packet_type << 4 | flags,)) + variable_byte_integer(len(out)) + out


def _check_protocol(row: _Format, protocol: int, from_client: bool | None) -> None:
    if protocol >= MQTT_5:
        return
    # 3.1.1, table 2.1: type 15 is forbidden, and DISCONNECT flows from Client to Server only.
    if row.packet_type is PacketType.AUTH:
        raise ProtocolError("MQTT 3.1.1 has no AUTH; connect with MQTT 5")
    if row.packet_type is PacketType.DISCONNECT and from_client is False:
        raise ProtocolError("a Server of MQTT 3.1.1 sends no DISCONNECT")


def _name_first_byte(reader: Reader, row: _Format, flags: int) -> None:
    reader.part("Control Packet type", int(row.packet_type), row.packet_type.name)
    if row.packet_type is PacketType.PUBLISH:
        reader.part("DUP", flags >> 3)
        reader.part("QoS", flags >> 1 & 3, QOS_MEANINGS[flags >> 1 & 3])
        reader.part("RETAIN", flags & 1)
    else:
        reader.part("flags", f"0b{flags:04b}", "reserved")
