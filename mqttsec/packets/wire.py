"""The data representations of MQTT 5, section 1.5: reading and writing them.

`Reader` pulls values off a received packet; every pull names the field in the words of the
standard. `RecordingReader` keeps those names with their offsets, which is how `explain` shows a
packet byte by byte: the explanation *is* the decoder at work, so the two cannot disagree.
The `push_*` functions are the other direction.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from mqttsec.errors import MalformedPacketError

MAX_VARIABLE_BYTE_INTEGER = 268_435_455
"""The largest Variable Byte Integer: four bytes of seven bits (MQTT 5, 1.5.5)."""

# 1.5.4: U+0000 must not be included [MQTT-1.5.4-2]; control characters and non-characters should
# not be, and "the receiver may treat it as a Malformed Packet". Like mosquitto, we do.
_DISALLOWED = re.compile(
    "[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef"
    + "".join(chr(plane * 0x10000 + low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
    + "]"
)


@dataclass(frozen=True)
class FieldRow:
    """One field of a packet as it stands on the wire: a row of the byte explanation."""

    name: str
    """The field's name in the words of the standard."""
    offset: int
    """First byte, counted from the packet's first byte."""
    length: int
    """Number of bytes; 0 for a part of the byte before (a flag) and for an empty Application Message."""
    value: str
    """The value as read."""
    meaning: str = ""
    """What the value says, where the number alone does not."""


def check_text(text: str) -> str:
    """Return `text` if it may stand in a UTF-8 Encoded String (MQTT 5, 1.5.4).

    Raises `MalformedPacketError` for U+0000, control characters and non-characters.
    """
    if not text.isprintable() and _DISALLOWED.search(text):
        raise MalformedPacketError("a UTF-8 Encoded String holds U+0000, a control or a non-character")
    return text


class Reader:
    """Pulls the values of one packet, front to back; raises `MalformedPacketError` at its end.

    A broker runs through these few lines for every packet, so some steps are written out twice.
    """

    __slots__ = ("data", "end", "position")

    recording: ClassVar[bool] = False
    """True for a reader that keeps what it pulled; the decoder names flags (`part`) only for such."""

    def __init__(self, data: bytes, position: int = 0, end: int | None = None) -> None:
        self.data = data
        self.position = position
        self.end = len(data) if end is None else end

    def _advance(self, count: int) -> int:
        start = self.position
        if start + count > self.end:
            raise MalformedPacketError(f"the packet ends {start + count - self.end} bytes too early")
        self.position = start + count
        return start

    @property
    def remaining(self) -> int:
        """Number of bytes not pulled yet."""
        return self.end - self.position

    def byte(self, name: str, meanings: Mapping[int, str] | None = None) -> int:
        """Pull one byte."""
        position = self.position
        if position >= self.end:
            raise MalformedPacketError("the packet ends 1 byte too early")
        self.position = position + 1
        return self.data[position]

    def two_byte_integer(self, name: str) -> int:
        """Pull a Two Byte Integer, big-endian (1.5.2)."""
        start = self._advance(2)
        return self.data[start] << 8 | self.data[start + 1]

    def four_byte_integer(self, name: str) -> int:
        """Pull a Four Byte Integer, big-endian (1.5.3)."""
        start = self._advance(4)
        return int.from_bytes(self.data[start : start + 4], "big")

    def variable_byte_integer(self, name: str) -> int:
        """Pull a Variable Byte Integer of one to four bytes (1.5.5)."""
        value = self.data[self._advance(1)]
        if value < 0x80:
            return value
        value &= 0x7F
        for shift in (7, 14, 21):
            byte = self.data[self._advance(1)]
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                # [MQTT-1.5.5-1] "The encoded value MUST use the minimum number of bytes necessary to
                # represent the value."
                if not byte:
                    raise MalformedPacketError(f"{name}: the Variable Byte Integer is longer than needed")
                return value
        raise MalformedPacketError(f"{name}: the Variable Byte Integer has more than four bytes")

    def _prefixed(self) -> bytes:
        """Pull a two-byte length and that many bytes."""
        data, start = self.data, self.position + 2
        if start > self.end:
            raise MalformedPacketError(f"the packet ends {start - self.end} bytes too early")
        stop = start + (data[start - 2] << 8 | data[start - 1])
        if stop > self.end:
            raise MalformedPacketError(f"the packet ends {stop - self.end} bytes too early")
        self.position = stop
        return bytes(data[start:stop])

    def binary_data(self, name: str) -> bytes:
        """Pull Binary Data: a two-byte length and that many bytes (1.5.6)."""
        return self._prefixed()

    def utf8_string(self, name: str) -> str:
        """Pull a UTF-8 Encoded String (1.5.4)."""
        try:
            # Python's strict decoder refuses surrogates [MQTT-1.5.4-1] and overlong forms, and keeps a
            # U+FEFF wherever it stands [MQTT-1.5.4-3].
            text = str(self._prefixed(), "utf-8")
            return text if text.isprintable() else check_text(text)
        except UnicodeDecodeError as error:
            raise MalformedPacketError(f"{name}: not well-formed UTF-8") from error
        except MalformedPacketError as error:
            raise MalformedPacketError(f"{name}: {error}") from None

    def utf8_string_pair(self, name: str) -> tuple[str, str]:
        """Pull a UTF-8 String Pair: a name and a value (1.5.7)."""
        return self.utf8_string(name), self.utf8_string(name)

    def rest(self, name: str) -> bytes:
        """Pull all bytes that are left (the Application Message of a PUBLISH)."""
        start = self._advance(self.remaining)
        return bytes(self.data[start : self.end])

    def part(self, name: str, value: object, meaning: str = "") -> None:
        """Name a part of the byte pulled last (a flag). Only a `RecordingReader` keeps it."""

    def enter(self, end: int) -> int:
        """Limit the reader to the bytes before `end`; returns the limit to `leave` with."""
        if end > self.end:
            raise MalformedPacketError(f"a length field points {end - self.end} bytes past the packet's end")
        outer, self.end = self.end, end
        return outer

    def leave(self, outer: int) -> None:
        """Go back to the limit that `enter` returned."""
        self.end = outer


class RecordingReader(Reader):
    """A `Reader` that keeps a `FieldRow` for every value it pulls."""

    __slots__ = ("rows",)

    recording = True

    def __init__(self, data: bytes, position: int = 0, end: int | None = None) -> None:
        super().__init__(data, position, end)
        self.rows: list[FieldRow] = []

    def _keep(self, name: str, start: int, value: object, meaning: str = "") -> None:
        self.rows.append(FieldRow(name, start, self.position - start, str(value), meaning))

    def byte(self, name: str, meanings: Mapping[int, str] | None = None) -> int:
        start = self.position
        value = super().byte(name)
        self._keep(name, start, f"0x{value:02X}", (meanings or {}).get(value, ""))
        return value

    def two_byte_integer(self, name: str) -> int:
        start = self.position
        value = super().two_byte_integer(name)
        self._keep(name, start, value)
        return value

    def four_byte_integer(self, name: str) -> int:
        start = self.position
        value = super().four_byte_integer(name)
        self._keep(name, start, value)
        return value

    def variable_byte_integer(self, name: str) -> int:
        start = self.position
        value = super().variable_byte_integer(name)
        self._keep(name, start, value)
        return value

    def binary_data(self, name: str) -> bytes:
        start = self.position
        value = super().binary_data(name)
        self._keep(name, start, value.hex(" "), f"Binary Data, {len(value)} bytes after a two-byte length")
        return value

    def utf8_string(self, name: str) -> str:
        return self._text(name, name)

    def utf8_string_pair(self, name: str) -> tuple[str, str]:
        return self._text(name, f"{name} name"), self._text(name, f"{name} value")

    def _text(self, name: str, row_name: str) -> str:
        start = self.position
        value = super().utf8_string(name)
        bytes_of_text = f"{self.position - start - 2} bytes after a two-byte length"
        self._keep(row_name, start, repr(value), f"UTF-8 Encoded String, {bytes_of_text}")
        return value

    def rest(self, name: str) -> bytes:
        start = self.position
        value = super().rest(name)
        try:
            shown = repr(value.decode("utf-8")) if value else "(empty)"
        except UnicodeDecodeError:
            shown = value.hex(" ")
        self._keep(name, start, shown, f"{len(value)} bytes")
        return value

    def part(self, name: str, value: object, meaning: str = "") -> None:
        self.rows.append(FieldRow(name, self.position - 1, 0, str(value), meaning))


def push_byte(out: bytearray, value: int, name: str) -> None:
    """Append one byte. Raises `MalformedPacketError` where it does not fit."""
    if not 0 <= value <= 0xFF:
        raise MalformedPacketError(f"{name}: {value} does not fit into a byte")
    out.append(value)


def push_two_byte_integer(out: bytearray, value: int, name: str) -> None:
    """Append a Two Byte Integer. Raises `MalformedPacketError` where it does not fit."""
    if not 0 <= value <= 0xFFFF:
        raise MalformedPacketError(f"{name}: {value} does not fit into a Two Byte Integer")
    out += value.to_bytes(2, "big")


def push_four_byte_integer(out: bytearray, value: int, name: str) -> None:
    """Append a Four Byte Integer. Raises `MalformedPacketError` where it does not fit."""
    if not 0 <= value <= 0xFFFF_FFFF:
        raise MalformedPacketError(f"{name}: {value} does not fit into a Four Byte Integer")
    out += value.to_bytes(4, "big")


def variable_byte_integer(value: int, name: str = "Remaining Length") -> bytes:
    """Encode a Variable Byte Integer (1.5.5). Raises `MalformedPacketError` past 268,435,455."""
    if not 0 <= value <= MAX_VARIABLE_BYTE_INTEGER:
        raise MalformedPacketError(f"{name}: {value} does not fit into a Variable Byte Integer")
    if value < 0x80:
        return bytes((value,))
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def push_variable_byte_integer(out: bytearray, value: int, name: str) -> None:
    """Append a Variable Byte Integer. Raises `MalformedPacketError` where it does not fit."""
    out += variable_byte_integer(value, name)


def push_binary_data(out: bytearray, value: bytes, name: str) -> None:
    """Append Binary Data. Raises `MalformedPacketError` past 65,535 bytes."""
    if len(value) > 0xFFFF:
        raise MalformedPacketError(f"{name}: {len(value)} bytes are more than the 65,535 of Binary Data")
    out += len(value).to_bytes(2, "big")
    out += value


def push_utf8_string(out: bytearray, value: str, name: str) -> None:
    """Append a UTF-8 Encoded String. Raises `MalformedPacketError` where 1.5.4 forbids it."""
    try:
        raw = check_text(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise MalformedPacketError(f"{name}: holds a surrogate, which UTF-8 has no bytes for") from error
    except MalformedPacketError as error:
        raise MalformedPacketError(f"{name}: {error}") from None
    push_binary_data(out, raw, name)


def push_utf8_string_pair(out: bytearray, value: tuple[str, str], name: str) -> None:
    """Append a UTF-8 String Pair (1.5.7) [MQTT-1.5.7-1]."""
    push_utf8_string(out, value[0], f"{name} name")
    push_utf8_string(out, value[1], f"{name} value")
