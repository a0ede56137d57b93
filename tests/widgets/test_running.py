"""Run and Stop above a plot: pieces on a thread of their own, which ends when it is told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import plotly.graph_objects as go
import pytest

from mqttsec.errors import ConfigurationError
from mqttsec.widgets.plot import Points
from mqttsec.widgets.running import RunWidget


def figure() -> go.Figure:
    return go.Figure().add_scatter(x=[], y=[], name="speed")


class Pieces:
    """A measurement whose pieces wait to be let go."""

    def __init__(self, count: int = 3, error: Exception | None = None) -> None:
        self.count = count
        self.error = error
        self.begun = 0
        self.go = threading.Semaphore(0)

    def __call__(self) -> Iterator[tuple[str, Points]]:
        self.begun += 1
        for number in range(self.count):
            assert self.go.acquire(timeout=10)
            if self.error is not None:
                raise self.error
            yield f"{number + 1} of {self.count}", {"speed": ([number], [number * 2.0])}

    def let(self, count: int) -> None:
        self.go.release(count)


@pytest.fixture
def pieces() -> Pieces:
    return Pieces()


def test_run_fills_the_plot_and_begins_anew(pieces: Pieces) -> None:
    widget = RunWidget(figure, pieces, "Speed")
    assert repr(widget) == "Plot: Speed" and widget.stop.disabled and not widget.running
    for times in (1, 2):
        widget.run.click()
        assert widget.running and widget.run.disabled and not widget.stop.disabled
        widget.run.click()
        pieces.let(3)
        assert widget.wait(10)
        assert pieces.begun == times, "a second press while it runs does nothing"
        assert widget.plot.points("speed") == ([0, 1, 2], [0, 2, 4])
        assert widget.state.value == "done" and not widget.run.disabled and widget.stop.disabled
    widget.close()


def test_stop_ends_it_after_the_present_piece(pieces: Pieces) -> None:
    widget = RunWidget(figure, pieces, "Speed")
    widget.run.click()
    widget.stop.click()
    pieces.let(1)
    assert widget.wait(10) and widget.state.value == "stopped"
    assert widget.plot.points("speed") == ([], [])
    widget.close()


def test_an_error_is_said_and_ends_it() -> None:
    pieces = Pieces(error=ConfigurationError("p_f cannot be 1"))
    widget = RunWidget(figure, pieces, "Speed")
    widget.run.click()
    pieces.let(1)
    assert widget.wait(10) and widget.state.value == "ended: p_f cannot be 1"
    assert not widget.run.disabled
    widget.close()


def test_close_ends_the_thread_and_twice_does_no_harm(pieces: Pieces) -> None:
    widget = RunWidget(figure, pieces, "Speed")
    widget.run.click()
    pieces.let(3)
    widget.close()
    widget.close()
    assert not widget.running
    widget.start()
    assert not widget.running
