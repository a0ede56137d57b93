"""Entries and sets of discovery: they converge whatever the order, and nothing malformed gets in."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttsec.errors import ConfigurationError, MalformedPacketError
from mqttsec.mqtta.notices import (
    At,
    Entry,
    Notice,
    PairSet,
    Part,
    entry_payload,
    merged,
    part_topic,
    read_entry,
)

ADDRESSES = [At("p1", 1883), At("p2", 1883), At("p3", 8883)]


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    generation = draw(st.integers(1, 4))
    value = draw(st.sampled_from(ADDRESSES)) if generation % 2 else None
    key = draw(st.sampled_from(["a", "b/c", "d"]))
    return Entry(
        key, value, generation, draw(st.sampled_from([1.0, 2.0])), draw(st.sampled_from(["d1", "d2"]))
    )


@given(st.lists(entries(), max_size=12), st.randoms(use_true_random=False))
def test_every_order_ends_equal(given: list[Entry], rng: random.Random) -> None:
    shuffled = given[:]
    rng.shuffle(shuffled)
    assert merged(given) == merged(shuffled) == merged(given + shuffled)


@given(entries())
def test_an_entry_survives_the_wire(entry: Entry) -> None:
    assert read_entry(entry_payload(entry)) == entry


def test_the_first_pair_wins_and_a_withdrawn_one_may_be_announced_anew() -> None:
    pairs = PairSet()
    for value, stands in [(ADDRESSES[0], True), (ADDRESSES[1], False), (None, True), (None, False)]:
        entry = pairs.next("t", value, 1.0, "d1")
        assert (entry is not None) is stands
        assert entry is None or pairs.merge(entry)
    later = pairs.next("t", ADDRESSES[1], 2.0, "d1")
    assert later is not None and later.generation == 3
    # A slow discovery broker's older pair does not come back.
    pairs.merge(later)
    assert not pairs.merge(Entry("t", ADDRESSES[0], 1, 0.5, "d2"))
    assert pairs.value("t") == ADDRESSES[1]


def test_a_set_is_read_back_from_its_parts() -> None:
    pairs = PairSet(part_size=10)
    for number in range(37):
        entry = pairs.next(f"topic/{number}", ADDRESSES[number % 3], float(number), "d1")
        assert entry is not None and pairs.merge(entry)
    parts = [Part.read(pairs.part(number)) for number in range(pairs.parts)]
    assert [len(part.entries) for part in parts] == [10, 10, 10, 7]
    assert {part.parts for part in parts} == {4}
    assert merged(entry for part in parts for entry in part.entries) == pairs.pairs()
    assert pairs.part_of("topic/36") == 3
    assert [part_topic("T_S", number) for number in range(2)] == ["T_S", "T_S/1"]
    assert Part.read(PairSet().part(0)) == Part(1, ()), "an empty set has one part, so that somebody can wait"
    with pytest.raises(ConfigurationError, match="1 entry or more"):
        PairSet(0)


GOOD = {"key": "seattle/wind", "at": "p1:1883", "present": True}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"key": "a/+"}, "wildcard"),
        ({"key": ""}, "at least one character"),
        ({"key": "$SYS/x"}, "begin with"),
        ({"key": "x" * 1025}, "1024 bytes"),
        ({"key": 7}, "text"),
        ({"present": 1}, "true or false"),
        ({"at": "p1"}, "host:port"),
        ({"at": "p1:0"}, "host:port"),
        ({"at": "p1:65536"}, "host:port"),
        ({"at": ":1883"}, "host:port"),
        ({"at": "p 1:1883"}, "host:port"),
        ({"at": "p1:\u0661"}, "host:port"),
        ({"at": None}, "host:port"),
        ({"more": 1}, "fields"),
    ],
)
def test_a_malformed_notice_is_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(MalformedPacketError, match=why) as caught:
        Notice.read(json.dumps(GOOD | change).encode(), peers=False)
    assert caught.value.reason_code == 0x99


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[]", b"7", b"[" * 5000, b'{"key":NaN}'])
def test_what_is_no_notice_at_all(payload: bytes) -> None:
    for read in (lambda raw: Notice.read(raw, True), read_entry, Part.read):
        with pytest.raises(MalformedPacketError):
            read(payload)


def test_a_bridge_broker_speaks_for_its_own_address_only() -> None:
    assert Notice.read(Notice("b1:1883", At("b1", 1883)).payload(), peers=True).value == At("b1", 1883)
    with pytest.raises(MalformedPacketError, match="own address"):
        Notice.read(Notice("b2:1883", At("b1", 1883)).payload(), peers=True)


@pytest.mark.parametrize(
    "row",
    [
        [],
        ["a", None, 1, 0, "d"],
        ["a", "p:1", 2, 0, "d"],
        ["a", "p:1", 1, True, "d"],
        ["a", "p:1", 0, 0, "d"],
        ["a", "p:1", 1, 1e13, "d"],
        [1, "p:1", 1, 0, "d"],
    ],
)
def test_a_malformed_entry_is_refused(row: list[object]) -> None:
    with pytest.raises(MalformedPacketError):
        read_entry(json.dumps(row).encode())
