"""Parts that several MQTT Control Packets share: Packet Identifier, Reason Code, properties, QoS."""

from __future__ import annotations

from mqttsec.errors import MalformedPacketError, ProtocolError
from mqttsec.packets.packets import MQTT_5
from mqttsec.packets.properties import NO_PROPERTIES, Properties, Where, pull_properties, push_properties
from mqttsec.packets.reason_codes import ALLOWED_REASON_CODES, REASONS_OF, PacketType, reason_name
from mqttsec.packets.topics import check_topic_name
from mqttsec.packets.wire import Reader, push_two_byte_integer

QOS_MEANINGS = ("at most once", "at least once", "exactly once", "forbidden")
"""What the two bits of a QoS say (4.3)."""


def pull_own_properties(reader: Reader, protocol: int, where: Where) -> Properties:
    """Pull the properties of a packet; MQTT 3.1.1 has none."""
    return pull_properties(reader, where) if protocol >= MQTT_5 else NO_PROPERTIES


def push_own_properties(out: bytearray, properties: Properties, protocol: int, where: Where) -> None:
    """Append the properties of a packet; MQTT 3.1.1 has no place for them and they are left out."""
    if protocol >= MQTT_5:
        push_properties(out, properties, where)


def pull_packet_identifier(reader: Reader) -> int:
    """Pull a Packet Identifier, 1 to 65,535 (2.2.1)."""
    number = reader.two_byte_integer("Packet Identifier")
    # [MQTT-2.2.1-3], [MQTT-2.2.1-4] "MUST assign it a non-zero Packet Identifier".
    if not number:
        raise ProtocolError("the Packet Identifier is 0")
    return number


def push_packet_identifier(out: bytearray, number: int | None) -> None:
    """Append a Packet Identifier."""
    if not number:
        raise ProtocolError("this packet needs a Packet Identifier from 1 to 65,535")
    push_two_byte_integer(out, number, "Packet Identifier")


def check_qos(qos: int) -> int:
    """Return `qos` if it is 0, 1 or 2; raise `ProtocolError` otherwise."""
    if qos not in (0, 1, 2):
        raise ProtocolError(f"QoS {qos} does not exist; use 0, 1 or 2")
    return qos


def check_reason(code: int, packet_type: PacketType) -> int:
    """Return `code` if the packet may carry it; raise `ProtocolError` otherwise.

    [MQTT-3.2.2-8], [MQTT-3.4.2-1], [MQTT-3.5.2-1], [MQTT-3.6.2-1], [MQTT-3.7.2-1], [MQTT-3.9.3-2],
    [MQTT-3.11.3-2], [MQTT-3.14.2-1], [MQTT-3.15.2-1]: each "MUST use one of" its Reason Codes.
    """
    if code not in ALLOWED_REASON_CODES[packet_type]:
        raise ProtocolError(f"{packet_type.name} may not say {reason_name(code)}")
    return code


def pull_reason(reader: Reader, packet_type: PacketType) -> int:
    """Pull a Reason Code (2.4) of those that the packet may carry."""
    return check_reason(reader.byte("Reason Code", REASONS_OF[packet_type]), packet_type)


def check_response_topic(properties: Properties) -> None:
    """Raise `ProtocolError` for a Response Topic that nobody could publish to."""
    if properties.response_topic is not None:
        # [MQTT-3.3.2-14] "The Response Topic MUST NOT contain wildcard characters."
        try:
            check_topic_name(properties.response_topic)
        except MalformedPacketError as error:
            raise ProtocolError(f"Response Topic: {error}") from None
