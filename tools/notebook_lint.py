"""The lint of the lab notebooks: what a lab is like, checked on the JSON of the file alone.

Each rule is a function from a notebook to complaints, one line each. `complaints(path)` applies them
all; a file whose name begins with a digit is a lab and gets the rules for labs as well.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MAX_CELL_LINES = 12
MEDIAN_CELL_LINES = 4
MAX_LINE = 100
MAX_COLUMNS = 105
MAX_OUTPUT_BYTES = 20_000
MAX_FILE_BYTES = 100_000

Notebook = dict[str, Any]
Cell = dict[str, Any]
Rule = Callable[[Notebook], Iterator[str]]


def complaints(path: Path) -> list[str]:
    """Everything that is not as it should be in one notebook; empty if all is well."""
    content = path.read_bytes()
    notebook = json.loads(content)
    found = [complaint for rule in RULES for complaint in rule(notebook)]
    if path.name[0].isdigit():
        teacher = path.parent.name == "teacher"
        rules = LAB_RULES if teacher else (*LAB_RULES, *STUDENT_RULES)
        found += [complaint for rule in rules for complaint in rule(notebook)]
    if len(content) > MAX_FILE_BYTES:
        found.append(f"the file has {len(content)} bytes, more than {MAX_FILE_BYTES}")
    return found


# -- reading --------------------------------------------------------------------------------------


def source(cell: Cell) -> str:
    return "".join(cell["source"])


def code_cells(notebook: Notebook) -> list[Cell]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def tags(cell: Cell) -> list[str]:
    return list(cell["metadata"].get("tags", []))


def code_lines(cell: Cell) -> list[str]:
    """The lines of a cell that a reader has to read: no blank ones, no comments."""
    lines = source(cell).splitlines()
    return [line for line in lines if line.strip() and not line.strip().startswith("#")]


def output_text(cell: Cell) -> str:
    """What the cell shows as plain text."""
    parts = []
    for output in cell.get("outputs", []):
        parts.append("".join(output.get("text", "")))
        parts.append("".join(output.get("data", {}).get("text/plain", "")))
    return "\n".join(parts)


def headings(notebook: Notebook) -> list[tuple[int, str]]:
    """(level, text) of each heading, outside of fenced code."""
    found = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            text = re.sub(r"^```.*?^```", "", source(cell), flags=re.MULTILINE | re.DOTALL)
            for marks, title in re.findall(r"^(#+)\s+(.+)$", text, re.MULTILINE):
                found.append((len(marks), title))
    return found


# -- rules for every notebook ---------------------------------------------------------------------


def one_title_and_no_skipped_level(notebook: Notebook) -> Iterator[str]:
    levels = [level for level, _ in headings(notebook)]
    if levels.count(1) != 1 or levels[0] != 1:
        yield f"there must be one H1, and it first; there are {levels.count(1)}"
    for before, (level, title) in zip(levels, headings(notebook)[1:], strict=False):
        if level > before + 1:
            yield f"heading {title!r} skips a level"


def executed_in_order(notebook: Notebook) -> Iterator[str]:
    counts = [cell["execution_count"] for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"cells were not executed once each from top to bottom: {counts}"


def no_error_output(notebook: Notebook) -> Iterator[str]:
    for cell in code_cells(notebook):
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                yield f"cell {cell['id']} ends in {output['ename']}"
            if output.get("name") == "stderr":
                yield f"cell {cell['id']} writes to standard error: {''.join(output['text'])[:80]!r}"


def no_line_cut_in_a_word(notebook: Notebook) -> Iterator[str]:
    """Beside the file browser on a screen of 1280 pixels there is room for so many columns."""
    for cell in code_cells(notebook):
        for output in cell["outputs"]:
            data = output.get("data", {})
            if any(kind in data for kind in ("text/html", "image/svg+xml")):
                continue
            said = "".join(output.get("text", "")) + "".join(data.get("text/plain", ""))
            widest = max(map(len, said.splitlines()), default=0)
            if widest > MAX_COLUMNS:
                yield f"cell {cell['id']} shows a line of {widest} columns, more than {MAX_COLUMNS}"


def unique_ids(notebook: Notebook) -> Iterator[str]:
    ids = [cell["id"] for cell in notebook["cells"]]
    for cell_id in sorted({cell_id for cell_id in ids if ids.count(cell_id) > 1}):
        yield f"two cells have the id {cell_id}"


def no_widget_state(notebook: Notebook) -> Iterator[str]:
    if "widgets" in notebook["metadata"]:
        yield "widget state is saved in the metadata"
    for cell in code_cells(notebook):
        for output in cell["outputs"]:
            for kind in output.get("data", {}):
                if "widget" in kind or "javascript" in kind:
                    yield f"cell {cell['id']} has an output of type {kind}"


def small_outputs(notebook: Notebook) -> Iterator[str]:
    for cell in code_cells(notebook):
        size = len(json.dumps(cell["outputs"]))
        if size > MAX_OUTPUT_BYTES:
            yield f"cell {cell['id']} has {size} bytes of output, more than {MAX_OUTPUT_BYTES}"


ABSOLUTE_PATH = re.compile(r"(?<![\w.:/~])/(?:home|root|work|tmp|usr|opt|var|Users|mnt)/|\b[A-Z]:\\")
CDN = re.compile(r"unpkg\.com|jsdelivr|cdnjs|cdn\.plot\.ly|https?://cdn\.|<script[^>]+src=|@import|googleapis")
ADDRESS = re.compile(r"0x[0-9a-f]{8,}")


def no_absolute_path_no_cdn(notebook: Notebook) -> Iterator[str]:
    for cell in notebook["cells"]:
        text = source(cell) + json.dumps(cell.get("outputs", []))
        for pattern, what in ((ABSOLUTE_PATH, "an absolute path"), (CDN, "something from a CDN")):
            hit = pattern.search(text)
            if hit:
                yield f"cell {cell['id']} has {what}: {hit[0]}"


def no_address_of_an_object(notebook: Notebook) -> Iterator[str]:
    for cell in code_cells(notebook):
        hit = ADDRESS.search(output_text(cell))
        if hit:
            yield f"cell {cell['id']} shows an address that differs from run to run: {hit[0]}"


WIDGET_CODE = re.compile(
    r"\b(?:import|from)\s+(?:ipywidgets|anywidget|plotly|traitlets|IPython|asyncio|threading)\b"
    r"|\bFigureWidget\b|\.observe\(|\.on_click\(|\bdisplay\(|\bawait\b|%matplotlib"
)


def no_widget_code(notebook: Notebook) -> Iterator[str]:
    for cell in code_cells(notebook):
        hit = WIDGET_CODE.search(source(cell))
        if hit:
            yield f"cell {cell['id']} has code that belongs into the package: {hit[0]}"


def short_cells(notebook: Notebook) -> Iterator[str]:
    for cell in code_cells(notebook):
        if len(code_lines(cell)) > MAX_CELL_LINES:
            yield f"cell {cell['id']} has {len(code_lines(cell))} lines, more than {MAX_CELL_LINES}"
        for line in source(cell).splitlines():
            if len(line) > MAX_LINE:
                yield f"cell {cell['id']} has a line of {len(line)} characters, more than {MAX_LINE}"


# -- rules for labs -------------------------------------------------------------------------------

FIRST_CELL = {
    "a line **You will** (or **Objectives**) over 3-5 objectives": r"\*\*(?:You will|Objectives)",
    "the prerequisites": r"\*\*(?:Prerequisites|Before this)",
    "the minutes in all": r"\b\d+ minutes\b",
    "the threat model": r"\*\*Threat model",
    "the ethics line (loopback only, your own systems)": r"\*\*Ethics.*(?:loopback|this machine)",
    "the papers or sections": r"\*\*(?:Papers|Reading|Sources)",
}


def first_cell_says_what_is_coming(notebook: Notebook) -> Iterator[str]:
    first = notebook["cells"][0]
    if first["cell_type"] != "markdown":
        yield "the first cell must be text"
        return
    text = source(first)
    for what, pattern in FIRST_CELL.items():
        if not re.search(pattern, text):
            yield f"the first cell lacks {what}"
    objectives = re.findall(r"^[-*] ", text, re.MULTILINE)
    if not 3 <= len(objectives) <= 5:
        yield f"the first cell has {len(objectives)} objectives (list items), not 3 to 5"


def second_cell_makes_the_lab(notebook: Notebook) -> Iterator[str]:
    second = notebook["cells"][1]
    if second["cell_type"] != "code" or "from mqttsec import labs" not in source(second):
        yield "the second cell must import labs from mqttsec and make the lab object"


def each_exercise_has_a_check(notebook: Notebook) -> Iterator[str]:
    announced = {
        number
        for _, title in headings(notebook)
        for number in re.findall(r"\bExercise (\d+)", title, re.IGNORECASE)
    }
    code = "\n".join(source(cell) for cell in code_cells(notebook))
    checked = set(re.findall(r"\bcheck\.exercise_(\d+)\(", code))
    if not announced:
        yield "there is no heading 'Exercise 1'"
    for number in sorted(announced - checked):
        yield f"exercise {number} has no check"
    for number in sorted(checked - announced):
        yield f"check.exercise_{number} has no heading 'Exercise {number}'"


def each_section_compares_a_number(notebook: Notebook) -> Iterator[str]:
    """nbval must have something to compare in every section that runs code."""
    section, has_code, has_number = "the beginning", False, False
    for cell in [*notebook["cells"], {"cell_type": "markdown", "source": "## end"}]:
        is_text = cell["cell_type"] == "markdown"
        heading = re.search(r"^##\s+(.+)$", source(cell), re.MULTILINE) if is_text else None
        if heading:
            if has_code and not has_number:
                yield f"section {section!r} shows no number that could be compared"
            section, has_code, has_number = heading[1], False, False
        elif not is_text:
            has_code = True
            if "nbval-ignore-output" not in tags(cell):
                has_number |= bool(re.search(r"\d", output_text(cell)))


def ends_with_a_report(notebook: Notebook) -> Iterator[str]:
    if not re.search(r"\.report\(", "\n".join(source(cell) for cell in code_cells(notebook))):
        yield "the lab does not end with a report"


def cells_are_short_in_the_median(notebook: Notebook) -> Iterator[str]:
    median = statistics.median(len(code_lines(cell)) for cell in code_cells(notebook))
    if median > MEDIAN_CELL_LINES:
        yield f"the median cell has {median:g} lines, more than {MEDIAN_CELL_LINES}"


def no_solution_left(notebook: Notebook) -> Iterator[str]:
    for cell in notebook["cells"]:
        if "SOLUTION" in source(cell) or "teacher" in tags(cell):
            yield f"cell {cell['id']} belongs to the teacher edition"


RULES: tuple[Rule, ...] = (
    one_title_and_no_skipped_level, executed_in_order, no_error_output, unique_ids, no_widget_state,
    small_outputs, no_line_cut_in_a_word, no_absolute_path_no_cdn, no_address_of_an_object, no_widget_code,
    short_cells,
)
LAB_RULES: tuple[Rule, ...] = (
    first_cell_says_what_is_coming, second_cell_makes_the_lab, each_exercise_has_a_check,
    each_section_compares_a_number, ends_with_a_report,
)
STUDENT_RULES: tuple[Rule, ...] = (cells_are_short_in_the_median, no_solution_left)
