"""A turn that other programs disturbed is taken again, and the least disturbed counts."""

from __future__ import annotations

import time

import pytest

from mqttsec.measure.spare import Spare


@pytest.mark.parametrize(
    ("shares", "seconds", "kept", "left"),
    [
        ((0.01, 0.0), 9.0, 0.01, 1),
        ((0.5, 0.02, 0.0), 9.0, 0.02, 1),
        ((0.5, 0.3, 0.4, 0.0), 9.0, 0.3, 1),  # never good: the least disturbed of three
        ((0.3, 0.5, 0.4, 0.0), 9.0, 0.3, 1),
        ((0.5, 0.3, 0.0), 0.005, 0.3, 1),  # no time for a third
        ((0.5, 0.0), 0.0, 0.5, 1),
        ((0.9, 0.0), 9.0, 0.9, 1),  # the last that there can be
    ],
)
def test_a_disturbed_turn_is_taken_again(
    shares: tuple[float, ...], seconds: float, kept: float, left: int
) -> None:
    given = list(shares)

    def turn() -> float:
        time.sleep(0.01)
        return given.pop(0)

    assert Spare(seconds).least_disturbed(turn, float, lambda share: share == 0.9) == kept
    assert len(given) == left


def test_the_time_is_one_for_all_turns() -> None:
    spare = Spare(0.05)

    def turn() -> float:
        time.sleep(0.03)
        return 0.5

    assert spare.least_disturbed(turn, float) == 0.5
    assert spare.seconds < 0
    began = time.monotonic()
    spare.least_disturbed(turn, float)
    assert time.monotonic() - began < 0.06, "no second time"
