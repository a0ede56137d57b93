"""JupyterLab and a headless Chromium for the browser tests; `lab_page` opens a notebook.

They live as long as the tests of this folder: Playwright keeps an event loop running in this thread, in
which the tests of other folders could not start one of their own.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.harness import CHROMIUM_FLAGS, JupyterServer, NotebookPage, notebook_page
from tests.peers import require_peer

LABS = Path(__file__).resolve().parents[2] / "labs"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window, with a fresh profile."""
    path = require_peer("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def notebooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of labs/, so that nothing a test does is saved into it; tests may add notebooks."""
    folder = tmp_path_factory.mktemp("browser") / "labs"
    shutil.copytree(LABS, folder, ignore=shutil.ignore_patterns(".ipynb_checkpoints", "out", "source"))
    return folder


@pytest.fixture(scope="package")
def jupyter(
    browser: Browser, notebooks: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[JupyterServer]:
    """JupyterLab over `notebooks`; asks for the browser first, so that nothing starts in vain."""
    with JupyterServer(notebooks, tmp_path_factory.mktemp("jupyter-home")) as server:
        yield server


@pytest.fixture
def lab_page(browser: Browser, jupyter: JupyterServer) -> Iterator[Callable[[str], NotebookPage]]:
    """`lab_page("01_name.ipynb")` opens a notebook of `notebooks` with an idle kernel."""
    with contextlib.ExitStack() as stack:
        yield lambda name: stack.enter_context(notebook_page(browser, jupyter, name))
