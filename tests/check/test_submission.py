"""`mqttsec check`: a notebook runs again in a fresh kernel, with limits, and its verdicts are collected."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nbformat
import psutil
import pytest

from mqttsec.check import State, command, seed_of
from mqttsec.check.students import class_list
from mqttsec.check.submission import Limits, rerun
from mqttsec.errors import ConfigurationError

LAB = """\
from mqttsec.check import Checks, ExerciseBook, require
book = ExerciseBook("lab00", "Adding")

@book.exercise("What is 1 + 1?")
def exercise_1(lab, answer):
    require(answer == 1 + 1, "count again")

@book.exercise("What is 2 + 2?")
def exercise_2(lab, answer):
    require(answer == 2 + 2, "count again")

check = Checks(book, None)
"""


def notebook(path: Path, *cells: str) -> Path:
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells]), path)
    return path


def states(submission) -> dict[str, str]:
    return {row.part: row.state.value for _, row in submission.rows}


def test_verdicts_are_recomputed_and_errors_do_not_stop_the_rest(tmp_path: Path) -> None:
    path = notebook(tmp_path / "ada.ipynb", LAB, "check.exercise_1(2)", "1 / 0", "check.exercise_2(5)")
    before = path.read_bytes()
    submission = rerun(path)
    assert states(submission) == {"exercise_1": "ok", "exercise_2": "wrong"}
    assert submission.problems == ("cell 3: ZeroDivisionError: division by zero",)
    assert submission.finished
    assert path.read_bytes() == before


def test_what_the_submission_claims_is_not_believed(tmp_path: Path) -> None:
    path = notebook(tmp_path / "eve.ipynb", LAB, "check.exercise_1(3)")
    claimed = nbformat.read(path, 4)
    claimed.cells[1].outputs = [nbformat.v4.new_output("stream", text="exercise 1: ok")]
    nbformat.write(claimed, path)
    submission = rerun(path)
    assert states(submission) == {"exercise_1": "wrong", "exercise_2": "todo"}


def test_an_endless_cell_is_interrupted_and_the_next_runs(tmp_path: Path) -> None:
    path = notebook(tmp_path / "slow.ipynb", LAB, "while True: pass", "check.exercise_1(2)")
    submission = rerun(path, Limits(cell_seconds=2))
    assert states(submission)["exercise_1"] == "ok"
    assert submission.problems == ("cell 2: interrupted: too slow",)


def test_the_grade_book_says_whose_variant_it_was(tmp_path: Path, capsys) -> None:
    lab = LAB.replace("Checks(book, None)", 'Checks(book, None, {"seed": seed_of("Ada  lovelace")})')
    mine = notebook(tmp_path / "mine.ipynb", "from mqttsec.check import seed_of", lab, "check.exercise_1(2)")
    copied = notebook(tmp_path / "copied.ipynb", LAB.replace("None)", "None, {'seed': 7})"))
    (tmp_path / "class.txt").write_text("Ada Lovelace\n\nAlan Turing\n")
    grades = tmp_path / "grades.csv"
    command.main([str(mine), str(copied), "--students", str(tmp_path / "class.txt"), "--csv", str(grades)])
    rows = list(csv.DictReader(grades.open()))
    assert {(row["notebook"], row["student"], row["seed"]) for row in rows} == {
        ("mine.ipynb", "Ada Lovelace", str(seed_of("Ada Lovelace"))),
        ("copied.ipynb", "nobody in the class list", "7"),
    }
    assert "(Ada Lovelace)" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["", " 7 ", 7, None])
def test_a_seed_needs_a_name(name: object) -> None:
    with pytest.raises(ConfigurationError, match="no name"):
        seed_of(name)


def test_a_class_list_is_read_or_says_why_not(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        class_list(tmp_path / "none.txt")
    (tmp_path / "twice.txt").write_text("Ada Lovelace\nADA LOVELACE\n")
    with pytest.raises(ConfigurationError, match="same seed"):
        class_list(tmp_path / "twice.txt")


def test_the_whole_notebook_has_a_limit_and_leaves_no_kernel_behind(tmp_path: Path) -> None:
    stubborn = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    path = notebook(tmp_path / "stubborn.ipynb", LAB, "check.exercise_1(2)", stubborn, "check.exercise_2(4)")
    submission = rerun(path, Limits(cell_seconds=1, total_seconds=6))
    assert not submission.finished
    assert submission.problems[-1] == "stopped after 6 s, the limit for a notebook"
    assert states(submission) == {"exercise_1": "ok", "exercise_2": "todo"}
    children = psutil.Process().children(recursive=True)
    assert [child for child in children if "ipykernel" in str(child.cmdline())] == []


def test_a_kernel_that_ends_itself_keeps_its_verdicts(tmp_path: Path) -> None:
    path = notebook(tmp_path / "dead.ipynb", LAB, "check.exercise_1(2)", "import os; os._exit(1)")
    submission = rerun(path)
    assert states(submission)["exercise_1"] == "ok"
    assert not submission.finished and "kernel died" in submission.problems[-1]


def test_memory_is_limited(tmp_path: Path) -> None:
    path = notebook(tmp_path / "big.ipynb", LAB, "x = bytearray(3 << 30)", "check.exercise_1(2)")
    submission = rerun(path, Limits(memory_megabytes=2048))
    assert submission.problems == ("cell 2: MemoryError",)
    assert states(submission)["exercise_1"] == "ok"


def test_it_runs_in_a_room_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = notebook(tmp_path / "writes.ipynb", LAB, "open('left_behind.txt', 'w').write('x')")
    rerun(path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["writes.ipynb"]


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"cells": 3}'])
def test_what_is_no_notebook_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "essay.ipynb"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"essay.ipynb is no Jupyter notebook"):
        rerun(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing.ipynb cannot be read"):
        rerun(tmp_path / "nothing.ipynb")


def test_the_command_lists_and_writes_a_grade_book(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ada = notebook(tmp_path / "ada.ipynb", LAB, "check.exercise_1(2)", "check.exercise_2(5)")
    essay = notebook(tmp_path / "essay.ipynb", "'no lab here'")
    book = tmp_path / "grades.csv"
    assert command.main([str(ada), str(essay), "--csv", str(book)]) == 0
    assert capsys.readouterr().out == (
        "ada.ipynb: 1 of 2 ok\n"
        "  lab00 exercise 1   ok     What is 1 + 1?\n"
        "  lab00 exercise 2   wrong  What is 2 + 2? - count again\n"
        "essay.ipynb: 0 of 0 ok\n"
        "  no checks: is this a notebook of a lab?\n"
    )
    with book.open(newline="") as file:
        rows = [(row["notebook"], row["part"], row["state"]) for row in csv.DictReader(file)]
    assert rows == [("ada.ipynb", "exercise_1", "ok"), ("ada.ipynb", "exercise_2", "wrong")]


def test_one_unreadable_file_does_not_end_the_list_of_a_class(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / name / "lab.ipynb" for name in ("ada", "bob", "eve")]
    for path in paths:
        path.parent.mkdir()
    notebook(paths[0], LAB, "check.exercise_1(2)")
    paths[1].write_text("no notebook")
    notebook(paths[2], LAB, "check.exercise_1(3)")
    book = tmp_path / "grades.csv"
    assert command.main([*map(str, paths), "--csv", str(book)]) == 1
    printed = capfd.readouterr()
    assert f"{paths[0]}: 1 of 2 ok" in printed.out, "files of one name are told apart"
    assert f"  problem: {paths[1]} is no Jupyter notebook" in printed.out
    assert f"{paths[2]}: 0 of 2 ok" in printed.out
    assert printed.err == "", "no kernel writes into the list"
    with book.open(newline="") as file:
        rows = [(row["notebook"], row["state"]) for row in csv.DictReader(file)]
    ada, bob, eve = map(str, paths)
    assert rows == [(ada, "ok"), (ada, "todo"), (bob, command.PROBLEM), (eve, "wrong"), (eve, "todo")]


def test_the_command_prints_json_and_fails_for_a_run_that_ended_early(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = notebook(tmp_path / "dead.ipynb", LAB, "import os; os._exit(1)")
    assert command.main([str(dead), "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed[0]["finished"] is False
    assert [row["state"] for row in printed[0]["rows"]] == [State.TODO.value] * 2
