"""The explorer: settings on a grid, an experiment at every change, and its widget."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mqttsec.errors import ConfigurationError
from mqttsec.widgets import Choice, Control, Explorer, ExplorerWidget

CONTROLS = (Control("rate", "Rate", 0.1, 0.0, 0.3, 0.02), Control("seed", "Seed", 3, 0, 9))


@dataclass
class Result:
    """What the experiment of these tests returns: its settings."""

    said: str

    def html(self) -> str:
        return f"<p>{self.said}</p>"

    def picture(self) -> str:
        return f'<svg xmlns="http://www.w3.org/2000/svg" style="x:y"><title>{self.said}</title></svg>'

    def text(self) -> str:
        return self.said


class Experiment:
    """Counts how often it runs."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, rate: float, seed: int) -> Result:
        self.runs += 1
        assert isinstance(seed, int)
        return Result(f"rate {rate:g} seed {seed}")


def test_values_keep_to_their_grid_and_bounds() -> None:
    rate, seed = CONTROLS
    assert [rate.valid(value) for value in (-1, 0.013, 0.29, 7)] == [0.0, 0.02, 0.28, 0.3]
    assert [seed.valid(value) for value in (-1, 2.4, 99)] == [0, 2, 9]
    assert isinstance(seed.valid(2.4), int)


def test_a_change_runs_the_experiment_and_reset_goes_back() -> None:
    experiment = Experiment()
    explorer = Explorer(experiment, CONTROLS, "A test")
    assert explorer.text() == "rate 0.1 seed 3"
    explorer.set(rate=0.2)
    assert "rate 0.2 seed 3" in explorer.html()
    explorer.reset()
    assert (explorer.text(), experiment.runs) == ("rate 0.1 seed 3", 3)
    assert repr(explorer) == "A test: Rate 0.1, Seed 3"
    with pytest.raises(ConfigurationError, match="no setting 'size'; there are rate, seed"):
        explorer.set(size=1)


def test_sliders_change_what_is_shown() -> None:
    experiment = Experiment()
    widget = ExplorerWidget(Explorer(experiment, CONTROLS, "A test"))
    widget.sliders["rate"].value = 0.3
    assert "rate 0.3 seed 3" in widget.html
    widget.sliders["seed"].value = 9
    assert "rate 0.3 seed 9" in widget.html
    before = experiment.runs
    widget.reset.click()
    assert "rate 0.1 seed 3" in widget.html
    assert [slider.value for slider in widget.sliders.values()] == [0.1, 3]
    assert experiment.runs == before + 1, "one run, not one for each slider that moved"


def test_a_page_without_a_kernel_gets_text_and_a_picture() -> None:
    bundle = ExplorerWidget(Explorer(Experiment(), CONTROLS, "A test"))._repr_mimebundle_()
    assert bundle["text/plain"] == "A test: Rate 0.1, Seed 3"
    assert "<title>rate 0.1 seed 3</title>" in bundle["image/svg+xml"]


def test_a_closed_widget_runs_nothing() -> None:
    experiment = Experiment()
    widget = ExplorerWidget(Explorer(experiment, CONTROLS, "A test"))
    slider, runs = widget.sliders["seed"], experiment.runs
    widget.close()
    slider.value = 7
    assert experiment.runs == runs


def test_a_choice_is_a_list_of_words() -> None:
    def experiment(size: int, suite: str) -> Result:
        return Result(f"{size} {suite}")

    controls = (Control("size", "Size", 1, 0, 3), Choice("suite", "Suite", "paper", ("paper", "chacha20")))
    widget = ExplorerWidget(Explorer(experiment, controls, "A test"))
    widget.sliders["suite"].value = "chacha20"
    assert "1 chacha20" in widget.html
    assert repr(widget) == "A test: Size 1, Suite chacha20"
    with pytest.raises(ConfigurationError, match="Suite: 'rot13' is none of paper, chacha20"):
        widget.model.set(suite="rot13")
    widget.reset.click()
    assert widget.sliders["suite"].value == "paper" and "1 paper" in widget.html
