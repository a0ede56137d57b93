"""Collaborators in the real network: what their logs alone say agrees with theory."""

from __future__ import annotations

import pytest

from mqttsec.anonymity.crowd import Crowd, Variant
from mqttsec.anonymity.estimates import proportion
from mqttsec.anonymity.innocence import (
    collaborator_on_path,
    predecessor_is_initiator,
    round_probabilities,
)
from mqttsec.anonymity.logs import Observation, first_predecessors
from mqttsec.anonymity.predecessor import named
from mqttsec.errors import ConfigurationError
from mqttsec.labs.real_crowd import INTERVAL, CrowdRun, path_seconds, places, run_crowd

PAPER = Crowd(20, 4, 0.67)
PUBLISHERS, MESSAGES = 50, 40
"""2,000 publishes."""


@pytest.fixture(scope="module")
def fresh() -> CrowdRun:
    return run_crowd(PAPER, PUBLISHERS, MESSAGES, seed=7)


def agrees(run: CrowdRun) -> None:
    """The tally of first predecessors is within 4 standard errors of theory, broker by broker."""
    tally, crowd = run.tally(), run.crowd
    on_path, given_hit = tally.estimates()
    assert on_path.sigmas(collaborator_on_path(crowd)) < 4
    assert given_hit.sigmas(predecessor_is_initiator(crowd)) < 4
    p0, q = round_probabilities(crowd)
    assert proportion(tally.initiator, tally.messages).sigmas(p0) < 4
    others = run.others()
    assert set(others) <= set(run.honest)
    own = [publisher.bridge for publisher in run.publishers]
    for name in run.honest:
        # Each is somebody's own bridge for some of the messages, and another one for the rest.
        rest = tally.messages - own.count(name) * tally.messages // len(own)
        assert proportion(others[name], rest).sigmas(q) < 4


def test_two_thousand_publishes_agree_with_theory(fresh: CrowdRun) -> None:
    assert fresh.tally().messages == 2000
    assert fresh.honest == tuple(f"b{number}" for number in range(1, 17))
    assert {seen.broker for seen in fresh.log} == set(fresh.collaborators)
    agrees(fresh)


def test_fresh_paths_name_the_publisher_as_often_as_theory_says(fresh: CrowdRun) -> None:
    for messages, about in ((20, 0.89), (40, 0.99)):
        assert named(PAPER, messages) == pytest.approx(about, abs=0.01)
        assert fresh.named(messages).sigmas(named(PAPER, messages)) < 4
    assert fresh.named(40).low > 0.8


@pytest.mark.parametrize("lifetime", [10, None])
def test_sticky_paths_bring_it_down(lifetime: int | None, fresh: CrowdRun) -> None:
    sticky = run_crowd(PAPER, PUBLISHERS, MESSAGES, seed=7, lifetime=lifetime)
    agrees(sticky)
    assert sticky.tally().messages == PUBLISHERS * (4 if lifetime else 1)
    for messages in (20, 40):
        assert sticky.named(messages).sigmas(named(PAPER, messages, lifetime)) < 4
    assert sticky.named(40).high < fresh.named(40).low
    # The logs hold every message: that many came along the same path is found out from them.
    assert len(sticky.evidence(sticky.log)) < len(first_predecessors(sticky.log, sticky.collaborators)) / 5


def test_brokers_that_never_pick_themselves() -> None:
    agrees(run_crowd(Crowd(8, 2, 0.8, Variant.B), 12, 40, seed=3))


def test_the_verdict_needs_nothing_but_the_logs(fresh: CrowdRun) -> None:
    topic = fresh.publishers[0].topic
    blind = CrowdRun(
        fresh.crowd, fresh.messages, fresh.lifetime, 0, fresh.honest, fresh.collaborators, fresh.began,
        fresh.interval, fresh.log, (),
    )  # fmt: skip
    assert blind.verdict(topic) == fresh.verdict(topic)
    assert fresh.verdict(topic, 0).named is None and fresh.verdict(topic, 0).seen == 0
    assert fresh.verdict(topic, 20).seen <= fresh.verdict(topic).seen <= 40


def test_the_same_seed_gives_the_same_logs() -> None:
    small = Crowd(5, 1, 0.6)
    one, other = run_crowd(small, 4, 3, seed=1), run_crowd(small, 4, 3, seed=1)
    assert one == other and all(isinstance(seen, Observation) for seen in one.log)
    assert run_crowd(small, 4, 3, seed=2).log != one.log


def test_no_log_names_a_client(fresh: CrowdRun) -> None:
    assert {seen.previous for seen in fresh.log} <= {*fresh.honest, *fresh.collaborators}


def test_the_table_lays_theory_beside_it(fresh: CrowdRun) -> None:
    said = repr(fresh)
    assert "50 publishers, 40 messages each, fresh paths" in said and "of 2000" in said
    assert "0.431" in said and "<table" in fresh._repr_html_()


def test_lifetimes_and_places() -> None:
    assert path_seconds(40, 1) == 0 and path_seconds(40, None) == 40 * INTERVAL
    assert 9 * INTERVAL < path_seconds(40, 10) < 10 * INTERVAL
    assert sorted(places(PAPER, 32, 1)) == sorted([*range(16)] * 2)
    for bad in ({"messages": 0}, {"lifetime": -1}, {"publishers": 0}):
        with pytest.raises(ConfigurationError):
            run_crowd(**{"crowd": PAPER, "publishers": 1, "messages": 1, "seed": 1, **bad})  # type: ignore[arg-type]
