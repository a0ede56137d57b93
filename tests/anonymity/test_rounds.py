"""Many rounds: tails against the chain, the posterior and the attack's success by enumeration, and bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqttsec.anonymity.crowd import Crowd, Variant
from mqttsec.anonymity.innocence import round_probabilities
from mqttsec.anonymity.predecessor import (
    MOST_ROUNDS,
    curve,
    error_bound,
    guessed,
    messages_until,
    named,
    named_by_message,
    posterior,
    rounds_for_error,
)
from mqttsec.anonymity.rounds import (
    binomial_tail,
    messages_per_path,
    noted,
    noted_wrongly,
    observed,
    rounds,
)
from mqttsec.errors import ConfigurationError
from tests.anonymity.exact import first_predecessor, outcomes

PAPER = Crowd(20, 4, 0.67)
SMALL = [(3, 1, 4), (4, 2, 4), (5, 2, 5), (4, 1, 5), (5, 4, 4), (5, 1, 4)]


# -- observation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", Variant)
@pytest.mark.parametrize(("n", "c"), [(4, 1), (5, 2), (12, 3)])
def test_multi_round_probabilities_are_those_of_the_chain(n: int, c: int, variant: Variant) -> None:
    p_f = Fraction(3, 4)
    crowd = Crowd(n, c, float(p_f), variant)
    chain = first_predecessor(crowd, p_f)
    for chance, asked in ((chain[0], noted), (chain[1], noted_wrongly), (sum(chain), observed)):
        # How often it was noted so far, as a chain of its own: one step a round.
        states = [Fraction(1)]
        for number in range(1, 13):
            longer = [*states, Fraction(0)]
            states = [
                longer[k] * (1 - chance) + (longer[k - 1] * chance if k else 0) for k in range(number + 1)
            ]
            for at_least in range(number + 2):
                expected = float(sum(states[at_least:]))
                assert asked(crowd, number, at_least) == pytest.approx(expected, rel=1e-9, abs=1e-14)


def test_tails_at_the_edges() -> None:
    assert binomial_tail(5, 0.0, 0) == 1 and binomial_tail(5, 0.0, 1) == 0
    assert binomial_tail(5, 1.0, 5) == 1 and binomial_tail(5, 0.3, 6) == 0
    assert binomial_tail(0, 0.3, 0) == 1 and binomial_tail(0, 0.3, 1) == 0
    assert binomial_tail(10_000, 0.001, 60) == pytest.approx(2.6e-26, rel=0.05)
    assert noted(PAPER, 10) == pytest.approx(1 - (1 - round_probabilities(PAPER)[0]) ** 10)


def test_rounds_of_a_lifetime() -> None:
    assert [rounds(messages) for messages in (0, 1, 7)] == [0, 1, 7]
    assert [rounds(messages, 10) for messages in (0, 1, 10, 11, 40)] == [0, 1, 1, 2, 4]
    assert [rounds(messages, None) for messages in (0, 1, 1000)] == [0, 1, 1]
    assert [messages_per_path(seconds, 10) for seconds in (0, 59.9, 60)] == [1, 6, 7]


# -- the posterior --------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", Variant)
@pytest.mark.parametrize(("n", "c", "times"), SMALL[:4])
def test_the_posterior_is_bayes_over_all_sequences(n: int, c: int, times: int, variant: Variant) -> None:
    p_f = Fraction(2, 3)
    crowd = Crowd(n, c, float(p_f), variant)
    weight: dict[tuple[int, ...], list[Fraction]] = {}
    for initiator in range(crowd.h):
        for counts, chance in outcomes(first_predecessor(crowd, p_f, initiator), times):
            weight.setdefault(counts, [Fraction(0)] * crowd.h)[initiator] += chance
    for counts, chances in weight.items():
        expected = [float(chance / sum(chances)) for chance in chances]
        assert posterior(crowd, counts) == pytest.approx(expected, abs=1e-12)


def test_the_posterior_at_the_edges() -> None:
    assert posterior(PAPER, [0] * 16) == pytest.approx([1 / 16] * 16)
    assert posterior(Crowd(5, 2, 0.0), [0, 3, 0]) == (0, 1, 0)
    assert posterior(Crowd(5, 0, 0.5), [0] * 5) == (0.2,) * 5
    assert posterior(Crowd(5, 4, 0.5), [7]) == (1.0,)
    assert sum(posterior(PAPER, [1000, 999, *[0] * 14])) == pytest.approx(1)
    ratio = math.log(round_probabilities(PAPER)[0] / round_probabilities(PAPER)[1])
    first, second = posterior(PAPER, [2, 1, *[0] * 14])[:2]
    assert math.log(first / second) == pytest.approx(ratio)


# -- success --------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", Variant)
@pytest.mark.parametrize(("n", "c", "times"), SMALL)
def test_success_by_enumeration(n: int, c: int, times: int, variant: Variant) -> None:
    p_f = Fraction(2, 3)
    crowd = Crowd(n, c, float(p_f), variant)
    chain = first_predecessor(crowd, p_f)
    for number in range(times + 1):
        alone = by_lot = Fraction(0)
        for counts, chance in outcomes(chain, number):
            if counts[0] == max(counts):
                ties = counts.count(counts[0])
                by_lot += chance / ties
                alone += chance if ties == 1 and counts[0] > 0 else 0
        assert named(crowd, number) == pytest.approx(float(alone), abs=1e-12)
        assert guessed(crowd, number) == pytest.approx(float(by_lot), abs=1e-12)


def test_the_papers_publisher_is_named() -> None:
    # papers: n = 20, c = 4, p_f = 0.67 is inside the bound of probable innocence, for one path.
    assert named(PAPER, 20) == pytest.approx(0.89, abs=0.01)
    assert named(PAPER, 40) == pytest.approx(0.99, abs=0.01)
    assert named(PAPER, 40, None) == named(PAPER, 40, 40) == pytest.approx(round_probabilities(PAPER)[0])
    assert messages_until(PAPER) == 28
    assert named(PAPER, 28) >= 0.95 > named(PAPER, 27)


def test_sticky_paths_stretch_the_attack() -> None:
    stair = named_by_message(PAPER, 40, 10)
    assert stair[1:11] == [stair[1]] * 10 and stair[11] > stair[10]
    assert stair[31:] == pytest.approx([named(PAPER, 4)] * 10) and stair[30] == pytest.approx(named(PAPER, 3))
    assert messages_until(PAPER, 0.95, 10) == 10 * (28 - 1) + 1
    assert messages_until(PAPER, 0.95, None) is None
    assert messages_until(PAPER, 0.2, None) == 1
    assert messages_until(Crowd(20, 0, 0.67), 0.95) is None
    assert messages_until(PAPER, 0.05, lots=True) == 0


def test_numpy_and_plain_python_multiply_alike() -> None:
    for lots in (False, True):
        plain = curve(PAPER, 30, lots=lots)
        assert curve(PAPER, 30, lots=lots, convolve=np.convolve) == pytest.approx(plain, abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 40), st.data(), st.floats(0, 0.95), st.sampled_from(Variant))
def test_what_holds_for_every_attack(n: int, data: st.DataObject, p_f: float, variant: Variant) -> None:
    crowd = Crowd(n, data.draw(st.integers(1, n - 1)), p_f, variant)
    alone = curve(crowd, 24, convolve=np.convolve)
    by_lot = curve(crowd, 24, lots=True, convolve=np.convolve)
    assert by_lot[0] == pytest.approx(1 / crowd.h)
    assert alone[1] == pytest.approx(round_probabilities(crowd)[0])
    for number in range(25):
        assert -1e-12 <= alone[number] <= by_lot[number] + 1e-9 <= 1 + 2e-9
        assert 1 - alone[number] <= error_bound(crowd, number) + 1e-9 or crowd.h == 1
        if number:
            # More messages never hurt who guesses best.
            assert by_lot[number] >= by_lot[number - 1] - 1e-9


def test_bounds() -> None:
    assert error_bound(PAPER, 0) == 1
    needed = rounds_for_error(PAPER, 0.05)
    assert needed is not None and error_bound(PAPER, needed) <= 0.05 < error_bound(PAPER, needed - 1)
    assert needed > 28, "the bound is a bound"
    assert rounds_for_error(Crowd(20, 0, 0.67), 0.05) is None
    assert rounds_for_error(Crowd(5, 4, 0.67), 0.05) == 0


@pytest.mark.parametrize(("call", "said"), [
    (lambda: rounds(-1), "messages=-1"),
    (lambda: rounds(5, -2), "a path lives for 1 message or more"),
    (lambda: rounds(5, 0), "a path lives for 1 message or more"),
    (lambda: named(PAPER, 5, -1), "a path lives for 1 message or more"),
    (lambda: messages_until(PAPER, 1.5), "a probability is from 0 to 1"),
    (lambda: messages_per_path(-1, 1), "0 seconds or more"),
    (lambda: messages_per_path(math.nan, 1), "0 seconds or more"),
    (lambda: messages_per_path(math.inf, 1), "lifetime=None"),
    (lambda: messages_per_path(1, 0), "more than 0 seconds apart"),
    (lambda: curve(PAPER, MOST_ROUNDS + 1), "use error_bound, or simulate"),
    (lambda: curve(PAPER, -1), "from 0 on"),
    (lambda: posterior(PAPER, [1, 2]), "16 honest brokers"),
    (lambda: posterior(Crowd(5, 0, 0.5), [1, 0, 0, 0, 0]), "must be 0"),
    (lambda: posterior(Crowd(5, 2, 0.0), [1, 1, 0]), "not two brokers"),
    (lambda: posterior(Crowd(5, 2, 0.5), [1, -1, 0]), "from 0 on"),
    (lambda: rounds_for_error(PAPER, 0), "above 0"),
    (lambda: error_bound(PAPER, -1), "from 0 on"),
])  # fmt: skip
def test_bad_parameters_say_what_to_do(call: Callable[[], object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        call()
