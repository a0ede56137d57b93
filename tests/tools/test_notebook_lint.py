"""The lint of notebooks catches each thing that it is there for."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.notebook_lint import complaints

FIRST = """\
# Adding
Learn to add.

**You will**
- count packets
- find the broker
- break the sum

**Prerequisites** none. 45 minutes: 15 + 30.
**Threat model** a curious broker. **Ethics** only this machine, your own systems. **Papers** section 1."""


def text(source: str, cell_id: str) -> dict:
    return {"cell_type": "markdown", "id": cell_id, "metadata": {}, "source": source}


def code(source: str, cell_id: str, count: int, shown: str = "") -> dict:
    outputs = [{"output_type": "stream", "name": "stdout", "text": [shown]}] if shown else []
    return {
        "cell_type": "code", "id": cell_id, "metadata": {}, "source": source,
        "execution_count": count, "outputs": outputs,
    }


GOOD = {
    "cells": [
        text(FIRST, "a"),
        code("from mqttsec import labs\nlab = labs.Adding()", "b", 1, "2 numbers"),
        text("## Exercise 1", "c"),
        code("answer = ...\ncheck.exercise_1(answer)", "d", 2, "exercise 1: todo"),
        text("## Report", "e"),
        code('check.report("your name")', "f", 3, "0 of 1 ok"),
    ],
    "metadata": {}, "nbformat": 4, "nbformat_minor": 5,
}


def lint(notebook: dict, folder: Path, name: str = "01_adding.ipynb") -> list[str]:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(notebook))
    return complaints(path)


def test_a_good_lab_has_no_complaint(tmp_path: Path) -> None:
    assert lint(GOOD, tmp_path) == []


def edit(cell: int, **changes: object) -> Callable[[dict], None]:
    return lambda notebook: notebook["cells"][cell].update(changes)


def first_without(part: str) -> Callable[[dict], None]:
    assert part in FIRST
    return edit(0, source=FIRST.replace(part, ""))


def show(kind: str, value: str) -> list[dict]:
    return [{"output_type": "display_data", "data": {kind: value}, "metadata": {}}]


CASES: dict[str, tuple[Callable[[dict], None], str]] = {
    "no title": (edit(0, source=FIRST.replace("# Adding", "## Adding")), "one H1"),
    "two titles": (edit(2, source="# Exercise 1"), "one H1"),
    "skipped level": (edit(2, source="### Exercise 1"), "skips a level"),
    "objectives": (first_without("**You will**"), "lacks a line"),
    "two objectives": (first_without("- break the sum"), "2 objectives"),
    "prerequisites": (first_without("**Prerequisites**"), "lacks the prerequisites"),
    "minutes": (first_without("45 minutes"), "lacks the minutes"),
    "threat model": (first_without("**Threat model**"), "lacks the threat model"),
    "ethics": (first_without("only this machine"), "lacks the ethics line"),
    "papers": (first_without("**Papers**"), "lacks the papers"),
    "first cell is code": (lambda n: n["cells"].insert(0, code("1", "z", 0)), "must be text"),
    "no lab": (edit(1, source="import os"), "second cell"),
    "order": (edit(3, execution_count=7), "not executed once each"),
    "not executed": (edit(3, execution_count=None), "not executed once each"),
    "error": (
        edit(3, outputs=[{"output_type": "error", "ename": "NameError", "evalue": "", "traceback": []}]),
        "ends in NameError",
    ),
    "stderr": (edit(3, outputs=[{"output_type": "stream", "name": "stderr", "text": "!"}]), "standard error"),
    "twice the id": (edit(3, id="a"), "two cells have the id a"),
    "widget state": (lambda n: n["metadata"].update(widgets={}), "widget state"),
    "widget view": (edit(3, outputs=show("application/vnd.jupyter.widget-view+json", "x")), "output of type"),
    "large output": (edit(3, outputs=show("text/html", "x" * 20_000)), "bytes of output"),
    "wide output": (edit(3, outputs=show("text/plain", "1 " * 60)), "a line of 120 columns"),
    "large file": (lambda n: n["metadata"].update(x="x" * 100_000), "the file has"),
    "path": (edit(3, source="open('/home/ada/x')\ncheck.exercise_1(1)"), "an absolute path: /home/"),
    "path in output": (edit(5, outputs=show("text/plain", "3 in /tmp/x")), "an absolute path: /tmp/"),
    "CDN": (edit(2, source="## Exercise 1\n![x](https://cdn.jsdelivr.net/x.png)"), "from a CDN"),
    "address": (edit(5, outputs=show("text/plain", "<object at 0x7f1234567890>")), "differs from run to run"),
    "widget code": (edit(3, source="import ipywidgets\ncheck.exercise_1(1)"), "belongs into the package"),
    "await": (edit(3, source="await x\ncheck.exercise_1(1)"), "belongs into the package: await"),
    "long cell": (edit(3, source="x = 1\n" * 12 + "check.exercise_1(1)"), "13 lines"),
    "long line": (edit(3, source="check.exercise_1(" + "1" * 100 + ")"), "line of 118"),
    "long cells": (lambda n: [edit(i, source="x = 1\n" * 5)(n) for i in (3, 5)], "median cell"),
    "no check": (edit(3, source="answer = ..."), "exercise 1 has no check"),
    "no heading": (edit(2, source="## Task"), "no heading 'Exercise 1'"),
    "nothing to compare": (edit(3, outputs=[]), "'Exercise 1' shows no number"),
    "ignored number": (edit(3, metadata={"tags": ["nbval-ignore-output"]}), "'Exercise 1' shows no number"),
    "no report": (edit(5, source="print(1)"), "does not end with a report"),
    "solution": (edit(3, source="### BEGIN SOLUTION\ncheck.exercise_1(1)"), "teacher edition"),
    "teacher cell": (edit(4, metadata={"tags": ["teacher"]}), "teacher edition"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_fault_is_found(case: str, tmp_path: Path) -> None:
    spoil, message = CASES[case]
    notebook = copy.deepcopy(GOOD)
    spoil(notebook)
    assert any(message in complaint for complaint in lint(notebook, tmp_path))


def test_the_teacher_edition_may_have_solutions(tmp_path: Path) -> None:
    notebook = copy.deepcopy(GOOD)
    edit(3, source="### BEGIN SOLUTION\nanswer = 1\n### END SOLUTION\ncheck.exercise_1(answer)")(notebook)
    assert lint(notebook, tmp_path, "teacher/01_adding.ipynb") == []


def test_the_index_need_not_be_a_lab(tmp_path: Path) -> None:
    index = {**GOOD, "cells": [text("# All labs", "a")]}
    assert lint(index, tmp_path, "index.ipynb") == []
