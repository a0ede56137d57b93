"""PUBACK, PUBREC, PUBREL and PUBCOMP from a client (3.4 to 3.7): the steps of QoS 1 and 2 (4.3).

These packets come as often as messages go out, nearly always in their short form of four bytes, and often
many in one read. `take_short` acts on a run of them without cutting the bytes into packets; everything else
comes through the decoder and `HANDLERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING, Any

from mqttsec.packets import MQTT_5, PacketType, Puback, Pubcomp, Pubrec, Pubrel, ReasonCode

if TYPE_CHECKING:
    from mqttsec.mqtt5.connection import Connection
    from mqttsec.mqtt5.session import Session

_SHORT = Struct(">HH")
"""Two bytes of Fixed Header, two of Packet Identifier: Reason Code 0 and no properties (3.4.2.1)."""


def take_short(connection: Connection, session: Session, data: bytes) -> int:
    """Act on the acknowledgements in short form with which `data` begins; returns their length in bytes.

    Raises `ProtocolError` as `HANDLERS` do.
    """
    taken = 0
    for header, packet_id in _SHORT.iter_unpack(data[: len(data) & ~3]):
        act = _SHORT_FORMS.get(header)
        # An identifier of 0 is for the decoder to refuse; a session can end in the middle of a run.
        if act is None or not packet_id or connection.session is not session:
            break
        act(connection, session, packet_id, ReasonCode.SUCCESS)
        taken += 4
    return taken


def _puback(connection: Connection, session: Session, packet_id: int, reason_code: int) -> None:
    outbox = session.outbox
    outbox.puback(packet_id, reason_code)
    if outbox.queued:
        connection.pump()


def _pubrec(connection: Connection, session: Session, packet_id: int, reason_code: int) -> None:
    answer = session.outbox.pubrec(packet_id, reason_code)
    if answer:
        connection.push(answer if connection.protocol >= MQTT_5 else answer[:1] + b"\x02" + answer[2:4])
    else:
        connection.pump()


def _pubcomp(connection: Connection, session: Session, packet_id: int, reason_code: int) -> None:
    outbox = session.outbox
    outbox.pubcomp(packet_id)
    if outbox.queued:
        connection.pump()


def _pubrel(connection: Connection, session: Session, packet_id: int, reason_code: int) -> None:
    # [MQTT-4.3.3-11] PUBREL is always answered by PUBCOMP; 0x92 where the identifier is unknown.
    known = packet_id in session.received
    session.received.discard(packet_id)
    code = ReasonCode.SUCCESS if known else ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
    connection.push(answer_bytes(connection, PacketType.PUBCOMP, packet_id, code))


def answer_bytes(connection: Connection, packet_type: PacketType, packet_id: int, reason_code: int) -> bytes:
    """An acknowledgement for the client, with a Reason Code only where it says more than success."""
    first = packet_type << 4
    if reason_code and connection.protocol >= MQTT_5:
        return bytes((first, 3, packet_id >> 8, packet_id & 0xFF, reason_code))
    return bytes((first, 2, packet_id >> 8, packet_id & 0xFF))


_Act = Callable[["Connection", "Session", int, int], None]
_ACTS: dict[PacketType, _Act] = {
    PacketType.PUBACK: _puback,
    PacketType.PUBREC: _pubrec,
    PacketType.PUBREL: _pubrel,
    PacketType.PUBCOMP: _pubcomp,
}
_FLAGS = {PacketType.PUBREL: 2}
_SHORT_FORMS: dict[int, _Act] = {
    (packet_type << 4 | _FLAGS.get(packet_type, 0)) << 8 | 2: act for packet_type, act in _ACTS.items()
}


def _handler(act: _Act) -> Callable[[Any, Any, Any], None]:
    def handle(connection: Connection, session: Session, packet: Puback | Pubrec | Pubrel | Pubcomp) -> None:
        act(connection, session, packet.packet_id, packet.reason_code)

    return handle


HANDLERS: dict[PacketType, Callable[[Any, Any, Any], None]] = {
    packet_type: _handler(act) for packet_type, act in _ACTS.items()
}
"""What to do with each of the four, decoded."""
