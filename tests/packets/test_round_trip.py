"""What is encoded comes back the same, in both protocol versions, for every packet and property."""

from __future__ import annotations

import dataclasses
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqttsec.packets import (
    MQTT_3_1_1,
    MQTT_5,
    PROPERTY_TABLE,
    Connect,
    PacketType,
    Properties,
    Publish,
    Will,
    decode,
    encode,
)
from mqttsec.packets.properties import Where
from tests.packets.corpus import CORPUS, Seed
from tests.packets.strategies import kinds, packets


@pytest.mark.parametrize(("packet_type", "protocol"), kinds(), ids=str)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_every_packet_comes_back(packet_type: PacketType, protocol: int, data: st.DataObject) -> None:
    packet = data.draw(packets(packet_type, protocol))
    frame = encode(packet, protocol)
    assert frame[0] >> 4 == packet_type
    assert decode(frame, protocol) == packet
    assert encode(decode(frame, protocol), protocol) == frame


@pytest.mark.parametrize("seed", CORPUS, ids=lambda seed: seed.name)
def test_the_corpus_comes_back(seed: Seed) -> None:
    assert decode(seed.frame, seed.protocol) == seed.packet
    assert encode(decode(seed.frame, seed.protocol), seed.protocol) == seed.frame


def test_the_corpus_has_every_packet_type_and_property() -> None:
    assert {(seed.packet.packet_type, seed.protocol) for seed in CORPUS} >= set(kinds()) - {
        (PacketType.PINGREQ, MQTT_3_1_1), (PacketType.PINGRESP, MQTT_3_1_1)}
    seen = set()
    for seed in CORPUS:
        owners = [seed.packet, getattr(seed.packet, "will", None)]
        for owner in owners:
            own = getattr(owner, "properties", None)
            if own is not None:
                where = Where.WILL if owner is not seed.packet else Where[seed.packet.packet_type.name]
                seen |= {(name, where) for name, _ in own.present()}
    assert seen == {(row.attribute, where) for row in PROPERTY_TABLE.values() for where in row.where}


# The examples of the standard, typed in from its figures.

def test_the_connect_example_of_3_1_2_12() -> None:
    # User Name, Password, Will QoS 1, Clean Start; Keep Alive 10; Session Expiry Interval 10.
    header = bytes.fromhex("0004 4D515454 05 CE 000A 05 11 0000000A")
    frame = encode(Connect(keep_alive=10, username="u", password=b"p", will=Will("w", b"", 1),
                           properties=Properties(session_expiry_interval=10)))
    assert frame[2:2 + len(header)] == header


def test_the_publish_example_of_3_3_2() -> None:
    # Topic Name "a/b", Packet Identifier 10, no properties.
    assert encode(Publish("a/b", b"", 1, packet_id=10)) == bytes.fromhex("32 08 0003612F62 000A 00")
    assert encode(Publish("a/b", b"", 1, packet_id=10), MQTT_3_1_1) == bytes.fromhex("32 07 0003612F62 000A")


def test_properties_that_were_decoded_are_like_any_others() -> None:
    made = Properties(receive_maximum=5, user_property=(("a", "b"),))
    packet = decode(encode(Connect("x", properties=made)))
    assert isinstance(packet, Connect)
    found = packet.properties
    assert found == made and hash(found) == hash(made) and repr(found) == repr(made)
    assert pickle.loads(pickle.dumps(found)) == made
    assert dataclasses.asdict(found) == dataclasses.asdict(made)
    assert dataclasses.replace(found, receive_maximum=None) == Properties(user_property=(("a", "b"),))
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.receive_maximum = 6  # type: ignore[misc]


def test_a_repr_shows_what_is_there_and_no_secret() -> None:
    connect = Connect("x", password=b"hunter2", properties=Properties(
        receive_maximum=5, authentication_method="SCRAM-SHA-256", authentication_data=b"hunter2"))
    assert "hunter2" not in repr(connect)
    assert repr(connect.properties) == (
        "Properties(authentication_method='SCRAM-SHA-256', authentication_data=..., receive_maximum=5)")
    assert repr(Properties()) == "Properties()"


def test_many_user_properties_take_linear_time() -> None:
    # A megabyte of the shortest User Properties: with a tuple that is copied for each it would take minutes.
    packet = Publish("a", properties=Properties(user_property=(("", ""),) * 200_000))
    assert decode(encode(packet)) == packet


def test_what_3_1_1_has_no_place_for_is_left_out() -> None:
    rich = Publish("a", b"x", 1, packet_id=1, properties=Properties(content_type="text/plain"))
    assert decode(encode(rich, MQTT_3_1_1), MQTT_3_1_1) == Publish("a", b"x", 1, packet_id=1)
    assert decode(encode(rich, MQTT_5), MQTT_5) == rich
