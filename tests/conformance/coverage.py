"""Which test covers which statement of the standard.

`covers` and `covers_311` stand over a test and name the statements of MQTT 5.0 (appendix B) and of MQTT 3.1.1
(its appendix B) that the test would catch a broker violating. The identifiers of the two versions overlap and
mean different things, so each has a decorator of its own.
"""

from __future__ import annotations

import ast
import csv
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

HERE = Path(__file__).parent
T = TypeVar("T", bound=Callable[..., object])


def covers(*statements: str) -> Callable[[T], T]:
    """The decorated test covers these statements of MQTT 5.0. This only names them."""
    assert statements
    return lambda test: test


def covers_311(*statements: str) -> Callable[[T], T]:
    """The decorated test covers these statements of MQTT 3.1.1."""
    assert statements
    return lambda test: test


@dataclass(frozen=True)
class Statement:
    """A normative statement, as its line in `statements_5.csv` or `statements_311.csv` tells it."""

    id: str
    """As in the standard, without brackets: MQTT-3.1.2-1."""
    binds: str
    """Who has to keep it: client, server, both, or either (whoever sends or receives the packet)."""
    testable: bool
    """Whether a broker's conduct can show it over the network."""
    paraphrase: str
    """What it asks for, in our words; the standard's own text decides."""
    note: str
    """Why it cannot be tested, or how a statement that binds the client is."""


def statements(version: str) -> list[Statement]:
    """The statements of "5" or "311", in the order of the standard."""
    with (HERE / f"statements_{version}.csv").open(encoding="utf-8", newline="") as lines:
        return [
            Statement(row["id"], row["binds"], row["testable"] == "yes", row["paraphrase"], row["note"])
            for row in csv.DictReader(lines)
        ]


def covered(decorator: str) -> dict[str, list[str]]:
    """From the source of the tests: statement -> tests ("module::test") under that decorator."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                continue
            for call in node.decorator_list:
                if (
                    isinstance(call, ast.Call)
                    and isinstance(call.func, ast.Name)
                    and call.func.id == decorator
                ):
                    for argument in call.args:
                        found[ast.literal_eval(argument)].append(f"{path.stem}::{node.name}")
    return found
