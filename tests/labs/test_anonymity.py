"""Lab 07's object: the crowd, the plots' data, the exercises and what they say to the usual slips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mqttsec.anonymity.innocence import collaborator_on_path, least_p_f, predecessor_is_initiator
from mqttsec.anonymity.logs import Observation
from mqttsec.anonymity.predecessor import messages_until, named, rounds_for_error
from mqttsec.check import State, Verdict
from mqttsec.errors import ConfigurationError
from mqttsec.labs import Anonymity
from mqttsec.labs.anonymity_exercises import BUDGET, task
from mqttsec.widgets.names import Names

LETTERS = ["b", "c", "a", "b", "a", "c"]


@pytest.fixture(scope="module")
def lab() -> Iterator[Anonymity]:
    """One for all tests: it remembers its runs of the network."""
    with Anonymity(seed=7) as lab:
        yield lab


def wrong(verdict: Verdict, hint: str) -> None:
    assert verdict.state is State.WRONG and hint in verdict.message, verdict


# -- the crowd ------------------------------------------------------------------------------------


def test_the_crowd_is_told_in_text_and_picture(lab: Anonymity) -> None:
    view = lab.crowd(messages=20)
    assert len(view.story.paths) == 20 and sum(view.story.posterior) == pytest.approx(1)
    assert "they name                b1, rightly" in view.text()
    picture = view.picture()
    assert "16 honest and 4 collaborating" in picture and picture.count("<rect") == 4 + 1
    assert "b1" in picture and "suspected: b1" in picture
    assert repr(view) == view.text() and "<table" in view.html()


def test_sticky_paths_are_fewer(lab: Anonymity) -> None:
    assert len(lab.crowd(messages=20, lifetime=10).story.paths) == 2
    assert "suspected: everybody alike" in lab.crowd(messages=0).text()
    assert lab.crowd(messages=5).story.paths == lab.crowd(messages=20).story.paths[:5]


def test_the_explorer_says_what_is_not_possible(lab: Anonymity) -> None:
    widget = lab.explore()
    assert "16 honest and 4 collaborating" in widget.html
    widget.sliders["n"].value = 4
    assert "Not possible." in widget.html and "at most 3 can collaborate" in widget.html
    widget.sliders["c"].value = 1
    assert "3 honest and 1 collaborating" in widget.html
    widget.reset.click()
    assert "16 honest and 4 collaborating" in widget.html


# -- tables and plots -----------------------------------------------------------------------------


def test_formula_simulation_and_network_stand_side_by_side(lab: Anonymity) -> None:
    lab.network()
    shown = lab.one_path()
    assert set(shown.table.column("from")) == {"simulation", "real network"}
    assert all(float(str(off)) < 4 for off in shown.table.column("std. errors off"))
    names = [trace.name for trace in shown.figure().data]
    assert "P(I|H1+), formula" in names and "P(I|H1+), real network" in names
    assert "P(H1+), simulated, 95 %" in names
    other = lab.one_path(n=10, c=3, variant="B")
    assert set(other.table.column("from")) == {"simulation"}
    assert not any("network" in trace.name for trace in other.figure().data)


def test_over_time_shows_both_kinds_of_paths(lab: Anonymity) -> None:
    lab.network()
    lab.network(lifetime=10)
    shown = lab.over_time()
    assert shown.table.column("rounds") == ("40", "4")
    assert shown.table.column("messages until 95 %") == ("28", "271")
    points = {trace.name: list(trace.x) for trace in shown.figure().data if "network" in trace.name}
    assert len(points) == 2 and len(points["a fresh path each, real network"]) == 5
    assert "more than can be computed" in repr(lab.over_time(n=40, c=1, p_f=0.99).table)


def test_what_it_costs(lab: Anonymity) -> None:
    shown = lab.costs()
    assert shown.table.column("largest p_f") == ("0.982", "0.973", "0.783")
    assert [trace.name for trace in shown.figure().data] == [
        "corrected bound, n = 30", "corrected, very large n", "as printed"
    ]  # fmt: skip
    assert "not even p_f = 0" in repr(lab.costs(rtt="260 ms").table)
    assert "nobody" in repr(lab.costs(n=4, rtt="140 ms", qos="2").table)
    limits = lab.limits()
    assert limits.rows[0][2] == "0.900" and "0.842" in repr(limits)
    assert repr(lab.limits_plot()).startswith("Plot: Largest p_f")


def test_the_other_tables(lab: Anonymity) -> None:
    assert len(lab.adversaries()) == 9 and "beyond suspicion" in repr(lab.adversaries(variant="B"))
    assert lab.entropies().column("H bits, if seen")[2] == "3.186"
    bounds = lab.bounds(20)
    assert set(bounds.column("printed p_f")) == {"0.500"}
    assert bounds.rows[3][3:] == ("0.667", "0.500") and bounds.rows[8][3] == "none will do"
    more = dict(zip(lab.more().column("what"), lab.more().column("named"), strict=True))
    assert float(str(more["sticky, for ever"])) < float(str(more["sticky, 10 % leave after each message"]))
    assert float(str(more["fresh paths"])) < float(str(more["fresh, near peers likelier (1/rank)"]))
    crossing = lab.subscriptions(3)
    assert float(str(crossing.rows[-1][4])) > 0.6, "crossing subscriptions have no probable innocence"


@pytest.mark.parametrize(("name", "slider", "value"), [
    ("explore_path", "n", 30), ("explore_path", "c", 2), ("explore_time", "messages", 20),
    ("explore_costs", "n", 50),
])  # fmt: skip
def test_plots_follow_their_sliders(lab: Anonymity, name: str, slider: str, value: int) -> None:
    widget = getattr(lab, name)()
    assert sum(isinstance(child, Names) for child in widget.children) == 1, "it gives the sliders their names"
    before = {series: widget.plot.points(series) for series in widget.plot.series}
    widget.sliders[slider].value = value
    after = {series: widget.plot.points(series) for series in widget.plot.series}
    assert before != after
    widget.reset.click()
    assert {series: widget.plot.points(series) for series in widget.plot.series} == before
    widget.close()
    widget.close()


def test_settings_that_cannot_be_leave_an_empty_plot(lab: Anonymity) -> None:
    widget = lab.explore_path()
    widget.sliders["c"].value = 20
    assert "at most 19 can collaborate" in widget.html and widget.plot.series == ()


def test_a_slider_runs_no_network(lab: Anonymity, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds is done when the explorer opens; `tests/bench` has the time of a redraw."""
    widgets = [(lab.explore_path(), "n"), (lab.explore_time(), "lifetime"), (lab.explore_time(), "p_f")]
    monkeypatch.setattr("mqttsec.labs.anonymity.run_crowd", lambda *_: pytest.fail("it ran the network"))
    for widget, slider in widgets:
        before = widget.html
        widget.sliders[slider].value += widget.sliders[slider].step
        assert widget.html != before


# -- exercises ------------------------------------------------------------------------------------


def right_formula(n: int, c: int, p: float) -> float:
    return 1 - p * (n - c - 1) / n


def test_exercise_1_is_judged_by_simulated_paths(lab: Anonymity) -> None:
    check = lab.check.exercise_1

    def stub(n: int, c: int, p: float) -> None:
        """Untouched."""

    assert check(right_formula).state is State.OK
    assert check(stub).state is State.TODO
    slips: list[tuple[Callable[[int, int, float], Any], str]] = [
        (lambda n, c, p: p * (n - c - 1) / n, "what is left of 1"),
        (lambda n, c, p: 1 - p * (n - c) / n, "itself is among"),
        (lambda n, c, p: 1 - (n - c - 1) / n, "only with probability p_f"),
        (lambda n, c, p: 1 / (n - c), "the first hop is always made"),
        (lambda n, c, p: right_formula(n, c, p) * c / (n - p * (n - c)), "divide by P(H1+)"),
        (lambda n, c, p: c / (n - p * (n - c)), "that is P(H1+)"),
        (lambda n, c, p: 0.5, "simulated paths with a collaborator"),
        (lambda n, c, p: 7, "simulated paths with a collaborator"),
        (lambda n, c, p: "half", "as a number"),
    ]
    for slip, hint in slips:
        wrong(check(slip), hint)
    wrong(check(0.5), "give the function itself")


def test_exercise_2_is_judged_by_simulated_paths(lab: Anonymity) -> None:
    check = lab.check.exercise_2

    def bound(n: int, c: int) -> float:
        return n / (2 * (n - c - 1))

    refuted = check((20, 4, 0.55), bound)
    assert refuted.state is State.OK and "refuted by n 20, c 4" in refuted.message
    assert check(..., bound).state is State.TODO
    answers: Sequence[tuple[object, object, str]] = [
        ((20, 4), bound, "as (n, c, p_f)"), ((20, 30, 0.6), bound, "lower c or raise n"),
        ((20, 0, 0.6), bound, "nobody watches"), ((20, 4, 0.4), bound, "promises nothing below it"),
        ((20, 4, 0.8), bound, "not clearly above 1/2"), ((20, 4, 0.55), 0.6, "function itself"),
        ((20, 4, 0.55), lambda n, c: (1 / 2 - 1 / n) / (1 - 2 / n), "where is c?"),
        ((20, 4, 0.55), lambda n, c: n / (2 * (n - c)), "the initiator is among"),
        ((20, 4, 0.55), lambda n, c: 1.2, "no forwarding probability"),
        ((20, 4, 0.55), lambda n, c: 0.9, "at the bound it is 1/2"),
    ]  # fmt: skip
    for counterexample, function, hint in answers:
        wrong(check(counterexample, function), hint)


def test_exercise_3_accuses_in_the_real_network(lab: Anonymity) -> None:
    check = lab.check.exercise_3

    def accuse(log: list[Observation], collaborators: set[str]) -> str:
        first: dict[str, str] = {}
        for line in sorted(log, key=lambda line: line.time):
            if line.previous not in collaborators:
                first.setdefault(line.message, line.previous)
        names = list(first.values())
        return max(sorted(set(names)), key=names.count)

    verdict = check(accuse)
    assert verdict.state is State.OK and "of 50 publishers in the real network 49 are" in verdict.message
    wrong(check(lambda log, collaborators: log[0].broker), "is one of us")
    wrong(check(lambda log, collaborators: "b99"), "there is no bridge 'b99'")
    wrong(check(lambda log, collaborators: 7), "the name of a bridge")
    wrong(check(lambda log, collaborators: "b1"), "only the earliest line counts")
    wrong(check("b1"), "give the function itself")


@pytest.mark.parametrize("seed", [4, 7])
def test_exercises_4_and_5_are_judged_by_simulated_attacks(seed: int) -> None:
    with Anonymity(seed) as lab:
        crowd = lab.task
        assert crowd == task(seed) and predecessor_is_initiator(crowd) < 0.5 and lab.budget == BUDGET
        until = messages_until(crowd, convolve=np.convolve)
        assert until is not None
        assert lab.check.exercise_4(until).state is State.OK
        bound = rounds_for_error(crowd, 0.05)
        p0 = collaborator_on_path(crowd) * predecessor_is_initiator(crowd)
        once = next(r for r in range(1, 300) if 1 - (1 - p0) ** r >= 0.95)
        wrong(lab.check.exercise_4(bound), "that is the bound")
        wrong(lab.check.exercise_4(once), "noted once")
        wrong(lab.check.exercise_4(2), "too few")
        wrong(lab.check.exercise_4(until + 100), "too many")
        wrong(lab.check.exercise_4(2.5), "whole number")
        assert lab.check.exercise_4(...).state is State.TODO
        best = next(t for t in range(1, 301) if named(crowd, BUDGET, t, convolve=np.convolve) <= 0.5)
        assert lab.check.exercise_5(best).state is State.OK
        wrong(lab.check.exercise_5(best - 1), "fewer paths")
        wrong(lab.check.exercise_5(300), "a shorter life would do")
        wrong(lab.check.exercise_5(0), "from 1 on")


def test_the_questionnaire_and_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Anonymity(7) as lab:
        assert all(verdict.ok for verdict in lab.answer(LETTERS).verdicts)
        lab.report("Ada")
    assert sorted(path.name for path in Path("out").iterdir()) == ["lab07_ada.csv", "lab07_ada.json"]


def test_the_task_of_every_seed_can_be_done() -> None:
    for seed in range(60):
        crowd = task(seed)
        least = least_p_f(crowd.n, crowd.c).value
        assert least is not None and crowd.p_f >= least
        until = messages_until(crowd, convolve=np.convolve)
        assert until is not None and until <= 200


@pytest.mark.parametrize("call", [
    lambda lab: lab.crowd(c=20), lambda lab: lab.crowd(c=0), lambda lab: lab.crowd(p_f=1),
    lambda lab: lab.crowd(n=1), lambda lab: lab.crowd(messages=-1), lambda lab: lab.crowd(lifetime=-1),
    lambda lab: lab.crowd(lifetime=None), lambda lab: lab.crowd(variant="C"), lambda lab: lab.one_path(c=0),
    lambda lab: lab.over_time(messages=0), lambda lab: lab.costs(rtt="1 ms"), lambda lab: lab.costs(n=1),
    lambda lab: lab.network(c=20), lambda lab: lab.subscriptions(17), lambda lab: Anonymity(seed=-1),
])  # fmt: skip
def test_bad_input_says_what_to_do(lab: Anonymity, call: Callable[[Anonymity], object]) -> None:
    with pytest.raises(ConfigurationError):
        call(lab)


