"""The three QoS side by side over one breaking link: a strip of messages each, a table, one story."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from html import escape

from mqttsec.labs.lossy_link import LossyRun, story
from mqttsec.trace import ladder, svg_ladder, text_ladder
from mqttsec.widgets.look import columns
from mqttsec.widgets.table import Table

_SIDE = 22
"""Width and height of one message in the picture, in pixels."""
_LEFT = 56
_ROW = 34


@dataclass(frozen=True)
class QosComparison:
    """What an explorer of breaking links shows."""

    runs: tuple[LossyRun, ...]
    """One a QoS, over the same kind of link."""
    shown: int = 1
    """The QoS of the story."""

    @property
    def chosen(self) -> LossyRun:
        """The run whose story is told."""
        return next(run for run in self.runs if run.qos == self.shown)

    def table(self) -> Table:
        """One row a QoS: what was published, received, lost, repeated, and what it took."""
        columns = ("QoS", "published", "received", "lost", "duplicates", "packets", "breaks")
        rows = tuple(
            (run.qos, len(run.published), len(run.received), run.lost, run.duplicates, run.packets,
             run.breaks)
            for run in self.runs
        )
        return Table(columns, rows)

    def strips(self) -> str:
        """How often each message came, one digit a message: `QoS 1  11211`."""
        return "\n".join(f"QoS {run.qos}  {''.join(map(_digit, _copies(run)))}" for run in self.runs)

    def picture(self) -> str:
        """The strips as SVG: an empty crossed box is lost, 1 came once, 2 and more came again."""
        count = max(len(run.published) for run in self.runs)
        width, height = _LEFT + count * _SIDE + 4, _ROW * len(self.runs) + 6
        said = "; ".join(f"QoS {run.qos}: {run.lost} lost, {run.duplicates} duplicates" for run in self.runs)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" '
            'style="max-width:100%;height:auto;font-size:12px;'
            'font-family:var(--jp-code-font-family,ui-monospace),monospace;'
            'color:var(--jp-content-font-color1,currentColor)">',
            "<title>How often each message came</title>",
            f"<desc>{escape(said)}</desc>",
        ]
        for index, run in enumerate(self.runs):
            y = 6 + index * _ROW
            weight = ";font-weight:bold" if run.qos == self.shown else ""
            parts.append(f'<text x="2" y="{y + 16}" style="fill:currentColor{weight}">QoS {run.qos}</text>')
            parts += [_box(_LEFT + place * _SIDE, y, copies) for place, copies in enumerate(_copies(run))]
        return "\n".join([*parts, "</svg>"])

    def ladder_svg(self) -> str:
        """The story of one message as a picture."""
        title = f"One message at QoS {self.shown} over the breaking link"
        return svg_ladder(ladder(story(self.chosen)), width=680, title=title)

    def html(self) -> str:
        """Strips and table, and the story beside them."""
        legend = (
            '<p class="mqs-caption">Each box is one message, in order of publication: how often it reached '
            "the logger. A cross: never.</p>"
        )
        heading = f'<p class="mqs-caption"><b>One message at QoS {self.shown}</b>: what happened to it</p>'
        strips = legend + self.picture() + self.table().html()
        return columns(strips, heading + self.ladder_svg(), more=2)

    def text(self) -> str:
        """Table, strips and story as text."""
        return f"{self.table()!r}\n\n{self.strips()}\n\n{self.story()}"

    def story(self) -> str:
        """The story of one message as text."""
        return text_ladder(ladder(story(self.chosen)), width=104)


def _copies(run: LossyRun) -> list[int]:
    """How often each published message came, in order of publication."""
    count = Counter(run.received)
    return [count[payload] for payload in run.published]


def _digit(copies: int) -> str:
    return str(copies) if copies < 10 else "+"


def _box(x: int, y: int, copies: int) -> str:
    side = _SIDE - 4
    frame = (
        f'<rect x="{x}" y="{y}" width="{side}" height="{side + 2}" rx="2" '
        f'style="fill:none;stroke:currentColor;stroke-width:{2.4 if copies > 1 else 1}"/>'
    )
    if not copies:
        return frame + (
            f'<path d="M{x + 4} {y + 5}l10 10m0 -10l-10 10" '
            'style="fill:none;stroke:var(--jp-error-color1,currentColor);stroke-width:2"/>'
        )
    weight = "bold" if copies > 1 else "normal"
    return frame + (
        f'<text x="{x + side / 2:g}" y="{y + 15}" text-anchor="middle" '
        f'style="fill:currentColor;font-weight:{weight}">{_digit(copies)}</text>'
    )
