"""Real publishes and subscriptions beside theory, few of them; `mqttsec mqtta` runs the large numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from mqttsec.mqtta.command import cycles_agree, loops_agree, main, paths_agree
from mqttsec.mqtta.policies import Form, Strategy
from mqttsec.mqtta.trials import cycle_trial, loop_trial, path_trial, scale_trial


@pytest.mark.parametrize(("p_f", "variant"), [(0.5, "A"), (0.75, "B")])
def test_path_lengths_and_exits_agree_with_theory(p_f: float, variant: str) -> None:
    trial = path_trial(p_f, 1000, 6, variant, seed=3)
    assert trial.messages == 1000
    assert paths_agree(trial)
    # It would notice another p_f, and another variant's exits.
    assert not paths_agree(replace(trial, p_f=p_f + 0.06))
    assert not paths_agree(replace(trial, exits=Counter({**trial.exits, "b1": trial.exits["b1"] + 120})))


@pytest.mark.parametrize("variant", ["A", "B"])
def test_the_published_loop_rule_loses_what_theory_says_and_the_mended_one_nothing(variant: str) -> None:
    published = loop_trial(Form.PUBLISHED, 6, 0.67, variant, 300, seed=2)
    assert loops_agree(published) and published.lost > 60
    mended = loop_trial(Form.MENDED, 6, 0.67, variant, 60, seed=2)
    assert loops_agree(mended) and mended.lost == 0
    assert not loops_agree(replace(published, lost=published.lost - 60))
    assert not loops_agree(replace(mended, lost=1))


def test_messages_circulate_in_the_published_form_only() -> None:
    published = cycle_trial(Form.PUBLISHED, networks=12, seed=1)
    assert cycles_agree(published) and 0 < published.circulating < 12
    mended = cycle_trial(Form.MENDED, networks=12, seed=1)
    assert cycles_agree(mended) and mended.copies == mended.expected == 60 and mended.dropped == 0


@pytest.mark.parametrize("strategy", [Strategy.TOPIC_AWARE, Strategy.TOPIC_AND_QOS_AWARE])
def test_joined_paths_do_not_circulate_either(strategy: Strategy) -> None:
    trial = cycle_trial(Form.MENDED, networks=8, strategy=strategy, seed=1)
    assert cycles_agree(trial) and trial.expected <= trial.copies <= 2 * trial.expected


def test_a_large_network_is_measured() -> None:
    trial = scale_trial(12, 60, discovery=1)
    assert trial.arrived == 60 and trial.start_seconds > 0 and trial.subscribe_seconds > 0


def test_the_commands_print_their_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paths", "--messages", "300", "--p-f", "0.5", "--variant", "B"]) == 0
    assert "as theory" in capsys.readouterr().out
    assert main(["cycles", "--networks", "4", "--json"]) == 0
    assert '"form": "mended"' in capsys.readouterr().out
    assert main(["scale", "--bridges", "5", "--subscriptions", "10"]) == 0
    assert "10 of 10 messages came" in capsys.readouterr().out
