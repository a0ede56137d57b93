"""CONTRIBUTING.md tells how to add a scheme, a strategy, an adversary, a lab: exactly that is done here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.editions import editions, make
from tools.notebook_lint import complaints

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MOST_WORDS = 500
"""About a page."""


def recipe(title: str) -> str:
    """What stands under a heading of the third level."""
    (found,) = re.findall(rf"^### {title}\n(.*?)(?=^## |^### An? )", TEXT, re.MULTILINE | re.DOTALL)
    return found


def block(title: str, language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", recipe(title), re.MULTILINE | re.DOTALL)
    return found


@pytest.mark.parametrize("title", ["A scheme", "A routing strategy", "An adversary", "A lab"])
def test_a_recipe_is_under_a_page(title: str) -> None:
    assert len(recipe(title).split()) < MOST_WORDS


@pytest.mark.parametrize(
    ("title", "printed"),
    [
        ("A scheme", "b'12.8'\nE + 2H\n"),
        ("A routing strategy", "b'12.8'\n"),
        ("An adversary", "b2\n"),
    ],
)
def test_a_program_runs_as_it_stands(title: str, printed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block(title, "python")],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )
    assert (done.stdout, done.returncode) == (printed, 0), done.stderr


def test_a_lab_is_made_of_its_object_and_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sizes.py").write_text(block("A lab", "python"))
    # What the table in mqttsec/labs/__init__.py would do.
    named = "import mqttsec.labs, sizes\nmqttsec.labs.Sizes = sizes.Sizes\n"
    (tmp_path / "sitecustomize.py").write_text(named)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "10_sizes.py").write_text(block("A lab", "text"))
    (tmp_path / "teacher").mkdir()
    student, teacher = editions(tmp_path)
    for edition, verdict in ((student, "exercise 1: todo"), (teacher, "exercise 1: ok")):
        text = make(edition)
        edition.target.write_text(text)
        assert complaints(edition.target) == []
        assert verdict in text
