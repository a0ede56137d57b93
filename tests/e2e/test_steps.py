"""The step data is complete, says what the specification says, and drives what is signed."""

from __future__ import annotations

import pytest

from mqttsec.crypto import Operation, Profile, Tally
from mqttsec.e2e import SCHEMES, Checking, CheckKind, KeyName, Mode, Role, Script, Sending, Setup
from mqttsec.e2e import terms as t
from mqttsec.e2e.company import Company, across
from mqttsec.e2e.encoding import terms_of
from mqttsec.e2e.messages import PublisherHello
from mqttsec.e2e.schemes import (
    Wire,
    connect_operations,
    keys_of,
    layers,
    reads,
    removable,
    subscribe_operations,
)
from mqttsec.e2e.steps import AGREEMENTS
from mqttsec.errors import ConfigurationError
from mqttsec.packets import PacketType

SCRIPTS = [
    Setup(number, profile, mode=mode, confirm=confirm).script
    for number in SCHEMES
    for mode in Mode
    for profile, confirm in (
        (Profile.PUBLISHED, False),
        (Profile.HARDENED, False),
        (Profile.HARDENED, True),
    )
]


@pytest.mark.parametrize("profile", Profile)
def test_steps_1_to_15_in_the_packets_of_the_specification(profile: Profile) -> None:
    sent = [
        (step.number, step.packet.name, step.sender.value + step.receiver.value)
        for step in Setup(3, profile).script.steps
        if isinstance(step, Sending)
    ]
    assert sent == [
        (1, "CONNECT", "PB"), (3, "CONNACK", "BP"), (5, "CONNECT", "SB"), (7, "PUBLISH", "BP"),
        (9, "AUTH", "BS"), (10, "AUTH", "SB"), (11, "AUTH", "BS"), (12, "AUTH", "SB"),
        (13, "PUBLISH", "PB"), (14, "CONNACK", "BS"),
    ]  # fmt: skip
    checked = [
        (step.number, step.party.value)
        for step in Setup(3, profile).script.steps
        if isinstance(step, Checking)
    ]
    assert checked == [(2, "B"), (4, "P"), (6, "B"), (8, "P"), (13, "B"), (15, "S")]


def test_confirming_makes_auth_of_the_answers() -> None:
    sent = [step for step in Setup(3, confirm=True).script.steps if isinstance(step, Sending)]
    packets = {step.number: step.packet for step in sent}
    assert {packets[number] for number in (3, 14, 16, 18)} == {PacketType.AUTH}
    assert packets[19] is PacketType.PUBLISH


def signed(script: Script) -> dict[str, str]:
    return {term.name.partition(":")[2]: str(covers) for term, covers in script.signatures.items()}


def test_published_signs_what_the_paper_signs() -> None:
    assert signed(Setup(3, Profile.PUBLISHED).script) == {
        "c1": "Sig_P(R_P, T_P)",
        "c2": "Sig_B(R_B, T_B)",
        "s1": "Sig_S(S, P, topic, R_SB, R_SP, T_S)",
        "p2": "Sig_P(R_PS, T_P')",
        "b2": "Sig_B(R_BS, T_B')",
    }


def test_hardened_signs_what_was_verified() -> None:
    assert signed(Setup(3).script) == {
        "c1": "Sig_P(c1, P, B, R_P, T_P)",
        "c2": "Sig_B(c2, B, P, R_B, R_P, T_B)",
        "s1": "Sig_S(s1, S, B, P, topic, R_SB, R_SP, T_S)",
        "p2": "Sig_P(p2, P, S, R_PS, R_SP, T_P')",
        "b2": "Sig_B(b2, B, S, R_BS, R_SB, T_B')",
        "c3": "Sig_P(c3, P, B, R_P, R_B)",
        "s3": "Sig_S(s3, S, P, R_SP, R_PS)",
        "s4": "Sig_S(s4, S, B, R_SB, R_BS)",
    }


@pytest.mark.parametrize("script", SCRIPTS)
def test_what_is_checked_is_sent_and_what_is_sent_is_checked(script: Script) -> None:
    for step in script.steps:
        if not isinstance(step, Checking):
            continue
        borne = terms_of(step.message)
        checked = {check.subject for check in step.checks}
        assert checked <= set(borne)
        signatures = {term for term in borne if term.kind is t.Kind.SIGNATURE}
        # S's two confirming signatures go to two parties.
        assert signatures - checked <= {t.SIG_S3}
        certificates = {term for term in borne if term.kind is t.Kind.CERTIFICATE}
        timestamps = {term for term in borne if term.kind is t.Kind.TIMESTAMP}
        assert certificates | timestamps <= checked


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_key_is_learned_by_its_holders(script: Script) -> None:
    learned: dict[KeyName, set[Role]] = {}
    for step in script.steps:
        party = step.sender if isinstance(step, Sending) else step.party
        for key in step.learns:
            learned.setdefault(key, set()).add(party)
    given = {wrap.holds: {wrap.giver} for wrap in script.wraps.values()}
    for key, parties in learned.items():
        assert parties | given.get(key, set()) == key.holders, key
    assert set(AGREEMENTS) <= set(learned)


@pytest.mark.parametrize("number", SCHEMES)
@pytest.mark.parametrize("mode", Mode)
def test_the_operations_follow_from_the_steps(number: int, mode: Mode) -> None:
    """The handshake's costs, counted off the steps instead of a run."""
    script = Setup(number, mode=mode).script
    table = (connect_operations(), subscribe_operations(SCHEMES[number], mode))
    for block, expected in zip(script.blocks, table, strict=True):
        assert {role: _operations(script, block, role) for role in expected} == expected


def _operations(script: Script, block: object, role: Role) -> Tally:
    total = Tally()
    of_kind = {
        CheckKind.SIGNATURE: Operation.VERIFY,
        CheckKind.CERTIFICATE: Operation.CERTIFICATE_CHECK,
        CheckKind.AGREEMENT: Operation.ECDH,
        CheckKind.UNWRAP: Operation.UNWRAP,
    }
    for step in block:  # type: ignore[attr-defined]
        if isinstance(step, Sending) and step.sender is role:
            own = [term for term in terms_of(step.message) if term.owner is role and not step.forwards]
            total += sum(term.kind is t.Kind.EPHEMERAL for term in own) * Tally.of(Operation.KEY_GENERATION)
            total += sum(term.kind is t.Kind.SIGNATURE for term in own) * Tally.of(Operation.SIGN)
            total += sum(term in script.wraps for term in own) * Tally.of(Operation.WRAP)
            total += len(step.learns) * Tally.of(Operation.ECDH)
        elif isinstance(step, Checking) and step.party is role:
            total += Tally.of(*(of_kind[check.kind] for check in step.checks if check.kind in of_kind))
    return total


def test_a_change_of_the_data_changes_the_bytes_that_are_signed() -> None:
    """What is proved is what runs: both read the same lines."""
    changed = Setup(3).script.signing(t.SIG_C1, t.tag("c1"), t.ID_P, t.R_P, t.T_P)
    mutated = Company(Setup(3, altered=changed))
    mutated.connect()
    as_it_should_be = Company(Setup(3))
    hello = across(mutated.publisher.hello())
    with pytest.raises(Exception, match="step 2: signature Sig_P:c1 failed"):
        as_it_should_be.broker.welcome("alice", hello)


def test_a_signature_that_is_left_out_is_not_asked_for() -> None:
    mutated = Company(Setup(3, altered=Setup(3).script.signing(t.SIG_C1)))
    hello = mutated.publisher.hello()
    assert hello.signature == b""
    mutated.broker.welcome("alice", across(hello))
    assert mutated.tallies()["broker"][Operation.VERIFY] == 0


def test_a_check_that_is_left_out_is_not_made() -> None:
    script = Setup(3).script.without(CheckKind.UNSEEN)
    world = Company(Setup(3, altered=script))
    hello = world.publisher.hello()
    world.broker.welcome("alice", across(hello))
    world.broker.welcome("alice", across(hello))
    kept = Setup(3).script.without(CheckKind.FRESH, t.T_S)
    assert kept.checking(PublisherHello, Role.B) == Setup(3).script.checking(PublisherHello, Role.B)


def test_settings_that_cannot_work_say_so() -> None:
    for wrong in (
        {"scheme": 5},
        {"suite": "rot13"},
        {"curve": "P-1"},
        {"window": 0.0},
        {"profile": Profile.PUBLISHED, "confirm": True},
        {"profile": Profile.PUBLISHED, "sign_messages": True},
    ):
        with pytest.raises(ConfigurationError):
            Setup(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="no signature"):
        Setup(3, Profile.PUBLISHED).script.signing(t.SIG_C3, t.R_P)
    with pytest.raises(ConfigurationError, match="S does not check PublisherHello"):
        Setup(3).script.checking(PublisherHello, Role.S)


def test_setups_that_differ_have_methods_that_differ() -> None:
    setups = [
        Setup(number, profile, suite, curve, mode, window=window)
        for number in SCHEMES
        for profile in Profile
        for suite in ("paper", "chacha20")
        for curve in ("P-256", "X25519")
        for mode in Mode
        for window in (60.0, 30.0)
    ]
    # The window is each receiver's own affair.
    assert len({setup.method for setup in setups}) == len(setups) // 2


# Who can read what -----------------------------------------------------------------------------


def test_only_p_and_s_read_messages() -> None:
    for row in SCHEMES.values():
        for mode in Mode:
            for wire in Wire:
                readers = {role for role in (*Role, None) if reads(row, wire, mode, role)}
                assert Role.B not in readers and None not in readers
                own = Role.P if wire is Wire.P_B else Role.S
                # P reads its own wire; on the other one B's layer keeps it out unless it is a tag only.
                assert own in readers


def test_what_b_can_take_off() -> None:
    taken = {
        number: [removable(layers(row, wire, Mode.PER_RECIPIENT), keys_of(Role.B)) for wire in Wire]
        for number, row in SCHEMES.items()
    }
    assert taken == {1: [0, 0], 2: [1, 1], 3: [1, 1], 4: [1, 1]}
    outsider = [removable(layers(SCHEMES[4], wire, Mode.PER_RECIPIENT), keys_of(None)) for wire in Wire]
    # Scheme 4's outer layer is a tag: it hides nothing, not even from an outsider.
    assert outsider == [1, 1]
