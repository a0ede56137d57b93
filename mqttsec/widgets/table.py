"""A table that is text and HTML at once: the same numbers for print, for nbval and for the page."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mqttsec.errors import ConfigurationError
from mqttsec.trace.labels import cells, printable, shorten
from mqttsec.widgets.look import block, html_table, text

if TYPE_CHECKING:
    import pandas

Cell = str | int | float | bool | None
"""What may stand in a table."""

_WIDEST = 60


@dataclass(frozen=True, repr=False)
class Table:
    """Rows under column names; `repr` is fixed-width text, a notebook shows HTML."""

    columns: tuple[str, ...]
    """Names, with their units: `time s`, `size bytes`."""
    rows: tuple[tuple[Cell, ...], ...]
    """One tuple a row, as long as `columns`. None and "" show as nothing."""
    title: str = ""
    """One line above the table."""

    def __post_init__(self) -> None:
        """Raises `ConfigurationError` if a row is not as long as the head."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ConfigurationError(f"{len(row)} cells under {len(self.columns)} columns: {row}")

    def __repr__(self) -> str:
        shown = [[shorten(_shown(cell), _WIDEST) for cell in row] for row in self.rows]
        widths = [
            max([cells(name), *(cells(row[index]) for row in shown)])
            for index, name in enumerate(self.columns)
        ]
        right = self._numeric()
        lines = [self.title] if self.title else []
        for row in (list(self.columns), *shown):
            padded = [
                " " * (width - cells(cell)) + cell if is_right else cell + " " * (width - cells(cell))
                for cell, width, is_right in zip(row, widths, right, strict=True)
            ]
            lines.append("  ".join(padded).rstrip())
        return "\n".join(lines)

    def html(self) -> str:
        """The table as HTML, without the style sheet."""
        classes = ["mqs-n" if numeric else "" for numeric in self._numeric()]
        rows = ([_set_in(_shown(cell)) for cell in row] for row in self.rows)
        return html_table([text(name) for name in self.columns], rows, classes, text(self.title))

    def _repr_html_(self) -> str:
        return block(self.html())

    def column(self, name: str) -> tuple[Cell, ...]:
        """The cells of one column. Raises `ConfigurationError` if there is none of this name."""
        if name not in self.columns:
            raise ConfigurationError(f"there is no column {name!r}; there are {', '.join(self.columns)}")
        index = self.columns.index(name)
        return tuple(row[index] for row in self.rows)

    def where(self, condition: Callable[[dict[str, Cell]], object]) -> Table:
        """The rows for which `condition`, given a row as a dict by column name, is true."""
        kept = tuple(row for row in self.rows if condition(dict(zip(self.columns, row, strict=True))))
        return Table(self.columns, kept, self.title)

    def __getitem__(self, rows: slice) -> Table:
        """Some of the rows: `table[:10]`."""
        return Table(self.columns, self.rows[rows], self.title)

    def __len__(self) -> int:
        return len(self.rows)

    def frame(self) -> pandas.DataFrame:
        """The same as a `pandas.DataFrame`. Raises `ConfigurationError` without pandas."""
        try:
            library: Any = importlib.import_module("pandas")
        except ImportError:
            raise ConfigurationError("data frames need pandas; install it with: pip install pandas") from None
        frame: pandas.DataFrame = library.DataFrame(list(self.rows), columns=list(self.columns))
        return frame

    def _numeric(self) -> list[bool]:
        """Which columns hold numbers alone, also as text ("28.9"), and are set to the right."""
        found = []
        for index in range(len(self.columns)):
            column = [row[index] for row in self.rows if row[index] not in (None, "")]
            found.append(bool(column) and all(_is_number(cell) for cell in column))
        return found


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], title: str = "") -> Table:
    """A `Table` from any sequences."""
    return Table(tuple(columns), tuple(tuple(row) for row in rows), title)


_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def _is_number(cell: Cell) -> bool:
    if isinstance(cell, str):
        return _NUMBER.fullmatch(cell) is not None
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)


def _set_in(shown: str) -> str:
    """A cell as HTML; what spaces in front set in, as text has it, is a part of what stands above it."""
    words = shown.lstrip(" ")
    return text(shown) if words == shown else f'<span class="mqs-part">{text(words)}</span>'


def _shown(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.3f}"
    return printable(str(cell))
