"""Estimates with their uncertainty: no number of a simulation or a tally stands alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mqttsec.anonymity.crowd import check_count
from mqttsec.errors import ConfigurationError

Z_95 = 1.959963984540054
"""Half the width of a 95 % band, in standard errors."""


@dataclass(frozen=True)
class Estimate:
    """A value and its confidence band."""

    value: float
    """The estimate."""
    low: float
    """Lower end of the band."""
    high: float
    """Upper end of the band."""
    count: int
    """Of so many trials."""

    def sigmas(self, truth: float) -> float:
        """How many standard errors of `truth`, taken as a proportion, the value is away from it.

        The error is that of the truth, sqrt(t (1-t) / count), so it is right at the edges too: infinite
        if the truth is 0 or 1 and the value is not. Raises `ConfigurationError` if there was no trial.
        """
        if self.count == 0:
            raise ConfigurationError("there was no trial: nothing can be compared")
        spread = math.sqrt(truth * (1 - truth) / self.count) if 0 < truth < 1 else 0.0
        if spread == 0:
            return 0.0 if self.value == truth else math.inf
        return abs(self.value - truth) / spread

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"


def proportion(hits: int, count: int, z: float = Z_95) -> Estimate:
    """The share of `hits` in `count` trials with Wilson's score interval (E. B. Wilson, 1927).

    (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n): it stays within 0 and 1, and is right for
    few trials and for shares near the ends. Without a trial all of 0 to 1 is possible.
    Raises `ConfigurationError` for more hits than trials, or a z that is not above 0.
    """
    check_count(count, "count", 0)
    check_count(hits, "hits", 0)
    if hits > count:
        raise ConfigurationError(f"{hits} hits in {count} trials cannot be")
    if not z > 0:
        raise ConfigurationError(f"z={z!r}: give the width of the band in standard errors, such as 1.96")
    if count == 0:
        return Estimate(math.nan, 0.0, 1.0, 0)
    share = hits / count
    scale = 1 + z * z / count
    middle = (share + z * z / (2 * count)) / scale
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / scale
    low = 0.0 if hits == 0 else max(0.0, middle - half)
    high = 1.0 if hits == count else min(1.0, middle + half)
    return Estimate(share, low, high, count)


def mean(total: float, squares: float, count: int, z: float = Z_95) -> Estimate:
    """The mean of `count` values with sum `total` and sum of squares `squares`, and its normal band.

    The half width is z s / sqrt(count), s^2 the unbiased variance; unbounded with fewer than two values.
    Raises `ConfigurationError` for a negative count, or a z that is not above 0.
    """
    check_count(count, "count", 0)
    if not z > 0:
        raise ConfigurationError(f"z={z!r}: give the width of the band in standard errors, such as 1.96")
    if count < 2:
        return Estimate(total if count else math.nan, -math.inf, math.inf, count)
    middle = total / count
    variance = max(0.0, (squares - count * middle * middle) / (count - 1))
    half = z * math.sqrt(variance / count)
    return Estimate(middle, middle - half, middle + half, count)
