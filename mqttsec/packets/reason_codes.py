"""Control Packet types and Reason Codes: the numbers of MQTT 5, 2.1.2 and 2.4."""

from __future__ import annotations

import enum


class PacketType(enum.IntEnum):
    """MQTT Control Packet type, the upper four bits of a packet's first byte (2.1.2)."""

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


class ReasonCode(enum.IntEnum):
    """Reason Codes of MQTT 5 (table 2-6). Below 0x80 success, from 0x80 on failure."""

    SUCCESS = 0x00
    GRANTED_QOS_1 = 0x01
    GRANTED_QOS_2 = 0x02
    DISCONNECT_WITH_WILL_MESSAGE = 0x04
    NO_MATCHING_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION_EXISTED = 0x11
    CONTINUE_AUTHENTICATION = 0x18
    RE_AUTHENTICATE = 0x19
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    CLIENT_IDENTIFIER_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_BUSY = 0x89
    BANNED = 0x8A
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    PACKET_IDENTIFIER_IN_USE = 0x91
    PACKET_IDENTIFIER_NOT_FOUND = 0x92
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    MESSAGE_RATE_TOO_HIGH = 0x96
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE_ACTION = 0x98
    PAYLOAD_FORMAT_INVALID = 0x99
    RETAIN_NOT_SUPPORTED = 0x9A
    QOS_NOT_SUPPORTED = 0x9B
    USE_ANOTHER_SERVER = 0x9C
    SERVER_MOVED = 0x9D
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
    CONNECTION_RATE_EXCEEDED = 0x9F
    MAXIMUM_CONNECT_TIME = 0xA0
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2


NORMAL_DISCONNECTION = ReasonCode.SUCCESS
"""0x00 under the name it bears in DISCONNECT."""
GRANTED_QOS_0 = ReasonCode.SUCCESS
"""0x00 under the name it bears in SUBACK."""


class ConnectReturnCode(enum.IntEnum):
    """Connect Return codes of MQTT 3.1.1 (its table 3.1)."""

    CONNECTION_ACCEPTED = 0
    UNACCEPTABLE_PROTOCOL_VERSION = 1
    IDENTIFIER_REJECTED = 2
    SERVER_UNAVAILABLE = 3
    BAD_USER_NAME_OR_PASSWORD = 4
    NOT_AUTHORIZED = 5


SUBACK_FAILURE = 0x80
"""The only failure code that a SUBACK of MQTT 3.1.1 knows."""

_RETURN_CODES: dict[int, ConnectReturnCode] = {
    ReasonCode.SUCCESS: ConnectReturnCode.CONNECTION_ACCEPTED,
    ReasonCode.UNSUPPORTED_PROTOCOL_VERSION: ConnectReturnCode.UNACCEPTABLE_PROTOCOL_VERSION,
    ReasonCode.CLIENT_IDENTIFIER_NOT_VALID: ConnectReturnCode.IDENTIFIER_REJECTED,
    ReasonCode.BAD_USER_NAME_OR_PASSWORD: ConnectReturnCode.BAD_USER_NAME_OR_PASSWORD,
    ReasonCode.NOT_AUTHORIZED: ConnectReturnCode.NOT_AUTHORIZED,
    ReasonCode.BANNED: ConnectReturnCode.NOT_AUTHORIZED,
    ReasonCode.BAD_AUTHENTICATION_METHOD: ConnectReturnCode.NOT_AUTHORIZED,
}


def connect_return_code(reason_code: int) -> int:
    """The Connect Return code of MQTT 3.1.1 that says what `reason_code` says in MQTT 5."""
    return _RETURN_CODES.get(reason_code, ConnectReturnCode.SERVER_UNAVAILABLE)


def _spelled(name: str) -> str:
    return name.replace("_", " ").capitalize().replace("qos", "QoS").replace("Qos", "QoS")


_NAMES = {int(code): _spelled(code.name) for code in ReasonCode}
_OWN_NAMES = {
    (PacketType.SUBACK, 0x00): "Granted QoS 0",
    (PacketType.DISCONNECT, 0x00): "Normal disconnection",
}


def reason_name(code: int, packet_type: PacketType | None = None) -> str:
    """`0x87 Not authorized`; an unassigned number comes back as the number alone.

    0x00 has names of its own in SUBACK and DISCONNECT: say which packet it stands in.
    """
    name = _NAMES.get(code, "")
    if packet_type is not None:
        name = _OWN_NAMES.get((packet_type, code), name)
    return f"0x{code:02X} {name}".rstrip()


RETURN_CODE_NAMES = {int(code): _spelled(code.name) for code in ConnectReturnCode}
"""Connect Return codes of MQTT 3.1.1 in words."""


ALLOWED_REASON_CODES: dict[PacketType, frozenset[int]] = {
    PacketType.CONNACK: frozenset({
        0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97,
        0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
    }),
    PacketType.PUBACK: frozenset({0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}),
    PacketType.PUBREC: frozenset({0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}),
    PacketType.PUBREL: frozenset({0x00, 0x92}),
    PacketType.PUBCOMP: frozenset({0x00, 0x92}),
    PacketType.SUBACK: frozenset({
        0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2,
    }),
    PacketType.UNSUBACK: frozenset({0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91}),
    # Table 3-10 leaves 0x8C out, but table 2-6 gives "Bad authentication method" to DISCONNECT as well, and
    # a re-authentication (4.12.1) has no better word for it. Both tables together:
    PacketType.DISCONNECT: frozenset({
        0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95,
        0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
    }),
    PacketType.AUTH: frozenset({0x00, 0x18, 0x19}),
}
"""The Reason Codes that each packet may carry (tables of 3.2.2.2, 3.4.2.1, ..., 3.15.2.1)."""

REASONS_OF: dict[PacketType, dict[int, str]] = {
    packet_type: {code: reason_name(code, packet_type) for code in sorted(codes)}
    for packet_type, codes in ALLOWED_REASON_CODES.items()
}
"""`ALLOWED_REASON_CODES` in words."""

CLIENT_DISCONNECT_CODES = frozenset(
    {0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99}
)
"""The Reason Codes with which a Client may disconnect (3.14.2.1, column "Sent by")."""
SERVER_DISCONNECT_CODES = ALLOWED_REASON_CODES[PacketType.DISCONNECT] - {0x04}
"""The Reason Codes with which a Server may disconnect: all but "with Will Message"."""
CLIENT_AUTH_CODES = frozenset({0x18, 0x19})
"""A Client's AUTH continues or re-authenticates (3.15.2.1)."""
SERVER_AUTH_CODES = frozenset({0x00, 0x18})
"""A Server's AUTH continues or says that a re-authentication succeeded (3.15.2.1)."""
