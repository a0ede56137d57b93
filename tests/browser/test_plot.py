"""The plot view in a page: points come while they are made, themes are followed, a reload loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from tests.browser.harness import NotebookPage
from tools.editions import METADATA

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PLOT = """\
import ipywidgets
import plotly.graph_objects as go
from mqttsec.widgets import PlotView
figure = go.Figure([go.Scatter(x=[0, 1], y=[0, 1], name=name, mode="lines+markers") for name in "AB"])
figure.update_layout(title="Two series", xaxis_title="subscribers", yaxis_title="us")
view = PlotView(figure)
more, other = ipywidgets.Button(description="More"), ipywidgets.Button(description="Other")
def add(_):
    for number in range(50):
        view.append({"A": ([number], [number % 7]), "B": ([number], [number % 5])})
more.on_click(add)
other.on_click(lambda _: view.show(go.Figure(go.Bar(x=["S1", "S2"], y=[1, 3], name="bars"))))
ipywidgets.VBox([more, other, view])"""
SECOND = "view"
DRAWN = ".mqs-plot svg.main-svg"


@pytest.fixture(scope="module")
def plot_notebook(notebooks: Path) -> str:
    cells = [nbformat.v4.new_code_cell(cell) for cell in (PLOT, SECOND)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=METADATA), notebooks / "plot.ipynb")
    return "plot.ipynb"


def test_points_come_and_stay(plot_notebook: str, lab_page: Callable[[str], NotebookPage]) -> None:
    lab = lab_page(plot_notebook)
    lab.theme("JupyterLab Dark")
    lab.run_all()
    lab.shown(DRAWN).wait_for()
    # Drawn before it stands in the page, where it has no colours yet; nobody switches the theme after that.
    lab.wait_for_colour(".mqs-plot .xtitle", "fill", lambda colour: sum(colour[:3]) > 500)
    lab.screenshot("plot_dark.png", ".mqs-plot")
    plots = lab.page.locator(".mqs-plot[data-points='4']")
    assert plots.count() == 2, "the same plot in two cells"
    assert lab.shown(".mqs-plot").get_attribute("aria-label") == "Two series"
    before = lab.picture(DRAWN)
    lab.click("More")
    lab.page.locator(".mqs-plot[data-points='104']").nth(1).wait_for()
    assert lab.wait_until_different(DRAWN, before) != before
    assert lab.page.locator(".mqs-plot").first.locator(".scatterlayer .point").count() == 104

    lab.theme("JupyterLab Light")
    lab.wait_for_colour(".mqs-plot .xtitle", "fill", lambda colour: sum(colour[:3]) < 250)
    lab.screenshot("plot_light.png", ".mqs-plot")

    # The notebook is saved, so that the page finds its outputs again; the points are in the kernel only.
    lab.reload()
    lab.page.locator(".mqs-plot[data-points='104']").first.wait_for()
    lab.click("Other")
    lab.shown(".mqs-plot .barlayer .point").first.wait_for(state="attached")
    assert lab.complaints() == []
