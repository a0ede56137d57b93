"""Every attack of the model is an attack on the machines; what is no attack is none there either."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from mqttsec.crypto import Profile
from mqttsec.e2e import Setup
from mqttsec.errors import ConfigurationError
from mqttsec.packets import decode
from mqttsec.trace import ladder, text_ladder
from mqttsec.verify.cases import Goal, Intruder, Property
from mqttsec.verify.command import main
from mqttsec.verify.findings import attack
from mqttsec.verify.live import run_live
from mqttsec.verify.matrix import BLOCK_1, PARTS, Question
from mqttsec.verify.replay import DoesNotCarryOver, run
from mqttsec.verify.runner import search
from mqttsec.verify.variants import variant
from tests.verify.asking import case


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_attack_of_the_whole_table_works_on_the_machines(capsys: pytest.CaptureFixture[str]) -> None:
    """All variants, intruders and goals to the bounds of `--all`; a refused attack is a surprise."""
    assert main(["--all", "--run"]) == 0
    told = capsys.readouterr()
    (count,) = re.findall(r"^(\d+) attacks run on the real machines: \1 succeeded$", told.out, re.MULTILINE)
    assert int(count) > 1000 and told.err == ""


def misbinding() -> Question:
    return Question(variant("published"), Intruder.INSIDER, PARTS[0])


def test_the_attack_on_published_fails_on_hardened_machines() -> None:
    """The model's attack is no artefact: machines that sign the peer's name refuse it."""
    result = search(misbinding().case(2))
    found = attack(result, Goal(Property.BINDING, "P-B"))
    assert "believes to share it with mallory" in run(found, Setup(2, Profile.PUBLISHED)).achieved
    with pytest.raises(DoesNotCarryOver, match="signature Sig_P:c1 failed|signature Sig_B:c2 failed"):
        run(found, Setup(2))


def test_an_attack_that_promises_too_much_is_found_out() -> None:
    result = search(misbinding().case(2))
    found = attack(result, Goal(Property.BINDING, "P-B"))
    boasting = replace(found, goal=Goal(Property.ALIVENESS, "P-B"))
    with pytest.raises(DoesNotCarryOver, match="all went through, and yet it is not so"):
        run(boasting, Setup(2, Profile.PUBLISHED))


def test_an_attack_is_a_ladder_of_real_packets() -> None:
    result = search(misbinding().case(2))
    outcome = run(attack(result, Goal(Property.BINDING, "P-B")), Setup(2, Profile.PUBLISHED))
    diagram = ladder(outcome.trace)
    assert set(diagram.parties) == {"alice", "broker", "mallory"}
    packets = [decode(arrow.frame).packet_type.name for arrow in diagram.arrows]
    assert packets == ["CONNECT", "CONNECT", "CONNACK", "CONNACK"]
    assert "unknown" not in text_ladder(diagram)


def test_an_attack_is_told_in_the_same_words_every_time() -> None:
    asked = case(variant("published").script, BLOCK_1, Intruder.INSIDER, 3)
    told = [list(attack(search(asked), Goal(Property.ONCE, "B-P")).lines()) for _ in range(2)]
    assert told[0] == told[1] and len(told[0]) == 5


# Against a live broker -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "part", "goal"),
    [
        ("published", 0, Goal(Property.BINDING, "P-B")),
        ("published", 0, Goal(Property.PAIRING, "P-B")),
        ("published", 0, Goal(Property.ONCE, "B-P")),
        ("published", 1, Goal(Property.BINDING, "S-B")),
        ("no signatures", 3, Goal(Property.SECRECY, "GK_B")),
    ],
)
def test_an_attack_works_on_a_live_broker(name: str, part: int, goal: Goal) -> None:
    """Over TCP: the same attack, the same outcome."""
    each = variant(name)
    question = Question(each, Intruder.INSIDER, PARTS[part])
    found = attack(search(question.case(3)), goal)
    outcome = run_live(found, each.setup(question.part.scheme))
    assert outcome.achieved == found.summary


def test_hardened_parties_refuse_at_a_live_broker_too() -> None:
    found = attack(search(misbinding().case(2)), Goal(Property.BINDING, "P-B"))
    with pytest.raises(DoesNotCarryOver, match="P alice, step 4: signature Sig_B:c2 failed"):
        run_live(found, Setup(2))


def test_what_no_broker_takes_part_in_is_not_run_there() -> None:
    question = Question(variant("published"), Intruder.INSIDER, PARTS[1])
    found = attack(search(question.case(2)), Goal(Property.BINDING, "S-P"))
    with pytest.raises(ConfigurationError, match="goes without the broker"):
        run_live(found, Setup(2, Profile.PUBLISHED))
    with pytest.raises(ConfigurationError, match="no attack on the confirmed handshake"):
        run_live(found, Setup(2, confirm=True))
