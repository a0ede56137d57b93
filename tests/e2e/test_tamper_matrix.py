"""The tamper matrix, all of it: run and model agree, and where either is mutated they do not."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from mqttsec.cli import main
from mqttsec.crypto import Profile
from mqttsec.e2e import CheckKind, Sending, Setup, channel, predictions
from mqttsec.e2e import terms as t
from mqttsec.e2e.alterations import Alteration, fields_of, raw_of, variants, with_raw
from mqttsec.e2e.encoding import decode
from mqttsec.e2e.messages import Layer
from mqttsec.e2e.roads import roads
from mqttsec.e2e.stages import numbers, stage
from mqttsec.e2e.steps import Checking
from mqttsec.e2e.tamper_matrix import MESSAGE_ROW, Plan, plans, run

pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")

PLANS = tuple(plans())
OTHER_SUITES = tuple(plans((3,), (Profile.HARDENED,), "aes-gcm-gmac", "X25519"))


@pytest.mark.parametrize("plan", PLANS + OTHER_SUITES, ids=lambda plan: plan.setup.method)
def test_nothing_happens_that_the_model_does_not_predict(plan: Plan) -> None:
    matrix = run(plan, seed=1, bits=2)
    assert matrix.surprises == ()
    tried = {(cell.message.split()[-1], cell.field, cell.alteration) for cell in matrix.cells}
    for number in plan.steps:
        message = stage(plan.setup, number).original
        assert {
            (type(message).__name__, ".".join(each.path) or MESSAGE_ROW, alteration)
            for each in fields_of(message)
            for alteration in Alteration
        } <= tried
    for cell in matrix.cells:
        # Every field that is not empty can be flipped and cut, and whole messages taken away.
        name = cell.field.rpartition(".")[2]
        empty = {"tag", "signature"} if "message" in cell.message else {"wrapped"}
        if cell.alteration in (Alteration.FLIP, Alteration.CUT) and name not in empty:
            assert cell.cases, (cell.message, cell.field, cell.alteration)


def test_the_plans_leave_nothing_out() -> None:
    setups = [plan.setup for plan in PLANS]
    assert {(setup.scheme, setup.profile) for setup in setups} == {
        (number, profile) for number in (1, 2, 3, 4) for profile in Profile
    }
    assert {setup.mode for setup in setups if setup.scheme == 2} == set(type(setups[0].mode))
    for profile in Profile:
        messages = {
            step.message
            for plan in PLANS
            if plan.setup.profile is profile
            for step in plan.setup.script.steps
            if isinstance(step, Sending) and step.number in plan.steps
        }
        confirm = profile is Profile.HARDENED
        script = Setup(3, profile, confirm=confirm).script
        assert messages == {step.message for step in script.steps if isinstance(step, Sending)}
    for plan in PLANS:
        if plan.data:
            assert len(list(roads(plan.setup))) == (2 if plan.setup.scheme == 1 else 3)


# It can fail -----------------------------------------------------------------------------------


CONFIRMED = Setup(3, Profile.HARDENED, confirm=True)
CHECKS = sorted(
    {
        (check.kind, check.subject)
        for step in CONFIRMED.script.steps
        if isinstance(step, Checking)
        for check in step.checks
        # Without its certificate a party's signature cannot be checked, and without its key nothing goes on.
        if check.kind not in (CheckKind.CERTIFICATE, CheckKind.AGREEMENT, CheckKind.UNWRAP)
    },
    key=str,
)


@pytest.mark.parametrize("kind, subject", CHECKS, ids=str)
def test_a_check_that_the_machines_leave_out_is_a_surprise(kind: CheckKind, subject: t.Term) -> None:
    model = CONFIRMED.script
    weakened = replace(CONFIRMED, altered=model.without(kind, subject))
    where = [
        step.number - 1 if step.number in (2, 4, 6, 8, 15) else step.number
        for step in model.steps
        if isinstance(step, Checking) and any((c.kind, c.subject) == (kind, subject) for c in step.checks)
    ]
    plan = Plan(weakened, tuple(where), data=False)
    assert run(plan, model=model, bits=3).surprises


def test_what_is_left_out_of_both_is_no_surprise() -> None:
    """A signature that covers less: the machines sign less, and the model knows what follows."""
    setup = Setup(2)
    script = setup.script.signing(t.SIG_B2, t.tag("b2"), t.ID_B, t.R_BS, t.T_B2)
    plan = Plan(replace(setup, altered=script), (14,), data=False)
    weaker = run(plan)
    assert weaker.surprises == ()
    swapped = {
        (cell.field, cell.alteration): cell.cases for cell in weaker.cells if cell.field == MESSAGE_ROW
    }
    whole = run(replace(plan, setup=setup)).cells
    assert [cell.cases for cell in whole if (cell.field, cell.alteration) == (MESSAGE_ROW, Alteration.SWAP)]
    assert swapped[MESSAGE_ROW, Alteration.SWAP]
    assert run(plan, model=setup.script).surprises == ()  # Sig_P:p2 refuses the swap before Sig_B:b2 would.
    script = script.signing(t.SIG_P2, t.tag("p2"), t.ID_P, t.R_PS, t.T_P2)
    plan = Plan(replace(setup, altered=script), (14,), data=False)
    assert run(plan).surprises == () and run(plan, model=setup.script).surprises


@pytest.mark.parametrize("left_out", channel.BOUND[Profile.HARDENED])
def test_a_field_that_is_not_under_the_tag_is_a_surprise(
    left_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model believes that less is under the tag than is: that much is seen of each field."""
    bound = {**channel.BOUND, Profile.HARDENED: tuple(set(channel.BOUND[Profile.HARDENED]) - {left_out})}
    monkeypatch.setattr(predictions, "BOUND", bound)
    surprises = run(Plan(Setup(4), ()), bits=8).surprises
    # Another layer, publisher or key is refused before the tag is looked at; another epoch is another key.
    assert bool(surprises) is (left_out in ("topic", "sequence"))


# What is changed -------------------------------------------------------------------------------


def test_fields_are_changed_one_at_a_time() -> None:
    place = stage(Setup(3), 14)
    message = place.original
    found = fields_of(message)
    names = [".".join(each.path) for each in found]
    assert "answer.wrapped.epoch" in names and "wrapped.sealed" in names and names[0] == ""
    for each in found:
        assert with_raw(message, each.path, each.raw) == message.encode()
        assert raw_of(message, each.path) == each.raw
        for raw in variants(each, Alteration.FLIP, b"", b"", random.Random(0), 3):
            changed = with_raw(message, each.path, raw)
            differing = int.from_bytes(changed, "big") ^ int.from_bytes(message.encode(), "big")
            assert len(changed) == len(message.encode()) and differing.bit_count() == 1


def test_a_number_that_is_cut_may_by_chance_make_sense() -> None:
    (timestamp,) = (each for each in fields_of(stage(Setup(1), 3).original) if each.path == ("timestamp",))
    assert timestamp.fits(b"", Alteration.REMOVE) is None
    assert timestamp.fits(bytes(8), Alteration.REMOVE) is True


def test_steps_are_those_that_send() -> None:
    assert numbers(Setup(1)) == (1, 3, 5, 7, 9, 10, 13, 14)
    assert numbers(CONFIRMED) == (1, 3, 16, 5, 7, 9, 10, 13, 14, 18, 19)


def test_a_stage_has_come_so_far_and_no_further() -> None:
    for number in numbers(CONFIRMED):
        place = stage(CONFIRMED, number)
        assert place.arriving.number == number
        assert {type(message) for message in place.elsewhere.values()} == {type(place.original)}
        assert place.session.go_on() is None and not place.session.split
        assert len(place.session.held) == (4 if number in (5, 7, 9, 10, 13, 14, 18, 19) else 2)


# The command -----------------------------------------------------------------------------------


def test_the_command_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tamper", "--scheme", "1", "--profile", "published", "--bits", "1"]) == 0
    said = capsys.readouterr().out
    assert "surprises: 0" in said and "Sig_B(R_B, T_B) fits: all that it covers came with it" in said
    assert max(map(len, said.splitlines())) < 160
    rows = [line.split() for line in said.splitlines()]
    assert ["ephemeral", *["B", "signature"] * 5] in rows
    assert ["step", "3", "BrokerHello", "bit", "flip", "truncation", "swap", "replay", "removal"] in rows


def test_the_command_fails_on_a_surprise(capsys: pytest.CaptureFixture[str]) -> None:
    weaker = ["tamper", "--scheme", "1", "--profile", "hardened", "--bits", "1"]
    assert main([*weaker, "--without", "signature Sig_P:c1"]) == 1
    said = capsys.readouterr().out
    assert "SURPRISE step 1 PublisherHello, ephemeral, swap: predicted: B refuses: signature Sig_P:c1" in said
    assert "surprises: 0" not in said.splitlines()[-1]


def test_the_command_writes_every_case_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tamper", "--scheme", "4", "--profile", "published", "--bits", "1", "--json"]) == 0
    (table,) = json.loads(capsys.readouterr().out)
    taken = [
        (cell["field"], case["why"])
        for cell in table["cells"]
        for case in cell["cases"]
        if case["seen"].startswith("accepted")
    ]
    assert ("sequence", "not under the tag: sequence") in taken and all(why for _, why in taken)


@pytest.mark.parametrize(
    "words",
    (["--scheme", "5"], ["--scheme", "x"], ["--bits", "0"], ["--scheme", "1", "--without", "nothing"]),
)
def test_what_cannot_be_tried_is_said(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tamper", "--profile", "published", *words]) == 2
    assert capsys.readouterr().err.startswith("mqttsec: ")


def test_a_layer_is_a_message_like_any_other() -> None:
    layer = Layer(1, "alice", bytes(8), 0, 1, b"body", b"", b"")
    assert decode(with_raw(layer, ("body",), b"other"), Layer) == replace(layer, body=b"other")
