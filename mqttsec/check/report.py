"""A reader's report: who, which lab, which exercise is right. JSON for programs, CSV for a spreadsheet.

The report is a self-declaration: the answers can be read in this package, and a file can be edited.
A teacher who grades runs the notebook again (`mqttsec check submission.ipynb`).
"""

from __future__ import annotations

import csv
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from mqttsec.check.exercises import State
from mqttsec.errors import ConfigurationError

FORMAT = "mqttsec-report-1"
COLUMNS = ("name", "lab", "part", "title", "state", "tries", "message")


@dataclass(frozen=True)
class Row:
    """The last verdict on one exercise or question."""

    part: str
    """`exercise_2`, `question_1`."""
    title: str
    """Its title."""
    state: State
    """todo, wrong or ok."""
    tries: int
    """How often it was answered: *todo* does not count."""
    message: str
    """What the check said last."""


@dataclass(frozen=True, repr=False)
class Report:
    """What `check.report("Ada")` writes; its `repr` is two stable lines."""

    name: str
    """The reader, as typed."""
    lab: str
    """Short name of the lab."""
    version: str
    """Version of mqttsec."""
    written: str
    """When, UTC, as 2026-01-31T12:00:00Z."""
    rows: tuple[Row, ...]
    """One per exercise and question."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What the lab wants to be known: its seed, its settings."""

    @classmethod
    def make(
        cls,
        name: str,
        lab: str,
        facts: Mapping[str, object],
        rows: tuple[Row, ...],
        clock: Callable[[], float] = time.time,
    ) -> Report:
        """A report of now. Raises `ConfigurationError` if the name has no letter or digit."""
        from mqttsec import __version__

        if not isinstance(name, str) or not slug(name):
            raise ConfigurationError('give your name, such as report("Ada Lovelace")')
        written = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock()))
        return cls(name, lab, __version__, written, rows, facts)

    @property
    def file_stem(self) -> str:
        """Name of the files without ending: `lab01_ada_lovelace`."""
        return f"{self.lab}_{slug(self.name)}"

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON sees it."""
        return {
            "format": FORMAT,
            "name": self.name,
            "lab": self.lab,
            "mqttsec": self.version,
            "written": self.written,
            "facts": dict(self.facts),
            "rows": [{**vars(row), "state": row.state.value} for row in self.rows],
        }

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write both files and return their paths. Raises `ConfigurationError` if that cannot be done."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            json_path = folder / f"{self.file_stem}.json"
            text = json.dumps(self.as_dict(), indent=2, ensure_ascii=False, default=str)
            json_path.write_text(text + "\n", encoding="utf-8")
            csv_path = folder / f"{self.file_stem}.csv"
            with csv_path.open("w", encoding="utf-8", newline="") as file:
                write_csv(file, COLUMNS, ((self.name, self.lab, *row_values(row)) for row in self.rows))
        except OSError as error:
            raise ConfigurationError(f"the report cannot be written to {folder}: {error}") from error
        return json_path, csv_path

    def __repr__(self) -> str:
        right = sum(row.state is State.OK for row in self.rows)
        return (
            f"report of {self.name} on {self.lab}: {right} of {len(self.rows)} ok\n"
            f"written to {self.file_stem}.json and {self.file_stem}.csv"
        )


def row_values(row: Row) -> tuple[str, str, str, int, str]:
    """The columns part, title, state, tries, message."""
    return row.part, row.title, row.state.value, row.tries, row.message


def write_csv(file: TextIO, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a table; text that a spreadsheet would take for a formula gets an apostrophe in front."""
    writer = csv.writer(file)
    writer.writerow(columns)
    for row in rows:
        writer.writerow(
            f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value
            for value in row
        )


def slug(name: str) -> str:
    """A name as part of a file name: lower case letters and digits of any script, the rest underscores."""
    return re.sub(r"[^\w]+", "_", name.lower()).strip("_")[:60]
