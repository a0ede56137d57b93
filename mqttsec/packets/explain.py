"""Any packet, byte by byte: a table made by the decoder itself.

`explain` runs the decoder with a reader that remembers what it pulled, so the table cannot
disagree with the code. A packet that the decoder refuses is explained up to the fault.
"""

from __future__ import annotations

from mqttsec.errors import ConfigurationError, ProtocolError
from mqttsec.packets.codec import decode_with
from mqttsec.packets.packets import MQTT_3_1_1, MQTT_5
from mqttsec.packets.wire import FieldRow, RecordingReader


def explain(frame: bytes, protocol: int = MQTT_5) -> tuple[FieldRow, ...]:
    """The fields of one packet in the order of their bytes.

    Rows of length 0 are parts (flags) of the byte above them, or an empty Application Message; all
    other rows together cover every byte once. Where the packet is refused, the last row is named
    `fault`: it covers the bytes that make no field, and its meaning says what is wrong (its length
    is 0 where every byte made sense for itself).
    Raises `ConfigurationError` for what is no bytes, or a protocol that there is not.
    """
    if not isinstance(frame, (bytes, bytearray, memoryview)):
        raise ConfigurationError(
            f"explain takes the bytes of one packet, not {type(frame).__name__}: "
            "give it the `packet` of an event"
        )
    if protocol not in (MQTT_3_1_1, MQTT_5):
        raise ConfigurationError(f"explain knows protocol 4 (MQTT 3.1.1) and 5 (MQTT 5.0), not {protocol!r}")
    frame = bytes(frame)
    reader = RecordingReader(frame)
    try:
        decode_with(reader, protocol)
    except ProtocolError as error:
        # A pull that failed half-way may have moved the reader, so the rows say how far it came.
        start = max((row.offset + row.length for row in reader.rows if row.length), default=0)
        rest = frame[start:]
        reader.rows.append(FieldRow("fault", start, len(rest), rest.hex(" "), str(error)))
    return tuple(reader.rows)


def explain_text(frame: bytes, protocol: int = MQTT_5, width: int = 100) -> str:
    """`explain` as a fixed-width text table: offset, bytes, field, value, meaning.

    A meaning that does not fit into `width` goes on a line of its own.
    """
    rows = explain(frame, protocol)
    name_width = max(len(row.name) + (0 if row.length else 2) for row in rows) + 2
    lines = [f"{'offset':>6}  {'bytes':<14}{'field':<{name_width}}value"]
    for row in rows:
        offset = str(row.offset) if row.length else ""
        raw = frame[row.offset : row.offset + min(row.length, 4)].hex(" ")
        raw += ".." if row.length > 4 else ""
        name = row.name if row.length else f"  {row.name}"
        line = f"{offset:>6}  {raw:<14}{name:<{name_width}}{row.value}"
        meaning = f"({row.meaning})" if row.meaning else ""
        if len(line) + 2 + len(meaning) <= width:
            lines.append(f"{line}  {meaning}".rstrip())
            continue
        lines.append(_cut(line, width))
        if meaning:
            lines.append(_cut(" " * (22 + name_width) + meaning, width))
    return "\n".join(lines)


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 2] + ".."
