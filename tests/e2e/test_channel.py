"""Block 3: what a message looks like, who can open it, and what happens to one that was tampered with."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttsec.crypto import Key, Operation, Profile, Purpose, ciphers, pair_keys
from mqttsec.crypto.groupkey import Epoch
from mqttsec.e2e import SCHEMES, LayerCheck, LayerRefused, Mode, Protection, Setup, audience, decode
from mqttsec.e2e.audience import Audiences
from mqttsec.e2e.channel import Opener, Place, Sealer, parse, recipient_topic, split_recipient
from mqttsec.e2e.company import TOPIC, Company
from mqttsec.e2e.messages import KeepWaiting, Layer
from mqttsec.e2e.predictions import predict_layer
from mqttsec.e2e.publisher import Publisher
from mqttsec.e2e.schemes import Cell
from mqttsec.errors import MalformedPacketError
from tests.e2e.strategies import messages

SETUPS = [Setup(number, profile, mode=mode) for number in SCHEMES for profile in Profile for mode in Mode]
SETUPS += [Setup(number, sign_messages=True) for number in SCHEMES]
EVERY_SETUP = pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.method)


def ready(setup: Setup, *names: str) -> Company:
    world = Company(setup)
    world.connect()
    world.join(*(names or ("s1", "s2")))
    return world


# What is on the wire ---------------------------------------------------------------------------


@EVERY_SETUP
def test_the_layers_are_those_of_the_table(setup: Setup) -> None:
    world = ready(setup)
    row = setup.row
    for _, payload in world.publisher.protect(TOPIC, b"12.8 C in Seattle"):
        assert places(payload) == [Place.TO_BROKER] * (setup.scheme > 1) + [Place.END_TO_END] * readable(
            row.publisher_broker
        )
        assert b"Seattle" not in payload
    for _, payload in world.route(b"12.8 C in Seattle").values():
        assert places(payload) == [Place.FROM_BROKER] * (setup.scheme > 1) + [Place.END_TO_END] * readable(
            row.broker_subscriber
        )
        assert b"Seattle" not in payload


def readable(cell: Cell) -> bool:
    """Whether the layer below can be seen by anybody."""
    return cell.protection is not Protection.EI


def places(payload: bytes) -> list[Place]:
    found = []
    while True:
        try:
            layer = decode(payload, Layer)
        except MalformedPacketError:
            return found
        found.append(Place(layer.layer))
        payload = layer.body


@EVERY_SETUP
def test_who_gets_the_same_bytes(setup: Setup) -> None:
    """Scheme 2 seals for each subscriber; Schemes 3 and 4 once for all."""
    names = tuple(f"s{i}" for i in range(5))
    payloads = [payload for _, payload in ready(setup, *names).route(b"12.8").values()]
    assert len(payloads) == 5
    same = setup.scheme >= 3 or (setup.scheme == 1 and setup.mode is Mode.SINGLE_CIPHERTEXT)
    assert len(set(payloads)) == (1 if same else 5)


@EVERY_SETUP
def test_individual_ciphertexts_have_topics_of_their_own(setup: Setup) -> None:
    world = ready(setup)
    topics = [topic for topic, _ in world.publisher.protect(TOPIC, b"12.8")]
    expected = [recipient_topic(TOPIC, "s1"), recipient_topic(TOPIC, "s2")] if setup.individual else [TOPIC]
    assert topics == expected
    assert [world.subscribers[name].topic_filter(TOPIC) for name in ("s1", "s2")] == (
        expected if setup.individual else 2 * [TOPIC]
    )
    assert split_recipient(recipient_topic(TOPIC, "s1")) == (TOPIC, "s1")


@EVERY_SETUP
def test_messages_come_in_order_and_once(setup: Setup) -> None:
    world = ready(setup)
    for number in range(1, 6):
        for opened in world.publish(b"%d" % number).values():
            assert (opened.message, opened.sequence) == (b"%d" % number, number)
            assert (opened.topic, opened.publisher) == (TOPIC, "alice")


def test_an_empty_message_and_a_large_one() -> None:
    for setup in SETUPS:
        world = ready(setup, "s1")
        for message in (b"", bytes(300_000)):
            assert world.publish(message)["s1"].message == message


def test_the_broker_of_scheme_4_only_tags() -> None:
    world = ready(Setup(4))
    before = world.tallies()["broker"]
    for _ in range(10):
        world.publish(b"12.8")
    spent = world.tallies()["broker"] - before
    assert (spent[Operation.E], spent[Operation.D], spent[Operation.H]) == (0, 0, 20)


def test_message_signatures_cost_one_sign_and_a_check_each() -> None:
    plain, signed = ready(Setup(3)), ready(Setup(3, sign_messages=True))
    spent = []
    for world in (plain, signed):
        before = world.tallies()
        world.publish(b"12.8")
        spent.append({name: tally - before[name] for name, tally in world.tallies().items()})
    assert (spent[1]["alice"] - spent[0]["alice"]).pairs() == (("sign", 1),)
    assert (spent[1]["s1"] - spent[0]["s1"]).pairs() == (("verify", 1),)
    assert spent[1]["broker"] == spent[0]["broker"]


# The tamper matrix -----------------------------------------------------------------------------


class Leg:
    """One layer on its way, with who opens it."""

    def __init__(self, world: Company, place: Place) -> None:
        self.place = place
        setup = world.setup
        self.cell = {
            Place.END_TO_END: setup.row.end_to_end(setup.mode),
            Place.TO_BROKER: setup.row.publisher_broker,
            Place.FROM_BROKER: setup.row.broker_subscriber,
        }[place]
        if place is Place.TO_BROKER:
            self.topic, payload = world.publisher.protect(TOPIC, b"12.8")[0]
            self.open: Callable[[str, bytes], Any] = lambda topic, data: world.broker.inbound(
                "alice", topic, data
            )
        elif place is Place.END_TO_END and setup.scheme == 4:
            # Anybody sees it below the tag; the broker could change it and tag it again.
            self.topic, sent = world.publisher.protect(TOPIC, b"12.8")[0]
            payload = world.broker.inbound("alice", self.topic, sent)
            broker, s1 = world.broker, world.subscribers["s1"]
            self.open = lambda topic, data: s1.open(topic, broker.outbound("s1", topic, data, {}))
        else:
            self.topic, payload = world.route(b"12.8")["s1"]
            self.open = world.subscribers["s1"].open
        self.original = parse(payload, place)
        self.held = self.group_epoch(world)

    def group_epoch(self, world: Company) -> Epoch:
        """The first epoch that s1 can read."""
        return Epoch.of(self.original.epoch) if self.cell.key and self.cell.key.is_group else Epoch()

    def outcome(self, topic: str, layer: Layer) -> LayerCheck | None:
        try:
            self.open(topic, layer.encode())
        except LayerRefused as error:
            assert error.party and error.step == "Block 3"
            return error.check
        return None


def legs(setup: Setup) -> list[Place]:
    seen = [Place.TO_BROKER, Place.FROM_BROKER] if setup.scheme > 1 else [Place.END_TO_END]
    return seen + [Place.END_TO_END] * (setup.scheme == 4)


def changed_fields(original: Layer, other: Layer, draw: random.Random) -> Iterator[tuple[str, Layer]]:
    """Each field: a bit flipped, cut, removed, and taken from another session."""
    for form in Layer.forms():
        value, borrowed = getattr(original, form.name), getattr(other, form.name)
        variants: dict[str, object] = {"swap": borrowed}
        if isinstance(value, bytes) and value:
            whole = int.from_bytes(value, "big") ^ 1 << draw.randrange(8 * len(value))
            variants |= {"flip": whole.to_bytes(len(value), "big"), "cut": value[:-1], "remove": b""}
        elif isinstance(value, bytes):
            variants["add"] = b"x"
        elif isinstance(value, int):
            variants |= {"flip": value ^ 1 << draw.randrange(8 * form.at_most), "remove": 0}
            variants |= {"up": value + 1, "down": max(0, value - 1)}
        else:
            variants |= {"flip": "b" + value[1:], "cut": value[:-1]}
        if form.name == "key_id":
            variants = {"swap": borrowed, "remove": bytes(8), "flip": variants["flip"]}
        for name, new in variants.items():
            if new != value:
                yield f"{form.name} {name}", dataclasses.replace(original, **{form.name: new})  # type: ignore[arg-type]


@EVERY_SETUP
def test_every_field_of_every_layer(setup: Setup) -> None:
    for place in legs(setup):
        world, foreign = ready(setup, "s1"), ready(setup, "s1")
        leg, other = Leg(world, place), Leg(foreign, place)
        count = 0
        for name, tampered in changed_fields(leg.original, other.original, random.Random(setup.method)):
            expected = predict_layer(setup, leg.cell, leg.original, tampered, True, leg.held, replay=False)
            if expected is None:
                # It is opened, so the next one needs a message that was not.
                assert not setup.hardened and name.startswith("sequence"), name
            assert leg.outcome(leg.topic, tampered) is expected, (place, name)
            count += 1
        assert count >= 15
        assert leg.outcome(leg.topic, leg.original) is None


@EVERY_SETUP
def test_a_bit_of_every_byte(setup: Setup) -> None:
    draw = random.Random(setup.method)
    for place in legs(setup):
        leg = Leg(ready(setup, "s1"), place)
        data = leg.original.encode()
        for at in range(len(data)):
            changed = data[:at] + bytes((data[at] ^ 1 << draw.randrange(8),)) + data[at + 1 :]
            try:
                tampered = decode(changed, Layer)
            except MalformedPacketError:
                with pytest.raises(LayerRefused) as refusal:
                    leg.open(leg.topic, changed)
                assert refusal.value.check is LayerCheck.FORM
                continue
            expected = predict_layer(setup, leg.cell, leg.original, tampered, True, leg.held, replay=False)
            assert leg.outcome(leg.topic, tampered) is expected, (place, at)
        for end in range(0, len(data), 7):
            with pytest.raises(LayerRefused):
                leg.open(leg.topic, data[:end])
        assert leg.outcome(leg.topic, leg.original) is None


@EVERY_SETUP
def test_replays_are_stopped_by_hardened_only(setup: Setup) -> None:
    for place in legs(setup):
        leg = Leg(ready(setup, "s1"), place)
        if leg.place is Place.END_TO_END and setup.scheme == 4:
            continue
        assert leg.outcome(leg.topic, leg.original) is None
        expected = predict_layer(setup, leg.cell, leg.original, leg.original, True, leg.held, replay=True)
        assert expected is (LayerCheck.SEQUENCE if setup.hardened else None)
        assert leg.outcome(leg.topic, leg.original) is expected


@EVERY_SETUP
def test_topics_are_swapped_under_published_only(setup: Setup) -> None:
    """A message for one topic delivered on another one of the same publisher and subscriber."""
    world = ready(setup, "s1")
    world.join("s1", topic="weather/oslo")
    (_, payload), (other, _) = world.route(b"12.8")["s1"], world.route(b"-3.0", "weather/oslo")["s1"]
    with pytest.raises(LayerRefused) as refusal:
        # Each topic has keys of its own, so they do not even know each other's.
        world.subscribers["s1"].open(other, payload)
    assert refusal.value.check is LayerCheck.KEY
    leg = Leg(ready(setup, "s1"), Place.TO_BROKER if setup.scheme > 1 else Place.END_TO_END)
    expected = predict_layer(setup, leg.cell, leg.original, leg.original, False, leg.held, replay=False)
    assert expected is (LayerCheck.TAG if setup.hardened else None)
    if setup.scheme > 1:
        # Between P and B one key serves all topics: there the swap shows.
        assert leg.outcome("weather/oslo", leg.original) is expected


def test_reordering_is_refused_unless_it_is_allowed() -> None:
    for in_order in (True, False):
        world = ready(Setup(3, in_order=in_order), "s1")
        first, second = world.route(b"1")["s1"], world.route(b"2")["s1"]
        s1 = world.subscribers["s1"]
        assert s1.open(*second).message == b"2"
        if in_order:
            with pytest.raises(LayerRefused, match="out of order"):
                s1.open(*first)
        else:
            assert s1.open(*first).message == b"1"
        with pytest.raises(LayerRefused):
            s1.open(*second)


def test_a_publisher_speaks_for_itself_only() -> None:
    world = ready(Setup(3), "s1")
    mallory = world.new_publisher("mallory")
    world.connect(mallory)
    ((topic, payload),) = world.publisher.protect(TOPIC, b"12.8")
    with pytest.raises(LayerRefused):
        world.broker.inbound("mallory", topic, payload)
    with pytest.raises(LayerRefused, match="no channel"):
        world.broker.inbound("s1", topic, payload)
    # Its own outer layer round another's message:
    inner = world.broker.inbound("alice", topic, payload)
    assert mallory._uplink is not None
    forged = mallory._uplink.put(topic, inner).encode()
    with pytest.raises(LayerRefused, match="speaks for another publisher"):
        world.broker.inbound("mallory", topic, forged)


def test_who_is_no_receiver_gets_nothing() -> None:
    for setup in SETUPS:
        world = ready(setup, "s1")
        wire_topic, payload = world.publisher.protect(TOPIC, b"12.8")[0]
        routed = world.broker.inbound("alice", wire_topic, payload)
        with pytest.raises(LayerRefused, match="'eve' is no receiver"):
            world.broker.outbound("eve", wire_topic, routed, {})
        with pytest.raises(LayerRefused, match="no receiver"):
            world.broker.outbound("s1", "elsewhere/s1", routed, {})


@EVERY_SETUP
def test_a_series_of_copies_is_what_each_would_get(setup: Setup) -> None:
    world = ready(setup, "s1", "s2", "s3")
    names = ["s2", "eve", "s1", "s3", "s2"]
    for wire_topic, payload in world.publisher.protect(TOPIC, b"12.8"):
        routed = world.broker.inbound("alice", wire_topic, payload)
        copies = list(world.broker.outbound_each(wire_topic, routed, {}, names))
        opened = set()
        for name, copy in zip(names, copies, strict=True):
            if copy is None:
                with pytest.raises(LayerRefused):
                    world.broker.outbound(name, wire_topic, routed, {})
            else:
                assert len(copy) == len(world.broker.outbound(name, wire_topic, routed, {}))
                if name not in opened:
                    assert world.subscribers[name].open(wire_topic, copy).message == b"12.8"
                opened.add(name)
        expected = {split_recipient(wire_topic)[1]} if setup.individual else {"s1", "s2", "s3"}
        assert opened == expected


def test_a_series_follows_who_comes_and_goes() -> None:
    world = ready(Setup(2, mode=Mode.SINGLE_CIPHERTEXT), "s1", "s2")
    names = ("s1", "s2")

    def read() -> dict[str, bytes]:
        ((wire_topic, payload),) = world.publisher.protect(TOPIC, b"12.8")
        routed = world.broker.inbound("alice", wire_topic, payload)
        copies = zip(names, world.broker.outbound_each(wire_topic, routed, {}, names), strict=True)
        return {
            name: world.subscribers[name].open(wire_topic, copy).message
            for name, copy in copies
            if copy is not None
        }

    assert read() == {"s1": b"12.8", "s2": b"12.8"}
    world.leave("s2")
    assert read() == {"s1": b"12.8"}
    world.join("s2")
    assert read() == {"s1": b"12.8", "s2": b"12.8"}, "under its new key"


def test_a_series_knows_whose_message_it_is_and_for_whom() -> None:
    """Who lines up is remembered by publisher, Topic Name and the very tuple of names."""
    world = ready(Setup(2, mode=Mode.SINGLE_CIPHERTEXT), "s1", "s2")
    mallory = world.new_publisher("mallory")
    world.connect(mallory)
    world.join("s3", "s2", publisher=mallory)
    world.join("s1", topic="elsewhere")
    forth, back, growing = ("s1", "s2", "s3"), ("s3", "s2", "s1"), ["s1"]

    def read(publisher: Publisher, names: Sequence[str], topic: str = TOPIC) -> list[str]:
        ((wire_topic, payload),) = publisher.protect(topic, b"12.8")
        routed = world.broker.inbound(publisher.party.name, wire_topic, payload)
        found = []
        for name, copy in zip(
            names, world.broker.outbound_each(wire_topic, routed, {}, names), strict=True
        ):
            if copy is not None:
                assert world.subscribers[name].open(wire_topic, copy).message == b"12.8"
                found.append(name)
        return found

    for _ in range(2):
        for names in (forth, back):
            assert read(world.publisher, names) == [name for name in names if name != "s3"]
            assert read(mallory, names) == [name for name in names if name != "s1"]
            assert read(world.publisher, names, "elsewhere") == ["s1"]
    assert read(world.publisher, growing) == ["s1"]
    growing.append("s2")
    assert read(world.publisher, growing) == ["s1", "s2"]


def test_a_series_remembers_only_so_many_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience, "_LINES_KEPT", 2)
    world = ready(Setup(2), "s1", "s2", "s3")
    lines = world.broker._audiences._lines
    looked_up: list[str] = []
    line_up = Audiences._line_up

    def counted(self: Audiences, publisher: str, topic: str, names: Sequence[str]) -> Any:
        looked_up.append(topic)
        return line_up(self, publisher, topic, names)

    monkeypatch.setattr(Audiences, "_line_up", counted)
    names = ("s1",)
    for _ in range(3):
        for wire_topic, payload in world.publisher.protect(TOPIC, b"12.8"):
            routed = world.broker.inbound("alice", wire_topic, payload)
            for _ in range(2):
                copies = list(world.broker.outbound_each(wire_topic, routed, {}, names))
                assert [copy is None for copy in copies] == [not wire_topic.endswith("/s1")]
            assert 1 <= len(lines) <= 2
    # Twice each time, but looked up once.
    assert len(looked_up) == 9


def test_a_series_makes_no_copy_ahead() -> None:
    world = ready(Setup(2, mode=Mode.SINGLE_CIPHERTEXT), "s1", "s2", "s3")
    ((wire_topic, payload),) = world.publisher.protect(TOPIC, b"12.8")
    routed = world.broker.inbound("alice", wire_topic, payload)
    counted = world.operations[world.broker.party.name]
    copies = world.broker.outbound_each(wire_topic, routed, {}, ["s1", "eve", "s2", "s3"])
    spent = []
    for _ in range(4):
        before = counted.tally
        next(copies)
        spent.append(str(counted.tally - before))
    assert spent == ["E + H", "0", "E + H", "E + H"]


def test_in_a_series_a_spent_key_costs_nobody_else_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ciphers, "MESSAGES_PER_BOX", 3)
    world = ready(Setup(2, mode=Mode.SINGLE_CIPHERTEXT), "s1", "s2")
    ((wire_topic, payload),) = world.publisher.protect(TOPIC, b"12.8")
    routed = world.broker.inbound("alice", wire_topic, payload)
    for _ in range(2):
        assert None not in world.broker.outbound_each(wire_topic, routed, {}, ["s1"])
    copies = world.broker.outbound_each(wire_topic, routed, {}, ["s1", "s2", "s1", "s2"])
    assert [copy is None for copy in copies] == [False, False, True, False]


def test_a_series_of_what_is_no_layer_is_refused_to_all() -> None:
    for setup in SETUPS:
        world = ready(setup, "s1")
        topic = world.subscribers["s1"].topic_filter(TOPIC)
        assert list(world.broker.outbound_each(topic, b"plain text", {}, ["s1", "eve"])) == [None, None]


def test_what_is_not_protected_is_refused() -> None:
    for setup in SETUPS:
        world = ready(setup, "s1")
        s1 = world.subscribers["s1"]
        for payload in (b"", b"plain text", KeepWaiting().encode()):
            with pytest.raises(LayerRefused) as by_broker:
                world.broker.inbound("alice", TOPIC, payload)
            with pytest.raises(LayerRefused) as by_subscriber:
                s1.open(s1.topic_filter(TOPIC), payload)
            assert by_broker.value.check is by_subscriber.value.check is LayerCheck.FORM


def test_a_ciphertext_for_another_subscriber() -> None:
    world = ready(Setup(2))
    topic, payload = world.route(b"12.8")["s2"]
    with pytest.raises(LayerRefused, match="a message for 's2'"):
        world.subscribers["s1"].open(topic, payload)


@given(messages(Layer), st.sampled_from(SETUPS))
def test_no_invented_layer_opens(layer: Layer, setup: Setup) -> None:
    world = _worlds[setup.method]
    s1 = world.subscribers["s1"]
    for refused in (
        lambda: s1.open(s1.topic_filter(TOPIC), layer.encode()),
        lambda: world.broker.outbound("s1", TOPIC, layer.encode(), {}),
    ):
        with pytest.raises(LayerRefused):
            refused()


_worlds = {setup.method: ready(setup, "s1") for setup in SETUPS}


@given(
    st.sampled_from([*SETUPS, *(Setup(3, suite=suite) for suite in ("aes-gcm", "chacha20"))]),
    st.sampled_from(list(Place)),
    st.lists(st.tuples(st.sampled_from(("a", "b/c", "\u00e9")), st.binary(max_size=300)), max_size=5),
)
def test_the_quick_way_to_seal_gives_what_the_encoder_gives(
    setup: Setup, place: Place, said: list[tuple[str, bytes]]
) -> None:
    keys = pair_keys(setup.profile, setup.ciphers, _secret(), "K", ("alice", "s1"))
    key, next_key = keys.forth, keys.back
    for protection in (Protection.I, Protection.EI):
        quick, plain = (
            Sealer(setup, place, protection, "alice", bytes(8), setup.ciphers.box(key), 7) for _ in range(2)
        )
        opener = Opener(
            setup, place, protection, "alice", bytes(8),
            lambda epoch: setup.ciphers.box(key if epoch == 7 else next_key),
        )  # fmt: skip
        for topic, body in said:
            sealed, layer = quick.seal(topic, body), plain.put(topic, body)
            found = decode(sealed, Layer)
            assert opener.take(topic, found) == body
            # The ciphertext has a fresh nonce; all else is equal.
            assert dataclasses.replace(found, body=b"") == dataclasses.replace(layer, body=b"")
            assert len(found.body) == len(layer.body)
        for sealer in (quick, plain):
            sealer.rekey(8, setup.ciphers.box(next_key))
        found = decode(quick.seal("a", b"new"), Layer)
        assert found.epoch == plain.put("a", b"new").epoch == 8
        assert opener.take("a", found) == b"new"


def _secret() -> Key:
    return Key("K", Purpose.SHARED_SECRET, bytes(32))
