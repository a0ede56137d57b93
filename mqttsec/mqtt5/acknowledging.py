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
    push = connection.outlet.push
    for header, packet_id in _SHORT.iter_unpack(data[: len(data) & ~3]):
        act = _SHORT_FORMS.get(header)
        # An identifier of 0 is for the decoder to refuse; a session can end in the middle of a run.
        if act is None or not packet_id or connection.session is not session:
            break
        answer = act(connection, session, packet_id, ReasonCode.SUCCESS)
        if answer:
            push(answer)
        taken += 4
    _go_on(connection, session)
    return taken


def take_one(connection: Connection, session: Session, data: bytes) -> bool:
    """Act on four bytes if they are an acknowledgement in short form; its answer is written at once.

    Raises `ProtocolError` as `HANDLERS` do.
    """
    act = _SHORT_FORMS.get(data[0] << 8 | data[1])
    packet_id = data[2] << 8 | data[3]
    if act is None or not packet_id:
        return False
    answer = act(connection, session, packet_id, ReasonCode.SUCCESS)
    if answer:
        connection.outlet.write_now(answer)
    _go_on(connection, session)
    return True


def _go_on(connection: Connection, session: Session) -> None:
    """Send what has waited for the Packet Identifiers that are free now: once for a run of packets."""
    if session.outbox.queued:
        connection.pump()


def _puback(connection: Connection, session: Session, packet_id: int, reason_code: int) -> bytes:
    session.outbox.puback(packet_id, reason_code)
    return b""


def _pubrec(connection: Connection, session: Session, packet_id: int, reason_code: int) -> bytes:
    answer = session.outbox.pubrec(packet_id, reason_code)
    if not answer:
        connection.pump()
        return b""
    # MQTT 3.1.1 knows no Reason Code.
    return answer if connection.protocol >= MQTT_5 else answer[:1] + b"\x02" + answer[2:4]


def _pubcomp(connection: Connection, session: Session, packet_id: int, reason_code: int) -> bytes:
    session.outbox.pubcomp(packet_id)
    return b""


def _pubrel(connection: Connection, session: Session, packet_id: int, reason_code: int) -> bytes:
    # [MQTT-4.3.3-11] PUBREL is always answered by PUBCOMP; 0x92 where the identifier is unknown.
    known = packet_id in session.received
    session.received.discard(packet_id)
    code = ReasonCode.SUCCESS if known else ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
    return answer_bytes(connection, PacketType.PUBCOMP, packet_id, code)


def answer_bytes(connection: Connection, packet_type: PacketType, packet_id: int, reason_code: int) -> bytes:
    """An acknowledgement for the client, with a Reason Code only where it says more than success."""
    first = packet_type << 4
    if reason_code and connection.protocol >= MQTT_5:
        return bytes((first, 3, packet_id >> 8, packet_id & 0xFF, reason_code))
    return bytes((first, 2, packet_id >> 8, packet_id & 0xFF))


_Act = Callable[["Connection", "Session", int, int], bytes]
# Takes connection, session, Packet Identifier, Reason Code; gives what to answer.
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
        answer = act(connection, session, packet.packet_id, packet.reason_code)
        if answer:
            connection.outlet.push(answer)
        _go_on(connection, session)

    return handle


HANDLERS: dict[PacketType, Callable[[Any, Any, Any], None]] = {
    packet_type: _handler(act) for packet_type, act in _ACTS.items()
}
"""What to do with each of the four, decoded."""
