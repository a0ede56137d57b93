"""Members come, go, and are away, while messages flow; after each event everybody tries all messages.

Whoever has ever been there keeps all keys that it got, and has recorded every message on the network:
what it reads is found by trying, now, with all keys in its memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from mqttsec.crypto import Epoch, Operation
from mqttsec.e2e import Setup
from mqttsec.e2e.company import Sent
from mqttsec.e2e.messages import GroupUpdate
from mqttsec.errors import ConfigurationError
from mqttsec.labs.key_search import keys_in_memory, try_open
from mqttsec.labs.station import BROKER, STATION, TOPIC, company_of
from mqttsec.widgets.table import Table

Event = tuple[str, str]
"""What happens, and to whom: join, leave, away, back; or `("message", "")`."""

EVENTS: tuple[Event, ...] = (
    ("join", "dashboard"),
    ("join", "logger"),
    ("join", "phone"),
    ("message", ""),
    ("leave", "phone"),
    ("message", ""),
    ("away", "logger"),
    ("join", "alarm"),
    ("message", ""),
    ("leave", "alarm"),
    ("message", ""),
    ("back", "logger"),
)
"""The story that the lab tells."""

_VERBS = {"join": "joins", "leave": "leaves", "away": "goes offline", "back": "is back"}


@dataclass(frozen=True)
class Moment:
    """How things stand after one event."""

    event: Event
    """What has just happened."""
    epoch: str
    """The epoch of GK_P, `generation.step`; "-" before the first member."""
    wraps: tuple[int, int]
    """Group keys wrapped in this event, by the station and by the broker."""
    state: dict[str, str]
    """Of each name: member, offline, left."""
    reads: dict[str, tuple[bool, ...]]
    """Of each name: which of the messages so far it can read now."""

    def words(self, messages: int) -> str:
        """The event in words; `messages` is how many there are by now."""
        kind, name = self.event
        return f"message {messages}" if kind == "message" else f"{name} {_VERBS[kind]}"


@dataclass(frozen=True)
class Story:
    """All moments of a story, in order."""

    setup: Setup
    """Scheme and profile."""
    moments: tuple[Moment, ...]
    """One an event."""
    epochs: tuple[str, ...]
    """Of each message, the epoch of GK_P that it was sealed in."""

    @property
    def names(self) -> tuple[str, ...]:
        """Everybody who has ever been there, in order of coming."""
        return tuple(self.moments[-1].state)

    def messages(self, events: int) -> int:
        """How many messages there are after so many events."""
        return sum(moment.event[0] == "message" for moment in self.moments[:events])


class _Teller:
    """Runs a story in a company of its own."""

    def __init__(self, setup: Setup, message: bytes) -> None:
        self.company = company_of(setup)
        self._message = message
        self._state: dict[str, str] = {}
        self._waiting: dict[str, list[GroupUpdate]] = {}
        self._recorded: list[Sent] = []
        self.epochs: list[str] = []

    def tell(self, event: Event) -> Moment:
        kind, name = event
        before = self.company.tallies()
        {"join": self._join, "leave": self._leave, "away": self._away, "back": self._back}.get(
            kind, self._say
        )(name)
        after = self.company.tallies()
        wraps = [(after[party] - before[party])[Operation.WRAP] for party in (STATION, BROKER)]
        reads = {each: tuple(self._can_read(each, sent) for sent in self._recorded) for each in self._state}
        return Moment(event, self._epoch(), (wraps[0], wraps[1]), dict(self._state), reads)

    def _epoch(self) -> str:
        number = self.company.publisher.epoch(TOPIC)
        return "-" if number is None else str(Epoch.of(number))

    def _require(self, name: str, *states: str) -> None:
        if self._state.get(name, "left") not in states:
            raise ConfigurationError(
                f"{name} is {self._state.get(name, 'not there')}: that cannot happen now"
            )

    def _join(self, name: str) -> None:
        self._require(name, "left")
        self.company.join(name)
        self._state[name] = "member"

    def _leave(self, name: str) -> None:
        self._require(name, "member", "offline")
        self._state[name] = "left"
        self._waiting.pop(name, None)
        for other, updates in self.company.part(name).items():
            if self._state[other] == "offline":
                self._waiting.setdefault(other, []).extend(updates)
            else:
                self._take(other, updates)

    def _away(self, name: str) -> None:
        self._require(name, "member")
        self._state[name] = "offline"

    def _back(self, name: str) -> None:
        self._require(name, "offline")
        self._state[name] = "member"
        self._take(name, self._waiting.pop(name, []))

    def _take(self, name: str, updates: Sequence[GroupUpdate]) -> None:
        for update in updates:
            self.company.subscribers[name].update(update)

    def _say(self, _: str) -> None:
        sent = self.company.route(self._message)
        if not sent:
            raise ConfigurationError("there is nobody to send a message to: let somebody join first")
        # One for all: whoever it was sent to, these are the bytes on the network.
        self._recorded.append(next(iter(sent.values())))
        self.epochs.append(self._epoch())

    def _can_read(self, name: str, sent: Sent) -> bool:
        keys = keys_in_memory(self.company.subscribers[name])
        return try_open(self.company.setup, keys, *sent).message == self._message


def tell(setup: Setup, message: bytes, events: Sequence[Event] = EVENTS) -> Story:
    """Run a story. Raises `ConfigurationError` for a setup without GK_P, or an event that cannot be."""
    if setup.individual:
        raise ConfigurationError(f"Scheme {setup.scheme} has no group key end to end: take 3 or 4")
    teller = _Teller(setup, message)
    moments = tuple(teller.tell(event) for event in events)
    return Story(setup, moments, tuple(teller.epochs))


# What is shown -----------------------------------------------------------------------------------

_CELL, _ROW, _LEFT = 68, 38, 136


@dataclass(frozen=True)
class StoryView:
    """A story up to one event."""

    story: Story
    """All of it."""
    event: int
    """How many events have happened."""

    @property
    def moment(self) -> Moment:
        """How things stand."""
        return self.story.moments[self.event - 1]

    def head(self) -> str:
        """One line: which scheme, which event."""
        setup = self.story.setup
        words = self.moment.words(self.story.messages(self.event))
        return f"Scheme {setup.scheme}, {setup.profile.value}, event {self.event}: {words}"

    def events(self) -> Table:
        """The events so far, with epochs and wraps."""
        rows = tuple(
            (
                number,
                moment.words(self.story.messages(number)),
                moment.epoch,
                moment.wraps[0],
                moment.wraps[1],
            )
            for number, moment in enumerate(self.story.moments[: self.event], start=1)
        )
        return Table(("event", "what happens", "epoch", "wraps P", "wraps B"), rows)

    def grid(self) -> Table:
        """Who can read which message now."""
        count = self.story.messages(self.event)
        names = (f"message {number + 1} ({self.story.epochs[number]})" for number in range(count))
        rows = tuple(
            (name, state, *("reads" if can else "-" for can in self.moment.reads[name]))
            for name, state in self.moment.state.items()
        )
        return Table(("who", "is", *names), rows)

    def picture(self) -> str:
        """The grid as SVG: a full box is a message that this one can read now."""
        moment, count = self.moment, self.story.messages(self.event)
        most, everybody = len(self.story.epochs), self.story.names
        width, height = _LEFT + most * _CELL + 4, 52 + _ROW * len(everybody)
        said = "; ".join(
            f"{name} ({moment.state[name]}) reads {_numbers(moment.reads[name])}" for name in moment.state
        )
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" style="max-width:100%;height:auto;font-size:13px;'
            "font-family:var(--jp-ui-font-family,system-ui),sans-serif;"
            'color:var(--jp-content-font-color1,currentColor)">',
            f"<title>{escape(self.head())}</title>",
            f"<desc>{escape(said)}</desc>",
            '<text x="2" y="16" style="fill:currentColor;font-weight:bold">message</text>',
            '<text x="2" y="34" style="fill:currentColor">in epoch</text>',
        ]
        for number in range(count):
            x = _LEFT + number * _CELL + (_CELL - 8) / 2
            parts.append(_label(x, 16, str(number + 1), "bold"))
            parts.append(_label(x, 34, self.story.epochs[number]))
        for row, (name, state) in enumerate(moment.state.items()):
            y = 44 + row * _ROW
            weight = "bold" if name == moment.event[1] else "normal"
            parts.append(
                f'<text x="2" y="{y + 20}" style="fill:currentColor;font-weight:{weight}">{escape(name)}'
                f'<tspan style="font-weight:normal;opacity:.8"> {state}</tspan></text>'
            )
            for number, can in enumerate(moment.reads[name]):
                parts += _cell(_LEFT + number * _CELL, y, can)
        return "\n".join([*parts, "</svg>"])

    def html(self) -> str:
        """The grid, and the events beside it."""
        head = f'<p class="mqs-caption"><b>{escape(self.head())}</b></p>'
        note = (
            '<p class="mqs-caption">Tried after this event: every key that one ever got,<br>'
            "on every message recorded from the network.</p>"
        )
        grid = f"<div>{head}{self.picture()}{note}</div>"
        return f'<div class="mqs-columns">{grid}<div>{self.events().html()}</div></div>'

    def text(self) -> str:
        """The same as fixed-width text."""
        return f"{self.head()}\n\n{self.grid()!r}\n\n{self.events()!r}"

    def __repr__(self) -> str:
        return self.text()


def _numbers(reads: Sequence[bool]) -> str:
    return ", ".join(str(number) for number, can in enumerate(reads, start=1) if can) or "nothing"


def _label(x: float, y: float, words: str, weight: str = "normal") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="middle" '
        f'style="fill:currentColor;font-weight:{weight}">{escape(words)}</text>'
    )


def _cell(x: float, y: float, can: bool) -> list[str]:
    width, height = _CELL - 8, _ROW - 8
    look = "stroke-width:2" if can else "stroke-width:1;stroke-dasharray:3 4;opacity:.6"
    fill = "fill:currentColor;fill-opacity:.14" if can else "fill:none"
    box = (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="3" '
        f'style="{fill};stroke:currentColor;{look}"/>'
    )
    return [box, _label(x + width / 2, y + 20, "reads", "bold")] if can else [box]
