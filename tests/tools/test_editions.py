"""Editions: made from one source, executed, the same bytes every time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nbclient.exceptions import CellExecutionError

from tools.editions import Edition, build, editions, make

SOURCE = '''\
# %% [markdown]
# # Adding

# %%
import os, sys, time, ipywidgets
print("first", flush=True)
time.sleep(0.05)
print("second")
os.getcwd() == os.path.expanduser("~")

# %%
class Quiet(ipywidgets.HTML):
    def __repr__(self):
        return "a picture of 3 packets"

Quiet("<b>picture</b>")

# %% tags=nbval-ignore-output
print(time.time())

# %%
answer = ...
### BEGIN SOLUTION
answer = 2
### END SOLUTION
answer

# %% [markdown] tags=teacher
# Most readers say 11.
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "01_adding.py").write_text(SOURCE)
    (tmp_path / "source" / "index.py").write_text("# %% [markdown]\n# # All labs\n")
    return tmp_path


def test_a_lab_has_two_editions_and_the_index_one(folder: Path) -> None:
    found = [(str(edition.target.relative_to(folder)), edition.teacher) for edition in editions(folder)]
    assert found == [("01_adding.ipynb", False), ("teacher/01_adding.ipynb", True), ("index.ipynb", False)]


def outputs(text: str) -> dict[str, list]:
    return {cell["id"]: cell["outputs"] for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"}


@pytest.mark.slow
def test_editions_are_executed_and_the_same_bytes_every_time(folder: Path) -> None:
    student, teacher = (make(edition) for edition in list(editions(folder))[:2])
    assert make(next(editions(folder))) == student

    shown = outputs(student)
    assert shown["adding-2"][0]["text"] == ["first\n", "second\n"], "pieces of one stream are put together"
    assert shown["adding-2"][1]["data"] == {"text/plain": ["False"]}
    assert shown["adding-3"][0]["data"] == {"text/plain": ["a picture of 3 packets"]}, "no dead model"
    assert shown["adding-4"] == [], "what takes time to measure is not kept"
    assert shown["adding-5"][0]["data"] == {"text/plain": ["Ellipsis"]}
    assert outputs(teacher)["adding-5"][0]["data"] == {"text/plain": ["2"]}

    metadata = json.loads(student)["metadata"]
    assert set(metadata) == {"kernelspec", "language_info"}
    assert metadata["language_info"] == {"name": "python"}, "no Python version: it would differ by machine"
    assert '"execution":' not in student, "no times"


def test_the_student_edition_has_no_solution_and_no_teacher_cell(folder: Path) -> None:
    student, teacher = (build(edition) for edition in list(editions(folder))[:2])
    assert len(student.cells) == len(teacher.cells) - 1
    assert "answer = 2" not in str(student) and "answer = 2" in str(teacher)
    assert "Most readers" not in str(student) and "Most readers" in str(teacher)
    assert {cell.id for cell in student.cells} < {cell.id for cell in teacher.cells}
    assert teacher.cells[4].metadata.nbgrader.solution is True, "as nbgrader wants it"


def test_a_cell_that_fails_stops_the_making(folder: Path) -> None:
    broken = folder / "source" / "02_broken.py"
    broken.write_text("# %%\n1 / 0\n")
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        make(Edition(broken, folder / "02_broken.ipynb", teacher=False))
