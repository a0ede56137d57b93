"""What every lab object has: a seed, checks, a report, and an end."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Protocol, TypeVar

from mqttsec.check import Checks, ExerciseBook, Report, Verdict
from mqttsec.errors import ConfigurationError

OUT = Path("out")
"""Where a lab writes: beside its notebook, in a folder that git ignores."""


class Closeable(Protocol):
    """Anything that a lab has to close."""

    def close(self) -> None:
        """End it; twice does no harm."""


C = TypeVar("C", bound=Closeable)


@dataclass(frozen=True, repr=False)
class Verdicts:
    """Several verdicts, one a line."""

    verdicts: tuple[Verdict, ...]
    """In the order of the questions."""

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.verdicts))


class Lab:
    """Base of the lab objects.

    A new object of the same lab closes the old one, so that a cell can be run again. `seed` fixes
    everything that chance decides. Raises `ConfigurationError` for a seed that is no whole number.
    """

    book: ClassVar[ExerciseBook]
    """The exercises of the lab."""
    _current: ClassVar[dict[type, Lab]] = {}

    def __init__(self, seed: int) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ConfigurationError(f"seed={seed!r}: give a whole number from 0 on, such as 7")
        older = self._current.get(type(self))
        if older is not None:
            older.close()
        self._current[type(self)] = self
        self.seed = seed
        """What chance begins with: the same seed gives the same packets on every machine."""
        self.lock = threading.RLock()
        """Taken by every callback of the lab's widgets."""
        self._open: list[Closeable] = []
        self.check = Checks(self.book, self, {"seed": seed})
        """The lab's checks: `lab.check.exercise_1(answer)`."""

    def keep(self, part: C) -> C:
        """Close `part` together with the lab; returns it."""
        self._open.append(part)
        return part

    def close(self) -> None:
        """Close what the lab opened; twice does no harm."""
        with self.lock:
            parts, self._open = self._open, []
        for part in reversed(parts):
            part.close()

    def answer(self, letters: Sequence[object]) -> Verdicts:
        """Answer the questionnaire, one letter a question, in order; what is still `...` stays open."""
        questions = [part for part in self.book.exercises if part.startswith("question_")]
        given = [*letters, *[...] * len(questions)]
        return Verdicts(
            tuple(getattr(self.check, part)(letter) for part, letter in zip(questions, given, strict=False))
        )

    def report(self, name: str) -> Report:
        """Write your report, JSON and CSV, into `out/` and return it; a teacher runs the notebook again.

        Raises `ConfigurationError` if the name has no letter or digit, or the folder cannot be written.
        """
        return self.check.report(name, OUT)

    def out(self, name: str) -> Path:
        """The path for a file of this lab in `out/`, which is made if need be.

        Raises `ConfigurationError` for a name that leads elsewhere, or if the folder cannot be made.
        """
        if not name or Path(name).name != name:
            raise ConfigurationError(f"{name!r} must be a file name without a folder: it goes into {OUT}/")
        try:
            OUT.mkdir(exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"the folder {OUT} cannot be made here: {error}") from error
        return OUT / name

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
