"""Accessible names for the sliders of a panel, which ipywidgets leaves without."""

from __future__ import annotations

from pathlib import Path

import anywidget
import ipywidgets


class Names(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
    """Nothing to see: where it stands, a screen reader says each slider's label (`names.js`)."""

    _esm = (Path(__file__).parent / "names.js").read_text(encoding="utf-8")

    def __init__(self) -> None:
        super().__init__(layout=ipywidgets.Layout(width="0px", height="0px", margin="0px"))
