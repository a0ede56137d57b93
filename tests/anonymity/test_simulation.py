"""Monte Carlo over paths: two versions against each other, both against theory; sweeps on any engine."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mqttsec.anonymity.crowd import (
    Crowd,
    Variant,
    exit_is_another,
    exit_is_initiator,
    mean_path_length,
    path_length,
)
from mqttsec.anonymity.estimates import mean, proportion
from mqttsec.anonymity.innocence import (
    collaborator_on_path,
    predecessor_is_initiator,
    round_probabilities,
)
from mqttsec.anonymity.simulation import (
    PathTally,
    exits,
    predecessors,
    tally,
    tally_walks,
    walks,
)
from mqttsec.anonymity.sweep import frame, grid, spread, sweep
from mqttsec.anonymity.walking import walk
from mqttsec.errors import ConfigurationError

EDGES = [
    Crowd(n, c, p_f, variant)
    for n, c in ((2, 1), (3, 1), (3, 2), (4, 2), (6, 5))
    for p_f in (0.0, 0.3, 0.95)
    for variant in Variant
]


def agree(found: PathTally) -> None:
    """Within 4 standard errors of theory, in each of its statistics."""
    crowd = found.crowd
    assert found.on_path().sigmas(collaborator_on_path(crowd)) < 4
    assert found.per_round().sigmas(round_probabilities(crowd)[0]) < 4
    assert found.given_hit().sigmas(predecessor_is_initiator(crowd)) < 4
    wide = found.mean_hops(z=4)
    assert wide.low <= mean_path_length(crowd.p_f) <= wide.high
    for length, count in enumerate(found.hops[:8]):
        assert proportion(count, found.paths).sigmas(path_length(length, crowd.p_f)) < 4.5
    assert sum(found.hops) == found.paths


# -- the readable version -------------------------------------------------------------------------


def test_a_path_reads_as_it_is_walked() -> None:
    rng = random.Random(3)
    crowd = Crowd(6, 2, 0.7)
    path = walk(crowd, rng)
    while path.first_collaborator is None or path.hops < 4:
        path = walk(crowd, rng)
    assert path.brokers[0] == 0 and path.exit == path.brokers[-1]
    assert path.predecessor == path.brokers[path.first_collaborator - 1] < 4
    assert all(broker < 4 for broker in path.brokers[: path.first_collaborator])
    assert walk(Crowd(6, 0, 0.7), rng).predecessor is None


@pytest.mark.parametrize("variant", Variant)
def test_both_hop_by_hop_versions_draw_the_same_paths(variant: Variant) -> None:
    """Every path of up to three draws has the probability that the rule gives it, in both versions."""
    crowd, count = Crowd(3, 1, 0.5, variant), 60_000
    rng = random.Random(11)
    plain = Counter(walk(crowd, rng).brokers for _ in range(count))
    quick = Counter(tuple(int(b) for b in row if b >= 0) for row in walks(crowd, count, 11))
    assert min(len(plain), len(quick)) > 20
    for path in {*plain, *quick}:
        if len(path) > 4:
            continue
        chance = (1 / crowd.choices) ** (len(path) - 1) * 0.5 ** (len(path) - 2) * 0.5
        for found in (plain, quick):
            assert proportion(found[path], count).sigmas(chance) < 4.5, path
        if variant is Variant.B:
            assert all(a != b for a, b in zip(path, path[1:], strict=False))


@pytest.mark.parametrize("crowd", [Crowd(6, 2, 0.7), Crowd(5, 2, 0.8, Variant.B)], ids=str)
def test_the_exit_is_as_likely_as_the_formula_says(crowd: Crowd) -> None:
    left = exits(walks(crowd, 100_000, 5))
    chances = [exit_is_initiator(crowd), *[exit_is_another(crowd)] * (crowd.n - 1)]
    for broker, chance in enumerate(chances):
        assert proportion(int((left == broker).sum()), 100_000).sigmas(chance) < 4


def test_a_predecessor_is_found_in_a_path() -> None:
    crowd = Crowd(5, 2, 0.5)
    paths = np.array([[0, 1, 3, 4], [0, 3, -1, -1], [2, 1, 0, -1], [0, 1, 1, 4]], dtype=np.int32)
    assert predecessors(crowd, paths).tolist() == [1, 0, -1, 1]
    assert exits(paths).tolist() == [4, 3, 0, 4]


# -- the quick version ----------------------------------------------------------------------------


@pytest.mark.parametrize("variant", Variant)
def test_45_cells_are_within_4_standard_errors(variant: Variant) -> None:
    cells = grid(variant=variant)
    assert len(cells) == len(set(cells)) == 45
    for found in sweep(cells, paths=200_000, seed=7):
        agree(found)


@pytest.mark.parametrize("crowd", EDGES, ids=str)
def test_the_quick_and_the_hop_by_hop_version_agree(crowd: Crowd) -> None:
    quick, slow = tally(crowd, 40_000, 1), tally_walks(crowd, 40_000, 2)
    agree(quick)
    agree(slow)
    for one, other in zip(quick.hops[:6], slow.hops[:6], strict=False):
        assert abs(one - other) <= 4.5 * (2 * max(one, other, 1)) ** 0.5


def test_without_a_collaborator_nothing_is_seen() -> None:
    found = tally(Crowd(5, 0, 0.7), 1000, 1)
    assert found.hits == found.initiator == 0 and found.given_hit().count == 0
    assert tally_walks(Crowd(5, 0, 0.7), 1000, 1).hits == 0


def test_the_same_seed_gives_the_same_paths_and_another_gives_others() -> None:
    crowd = Crowd(20, 4, 0.67)
    assert tally(crowd, 100_000, 3) == tally(crowd, 100_000, 3) != tally(crowd, 100_000, 4)
    assert np.array_equal(walks(crowd, 100, 3), walks(crowd, 100, 3))


def test_tallies_of_one_crowd_add_up() -> None:
    one, other = tally(Crowd(5, 1, 0.5), 1000, 1), tally(Crowd(5, 1, 0.5), 500, 2)
    both = one + other
    assert (both.paths, both.hits) == (1500, one.hits + other.hits) and sum(both.hops) == 1500
    with pytest.raises(ConfigurationError, match="cannot be counted together"):
        one + tally(Crowd(5, 2, 0.5), 10, 1)


def test_very_long_paths_are_counted_at_the_end() -> None:
    found = tally(Crowd(5, 1, 0.999), 5000, 1)
    assert len(found.hops) == 257 and sum(found.hops) == 5000
    assert found.mean_hops(z=4).low <= 1001 <= found.mean_hops(z=4).high


# -- bands ----------------------------------------------------------------------------------------


def test_bands_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    for truth, count in ((0.5, 20), (0.05, 60), (0.9, 200)):
        bands = [proportion(int(hits), count) for hits in rng.binomial(count, truth, size=2000)]
        share = sum(band.low <= truth <= band.high for band in bands) / 2000
        assert 0.93 < share < 0.985, (truth, count, share)
    values = rng.exponential(3.0, size=(2000, 80))
    bands = [mean(float(row.sum()), float((row**2).sum()), 80) for row in values]
    assert 0.91 < sum(band.low <= 3 <= band.high for band in bands) / 2000 < 0.97


def test_bands_at_the_edges() -> None:
    assert (proportion(0, 10).low, proportion(10, 10).high) == (0, 1)
    assert 0.2 < proportion(0, 10).high < 0.35
    assert (proportion(0, 0).low, proportion(0, 0).high) == (0, 1)
    assert proportion(5, 10).sigmas(0.5) == 0 and proportion(5, 10).sigmas(0) == float("inf")
    assert proportion(10, 10).sigmas(1) == 0
    assert mean(3, 9, 1).high == float("inf")
    assert str(proportion(50, 100)) == "0.5000 (0.4038 to 0.5962)"


# -- sweeps ---------------------------------------------------------------------------------------


def test_the_engine_does_not_change_the_result() -> None:
    cells = grid(ns=(10, 20), shares=(0.2,), p_fs=(0.67, 0.9))
    seen: list[tuple[int, int]] = []
    here = sweep(cells, 5000, progress=lambda done, cells: seen.append((done, cells)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    with ThreadPoolExecutor(2) as pool:
        assert sweep(cells, 5000, map=pool.map) == here
        futures = sweep(cells, 5000, map=lambda work, tasks: [pool.submit(work, task) for task in tasks])
        assert futures == here
    assert sweep(cells, 5000, seed=8) != here


def test_a_dask_cluster_gives_the_same_result() -> None:
    distributed = pytest.importorskip("distributed", reason="NO DASK: pip install 'mqttsec[cluster]'")
    cells = grid(ns=(10,), shares=(0.2, 0.4), p_fs=(0.67, 0.9))
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert sweep(cells, 20_000, map=client.map) == sweep(cells, 20_000)


def test_any_work_can_be_spread() -> None:
    assert spread(_draw, ["a", "b"], seed=1) == spread(_draw, ["a", "b"], seed=1)
    assert spread(_draw, [], seed=1) == []


def _draw(cell: str, seed: np.random.SeedSequence) -> tuple[str, int]:
    return cell, int(np.random.default_rng(seed).integers(1 << 40))


def test_a_frame_lays_theory_beside_it() -> None:
    table = frame(sweep(grid(ns=(10,), shares=(0.2,), p_fs=(0.67,)), 10_000))
    row = table.iloc[0]
    assert row["P(H1+) low"] <= row["P(H1+)"] <= row["P(H1+) high"]
    assert row["P(I|H1+) theory"] == predecessor_is_initiator(Crowd(10, 2, 0.67))
    assert frame([tally(Crowd(5, 0, 0.7), 10, 1)]).iloc[0]["P(I|H1+) theory"] is None


@pytest.mark.parametrize(("call", "said"), [
    (lambda: tally(Crowd(5, 1, 0.5), 0, 1), "paths=0"),
    (lambda: walks(Crowd(5, 1, 0.5), -1, 1), "paths=-1"),
    (lambda: walks(Crowd(5, 1, 0.5), 1, 1, weights=[1, 2]), "each of the 5 brokers"),
    (lambda: walks(Crowd(2, 1, 0.5), 1, 1, weights=[1, 0]), "above 0"),
    (lambda: sweep([], 0), "paths=0"),
    (lambda: sweep([Crowd(5, 1, 0.5)], 10, seed=-1), "seed=-1"),
    (lambda: proportion(3, 2), "3 hits in 2 trials"),
    (lambda: proportion(1, 2, z=0), "z=0"),
    (lambda: mean(1, 1, 3, z=-1), "z=-1"),
    (lambda: proportion(0, 0).sigmas(0.5), "no trial"),
])  # fmt: skip
def test_bad_parameters_say_what_to_do(call: Callable[[], object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        call()
