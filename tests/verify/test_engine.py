"""Maude and a few lines of Python see the same states and give the same verdicts; known protocols too."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from mqttsec.crypto import Profile
from mqttsec.e2e import Script, Setup
from mqttsec.e2e.steps import CheckKind
from mqttsec.errors import MissingPeerError, MqttsecError
from mqttsec.verify import classic, runner
from mqttsec.verify.cases import Case, Goal, Intruder, Property
from mqttsec.verify.findings import attack
from mqttsec.verify.judge import explore
from mqttsec.verify.matrix import BLOCK_1, BLOCK_2
from mqttsec.verify.roles import Protocol
from mqttsec.verify.runner import search, search_all
from tests.verify.asking import case, sizes

PUBLISHED = Setup(2, Profile.PUBLISHED).script
HARDENED = Setup(2).script
NO_CACHE = HARDENED.without(CheckKind.UNSEEN)
CONFIRMED = Setup(2, confirm=True).script.without(CheckKind.UNSEEN)


def same(asked: Case) -> None:
    """Both ways of exploring: as many states, the same attacks of the same size."""
    result = search(asked)
    states, found = explore(asked)
    assert (result.states, sizes(result)) == (states, {str(goal): size for goal, size in found.items()})


@pytest.mark.parametrize("intruder", Intruder)
@pytest.mark.parametrize("script", [PUBLISHED, HARDENED, NO_CACHE, CONFIRMED])
def test_two_ways_of_exploring_see_the_same(script: Script, intruder: Intruder) -> None:
    for roles, instances in ((BLOCK_1, 3), (BLOCK_2, 2), (BLOCK_1 + BLOCK_2, 2)):
        same(case(script, roles, intruder, instances))


def test_the_same_with_runs_of_long_ago_and_with_wraps() -> None:
    from mqttsec.verify.matrix import PARTS, Question
    from mqttsec.verify.variants import variant

    for name in ("time unsigned", "published", "R_SP unsigned"):
        for part in PARTS[3:]:
            same(Question(variant(name), Intruder.OUTSIDER, part).case(2))


def test_one_run_a_role_is_the_setting_in_which_published_stands() -> None:
    """An outsider, one run of each role, the blocks apart: every goal holds."""
    for roles in (BLOCK_1, BLOCK_2):
        asked = replace(case(PUBLISHED, roles, Intruder.OUTSIDER, len(roles)), each=1)
        assert search(asked).attacks == {}
        same(asked)
    # With both blocks running, a signature of one passes in the other.
    together = replace(case(PUBLISHED, BLOCK_1 + BLOCK_2, Intruder.OUTSIDER, 3), each=1)
    assert sizes(search(together))["agreement S-P"] == 3
    same(together)


@pytest.mark.parametrize(("script", "further"), [(PUBLISHED, 1), (NO_CACHE, 1), (CONFIRMED, 0)])
def test_what_the_cone_leaves_out_changes_no_verdict(script: Script, further: int) -> None:
    for roles, instances in ((BLOCK_1, 3), (BLOCK_2, 2)):
        with_cone, without = (
            search(case(script, roles, Intruder.INSIDER, instances + further, cone)) for cone in (True, False)
        )
        assert sizes(with_cone) == sizes(without)
        assert with_cone.states <= without.states


# Protocols about which much is known -----------------------------------------------------------


def verdicts(protocol: Protocol, goals: tuple[Goal, ...], instances: int = 4) -> dict[str, int]:
    return sizes(search(Case(protocol, Intruder.INSIDER, goals, instances)))


def test_needham_schroeder_falls_to_lowes_attack_and_his_repair_does_not() -> None:
    found = verdicts(classic.needham_schroeder(), classic.NONCE_GOALS)
    # B believes that it talks to A, and mallory knows both nonces; A's own beliefs stand.
    assert found["agreement B-A"] == 2 and found["secrecy N_B"] == 2
    assert "agreement A-B" not in found and "aliveness B-A" not in found
    # What is sent under a long-term key is lost with it.
    assert verdicts(classic.needham_schroeder(repaired=True), classic.NONCE_GOALS) == {"forward N_A": 2}


def test_lowes_attack_is_told_as_lowe_told_it() -> None:
    asked = Case(classic.needham_schroeder(), Intruder.INSIDER, classic.NONCE_GOALS, 2)
    found = attack(search(asked), Goal(Property.AGREEMENT, "B-A"))
    # A talks to mallory, who talks to B in A's name.
    assert [step.kind.who for step in found.steps if step.stage == 0] == [
        {classic.A: "alice", classic.B: "mallory"},
        {classic.B: "bob", classic.A: "alice"},
    ]
    assert found.believed == "bob (B) believes to share N_A with alice"


def test_signed_diffie_hellman_is_misbound_and_its_repairs_are_not() -> None:
    plain = verdicts(classic.signed_diffie_hellman(), classic.KEY_GOALS)
    assert plain["binding A-B"] == plain["binding B-A"] == 2
    assert "secrecy K" not in plain and "forward K" not in plain
    assert verdicts(classic.signed_diffie_hellman(names=True), classic.KEY_GOALS) == {}
    sigma = verdicts(classic.signed_diffie_hellman(macs=True), classic.KEY_GOALS)
    # B speaks before it knows who A is, so A alone cannot yet know whom B means; nobody is misbound.
    assert sigma == {"agreement A-B": 2, "pairing A-B": 3}


@pytest.mark.parametrize("names", [False, True])
def test_the_classic_ones_are_the_same_both_ways(names: bool) -> None:
    same(Case(classic.needham_schroeder(names), Intruder.INSIDER, classic.NONCE_GOALS, 2))
    same(Case(classic.signed_diffie_hellman(names), Intruder.INSIDER, classic.KEY_GOALS, 3))
    same(Case(classic.signed_diffie_hellman(macs=True), Intruder.OUTSIDER, classic.KEY_GOALS, 3))


# The process around the engine -----------------------------------------------------------------


def test_a_search_that_takes_too_long_is_ended_and_says_nothing() -> None:
    result = search(case(PUBLISHED, BLOCK_2, Intruder.INSIDER, 6), limit=0.01)
    assert not result.complete and result.attacks == {}


def test_results_come_as_they_are_ready() -> None:
    asked = [case(PUBLISHED, BLOCK_1, intruder, 2) for intruder in Intruder]
    assert {result.case.intruder for result in search_all(asked)} == set(Intruder)


def test_without_the_engine_a_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "installed", lambda: False)
    with pytest.raises(MissingPeerError, match=r"pip install 'mqttsec\[verify\]'"):
        search(case(PUBLISHED, BLOCK_1, Intruder.OUTSIDER, 2))


def test_an_engine_that_fails_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        text = "mod CASE is nonsense endm"

    monkeypatch.setattr(runner, "module", lambda asked: Broken())
    with pytest.raises(MqttsecError, match="Maude gave no answer"):
        search(case(PUBLISHED, BLOCK_1, Intruder.OUTSIDER, 2))


def test_the_engine_is_not_loaded_until_it_is_asked() -> None:
    code = (
        "import sys, mqttsec.verify.runner, mqttsec.verify.variants, mqttsec.verify.findings;"
        "sys.exit('maude' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
