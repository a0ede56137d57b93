"""Lab 02's object: every step of a run, what a reader may do to it, and checks that know right from wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mqttsec.check import State
from mqttsec.crypto import Profile, fields
from mqttsec.e2e.attacks import ATTACKS
from mqttsec.e2e.guarantees import GUARANTEES, Standing
from mqttsec.errors import ConfigurationError
from mqttsec.labs import Handshake
from mqttsec.packets import PacketType, decode
from mqttsec.trace import EventKind

HONEST = [
    (1, "CONNECT"), (3, "CONNACK"), (5, "CONNECT"), (7, "PUBLISH"), (9, "AUTH"), (10, "AUTH"),
    (13, "PUBLISH"), (14, "CONNACK"), (0, "PUBLISH"), (0, "PUBLISH"), (0, "PUBLISH"), (0, "PUBLISH"),
]  # fmt: skip


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Handshake]:
    monkeypatch.chdir(tmp_path)
    with Handshake(seed=7) as lab:
        yield lab


def refusals(lab: Handshake) -> list[tuple[str, str]]:
    return [(event.party, event.detail) for event in lab.trace if event.kind is EventKind.REJECTED]


def standings(lab: Handshake) -> list[Standing]:
    return [each.standing(lab.exchange) for each in GUARANTEES]


# -- an honest run --------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", (1, 2, 3, 4))
@pytest.mark.parametrize("profile", ("published", "hardened"))
def test_an_honest_run_reaches_everything(lab: Handshake, scheme: int, profile: str) -> None:
    lab.use(scheme, profile)
    lab.run()
    steps = [(flight.step, flight.packet.packet_type.name) for flight in lab._play.delivered]
    assert steps == HONEST
    assert standings(lab) == [Standing.HOLDS] * len(GUARANTEES)
    assert refusals(lab) == [] and tuple(lab.exchange.taken) == lab.says


def test_the_packets_are_real_ones_in_the_trace(lab: Handshake) -> None:
    lab.run()
    assert len(lab.packets) == len(HONEST)
    for arrow, (_, name) in zip(lab.packets, HONEST, strict=True):
        assert decode(arrow.frame).packet_type is PacketType[name]
    assert lab.capture().packets == len(HONEST)


def test_steps_go_forth_and_back(lab: Handshake) -> None:
    seen = [repr(lab.moment())]
    while "nothing more" not in seen[-1]:
        seen.append(repr(lab.step()))
    assert len(seen) == len(HONEST) + 1
    for said in reversed(seen[:-1]):
        assert repr(lab.back()) == said
    assert repr(lab.back()) == seen[0]
    assert lab.jump("block 1").position == 2 and lab.jump("block 2").position == 8
    assert lab.jump("end").position == lab.run().position == len(HONEST)
    assert lab.jump(3).position == 3 and lab.jump("start").position == 0
    with pytest.raises(ConfigurationError, match="no milestone 'block 3'"):
        lab.jump("block 3")


def everything(lab: Handshake) -> str:
    said = [repr(lab.run()), lab.ladder(), repr(lab.knows()), repr(lab.reads()), repr(lab.guarantees())]
    said += [repr(lab.packet(number + 1)) for number in range(lab.position)]
    said += [re.sub("<svg.*?</svg>", "", lab.console().html, flags=re.S)]
    return "\n".join(said)


def test_the_text_is_the_same_in_every_run_and_holds_no_key(lab: Handshake) -> None:
    lab.use(3, "hardened")
    first = everything(lab)
    with Handshake(seed=7, profile="hardened") as other:
        assert everything(other) == first
    assert not re.search(r"[0-9a-f]{16}|([0-9a-f]{2} ){9}", first)


def test_the_fields_of_a_message_stand_below_the_one_that_carries_it(lab: Handshake) -> None:
    lab.run()
    for number, arrow in enumerate(lab.packets, start=1):
        table = lab.packet(number)
        inner = [row for row in table.rows if str(row[2]).startswith("  ")]
        for at, size, name, value in inner:
            if name == "  publisher (P)" or name == "  publisher":
                assert arrow.frame[at : at + size] == b"alice" and value == "'alice'"
        offsets = [row[0] for row in table.rows]
        assert offsets == sorted(offsets)
        assert bool(inner) == ("its fields:" in table.column("value"))
    sequences = [row[3] for row in (*lab.packet(9).rows, *lab.packet(11).rows) if row[2] == "  sequence"]
    assert sequences == ["1", "2"]
    assert 'class="mqs-part">version<' in lab.packet(1).html()


def test_long_refusals_are_broken_between_words(lab: Handshake) -> None:
    moment = lab.tamper(2, "signature")
    lines = repr(moment).splitlines()
    assert max(map(len, lines)) <= 100 < max(map(len, moment.text.splitlines()))
    assert " ".join(" ".join(lines).split()) == " ".join(moment.text.split())
    assert max(map(len, repr(lab.attack("gone member reads", "hardened")).splitlines())) <= 100


def test_keys_are_as_the_specification_says(lab: Handshake) -> None:
    lab.run()
    rows = {row[0]: row[1:] for row in lab.knows().rows}
    has, none = "has it", ""
    assert rows == {
        "K_PB": (has, has, none, none, none),
        "K_BSi": (none, has, has, none, none),
        "K_PSi": (has, none, has, none, none),
        "GK_B": (none, has, has, has, none),
        "GK_P": (has, none, has, has, none),
    }
    readers = {(row[0], *row[2:]) for row in lab.reads().rows}
    assert ("broker to bob", "", "10.0 C", "10.0 C", "") in readers


@pytest.mark.parametrize("scheme", (1, 2, 3, 4))
def test_the_broker_never_reads_a_message(lab: Handshake, scheme: int) -> None:
    lab.use(scheme, "published")
    lab.run()
    table = lab.reads()
    assert len(table) == 4
    assert set(table.column("broker")) == set(table.column("network")) == {""}
    last = dict(zip(table.columns, table.rows[-1], strict=True))
    assert last["bob"] == lab.says[-1].decode()


# -- meddling -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(1, 9))
def test_every_field_of_every_message_can_be_changed(lab: Handshake, number: int) -> None:
    """What the tamper matrix says of each is tested there; here that the lab reaches them all."""
    lab.use(3, "hardened")
    for name in lab.fields(number):
        lab.tamper(number, name)
        lab.run()
        assert refusals(lab), f"{name} of packet {number}"
        lab.reset()


def test_a_tampered_signature_is_refused_by_its_receiver(lab: Handshake) -> None:
    moment = lab.tamper(2, "signature")
    assert moment.position == 2 and "network: changes signature" in repr(moment)
    ((party, said),) = refusals(lab)
    assert party == "alice" and said.startswith("step 4: signature Sig_B:c2 failed")
    assert standings(lab)[0] is Standing.HALF
    lab.reset()
    lab.jump("block 1")
    assert refusals(lab) == []


def test_a_function_may_change_a_message(lab: Handshake) -> None:
    def later(message: Any) -> Any:
        return replace(message, timestamp=message.timestamp + 61_000)

    lab.tamper(1, later)
    assert "fresh T_P failed" in refusals(lab)[0][1]


def test_what_is_dropped_never_arrives_and_bob_is_told(lab: Handshake) -> None:
    lab.drop(7)
    assert lab.packets[6].lost
    lab.run()
    ((party, said),) = refusals(lab)
    assert (party, said[:43]) == ("broker", "step 11: publisher 'alice' did not answer w")
    assert standings(lab)[-1] is Standing.NOT_YET


def test_a_delay_beyond_the_window_is_refused(lab: Handshake) -> None:
    lab.delay(1, 59)
    assert refusals(lab) == []
    lab.reset()
    lab.delay(1, 61)
    assert "fresh T_P failed" in refusals(lab)[0][1]


@pytest.mark.parametrize(
    ("profile", "standing"), [("published", Standing.BROKEN), ("hardened", Standing.HOLDS)]
)
def test_a_replayed_connect(lab: Handshake, profile: str, standing: Standing) -> None:
    lab.use(3, profile)
    lab.jump("block 1")
    lab.replay(1)
    assert standings(lab)[0] is standing
    assert bool(refusals(lab)) is (profile == "hardened")


@pytest.mark.parametrize(
    ("by", "profile", "signed", "believed"),
    [
        ("mallory", "published", False, True),
        ("mallory", "hardened", False, True),
        ("mallory", "hardened", True, False),
        ("broker", "published", False, False),
        ("broker", "hardened", False, False),
        ("network", "published", False, False),
        ("network", "hardened", False, False),
    ],
)
def test_who_can_forge(lab: Handshake, by: str, profile: str, signed: bool, believed: bool) -> None:
    lab.use(3, profile, signed)
    lab.jump("block 2")
    lab.inject("99.9 C", by=by)
    assert (lab.exchange.taken == [b"99.9 C"]) is believed
    assert (standings(lab)[-1] is Standing.BROKEN) is believed
    assert bool(refusals(lab)) is not believed


@pytest.mark.parametrize("scheme", (1, 2, 4))
def test_without_the_group_keys_nobody_forges(lab: Handshake, scheme: int) -> None:
    for by in ("network", "broker", *(("mallory",) if scheme < 3 else ())):
        lab.use(scheme, "published")
        lab.jump("block 2")
        lab.inject("99.9 C", by=by)
        assert lab.exchange.taken == [], by


def test_a_replayed_message_is_taken_twice_under_published_only(lab: Handshake) -> None:
    for profile, times in (("published", 2), ("hardened", 1)):
        lab.use(3, profile)
        lab.jump(10)
        lab.replay(10, by="broker")
        assert lab.exchange.taken == [lab.says[0]] * times


def test_an_impossible_wish_is_refused_and_changes_nothing(lab: Handshake) -> None:
    for wish, words in (
        (lambda: lab.tamper(1, "topic"), "there is no field 'topic'; there are publisher, ephemeral"),
        (lambda: lab.tamper(99, "topic"), "there is no packet 99; there are 12"),
        (lambda: lab.drop(0), "there is no packet 0"),
        (lambda: lab.replay(1), "packet 1 has not been sent yet; 0 have"),
        (lambda: lab.tamper(1, "signature", by="eve"), "nobody here is called 'eve'"),
        (lambda: lab.fields(99), "there is no packet 99"),
        (lambda: lab.use(5), "there are schemes 1, 2, 3 and 4"),
        (lambda: lab.use(3, "best"), "no profile 'best'"),
        (lambda: lab.use(3, "published", True), "belong to the hardened profile"),
        (lambda: lab.attack("magic"), "no attack 'magic'"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            wish()
        assert lab.meddling == {} and lab.position == 0


def test_attacks_are_those_of_the_table(lab: Handshake) -> None:
    assert lab.attacks().column("attack") == tuple(each.name for each in ATTACKS)
    assert "succeeds: bob has taken the same message 2 times" in repr(lab.attack("replayed message"))
    assert "hardened: fails: S bob, Block 3" in repr(lab.attack("replayed message", "hardened"))


def test_guarantees_name_only_attacks_that_there_are() -> None:
    names = {each.name for each in ATTACKS}
    assert {name for each in GUARANTEES for name in each.attacks} <= names


# -- exercises ------------------------------------------------------------------------------------

KEYS = {
    "K_PB": {"alice", "broker"}, "K_BSi": {"broker", "bob"}, "K_PSi": {"alice", "bob"},
    "GK_B": {"broker", "bob"}, "GK_P": {"alice", "bob"},
}  # fmt: skip


def test_exercise_1_compares_with_the_machines(lab: Handshake) -> None:
    position = lab.step().position
    assert lab.check.exercise_1(KEYS).state is State.OK
    assert lab.position == position, "the run at hand is left alone"
    assert "broker does not have GK_P" in lab.check.exercise_1({**KEYS, "GK_P": {"alice", "broker"}}).message
    assert "bob has K_BSi, too" in lab.check.exercise_1({**KEYS, "K_BSi": {"broker"}}).message
    assert lab.check.exercise_1(dict.fromkeys(KEYS, ...)).state is State.TODO


def derive(secret: bytes, name: str, purpose: str, ends: Any, context: Any, size: int) -> bytes:
    return _hkdf(secret, fields("mqttsec 1", name, purpose, *ends, *context), size)


def _hkdf(secret: bytes, info: bytes, size: int) -> bytes:
    return HKDF(hashes.SHA256(), size, None, info).derive(secret)


def test_exercise_2_wants_keys_that_open(lab: Handshake) -> None:
    assert lab.check.exercise_2(derive).state is State.OK

    def one_key(secret: bytes, name: str, purpose: str, ends: Any, context: Any, size: int) -> bytes:
        return _hkdf(secret, b"", size)

    def both_ways(secret: bytes, name: str, purpose: str, ends: Any, context: Any, size: int) -> bytes:
        return derive(secret, name, purpose, sorted(ends), context, size)

    def without_context(secret: bytes, name: str, purpose: str, ends: Any, context: Any, size: int) -> bytes:
        return derive(secret, name, purpose, ends, (), size)

    assert "the published schedule" in lab.check.exercise_2(one_key).message
    assert "one key: keep their order" in lab.check.exercise_2(both_ways).message
    assert "the context is missing" in lab.check.exercise_2(without_context).message
    assert lab.check.exercise_2(lambda *_: 7).state is State.WRONG


@pytest.mark.parametrize("seed", (7, 8, 9))
def test_exercise_3_can_be_solved_from_its_table(seed: int) -> None:
    sign = {
        "identity misbinding": "name",
        "mixed parallel runs": "ephemeral",
        "replayed CONNECT": "cache",
    }
    with Handshake(seed) as lab:
        table = lab.mutants()
        answer = {
            letter: sign[str(row[0])]
            for row in table.rows
            for letter, cell in zip("ABC", row[1:], strict=True)
            if cell == "succeeds"
        }
        assert sorted(answer) == ["A", "B", "C"]
        assert lab.check.exercise_3(answer).state is State.OK
        wrong = {**answer, "A": answer["B"]}
        assert "still succeeds" in lab.check.exercise_3(wrong).message


def test_exercise_4_replays_the_connect(lab: Handshake) -> None:
    def replay_it(lab: Handshake) -> None:
        lab.jump("block 1")
        lab.replay(1)

    def replay_the_answer(lab: Handshake) -> None:
        lab.jump("block 1")
        lab.replay(2)

    def drop(lab: Handshake) -> None:
        lab.drop(1)

    lab.jump(5)
    assert lab.check.exercise_4(replay_it, "unseen R_P").state is State.OK
    assert (lab.position, lab.setup.profile, lab.meddling) == (5, Profile.PUBLISHED, {})
    assert lab.check.exercise_4(replay_it, "fresh T_P").state is State.WRONG
    assert lab.check.exercise_4(replay_it, ...).state is State.TODO
    assert "Which packet made it?" in lab.check.exercise_4(replay_the_answer, "unseen").message
    assert "replay alone" in lab.check.exercise_4(drop, "unseen").message
    assert "does nothing" in lab.check.exercise_4(lambda lab: lab.run(), "unseen").message


def test_the_key_schedule_has_one_key_or_four(lab: Handshake) -> None:
    assert {(row[0], row[3]) for row in lab.key_schedule().rows} == {("published", 1), ("hardened", 4)}


def test_the_questionnaire(lab: Handshake) -> None:
    assert all(verdict.ok for verdict in lab.answer("bacbbb").verdicts)
