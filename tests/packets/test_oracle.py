"""Comparison with an MQTT 5 codec from elsewhere: PyPI's `mqtt5`, written in Rust by other people.

Both directions for every packet type: what we write, it reads the same; what it writes, we read the
same. It fills in the standard's defaults where a property is absent, and so does `theirs`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqttsec.errors import ProtocolError
from mqttsec.packets import (
    MQTT_5,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    PacketType,
    Publish,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
    decode,
    encode,
)
from tests.packets.corpus import CORPUS, Seed
from tests.packets.mutation import Mutator
from tests.packets.strategies import packets

if sys.version_info < (3, 11):
    # As pyproject.toml has it; from 3.11 on it must be there.
    pytest.skip("the independent codec, PyPI mqtt5, has no wheels for Python 3.10", allow_module_level=True)
mqtt5: Any = importlib.import_module("mqtt5")


def _user(packet: Any) -> list[tuple[str, str]]:
    return list(packet.properties.user_property)


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _message(own: Any) -> dict[str, Any]:
    return {
        "payload_format_indicator": _or(own.payload_format_indicator, 0),
        "message_expiry_interval": own.message_expiry_interval,
        "content_type": own.content_type,
        "response_topic": own.response_topic,
        "correlation_data": own.correlation_data,
        "user_properties": list(own.user_property),
    }


def _will(will: Will) -> Any:
    return mqtt5.Will(will.topic, payload=will.payload, qos=mqtt5.QoS(will.qos), retain=will.retain,
                      will_delay_interval=_or(will.properties.will_delay_interval, 0),
                      **_message(will.properties))


def _connect(packet: Connect) -> Any:
    own = packet.properties
    return mqtt5.ConnectPacket(
        packet.client_id, username=packet.username, password=packet.password, clean_start=packet.clean_start,
        will=None if packet.will is None else _will(packet.will), keep_alive=packet.keep_alive,
        session_expiry_interval=_or(own.session_expiry_interval, 0),
        authentication_method=own.authentication_method, authentication_data=own.authentication_data,
        request_problem_info=bool(_or(own.request_problem_information, 1)),
        request_response_info=bool(_or(own.request_response_information, 0)),
        receive_max=_or(own.receive_maximum, 65_535), topic_alias_max=_or(own.topic_alias_maximum, 0),
        max_packet_size=own.maximum_packet_size, user_properties=_user(packet))


def _connack(packet: Connack) -> Any:
    own = packet.properties
    return mqtt5.ConnAckPacket(
        session_present=packet.session_present, reason_code=mqtt5.ConnAckReasonCode(packet.reason_code),
        session_expiry_interval=own.session_expiry_interval,
        assigned_client_id=own.assigned_client_identifier,
        server_keep_alive=own.server_keep_alive, authentication_method=own.authentication_method,
        authentication_data=own.authentication_data, response_info=own.response_information,
        server_reference=own.server_reference, reason_str=own.reason_string,
        receive_max=_or(own.receive_maximum, 65_535), topic_alias_max=_or(own.topic_alias_maximum, 0),
        max_qos=mqtt5.QoS(_or(own.maximum_qos, 2)), retain_available=bool(_or(own.retain_available, 1)),
        max_packet_size=own.maximum_packet_size,
        wildcard_subscription_available=bool(_or(own.wildcard_subscription_available, 1)),
        subscription_id_available=bool(_or(own.subscription_identifier_available, 1)),
        shared_subscription_available=bool(_or(own.shared_subscription_available, 1)),
        user_properties=_user(packet))


def _publish(packet: Publish) -> Any:
    return mqtt5.PublishPacket(
        packet.topic, packet.payload, qos=mqtt5.QoS(packet.qos), retain=packet.retain,
        packet_id=packet.packet_id, duplicate=packet.dup, topic_alias=packet.properties.topic_alias,
        subscription_ids=list(packet.properties.subscription_identifier), **_message(packet.properties))


def _answer(make: str, codes: str) -> Callable[[Any], Any]:
    return lambda packet: getattr(mqtt5, make)(
        packet.packet_id, reason_code=getattr(mqtt5, codes)(packet.reason_code),
        reason_str=packet.properties.reason_string, user_properties=_user(packet))


def _subscribe(packet: Subscribe) -> Any:
    filters = [mqtt5.TopicFilter(item.topic_filter, max_qos=mqtt5.QoS(item.qos), no_local=item.no_local,
                                 retain_as_published=item.retain_as_published,
                                 retain_handling=mqtt5.RetainHandling(item.retain_handling))
               for item in packet.filters]
    return mqtt5.SubscribePacket(packet.packet_id, filters, user_properties=_user(packet),
                                 subscription_id=next(iter(packet.properties.subscription_identifier), None))


def _suback(packet: Suback) -> Any:
    return mqtt5.SubAckPacket(
        packet.packet_id, [mqtt5.SubAckReasonCode(code) for code in packet.reason_codes],
        reason_str=packet.properties.reason_string, user_properties=_user(packet))


def _unsubscribe(packet: Unsubscribe) -> Any:
    return mqtt5.UnsubscribePacket(
        packet.packet_id, list(packet.topic_filters), user_properties=_user(packet))


def _unsuback(packet: Unsuback) -> Any:
    return mqtt5.UnsubAckPacket(
        packet.packet_id, [mqtt5.UnsubAckReasonCode(code) for code in packet.reason_codes],
        reason_str=packet.properties.reason_string, user_properties=_user(packet))


def _disconnect(packet: Disconnect) -> Any:
    own = packet.properties
    return mqtt5.DisconnectPacket(
        reason_code=mqtt5.DisconnectReasonCode(packet.reason_code), reason_str=own.reason_string,
        session_expiry_interval=own.session_expiry_interval, server_reference=own.server_reference,
        user_properties=_user(packet))


def _auth(packet: Auth) -> Any:
    own = packet.properties
    return mqtt5.AuthPacket(
        reason_code=mqtt5.AuthReasonCode(packet.reason_code), authentication_method=own.authentication_method,
        authentication_data=own.authentication_data, reason_str=own.reason_string,
        user_properties=_user(packet))


_THEIRS: dict[PacketType, Callable[[Any], Any]] = {
    PacketType.CONNECT: _connect,
    PacketType.CONNACK: _connack,
    PacketType.PUBLISH: _publish,
    PacketType.PUBACK: _answer("PubAckPacket", "PubAckReasonCode"),
    PacketType.PUBREC: _answer("PubRecPacket", "PubRecReasonCode"),
    PacketType.PUBREL: _answer("PubRelPacket", "PubRelReasonCode"),
    PacketType.PUBCOMP: _answer("PubCompPacket", "PubCompReasonCode"),
    PacketType.SUBSCRIBE: _subscribe,
    PacketType.SUBACK: _suback,
    PacketType.UNSUBSCRIBE: _unsubscribe,
    PacketType.UNSUBACK: _unsuback,
    PacketType.PINGREQ: lambda packet: mqtt5.PingReqPacket(),
    PacketType.PINGRESP: lambda packet: mqtt5.PingRespPacket(),
    PacketType.DISCONNECT: _disconnect,
    PacketType.AUTH: _auth,
}


def theirs(packet: Packet) -> Any:
    """Our packet as an object of the other codec."""
    return _THEIRS[packet.packet_type](packet)


def their_reading(frame: bytes) -> Any:
    packet, length = mqtt5.read(memoryview(frame))
    assert length == len(frame)
    return packet


def beyond_the_other(packet: Packet) -> bool:
    """True for the two things that the standard allows and the other codec does not know."""
    # 3.15.2.1 lets an AUTH that says Success be a Fixed Header only; table 2-6 lets a DISCONNECT say 0x8C.
    return packet == Auth() or (isinstance(packet, Disconnect) and packet.reason_code == 0x8C)


def check_both_ways(packet: Packet) -> None:
    other = theirs(packet)
    assert their_reading(encode(packet)) == other
    assert theirs(decode(other.write())) == other


@pytest.mark.parametrize("packet_type", list(PacketType), ids=str)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_both_codecs_agree(packet_type: PacketType, data: st.DataObject) -> None:
    packet = data.draw(packets(packet_type, MQTT_5).filter(lambda packet: not beyond_the_other(packet)))
    check_both_ways(packet)


_SHARED = [seed for seed in CORPUS if seed.protocol == MQTT_5 and not beyond_the_other(seed.packet)]


@pytest.mark.parametrize("seed", _SHARED, ids=lambda seed: seed.name)
def test_both_codecs_agree_on_the_corpus(seed: Seed) -> None:
    check_both_ways(seed.packet)


def test_what_we_accept_of_damaged_packets_the_other_reads_the_same() -> None:
    # The other codec is the more lenient one: whatever we let pass, it lets pass, and sees the same in it.
    mutator = Mutator(seed=20_260_101, protocol=MQTT_5)
    accepted = 0
    for _ in range(20_000):
        frame = mutator.damaged()
        try:
            packet = decode(frame)
        except ProtocolError:
            continue
        if beyond_the_other(packet) or (isinstance(packet, Connect) and packet.protocol != MQTT_5):
            continue
        accepted += 1
        assert their_reading(frame) == theirs(packet), frame.hex()
    # Else the damage is so heavy that the test says nothing.
    assert accepted > 2_000
