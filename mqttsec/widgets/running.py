"""Run and Stop above a plot that grows: for a measurement in many small pieces.

    RunWidget(figure, pieces, name="Latency")      # pieces() yields (what was done, points)

The pieces are computed on a thread of the widget's own, one after another; Stop ends it after the present
one. Run begins anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import ipywidgets

from mqttsec.errors import MqttsecError
from mqttsec.widgets.names import PANEL, SAID, Names
from mqttsec.widgets.plot import PlotView, Points

if TYPE_CHECKING:
    import plotly.graph_objects as go

Pieces = Callable[[], Iterator[tuple[str, Points]]]
"""Each call begins the measurement anew; an item is a line about what was done, and new points."""

_BUTTON = ipywidgets.Layout(width="64px")
_PATIENCE = 10.0
"""Seconds for which `close` waits for the present piece."""


class RunWidget(ipywidgets.VBox):  # type: ignore[misc, unused-ignore]
    """Run, Stop, a line that says how far it is, and the plot."""

    def __init__(
        self,
        figure: Callable[[], go.Figure],
        pieces: Pieces,
        name: str,
        lock: threading.RLock | None = None,
    ) -> None:
        self._figure, self._pieces, self._name = figure, pieces, name
        self._lock = lock or threading.RLock()
        self._closed = False
        self._worker: threading.Thread | None = None
        self._halt = threading.Event()
        self.run = ipywidgets.Button(description="Run", button_style="primary", layout=_BUTTON)
        self.stop = ipywidgets.Button(description="Stop", disabled=True, layout=_BUTTON)
        self.state = ipywidgets.Label("not started: press Run")
        self.state.add_class(SAID)
        self.plot = PlotView(figure(), name)
        row = ipywidgets.HBox([self.run, self.stop, self.state])
        super().__init__([row, self.plot, Names()])
        self.add_class(PANEL)
        self.run.on_click(lambda _: self.start())
        self.stop.on_click(lambda _: self._halt.set())

    @property
    def running(self) -> bool:
        """True while pieces are computed."""
        return self._worker is not None and self._worker.is_alive()

    def start(self) -> None:
        """What Run does: begin anew, unless it is running."""
        with self._lock:
            if self._closed or self.running:
                return
            self._halt = threading.Event()
            self.plot.show(self._figure())
            self.run.disabled, self.stop.disabled = True, False
            self.state.value = "running"
            self._worker = threading.Thread(
                target=self._work, args=(self._halt,), name=f"mqttsec {self._name}", daemon=True
            )
            self._worker.start()

    def wait(self, seconds: float) -> bool:
        """Wait for the end; False if it has not come in time."""
        worker = self._worker
        if worker is not None:
            worker.join(seconds)
        return not self.running

    def _work(self, halt: threading.Event) -> None:
        said = "done"
        try:
            for done, points in self._pieces():
                if halt.is_set():
                    said = "stopped"
                    break
                self.plot.append(points)
                self._say(done)
        except MqttsecError as error:
            said = f"ended: {error}"
        with self._lock:
            if not self._closed:
                self.run.disabled, self.stop.disabled = False, True
                self.state.value = said

    def _say(self, words: str) -> None:
        with self._lock:
            if not self._closed:
                self.state.value = words

    def close(self) -> None:
        """Stop, and take the widget away; calling it twice does no harm."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._halt.set()
        self.wait(_PATIENCE)
        for child in (*self.children[0].children, *self.children):
            child.close()
        super().close()

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        live = super()._repr_mimebundle_(**options) or {}
        return {**live, "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"Plot: {self._name}"
