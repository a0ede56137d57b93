"""How every plot of this project looks: series that can be told apart in print, on paper and on a dark page.

A figure is plain `plotly`, made by a function of a `DataFrame`; `styled` gives its series the look. plotly
itself is imported when a figure is asked for: `import mqttsec.plots` costs nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Style:
    """How one series is drawn. Dash, symbol and pattern alone tell it from the others."""

    colour: str
    """Between black and white, so that it stands out from either."""
    dash: str
    """Of its line."""
    symbol: str
    """Of its points."""
    pattern: str
    """Of its bars."""


STYLES = (
    Style("#2f7fc4", "solid", "circle", ""),
    Style("#d9731a", "dash", "square", "/"),
    Style("#279467", "dot", "diamond", "."),
    Style("#b4559f", "dashdot", "triangle-up", "x"),
    Style("#84857d", "longdash", "cross", "-"),
    Style("#a17d12", "longdashdot", "star", "|"),
    Style("#4f7f95", "5px,2px", "hexagon", "+"),
    Style("#cf5358", "2px,6px", "triangle-down", "\\"),
)
"""By the place of a series in its figure; the ninth looks like the first."""


def style(place: int) -> Style:
    """The look of the series at `place`, counted from 0."""
    return STYLES[place % len(STYLES)]


def styled(figure: go.Figure) -> go.Figure:
    """The same figure, each series in its style as far as the figure does not say itself; returns it.

    Series of one `legendgroup` share a style: a measurement and its model differ in what they set.
    """
    places: dict[str, int] = {}
    for number, trace in enumerate(figure.data):
        place = places.setdefault(trace.legendgroup or f"#{number}", len(places))
        _dress(trace, style(place))
    # The title at the top, the legend between it and the plot.
    named = [trace for trace in figure.data if trace.showlegend is not False]
    groups = Counter(trace.legendgroup or f"#{number}" for number, trace in enumerate(named))
    # What belongs to one group stands below each other, however wide the page is.
    rows = max([_legend_rows([str(trace.name or "") for trace in named]), *groups.values()]) if named else 0
    top = 52 + 20 * (rows if len(named) > 1 else 0)
    figure.update_layout(template="none", margin={"l": 64, "r": 16, "t": top, "b": 52})
    title = {"x": 0.0, "xref": "paper", "xanchor": "left", "font": {"size": 15}}
    figure.update_layout(title={**title, "y": 1.0, "yref": "container", "yanchor": "top", "pad": {"t": 14}})
    figure.update_layout(legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0.0, "title": ""})
    figure.update_xaxes(automargin=True, zeroline=False)
    figure.update_yaxes(automargin=True, zeroline=False)
    return figure


def _legend_rows(names: list[str]) -> int:
    """Rows of a legend whose columns are as wide as its longest name, on a screen of 1280 pixels."""
    columns = min(4, max(1, 760 // (46 + 7 * max(map(len, names)))))
    return -(-len(names) // columns)


def _dress(trace: Any, look: Style) -> None:
    if trace.type == "bar":
        wanted: dict[str, Any] = {"marker": {"color": look.colour}}
        if look.pattern:
            wanted["marker"]["pattern"] = {"shape": look.pattern}
    elif trace.type == "scatter":
        wanted = {"line": {"color": look.colour, "dash": look.dash}}
        wanted["marker"] = {"color": look.colour, "symbol": look.symbol, "size": 8}
    else:
        return
    for part, values in wanted.items():
        said = trace[part].to_plotly_json()
        trace.update({part: {name: value for name, value in values.items() if name not in said}})
