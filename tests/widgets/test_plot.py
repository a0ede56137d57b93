"""The plot view: what it sends to a page, and what a page that is reloaded gets again."""

from __future__ import annotations

import gzip
import threading
from array import array
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from mqttsec.errors import ConfigurationError
from mqttsec.plots import STYLES, style, styled
from mqttsec.widgets import PlotView


class Sent(PlotView):
    """A plot that keeps what it sends."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.messages: list[tuple[dict[str, Any], list[Any]]] = []
        super().__init__(*arguments, **keywords)

    def send(self, content: Any, buffers: Any = None) -> None:
        self.messages.append((content, list(buffers or ())))


def figure(*names: str, title: str = "Delays") -> go.Figure:
    made = go.Figure([go.Scatter(x=[], y=[], name=name, mode="markers") for name in names])
    return made.update_layout(title=title)


def state(view: PlotView) -> dict[str, Any]:
    """What a page gets that has just been loaded."""
    return dict(view.get_state()["figure"])


def test_the_legend_has_room_below_the_title() -> None:
    """A group of the legend is a column: two groups of three names take three rows, as a narrow page does."""

    def top(*groups: str) -> int:
        traces = [go.Scatter(name=f"{place}", legendgroup=group) for place, group in enumerate(groups)]
        return int(styled(go.Figure(traces)).layout.margin.t)

    assert top("a") < top("a", "b") == top("", "") < top("a", "a", "b") < top("a", "a", "a", "b", "b", "b")


def test_points_go_to_the_page_and_stay_for_the_next_one() -> None:
    view = Sent(figure("Scheme 1", "Scheme 2"), pause=0)
    began = state(view)["count"]
    view.append({"Scheme 2": ([200.0], [54.5])})
    view.append({"Scheme 2": ([200.0, 400.0], [55.5, 56.5]), "Scheme 1": ([200.0], [16.0])})
    first, second = view.messages
    assert first == (
        {"kind": "points", "before": began, "added": 1, "traces": [(1, 1)]},
        [array("d", [200.0, 54.5]).tobytes()],
    )
    assert (second[0]["before"], second[0]["added"]) == (began + 1, 3)
    assert state(view)["count"] == began + 4
    assert state(view)["data"][1]["x"] == [200.0, 200.0, 400.0]
    assert view.points("Scheme 1") == ([200.0], [16.0])


def test_points_that_come_quickly_go_together_and_none_is_lost() -> None:
    view = Sent(figure("S"), pause=0.05)
    gone = threading.Event()
    send = view.send

    def watched(content: Any, buffers: Any = None) -> None:
        send(content, buffers)
        if sum(message["added"] for message, _ in view.messages) == 100:
            gone.set()

    view.send = watched  # type: ignore[method-assign]
    for number in range(100):
        view.append({"S": ([float(number)], [0.0])})
    assert gone.wait(5)
    assert len(view.messages) < 50
    assert view.points("S")[0] == [float(number) for number in range(100)]


def test_another_figure_replaces_the_points_and_those_on_their_way() -> None:
    view = Sent(figure("S"), pause=60)
    view.append({"S": ([1.0], [1.0])})
    view.append({"S": ([2.0], [2.0])})
    assert view.points("S") == ([1.0, 2.0], [1.0, 2.0])
    view.show(figure("T", title="Other"))
    assert (view.series, view.points("T")) == (("T",), ([], []))
    assert view._timer is None


def test_a_page_that_has_missed_something_is_sent_everything() -> None:
    view = Sent(figure("S"), pause=0)
    view.append({"S": ([1.0], [1.0])})
    before = view.figure
    view._on_message(view, {"kind": "again"}, [])
    assert view.figure != before, "the state goes out once more"
    view._on_message(view, {"kind": "else"}, [])


def test_wrong_points_change_nothing() -> None:
    view = Sent(figure("S"), pause=0)
    with pytest.raises(ConfigurationError, match="no series 'T'; it has S"):
        view.append({"T": ([1.0], [1.0])})
    with pytest.raises(ConfigurationError, match="S: 2 x values and 1 y values"):
        view.append({"S": ([1.0, 2.0], [1.0])})
    assert (view.messages, view.points("S")) == ([], ([], []))


def test_plotly_is_sent_once_for_all_plots() -> None:
    one, two = Sent(figure("S")), Sent(figure("S"))
    assert one.source == two.source and one.ident != two.ident
    from mqttsec.widgets.plot import _source

    packed = _source().packed
    assert b"plotly.js v" in gzip.decompress(packed)[:200]
    assert len(packed) < 2_000_000
    assert "plotly.js v" not in str(one.get_state()), "not in every figure"


def test_a_closed_plot_takes_nothing() -> None:
    view = Sent(figure("S"), pause=60)
    view.append({"S": ([1.0], [1.0])})
    view.append({"S": ([2.0], [1.0])})
    sent = len(view.messages)
    view.close()
    view.close()
    view.append({"S": ([1.0], [1.0])})
    view.show(figure("T"))
    assert len(view.messages) == sent and view._timer is None


def test_arrays_of_numpy_are_lists_that_can_grow() -> None:
    made = go.Figure(go.Scatter(x=np.arange(3), y=np.array([0.5, 1.5, 2.5]), name="S"))
    view = Sent(made, pause=0)
    view.append({"S": ([3], [3.5])})
    assert view.points("S") == ([0, 1, 2, 3], [0.5, 1.5, 2.5, 3.5])


def test_a_page_without_a_kernel_gets_a_line_of_text() -> None:
    assert Sent(figure("S"))._repr_mimebundle_()["text/plain"] == "Plot: Delays"
    assert repr(Sent(figure("S"), name="Overhead")) == "Plot: Overhead"


def test_series_can_be_told_apart_without_colours() -> None:
    assert len({(look.dash, look.symbol) for look in STYLES}) == len(STYLES)
    assert len({look.pattern for look in STYLES}) == len(STYLES)
    assert style(len(STYLES)) == STYLES[0]

    def brightness(colour: str) -> float:
        red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
                  for part in (red, green, blue)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for look in STYLES:
        # WCAG 2 (1.4.11): 3 to 1, against white and against JupyterLab's dark page.
        assert 1.05 / (brightness(look.colour) + 0.05) >= 3.0, look.colour
        assert (brightness(look.colour) + 0.05) / (brightness("#111111") + 0.05) >= 3.0, look.colour


def test_a_figure_keeps_what_it_says_itself() -> None:
    made = styled(
        go.Figure(
            [
                go.Scatter(name="measured", legendgroup="1", mode="markers"),
                go.Scatter(name="model", legendgroup="1", line={"dash": "dot"}),
                go.Bar(name="bar", legendgroup="2", marker={"color": "#123456"}),
            ]
        )
    )
    measured, model, bar = made.data
    assert measured.marker.symbol == model.marker.symbol == STYLES[0].symbol
    assert (measured.line.dash, model.line.dash) == (STYLES[0].dash, "dot")
    assert (bar.marker.color, bar.marker.pattern.shape) == ("#123456", STYLES[1].pattern)
