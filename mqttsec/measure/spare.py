"""Turns of a benchmark that another program disturbed are taken again, while there is time for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from mqttsec.measure.plan import DISTURBED

ATTEMPTS = 3
"""How often a turn is taken at most."""

T = TypeVar("T")


class Spare:
    """The time that repetitions may take, for all turns of a run together."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        """What is left of it."""

    def least_disturbed(
        self,
        turn: Callable[[], T],
        disturbance: Callable[[T], float],
        last: Callable[[T], bool] = lambda found: False,
    ) -> T:
        """What `turn` gives when it is disturbed least, whatever else it gives.

        `disturbance` says for how much of the time another program had the cores; after one that is `last`
        no other is taken.
        """
        taken: list[tuple[float, T]] = []
        for attempt in range(ATTEMPTS):
            began = time.monotonic()
            found = turn()
            if attempt:
                self.seconds -= time.monotonic() - began
            taken.append((disturbance(found), found))
            if taken[-1][0] <= DISTURBED or self.seconds <= 0 or last(found):
                break
        return min(taken, key=lambda each: each[0])[1]
