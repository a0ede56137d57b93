"""The house has floors: an import goes down, never up, never to a neighbour, never in a circle."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "mqttsec"

FLOORS = (
    {"errors", "on_demand"},
    {"net", "plots", "readings", "crypto"},
    {"packets"},
    {"trace"},
    {"mqtt5", "anonymity"},
    {"e2e", "mqtta"},
    {"check", "measure", "verify"},
    {"widgets"},
    {"labs"},
    {"demo"},
    {"cli", "lab_server"},
    {"__main__"},
)
"""From the ground up. A new room needs a place here; choose the lowest that its imports allow."""

FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FACE = {"__init__"}
"""`mqttsec/__init__.py` names the public things of every room, and imports none of them at once."""


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rooms() -> set[str]:
    return {room_of(path) for path in PACKAGE.rglob("*.py")} - FACE


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, room) of each import of ours in a module, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute in this house"
            if node.module == "mqttsec":
                names = [f"mqttsec.{alias.name}" for alias in node.names]
            else:
                names = [node.module or ""]
        for name in names:
            parts = name.split(".")
            if parts[0] == "mqttsec" and len(parts) > 1 and parts[1] != "__version__":
                yield node.lineno, parts[1]


def test_every_room_has_a_floor() -> None:
    assert rooms() <= set(FLOOR_OF), "give the new room a place in FLOORS"


@pytest.mark.parametrize("text", ["CONTRIBUTING.md", "docs/design.md"])
def test_the_texts_have_the_same_floors(text: str) -> None:
    lines = (PACKAGE.parent / text).read_text(encoding="utf-8").splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("| Floor | Rooms"))
    end = next(number for number, line in enumerate(lines) if line.startswith("| ground |"))
    told = [set(re.findall(r"`(\w+)`", line)) for line in lines[begin + 2 : end + 1]]
    assert told[::-1] == [set(floor) for floor in FLOORS if floor != {"__main__"}]


@pytest.mark.parametrize("room", sorted(rooms()))
def test_imports_go_down(room: str) -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {target}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if room_of(path) == room
        for line, target in imports(path)
        if target != room and FLOOR_OF.get(target, len(FLOORS)) >= FLOOR_OF[room]
    ]
    assert wrong == []
