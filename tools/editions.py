"""`make notebooks`: from each source in labs/source the student and the teacher edition, executed.

    python -m tools.editions               all labs
    python -m tools.editions 01 index      those whose names begin so

A source `NN_name.py` becomes `labs/NN_name.ipynb` (solutions removed) and `labs/teacher/NN_name.ipynb`
(solutions and teacher cells kept). Any other source, such as `index.py`, has one edition.

The result depends on the source and on the code alone, byte for byte: cells keep their ids, and what
differs from run to run or from machine to machine is left out (times of execution, widget state and
widget ids, the Python version, outputs of cells tagged `nbval-ignore-output`).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from tools.lab_source import TEACHER, SourceCell, parse, without_solution

ROOT = Path(__file__).resolve().parent.parent
LABS = ROOT / "labs"
CELL_SECONDS = 120
IGNORED = "nbval-ignore-output"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


@dataclass(frozen=True)
class Edition:
    """One notebook to be made."""

    source: Path
    """The .py file in cells."""
    target: Path
    """The .ipynb file."""
    teacher: bool
    """Whether solutions and teacher cells stay."""


def editions(folder: Path = LABS) -> Iterator[Edition]:
    """Every notebook that `folder/source` stands for, in order."""
    for source in sorted((folder / "source").glob("*.py")):
        yield Edition(source, folder / f"{source.stem}.ipynb", teacher=False)
        if source.stem[0].isdigit():
            yield Edition(source, folder / "teacher" / f"{source.stem}.ipynb", teacher=True)


def build(edition: Edition) -> Any:
    """The notebook of an edition, not yet executed."""
    cells = [
        _cell(cell, edition.teacher)
        for cell in parse(edition.source.read_text(encoding="utf-8"))
        if edition.teacher or TEACHER not in cell.tags
    ]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=METADATA)
    notebook.nbformat_minor = 5
    return notebook


def execute(notebook: Any) -> Any:
    """Run every cell in a fresh kernel, in an empty folder; raises `CellExecutionError` if one fails."""
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            record_timing=False,
            store_widget_state=False,
            resources={"metadata": {"path": folder}},
        ).execute()
    return normalised(notebook)


def to_text(notebook: Any) -> str:
    """The bytes of the file."""
    nbformat.validate(notebook)
    text: str = nbformat.writes(notebook)
    return text.rstrip("\n") + "\n"


def make(edition: Edition) -> str:
    """Build and execute an edition; returns the text of its file."""
    return to_text(execute(build(edition)))


def _cell(cell: SourceCell, teacher: bool) -> Any:
    if cell.kind == "markdown":
        made = nbformat.v4.new_markdown_cell(cell.text, id=cell.id)
    else:
        source = cell.text if teacher else without_solution(cell.text)
        made = nbformat.v4.new_code_cell(source, id=cell.id)
    if cell.tags:
        made.metadata["tags"] = list(cell.tags)
    if cell.has_solution:
        made.metadata["nbgrader"] = {
            "grade": False,
            "grade_id": cell.id,
            "locked": False,
            "schema_version": 3,
            "solution": True,
            "task": False,
        }
    return made


def normalised(notebook: Any) -> Any:
    """The executed notebook without what differs from run to run."""
    # JSON and back: the client's own objects and their shared parts become plain data.
    clean = nbformat.from_dict(json.loads(json.dumps(notebook)))
    clean.metadata = nbformat.from_dict(METADATA)
    count = 0
    for cell in clean.cells:
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        if IGNORED in cell.metadata.get("tags", []):
            cell.outputs = []
        cell.outputs = [_normalised_output(output, count) for output in _joined_streams(cell.outputs)]
    return clean


def _joined_streams(outputs: Sequence[Any]) -> list[Any]:
    """The outputs with text that arrived in pieces put together: how it is cut is a matter of timing."""
    joined: list[Any] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if output.output_type == "stream" and last is not None and last.get("name") == output.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined


def _normalised_output(output: Any, count: int) -> Any:
    if output.output_type == "execute_result":
        output.execution_count = count
    if "data" in output:
        # Names a model in a kernel that is gone; the plain text stays and is compared.
        output.data.pop(WIDGET_VIEW, None)
    return output


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.editions", description="Write the lab notebooks.")
    parser.add_argument("names", nargs="*", help="beginnings of source names (otherwise: all)")
    wanted = tuple(parser.parse_args(arguments).names)
    made = [edition for edition in editions() if not wanted or edition.source.stem.startswith(wanted)]
    if not made:
        print(f"no source in {LABS / 'source'} begins with {' or '.join(wanted)}", file=sys.stderr)
        return 2
    for edition in made:
        text = make(edition)
        old = edition.target.read_text(encoding="utf-8") if edition.target.exists() else None
        edition.target.parent.mkdir(exist_ok=True)
        edition.target.write_text(text, encoding="utf-8")
        state = "same   " if text == old else "written"
        print(f"{state} {edition.target.relative_to(ROOT)} {len(text)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
