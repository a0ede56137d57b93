"""The meter: buttons, progress, points that stream, and a stop that reaches a running measurement."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from mqttsec.errors import ConfigurationError
from mqttsec.widgets import Choice, Control
from mqttsec.widgets.meter import MeterWidget


class Bench:
    """What the meter of these tests drives."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.size, self.kind = 5, "a"
        self.busy = False

    def figure(self) -> go.Figure:
        return go.Figure(go.Scatter(x=[self.size], y=[1.0], name="S")).update_layout(title=self.kind)

    def html(self) -> str:
        return f"<p>{self.size} {self.kind} {','.join(self.done)}</p>"

    def set(self, **values: Any) -> None:
        self.size, self.kind = values["size"], values["kind"]

    def start(self, meter: MeterWidget) -> None:
        if self.busy:
            raise ConfigurationError("one at a time")
        self.busy = True
        self.done.append("start")

    def stop(self) -> None:
        self.busy = False
        self.done.append("stop")

    def clear(self) -> None:
        self.done.append("clear")


def meter() -> tuple[Bench, MeterWidget]:
    bench = Bench()
    controls = (Control("size", "Size", 5, 1, 9), Choice("kind", "Kind", "a", ("a", "b")))
    return bench, MeterWidget(bench, controls, "A test")


def test_start_points_stop() -> None:
    bench, widget = meter()
    assert (widget.start.disabled, widget.stop.disabled) == (False, True)
    widget.start.click()
    assert (widget.start.disabled, widget.stop.disabled) == (True, False)
    assert "starting" in widget.said.value
    widget.came({"S": ([7.0], [2.0])}, 0.5, "round 1: S")
    assert widget.plot.points("S") == ([5, 7.0], [1.0, 2.0])
    assert (widget.progress.value, widget.said.value) == (0.5, "round 1: S")
    widget.came({}, 0.75, "round 2: T")
    assert widget.progress.value == 0.75
    widget.stop.click()
    widget.ended("ended")
    assert bench.done == ["start", "stop"] and "start,stop" in widget.html
    assert (widget.start.disabled, widget.stop.disabled) == (False, True)


def test_a_series_that_the_plot_has_not_yet_draws_it_anew() -> None:
    bench, widget = meter()
    bench.size = 8
    widget.came({"T": ([1.0], [1.0])}, 0.1, "")
    assert widget.plot.points("S") == ([8], [1.0])


def test_a_change_is_drawn_at_once_and_reset_forgets() -> None:
    bench, widget = meter()
    widget.sliders["size"].value = 9
    assert widget.plot.points("S") == ([9], [1.0])
    widget.sliders["kind"].value = "b"
    assert "9 b" in widget.html
    widget.reset.click()
    assert bench.done == ["stop", "clear"]
    assert widget.said.value == "not started"


def test_what_cannot_start_says_so() -> None:
    bench, widget = meter()
    bench.busy = True
    widget.start.click()
    assert widget.said.value == "one at a time" and not widget.start.disabled


def test_a_closed_meter_stops_and_takes_nothing() -> None:
    bench, widget = meter()
    widget.close()
    widget.close()
    assert bench.done == ["stop", "stop"]
    widget.came({"S": ([1.0], [1.0])}, 1.0, "late")
    widget.ended("late")
    widget.start.click()
    assert "start" not in bench.done


def test_a_page_without_a_kernel_gets_a_line() -> None:
    _, widget = meter()
    assert widget._repr_mimebundle_()["text/plain"] == "A test: press Start"


def test_what_happens_is_announced_and_every_part_is_closed() -> None:
    _, widget = meter()
    assert "mqs-panel" in widget._dom_classes and "mqs-said" in widget.said._dom_classes
    parts = [*widget.children, *widget.children[0].children, *widget.children[1].children]
    widget.close()
    assert [part for part in parts if part.comm is not None] == []
