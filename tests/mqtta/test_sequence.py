"""Sequence numbers put back in order, once each, what came in any order; gaps are named."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqttsec.errors import ConfigurationError, MalformedPacketError
from mqttsec.mqtta.sequence import Reorderer, Sequencer, read_numbered


@given(st.permutations(range(12)), st.lists(st.integers(0, 11), max_size=5))
@settings(max_examples=60, deadline=None)
def test_any_order_becomes_the_right_one_and_each_comes_once(order: list[int], again: list[int]) -> None:
    stamp = Sequencer(random.Random(1)).stamp
    sent = [stamp(f"{number}") for number in range(12)]
    reorderer = Reorderer()
    out = [each for number in [*order, *again] for each in reorderer.take(sent[number])]
    assert [each.payload for each in out] == [f"{number}".encode() for number in range(12)]
    assert reorderer.duplicates == len(again) and not reorderer.missing and not reorderer.held


def test_publishers_do_not_wait_for_each_other() -> None:
    one, two = Sequencer(random.Random(1)), Sequencer(random.Random(2))
    held, first = one.stamp("a"), two.stamp("b")
    reorderer = Reorderer()
    assert not reorderer.take(one.stamp("later"))
    assert [each.payload for each in reorderer.take(first)] == [b"b"]
    assert [each.payload for each in reorderer.take(held)] == [b"a", b"later"]


def test_a_gap_is_given_up_when_the_window_is_full_and_named() -> None:
    sequencer = Sequencer(random.Random(1))
    sent = [sequencer.stamp(b"%d" % number) for number in range(8)]
    reorderer = Reorderer(window=3)
    assert [each.number for each in reorderer.take(sent[0])] == [0]
    assert reorderer.take(sent[2]) == reorderer.take(sent[3]) == []
    assert [each.number for each in reorderer.take(sent[4])] == [2, 3, 4]
    assert reorderer.missing == [(sequencer.stream, 1)]
    assert reorderer.take(sent[1]) == [] and reorderer.duplicates == 1
    reorderer.take(sent[6])
    assert [each.number for each in reorderer.flush()] == [6]
    assert reorderer.missing[-1] == (sequencer.stream, 5)


def test_what_has_no_number_says_so() -> None:
    for payload in (b"", b"12.8", b"MQA1" + bytes(15)):
        with pytest.raises(MalformedPacketError, match="no sequence number"):
            read_numbered(payload)
    with pytest.raises(ConfigurationError):
        Reorderer(0)
