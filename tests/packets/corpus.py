"""One rich and one bare packet of every type in both protocol versions: seeds for damage and fuzzing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mqttsec.packets import (
    MQTT_3_1_1,
    MQTT_5,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Properties,
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
    encode,
)

_USER = (("unit", "°C"), ("unit", "K"), ("", ""))
_MESSAGE = Properties(payload_format_indicator=1, message_expiry_interval=3600, content_type="text/csv",
                      response_topic="weather/answers", correlation_data=b"\x00\x01\xff", user_property=_USER)
_WILL = replace(_MESSAGE, will_delay_interval=5)
_ANSWER = Properties(reason_string="über quota", user_property=_USER)


@dataclass(frozen=True)
class Seed:
    """A packet that the standard allows, with its bytes."""

    name: str
    packet: Packet
    protocol: int
    frame: bytes


def _seed(name: str, packet: Packet, protocol: int = MQTT_5) -> Seed:
    version = "5" if protocol == MQTT_5 else "3.1.1"
    return Seed(f"{name}, {version}", packet, protocol, encode(packet, protocol))


CORPUS: tuple[Seed, ...] = (
    _seed("CONNECT", Connect("station")),
    _seed("CONNECT with all", Connect(
        "station", False, 30, "user", b"secret", Will("weather/lost", b"gone", 2, True, _WILL),
        Properties(session_expiry_interval=60, authentication_method="SCRAM-SHA-256",
                   authentication_data=b"n,,n=user", request_problem_information=1,
                   request_response_information=1, receive_maximum=20, topic_alias_maximum=10,
                   user_property=_USER, maximum_packet_size=10_000))),
    _seed("CONNECT", Connect("station", protocol=MQTT_3_1_1), MQTT_3_1_1),
    _seed("CONNECT with all", Connect(
        "station", False, 30, "user", b"secret", Will("weather/lost", b"gone", 1), protocol=MQTT_3_1_1),
        MQTT_3_1_1),
    _seed("CONNACK", Connack(True)),
    _seed("CONNACK with all", Connack(False, 0x9D, Properties(
        session_expiry_interval=60, assigned_client_identifier="auto-1", server_keep_alive=20,
        authentication_method="SCRAM-SHA-256", authentication_data=b"v=abc", response_information="answers/",
        server_reference="other:1883", reason_string="moved", receive_maximum=20, topic_alias_maximum=10,
        maximum_qos=1, retain_available=0, user_property=_USER, maximum_packet_size=10_000,
        wildcard_subscription_available=0, subscription_identifier_available=0,
        shared_subscription_available=0))),
    _seed("CONNACK", Connack(False, 5), MQTT_3_1_1),
    _seed("PUBLISH", Publish("weather/seattle", b"12.8")),
    _seed("PUBLISH with all", Publish(
        "weather/seattle", b"12.8", 2, True, True, 4711,
        replace(_MESSAGE, subscription_identifier=(1, 268_435_455), topic_alias=3))),
    _seed("PUBLISH by alias", Publish("", b"12.8", 1, packet_id=1, properties=Properties(topic_alias=3))),
    _seed("PUBLISH", Publish("weather/seattle", b"12.8", 1, True, False, 7), MQTT_3_1_1),
    *(_seed(make.__name__.upper(), make(7), protocol)
      for make in (Puback, Pubrec, Pubrel, Pubcomp) for protocol in (MQTT_5, MQTT_3_1_1)),
    *(_seed(f"{make.__name__.upper()} with a code", make(7, code))
      for make, code in ((Puback, 0x10), (Pubrec, 0x97), (Pubrel, 0x92), (Pubcomp, 0x92))),
    *(_seed(f"{make.__name__.upper()} with all", make(7, code, _ANSWER))
      for make, code in ((Puback, 0x97), (Pubrec, 0x10), (Pubrel, 0x92), (Pubcomp, 0x92))),
    _seed("SUBSCRIBE", Subscribe(9, (SubscribeFilter("weather/#"),))),
    _seed("SUBSCRIBE with all", Subscribe(
        9, (SubscribeFilter("weather/+/now", 2, True, True, 2), SubscribeFilter("$share/group/weather/#", 1)),
        Properties(subscription_identifier=(300,), user_property=_USER))),
    _seed("SUBSCRIBE", Subscribe(9, (SubscribeFilter("a/+", 1), SubscribeFilter("#", 2))), MQTT_3_1_1),
    _seed("SUBACK", Suback(9, (0,))),
    _seed("SUBACK with all", Suback(9, (0, 1, 2, 0x87, 0xA2), _ANSWER)),
    _seed("SUBACK", Suback(9, (0, 1, 2, 0x80)), MQTT_3_1_1),
    _seed("UNSUBSCRIBE", Unsubscribe(9, ("weather/#",))),
    _seed("UNSUBSCRIBE with all", Unsubscribe(
        9, ("weather/+", "$share/group/#"), Properties(user_property=_USER))),
    _seed("UNSUBSCRIBE", Unsubscribe(9, ("a", "b")), MQTT_3_1_1),
    _seed("UNSUBACK", Unsuback(9, (0,))),
    _seed("UNSUBACK with all", Unsuback(9, (0, 0x11, 0x87), _ANSWER)),
    _seed("UNSUBACK", Unsuback(9), MQTT_3_1_1),
    _seed("PINGREQ", Pingreq()),
    _seed("PINGRESP", Pingresp()),
    _seed("DISCONNECT", Disconnect()),
    _seed("DISCONNECT with a code", Disconnect(0x04)),
    _seed("DISCONNECT of a client with all", Disconnect(
        0x80, Properties(session_expiry_interval=9, reason_string="bye", user_property=_USER))),
    _seed("DISCONNECT of a server with all", Disconnect(
        0x9D, Properties(server_reference="other:1883", reason_string="go", user_property=_USER))),
    _seed("DISCONNECT", Disconnect(), MQTT_3_1_1),
    _seed("AUTH", Auth()),
    _seed("AUTH with all", Auth(0x18, Properties(
        authentication_method="SCRAM-SHA-256", authentication_data=b"r=1", reason_string="more",
        user_property=_USER))),
)
"""Every packet type, every property."""


def with_length(first: int, body: bytes) -> bytes:
    """A packet of this first byte and body, its Remaining Length put right."""
    length, out = len(body), bytearray((first,))
    while length >= 0x80:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)
    return bytes(out) + body


def body_of(frame: bytes) -> bytes:
    """What follows the Fixed Header."""
    index = 1
    while frame[index] & 0x80:
        index += 1
    return frame[index + 1:]
