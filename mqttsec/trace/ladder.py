"""Ladder diagrams: what the parties sent one another, top to bottom, and how it reads as text.

`ladder` makes the model: columns (parties) and rows (arrows, and notes at one party). `text_ladder`
writes it in fixed width, `mqttsec.trace.picture.svg_ladder` draws it; both say the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from mqttsec.errors import TraceError
from mqttsec.packets import PacketType
from mqttsec.trace.arrows import PACKET_KINDS, Arrow, arrows
from mqttsec.trace.connections import servers_of
from mqttsec.trace.events import Event, EventKind
from mqttsec.trace.labels import cells, glued_label, printable, shorten, wrap

NOTE_KINDS = frozenset({EventKind.DERIVED, EventKind.CHECKED, EventKind.REJECTED, EventKind.NOTE})
"""The kinds of events that a ladder shows beside the arrows unless it is told otherwise."""

MIN_GAP = 16
"""Fewest characters between two parties: with many parties a ladder is wider than asked for."""
MAX_LINES = 3
"""A label that would take more lines where it belongs reaches over the next lifelines instead, ..."""
WIDE_CELLS = 40
"""... up to this width."""

Row = Arrow | Event
"""One row of a ladder: an arrow, or a note at the party that recorded it."""


@dataclass(frozen=True)
class Ladder:
    """A ladder diagram before it is drawn."""

    parties: tuple[str, ...]
    """The columns, left to right."""
    rows: tuple[Row, ...]
    """Arrows and notes, top to bottom, in the order recorded."""

    @property
    def arrows(self) -> tuple[Arrow, ...]:
        """The arrows alone."""
        return tuple(row for row in self.rows if isinstance(row, Arrow))

    def up_to(self, upto: int | None) -> tuple[Row, ...]:
        """The rows of the first `upto` arrows, with the notes that follow them; all with None."""
        if upto is None:
            return self.rows
        shown = 0
        for index, row in enumerate(self.rows):
            if isinstance(row, Arrow):
                if shown == upto:
                    return self.rows[:index]
                shown += 1
        return self.rows


def ladder(
    events: Iterable[Event],
    parties: Sequence[str] | None = None,
    notes: Collection[EventKind] = NOTE_KINDS,
) -> Ladder:
    """The ladder of `events` (a `Trace` or a view of one).

    `parties` chooses columns and their order; arrows to others are left out. Without it all parties
    are shown: clients that publish first, then brokers, then the other clients, so that messages
    mostly go from left to right. `notes` are the kinds of events to show beside the arrows.
    Raises `TraceError` if one of `parties` does not occur.
    """
    events = tuple(events)
    packets = arrows(events)
    order = _order(events, packets)
    if parties is None:
        columns = order
    else:
        columns = tuple(dict.fromkeys(parties))
        for name in columns:
            if name not in order:
                there = ", ".join(order) or "nobody"
                raise TraceError(f"{name!r} does not occur in this trace; those who do: {there}")
    shown = frozenset(columns)
    rows: list[tuple[int, Row]] = [
        (arrow.events[0], arrow) for arrow in packets if arrow.sender in shown and arrow.receiver in shown
    ]
    wanted = frozenset(notes) - PACKET_KINDS
    rows += [(event.number, event) for event in events if event.kind in wanted and event.party in shown]
    rows.sort(key=lambda numbered: numbered[0])
    return Ladder(columns, tuple(row for _, row in rows))


def as_ladder(source: Ladder | Iterable[Event]) -> Ladder:
    """`source` itself if it is a ladder, otherwise the ladder of these events."""
    return source if isinstance(source, Ladder) else ladder(source)


def _order(events: tuple[Event, ...], packets: tuple[Arrow, ...]) -> tuple[str, ...]:
    ends = [name for arrow in packets for name in (arrow.sender, arrow.receiver)]
    recorders = [event.party for event in events if event.kind not in PACKET_KINDS]
    everybody = dict.fromkeys((*ends, *recorders))
    servers = servers_of(events)
    first: dict[str, PacketType] = {}
    for arrow in packets:
        kind = arrow.frame[0] >> 4 if arrow.frame else 0
        if kind in (PacketType.PUBLISH, PacketType.SUBSCRIBE):
            first.setdefault(arrow.sender, PacketType(kind))
    left = [name for name in everybody if name not in servers and first.get(name) is PacketType.PUBLISH]
    right = [name for name in everybody if name not in servers and name not in left]
    if not left and len(servers) <= 1:
        # Nobody publishes yet: one client stands on the left all the same, where a reader begins.
        left, right = right[:1], right[1:]
    return (*left, *servers, *right)


def row_text(row: Row) -> str:
    """What a row says: the label of its packet, or the note. `wrap` breaks it into lines."""
    if isinstance(row, Arrow):
        text = glued_label(row.frame, row.protocol, row.hidden_bytes)
        if row.note:
            text += f" [{printable(row.note)}]"
        return text + (" LOST" if row.lost else "")
    words = [_NOTE_WORDS.get(row.kind, ""), ", ".join(row.keys), row.detail]
    if row.kind in (EventKind.OPENED, EventKind.CLOSED) and row.peer:
        words.insert(1, f"to {row.peer}" if row.kind is EventKind.OPENED else f"with {row.peer}")
    words += [f"({', '.join(f'{count} {name}' for name, count in row.operations)})"] if row.operations else []
    return printable(" ".join(word for word in words if word))


_NOTE_WORDS = {
    EventKind.OPENED: "opens a connection",
    EventKind.CLOSED: "closes the connection",
    EventKind.DERIVED: "derives",
    EventKind.CHECKED: "checked:",
    EventKind.REJECTED: "REJECTED:",
    EventKind.FORWARDED: "forwards",
}


def wrap_label(text: str, room: int, most: int) -> list[str]:
    """`text` in lines of `room` cells, or, if those were too many, in wider ones of `most` cells at most."""
    lines = wrap(text, max(room, 8))
    return lines if len(lines) <= MAX_LINES else wrap(text, max(room, min(most, WIDE_CELLS)))


def left_is_better(text: str, right: int, left: int, all_right: int, all_left: int) -> bool:
    """Whether a note stands better left of its lifeline than right of it.

    `right` and `left` are the cells to the next lifelines, the others those to the diagram's edges.
    """
    on_right, on_left = len(wrap(text, max(right, 8))), len(wrap(text, max(left, 8)))
    if min(on_right, on_left) <= MAX_LINES:
        return on_left < on_right
    return all_right < min(cells(text), WIDE_CELLS) <= all_left


def seconds(time: float | None) -> str:
    """A time as ladders show it: `0.055`, or `-` if nobody recorded it."""
    return "-" if time is None else f"{time:.3f}"


def takes_time(rows: Iterable[Row]) -> bool:
    """True if an arrow arrives visibly later than it left: then times are shown at both ends."""
    return any(seconds(row.sent) != seconds(row.received) for row in rows
               if isinstance(row, Arrow) and row.delay is not None)


def text_ladder(
    source: Ladder | Iterable[Event],
    *,
    width: int = 100,
    upto: int | None = None,
    highlight: int | None = None,
    times: bool = True,
) -> str:
    """The ladder as text of fixed width, the same for the same trace: for print, nbval, screen readers.

    `width` is the most characters a line may have (more only if the parties need it). `upto` shows
    the first so many arrows, `highlight` marks the so-manieth (from 1) with `>`. `times=False`
    leaves out the times, which differ from run to run unless the clock is virtual. A lost packet's
    arrow ends in `X`. Under `sent s` stands `-` where only the receiver recorded it, under
    `arrived s` where only the sender did.
    """
    diagram = as_ladder(source)
    if not diagram.parties:
        return "(nothing has happened yet)"
    return "\n".join(_TextLadder(diagram, width, times).lines(diagram.up_to(upto), highlight))


class _Line:
    """One line of characters that can be written to at any cell."""

    def __init__(self) -> None:
        self._cells: list[str] = []

    def put(self, at: int, text: str) -> None:
        at = max(at, 0)
        for character in text:
            wide = cells(character)
            if not wide and self._cells:
                self._cells[min(at, len(self._cells)) - 1] += character
                continue
            self._cells += [" "] * (at + wide - len(self._cells))
            # A wide character owns two cells, the second of which prints nothing.
            self._cells[at : at + wide] = [character, *[""] * (wide - 1)]
            at += wide

    def __str__(self) -> str:
        return "".join(self._cells).rstrip()


class _TextLadder:
    """Where the columns of one ladder stand, and how its rows are written there."""

    def __init__(self, diagram: Ladder, width: int, times: bool) -> None:
        self._parties = diagram.parties
        self._column = {name: index for index, name in enumerate(diagram.parties)}
        self._times = times
        self._both_times = takes_time(diagram.rows)
        longest = max((len(seconds(row.time)) for row in diagram.rows), default=5)
        self._time_width = max(longest, 9 if self._both_times else 6)
        self._number_width = len(str(max((arrow.number for arrow in diagram.arrows), default=0)))
        margin = 2 + self._number_width
        if times:
            margin += (2 + self._time_width) * (2 if self._both_times else 1)
        gaps = max(1, len(diagram.parties) - 1)
        room = (width - margin - 12) // gaps
        self._gap = max(MIN_GAP, min(room, self._wanted_gap(diagram)))
        self._margin = margin
        names = [shorten(printable(name), self._gap - 2) for name in diagram.parties]
        left = margin + 2 + cells(names[0]) // 2
        self._names = names
        self._lifelines = [left + index * self._gap for index in range(len(names))]
        self._width = max(width, self._lifelines[-1] + cells(names[-1]) // 2 + 1)

    def _wanted_gap(self, diagram: Ladder) -> int:
        """The gap at which no label needs a second line."""
        wanted = max(map(cells, map(printable, diagram.parties))) + 2
        for row in diagram.rows:
            steps = 1
            if isinstance(row, Arrow):
                steps = max(1, abs(self._column[row.sender] - self._column[row.receiver]))
            wanted = max(wanted, -(-(cells(row_text(row)) + 9) // steps))
        return wanted

    def lines(self, rows: Iterable[Row], highlight: int | None) -> list[str]:
        lines = [self._head()]
        count = 0
        for row in rows:
            if isinstance(row, Arrow):
                count += 1
                written = self._arrow(row)
                self._write_margin(written[-1], row, count == highlight)
            else:
                written = self._note(row)
                self._write_margin(written[0], row, False)
            lines += map(str, written)
        return lines

    def _head(self) -> str:
        line = _Line()
        if self._times:
            start = 4 + self._number_width
            if self._both_times:
                line.put(start, "sent s".rjust(self._time_width))
                line.put(start + self._time_width + 2, "arrived s".rjust(self._time_width))
            else:
                line.put(start, "time s".rjust(self._time_width))
        for at, name in zip(self._lifelines, self._names, strict=True):
            line.put(at - cells(name) // 2, name)
        return str(line)

    def _write_margin(self, line: _Line, row: Row, marked: bool) -> None:
        if marked:
            line.put(0, ">")
        if isinstance(row, Arrow):
            line.put(2, str(row.number).rjust(self._number_width))
        if not self._times:
            return
        start = 4 + self._number_width
        if not self._both_times:
            line.put(start, seconds(row.time).rjust(self._time_width))
            return
        sent, arrived = (row.sent, row.received) if isinstance(row, Arrow) else (row.time, None)
        line.put(start, seconds(sent).rjust(self._time_width))
        if isinstance(row, Arrow):
            text = "lost" if row.lost else seconds(arrived)
            line.put(start + self._time_width + 2, text.rjust(self._time_width))

    def _lifeline(self) -> _Line:
        line = _Line()
        for at in self._lifelines:
            line.put(at, "|")
        return line

    def _arrow(self, arrow: Arrow) -> list[_Line]:
        here, there = (self._lifelines[self._column[name]] for name in (arrow.sender, arrow.receiver))
        label = row_text(arrow)
        if here == there:
            return self._beside(here, f"(to itself) {label}")
        left, room = min(here, there) + 1, abs(here - there) - 1
        # An arrow needs a dash, blanks around its label, a shaft and a head: `- label ->`.
        fits = cells(label) + (8 if arrow.lost else 5) <= room
        above = [] if fits else self._above(label, left, room)
        line = self._lifeline()
        line.put(left, "-" * room)
        if here < there:
            line.put(left + room - (4 if arrow.lost else 1), "X   " if arrow.lost else ">")
        else:
            line.put(left, "   X" if arrow.lost else "<")
        if fits:
            [label] = wrap(label, room)
            spare = room - cells(label) - 2
            shift = spare // 2 + (0 if not arrow.lost else (-1 if here < there else 2))
            line.put(left + shift, f" {label} ")
        return [*above, line]

    def _above(self, label: str, left: int, room: int) -> list[_Line]:
        lines = []
        for part in wrap_label(label, room - 2, self._width - self._margin - 2):
            line = self._lifeline()
            at = min(left + (room - cells(part)) // 2, self._width - cells(part) - 1)
            # Blanks wipe the lifelines behind a label, or they would read as its letters.
            line.put(max(at, self._margin) - 1, f" {part} ")
            lines.append(line)
        return lines

    def _note(self, event: Event) -> list[_Line]:
        return self._beside(self._lifelines[self._column[event.party]], row_text(event))

    def _beside(self, at: int, text: str) -> list[_Line]:
        """`text` at a lifeline: to its right if there is room, else to its left, else over its neighbours."""
        right = min((other for other in self._lifelines if other > at), default=self._width) - at - 3
        left = at - max((other for other in self._lifelines if other < at), default=at) - 3
        all_right, all_left = self._width - at - 3, at - self._margin - 3
        to_left = left_is_better(text, right, left, all_right, all_left)
        part_width, most = (left, all_left) if to_left else (right, all_right)
        lines = []
        for number, part in enumerate(wrap_label(text, part_width, most)):
            line = self._lifeline()
            line.put(at, "*" if number == 0 else "|")
            if to_left:
                line.put(at - 2 - cells(part), f" {part} ")
            else:
                line.put(at + 1, f" {part}" + (" " if cells(part) > right else ""))
            lines.append(line)
        return lines
