"""The figures of section VIII: what was measured, on the paper's printed values and on the latency model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttsec.anonymity.latency import RTTS_MS, latency_ms
from mqttsec.mqtta.experiments import results
from mqttsec.mqtta.experiments.statements import reference
from mqttsec.mqtta.experiments.sweep import P_FS, RTT_MS
from mqttsec.plots import styled

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_P_F = "forwarding probability p_f"
_MS = "mean latency, ms"


def _figure(title: str, x: str, y: str) -> go.Figure:
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(title={"text": title}, xaxis={"title": x}, yaxis={"title": y, "rangemode": "tozero"})
    return figure


def _points(
    figure: go.Figure, name: str, x: object, y: object, group: str = "", error: object = None
) -> None:
    more = {} if error is None else {"error_y": {"type": "data", "array": error}}
    figure.add_scatter(x=x, y=y, mode="markers", name=name, legendgroup=group or name, **more)


def _line(figure: go.Figure, name: str, x: object, y: object, group: str = "", **more: object) -> None:
    figure.add_scatter(x=x, y=y, mode="lines", name=name, legendgroup=group or name, **more)


def _printed(figure: go.Figure, name: str, x: object, y: object) -> None:
    figure.add_scatter(
        x=x,
        y=y,
        mode="markers",
        name=name,
        legendgroup="printed",
        marker={"symbol": "x-thin", "size": 11, "color": "#84857d", "line": {"width": 2, "color": "#84857d"}},
    )


def _band(figure: go.Figure, low: float, high: float, words: str) -> None:
    """A printed range of values."""
    figure.add_hrect(
        y0=low, y1=high, opacity=0.15, line_width=0, fillcolor="#84857d", annotation_text=words,
        annotation_position="top left",
    )  # fmt: skip


def goodput_figure(measured: pd.DataFrame, qos: int = 0) -> go.Figure:
    """Goodput lost of plain MQTT's against p_f, by sending rate; the band is what the paper prints."""
    table = results.goodput(measured)
    figure = _figure(f"Goodput lost, QoS {qos}, RTT {RTT_MS:g} ms", _P_F, "loss against MQTT, %")
    for rate, rows in table[table["qos"] == qos].groupby("rate_kB_per_s"):
        _points(figure, f"{rate:g} KB/s", rows["p_f"], rows["loss_percent"])
    low, high = (3, 5) if qos == 0 else (7, 10)
    _band(figure, low, high, f"printed: {low}-{high} % for almost all")
    return styled(figure)


def latency_figure(measured: pd.DataFrame, qos: int = 0) -> go.Figure:
    """Latency against p_f, by message size, on the model."""
    table = results.latency(measured)
    figure = _figure(f"Latency, QoS {qos}, RTT {RTT_MS:g} ms, both sides anonymous", _P_F, _MS)
    for size, rows in table[table["qos"] == qos].groupby("size_bytes"):
        _points(figure, f"{size} B", rows["p_f"], rows["latency_mean_ms"], error=rows["latency_error_ms"])
    x = [0.5 + 0.005 * step for step in range(81)]
    _line(figure, "model of the paper's figures", x, [latency_ms(p_f, RTT_MS, qos) for p_f in x])
    return styled(figure)


def sides_figure(measured: pd.DataFrame, qos: int = 0) -> go.Figure:
    """Latency with none, one and two anonymous sides, as multiples of plain MQTT's."""
    table = results.sides(measured)
    table = table[table["qos"] == qos]
    figure = _figure(f"Price of anonymity, QoS {qos}", _P_F, "latency over plain MQTT's")
    _points(figure, "both sides", table["p_f"], table["both_over_plain"])
    _points(figure, "one side", table["p_f"], table["one_over_plain"])
    _line(figure, "mean of both and none", table["p_f"], (1 + table["both_over_plain"]) / 2)
    _printed(figure, "printed, p_f = 0.67: below 3, below 1.5", [0.67, 0.67], [3, 1.5])
    return styled(figure)


def rtt_figure(measured: pd.DataFrame, qos: int = 0) -> go.Figure:
    """Latency against the round-trip time, on the model."""
    table = results.by_rtt(measured)
    figure = _figure(f"Latency by round-trip time, QoS {qos}", "RTT between brokers, ms", _MS)
    for p_f, rows in table[table["qos"] == qos].groupby("p_f"):
        _points(figure, f"p_f = {p_f:g}", rows["rtt_ms"], rows["latency_mean_ms"], group=str(p_f))
        _line(figure, f"model, {p_f:g}", rows["rtt_ms"], rows["model_ms"], group=str(p_f))
    return styled(figure)


def rtt_goodput_figure(measured: pd.DataFrame) -> go.Figure:
    """Goodput over sending rate against the round-trip time; p_f = 0.9, 1 KB/s."""
    table = results.by_rtt(measured).dropna(subset=["goodput_over_rate"])
    figure = _figure(
        "Goodput by round-trip time, p_f = 0.9, 1 KB/s", "RTT between brokers, ms", "share of the rate, %"
    )
    for qos, rows in table.groupby("qos"):
        _points(figure, f"QoS {qos:g}", rows["rtt_ms"], 100 * rows["goodput_over_rate"])
    _printed(figure, "printed, QoS 2: about 65 %", [max(RTTS_MS)], [65])
    return styled(figure)


def largest_figure(measured: pd.DataFrame, qos: int = 0) -> go.Figure:
    """The largest p_f that each class of applications bears, by round-trip time."""
    table = results.largest(measured)
    figure = _figure(
        f"Largest p_f, QoS {qos}", "RTT between brokers, ms", "largest p_f (0.9: the largest tried)"
    )
    for name, rows in table[table["qos"] == qos].groupby("application", sort=False):
        _points(figure, str(name), rows["rtt_ms"], rows["largest_p_f"], group=str(name))
        _line(figure, f"model, {name}", rows["rtt_ms"], rows["model_p_f"], group=str(name), showlegend=False)
    if qos == 0:
        _printed(figure, "printed: 0.842", [40], [0.842])
    else:
        _printed(figure, "printed: 0.873", [260], [0.873])
    return styled(figure)


def collaborators_figure(measured: pd.DataFrame) -> go.Figure:
    """Latency of resisting a share of collaborators: hyperbolic, with its pole at one half."""
    table = results.collaborators(measured)
    figure = _figure("The price of resisting collaborators, QoS 0", "share c/n of collaborators", _MS)
    _points(figure, "measured", table["share"], table["latency_mean_ms"])
    _line(figure, "model", table["share"], table["model_ms"])
    return styled(figure)


def path_length_figure(measured: pd.DataFrame) -> go.Figure:
    """Mean hops of one side, as the measured latencies say, on Table II."""
    printed = reference("buccafurri2023_path_length.csv")
    figure = _figure("Mean path length", _P_F, "hops to the public broker")
    table = results.latency(measured)
    table = table[(table["qos"] == 0) & (table["size_bytes"] == 1000)]
    # Without time in the brokers each hop is half a round trip, and both sides have as many.
    _points(figure, "from the measured latency", table["p_f"], table["latency_mean_ms"] / RTT_MS)
    _line(figure, "1/(1 - p_f) + 1", list(P_FS), [1 / (1 - p_f) + 1 for p_f in P_FS])
    _printed(
        figure,
        "printed, Table II",
        [float(row["p_f"]) for row in printed],
        [float(row["mean_path_length_printed"]) for row in printed],
    )
    return styled(figure)


def all_figures(measured: pd.DataFrame) -> dict[str, go.Figure]:
    """Every figure by a name for its file."""
    found = {
        f"{name}_qos{qos}": make(measured, qos)
        for name, make in (
            ("goodput", goodput_figure),
            ("latency", latency_figure),
            ("sides", sides_figure),
            ("rtt", rtt_figure),
            ("largest_p_f", largest_figure),
        )
        for qos in (0, 2)
    }
    found["rtt_goodput"] = rtt_goodput_figure(measured)
    found["collaborators"] = collaborators_figure(measured)
    found["path_length"] = path_length_figure(measured)
    return found
