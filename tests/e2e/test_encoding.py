"""One encoding for every message, one message for every encoding; all else is malformed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttsec.e2e import Message, decode, explain
from mqttsec.e2e.encoding import VERSION, check_identity, kinds, terms_of
from mqttsec.e2e.messages import (
    BrokerAnswer,
    BrokerHello,
    KeepWaiting,
    Layer,
    PublisherAnswer,
    PublisherHello,
    Refusal,
    SubscriberRequest,
    WrappedKey,
)
from mqttsec.errors import MalformedPacketError
from tests.e2e.strategies import any_message, messages

ANY = tuple(kinds().values())


@given(any_message)
def test_what_is_encoded_is_decoded(message: Message) -> None:
    assert decode(message.encode(), *ANY) == message


@given(any_message, any_message)
def test_no_two_messages_have_one_encoding(one: Message, two: Message) -> None:
    assert (one.encode() == two.encode()) == (one == two)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_malformed(data: bytes) -> None:
    check_bytes(data)


@given(any_message, st.data())
def test_damaged_messages_are_messages_or_malformed(message: Message, draw: st.DataObject) -> None:
    """Whatever decodes after damage is another message, with an encoding of its own."""
    data = bytearray(message.encode())
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(data) - 1))
        data[at] = draw.draw(st.integers(0, 255))
    cut = draw.draw(st.integers(0, len(data)))
    check_bytes(bytes(data))
    check_bytes(bytes(data[:cut]))
    check_bytes(bytes(data) + draw.draw(st.binary(max_size=4)))


def check_bytes(data: bytes) -> None:
    try:
        message = decode(data, *ANY)
    except MalformedPacketError:
        return
    assert message.encode() == data


@given(any_message)
def test_the_explanation_covers_every_byte(message: Message) -> None:
    data = message.encode()
    at = 0
    for row in explain(data):
        assert row.offset == at
        at += row.length
    assert at == len(data)


def test_a_message_that_is_not_expected_is_refused_by_name() -> None:
    data = KeepWaiting().encode()
    with pytest.raises(MalformedPacketError, match="KeepWaiting came, PublisherHello or"):
        decode(data, PublisherHello, BrokerHello)
    with pytest.raises(MalformedPacketError, match="unknown message"):
        decode(bytes((VERSION, 255)), KeepWaiting)


def test_another_version_is_refused() -> None:
    data = KeepWaiting().encode()
    with pytest.raises(MalformedPacketError, match="version 2; here version 1"):
        decode(bytes((2,)) + data[1:], KeepWaiting)


def test_nothing_may_follow() -> None:
    with pytest.raises(MalformedPacketError, match="1 bytes after the end"):
        decode(KeepWaiting().encode() + b"\0", KeepWaiting)


def test_a_length_has_its_shortest_form() -> None:
    """MQTT 5, 1.5.5: "The encoded value MUST use the minimum number of bytes necessary"."""
    data = Refusal(0x87).encode()
    assert data == bytes((VERSION, 8, 0x87))
    hello = BrokerHello(b"", 0, b"", b"").encode()
    assert hello[2] == 0
    longer = hello[:2] + b"\x80\x00" + hello[3:]
    with pytest.raises(MalformedPacketError, match="longer than needed"):
        decode(longer, BrokerHello)


@pytest.mark.parametrize("name", ("", "a/b", "a+", "#", "$SYS"))
def test_a_name_is_one_level_of_a_topic(name: str) -> None:
    with pytest.raises(MalformedPacketError, match="cannot name a party"):
        check_identity(name)
    with pytest.raises(MalformedPacketError):
        PublisherHello(name, b"", 0, b"", b"").encode()


@pytest.mark.parametrize("topic", ("", "a/#", "+/b", "a\0b", "\ud800"))
def test_what_is_asked_for_is_a_topic_name(topic: str) -> None:
    with pytest.raises(MalformedPacketError):
        SubscriberRequest("s", "p", topic, b"", b"", 0, b"", b"").encode()


@pytest.mark.parametrize(
    "message",
    (
        BrokerHello(bytes(134), 0, b"", b""),
        BrokerHello(b"", 0, bytes(513), b""),
        BrokerHello(b"", 0, b"", bytes(8193)),
        BrokerHello(b"", 1 << 64, b"", b""),
        BrokerHello(b"", -1, b"", b""),
        WrappedKey(bytes(7), 0, b""),
        WrappedKey(bytes(9), 0, b""),
        WrappedKey(bytes(8), 1 << 32, b""),
        PublisherHello("p" * 257, b"", 0, b"", b""),
    ),
)
def test_a_field_that_is_too_long_is_not_encoded(message: Message) -> None:
    with pytest.raises(MalformedPacketError):
        message.encode()


@pytest.mark.parametrize(
    "short, at, field",
    (
        (BrokerHello(bytes(133), 0, b"", b""), 2, "ephemeral"),
        (WrappedKey(bytes(8), 0, b""), 2, "key_id"),
    ),
)
def test_a_field_that_is_too_long_is_not_decoded(short: Message, at: int, field: str) -> None:
    """As another implementation might send it."""
    data = short.encode()
    head = 1 if data[at] < 0x80 else 2
    length = len(getattr(short, field)) + 1
    longer = bytes((length,)) if length < 0x80 else bytes((length & 0x7F | 0x80, length >> 7))
    changed = data[:at] + longer + b"\0" + data[at + head :]
    with pytest.raises(MalformedPacketError, match=f"{field}.*there must be"):
        decode(changed, type(short))


def test_a_nested_message_that_must_be_there() -> None:
    data = BrokerAnswer(PublisherAnswer(b"", 0, b"", b"", None), b"", 0, b"", b"", None).encode()
    inner = data[2]
    with pytest.raises(MalformedPacketError, match="answer is missing"):
        decode(data[:2] + b"\0" + data[3 + inner :], BrokerAnswer)
    with pytest.raises(MalformedPacketError, match="answer is missing"):
        BrokerAnswer(None, b"", 0, b"", b"", None).encode()  # type: ignore[arg-type]


@given(messages(Layer), st.data())
def test_every_field_is_in_the_encoding(layer: Layer, draw: st.DataObject) -> None:
    other: Any = draw.draw(messages(Layer))
    for form in Layer.forms():
        changed = dataclasses.replace(layer, **{form.name: getattr(other, form.name)})
        assert (changed.encode() == layer.encode()) == (changed == layer)


def test_every_field_is_documented_and_named() -> None:
    for cls in ANY:
        titles = [form.title for form in cls.forms()]
        assert len(set(titles)) == len(titles)
    assert [str(term) for term in terms_of(BrokerAnswer)] == [
        "R_PS", "T_P'", "Sig_P:p2", "Cert_P", "W_P", "R_BS", "T_B'", "Sig_B:b2", "Cert_B", "W_B",
    ]  # fmt: skip
