"""What every panel has and nobody sees: names for its sliders, and a ring round what has the focus."""

from __future__ import annotations

from pathlib import Path

import anywidget
import ipywidgets

PANEL = "mqs-panel"
"""The class of a panel, by which `names.js` and the style sheet find it."""
SAID = "mqs-said"
"""The class of a line that says what happens: a screen reader reads it out when it changes."""

_ARROW = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 18 18'%3E"
    "%3Cpath fill='%23ddd' d='M4.6 6.3 9 10.7l4.4-4.4 1.2 1.2L9 13.1 3.4 7.5z'/%3E%3C/svg%3E"
)
_STYLE = f"""
.mqs-panel :is(button, select, input, .noUi-handle):focus-visible
{{outline:2px solid var(--jp-brand-color1,#1976d2) !important;outline-offset:2px}}
.mqs-panel .widget-hbox{{overflow:visible}}
.mqs-panel .widget-slider .widget-readout{{min-width:34px;width:auto;margin-right:6px}}
.mqs-panel .mqs-plot{{margin-bottom:8px}}
.mqs-panel .mqs.mqs tbody tr:nth-child(even){{background:var(--jp-rendermime-table-row-background,none)}}
body[data-jp-theme-light="false"] .mqs-panel select{{background-image:url("{_ARROW}")}}
"""
"""A visible focus, which ipywidgets' sliders and lists have not; numbers no wider than they need, so that
a row of controls fits beside the file browser; the stripes that JupyterLab gives to other tables; and an
arrow that can be seen in the lists of a dark page."""


class Names(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
    """Nothing to see: where it stands, a screen reader says each slider's label (`names.js`)."""

    _esm = (Path(__file__).parent / "names.js").read_text(encoding="utf-8")
    _css = _STYLE

    def __init__(self) -> None:
        super().__init__(layout=ipywidgets.Layout(width="0px", height="0px", margin="0px"))
