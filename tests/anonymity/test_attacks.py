"""Attacks over time, simulated: fresh and sticky paths, churn, uneven peers, crossing subscriptions, logs."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from mqttsec.anonymity import subscriptions
from mqttsec.anonymity.adversaries import Adversary, Property, exposures
from mqttsec.anonymity.attacks import AttackRun, simulate
from mqttsec.anonymity.crowd import Crowd, Variant, mean_path_length
from mqttsec.anonymity.entropy import mutual_information
from mqttsec.anonymity.estimates import proportion
from mqttsec.anonymity.innocence import (
    collaborator_on_path,
    predecessor_is_initiator,
    round_probabilities,
)
from mqttsec.anonymity.logs import Observation, first_predecessors, one_per_path, tally, verdict
from mqttsec.anonymity.predecessor import named_by_message
from mqttsec.anonymity.simulation import exits, predecessors, walks
from mqttsec.anonymity.subscriptions import Strategy
from mqttsec.anonymity.uneven import information, likelihoods
from mqttsec.anonymity.walking import walk
from mqttsec.errors import ConfigurationError

PAPER = Crowd(20, 4, 0.67)


def as_often(run: AttackRun, expected: list[float]) -> None:
    for messages, chance in enumerate(expected):
        assert run.share(messages).sigmas(chance) < 4.5, messages


# -- the predecessor attack -----------------------------------------------------------------------


@pytest.mark.parametrize("lifetime", [1, 5, None])
@pytest.mark.parametrize("crowd", [PAPER, Crowd(8, 2, 0.8, Variant.B), Crowd(4, 3, 0.5)], ids=str)
def test_the_attack_succeeds_as_often_as_theory_says(crowd: Crowd, lifetime: int | None) -> None:
    run = simulate(crowd, 20, 1500, seed=4, lifetime=lifetime)
    if crowd.h > 1:
        as_often(run, named_by_message(crowd, 20, lifetime, convolve=np.convolve))
    assert run.rounds[20] == (1 if lifetime is None else 20 / lifetime)


def test_churn_leaves_the_initiator_alone() -> None:
    still = simulate(PAPER, 12, 1500, seed=4, lifetime=None)
    moving = simulate(PAPER, 12, 1500, seed=4, lifetime=None, churn=0.05)
    assert moving.share(12).low > still.share(12).high, "broken paths and fewer suspects help the attack"
    assert moving.rounds[12] > still.rounds[12] == 1
    expected = 1 + 15 * 0.95**11
    assert moving.candidates[12] == pytest.approx(expected, rel=0.02)
    # If all the others are new after each message, only one can have been there all the time.
    assert simulate(PAPER, 2, 200, seed=4, churn=1.0).named[2] == 200


def test_uneven_peers() -> None:
    weights = 1 / np.arange(1, 21)
    exact = likelihoods(PAPER, weights)
    assert exact.sum(axis=1) == pytest.approx(np.ones(16))
    for initiator in (0, 9):
        seen = predecessors(PAPER, walks(PAPER, 60_000, 3, initiator, weights))
        for broker in (0, 1, 9, 15):
            share = proportion(int((seen == broker).sum()), 60_000)
            assert share.sigmas(float(exact[initiator, broker])) < 4
    run = simulate(PAPER, 10, 1500, seed=4, weights=weights)
    # After one message by hand: the likeliest initiator given each thing that may be seen.
    alone = 0.0
    for column in exact.T:
        order = np.sort(column)
        alone += column.max() / 16 if order[-1] > order[-2] + 1e-12 else 0
    assert run.share(1).sigmas(alone) < 4
    assert information(PAPER, weights) != pytest.approx(information(PAPER))


@pytest.mark.parametrize("crowd", [PAPER, Crowd(9, 3, 0.8, Variant.B), Crowd(5, 4, 0.5)], ids=str)
def test_even_peers_are_the_formulas_again(crowd: Crowd) -> None:
    p0, q = round_probabilities(crowd)
    exact = likelihoods(crowd)
    assert exact[0, : crowd.h] == pytest.approx([p0, *[q] * (crowd.h - 1)])
    assert exact[0, -1] == pytest.approx(1 - collaborator_on_path(crowd))
    assert information(crowd) == pytest.approx(mutual_information(crowd))


# -- adversaries, path by path --------------------------------------------------------------------


@pytest.mark.parametrize("variant", Variant)
def test_the_nine_cells_are_what_simulated_paths_show(variant: Variant) -> None:
    crowd, alone, count = Crowd(10, 3, 0.7, variant), Crowd(10, 1, 0.7, variant), 60_000
    # The publisher is at broker 0, the subscriber at 1; for the local eavesdropper, which has the publisher's
    # broker, it is number 9, the only one that does not keep quiet, and the subscriber is at 0.
    message, subscription, overheard = (
        predecessors(each, walks(each, count, seed, start))
        for each, seed, start in ((crowd, 1, 0), (crowd, 2, 1), (alone, 3, 0))
    )
    begun = np.random.default_rng(4).integers(crowd.n, size=(2, count))
    shift = 0 if variant is Variant.A else 1  # the best guess: the exit itself, or any other one
    guessed = [(exits(walks(crowd, count, 5 + k, begun[k])) + shift) % crowd.n == begun[k] for k in (0, 1)]
    always = np.ones(count, dtype=bool)
    shown = {
        (Adversary.LOCAL, Property.SENDER): (always, always),
        (Adversary.LOCAL, Property.RECIPIENT): (overheard >= 0, overheard == 0),
        (Adversary.LOCAL, Property.RELATIONSHIP): (overheard >= 0, overheard == 0),
        (Adversary.COLLABORATORS, Property.SENDER): (message >= 0, message == 0),
        (Adversary.COLLABORATORS, Property.RECIPIENT): (subscription >= 0, subscription == 1),
        (Adversary.COLLABORATORS, Property.RELATIONSHIP): (
            (message >= 0) & (subscription >= 0), (message == 0) & (subscription == 1),
        ),
        (Adversary.PUBLIC, Property.SENDER): (always, guessed[0]),
        (Adversary.PUBLIC, Property.RECIPIENT): (always, guessed[1]),
        (Adversary.PUBLIC, Property.RELATIONSHIP): (always, guessed[0] & guessed[1]),
    }  # fmt: skip
    for cell in exposures(crowd):
        seen, right = shown[cell.who, cell.what]
        assert proportion(int(seen.sum()), count).sigmas(cell.seen) < 4, cell
        assert proportion(int(right.sum()), int(seen.sum())).sigmas(cell.named) < 4, cell


# -- crossing subscriptions -----------------------------------------------------------------------


def test_blind_subscriptions_are_paths_like_any() -> None:
    for each in subscriptions.simulate(PAPER, 4, 20_000, 3, Strategy.BLIND):
        assert each.on_path.sigmas(collaborator_on_path(PAPER)) < 4
        assert each.given_hit.sigmas(predecessor_is_initiator(PAPER)) < 4
        assert each.hops.low - 0.1 < mean_path_length(PAPER.p_f) < each.hops.high + 0.1


def test_crossing_subscriptions_are_shorter_and_hit_less_and_say_more() -> None:
    found = subscriptions.simulate(PAPER, 8, 20_000, 3, "topic-aware")
    first, last = found[0], found[-1]
    assert first.on_path.sigmas(collaborator_on_path(PAPER)) < 4
    assert first.given_hit.sigmas(predecessor_is_initiator(PAPER)) < 4
    assert last.hops.high < first.hops.low and last.on_path.high < first.on_path.low
    assert last.given_hit.low > first.given_hit.high, "a short path has few others on it"


def test_the_second_subscription_by_hand() -> None:
    """n = 2, c = 1, never itself: paths are 0 1 0 1 ..., so the collaborator always has the topic."""
    with pytest.raises(ConfigurationError, match="2 subscribers at different honest brokers"):
        subscriptions.simulate(Crowd(2, 1, 0.5, Variant.B), 2, 10)
    # n = 3, c = 1, p_f = 0, never itself: 0 or 1 draws the other or the collaborator. The second subscriber's
    # broker has the topic with 1/2; else the first path went to the collaborator, and of its draws 1/2 meet
    # that one, which has the topic, and 1/2 the first subscriber's broker, which has it too.
    _, second = subscriptions.simulate(Crowd(3, 1, 0.0, Variant.B), 2, 20_000, 1)
    assert abs(second.hops.value - 0.5) < 4 * 0.5 / 20_000**0.5
    assert second.on_path.sigmas(0.25) < 4 and second.given_hit.value == 1


# -- verdicts from logs ---------------------------------------------------------------------------


def logs_of(crowd: Crowd, messages: int, seed: int) -> list[Observation]:
    """What collaborators would write down of paths drawn hop by hop, in no order."""
    rng = random.Random(seed)
    log = []
    for number in range(messages):
        path = walk(crowd, rng)
        for place in range(1, path.hops):
            if path.brokers[place] >= crowd.h:
                names = (f"B{path.brokers[place]}", f"B{path.brokers[place - 1]}")
                log.append(Observation(number + 0.01 * place, *names, "t", f"m{number}"))
    rng.shuffle(log)
    return log


def test_a_verdict_from_logs_alone() -> None:
    honest = [f"B{number}" for number in range(16)]
    collaborators = [f"B{number}" for number in range(16, 20)]
    log = logs_of(PAPER, 2000, 1)
    found = verdict(log, collaborators, honest, "t", PAPER)
    assert found.named == "B0" and sum(found.posterior.values()) == pytest.approx(1)
    assert proportion(found.seen, 2000).sigmas(collaborator_on_path(PAPER)) < 4
    p0, q = round_probabilities(PAPER)
    assert proportion(found.counts["B0"], 2000).sigmas(p0) < 4
    assert proportion(found.counts["B7"], 2000).sigmas(q) < 4
    assert verdict([], collaborators, honest, "t", PAPER).named is None
    assert verdict(log, collaborators, honest, "other", PAPER).seen == 0


def test_the_first_predecessor_is_the_earliest_and_no_fellow() -> None:
    log = [
        Observation(3.0, "C2", "B1", "t", "m"), Observation(1.0, "C1", "B0", "t", "m"),
        Observation(2.0, "C2", "C1", "t", "m"), Observation(0.5, "C2", "C1", "t", "n"),
    ]  # fmt: skip
    assert first_predecessors(log, ["C1", "C2"]) == {("t", "m"): "B0"}
    assert tally(log, ["C1", "C2"], "t") == {"B0": 1}
    # Alone, C2 knows no better than B1 for m.
    assert first_predecessors([entry for entry in log if entry.broker == "C2"], ["C1", "C2"]) == {
        ("t", "m"): "B1"
    }


def test_messages_along_one_path_are_one_observation() -> None:
    def seen(time: float, previous: str, message: str, broker: str = "C1") -> Observation:
        return Observation(time, broker, previous, "t", message)

    log = [
        seen(0.0, "B0", "a"), seen(0.2, "C1", "a", "C2"), seen(1.0, "B0", "b"), seen(2.0, "B0", "c"),
        seen(3.0, "B0", "d"), seen(4.0, "B7", "e"), seen(4.5, "B0", "f"), seen(5.0, "B0", "g"),
    ]  # fmt: skip
    kept = one_per_path(reversed(log), ["C1", "C2"], 2.5)
    assert [entry.message for entry in kept] == ["a", "d", "e", "f"]
    assert [entry.message for entry in one_per_path(log, ["C1", "C2"], 0)] == list("abcdefg")
    with pytest.raises(ConfigurationError, match="0 seconds or more"):
        one_per_path(log, ["C1"], -1)


@pytest.mark.parametrize(("call", "said"), [
    (lambda: simulate(PAPER, -1), "messages=-1"),
    (lambda: simulate(PAPER, 1, 0), "trials=0"),
    (lambda: simulate(PAPER, 1, lifetime=-1), "a path lives for 1 message"),
    (lambda: simulate(PAPER, 1, churn=1.5), "from 0 to 1"),
    (lambda: simulate(PAPER, 1, weights=[1.0]), "one weight for each"),
    (lambda: subscriptions.simulate(PAPER, 0), "subscribers=0"),
    (lambda: subscriptions.simulate(PAPER, 2, strategy="loud"), "there are blind"),
    (lambda: verdict([], ["C"], ["B0"], "t", PAPER), "but the crowd has 16 and 4"),
    (lambda: verdict([Observation(0, "C", "alice", "t", "m")], ["C"], ["B0"], "t", Crowd(2, 1, 0.5)),
     "alice is no honest peer"),
])  # fmt: skip
def test_bad_parameters_say_what_to_do(call: Callable[[], object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        call()
