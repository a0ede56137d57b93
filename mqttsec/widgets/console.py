"""The console of the handshake lab: a ladder that grows by a packet, keys, and an attacker's buttons.

`Console` is the view-model, without a widget; `ConsoleWidget` puts buttons to it, as `shell` does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

import ipywidgets

from mqttsec.errors import ConfigurationError
from mqttsec.trace import Ladder, svg_ladder
from mqttsec.widgets.look import block, columns, standalone, text
from mqttsec.widgets.names import SAID
from mqttsec.widgets.shell import Panel, row_of
from mqttsec.widgets.stepper import ROOM
from mqttsec.widgets.table import Table

_STYLE = """<style>
.mqs-console .mqs-less .mqs-more{flex:1 1 400px}
.mqs-console .mqs-less .mqs-less{flex:1 1 320px}
.mqs-console .mqs-less .mqs-more td:not(:first-child){white-space:nowrap}
.mqs-console .mqs-part{display:inline-block}
</style>"""
"""Keys and bytes stand side by side below a ladder, one below the other beside it."""

WINDOW = 4
"""Packets that the picture shows at once."""


class Said(Protocol):
    """What has just happened, and what comes next."""

    @property
    def text(self) -> str: ...


class Run(Protocol):
    """What the console drives: the handshake lab."""

    @property
    def position(self) -> int: ...
    def step(self) -> object: ...
    def back(self) -> object: ...
    def run(self) -> object: ...
    def reset(self) -> object: ...
    def moment(self) -> Said: ...
    def diagram(self) -> Ladder: ...
    def packet(self, step: int) -> Table: ...
    def knows(self) -> Table: ...
    def reads(self) -> Table: ...
    def guarantees(self) -> Table: ...
    def fields(self, step: int) -> tuple[str, ...]: ...
    def tamper(self, step: int, change: str, /, *, by: str) -> object: ...
    def drop(self, step: int, /, *, by: str) -> object: ...
    def replay(self, step: int, /, *, by: str) -> object: ...
    def inject(self, text: str, /, *, by: str) -> object: ...


class Console:
    """What the console shows of a run, and what its buttons do."""

    def __init__(self, run: Run, forged: str = "99.9 C") -> None:
        self.run = run
        """The lab."""
        self.forged = forged
        """What an injected message says."""

    def fields(self) -> tuple[str, ...]:
        """What can be changed of the next packet; nothing at the end."""
        try:
            return self.run.fields(self.run.position + 1)
        except ConfigurationError:
            return ()

    def meddle(self, action: str, by: str, change: str) -> None:
        """Press a button: `tamper` or `drop` the next packet, `replay` the last one, `inject` a message.

        Raises `ConfigurationError` where there is no such packet.
        """
        position = self.run.position
        if action == "tamper":
            self.run.tamper(position + 1, change, by=by)
        elif action == "drop":
            self.run.drop(position + 1, by=by)
        elif action == "replay":
            self.run.replay(position, by=by)
        else:
            self.run.inject(self.forged, by=by)

    def html(self) -> str:
        """Ladder, beside it or below keys and guarantees, and the last packet."""
        run = self.run
        said = "<br>".join(text(line) for line in run.moment().text.splitlines())
        caption = f'<p class="mqs-caption">{said}</p>'
        tables = "<br>".join(
            table.html() for table in (run.knows(), run.guarantees(), run.reads()) if len(table)
        )
        if not run.position:
            return block(caption, tables, kind="mqs-console")
        beside = columns(tables, run.packet(run.position).html())
        shown = columns(self.svg("handshake-console"), beside, steady=ROOM)
        return block(_STYLE, caption, shown, kind="mqs-console")

    def svg(self, ident: str) -> str:
        """The ladder around the last packet, which is marked."""
        diagram = self.run.diagram()
        last = len(diagram.arrows)
        return svg_ladder(
            diagram, width=840, upto=last, highlight=last, window=WINDOW, title="The handshake", ident=ident
        )

    def picture(self) -> str:
        """The picture for a page without a kernel; empty before the first packet."""
        return standalone(self.svg("handshake-first")) if self.run.position else ""

    def __repr__(self) -> str:
        return f"Console: after packet {self.run.position}"


_BUTTON = ipywidgets.Layout(width="74px")
_LIST = ipywidgets.Layout(width="240px", margin="2px 2px 2px 12px")
_PLAIN = {"description_width": "initial"}


class ConsoleWidget(Panel):
    """Back, Next, Reset, End; and as an attacker: Tamper, Drop, Replay, Inject."""

    def __init__(
        self,
        model: Console,
        lock: threading.RLock | None = None,
        attackers: tuple[str, ...] = ("network", "broker", "mallory"),
    ) -> None:
        self.model = model
        self.back, self.next, self.reset, self.end = map(_button, ("Back", "Next", "Reset", "End"))
        self.next.button_style = "primary"
        self.attacker = ipywidgets.Dropdown(
            options=attackers, description="As", style=_PLAIN,
            layout=ipywidgets.Layout(width="130px", margin="2px"),
        )  # fmt: skip
        self.field = ipywidgets.Dropdown(options=(), description="Field", style=_PLAIN, layout=_LIST)
        self.tamper, self.drop, self.replay, self.inject = map(
            _button, ("Tamper", "Drop", "Replay", "Inject")
        )
        for button, tip in (
            (self.tamper, "change this field of the next packet, and deliver it"),
            (self.drop, "the next packet never arrives"),
            (self.replay, "send the last packet once more"),
            (self.inject, "send bob a message as if from alice"),
        ):
            button.tooltip = tip
        self.said = ipywidgets.Label()
        self.said.add_class(SAID)
        steps = row_of([self.back, self.next, self.reset, self.end])
        steps.layout.margin = "0 14px 0 0"
        meddling = row_of(
            [self.attacker, self.field, self.tamper, self.drop, self.replay, self.inject, self.said]
        )
        super().__init__([steps, meddling], lock)
        run = model.run
        for button, press in (
            (self.back, run.back),
            (self.next, run.step),
            (self.reset, run.reset),
            (self.end, run.run),
        ):
            button.on_click(self._pressed(press))
        for button in (self.tamper, self.drop, self.replay, self.inject):
            button.on_click(self._pressed(self._meddler(button.description.lower())))
        self._draw()

    def _meddler(self, action: str) -> Callable[[], object]:
        return lambda: self.model.meddle(action, self.attacker.value, self.field.value or "")

    def _pressed(self, press: Callable[[], object]) -> Callable[[Any], None]:
        def pressed(_: Any) -> None:
            with self._lock:
                if self._closed:
                    return
                self.said.value = ""
                try:
                    press()
                except ConfigurationError as error:
                    self.said.value = str(error)
                self._draw()

        return pressed

    def _draw(self) -> None:
        fields = self.model.fields()
        if tuple(self.field.options) != fields:
            self.field.options = fields
            if fields:
                # The page shows no choice after new options unless the choice is made anew.
                self.field.index = None
                self.field.index = 0
        position, more = self.model.run.position, bool(fields)
        self.back.disabled = self.replay.disabled = position == 0
        self.tamper.disabled = not more
        self.next.disabled = self.end.disabled = self.drop.disabled = not self._goes_on()
        self._view.value = self.model.html()

    def _goes_on(self) -> bool:
        return "nothing more is on its way" not in self.model.run.moment().text

    def _fallback(self) -> dict[str, str]:
        picture = self.model.picture()
        bundle = {"text/plain": repr(self.model)}
        return {**bundle, "image/svg+xml": picture} if picture else bundle

    def __repr__(self) -> str:
        return repr(self.model)


def _button(name: str) -> Any:
    return ipywidgets.Button(description=name, layout=_BUTTON)
