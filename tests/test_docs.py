"""The documentation builds without a warning, fetches nothing from the Internet, and its programs run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mqttsec.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FETCHED = re.compile(r"""<(?:script|img|link)\b[^>]*\b(?:src|href)=["']?(https?:[^"' >]+)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1", "PATH": "", "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_there_and_fetches_nothing_from_elsewhere(site: Path) -> None:
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert {path for path in pages if not (site / path).is_file()} == set()
    fetched = {
        (path.name, address)
        for path in site.rglob("*.html")
        for address in FETCHED.findall(path.read_text(encoding="utf-8"))
        if "rel=canonical" not in address
    }
    assert fetched == set()


def test_the_reference_has_the_docstrings(site: Path) -> None:
    page = (site / "reference" / "mqtt5.html").read_text(encoding="utf-8")
    assert "receive_maximum" in page and "InProcessBroker" in page
    commands = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    assert [command.words for command in COMMANDS if f"mqttsec {command.words}<" not in commands] == []


def programs() -> list[tuple[str, str]]:
    """(page, text) of each Python block that is a whole program: it imports from this package."""
    return [
        (str(page.relative_to(DOCS)), text)
        for page in sorted(DOCS.rglob("*.md"))
        for language, text in BLOCK.findall(page.read_text(encoding="utf-8"))
        if language == "python" and "mqttsec" in text
    ]


@pytest.mark.parametrize(("page", "text"), [pytest.param(*program, id=program[0]) for program in programs()])
def test_programs_run(page: str, text: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert done.returncode == 0, f"{page}: {done.stderr}"
    assert done.stdout
