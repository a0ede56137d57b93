"""Links that break: what each QoS promises holds, and the story told is one that happened."""

from __future__ import annotations

import pytest

from mqttsec.labs.lossy_link import LOGGER, LossyRun, lossy_runs, story
from mqttsec.labs.qos_view import QosComparison
from mqttsec.labs.weather_run import BROKER, STATION
from mqttsec.packets import PacketType
from mqttsec.readings import weather
from mqttsec.trace import EventKind, arrows, parties_of

DAYS = weather(12)
BROKEN = [(breaking, seed) for breaking in (0.05, 0.15, 0.3) for seed in (1, 2, 3, 4)]


@pytest.mark.parametrize(("breaking", "seed"), BROKEN)
def test_each_qos_keeps_its_promise(breaking: float, seed: int) -> None:
    at_most_once, at_least_once, exactly_once = lossy_runs(DAYS, breaking, seed)
    assert at_most_once.duplicates == 0
    assert at_least_once.lost == 0
    assert exactly_once.received == exactly_once.published


def test_links_that_break_do_harm() -> None:
    lost = repeated = 0
    for breaking, seed in BROKEN:
        zero, one, _ = lossy_runs(DAYS, breaking, seed)
        lost, repeated = lost + zero.lost, repeated + one.duplicates
    assert lost > 5 and repeated > 5


def test_a_whole_link_costs_what_the_standard_says() -> None:
    runs = lossy_runs(DAYS, 0.0, 1)
    # Figures 4.1 to 4.3 of the standard: 1, 2 and 4 packets a hop, and there are two hops.
    assert [run.packets for run in runs] == [2 * 12, 4 * 12, 8 * 12]
    assert all(run.exactly_once and run.breaks == 0 for run in runs)


def test_every_lost_packet_was_sent_and_never_received() -> None:
    for run in lossy_runs(DAYS, 0.3, 1):
        lost = [arrow for arrow in arrows(run.trace) if arrow.lost]
        assert len(lost) >= run.breaks > 0
        assert all(arrow.received is None and arrow.sent is not None for arrow in lost)
        assert {arrow.sender for arrow in lost} <= {STATION, BROKER}, "the logger's link is whole"


def chosen(qos: int) -> tuple[LossyRun, tuple[str, ...], str]:
    runs = lossy_runs(weather(20), 0.15, 7)
    comparison = QosComparison(runs, qos)
    return comparison.chosen, parties_of(story(comparison.chosen)), comparison.story()


def delivered(run: LossyRun) -> int:
    """How often the message of the story reached the logger."""
    return sum(
        arrow.receiver == LOGGER and arrow.frame[0] >> 4 == PacketType.PUBLISH for arrow in arrows(story(run))
    )


def test_the_story_of_qos_1_is_a_duplicate() -> None:
    run, parties, said = chosen(1)
    assert set(parties) == {STATION, BROKER, LOGGER}
    assert "PUBACK id" in said and "LOST" in said and "DUP" in said and "the connection breaks" in said
    assert delivered(run) == 2


def test_the_story_of_qos_2_is_a_repetition_that_is_not_forwarded() -> None:
    run, _, said = chosen(2)
    assert "PUBREC" in said and "LOST" in said and "DUP" in said
    assert delivered(run) == 1


def test_the_story_of_qos_0_is_a_loss() -> None:
    run, _, _ = chosen(0)
    lost = [arrow for arrow in arrows(story(run)) if arrow.lost]
    assert len(lost) == 1 and not any(arrow.receiver == LOGGER for arrow in arrows(story(run)))


def test_the_strips_count_what_came() -> None:
    comparison = QosComparison(lossy_runs(DAYS, 0.3, 1))
    for line, run in zip(comparison.strips().splitlines(), comparison.runs, strict=True):
        digits = line.split()[-1]
        assert digits.count("0") == run.lost
        assert sum(map(int, digits)) == len(run.received)
    assert comparison.picture().count("M") >= comparison.runs[0].lost


def test_without_a_break_the_story_is_the_first_message() -> None:
    run = lossy_runs(DAYS, 0.0, 1)[1]
    told = story(run)
    assert not any(event.kind is EventKind.NOTE for event in told)
    assert run.published[0] in told[0].packet
