"""Each number serves once, and none that is too late to tell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttsec.e2e.window import Window


@given(st.lists(st.integers(0, 60), max_size=80), st.integers(1, 40))
def test_a_number_serves_once_and_not_too_late(numbers: list[int], width: int) -> None:
    window, taken = Window(width), set[int]()
    for number in numbers:
        highest = max(taken, default=0)
        late = number <= highest - width if width > 1 else number < highest
        assert window.is_new(number) is (number > 0 and number not in taken and not late)
        if window.is_new(number):
            window.accept(number)
            taken.add(number)
        assert window.highest == max(taken, default=0)


@given(st.lists(st.tuples(st.sampled_from((1, 1, 1, 2, 5, -1, -3)), st.booleans()), max_size=120))
def test_who_counts_up_itself_has_done_what_accept_does(steps: list[tuple[int, bool]]) -> None:
    plain, counted = Window(16), Window(16)
    for step, itself in steps:
        number = plain.highest + step
        if not plain.is_new(number):
            continue
        plain.accept(number)
        if itself and step == 1:
            counted.highest += 1
            counted.run += 1
        else:
            counted.accept(number)
        for around in range(plain.highest - 20, plain.highest + 3):
            assert plain.is_new(around) is counted.is_new(around)


@pytest.mark.parametrize("width", [1, 40])
def test_a_number_far_ahead_costs_no_memory(width: int) -> None:
    window = Window(width)
    window.accept(1)
    window.accept(2**64 - 2)
    for number in (1, 2**64 - 2, 2**64 - 2 - width):
        assert not window.is_new(number)
    assert window.is_new(2**64 - 1)
    assert window.is_new(2**64 - 3) is (width > 1)


def test_a_long_run_costs_no_memory() -> None:
    window = Window(40)
    for number in range(1, 5000):
        window.accept(number)
    window.accept(5001)
    assert [number for number in range(5003) if window.is_new(number)] == [5000, 5002]
    assert window._mask.bit_length() <= 40
