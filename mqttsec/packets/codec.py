"""Packets to bytes and back, one `_pull_*` / `_push_*` pair for each MQTT Control Packet.

`decode` refuses whatever the standard calls malformed or a Protocol Error in a single packet;
rules that need the state of a connection are the connection's business. The decoder reads through
a `Reader`, so handing it a `RecordingReader` yields the byte explanation (see `explain`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Union, cast

from mqttsec.errors import MalformedPacketError, ProtocolError
from mqttsec.packets.packets import (
    MQTT_3_1_1,
    MQTT_5,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscribeFilter,
    Unsuback,
    Unsubscribe,
    Will,
)
from mqttsec.packets.properties import NO_PROPERTIES, Properties, Where, pull_properties, push_properties
from mqttsec.packets.reason_codes import (
    ALLOWED_REASON_CODES,
    ConnectReturnCode,
    PacketType,
    ReasonCode,
    reason_name,
)
from mqttsec.packets.topics import check_topic_filter, check_topic_name, split_share
from mqttsec.packets.wire import (
    Reader,
    push_binary_data,
    push_two_byte_integer,
    push_utf8_string,
    variable_byte_integer,
)

Answer = Union[Puback, Pubrec, Pubrel, Pubcomp]
_ANSWERS: dict[PacketType, type[Puback] | type[Pubrec] | type[Pubrel] | type[Pubcomp]] = {
    PacketType.PUBACK: Puback,
    PacketType.PUBREC: Pubrec,
    PacketType.PUBREL: Pubrel,
    PacketType.PUBCOMP: Pubcomp,
}

# Table 2-2: the flag bits that are reserved have these values; all other packets have 0.
_FIXED_FLAGS = {PacketType.PUBREL: 2, PacketType.SUBSCRIBE: 2, PacketType.UNSUBSCRIBE: 2}

_SERVER_ONLY = frozenset(
    {PacketType.CONNACK, PacketType.SUBACK, PacketType.UNSUBACK, PacketType.PINGRESP}
)
_CLIENT_ONLY = frozenset(
    {PacketType.CONNECT, PacketType.SUBSCRIBE, PacketType.UNSUBSCRIBE, PacketType.PINGREQ}
)
_CLIENT_DISCONNECT_CODES = frozenset(
    {0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99}
)
_QOS_MEANINGS = ("at most once", "at least once", "exactly once", "forbidden")
_REASONS = {int(code): reason_name(code) for code in ReasonCode}
_RETURN_CODES = {int(code): code.name.replace("_", " ").capitalize() for code in ConnectReturnCode}


def decode(frame: bytes, protocol: int = MQTT_5, from_client: bool | None = None) -> Packet:
    """Decode one whole packet.

    `protocol` is the connection's Protocol Version (a CONNECT says its own). With `from_client`
    set, a packet or property that only the other side may send is refused too.
    Raises `MalformedPacketError` or `ProtocolError`, whose `reason_code` answers the sender.
    """
    return decode_with(Reader(frame), protocol, from_client)


def decode_with(reader: Reader, protocol: int, from_client: bool | None = None) -> Packet:
    """Decode through a reader of the caller's: the common way of `decode` and `explain`."""
    first = reader.byte("Fixed Header")
    number, flags = first >> 4, first & 0x0F
    if not number:
        # 2.1.2: type 0 is reserved, "forbidden".
        raise MalformedPacketError("Control Packet type 0 is reserved")
    packet_type = PacketType(number)
    reader.part("Control Packet type", number, packet_type.name)
    if packet_type is PacketType.PUBLISH:
        reader.part("DUP", flags >> 3)
        reader.part("QoS", flags >> 1 & 3, _QOS_MEANINGS[flags >> 1 & 3])
        reader.part("RETAIN", flags & 1)
    else:
        reader.part("flags", f"0b{flags:04b}", "reserved")
    length = reader.variable_byte_integer("Remaining Length")
    if length != reader.remaining:
        raise MalformedPacketError(f"Remaining Length says {length} bytes, there are {reader.remaining}")
    # [MQTT-2.1.3-1] "Where a flag bit is marked as 'Reserved' it is reserved for future use and MUST be
    # set to the value listed".
    if packet_type is not PacketType.PUBLISH and flags != _FIXED_FLAGS.get(packet_type, 0):
        raise MalformedPacketError(f"the flags 0b{flags:04b} are not those of {packet_type.name}")
    if from_client is not None and packet_type in (_SERVER_ONLY if from_client else _CLIENT_ONLY):
        raise ProtocolError(f"{packet_type.name} comes from the wrong side")
    if packet_type is PacketType.AUTH and protocol < MQTT_5:
        raise ProtocolError("MQTT 3.1.1 has no AUTH")
    packet = _PULL[packet_type](reader, flags, protocol)
    if reader.remaining:
        raise MalformedPacketError(f"{packet_type.name} has {reader.remaining} bytes too many")
    if from_client:
        _check_client_sent(packet)
    return packet


def encode(packet: Packet, protocol: int = MQTT_5) -> bytes:
    """Encode one packet; `protocol` as in `decode`.

    Raises `MalformedPacketError` or `ProtocolError` for what the standard does not allow to send.
    """
    packet_type = packet.packet_type
    if packet_type is PacketType.AUTH and protocol < MQTT_5:
        raise ProtocolError("MQTT 3.1.1 has no AUTH; connect with MQTT 5")
    out = bytearray()
    flags = _PUSH[packet_type](out, packet, protocol)
    return bytes((packet_type << 4 | flags,)) + variable_byte_integer(len(out)) + bytes(out)


def _check_client_sent(packet: Packet) -> None:
    if isinstance(packet, Publish):
        # [MQTT-3.3.4-6] "A PUBLISH packet sent from a Client to a Server MUST NOT contain a Subscription
        # Identifier."
        if packet.properties.subscription_identifier:
            raise ProtocolError("a Client's PUBLISH holds a Subscription Identifier")
    elif isinstance(packet, Disconnect):
        if packet.properties.server_reference is not None:
            raise ProtocolError("a Client's DISCONNECT holds a Server Reference")
        if packet.reason_code not in _CLIENT_DISCONNECT_CODES:
            raise ProtocolError(f"a Client may not disconnect with {reason_name(packet.reason_code)}")


def _properties(reader: Reader, protocol: int, where: Where) -> Properties:
    return pull_properties(reader, where) if protocol >= MQTT_5 else NO_PROPERTIES


def _push_own_properties(out: bytearray, properties: Properties, protocol: int, where: Where) -> None:
    if protocol >= MQTT_5:
        push_properties(out, properties, where)


def _packet_identifier(reader: Reader) -> int:
    number = reader.two_byte_integer("Packet Identifier")
    # [MQTT-2.2.1-3], [MQTT-2.2.1-4] a Packet Identifier is "non-zero".
    if not number:
        raise ProtocolError("the Packet Identifier is 0")
    return number


def _push_packet_identifier(out: bytearray, number: int | None) -> None:
    if not number:
        raise ProtocolError("this packet needs a Packet Identifier from 1 to 65,535")
    push_two_byte_integer(out, number, "Packet Identifier")


def _reason(reader: Reader, packet_type: PacketType) -> int:
    code = reader.byte("Reason Code", _REASONS)
    if code not in ALLOWED_REASON_CODES[packet_type]:
        raise ProtocolError(f"{packet_type.name} may not say {reason_name(code)}")
    return code


# CONNECT and CONNACK ---------------------------------------------------------------------------


def _pull_connect(reader: Reader, flags: int, protocol: int) -> Connect:
    name = reader.utf8_string("Protocol Name")
    version = reader.byte("Protocol Version", {MQTT_5: "MQTT 5.0", MQTT_3_1_1: "MQTT 3.1.1"})
    # [MQTT-3.1.2-1] the Protocol Name is "MQTT"; [MQTT-3.1.2-2] the Protocol Version is 5, and the Server
    # answers 0x84 to one that it does not take. We take 5 and 4 (MQTT 3.1.1).
    if name != "MQTT" or version not in (MQTT_5, MQTT_3_1_1):
        raise ProtocolError(f"protocol {name!r} version {version} is not spoken here; use MQTT 5.0 or 3.1.1",
                            ReasonCode.UNSUPPORTED_PROTOCOL_VERSION)
    bits = reader.byte("Connect Flags")
    has_user, has_password, will_retain = bool(bits & 0x80), bool(bits & 0x40), bool(bits & 0x20)
    will_qos, has_will, clean_start = bits >> 3 & 3, bool(bits & 0x04), bool(bits & 0x02)
    reader.part("User Name Flag", int(has_user))
    reader.part("Password Flag", int(has_password))
    reader.part("Will Retain", int(will_retain))
    reader.part("Will QoS", will_qos)
    reader.part("Will Flag", int(has_will))
    reader.part("Clean Start" if version == MQTT_5 else "Clean Session", int(clean_start))
    # [MQTT-3.1.2-3] "The Server MUST validate that the reserved flag in the CONNECT packet is set to 0."
    if bits & 0x01:
        raise MalformedPacketError("the reserved Connect Flag is set")
    # [MQTT-3.1.2-11], [MQTT-3.1.2-13] without a Will Flag, Will QoS and Will Retain are 0;
    # [MQTT-3.1.2-12] a Will QoS of 3 is malformed.
    if will_qos == 3 or (not has_will and (will_qos or will_retain)):
        raise MalformedPacketError("the Will QoS or Will Retain does not go with the Will Flag")
    if has_password and not has_user and version == MQTT_3_1_1:
        # 3.1.1 [MQTT-3.1.2-22] without a User Name there is no Password.
        raise MalformedPacketError("MQTT 3.1.1 allows no Password without a User Name")
    keep_alive = reader.two_byte_integer("Keep Alive")
    properties = _properties(reader, version, Where.CONNECT)
    if properties.authentication_data is not None and properties.authentication_method is None:
        # 3.1.2.11.10 "It is a Protocol Error to include Authentication Data if there is no
        # Authentication Method."
        raise ProtocolError("Authentication Data without an Authentication Method")
    client_id = reader.utf8_string("Client Identifier")
    will = None
    if has_will:
        will_properties = _properties(reader, version, Where.WILL)
        _check_response_topic(will_properties)
        topic = reader.utf8_string("Will Topic")
        payload = reader.binary_data("Will Payload")
        will = Will(check_topic_name(topic), payload, will_qos, will_retain, will_properties)
    username = reader.utf8_string("User Name") if has_user else None
    password = reader.binary_data("Password") if has_password else None
    return Connect(client_id, clean_start, keep_alive, username, password, will, properties, version)


def _push_connect(out: bytearray, packet: Packet, protocol: int) -> int:
    connect = cast(Connect, packet)
    will = connect.will
    push_utf8_string(out, "MQTT", "Protocol Name")
    out.append(connect.protocol)
    bits = (connect.username is not None) << 7 | (connect.password is not None) << 6 | connect.clean_start << 1
    if will is not None:
        bits |= will.retain << 5 | will.qos << 3 | 0x04
    out.append(bits)
    push_two_byte_integer(out, connect.keep_alive, "Keep Alive")
    _push_own_properties(out, connect.properties, connect.protocol, Where.CONNECT)
    push_utf8_string(out, connect.client_id, "Client Identifier")
    if will is not None:
        _push_own_properties(out, will.properties, connect.protocol, Where.WILL)
        push_utf8_string(out, check_topic_name(will.topic), "Will Topic")
        push_binary_data(out, will.payload, "Will Payload")
    if connect.username is not None:
        push_utf8_string(out, connect.username, "User Name")
    if connect.password is not None:
        push_binary_data(out, connect.password, "Password")
    return 0


def _pull_connack(reader: Reader, flags: int, protocol: int) -> Connack:
    bits = reader.byte("Connect Acknowledge Flags")
    reader.part("Session Present", bits & 1)
    # [MQTT-3.2.2-1] "Bits 7-1 are reserved and MUST be set to 0."
    if bits & 0xFE:
        raise MalformedPacketError("reserved Connect Acknowledge Flags are set")
    if protocol >= MQTT_5:
        code = _reason(reader, PacketType.CONNACK)
    else:
        code = reader.byte("Connect Return code", _RETURN_CODES)
    return Connack(bool(bits), code, _properties(reader, protocol, Where.CONNACK))


def _push_connack(out: bytearray, packet: Packet, protocol: int) -> int:
    connack = cast(Connack, packet)
    out.append(connack.session_present)
    out.append(connack.reason_code)
    _push_own_properties(out, connack.properties, protocol, Where.CONNACK)
    return 0


# PUBLISH and its answers -----------------------------------------------------------------------


def _check_response_topic(properties: Properties) -> None:
    if properties.response_topic is not None:
        # [MQTT-3.3.2-14] "The Response Topic MUST NOT contain wildcard characters."
        try:
            check_topic_name(properties.response_topic)
        except MalformedPacketError as error:
            raise ProtocolError(f"Response Topic: {error}") from None


def _pull_publish(reader: Reader, flags: int, protocol: int) -> Publish:
    dup, qos, retain = bool(flags & 8), flags >> 1 & 3, bool(flags & 1)
    # [MQTT-3.3.1-4] "A PUBLISH Packet MUST NOT have both QoS bits set to 1."
    if qos == 3:
        raise MalformedPacketError("QoS 3 does not exist")
    # [MQTT-3.3.1-2] "The DUP flag MUST be set to 0 for all QoS 0 messages."
    if dup and not qos:
        raise MalformedPacketError("DUP is set at QoS 0")
    topic = reader.utf8_string("Topic Name")
    if topic or protocol < MQTT_5:
        check_topic_name(topic)
    packet_id = _packet_identifier(reader) if qos else None
    properties = _properties(reader, protocol, Where.PUBLISH)
    # 3.3.2.1: "It is a Protocol Error if the Topic Name is zero length and there is no Topic Alias."
    if not topic and properties.topic_alias is None:
        raise ProtocolError("neither a Topic Name nor a Topic Alias")
    _check_response_topic(properties)
    return Publish(topic, reader.rest("Application Message"), qos, retain, dup, packet_id, properties)


def _push_publish(out: bytearray, packet: Packet, protocol: int) -> int:
    publish = cast(Publish, packet)
    if publish.qos not in (0, 1, 2):
        raise ProtocolError(f"QoS {publish.qos} does not exist")
    if publish.topic or publish.properties.topic_alias is None:
        check_topic_name(publish.topic)
    _check_response_topic(publish.properties)
    push_utf8_string(out, publish.topic, "Topic Name")
    if publish.qos:
        _push_packet_identifier(out, publish.packet_id)
    _push_own_properties(out, publish.properties, protocol, Where.PUBLISH)
    out += publish.payload
    return (publish.dup and publish.qos > 0) << 3 | publish.qos << 1 | publish.retain


def _pull_answer(packet_type: PacketType) -> Callable[[Reader, int, int], Packet]:
    make = _ANSWERS[packet_type]
    where = Where[packet_type.name]

    def pull(reader: Reader, flags: int, protocol: int) -> Packet:
        packet_id = _packet_identifier(reader)
        # 3.4.2.1: "The Reason Code and Property Length can be omitted if the Reason Code is 0x00 and there
        # are no Properties"; a Remaining Length below 4 means no Property Length.
        if protocol < MQTT_5 or not reader.remaining:
            return make(packet_id)
        code = _reason(reader, packet_type)
        return make(packet_id, code, pull_properties(reader, where) if reader.remaining else NO_PROPERTIES)

    return pull


def _push_answer(out: bytearray, packet: Packet, protocol: int) -> int:
    answer = cast(Answer, packet)
    _push_packet_identifier(out, answer.packet_id)
    if protocol >= MQTT_5 and (answer.reason_code or answer.properties != NO_PROPERTIES):
        out.append(answer.reason_code)
        if answer.properties != NO_PROPERTIES:
            push_properties(out, answer.properties, Where[answer.packet_type.name])
    return _FIXED_FLAGS.get(answer.packet_type, 0)


# SUBSCRIBE, UNSUBSCRIBE and their answers ------------------------------------------------------


def _subscribe_filter(reader: Reader, protocol: int) -> SubscribeFilter:
    topic_filter = check_topic_filter(reader.utf8_string("Topic Filter"))
    options = reader.byte("Subscription Options")
    qos = options & 3
    reader.part("Maximum QoS", qos)
    if qos == 3:
        # 3.8.3.1: "It is a Protocol Error if the Maximum QoS field has the value 3."
        raise ProtocolError("a subscription asks for QoS 3")
    if protocol < MQTT_5:
        # 3.1.1 [MQTT-3-8.3-4] the upper six bits are not used.
        if options & 0xFC:
            raise MalformedPacketError("reserved bits of a Requested QoS are set")
        return SubscribeFilter(topic_filter, qos)
    no_local, as_published, handling = bool(options & 4), bool(options & 8), options >> 4 & 3
    reader.part("No Local", int(no_local))
    reader.part("Retain As Published", int(as_published))
    reader.part("Retain Handling", handling)
    # [MQTT-3.8.3-5] the bits reserved for future use are 0.
    if options & 0xC0:
        raise MalformedPacketError("reserved bits of the Subscription Options are set")
    if handling == 3:
        raise ProtocolError("Retain Handling may not be 3")
    # [MQTT-3.8.3-4] "It is a Protocol Error to set the No Local bit to 1 on a Shared Subscription."
    if no_local and split_share(topic_filter)[0] is not None:
        raise ProtocolError("No Local does not go with a shared subscription")
    return SubscribeFilter(topic_filter, qos, no_local, as_published, handling)


def _pull_subscribe(reader: Reader, flags: int, protocol: int) -> Subscribe:
    packet_id = _packet_identifier(reader)
    properties = _properties(reader, protocol, Where.SUBSCRIBE)
    filters = []
    while reader.remaining:
        filters.append(_subscribe_filter(reader, protocol))
    # [MQTT-3.8.3-2] "The Payload MUST contain at least one Topic Filter and Subscription Options pair."
    if not filters:
        raise ProtocolError("SUBSCRIBE without a Topic Filter")
    return Subscribe(packet_id, tuple(filters), properties)


def _push_subscribe(out: bytearray, packet: Packet, protocol: int) -> int:
    subscribe = cast(Subscribe, packet)
    _push_packet_identifier(out, subscribe.packet_id)
    _push_own_properties(out, subscribe.properties, protocol, Where.SUBSCRIBE)
    if not subscribe.filters:
        raise ProtocolError("SUBSCRIBE without a Topic Filter")
    for item in subscribe.filters:
        push_utf8_string(out, check_topic_filter(item.topic_filter), "Topic Filter")
        if item.qos not in (0, 1, 2) or item.retain_handling not in (0, 1, 2):
            raise ProtocolError("QoS and Retain Handling of a subscription are 0, 1 or 2")
        if protocol < MQTT_5:
            out.append(item.qos)
        else:
            out.append(item.qos | item.no_local << 2 | item.retain_as_published << 3
                       | item.retain_handling << 4)
    return 2


def _pull_suback(reader: Reader, flags: int, protocol: int) -> Suback:
    packet_id = _packet_identifier(reader)
    properties = _properties(reader, protocol, Where.SUBACK)
    codes = []
    while reader.remaining:
        codes.append(_reason(reader, PacketType.SUBACK))
    return Suback(packet_id, tuple(codes), properties)


def _pull_unsuback(reader: Reader, flags: int, protocol: int) -> Unsuback:
    packet_id = _packet_identifier(reader)
    properties = _properties(reader, protocol, Where.UNSUBACK)
    codes = []
    while protocol >= MQTT_5 and reader.remaining:
        codes.append(_reason(reader, PacketType.UNSUBACK))
    return Unsuback(packet_id, tuple(codes), properties)


def _push_codes(out: bytearray, packet: Packet, protocol: int) -> int:
    answer = cast(Union[Suback, Unsuback], packet)
    _push_packet_identifier(out, answer.packet_id)
    _push_own_properties(out, answer.properties, protocol, Where[answer.packet_type.name])
    if protocol >= MQTT_5 or isinstance(answer, Suback):
        out += bytes(answer.reason_codes)
    return 0


def _pull_unsubscribe(reader: Reader, flags: int, protocol: int) -> Unsubscribe:
    packet_id = _packet_identifier(reader)
    properties = _properties(reader, protocol, Where.UNSUBSCRIBE)
    filters = []
    while reader.remaining:
        filters.append(check_topic_filter(reader.utf8_string("Topic Filter")))
    # [MQTT-3.10.3-2] "The Payload of an UNSUBSCRIBE packet MUST contain at least one Topic Filter."
    if not filters:
        raise ProtocolError("UNSUBSCRIBE without a Topic Filter")
    return Unsubscribe(packet_id, tuple(filters), properties)


def _push_unsubscribe(out: bytearray, packet: Packet, protocol: int) -> int:
    unsubscribe = cast(Unsubscribe, packet)
    _push_packet_identifier(out, unsubscribe.packet_id)
    _push_own_properties(out, unsubscribe.properties, protocol, Where.UNSUBSCRIBE)
    if not unsubscribe.topic_filters:
        raise ProtocolError("UNSUBSCRIBE without a Topic Filter")
    for topic_filter in unsubscribe.topic_filters:
        push_utf8_string(out, check_topic_filter(topic_filter), "Topic Filter")
    return 2


# PINGREQ, PINGRESP, DISCONNECT, AUTH -----------------------------------------------------------


def _pull_pingreq(reader: Reader, flags: int, protocol: int) -> Pingreq:
    return Pingreq()


def _pull_pingresp(reader: Reader, flags: int, protocol: int) -> Pingresp:
    return Pingresp()


def _push_nothing(out: bytearray, packet: Packet, protocol: int) -> int:
    return 0


def _pull_disconnect(reader: Reader, flags: int, protocol: int) -> Disconnect:
    # 3.14.2.1: "The Reason Code and Property Length can be omitted if the Reason Code is 0x00".
    if protocol < MQTT_5 or not reader.remaining:
        return Disconnect()
    code = _reason(reader, PacketType.DISCONNECT)
    if not reader.remaining:
        return Disconnect(code)
    return Disconnect(code, pull_properties(reader, Where.DISCONNECT))


def _pull_auth(reader: Reader, flags: int, protocol: int) -> Auth:
    # 3.15.2.1: "The Reason Code and Property Length can be omitted if the Reason Code is 0x00 (Success) and
    # there are no Properties."
    if not reader.remaining:
        return Auth()
    code = _reason(reader, PacketType.AUTH)
    properties = pull_properties(reader, Where.AUTH) if reader.remaining else NO_PROPERTIES
    return Auth(code, properties)


def _push_coded(out: bytearray, packet: Packet, protocol: int) -> int:
    coded = cast(Union[Disconnect, Auth], packet)
    if protocol >= MQTT_5 and (coded.reason_code or coded.properties != NO_PROPERTIES):
        out.append(coded.reason_code)
        if coded.properties != NO_PROPERTIES:
            push_properties(out, coded.properties, Where[coded.packet_type.name])
    return 0


_PULL: dict[PacketType, Callable[[Reader, int, int], Packet]] = {
    PacketType.CONNECT: _pull_connect,
    PacketType.CONNACK: _pull_connack,
    PacketType.PUBLISH: _pull_publish,
    PacketType.PUBACK: _pull_answer(PacketType.PUBACK),
    PacketType.PUBREC: _pull_answer(PacketType.PUBREC),
    PacketType.PUBREL: _pull_answer(PacketType.PUBREL),
    PacketType.PUBCOMP: _pull_answer(PacketType.PUBCOMP),
    PacketType.SUBSCRIBE: _pull_subscribe,
    PacketType.SUBACK: _pull_suback,
    PacketType.UNSUBSCRIBE: _pull_unsubscribe,
    PacketType.UNSUBACK: _pull_unsuback,
    PacketType.PINGREQ: _pull_pingreq,
    PacketType.PINGRESP: _pull_pingresp,
    PacketType.DISCONNECT: _pull_disconnect,
    PacketType.AUTH: _pull_auth,
}
_PUSH: dict[PacketType, Callable[[bytearray, Packet, int], int]] = {
    PacketType.CONNECT: _push_connect,
    PacketType.CONNACK: _push_connack,
    PacketType.PUBLISH: _push_publish,
    PacketType.PUBACK: _push_answer,
    PacketType.PUBREC: _push_answer,
    PacketType.PUBREL: _push_answer,
    PacketType.PUBCOMP: _push_answer,
    PacketType.SUBSCRIBE: _push_subscribe,
    PacketType.SUBACK: _push_codes,
    PacketType.UNSUBSCRIBE: _push_unsubscribe,
    PacketType.UNSUBACK: _push_codes,
    PacketType.PINGREQ: _push_nothing,
    PacketType.PINGRESP: _push_nothing,
    PacketType.DISCONNECT: _push_coded,
    PacketType.AUTH: _push_coded,
}
