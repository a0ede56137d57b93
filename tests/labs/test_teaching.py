"""The teacher's page says what the labs say: minutes, exercises, order; and its programs run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mqttsec.check import Row, State, seed_of
from mqttsec.check.command import write_grade_book
from mqttsec.check.submission import Submission

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
INDEX = (ROOT / "labs" / "source" / "index.py").read_text(encoding="utf-8")
TIME = re.compile(r"(\d+) minutes in all: ([^.]*)\.")
ROW = re.compile(r"^\| ([\d, ]+?) \| (\d+) \|", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """What the text of a lab says about its time."""

    number: str
    text: str

    @property
    def time(self) -> str:
        """`75 minutes in all: station 15, ...`, in one line."""
        found = TIME.search(self.text)
        assert found, f"lab {self.number} does not say how long it takes"
        return found[0]

    @property
    def minutes(self) -> int:
        return int(TIME.search(self.text)[1])

    @property
    def parts(self) -> list[int]:
        """Minutes of each section, in order."""
        return [int(part.rsplit(" ", 1)[1]) for part in TIME.search(self.text)[2].split(", ")]

    @property
    def exercises(self) -> list[tuple[str, int]]:
        """(exercises, minutes) of each cell for teachers, `("2, 3", 5)`: of all since the last one."""
        found, since = [], []
        for exercise, minutes in re.findall(
            r"### Exercise (\d+)|^# \*\*For teachers\*\* \((\d+) minutes\)", self.text, re.MULTILINE
        ):
            if exercise:
                since.append(exercise)
            else:
                found.append((", ".join(since), int(minutes)))
                since = []
        assert not since, f"lab {self.number}: nothing for teachers about exercise {since}"
        return found

    @property
    def needs(self) -> set[str]:
        """Labs that come before it."""
        line = re.search(r"\*\*Prerequisites\*\* (.*?)\n#\n", self.text, re.DOTALL)[1]
        return set(re.findall(r"\b0\d\b", line.split("How the keys")[0])) - {self.number}


SOURCES = {
    path.name[:2]: Source(path.name[:2], path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "labs" / "source").glob("0*_*.py"))
}


def chapter(title: str, level: str = "##") -> str:
    """The text under a heading."""
    ends = rf"(?=^#{{2,{len(level)}}} |\Z)"
    found = re.search(rf"^{level} {title}[^\n]*\n(.*?){ends}", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/teaching.md has no heading {title}"
    return found[1]


def cells(text: str) -> list[list[str]]:
    """The rows of a table, without its head."""
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


@pytest.mark.parametrize("lab", SOURCES)
def test_the_minutes_of_a_lab(lab: str) -> None:
    source, told = SOURCES[lab], chapter(lab, "###")
    assert sum(source.parts) == source.minutes
    assert told.strip().startswith(source.time)
    assert [(exercise, int(minutes)) for exercise, minutes in ROW.findall(told)] == source.exercises
    assert int(re.search(rf"\[{lab} .*\| (\d+) \|", INDEX)[1]) == source.minutes, "the index says otherwise"


def test_four_weeks_have_every_lab_once_and_after_what_it_needs() -> None:
    done: set[str] = set()
    for row in cells(chapter("Four weeks")):
        lab = row[2][1:3]
        assert int(row[3]) == SOURCES[lab].minutes
        assert SOURCES[lab].needs <= done, f"{lab} comes too early"
        done.add(lab)
    assert done == set(SOURCES)
    assert len(cells(chapter("Four weeks"))) == len(SOURCES)


def test_one_day_fits_together() -> None:
    clock = None
    for begin, lab, sections, minutes, *_ in cells(chapter("One day")):
        hour, minute = map(int, begin.split(":"))
        assert clock in (None, 60 * hour + minute), begin
        clock = 60 * hour + minute + int(minutes)
        if lab:
            parts = SOURCES[lab[1:3]].parts
            assert int(minutes) == sum(parts[int(section) - 1] for section in sections.split(", ")), begin


def program(name: str) -> str:
    return re.search(rf'^```python title="{name}"\n(.*?)^```', PAGE, re.MULTILINE | re.DOTALL)[1]


def run(name: str, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program(name), *arguments],
        cwd=folder, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_points_are_counted(tmp_path: Path) -> None:
    def row(part: str, state: State) -> tuple[str, Row]:
        return "lab03", Row(part, "a title", state, 1, "")

    rows = (row("exercise_1", State.OK), row("exercise_2", State.WRONG), row("question_1", State.OK))
    seeds = {"lab03": seed_of("Ada Lovelace")}
    write_grade_book(
        tmp_path / "grades.csv",
        [Submission("ada.ipynb", rows, (), True, seeds), Submission("gone.ipynb", (), ("no file",), False)],
        {seed_of("Ada Lovelace"): "Ada Lovelace"},
    )
    assert run("points.py", tmp_path).split() == ["Ada", "Lovelace", "lab03", "4"]


def test_every_student_gets_a_variant(tmp_path: Path) -> None:
    (tmp_path / "class.txt").write_text("Ada Lovelace\nAlan Turing\n")
    lab = ROOT / "labs" / "03_four_schemes.ipynb"
    told = run("variants.py", tmp_path, "class.txt", str(lab))
    for name in ("Ada Lovelace", "Alan Turing"):
        assert f"{name}: seed {seed_of(name)}\n" in told
        written = (tmp_path / "handed-out" / name / lab.name).read_text(encoding="utf-8")
        notebook = json.loads(written)
        assert f"labs.FourSchemes(seed={seed_of(name)})" in written
        assert not any(cell.get("outputs") for cell in notebook["cells"])
        assert len(notebook["cells"]) == len(json.loads(lab.read_text(encoding="utf-8"))["cells"])
