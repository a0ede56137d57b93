"""A crowd of bridge brokers as a picture: who collaborates, whom they suspect how much, and the last path.

Kinds differ in shape, not in colour alone: honest brokers are circles, collaborators crossed squares, the
publisher's own broker has a second ring. How much a broker is suspected is a number beside it, and the size
of the disc in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 500, 462
_MIDDLE = (_WIDTH / 2, 212.0)
_ROUND = (172.0, 160.0)
"""Half axes of the ellipse that the brokers stand on."""
_CLOSE = 24
"""With more brokers there is room for the percentages of the suspected ones alone, in small type."""
_ALARM = "var(--jp-error-color1,#c62828)"
_BRAND = "var(--jp-brand-color1,#1976d2)"
_PATH = "var(--jp-warn-color0,#d9731a)"


@dataclass(frozen=True)
class Broker:
    """One of the crowd, as it is drawn."""

    name: str
    """Short: `b1`."""
    collaborates: bool = False
    """Drawn as a crossed square."""
    own: bool = False
    """The publisher's bridge broker: a second ring."""
    suspicion: float | None = None
    """P(it is the publisher's), as the collaborators see it; None if they need not ask."""


def crowd_svg(
    brokers: Sequence[Broker],
    path: Sequence[int] = (),
    title: str = "A crowd of bridge brokers",
    said: str = "",
) -> str:
    """The crowd on an ellipse, the collaborators spread among the rest, and a path as arrows.

    `path` are places in `brokers`, the publisher's first; the last one hands out. `said` is the description
    for screen readers.
    """
    spots = _spots(brokers)
    size = max(8.0, min(16.0, 290 / max(len(brokers), 1)))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" class="mqs-crowd" style="max-width:100%;height:auto;'
        "font-size:12px;font-family:var(--jp-ui-font-family,system-ui),sans-serif;"
        'color:var(--jp-content-font-color1,currentColor)">',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(said or title)}</desc>",
        *_arrows([spots[place] for place in path], size),
    ]
    for broker, spot in zip(brokers, spots, strict=True):
        parts += _drawn(broker, spot, size, len(brokers) > _CLOSE)
    return "\n".join([*parts, *_legend(), "</svg>"])


def _spots(brokers: Sequence[Broker]) -> list[tuple[float, float]]:
    """Where each stands: the collaborators as far apart as can be, the rest in between, in order."""
    count = len(brokers)
    bad = [number for number, broker in enumerate(brokers) if broker.collaborates]
    good = [number for number, broker in enumerate(brokers) if not broker.collaborates]
    slots = {int((k + 0.5) * count / len(bad)) for k in range(len(bad))} if bad else set()
    free = iter(good)
    taken = iter(bad)
    order = [next(taken) if slot in slots else next(free) for slot in range(count)]
    angle = {broker: -math.pi / 2 + 2 * math.pi * slot / count for slot, broker in enumerate(order)}
    return [
        (_MIDDLE[0] + _ROUND[0] * math.cos(angle[n]), _MIDDLE[1] + _ROUND[1] * math.sin(angle[n]))
        for n in range(count)
    ]


def _drawn(broker: Broker, spot: tuple[float, float], size: float, close: bool) -> list[str]:
    x, y = spot
    ground = "fill:var(--jp-layout-color0,white)"
    if broker.collaborates:
        s = size * 0.92
        cross = f"M{x - s:.1f} {y - s:.1f}l{2 * s:.1f} {2 * s:.1f}m0 {-2 * s:.1f}l{-2 * s:.1f} {2 * s:.1f}"
        parts = [
            f'<rect x="{x - s:.1f}" y="{y - s:.1f}" width="{2 * s:.1f}" height="{2 * s:.1f}" '
            f'style="{ground};stroke:{_ALARM};stroke-width:2.2"/>',
            f'<path d="{cross}" style="fill:none;stroke:{_ALARM};stroke-width:1.1;opacity:.75"/>',
        ]
    else:
        parts = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}" style="{ground};stroke:currentColor"/>']
        if broker.suspicion:
            # The area of the disc is the share.
            inner = size * math.sqrt(broker.suspicion)
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{inner:.1f}" style="fill:{_BRAND};opacity:.8"/>'
            )
        if broker.own:
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size + 4:.1f}" '
                'style="fill:none;stroke:currentColor;stroke-width:2"/>'
            )
    dx, dy = x - _MIDDLE[0], y - _MIDDLE[1]
    far = math.hypot(dx, dy) or 1.0
    away = size + (13 if close else 17)
    tx, ty = x + dx / far * away, y + dy / far * (away - 2) + 4
    anchor = "middle" if abs(dx) < 0.35 * _ROUND[0] else ("start" if dx > 0 else "end")
    tx += {"middle": 0.0, "start": -9.0, "end": 9.0}[anchor]
    weight = "bold" if broker.own else "normal"
    label = broker.name
    if broker.suspicion is not None and (not close or broker.own or broker.suspicion >= 0.05):
        label += f" {percent(broker.suspicion)}"
    parts.append(
        f'<text x="{tx:.1f}" y="{ty:.1f}" text-anchor="{anchor}" '
        f'style="fill:currentColor;font-weight:{weight}{";font-size:10px" if close else ""}">'
        f"{escape(label)}</text>"
    )
    return parts


def percent(share: float) -> str:
    """`43 %`; what is not quite 0 or 1 does not say so: `<1 %`, `>99 %`."""
    if 0 < share < 0.005:
        return "<1 %"
    if 0.995 < share < 1 - 1e-9:
        return ">99 %"
    return f"{100 * share:.0f} %"


def _arrows(spots: Sequence[tuple[float, float]], size: float) -> list[str]:
    """A line for each hop, with its number and a head; a loop where a broker picked itself."""
    parts = []
    for number, (start, end) in enumerate(zip(spots, spots[1:], strict=False), start=1):
        style = f"fill:none;stroke:{_PATH};stroke-width:2"
        if start == end:
            x, y = start
            inward = math.atan2(_MIDDLE[1] - y, _MIDDLE[0] - x)
            ax, ay = x + 2.3 * size * math.cos(inward), y + 2.3 * size * math.sin(inward)
            parts.append(f'<circle cx="{ax:.1f}" cy="{ay:.1f}" r="{1.1 * size:.1f}" style="{style}"/>')
            parts.append(
                _number(ax + 1.8 * size * math.cos(inward), ay + 1.8 * size * math.sin(inward), number)
            )
            continue
        dx, dy = end[0] - start[0], end[1] - start[1]
        far = math.hypot(dx, dy)
        ux, uy = dx / far, dy / far
        # Bent a little to one side, so that there and back again are two lines.
        bend = 0.10 * far
        mx, my = (start[0] + end[0]) / 2 - uy * bend, (start[1] + end[1]) / 2 + ux * bend
        tip_angle = math.atan2(end[1] - my, end[0] - mx)
        off = size + 7
        tx, ty = end[0] - off * math.cos(tip_angle), end[1] - off * math.sin(tip_angle)
        parts.append(
            f'<path d="M{start[0]:.1f} {start[1]:.1f}Q{mx:.1f} {my:.1f} {tx:.1f} {ty:.1f}" style="{style}"/>'
        )
        left, right = tip_angle + 2.65, tip_angle - 2.65
        parts.append(
            f'<path d="M{tx + 3 * math.cos(tip_angle):.1f} {ty + 3 * math.sin(tip_angle):.1f}'
            f"L{tx + 11 * math.cos(left):.1f} {ty + 11 * math.sin(left):.1f}"
            f'L{tx + 11 * math.cos(right):.1f} {ty + 11 * math.sin(right):.1f}Z" style="fill:{_PATH}"/>'
        )
        parts.append(_number(0.4 * start[0] + 0.6 * mx, 0.4 * start[1] + 0.6 * my, number))
    return parts


def _number(x: float, y: float, number: int) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" style="fill:currentColor;font-size:11px;'
        f'paint-order:stroke;stroke:var(--jp-layout-color0,white);stroke-width:4px">{number}</text>'
    )


def _legend() -> list[str]:
    """Two lines below the picture."""
    y, below = _HEIGHT - 30.0, _HEIGHT - 8.0
    return [
        f'<circle cx="94" cy="{y - 4}" r="6" style="fill:none;stroke:currentColor"/>',
        f'<circle cx="94" cy="{y - 4}" r="4" style="fill:{_BRAND};opacity:.8"/>',
        f'<text x="108" y="{y}" style="fill:currentColor">honest, suspected</text>',
        f'<circle cx="264" cy="{y - 4}" r="4" style="fill:none;stroke:currentColor"/>',
        f'<circle cx="264" cy="{y - 4}" r="8" style="fill:none;stroke:currentColor;stroke-width:2"/>',
        f'<text x="280" y="{y}" style="fill:currentColor">the publisher\'s own</text>',
        f'<rect x="88" y="{below - 10}" width="12" height="12" '
        f'style="fill:none;stroke:{_ALARM};stroke-width:2"/>',
        f'<path d="M88 {below - 10}l12 12m0 -12l-12 12" style="stroke:{_ALARM}"/>',
        f'<text x="108" y="{below}" style="fill:currentColor">collaborates</text>',
        f'<path d="M248 {below - 4}h18" style="stroke:{_PATH};stroke-width:2"/>',
        f'<path d="M274 {below - 4}l-9 -5v10z" style="fill:{_PATH}"/>',
        f'<text x="280" y="{below}" style="fill:currentColor">the last path, hop by hop</text>',
    ]
