"""Counting: tallies read as the paper writes them, and no thread's work is lost."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from mqttsec.crypto import Operation, Operations, Tally

tallies = st.dictionaries(st.sampled_from(Operation), st.integers(min_value=0, max_value=50)).map(Tally)


def test_a_tally_reads_as_in_the_paper() -> None:
    e, h = Operation.E, Operation.H
    assert str(Tally()) == "0"
    assert str(Tally.of(h, e)) == "E + H"
    assert str(Tally.of(e, h) * 10) == "10E + 10H"
    assert str(Tally.of(Operation.SIGN, Operation.VERIFY, Operation.VERIFY)) == "1 sign + 2 verify"
    assert repr(Tally.of(e)) == "Tally(E)"


def test_a_tally_goes_into_an_event_in_the_order_of_reports() -> None:
    tally = Tally({Operation.WRAP: 1, Operation.E: 3, Operation.D: 0})
    assert tally.pairs() == (("E", 3), ("wrap", 1))
    assert tally[Operation.D] == 0


@given(tallies, tallies, st.integers(min_value=0, max_value=9))
def test_tallies_add_and_subtract(one: Tally, two: Tally, times: int) -> None:
    assert one + two - two == one
    assert one + two == two + one
    assert hash(one + two) == hash(two + one)
    assert times * one == sum([one] * times, Tally())
    assert bool(one) == any(count for _, count in one.pairs())


def test_a_tally_does_not_change_when_more_happens() -> None:
    operations = Operations("P")
    before = operations.tally
    operations.add((Operation.E, Operation.H))
    assert before == Tally()
    assert operations.tally - before == Tally.of(Operation.E, Operation.H)
    assert repr(operations) == "Operations('P': E + H)"


def test_nothing_is_lost_among_threads() -> None:
    operations = Operations()
    begin = threading.Barrier(4)

    def work() -> None:
        begin.wait()
        for _ in range(5_000):
            operations.add((Operation.H,))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert operations.tally[Operation.H] == 20_000
