"""Lab 09: what each party can say comes from its own packets and keys, and the checks look there as well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mqttsec.check import State
from mqttsec.errors import ConfigurationError
from mqttsec.labs import Capstone
from mqttsec.labs.anonymous_systems import (
    ANONYMOUS,
    COMBINED,
    NAMED,
    PLAIN,
    PUBLIC,
    READERS,
    SCHEME,
    STATION,
    STRANGER,
    SYSTEMS,
)
from mqttsec.labs.threats import coalitions, observers_of, pooled, sight

RIGHT = {
    "plain": {"reads", "names"},
    "scheme": {"names"},
    "network": {"reads"},
    "both_named": {"names"},
    "both": set(),
}
LETTERS = ["b", "a", "b", "b", "b"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Capstone]:
    with Capstone(seed=7) as lab:
        yield lab


@pytest.fixture
def lab(kept: Capstone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Capstone:
    monkeypatch.chdir(tmp_path)
    return kept


@pytest.mark.parametrize("place", range(len(SYSTEMS)), ids=[system.name for system in SYSTEMS])
def test_every_reader_gets_every_reading_in_order(lab: Capstone, place: int) -> None:
    outcome = lab.outcome(place)
    assert outcome.opened == {name: list(lab.readings) for name in READERS}
    assert outcome.refused == []


def test_contents_are_hidden_from_every_broker_where_there_is_a_scheme(lab: Capstone) -> None:
    for place, system in enumerate(SYSTEMS):
        outcome = lab.outcome(place)
        readers = {name for name in observers_of(outcome) if sight(outcome, name).reads}
        if system.scheme:
            assert readers == set(), system.name
        else:
            assert {PUBLIC, STRANGER} <= readers, system.name


def test_names_are_hidden_from_the_public_broker_by_the_network_and_pseudonyms_together(
    lab: Capstone,
) -> None:
    everybody = frozenset((STATION, *READERS))
    names = {system: sight(lab.outcome(place), PUBLIC).names for place, system in enumerate(SYSTEMS)}
    assert names == {
        PLAIN: everybody, SCHEME: everybody, ANONYMOUS: frozenset(), NAMED: everybody, COMBINED: frozenset(),
    }  # fmt: skip


def test_a_name_stands_only_at_its_own_bridge_broker(lab: Capstone) -> None:
    outcome = lab.outcome("both")
    for name in outcome.bridges:
        own = {client for client, home in outcome.homes.items() if home == name}
        seen = sight(outcome, name)
        assert seen.names == own
        assert seen.owners == {(client, outcome.pseudonyms[client]) for client in own}
        assert seen.relations == frozenset()


def test_two_home_brokers_know_together_what_nobody_knows_alone(lab: Capstone) -> None:
    outcome = lab.outcome("both")
    for reader in READERS:
        homes = tuple(sorted((outcome.homes[STATION], outcome.homes[reader])))
        assert coalitions(outcome, (STATION, reader)) == [homes]
    everybody = pooled(outcome, observers_of(outcome))
    assert everybody.relations == {(STATION, reader) for reader in READERS} and not everybody.reads


def test_real_names_in_certificates_are_known_to_all_that_carry_them(lab: Capstone) -> None:
    outcome = lab.outcome("both_named")
    assert (PUBLIC,) in coalitions(outcome, (STATION, READERS[0]))
    assert sight(outcome, STRANGER).relations


@pytest.mark.parametrize("attack", ["changed", "replay"])
def test_a_broker_that_speaks_for_the_station_is_noticed_by_b_alone(lab: Capstone, attack: str) -> None:
    assert lab.noticed("network", attack) == "nobody"
    assert len(lab.outcome("network", attack).opened[READERS[0]]) == len(lab.readings) + 1
    assert lab.noticed("both", attack) == "B"
    assert lab.outcome("both", attack).opened == lab.outcome("both").opened


def test_no_key_of_the_parties_is_in_b(lab: Capstone) -> None:
    from mqttsec.e2e.setup import BROKER
    from mqttsec.labs.key_search import keys_in_memory

    outcome = lab.outcome("both")
    assert "GK_P" not in keys_in_memory(outcome.machines[BROKER]).names()
    assert "GK_P" in keys_in_memory(outcome.machines[READERS[0]]).names()


def test_the_explorer_shows_each_through_anybodys_eyes(lab: Capstone) -> None:
    widget = lab.explore()
    assert "reads nothing" in widget.html and "public1" in widget.html
    before = widget.html
    widget.sliders["system"].value = ANONYMOUS.name
    assert widget.html != before and "reads the readings" in widget.html
    widget.sliders["observer"].value = "b1"
    assert "real names: station" in widget.html
    widget.reset.click()
    assert widget.html == before


def test_right_answers(lab: Capstone) -> None:
    check = lab.check
    homes = lab.outcome("both").homes
    assert check.exercise_1(RIGHT).ok
    assert check.exercise_2("hello").ok
    assert check.exercise_3({homes[STATION], homes[READERS[0]]}).ok
    who = {
        (short, attack): lab.noticed(short, attack)
        for short in ("network", "both")
        for attack in ("changed", "replay")
    }
    assert check.exercise_4(who).ok
    least = lab.n / (2 * (lab.n - lab.c - 1))
    assert check.exercise_5("both", least + 0.01).ok
    assert all(verdict.ok for verdict in lab.answer(LETTERS).verdicts)


@pytest.mark.parametrize(
    ("part", "answers", "hint"),
    [
        (1, (RIGHT | {"both_named": set()},), "certificate"),
        (1, (RIGHT | {"scheme": {"reads", "names"}},), "GK_P"),
        (1, (RIGHT | {"network": set()},), "nothing is encrypted"),
        (1, (RIGHT | {"plain": {"reads"}},), "Client Identifier"),
        (1, (RIGHT | {"both": {"names"}},), "pseudonyms"),
        (1, (RIGHT | {"both": {"x"}},), "words are"),
        (2, ("data",), "earlier one"),
        (2, ("letter",), "kinds are"),
        (3, ({"b1", PUBLIC},), "which pseudonym is dashboard"),
        (3, ({"b1", "b4", "b2"},), "enough without b2"),
        (3, ({"b1", "b99"},), "the brokers are"),
        (3, (set(),), "give a set"),
        (4, ({("network", "changed"): "B", ("network", "replay"): "nobody"},), "without a tag"),
        (5, ("scheme", 0.7), "real name"),
        (5, ("network", 0.7), "reads the readings"),
        (5, ("both", 0.5), "probable innocence"),
        (5, ("both", 0.9), "budget"),
        (5, ("tor", 0.7), "choose one of"),
    ],
)
def test_hints_name_the_slip(lab: Capstone, part: int, answers: tuple[object, ...], hint: str) -> None:
    verdict = getattr(lab.check, f"exercise_{part}")(*answers)
    assert verdict.state is State.WRONG and hint in verdict.message, verdict


def test_untouched_and_nonsense(lab: Capstone) -> None:
    for part in range(1, 6):
        given = (...,) * (2 if part == 5 else 1)
        check = getattr(lab.check, f"exercise_{part}")
        assert check(*given).state is State.TODO
        assert check(*[object()] * len(given)).state is State.WRONG


def test_settings_that_cannot_be(lab: Capstone) -> None:
    for wrong in (
        lambda: lab.outcome(9), lambda: lab.outcome("tor"), lambda: lab.outcome(0, "steal"),
        lambda: lab.see("both", "nobody"),
    ):  # fmt: skip
        with pytest.raises(ConfigurationError):
            wrong()


def test_the_same_seed_gives_the_same_tables(lab: Capstone) -> None:
    first = [repr(lab.threats()), lab.see("both", "b1").text(), lab.task()]
    again = Capstone(seed=7)
    assert first == [repr(again.threats()), again.see("both", "b1").text(), again.task()]
    assert repr(Capstone(seed=8).see()) != repr(again.see())
