"""Where verdicts go when a teacher runs a notebook again: one JSON line each, into a file.

Each line is on disk before the next cell runs, so that a kernel that dies later loses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from mqttsec.check.exercises import State
from mqttsec.check.report import Row

_destination: Path | None = None


def log_to(path: str | Path | None) -> None:
    """From now on append every verdict of this process to `path`; None ends it."""
    global _destination
    _destination = None if path is None else Path(path)


def log_verdict(lab: str, row: Row, seed: object = None) -> None:
    """Append one verdict and the seed that its lab was made with, if `log_to` was called."""
    if _destination is not None:
        with _destination.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"lab": lab, "seed": seed, **vars(row), "state": row.state.value}) + "\n")


def read_log(path: Path) -> dict[tuple[str, str], Row]:
    """The last verdict of each (lab, part), in the order in which they first came."""
    last = {}
    for entry in _lines(path):
        lab = entry.pop("lab")
        del entry["seed"]
        state = State(entry.pop("state"))
        row = Row(state=state, **entry)  # type: ignore[arg-type]
        last[str(lab), row.part] = row
    return last


def read_seeds(path: Path) -> dict[str, int]:
    """The seed of each lab that was made, the last one where it was made again."""
    made = {}
    for entry in _lines(path):
        if isinstance(seed := entry.get("seed"), int):
            made[str(entry["lab"])] = seed
    return made


def _lines(path: Path) -> Iterator[dict[str, object]]:
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)
