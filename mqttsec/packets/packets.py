"""The fifteen MQTT Control Packets as frozen dataclasses, under the names of the OASIS standard.

One class serves MQTT 5.0 and MQTT 3.1.1; what 3.1.1 does not have (properties, most Reason Codes)
is left at its default there. The codec turns them into bytes and back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from mqttsec.packets.properties import NO_PROPERTIES, Properties
from mqttsec.packets.reason_codes import PacketType

MQTT_5 = 5
"""Protocol Version of MQTT 5.0."""
MQTT_3_1_1 = 4
"""Protocol Level of MQTT 3.1.1."""


@dataclass(frozen=True)
class Will:
    """The Will Message of a CONNECT (3.1.2.5, 3.1.3.2-3.1.3.4)."""

    topic: str
    """Will Topic."""
    payload: bytes = b""
    """Will Payload."""
    qos: int = 0
    """Will QoS, 0 to 2."""
    retain: bool = False
    """Will Retain."""
    properties: Properties = NO_PROPERTIES
    """Will Properties (MQTT 5)."""


@dataclass(frozen=True)
class Connect:
    """CONNECT: a Client asks for a connection (3.1)."""

    packet_type: ClassVar[PacketType] = PacketType.CONNECT

    client_id: str = ""
    """Client Identifier; empty: the Server assigns one."""
    clean_start: bool = True
    """Clean Start (MQTT 5) or Clean Session (3.1.1)."""
    keep_alive: int = 60
    """Keep Alive in seconds; 0 turns it off."""
    username: str | None = None
    """User Name, if there is one."""
    password: bytes | None = field(default=None, repr=False)
    """Password, if there is one; never in a repr."""
    will: Will | None = None
    """Will Message, if there is one."""
    properties: Properties = NO_PROPERTIES
    """CONNECT Properties (MQTT 5)."""
    protocol: int = MQTT_5
    """Protocol Version: 5 or 4 (MQTT 3.1.1)."""


@dataclass(frozen=True)
class Connack:
    """CONNACK: the Server answers a CONNECT (3.2)."""

    packet_type: ClassVar[PacketType] = PacketType.CONNACK

    session_present: bool = False
    """True when the Server kept a session for the Client."""
    reason_code: int = 0
    """Connect Reason Code (MQTT 5) or Connect Return code (3.1.1)."""
    properties: Properties = NO_PROPERTIES
    """CONNACK Properties (MQTT 5)."""


@dataclass(frozen=True)
class Publish:
    """PUBLISH: an Application Message travels (3.3)."""

    packet_type: ClassVar[PacketType] = PacketType.PUBLISH

    topic: str
    """Topic Name; empty where a Topic Alias stands for it."""
    payload: bytes = b""
    """The Application Message."""
    qos: int = 0
    """0 at most once, 1 at least once, 2 exactly once."""
    retain: bool = False
    """RETAIN flag."""
    dup: bool = False
    """DUP flag: this may be a re-delivery."""
    packet_id: int | None = None
    """Packet Identifier, 1 to 65,535, at QoS 1 and 2."""
    properties: Properties = NO_PROPERTIES
    """PUBLISH Properties (MQTT 5)."""


@dataclass(frozen=True)
class Puback:
    """PUBACK: the answer to a QoS 1 PUBLISH (3.4)."""

    packet_type: ClassVar[PacketType] = PacketType.PUBACK

    packet_id: int
    """Packet Identifier of the PUBLISH."""
    reason_code: int = 0
    """PUBACK Reason Code."""
    properties: Properties = NO_PROPERTIES
    """PUBACK Properties."""


@dataclass(frozen=True)
class Pubrec:
    """PUBREC: "received", the first answer to a QoS 2 PUBLISH (3.5)."""

    packet_type: ClassVar[PacketType] = PacketType.PUBREC

    packet_id: int
    """Packet Identifier of the PUBLISH."""
    reason_code: int = 0
    """PUBREC Reason Code."""
    properties: Properties = NO_PROPERTIES
    """PUBREC Properties."""


@dataclass(frozen=True)
class Pubrel:
    """PUBREL: "released", the answer to a PUBREC (3.6)."""

    packet_type: ClassVar[PacketType] = PacketType.PUBREL

    packet_id: int
    """Packet Identifier of the PUBLISH."""
    reason_code: int = 0
    """PUBREL Reason Code."""
    properties: Properties = NO_PROPERTIES
    """PUBREL Properties."""


@dataclass(frozen=True)
class Pubcomp:
    """PUBCOMP: "complete", the end of a QoS 2 delivery (3.7)."""

    packet_type: ClassVar[PacketType] = PacketType.PUBCOMP

    packet_id: int
    """Packet Identifier of the PUBLISH."""
    reason_code: int = 0
    """PUBCOMP Reason Code."""
    properties: Properties = NO_PROPERTIES
    """PUBCOMP Properties."""


@dataclass(frozen=True)
class SubscribeFilter:
    """One Topic Filter of a SUBSCRIBE with its Subscription Options (3.8.3.1)."""

    topic_filter: str
    """Topic Filter; `$share/NAME/FILTER` for a shared subscription."""
    qos: int = 0
    """Highest QoS at which the Server may send."""
    no_local: bool = False
    """No Local: do not send back what this Client published."""
    retain_as_published: bool = False
    """Retain As Published: forward the RETAIN flag as it came."""
    retain_handling: int = 0
    """0 send retained messages; 1 only if the subscription is new; 2 never."""


@dataclass(frozen=True)
class Subscribe:
    """SUBSCRIBE: a Client asks for messages (3.8)."""

    packet_type: ClassVar[PacketType] = PacketType.SUBSCRIBE

    packet_id: int
    """Packet Identifier."""
    filters: tuple[SubscribeFilter, ...]
    """At least one Topic Filter with options."""
    properties: Properties = NO_PROPERTIES
    """SUBSCRIBE Properties (MQTT 5)."""


@dataclass(frozen=True)
class Suback:
    """SUBACK: a Reason Code for each Topic Filter of a SUBSCRIBE (3.9)."""

    packet_type: ClassVar[PacketType] = PacketType.SUBACK

    packet_id: int
    """Packet Identifier of the SUBSCRIBE."""
    reason_codes: tuple[int, ...]
    """Granted QoS or failure, in the order of the filters."""
    properties: Properties = NO_PROPERTIES
    """SUBACK Properties (MQTT 5)."""


@dataclass(frozen=True)
class Unsubscribe:
    """UNSUBSCRIBE: a Client gives subscriptions up (3.10)."""

    packet_type: ClassVar[PacketType] = PacketType.UNSUBSCRIBE

    packet_id: int
    """Packet Identifier."""
    topic_filters: tuple[str, ...]
    """At least one Topic Filter, compared character by character."""
    properties: Properties = NO_PROPERTIES
    """UNSUBSCRIBE Properties (MQTT 5)."""


@dataclass(frozen=True)
class Unsuback:
    """UNSUBACK: the answer to an UNSUBSCRIBE (3.11)."""

    packet_type: ClassVar[PacketType] = PacketType.UNSUBACK

    packet_id: int
    """Packet Identifier of the UNSUBSCRIBE."""
    reason_codes: tuple[int, ...] = ()
    """One for each Topic Filter (MQTT 5); none in 3.1.1."""
    properties: Properties = NO_PROPERTIES
    """UNSUBACK Properties (MQTT 5)."""


@dataclass(frozen=True)
class Pingreq:
    """PINGREQ: the Client is alive (3.12)."""

    packet_type: ClassVar[PacketType] = PacketType.PINGREQ


@dataclass(frozen=True)
class Pingresp:
    """PINGRESP: the Server is alive (3.13)."""

    packet_type: ClassVar[PacketType] = PacketType.PINGRESP


@dataclass(frozen=True)
class Disconnect:
    """DISCONNECT: the last packet of a connection, with its reason (3.14)."""

    packet_type: ClassVar[PacketType] = PacketType.DISCONNECT

    reason_code: int = 0
    """Disconnect Reason Code."""
    properties: Properties = NO_PROPERTIES
    """DISCONNECT Properties."""


@dataclass(frozen=True)
class Auth:
    """AUTH: a step of enhanced authentication (3.15)."""

    packet_type: ClassVar[PacketType] = PacketType.AUTH

    reason_code: int = 0
    """0x00 Success, 0x18 Continue authentication, 0x19 Re-authenticate."""
    properties: Properties = NO_PROPERTIES
    """AUTH Properties: the Authentication Method, and mostly Authentication Data."""


Packet = (
    Connect | Connack | Publish | Puback | Pubrec | Pubrel | Pubcomp
    | Subscribe | Suback | Unsubscribe | Unsuback
    | Pingreq | Pingresp | Disconnect | Auth
)
"""Any MQTT Control Packet."""
