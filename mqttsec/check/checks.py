"""The checks of one running lab: `check.exercise_2(answer)`, `check.progress()`, `check.report("Ada")`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mqttsec.check.exercises import ExerciseBook, State, Verdict
from mqttsec.check.report import Report, Row
from mqttsec.check.verdict_log import log_verdict


@dataclass(frozen=True, repr=False)
class Progress:
    """Where the reader stands; its `repr` is a fixed-width table."""

    lab: str
    """Short name of the lab."""
    rows: tuple[Row, ...]
    """One per exercise and question, in the order of the notebook."""

    def done(self, kind: str) -> tuple[int, int]:
        """(ok, all) of a kind: `exercise` or `question`."""
        states = [row.state for row in self.rows if row.part.startswith(f"{kind}_")]
        return states.count(State.OK), len(states)

    def summary(self) -> str:
        """`1 of 3 exercises ok, 0 of 6 questions ok`."""
        counts = ((kind, *self.done(kind)) for kind in ("exercise", "question"))
        return ", ".join(f"{right} of {all_} {kind}s ok" for kind, right, all_ in counts if all_)

    def __repr__(self) -> str:
        lines = [f"{self.lab}: {self.summary()}"]
        for row in self.rows:
            lines.append(f"  {row.part.replace('_', ' '):<12} {row.state.value:<6} {row.title}".rstrip())
        return "\n".join(lines)


class Checks:
    """The exercises of `book`, asked about one `lab` object.

    Every exercise and question of the book is a method: `check.exercise_1(answer)` returns a
    `Verdict` and never raises. A new lab object brings new checks, so progress starts afresh.
    """

    def __init__(self, book: ExerciseBook, lab: Any, facts: Mapping[str, object] | None = None) -> None:
        self._book = book
        self._lab = lab
        self._facts = dict(facts or {})
        self._last = {
            part: Verdict(part, State.TODO, exercise.todo) for part, exercise in book.exercises.items()
        }
        self._tries = dict.fromkeys(book.exercises, 0)
        for row in self.progress().rows:
            log_verdict(book.name, row, self._facts.get("seed"))

    def __getattr__(self, part: str) -> Callable[..., Verdict]:
        book: ExerciseBook = self.__dict__["_book"]
        if part not in book.exercises:
            raise AttributeError(f"{book.name} has no check {part!r}; it has {', '.join(book.exercises)}")

        def check(*answers: object) -> Verdict:
            return self._judge(part, answers)

        check.__name__ = part
        check.__doc__ = book.exercises[part].title
        return check

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._book.exercises})

    def __repr__(self) -> str:
        return repr(self.progress())

    def progress(self) -> Progress:
        """Where the reader stands, by the last verdict of each exercise."""
        rows = tuple(
            Row(part, exercise.title, self._last[part].state, self._tries[part], self._last[part].message)
            for part, exercise in self._book.exercises.items()
        )
        return Progress(self._book.name, rows)

    def questions(self) -> str:
        """The questionnaire as text: print it."""
        lines = []
        for part, exercise in self._book.exercises.items():
            if part.startswith("question_"):
                lines.append(f"{part.removeprefix('question_')}. {exercise.title}")
                lines.extend(f"   {letter}) {option}" for letter, option in exercise.options.items())
        return "\n".join(lines)

    def report(self, name: str, folder: str | Path = "out") -> Report:
        """Write the reader's report, JSON and CSV, into `folder` (made if need be), and return it.

        Raises `ConfigurationError` if the name has no letter or digit, or the folder cannot be written.
        """
        report = Report.make(name, self._book.name, self._facts, self.progress().rows)
        report.write(Path(folder))
        return report

    def _judge(self, part: str, answers: tuple[object, ...]) -> Verdict:
        exercise = self._book.exercises[part]
        verdict = exercise.judge(self._lab, answers)
        if verdict.state is not State.TODO:
            self._tries[part] += 1
        self._last[part] = verdict
        row = Row(part, exercise.title, verdict.state, self._tries[part], verdict.message)
        log_verdict(self._book.name, row, self._facts.get("seed"))
        return verdict
