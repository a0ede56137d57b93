"""The model is made from the steps: one changed field changes the bytes on the wire and the verdict."""

from __future__ import annotations

import pytest

from mqttsec.crypto import Profile
from mqttsec.e2e import Run, Setup
from mqttsec.e2e import terms as t
from mqttsec.e2e.company import Company, across
from mqttsec.e2e.encoding import terms_of
from mqttsec.e2e.steps import STARTS, CheckKind, Sending
from mqttsec.errors import HandshakeError
from mqttsec.verify.cases import Intruder
from mqttsec.verify.from_steps import protocol, role_name
from mqttsec.verify.matrix import BLOCK_1
from mqttsec.verify.roles import Receive, Send, Signed
from tests.verify.asking import ask


def test_one_signed_field_changes_the_bytes_and_the_verdict() -> None:
    """B's answer names P, or does not: nothing else is changed, and nothing is written twice."""
    published = Setup(2, Profile.PUBLISHED)
    covers = published.script.signatures[t.SIG_C2].covers
    named = published.script.signing(t.SIG_C2, *covers, t.ID_P)
    changed = Setup(2, Profile.PUBLISHED, altered=named)

    # On the wire: who expects the one does not take the other.
    theirs, ours = Company(changed), Company(published)
    answer = theirs.broker.welcome("alice", across(theirs.publisher.hello())).reply
    hello = ours.publisher.hello()
    ours.broker.welcome("alice", across(hello))
    with pytest.raises(HandshakeError, match="signature Sig_B:c2 failed"):
        ours.publisher.welcomed(across(answer))

    # In the model: who signs the peer's name cannot be misbound.
    before = ask(published.script, BLOCK_1, Intruder.PUBLISHER, 2)
    after = ask(named, BLOCK_1, Intruder.PUBLISHER, 2)
    assert before == {"agreement P-B": 2, "binding P-B": 2}
    assert after == {}


@pytest.mark.parametrize("setup", [Setup(3, Profile.PUBLISHED), Setup(3), Setup(3, confirm=True)])
def test_every_signature_and_check_of_the_steps_is_in_the_model(setup: Setup) -> None:
    script = setup.script
    roles = protocol(script)
    made = {
        part.name: part
        for role in roles.roles
        for act in role.acts
        if isinstance(act, Send)
        for part in act.news
        if isinstance(part, Signed)
    }
    sent = {
        term
        for step in script.steps
        if isinstance(step, Sending)
        for term in terms_of(step.message)
        if term.kind is t.Kind.SIGNATURE
    }
    assert set(made) == {term.name for term in sent}
    for term in sent:
        assert [str(item) for item in made[term.name].payload] == [
            str(each) for each in script.signatures[term].covers
        ]
    fresh = {
        var.name for role in roles.roles for act in role.acts if isinstance(act, Receive) for var in act.fresh
    }
    assert fresh == {"T_P", "T_B", "T_S", "T_P'", "T_B'"}
    caches = {
        (role.name, half.name)
        for role in roles.roles
        for act in role.acts
        if isinstance(act, Receive)
        for _, half in act.unseen
    }
    assert caches == ({("B1", "R_P"), ("B2", "R_SP"), ("P2", "R_SP")} if setup.hardened else set())


def test_a_party_begins_with_what_the_steps_say() -> None:
    roles = {role.name: role for role in protocol(Setup(2).script).roles}
    for start in STARTS:
        given = {term.name for term in start.knows if term.kind is t.Kind.IDENTITY}
        role = roles[role_name(start.role, start.block)]
        assert given <= {var.name for var in role.partners}


def test_a_machine_begins_with_nothing_else() -> None:
    company = Company(Setup(2))
    for start in STARTS:
        if start.role is t.Role.B:
            names = {"P" if term is t.ID_P else "S": "alice" for term in start.knows}
            assert Run.of(company.broker.party, **names).values
    with pytest.raises(AssertionError, match="cannot begin a run with"):
        Run.of(company.broker.party, P="alice", S="bob")


def test_the_responder_agrees_on_the_whole_key_only_once_it_is_confirmed() -> None:
    for confirm, halves in ((False, ("R_P",)), (True, ("R_P", "R_B"))):
        claims = protocol(Setup(2, confirm=confirm).script).role("B1").claims
        assert [tuple(var.name for var in claim.agreed) for claim in claims] == [halves]


def test_what_is_not_checked_is_not_in_the_model() -> None:
    script = Setup(2).script.without(CheckKind.SIGNATURE, t.SIG_S1, t.Role.P)
    roles = {role.name: role for role in protocol(script).roles}
    names = {
        name: {part.name for act in roles[name].acts for part in act.parts if isinstance(part, Signed)}
        for name in ("P2", "B2")
    }
    assert "Sig_S:s1" not in names["P2"]
    assert "Sig_S:s1" in names["B2"]
