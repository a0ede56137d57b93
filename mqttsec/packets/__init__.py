"""The packet formats of MQTT 5.0 and 3.1.1: pure functions from bytes to dataclasses and back."""

from mqttsec.packets.codec import decode, encode
from mqttsec.packets.explain import explain, explain_text
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
from mqttsec.packets.properties import NO_PROPERTIES, PROPERTY_TABLE, Properties, PropertyId
from mqttsec.packets.reason_codes import ConnectReturnCode, PacketType, ReasonCode, reason_name
from mqttsec.packets.splitter import Splitter
from mqttsec.packets.topics import check_topic_filter, check_topic_name, matches
from mqttsec.packets.wire import FieldRow

__all__ = [
    "MQTT_3_1_1", "MQTT_5", "NO_PROPERTIES", "PROPERTY_TABLE", "Auth", "Connack", "Connect",
    "ConnectReturnCode", "Disconnect", "FieldRow", "Packet", "PacketType", "Pingreq", "Pingresp",
    "Properties", "PropertyId", "Puback", "Pubcomp", "Publish", "Pubrec", "Pubrel", "ReasonCode", "Splitter",
    "Suback", "Subscribe", "SubscribeFilter", "Unsuback", "Unsubscribe", "Will", "check_topic_filter",
    "check_topic_name", "decode", "encode", "explain", "explain_text", "matches", "reason_name",
]
