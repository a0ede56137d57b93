"""The harness itself, on a small notebook: what it does is done, what goes wrong is seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from tests.browser.harness import NotebookPage
from tools.editions import METADATA

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIDGETS = """\
import ipywidgets
drawing = '<svg width="200" height="40"><text y="20" fill="currentColor">%s</text></svg>'
picture = ipywidgets.HTML(drawing % 0)
button = ipywidgets.Button(description="Next")
slider = ipywidgets.IntSlider(description="Packets", max=100)
def show(number):
    picture.value = drawing % number
button.on_click(lambda _: show("pressed"))
slider.observe(lambda change: show(change["new"]), "value")
ipywidgets.VBox([button, slider, picture])"""

FAULTY = """\
from IPython.display import HTML
HTML('<b id="here">here</b><img src="https://example.org/picture.png">')"""


@pytest.fixture(scope="module")
def small_notebooks(notebooks: Path) -> Path:
    for name, cells in {"widgets.ipynb": [WIDGETS, "1 + 1"], "faulty.ipynb": [FAULTY, "1 / 0"]}.items():
        made = [nbformat.v4.new_code_cell(cell) for cell in cells]
        # Without the kernel's name JupyterLab would ask for it.
        nbformat.write(nbformat.v4.new_notebook(cells=made, metadata=METADATA), notebooks / name)
    return notebooks


def test_a_notebook_runs_and_its_widgets_answer(
    small_notebooks: Path, lab_page: Callable[[str], NotebookPage]
) -> None:
    lab = lab_page("widgets.ipynb")
    lab.run_all()
    before = lab.picture("svg")
    assert "0</text>" in before
    lab.click("Next")
    assert "pressed" in lab.wait_until_different("svg", before)

    before = lab.picture("svg")
    lab.drag_slider("Packets", 0.5)
    moved = lab.wait_until_different("svg", before)
    value = int(moved.partition("</text>")[0].rpartition(">")[2])
    assert 0 < value <= 60

    lab.theme("JupyterLab Light")
    assert sum(lab.colour("svg text")[:3]) < 200, "dark on light"
    light = lab.screenshot("harness_light.png").read_bytes()
    lab.theme("JupyterLab Dark")
    assert sum(lab.colour("svg text")[:3]) > 500, "light on dark"
    assert lab.screenshot("harness_dark.png").read_bytes() != light
    assert lab.complaints() == []


def test_errors_in_cells_and_requests_beyond_this_machine_are_seen(
    small_notebooks: Path, lab_page: Callable[[str], NotebookPage]
) -> None:
    lab = lab_page("faulty.ipynb")
    lab.command("notebook:run-all-cells")
    lab.shown("#here").wait_for()
    lab.shown("pre:has-text('ZeroDivisionError')").wait_for()
    assert lab.errors_in_cells() == ["ZeroDivisionError: division by zero"]
    assert set(lab.outside_requests) == {"https://example.org/picture.png"}
    assert any("ERR_FAILED" in error for error in lab.console_errors)


def test_the_index_opens_and_runs(lab_page: Callable[[str], NotebookPage]) -> None:
    lab = lab_page("index.ipynb")
    lab.run_all()
    assert "is installed" in lab.picture("pre")
    assert lab.complaints() == []
