"""Every weakness of the table runs as a program: it works against *published* and fails as it should."""

from __future__ import annotations

import pytest

from mqttsec.crypto import Profile
from mqttsec.e2e import Setup
from mqttsec.e2e.attacks import ATTACKS, Attack, attack, attempt, run_all
from mqttsec.e2e.company import TOPIC, ready
from mqttsec.e2e.steps import HARDENED_SIGNATURES
from mqttsec.e2e.terms import ID_P, R_P, SIG_C2, Term

EACH = pytest.mark.parametrize("each", ATTACKS, ids=lambda each: each.name)


def test_there_is_an_attack_for_every_row_of_the_table() -> None:
    assert {each.row for each in ATTACKS} == set(range(1, 7))
    assert [each.row for each in ATTACKS] == sorted(each.row for each in ATTACKS)
    assert len({each.name for each in ATTACKS}) == len(ATTACKS)
    # A table of a lab shows as many characters.
    assert all(each.summary.endswith(".") and len(each.summary) <= 60 for each in ATTACKS)


@EACH
def test_published_does_not_notice(each: Attack) -> None:
    outcome = attempt(each, each.published)
    assert each.published.profile is Profile.PUBLISHED
    assert outcome.succeeded and outcome.achieved


@EACH
def test_hardened_refuses_as_the_table_says(each: Attack) -> None:
    outcome = attempt(each, each.hardened)
    assert each.hardened.hardened
    assert outcome.refusal == each.stopped_by
    assert not outcome.achieved


def test_only_signed_messages_stop_an_insider() -> None:
    options = {each.name for each in ATTACKS if each.also_beats is not None}
    assert options == {"insider forgery"}
    forgery = attack("insider forgery")
    assert forgery.also_beats is not None and forgery.also_beats.hardened
    assert "alice said 99.9 C" in attempt(forgery, forgery.also_beats).achieved


def signing(signature: Term, *covers: Term) -> Setup:
    """What the paper has, but for one signature."""
    published = Setup(3, Profile.PUBLISHED)
    return Setup(3, Profile.PUBLISHED, altered=published.script.signing(signature, *covers))


def covered(signature: Term) -> tuple[Term, ...]:
    """What *hardened* signs there."""
    return next(each.covers for each in HARDENED_SIGNATURES if each.term == signature)


def test_what_each_binding_is_for() -> None:
    """P's name under B's signature stops misbinding, P's ephemeral key mixed runs; neither does both."""
    misbinding, mixed = attack("identity misbinding"), attack("mixed parallel runs")
    both = signing(SIG_C2, *covered(SIG_C2))
    without_name = signing(SIG_C2, *(term for term in covered(SIG_C2) if term != ID_P))
    without_ephemeral = signing(SIG_C2, *(term for term in covered(SIG_C2) if term != R_P))
    found = [
        [attempt(each, setup).succeeded for setup in (both, without_name, without_ephemeral)]
        for each in (misbinding, mixed)
    ]
    assert found == [[False, True, False], [False, False, True]]


def test_names_in_the_key_schedule_are_a_second_line() -> None:
    """Without P's name under the signature *hardened* does not refuse, but the keys are of no use."""
    script = Setup(3).script.signing(SIG_C2, *(term for term in covered(SIG_C2) if term != ID_P))
    outcome = attempt(attack("identity misbinding"), Setup(3, altered=script))
    assert outcome.error is not None and "the keys differ" in str(outcome.error)


@pytest.mark.parametrize("scheme", (1, 2, 3, 4))
@pytest.mark.parametrize("profile", list(Profile))
def test_a_company_works_without_an_attacker(scheme: int, profile: Profile) -> None:
    company = ready(Setup(scheme, profile), "bob", "carol")
    assert {each.message for each in company.publish(b"12.8 C").values()} == {b"12.8 C"}
    company.leave("carol")
    assert set(company.publish(b"13.0 C")) == {"bob"}
    assert company.publisher.members(TOPIC)[0] == "bob"


def test_the_table_is_of_fixed_width_and_the_same_every_time() -> None:
    lines = run_all().splitlines()
    assert lines[0].split() == ["attack", "row", "by", "published", "hardened"]
    assert [line.split("  ")[0] for line in lines[1:]] == [each.name for each in ATTACKS]
    starts = {line.index("succeeds") for line in lines[1:]}
    assert starts == {lines[0].index("published")}
    assert "\n".join(lines) == run_all()
