"""The stepper: a ladder of which one packet is current, explained byte by byte.

This is the view-model, without a widget: `StepperWidget` in `shell` puts buttons and a slider to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mqttsec.errors import ConfigurationError
from mqttsec.trace import Arrow, Event, Ladder, ladder, svg_ladder, text_ladder
from mqttsec.widgets.look import block, columns, standalone, text
from mqttsec.widgets.packet_view import Inside, packet_html, packet_text

ROOM = 290
"""Pixels kept for a ladder, so that it and the bytes below it fit on a screen of 800 lines."""


def ladder_like(first: Ladder, events: Iterable[Event]) -> Ladder:
    """The ladder of a view of a run, its columns in the order of the `first` one.

    An observer may not see what the order usually comes from, such as who publishes.
    """
    own = ladder(events)
    places = {name: place for place, name in enumerate(first.parties)}
    return Ladder(tuple(sorted(own.parties, key=lambda name: places.get(name, len(places)))), own.rows)


class Stepper:
    """Which packet of which view is current, and what that looks like.

    `views` are the same run through different eyes: name of the observer to events, the first
    being the one to begin with. `window` is how many packets the picture shows at once, `parties` their
    order from left to right, `inside` explains the message of a scheme that a packet carries.
    Raises `ConfigurationError` if there is no view, or no packet in the first.
    """

    def __init__(
        self, views: Mapping[str, Iterable[Event]], *, window: int = 5, width: int = 840, title: str = "",
        parties: Sequence[str] | None = None, inside: Inside | None = None,
    ) -> None:
        if not views:
            raise ConfigurationError("a stepper needs a trace to step through")
        first = ladder(next(iter(views.values())), parties)
        self._ladders: dict[str, Ladder] = {
            name: ladder_like(first, events) for name, events in views.items()
        }
        self._view = next(iter(self._ladders))
        if not self.count:
            raise ConfigurationError("there is no packet to step through: run something first")
        self._position = 1
        self._inside = inside
        self._window = window
        self._width = width
        self._title = title or "What the parties send"

    # -- where we are -----------------------------------------------------------------------------

    @property
    def views(self) -> tuple[str, ...]:
        """The names of the views."""
        return tuple(self._ladders)

    @property
    def view(self) -> str:
        """The name of the current view."""
        return self._view

    @property
    def diagram(self) -> Ladder:
        """The ladder of the current view."""
        return self._ladders[self._view]

    @property
    def count(self) -> int:
        """How many packets the current view has."""
        return len(self.diagram.arrows)

    @property
    def position(self) -> int:
        """The current packet, from 1; 0 if the view has none."""
        return min(self._position, self.count)

    @property
    def current(self) -> Arrow | None:
        """The current packet; None if the view has none."""
        return self.diagram.arrows[self.position - 1] if self.count else None

    def go(self, position: int) -> None:
        """Make a packet the current one; what lies outside is taken to the nearest there is."""
        self._position = max(1, min(position, self.count))

    def look_through(self, view: str) -> None:
        """Change the view. Raises `ConfigurationError` for one that there is not."""
        if view not in self._ladders:
            raise ConfigurationError(f"there is no view {view!r}; there are {', '.join(self._ladders)}")
        self._view = view

    # -- what it looks like -----------------------------------------------------------------------

    def svg(self) -> str:
        """The ladder around the current packet, which is marked; what comes later is not drawn yet."""
        return svg_ladder(
            self.diagram, width=self._width, upto=self.position, highlight=self.position,
            window=self._window, title=self._title,
        )

    def picture(self) -> str:
        """The picture for a page without a kernel: all packets that fit into the window."""
        first = min(self._window, self.count)
        svg = svg_ladder(
            self.diagram, width=self._width, upto=first, highlight=1, window=self._window, title=self._title,
            ident="ladder-first",
        )
        return standalone(svg)

    def html(self) -> str:
        """Ladder and explained bytes."""
        if self.current is None:
            return block(f'<p class="mqs-caption">{text(self._view)}: no packet is seen at all.</p>')
        packet = packet_html(self.current, self._inside)
        return block(columns(self.svg(), packet, steady=ROOM), kind="mqs-stepper")

    def text(self) -> str:
        """The same as text: what a screen reader or a printed page has."""
        if self.current is None:
            return f"{self._view}: no packet is seen at all"
        shown = text_ladder(self.diagram, upto=self.position, highlight=self.position)
        return f"{shown}\n\n{packet_text(self.current, inside=self._inside)}"

    def __repr__(self) -> str:
        return f"Stepper: packet {self.position} of {self.count}, seen by {self._view}"
