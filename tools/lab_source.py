"""The source of a lab: one Python file in cells, from which both editions are made.

`labs/source/NN_name.py` is plain text that a reviewer reads as a diff and ruff checks:

    # %% [markdown]
    # # The curious broker
    # A paragraph.

    # %% id=start
    from mqttsec import labs
    lab = labs.CuriousBroker(seed=7)

    # %% tags=teacher
    # only in the teacher edition

A cell begins with `# %%`, then `[markdown]` if it is text (each line a comment), then `id=...` and
`tags=a,b` as wanted. A cell without an id is named after the heading above it and its place there.
`### BEGIN SOLUTION` and `### END SOLUTION` enclose what the reader has to write; the markers, and the
metadata of such cells, are those of nbgrader, so that its users can take the teacher edition as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

BEGIN = "### BEGIN SOLUTION"
END = "### END SOLUTION"
TEACHER = "teacher"
"""Tag of a cell that only the teacher edition has."""

_MARKER = re.compile(r"^# %%\s*(\[markdown\])?\s*(.*)$")
_OPTION = re.compile(r"(id|tags)=([A-Za-z0-9_,-]+)$")


class SourceError(ValueError):
    """A lab source that cannot be read; the message names the line."""


@dataclass(frozen=True)
class SourceCell:
    """One cell of a lab."""

    kind: str
    """`markdown` or `code`."""
    id: str
    """Unique in the lab, the same in both editions."""
    text: str
    """What stands in the cell, solutions included."""
    tags: tuple[str, ...] = ()
    """Cell tags, such as `nbval-ignore-output`; `teacher` keeps the cell from readers."""
    line: int = 0
    """Where it begins in the source."""

    @property
    def has_solution(self) -> bool:
        return BEGIN in self.text


def parse(source: str) -> tuple[SourceCell, ...]:
    """The cells of a source. Raises `SourceError` with the line if it cannot be read."""
    cells: list[SourceCell] = []
    section, place = "top", 0
    for line, kind, options, lines in _raw_cells(source):
        text = _uncomment(lines, line) if kind == "markdown" else "\n".join(lines)
        heading = re.search(r"^#+\s+(.+)$", text, re.MULTILINE) if kind == "markdown" else None
        if heading:
            section, place = _slug(heading[1]), 0
        cell_id, tags = _options(options, line)
        place += 1
        cells.append(SourceCell(kind, cell_id or f"{section}-{place}", text, tags, line))
        _check_markers(cells[-1])
    ids = [cell.id for cell in cells]
    for cell in cells:
        if ids.count(cell.id) > 1:
            raise SourceError(f"line {cell.line}: two cells have the id {cell.id}; give one an id=")
    return tuple(cells)


def without_solution(text: str) -> str:
    """The reader's version of a cell: each solution gone, `...` in its place where a body must stand.

    At the left margin nothing stands in its place: write `answer = ...` above the solution.
    """
    kept: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.strip() == BEGIN:
            inside = True
            indent = line[: len(line) - len(line.lstrip())]
            if indent:
                kept.append(f"{indent}...")
        elif line.strip() == END:
            inside = False
        elif not inside:
            kept.append(line)
    return "\n".join(kept).strip("\n")


def _raw_cells(source: str) -> Iterator[tuple[int, str, str, list[str]]]:
    """(line of the marker, kind, options, lines) of each cell, without blank lines around it."""
    current: tuple[int, str, str, list[str]] | None = None
    for number, line in enumerate(source.splitlines(), start=1):
        marker = _MARKER.match(line)
        if marker:
            if current:
                yield _trimmed(current)
            current = (number, "markdown" if marker[1] else "code", marker[2], [])
        elif current:
            current[3].append(line.rstrip())
        elif line.strip() and not line.startswith("#"):
            raise SourceError(f"line {number}: code before the first # %%")
    if current:
        yield _trimmed(current)


def _trimmed(cell: tuple[int, str, str, list[str]]) -> tuple[int, str, str, list[str]]:
    number, kind, options, lines = cell
    while lines and not lines[0].strip():
        lines.pop(0)
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise SourceError(f"line {number}: an empty cell")
    return number, kind, options, lines


def _options(text: str, line: int) -> tuple[str, tuple[str, ...]]:
    found: dict[str, str] = {}
    for word in text.split():
        option = _OPTION.match(word)
        if not option:
            raise SourceError(f"line {line}: {word!r} is neither id=... nor tags=...")
        found[option[1]] = option[2]
    return found.get("id", ""), tuple(filter(None, found.get("tags", "").split(",")))


def _uncomment(lines: Sequence[str], first: int) -> str:
    text = []
    for number, line in enumerate(lines, start=first + 1):
        if line and not (line == "#" or line.startswith("# ")):
            raise SourceError(f"near line {number}: text in a [markdown] cell must begin with '# '")
        text.append(line[2:])
    return "\n".join(text)


def _check_markers(cell: SourceCell) -> None:
    markers = [line.strip() for line in cell.text.splitlines() if line.strip() in (BEGIN, END)]
    if markers != [BEGIN, END] * (len(markers) // 2):
        raise SourceError(f"line {cell.line}: {BEGIN} and {END} do not pair")


def _slug(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")[:40].strip("-") or "section"
