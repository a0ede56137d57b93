"""An explorer with a plot: sliders above a plotly figure that is redrawn in place, and words below it."""

from __future__ import annotations

import threading
from typing import Any

from mqttsec.widgets.explorer import Explorer
from mqttsec.widgets.plot import PlotView
from mqttsec.widgets.shell import ExplorerWidget


class PlottedExplorerWidget(ExplorerWidget):
    """An `ExplorerWidget` whose results have a `figure()` as well, a `plotly.graph_objects.Figure`."""

    def __init__(self, model: Explorer, lock: threading.RLock | None = None) -> None:
        result: Any = model.result
        self.plot = PlotView(result.figure(), model.name)
        self._drawn = result
        super().__init__(model, lock)
        # The plot between the controls and the words; what names the sliders stays.
        row, *rest = self.children  # type: ignore[has-type, unused-ignore]
        self.children = (row, self.plot, *rest)

    def _draw(self) -> None:
        super()._draw()
        if self.model.result is not self._drawn:
            self._drawn = self.model.result
            self.plot.show(self._drawn.figure())

    def close(self) -> None:
        """Take the widget and its plot away; calling it twice does no harm."""
        with self._lock:
            if not self._closed:
                self.plot.close()
                super().close()
