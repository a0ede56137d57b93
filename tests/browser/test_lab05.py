"""Lab 05 in a browser: every cell runs, the story moves with its slider, nothing complains."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.harness import NotebookPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOTEBOOK = "05_group_keys.ipynb"
PICTURE = ".mqs-explorer svg"


def test_the_story_moves_in_both_themes(lab_page: Callable[[str], NotebookPage]) -> None:
    lab = lab_page(NOTEBOOK)
    lab.run_all()
    lab.slider("Event").wait_for()
    assert lab.unnamed_sliders() == 0

    def described(words: str) -> None:
        # A drag passes through many values; the last is the one that stays.
        lab.shown(f"{PICTURE} desc:has-text('{words}')").wait_for(state="attached")

    described("dashboard (member) reads nothing")
    before = lab.picture(PICTURE)
    lab.drag_slider("Event", 1.0)
    described("phone (left) reads 1; alarm (left) reads 3")
    assert lab.wait_until_different(PICTURE, before) != before
    lab.theme("JupyterLab Light")
    assert sum(lab.colour(f"{PICTURE} text")[:3]) < 250, "dark on light"
    lab.screenshot("lab05_light.png", ".mqs-explorer")
    lab.theme("JupyterLab Dark")
    assert sum(lab.colour(f"{PICTURE} text")[:3]) > 500, "light on dark"
    lab.screenshot("lab05_dark.png", ".mqs-explorer")

    lab.page.locator(".jp-OutputArea-output select").first.select_option("published")
    described("phone (left) reads 1, 2, 3, 4")
    lab.click("Reset")
    described("dashboard (member) reads nothing")
    assert lab.complaints() == []
