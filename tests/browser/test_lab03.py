"""Lab 03 in a browser: every cell runs, sliders and lists change the pictures, nothing complains."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.harness import NotebookPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOTEBOOK = "03_four_schemes.ipynb"
PICTURE = ".mqs-explorer svg"


def test_layers_and_changes_answer_in_both_themes(lab_page: Callable[[str], NotebookPage]) -> None:
    lab = lab_page(NOTEBOOK)
    lab.run_all()
    for name in ("Scheme", "Subscribers"):
        lab.slider(name).wait_for()
    assert lab.unnamed_sliders() == 0
    heights = lab.page.locator(".mqs-panel:visible").first.locator(".widget-hbox").first.bounding_box()
    assert heights is not None and heights["height"] < 50, "the controls fit in one row at 1280 pixels"

    def described(words: str) -> None:
        # A drag passes through many values; the last is the one that stays.
        lab.shown(f"{PICTURE} desc:has-text('{words}')").wait_for(state="attached")

    described("P-B: [sealed K_PB [sealed GK_P [the reading]]], 1 payload")
    before = lab.picture(PICTURE)
    lab.drag_slider("Scheme", 1.0)
    described("P-B: [tagged K_PB [sealed GK_P [the reading]]]")
    assert lab.wait_until_different(PICTURE, before) != before
    lab.drag_slider("Subscribers", 1.0)
    described("the same bytes to all 10")
    lists = lab.page.locator(".jp-OutputArea-output select")
    lists.nth(0).select_option("chacha20")
    lab.shown(f"{PICTURE} title:has-text('chacha20')").wait_for(state="attached")

    lists.nth(2).select_option("inside the broker")
    described("refused by subscriber: tag of P-S")
    lists.nth(4).select_option("published")
    lists.nth(3).select_option("replay")
    described("refused by nobody")
    lab.click("Reset", 1)
    described("refused by broker: tag of P-B")

    lab.theme("JupyterLab Light")
    assert sum(lab.colour(f"{PICTURE} text")[:3]) < 250, "dark on light"
    lab.screenshot("lab03_light.png", ".mqs-explorer")
    lab.theme("JupyterLab Dark")
    assert sum(lab.colour(f"{PICTURE} text")[:3]) > 500, "light on dark"
    lab.page.locator(".mqs-explorer").nth(1).scroll_into_view_if_needed()
    lab.screenshot("lab03_dark.png")
    assert lab.complaints() == []
