"""Recorded figures in `data/`: primitive costs, one run of the overhead benchmark, the paper's tables."""

from __future__ import annotations

import csv
from pathlib import Path

from mqttsec.errors import ConfigurationError

_PLACES = (Path(__file__).parents[1] / "_data", Path(__file__).parents[2] / "data")
"""In an installed package, and in a checkout."""

COSTS = "overhead_costs.csv"
RUN = "overhead_run.csv"
PAPER = "reference/chien2025_publish_receive.csv"


def path_of(name: str) -> Path:
    """Where a data file is. Raises `ConfigurationError` where it is missing."""
    for place in _PLACES:
        if (place / name).exists():
            return place / name
    raise ConfigurationError(f"the data file {name} is missing: install mqttsec again, or use a checkout")


def lines(name: str) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path_of(name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
