"""Lab 08's object: what can be asked, what is run, and the checks with their hints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mqttsec.check import State
from mqttsec.errors import ConfigurationError, MissingPeerError
from mqttsec.labs import Proofs
from mqttsec.labs.proof_exercises import repaired, weakness
from mqttsec.labs.proofs import GOALS, attack_ladder
from mqttsec.verify import runner
from mqttsec.verify.matrix import DIRECTIONS

LETTERS = ["b", "a", "c", "a", "b", "b"]
MISBOUND = {"publisher": {"P-B"}, "broker": {"B-P", "B-S", "S-P", "P-S"}, "subscriber": {"S-B", "S-P"}}
REPAIR = {"CONNECT": ["B", "R_P", "T_P"], "CONNACK": ["P", "R_B", "R_P"]}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proofs]:
    monkeypatch.chdir(tmp_path)
    with Proofs(seed=7) as lab:
        yield lab


def test_an_answer_is_safe_as_far_as_it_was_searched_or_an_attack_that_was_run(lab: Proofs) -> None:
    safe = lab.ask("hardened", "insider", "binding P-B")
    assert safe.attack is None and safe.picture() == ""
    assert "safe with 3 instances" in repr(safe)
    broken = lab.ask("published", "insider", "binding P-B")
    assert broken.attack is not None and broken.attack.instances == 2
    assert "run on the machines: alice (P1) believes to share K_PB with broker" in repr(broken)
    assert "<svg" in broken.html()
    assert lab.ask("published", "insider", "binding P-B") is broken, "asked once"
    assert len(GOALS) == 33 and len({goal.subject for goal in GOALS}) == 3 + len(DIRECTIONS)


def test_what_cannot_be_asked(lab: Proofs) -> None:
    for wrong in (
        ("unknown",), ("published", "outsider", "honesty P-B"), ("published", "nobody"),
        ("published", "outsider", "agreement P-B", 7), ("published", "outsider", "agreement P-B", True),
    ):  # fmt: skip
        with pytest.raises(ConfigurationError):
            lab.ask(*wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="there is nothing to run"):
        lab.live("hardened")
    with pytest.raises(ConfigurationError, match="there is nothing to step through"):
        lab.step("hardened")


def test_the_explorer_asks_at_every_change(lab: Proofs) -> None:
    widget = lab.explore()
    assert "attack with 3 instances" in widget.html
    widget.sliders["name"].value = "hardened"
    assert "safe with 3 instances" in widget.html and "<svg" not in widget.html
    widget.reset.click()
    assert "attack with 3 instances" in widget.html


def test_an_attack_can_be_stepped_through(lab: Proofs) -> None:
    widget = lab.step("published", "publisher", "binding P-B")
    assert "1 of 4" in widget.place.value
    widget.next.click()
    assert "mallory" in widget.html and "2 of 4" in widget.place.value
    assert "CONNECT" in lab.ladder("published", "publisher", "binding P-B")


def test_the_parts_of_a_signed_message_can_be_read_in_the_stepper(lab: Proofs) -> None:
    """What the lab tells a reader to look for: the same R_P in both packets, under two names."""
    stepper = lab.step("published", "publisher", "binding P-B").model
    seen = []
    for packet in (1, 2):
        stepper.go(packet)
        lines = [line for line in stepper.text().splitlines() if line.startswith("Authentication Data, ")]
        seen.append(dict(line.removeprefix("Authentication Data, ").split(": ") for line in lines))
        assert "ephemeral (R_P)" in stepper.html()
    assert seen[0]["ephemeral (R_P)"] == seen[1]["ephemeral (R_P)"]
    assert seen[0]["signature (Sig_P:c1)"] != seen[1]["signature (Sig_P:c1)"]
    assert [message["publisher (P)"] for message in seen] == ["'alice'", "'mallory'"]


def test_a_table_of_some_intruders_has_their_rows_alone(lab: Proofs) -> None:
    some = lab.table("published", intruders=("broker", "outsider"))
    assert some.column("intruder") == ("broker", "outsider")
    whole = lab.table("published")
    assert set(some.rows) <= set(whole.rows) and len(whole) == 5
    with pytest.raises(ConfigurationError, match="there is no intruder 'nobody'"):
        lab.table("published", intruders=("nobody",))


@pytest.mark.parametrize(
    ("intruder", "goal", "columns"),
    [
        ("publisher", "binding P-B", ("alice", "mallory", "broker")),
        ("outsider", "agreement P-B", ("alice", "alice 2", "network", "broker")),
        ("subscriber", "binding S-B", ("alice", "mallory", "broker", "bob")),
    ],
)
def test_parties_stand_where_they_stand_in_every_lab(
    lab: Proofs, intruder: str, goal: str, columns: tuple[str, ...]
) -> None:
    outcome = lab.ask("published", intruder, goal).outcome
    assert outcome is not None and attack_ladder(outcome).parties == columns


def test_the_live_broker_is_told_from_the_machines(lab: Proofs) -> None:
    said = lab.live("published", "publisher", "binding P-B")
    achieved = lab.ask("published", "publisher", "binding P-B").outcome.achieved  # type: ignore[union-attr]
    assert said.split() == achieved.split() and max(map(len, said.splitlines())) <= 100


def test_the_paper_is_right_in_its_setting(lab: Proofs) -> None:
    broken = dict(
        zip(lab.settings().column("setting"), lab.settings().column("other goals broken"), strict=True)
    )
    assert broken["one run a role, Block 1"] == broken["one run a role, Block 2"] == 0
    assert all(int(str(broken[setting])) > 0 for setting in list(broken)[2:])
    assert set(lab.settings().column("secrets lost")) == {0}


def test_the_engine_finds_what_is_known(lab: Proofs) -> None:
    rows = {row[0]: row[1:] for row in lab.classics().rows}
    assert rows["Needham-Schroeder"] == ("agreement B-A: attack, 2", "secrecy N_B: attack, 2")
    assert rows["Lowe's repair"] == ("agreement B-A: safe", "secrecy N_B: safe")
    assert rows["signed Diffie-Hellman"][0] == "binding A-B: attack, 2"
    assert rows["SIGMA"][0] == rows["ISO/IEC 9798-3"][0] == "binding A-B: safe"


def test_every_exercise_can_be_solved(lab: Proofs) -> None:
    stops = {"peer's ephemeral key": "mixed runs", "names": "misbinding", "tag": "confusion"}
    assert lab.check.exercise_1(MISBOUND).ok
    assert lab.check.exercise_2(stops).ok
    assert lab.check.exercise_3(REPAIR).ok
    assert all(verdict.ok for verdict in lab.answer(LETTERS).verdicts)
    assert "9 of 9 ok" in repr(lab.report("Ada"))


def test_untouched_exercises_are_todo(lab: Proofs) -> None:
    for verdict in (
        lab.check.exercise_1({"publisher": ..., "broker": ..., "subscriber": ...}),
        lab.check.exercise_2({"names": ...}),
        lab.check.exercise_3({"CONNECT": ..., "CONNACK": ...}),
    ):
        assert verdict.state is State.TODO


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ({**MISBOUND, "publisher": set()}, "a dishonest publisher: P-B breaks as well"),
        ({**MISBOUND, "subscriber": {"S-B", "S-P", "B-S"}}, "a dishonest subscriber: B-S stands"),
        ({**MISBOUND, "broker": {"B-A"}}, "the directions are"),
        ({"publisher": {"P-B"}}, "broker: give a set of directions"),
    ],
)
def test_hints_of_exercise_1(lab: Proofs, answer: object, hint: str) -> None:
    verdict = lab.check.exercise_1(answer)
    assert verdict.state is State.WRONG and hint in verdict.message


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ({**REPAIR, "CONNECT": ["R_P", "T_P"]}, "not yet:"),
        ({**REPAIR, "CONNECT": ["B", "R_P"]}, "with an old ephemeral key known, secrecy K_PB fails"),
        ({**REPAIR, "CONNACK": ["B", "P", "R_B", "R_P"]}, "safe, but B in CONNACK can be left out"),
        ({**REPAIR, "CONNACK": ["S"]}, "can cover c2, B, P, R_B, R_P, T_B; not S"),
    ],
)
def test_hints_of_exercise_3(lab: Proofs, answer: object, hint: str) -> None:
    verdict = lab.check.exercise_3(answer)
    assert verdict.state is State.WRONG and hint in verdict.message


def test_each_of_the_six_fields_is_needed() -> None:
    """So that nobody finds another solution with fewer: what all fields but one leave open, fewer do too."""
    every = {"CONNECT": ["c1", "P", "B", "R_P", "T_P"], "CONNACK": ["c2", "B", "P", "R_B", "R_P", "T_B"]}
    assert weakness(repaired(every)) == ""
    for packet, names in REPAIR.items():
        for name in names:
            fewer = {**every, packet: [each for each in every[packet] if each != name]}
            assert weakness(repaired(fewer)), f"{packet} without {name}"


def test_hints_of_exercise_2(lab: Proofs) -> None:
    verdict = lab.check.exercise_2(
        {"peer's ephemeral key": "misbinding", "names": "misbinding", "tag": "confusion"}
    )
    assert verdict.state is State.WRONG
    assert "without it 'pairing P-B' fails" in verdict.message


def test_without_the_engine_the_lab_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "installed", lambda: False)
    with pytest.raises(MissingPeerError, match=r"mqttsec\[verify\]"):
        Proofs(seed=7)
