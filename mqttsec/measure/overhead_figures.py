"""Plots of the overhead, as functions of rows or of a `DataFrame` of them: `plotly` figures in our look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from mqttsec.crypto import SUITES
from mqttsec.e2e.schemes import SCHEMES, Mode
from mqttsec.e2e.setup import Setup
from mqttsec.measure.cost_model import Costs, predict
from mqttsec.measure.experiments import FLOOD, SINGLE, Row
from mqttsec.measure.overhead_report import ORDER, SINGLE_CIPHERTEXT, figure
from mqttsec.measure.recorded import PAPER, lines
from mqttsec.plots import styled

if TYPE_CHECKING:
    import plotly.graph_objects as go

NAMES = {number: f"Scheme {number}" for number in SCHEMES}
PLACES = {1: 0, 4: 1, 3: 2, 2: 3}
"""Schemes are drawn in the order of their cost."""


def cost_figure(rows: Sequence[Row], experiment: str = SINGLE) -> go.Figure:
    """The broker's processor time per delivery: a bar a contestant, with its lowest and highest round."""
    import plotly.graph_objects as go

    names = list(dict.fromkeys(row.contestant for row in rows if row.experiment == experiment))
    size = max((row.subscribers for row in rows), default=0)
    found = {
        name: figure(rows, "broker_cpu_us", contestant=name, experiment=experiment, subscribers=size)
        for name in names
    }
    there = {name: value for name, value in found.items() if value is not None}
    bars = go.Bar(
        x=list(there),
        y=[value.median for value in there.values()],
        error_y={
            "type": "data",
            "array": [value.high - value.median for value in there.values()],
            "arrayminus": [value.median - value.low for value in there.values()],
        },
        name="median of the rounds; whiskers: lowest and highest",
    )
    title = f"Processor time of the broker per delivery, {experiment}, n = {size}"
    return _titled(go.Figure(bars), title, "", "microseconds")


def throughput_figure(rows: Sequence[Row]) -> go.Figure:
    """Deliveries per second in a flood: a bar a contestant."""
    import plotly.graph_objects as go

    names = list(dict.fromkeys(row.contestant for row in rows if row.experiment == FLOOD))
    found = {name: figure(rows, "deliveries_per_s", contestant=name, experiment=FLOOD) for name in names}
    there = {name: value.median for name, value in found.items() if value is not None}
    bars = go.Bar(x=list(there), y=list(there.values()), name="median of the rounds")
    return _titled(go.Figure(bars), "Deliveries per second in a flood", "", "deliveries/s")


def delay_figure(rows: Sequence[Row]) -> go.Figure:
    """Publish to receive at the largest n: minimum, median, mean and 95th percentile of each contestant."""
    import plotly.graph_objects as go

    single = [row for row in rows if row.experiment == SINGLE and not row.note]
    size = max((row.subscribers for row in single), default=0)
    names = list(dict.fromkeys(row.contestant for row in single if row.subscribers == size))
    made = go.Figure()
    for column, title in (
        ("min_us", "minimum"),
        ("median_us", "median"),
        ("mean_us", "mean"),
        ("p95_us", "95 %"),
    ):
        values = [figure(single, column, contestant=name, subscribers=size) for name in names]
        made.add_scatter(
            x=names, y=[value.median / 1e3 if value else None for value in values], name=title, mode="markers"
        )
    return _titled(made, f"Publish to receive, n = {size}", "", "milliseconds (logarithmic)").update_yaxes(
        type="log"
    )


def growth_figure(rows: Sequence[Row], column: str = "min_us") -> go.Figure:
    """How a delay grows with n, by scheme, one ciphertext for all."""
    import plotly.graph_objects as go

    sizes = sorted(
        {row.subscribers for row in rows if row.mode == SINGLE_CIPHERTEXT and row.suite == "paper"}
    )
    made = go.Figure()
    for number in ORDER:
        where = {"experiment": SINGLE, "mode": SINGLE_CIPHERTEXT, "suite": "paper", "scheme": number}
        values = [figure(rows, column, subscribers=size, **where) for size in sizes]
        made.add_scatter(
            x=sizes,
            y=[value.median / 1e3 if value else None for value in values],
            name=NAMES[number],
            mode="lines+markers",
        )
    what = {"min_us": "The quickest delivery", "mean_us": "The mean delivery"}.get(column, column)
    return _titled(made, f"{what} by number of subscribers", "subscribers", "milliseconds")


def scaled(means: Mapping[int, float]) -> dict[int, float]:
    """Means by scheme, Scheme 1 = 1."""
    return {number: value / means[1] for number, value in means.items()} if means.get(1) else {}


def paper_means(subscribers: int) -> dict[str, dict[int, float]]:
    """The paper's printed means by scheme, milliseconds, of each of its tables for so many subscribers."""
    tables: dict[str, dict[int, float]] = {}
    for line in lines(PAPER):
        if line["subscribers"] == str(subscribers):
            tables.setdefault(line["table"], {})[int(line["scheme"])] = float(line["mean_ms"])
    return tables


def model_means(costs: Costs, subscribers: int, payload: int, suite: str = "paper") -> dict[int, float]:
    """The model's means by scheme, microseconds, one ciphertext for all."""
    return {
        number: predict(
            costs, Setup(number, suite=suite, mode=Mode.SINGLE_CIPHERTEXT), subscribers, payload
        ).mean_us
        for number in SCHEMES
    }


def measured_means(rows: Sequence[Row], subscribers: int, suite: str = "paper") -> dict[int, float]:
    """The measured means by scheme, microseconds, one ciphertext for all; those that there are."""
    where = {"experiment": SINGLE, "mode": SINGLE_CIPHERTEXT, "suite": suite, "subscribers": subscribers}
    found = {number: figure(rows, "mean_us", scheme=number, **where) for number in SCHEMES}
    return {number: value.median for number, value in found.items() if value is not None}


def paper_figure(
    rows: Sequence[Row], costs: Costs, subscribers: int, payload: int = 1024, measured: str = "measured here"
) -> go.Figure:
    """Model, measurement (called `measured`) and the paper's printed means, each with Scheme 1 = 1."""
    import plotly.graph_objects as go

    series = {"model": model_means(costs, subscribers, payload)}
    own = measured_means(rows, subscribers)
    if own:
        series[measured] = own
    series |= {f"paper, table {name}": means for name, means in paper_means(subscribers).items()}
    made = go.Figure()
    for name, means in series.items():
        relative = scaled(means)
        made.add_bar(
            x=[NAMES[number] for number in ORDER if number in relative],
            y=[relative[number] for number in ORDER if number in relative],
            name=name,
        )
    title = f"Mean delay, Scheme 1 = 1, n = {subscribers}, one ciphertext for all"
    return _titled(made, title, "", "times Scheme 1")


def primitive_figure(costs: Costs, suites: Iterable[str] = ("paper", "aes-gcm", "aes-gcm-gmac")) -> go.Figure:
    """Encrypting and tagging (EI) beside tagging alone (I), by size."""
    import plotly.graph_objects as go

    made = go.Figure()
    for suite in suites:
        for what, title in (("seal", "EI"), ("mac", "I")):
            points = [(row.bytes, row.us) for row in costs.rows if (row.what, row.suite) == (what, suite)]
            made.add_scatter(
                x=[size for size, _ in points],
                y=[us for _, us in points],
                name=f"{title} {suite}: {SUITES[suite].title if what == 'seal' else 'tag only'}",
                mode="lines+markers",
            )
    made = _titled(made, "One layer put on", "bytes (logarithmic)", "microseconds (logarithmic)")
    return made.update_xaxes(type="log").update_yaxes(type="log")


def _titled(made: go.Figure, title: str, x: str, y: str) -> go.Figure:
    made.update_layout(title=title, xaxis_title=x, yaxis_title=y)
    made.update_yaxes(rangemode="tozero")
    return styled(made)
