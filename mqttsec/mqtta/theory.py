"""What chance predicts for a network: how many subscriptions the published loop rule loses, and how well a
sample fits a distribution. Path lengths and exits stand in `mqttsec.anonymity.crowd`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

from mqttsec.errors import ConfigurationError
from mqttsec.mqtta.policies import Variant

K = TypeVar("K")

_LEAST_EXPECTED = 5.0
"""Cells of a chi-square test that expect less are put together (Cochran's rule)."""


def lost_by_loop_rule(n: int, p_f: float, variant: Variant | str) -> float:
    """The fraction of subscriptions that end before the public broker under the *published* loop rule.

    A subscription is lost when it comes to a broker for the second time. With k brokers visited, the last one
    just now, it leaves with 1 - p_f; else it goes to one of n (A) or of the n - 1 others (B), of which n - k
    are new: s_k = 1 - p_f + p_f (n-k)/m s_(k+1). The first hop is always made: lost = 1 - (n-1)/m s_2, with
    m = n (A) or n - 1 (B). Raises `ConfigurationError` for fewer than two brokers or a p_f outside [0, 1).
    """
    if n < 2 or not 0 <= p_f < 1:
        raise ConfigurationError(f"n={n!r}, p_f={p_f!r}: give two brokers at least and 0 <= p_f < 1")
    choices = n if Variant(variant) is Variant.A else n - 1
    arrives = 0.0
    for visited in range(n, 1, -1):
        arrives = 1 - p_f + p_f * (n - visited) / choices * arrives
    return 1 - (n - 1) / choices * arrives


def chi_square(observed: Mapping[K, int], expected: Mapping[K, float]) -> tuple[float, int, float]:
    """Pearson's test: (statistic, degrees of freedom, P(a statistic at least so large) by chance).

    `expected` are counts for every cell; neighbours that expect less than 5 are put together.
    Raises `ConfigurationError` where fewer than two cells are left.
    """
    cells: list[tuple[float, float]] = []
    had, hoped = 0.0, 0.0
    for key, count in expected.items():
        had, hoped = had + observed.get(key, 0), hoped + count
        if hoped >= _LEAST_EXPECTED:
            cells.append((had, hoped))
            had = hoped = 0.0
    if hoped or had:
        last = cells.pop() if cells else (0.0, 0.0)
        cells.append((last[0] + had, last[1] + hoped))
    if len(cells) < 2:
        raise ConfigurationError("a chi-square test needs two cells that expect 5 each: take more messages")
    statistic = sum((had - hoped) ** 2 / hoped for had, hoped in cells)
    freedom = len(cells) - 1
    return statistic, freedom, upper_gamma(freedom / 2, statistic / 2)


def upper_gamma(a: float, x: float) -> float:
    """Q(a, x), the regularised upper incomplete gamma function, for a > 0, x >= 0.

    By its series below a + 1, by Lentz's continued fraction above (DLMF 8.7.1, 8.9.2).
    """
    if x <= 0:
        return 1.0
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        step = a
        while abs(term) > 1e-16 * total:
            step += 1
            term *= x / step
            total += term
        return 1 - scale * total
    tiny = 1e-300
    b = x + 1 - a
    c, d = 1 / tiny, 1 / b
    h = d
    for i in range(1, 10_000):
        an = -i * (i - a)
        b += 2
        d = an * d + b
        d = 1 / (d if abs(d) > tiny else tiny)
        c = b + an / c
        c = c if abs(c) > tiny else tiny
        h *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return scale * h
