"""A bridge broker that is killed costs nothing that QoS promises; `mqttsec mqtta crashes` runs a thousand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mqttsec.mqtta.command import crash_rows, main
from mqttsec.mqtta.crashes import MESSAGES, CrashTrial, crash, crash_trial
from mqttsec.mqtta.policies import Strategy

HARD = {
    # The retained message came twice from sessions taken over (0); what is above a break took a session from
    # the path drawn anew (15, 51).
    Strategy.BLIND: (0, 15, 51),
    # Crashes at the meeting point of two paths, or below it: the later subscriber lost what was under way.
    Strategy.TOPIC_AWARE: (3, 5, 6, 12, 18),
    Strategy.TOPIC_AND_QOS_AWARE: (1, 3, 5, 7, 16),
}
"""Seeds that have cost something before."""


@pytest.mark.parametrize("strategy", Strategy)
def test_a_bridge_broker_that_crashes_anywhere_costs_nothing(strategy: Strategy) -> None:
    trial = CrashTrial(strategy, tuple(crash(strategy, seed) for seed in HARD[strategy]))
    assert trial.broken == () and trial.lost(1) == trial.lost(2) == trial.doubled(2) == 0
    assert trial.expected(2) == len(HARD[strategy]) * 3 * 2 * MESSAGES
    # It would notice.
    first, second, *others = trial.crashes
    worse = (
        replace(first, lost=((1, "reader2", "open 1"),)),
        replace(second, doubled=((1, "reader2", "open 1"), (2, "reader1", "open 2"))),
    )
    noticed = replace(trial, crashes=(*worse, *others))
    assert noticed.broken == (first.seed, second.seed) and not noticed.holds
    assert [(row["lost"], row["twice"] > 0, row["holds"]) for row in crash_rows(noticed)] == [
        (1, True, False),
        (0, True, False),
    ]
    only_qos_1 = replace(trial, crashes=(replace(first, doubled=((1, "reader2", "open 1"),)),))
    assert only_qos_1.holds


def test_the_same_seed_gives_the_same_crash(capsys: pytest.CaptureFixture[str]) -> None:
    [again] = crash_trial(Strategy.BLIND, 1, seed=7).crashes
    assert again == crash(Strategy.BLIND, 7) and again.seed == 7
    arguments = ["crashes", "--networks", "1", "--seed", "7", "--processes", "1", "--strategy", "blind"]
    assert main(arguments) == 0
    assert "as promised" in capsys.readouterr().out
