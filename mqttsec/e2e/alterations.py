"""The five changes of the tamper matrix, made to any field of any message, as bytes on the wire.

Who changes a message knows its format: a field that is cut gets the length that it then has, so that the
next field stands where it should. Only what has no length of its own (a number) shifts what follows.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Iterator
from dataclasses import dataclass

from mqttsec.e2e.encoding import VERSION, FieldForm, Message
from mqttsec.errors import MalformedPacketError
from mqttsec.packets.wire import check_text
from mqttsec.packets.wire import variable_byte_integer as length

Path = tuple[str, ...]
"""The way to a field: its name, after those of the messages that it is nested in. Empty: the message."""


class Alteration(str, enum.Enum):
    """What is done to a field, or to a whole message."""

    FLIP = "bit flip"
    """A single bit is another."""
    CUT = "truncation"
    """The end is missing."""
    SWAP = "swap"
    """What stands there in a session of somebody else at the same time."""
    REPLAY = "replay"
    """What stood there before: in an earlier session, or message, of the same parties."""
    REMOVE = "removal"
    """Nothing is left of it."""


@dataclass(frozen=True)
class Field:
    """One field of a message, however deep, or (empty path) the message itself."""

    path: Path
    """Where it is."""
    form: FieldForm | None
    """Its form; None for the message itself."""
    raw: bytes
    """Its bytes, without the length before them."""
    number: bool = False
    """True for a number: it has no length before it, so what is cut of it shifts all that follows."""

    @property
    def whole(self) -> bool:
        """True for a message, nested or not."""
        return self.form is None or self.form.nested is not None

    def fits(self, raw: bytes, alteration: Alteration) -> bool | None:
        """Whether the format has such a value for this field: its size, and what a text may hold.

        A message fits nowhere if its header is another or its end is missing, since no encoding is the
        beginning of another one; a nested message may be missing where it is optional. Of a number that
        was cut nobody can say: what follows may by chance make sense from there on.
        """
        form = self.form
        if form is None or form.nested is not None:
            if alteration is Alteration.REMOVE:
                return form is not None and form.optional
            return alteration in (Alteration.SWAP, Alteration.REPLAY)
        if not form.at_least <= len(raw) <= form.at_most:
            return None if self.number else False
        if form.text is None:
            return True
        try:
            form.text(check_text(raw.decode("utf-8")))
        except (UnicodeDecodeError, MalformedPacketError):
            return False
        return True


def fields_of(message: Message) -> tuple[Field, ...]:
    """The message, and every field of it, nested ones after the message that they are in."""
    return (Field((), None, message.encode()), *_fields(message, ()))


def _fields(message: Message, path: Path) -> Iterator[Field]:
    for form in message.forms():
        here, value = (*path, form.name), getattr(message, form.name)
        yield Field(here, form, raw_of(message, (form.name,)), isinstance(value, int))
        if isinstance(value, Message):
            yield from _fields(value, here)


def raw_of(message: Message, path: Path) -> bytes:
    """The bytes of a field; none where a message on the way to it is missing."""
    if not path:
        return message.encode()
    value = getattr(message, path[0])
    if isinstance(value, Message):
        return raw_of(value, path[1:])
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, int):
        size = next(form.at_most for form in message.forms() if form.name == path[0])
        return value.to_bytes(size, "big")
    return value if isinstance(value, bytes) else b""


def with_raw(message: Message, path: Path, raw: bytes) -> bytes:
    """The encoding of `message` with other bytes in one field, whether or not they make sense there."""
    if not path:
        return raw
    out = bytearray((VERSION, message.kind))
    for form in message.forms():
        value = getattr(message, form.name)
        if form.name != path[0]:
            form.push(out, value)
            continue
        inner = with_raw(value, path[1:], raw) if isinstance(value, Message) else raw
        out += inner if isinstance(value, int) else length(len(inner)) + inner
    return bytes(out)


def variants(
    field: Field, alteration: Alteration, elsewhere: bytes, before: bytes, draw: random.Random, bits: int = 4
) -> tuple[bytes, ...]:
    """What may stand in the place of a field's bytes after an alteration; none where nothing would differ.

    `elsewhere` and `before` are its bytes in a session of somebody else, and earlier. `bits` is how many
    single bits are flipped, the first and the last among them; of a message those of its header, since the
    rest are its fields'.
    """
    raw = field.raw
    made: list[bytes]
    if alteration is Alteration.FLIP:
        made = [_flipped(raw, at) for at in _bits(2 if field.whole else len(raw), bits, draw)] if raw else []
    elif alteration is Alteration.CUT:
        made = [raw[:-1], raw[: len(raw) // 2]]
    elif alteration is Alteration.SWAP:
        made = [elsewhere]
    elif alteration is Alteration.REPLAY:
        made = [before]
    else:
        made = [b""]
        if field.form is not None and field.form.at_least:
            made.append(bytes(len(raw)))
    return tuple(each for each in dict.fromkeys(made) if each != raw)


def _bits(size: int, count: int, draw: random.Random) -> list[int]:
    """Which bits of so many bytes: the first, the last, and others at random."""
    every = 8 * size
    if every <= count:
        return list(range(every))
    return sorted({0, every - 1, *draw.sample(range(1, every - 1), max(0, count - 2))})


def _flipped(raw: bytes, bit: int) -> bytes:
    changed = bytearray(raw)
    changed[bit // 8] ^= 0x80 >> bit % 8
    return bytes(changed)
