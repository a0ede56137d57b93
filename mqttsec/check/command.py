"""`mqttsec check`: run submitted notebooks again and list what their checks say."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from mqttsec.check.report import row_values, write_csv
from mqttsec.check.submission import Limits, Submission, rerun
from mqttsec.errors import ConfigurationError

COLUMNS = ("notebook", "lab", "part", "title", "state", "tries", "message")


def main(arguments: list[str]) -> int:
    """0 if every notebook ran to its end (right or wrong), 1 if one did not."""
    limits = Limits()
    parser = argparse.ArgumentParser(
        prog="mqttsec check",
        description="Run submitted notebooks again, each in a fresh kernel, and list what their checks say.",
        epilog="A notebook is a program and runs with your rights: run those of strangers in a container. "
        "The exit status is 1 if a notebook did not run to its end.",
    )
    parser.add_argument("notebooks", nargs="+", metavar="NOTEBOOK")
    parser.add_argument("--csv", metavar="FILE", help="write the verdicts as CSV too, for a grade book")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the list")
    shown = "default %(default)s"
    parser.add_argument("--cell-seconds", type=float, default=limits.cell_seconds, help=shown)
    parser.add_argument("--total-seconds", type=float, default=limits.total_seconds, help=shown)
    parser.add_argument("--memory-mb", type=int, default=limits.memory_megabytes, help=shown)
    given = parser.parse_args(arguments)
    limits = Limits(given.cell_seconds, given.total_seconds, given.memory_mb)

    submissions = []
    for path in given.notebooks:
        submissions.append(rerun(path, limits))
        if not given.json:
            print(as_text(submissions[-1]), flush=True)
    if given.json:
        print(json.dumps([as_dict(submission) for submission in submissions], indent=2, ensure_ascii=False))
    if given.csv:
        write_grade_book(Path(given.csv), submissions)
    return 0 if all(submission.finished for submission in submissions) else 1


def as_text(submission: Submission) -> str:
    """The list of one notebook, for the terminal."""
    right = sum(row.state.value == "ok" for _, row in submission.rows)
    lines = [f"{submission.notebook}: {right} of {len(submission.rows)} ok"]
    for lab, row in submission.rows:
        line = f"  {lab} {row.part.replace('_', ' '):<12} {row.state.value:<6} {row.title}"
        lines.append(line if row.state.value != "wrong" else f"{line} - {row.message}")
    lines.extend(f"  problem: {problem}" for problem in submission.problems)
    if not submission.rows:
        lines.append("  no checks: is this a notebook of a lab?")
    return "\n".join(lines)


def as_dict(submission: Submission) -> dict[str, object]:
    """One notebook as JSON sees it."""
    rows = [{"lab": lab, **vars(row), "state": row.state.value} for lab, row in submission.rows]
    return {
        "notebook": submission.notebook,
        "finished": submission.finished,
        "problems": list(submission.problems),
        "rows": rows,
    }


def write_grade_book(path: Path, submissions: Sequence[Submission]) -> None:
    """Write one CSV row per notebook and exercise. Raises `ConfigurationError` if it cannot be written."""
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            write_csv(file, COLUMNS, _grade_book_rows(submissions))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror or error}") from error


def _grade_book_rows(submissions: Sequence[Submission]) -> Iterator[tuple[object, ...]]:
    for submission in submissions:
        for lab, row in submission.rows:
            yield submission.notebook, lab, *row_values(row)
