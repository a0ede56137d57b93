"""`mqttsec bench mqtta`: section VIII of the MQTT-A paper again, under the virtual clock, on all cores."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from mqttsec.errors import ConfigurationError
from mqttsec.mqtta.experiments import results
from mqttsec.mqtta.experiments.statements import statements
from mqttsec.mqtta.experiments.sweep import Map, measure, plan

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = 2
"""Cells that a process takes at a time."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables; 0 if every message of every cell arrived once, else 1."""
    options = _parse(arguments)
    _require_pandas()
    cells = plan(options.messages)
    began = time.perf_counter()
    with _processes(options.processes) as spread:
        measured = measure(cells, options.seed, spread, None if options.quiet else _progress)
    took = time.perf_counter() - began
    if not options.quiet:
        print(file=sys.stderr)
    times = os.times()
    cpu = times.user + times.system + times.children_user + times.children_system
    print(
        f"{len(cells)} cells of {options.messages} messages, seed {options.seed}; {took:.0f} s in "
        f"{options.processes} processes, which used {cpu:.0f} s of processor time\n"
    )
    print(report(measured))
    if options.out is not None:
        write(measured, Path(options.out))
        print(f"\nTables and figures are in {options.out}")
    lost = int((measured["messages"] - measured["received"]).sum())
    twice = int(measured["duplicates"].sum())
    print(f"\n{int(measured['messages'].sum())} messages: {lost} lost, {twice} came twice")
    return 1 if lost or twice else 0


def report(measured: pd.DataFrame) -> str:
    """The tables as text."""
    parts = []
    for name, table in tables(measured).items():
        parts.append(f"{name}\n{table.to_string(index=False, float_format=lambda value: f'{value:.3f}')}")
    lines = ["What section VIII states, and what came out here"]
    for _, row in statements(measured).iterrows():
        lines.append(f"{row['quantity']}: {row['condition']}")
        lines.append(f"    printed {row['printed']}; here {row['ours']}: {row['verdict']}")
        if row["why"]:
            lines.append(f"    {row['why']}")
    return "\n\n".join([*parts, "\n".join(lines)])


def tables(measured: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Each experiment's table by its title."""
    return {
        "Goodput against p_f": results.goodput(measured),
        "Latency against p_f": results.latency(measured),
        "One side and two": results.sides(measured),
        "Latency and goodput against RTT": results.by_rtt(measured),
        "Largest p_f of each class of applications": results.largest(measured),
        "Latency against the share of collaborators (QoS 0)": results.collaborators(measured),
    }


def write(measured: pd.DataFrame, folder: Path) -> None:
    """The cells and tables as CSV, the figures as JSON that plotly reads, into a folder.

    Raises `ConfigurationError` if it cannot be made.
    """
    from mqttsec.mqtta.experiments.figures import all_figures

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"the folder {folder} cannot be made: {error}") from error
    measured.to_csv(folder / "cells.csv", index=False)
    statements(measured).to_csv(folder / "statements.csv", index=False)
    for name, figure in all_figures(measured).items():
        (folder / f"{name}.json").write_text(figure.to_json(), encoding="utf-8")


@contextlib.contextmanager
def _processes(count: int) -> Iterator[Map]:
    if count == 1:
        yield map
        return
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        yield lambda work, *given: pool.map(work, *given, chunksize=_CHUNK)


def _progress(done: int, all_of_them: int) -> None:
    print(f"\r{done} of {all_of_them} cells", end="", file=sys.stderr, flush=True)


def _require_pandas() -> None:
    try:
        import numpy
        import pandas
    except ImportError:
        raise ConfigurationError(
            'the tables need pandas; install it with: pip install "mqttsec[labs]"'
        ) from None
    del numpy, pandas


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="mqttsec bench mqtta",
        description="Measures goodput and latency of MQTT-A as section VIII of its paper does, and sets each "
        "printed statement beside our figure.",
    )
    parser.add_argument("--messages", type=int, default=200, help="messages of a point (default: 200)")
    parser.add_argument(
        "--seed", type=int, default=1, help="the same seed gives the same numbers (default: 1)"
    )
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="how many cells at a time (default: cores)"
    )
    parser.add_argument("--out", help="a folder for CSV files and figures")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    options = parser.parse_args(arguments)
    if options.processes < 1 or options.seed < 0:
        raise ConfigurationError("--processes is at least 1, --seed at least 0")
    return options
