"""A network of brokers as one SVG picture: clients left, bridge brokers on a ring, public brokers right.

    network_svg(places, legs, upto=3, title="A message")

What a message does is a list of `Leg`s; the first `upto` are drawn, the last of these stands out. Who is
whose peer is drawn faintly. Pure: colours come from the page, and nothing is told by colour alone.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from mqttsec.errors import ConfigurationError

WIDTH, HEIGHT = 880, 448
_CENTRE = (430.0, 222.0)
_RADII = (212.0, 170.0)
_LEFT, _RIGHT = 64.0, 806.0
_BALL = 21.0
"""Radius of a bridge broker."""
_BOX = (104.0, 44.0)
"""Width and height of the others."""
_NOW = "var(--jp-brand-color1,#1976d2)"
_ALARM = "var(--jp-error-color1,#c00)"
_PAGE = "var(--jp-layout-color0,white)"


class Kind(str, enum.Enum):
    """What a place in the network is."""

    CLIENT = "client"
    """A publisher or a subscriber."""
    BRIDGE = "bridge broker"
    """One of the peers."""
    PUBLIC = "public broker"
    """Hosts actual topics."""
    DISCOVERY = "discovery broker"
    """Knows who and where all are."""


class Way(str, enum.Enum):
    """What goes over a leg, and how it is drawn."""

    PUBLISH = "publish"
    """A message on its way to the public broker: solid."""
    DELIVER = "deliver"
    """A message on its way back along a subscribe path: dashed."""
    SUBSCRIBE = "subscribe"
    """A subscription on its way to the public broker: dotted."""
    LOST = "lost"
    """A subscription that is discarded: dotted, crossed out."""


_DASHES = {Way.PUBLISH: "", Way.DELIVER: "7 4", Way.SUBSCRIBE: "2 4", Way.LOST: "2 4"}


@dataclass(frozen=True)
class Place:
    """A client or a broker."""

    name: str
    """What is written on it; unique in a picture."""
    kind: Kind
    """What it is."""
    marked: bool = False
    """Drawn with a double line: a collaborator, or the broker whose eyes are meant."""


@dataclass(frozen=True)
class Leg:
    """One arrow."""

    source: str
    """Name of the place that it leaves."""
    target: str
    """Name of the place that it reaches; the same one where a broker picked itself."""
    label: str = ""
    """A word or two on the arrow, such as the draw: `R 0.31`."""
    way: Way = Way.PUBLISH
    """What goes over it."""


Point = tuple[float, float]


def network_svg(
    places: Sequence[Place],
    legs: Sequence[Leg],
    *,
    upto: int | None = None,
    title: str = "",
    peers: bool = True,
    highlight: bool = True,
    numbers: bool = True,
) -> str:
    """The picture; `peers`: draw who is whose peer, `highlight`: let the last leg stand out, `numbers`:
    say which leg is which.

    Raises `ConfigurationError` for two places of one name, or a leg between unknown ones.
    """
    spots = _spots(places)
    for leg in legs:
        if leg.source not in spots or leg.target not in spots:
            raise ConfigurationError(f"a leg from {leg.source} to {leg.target}: there is no such place")
    shown = list(legs[: len(legs) if upto is None else max(0, upto)])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" style="max-width:100%;height:auto;font-size:13px;'
        "font-family:var(--jp-ui-font-family,system-ui),sans-serif;"
        'color:var(--jp-content-font-color1,currentColor)">',
        f"<title>{escape(title or 'A network of brokers')}</title>",
        f"<desc>{escape(_described(shown))}</desc>",
    ]
    if peers:
        parts += _peer_lines(places, spots)
    seen: Counter[frozenset[str]] = Counter()
    drawn = []
    for number, leg in enumerate(shown, 1):
        pair = frozenset((leg.source, leg.target))
        said = ": ".join(filter(None, (str(number) * numbers, leg.label)))
        drawn.append(_leg(leg, said, spots, seen[pair], highlight and number == len(shown)))
        seen[pair] += 1
    parts += [line for line, _ in drawn]
    parts += [_place(place, spots[place.name]) for place in places]
    # Words last: no line crosses them.
    parts += [words for _, words in drawn]
    return "\n".join([*parts, "</svg>"])


def _described(legs: Sequence[Leg]) -> str:
    said = (
        f"{number}: {leg.way.value} {leg.source} to {leg.target}{f', {leg.label}' if leg.label else ''}"
        for number, leg in enumerate(legs, 1)
    )
    return "; ".join(said) or "nothing has been sent yet"


# Where everybody stands -----------------------------------------------------------------------


def _spots(places: Sequence[Place]) -> dict[str, Point]:
    if len({place.name for place in places}) != len(places):
        raise ConfigurationError("two places of a network have the same name")
    groups = {kind: [place for place in places if place.kind is kind] for kind in Kind}
    spots: dict[str, Point] = {}
    bridges = groups[Kind.BRIDGE]
    for number, place in enumerate(bridges):
        # The first and the last are next to the clients, at the left.
        angle = math.pi + 2 * math.pi * (number + 0.5) / len(bridges)
        spots[place.name] = (
            _CENTRE[0] + _RADII[0] * math.cos(angle),
            _CENTRE[1] + _RADII[1] * math.sin(angle),
        )
    for place, y in zip(groups[Kind.CLIENT], _spread(len(groups[Kind.CLIENT]), 0.0), strict=True):
        spots[place.name] = (_LEFT, y)
    right = groups[Kind.PUBLIC]
    for place, y in zip(right, _spread(len(right), -20.0), strict=True):
        spots[place.name] = (_RIGHT, y)
    for number, place in enumerate(reversed(groups[Kind.DISCOVERY])):
        spots[place.name] = (_RIGHT, HEIGHT - 34.0 - 52.0 * number)
    return spots


def _spread(count: int, lower: float) -> list[float]:
    """Heights of so many places in one column."""
    height = HEIGHT - 60.0 + 2 * lower
    return [_CENTRE[1] + lower + height * ((number + 0.5) / count - 0.5) for number in range(count)]


# Places ---------------------------------------------------------------------------------------


def _place(place: Place, at: Point) -> str:
    x, y = at
    width = 3 if place.kind is Kind.PUBLIC else 1.5
    style = f"fill:{_PAGE};stroke:currentColor;stroke-width:{width}"
    if place.kind is Kind.BRIDGE:
        shapes = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_BALL:g}" style="{style}"/>']
        if place.marked:
            inner = "fill:none;stroke:currentColor;stroke-width:1.5"
            shapes.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_BALL - 4:g}" style="{inner}"/>')
    else:
        more = ";stroke-dasharray:5 3" if place.kind is Kind.DISCOVERY else ""
        round_by = 14 if place.kind is Kind.CLIENT else 3
        shapes = [_box(x, y, 0.0, round_by, style + more)]
        if place.marked:
            shapes.append(_box(x, y, 4.0, round_by, "fill:none;stroke:currentColor;stroke-width:1.5"))
    words = _text(x, y + 4.5, place.name, "bold" if place.marked else "normal")
    title = f"<title>{escape(place.name)}: {place.kind.value}</title>"
    return f"<g>{title}{''.join(shapes)}{words}</g>"


def _box(x: float, y: float, inset: float, round_by: float, style: str) -> str:
    width, height = _BOX[0] - 2 * inset, _BOX[1] - 2 * inset
    return (
        f'<rect x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width:g}" height="{height:g}" '
        f'rx="{max(round_by - inset, 1):g}" style="{style}"/>'
    )


def _peer_lines(places: Sequence[Place], spots: dict[str, Point]) -> list[str]:
    names = [place.name for place in places if place.kind is Kind.BRIDGE]
    lines = []
    for number, one in enumerate(names):
        for other in names[number + 1 :]:
            (x, y), (to_x, to_y) = spots[one], spots[other]
            lines.append(f"M{x:.0f} {y:.0f}L{to_x:.0f} {to_y:.0f}")
    style = "fill:none;stroke:currentColor;stroke-width:1;opacity:.09"
    return [f'<path d="{"".join(lines)}" style="{style}"/>'] if lines else []


# Legs -----------------------------------------------------------------------------------------


def _leg(leg: Leg, said: str, spots: dict[str, Point], before: int, now: bool) -> tuple[str, str]:
    """The line and the words of an arrow; `before` counts earlier arrows between the same two."""
    colour = _ALARM if leg.way is Way.LOST else _NOW if now else "currentColor"
    dashes = f";stroke-dasharray:{_DASHES[leg.way]}" if _DASHES[leg.way] else ""
    style = f"fill:none;stroke:{colour};stroke-width:{3 if now else 1.7}{dashes}"
    start, end = spots[leg.source], spots[leg.target]
    if leg.source == leg.target:
        path, middle, tip, angle = _loop(start, before)
    else:
        others = [spot for name, spot in spots.items() if name not in (leg.source, leg.target)]
        path, middle, tip, angle = _curve(leg, start, end, before, others)
    head = (
        f'<path d="M-9 -5L0 0L-9 5" transform="translate({tip[0]:.1f} {tip[1]:.1f}) rotate({angle:.0f})" '
        f'style="fill:none;stroke:{colour};stroke-width:{2.6 if now else 1.7}"/>'
    )
    cross = ""
    if leg.way is Way.LOST:
        x, y = tip
        cross = (
            f'<path d="M{x - 7:.0f} {y - 7:.0f}l14 14m0 -14l-14 14" '
            f'style="fill:none;stroke:{colour};stroke-width:3"/>'
        )
    words = _text(middle[0], middle[1] + 4, said, "bold" if now else "normal", halo=True, size=12)
    return f'<path d="{path}" style="{style}"/>{head}{cross}', words


def _control(start: Point, end: Point, bend: float) -> Point:
    """The control point of a curve that leaves the straight line by `bend`."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy) or 1.0
    return (
        (start[0] + end[0]) / 2 - dy / length * bend * 2,
        (start[1] + end[1]) / 2 + dx / length * bend * 2,
    )


def _is_clear(start: Point, control: Point, end: Point, others: Sequence[Point]) -> bool:
    """Whether a curve keeps away from all other places."""
    for step in range(1, 20):
        t = step / 20
        x = (1 - t) ** 2 * start[0] + 2 * t * (1 - t) * control[0] + t**2 * end[0]
        y = (1 - t) ** 2 * start[1] + 2 * t * (1 - t) * control[1] + t**2 * end[1]
        if any(math.hypot(x - other[0], y - other[1]) < _BALL + 5 for other in others):
            return False
    return True


def _curve(
    leg: Leg, start: Point, end: Point, before: int, others: Sequence[Point]
) -> tuple[str, Point, Point, float]:
    # Each further arrow between the same two bends more; back and forth bend to different sides.
    bend = 14.0 + 17.0 * (before // 2 if leg.source < leg.target else (before + 1) // 2)
    choices = [_control(start, end, bend + more) for more in (0.0, 20.0, -2 * bend - 20.0, 44.0)]
    # No arrow should seem to stop at somebody whom it only passes.
    control = next((each for each in choices if _is_clear(start, each, end, others)), choices[0])
    away, to = _edge(start, control), _edge(end, control)
    # The words of arrows between the same two stand at different heights.
    t = 0.5 + (0.0, -0.2, 0.2, -0.32, 0.32)[before % 5]
    t = t if leg.source < leg.target else 1 - t
    middle = (
        (1 - t) ** 2 * away[0] + 2 * t * (1 - t) * control[0] + t**2 * to[0],
        (1 - t) ** 2 * away[1] + 2 * t * (1 - t) * control[1] + t**2 * to[1],
    )
    angle = math.degrees(math.atan2(to[1] - control[1], to[0] - control[0]))
    path = f"M{away[0]:.1f} {away[1]:.1f}Q{control[0]:.1f} {control[1]:.1f} {to[0]:.1f} {to[1]:.1f}"
    return path, middle, to, angle


def _edge(centre: Point, towards: Point) -> Point:
    """Where a line leaves the shape of a place."""
    dx, dy = towards[0] - centre[0], towards[1] - centre[1]
    length = math.hypot(dx, dy) or 1.0
    inside = abs(centre[0] - _CENTRE[0]) <= _RADII[0] + 1
    reach = _BALL + 3
    if not inside:
        # A box: to its nearer side.
        reach = min(
            (_BOX[0] / 2 + 3) * length / max(abs(dx), 1e-9), (_BOX[1] / 2 + 3) * length / max(abs(dy), 1e-9)
        )
    return centre[0] + dx / length * reach, centre[1] + dy / length * reach


def _loop(centre: Point, before: int) -> tuple[str, Point, Point, float]:
    """A broker picked itself: a loop at the outside of the ring."""
    angle = math.atan2(centre[1] - _CENTRE[1], centre[0] - _CENTRE[0])
    size = 66.0 + 16.0 * before
    points = [
        (centre[0] + reach * math.cos(angle + turn), centre[1] + reach * math.sin(angle + turn))
        for turn, reach in ((-0.6, _BALL + 2), (-0.6, size), (0.6, size), (0.6, _BALL + 4))
    ]
    (a, b), (c, d), (e, f), (g, h) = points
    path = f"M{a:.1f} {b:.1f}C{c:.1f} {d:.1f} {e:.1f} {f:.1f} {g:.1f} {h:.1f}"
    middle = (centre[0] + (size - 18) * math.cos(angle), centre[1] + (size - 18) * math.sin(angle))
    return path, middle, (g, h), math.degrees(math.atan2(h - f, g - e))


def _text(x: float, y: float, words: str, weight: str, *, halo: bool = False, size: float = 13) -> str:
    behind = f";paint-order:stroke;stroke:{_PAGE};stroke-width:4;stroke-linejoin:round" if halo else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" '
        f'style="fill:currentColor;font-weight:{weight};font-size:{size:g}px{behind}">{escape(words)}</text>'
    )
