"""Lab 04: what is counted and reckoned is the same everywhere; what is measured streams, and stops."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from mqttsec.check import State
from mqttsec.errors import ConfigurationError
from mqttsec.labs import Overhead
from mqttsec.labs.overhead_exercises import cheaper_from, minima, slope
from mqttsec.labs.overhead_run import LiveRun, Settings
from mqttsec.labs.overhead_views import CPU, MEAN, live_figure
from mqttsec.measure.contestants import Contestant, schemes
from mqttsec.measure.experiments import CONNECTION, SINGLE, Row
from mqttsec.measure.overhead_report import SINGLE_CIPHERTEXT


@pytest.fixture
def lab() -> Iterator[Overhead]:
    with Overhead(seed=7) as lab:
        yield lab


def row(contestant: Contestant, number: int, n: int, cpu: float = 5.0) -> Row:
    return Row(
        SINGLE if number else CONNECTION, number, contestant.name, contestant.kind.value, contestant.scheme,
        contestant.suite, contestant.mode, contestant.profile, n, 1024, 0, messages=1, deliveries=n,
        broker_cpu_us=cpu, mean_us=100.0 * cpu, min_us=10.0 * cpu, p95_us=200.0 * cpu,
    )  # fmt: skip


class Scripted:
    """Measures nothing: gives rows when it is told to, until the stop."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.go = threading.Event()
        self.waiting = threading.Event()

    def __call__(self, contestants: Any, **options: Any) -> Iterator[Row]:
        self.asked = options
        for number in range(options["rounds"] + 1):
            for contestant in contestants:
                yield row(contestant, number, options["subscribers"], 5.0 + contestant.scheme)
            if number == 1:
                self.waiting.set()
                while not self.go.wait(0.01):
                    if options["stop"].is_set():
                        return


def test_points_stream_while_it_runs_and_stop_ends_it(lab: Overhead) -> None:
    scripted = Scripted()
    lab._run._measure = scripted
    widget = lab.measure()
    before = {name: len(widget.plot.points(name)[0]) for name in widget.plot.series}
    widget.sliders["subscribers"].value = 40
    widget.start.click()
    assert scripted.waiting.wait(5)
    widget.start.click()
    assert lab._run.running
    for number in (1, 2, 3, 4):
        assert widget.plot.points(f"Scheme {number}") == ([40.0], [40 * (5.0 + number)])
        assert before[f"Scheme {number}"] == 0
    assert 0 < widget.progress.value < 1
    widget.stop.click()
    assert not lab._run.running and widget.said.value == "ended"
    assert "medians of what was measured here" in widget.html
    assert scripted.asked["payload"] == 1024 and scripted.asked["qos"] == 0


def test_a_change_of_settings_shows_what_was_measured_for_them(lab: Overhead) -> None:
    scripted = Scripted()
    scripted.go.set()
    lab._run._measure = scripted
    widget = lab.measure()
    widget.start.click()
    assert lab._run._thread is not None
    lab._run._thread.join(5)
    assert len(widget.plot.points("Scheme 2")[0]) == 5
    assert widget.progress.value == 1.0
    model = widget.plot.points("Scheme 2, model")
    widget.sliders["payload"].value = "65536"
    assert widget.plot.points("Scheme 2")[0] == [], "nothing was measured for this size"
    assert widget.plot.points("Scheme 2, model")[1][-1] > 2 * model[1][-1], "the model has moved"
    widget.sliders["payload"].value = "1024"
    assert len(widget.plot.points("Scheme 2")[0]) == 5
    widget.sliders["shown"].value = MEAN
    assert widget.plot.points("Scheme 2")[1] == [700.0] * 5
    widget.sliders["scheme"].value = "3"
    assert widget.plot.series == ("Scheme 3", "Scheme 3, model")
    widget.reset.click()
    assert lab.rows == () and widget.plot.points("Scheme 3") == ([], [])


def test_a_contestant_that_failed_is_named(lab: Overhead) -> None:
    def measure(contestants: Any, **options: Any) -> Iterator[Row]:
        for contestant in contestants:
            made = row(contestant, 1, 10)
            yield (
                made
                if contestant.scheme
                else Row(*list(made.__dict__.values())[:11], "mosquitto is not installed")
            )

    lab._run._measure = measure
    widget = lab.measure()
    widget.sliders["peers"].value = "no security"
    widget.start.click()
    assert lab._run._thread is not None
    lab._run._thread.join(5)
    assert "left out: no security" in widget.said.value


def test_a_new_lab_ends_the_measurement_of_the_old_one() -> None:
    scripted = Scripted()
    old = Overhead(seed=1)
    old._run._measure = scripted
    old.measure().start.click()
    assert scripted.waiting.wait(5)
    with Overhead(seed=2):
        assert not old._run.running


def test_a_real_run_measures_and_leaves_nothing(lab: Overhead) -> None:
    table = lab.run(n=2, rounds=1, seconds=0.05, scheme="4", suite="aes-gcm")
    assert table.column("contestant") == ("Scheme 4 aes-gcm 1C",)
    assert float(str(table.column("mean us")[0])) > 0
    assert len(lab.rows) == 2
    with pytest.raises(ConfigurationError, match="there are payload, suite"):
        lab.run(n=2, colour="red")
    with pytest.raises(ConfigurationError, match="there are schemes 1, 2, 3 and 4"):
        lab.run(n=2, scheme="5")
    with pytest.raises(ConfigurationError, match="choose from the lists"):
        lab.run(n=2, peers="hivemq")


def test_one_measurement_at_a_time() -> None:
    scripted = Scripted()
    run = LiveRun(scripted)
    run.start(Settings(), lambda row, share: None, lambda said: None)
    with pytest.raises(ConfigurationError, match="press Stop first"):
        run.start(Settings(), lambda row, share: None, lambda said: None)
    run.stop()
    run.stop()
    assert not run.running


def test_a_slider_redraws_quickly(lab: Overhead) -> None:
    rows = [row(each, number, n) for each in schemes(modes=()) or () for number in range(9) for n in (5, 50)]
    figure = live_figure(rows, Settings(), CPU, lab.costs, 200)
    assert len(figure.data) == 8
    assert lab.model(10).text() == repr(lab.model(10))
    assert "<desc>" in lab.model(10).picture()


def test_tables_are_the_same_every_time(lab: Overhead) -> None:
    for made in (lab.counts, lab.paper, lab.minima, lab.layers, lab.peers, lab.model):
        assert repr(made()) == repr(made())
    with pytest.raises(ConfigurationError, match="100 and 200"):
        lab.paper(n=50)
    with pytest.raises(ConfigurationError, match="there are per_recipient"):
        lab.counts(mode="both")
    with pytest.raises(ConfigurationError, match="no cipher suite"):
        lab.model(suite="rot13")


def test_the_recorded_run_shows_what_the_lab_claims(lab: Overhead) -> None:
    """The lab's text leans on it: the order of model and paper, Scheme 2 apart, and whose minimum grows."""
    for n in (100, 200):
        rows = {str(name): [float(str(cell)) for cell in cells] for name, *cells in lab.paper(n).rows}
        assert rows["model"] == sorted(rows["model"])
        assert rows["paper, table A"] == sorted(rows["paper, table A"])
        one, four, three, two = rows["recorded run"]
        assert two > 2 * max(one, four, three)
        assert max(one, four, three) < 2 * min(one, four, three), "close together, whatever the neighbours do"
    slopes = {}
    found = minima(lab.recorded)
    for scheme in (1, 2, 3, 4):
        slopes[scheme] = slope({n: least for (number, n), least in found.items() if number == scheme})
    assert slopes[2] > 10 * max(slopes[1], slopes[3], slopes[4])


# Exercises -------------------------------------------------------------------------------------


def test_exercise_1(lab: Overhead) -> None:
    n = lab.n
    right = {1: "0", 2: f"D+H+{n}E+{n}H", 3: "D + E + 2H", 4: "2H"}
    assert lab.check.exercise_1(right).ok
    for changed, hint in (
        ({2: "E + D + 2H"}, "that is for one subscriber"),
        ({2: f"{n}E + {n}D + {2 * n}H"}, "with a ciphertext for each"),
        ({4: "H"}, "counts something else"),
        ({3: "two"}, "as the paper does"),
    ):
        said = lab.check.exercise_1({**right, **changed})
        assert said.state is State.WRONG and hint in said.message, said
    assert lab.check.exercise_1({1: ..., 2: ..., 3: ..., 4: ...}).state is State.TODO


@pytest.mark.parametrize(
    ("answer", "hint"),
    [({2}, ""), ({2, 3}, "too many"), (set(), "one of them does"), ({3}, "one is missing")],
)
def test_exercise_2(lab: Overhead, answer: set[int], hint: str) -> None:
    said = lab.check.exercise_2(answer)
    assert said.ok if not hint else hint in said.message


def test_exercise_3(lab: Overhead) -> None:
    assert lab.check.exercise_3(lambda n, on, off: off + n * on).ok
    for wrong, hint in (
        (lambda n, on, off: n * (on + off), "comes off once"),
        (lambda n, on, off: on + off, "for each subscriber, not once"),
        (lambda n, on, off: n * off + on, "the other way round"),
        (lambda n, on, off: 0, "the model says"),
    ):
        said = lab.check.exercise_3(wrong)
        assert said.state is State.WRONG and hint in said.message, said


def test_exercise_4(lab: Overhead) -> None:
    points = {n: least for (scheme, n), least in minima(lab.recorded).items() if scheme == 2}
    right = slope(points)
    assert lab.check.exercise_4(right).ok and lab.check.exercise_4(1.2 * right).ok
    assert "milliseconds" in lab.check.exercise_4(right / 1000).message
    assert "how much more a subscriber" in lab.check.exercise_4(points[max(points)]).message
    assert "divide" in lab.check.exercise_4(3 * right).message


def test_exercise_5(lab: Overhead) -> None:
    right = {suite: cheaper_from(lab.costs, suite) for suite in ("paper", "aes-gcm-gmac")}
    assert lab.check.exercise_5(right).ok
    assert right["paper"] < right["aes-gcm-gmac"], "that is what section 5 is about"
    assert "more than two thirds" in lab.check.exercise_5({**right, "aes-gcm-gmac": 64}).message
    assert "for smaller messages already" in lab.check.exercise_5({**right, "paper": 65_536}).message
    assert "choose one of the sizes" in lab.check.exercise_5({**right, "paper": 100}).message


def test_rows_of_other_settings_do_not_fit() -> None:
    settings = Settings(mode=SINGLE_CIPHERTEXT)
    per, single = schemes(numbers=(3,))[0], schemes(numbers=(3,))[0]
    assert not settings.fits(row(per, 1, 5)) and single.mode != SINGLE_CIPHERTEXT
