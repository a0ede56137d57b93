"""Checks: todo, wrong with a hint, or ok; whatever a reader types, a check never raises."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttsec.check import Checks, ExerciseBook, State, is_unanswered, number, require, started
from mqttsec.check.report import COLUMNS, Report, slug
from mqttsec.errors import ConfigurationError


class Scales:
    """A lab for these tests: it weighs."""

    def __init__(self, weight: float = 4.0) -> None:
        self.weight = weight
        self.pressed = False


def make_book() -> ExerciseBook:
    book = ExerciseBook("lab00", "Weighing")

    @book.exercise("How heavy is it?", todo="give kilograms")
    def exercise_1(lab: Scales, answer: object) -> str:
        weight = number(answer, "the weight in kg")
        require(weight < 1000 * lab.weight, "did you give grams?")
        require(abs(weight - lab.weight) < 0.01, "read the scales again")
        return f"{lab.weight:.3f} kg"

    @book.exercise("Write the function that doubles")
    def exercise_2(lab: Scales, double: object) -> None:
        require(callable(double), "give a function of one number")
        require(double(lab.weight) == 2 * lab.weight, "its result is not the double")

    @book.exercise("Press the button")
    def exercise_3(lab: Scales) -> str:
        started(lab.pressed, "press Run first")
        return "pressed"

    options = {"a": "a mass", "b": "a force"}
    book.question("What is a kilogram?", options, "a", "the newton is the force", "section 3")
    return book


@pytest.fixture
def lab() -> Scales:
    return Scales()


@pytest.fixture
def check(lab: Scales) -> Checks:
    return Checks(make_book(), lab, {"seed": 7})


def test_the_three_states_read_as_one_stable_line(check: Checks) -> None:
    assert repr(check.exercise_1(...)) == "exercise 1: todo - give kilograms"
    assert repr(check.exercise_1(4000)) == "exercise 1: wrong - did you give grams?"
    assert repr(check.exercise_1(4.001)) == "exercise 1: ok - 4.000 kg"


def test_a_check_looks_at_the_running_system_not_at_a_stored_answer(check: Checks, lab: Scales) -> None:
    assert check.exercise_1(4).ok
    lab.weight = 5.0
    assert not check.exercise_1(4).ok
    assert check.exercise_1(5).ok


def test_an_exercise_without_an_answer_looks_at_the_lab_alone(check: Checks, lab: Scales) -> None:
    assert repr(check.exercise_3()) == "exercise 3: todo - press Run first"
    lab.pressed = True
    assert repr(check.exercise_3()) == "exercise 3: ok - pressed"


def test_a_question_takes_a_letter(check: Checks) -> None:
    assert repr(check.question_1(...)) == "question 1: todo - answer with a or b"
    assert repr(check.question_1("B")) == "question 1: wrong - not b (a force): look again at section 3"
    assert repr(check.question_1("c")) == "question 1: wrong - answer with a or b"
    assert repr(check.question_1(" a ")) == "question 1: ok - the newton is the force"
    assert check.questions() == "1. What is a kilogram?\n   a) a mass\n   b) a force"


def stub_with_docstring(x):
    """Doubles."""
    ...  # noqa: PIE790 - as an exercise has it


def stub_of_nbgrader(x):
    raise NotImplementedError()


@pytest.mark.parametrize("answer", [..., None, stub_with_docstring, stub_of_nbgrader, (..., 1), {"a": ...}])
def test_a_stub_is_todo(check: Checks, answer: object) -> None:
    assert check.exercise_2(answer).state is State.TODO


@pytest.mark.parametrize("answer", [0, "", [], {}, set(), False, lambda: 0, stub_of_nbgrader, int])
def test_an_answer_that_is_empty_or_zero_is_still_an_answer(answer: object) -> None:
    assert not is_unanswered(answer)


def test_a_reader_s_function_that_fails_is_wrong_and_says_how(check: Checks) -> None:
    assert repr(check.exercise_2(lambda x: x / 0)) == (
        "exercise 2: wrong - the check met ZeroDivisionError: float division by zero"
    )
    assert check.exercise_2(lambda x: exit()).state is State.WRONG
    endless = []
    endless.append(lambda x: endless[0](x))
    assert "RecursionError" in check.exercise_2(endless[0]).message


def test_too_few_or_too_many_answers_are_wrong_not_an_error(check: Checks) -> None:
    assert check.exercise_1().state is State.WRONG
    assert check.exercise_1(1, 2).state is State.WRONG


def test_addresses_of_objects_never_get_into_the_text(check: Checks) -> None:
    def complain(x):
        raise ValueError(f"cannot double {object()!r}")

    assert repr(check.exercise_2(complain)).endswith("cannot double <object object at 0x...>")


def test_control_c_is_not_swallowed(check: Checks) -> None:
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check.exercise_2(interrupted)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(...),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
    max_leaves=5,
)


@given(answer=ANYTHING)
def test_no_answer_at_all_makes_a_check_raise(answer: object) -> None:
    check = Checks(make_book(), Scales())
    for part in ("exercise_1", "exercise_2", "question_1"):
        verdict = getattr(check, part)(answer)
        assert verdict.state in State
        first, *rest = repr(verdict).split("\n")
        assert first.startswith(f"{part.replace('_', ' ')}: ") and all(line.startswith("  ") for line in rest)


def test_a_long_verdict_is_broken_between_words(check: Checks) -> None:
    def complain(x):
        raise ValueError("grams are not " + "kilograms " * 12)

    lines = repr(check.exercise_2(complain)).splitlines()
    assert len(lines) == 2 and all(len(line) <= 100 for line in lines)
    assert lines[0].endswith("kilograms") and lines[1].startswith("  kilograms")


def test_an_unknown_check_names_the_known_ones(check: Checks) -> None:
    with pytest.raises(AttributeError, match="no check 'exercise_9'; it has exercise_1, exercise_2"):
        check.exercise_9(1)
    assert "exercise_2" in dir(check)
    assert check.exercise_2.__doc__ == "Write the function that doubles"


def test_progress_counts_exercises_and_questions_apart(check: Checks) -> None:
    check.exercise_1(4)
    check.exercise_2(lambda x: x)
    assert repr(check.progress()) == (
        "lab00: 1 of 3 exercises ok, 0 of 1 questions ok\n"
        "  exercise 1   ok     How heavy is it?\n"
        "  exercise 2   wrong  Write the function that doubles\n"
        "  exercise 3   todo   Press the button\n"
        "  question 1   todo   What is a kilogram?"
    )
    assert repr(check) == repr(check.progress())


def test_tries_count_answers_not_stubs(check: Checks) -> None:
    for answer in (..., 1, 2, 4, ...):
        check.exercise_1(answer)
    row = check.progress().rows[0]
    assert (row.tries, row.state) == (3, State.TODO), "the last call counts: the reader took the answer away"


def test_a_report_holds_the_same_in_json_and_csv(check: Checks, tmp_path: Path) -> None:
    check.exercise_1(4)
    report = check.report("Ada Lovelace", tmp_path / "new")
    assert repr(report) == (
        "report of Ada Lovelace on lab00: 1 of 4 ok\n"
        "written to lab00_ada_lovelace.json and lab00_ada_lovelace.csv"
    )
    saved = json.loads((tmp_path / "new" / "lab00_ada_lovelace.json").read_text())
    assert saved["format"] == "mqttsec-report-1" and saved["facts"] == {"seed": 7}
    with (tmp_path / "new" / "lab00_ada_lovelace.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert tuple(table[0]) == COLUMNS
    assert [(row["part"], row["state"], int(row["tries"])) for row in table] == [
        (row["part"], row["state"], row["tries"]) for row in saved["rows"]
    ]


def test_a_report_says_when_in_utc() -> None:
    assert Report.make("Ada", "lab00", {}, (), clock=lambda: 0.0).written == "1970-01-01T00:00:00Z"


def test_a_name_cannot_leave_the_folder_nor_become_a_formula(check: Checks, tmp_path: Path) -> None:
    check.report('=HYPERLINK("x")/../../etc/passwd', tmp_path)
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == ["lab00_hyperlink_x_etc_passwd.csv", "lab00_hyperlink_x_etc_passwd.json"]
    with (tmp_path / written[0]).open(newline="") as file:
        assert next(csv.DictReader(file))["name"].startswith("'=")


@pytest.mark.parametrize("name", ["", "  ", "...", ..., None])
def test_a_report_wants_a_name(check: Checks, name: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="give your name"):
        check.report(name, tmp_path)  # type: ignore[arg-type]


def test_a_report_that_cannot_be_written_says_where(check: Checks, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written to"):
        check.report("Ada", blocked)


@given(st.text())
def test_a_slug_is_safe_in_a_file_name(name: str) -> None:
    assert not set(slug(name)) & set("/\\:. \0") and len(slug(name)) <= 60


def test_a_book_wants_its_checks_in_order() -> None:
    book = ExerciseBook("lab00", "Weighing")
    with pytest.raises(ValueError, match="must be named exercise_1, not exercise_2"):

        @book.exercise("out of order")
        def exercise_2(lab: object) -> None:
            return None

    with pytest.raises(ValueError, match="not among"):
        book.question("?", {"a": "yes"}, "b", "")
