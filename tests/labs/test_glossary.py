"""The glossary: every term has a meaning, a source where it has one, and a lab; every lab has its terms."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "labs" / "source" / "glossary.py"
LABS = [f"{number:02}" for number in range(1, 10)]


def rows() -> list[list[str]]:
    """The cells of each row of each table, the heads left out."""
    lines = [line.removeprefix("# ") for line in SOURCE.read_text(encoding="utf-8").splitlines()]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line[:1] == "|"]
    return [row for row in cells if row[0] != "Term" and not row[0].startswith(":--")]


def test_every_row_is_complete() -> None:
    for row in rows():
        assert len(row) in (3, 4) and all(row), f"{row}: only our own tools may be without a source"
        assert row[-1] == "all" or set(row[-1].split(", ")) <= set(LABS), row


def test_every_lab_has_terms_of_its_own() -> None:
    named = Counter(lab for row in rows() for lab in re.findall(r"\d\d", row[-1]))
    assert [lab for lab in LABS if named[lab] < 3] == []
