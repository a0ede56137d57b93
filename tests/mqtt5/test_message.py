"""A message's wire forms: they decode to what the standard wants, and bytes are shared where they may be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqttsec.errors import MalformedPacketError, ProtocolError
from mqttsec.mqtt5.message import Form, Message, forwarded, forwarded_from_wire, with_dup
from mqttsec.packets import MQTT_3_1_1, MQTT_5, NO_PROPERTIES, Properties, Publish, Splitter, decode
from mqttsec.packets.properties import Where, property_bytes

PROPERTIES = st.builds(
    Properties,
    payload_format_indicator=st.sampled_from([None, 0, 1]),
    content_type=st.none() | st.just("text/plain"),
    response_topic=st.none() | st.just("answers"),
    correlation_data=st.none() | st.binary(max_size=8),
    user_property=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=3).map(tuple),
    message_expiry_interval=st.none() | st.integers(1, 1000),
)
FORMS = st.builds(
    Form,
    protocol=st.sampled_from([MQTT_5, MQTT_3_1_1]),
    qos=st.integers(0, 2),
    retain=st.booleans(),
    identifiers=st.lists(st.integers(1, 268_435_455), max_size=3).map(tuple),
)


def make(properties: Properties = NO_PROPERTIES, payload: bytes = b"payload", at: float = 100.0) -> Message:
    return Message("a/ü", payload, 2, False, forwarded(properties), "publisher", at)


def frame(parts: tuple[bytes, bytes], form: Form, packet_id: int = 17) -> bytes:
    return parts[0] + (packet_id.to_bytes(2, "big") if form.qos else b"") + parts[1]


def read(parts: tuple[bytes, bytes], form: Form) -> Publish:
    raw = frame(parts, form)
    assert Splitter().feed(raw) == [raw]
    packet = decode(raw, form.protocol, from_client=False)
    assert isinstance(packet, Publish)
    return packet


@settings(deadline=None, max_examples=300)
@given(PROPERTIES, FORMS, st.binary(max_size=300))
def test_every_form_says_the_same_message(properties: Properties, form: Form, payload: bytes) -> None:
    packet = read(make(properties, payload).parts(form), form)
    assert (packet.topic, packet.payload, packet.qos, packet.retain, packet.dup) == (
        "a/ü",
        payload,
        form.qos,
        form.retain,
        False,
    )
    assert packet.packet_id == (17 if form.qos else None)
    if form.protocol == MQTT_5:
        assert packet.properties == replace(properties, subscription_identifier=form.identifiers)


def test_a_form_is_encoded_once() -> None:
    message = make()
    form = Form(MQTT_5, 1, False)
    assert message.parts(form) is message.parts(form) is message.parts_after(form, 500.0)


def test_a_form_that_is_made_later_is_not_kept() -> None:
    # Otherwise a retained message would grow with every Subscription Identifier somebody thinks of.
    message = make(payload=bytes(1000))
    for identifier in range(1, 50):
        message.parts_after(Form(MQTT_5, 1, True, (identifier,)), 100.0)
    assert not message._forms


def test_a_copy_is_the_same_message_without_the_baggage() -> None:
    message = make(Properties(content_type="x", message_expiry_interval=9))
    message.parts(Form(MQTT_5, 0, False))
    message.shared["group"] = b"ciphertext"
    copy = message.copy()
    assert not copy._forms and not copy.shared
    form = Form(MQTT_5, 1, True, (4,))
    assert copy.parts(form) == message.parts(form)
    assert (copy.publisher, copy.received_at, copy.properties) == ("publisher", 100.0, message.properties)


@pytest.mark.parametrize(("now", "left"), [(100.0, 10), (100.9, 10), (101.0, 9), (109.5, 1), (200.0, 0)])
def test_the_expiry_is_what_is_left(now: float, left: int) -> None:
    # [MQTT-3.3.2-6]
    message = make(Properties(message_expiry_interval=10, content_type="x"))
    form = Form(MQTT_5, 1, False)
    assert read(message.parts_after(form, now), form).properties.message_expiry_interval == left
    assert read(message.parts(form), form).properties.message_expiry_interval == 10


@pytest.mark.parametrize(
    ("expiry", "now", "expired"), [(None, 1e9, False), (10, 109.9, False), (10, 110.0, True)]
)
def test_when_a_message_expires(expiry: int | None, now: float, expired: bool) -> None:
    # [MQTT-3.3.2-5]
    assert make(Properties(message_expiry_interval=expiry)).expired(now) is expired


def test_a_topic_alias_goes_with_the_topic_or_without() -> None:
    form = Form(MQTT_5, 0, False)
    message = make(Properties(content_type="x"))
    first = read(message.parts_after(form, 100.0, None, 3), form)
    assert (first.topic, first.properties.topic_alias) == ("a/ü", 3)
    then = read(message.parts_after(form, 100.0, b"", 3), form)
    assert (then.topic, then.properties.topic_alias) == ("", 3)
    assert then.properties.content_type == "x"
    assert read(message.parts(form), form).properties.topic_alias is None


@pytest.mark.parametrize("qos", [1, 2])
def test_dup_is_one_bit(qos: int) -> None:
    # [MQTT-3.3.1-1]
    form = Form(MQTT_5, qos, True)
    head, tail = make().parts(form)
    again = read((with_dup(head), tail), form)
    assert again == replace(read((head, tail), form), dup=True)


def test_what_concerns_the_publishers_connection_is_not_forwarded() -> None:
    sorted_out = forwarded(Properties(topic_alias=4, message_expiry_interval=7, content_type="x"))
    assert (sorted_out.alias, sorted_out.expiry) == (4, 7)
    assert sorted_out.unaltered == property_bytes(Properties(content_type="x"), Where.PUBLISH)


@settings(deadline=None)
@given(PROPERTIES)
def test_properties_from_the_wire_are_those_that_were_sent(properties: Properties) -> None:
    raw = property_bytes(properties, Where.PUBLISH)
    assert forwarded_from_wire(raw) == forwarded(properties)
    message = make(properties)
    assert message.properties == properties


def test_no_properties_are_the_cheap_case() -> None:
    assert forwarded_from_wire(b"") is forwarded(NO_PROPERTIES) is forwarded(Properties())


@pytest.mark.parametrize(
    ("raw", "error", "code"),
    [
        (b"\x0b\x05", ProtocolError, 0x82),  # Subscription Identifier from a client [MQTT-3.3.4-6]
        (b"\x01\x00\x01\x00", ProtocolError, 0x82),  # twice
        (b"\x23\x00\x00", ProtocolError, 0x94),  # Topic Alias 0 [MQTT-3.3.2-8]
        (b"\x11\x00\x00\x00\x01", MalformedPacketError, 0x81),  # not of PUBLISH
        (b"\x02\x00\x00", MalformedPacketError, 0x81),  # cut short
    ],
)
@pytest.mark.parametrize("padding", [0, 600])
def test_bad_properties_are_refused_small_or_large(
    raw: bytes, error: type[ProtocolError], code: int, padding: int
) -> None:
    filler = b"\x26\x00\x01a" + padding.to_bytes(2, "big") + bytes([97]) * padding if padding else b""
    for _ in range(2):
        with pytest.raises(error) as caught:
            forwarded_from_wire(filler + raw)
        assert caught.value.reason_code == code
