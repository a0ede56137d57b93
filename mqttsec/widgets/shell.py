"""The thin shells: ipywidgets around the view-models, and nothing that decides anything.

Callbacks may come on any thread and while a cell runs, so each takes the lab's lock, changes the
model, and sets values of widgets; it never prints and never touches an event loop. After `close`
they do nothing: a new lab object has closed the old one.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import ipywidgets

from mqttsec.widgets.explorer import Choice, Control, Explorer
from mqttsec.widgets.look import standalone
from mqttsec.widgets.names import PANEL, Names
from mqttsec.widgets.stepper import Stepper

_BUTTON = ipywidgets.Layout(width="64px")
_APART = "2px 2px 2px 16px"
"""Margin of what begins a new group of controls."""
_WHOLE, _FRACTION = (172, 226), (200, 264)
"""Least and greatest width of sliders: two of them, two lists and Reset stand in a row beside the file
browser on a screen of 1280 pixels."""


class Panel(ipywidgets.VBox):  # type: ignore[misc, unused-ignore]
    """Controls above one piece of HTML; with a text and a picture for pages without a kernel."""

    def __init__(self, controls: list[Any], lock: threading.RLock | None) -> None:
        self._lock = lock or threading.RLock()
        self._closed = False
        self._view = ipywidgets.HTML()
        super().__init__([row_of(controls), self._view, Names()])
        self.add_class(PANEL)

    @property
    def html(self) -> str:
        """What is shown now."""
        return str(self._view.value)

    def close(self) -> None:
        """Take the widget away; calling it twice does no harm."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for child in self.children:
                _close(child)
            super().close()

    def _fallback(self) -> dict[str, str]:
        """What a page without a kernel shows, by MIME type."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        live = super()._repr_mimebundle_(**options) or {}
        return {**live, **self._fallback()}


def row_of(controls: list[Any]) -> Any:
    """Controls in a row, which goes on below where the page is narrow."""
    return ipywidgets.HBox(controls, layout=ipywidgets.Layout(flex_flow="row wrap", align_items="center"))


def _close(widget: Any) -> None:
    for child in getattr(widget, "children", ()):
        _close(child)
    widget.close()


class StepperWidget(Panel):
    """Back, Next, Reset and a slider over a `Stepper`; with several views also whose eyes."""

    def __init__(self, model: Stepper, lock: threading.RLock | None = None) -> None:
        self.model = model
        self.back = ipywidgets.Button(description="Back", layout=_BUTTON)
        self.next = ipywidgets.Button(description="Next", layout=_BUTTON, button_style="primary")
        self.reset = ipywidgets.Button(description="Reset", layout=_BUTTON)
        # Without the read-out, which would be one more tab stop: the label says it.
        self.slider = ipywidgets.IntSlider(
            value=1, min=1, max=model.count, description="Packet", readout=False,
            style={"description_width": "initial"},
            layout=ipywidgets.Layout(width="250px", margin=_APART),
        )
        self.place = ipywidgets.Label()
        self.eyes = ipywidgets.Dropdown(
            options=model.views, value=model.view, description="Seen by",
            style={"description_width": "initial"},
            layout=ipywidgets.Layout(width="236px", margin=_APART),
        )
        controls = [self.back, self.next, self.reset, self.slider, self.place]
        super().__init__(controls + ([self.eyes] if len(model.views) > 1 else []), lock)
        self.back.on_click(lambda _: self._go(-1))
        self.next.on_click(lambda _: self._go(+1))
        self.reset.on_click(lambda _: self._go(None))
        self.slider.observe(lambda _: self._changed(), "value")
        self.eyes.observe(lambda _: self._changed(), "value")
        self._changed()

    def _go(self, steps: int | None) -> None:
        with self._lock:
            # The slider keeps to its own bounds, and its change draws the picture.
            self.slider.value = 1 if steps is None else self.slider.value + steps

    def _changed(self) -> None:
        with self._lock:
            if self._closed:
                return
            model = self.model
            if self.eyes.value != model.view:
                model.look_through(self.eyes.value)
                if self.slider.max != max(model.count, 1):
                    self.slider.max = max(model.count, 1)
            model.go(self.slider.value)
            self.place.value = f"{model.position} of {model.count}"
            self.back.disabled = model.position <= 1
            self.next.disabled = model.position >= model.count
            self._view.value = model.html()

    def _fallback(self) -> dict[str, str]:
        return {"text/plain": repr(self.model), "image/svg+xml": self.model.picture()}

    def __repr__(self) -> str:
        return repr(self.model)


class ExplorerWidget(Panel):
    """A slider or a list for each control of an `Explorer`, and Reset."""

    def __init__(self, model: Explorer, lock: threading.RLock | None = None) -> None:
        self.model = model
        self.sliders: Mapping[str, Any] = {control.name: _slider(control) for control in model.controls}
        self.reset = ipywidgets.Button(description="Reset", layout=_BUTTON)
        self._quiet = False
        super().__init__([*self.sliders.values(), self.reset], lock)
        for slider in self.sliders.values():
            slider.observe(lambda _: self._changed(), "value")
        self.reset.on_click(lambda _: self._reset())
        self._draw()

    def _changed(self) -> None:
        with self._lock:
            if not self._closed and not self._quiet:
                self.model.set(**{name: slider.value for name, slider in self.sliders.items()})
                self._draw()

    def _reset(self) -> None:
        with self._lock:
            if self._closed:
                return
            self.model.reset()
            # Each slider that moves would run the experiment again.
            self._quiet = True
            try:
                for name, slider in self.sliders.items():
                    slider.value = self.model.values[name]
            finally:
                self._quiet = False
            self._draw()

    def _draw(self) -> None:
        self._view.value = self.model.html()

    def _fallback(self) -> dict[str, str]:
        picture = self.model.result.picture()
        bundle = {"text/plain": repr(self.model)}
        return {**bundle, "image/svg+xml": standalone(picture)} if picture else bundle

    def __repr__(self) -> str:
        return repr(self.model)


def _slider(control: Control | Choice) -> Any:
    style = {"description_width": "initial"}
    if isinstance(control, Choice):
        # As wide as its longest word needs, in a proportional font of 13 pixels, with the arrow.
        width = int(7.4 * (len(control.label) + max(map(len, control.options)))) + 56
        return ipywidgets.Dropdown(
            options=control.options, value=control.start, description=control.label, style=style,
            layout=ipywidgets.Layout(width=f"{width}px", margin="2px 14px 2px 2px"),
        )
    least, most = _WHOLE if control.is_whole else _FRACTION
    layout = ipywidgets.Layout(flex=f"1 1 {least}px", min_width=f"{least}px", max_width=f"{most}px")
    if control.is_whole:
        return ipywidgets.IntSlider(
            value=int(control.start), min=int(control.low), max=int(control.high), step=int(control.step),
            description=control.label, style=style, layout=layout,
        )
    return ipywidgets.FloatSlider(
        value=control.start, min=control.low, max=control.high, step=control.step, readout_format=".2f",
        description=control.label, style=style, layout=layout,
    )


