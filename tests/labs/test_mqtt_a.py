"""Lab 06: paths of real runs, crossings, lost subscriptions, and checks that know right from wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mqttsec.check import State
from mqttsec.errors import ConfigurationError
from mqttsec.labs import MqttA
from mqttsec.labs.mqtt_a_exercises import budget, largest_here, task_p_f
from mqttsec.labs.walk_view import SUBSCRIPTION, steps
from mqttsec.labs.walks import MESSAGES, PUBLIC, READER, STATION
from mqttsec.mqtta.drawing import Decision
from mqttsec.mqtta.policies import Form, Strategy
from mqttsec.widgets.network import Way

LETTERS = ["a", "b", "c", "b", "b"]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MqttA]:
    monkeypatch.chdir(tmp_path)
    with MqttA(seed=20) as lab:
        yield lab


# -- who is there ---------------------------------------------------------------------------------


def test_all_know_the_same_whichever_discovery_broker_they_asked(lab: MqttA) -> None:
    view = lab.network()
    assert {each.asked for each in view.members} == {"d1", "d2"}
    for each in view.members:
        assert set(each.peers) | {each.name} == {f"b{number}" for number in range(1, 9)}
        assert each.topics == view.members[0].topics and len(each.topics) == 1
    assert view.picture().count("stroke-dasharray:2 4") == 8 and "d1" in repr(view)


# -- one message ----------------------------------------------------------------------------------


@pytest.mark.parametrize("p_f", [0.0, 0.65, 0.9])
@pytest.mark.parametrize("n", [3, 12])
def test_steps_join_from_the_station_to_the_dashboard(lab: MqttA, n: int, p_f: float) -> None:
    walk = lab.run(n, p_f)
    for message in range(MESSAGES + 1):
        way = steps(walk, message)
        assert way[0].source == (STATION if message else READER)
        assert way[-1].target == (READER if message else PUBLIC)
        for first, second in zip(way, way[1:], strict=False):
            assert first.target == second.source and second.time >= first.time
        for hop in walk.path(message).hops:
            if hop.draw is not None:
                assert (hop.draw <= p_f) == (hop.decision is Decision.FORWARD)
        there = [each for each in way if each.way is not Way.DELIVER]
        assert len(there) == walk.path(message).length + 1


def test_a_message_goes_back_the_way_its_subscription_came(lab: MqttA) -> None:
    walk = lab.run()
    out = [hop.bridge for hop in walk.subscription.hops]
    for message in range(1, MESSAGES + 1):
        assert [row.bridge for row in walk.back(message)] == out[::-1]
        hops = walk.path(message).length + len(out)
        assert walk.latencies_ms[message - 1] == pytest.approx(hops * 55 / 2)


def test_the_path_grows_step_by_step(lab: MqttA) -> None:
    last = ""
    for hop in range(1, 6):
        view = lab.send(message=1, hop=hop)
        assert len(view.table().rows) == hop and view.picture() != last
        last = view.picture()
    assert "R <= p_f" in lab.send().text() and lab.send(0).head().startswith(SUBSCRIPTION)


def test_the_explorer_moves_with_its_sliders(lab: MqttA) -> None:
    widget = lab.explore()
    before = widget.html
    widget.sliders["hop"].value = 6
    grown = widget.html
    assert grown != before and "step 6 of" in grown
    widget.sliders["what"].value = SUBSCRIPTION
    assert "dotted" not in widget.html and "subscribe dashboard" in widget.html
    widget.sliders["n"].value = 4
    assert "b5" not in widget.html
    widget.reset.click()
    assert widget.html == before


def test_each_end_is_known_to_its_own_broker_alone(lab: MqttA) -> None:
    table = lab.knows()
    knows = dict(zip(table.column("broker"), table.column("knows publisher"), strict=True))
    assert [name for name, who in knows.items() if who == STATION] == ["b1"]
    readers = dict(zip(table.column("broker"), table.column("knows subscriber"), strict=True))
    assert [name for name, who in readers.items() if who == READER] == ["b8"]


def test_lengths_beside_theory(lab: MqttA) -> None:
    table = lab.lengths(0.5, 400)
    assert sum(int(str(count)) for count in table.column("messages")) == 400
    assert sum(float(str(count)) for count in table.column("theory")) == pytest.approx(400, abs=1)


# -- crossings and loops --------------------------------------------------------------------------


def test_messages_circulate_in_the_published_form_only(lab: MqttA) -> None:
    published = lab.crossing("blind", "published")
    assert published.circulating == published.messages and min(published.copies) > 20
    assert len(published.shared) >= 2
    for strategy in Strategy:
        run = lab.crossing(strategy.value)
        assert run.circulating == 0 and run.distinct == run.copies == (5, 5)
        assert run.upstream == (2 if strategy is Strategy.BLIND else 1)
    assert len(lab.crossings()) == 4 and len(lab.crossing_paths()) == 4


def test_the_published_rule_loses_paths_that_come_back(lab: MqttA) -> None:
    run = lab.subscriptions()
    assert 2 <= len(run.lost) <= 6
    for path in run.paths:
        brokers = [hop.bridge for hop in path.hops]
        assert (path.source in run.lost) == (len(set(brokers)) < len(brokers))
    assert lab.subscriptions(Form.MENDED.value).lost == ()
    assert "public1" not in repr(lab.subscription_paths()), "that would give the answer away"


# -- exercises ------------------------------------------------------------------------------------


def test_right_answers(lab: MqttA) -> None:
    check = lab.check
    assert check.exercise_1(1 / (1 - task_p_f(20)) + 1).ok
    assert check.exercise_2({"publisher": {"b1"}, "subscriber": {"b8"}, "both": set()}).ok
    assert check.exercise_3(
        {"topic-aware", "topic-and-qos-aware"}, lab.crossing("blind", "published").copies[0]
    ).ok
    assert check.exercise_4(set(lab.subscriptions().lost)).ok
    assert check.exercise_5(int(100 * largest_here(*budget(20))) / 100).ok
    assert all(verdict.ok for verdict in lab.answer(LETTERS).verdicts)


@pytest.mark.parametrize(
    ("part", "answers", "hint"),
    [
        (1, (1 / (1 - task_p_f(20)),), "forwards undrawn"),
        (1, (1 / task_p_f(20),), "first exit"),
        (1, (1 / (1 - task_p_f(20)) + 2,), "not counted"),
        (1, (3.1,), "chance of each length"),
        (1, ("four",), "number"),
        (2, ({"b1"},), "dict"),
        (2, ({"publisher": {"b1", "b2"}, "subscriber": set(), "both": set()},), "b2 had it from a broker"),
        (2, ({"publisher": set(), "subscriber": set(), "both": set()},), "own broker"),
        (2, ({"publisher": {"b99"}, "subscriber": set(), "both": set()},), "no bridge broker b99"),
        (3, ({"blind"}, 5), "at the public broker"),
        (3, ({"topic-aware", "topic-and-qos-aware"}, 5), "look at the copies"),
        (3, ({"cautious"}, 5), "strategies are"),
        (4, (set(),), "more wait in vain"),
        (4, ({f"reader-{number}" for number in range(1, 13)},), "got the message"),
        (4, ({"reader-99"},), "'reader-1' to"),
        (5, (0.0,), "two hops"),
        (5, (0.97,), "more than 20 hops"),
        (5, (0.9,), "the budget is"),
        (5, (0.3,), "room for a larger"),
        (5, (1.5,), "below 1"),
    ],
)
def test_hints_name_the_slip(lab: MqttA, part: int, answers: tuple[object, ...], hint: str) -> None:
    verdict = getattr(lab.check, f"exercise_{part}")(*answers)
    assert verdict.state is State.WRONG and hint in verdict.message, verdict


def test_untouched_and_nonsense(lab: MqttA) -> None:
    for part in range(1, 6):
        check = getattr(lab.check, f"exercise_{part}")
        given = (...,) * (2 if part == 3 else 1)
        assert check(*given).state is State.TODO
        assert check(*[object()] * len(given)).state is State.WRONG


# -- the price ------------------------------------------------------------------------------------


def test_the_plot_grows_and_stops(lab: MqttA, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mqttsec.labs.mqtt_a._PLOTTED", (0.5, 0.6))
    widget = lab.latency_plot()
    widget.run.click()
    assert widget.wait(60) and widget.state.value == "done"
    assert len(widget.plot.points("both sides")[0]) == 2 == len(widget.plot.points("one side")[1])
    lab.close()


def test_settings_that_cannot_be(lab: MqttA) -> None:
    for wrong in (
        lambda: lab.run(2), lambda: lab.run(p_f=0.95), lambda: lab.run(rtt=-1), lambda: lab.send(9),
        lambda: lab.lengths(1.0), lambda: lab.crossing("blind", "mild"), lambda: lab.subscriptions("x"),
        lambda: lab.losses(n=50),
    ):  # fmt: skip
        with pytest.raises(ConfigurationError):
            wrong()


def test_the_same_seed_gives_the_same_lab(lab: MqttA) -> None:
    first = [lab.send().text(), repr(lab.crossings()), repr(lab.subscription_paths())]
    again = MqttA(seed=20)
    assert first == [again.send().text(), repr(again.crossings()), repr(again.subscription_paths())]
    assert MqttA(seed=21).send().text() != first[0]
