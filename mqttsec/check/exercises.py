"""Exercises: what a check is, and how a lab defines its own.

A lab keeps one `ExerciseBook`. An exercise is a function of the lab and the reader's answer that
looks at the running system and says what is missing:

    book = ExerciseBook("lab01", "MQTT and the curious broker")

    @book.exercise("Which topics does the broker read?")
    def exercise_1(lab, answer):
        require(isinstance(answer, set), "give a set of topics, such as {'home/door'}")
        seen = topics_in_the_clear(lab.trace)          # recomputed, never a stored answer
        require(answer <= seen, "one of your topics was never published")
        require(answer == seen, "something is missing: look at the PUBLISH packets to B as well")
        return f"all {len(seen)} of them"

`Checks` (in `mqttsec.check.checks`) binds the book to one lab object, calls these functions and
turns whatever happens into a `Verdict`; nothing a reader types makes a check raise.
"""

from __future__ import annotations

import dis
import enum
import re
import textwrap
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


class State(str, enum.Enum):
    """Where a reader stands with one exercise."""

    TODO = "todo"
    """Nothing answered yet."""
    WRONG = "wrong"
    """Answered, and not right; the message is a hint."""
    OK = "ok"
    """Right."""


_WIDTH = 100
"""Columns of what a check says: a notebook on a screen of 1280 pixels shows 105 of them."""


@dataclass(frozen=True, repr=False)
class Verdict:
    """What a check says. Its `repr` is stable: a notebook shows it, and nbval compares it."""

    part: str
    """`exercise_2`, `question_1`: the name of the check."""
    state: State
    """todo, wrong or ok."""
    message: str = ""
    """For *todo* what to do, for *wrong* a hint, for *ok* what was found right."""

    @property
    def ok(self) -> bool:
        return self.state is State.OK

    def __repr__(self) -> str:
        head = f"{self.part.replace('_', ' ')}: {self.state.value}"
        said = f"{head} - {self.message}" if self.message else head
        lines = textwrap.wrap(
            said, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
        return "\n".join(lines)


class _Answered(Exception):
    """Leaves a check early; never seen outside this package."""

    def __init__(self, state: State, message: str) -> None:
        super().__init__(message)
        self.state = state
        self.message = message


def require(condition: object, hint: str) -> None:
    """Inside a check: the answer is *wrong* unless `condition` holds; the hint names the likely slip."""
    if not condition:
        raise _Answered(State.WRONG, hint)


def started(condition: object, instruction: str) -> None:
    """Inside a check: the exercise is still *todo* unless `condition` holds (press Run first, say)."""
    if not condition:
        raise _Answered(State.TODO, instruction)


def number(answer: object, what: str) -> float:
    """Inside a check: the answer as a float, or *wrong* with a hint that says what number is wanted."""
    require(not isinstance(answer, (bool, str, bytes)), f"give {what} as a number")
    try:
        value = float(answer)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise _Answered(State.WRONG, f"give {what} as a number") from None
    require(value == value, f"{what} is not a number (NaN): did you divide by nothing?")
    return value


Check = Callable[..., "str | None"]
"""`check(lab, *answers)`: returns what was found right, or leaves through `require` or `started`."""


@dataclass(frozen=True)
class Exercise:
    """One check of a lab."""

    part: str
    """`exercise_2` or `question_1`."""
    title: str
    """One line; stands in progress and reports."""
    check: Check
    """Looks at the lab and the answer."""
    todo: str = ""
    """What an untouched exercise says, besides *todo*."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Of a question: letters to answers."""

    def judge(self, lab: Any, answers: tuple[object, ...]) -> Verdict:
        """Say where these answers stand; never raises but for Ctrl-C."""
        if answers and any(is_unanswered(answer) for answer in answers):
            return Verdict(self.part, State.TODO, self.todo)
        try:
            return Verdict(self.part, State.OK, _stable(self.check(lab, *answers) or ""))
        except _Answered as end:
            return Verdict(self.part, end.state, _stable(end.message))
        except NotImplementedError:
            # nbgrader's own stub.
            return Verdict(self.part, State.TODO, self.todo)
        except (Exception, SystemExit) as error:
            # Whatever a reader's function or an unexpected type does: it is an answer, and not right.
            said = f": {error}" if str(error) else ""
            return Verdict(self.part, State.WRONG, _stable(f"the check met {type(error).__name__}{said}"))


@dataclass
class ExerciseBook:
    """The exercises and questions of one lab, in order."""

    name: str
    """Short name of the lab, `lab01`: it stands in reports and file names."""
    title: str
    """The lab's title."""
    exercises: dict[str, Exercise] = field(default_factory=dict)
    """By `part`, in the order of the notebook."""

    def exercise(self, title: str, todo: str = "") -> Callable[[Check], Check]:
        """Decorator: add a check; the function must be named `exercise_1`, `exercise_2`, ..."""

        def add(check: Check) -> Check:
            self._add(Exercise(check.__name__, title, check, todo), "exercise")
            return check

        return add

    def question(self, text: str, options: Mapping[str, str], answer: str, why: str, look: str = "") -> None:
        """Add a question of the closing questionnaire, `check.question_1("b")` and so on.

        `options` maps letters to answers, `answer` is the right letter, `why` its reason; `look` says
        where to look for who chose another one, such as "section 3".
        """
        if answer not in options:
            raise ValueError(f"the right answer {answer!r} is not among {sorted(options)}")
        *first, last = sorted(options)
        letters = f"{', '.join(first)} or {last}" if first else last
        again = f": look again at {look}" if look else ""

        def check(lab: Any, given: object) -> str:
            letter = str(given).strip().lower()
            require(letter in options, f"answer with {letters}")
            require(letter == answer, f"not {letter} ({options[letter]}){again}")
            return why

        part = f"question_{self.count('question') + 1}"
        self._add(Exercise(part, text, check, f"answer with {letters}", options), "question")

    def count(self, kind: str) -> int:
        """How many parts of a kind (`exercise`, `question`) there are."""
        return sum(part.startswith(f"{kind}_") for part in self.exercises)

    def _add(self, exercise: Exercise, kind: str) -> None:
        expected = f"{kind}_{self.count(kind) + 1}"
        if exercise.part != expected:
            raise ValueError(f"{self.name}: the next check must be named {expected}, not {exercise.part}")
        self.exercises[exercise.part] = exercise


def is_unanswered(answer: object) -> bool:
    """Whether an answer is still the stub: `...`, None, a collection with `...` in it, an empty function."""
    if answer is None or answer is ...:
        return True
    if isinstance(answer, (list, tuple, set, frozenset)):
        return any(item is ... for item in answer)
    if isinstance(answer, dict):
        return any(item is ... for item in answer.values())
    if isinstance(answer, types.FunctionType):
        return _does_nothing(answer)
    return False


def _does_nothing(function: types.FunctionType) -> bool:
    """Whether a function consists of a docstring and `...`: it only returns None."""
    steps = [step for step in dis.get_instructions(function) if step.opname not in ("RESUME", "NOP")]
    names = [step.opname for step in steps]
    if names == ["RETURN_CONST"]:
        return steps[0].argval is None
    return names == ["LOAD_CONST", "RETURN_VALUE"] and steps[0].argval is None


def _stable(text: str) -> str:
    """The text without what differs from run to run: addresses of objects."""
    return re.sub(r"0x[0-9a-fA-F]{6,}", "0x...", text)
