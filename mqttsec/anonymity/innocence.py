"""What collaborating bridge brokers learn from one path, and when that is less than a coin toss.

H1+ is the event that at least one collaborator is on the path, I that the first of them got the message
from the initiator. The collaborators' best guess is the first one's predecessor; the initiator has
*probable innocence* if P(I | H1+) <= 1/2. (Reiter and Rubin, Crowds, 1998, section 5; MQTT-A, VIII-D.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mqttsec.anonymity.crowd import (
    Crowd,
    Variant,
    check_c,
    check_count,
    check_n,
    check_p_f,
    check_variant,
)
from mqttsec.errors import ConfigurationError

_TINY = 1e-12
"""Room for rounding where a condition is met exactly: p_f = 0.75 for n = 12, c = 3."""


def collaborator_on_path(crowd: Crowd) -> float:
    """P(H1+): a collaborator is on the path.

    A: c / (n - p h);  B: c / (n - 1 - p (h - 1)).  [Crowds, Theorem 5.2's proof; MQTT-A, VIII-D]
    Each draw meets a collaborator with probability c/m, m the choices; an honest one, of which a draw
    offers k (h in A, h - 1 in B), draws again with probability p: a geometric series with ratio p k/m.
    """
    honest = crowd.h if crowd.variant is Variant.A else crowd.h - 1
    return crowd.c / (crowd.choices - crowd.p_f * honest)


def predecessor_is_initiator(crowd: Crowd) -> float:
    """P(I | H1+): the first collaborator's predecessor is the initiator.

    A: 1 - p (n-c-1)/n;  B: [(n-1) - p (n-c-2)] / (n-1+p).  [Crowds, Theorem 5.2; MQTT-A, VIII-D]
    A: if the first draw meets a collaborator it is surely the initiator, else uniform over all h honest:
    [c/n + (P(H1+) - c/n)/h] / P(H1+). B: let the initiator draw a times in the mean and the other honest
    ones b times; b = p/(n-1) [(h-1) a + (h-2) b], every draw is as dangerous, and P = a / (a + b).
    Raises `ConfigurationError` without a collaborator: then H1+ never happens.
    """
    _want_collaborators(crowd)
    n, c, p = crowd.n, crowd.c, crowd.p_f
    if crowd.variant is Variant.A:
        return 1 - p * (n - c - 1) / n
    return ((n - 1) - p * (n - c - 2)) / (n - 1 + p)


def predecessor_is_another(crowd: Crowd) -> float:
    """P(one given honest broker other than the initiator is the predecessor | H1+): p/n in A.

    The rest of `predecessor_is_initiator`, shared by the h - 1 others, who are all alike; 0 if there is
    none. Raises `ConfigurationError` without a collaborator.
    """
    if crowd.h == 1:
        _want_collaborators(crowd)
        return 0.0
    return (1 - predecessor_is_initiator(crowd)) / (crowd.h - 1)


def round_probabilities(crowd: Crowd) -> tuple[float, float]:
    """(p0, q): what one path shows the collaborators. The ground of the predecessor attack.

    p0 = P(H1+) P(I | H1+), the first predecessor is the initiator; q, the same for each of the h - 1
    other honest brokers. A: q = p c / (n (n - p h)), p0 = c/n + q.  (0, 0) without a collaborator.
    """
    if crowd.c == 0:
        return 0.0, 0.0
    hit = collaborator_on_path(crowd)
    return hit * predecessor_is_initiator(crowd), hit * predecessor_is_another(crowd)


def absolute_privacy(crowd: Crowd) -> float:
    """P(no collaborator is on the path) = 1 - P(H1+): then they learn nothing at all. [Crowds, 5]"""
    return 1 - collaborator_on_path(crowd)


def probable_innocence(crowd: Crowd) -> bool:
    """Whether P(I | H1+) <= 1/2.

    A <=> n >= p/(p - 1/2) (c + 1) and p > 1/2.  [Crowds, Theorem 5.2; MQTT-A, Eq. (2)]
    Raises `ConfigurationError` without a collaborator.
    """
    return predecessor_is_initiator(crowd) <= 0.5 + _TINY


# -- solved for one of the parameters -------------------------------------------------------------


@dataclass(frozen=True)
class Solution:
    """The parameter that gives probable innocence, or None and why there is none."""

    value: float | None
    """The bound; None if nothing will do."""
    reason: str
    """In words: how it comes about, or why nothing will do."""

    @property
    def feasible(self) -> bool:
        """Whether there is one."""
        return self.value is not None

    def __str__(self) -> str:
        return self.reason


def least_p_f(n: int, c: int, variant: Variant | str = Variant.A) -> Solution:
    """The smallest p_f that gives probable innocence to n brokers, c of which collaborate.

    A: p >= n / (2 (n-c-1));  B: p >= (n-1) / (2n - 2c - 3).  Feasible iff the bound is below 1:
    c < n/2 - 1 in A, and 2c < n - 2 in B, which is the same. (With equality the papers call it feasible,
    but p_f = 1 is a path without end.) The bound is above 1/2 for every c >= 1.
    Raises `ConfigurationError` for an n or c that cannot be, or without a collaborator.
    """
    check_n(n)
    check_c(c, n)
    variant = check_variant(variant)
    if c == 0:
        raise ConfigurationError("c=0: nobody collaborates, so every p_f will do; give c from 1 on")
    if variant is Variant.A:
        above, below = n, 2 * (n - c - 1)
    else:
        above, below = n - 1, 2 * n - 2 * c - 3
    if below <= above:
        most = (n - 3) // 2
        can = f"at most {most} of {n} may collaborate" if most >= 1 else f"{n} brokers are too few for any"
        edge = "p_f = 1, a path without end" if below == above else "p_f above 1"
        return Solution(None, f"no p_f will do: {c} of {n} would need {edge}; {can}")
    bound = above / below
    return Solution(bound, f"p_f from {bound:.6f} on")


def least_n(c: int, p_f: float, variant: Variant | str = Variant.A) -> Solution:
    """The smallest n that gives probable innocence against c collaborators.

    A: n >= p/(p - 1/2) (c + 1);  B: n >= (2 p c + 3 p - 1) / (2 p - 1); both for p > 1/2 alone: with
    p_f = 1/2 or less the predecessor is the initiator more often than not however many brokers there are.
    Raises `ConfigurationError` for a c or p_f that cannot be.
    """
    check_count(c, "c")
    check_p_f(p_f)
    variant = check_variant(variant)
    if p_f <= 0.5:
        exactly = "p_f = 0.5 resists nobody" if p_f == 0.5 else f"p_f = {p_f:g} resists nobody"
        return Solution(None, f"no n will do: {exactly}, not even one collaborator; choose p_f above 0.5")
    if variant is Variant.A:
        bound = p_f / (p_f - 0.5) * (c + 1)
    else:
        bound = (2 * p_f * c + 3 * p_f - 1) / (2 * p_f - 1)
    least = math.ceil(bound - 1e-9)
    return Solution(least, f"{least} brokers or more (the bound is {bound:.3f})")


def most_collaborators(n: int, p_f: float, variant: Variant | str = Variant.A) -> Solution:
    """The largest c that n brokers resist with probable innocence.

    A: c <= n (p - 1/2)/p - 1;  B: c <= [n (2p - 1) - 3p + 1] / (2p): `least_n`, solved for c.
    Raises `ConfigurationError` for an n or p_f that cannot be.
    """
    check_n(n)
    check_p_f(p_f)
    variant = check_variant(variant)
    if p_f <= 0.5:
        return Solution(
            None, f"p_f = {p_f:g} resists nobody, not even one collaborator; choose p_f above 0.5"
        )
    if variant is Variant.A:
        bound = n * (p_f - 0.5) / p_f - 1
    else:
        bound = (n * (2 * p_f - 1) - 3 * p_f + 1) / (2 * p_f)
    most = math.floor(bound + 1e-9)
    if most < 1:
        return Solution(None, f"{n} brokers with p_f = {p_f:g} resist nobody, not even one collaborator")
    return Solution(most, f"up to {most} of {n} collaborators ({100 * most / n:.1f} %)")


def collaborating_share_limit(p_f: float) -> float:
    """c/n that a crowd of very many brokers resists: (p - 1/2)/p = 1 - 1/(2p); 0 for p <= 1/2.

    [X] "33 %" (MQTT-A) wants p_f = 0.75 and n without bound; at 0.67 it is about 25 %.
    Raises `ConfigurationError` for a p_f that cannot be.
    """
    check_p_f(p_f)
    return max(0.0, 1 - 1 / (2 * p_f)) if p_f > 0 else 0.0


def printed_bound(n: int) -> float:
    """[X] The lower bound of p_f as MQTT-A, VIII-D prints it: (1/2 - 1/n) / (1 - 2/n).

    It does not contain c, and is 1/2 for every n > 2: (n-2)/(2n) over (n-2)/n. Right is `least_p_f`.
    Raises `ConfigurationError` for n = 2, where it is 0/0.
    """
    check_n(n)
    if n == 2:
        raise ConfigurationError("n=2: the printed bound is 0/0; give n from 3 on")
    return (1 / 2 - 1 / n) / (1 - 2 / n)


def _want_collaborators(crowd: Crowd) -> None:
    if crowd.c == 0:
        raise ConfigurationError(
            "c=0: without a collaborator nothing is ever observed; give c from 1 on, "
            "or ask for absolute_privacy, which is 1"
        )
