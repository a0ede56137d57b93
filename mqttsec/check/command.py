"""`mqttsec check`: run submitted notebooks again and list what their checks say."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mqttsec.check.report import row_values, write_csv
from mqttsec.check.students import class_list
from mqttsec.check.submission import Limits, NotANotebook, Submission, rerun
from mqttsec.errors import ConfigurationError

COLUMNS = ("notebook", "student", "seed", "lab", "part", "title", "state", "tries", "message")
NOBODY = "nobody in the class list"
PROBLEM = "problem"
"""What stands for the state in the grade book's row of a notebook that did not run to its end."""


def main(arguments: list[str]) -> int:
    """0 if every notebook ran to its end (right or wrong), 1 if one did not."""
    limits = Limits()
    parser = argparse.ArgumentParser(
        prog="mqttsec check",
        description="Run submitted notebooks again, each in a fresh kernel, and list what their checks say.",
        epilog="A notebook is a program and runs with your rights: run those of strangers in a container. "
        "The exit status is 1 if a notebook could not be read or did not run to its end.",
    )
    parser.add_argument("notebooks", nargs="+", metavar="NOTEBOOK")
    parser.add_argument("--csv", metavar="FILE", help="write the verdicts as CSV too, for a grade book")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the list")
    parser.add_argument("--students", metavar="FILE",
                        help="names, one a line: says whose variant (seed_of) each notebook is")
    shown = "(default: %(default)s)"
    parser.add_argument("--cell-seconds", type=float, metavar="S", default=limits.cell_seconds,
                        help=f"a cell that takes longer is interrupted {shown}")
    parser.add_argument("--total-seconds", type=float, metavar="S", default=limits.total_seconds,
                        help=f"a notebook that takes longer is stopped {shown}")
    parser.add_argument("--memory-mb", type=int, metavar="MB", default=limits.memory_megabytes,
                        help=f"what a notebook may use {shown}")
    given = parser.parse_args(arguments)
    limits = Limits(given.cell_seconds, given.total_seconds, given.memory_mb)

    students = class_list(given.students) if given.students else {}
    submissions = []
    for path, name in zip(given.notebooks, names(given.notebooks), strict=True):
        submissions.append(replace(_rerun_or_say_why_not(path, limits), notebook=name))
        if not given.json:
            print(as_text(submissions[-1], students), flush=True)
    if given.json:
        listed = [as_dict(submission, students) for submission in submissions]
        print(json.dumps(listed, indent=2, ensure_ascii=False))
    if given.csv:
        write_grade_book(Path(given.csv), submissions, students)
    return 0 if all(submission.finished for submission in submissions) else 1


def names(paths: Sequence[str]) -> list[str]:
    """What each notebook is called in the list: its file name, or its path where a class hands in
    files of one name in many folders."""
    files = [Path(path).name for path in paths]
    return files if len(set(files)) == len(files) else list(paths)


def _rerun_or_say_why_not(path: str, limits: Limits) -> Submission:
    """`rerun`, in which one unreadable file of a class is a problem of that file alone."""
    try:
        return rerun(path, limits)
    except NotANotebook as error:
        return Submission(path, (), (str(error),), finished=False)


def as_text(submission: Submission, students: Mapping[int, str] | None = None) -> str:
    """The list of one notebook, for the terminal."""
    right = sum(row.state.value == "ok" for _, row in submission.rows)
    lines = [f"{submission.notebook}: {right} of {len(submission.rows)} ok"]
    for lab, seed in submission.seeds.items():
        lines[0] += f", {lab} with seed {seed}{whose(seed, students, ' (', ')')}"
    for lab, row in submission.rows:
        line = f"  {lab} {row.part.replace('_', ' '):<12} {row.state.value:<6} {row.title}"
        lines.append(line if row.state.value != "wrong" else f"{line} - {row.message}")
    lines.extend(f"  problem: {problem}" for problem in submission.problems)
    if not submission.rows and submission.finished:
        lines.append("  no checks: is this a notebook of a lab?")
    return "\n".join(lines)


def whose(seed: int | None, students: Mapping[int, str] | None, before: str = "", after: str = "") -> str:
    """Whose variant a seed is: a name of the class list, `NOBODY`, or "" without a list."""
    if not students or seed is None:
        return ""
    return f"{before}{students.get(seed, NOBODY)}{after}"


def as_dict(submission: Submission, students: Mapping[int, str] | None = None) -> dict[str, object]:
    """One notebook as JSON sees it."""
    rows = [
        {"lab": lab, "seed": submission.seeds.get(lab), "student": whose(submission.seeds.get(lab), students),
         **vars(row), "state": row.state.value}
        for lab, row in submission.rows
    ]
    return {
        "notebook": submission.notebook,
        "finished": submission.finished,
        "problems": list(submission.problems),
        "rows": rows,
    }


def write_grade_book(
    path: Path, submissions: Sequence[Submission], students: Mapping[int, str] | None = None
) -> None:
    """Write one CSV row per notebook and exercise. Raises `ConfigurationError` if it cannot be written."""
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            write_csv(file, COLUMNS, _grade_book_rows(submissions, students))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror or error}") from error


def _grade_book_rows(
    submissions: Sequence[Submission], students: Mapping[int, str] | None
) -> Iterator[tuple[object, ...]]:
    for submission in submissions:
        for lab, row in submission.rows:
            seed = submission.seeds.get(lab)
            yield submission.notebook, whose(seed, students), seed, lab, *row_values(row)
        if not submission.finished:
            yield submission.notebook, "", "", "", "", "", PROBLEM, 0, "; ".join(submission.problems)
