"""A plot that grows while something is measured: a thin view of our own over plotly.js.

    view = PlotView(figure)                       # a plotly.graph_objects.Figure
    view.append({"Scheme 1": ([200], [16.2])})    # by the name of the series; any thread, at any rate
    view.show(other_figure)                       # redrawn in place

plotly.js is that of the installed package: it goes to the page once, works offline, and is never saved
in a notebook. A page that is reloaded gets everything from here again. plotly's own `FigureWidget`
brings 5 MB for every figure and forgets its points on reload.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
import threading
import time
import uuid
from array import array
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets
import traitlets

from mqttsec.errors import ConfigurationError
from mqttsec.plots import styled

if TYPE_CHECKING:
    import plotly.graph_objects as go

HEIGHT = 420
"""Pixels of a plot that says no other height."""
PAUSE = 0.1
"""Seconds between two messages with points: what comes meanwhile goes together."""

Points = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""Name of a series to (x values, y values), equally many."""


class _Source(ipywidgets.Widget):  # type: ignore[misc, unused-ignore]
    """plotly.js in a model without a view; packed, it stays below Jupyter's limit of bytes a second."""

    packed = traitlets.Bytes().tag(sync=True)


_sources: list[_Source] = []


def _source() -> _Source:
    """The one of this kernel, alive: `Widget.close_all()` may have closed it."""
    if not _sources or _sources[-1].comm is None:
        _sources[:] = [_Source(packed=_packed())]
    return _sources[-1]


@cache
def _packed() -> bytes:
    from plotly.offline import get_plotlyjs

    return gzip.compress(get_plotlyjs().encode(), 6, mtime=0)


class PlotView(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
    """A figure in the page. Every method may be called on any thread; after `close` they do nothing.

    Args:
        figure: what to show; its series get the project's look where it sets none.
        name: what the plot is about: its `repr`, and what a screen reader says.
        pause: seconds that points are collected before they go to the page.
    """

    _esm = (Path(__file__).parent / "plot.js").read_text(encoding="utf-8")
    figure = traitlets.Dict().tag(sync=True, to_json=lambda value, view: view._state())
    """The figure as the page knows it; what was appended is added when the page asks."""
    source = traitlets.Unicode().tag(sync=True)
    """The model that has plotly.js."""
    ident = traitlets.Unicode().tag(sync=True)
    """Tells it from the other plots of the page."""
    description = traitlets.Unicode().tag(sync=True)
    """For screen readers."""

    def __init__(self, figure: go.Figure, name: str = "", *, pause: float = PAUSE) -> None:
        self._guard = threading.RLock()
        self._closed = False
        self._pause = pause
        self._waiting: dict[int, tuple[array[float], array[float]]] = {}
        self._timer: threading.Timer | None = None
        self._last = -math.inf
        self._count = 0
        self._take(figure)
        self._name = name or _title(self._plain)
        super().__init__(
            source=f"IPY_MODEL_{_source().model_id}", ident=uuid.uuid4().hex, description=self._name,
            figure={"revision": 0},
        )  # fmt: skip
        self.on_msg(self._on_message)

    # -- what is shown ----------------------------------------------------------------------------

    def show(self, figure: go.Figure) -> None:
        """Redraw with another figure; the reader's zoom stays."""
        with self._guard:
            if not self._closed:
                self._stop_waiting()
                self._take(figure)
                self._send_all()

    def append(self, points: Points) -> None:
        """Add points to series by name.

        Raises `ConfigurationError` for a series that the figure has not, or x and y of different lengths.
        """
        with self._guard:
            if self._closed:
                return
            checked = {self._place(name): (array("d", x), array("d", y)) for name, (x, y) in points.items()}
            for name, (x, y) in points.items():
                if len(x) != len(y):
                    raise ConfigurationError(
                        f"{name}: {len(x)} x values and {len(y)} y values; give equally many"
                    )
            for place, (x_values, y_values) in checked.items():
                waiting = self._waiting.setdefault(place, (array("d"), array("d")))
                waiting[0].extend(x_values)
                waiting[1].extend(y_values)
            if self._timer is None and self._waiting:
                rest = self._last + self._pause - time.monotonic()
                if rest <= 0:
                    self._flush()
                else:
                    self._timer = threading.Timer(rest, self._on_time)
                    self._timer.daemon = True
                    self._timer.start()

    def points(self, name: str) -> tuple[list[float], list[float]]:
        """(x values, y values) of a series, those included that are on their way to the page.

        Raises `ConfigurationError` for a series that there is not.
        """
        with self._guard:
            place = self._place(name)
            trace, waiting = self._plain["data"][place], self._waiting.get(place, ((), ()))
            return [*trace.get("x", ()), *waiting[0]], [*trace.get("y", ()), *waiting[1]]

    @property
    def series(self) -> tuple[str, ...]:
        """The names of the series."""
        return tuple(str(trace.get("name", "")) for trace in self._plain["data"])

    def close(self) -> None:
        """Take the plot away; twice does no harm."""
        with self._guard:
            if not self._closed:
                self._closed = True
                self._stop_waiting()
                super().close()

    # -- to the page ------------------------------------------------------------------------------

    def _take(self, figure: go.Figure) -> None:
        plain: dict[str, Any] = json.loads(styled(figure).to_json(engine="json"))
        plain.get("layout", {}).pop("template", None)
        plain["layout"].setdefault("height", HEIGHT)
        for trace in plain["data"]:
            for axis in ("x", "y"):
                if isinstance(trace.get(axis), dict):
                    trace[axis] = _unpacked(trace[axis])
        self._plain = plain
        self._count += 1

    def _state(self) -> dict[str, Any]:
        return {"data": self._plain["data"], "layout": self._plain["layout"], "count": self._count}

    def _send_all(self) -> None:
        # A dictionary that is equal to the last one would not be sent.
        self.figure = {"revision": self.figure.get("revision", 0) + 1}

    def _flush(self) -> None:
        """Send what waits, and make it part of the figure."""
        waiting, self._waiting = self._waiting, {}
        traces, buffers, added = [], [], 0
        for place, (x, y) in waiting.items():
            trace = self._plain["data"][place]
            trace["x"] = [*trace.get("x", ()), *x]
            trace["y"] = [*trace.get("y", ()), *y]
            traces.append((place, len(x)))
            buffers.append((x + y).tobytes())
            added += len(x)
        message = {"kind": "points", "before": self._count, "added": added, "traces": traces}
        self._count += added
        self._last = time.monotonic()
        self.send(message, buffers)

    def _on_time(self) -> None:
        with self._guard:
            self._timer = None
            if not self._closed and self._waiting:
                self._flush()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting = {}

    def _on_message(self, _: object, content: object, buffers: object) -> None:
        if isinstance(content, dict) and content.get("kind") == "again":
            with self._guard:
                if not self._closed:
                    self._send_all()

    def _place(self, name: str) -> int:
        names = self.series
        if name not in names:
            raise ConfigurationError(f"the plot has no series {name!r}; it has {', '.join(names)}")
        return names.index(name)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        live = super()._repr_mimebundle_(**options)
        bundle = live[0] if isinstance(live, tuple) else live
        return {**(bundle or {}), "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"Plot: {self._name}"


def _title(plain: dict[str, Any]) -> str:
    title = plain["layout"].get("title", {})
    return str(title.get("text", "")) if isinstance(title, dict) else str(title)


def _unpacked(packed: dict[str, Any]) -> list[float]:
    """plotly packs numpy arrays; a list can grow."""
    import numpy as np

    values: list[float] = np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"]).tolist()
    return values
