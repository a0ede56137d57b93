"""Many messages: how many paths they take, and how often the collaborators note whom.

A path is drawn anew for each message (as MQTT-A has it), or kept for a lifetime (a sticky path). Each new
path is one *round* for the collaborators; further messages along the same path show them nothing new.
"""

from __future__ import annotations

import math

from mqttsec.anonymity.crowd import Crowd, check_count
from mqttsec.anonymity.innocence import round_probabilities
from mqttsec.errors import ConfigurationError


def check_lifetime(lifetime: object) -> int | None:
    """A path's lifetime in messages; None is for ever.

    Raises `ConfigurationError` unless it is None or a whole number from 1 on.
    """
    if lifetime is None:
        return None
    if isinstance(lifetime, bool) or not isinstance(lifetime, int) or lifetime < 1:
        raise ConfigurationError(
            f"lifetime={lifetime!r}: a path lives for 1 message or more, a whole number, or for ever (None)"
        )
    return lifetime


def rounds(messages: int, lifetime: int | None = 1) -> int:
    """How many paths so many messages take: ceil(messages / lifetime), 1 for ever; 0 for no message.

    Raises `ConfigurationError` for a negative number or lifetime.
    """
    check_count(messages, "messages", 0)
    lifetime = check_lifetime(lifetime)
    if lifetime is None:
        return min(messages, 1)
    return -(-messages // lifetime)


def messages_per_path(lifetime_s: float, interval_s: float) -> int:
    """Messages that one path of `lifetime_s` seconds carries, one every `interval_s` seconds: at least 1.

    floor(lifetime / interval) + 1, since the first one opens it. Raises `ConfigurationError` for a
    negative lifetime, or an interval that is not above 0.
    """
    if not lifetime_s >= 0:
        raise ConfigurationError(f"lifetime_s={lifetime_s!r}: a lifetime is 0 seconds or more")
    if not interval_s > 0:
        raise ConfigurationError(f"interval_s={interval_s!r}: messages are more than 0 seconds apart")
    if math.isinf(lifetime_s):
        raise ConfigurationError("a path that lives for ever carries every message: use lifetime=None")
    return math.floor(lifetime_s / interval_s + 1e-9) + 1


def noted(crowd: Crowd, rounds: int, at_least: int = 1) -> float:
    """P(the initiator is the first predecessor in `at_least` of so many rounds): a binomial tail.

    sum over k >= at_least of C(R, k) p0^k (1 - p0)^(R-k), p0 of `innocence.round_probabilities`; for one,
    1 - (1 - p0)^R. Raises `ConfigurationError` for a negative number.
    """
    return binomial_tail(rounds, round_probabilities(crowd)[0], at_least)


def noted_wrongly(crowd: Crowd, rounds: int, at_least: int = 1) -> float:
    """P(one given other honest broker is the first predecessor so often): the same tail with q for p0.

    0 if there is no other one. Raises `ConfigurationError` for a negative number.
    """
    return binomial_tail(rounds, round_probabilities(crowd)[1], at_least)


def observed(crowd: Crowd, rounds: int, at_least: int = 1) -> float:
    """P(a collaborator is on the path in `at_least` of so many rounds), whoever is noted.

    The same tail with P(H1+). Raises `ConfigurationError` for a negative number.
    """
    p0, q = round_probabilities(crowd)
    return binomial_tail(rounds, p0 + (crowd.h - 1) * q, at_least)


def binomial_tail(rounds: int, p: float, at_least: int) -> float:
    """P(X >= at_least), X binomial with so many rounds of probability p.

    The smaller side is summed, in logarithms, so that it neither overflows nor cancels.
    Raises `ConfigurationError` for a negative number of rounds or of times.
    """
    check_count(rounds, "rounds", 0)
    check_count(at_least, "at_least", 0)
    p = min(max(p, 0.0), 1.0)
    if at_least == 0:
        return 1.0
    if at_least > rounds or p == 0:
        return 0.0
    if p == 1:
        return 1.0
    if at_least <= rounds * p:
        return 1 - sum(binomial(rounds, p, k) for k in range(at_least))
    return sum(binomial(rounds, p, k) for k in range(at_least, rounds + 1))


def binomial(rounds: int, p: float, k: int) -> float:
    """P(X = k): C(R, k) p^k (1-p)^(R-k), for 0 < p < 1."""
    ways = math.lgamma(rounds + 1) - math.lgamma(k + 1) - math.lgamma(rounds - k + 1)
    return math.exp(ways + k * math.log(p) + (rounds - k) * math.log1p(-p))
