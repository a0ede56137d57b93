"""Start, Stop, a progress bar, settings, and a plot into which points stream: the live part of lab 04."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import ipywidgets

from mqttsec.errors import ConfigurationError
from mqttsec.widgets.explorer import Choice, Control
from mqttsec.widgets.names import PANEL, SAID, Names
from mqttsec.widgets.plot import PlotView, Points
from mqttsec.widgets.shell import _slider

if TYPE_CHECKING:
    import plotly.graph_objects as go

_BUTTON = ipywidgets.Layout(width="74px")


class Model(Protocol):
    """What the meter drives."""

    def figure(self) -> go.Figure:
        """The plot for the settings of the moment, with all that was measured for them."""

    def html(self) -> str:
        """What stands under it."""

    def set(self, **values: Any) -> None:
        """Change settings."""

    def start(self, meter: MeterWidget) -> None:
        """Begin to measure; tells `meter` by its `came` and `ended`. Raises `ConfigurationError`."""

    def stop(self) -> None:
        """End it; returns when it has ended."""

    def clear(self) -> None:
        """Forget what was measured."""


class MeterWidget(ipywidgets.VBox):  # type: ignore[misc, unused-ignore]
    """Controls above a plot. `came` and `ended` may be called on any thread."""

    def __init__(
        self,
        model: Model,
        controls: Sequence[Control | Choice],
        name: str,
        lock: threading.RLock | None = None,
    ) -> None:
        self.model = model
        self._name = name
        self._lock = lock or threading.RLock()
        self._closed = False
        self.start = ipywidgets.Button(description="Start", layout=_BUTTON, button_style="primary")
        self.stop = ipywidgets.Button(description="Stop", layout=_BUTTON, disabled=True)
        self.reset = ipywidgets.Button(description="Reset", layout=_BUTTON)
        self.progress = ipywidgets.FloatProgress(
            min=0.0, max=1.0, layout=ipywidgets.Layout(width="180px", margin="2px 8px 2px 16px")
        )
        self.said = ipywidgets.Label("not started")
        self.said.add_class(SAID)
        self.sliders: Mapping[str, Any] = {control.name: _slider(control) for control in controls}
        self.plot = PlotView(model.figure(), name)
        self._view = ipywidgets.HTML(model.html())
        wrap = ipywidgets.Layout(flex_flow="row wrap", align_items="center")
        buttons = [self.start, self.stop, self.reset, self.progress, self.said]
        super().__init__(
            [
                ipywidgets.HBox(buttons, layout=wrap),
                ipywidgets.HBox(list(self.sliders.values()), layout=wrap),
                self.plot,
                self._view,
                Names(),
            ]
        )
        self.add_class(PANEL)
        self.start.on_click(lambda _: self._start())
        self.stop.on_click(lambda _: self._stop())
        self.reset.on_click(lambda _: self._reset())
        for slider in self.sliders.values():
            slider.observe(lambda _: self._changed(), "value")

    # -- from the page ----------------------------------------------------------------------------

    def _start(self) -> None:
        with self._lock:
            if self._closed:
                return
            try:
                self.model.start(self)
            except ConfigurationError as error:
                self.said.value = str(error)
                return
            self.progress.value = 0.0
            self.start.disabled, self.stop.disabled = True, False
            self.said.value = "starting the brokers ..."

    def _stop(self) -> None:
        # Without the lock: the measurement needs it to say that it has ended.
        self.model.stop()

    def _reset(self) -> None:
        self.model.stop()
        with self._lock:
            if not self._closed:
                self.model.clear()
                self.progress.value = 0.0
                self.said.value = "not started"
                self._draw()

    def _changed(self) -> None:
        with self._lock:
            if not self._closed:
                self.model.set(**{name: slider.value for name, slider in self.sliders.items()})
                self._draw()

    # -- from the measurement ---------------------------------------------------------------------

    def came(self, points: Points, share: float, said: str) -> None:
        """Points to add, how much is done (0 to 1), and what is being done."""
        with self._lock:
            if not self._closed:
                known = set(self.plot.series)
                if set(points) <= known:
                    self.plot.append(points)
                else:
                    self.plot.show(self.model.figure())
                self.progress.value = share
                self.said.value = said

    def ended(self, said: str) -> None:
        """The measurement is over."""
        with self._lock:
            if not self._closed:
                self.said.value = said
                self.start.disabled, self.stop.disabled = False, True
                self._view.value = self.model.html()

    def _draw(self) -> None:
        self.plot.show(self.model.figure())
        self._view.value = self.model.html()

    @property
    def html(self) -> str:
        """What stands under the plot."""
        return str(self._view.value)

    def close(self) -> None:
        """Stop and take the widget away; twice does no harm."""
        self.model.stop()
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for row in self.children[:2]:
                for child in row.children:
                    child.close()
                row.close()
            for child in self.children[2:]:
                child.close()
            super().close()

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        live = super()._repr_mimebundle_(**options) or {}
        return {**live, "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"{self._name}: press Start"
