"""Lab 04 in a browser: Start, points arrive, Stop; a slider changes the plot; both themes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.harness import SECONDS, NotebookPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOTEBOOK = "04_overhead.ipynb"
PLOT = ".mqs-plot"
MODEL = 9
"""Points of the model's line of one scheme."""
ROUNDS = 4
"""Points to wait for: one a round."""


def test_points_arrive_and_a_slider_changes_the_plot(lab_page: Callable[[str], NotebookPage]) -> None:
    lab = lab_page(NOTEBOOK)
    lab.run_all()
    lab.shown(f"{PLOT} svg.main-svg").wait_for()
    assert lab.unnamed_sliders() == 0
    lab.drag_slider("Subscribers", 0.0, nth=1)
    # One broker starts sooner than four.
    outputs = lab.page.locator(".jp-OutputArea-output")
    outputs.get_by_role("combobox", name="Scheme", exact=True).select_option("3")
    # What the cells below the plot have measured goes, so that the model's line is all there is.
    lab.click("Reset", 1)
    lab.page.locator(f"{PLOT}[data-points='{MODEL}']").first.wait_for(timeout=15 * SECONDS)
    lab.click("Start")
    lab.page.wait_for_function(
        "least => Number(document.querySelector('.mqs-plot').dataset.points) >= least",
        arg=MODEL + ROUNDS, timeout=90 * SECONDS,
    )  # fmt: skip
    assert lab.page.locator(f"{PLOT}").first.locator(".scatterlayer .point").count() >= ROUNDS
    # It may have ended by itself meanwhile: then there is nothing to stop.
    lab.click_if_enabled("Stop")
    label = lab.page.locator(".jp-OutputArea-output .widget-label").get_by_text("ended")
    label.first.wait_for(timeout=15 * SECONDS)
    lab.theme("JupyterLab Light")
    lab.wait_for_colour(f"{PLOT} .xtitle", "fill", lambda colour: sum(colour[:3]) < 250)
    lab.screenshot("lab04_light.png")
    lab.theme("JupyterLab Dark")
    lab.wait_for_colour(f"{PLOT} .xtitle", "fill", lambda colour: sum(colour[:3]) > 500)
    lab.screenshot("lab04_dark.png")

    before = lab.picture(f"{PLOT} svg.main-svg")
    lab.page.locator(".jp-OutputArea-output select").nth(3).select_option("65536")
    assert lab.wait_until_different(f"{PLOT} svg.main-svg", before) != before
    lab.shown(f"{PLOT} .gtitle:has-text('65536 bytes')").wait_for()

    described = ".mqs-explorer svg"
    before = lab.picture(described)
    lab.drag_slider("Subscribers", 1.0)
    assert lab.wait_until_different(described, before) != before
    assert lab.complaints() == []

