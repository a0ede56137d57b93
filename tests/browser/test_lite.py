"""`make lite`: the site runs in a browser that may ask no host but its own, and its widgets move."""

from __future__ import annotations

import functools
import http.server
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.harness import HOST, NotebookPage
from tests.peers import missing_peers

pytestmark = [pytest.mark.lite, pytest.mark.slow, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "build" / "lite" / "site"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The site, built and served from its folder on loopback."""
    built = subprocess.run(["make", "lite"], cwd=ROOT, capture_output=True, text=True, check=False)
    if built.returncode and "npm did not bring" in built.stderr:
        missing_peers.add("npm and its registry")
        pytest.skip(built.stderr.strip().splitlines()[0])
    assert built.returncode == 0, built.stdout + built.stderr
    server = http.server.ThreadingHTTPServer((HOST, 0), functools.partial(Quiet, directory=SITE))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://{HOST}:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_lab_runs_without_a_server_and_asks_nobody(address: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    lab = NotebookPage(page)
    lab.open(f"{address}/lab/index.html?path=lite.ipynb")
    lab.run_all()
    before = lab.picture(".mqs-stepper svg")
    lab.click("Next")
    assert lab.wait_until_different(".mqs-stepper svg", before) != before
    before = lab.picture(".mqs-explorer svg")
    lab.drag_slider("Messages", 1.0)
    assert lab.wait_until_different(".mqs-explorer svg", before) != before
    lab.shown(".js-plotly-plot .scatterlayer path.js-line").first.wait_for()
    lab.screenshot("lite.png")
    assert lab.outside_requests == []
    page.close()
