"""The predecessor attack: who comes first before the collaborators most often is the initiator.

In each round the first collaborator's predecessor is the initiator with p0, each of the h - 1 other honest
brokers with q (`innocence.round_probabilities`), nobody with the rest. The collaborators count, per broker
and topic. (Reiter and Rubin, 1998, section 5.2.1; Wright, Adler, Levine, Shields, 2002 and 2004.)

[X] MQTT-A draws a fresh path for each message, so that each is a new round. Sticky paths stretch it: a
lifetime of t messages makes ceil(messages / t) rounds of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mqttsec.anonymity.crowd import Crowd, check_count, check_probability
from mqttsec.anonymity.innocence import round_probabilities
from mqttsec.anonymity.rounds import binomial_tail, check_lifetime, rounds
from mqttsec.errors import ConfigurationError

MOST_ROUNDS = 500
"""So many rounds are computed exactly; beyond, the bound or a simulation has to do."""
_NEGLIGIBLE = 1e-13

Convolve = Callable[[Any, Any], Any]
"""The product of two polynomials, given by their coefficients; `numpy.convolve` is one."""


# -- what the collaborators conclude --------------------------------------------------------------


def posterior(crowd: Crowd, counts: Sequence[int]) -> tuple[float, ...]:
    """P(initiator = j | counts) for each honest broker j, `counts[j]` rounds having noted it.

    Exact, by Bayes over a uniform initiator: the counts are multinomial, and all that depends on j is
    p0^k_j q^(K - k_j), so P(j) is proportional to (p0/q)^k_j. Evenly spread if nothing was noted.
    Raises `ConfigurationError` for counts that are not h whole numbers from 0 on, or that cannot come
    about (two brokers noted though only the initiator ever can be).
    """
    if len(counts) != crowd.h:
        raise ConfigurationError(f"{len(counts)} counts for {crowd.h} honest brokers: give one for each")
    for count in counts:
        check_count(int(count) if float(count).is_integer() else count, "count", 0)
    p0, q = round_probabilities(crowd)
    most = max(counts)
    if most and not p0:
        raise ConfigurationError("without a collaborator nobody is ever noted: the counts must be 0")
    if most and not q:
        if sum(count > 0 for count in counts) > 1:
            raise ConfigurationError("with p_f = 0 only the initiator is ever noted, not two brokers")
        return tuple(float(count > 0) for count in counts)
    slope = math.log(p0 / q) if most else 0.0
    weights = [math.exp(slope * (count - most)) for count in counts]
    total = sum(weights)
    return tuple(weight / total for weight in weights)


# -- how often they are right ---------------------------------------------------------------------


def named(
    crowd: Crowd, messages: int, lifetime: int | None = 1, *, convolve: Convolve | None = None
) -> float:
    """P(the initiator is noted oftener than anybody else) after so many messages: it is named.

    Exact; see `curve`. Raises `ConfigurationError` for a negative number or lifetime, or more than
    `MOST_ROUNDS` rounds.
    """
    return curve(crowd, rounds(messages, lifetime), convolve=convolve)[-1]


def guessed(
    crowd: Crowd, messages: int, lifetime: int | None = 1, *, convolve: Convolve | None = None
) -> float:
    """P(the best guess is the initiator), ties broken by lot: at least 1/h, which is a guess of no message.

    What `named` is, and the share of the ties that lots decide in the collaborators' favour: the success of
    whoever must say a name. Raises `ConfigurationError` as `named` does.
    """
    return curve(crowd, rounds(messages, lifetime), lots=True, convolve=convolve)[-1]


def named_by_message(
    crowd: Crowd, messages: int, lifetime: int | None = 1, *, lots: bool = False,
    convolve: Convolve | None = None,
) -> list[float]:  # fmt: skip
    """`named` (with `lots`: `guessed`) after 0, 1, ..., `messages` messages; a stair for sticky paths.

    Raises `ConfigurationError` as `named` does.
    """
    by_round = curve(crowd, rounds(messages, lifetime), lots=lots, convolve=convolve)
    return [by_round[rounds(number, lifetime)] for number in range(messages + 1)]


def curve(crowd: Crowd, most: int, *, lots: bool = False, convolve: Convolve | None = None) -> list[float]:
    """P(the initiator is noted oftener than anybody else) after 0, 1, ..., `most` rounds.

    The counts after R rounds are multinomial. Summed over the initiator's count k, with r = 1 - p0 - (h-1) q
    and S_k(x) = sum over j <= k of (q x)^j / j!,

        P(R) = R! [x^R] sum over k of (p0 x)^k / k! e^(r x) S_(k-1)^(h-1)

    ([x^R] is the coefficient of x^R.) With `lots`, ties are decided by them: put the brokers in a random
    order; the initiator, at place i, wins if the i before it have fewer than k and the rest no more than k:
    (1/h) sum over i of S_(k-1)^i S_k^(h-1-i) stands for the last factor. All terms are positive, so that
    nothing cancels. `convolve` multiplies two polynomials; `numpy.convolve` is quicker than the plain one.
    [Derived here; the tests enumerate.]
    Raises `ConfigurationError` for a negative number of rounds, or more than `MOST_ROUNDS`.
    """
    check_count(most, "rounds", 0)
    if most > MOST_ROUNDS:
        raise ConfigurationError(
            f"{most} rounds are more than the {MOST_ROUNDS} that are computed exactly; "
            "use error_bound, or simulate"
        )
    p0, q = round_probabilities(crowd)
    product = _truncated(convolve or _convolve, most + 1)
    idle = _poisson(most * max(0.0, 1 - p0 - (crowd.h - 1) * q), most)
    whole = [0.0] * (most + 1)
    for k in range(0 if lots else 1, most + 1):
        if lots:
            rest, share = _ties(most * q, k, crowd.h - 1, product), 1 / crowd.h
        else:
            rest, share = _power(_poisson(most * q, k - 1), crowd.h - 1, product), 1.0
        own = share * _poisson_at(most * p0, k)
        for at, value in enumerate(product(idle, rest)[: most + 1 - k]):
            whole[k + at] += own * value
        if binomial_tail(most, p0, k + 1) < _NEGLIGIBLE:
            break
    # What was computed are Poisson numbers of rounds with mean `most`: given R of them, they are multinomial.
    return [min(1.0, float(value) / _poisson_at(most, number)) for number, value in enumerate(whole)]


def messages_until(
    crowd: Crowd, probability: float = 0.95, lifetime: int | None = 1, *, lots: bool = False,
    convolve: Convolve | None = None,
) -> int | None:  # fmt: skip
    """The first message after which `named` (with `lots`: `guessed`) is at least `probability`.

    With rounds R: (R - 1) lifetime + 1 messages, since the first one on a path shows all that it ever
    shows. None if that never comes, or would take more than `MOST_ROUNDS` rounds.
    Raises `ConfigurationError` for a probability or lifetime that cannot be.
    """
    check_probability(probability, "probability")
    lifetime = check_lifetime(lifetime)
    most = 1 if lifetime is None else 32
    while True:
        for number, value in enumerate(curve(crowd, most, lots=lots, convolve=convolve)):
            if value >= probability:
                return 0 if number == 0 else (number - 1) * (lifetime or 1) + 1
        if most == MOST_ROUNDS or lifetime is None:
            return None
        most = min(4 * most, MOST_ROUNDS)


# -- bounds ---------------------------------------------------------------------------------------


def error_bound(crowd: Crowd, rounds: int) -> float:
    """P(another broker is noted as often as the initiator, or oftener) <= (h-1) (1 - (sqrt p0 - sqrt q)^2)^R.

    Chernoff, for each of the h - 1 others, with s = sqrt(p0/q): E[s^(k_j - k_i)] is the R-th power of
    1 - p0 - q + 2 sqrt(p0 q). At most 1. Raises `ConfigurationError` for a negative number of rounds.
    """
    check_count(rounds, "rounds", 0)
    p0, q = round_probabilities(crowd)
    return float(min(1.0, (crowd.h - 1) * _rate(p0, q) ** rounds))


def rounds_for_error(crowd: Crowd, error: float) -> int | None:
    """Rounds after which `error_bound` is at most `error`: ln((h-1)/error) / -ln(1 - (sqrt p0 - sqrt q)^2).

    None without a collaborator. Raises `ConfigurationError` unless 0 < error <= 1.
    """
    if not 0 < error <= 1:
        raise ConfigurationError(f"error={error!r}: give a probability above 0, such as 0.05")
    p0, q = round_probabilities(crowd)
    rate = _rate(p0, q)
    if crowd.h - 1 <= error:
        return 0
    if rate >= 1:
        return None
    if rate <= 0:
        return 1
    return math.ceil(math.log((crowd.h - 1) / error) / -math.log(rate) - 1e-9)


def _rate(p0: float, q: float) -> float:
    return max(0.0, 1 - (math.sqrt(p0) - math.sqrt(q)) ** 2)


# -- polynomials ----------------------------------------------------------------------------------


def _power(base: Sequence[float], exponent: int, product: Convolve) -> Sequence[float]:
    """`base` to this power, by squaring."""
    result: Sequence[float] = [1.0]
    for bit in bin(exponent)[2:]:
        result = product(result, result)
        if bit == "1":
            result = product(result, base)
    return result


def _ties(mean: float, k: int, others: int, product: Convolve) -> Sequence[float]:
    """sum over i of S_(k-1)^i S_k^(others-i), i from 0 to `others`, with Poisson weights of this mean.

    By doubling: T_m = sum over i < m of A^(m-1-i) B^i has T_(2m) = T_m (A^m + B^m), T_(m+1) = T_m A + B^m.
    """
    upto = _poisson(mean, k)
    below = upto[:-1] or [0.0]
    a: Sequence[float] = [1.0]
    b: Sequence[float] = [1.0]
    t: Sequence[float] = [0.0]
    for bit in bin(others + 1)[2:]:
        t, a, b = product(t, _plus(a, b)), product(a, a), product(b, b)
        if bit == "1":
            t, a, b = _plus(product(t, upto), b), product(a, upto), product(b, below)
    return t


def _poisson(mean: float, most: int) -> list[float]:
    """Probabilities of 0, 1, ..., `most` for this mean."""
    return list(_poisson_weights(mean, most))


def _poisson_weights(mean: float, most: int) -> Iterator[float]:
    weight = math.exp(-mean)
    for j in range(most + 1):
        yield weight
        weight *= mean / (j + 1)


def _poisson_at(mean: float, k: int) -> float:
    if mean == 0:
        return float(k == 0)
    return math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))


def _truncated(convolve: Convolve, size: int) -> Convolve:
    """The product without what stands beyond the highest power that is asked for."""
    return lambda a, b: convolve(a[:size], b[:size])[:size]


def _convolve(a: Sequence[float], b: Sequence[float]) -> list[float]:
    """The product of two polynomials, in plain Python."""
    found = [0.0] * (len(a) + len(b) - 1)
    for i, left in enumerate(a):
        if left:
            for j, right in enumerate(b, i):
                found[j] += left * right
    return found


def _plus(a: Sequence[float], b: Sequence[float]) -> list[float]:
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    return [*(x + y for x, y in zip(longer, shorter, strict=False)), *longer[len(shorter) :]]
