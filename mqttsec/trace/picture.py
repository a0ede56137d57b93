"""Ladder diagrams as SVG: a pure string, for a page of a notebook or a file of its own.

The picture takes its colours from the page: `currentColor`, and JupyterLab's variables where there
are any, so that it reads on light and on dark. Nothing is told by colour alone: kinds of packets
differ in line style, the current arrow is thicker and marked, what is lost ends in a cross.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from html import escape

from mqttsec.packets import PacketType
from mqttsec.trace.arrows import Arrow
from mqttsec.trace.events import Event, EventKind
from mqttsec.trace.labels import GLUE, cells, packet_name, printable, shorten
from mqttsec.trace.ladder import (
    Ladder,
    Row,
    as_ladder,
    row_text,
    seconds,
)
from mqttsec.trace.picture_layout import CELL, FONT, HEAD, LINE, LOSS, ROW, TIP, Layout, Place

_STYLES: dict[int, tuple[float, str]] = {
    PacketType.PUBLISH: (2.2, ""),
    PacketType.CONNECT: (1.3, ""),
    PacketType.SUBSCRIBE: (1.3, ""),
    PacketType.UNSUBSCRIBE: (1.3, ""),
    PacketType.PUBREL: (1.3, "6 3"),
    PacketType.PINGREQ: (1.3, "1.5 3"),
    PacketType.PINGRESP: (1.3, "1.5 3"),
    PacketType.AUTH: (1.3, "9 3 2 3"),
    PacketType.DISCONNECT: (1.3, "14 4"),
}
"""Line width and dashes: messages thick, requests solid, pings dotted, AUTH dash-dotted."""
_ANSWER = (1.3, "6 3")
"""All others are answers: dashed."""
_HIDDEN = (2.2, "2 2")
"""Packets under TLS, of which a listener does not know what they are."""

_TEXT = "fill:var(--jp-content-font-color1,currentColor)"
_FAINT = "fill:var(--jp-content-font-color2,currentColor)"
_MARKED = "var(--jp-brand-color1,currentColor)"
_WRONG = "var(--jp-error-color1,currentColor)"


def svg_ladder(
    source: Ladder | Iterable[Event],
    *,
    width: int = 760,
    upto: int | None = None,
    highlight: int | None = None,
    slanted: bool = False,
    times: bool = True,
    window: int | None = None,
    title: str = "Ladder diagram",
    ident: str | None = None,
) -> str:
    """The ladder as an `<svg>` element, the same string for the same trace.

    `width` is in pixels (more if the parties need it; the page may shrink it). `upto` shows the
    first so many arrows and `highlight` marks the so-manieth, from 1: with both a stepper needs
    nothing else, and the picture keeps its size from step to step. `window` limits it to so many
    arrows around the highlighted one. `slanted` gives each arrival a place of its own below its
    departure, so that packets can be seen to cross. `title` is the picture's accessible name.
    `ident` prefixes the element ids; give one where the same ladder stands on a page twice.
    """
    diagram = as_ladder(source)
    shown = _window(diagram, window, highlight if highlight is not None else upto)
    if ident is None:
        options = (diagram.parties, shown, width, upto, highlight, slanted, times, title)
        ident = f"ladder-{zlib.crc32(repr(options).encode('utf-8', 'surrogatepass')):08x}"
    page = _Page(Layout(diagram, width, times, slanted), ident)
    visible = {id(row) for row in diagram.up_to(upto)}
    current = diagram.arrows[highlight - 1] if highlight and highlight <= len(diagram.arrows) else None
    return page.draw(shown, visible, current, title)


def _window(diagram: Ladder, window: int | None, middle: int | None) -> tuple[Row, ...]:
    count = len(diagram.arrows)
    if window is None or window >= count:
        return diagram.rows
    # As far as possible a third of the window stands below the current arrow: what comes next.
    last = min(count, max(window, (middle or 1) + window // 3))
    rows = diagram.up_to(last)
    before = diagram.up_to(last - window)
    return rows[len(before):]


class _Page:
    """The parts of one picture, as strings."""

    def __init__(self, layout: Layout, ident: str) -> None:
        self._at = layout
        self._ident = ident
    def draw(self, rows: tuple[Row, ...], visible: set[int], current: Arrow | None, title: str) -> str:
        places, height = self._at.places(rows)
        if not rows:
            height += LINE + ROW
        shown = [place for place in places if id(place.row) in visible]
        parts = [
            self._open(height, title, shown),
            self._markers(),
            *self._headings(),
            *self._columns(height, shown),
        ]
        for place in shown:
            parts += self._row(place, place.row is current)
        if not rows:
            parts.append(_text(self._at.width / 2, HEAD + LINE, "nothing has happened yet", _FAINT))
        parts.append("</svg>")
        return "\n".join(parts)

    def _open(self, height: float, title: str, shown: list[Place]) -> str:
        arrows = sum(isinstance(place.row, Arrow) for place in shown)
        who = ", ".join(self._at.parties) or "nobody"
        description = f"{arrows} packet{'' if arrows == 1 else 's'} between {who}."
        if shown:
            description += f" The last row: {_spoken(shown[-1].row)}."
        w, h = _number(self._at.width), _number(height)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" '
            f'role="img" aria-labelledby="{self._ident}-title {self._ident}-desc" '
            f'style="max-width:100%;height:auto;font-size:{FONT}px;'
            f'font-family:var(--jp-code-font-family,ui-monospace),monospace;'
            f'color:var(--jp-content-font-color1,currentColor)">\n'
            f'<title id="{self._ident}-title">{_escaped(title)}</title>\n'
            f'<desc id="{self._ident}-desc">{_escaped(description)}</desc>'
        )

    def _headings(self) -> list[str]:
        if not self._at.times:
            return []
        right = 12 + self._at.number_width + self._at.time_width
        if not self._at.both or self._at.slanted:
            return [_text(right, 21, "time s", _FAINT, "end")]
        return [_text(right, 21, "sent s", _FAINT, "end"),
                _text(right + self._at.time_width, 21, "arr. s", _FAINT, "end", tip="arrived, in seconds")]

    def _markers(self) -> str:
        # In user space, because a head that grows with its line is too big on a thick one. A head does
        # not inherit its line's colour, so that the current arrow's needs a marker of its own.
        heads = (("head", 9, "currentColor"), ("marked", 13, _MARKED))
        return "<defs>" + "".join(
            f'<marker id="{self._ident}-{name}" markerUnits="userSpaceOnUse" markerWidth="{TIP}" '
            f'markerHeight="{height}" refX="0" refY="{height / 2}" orient="auto">'
            f'<path d="M0 0L{TIP} {height / 2}L0 {height}Z" style="fill:{colour}"/></marker>'
            for name, height, colour in heads
        ) + "</defs>"





    def _columns(self, height: float, shown: list[Place]) -> list[str]:
        """Names and lifelines; a lifeline is interrupted where it would cross the text of an arrow."""
        parts = []
        for name, x in self._at.x.items():
            text = shorten(printable(name), self._at.name_width)
            half = cells(text) * CELL / 2 + 8
            parts.append(
                f'<rect x="{_number(x - half)}" y="6" width="{_number(2 * half)}" height="22" rx="4" '
                f'style="fill:none;stroke:currentColor;stroke-width:1"/>'
                + _text(x, 21, text, _TEXT + ";font-weight:bold", tip=name)
            )
            path = f"M{_number(x)} 28"
            for top, bottom in self._at.interruptions(x, shown):
                path += f"V{_number(top)}M{_number(x)} {_number(bottom)}"
            parts.append(f'<path d="{path}V{_number(height)}" style="fill:none;stroke:currentColor;'
                         f'stroke-width:1;stroke-opacity:0.45"/>')
        return parts



    def _row(self, place: Place, marked: bool) -> list[str]:
        row = place.row
        parts = [f"<g><title>{_escaped(_spoken(row))}</title>"]
        if isinstance(row, Arrow):
            parts += self._margin(row, place, marked) + self._arrow(row, place, marked)
        else:
            parts += self._note(row, place)
        parts.append("</g>")
        return parts

    def _margin(self, row: Row, place: Place, marked: bool) -> list[str]:
        parts = []
        right = 12 + self._at.number_width
        if isinstance(row, Arrow):
            style = _FAINT
            if marked:
                style = f"fill:{_MARKED};font-weight:bold"
                y = _number(place.start - 5)
                parts.append(f'<path d="M2 {y}l8 4.5l-8 4.5z" style="fill:{_MARKED}"/>')
            parts.append(_text(right, place.start + 4, str(row.number), style, "end"))
        if self._at.times:
            right += self._at.time_width
            first = row.sent if isinstance(row, Arrow) and self._at.both else row.time
            parts.append(_text(right, place.start + 4, seconds(first), _FAINT, "end"))
            if self._at.both and isinstance(row, Arrow):
                arrived = "lost" if row.lost else seconds(row.received)
                if not self._at.slanted:
                    parts.append(_text(right + self._at.time_width, place.start + 4, arrived, _FAINT, "end"))
                elif place.end != place.start and not row.lost:
                    parts.append(_text(right, place.end + 4, arrived, _FAINT, "end"))
        return parts

    def _arrow(self, arrow: Arrow, place: Place, marked: bool) -> list[str]:
        x1, x2 = self._at.x[arrow.sender], self._at.x[arrow.receiver]
        y1, y2 = place.start, place.end
        kind = arrow.frame[0] >> 4 if arrow.frame else 0
        thickness, dashes = _STYLES.get(kind, _ANSWER) if arrow.frame else _HIDDEN
        style = f"fill:none;stroke:{_MARKED if marked else 'currentColor'};stroke-width:"
        style += _number(thickness + 1.2 if marked else thickness)
        if dashes:
            style += f";stroke-dasharray:{dashes}"
        parts = []
        if arrow.lost:
            # The cross stands before the end of the way: the packet never came to it.
            part = 1 - LOSS / max(abs(x2 - x1), 2 * LOSS)
            x2, y2 = x1 + part * (x2 - x1), y1 + part * (y2 - y1)
        if x1 == x2:
            path = f"M{_number(x1)} {_number(y1 - 6)}h26v6h-{26 - TIP}"
        else:
            short = 1 if arrow.lost else 1 - TIP / math.hypot(x2 - x1, y2 - y1)
            path = (f"M{_number(x1)} {_number(y1)}"
                    f"L{_number(x1 + short * (x2 - x1))} {_number(y1 + short * (y2 - y1))}")
        head = "" if arrow.lost else f' marker-end="url(#{self._ident}-{"marked" if marked else "head"})"'
        parts.append(f'<path d="{path}" style="{style}"{head}/>')
        if arrow.lost:
            parts.append(
                f'<path d="M{_number(x2 - 6)} {_number(y2 - 6)}l12 12m0 -12l-12 12" '
                f'style="fill:none;stroke:{_WRONG};stroke-width:2.4"/>'
            )
        return parts + self._label(arrow, place, marked)

    def _label(self, arrow: Arrow, place: Place, marked: bool) -> list[str]:
        name = packet_name(arrow.frame) if arrow.frame else "TLS"
        middle, y = self._at.middle(place), (place.start + place.end) / 2
        turn = ""
        if place.end != place.start:
            # Along a slanted arrow; text always reads from left to right.
            run = self._at.x[arrow.receiver] - self._at.x[arrow.sender]
            angle = math.degrees(math.atan((place.end - place.start) / run)) if run else 0.0
            turn = f' transform="rotate({_number(angle)} {_number(middle)} {_number(y)})"'
        style = f"fill:{_MARKED}" if marked else _TEXT
        parts = []
        for index, line in enumerate(place.lines):
            at = y - 5 - LINE * (len(place.lines) - 1 - index)
            bold = name if index == 0 and line.startswith(name) else ""
            parts.append(_text(middle, at, line, style, bold=bold, extra=turn))
        return parts

    def _note(self, event: Event, place: Place) -> list[str]:
        to_left = self._at.note_room(event)[0]
        x = self._at.x[event.party]
        wrong = event.kind is EventKind.REJECTED
        y = _number(place.start)
        mark = (
            f'<path d="M{_number(x - 5)} {_number(place.start - 5)}l10 10m0 -10l-10 10" '
            f'style="fill:none;stroke:{_WRONG};stroke-width:2.2"/>' if wrong else
            f'<circle cx="{_number(x)}" cy="{y}" r="4" style="fill:currentColor"/>'
        )
        parts = [mark]
        for index, line in enumerate(place.lines):
            at = x - 10 if to_left else x + 10
            style = _TEXT + ";font-style:italic"
            anchor = "end" if to_left else "start"
            parts.append(_text(at, place.start + 4 + LINE * index, line, style, anchor))
        if self._at.times:
            right = 12 + self._at.number_width + self._at.time_width
            parts.append(_text(right, place.start + 4, seconds(event.time), _FAINT, "end"))
        return parts


def _spoken(row: Row) -> str:
    """The row in words, for the tool tip and for screen readers."""
    text = row_text(row).replace(GLUE, " ")
    if not isinstance(row, Arrow):
        return f"{row.party}: {text}, at {seconds(row.time)} s"
    words = f"{row.number}: {row.sender} to {row.receiver}: {text}, {row.size} bytes"
    if row.sent is not None:
        words += f", sent at {seconds(row.sent)} s"
    if row.received is not None:
        words += f", arrived at {seconds(row.received)} s"
    return words


def _text(
    x: float, y: float, text: str, style: str, anchor: str = "middle", *, bold: str = "", tip: str = "",
    extra: str = "",
) -> str:
    inner = _escaped(text)
    if bold:
        inner = f'<tspan style="font-weight:bold">{_escaped(bold)}</tspan>{_escaped(text[len(bold):])}'
    title = f"<title>{_escaped(tip)}</title>" if tip and tip != text else ""
    # Blanks are kept: a label may show a topic with two of them.
    return (f'<text x="{_number(x)}" y="{_number(y)}" text-anchor="{anchor}"{extra} '
            f'style="white-space:pre;{style}">{title}{inner}</text>')


def _escaped(text: str) -> str:
    return escape(printable(text), quote=True)


def _number(value: float) -> str:
    """At most one decimal, and none that is zero."""
    return f"{value:.1f}".removesuffix(".0")
