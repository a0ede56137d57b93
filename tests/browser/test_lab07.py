"""Lab 07 in a browser: every cell runs, the crowd and the plots follow the sliders, nothing complains."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.harness import NotebookPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOTEBOOK = "07_anonymity.ipynb"
CROWD = ".mqs-crowd"
PLOT = ".js-plotly-plot"


def test_the_crowd_and_the_plots_follow_the_sliders_in_both_themes(
    lab_page: Callable[[str], NotebookPage],
) -> None:
    lab = lab_page(NOTEBOOK)
    lab.run_all()

    lab.shown(f"{CROWD} desc:has-text('16 honest and 4 collaborating')").wait_for(state="attached")
    before = lab.picture(CROWD)
    lab.drag_slider("Messages", 0.6)
    assert lab.wait_until_different(CROWD, before) != before
    lab.shown(f"{CROWD} desc:has-text('suspected: b1 >99 %')").wait_for(state="attached")
    # More collaborators than brokers: the reason stands there, and Reset brings the crowd back.
    lab.drag_slider("Brokers", 0.0)
    lab.shown(".mqs-explorer:has-text('at most 3 can collaborate')").wait_for()
    lab.click("Reset")
    lab.shown(f"{CROWD} desc:has-text('16 honest and 4 collaborating')").wait_for(state="attached")

    for words in ("P(I|H1+), real network", "sticky paths, real network", "as printed"):
        lab.shown(f"{PLOT} .legendtext:has-text('{words}')").wait_for(state="attached")
    before = lab.picture(f"{PLOT} .scatterlayer")
    lab.drag_slider("Collaborating", 0.4, nth=1)
    assert lab.wait_until_different(f"{PLOT} .scatterlayer", before) != before

    for theme, light in (("JupyterLab Light", True), ("JupyterLab Dark", False)):
        lab.theme(theme)
        ink = sum(lab.colour(f"{CROWD} text", "fill")[:3])
        assert ink < 250 if light else ink > 500
        lab.screenshot(f"lab07_{theme.split()[1].lower()}.png", ".mqs-explorer")
    assert lab.complaints() == []
