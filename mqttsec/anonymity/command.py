"""`mqttsec bench anonymity`: how quickly paths are simulated, and whether they agree with the formulas.

Three ways in one run, on one core: hop by hop in plain Python (the version to read), hop by hop in NumPy for
many paths at once, and the quick one, which draws of every path its number of hops, the place where a
collaborator comes first, and the predecessor. Then a sweep of 45 crowds, each compared with theory.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path as File
from typing import Any

from mqttsec.anonymity.crowd import Crowd, Variant
from mqttsec.anonymity.innocence import collaborator_on_path, predecessor_is_initiator
from mqttsec.errors import ConfigurationError

AIM_PATHS_PER_S = 20e6
"""Paths a second that the quick way is to draw on one core."""
AIM_SWEEP_S = 5.0
"""Seconds that a sweep of 45 crowds, a million paths each, is to take."""
ENGINES = ("serial", "processes", "dask")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print the report; 1 if the simulation disagrees with theory, else 0.

    Being slow is printed and is no failure. Raises `ConfigurationError` for arguments that cannot work.
    """
    options = _parse(sys.argv[1:] if argv is None else argv)
    try:
        numpy: Any = importlib.import_module("numpy")
    except ImportError:
        raise ConfigurationError("the simulation needs NumPy; install it with: pip install numpy") from None
    print(
        f"NumPy {numpy.__version__}, Python {sys.version.split()[0]}, load average {os.getloadavg()[0]:.1f}"
    )
    crowd = Crowd(options.n, options.c, options.p_f, Variant(options.variant))
    speeds(crowd, options)
    print()
    return sweeping(options)


def speeds(crowd: Crowd, options: argparse.Namespace) -> None:
    """Measure the three ways in turn (A B C, A B C, ...) and print medians, and the ratio to plain Python."""
    from mqttsec.anonymity.simulation import tally, tally_walks

    ways: dict[str, tuple[int, Callable[[int, int], object]]] = {
        "plain Python, hop by hop": (20_000, lambda count, seed: _plain(crowd, count, seed)),
        "NumPy, hop by hop": (200_000, lambda count, seed: tally_walks(crowd, count, seed)),
        "NumPy, quick": (options.paths, lambda count, seed: tally(crowd, count, seed)),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _, run in ways.values():
        run(1000, 0)
    for number in range(options.rounds):
        for name, (count, run) in ways.items():
            # Processor time of this process: what else the machine does is not ours.
            began = time.process_time()
            run(count, number)
            rates[name].append(count / (time.process_time() - began))
    print(f"{crowd}; median of {options.rounds} rounds, processor time of one core")
    plain = statistics.median(next(iter(rates.values())))
    for name, found in rates.items():
        middle = statistics.median(found)
        spread = f"{min(found) / 1e6:.3f} to {max(found) / 1e6:.3f}"
        print(f"  {name:<26}{middle / 1e6:>10.3f} million paths/s  ({spread}){middle / plain:>9.1f} x")
    said = "met" if middle >= AIM_PATHS_PER_S else "missed"
    print(f"  aim: {AIM_PATHS_PER_S / 1e6:.0f} million paths/s the quick way: {said}")


def sweeping(options: argparse.Namespace) -> int:
    """Run the sweep for both variants, print how long it took and how far from theory it is."""
    from mqttsec.anonymity.sweep import frame, grid, sweep

    worst = 0.0
    tallies = []
    for variant in Variant:
        cells = grid(variant=variant)
        with _engine(options.map) as engine:
            began = time.perf_counter()
            found = sweep(cells, options.paths, options.seed, engine, _progress)
            seconds = time.perf_counter() - began
        off = max(
            max(each.on_path().sigmas(collaborator_on_path(each.crowd)),
                each.given_hit().sigmas(predecessor_is_initiator(each.crowd)))
            for each in found
        )  # fmt: skip
        worst = max(worst, off)
        tallies += found
        aim = f"; aim {AIM_SWEEP_S:g} s: {'met' if seconds < AIM_SWEEP_S else 'missed'}"
        print(
            f"variant {variant.value}: {len(cells)} crowds x {options.paths:,} paths in {seconds:.2f} s "
            f"({options.map}){aim if options.paths == 1_000_000 else ''}; "
            f"farthest from theory {off:.2f} standard errors"
        )
    if options.csv is not None:
        try:
            frame(tallies).to_csv(options.csv, index=False)
        except OSError as error:
            raise ConfigurationError(
                f"--csv: {options.csv} cannot be written ({error.strerror}): choose another path"
            ) from error
        print(f"{len(tallies)} rows kept in {options.csv}")
    if worst > 4:
        print("more than 4 standard errors: simulation and theory disagree")
        return 1
    return 0


def _plain(crowd: Crowd, count: int, seed: int) -> tuple[int, int, int]:
    """(hits, initiator, hops) of so many paths, one after the other."""
    from mqttsec.anonymity.walking import walk

    rng = random.Random(seed)
    hits = initiator = hops = 0
    for _ in range(count):
        path = walk(crowd, rng)
        before = path.predecessor
        hits += before is not None
        initiator += before == 0
        hops += path.hops
    return hits, initiator, hops


@contextlib.contextmanager
def _engine(name: str) -> Iterator[Callable[..., Any]]:
    """Something that maps: in this process, in a process a core, or on a Dask cluster of this machine."""
    if name == "serial":
        yield map
    elif name == "processes":
        from concurrent.futures import ProcessPoolExecutor

        with ProcessPoolExecutor() as pool:
            yield pool.map
    else:
        try:
            distributed: Any = importlib.import_module("distributed")
        except ImportError:
            raise ConfigurationError(
                "--map dask needs Dask; install it with: pip install 'mqttsec[cluster]'"
            ) from None
        with (
            distributed.LocalCluster(
                host="127.0.0.1", dashboard_address=None, threads_per_worker=1
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client.map


def _progress(done: int, cells: int) -> None:
    """One line on a terminal that is written over; nothing in a file."""
    if sys.stderr.isatty():
        end = "\r" + " " * 40 + "\r" if done == cells else ""
        print(f"\r{done} of {cells} crowds{end}", end="", file=sys.stderr, flush=True)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="mqttsec bench anonymity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--n", type=int, default=20, help="bridge brokers")
    parser.add_argument("--c", type=int, default=4, help="collaborating ones")
    parser.add_argument("--p-f", type=float, default=0.67, help="forwarding probability")
    parser.add_argument(
        "--variant",
        choices=[each.value for each in Variant],
        default="A",
        help="A: a broker may pick itself, B: never",
    )
    parser.add_argument("--paths", type=int, default=1_000_000, help="paths a crowd")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--map", choices=ENGINES, default="serial", help="what runs the sweep")
    parser.add_argument("--csv", type=File, metavar="PATH", help="keep the sweep's rows")
    options = parser.parse_args(argv)
    for name in ("paths", "rounds"):
        if getattr(options, name) < 1:
            raise ConfigurationError(f"--{name}: give a whole number from 1 on")
    return options
