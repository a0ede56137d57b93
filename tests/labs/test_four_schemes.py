"""Lab 03's object: costs, readers and refusals of real runs, and checks that know right from wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mqttsec.check import State
from mqttsec.crypto import SUITES
from mqttsec.e2e import SCHEMES, Mode, Role, Wire
from mqttsec.e2e.schemes import keys_of, reads, removable
from mqttsec.errors import ConfigurationError
from mqttsec.labs import FourSchemes
from mqttsec.labs.four_exercises import JOBS, parse_tally
from mqttsec.labs.passage import WHAT, WHERE
from mqttsec.labs.passage_view import layers_text

MODES = tuple(mode.value for mode in Mode)
LETTERS = ["a", "b", "a", "c", "a", "b"]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FourSchemes]:
    monkeypatch.chdir(tmp_path)
    with FourSchemes(seed=7) as lab:
        yield lab


def right_counts(n: int) -> dict[str, object]:
    return {"station": f"{2 * n}E+{2 * n}H", "broker": f"{n}D + {n}E + {2 * n}H", "subscriber": "2D + 2H"}


# -- one message ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_counts_of_a_run_equal_the_table(lab: FourSchemes, scheme: int, mode: str) -> None:
    for n in (1, 2, 5, 10, 50):
        passage = lab.passage(scheme, n, mode=mode)
        assert passage.counted == passage.expected
        assert passage.received == (lab.message,) * n


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("profile", ["hardened", "published"])
def test_who_reads_is_what_the_table_says(lab: FourSchemes, suite: str, profile: str) -> None:
    for scheme, row in SCHEMES.items():
        for mode in Mode:
            passage = lab.passage(scheme, 3, suite, mode.value, profile)
            for name, role in (("listener", None), ("broker", Role.B), ("dashboard", Role.S)):
                observer = passage.observer(name)
                for wire, opening in ((Wire.P_B, observer.to_broker), (Wire.B_S, observer.from_broker)):
                    assert opening.message == (lab.message if reads(row, wire, mode, role) else None)
                cells = [leg.cells for leg in passage.legs]
                openings = (observer.to_broker, observer.from_broker)
                assert [len(opening.removed) for opening in openings] == [
                    removable(each, keys_of(role)) for each in cells
                ]


def test_the_broker_holds_no_end_to_end_key(lab: FourSchemes) -> None:
    for scheme, expected in ((1, "K_BSi, K_PB"), (2, "K_BSi, K_PB"), (3, "GK_B, K_BSi, K_PB")):
        assert ", ".join(lab.passage(scheme).observer("broker").keys) == expected
    assert lab.passage(3).observer("dashboard").keys == ("GK_B", "GK_P", "K_BSi", "K_PSi")
    assert lab.passage(3).observer("listener").keys == ()
    with pytest.raises(ConfigurationError, match="'eve'; ask for listener, broker, dashboard, another"):
        lab.passage(3).observer("eve")


def test_bytes_to_the_subscribers(lab: FourSchemes) -> None:
    assert [lab.passage(scheme, 7).legs[1].different for scheme in SCHEMES] == [7, 7, 1, 1]
    single = [lab.passage(scheme, 7, mode=MODES[1]) for scheme in SCHEMES]
    assert [passage.legs[0].copies for passage in single] == [1, 1, 1, 1]
    assert [passage.legs[1].different for passage in single] == [1, 7, 1, 1]
    assert "the same bytes to all 7" in lab.send(3, 7).picture()
    assert "7 payloads, pairwise different" in lab.send(2, 7).text()
    assert "1 payload, " in lab.send(3, 1).text()


def test_text_says_the_layers(lab: FourSchemes) -> None:
    legs = lab.passage(4).legs
    assert layers_text(legs[0].cells, "x") == "[tagged K_PB [sealed GK_P [x]]]"
    assert layers_text(legs[1].cells, "x") == "[tagged GK_B [sealed GK_P [x]]]"
    assert layers_text(lab.passage(1).legs[0].cells, "x") == "[sealed K_PSi [x]]"


def test_the_same_seed_gives_the_same_text(lab: FourSchemes) -> None:
    first = [repr(lab), repr(lab.costs(5)), lab.send(2).text(), repr(lab.changes())]
    other = FourSchemes(seed=7)
    assert first == [repr(other), repr(other.costs(5)), other.send(2).text(), repr(other.changes())]
    assert repr(FourSchemes(seed=8)) != first[0]


# -- a change -------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["hardened", "published"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_change_ends_as_the_model_says(lab: FourSchemes, scheme: int, profile: str) -> None:
    table = lab.flips(scheme, profile)
    assert table.column("equal") == (True,) * len(WHERE) * len(WHAT)
    unnoticed = table.where(lambda row: row["run: refused by"] == "nobody").column("what")
    assert set(unnoticed) == (set() if profile == "hardened" else {"number", "replay"})


def test_the_layer_that_notices(lab: FourSchemes) -> None:
    for scheme in (2, 3, 4):
        seen = [lab.flip(scheme, where, "content").flip.seen for where in WHERE]
        assert [str(each) for each in seen] == [
            "broker: tag of P-B", "subscriber: tag of P-S", "subscriber: tag of B-S",
        ]  # fmt: skip
    assert {str(lab.flip(1, where, "tag").flip.seen) for where in WHERE} == {"subscriber: tag of P-S"}


# -- widgets --------------------------------------------------------------------------------------


def test_the_explorer_shows_what_its_controls_say(lab: FourSchemes) -> None:
    widget = lab.explore()
    widget.sliders["scheme"].value = 2
    widget.sliders["n"].value = 6
    assert "6 payloads, pairwise different" in widget.html and "12E + 12H" in widget.html
    widget.sliders["mode"].value = "single_ciphertext"
    assert "12E + 12H" not in widget.html and "6E + D + 7H" in widget.html
    widget.sliders["suite"].value = "chacha20"
    assert "chacha20" in widget.html
    widget.reset.click()
    assert repr(widget) == "Four schemes: Scheme 3, Subscribers 3, Suite paper, Mode per_recipient"


def test_the_changes_show_who_refuses(lab: FourSchemes) -> None:
    widget = lab.explore_flips()
    assert "refuses:" in widget.html and "tag of P-B" in widget.html
    widget.sliders["where"].value = WHERE[1]
    assert "tag of P-S" in widget.html and "tag of P-B" not in widget.html
    widget.sliders["what"].value = "replay"
    widget.sliders["profile"].value = "published"
    assert "accepts it" in widget.html and "refuses:" not in widget.html


# -- exercises ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 7, 42])
def test_exercise_1_counts_a_run(seed: int) -> None:
    with FourSchemes(seed) as lab:
        right = right_counts(lab.n)
        assert lab.check.exercise_1(right).state is State.OK
        assert lab.check.exercise_1(dict.fromkeys(right, ...)).state is State.TODO


@pytest.mark.parametrize(("name", "given", "hint"), [
    ("station", "2E + 2H", "one subscriber; there are 6"),
    ("broker", "6E + D + 7H", "one ciphertext for all"),
    ("subscriber", "12D + 12H", "all together"),
    ("broker", "6E + 6D", "one tag (H)"),
    ("broker", "6E + 12H", "one decryption (D)"),
    ("station", "12E + 12X", "as the paper does"),
    ("station", 24, "as the paper does"),
])  # fmt: skip
def test_exercise_1_names_the_slip(lab: FourSchemes, name: str, given: object, hint: str) -> None:
    assert lab.n == 6
    verdict = lab.check.exercise_1({**right_counts(6), name: given})
    assert verdict.state is State.WRONG and hint in verdict.message, verdict


def test_tallies_as_text() -> None:
    for text in ("2E + 2H", "E + D + 2H", "0", "12D"):
        assert str(parse_tally(text)) == text
    assert parse_tally("2e") is parse_tally("") is parse_tally("E + ") is parse_tally(None) is None


def test_exercise_2_asks_the_brokers(lab: FourSchemes) -> None:
    check = lab.check.exercise_2
    assert check({1, 4}, 4).state is State.OK
    assert check(..., ...).state is State.TODO
    assert "E + D + 2H" in check({1, 3, 4}, 4).message
    assert "1 more" in check({1}, 1).message
    assert "checks nothing" in check({1, 4}, 1).message
    assert "one of the schemes of your set" in check({1, 4}, 3).message


def test_exercise_3_runs_the_function(lab: FourSchemes) -> None:
    def right(station: object, group: object, inner: bytes, tag: bytes) -> bytes:
        station.check(inner, tag)  # type: ignore[attr-defined]
        return group.mac(inner)  # type: ignore[attr-defined, no-any-return]

    def stub(station: object, group: object, inner: bytes, tag: bytes) -> None:
        """Untouched."""

    check = lab.check.exercise_3
    assert check(right).state is State.OK
    assert check(stub).state is State.TODO
    wrong: list[tuple[Callable[..., object], str]] = [
        (lambda station, group, inner, tag: group.mac(inner), "station.check(inner, tag) comes first"),
        (lambda station, group, inner, tag: tag, "that is the station's tag"),
        (lambda station, group, inner, tag: station.mac(inner + tag), "group.mac(inner)"),
        (
            lambda station, group, inner, tag: (right(station, group, inner, tag), group.seal(inner))[0],
            "took",
        ),
        (lambda station, group, inner, tag: station.check(inner, tag), "return the new tag"),
    ]
    for function, hint in wrong:
        verdict = check(function)
        assert verdict.state is State.WRONG and hint in verdict.message, verdict


@pytest.mark.parametrize("seed", [0, 1, 7, 42])
def test_exercise_4_compares_with_the_run(seed: int) -> None:
    with FourSchemes(seed) as lab:
        right = {}
        for riddle in lab.riddles:
            channel = {WHERE[0]: "P-B", WHERE[1]: "P-S", WHERE[2]: "B-S"}[riddle.where]
            first = riddle.scheme == 1
            right[riddle.letter] = (
                "broker" if channel == "P-B" and not first else "subscriber", "P-S" if first else channel
            )  # fmt: skip
        assert lab.check.exercise_4(right).state is State.OK
        assert lab.check.exercise_4(dict.fromkeys("ABCD", ...)).state is State.TODO
        for riddle in lab.riddles:
            verdict = lab.check.exercise_4({**right, riddle.letter: ("broker", "B-S")})
            assert verdict.state is State.WRONG and verdict.message.startswith(f"{riddle.letter}: not so")
        assert "the channels P-B" in lab.check.exercise_4({**right, "A": ("station", "P-B")}).message


def test_exercise_5_has_one_scheme_for_each_job(lab: FourSchemes) -> None:
    right = {"archive": 1, "gate": 4, "veil": 3, "twins": 2}
    check = lab.check.exercise_5
    assert list(right) == list(JOBS)
    assert check(right).state is State.OK
    assert check(dict.fromkeys(right, ...)).state is State.TODO
    for name, given, hint in (
        ("archive", 4, "one needs less"), ("gate", 1, "does not meet it"), ("gate", 3, "one needs less"),
        ("veil", 4, "does not meet it"), ("veil", 2, "one needs less"), ("twins", 3, "does not meet it"),
        ("twins", 5, "choose Scheme"),
    ):  # fmt: skip
        verdict = check({**right, name: given})
        assert verdict.state is State.WRONG and hint in verdict.message, verdict


def test_the_questionnaire_and_the_report(lab: FourSchemes) -> None:
    assert all(verdict.ok for verdict in lab.answer(LETTERS).verdicts)
    lab.report("Ada")
    assert sorted(path.name for path in Path("out").iterdir()) == ["lab03_ada.csv", "lab03_ada.json"]


@pytest.mark.parametrize("call", [
    lambda lab: lab.send(5), lambda lab: lab.send(n=0), lambda lab: lab.send(n=51),
    lambda lab: lab.send(n=True), lambda lab: lab.send(profile="best"),
    lambda lab: lab.send(suite="rot13"), lambda lab: lab.send(mode="all"),
    lambda lab: lab.flip(3, "nowhere"), lambda lab: lab.flip(what="luck"), lambda lab: FourSchemes(seed=-1),
])  # fmt: skip
def test_bad_input_says_what_to_do(lab: FourSchemes, call: Callable[[FourSchemes], object]) -> None:
    with pytest.raises(ConfigurationError):
        call(lab)
