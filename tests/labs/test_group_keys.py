"""Lab 05's object: who reads what after each event, who can forge, what it costs, and the checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mqttsec.check import State
from mqttsec.crypto import Operation
from mqttsec.e2e import Setup
from mqttsec.errors import ConfigurationError
from mqttsec.labs import GroupKeys
from mqttsec.labs.forgery import FORGERS
from mqttsec.labs.group_exercises import exercise_events
from mqttsec.labs.group_keys import SIZES
from mqttsec.labs.group_story import EVENTS, tell

LETTERS = ["b", "a", "c", "a", "b"]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GroupKeys]:
    monkeypatch.chdir(tmp_path)
    with GroupKeys(seed=7) as lab:
        yield lab


def rightly(lab: GroupKeys) -> dict[int, set[str]]:
    """Who may read each message of exercise 1, by the rules alone: a member then, and not cut off since."""
    readers: dict[int, set[str]] = {}
    members: set[str] = set()
    offline: set[str] = set()
    cut_off: set[str] = set()
    for kind, name in exercise_events(lab.seed):
        if kind == "message":
            readers[len(readers) + 1] = members - cut_off
        elif kind == "join":
            members.add(name)
        elif kind == "away":
            offline.add(name)
        else:
            members.discard(name)
            cut_off |= offline
    return readers


# -- the story ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", [3, 4])
def test_who_left_reads_on_under_published_only(lab: GroupKeys, scheme: int) -> None:
    hardened, published = (lab.story(12, profile, scheme).moment for profile in ("hardened", "published"))
    assert hardened.state == published.state
    assert hardened.reads == {
        "dashboard": (True, True, True, True),
        "logger": (True, True, True, True),
        "phone": (True, False, False, False),
        "alarm": (False, False, True, False),
    }
    assert set(published.reads.values()) == {(True, True, True, True)}


def test_one_who_was_offline_catches_up(lab: GroupKeys) -> None:
    assert lab.story(9).moment.reads["logger"] == (True, True, True), "a join needs no wrap"
    assert lab.story(11).moment.reads["logger"] == (True, True, True, False), "a leave does"
    assert lab.story(12).moment.reads["logger"] == (True, True, True, True)


def test_epochs_and_wraps(lab: GroupKeys) -> None:
    events = lab.story(12).events()
    assert events.column("epoch") == (
        "0.1", "0.2", "0.3", "0.3", "1.0", "1.0", "1.0", "1.1", "1.1", "2.0", "2.0", "2.0",
    )  # fmt: skip
    assert events.column("wraps P") == events.column("wraps B") == (1, 1, 1, 0, 2, 0, 0, 1, 0, 2, 0, 0)
    published = lab.story(12, "published").events()
    assert set(published.column("epoch")) == {"0.0"}
    assert sum(int(str(wraps)) for wraps in published.column("wraps P")) == 4


def test_events_that_cannot_be(lab: GroupKeys) -> None:
    for events in (
        [("leave", "phone")], [("join", "phone"), ("join", "phone")], [("join", "phone"), ("back", "phone")],
        [("message", "")],
    ):  # fmt: skip
        with pytest.raises(ConfigurationError):
            tell(Setup(3), lab.message, events)
    with pytest.raises(ConfigurationError, match="Scheme 2 has no group key"):
        tell(Setup(2), lab.message)


def test_the_explorer_follows_the_story(lab: GroupKeys) -> None:
    widget = lab.explore()
    assert repr(widget) == "A group that changes: Event 1, Profile hardened"
    widget.sliders["event"].value = 6
    assert "phone (left) reads 1;" in widget.html or "phone (left) reads 1<" in widget.html
    widget.sliders["profile"].value = "published"
    assert "phone (left) reads 1, 2<" in widget.html
    widget.reset.click()
    assert "event 1: dashboard joins" in widget.html and "reads nothing" in widget.html
    assert len(EVENTS) == widget.sliders["event"].max


# -- the insider and the costs --------------------------------------------------------------------


def test_a_member_forges_until_messages_are_signed(lab: GroupKeys) -> None:
    outsider, broker, member = FORGERS
    assert lab.forge(member, "published").believed and lab.forge(member).believed
    assert lab.forge(member, sign=True).outcome == "refused: signature"
    for who in (outsider, broker):
        assert not lab.forge(who, "published").believed and not lab.forge(who).believed
    assert "GK_P" not in lab.forge(broker).keys
    with pytest.raises(ConfigurationError):
        lab.forge(member, "published", sign=True)


def test_a_signature_costs_one_sign_and_one_check(lab: GroupKeys) -> None:
    for scheme in (3, 4):
        rows = lab.signature_cost(scheme).rows
        assert [str(row[2]) for row in rows] == [
            f"{rows[0][1]} + 1 {Operation.SIGN.value}",
            rows[1][1],
            f"{rows[2][1]} + 1 {Operation.VERIFY.value}",
        ]
    times = lab.signature_times()
    assert min(int(str(time)) for row in times.rows for time in row[1:]) > 0


def test_a_join_is_a_step_and_a_leave_n_wraps(lab: GroupKeys) -> None:
    for n in SIZES:
        assert lab.rekeying(n) == {"join": (1, 1, 0, 0), "leave": (n - 1, n - 1, 2 * (n - 1), 2)}
        assert lab.rekeying(n, "published") == {"join": (1, 1, 0, 0), "leave": (0, 0, 0, 0)}
    assert len(lab.rekey_costs()) == 2 * len(SIZES)


# -- exercises ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2, 7, 42])
def test_exercise_1_tells_the_story(seed: int) -> None:
    with GroupKeys(seed) as lab:
        right = rightly(lab)
        check = lab.check.exercise_1
        assert check(right).state is State.OK, check(right)
        assert check(dict.fromkeys(right, ...)).state is State.TODO
        for message, names in right.items():
            for name in {each for _, each in exercise_events(seed) if each}:
                verdict = check({**right, message: names ^ {name}})
                assert verdict.state is State.WRONG
                assert verdict.message.startswith(f"message {message}: {name} ")


def test_exercise_1_names_the_slip(lab: GroupKeys) -> None:
    right = rightly(lab)
    check = lab.check.exercise_1
    said = {
        "the ratchet has no way back": {**right, 1: right[1] | {"dashboard"}},
        "had left": {**right, 4: right[4] | {"logger"}},
        "the wrap of the new generation waits": {**right, 4: right[4] | {"display"}},
        "each takes the step alone": {**right, 3: right[3] - {"display"}},
        "nobody takes back a key": {**right, 1: right[1] - {"phone"}},
        "nobody here is called eve": {**right, 1: {"eve"}},
        "give a set of names": {**right, 2: "logger"},
    }
    for hint, answer in said.items():
        verdict = check(answer)
        assert verdict.state is State.WRONG and hint in verdict.message, verdict


def test_exercise_2_counts_a_run(lab: GroupKeys) -> None:
    check, n = lab.check.exercise_2, lab.n
    assert check({"join": 1, "leave": n - 1}).state is State.OK
    assert check({"join": ..., "leave": ...}).state is State.TODO
    for answer, hint in (
        ({"join": n, "leave": n - 1}, "only one gets a wrap"),
        ({"join": 2, "leave": n - 1}, "station and broker together"),
        ({"join": 1, "leave": n}, "who leaves gets no wrap"),
        ({"join": 1, "leave": 1}, "each needs its own"),
        ({"join": 1, "leave": "all"}, "as a number"),
    ):
        verdict = check(answer)
        assert verdict.state is State.WRONG and hint in verdict.message, verdict


Step = Callable[[bytes, int], bytes]


def caught_up(secret: bytes, now: int, wanted: int, step: Step) -> bytes | None:
    for number in range(now + 1, wanted + 1):
        secret = step(secret, number)
    return None if wanted < now else secret


def test_exercise_3_opens_a_real_message(lab: GroupKeys) -> None:
    check = lab.check.exercise_3
    assert check(caught_up).state is State.OK

    def stub(secret: bytes, now: int, wanted: int, step: Step) -> None:
        """Untouched."""

    def same(secret: bytes, now: int, wanted: int, step: Step) -> bytes:
        return [step(secret, number) for number in range(now + 1, wanted + 1)][-1]

    def goes_back(secret: bytes, now: int, wanted: int, step: Step) -> bytes:
        return caught_up(secret, now, wanted, step) or secret

    assert check(stub).state is State.TODO
    wrong: list[tuple[Callable[..., object], str]] = [
        (same, "begin with what the last one gave"),
        (goes_back, "there is no way"),
        (lambda secret, now, wanted, step: step(secret, wanted), "it took the steps [5]"),
        (lambda secret, now, wanted, step: secret, "it took the steps []"),
        (lambda secret, now, wanted, step: wanted, "must return a secret"),
    ]
    for function, hint in wrong:
        verdict = check(function)
        assert verdict.state is State.WRONG and hint in verdict.message, verdict


def test_exercise_4_forges_with_these_keys_alone(lab: GroupKeys) -> None:
    check = lab.check.exercise_4
    assert check({"GK_P", "GK_B"}).state is State.OK
    assert check(...).state is State.TODO
    for answer, hint in (
        ({"GK_P"}, "takes off two layers"), (set(), "with no key"),
        ({"GK_P", "GK_B", "K_PSi"}, "without K_PSi"),
        ({"K_PB", "GK_P", "GK_B"}, "does not have K_PB"), ({"key"}, "the keys are"), ("GK_P", "give a set"),
    ):  # fmt: skip
        verdict = check(answer)
        assert verdict.state is State.WRONG and hint in verdict.message, verdict


def test_the_questionnaire_and_the_report(lab: GroupKeys) -> None:
    assert all(verdict.ok for verdict in lab.answer(LETTERS).verdicts)
    lab.report("Ada")
    assert sorted(path.name for path in Path("out").iterdir()) == ["lab05_ada.csv", "lab05_ada.json"]


def test_no_key_shows(lab: GroupKeys) -> None:
    ratchet = lab.ratchet()
    assert ratchet.secret.hex() not in repr(vars(ratchet))
    assert repr(ratchet) == "the member holds the secret of step 1; the message is of step 5"


@pytest.mark.parametrize("call", [
    lambda lab: lab.story(0), lambda lab: lab.story(13), lambda lab: lab.story(scheme=2),
    lambda lab: lab.story(profile="best"), lambda lab: lab.forge("eve"), lambda lab: lab.rekeying(1),
    lambda lab: lab.rekeying(51), lambda lab: lab.signature_cost(1), lambda lab: GroupKeys(seed=-1),
])  # fmt: skip
def test_bad_input_says_what_to_do(lab: GroupKeys, call: Callable[[GroupKeys], object]) -> None:
    with pytest.raises(ConfigurationError):
        call(lab)
