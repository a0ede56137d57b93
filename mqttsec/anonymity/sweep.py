"""Many cells at once, on whatever can map: the builtin, an executor, or a Dask client for a cluster.

Each cell gets its own seed, spawned from one, so that the engine does not change the result.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mqttsec.anonymity.crowd import Crowd, Variant, check_count
from mqttsec.anonymity.innocence import collaborator_on_path, predecessor_is_initiator
from mqttsec.anonymity.simulation import PathTally, tally
from mqttsec.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas

C = TypeVar("C")
R = TypeVar("R")
Map = Callable[..., Iterable[Any]]
"""`map`, `executor.map`, `client.map`: a function over a sequence; results, or futures of them."""
Progress = Callable[[int, int], None]
"""Called with (cells done, cells in all)."""


def sweep(
    cells: Sequence[Crowd],
    paths: int = 1_000_000,
    seed: int = 7,
    map: Map = map,
    progress: Progress | None = None,
) -> list[PathTally]:
    """Simulate `paths` paths of each crowd; the tallies, in the order of `cells`.

    With `map=client.map` of a Dask client it runs on a cluster, with `map=pool.map` of an executor in its
    processes. Raises `ConfigurationError` for a number of paths or a seed that cannot be.
    """
    check_count(paths, "paths")
    return spread(functools.partial(_tally, paths), cells, seed, map, progress)


def spread(
    work: Callable[[C, np.random.SeedSequence], R],
    cells: Sequence[C],
    seed: int = 7,
    map: Map = map,
    progress: Progress | None = None,
) -> list[R]:
    """`work(cell, seed of the cell)` for each cell, on any engine; the results in the order of `cells`.

    The seeds are `SeedSequence(seed).spawn(len(cells))`. `work` must be importable by name where the engine
    runs it elsewhere. `progress` is called whenever the next result, in order, has come.
    Raises `ConfigurationError` for a seed that cannot be, and whatever `work` raises.
    """
    check_count(seed, "seed", 0)
    tasks = list(zip(cells, np.random.SeedSequence(seed).spawn(len(cells)), strict=True))
    found: list[R] = []
    for result in map(functools.partial(_do, work), tasks):
        # A Dask client and `submit` give futures, the others results.
        found.append(result.result() if hasattr(result, "result") else result)
        if progress is not None:
            progress(len(found), len(tasks))
    return found


def _do(work: Callable[[C, np.random.SeedSequence], R], task: tuple[C, np.random.SeedSequence]) -> R:
    return work(*task)


def _tally(paths: int, crowd: Crowd, seed: np.random.SeedSequence) -> PathTally:
    return tally(crowd, paths, seed)


def grid(
    ns: Sequence[int] = (10, 20, 50, 100, 200),
    shares: Sequence[float] = (0.1, 0.2, 0.4),
    p_fs: Sequence[float] = (0.55, 0.67, 0.9),
    variant: Variant | str = Variant.A,
) -> list[Crowd]:
    """The crowds of a grid: each n, with c = n times each share (1 at least), with each p_f; 45 by default.

    Raises `ConfigurationError` for a crowd that cannot be.
    """
    return [
        Crowd(n, max(1, round(share * n)), p_f, Variant(variant))
        for n in ns for share in shares for p_f in p_fs
    ]  # fmt: skip


def frame(tallies: Sequence[PathTally]) -> pandas.DataFrame:
    """Simulation beside theory, a row a cell: estimates, 95 % bands, and how many standard errors apart.

    Raises `ConfigurationError` without pandas.
    """
    try:
        library: Any = importlib.import_module("pandas")
    except ImportError:
        raise ConfigurationError("data frames need pandas; install it with: pip install pandas") from None
    rows = []
    for each in tallies:
        crowd = each.crowd
        row: dict[str, object] = {
            "n": crowd.n, "c": crowd.c, "p_f": crowd.p_f, "variant": crowd.variant.value, "paths": each.paths,
        }  # fmt: skip
        for name, estimate, truth in (
            ("P(H1+)", each.on_path(), collaborator_on_path(crowd)),
            ("P(I|H1+)", each.given_hit(), predecessor_is_initiator(crowd) if crowd.c else None),
        ):
            row[name] = estimate.value
            row[f"{name} low"], row[f"{name} high"] = estimate.low, estimate.high
            row[f"{name} theory"] = truth
            row[f"{name} sigmas"] = None if truth is None or not estimate.count else estimate.sigmas(truth)
        row["mean hops"] = each.mean_hops().value
        rows.append(row)
    table: pandas.DataFrame = library.DataFrame(rows)
    return table
