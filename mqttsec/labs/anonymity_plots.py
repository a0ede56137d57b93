"""The plots of lab 07: plotly figures made by functions of a DataFrame (`anonymity_runs` makes them)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from mqttsec.anonymity.latency import BOUNDS_MS
from mqttsec.plots import style

if TYPE_CHECKING:
    import pandas

_GREY = "#84857d"


def compared(frame: pandas.DataFrame, x: str, y: str, apart: float = 0.0) -> go.Figure:
    """Formula as a line, simulation as a band, the network as points with error bars, in one style a series.

    Columns: x, series, source (`formula`, `simulation`, `network`), value, low, high. Points of one x but
    different series stand `apart`, so that their error bars can be told from each other.
    """
    figure = go.Figure()
    for place, (series, rows) in enumerate(frame.groupby("series", sort=False)):
        look = style(place)
        parts = dict(list(rows.groupby("source")))
        band = parts["simulation"]
        around = [*band["high"], *band["low"][::-1]]
        figure.add_scatter(
            x=[*band["x"], *band["x"][::-1]], y=around, fill="toself", mode="lines",
            line={"width": 0}, fillcolor=faint(look.colour), hoverinfo="skip",
            name=f"{series}, simulated, 95 %", legendgroup=series,
        )  # fmt: skip
        exact = parts["formula"]
        figure.add_scatter(
            x=list(exact["x"]), y=list(exact["value"]), mode="lines", name=f"{series}, formula",
            line={"color": look.colour, "dash": look.dash, "width": 2}, legendgroup=series,
        )  # fmt: skip
        seen = parts.get("network")
        if seen is not None:
            figure.add_scatter(
                x=list(seen["x"] + place * apart), y=list(seen["value"]), mode="markers",
                name=f"{series}, real network", legendgroup=series,
                marker={"color": look.colour, "symbol": look.symbol, "size": 9},
                error_y={
                    "type": "data", "symmetric": False, "array": list(seen["high"] - seen["value"]),
                    "arrayminus": list(seen["value"] - seen["low"]), "color": look.colour,
                },
            )  # fmt: skip
    _axes(figure, x, y)
    figure.update_yaxes(range=[0, 1.02])
    return figure


def one_path(frame: pandas.DataFrame, p_f: float) -> go.Figure:
    """P(H1+) and P(I|H1+) over p_f; the p_f that was chosen, and the line of probable innocence."""
    figure = compared(frame, "forwarding probability p_f", "probability", apart=0.006)
    _title(figure, "One path: P(H1+) and P(I|H1+)")
    _level(figure, 0.5, "probable innocence")
    figure.add_shape(
        type="line",
        x0=p_f,
        x1=p_f,
        yref="paper",
        y0=0,
        y1=1,
        line={"color": _GREY, "width": 1, "dash": "dot"},
    )
    figure.update_xaxes(range=[0, 0.97])
    return figure


def over_time(frame: pandas.DataFrame) -> go.Figure:
    """P(named) over messages."""
    figure = compared(frame, "messages sent", "P(named)", apart=0.35)
    _title(figure, "Named over time")
    _level(figure, 0.95, "95 %")
    return figure


def costs(frame: pandas.DataFrame) -> go.Figure:
    """Latency over the share of collaborators that is resisted, with the applications' bounds."""
    figure = lines(frame, "share of collaborators c/n", "mean latency, ms")
    _title(figure, "Latency that resists a share of collaborators")
    for application, bound in BOUNDS_MS.items():
        _level(figure, bound, application)
    figure.update_xaxes(range=[0, 0.5])
    figure.update_yaxes(range=[0, 3600])
    return figure


def limits(frame: pandas.DataFrame) -> go.Figure:
    """The largest p_f over the round-trip time."""
    figure = lines(frame, "RTT, ms", "largest p_f", mode="lines+markers")
    _title(figure, "Largest p_f within each application's bound")
    figure.update_yaxes(range=[0, 1])
    return figure


def lines(frame: pandas.DataFrame, x: str, y: str, mode: str = "lines") -> go.Figure:
    """A line a series. Columns: x, series, value."""
    figure = go.Figure()
    for series, rows in frame.groupby("series", sort=False):
        figure.add_scatter(x=list(rows["x"]), y=list(rows["value"]), mode=mode, name=series)
    _axes(figure, x, y)
    return figure


def faint(colour: str) -> str:
    """`#rrggbb`, nearly transparent."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.28)"


def _title(figure: go.Figure, words: str) -> None:
    figure.update_layout(title={"text": words})


def _axes(figure: go.Figure, x: str, y: str) -> None:
    figure.update_xaxes(title={"text": x})
    figure.update_yaxes(title={"text": y})


def _level(figure: go.Figure, value: float, words: str) -> None:
    """A thin horizontal line with its name; it has no colour of its own, so that both themes show it."""
    shape: dict[str, Any] = {"color": _GREY, "width": 1, "dash": "dot"}
    figure.add_shape(type="line", xref="paper", x0=0, x1=1, y0=value, y1=value, line=shape)
    figure.add_annotation(
        xref="paper", x=0.005, y=value, text=words, showarrow=False, xanchor="left", yanchor="bottom",
    )  # fmt: skip
