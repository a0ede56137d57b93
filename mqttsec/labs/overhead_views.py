"""What lab 04 shows of costs: the model's table for a choice of settings, and the plot under the sliders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mqttsec.e2e.schemes import SCHEMES, Mode, operations
from mqttsec.e2e.setup import Setup
from mqttsec.e2e.terms import Role
from mqttsec.labs.overhead_run import Settings, newest
from mqttsec.measure.cost_model import Costs, Prediction, predict
from mqttsec.measure.experiments import Row
from mqttsec.measure.overhead_figures import NAMES
from mqttsec.measure.overhead_report import ORDER
from mqttsec.plots import styled
from mqttsec.widgets.look import block, text
from mqttsec.widgets.table import Cell, Table

if TYPE_CHECKING:
    import plotly.graph_objects as go

CPU, MEAN, LEAST = "broker CPU per message, us", "mean delay, us", "minimum delay, us"
SHOWN = (CPU, MEAN, LEAST)
"""What the live plot can show."""


@dataclass(frozen=True, repr=False)
class CostView:
    """The model's word on one Application Message, scheme by scheme."""

    predictions: tuple[Prediction, ...]
    """By scheme."""

    def table(self) -> Table:
        """One row a scheme."""
        rows = []
        for found in self.predictions:
            counted = operations(SCHEMES[found.scheme], Mode(found.mode), found.subscribers)
            rows.append(
                (
                    found.scheme,
                    str(counted[Role.P]),
                    str(counted[Role.B]),
                    round(found.publisher_us),
                    round(found.crypto_us),
                    round(found.broker_cpu_us * found.subscribers),
                    round(found.mean_us),
                    round(found.min_us),
                )
            )
        first = self.predictions[0]
        title = (
            f"one message of {first.payload_bytes} bytes to {first.subscribers}, {first.suite}, "
            f"{first.mode}: the model, from recorded costs"
        )
        columns = ("scheme", "P computes", "B computes", "P crypto us", "B crypto us", "B in all us",
                   "mean delay us", "min delay us")  # fmt: skip
        return Table(columns, tuple(rows), title)

    def html(self) -> str:
        """The table, and bars of what the broker computes."""
        return f"{self.table().html()}<br>{self.picture()}"

    def picture(self) -> str:
        """Bars: the broker's work in all, and the part of it that is cryptography."""
        totals = [found.broker_cpu_us * found.subscribers for found in self.predictions]
        widest, lines = max(totals), []
        for place, (found, total) in enumerate(zip(self.predictions, totals, strict=True)):
            y, whole = 22 + 26 * place, 560 * total / widest
            crypto = 560 * found.crypto_us / widest
            lines.append(
                f'<text x="0" y="{y + 13}" font-size="13" fill="currentColor">Scheme {found.scheme}</text>'
                f'<rect x="80" y="{y}" width="{whole:.1f}" height="17" fill="none" stroke="currentColor"/>'
                f'<rect x="80" y="{y}" width="{crypto:.1f}" height="17" fill="currentColor" '
                'fill-opacity="0.55"/>'
                f'<text x="{88 + whole:.1f}" y="{y + 13}" font-size="12" fill="currentColor">'
                f"{total:.0f} us</text>"
            )
        said = "; ".join(
            f"Scheme {found.scheme} {total:.0f} us, of it cryptography {found.crypto_us:.0f} us"
            for found, total in zip(self.predictions, totals, strict=True)
        )
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 130" width="760" height="130" '
            'role="img" style="max-width:100%;height:auto"><title>The broker\'s work for one message</title>'
            f"<desc>{text(said)}</desc>"
            '<text x="80" y="14" font-size="12" fill="currentColor">the broker\'s work for one message; '
            f"shaded: cryptography</text>{''.join(lines)}</svg>"
        )

    def text(self) -> str:
        """The table as text."""
        return repr(self.table())

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return block(self.html())


def costs_view(costs: Costs, subscribers: int, payload: int, suite: str, mode: str) -> CostView:
    """The view for a choice of settings. Raises `ConfigurationError` for one that there is not."""
    setups = (Setup(number, suite=suite, mode=Mode(mode)) for number in SCHEMES)
    return CostView(tuple(predict(costs, setup, subscribers, payload) for setup in setups))


def value(row: Row, shown: str) -> float:
    """The figure of a measured row that a plot shows."""
    if shown == CPU:
        return (row.broker_cpu_us or 0.0) * row.subscribers
    return (row.mean_us if shown == MEAN else row.min_us) or 0.0


def predicted(found: Prediction, shown: str) -> float:
    """The same of the model."""
    if shown == CPU:
        return found.broker_cpu_us * found.subscribers
    return found.mean_us if shown == MEAN else found.min_us


def live_figure(rows: Iterable[Row], settings: Settings, shown: str, costs: Costs, most: int) -> go.Figure:
    """Measured points over the model's lines, by number of subscribers, for these settings."""
    import plotly.graph_objects as go

    fitting = [row for row in newest(list(rows)) if settings.fits(row)]
    made = go.Figure()
    sizes = sorted({1, *(most * part // 8 for part in range(1, 9))})
    wanted = ORDER if settings.scheme == "all" else (int(settings.scheme),)
    for number in wanted:
        setup = Setup(number, suite=settings.suite, mode=Mode(settings.mode))
        line = [predicted(predict(costs, setup, size, settings.payload), shown) for size in sizes]
        own = [row for row in fitting if row.scheme == number]
        made.add_scatter(
            x=[row.subscribers for row in own], y=[value(row, shown) for row in own], name=NAMES[number],
            mode="markers", legendgroup=NAMES[number],
        )  # fmt: skip
        made.add_scatter(
            x=sizes, y=line, name=f"{NAMES[number]}, model", mode="lines", legendgroup=NAMES[number],
            line={"width": 1.5},
        )  # fmt: skip
    for name in dict.fromkeys(row.contestant for row in fitting if row.scheme is None):
        own = [row for row in fitting if row.contestant == name]
        made.add_scatter(
            x=[row.subscribers for row in own], y=[value(row, shown) for row in own], name=name,
            mode="markers", legendgroup=name,
        )  # fmt: skip
    made.update_layout(
        title=f"{shown}: {settings.payload} bytes, {settings.suite}, {settings.mode}, QoS {settings.qos}",
        xaxis={"title": "subscribers", "range": [0, most * 1.03]},
        yaxis={"title": shown, "rangemode": "tozero"},
    )
    return styled(made)


def measured_table(rows: Sequence[Row], title: str) -> Table:
    """Medians over the rounds of a run, one row a contestant and size."""
    from mqttsec.measure.overhead_report import figure

    lines: list[tuple[Cell, ...]] = []
    seen = dict.fromkeys(
        (row.contestant, row.subscribers, row.payload_bytes, row.qos) for row in newest(rows)
    )
    for name, n, payload, qos in seen:
        where = {"contestant": name, "subscribers": n, "payload_bytes": payload, "qos": qos}
        cells = [
            figure(newest(rows), column, **where)
            for column in ("broker_cpu_us", "mean_us", "min_us", "p95_us")
        ]
        shown = [f"{cell.median:.1f}" if cell else "" for cell in cells]
        lines.append((name, n, payload, qos, *shown))
    columns = ("contestant", "n", "bytes", "QoS", "B CPU us/delivery", "mean us", "min us", "p95 us")
    return Table(columns, tuple(lines), title)
