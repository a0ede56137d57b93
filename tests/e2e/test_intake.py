"""The broker's hot path inwards takes and refuses what the decoder and the opener take and refuse."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqttsec.crypto import (
    SUITES,
    Key,
    Operation,
    Operations,
    Profile,
    Purpose,
    SealKey,
    Tally,
    ciphers,
    pair_keys,
)
from mqttsec.e2e import Protection, Setup, decode
from mqttsec.e2e.channel import LayerCheck, LayerRefused, Opener, Place, Sealer, pair_box, parse, speaker
from mqttsec.e2e.intake import Intake
from mqttsec.e2e.messages import Layer
from mqttsec.errors import ConfigurationError

TOPIC = "plant/hall/7"
SETUPS = [
    *(Setup(2, profile, suite) for profile in Profile for suite in SUITES),
    *(Setup(4, profile, suite) for profile in Profile for suite in ("paper", "aes-gcm-gmac")),
]
EVERY = pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.method)


class Channel:
    """P's end of a channel to B, and three openings of it: quick, quick and counted, and step by step."""

    def __init__(self, setup: Setup, publisher: str = "alice") -> None:
        self.setup = setup
        protection = setup.row.publisher_broker.protection
        key = self.key()
        self.outer = Sealer(setup, Place.TO_BROKER, protection, publisher, bytes(8), setup.ciphers.box(key))
        self.inner = Sealer(
            setup, Place.END_TO_END, Protection.EI, publisher, os.urandom(8), setup.ciphers.box(self.key())
        )
        self.operations = Operations("broker")

        def opener(operations: Operations | None = None) -> Opener:
            boxes = pair_box(setup.ciphers, key, operations)
            return Opener(setup, Place.TO_BROKER, protection, publisher, bytes(8), boxes)

        self.quick, self.counted = Intake(opener()), Intake(opener(self.operations))
        self._slow, self._publisher = opener(), publisher

    def key(self) -> SealKey:
        secret = Key("K", Purpose.SHARED_SECRET, os.urandom(32))
        return pair_keys(self.setup.profile, self.setup.ciphers, secret, "K", ("alice", "broker")).forth

    def send(self, size: int = 300, topic: str = TOPIC) -> bytes:
        """A message of P's."""
        return self.outer.seal(topic, self.inner.seal(topic, bytes(size)))

    def slowly(self, topic: str, payload: bytes) -> bytes:
        """What `Intake.take` is to do, one thing after the other."""
        layer = parse(payload, Place.TO_BROKER)
        body = self._slow.peek(topic, layer)
        if speaker(body) != self._publisher:
            raise LayerRefused("of another publisher", LayerCheck.FORM)
        self._slow.accept(layer)
        return body

    def arrives(self, payload: bytes, topic: str = TOPIC) -> bytes | LayerCheck:
        """What comes of a message, which all three must agree on."""
        ways = (self.slowly, self.quick.take, self.counted.take)
        first, *others = (said(way, topic, payload) for way in ways)
        assert others == [first, first]
        return first


def said(take: Callable[[str, bytes], bytes], topic: str, payload: bytes) -> bytes | LayerCheck:
    try:
        return take(topic, payload)
    except LayerRefused as error:
        return error.check


# Sizes around which the length of a body, inner or outer, has another number of bytes.
SIZES = st.one_of(st.integers(0, 140), st.sampled_from((300, 1024)), st.integers(16_150, 16_400))
CHANGES = st.sampled_from(
    ("none",) * 3 + ("byte", "cut", "grow", "again", "old", "skip", "late", "elsewhere")
)


@EVERY
@settings(deadline=None)
@given(sent=st.lists(st.tuples(CHANGES, SIZES, st.integers(0, 2**16), st.integers(1, 255)), max_size=12))
def test_it_says_what_the_opener_says(setup: Setup, sent: list[tuple[str, int, int, int]]) -> None:
    channel, held = Channel(setup), []
    past = [channel.send()]
    for change, size, place, bits in sent:
        payload, topic = channel.send(size), TOPIC
        past.append(payload)
        wrong = bytearray(payload)
        if change == "byte":
            wrong[place % len(wrong)] ^= bits
        elif change == "cut":
            del wrong[place % len(wrong) :]
        elif change == "grow":
            wrong += bytes((bits,))
        elif change == "again":
            channel.arrives(payload)
        elif change == "old":
            channel.arrives(payload)
            wrong = bytearray(past[place % len(past)])
        elif change == "skip":
            held.append(payload)
            continue
        elif change == "late" and held:
            wrong = bytearray(held.pop())
        elif change == "elsewhere":
            topic += "/s1"
        found = channel.arrives(bytes(wrong), topic)
        if change == "none":
            assert isinstance(found, bytes) and parse(found, Place.END_TO_END).publisher == "alice"


@EVERY
def test_a_bit_of_every_byte(setup: Setup) -> None:
    channel = Channel(setup)
    channel.arrives(channel.send())
    payload = channel.send()
    for at in range(len(payload)):
        wrong = bytearray(payload)
        wrong[at] ^= 1 << at % 8
        channel.arrives(bytes(wrong))
    assert isinstance(channel.arrives(payload), bytes) or not setup.hardened


@EVERY
def test_what_is_in_it_is_looked_at(setup: Setup) -> None:
    """P, whose tag is right, names another publisher, signs, or sends no layer at all."""
    channel, other = Channel(setup), Channel(setup, "mallory")
    layer = decode(channel.inner.seal(TOPIC, bytes(300)), Layer)
    longer = bytearray(layer.encode())
    # Where the length of the body begins.
    longer[longer.index(layer.body) - 2] ^= 1
    for _ in range(2):
        for body, found in (
            (other.inner.seal(TOPIC, bytes(300)), LayerCheck.FORM),
            (replace(layer, layer=Place.FROM_BROKER).encode(), LayerCheck.FORM),
            (replace(layer, publisher="alicf").encode(), LayerCheck.FORM),
            (layer.encode()[:-1] + b"\1", LayerCheck.FORM),
            (layer.encode()[:-2] + b"\1\0", LayerCheck.FORM),
            (bytes(longer), LayerCheck.FORM),
            (bytes(300), LayerCheck.FORM),
            (b"", LayerCheck.FORM),
            (layer.encode() + b"\0", LayerCheck.FORM),
            (layer.encode()[:-1], LayerCheck.FORM),
            (replace(layer, signature=bytes(70)).encode(), None),
            (replace(layer, tag=bytes(32)).encode(), None),
            (layer.encode(), None),
        ):
            assert isinstance(channel.arrives(channel.send()), bytes)
            payload = channel.outer.seal(TOPIC, body)
            assert channel.arrives(payload) == (found or body)
            if found:
                assert channel.arrives(payload) == found, "nothing has changed"
            assert isinstance(channel.arrives(channel.send()), bytes)


@EVERY
def test_a_layer_that_ends_in_its_header(setup: Setup) -> None:
    # With a long name the header alone is long enough for the quick look.
    channel = Channel(setup, "p" * 250)
    whole = channel.inner.seal(TOPIC, b"")
    assert isinstance(channel.arrives(channel.send()), bytes)
    for cut in range(0, len(whole), 3):
        assert channel.arrives(channel.outer.seal(TOPIC, whole[:cut])) is LayerCheck.FORM
        assert isinstance(channel.arrives(channel.send()), bytes)


GCM, CBC, TAG = Setup(2, suite="aes-gcm"), Setup(2), Setup(4)


@pytest.mark.parametrize(
    ("setup", "size", "at_one_look"),
    [
        *((setup, size, at_one_look) for setup in (GCM, TAG) for size, at_one_look in
          ((127, False), (128, True), (16_383, True), (16_384, False))),
        # Whole blocks.
        *((CBC, size, at_one_look) for size, at_one_look in
          ((112, False), (128, True), (16_368, True), (16_384, False))),
    ],
)  # fmt: skip
def test_most_messages_come_off_at_one_look(
    setup: Setup, size: int, at_one_look: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = Channel(setup)
    body = channel.inner.seal(TOPIC, bytes(300))
    channel.quick.take(TOPIC, channel.outer.seal(TOPIC, body))
    asked: list[str] = []
    monkeypatch.setattr(
        channel.quick._opener, "strip", lambda topic, payload: asked.append(topic) or (0, b"")
    )
    channel.quick.take(TOPIC, channel.outer.seal(TOPIC, body))
    assert not asked
    # What is in it is no layer of P's; what counts is who looks at it.
    payload = outer_of(channel, size)
    with pytest.raises(LayerRefused, match="no protected message"):
        channel.quick.take(TOPIC, payload)
    assert asked == ([] if at_one_look else [TOPIC])


def outer_of(channel: Channel, size: int) -> bytes:
    """A message whose outer layer has a body of so many bytes."""
    sequence = channel.outer.sequence
    for inside in range(size - 64, size + 1):
        channel.outer.sequence = sequence
        payload = channel.outer.seal(TOPIC, bytes(inside))
        if len(decode(payload, Layer).body) == size:
            return payload
    raise AssertionError(f"no body of {size} bytes")


def test_the_last_number_of_all() -> None:
    channel = Channel(Setup(2, suite="aes-gcm"))
    for number in (2**64 - 3, 2**64 - 1):
        channel.outer.sequence = number - 1
        assert isinstance(channel.arrives(channel.send()), bytes)
    channel.outer.sequence = 2**64 - 3
    late = channel.send()
    assert isinstance(channel.arrives(late), bytes)
    assert channel.arrives(late) is LayerCheck.SEQUENCE


def test_a_refused_message_is_counted_once() -> None:
    for suite in SUITES:
        channel = Channel(Setup(2, suite=suite))
        wrong = bytearray(channel.send())
        wrong[-5] ^= 1
        for _ in range(2):
            before = channel.operations.tally
            with pytest.raises(LayerRefused):
                channel.counted.take(TOPIC, bytes(wrong))
            assert channel.operations.tally - before == Tally.of(Operation.H)
            channel.counted.take(TOPIC, channel.send())


@pytest.mark.parametrize("suite", ["aes-gcm", "chacha20"])
def test_an_aead_seals_at_one_call(suite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = Channel(Setup(2, suite=suite))
    calls = channel.outer.box.aead
    assert calls is not None
    while True:
        try:
            next(calls.nonces)
            break
        except IndexError:
            channel.outer.seal(TOPIC, b"")  # draws more

    def never(*_: object) -> bytes:
        raise AssertionError("the slow way")

    monkeypatch.setattr(channel.outer, "_seal", never)
    assert decode(channel.outer.seal(TOPIC, bytes(200)), Layer).sequence == channel.outer.sequence


@pytest.mark.parametrize("suite", ["aes-gcm", "chacha20"])
def test_a_sealer_draws_nonces_up_to_its_limit(suite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ciphers, "MESSAGES_PER_BOX", 600)
    channel = Channel(Setup(2, suite=suite))
    nonces = set()
    sealed = 0
    with pytest.raises(ConfigurationError, match="agree on a new one"):
        while True:
            body = channel.outer.seal(TOPIC, b"x" * 200)
            nonces.add(decode(body, Layer).body[:12])
            sealed += 1
    # Drawing a batch may cost one of those that are left.
    assert 590 <= sealed <= 600
    assert len(nonces) == sealed
