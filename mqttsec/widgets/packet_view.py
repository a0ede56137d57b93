"""One packet of a trace, byte by byte: as text, and as HTML. Both come from `explain`.

What a scheme's own message in it says is explained as well where the lab has a decoder for it.
"""

from __future__ import annotations

from collections.abc import Callable

from mqttsec.errors import MalformedPacketError
from mqttsec.packets import FieldRow, explain, explain_text
from mqttsec.trace import Arrow, packet_label
from mqttsec.trace.labels import shorten
from mqttsec.widgets.look import html_table, text

Inside = Callable[[bytes], tuple[FieldRow, ...]]
"""Explains the message that a packet carries; raises `MalformedPacketError` if there is none of its kind."""

_BYTES_SHOWN = 5
_LONGEST = 191
"""Characters of a value in the page, 64 bytes in hexadecimal: a certificate would push all else away."""
_CARRIERS = {"Authentication Data": 2, "Correlation Data": 2, "Application Message": 0}
"""Fields that carry a message of a scheme, and the bytes of the length in front of it."""
_VERSIONS = {4: "MQTT 3.1.1", 5: "MQTT 5.0"}


def packet_title(arrow: Arrow) -> str:
    """One line: who to whom, how long, in which version, and whether it arrived."""
    words = f"packet {arrow.number}: {arrow.sender} to {arrow.receiver}, {arrow.size} bytes"
    if arrow.frame:
        words += f", {_VERSIONS.get(arrow.protocol, f'protocol version {arrow.protocol}')}"
    return words + (", lost on the way" if arrow.lost else "")


def packet_text(arrow: Arrow, width: int = 100, inside: Inside | None = None) -> str:
    """The packet as fixed-width text of at most `width` characters a line."""
    if not arrow.frame:
        return f"{packet_title(arrow)}\nunder TLS: an observer learns its size and its time, nothing else"
    lines = [packet_title(arrow), explain_text(arrow.frame, arrow.protocol, width)]
    for row in explain(arrow.frame, arrow.protocol):
        for part in _parts(row, arrow.frame, inside):
            lines.append(shorten(f"{row.name}, {part.name}: {_value(part)}", width))
    return "\n".join(lines)


def packet_html(arrow: Arrow, inside: Inside | None = None) -> str:
    """The packet as an HTML table: offset, bytes, field, value, meaning."""
    if not arrow.frame:
        return (
            f'<p class="mqs-caption">{text(packet_title(arrow))}</p>'
            "<p>Under TLS an observer learns its size and its time, nothing else.</p>"
        )
    caption = f"{text(packet_title(arrow))}<br><b>{text(packet_label(arrow.frame, arrow.protocol))}</b>"
    rows = []
    for row in explain(arrow.frame, arrow.protocol):
        parts = _parts(row, arrow.frame, inside)
        rows.append(_row(row, arrow.frame, "its fields:" if parts else _cut(row.value)))
        rows += [
            ("", "", f'<span class="mqs-part">{text(part.name)}</span>',
             f'<span class="mqs-c">{text(_cut(_value(part)))}</span>')
            for part in parts
        ]  # fmt: skip
    classes = ("mqs-n", "mqs-c mqs-w", "mqs-w", "mqs-v")
    return html_table(("at", "bytes", "field", "value"), rows, classes, caption)


def _parts(row: FieldRow, frame: bytes, inside: Inside | None) -> tuple[FieldRow, ...]:
    """The fields of the scheme's message that a field of the packet carries; nothing if it carries none."""
    if inside is None or row.name not in _CARRIERS:
        return ()
    try:
        rows = inside(frame[row.offset + _CARRIERS[row.name] : row.offset + row.length])
    except MalformedPacketError:
        return ()
    return tuple(part for part in rows if not part.name.startswith("length of"))


def _value(part: FieldRow) -> str:
    return part.meaning if part.name == "kind" else part.value


def _cut(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]} .."


def _row(row: FieldRow, frame: bytes, shown: str) -> tuple[str, str, str, str]:
    raw = frame[row.offset : row.offset + min(row.length, _BYTES_SHOWN)].hex(" ")
    raw += f" .. ({row.length})" if row.length > _BYTES_SHOWN else ""
    meaning = f' <span class="mqs-faint">{text(row.meaning)}</span>' if row.meaning else ""
    value = f'<span class="mqs-c">{text(shown)}</span>{meaning}'
    if not row.length:
        # A part of the byte above it: it has no bytes of its own.
        return "", "", f'<span class="mqs-part">{text(row.name)}</span>', value
    return str(row.offset), raw, text(row.name), value
