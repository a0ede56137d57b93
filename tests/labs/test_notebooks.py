"""The committed notebooks: complete, as the style wants them, and what their sources make today.

That every cell still shows what it showed is tested by nbval (`make check-notebooks`).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools.editions import LABS, METADATA, ROOT, Edition, build, editions, make, normalised, to_text
from tools.lab_source import TEACHER, parse
from tools.notebook_lint import complaints

EDITIONS = list(editions())
NOTEBOOKS = sorted(
    path.relative_to(LABS).as_posix()
    for path in LABS.rglob("*.ipynb")
    if ".ipynb_checkpoints" not in path.parts and "out" not in path.parts
)


def test_there_are_notebooks_and_each_has_a_source() -> None:
    assert NOTEBOOKS == sorted(edition.target.relative_to(LABS).as_posix() for edition in EDITIONS)
    assert "index.ipynb" in NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_lint(name: str) -> None:
    assert complaints(LABS / name) == []


@pytest.mark.parametrize("edition", EDITIONS, ids=lambda edition: edition.target.relative_to(LABS).as_posix())
def test_it_is_what_its_source_says(edition: Edition) -> None:
    """All but the outputs, which nbval runs again and compares in `make check-notebooks`."""
    committed = nbformat.read(edition.target, as_version=4)
    assert to_text(committed) == to_text(normalised(committed)), "saved by hand? run `make notebooks`"
    for cell in committed.cells:
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
    assert to_text(committed) == to_text(build(edition)), "run `make notebooks` and look at what changed"


@pytest.mark.parametrize("name", ("index.ipynb", "teacher/05_group_keys.ipynb"))
def test_making_it_again_gives_the_same_bytes(name: str) -> None:
    edition = next(each for each in EDITIONS if each.target == LABS / name)
    assert make(edition) == edition.target.read_text(encoding="utf-8")


def test_nbval_collects_every_notebook() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "--nbval", "--nbval-current-env", str(LABS)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )
    collected = {line.split("::")[0] for line in done.stdout.splitlines() if "::" in line}
    assert collected == {f"labs/{name}" for name in NOTEBOOKS}, done.stdout + done.stderr


def test_the_index_links_every_lab_and_nothing_that_is_not_there() -> None:
    index = json.loads((LABS / "index.ipynb").read_text(encoding="utf-8"))
    text = "\n".join("".join(cell["source"]) for cell in index["cells"])
    linked = {link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link}
    assert [link for link in sorted(linked) if not (LABS / link).exists()] == []
    assert {name for name in NOTEBOOKS if re.match(r"\d", name)} <= linked


def test_relative_links_of_the_labs_lead_somewhere() -> None:
    dead = []
    for name in NOTEBOOKS:
        for cell in json.loads((LABS / name).read_text(encoding="utf-8"))["cells"]:
            text = "".join(cell["source"]) if cell["cell_type"] == "markdown" else ""
            for link in re.findall(r"\]\(([^)#\s]+)", text):
                if "://" not in link and not ((LABS / name).parent / link).exists():
                    dead.append(f"{name}: {link}")
    assert dead == []


@pytest.mark.parametrize(("shown", "status"), [("4 packets", 0), ("5 packets", 1)])
def test_a_changed_number_fails_under_nbval(tmp_path: Path, shown: str, status: int) -> None:
    cell = nbformat.v4.new_code_cell("print(2 + 2, 'packets')", execution_count=1)
    cell.outputs = [nbformat.v4.new_output("stream", text=f"{shown}\n")]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=METADATA), tmp_path / "01_lab.ipynb")
    strictly = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=120"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *strictly, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr


def test_make_runs_nbval_strictly_on_the_whole_folder() -> None:
    makefile = (Path(ROOT) / "Makefile").read_text()
    assert "--nbval --nbval-current-env --nbval-cell-timeout=120" in makefile
    assert "--nbval-lax" not in makefile
    assert re.search(r"^\t\$\(NBVAL\) labs$", makefile, re.MULTILINE), "no file is left out"


KEY_LIKE = re.compile(r"(?<![0-9a-f])[0-9a-f]{32,}(?![0-9a-f])|(?:\\+x[0-9a-f]{2}){16,}|[A-Za-z0-9+/]{43}=")
"""16 bytes or more, as hexadecimal digits, as Python shows bytes, or in base 64: as a key would look."""


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_output_holds_what_looks_like_a_key(name: str) -> None:
    """Keys are fresh in each run, so outputs that nbval compares cannot hold one; nor do the others."""
    found = [
        match
        for cell in nbformat.read(LABS / name, as_version=4).cells
        for output in cell.get("outputs", [])
        for match in KEY_LIKE.findall(json.dumps(output))
    ]
    assert found == []


SOURCES = sorted({edition.source for edition in EDITIONS if edition.teacher})


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem[:2])
def test_teachers_have_minutes_and_misconceptions_for_every_exercise(source: Path) -> None:
    """A cell for teachers speaks of all exercises since the last one, each of which has a solution."""
    waiting: list[str] = []
    for cell in parse(source.read_text(encoding="utf-8")):
        waiting += re.findall(r"^### Exercise (\d+)", cell.text, re.MULTILINE)
        if re.match(r"\*\*For teachers\*\* \(\d+ minutes\)", cell.text):
            assert TEACHER in cell.tags and waiting, cell.id
            assert re.search("misconception", cell.text, re.IGNORECASE), f"{cell.id} names no misconception"
            waiting = []
    assert waiting == [], "nothing for teachers about these exercises"
