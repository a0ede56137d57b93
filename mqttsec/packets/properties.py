"""The properties of MQTT 5 (2.2.2): one table, one dataclass, one reader and one writer.

`PROPERTY_TABLE` is table 2-4 of the standard as data: identifier, type and the packets that may
carry it. The reader and the writer follow it; nothing about a property is written twice.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mqttsec.errors import MalformedPacketError, ProtocolError
from mqttsec.packets.wire import (
    MAX_VARIABLE_BYTE_INTEGER,
    Reader,
    push_binary_data,
    push_four_byte_integer,
    push_two_byte_integer,
    push_utf8_string,
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


@dataclass(frozen=True)
class Properties:
    """The properties of one packet; what is `None` or empty is absent.

    The attributes bear the names of the standard (2.2.2.2).
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
    """`byte`, `two`, `four`, `variable`, `text`, `binary` or `pair`: the data type (1.5)."""
    where: frozenset[Where]
    """The packets that may carry it."""
    smallest: int = 0
    """Smallest value of a number; the standard makes less a Protocol Error."""
    largest: int = 0xFFFF_FFFF
    """Largest value of a number; the standard makes more a Protocol Error."""
    refusal: int = 0x82
    """Reason Code for a number outside the two bounds."""

    @property
    def attribute(self) -> str:
        """Name of the attribute of `Properties`."""
        return self.identifier.name.lower()

    @property
    def title(self) -> str:
        """Name as the standard writes it."""
        return self.identifier.name.replace("_", " ").title()

    @property
    def repeatable(self) -> bool:
        """True for the two properties that may stand more than once."""
        return self.identifier in (PropertyId.USER_PROPERTY, PropertyId.SUBSCRIPTION_IDENTIFIER)


def _row(identifier: PropertyId, kind: str, *where: Where, smallest: int = 0, largest: int = 0xFFFF_FFFF,
         refusal: int = 0x82) -> tuple[int, PropertyRow]:
    return int(identifier), PropertyRow(identifier, kind, frozenset(where), smallest, largest, refusal)


_MESSAGE = (Where.PUBLISH, Where.WILL)
_ANSWERS = (Where.CONNACK, Where.PUBACK, Where.PUBREC, Where.PUBREL, Where.PUBCOMP, Where.SUBACK,
            Where.UNSUBACK, Where.DISCONNECT, Where.AUTH)
_I = PropertyId

PROPERTY_TABLE: dict[int, PropertyRow] = dict((
    _row(_I.PAYLOAD_FORMAT_INDICATOR, "byte", *_MESSAGE, largest=1),
    _row(_I.MESSAGE_EXPIRY_INTERVAL, "four", *_MESSAGE),
    _row(_I.CONTENT_TYPE, "text", *_MESSAGE),
    _row(_I.RESPONSE_TOPIC, "text", *_MESSAGE),
    _row(_I.CORRELATION_DATA, "binary", *_MESSAGE),
    _row(_I.SUBSCRIPTION_IDENTIFIER, "variable", Where.PUBLISH, Where.SUBSCRIBE, smallest=1,
         largest=MAX_VARIABLE_BYTE_INTEGER),
    _row(_I.SESSION_EXPIRY_INTERVAL, "four", Where.CONNECT, Where.CONNACK, Where.DISCONNECT),
    _row(_I.ASSIGNED_CLIENT_IDENTIFIER, "text", Where.CONNACK),
    _row(_I.SERVER_KEEP_ALIVE, "two", Where.CONNACK),
    _row(_I.AUTHENTICATION_METHOD, "text", Where.CONNECT, Where.CONNACK, Where.AUTH),
    _row(_I.AUTHENTICATION_DATA, "binary", Where.CONNECT, Where.CONNACK, Where.AUTH),
    _row(_I.REQUEST_PROBLEM_INFORMATION, "byte", Where.CONNECT, largest=1),
    _row(_I.WILL_DELAY_INTERVAL, "four", Where.WILL),
    _row(_I.REQUEST_RESPONSE_INFORMATION, "byte", Where.CONNECT, largest=1),
    _row(_I.RESPONSE_INFORMATION, "text", Where.CONNACK),
    _row(_I.SERVER_REFERENCE, "text", Where.CONNACK, Where.DISCONNECT),
    _row(_I.REASON_STRING, "text", *_ANSWERS),
    _row(_I.RECEIVE_MAXIMUM, "two", Where.CONNECT, Where.CONNACK, smallest=1),
    _row(_I.TOPIC_ALIAS_MAXIMUM, "two", Where.CONNECT, Where.CONNACK),
    # 3.3.2.3.4: a Topic Alias of 0 is not permitted; 0x94 is the code made for it.
    _row(_I.TOPIC_ALIAS, "two", Where.PUBLISH, smallest=1, refusal=0x94),
    _row(_I.MAXIMUM_QOS, "byte", Where.CONNACK, largest=1),
    _row(_I.RETAIN_AVAILABLE, "byte", Where.CONNACK, largest=1),
    _row(_I.USER_PROPERTY, "pair", *Where),
    _row(_I.MAXIMUM_PACKET_SIZE, "four", Where.CONNECT, Where.CONNACK, smallest=1),
    _row(_I.WILDCARD_SUBSCRIPTION_AVAILABLE, "byte", Where.CONNACK, largest=1),
    _row(_I.SUBSCRIPTION_IDENTIFIER_AVAILABLE, "byte", Where.CONNACK, largest=1),
    _row(_I.SHARED_SUBSCRIPTION_AVAILABLE, "byte", Where.CONNACK, largest=1),
))
"""Table 2-4, by identifier."""

_IDENTIFIER_NAMES = {number: row.title for number, row in PROPERTY_TABLE.items()}

_PULL: dict[str, Callable[[Reader, str], Any]] = {
    "byte": lambda reader, name: reader.byte(name),
    "two": lambda reader, name: reader.two_byte_integer(name),
    "four": lambda reader, name: reader.four_byte_integer(name),
    "variable": lambda reader, name: reader.variable_byte_integer(name),
    "text": lambda reader, name: reader.utf8_string(name),
    "binary": lambda reader, name: reader.binary_data(name),
    "pair": lambda reader, name: (reader.utf8_string(f"{name} name"), reader.utf8_string(f"{name} value")),
}


def pull_properties(reader: Reader, where: Where) -> Properties:
    """Pull a Property Length and the properties that follow it (2.2.2).

    Raises `MalformedPacketError` for an identifier that does not exist or a length that does not
    fit, and `ProtocolError` for a property that may not stand here, stands twice or has a value
    outside its bounds.
    """
    length = reader.variable_byte_integer("Property Length")
    if not length:
        return NO_PROPERTIES
    outer = reader.enter(reader.position + length)
    found: dict[str, Any] = {}
    while reader.remaining:
        # 2.2.2.2: the identifier is a Variable Byte Integer, "though all are currently one byte".
        number = reader.byte("Property identifier", _IDENTIFIER_NAMES)
        row = PROPERTY_TABLE.get(number)
        if row is None:
            # [MQTT-2.2.2.2] an identifier that is not defined is a Malformed Packet.
            raise MalformedPacketError(f"there is no property with identifier 0x{number:02X}")
        if where not in row.where:
            raise ProtocolError(f"{row.title} may not stand in {where.value}")
        value = _PULL[row.kind](reader, row.title)
        if isinstance(value, int) and not row.smallest <= value <= row.largest:
            raise ProtocolError(f"{row.title} may not be {value}", row.refusal)
        if row.repeatable:
            # 3.8.2.1.2: in a SUBSCRIBE "it is a Protocol Error to include the Subscription
            # Identifier more than once".
            if where is Where.SUBSCRIBE and number == _I.SUBSCRIPTION_IDENTIFIER and row.attribute in found:
                raise ProtocolError("a SUBSCRIBE holds more than one Subscription Identifier")
            found.setdefault(row.attribute, []).append(value)
        elif row.attribute in found:
            raise ProtocolError(f"{row.title} stands more than once")
        else:
            found[row.attribute] = value
    reader.leave(outer)
    for name, value in found.items():
        if isinstance(value, list):
            found[name] = tuple(value)
    return Properties(**found)


def _push_value(out: bytearray, row: PropertyRow, value: Any) -> None:
    out.append(row.identifier)
    if row.kind in ("byte", "two", "four", "variable") and not row.smallest <= value <= row.largest:
        raise ProtocolError(f"{row.title} may not be {value}", row.refusal)
    match row.kind:
        case "byte":
            out.append(value)
        case "two":
            push_two_byte_integer(out, value, row.title)
        case "four":
            push_four_byte_integer(out, value, row.title)
        case "variable":
            out += variable_byte_integer(value, row.title)
        case "text":
            push_utf8_string(out, value, row.title)
        case "binary":
            push_binary_data(out, value, row.title)
        case "pair":
            push_utf8_string(out, value[0], f"{row.title} name")
            push_utf8_string(out, value[1], f"{row.title} value")


def property_bytes(properties: Properties, where: Where) -> bytes:
    """Encode properties without their Property Length, in the order of identifiers.

    Raises `ProtocolError` where a property may not stand in this packet.
    """
    if properties is NO_PROPERTIES:
        return b""
    out = bytearray()
    for row in PROPERTY_TABLE.values():
        value = getattr(properties, row.attribute)
        if value is None or value == ():
            continue
        if where not in row.where:
            raise ProtocolError(f"{row.title} may not stand in {where.value}")
        if row.repeatable:
            for item in value:
                _push_value(out, row, item)
        else:
            _push_value(out, row, value)
    return bytes(out)


def push_properties(out: bytearray, properties: Properties, where: Where) -> None:
    """Append the Property Length and the properties (2.2.2)."""
    raw = property_bytes(properties, where)
    out += variable_byte_integer(len(raw), "Property Length")
    out += raw
