"""SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK: bytes to packets and back.

Each `pull_*` reads what follows the Fixed Header; each `push_*` writes it and returns the flags of
the Fixed Header.
"""

from __future__ import annotations

from mqttsec.errors import MalformedPacketError, ProtocolError
from mqttsec.packets.packets import (
    MQTT_5,
    Suback,
    Subscribe,
    SubscribeFilter,
    Unsuback,
    Unsubscribe,
)
from mqttsec.packets.parts import (
    QOS_MEANINGS,
    check_qos,
    check_reason,
    pull_own_properties,
    pull_packet_identifier,
    pull_reason,
    push_own_properties,
    push_packet_identifier,
)
from mqttsec.packets.properties import Where
from mqttsec.packets.reason_codes import SUBACK_FAILURE, PacketType, reason_name
from mqttsec.packets.topics import check_topic_filter, split_share
from mqttsec.packets.wire import Reader, push_utf8_string

_RETAIN_HANDLING = (
    "send retained messages", "send retained messages if the subscription is new",
    "do not send retained messages", "forbidden",
)


def _check_retain_handling(handling: int) -> None:
    if handling not in (0, 1, 2):
        # 3.8.3.1: "It is a Protocol Error to send a Retain Handling value of 3."
        raise ProtocolError(f"Retain Handling may not be {handling}; use 0, 1 or 2")


def _check_no_local(topic_filter: str, no_local: bool) -> None:
    # [MQTT-3.8.3-4] "It is a Protocol Error to set the No Local bit to 1 on a Shared Subscription."
    if no_local and split_share(topic_filter)[0] is not None:
        raise ProtocolError("No Local does not go with a shared subscription")


def _pull_filter(reader: Reader, protocol: int) -> SubscribeFilter:
    topic_filter = check_topic_filter(reader.utf8_string("Topic Filter"))
    options = reader.byte("Subscription Options" if protocol >= MQTT_5 else "Requested QoS")
    qos = options & 3
    reader.part("Maximum QoS", qos, QOS_MEANINGS[qos])
    if protocol < MQTT_5:
        # 3.1.1 [MQTT-3-8.3-4] "The Server MUST treat a SUBSCRIBE packet as malformed and close the Network
        # Connection if any of Reserved bits in the payload are non-zero, or QoS is not 0,1 or 2."
        if options > 2:
            raise MalformedPacketError(f"the Requested QoS byte is 0x{options:02X}")
        return SubscribeFilter(topic_filter, qos)
    no_local, as_published, handling = bool(options & 4), bool(options & 8), options >> 4 & 3
    reader.part("No Local", int(no_local))
    reader.part("Retain As Published", int(as_published))
    reader.part("Retain Handling", handling, _RETAIN_HANDLING[handling])
    reader.part("reserved", options >> 6)
    # [MQTT-3.8.3-5] "The Server MUST treat a SUBSCRIBE packet as malformed if any of Reserved bits in the
    # Payload are non-zero."
    if options & 0xC0:
        raise MalformedPacketError("reserved bits of the Subscription Options are set")
    # 3.8.3.1: "It is a Protocol Error if the Maximum QoS field has the value 3."
    check_qos(qos)
    _check_retain_handling(handling)
    _check_no_local(topic_filter, no_local)
    return SubscribeFilter(topic_filter, qos, no_local, as_published, handling)


def pull_subscribe(reader: Reader, flags: int, protocol: int) -> Subscribe:
    """Pull a SUBSCRIBE (3.8)."""
    packet_id = pull_packet_identifier(reader)
    properties = pull_own_properties(reader, protocol, Where.SUBSCRIBE)
    filters = []
    while reader.remaining:
        filters.append(_pull_filter(reader, protocol))
    # [MQTT-3.8.3-2] "The Payload MUST contain at least one Topic Filter and Subscription Options pair. A
    # SUBSCRIBE packet with no Payload is a Protocol Error."
    if not filters:
        raise ProtocolError("SUBSCRIBE without a Topic Filter")
    return Subscribe(packet_id, tuple(filters), properties)


def push_subscribe(out: bytearray, subscribe: Subscribe, protocol: int) -> int:
    """Append a SUBSCRIBE; of the Subscription Options MQTT 3.1.1 has the QoS only."""
    push_packet_identifier(out, subscribe.packet_id)
    push_own_properties(out, subscribe.properties, protocol, Where.SUBSCRIBE)
    if not subscribe.filters:
        raise ProtocolError("SUBSCRIBE without a Topic Filter")
    for item in subscribe.filters:
        push_utf8_string(out, check_topic_filter(item.topic_filter), "Topic Filter")
        options = check_qos(item.qos)
        if protocol >= MQTT_5:
            _check_retain_handling(item.retain_handling)
            _check_no_local(item.topic_filter, item.no_local)
            options |= item.no_local << 2 | item.retain_as_published << 3 | item.retain_handling << 4
        out.append(options)
    return 2


def pull_unsubscribe(reader: Reader, flags: int, protocol: int) -> Unsubscribe:
    """Pull an UNSUBSCRIBE (3.10)."""
    packet_id = pull_packet_identifier(reader)
    properties = pull_own_properties(reader, protocol, Where.UNSUBSCRIBE)
    filters = []
    while reader.remaining:
        filters.append(check_topic_filter(reader.utf8_string("Topic Filter")))
    # [MQTT-3.10.3-2] "The Payload of an UNSUBSCRIBE packet MUST contain at least one Topic Filter."
    if not filters:
        raise ProtocolError("UNSUBSCRIBE without a Topic Filter")
    return Unsubscribe(packet_id, tuple(filters), properties)


def push_unsubscribe(out: bytearray, unsubscribe: Unsubscribe, protocol: int) -> int:
    """Append an UNSUBSCRIBE."""
    push_packet_identifier(out, unsubscribe.packet_id)
    push_own_properties(out, unsubscribe.properties, protocol, Where.UNSUBSCRIBE)
    if not unsubscribe.topic_filters:
        raise ProtocolError("UNSUBSCRIBE without a Topic Filter")
    for topic_filter in unsubscribe.topic_filters:
        push_utf8_string(out, check_topic_filter(topic_filter), "Topic Filter")
    return 2


def _check_suback_code(code: int, protocol: int) -> int:
    # 3.1.1 [MQTT-3.9.3-2] "SUBACK return codes other than 0x00, 0x01, 0x02 and 0x80 are reserved and MUST NOT
    # be used."
    if protocol < MQTT_5 and code not in (0, 1, 2, SUBACK_FAILURE):
        raise ProtocolError(f"a SUBACK of MQTT 3.1.1 may not say {reason_name(code)}; its failure is 0x80")
    return check_reason(code, PacketType.SUBACK)


def _pull_codes(reader: Reader, packet_type: PacketType) -> tuple[int, ...]:
    codes = [pull_reason(reader, packet_type)]
    while reader.remaining:
        codes.append(pull_reason(reader, packet_type))
    return tuple(codes)


def pull_suback(reader: Reader, flags: int, protocol: int) -> Suback:
    """Pull a SUBACK (3.9)."""
    packet_id = pull_packet_identifier(reader)
    properties = pull_own_properties(reader, protocol, Where.SUBACK)
    # [MQTT-3.8.4-6] a Reason Code for each Topic Filter, and a SUBSCRIBE has at least one.
    codes = _pull_codes(reader, PacketType.SUBACK)
    for code in codes:
        _check_suback_code(code, protocol)
    return Suback(packet_id, codes, properties)


def push_suback(out: bytearray, suback: Suback, protocol: int) -> int:
    """Append a SUBACK."""
    push_packet_identifier(out, suback.packet_id)
    push_own_properties(out, suback.properties, protocol, Where.SUBACK)
    if not suback.reason_codes:
        raise ProtocolError("SUBACK without a Reason Code")
    out += bytes(_check_suback_code(code, protocol) for code in suback.reason_codes)
    return 0


def pull_unsuback(reader: Reader, flags: int, protocol: int) -> Unsuback:
    """Pull an UNSUBACK (3.11); that of MQTT 3.1.1 is a Packet Identifier only."""
    packet_id = pull_packet_identifier(reader)
    if protocol < MQTT_5:
        return Unsuback(packet_id)
    properties = pull_own_properties(reader, protocol, Where.UNSUBACK)
    return Unsuback(packet_id, _pull_codes(reader, PacketType.UNSUBACK), properties)


def push_unsuback(out: bytearray, unsuback: Unsuback, protocol: int) -> int:
    """Append an UNSUBACK."""
    push_packet_identifier(out, unsuback.packet_id)
    push_own_properties(out, unsuback.properties, protocol, Where.UNSUBACK)
    if protocol >= MQTT_5:
        if not unsuback.reason_codes:
            raise ProtocolError("UNSUBACK without a Reason Code")
        out += bytes(check_reason(code, PacketType.UNSUBACK) for code in unsuback.reason_codes)
    return 0
