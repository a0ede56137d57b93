"""A message and its layers as nested boxes between station, broker and subscribers; as text and tables."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape

from mqttsec.e2e import Protection, Role
from mqttsec.e2e.schemes import Cell
from mqttsec.labs.key_search import Opening
from mqttsec.labs.passage import CHANNEL, WHERE, Flip, Leg, Passage, Verdict
from mqttsec.widgets.look import columns
from mqttsec.widgets.table import Table

_WIDTH, _HEIGHT = 900, 236
_PARTY, _WIRE = 150, 225
"""Width of a party's box and of the room for a wire."""
_TOP, _TALL = 44, 128
_DONE = {Protection.EI: "sealed", Protection.I: "tagged"}
_ALARM = "var(--jp-error-color1,#c00)"


def layers_text(cells: tuple[Cell, ...], inside: str) -> str:
    """Layers as brackets: `[sealed K_PB [sealed GK_P [12.8 degC]]]`."""
    text = f"[{inside}]"
    for cell in reversed(cells):
        assert cell.key is not None
        text = f"[{_DONE[cell.protection]} {cell.key.value} {text}]"
    return text


def reading(message: bytes) -> str:
    """The value in a station's message: `12.8 degC`."""
    fields = json.loads(message)
    return f"{fields['value']} {fields['unit']}"


def operations_table(passage: Passage) -> Table:
    """What each party computed, beside the table of the paper."""
    titles = {Role.P: "station (P)", Role.B: "broker (B)", Role.S: "each subscriber (S)"}
    rows = tuple(
        (titles[role], str(passage.counted[role]), str(expected), passage.counted[role] == expected)
        for role, expected in passage.expected.items()
    )
    return Table(("party", "counted", "table of the paper", "equal"), rows)


def observers_table(passage: Passage) -> Table:
    """Who has which keys, and which layers it takes off on both wires."""
    rows = tuple(
        (
            each.name,
            ", ".join(each.keys) or "none",
            opening_text(each.to_broker, passage.legs[0]),
            opening_text(each.from_broker, passage.legs[1]),
        )
        for each in passage.observers
    )
    return Table(("who", "keys in its memory", "has of P-B", "has of B-S"), rows)


def opening_text(opening: Opening, leg: Leg) -> str:
    """`reads it`, or how many layers came off."""
    if opening.message is not None:
        return "reads it"
    return f"takes {len(opening.removed)} of {len(leg.cells)} layers off"


@dataclass(frozen=True)
class PassageView:
    """What the explorer of the four schemes shows."""

    passage: Passage
    """The message."""

    def head(self) -> str:
        """One line: which scheme and how."""
        setup, count = self.passage.setup, len(self.passage.subscribers)
        return (
            f"Scheme {setup.scheme}, {setup.profile.value}, {setup.suite}, {setup.mode.value}, "
            f"{count} subscriber{'s' * (count > 1)}"
        )

    def picture(self) -> str:
        """The layers as nested boxes."""
        return _picture(self.passage, self.head())

    def html(self) -> str:
        """The picture, and both tables below it."""
        left = operations_table(self.passage).html()
        return self.picture() + columns(left, observers_table(self.passage).html(), more=2)

    def text(self) -> str:
        """The same as fixed-width text."""
        lines = [self.head()]
        for leg in self.passage.legs:
            shown = layers_text(leg.cells, reading(self.passage.message))
            lines += [
                f"  {leg.wire.value}  {shown}",
                f"       {leg.sameness}, {leg.size} bytes{' each' * (leg.copies > 1)}",
            ]
        return "\n".join(
            [*lines, "", repr(operations_table(self.passage)), "", repr(observers_table(self.passage))]
        )

    def __repr__(self) -> str:
        return self.text()


@dataclass(frozen=True)
class FlipView:
    """What became of a changed message."""

    flip: Flip
    """The change."""

    def head(self) -> str:
        """One line: which scheme, what was changed where."""
        setup = self.flip.passage.setup
        change = "sent again" if self.flip.what == "replay" else f"{self.flip.what} changed"
        return f"Scheme {setup.scheme}, {setup.profile.value}: {change}, {self.flip.where}"

    def picture(self) -> str:
        """The layers as nested boxes, with the change and who refuses."""
        return _picture(self.flip.passage, self.head(), self.flip)

    def table(self) -> Table:
        """The layer that was changed, what the model says and what the run did."""
        flip = self.flip
        rows = ((CHANNEL[flip.place], str(flip.predicted), str(flip.seen), flip.predicted == flip.seen),)
        return Table(("layer changed", "model: refused by", "run: refused by", "equal"), rows)

    def html(self) -> str:
        """The picture and the table below it."""
        return self.picture() + self.table().html()

    def text(self) -> str:
        """The same as fixed-width text."""
        return f"{self.head()}\n{self.table()!r}"

    def __repr__(self) -> str:
        return self.text()


# The picture -----------------------------------------------------------------------------------


def _picture(passage: Passage, head: str, flip: Flip | None = None) -> str:
    said = [
        f"{leg.wire.value}: {layers_text(leg.cells, 'the reading')}, {leg.sameness}" for leg in passage.legs
    ]
    if flip is not None:
        said.append(f"refused by {flip.seen}")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" style="max-width:100%;height:auto;font-size:13px;'
        "font-family:var(--jp-ui-font-family,system-ui),sans-serif;"
        'color:var(--jp-content-font-color1,currentColor)">',
        f"<title>{escape(head)}</title>",
        f"<desc>{escape('; '.join(said))}</desc>",
        _text(2, 18, head, "bold"),
    ]
    count = len(passage.subscribers)
    titles = ("station", "broker", f"{count} subscribers" if count > 1 else passage.subscribers[0])
    for place, role in enumerate((Role.P, Role.B, Role.S)):
        x = float(place * (_PARTY + _WIRE))
        each = ", each" if role is Role.S and count > 1 else ""
        parts += _party(x, titles[place], f"{passage.counted[role]}{each}", _refusal(flip, role))
    for place, leg in enumerate(passage.legs):
        x = float(_PARTY + place * (_PARTY + _WIRE))
        parts += _leg(x, leg, reading(passage.message), flip is not None and flip.where == WHERE[2 * place])
    if flip is not None and flip.where == WHERE[1]:
        parts.append(_text(_PARTY + _WIRE + _PARTY / 2, _TOP + _TALL - 12, _mark(flip), "bold", True, _ALARM))
    elif flip is not None:
        place = WHERE.index(flip.where) // 2
        x = _PARTY + place * (_PARTY + _WIRE) + _WIRE / 2
        parts.append(_text(x, _TOP - 10, f"\u2193 {_mark(flip)}", "bold", True, _ALARM))
    return "\n".join([*parts, "</svg>"])


def _mark(flip: Flip) -> str:
    return "sent again" if flip.what == "replay" else f"{flip.what} changed"


def _refusal(flip: Flip | None, role: Role) -> tuple[str, ...]:
    if flip is None or flip.seen == Verdict():
        return ("accepts it",) if flip is not None and role is Role.S else ()
    party = {Role.B: "broker", Role.S: "subscriber"}.get(role)
    return ("refuses:", f"{flip.seen.check} of {flip.seen.channel}") if flip.seen.party == party else ()


def _party(x: float, title: str, operations: str, refusal: tuple[str, ...]) -> list[str]:
    middle = x + _PARTY / 2
    width = 3 if len(refusal) > 1 else 1.5
    parts = [
        f'<rect x="{x + 2}" y="{_TOP}" width="{_PARTY - 4}" height="{_TALL}" rx="6" '
        f'style="fill:none;stroke:currentColor;stroke-width:{width}"/>',
        _text(middle, _TOP + 24, title, "bold", True),
        _text(middle, _TOP + 50, operations, "normal", True),
    ]
    parts += (_text(middle, _TOP + 78 + 18 * row, words, "bold", True) for row, words in enumerate(refusal))
    return parts


def _leg(x: float, leg: Leg, value: str, changed: bool) -> list[str]:
    parts = []
    left, top, width, height = x + 10.0, _TOP + 4.0, _WIRE - 22.0, _TALL - 10.0
    # Several payloads: sheets behind the first; the words below say whether they are alike.
    for sheet in range(min(leg.copies, 3) - 1, 0, -1):
        parts.append(_box(left + 4 * sheet, top + 4 * sheet, width - 8, height - 8, "1", "opacity:.5"))
    width, height = width - 8, height - 8
    for depth, cell in enumerate(leg.cells):
        assert cell.key is not None
        stroke = f"3;stroke:{_ALARM}" if changed and not depth else "2"
        dashes = "stroke-dasharray:6 4" if cell.protection is Protection.I else ""
        # Opaque, so that the sheets behind show at the edges only.
        parts.append(_box(left, top, width, height, stroke, f"fill:var(--jp-layout-color0,white);{dashes}"))
        parts.append(_text(left + 8, top + 17, f"{_DONE[cell.protection]} {cell.key.value}"))
        left, top, width, height = left + 9, top + 25, width - 18, height - 34
    parts.append(_text(left + width / 2, top + height / 2 + 5, value, "bold", True))
    end, row = x + _WIRE - 4, _TOP + _TALL + 12
    parts.append(
        f'<path d="M{x + 6} {row}H{end}m-8 -5l8 5l-8 5" '
        'style="fill:none;stroke:currentColor;stroke-width:1.5"/>'
    )
    parts.append(_text(x + _WIRE / 2, row + 20, leg.sameness, "normal", True))
    size = f"{leg.size} bytes{' each' * (leg.copies > 1)}"
    parts.append(_text(x + _WIRE / 2, row + 38, size, "normal", True))
    return parts


def _box(x: float, y: float, width: float, height: float, stroke: str, more: str = "") -> str:
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="3" '
        f'style="fill:none;stroke:currentColor;stroke-width:{stroke};{more}"/>'
    )


def _text(
    x: float,
    y: float,
    words: str,
    weight: str = "normal",
    centred: bool = False,
    colour: str = "currentColor",
) -> str:
    anchor = ' text-anchor="middle"' if centred else ""
    return (
        f'<text x="{x:g}" y="{y:g}"{anchor} style="fill:{colour};font-weight:{weight}">{escape(words)}</text>'
    )
