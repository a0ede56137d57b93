"""Where everything in the picture of a ladder stands: columns, rows, labels, and what gives way to what."""

from __future__ import annotations

from dataclasses import dataclass

from mqttsec.trace.arrows import Arrow
from mqttsec.trace.events import Event
from mqttsec.trace.labels import cells, printable
from mqttsec.trace.ladder import Ladder, Row, left_is_better, row_text, seconds, takes_time, wrap_label

FONT = 12
"""Size of the letters."""
CELL = 7.3
"""Width of a character: a little more than that of common fixed-width fonts at this size."""
LINE = 15
"""From one line of text to the next."""
HEAD = 34
"""Height of the row of names."""
ROW = 16
"""Free space above each arrow or note."""
MIN_GAP = 120
"""Least distance between two parties."""
TIP = 10
"""Length of an arrow head; its line ends where it begins, or a thick line would blunt the tip."""
LOSS = 18
"""How far before the receiver a lost packet's cross stands."""


@dataclass(frozen=True)
class Place:
    """Where a row stands: its text above `start`; an arrow goes from `start` down to `end`."""

    row: Row
    """An arrow, or an event that is a note."""
    lines: tuple[str, ...]
    """Its text."""
    start: float
    """Pixels from the top."""
    end: float
    """Where an arrow arrives; for a level one, and for a note, as `start`."""


class Layout:
    """The geometry of one picture, in pixels: `x` of each party, places of rows from top to bottom."""

    def __init__(self, diagram: Ladder, width: int, times: bool, slanted: bool) -> None:
        self.slanted = slanted
        """Whether arrows go down to the time of their arrival."""
        self.times = times
        """Whether there is a column of times."""
        self.both = times and takes_time(diagram.rows)
        """Whether there are two: of sending and of arrival."""
        self.parties = diagram.parties
        """From left to right."""
        digits = max((len(seconds(row.time)) for row in diagram.rows), default=5)
        self.time_width = (max(digits, 6) + 1) * CELL if times else 0
        """Of a column of times."""
        highest = max((arrow.number for arrow in diagram.arrows), default=1)
        self.number_width = (len(str(highest)) + 1) * CELL
        """Of the column of numbers."""
        self.left = 14 + self.number_width + self.time_width * (2 if self.both and not slanted else 1)
        """Where the columns of numbers and times end."""
        names = [cells(printable(name)) * CELL for name in diagram.parties] or [0.0]
        count = len(diagram.parties)
        edge = min(max(names[0], names[-1]) / 2 + 14, 90)
        self.gap = max(MIN_GAP, (width - self.left - 2 * edge) / max(1, count - 1))
        """From party to party."""
        first = self.left + edge
        self.x = {name: first + index * self.gap for index, name in enumerate(diagram.parties)}
        """Of each lifeline."""
        self.width = max(float(width), first + (count - 1) * self.gap + edge)
        """Of the whole picture."""
        self.name_width = int((self.gap - 16) / CELL)
        """Characters of a party's name."""

    def places(self, rows: tuple[Row, ...]) -> tuple[list[Place], float]:
        """Where each row stands, and how high all of them are."""
        starts: dict[int, float] = {}
        ends: dict[int, float] = {}
        texts = {index: tuple(self._lines(row)) for index, row in enumerate(rows)}
        y = float(HEAD)
        for index, arrives in self._moments(rows):
            row = rows[index]
            if arrives:
                y += ROW
                ends[index] = y
                continue
            y += ROW + LINE * len(texts[index]) if isinstance(row, Arrow) else ROW + LINE
            starts[index] = y
            if not isinstance(row, Arrow):
                y += LINE * (len(texts[index]) - 1)
        places = [
            Place(row, texts[index], starts[index], ends.get(index, starts[index]))
            for index, row in enumerate(rows)
        ]
        return places, y + ROW

    def _moments(self, rows: tuple[Row, ...]) -> list[tuple[int, bool]]:
        """(row, arrival?) from top to bottom."""
        if not self.slanted:
            return [(index, False) for index in range(len(rows))]
        moments = []
        for index, row in enumerate(rows):
            moments.append((row.time, index, False))
            if isinstance(row, Arrow):
                if row.lost:
                    moments.append((row.time, index, True))
                elif row.delay:
                    moments.append((row.time + row.delay, index, True))
        # At the same time, what arrives comes before what is sent in answer; row by row otherwise.
        moments.sort(key=lambda moment: (moment[0], not moment[2] or _is_lost(rows[moment[1]]), moment[1]))
        return [(index, arrives) for _, index, arrives in moments]

    def _lines(self, row: Row) -> list[str]:
        if isinstance(row, Arrow):
            room = abs(self.x[row.sender] - self.x[row.receiver]) or self.gap
            margin = 26 + (2 * LOSS if row.lost else 0)
            most = int((self.width - self.left) / CELL)
            return wrap_label(row_text(row), int((room - margin) / CELL), most)
        return wrap_label(row_text(row), *self.note_room(row)[1:])

    def note_room(self, event: Event) -> tuple[bool, int, int]:
        """Whether a note stands left of its lifeline, and its cells to the next one and to the edge."""
        x = self.x[event.party]
        right = min((other for other in self.x.values() if other > x), default=self.width) - x
        left = x - max((other for other in self.x.values() if other < x), default=x)
        room = [int((space - 16) / CELL) for space in (right, left, self.width - x, x - self.left)]
        to_left = left_is_better(row_text(event), *room)
        return (True, room[1], room[3]) if to_left else (False, room[0], room[2])

    def interruptions(self, x: float, shown: list[Place]) -> list[tuple[float, float]]:
        """(top, bottom) wherever a lifeline would cross a text."""
        gaps = []
        for place in shown:
            if place.end != place.start:
                continue
            widest = max(map(cells, place.lines)) * CELL
            if isinstance(place.row, Arrow):
                left = self.middle(place) - widest / 2 - 3
                top, bottom = place.start - 4 - LINE * len(place.lines), place.start - 3
            else:
                at = self.x[place.row.party]
                left = at - 12 - widest if self.note_room(place.row)[0] else at + 8
                top, bottom = place.start - 10, place.start + LINE * len(place.lines) - 7
            if left < x < left + widest + 6:
                gaps.append((top, bottom))
        return gaps

    def middle(self, place: Place) -> float:
        """Where the label of an arrow has its middle: above the arrow, and within the picture."""
        arrow = place.row
        assert isinstance(arrow, Arrow)
        middle = (self.x[arrow.sender] + self.x[arrow.receiver]) / 2
        if arrow.sender == arrow.receiver:
            middle += self.gap / 2
        half = max(map(cells, place.lines)) * CELL / 2
        return max(min(middle, self.width - half - 2), self.left + half + 6)


def _is_lost(row: Row) -> bool:
    return isinstance(row, Arrow) and row.lost
