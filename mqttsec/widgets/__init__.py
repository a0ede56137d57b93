"""What a lab shows: tables, packets byte by byte, a stepper over a ladder, an explorer with sliders,
a plot that grows.

Each is a pure view-model with a text, an HTML or SVG view, and a thin ipywidgets shell. The shells
are imported when they are asked for (PEP 562): a table needs no ipywidgets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttsec.on_demand import on_demand

if TYPE_CHECKING:
    from mqttsec.widgets.explorer import Choice as Choice
    from mqttsec.widgets.explorer import Control as Control
    from mqttsec.widgets.explorer import Explorer as Explorer
    from mqttsec.widgets.packet_view import packet_html as packet_html
    from mqttsec.widgets.packet_view import packet_text as packet_text
    from mqttsec.widgets.plot import PlotView as PlotView
    from mqttsec.widgets.shell import ExplorerWidget as ExplorerWidget
    from mqttsec.widgets.shell import StepperWidget as StepperWidget
    from mqttsec.widgets.stepper import Stepper as Stepper
    from mqttsec.widgets.table import Table as Table

_HOME = {
    "Choice": "explorer",
    "Control": "explorer",
    "Explorer": "explorer",
    "ExplorerWidget": "shell",
    "PlotView": "plot",
    "Stepper": "stepper",
    "StepperWidget": "shell",
    "Table": "table",
    "packet_html": "packet_view",
    "packet_text": "packet_view",
}

__all__ = sorted(_HOME)

__getattr__ = on_demand(__name__, _HOME)
