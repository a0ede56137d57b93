"""A turn that other programs disturbed is taken again, and the least disturbed counts."""

from __future__ import annotations

import pytest

from mqttsec.measure import spare
from mqttsec.measure.spare import Spare


class Turns:
    """A second each by a clock of their own; they report one disturbance after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *shares: float) -> None:
        self.left = list(shares)
        self.now = 0.0
        monkeypatch.setattr(spare.time, "monotonic", lambda: self.now)

    def __call__(self) -> float:
        self.now += 1.0
        return self.left.pop(0)


@pytest.mark.parametrize(
    ("shares", "seconds", "kept", "left"),
    [
        ((0.01, 0.0), 9.0, 0.01, 1),
        ((0.5, 0.02, 0.0), 9.0, 0.02, 1),
        ((0.5, 0.3, 0.4, 0.0), 9.0, 0.3, 1),  # never good: the least disturbed of three
        ((0.3, 0.5, 0.4, 0.0), 9.0, 0.3, 1),
        ((0.5, 0.3, 0.0), 1.0, 0.3, 1),  # no time for a third
        ((0.5, 0.0), 0.0, 0.5, 1),
        ((0.9, 0.0), 9.0, 0.9, 1),  # the last that there can be
    ],
)
def test_a_disturbed_turn_is_taken_again(
    shares: tuple[float, ...], seconds: float, kept: float, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = Turns(monkeypatch, *shares)
    assert Spare(seconds).least_disturbed(turns, float, lambda share: share == 0.9) == kept
    assert len(turns.left) == left


def test_the_time_is_one_for_all_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    turns, spared = Turns(monkeypatch, *[0.5] * 9), Spare(3.0)
    spared.least_disturbed(turns, float)
    assert (spared.seconds, len(turns.left)) == (1.0, 6)
    spared.least_disturbed(turns, float)
    assert (spared.seconds, len(turns.left)) == (0.0, 4)
    spared.least_disturbed(turns, float)
    assert (spared.seconds, len(turns.left)) == (0.0, 3), "only the first attempt, which costs nothing of it"
