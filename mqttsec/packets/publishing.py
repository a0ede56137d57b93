"""PUBLISH and its answers PUBACK, PUBREC, PUBREL, PUBCOMP: bytes to packets and back.

Each `pull_*` reads what follows the Fixed Header; each `push_*` writes it and returns the flags of
the Fixed Header.
"""

from __future__ import annotations

from collections.abc import Callable

from mqttsec.errors import MalformedPacketError, ProtocolError
from mqttsec.packets.packets import MQTT_5, Puback, Pubcomp, Publish, Pubrec, Pubrel
from mqttsec.packets.parts import (
    check_qos,
    check_reason,
    check_response_topic,
    pull_packet_identifier,
    pull_reason,
    push_own_properties,
    push_packet_identifier,
)
from mqttsec.packets.properties import NO_PROPERTIES, Properties, Where, pull_properties, push_properties
from mqttsec.packets.reason_codes import PacketType
from mqttsec.packets.topics import check_topic_name
from mqttsec.packets.wire import Reader, push_utf8_string

Answer = Puback | Pubrec | Pubrel | Pubcomp
"""The four packets that answer a PUBLISH or each other; they have one format."""


def _check_dup(dup: bool, qos: int) -> None:
    # [MQTT-3.3.1-2] "The DUP flag MUST be set to 0 for all QoS 0 messages."
    if dup and not qos:
        raise MalformedPacketError("DUP is set at QoS 0")


def _check_topic(topic: str, properties: Properties, protocol: int) -> None:
    if topic or protocol < MQTT_5:
        check_topic_name(topic)
    elif properties.topic_alias is None:
        # 3.3.2.1: "It is a Protocol Error if the Topic Name is zero length and there is no Topic Alias."
        raise ProtocolError("neither a Topic Name nor a Topic Alias")


def check_publish_properties(properties: Properties, from_client: bool) -> None:
    """Refuse properties that cannot stand together with a PUBLISH.

    Raises `ProtocolError`.
    """
    check_response_topic(properties)
    # [MQTT-3.3.4-6] "A PUBLISH packet sent from a Client to a Server MUST NOT contain a Subscription
    # Identifier."
    if from_client and properties.subscription_identifier:
        raise ProtocolError("a Client's PUBLISH holds a Subscription Identifier")


def pull_publish(reader: Reader, flags: int, protocol: int) -> Publish:
    """Pull a PUBLISH (3.3)."""
    dup, qos, retain = flags > 7, flags >> 1 & 3, flags & 1 == 1
    # [MQTT-3.3.1-4] "A PUBLISH Packet MUST NOT have both QoS bits set to 1."
    if qos == 3:
        raise MalformedPacketError("QoS 3 does not exist")
    _check_dup(dup, qos)
    topic = reader.utf8_string("Topic Name")
    packet_id = pull_packet_identifier(reader) if qos else None
    properties = pull_properties(reader, Where.PUBLISH) if protocol >= MQTT_5 else NO_PROPERTIES
    _check_topic(topic, properties, protocol)
    if properties is not NO_PROPERTIES:
        check_response_topic(properties)
    return Publish(topic, reader.rest("Application Message"), qos, retain, dup, packet_id, properties)


def push_publish(out: bytearray, publish: Publish, protocol: int) -> int:
    """Append a PUBLISH."""
    qos = check_qos(publish.qos)
    _check_dup(publish.dup, qos)
    _check_topic(publish.topic, publish.properties, protocol)
    check_response_topic(publish.properties)
    push_utf8_string(out, publish.topic, "Topic Name")
    if qos:
        push_packet_identifier(out, publish.packet_id)
    elif publish.packet_id is not None:
        # [MQTT-2.2.1-2] "A PUBLISH packet MUST NOT contain a Packet Identifier if its QoS value is set to 0."
        raise ProtocolError("a PUBLISH at QoS 0 has no Packet Identifier")
    push_own_properties(out, publish.properties, protocol, Where.PUBLISH)
    out += publish.payload
    return publish.dup << 3 | qos << 1 | publish.retain


def check_publish_sender(publish: Publish, from_client: bool) -> None:
    """Raise `ProtocolError` for a PUBLISH that only the other side may send."""
    check_publish_properties(publish.properties, from_client)


def pull_answer(make: type[Puback] | type[Pubrec] | type[Pubrel] | type[Pubcomp]) -> Callable[
        [Reader, int, int], Answer]:
    """The function that pulls a PUBACK, PUBREC, PUBREL or PUBCOMP (3.4-3.7)."""
    packet_type = make.packet_type
    where = Where[packet_type.name]

    def pull(reader: Reader, flags: int, protocol: int) -> Answer:
        packet_id = pull_packet_identifier(reader)
        # 3.4.2.1: "The Reason Code and Property Length can be omitted if the Reason Code is 0x00 (Success)
        # and there are no Properties. In this case the PUBACK has a Remaining Length of 2."
        if protocol < MQTT_5 or not reader.remaining:
            return make(packet_id)
        code = pull_reason(reader, packet_type)
        # 3.4.2.2.1: "If the Remaining Length is less than 4 there is no Property Length".
        return make(packet_id, code, pull_properties(reader, where) if reader.remaining else NO_PROPERTIES)

    return pull


def push_answer(out: bytearray, answer: Answer, protocol: int) -> int:
    """Append an answer in its shortest form; MQTT 3.1.1 has no place for a reason."""
    packet_type = answer.packet_type
    check_reason(answer.reason_code, packet_type)
    push_packet_identifier(out, answer.packet_id)
    if protocol >= MQTT_5 and (answer.reason_code or answer.properties != NO_PROPERTIES):
        out.append(answer.reason_code)
        if answer.properties != NO_PROPERTIES:
            push_properties(out, answer.properties, Where[packet_type.name])
    # [MQTT-3.6.1-1] the flags of a PUBREL are 0, 0, 1, 0.
    return 2 if packet_type is PacketType.PUBREL else 0
