"""Theory against an independent count of every walk, and against tables of the chi-square distribution."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import pytest

from mqttsec.errors import ConfigurationError
from mqttsec.mqtta.theory import chi_square, lost_by_loop_rule, upper_gamma


def lost_by_counting(n: int, p_f: Fraction, to_itself: bool) -> Fraction:
    """Follow the subscription from broker to broker, remembering which ones it has been at."""

    @cache
    def arrives_from(place: int, been: frozenset[int], first: bool) -> Fraction:
        targets = [each for each in range(n) if to_itself or each != place]
        forwarded = Fraction(0)
        for target in targets:
            if target not in been:
                forwarded += arrives_from(target, been | {target}, False) / len(targets)
        return forwarded if first else (1 - p_f) + p_f * forwarded

    return 1 - arrives_from(0, frozenset({0}), True)


@pytest.mark.parametrize("variant", ["A", "B"])
@pytest.mark.parametrize("n", [2, 3, 6, 8])
@pytest.mark.parametrize("p_f", [Fraction(0), Fraction(1, 2), Fraction(67, 100), Fraction(9, 10)])
def test_the_fraction_lost_is_that_of_all_walks(n: int, p_f: Fraction, variant: str) -> None:
    counted = lost_by_counting(n, p_f, variant == "A")
    assert lost_by_loop_rule(n, float(p_f), variant) == pytest.approx(float(counted), abs=1e-12)


def test_the_figures_of_the_papers_page() -> None:
    assert lost_by_loop_rule(10, 0.67, "A") == pytest.approx(0.43, abs=0.005)
    assert lost_by_loop_rule(10, 0.67, "B") == pytest.approx(0.30, abs=0.005)


@pytest.mark.parametrize(
    ("statistic", "freedom", "p"),
    [(3.841459, 1, 0.05), (18.307038, 10, 0.05), (23.209251, 10, 0.01), (2.5, 5, 0.776495)],
)
def test_p_values_are_those_of_the_tables(statistic: float, freedom: int, p: float) -> None:
    assert upper_gamma(freedom / 2, statistic / 2) == pytest.approx(p, abs=2e-6)


def test_a_sample_fits_its_own_distribution_and_no_other() -> None:
    even = dict.fromkeys(range(6), 100.0)
    fair = dict(enumerate((96, 104, 110, 91, 99, 100)))
    loaded = dict(enumerate((60, 104, 110, 91, 99, 136)))
    assert chi_square(fair, even)[2] > 0.5 and chi_square(loaded, even)[2] < 1e-4
    assert chi_square(fair, even)[1] == 5
    # Cells that expect little are put together.
    assert chi_square({0: 50, 1: 48, 2: 1, 3: 1}, {0: 48.0, 1: 48.0, 2: 2.0, 3: 2.0})[1] == 1
    with pytest.raises(ConfigurationError):
        chi_square({0: 3}, {0: 3.0, 1: 1.0})


@pytest.mark.parametrize(("n", "p_f"), [(1, 0.5), (6, 1.0), (6, -0.1)])
def test_what_cannot_be_is_refused(n: int, p_f: float) -> None:
    with pytest.raises(ConfigurationError):
        lost_by_loop_rule(n, p_f, "A")
