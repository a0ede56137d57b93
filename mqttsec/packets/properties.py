"""The properties of MQTT 5 (2.2.2): one table, one dataclass, one reader and one writer.

`PROPERTY_TABLE` is table 2-4 of the standard as data: identifier, type and the packets that may
carry it. The reader and the writer follow it; nothing about a property is written twice.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mqttsec.errors import MalformedPacketError, ProtocolError
from mqttsec.packets.wire import (
    MAX_VARIABLE_BYTE_INTEGER,
    Reader,
    push_binary_data,
    push_byte,
    push_four_byte_integer,
    push_two_byte_integer,
    push_utf8_string,
    push_utf8_string_pair,
    push_variable_byte_integer,
    variable_byte_integer,
)


class PropertyId(enum.IntEnum):
    """Property identifiers (table 2-4)."""

    PAYLOAD_FORMAT_INDICATOR = 0x01
    MESSAGE_EXPIRY_INTERVAL = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SUBSCRIPTION_IDENTIFIER = 0x0B
    SESSION_EXPIRY_INTERVAL = 0x11
    ASSIGNED_CLIENT_IDENTIFIER = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTHENTICATION_METHOD = 0x15
    AUTHENTICATION_DATA = 0x16
    REQUEST_PROBLEM_INFORMATION = 0x17
    WILL_DELAY_INTERVAL = 0x18
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
    WILDCARD_SUBSCRIPTION_AVAILABLE = 0x28
    SUBSCRIPTION_IDENTIFIER_AVAILABLE = 0x29
    SHARED_SUBSCRIPTION_AVAILABLE = 0x2A


@dataclass(frozen=True, repr=False)
class Properties:
    """The properties of one packet; what is `None` or empty is absent.

    The attributes bear the names of the standard (2.2.2.2); `repr` shows only what is there.
    """

    payload_format_indicator: int | None = None
    """0 unspecified bytes, 1 UTF-8 text."""
    message_expiry_interval: int | None = None
    """Lifetime of the Application Message in seconds."""
    content_type: str | None = None
    """What the payload is, in words of the application (often a MIME type)."""
    response_topic: str | None = None
    """Topic Name for a response message."""
    correlation_data: bytes | None = None
    """Bytes by which a requester recognises the response."""
    subscription_identifier: tuple[int, ...] = ()
    """1 to 268,435,455; one in a SUBSCRIBE, one for each matching subscription in a PUBLISH."""
    session_expiry_interval: int | None = None
    """Seconds that the session outlives its connection; 0xFFFFFFFF: for ever."""
    assigned_client_identifier: str | None = None
    """The Client Identifier that the Server chose."""
    server_keep_alive: int | None = None
    """Keep Alive in seconds that the Server imposes."""
    authentication_method: str | None = None
    """Name of the enhanced authentication method."""
    authentication_data: bytes | None = None
    """Bytes of the enhanced authentication."""
    request_problem_information: int | None = None
    """0: no Reason String and User Properties on packets other than PUBLISH, CONNACK, DISCONNECT."""
    will_delay_interval: int | None = None
    """Seconds between the end of the connection and the Will Message."""
    request_response_information: int | None = None
    """1: the Client asks for Response Information."""
    response_information: str | None = None
    """Basis for a Response Topic, given by the Server."""
    server_reference: str | None = None
    """Another server to use."""
    reason_string: str | None = None
    """Why, for a human reader."""
    receive_maximum: int | None = None
    """How many QoS 1 and 2 publications the sender of this property takes at the same time."""
    topic_alias_maximum: int | None = None
    """Highest Topic Alias that the sender of this property accepts."""
    topic_alias: int | None = None
    """Number that stands for the Topic Name on this connection."""
    maximum_qos: int | None = None
    """0 or 1: highest QoS that the Server supports."""
    retain_available: int | None = None
    """0: the Server does not support retained messages."""
    user_property: tuple[tuple[str, str], ...] = ()
    """(name, value) pairs; the same name may appear more than once, the order is kept."""
    maximum_packet_size: int | None = None
    """Largest packet in bytes that the sender of this property accepts."""
    wildcard_subscription_available: int | None = None
    """0: the Server does not support wildcard subscriptions."""
    subscription_identifier_available: int | None = None
    """0: the Server does not support Subscription Identifiers."""
    shared_subscription_available: int | None = None
    """0: the Server does not support shared subscriptions."""

    def present(self) -> tuple[tuple[str, Any], ...]:
        """(attribute, value) of every property that is there, in the order of identifiers."""
        values = ((row.attribute, getattr(self, row.attribute)) for row in PROPERTY_TABLE.values())
        return tuple((name, value) for name, value in values if value is not None and value != ())

    def __repr__(self) -> str:
        # Authentication Data may be a proof of a password, so it is not shown, as Password is not.
        shown = ("authentication_data=..." if name == "authentication_data" else f"{name}={value!r}"
                 for name, value in self.present())
        return f"Properties({', '.join(shown)})"


NO_PROPERTIES = Properties()
"""Shared empty properties."""


class Where(enum.Enum):
    """Where a property may stand: a packet type by name, or the Will Properties in CONNECT."""

    CONNECT = "CONNECT"
    WILL = "Will Properties"
    CONNACK = "CONNACK"
    PUBLISH = "PUBLISH"
    PUBACK = "PUBACK"
    PUBREC = "PUBREC"
    PUBREL = "PUBREL"
    PUBCOMP = "PUBCOMP"
    SUBSCRIBE = "SUBSCRIBE"
    SUBACK = "SUBACK"
    UNSUBSCRIBE = "UNSUBSCRIBE"
    UNSUBACK = "UNSUBACK"
    DISCONNECT = "DISCONNECT"
    AUTH = "AUTH"


@dataclass(frozen=True)
class PropertyRow:
    """One row of table 2-4."""

    identifier: PropertyId
    """Property identifier."""
    kind: str
    """The data type (1.5), by the name of the `Reader` method that pulls it."""
    where: frozenset[Where]
    """The packets that may carry it."""
    smallest: int | None = None
    """Smallest value of a number, where the standard sets one; less is a Protocol Error."""
    largest: int | None = None
    """Largest value of a number, where the standard sets one; more is a Protocol Error."""
    refusal: int = 0x82
    """Reason Code for a number outside the two bounds."""

    @cached_property
    def attribute(self) -> str:
        """Name of the attribute of `Properties`."""
        return self.identifier.name.lower()

    @cached_property
    def title(self) -> str:
        """Name as the standard writes it."""
        return self.identifier.name.replace("_", " ").title().replace("Qos", "QoS")

    @cached_property
    def repeatable(self) -> bool:
        """True for the two properties that may stand more than once."""
        return self.identifier in (PropertyId.USER_PROPERTY, PropertyId.SUBSCRIPTION_IDENTIFIER)

    def check(self, value: int) -> None:
        """Raise `ProtocolError` for a number outside the bounds."""
        if (self.smallest is not None and value < self.smallest) or (
                self.largest is not None and value > self.largest):
            raise ProtocolError(f"{self.title} may not be {value}", self.refusal)

    @cached_property
    def bounded(self) -> bool:
        """True where `check` has anything to check."""
        return self.smallest is not None or self.largest is not None


def _row(identifier: PropertyId, kind: str, *where: Where, smallest: int | None = None,
         largest: int | None = None, refusal: int = 0x82) -> tuple[int, PropertyRow]:
    return int(identifier), PropertyRow(identifier, kind, frozenset(where), smallest, largest, refusal)


_BYTE, _TWO, _FOUR = "byte", "two_byte_integer", "four_byte_integer"
_VARIABLE, _BINARY, _TEXT, _PAIR = "variable_byte_integer", "binary_data", "utf8_string", "utf8_string_pair"
_MESSAGE = (Where.PUBLISH, Where.WILL)
_ANSWERS = (Where.CONNACK, Where.PUBACK, Where.PUBREC, Where.PUBREL, Where.PUBCOMP, Where.SUBACK,
            Where.UNSUBACK, Where.DISCONNECT, Where.AUTH)
_I = PropertyId

PROPERTY_TABLE: dict[int, PropertyRow] = dict((
    _row(_I.PAYLOAD_FORMAT_INDICATOR, _BYTE, *_MESSAGE, largest=1),
    _row(_I.MESSAGE_EXPIRY_INTERVAL, _FOUR, *_MESSAGE),
    _row(_I.CONTENT_TYPE, _TEXT, *_MESSAGE),
    _row(_I.RESPONSE_TOPIC, _TEXT, *_MESSAGE),
    _row(_I.CORRELATION_DATA, _BINARY, *_MESSAGE),
    _row(_I.SUBSCRIPTION_IDENTIFIER, _VARIABLE, Where.PUBLISH, Where.SUBSCRIBE, smallest=1,
         largest=MAX_VARIABLE_BYTE_INTEGER),
    _row(_I.SESSION_EXPIRY_INTERVAL, _FOUR, Where.CONNECT, Where.CONNACK, Where.DISCONNECT),
    _row(_I.ASSIGNED_CLIENT_IDENTIFIER, _TEXT, Where.CONNACK),
    _row(_I.SERVER_KEEP_ALIVE, _TWO, Where.CONNACK),
    _row(_I.AUTHENTICATION_METHOD, _TEXT, Where.CONNECT, Where.CONNACK, Where.AUTH),
    _row(_I.AUTHENTICATION_DATA, _BINARY, Where.CONNECT, Where.CONNACK, Where.AUTH),
    _row(_I.REQUEST_PROBLEM_INFORMATION, _BYTE, Where.CONNECT, largest=1),
    _row(_I.WILL_DELAY_INTERVAL, _FOUR, Where.WILL),
    _row(_I.REQUEST_RESPONSE_INFORMATION, _BYTE, Where.CONNECT, largest=1),
    _row(_I.RESPONSE_INFORMATION, _TEXT, Where.CONNACK),
    _row(_I.SERVER_REFERENCE, _TEXT, Where.CONNACK, Where.DISCONNECT),
    _row(_I.REASON_STRING, _TEXT, *_ANSWERS),
    _row(_I.RECEIVE_MAXIMUM, _TWO, Where.CONNECT, Where.CONNACK, smallest=1),
    _row(_I.TOPIC_ALIAS_MAXIMUM, _TWO, Where.CONNECT, Where.CONNACK),
    # [MQTT-3.3.2-8] "A sender MUST NOT send a PUBLISH packet containing a Topic Alias which has the value
    # 0"; 0x94 is the Reason Code made for it.
    _row(_I.TOPIC_ALIAS, _TWO, Where.PUBLISH, smallest=1, refusal=0x94),
    _row(_I.MAXIMUM_QOS, _BYTE, Where.CONNACK, largest=1),
    _row(_I.RETAIN_AVAILABLE, _BYTE, Where.CONNACK, largest=1),
    _row(_I.USER_PROPERTY, _PAIR, *Where),
    _row(_I.MAXIMUM_PACKET_SIZE, _FOUR, Where.CONNECT, Where.CONNACK, smallest=1),
    _row(_I.WILDCARD_SUBSCRIPTION_AVAILABLE, _BYTE, Where.CONNACK, largest=1),
    _row(_I.SUBSCRIPTION_IDENTIFIER_AVAILABLE, _BYTE, Where.CONNACK, largest=1),
    _row(_I.SHARED_SUBSCRIPTION_AVAILABLE, _BYTE, Where.CONNACK, largest=1),
))
"""Table 2-4, by identifier."""

_IDENTIFIER_NAMES = {number: row.title for number, row in PROPERTY_TABLE.items()}

_ROWS_OF: dict[Where, dict[int, PropertyRow]] = {
    where: {number: row for number, row in PROPERTY_TABLE.items() if where in row.where} for where in Where
}

_PUSH: dict[str, Callable[[bytearray, Any, str], None]] = {
    _BYTE: push_byte,
    _TWO: push_two_byte_integer,
    _FOUR: push_four_byte_integer,
    _VARIABLE: push_variable_byte_integer,
    _TEXT: push_utf8_string,
    _BINARY: push_binary_data,
    _PAIR: push_utf8_string_pair,
}


def _found_properties(found: dict[str, Any]) -> Properties:
    properties = object.__new__(Properties)
    # A frozen dataclass sets its 27 attributes one by one, which takes longer than all the rest. What is
    # not found need not be set: the defaults are attributes of the class.
    properties.__dict__.update(found)
    return properties


def pull_properties(reader: Reader, where: Where) -> Properties:
    """Pull a Property Length and the properties that follow it (2.2.2).

    Raises `MalformedPacketError` for an identifier that does not exist or may not stand here, or a
    length that does not fit, and `ProtocolError` for a property that stands twice or has a value
    outside its bounds.
    """
    length = reader.variable_byte_integer("Property Length")
    if not length:
        return NO_PROPERTIES
    outer = reader.enter(reader.position + length)
    rows = _ROWS_OF[where]
    found: dict[str, Any] = {}
    while reader.position < reader.end:
        # 2.2.2.2: the identifier is a Variable Byte Integer, but all that exist are below 0x80. So one byte
        # is enough: from 0x80 on it is no identifier, whatever follows.
        row = rows.get(number := reader.byte("Property identifier", _IDENTIFIER_NAMES))
        if row is None:
            raise _refused(number, where)
        value = getattr(reader, row.kind)(row.title)
        if row.bounded:
            row.check(value)
        name = row.attribute
        if name not in found:
            found[name] = [value] if row.repeatable else value
        # 3.8.2.1.2: in a SUBSCRIBE "it is a Protocol Error to include the Subscription Identifier more than
        # once"; in a PUBLISH there is one for each matching subscription.
        elif row.repeatable and not (where is Where.SUBSCRIBE and number == _I.SUBSCRIPTION_IDENTIFIER):
            found[name].append(value)
        else:
            raise ProtocolError(f"{row.title} stands more than once")
    reader.leave(outer)
    for name in ("user_property", "subscription_identifier"):
        if name in found:
            found[name] = tuple(found[name])
    return _found_properties(found)


def _refused(number: int, where: Where) -> MalformedPacketError:
    # 2.2.2.2: "A Control Packet which contains an Identifier which is not valid for its packet type, or
    # contains a value not of the specified data type, is a Malformed Packet."
    if number in PROPERTY_TABLE:
        return MalformedPacketError(f"{PROPERTY_TABLE[number].title} may not stand in {where.value}")
    return MalformedPacketError(f"there is no property with identifier 0x{number:02X}")


def property_bytes(properties: Properties, where: Where) -> bytes:
    """Encode properties without their Property Length, in the order of identifiers.

    Raises `MalformedPacketError` where a property may not stand in this packet or does not fit its
    data type, `ProtocolError` where a number is outside the standard's bounds.
    """
    if properties is NO_PROPERTIES:
        return b""
    out = bytearray()
    for number, row in PROPERTY_TABLE.items():
        value = getattr(properties, row.attribute)
        if value is None or value == ():
            continue
        if number not in _ROWS_OF[where]:
            raise _refused(number, where)
        if where is Where.SUBSCRIBE and number == _I.SUBSCRIPTION_IDENTIFIER and len(value) > 1:
            raise ProtocolError(f"{row.title} stands more than once")
        push = _PUSH[row.kind]
        for item in value if row.repeatable else (value,):
            if row.bounded:
                row.check(item)
            out.append(number)
            push(out, item, row.title)
    return bytes(out)


def push_properties(out: bytearray, properties: Properties, where: Where) -> None:
    """Append the Property Length and the properties (2.2.2)."""
    raw = property_bytes(properties, where)
    # [MQTT-2.2.2-1] "If there are no properties, this MUST be indicated by including a Property Length of
    # zero."
    out += variable_byte_integer(len(raw), "Property Length")
    out += raw
