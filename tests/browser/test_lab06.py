"""Lab 06 in a browser: the path grows, the network follows its sliders, the plot runs and stops."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.browser.harness import NotebookPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOTEBOOK = "06_mqtt_a.ipynb"
PICTURE = ".mqs-explorer svg"


def test_the_path_grows_in_both_themes(lab_page: Callable[[str], NotebookPage]) -> None:
    lab = lab_page(NOTEBOOK)
    lab.run_all()

    def described(words: str) -> None:
        # A drag passes through many values; the last is the one that stays.
        lab.shown(f"{PICTURE} desc:has-text('{words}')").wait_for(state="attached")

    described("1: publish station to b1")
    before = lab.picture(PICTURE)
    lab.drag_slider("Step", 1.0)
    described("deliver b8 to dashboard")
    assert lab.wait_until_different(PICTURE, before) != before
    lab.theme("JupyterLab Light")
    assert sum(lab.colour(f"{PICTURE} text")[:3]) < 250, "dark on light"
    lab.screenshot("lab06_light.png", ".mqs-explorer")
    lab.theme("JupyterLab Dark")
    assert sum(lab.colour(f"{PICTURE} text")[:3]) > 500, "light on dark"
    lab.screenshot("lab06_dark.png", ".mqs-explorer")

    lab.page.locator(".jp-OutputArea-output select").nth(1).select_option("the subscription")
    described("subscribe dashboard to b8")
    lab.click("Reset")
    described("1: publish station to b1")

    state = lab.page.locator(".jp-OutputArea-output .widget-label").filter(has_text="not started")
    state.wait_for(timeout=15_000)
    lab.button("Run").press("Enter")
    said = lab.page.locator(".jp-OutputArea-output .widget-label")
    said.filter(has_text="of 9: p_f").wait_for(timeout=60_000)
    # Run can be pressed no more: whoever has only keys is still in the panel, at Stop.
    lab.page.wait_for_function("() => document.activeElement?.closest('.mqs-panel button:enabled')")
    # A quick kernel may be done before a slow page has pressed Stop; what Stop does, tests/widgets knows.
    lab.click_if_enabled("Stop")
    said.filter(has_text=re.compile("^(stopped|done)$")).wait_for(timeout=60_000)
    lab.shown(".js-plotly-plot .point").wait_for(state="attached", timeout=15_000)
    lab.screenshot("lab06_plot_dark.png", ".js-plotly-plot")
    assert lab.complaints() == []
