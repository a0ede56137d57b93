"""Lab 09 in a browser: every cell runs, five systems through anybody's eyes, in both themes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.harness import NotebookPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOTEBOOK = "09_capstone.ipynb"
PICTURE = ".mqs-explorer svg"


def test_systems_and_eyes_in_both_themes(lab_page: Callable[[str], NotebookPage]) -> None:
    lab = lab_page(NOTEBOOK)
    lab.run_all()

    def titled(words: str) -> None:
        lab.shown(f"{PICTURE} > title:has-text('{words}')").wait_for(state="attached")

    titled("seen by public1: reads nothing; real names: none")
    lists = lab.page.locator(".jp-OutputArea-output select")
    lists.nth(1).select_option("b1")
    titled("seen by b1: reads nothing; real names: station")
    lab.theme("JupyterLab Light")
    assert sum(lab.colour(f"{PICTURE} text")[:3]) < 250, "dark on light"
    lab.screenshot("lab09_light.png", ".mqs-explorer")
    lab.theme("JupyterLab Dark")
    assert sum(lab.colour(f"{PICTURE} text")[:3]) > 500, "light on dark"
    lab.screenshot("lab09_dark.png", ".mqs-explorer")
    lists.nth(0).select_option("MQTT-A")
    titled("seen by b1: reads the readings")
    lists.nth(0).select_option("plain MQTT")
    lists.nth(1).select_option("public1")
    titled("real names: dashboard, logger, station")
    lab.click("Reset")
    titled("seen by public1: reads nothing; real names: none")
    assert lab.complaints() == []
