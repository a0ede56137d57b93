"""One packet of a trace, byte by byte: as text, and as HTML. Both come from `explain`."""

from __future__ import annotations

from mqttsec.packets import FieldRow, explain, explain_text
from mqttsec.trace import Arrow, packet_label
from mqttsec.widgets.look import html_table, text

_BYTES_SHOWN = 5
_VERSIONS = {4: "MQTT 3.1.1", 5: "MQTT 5.0"}


def packet_title(arrow: Arrow) -> str:
    """One line: who to whom, how long, in which version, and whether it arrived."""
    words = f"packet {arrow.number}: {arrow.sender} to {arrow.receiver}, {arrow.size} bytes"
    if arrow.frame:
        words += f", {_VERSIONS.get(arrow.protocol, f'protocol version {arrow.protocol}')}"
    return words + (", lost on the way" if arrow.lost else "")


def packet_text(arrow: Arrow, width: int = 100) -> str:
    """The packet as fixed-width text of at most `width` characters a line."""
    if not arrow.frame:
        return f"{packet_title(arrow)}\nunder TLS: an observer learns its size and its time, nothing else"
    return f"{packet_title(arrow)}\n{explain_text(arrow.frame, arrow.protocol, width)}"


def packet_html(arrow: Arrow) -> str:
    """The packet as an HTML table: offset, bytes, field, value, meaning."""
    if not arrow.frame:
        return (
            f'<p class="mqs-caption">{text(packet_title(arrow))}</p>'
            "<p>Under TLS an observer learns its size and its time, nothing else.</p>"
        )
    caption = f"{text(packet_title(arrow))}<br><b>{text(packet_label(arrow.frame, arrow.protocol))}</b>"
    rows = [_row(row, arrow.frame) for row in explain(arrow.frame, arrow.protocol)]
    classes = ("mqs-n", "mqs-c mqs-w", "mqs-w", "mqs-v")
    return html_table(("at", "bytes", "field", "value"), rows, classes, caption)


def _row(row: FieldRow, frame: bytes) -> tuple[str, str, str, str]:
    raw = frame[row.offset : row.offset + min(row.length, _BYTES_SHOWN)].hex(" ")
    raw += f" .. ({row.length})" if row.length > _BYTES_SHOWN else ""
    meaning = f' <span class="mqs-faint">{text(row.meaning)}</span>' if row.meaning else ""
    value = f'<span class="mqs-c">{text(row.value)}</span>{meaning}'
    if not row.length:
        # A part of the byte above it: it has no bytes of its own.
        return "", "", f'<span class="mqs-part">{text(row.name)}</span>', value
    return str(row.offset), raw, text(row.name), value
