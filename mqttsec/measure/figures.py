"""One measured figure of `mqttsec bench handshake`, and what is said of many."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import median
from typing import TextIO


@dataclass(frozen=True)
class Figure:
    """One raw result: a line of the CSV."""

    part: str
    """Which part of the benchmark."""
    what: str
    """What was measured."""
    round: int
    """Which of its repetitions, from 1."""
    value: float
    """How much."""
    unit: str
    """Of what: us, s, bytes, or a count."""


def things(rows: Iterable[Figure], part: str) -> tuple[str, ...]:
    """What was measured in a part, in the order of measuring."""
    return tuple(dict.fromkeys(row.what for row in rows if row.part == part))


def values(rows: Iterable[Figure], part: str, what: str) -> list[float]:
    """All values of one thing, in the order of measuring."""
    return [row.value for row in rows if (row.part, row.what) == (part, what)]


def spread(measured: Sequence[float]) -> tuple[float, float, float, float]:
    """(lower quartile, median, upper quartile, 95th percentile) of at least one value."""
    ordered = sorted(measured)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return at(0.25), median(ordered), at(0.75), at(0.95)


def write_csv(rows: Iterable[Figure], file: TextIO) -> None:
    """The raw rows, one a line."""
    writer = csv.DictWriter(file, [field.name for field in fields(Figure)])
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
