"""One packet for each rule that a single packet can break, written by hand, and its Reason Code.

`wrong` rows are (what, packet in hex, protocol, from_client, Reason Code). `sent` are packets that our
own encoder refuses to make.
"""

from __future__ import annotations

from typing import Any

import pytest

from mqttsec.errors import MalformedPacketError, ProtocolError
from mqttsec.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
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
    decode,
    encode,
)
from tests.packets.corpus import with_length

MALFORMED, PROTOCOL_ERROR, TOPIC_NAME_INVALID = 0x81, 0x82, 0x90


def text(value: str) -> str:
    raw = value.encode()
    return f"{len(raw):04X}{raw.hex()}"


def connect(flags: str = "02", payload: str = text("x"), name: str = text("MQTT"), version: str = "05",
            own: str = "00") -> str:
    properties = own if version == "05" else ""
    return f"10|{name}{version}{flags}003C{properties}{payload}"


def publish(flags: str = "0", topic: str = text("a"), rest: str = "00") -> str:
    return f"3{flags}|{topic}{rest}"


def properties(raw: str) -> str:
    return f"{len(bytes.fromhex(raw)):02X}{raw}"


WRONG: list[tuple[str, str, int, bool | None, int]] = [
    # 2.1 Fixed Header
    ("[MQTT-2.1.3-1] CONNECT flags", "11|", 5, None, MALFORMED),
    ("[MQTT-2.1.3-1] CONNACK flags", "21|0000 00", 5, None, MALFORMED),
    ("[MQTT-2.1.3-1] PUBACK flags", "42|0001", 5, None, MALFORMED),
    ("[MQTT-3.6.1-1] PUBREL flags", "60|0001", 5, None, MALFORMED),
    ("[MQTT-3.8.1-1] SUBSCRIBE flags", f"80|0001 00 {text('a')} 00", 5, None, MALFORMED),
    ("[MQTT-3.10.1-1] UNSUBSCRIBE flags", f"A0|0001 00 {text('a')}", 5, None, MALFORMED),
    ("[MQTT-2.1.3-1] PINGREQ flags", "C1|", 5, None, MALFORMED),
    ("[MQTT-3.14.1-1] DISCONNECT flags", "E1|", 5, None, MALFORMED),
    ("[MQTT-3.15.1-1] AUTH flags", "F1|", 5, None, MALFORMED),
    ("2.1.2 type 0 is forbidden", "00|", 5, None, MALFORMED),
    ("2.1.4 bytes too many", "C0|00", 5, None, MALFORMED),
    ("3.1.1 has no AUTH", "F0|", 4, None, PROTOCOL_ERROR),
    # 1.5.4 UTF-8 Encoded String
    ("[MQTT-1.5.4-1] a surrogate", publish(topic="0003 EDA080"), 5, None, MALFORMED),
    ("[MQTT-1.5.4-1] an overlong form", publish(topic="0002 C0AF"), 5, None, MALFORMED),
    ("[MQTT-1.5.4-1] a cut-off character", publish(topic="0001 C3"), 5, None, MALFORMED),
    ("[MQTT-1.5.4-2] U+0000", publish(topic="0003 610062"), 5, None, MALFORMED),
    ("[MQTT-4.7.3-2] U+0000 in a Topic Filter", "82|0001 00 0001 00 00", 5, None, MALFORMED),
    ("1.5.4 a control character, as mosquitto", publish(topic="0001 1F"), 5, None, MALFORMED),
    ("1.5.4 a C1 control character, as mosquitto", publish(topic="0002 C285"), 5, None, MALFORMED),
    ("1.5.4 a non-character, as mosquitto", publish(topic="0003 EFBFBF"), 5, None, MALFORMED),
    ("[MQTT-1.5.7-1] U+0000 in a User Property",
     publish(rest=properties("26 0000 0001 00")), 5, None, MALFORMED),
    # 2.2.1 Packet Identifier
    ("[MQTT-2.2.1-3] PUBLISH 0", publish("2", rest="0000 00"), 5, None, PROTOCOL_ERROR),
    ("[MQTT-2.2.1-3] SUBSCRIBE 0", f"82|0000 00 {text('a')} 00", 5, None, PROTOCOL_ERROR),
    ("[MQTT-2.2.1-3] UNSUBSCRIBE 0", f"A2|0000 00 {text('a')}", 5, None, PROTOCOL_ERROR),
    ("[MQTT-2.2.1-5] PUBACK 0", "40|0000", 5, None, PROTOCOL_ERROR),
    # 2.2.2 Properties
    ("[MQTT-1.5.5-1] Property Length longer than needed", publish(rest="8000"), 5, None, MALFORMED),
    ("1.5.5 Property Length of five bytes", publish(rest="8080808001"), 5, None, MALFORMED),
    ("2.2.2.1 Property Length past the packet", publish(rest="05 01"), 5, None, MALFORMED),
    ("2.2.2.1 a property past the Property Length", publish(rest="02 02 0000 0001"), 5, None, MALFORMED),
    ("2.2.2.2 an identifier that does not exist", publish(rest=properties("04 00")), 5, None, MALFORMED),
    ("2.2.2.2 an identifier of two bytes", publish(rest=properties("8101 00")), 5, None, MALFORMED),
    ("2.2.2.2 an identifier not valid for PUBLISH", publish(rest=properties("21 0001")), 5, None, MALFORMED),
    ("2.2.2.2 a Will Delay among the CONNECT Properties",
     connect(own=properties("18 00000001")), 5, None, MALFORMED),
    ("3.3.2.3.3 Message Expiry Interval twice",
     publish(rest=properties("02 00000001 02 00000001")), 5, None, PROTOCOL_ERROR),
    ("3.8.2.1.2 Subscription Identifier twice in a SUBSCRIBE",
     f"82|0001 {properties('0B01 0B02')} {text('a')} 00", 5, None, PROTOCOL_ERROR),
    ("3.8.2.1.2 Subscription Identifier 0",
     f"82|0001 {properties('0B00')} {text('a')} 00", 5, None, PROTOCOL_ERROR),
    ("3.1.2.11.3 Receive Maximum 0", connect(own=properties("21 0000")), 5, None, PROTOCOL_ERROR),
    ("3.1.2.11.4 Maximum Packet Size 0", connect(own=properties("27 00000000")), 5, None, PROTOCOL_ERROR),
    ("3.1.2.11.6 Request Response Information 2", connect(own=properties("19 02")), 5, None, PROTOCOL_ERROR),
    ("3.1.2.11.7 Request Problem Information 2", connect(own=properties("17 02")), 5, None, PROTOCOL_ERROR),
    ("3.1.2.11.10 Authentication Data alone", connect(own=properties("16 0000")), 5, None, PROTOCOL_ERROR),
    ("3.2.2.3.4 Maximum QoS 2", f"20|0000 {properties('24 02')}", 5, None, PROTOCOL_ERROR),
    ("3.2.2.3.5 Retain Available 2", f"20|0000 {properties('25 02')}", 5, None, PROTOCOL_ERROR),
    ("3.3.2.3.2 Payload Format Indicator 2", publish(rest=properties("01 02")), 5, None, PROTOCOL_ERROR),
    ("[MQTT-3.3.2-8] Topic Alias 0", publish(rest=properties("23 0000")), 5, None, 0x94),
    # 3.1 CONNECT
    ("[MQTT-3.1.2-1] another Protocol Name", connect(name=text("MQTt")), 5, None, 0x84),
    ("[MQTT-3.1.2-1] MQTT 3.1", connect(name=text("MQIsdp"), version="03"), 5, None, 0x84),
    ("[MQTT-3.1.2-2] Protocol Version 6", connect(version="06"), 5, None, 0x84),
    ("[MQTT-3.1.2-3] the reserved flag", connect("03"), 5, None, MALFORMED),
    ("[MQTT-3.1.2-11] Will QoS without a will", connect("0A"), 5, None, MALFORMED),
    ("[MQTT-3.1.2-12] Will QoS 3", connect("1E", f"{text('x')} 00 {text('w')} 0000"), 5, None, MALFORMED),
    ("[MQTT-3.1.2-13] Will Retain without a will", connect("22"), 5, None, MALFORMED),
    ("[MQTT-3.1.2-9] no Will Topic", connect("06", f"{text('x')} 00"), 5, None, MALFORMED),
    ("[MQTT-3.1.2-17] no User Name", connect("82"), 5, None, MALFORMED),
    ("[MQTT-3.1.2-16] a User Name without its flag",
     connect("02", text("x") + text("u")), 5, None, MALFORMED),
    ("[MQTT-3.1.2-19] no Password", connect("42"), 5, None, MALFORMED),
    ("3.1.1 [MQTT-3.1.2-22] a Password alone",
     connect("42", f"{text('x')} 0000", version="04"), 4, None, MALFORMED),
    ("[MQTT-3.1.3-3] no Client Identifier", connect(payload=""), 5, None, MALFORMED),
    ("[MQTT-4.7.0-1] a wildcard in the Will Topic",
     connect("06", f"{text('x')} 00 {text('w/#')} 0000"), 5, None, TOPIC_NAME_INVALID),
    ("[MQTT-3.3.2-14] a wildcard in the will's Response Topic",
     connect("06", f"{text('x')} {properties('08' + text('+'))} {text('w')} 0000"), 5, None, PROTOCOL_ERROR),
    # 3.2 CONNACK
    ("[MQTT-3.2.2-1] reserved flags", "20|0200 00", 5, None, MALFORMED),
    ("[MQTT-3.2.2-6] Session Present with a failure", "20|0187 00", 5, None, PROTOCOL_ERROR),
    ("3.1.1 [MQTT-3.2.2-4] Session Present with a failure", "20|0105", 4, None, PROTOCOL_ERROR),
    ("[MQTT-3.2.2-8] no Connect Reason Code", "20|0092 00", 5, None, PROTOCOL_ERROR),
    ("3.1.1 3.2.2.3 a reserved return code", "20|0006", 4, None, PROTOCOL_ERROR),
    # 3.3 PUBLISH
    ("[MQTT-3.3.1-2] DUP at QoS 0", publish("8"), 5, None, MALFORMED),
    ("[MQTT-3.3.1-4] QoS 3", publish("6", rest="0001 00"), 5, None, MALFORMED),
    ("[MQTT-3.3.2-2] a wildcard", publish(topic=text("a/+")), 5, None, TOPIC_NAME_INVALID),
    ("3.3.2.1 no Topic Name and no Topic Alias", publish(topic="0000"), 5, None, PROTOCOL_ERROR),
    ("3.1.1 [MQTT-4.7.3-1] no Topic Name", publish(topic="0000", rest=""), 4, None, MALFORMED),
    ("[MQTT-3.3.2-14] a wildcard in the Response Topic",
     publish(rest=properties("08" + text("a/#"))), 5, None, PROTOCOL_ERROR),
    ("[MQTT-3.3.4-6] a Subscription Identifier from a Client",
     publish(rest=properties("0B01")), 5, True, PROTOCOL_ERROR),
    # 3.4-3.7 the answers
    ("[MQTT-3.4.2-1] no PUBACK Reason Code", "40|0001 92 00", 5, None, PROTOCOL_ERROR),
    ("[MQTT-3.5.2-1] no PUBREC Reason Code", "50|0001 92 00", 5, None, PROTOCOL_ERROR),
    ("[MQTT-3.6.2-1] no PUBREL Reason Code", "62|0001 80 00", 5, None, PROTOCOL_ERROR),
    ("[MQTT-3.7.2-1] no PUBCOMP Reason Code", "70|0001 80 00", 5, None, PROTOCOL_ERROR),
    ("3.4.2.1 half a Packet Identifier", "40|00", 5, None, MALFORMED),
    ("3.1.1 3.4.2 more than a Packet Identifier", "40|0001 00", 4, None, MALFORMED),
    # 3.8-3.11
    ("[MQTT-3.8.3-2] SUBSCRIBE without a filter", "82|0001 00", 5, None, PROTOCOL_ERROR),
    ("3.1.1 [MQTT-3.8.3-3] SUBSCRIBE without a filter", "82|0001", 4, None, PROTOCOL_ERROR),
    ("[MQTT-4.7.3-1] an empty Topic Filter", "82|0001 00 0000 00", 5, None, MALFORMED),
    ("3.8.3 a filter without options", f"82|0001 00 {text('a')}", 5, None, MALFORMED),
    ("3.8.3.1 Maximum QoS 3", f"82|0001 00 {text('a')} 03", 5, None, PROTOCOL_ERROR),
    ("3.8.3.1 Retain Handling 3", f"82|0001 00 {text('a')} 30", 5, None, PROTOCOL_ERROR),
    ("[MQTT-3.8.3-4] No Local on a shared subscription",
     f"82|0001 00 {text('$share/g/a')} 04", 5, None, PROTOCOL_ERROR),
    ("[MQTT-3.8.3-5] reserved Subscription Options", f"82|0001 00 {text('a')} 40", 5, None, MALFORMED),
    ("3.1.1 [MQTT-3-8.3-4] reserved bits of the Requested QoS",
     f"82|0001 {text('a')} 04", 4, None, MALFORMED),
    ("3.1.1 [MQTT-3-8.3-4] Requested QoS 3", f"82|0001 {text('a')} 03", 4, None, MALFORMED),
    ("[MQTT-4.7.1-1] an ill-formed filter", f"82|0001 00 {text('a#')} 00", 5, None, MALFORMED),
    ("[MQTT-4.8.2-1] an ill-formed shared subscription",
     f"82|0001 00 {text('$share/g')} 00", 5, None, MALFORMED),
    ("[MQTT-3.9.3-2] no Subscribe Reason Code", "90|0001 00 03", 5, None, PROTOCOL_ERROR),
    ("3.1.1 [MQTT-3.9.3-2] a reserved return code", "90|0001 87", 4, None, PROTOCOL_ERROR),
    ("[MQTT-3.8.4-6] SUBACK without a Reason Code", "90|0001 00", 5, None, MALFORMED),
    ("[MQTT-3.10.3-2] UNSUBSCRIBE without a filter", "A2|0001 00", 5, None, PROTOCOL_ERROR),
    ("[MQTT-4.7.1-2] an ill-formed filter to give up", f"A2|0001 00 {text('a+')}", 5, None, MALFORMED),
    ("[MQTT-3.11.3-2] no Unsubscribe Reason Code", "B0|0001 00 01", 5, None, PROTOCOL_ERROR),
    ("3.11.3 UNSUBACK without a Reason Code", "B0|0001 00", 5, None, MALFORMED),
    # 3.12-3.15
    ("3.13 PINGRESP with a body", "D0|00", 5, None, MALFORMED),
    ("[MQTT-3.14.2-1] no DISCONNECT Reason Code", "E0|91 00", 5, None, PROTOCOL_ERROR),
    ("[MQTT-3.14.2-2] a Server's Session Expiry Interval",
     f"E0|00 {properties('11 00000001')}", 5, False, PROTOCOL_ERROR),
    ("3.14.2.1 a Server says Disconnect with Will Message", "E0|04", 5, False, PROTOCOL_ERROR),
    ("3.14.2.1 a Client says Session taken over", "E0|8E", 5, True, PROTOCOL_ERROR),
    ("3.14.2.2.5 a Client's Server Reference",
     f"E0|00 {properties('1C' + text('x'))}", 5, True, PROTOCOL_ERROR),
    ("3.1.1 3.14 a DISCONNECT with a body", "E0|00", 4, None, MALFORMED),
    ("3.1.1 3.14 a Server's DISCONNECT", "E0|", 4, False, PROTOCOL_ERROR),
    ("[MQTT-3.15.2-1] no Authenticate Reason Code",
     f"F0|80 {properties('15' + text('m'))}", 5, None, PROTOCOL_ERROR),
    ("3.15.2.2.2 AUTH without a method", "F0|18 00", 5, None, PROTOCOL_ERROR),
    ("3.15.2.1 a Client's AUTH says Success",
     f"F0|00 {properties('15' + text('m'))}", 5, True, PROTOCOL_ERROR),
    ("3.15.2.1 a Server's AUTH says Re-authenticate",
     f"F0|19 {properties('15' + text('m'))}", 5, False, PROTOCOL_ERROR),
    # Table 2-1, direction of flow
    *((f"table 2-1 a Client sends {name}", raw, 5, True, PROTOCOL_ERROR) for name, raw in (
        ("CONNACK", "20|0000 00"), ("SUBACK", "90|0001 00 00"), ("UNSUBACK", "B0|0001 00 00"),
        ("PINGRESP", "D0|"))),
    *((f"table 2-1 a Server sends {name}", raw, 5, False, PROTOCOL_ERROR) for name, raw in (
        ("CONNECT", connect()), ("SUBSCRIBE", f"82|0001 00 {text('a')} 00"),
        ("UNSUBSCRIBE", f"A2|0001 00 {text('a')}"), ("PINGREQ", "C0|"))),
]


@pytest.mark.parametrize(("what", "packet", "protocol", "from_client", "reason_code"), WRONG,
                         ids=[row[0] for row in WRONG])
def test_refused(what: str, packet: str, protocol: int, from_client: bool | None, reason_code: int) -> None:
    first, body = packet.split("|")
    with pytest.raises(ProtocolError) as caught:
        decode(with_length(int(first, 16), bytes.fromhex(body)), protocol, from_client)
    assert caught.value.reason_code == reason_code, str(caught.value)
    malformed = reason_code in (MALFORMED, TOPIC_NAME_INVALID)
    assert isinstance(caught.value, MalformedPacketError) is malformed


def test_the_unbroken_ones_pass() -> None:
    # The helpers above make good packets: what is refused is refused for the one thing that is wrong.
    for packet in (connect(), publish(), connect("06", f"{text('x')} 00 {text('w')} 0000"),
                   connect(own=properties("15 0001 6D 16 0000")), publish("2", rest="0001 00"),
                   publish(rest=properties("23 0001")), publish(topic="0000", rest=properties("23 0001"))):
        first, body = packet.split("|")
        decode(with_length(int(first, 16), bytes.fromhex(body)), 5, True)


def test_mqtt_5_allows_a_password_alone() -> None:
    # 3.1.2.9: "This version of the protocol allows the sending of a Password with no User Name".
    assert decode(encode(Connect("x", password=b"token"))) == Connect("x", password=b"token")


_A = (SubscribeFilter("a"),)
SENT: list[tuple[str, Packet, int, int]] = [
    ("a Will QoS of 3", Connect("x", will=Will("w", b"", 3)), 5, PROTOCOL_ERROR),
    ("a wildcard in the Will Topic", Connect("x", will=Will("w/#")), 5, TOPIC_NAME_INVALID),
    ("a Password alone in 3.1.1", Connect("x", password=b"p", protocol=4), 4, MALFORMED),
    ("another version", Connect("x", protocol=3), 5, 0x84),
    ("Keep Alive too long", Connect("x", keep_alive=65_536), 5, MALFORMED),
    ("Authentication Data alone",
     Connect("x", properties=Properties(authentication_data=b"")), 5, PROTOCOL_ERROR),
    ("U+0000 in a Client Identifier", Connect("x\0"), 5, MALFORMED),
    ("a surrogate", Connect("\ud800"), 5, MALFORMED),
    ("a string too long", Connect("x" * 65_536), 5, MALFORMED),
    ("binary data too long", Connect("x", password=b"x" * 65_536), 5, MALFORMED),
    ("Session Present with a failure", Connack(True, 0x87), 5, PROTOCOL_ERROR),
    ("an MQTT 5 Reason Code in a 3.1.1 CONNACK", Connack(False, 0x87), 4, PROTOCOL_ERROR),
    ("QoS 3", Publish("a", qos=3, packet_id=1), 5, PROTOCOL_ERROR),
    ("a negative QoS", Publish("a", qos=-1), 5, PROTOCOL_ERROR),
    ("QoS 1 without a Packet Identifier", Publish("a", qos=1), 5, PROTOCOL_ERROR),
    ("QoS 0 with a Packet Identifier", Publish("a", packet_id=1), 5, PROTOCOL_ERROR),
    ("a Packet Identifier too large", Publish("a", qos=1, packet_id=65_536), 5, MALFORMED),
    ("DUP at QoS 0", Publish("a", dup=True), 5, MALFORMED),
    ("a wildcard", Publish("a/#"), 5, TOPIC_NAME_INVALID),
    ("no Topic Name", Publish(""), 5, PROTOCOL_ERROR),
    ("no Topic Name in 3.1.1", Publish("", properties=Properties(topic_alias=1)), 4, MALFORMED),
    ("Topic Alias 0", Publish("a", properties=Properties(topic_alias=0)), 5, 0x94),
    ("Topic Alias too large", Publish("a", properties=Properties(topic_alias=65_536)), 5, MALFORMED),
    ("an interval too long",
     Publish("a", properties=Properties(message_expiry_interval=2**32)), 5, MALFORMED),
    ("a negative interval", Publish("a", properties=Properties(message_expiry_interval=-1)), 5, MALFORMED),
    ("a Subscription Identifier too large",
     Publish("a", properties=Properties(subscription_identifier=(268_435_456,))), 5, PROTOCOL_ERROR),
    ("a property that may not stand here",
     Publish("a", properties=Properties(receive_maximum=1)), 5, MALFORMED),
    ("a wildcard in the Response Topic",
     Publish("a", properties=Properties(response_topic="+")), 5, PROTOCOL_ERROR),
    ("no Packet Identifier", Puback(0), 5, PROTOCOL_ERROR),
    ("another packet's Reason Code", Puback(1, 0x92), 5, PROTOCOL_ERROR),
    ("no Reason Code at all", Pubrec(1, 0x77), 5, PROTOCOL_ERROR),
    ("a Reason Code of more than a byte", Pubrel(1, 0x192), 5, PROTOCOL_ERROR),
    ("a negative Reason Code", Pubcomp(1, -1), 5, PROTOCOL_ERROR),
    ("no filter", Subscribe(1, ()), 5, PROTOCOL_ERROR),
    ("an ill-formed filter", Subscribe(1, (SubscribeFilter("a#"),)), 5, MALFORMED),
    ("subscription QoS 3", Subscribe(1, (SubscribeFilter("a", 3),)), 5, PROTOCOL_ERROR),
    ("Retain Handling 3", Subscribe(1, (SubscribeFilter("a", retain_handling=3),)), 5, PROTOCOL_ERROR),
    ("No Local on a shared subscription",
     Subscribe(1, (SubscribeFilter("$share/g/a", no_local=True),)), 5, PROTOCOL_ERROR),
    ("two Subscription Identifiers",
     Subscribe(1, _A, Properties(subscription_identifier=(1, 2))), 5, PROTOCOL_ERROR),
    ("no filter to give up", Unsubscribe(1, ()), 5, PROTOCOL_ERROR),
    ("an empty filter to give up", Unsubscribe(1, ("",)), 5, MALFORMED),
    ("no Reason Code in a SUBACK", Suback(1, ()), 5, PROTOCOL_ERROR),
    ("an MQTT 5 Reason Code in a 3.1.1 SUBACK", Suback(1, (0x87,)), 4, PROTOCOL_ERROR),
    ("an unassigned Reason Code in a SUBACK", Suback(1, (3,)), 5, PROTOCOL_ERROR),
    ("no Reason Code in an UNSUBACK", Unsuback(1), 5, PROTOCOL_ERROR),
    ("another packet's Reason Code in an UNSUBACK", Unsuback(1, (1,)), 5, PROTOCOL_ERROR),
    ("another packet's Reason Code in a DISCONNECT", Disconnect(0x91), 5, PROTOCOL_ERROR),
    ("AUTH without a method", Auth(0x18), 5, PROTOCOL_ERROR),
    ("AUTH in 3.1.1", Auth(), 4, PROTOCOL_ERROR),
]


@pytest.mark.parametrize(("what", "packet", "protocol", "reason_code"), SENT, ids=[row[0] for row in SENT])
def test_not_sent(what: str, packet: Any, protocol: int, reason_code: int) -> None:
    with pytest.raises(ProtocolError) as caught:
        encode(packet, protocol)
    assert caught.value.reason_code == reason_code, str(caught.value)


def test_a_packet_above_the_largest_remaining_length_is_not_sent() -> None:
    # 2.1.4: 268,435,455 bytes after the Fixed Header. bytes(n) of zeros costs no memory until it is read.
    with pytest.raises(MalformedPacketError, match="268435459"):
        encode(Publish("a", bytes(268_435_455)))


def test_pings_have_two_bytes() -> None:
    assert encode(Pingreq()) == b"\xc0\x00"
