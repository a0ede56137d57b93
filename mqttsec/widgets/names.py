"""What every panel has and nobody sees: names for its sliders, and a ring round what has the focus."""

from __future__ import annotations

from pathlib import Path

import anywidget
import ipywidgets

PANEL = "mqs-panel"
"""The class of a panel, by which `names.js` and the style sheet find it."""
SAID = "mqs-said"
"""The class of a line that says what happens: a screen reader reads it out when it changes."""

_STYLE = """
.mqs-panel :is(button, select, input, .noUi-handle):focus-visible
{outline:2px solid var(--jp-brand-color1,#1976d2) !important;outline-offset:2px}
.mqs-panel .widget-slider .widget-readout{min-width:34px;width:auto}
.mqs-panel .mqs.mqs tbody tr:nth-child(even){background:var(--jp-rendermime-table-row-background,none)}
"""
"""A visible focus, which ipywidgets' sliders and lists have not; numbers no wider than they need, so that
a row of controls fits beside the file browser; and the stripes that JupyterLab gives to other tables."""


class Names(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
    """Nothing to see: where it stands, a screen reader says each slider's label (`names.js`)."""

    _esm = (Path(__file__).parent / "names.js").read_text(encoding="utf-8")
    _css = _STYLE

    def __init__(self) -> None:
        super().__init__(layout=ipywidgets.Layout(width="0px", height="0px", margin="0px"))
