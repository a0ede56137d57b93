"""Server packets, read by two codecs that are not ours.

The first is the strict reader below. The second is the Rust library `mqtt5` from PyPI: every MQTT 5 packet
that a broker sends to any test has to be accepted by both, and they have to agree on what it says.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from .wire import FORMS, Kind, P

if sys.version_info >= (3, 11):  # the library has no wheels for 3.10, where only the strict reader reads
    import mqtt5

ALLOWED: dict[Kind, frozenset[int]] = {
    Kind.CONNACK: frozenset(
        {
            P.SESSION_EXPIRY,
            P.RECEIVE_MAXIMUM,
            P.MAXIMUM_QOS,
            P.RETAIN_AVAILABLE,
            P.MAXIMUM_PACKET_SIZE,
            P.ASSIGNED_CLIENT_IDENTIFIER,
            P.TOPIC_ALIAS_MAXIMUM,
            P.REASON_STRING,
            P.USER_PROPERTY,
            P.WILDCARD_AVAILABLE,
            P.SUBSCRIPTION_IDENTIFIER_AVAILABLE,
            P.SHARED_AVAILABLE,
            P.SERVER_KEEP_ALIVE,
            P.RESPONSE_INFORMATION,
            P.SERVER_REFERENCE,
            P.AUTHENTICATION_METHOD,
            P.AUTHENTICATION_DATA,
        }
    ),
    Kind.PUBLISH: frozenset(
        {
            P.PAYLOAD_FORMAT,
            P.MESSAGE_EXPIRY,
            P.TOPIC_ALIAS,
            P.RESPONSE_TOPIC,
            P.CORRELATION_DATA,
            P.USER_PROPERTY,
            P.SUBSCRIPTION_IDENTIFIER,
            P.CONTENT_TYPE,
        }
    ),
    **dict.fromkeys(
        (Kind.PUBACK, Kind.PUBREC, Kind.PUBREL, Kind.PUBCOMP, Kind.SUBACK, Kind.UNSUBACK),
        frozenset({P.REASON_STRING, P.USER_PROPERTY}),
    ),
    # No Session Expiry Interval: it is never sent by the server [MQTT-3.14.2-2].
    Kind.DISCONNECT: frozenset({P.REASON_STRING, P.USER_PROPERTY, P.SERVER_REFERENCE}),
    Kind.AUTH: frozenset(
        {
            P.AUTHENTICATION_METHOD,
            P.AUTHENTICATION_DATA,
            P.REASON_STRING,
            P.USER_PROPERTY,
        }
    ),
}
"""The properties that a server may put into each packet (table 2-4)."""

REASONS: dict[Kind, frozenset[int]] = {
    Kind.CONNACK: frozenset({0, *range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, *range(0x99, 0x9E), 0x9F}),
    Kind.PUBACK: frozenset({0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}),
    Kind.PUBREC: frozenset({0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}),
    Kind.PUBREL: frozenset({0, 0x92}),
    Kind.PUBCOMP: frozenset({0, 0x92}),
    Kind.SUBACK: frozenset({0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2}),
    Kind.UNSUBACK: frozenset({0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91}),
    # 0x04 is the client's; 0x8B, 0x8D, 0x8E, 0x98, 0x9C, 0x9D and 0xA0 are the server's (table 3-10).
    Kind.DISCONNECT: frozenset(
        {
            0,
            0x80,
            0x81,
            0x82,
            0x83,
            0x87,
            0x89,
            0x8B,
            0x8D,
            0x8E,
            0x8F,
            0x90,
            *range(0x93, 0xA3),
        }
    ),
    Kind.AUTH: frozenset({0, 0x18}),
}
"""The Reason Codes that a server may put into each packet (table 2-6 and the sections of the packets)."""

SINGLE_REASON = (Kind.PUBACK, Kind.PUBREC, Kind.PUBREL, Kind.PUBCOMP)


class BadServerPacket(AssertionError):
    """The broker sent bytes that are no packet of the standard."""


@dataclass(frozen=True)
class Packet:
    """A packet of the server; fields that its kind does not have keep their defaults."""

    kind: Kind
    flags: int = 0
    packet_id: int | None = None
    reason: int | None = None
    reasons: tuple[int, ...] = ()
    props: tuple[tuple[int, object], ...] = ()
    session_present: bool = False
    topic: str = ""
    payload: bytes = b""
    raw: bytes = field(default=b"", repr=False)

    @property
    def dup(self) -> bool:
        return bool(self.flags & 8)

    @property
    def qos(self) -> int:
        return self.flags >> 1 & 3

    @property
    def retain(self) -> bool:
        return bool(self.flags & 1)

    def get(self, identifier: P, default: object = None) -> object:
        """The value of a property that may occur once."""
        return next((value for key, value in self.props if key == identifier), default)

    def all(self, identifier: P) -> list[object]:
        """All values of a property, in their order."""
        return [value for key, value in self.props if key == identifier]

    def text(self, identifier: P) -> str:
        value = self.get(identifier)
        assert isinstance(value, str), f"{self} has no {identifier.name}"
        return value

    def number(self, identifier: P, default: int | None = None) -> int:
        value = self.get(identifier, default)
        assert isinstance(value, int), f"{self} has no {identifier.name}"
        return value


class Reader:
    """Takes fields from the front of a packet body."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0

    @property
    def left(self) -> int:
        return len(self.body) - self.at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise BadServerPacket(f"{count} bytes expected, {self.left} left in {self.body.hex(' ')}")
        self.at += count
        return self.body[self.at - count : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vbi(self) -> int:
        value = 0
        for place in range(4):
            byte = self.number(1)
            value |= (byte & 0x7F) << 7 * place
            if not byte & 0x80:
                if place and byte == 0:
                    raise BadServerPacket("[MQTT-1.5.5-1] a Variable Byte Integer longer than needed")
                return value
        raise BadServerPacket("a Variable Byte Integer of more than four bytes")

    def binary(self) -> bytes:
        return self.take(self.number(2))

    def text(self) -> str:
        raw = self.binary()
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise BadServerPacket(f"[MQTT-1.5.4-1] not UTF-8: {raw!r}") from None
        if "\0" in text:
            raise BadServerPacket("[MQTT-1.5.4-2] text with a null character")
        return text

    def value(self, form: str) -> object:
        if form == "pair":
            return self.text(), self.text()
        if form in ("text", "binary", "vbi"):
            return getattr(self, form)()
        return self.number({"byte": 1, "u16": 2, "u32": 4}[form])

    def properties(self, kind: Kind) -> tuple[tuple[int, object], ...]:
        length = self.vbi()
        inner = Reader(self.take(length))
        found: list[tuple[int, object]] = []
        while inner.left:
            identifier = inner.vbi()
            if identifier not in ALLOWED[kind]:
                raise BadServerPacket(f"property 0x{identifier:02x} in a {kind.name} of the server")
            many = identifier == P.USER_PROPERTY or (kind, identifier) == (
                Kind.PUBLISH,
                P.SUBSCRIPTION_IDENTIFIER,
            )
            if not many and any(identifier == key for key, _ in found):
                raise BadServerPacket(f"property {P(identifier).name} twice in a {kind.name}")
            found.append((identifier, inner.value(FORMS[identifier])))
        return tuple(found)


def read(raw: bytes, protocol: int) -> Packet:
    """One whole packet of a server, checked; `BadServerPacket` says what is wrong with it."""
    packet = _read(raw, protocol)
    if protocol == 5 and sys.version_info >= (3, 11):
        _agree(packet)
    return packet


def _read(raw: bytes, protocol: int) -> Packet:
    kind, flags = Kind(raw[0] >> 4), raw[0] & 15
    head = Reader(raw[1:])
    head.vbi()
    body = Reader(raw[1 + head.at :])
    wanted = flags if kind is Kind.PUBLISH else 2 if kind is Kind.PUBREL else 0
    if flags != wanted:
        raise BadServerPacket(f"[MQTT-2.1.3-1] flags {flags:04b} in {kind.name}")
    fields: dict[str, object] = {"kind": kind, "flags": flags, "raw": raw}
    if kind is Kind.CONNACK:
        acknowledge = body.number(1)
        if acknowledge & 0xFE:
            raise BadServerPacket(f"[MQTT-3.2.2-1] Connect Acknowledge Flags {acknowledge:08b}")
        fields.update(session_present=bool(acknowledge), reason=body.number(1))
        if protocol == 5:
            fields["props"] = body.properties(kind)
        elif fields["reason"] not in range(6):
            raise BadServerPacket(f"CONNACK return code {fields['reason']} in 3.1.1")
    elif kind is Kind.PUBLISH:
        if flags >> 1 & 3 == 3:
            raise BadServerPacket("[MQTT-3.3.1-4] QoS 3")
        if flags & 14 == 8:
            raise BadServerPacket("[MQTT-3.3.1-2] DUP with QoS 0")
        fields["topic"] = body.text()
        if flags & 6:
            fields["packet_id"] = body.number(2)
        if protocol == 5:
            fields["props"] = body.properties(kind)
        fields["payload"] = body.take(body.left)
    elif kind in SINGLE_REASON:
        fields.update(packet_id=body.number(2), reason=0)
        if protocol == 5 and body.left:
            fields["reason"] = body.number(1)
            if body.left:
                fields["props"] = body.properties(kind)
    elif kind in (Kind.SUBACK, Kind.UNSUBACK):
        fields["packet_id"] = body.number(2)
        if protocol == 5:
            fields["props"] = body.properties(kind)
        if protocol == 5 or kind is Kind.SUBACK:
            fields["reasons"] = tuple(body.take(body.left))
    elif kind in (Kind.DISCONNECT, Kind.AUTH):
        if protocol != 5:
            raise BadServerPacket(f"a 3.1.1 server does not send {kind.name}")
        fields["reason"] = body.number(1) if body.left else 0
        if body.left:
            fields["props"] = body.properties(kind)
    elif kind is not Kind.PINGRESP:
        raise BadServerPacket(f"a server does not send {kind.name}")
    if body.left:
        raise BadServerPacket(f"{body.left} bytes too many in {kind.name}: {raw.hex(' ')}")
    packet = Packet(**fields)  # type: ignore[arg-type]
    if packet.packet_id == 0:
        raise BadServerPacket(f"[MQTT-2.2.1-4] Packet Identifier 0 in {kind.name}")
    codes = REASONS.get(kind) if protocol == 5 else {Kind.SUBACK: {0, 1, 2, 0x80}}.get(kind)
    given = packet.reasons or (() if packet.reason is None else (packet.reason,))
    if codes is not None and not set(given) <= codes:
        raise BadServerPacket(f"{kind.name} with Reason Code {[hex(code) for code in given]}")
    return packet


ORACLE_FIELDS: dict[str, tuple[P, object]] = {
    "session_expiry_interval": (P.SESSION_EXPIRY, None),
    "assigned_client_id": (P.ASSIGNED_CLIENT_IDENTIFIER, None),
    "server_keep_alive": (P.SERVER_KEEP_ALIVE, None),
    "authentication_method": (P.AUTHENTICATION_METHOD, None),
    "authentication_data": (P.AUTHENTICATION_DATA, None),
    "response_info": (P.RESPONSE_INFORMATION, None),
    "server_reference": (P.SERVER_REFERENCE, None),
    "reason_str": (P.REASON_STRING, None),
    "receive_max": (P.RECEIVE_MAXIMUM, 65535),
    "topic_alias_max": (P.TOPIC_ALIAS_MAXIMUM, 0),
    "max_qos": (P.MAXIMUM_QOS, 2),
    "retain_available": (P.RETAIN_AVAILABLE, 1),
    "max_packet_size": (P.MAXIMUM_PACKET_SIZE, None),
    "wildcard_subscription_available": (P.WILDCARD_AVAILABLE, 1),
    "subscription_id_available": (P.SUBSCRIPTION_IDENTIFIER_AVAILABLE, 1),
    "shared_subscription_available": (P.SHARED_AVAILABLE, 1),
    "payload_format_indicator": (P.PAYLOAD_FORMAT, 0),
    "message_expiry_interval": (P.MESSAGE_EXPIRY, None),
    "content_type": (P.CONTENT_TYPE, None),
    "response_topic": (P.RESPONSE_TOPIC, None),
    "correlation_data": (P.CORRELATION_DATA, None),
    "topic_alias": (P.TOPIC_ALIAS, None),
}
"""Attributes of the oracle's packets, and what they are when the property is absent."""


def _agree(packet: Packet) -> None:
    """The oracle accepts the packet and reads the same from it."""
    try:
        other, size = mqtt5.read(memoryview(packet.raw))
    except (ValueError, IndexError) as error:
        raise BadServerPacket(
            f"the oracle refuses {packet.kind.name} {packet.raw.hex(' ')}: {error}"
        ) from error
    told = {"size": size}
    ours: dict[str, object] = {"size": len(packet.raw)}

    def compare(name: str, value: object) -> None:
        if hasattr(other, name):
            told[name], ours[name] = getattr(other, name), value

    for name, (identifier, default) in ORACLE_FIELDS.items():
        compare(name, packet.get(identifier, default))
    compare("user_properties", packet.all(P.USER_PROPERTY))
    compare("subscription_ids", packet.all(P.SUBSCRIPTION_IDENTIFIER))
    compare("packet_id", packet.packet_id)
    compare("reason_code", packet.reason)
    compare("reason_codes", list(packet.reasons))
    compare("session_present", packet.session_present)
    compare("topic", packet.topic)
    compare("payload", packet.payload)
    compare("qos", packet.qos)
    compare("retain", packet.retain)
    compare("duplicate", packet.dup)
    if told != ours:
        raise BadServerPacket(f"the oracle reads {told} where the suite reads {ours}")
