"""The formulas: the printed fixtures, the exact Markov chain, the solvers, and what cannot be."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttsec.anonymity.adversaries import Adversary, Degree, Property, exit_guess, exposure, exposures
from mqttsec.anonymity.crowd import (
    Crowd,
    Variant,
    exit_is_another,
    exit_is_initiator,
    mean_path_length,
    p_f_for_length,
    path_length,
    path_length_variance,
)
from mqttsec.anonymity.entropy import (
    degree_of_anonymity,
    effective_set_size,
    entropy,
    entropy_given_hit,
    mutual_information,
)
from mqttsec.anonymity.innocence import (
    absolute_privacy,
    collaborating_share_limit,
    collaborator_on_path,
    least_n,
    least_p_f,
    most_collaborators,
    predecessor_is_another,
    predecessor_is_initiator,
    printed_bound,
    probable_innocence,
    round_probabilities,
)
from mqttsec.errors import ConfigurationError
from tests.anonymity.exact import exit_distribution, first_predecessor

A, B = Variant.A, Variant.B
SMALL = [
    (n, c, p_f, variant)
    for n, c in ((2, 1), (3, 1), (4, 1), (5, 2), (6, 4), (7, 3), (9, 8))
    for p_f in (Fraction(0), Fraction(1, 2), Fraction(2, 3), Fraction(9, 10))
    for variant in Variant
]


@st.composite
def crowds(draw: st.DrawFn) -> Crowd:
    n = draw(st.integers(2, 200))
    return Crowd(n, draw(st.integers(1, n - 1)), draw(st.floats(0, 0.99)), draw(st.sampled_from(Variant)))


# -- the printed numbers --------------------------------------------------------------------------


@pytest.mark.parametrize(("crowd", "hit", "initiator"), [
    (Crowd(12, 3, 0.75), 0.571429, 0.5),
    (Crowd(6, 1, 0.75), 0.444444, 0.5),
    (Crowd(10, 2, 2 / 3), 0.428571, 0.533333),
    (Crowd(20, 4, 0.67), 0.431034, 0.4975),
    (Crowd(30, 10, 0.75), 0.666667, 0.525),
    (Crowd(6, 2, 0.9), 0.833333, 0.55),
    (Crowd(12, 3, 0.75, B), 0.6, 0.489362),
    (Crowd(10, 3, 0.67, B), 0.602410, 0.584281),
    (Crowd(20, 5, 0.8, B), 0.641026, 0.434343),
], ids=str)  # fmt: skip
def test_fixtures_of_collaborators(crowd: Crowd, hit: float, initiator: float) -> None:
    assert round(collaborator_on_path(crowd), 6) == hit
    assert round(predecessor_is_initiator(crowd), 6) == initiator
    assert absolute_privacy(crowd) == pytest.approx(1 - hit, abs=1e-6)


@pytest.mark.parametrize(("crowd", "bits", "degree"), [
    (Crowd(10, 1, 0.67), 2.60426, 0.82155),
    (Crowd(10, 3, 0.67), 2.01126, 0.71643),
    (Crowd(20, 4, 0.75), 3.18633, 0.79658),
], ids=str)  # fmt: skip
def test_fixtures_of_entropy(crowd: Crowd, bits: float, degree: float) -> None:
    assert round(entropy_given_hit(crowd), 5) == bits
    assert round(degree_of_anonymity(crowd), 5) == degree
    assert effective_set_size(crowd) == pytest.approx(2**bits, abs=1e-3)


def test_path_lengths() -> None:
    # MQTT-A, Table II, prints the nearest whole number.
    printed = {0.5: 3, 0.66: 4, 0.75: 5, 0.8: 6, 0.835: 7, 0.86: 8, 0.875: 9, 0.89: 10, 0.9: 11}
    assert {p_f: round(mean_path_length(p_f)) for p_f in printed} == printed
    for p_f in (0.0, 0.5, 0.67, 0.9):
        chances = [path_length(length, p_f) for length in range(600)]
        assert math.fsum(chances) == pytest.approx(1)
        mean = math.fsum(length * chance for length, chance in enumerate(chances))
        assert mean == pytest.approx(mean_path_length(p_f))
        squares = math.fsum(length**2 * chance for length, chance in enumerate(chances))
        assert squares - mean**2 == pytest.approx(path_length_variance(p_f))
        assert p_f_for_length(mean_path_length(p_f)) == pytest.approx(p_f)


# -- against the chain ----------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "c", "p_f", "variant"), SMALL)
def test_every_formula_is_what_the_chain_says(n: int, c: int, p_f: Fraction, variant: Variant) -> None:
    crowd = Crowd(n, c, float(p_f), variant)
    chain = first_predecessor(crowd, p_f)
    hit = sum(chain)
    assert collaborator_on_path(crowd) == pytest.approx(float(hit), abs=1e-14)
    assert predecessor_is_initiator(crowd) == pytest.approx(float(chain[0] / hit), abs=1e-14)
    p0, q = round_probabilities(crowd)
    assert p0 == pytest.approx(float(chain[0]), abs=1e-14)
    assert len(set(chain[1:])) <= 1
    for other in chain[1:]:
        assert q == pytest.approx(float(other), abs=1e-14)
        assert predecessor_is_another(crowd) == pytest.approx(float(other / hit), abs=1e-14)
    leaves = exit_distribution(crowd, p_f)
    assert sum(leaves) == 1
    assert exit_is_initiator(crowd) == pytest.approx(float(leaves[0]), abs=1e-14)
    for leaf in leaves[1:]:
        assert exit_is_another(crowd) == pytest.approx(float(leaf), abs=1e-14)
    assert exit_guess(crowd) == pytest.approx(float(max(leaves)), abs=1e-14)
    assert probable_innocence(crowd) == (chain[0] / hit <= Fraction(1, 2))


@pytest.mark.parametrize(("n", "c", "p_f", "variant"), SMALL)
def test_mutual_information_is_that_of_the_joint_distribution(
    n: int, c: int, p_f: Fraction, variant: Variant
) -> None:
    crowd = Crowd(n, c, float(p_f), variant)
    rows = [[float(each) for each in first_predecessor(crowd, p_f, i)] for i in range(crowd.h)]
    rows = [[*row, 1 - sum(row)] for row in rows]
    overall = [sum(row[o] for row in rows) / crowd.h for o in range(crowd.h + 1)]
    joint = sum(
        chance / crowd.h * math.log2(chance / total)
        for row in rows
        for chance, total in zip(row, overall, strict=True)
        if chance > 1e-15
    )
    assert mutual_information(crowd) == pytest.approx(joint, abs=1e-9)


@given(crowds())
def test_what_holds_for_every_crowd(crowd: Crowd) -> None:
    p0, q = round_probabilities(crowd)
    assert p0 >= q >= 0 and p0 + (crowd.h - 1) * q == pytest.approx(collaborator_on_path(crowd))
    assert 0 < collaborator_on_path(crowd) <= 1
    assert 0 <= degree_of_anonymity(crowd) <= 1 + 1e-12
    assert 1 - 1e-12 <= effective_set_size(crowd) <= crowd.h + 1e-9
    assert 0 <= mutual_information(crowd) <= math.log2(crowd.h) + 1e-12
    assert exit_is_initiator(crowd) <= exit_is_another(crowd) + 1e-12
    more = Crowd(crowd.n, crowd.c, min(0.995, crowd.p_f + 0.004), crowd.variant)
    assert predecessor_is_initiator(more) <= predecessor_is_initiator(crowd)
    assert collaborator_on_path(more) >= collaborator_on_path(crowd)


# -- solvers --------------------------------------------------------------------------------------


@given(crowds())
def test_the_solvers_agree_with_probable_innocence(crowd: Crowd) -> None:
    n, c, p_f, variant = crowd.n, crowd.c, crowd.p_f, crowd.variant
    innocent = probable_innocence(crowd)
    bound = least_p_f(n, c, variant)
    assert bound.feasible == (2 * c < n - 2)
    if bound.value is None:
        assert not innocent and "no p_f will do" in bound.reason
    elif abs(p_f - bound.value) > 1e-9:
        assert innocent == (p_f > bound.value)
    size = least_n(c, p_f, variant)
    assert size.feasible == (p_f > 0.5)
    if size.value is not None and size.value < 1e9 and abs(predecessor_is_initiator(crowd) - 0.5) > 1e-9:
        assert innocent == (n >= size.value)
    most = most_collaborators(n, p_f, variant)
    if abs(predecessor_is_initiator(crowd) - 0.5) > 1e-9:
        assert innocent == (most.value is not None and c <= most.value)


def test_bounds_that_the_paper_has_right_and_wrong() -> None:
    assert least_p_f(12, 3).value == 0.75 and least_p_f(6, 1).value == 0.75
    assert least_n(3, 0.75).value == 12 and least_n(1, 0.75).value == 6
    assert least_p_f(100, 33).value == pytest.approx(0.757576, abs=1e-6)
    # The printed bound does not know c, and is 1/2 whatever n: at 1/2 nobody is resisted.
    assert {round(printed_bound(n), 12) for n in (3, 10, 100, 10_000)} == {0.5}
    for variant in Variant:
        for n in (3, 10, 1000):
            assert not probable_innocence(Crowd(n, 1, 0.5, variant))
    assert collaborating_share_limit(0.75) == pytest.approx(1 / 3)
    assert collaborating_share_limit(0.67) == pytest.approx(0.25, abs=0.005)
    assert [collaborating_share_limit(p_f) for p_f in (0.5, 0.2, 0.0)] == [0, 0, 0]
    assert most_collaborators(10_000, 0.75).value == 3332


def test_infeasible_is_said_plainly() -> None:
    assert least_p_f(20, 9).reason == (
        "no p_f will do: 9 of 20 would need p_f = 1, a path without end; at most 8 of 20 may collaborate"
    )
    assert "3 brokers are too few for any" in least_p_f(3, 1).reason
    assert "p_f = 0.5 resists nobody" in least_n(1, 0.5).reason
    assert "p_f = 0.3 resists nobody" in least_n(1, 0.3).reason
    assert "p_f = 0.5 resists nobody" in most_collaborators(100, 0.5).reason
    assert "resist nobody" in most_collaborators(5, 0.6).reason
    assert str(least_p_f(12, 3)) == "p_f from 0.750000 on"


# -- adversaries ----------------------------------------------------------------------------------


def test_the_nine_cells() -> None:
    crowd = Crowd(20, 4, 0.67)
    cells = {(each.who, each.what): each for each in exposures(crowd)}
    assert len(cells) == 9
    local = cells[Adversary.LOCAL, Property.SENDER]
    assert (local.degree, local.caught, local.absolute) == (Degree.EXPOSED, 1, 0)
    one = Crowd(20, 1, 0.67)
    for what in (Property.RECIPIENT, Property.RELATIONSHIP):
        cell = cells[Adversary.LOCAL, what]
        assert (cell.seen, cell.named) == (collaborator_on_path(one), predecessor_is_initiator(one))
    for what, power in ((Property.SENDER, 1), (Property.RECIPIENT, 1), (Property.RELATIONSHIP, 2)):
        cell = cells[Adversary.COLLABORATORS, what]
        assert cell.degree is Degree.PROBABLE
        assert cell.caught == pytest.approx(round_probabilities(crowd)[0] ** power)
        assert cell.absolute == pytest.approx(1 - collaborator_on_path(crowd) ** power)
        public = cells[Adversary.PUBLIC, what]
        assert public.degree is Degree.BEYOND_SUSPICION and public.named == pytest.approx(1 / 20**power)


def test_cells_at_the_edges() -> None:
    nobody = exposure(Crowd(5, 0, 0.7), Property.SENDER, Adversary.COLLABORATORS)
    assert (nobody.degree, nobody.absolute) == (Degree.ABSOLUTE, 1)
    alone = exposure(Crowd(5, 4, 0.7), Property.SENDER, Adversary.COLLABORATORS)
    assert alone.degree is Degree.EXPOSED
    half = exposure(Crowd(50, 1, 0.5), Property.SENDER, Adversary.COLLABORATORS)
    assert half.degree is Degree.POSSIBLE
    never_itself = exposure(Crowd(20, 4, 0.67, B), Property.SENDER, Adversary.PUBLIC)
    assert never_itself.named == pytest.approx(1 / 19.67)


# -- what cannot be -------------------------------------------------------------------------------


@pytest.mark.parametrize(("call", "said"), [
    (lambda: Crowd(5, 5, 0.7), "at most 4 can collaborate"),
    (lambda: Crowd(5, 9, 0.7), "lower c or raise n"),
    (lambda: Crowd(5, -1, 0.7), "from 0 on"),
    (lambda: Crowd(1, 0, 0.7), "2 bridge brokers or more"),
    (lambda: Crowd(True, 0, 0.7), "2 bridge brokers or more"),
    (lambda: Crowd(5, 1, 1), "would never leave the crowd"),
    (lambda: Crowd(5, 1, 1.0), "would never leave the crowd"),
    (lambda: Crowd(5, 1, -0.1), "below 1"),
    (lambda: Crowd(5, 1, math.nan), "below 1"),
    (lambda: Crowd(5, 1, "0.7"), "below 1"),  # type: ignore[arg-type]
    (lambda: Crowd(5, 1, 0.7, "C"), "there are A"),  # type: ignore[arg-type]
    (lambda: mean_path_length(1), "never leave"),
    (lambda: p_f_for_length(1.5), "2 or more"),
    (lambda: predecessor_is_initiator(Crowd(5, 0, 0.7)), "nothing is ever observed"),
    (lambda: predecessor_is_another(Crowd(1 + 1, 0, 0.7)), "nothing is ever observed"),
    (lambda: least_p_f(5, 0), "every p_f will do"),
    (lambda: least_p_f(5, 5), "at most 4"),
    (lambda: least_n(0, 0.7), "from 1 on"),
    (lambda: printed_bound(2), "0/0"),
    (lambda: entropy([0.5, 0.6]), "sum to 1"),
    (lambda: entropy([-0.5, 1.5]), "0 or more"),
])  # fmt: skip
def test_bad_parameters_say_what_to_do(call: Callable[[], object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        call()


def test_the_formulas_need_no_numpy_no_thread_no_socket() -> None:
    modules = (
        "adversaries crowd entropy estimates innocence latency logs predecessor rounds walking".split()
    )
    program = (
        "import sys\n"
        + "".join(f"import mqttsec.anonymity.{name}\n" for name in modules)
        + "heavy = ('numpy', 'pandas', 'threading', 'socket', 'asyncio')\n"
        + "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=False)
    if done.returncode:  # without site-packages an editable install is not found: ask for it by its place
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", done.stderr
