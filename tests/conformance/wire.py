"""Client packets built by hand, byte by byte, so that they can also be wrong.

Nothing here uses `mqttsec`: a mistake in our codec must not hide in the test of our codec.
Builders do not check anything. Text may be given as `bytes`, to send what is not UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

Text = str | bytes
Property = tuple[int, object]


class Kind(IntEnum):
    """MQTT Control Packet types (2.1.2)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


class P(IntEnum):
    """Property identifiers (MQTT 5, 2.2.2.2)."""

    PAYLOAD_FORMAT = 0x01
    MESSAGE_EXPIRY = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SUBSCRIPTION_IDENTIFIER = 0x0B
    SESSION_EXPIRY = 0x11
    ASSIGNED_CLIENT_IDENTIFIER = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTHENTICATION_METHOD = 0x15
    AUTHENTICATION_DATA = 0x16
    REQUEST_PROBLEM_INFORMATION = 0x17
    WILL_DELAY = 0x18
    REQUEST_RESPONSE_INFORMATION = 0x19
    RESPONSE_INFORMATION = 0x1A
    SERVER_REFERENCE = 0x1C
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    RETAIN_AVAILABLE = 0x25
    USER_PROPERTY = 0x26
    MAXIMUM_PACKET_SIZE = 0x27
    WILDCARD_AVAILABLE = 0x28
    SUBSCRIPTION_IDENTIFIER_AVAILABLE = 0x29
    SHARED_AVAILABLE = 0x2A


FORMS: dict[int, str] = {
    P.PAYLOAD_FORMAT: "byte",
    P.MESSAGE_EXPIRY: "u32",
    P.CONTENT_TYPE: "text",
    P.RESPONSE_TOPIC: "text",
    P.CORRELATION_DATA: "binary",
    P.SUBSCRIPTION_IDENTIFIER: "vbi",
    P.SESSION_EXPIRY: "u32",
    P.ASSIGNED_CLIENT_IDENTIFIER: "text",
    P.SERVER_KEEP_ALIVE: "u16",
    P.AUTHENTICATION_METHOD: "text",
    P.AUTHENTICATION_DATA: "binary",
    P.REQUEST_PROBLEM_INFORMATION: "byte",
    P.WILL_DELAY: "u32",
    P.REQUEST_RESPONSE_INFORMATION: "byte",
    P.RESPONSE_INFORMATION: "text",
    P.SERVER_REFERENCE: "text",
    P.REASON_STRING: "text",
    P.RECEIVE_MAXIMUM: "u16",
    P.TOPIC_ALIAS_MAXIMUM: "u16",
    P.TOPIC_ALIAS: "u16",
    P.MAXIMUM_QOS: "byte",
    P.RETAIN_AVAILABLE: "byte",
    P.USER_PROPERTY: "pair",
    P.MAXIMUM_PACKET_SIZE: "u32",
    P.WILDCARD_AVAILABLE: "byte",
    P.SUBSCRIPTION_IDENTIFIER_AVAILABLE: "byte",
    P.SHARED_AVAILABLE: "byte",
}
"""How the value of each property is written (table 2-4)."""


def vbi(value: int) -> bytes:
    """A Variable Byte Integer (1.5.5) in its shortest form."""
    out = bytearray()
    while True:
        value, digit = divmod(value, 128)
        out.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(out)


def u16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def binary(data: Text) -> bytes:
    """Two bytes of length and the data; text is encoded as UTF-8."""
    raw = data.encode() if isinstance(data, str) else data
    return u16(len(raw)) + raw


def one_property(identifier: int, value: object) -> bytes:
    """One property: identifier and value. A `bytes` value for a number is written as it is."""
    form = FORMS[identifier]
    head = vbi(identifier)
    if form in ("text", "binary"):
        assert isinstance(value, (str, bytes))
        return head + binary(value)
    if form == "pair":
        assert isinstance(value, tuple)
        name, text = value
        return head + binary(name) + binary(text)
    if isinstance(value, bytes):
        return head + value
    assert isinstance(value, int)
    return head + {"byte": lambda n: bytes((n,)), "u16": u16, "u32": u32, "vbi": vbi}[form](value)


def properties(items: Iterable[Property]) -> bytes:
    """The Property Length and the properties (2.2.2)."""
    block = b"".join(one_property(identifier, value) for identifier, value in items)
    return vbi(len(block)) + block


def frame(first_byte: int, body: bytes = b"") -> bytes:
    """A whole packet: fixed header with a correct Remaining Length, and the rest."""
    return bytes((first_byte,)) + vbi(len(body)) + body


@dataclass(frozen=True)
class Will:
    """What a CONNECT says about the will."""

    topic: Text
    payload: bytes = b"gone"
    qos: int = 0
    retain: bool = False
    properties: tuple[Property, ...] = ()


def connect(
    client_id: Text,
    *,
    protocol: int = 5,
    clean: bool = True,
    keep_alive: int = 60,
    props: Iterable[Property] = (),
    will: Will | None = None,
    username: Text | None = None,
    password: Text | None = None,
    name: Text = "MQTT",
    level: int | None = None,
    flags: int | None = None,
) -> bytes:
    """A CONNECT (3.1). `flags` and `level` override what follows from the other arguments."""
    bits = 0x02 if clean else 0
    payload = binary(client_id)
    if will is not None:
        bits |= 0x04 | will.qos << 3 | (0x20 if will.retain else 0)
        if protocol == 5:
            payload += properties(will.properties)
        payload += binary(will.topic) + binary(will.payload)
    if username is not None:
        bits |= 0x80
        payload += binary(username)
    if password is not None:
        bits |= 0x40
        payload += binary(password)
    variable = binary(name) + bytes((protocol if level is None else level, bits if flags is None else flags))
    variable += u16(keep_alive)
    if protocol == 5:
        variable += properties(props)
    return frame(0x10, variable + payload)


def publish(
    topic: Text,
    payload: bytes = b"",
    *,
    qos: int = 0,
    retain: bool = False,
    dup: bool = False,
    packet_id: int | None = None,
    props: Iterable[Property] = (),
    protocol: int = 5,
) -> bytes:
    """A PUBLISH (3.3)."""
    body = binary(topic)
    if packet_id is not None:
        body += u16(packet_id)
    if protocol == 5:
        body += properties(props)
    return frame(0x30 | (8 if dup else 0) | qos << 1 | retain, body + payload)


def subscribe(
    packet_id: int,
    *filters: tuple[Text, int],
    props: Iterable[Property] = (),
    protocol: int = 5,
) -> bytes:
    """A SUBSCRIBE (3.8) of (Topic Filter, Subscription Options byte) pairs."""
    body = u16(packet_id) + (properties(props) if protocol == 5 else b"")
    return frame(0x82, body + b"".join(binary(text) + bytes((options,)) for text, options in filters))


def unsubscribe(packet_id: int, *filters: Text, props: Iterable[Property] = (), protocol: int = 5) -> bytes:
    """An UNSUBSCRIBE (3.10)."""
    body = u16(packet_id) + (properties(props) if protocol == 5 else b"")
    return frame(0xA2, body + b"".join(binary(text) for text in filters))


def ack(
    kind: Kind, packet_id: int, reason: int | None = None, props: Iterable[Property] | None = None
) -> bytes:
    """A PUBACK, PUBREC, PUBREL or PUBCOMP (3.4 to 3.7); without `reason` in its two-byte form."""
    body = u16(packet_id)
    if reason is not None:
        body += bytes((reason,))
    if props is not None:
        body += properties(props)
    return frame(kind << 4 | (2 if kind is Kind.PUBREL else 0), body)


def disconnect(reason: int | None = None, props: Iterable[Property] | None = None) -> bytes:
    """A DISCONNECT (3.14); without `reason` the two bytes that mean 0x00 in both versions."""
    body = b"" if reason is None else bytes((reason,))
    if props is not None:
        body += properties(props)
    return frame(0xE0, body)


def auth(reason: int | None = None, props: Iterable[Property] | None = None) -> bytes:
    """An AUTH (3.15)."""
    body = b"" if reason is None else bytes((reason,))
    if props is not None:
        body += properties(props)
    return frame(0xF0, body)


PINGREQ = b"\xc0\x00"
