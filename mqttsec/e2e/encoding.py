"""One binary form for every message of the schemes: canonical, injective, versioned.

A message is a frozen dataclass; its fields are its format. On the wire:

    version     1 byte, `VERSION`
    kind        1 byte, the message's `kind`
    fields      in the order of the dataclass:
                  int     1, 4 or 8 bytes, big-endian
                  str     a length and that many bytes of UTF-8
                  bytes   a length and that many bytes
                  message a length and the message in this same form; length 0: there is none

A length is a Variable Byte Integer in its shortest form (MQTT 5, 1.5.5). Nothing is optional in how a
value is written and nothing may follow the last field, so every message has one encoding and every
encoding one message: what is forwarded is what was signed, whoever encodes it.

Decoding gives a message or raises `MalformedPacketError`, whatever the bytes.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from mqttsec.e2e.terms import Kind, Term
from mqttsec.errors import MalformedPacketError
from mqttsec.packets import FieldRow, check_topic_name
from mqttsec.packets.wire import MAX_VARIABLE_BYTE_INTEGER, Reader, RecordingReader, check_text
from mqttsec.packets.wire import variable_byte_integer as _length

VERSION = 1
"""The first byte of every message; another format gets another number."""

LONGEST_NAME = 256
"""Bytes of an identity. It stands in topics, so it may not be empty nor hold '/', '+', '#', nor begin with
'$'."""
LONGEST_TOPIC = 1024
"""Bytes of a Topic Name that can be asked for."""
LONGEST_EPHEMERAL = 133
"""Bytes of a public key: an uncompressed point of P-521, the largest curve one would take."""
LONGEST_SIGNATURE = 512
"""Bytes of a signature: RSA with 4,096 bits, should a course's authority use it."""
LONGEST_CERTIFICATE = 8192
"""Bytes of a certificate."""
LONGEST_WRAP = 256
"""Bytes of a sealed group key."""

_ONE_LEVEL = re.compile(r"(?!\$)[^/+#]+", re.DOTALL).fullmatch

_KINDS: dict[int, type[Message]] = {}

M = TypeVar("M", bound="Message")


@dataclass(frozen=True)
class FieldForm:
    """How one field of a message is written and read."""

    name: str
    """Attribute of the dataclass."""
    title: str
    """Name in the words of the specification: `R_SP (ephemeral)`."""
    term: Term | None
    """The term whose value it bears; None for a nested message and for what is only for transport."""
    nested: type[Message] | None
    """The type of a nested message."""
    optional: bool
    """True for a nested message that may be missing."""
    at_most: int
    """Most bytes of its value."""
    push: Callable[[bytearray, Any], None]
    """push(out, value) appends it; raises `MalformedPacketError` for what does not fit."""
    pull: Callable[[Reader], Any]
    """pull(reader) takes it off; raises `MalformedPacketError`."""
    at_least: int = 0
    """Least bytes of its value: as many as `at_most` where the size is fixed."""
    text: Callable[[str], str] | None = None
    """Of a text: gives it back if it may stand there; raises `MalformedPacketError`."""


class Message:
    """Base of all messages of the schemes: frozen dataclasses that declare a `kind`."""

    kind: ClassVar[int]
    """The second byte of the encoding."""

    @classmethod
    def forms(cls) -> tuple[FieldForm, ...]:
        """The fields in the order of the encoding."""
        try:
            return cls.__dict__["_forms"]  # type: ignore[no-any-return]
        except KeyError:
            hints = typing.get_type_hints(cls)
            made = tuple(_form(item, hints[item.name]) for item in dataclasses.fields(cls))  # type: ignore[arg-type]
            cls._forms = made  # type: ignore[attr-defined]
            return made

    def encode(self) -> bytes:
        """The one encoding. Raises `MalformedPacketError` for a value that does not fit its field."""
        out = bytearray((VERSION, self.kind))
        for form in self.forms():
            form.push(out, getattr(self, form.name))
        return bytes(out)


def message(kind: int) -> Callable[[type[M]], type[M]]:
    """Class decorator: the frozen dataclass below is the message of this `kind`."""

    def register(cls: type[M]) -> type[M]:
        assert kind not in _KINDS, f"two messages are of kind {kind}"
        cls.kind = kind
        _KINDS[kind] = cls
        return cls

    return register


def carries(term: Term | None = None, *, size: int = 0, at_most: int = 0) -> Any:
    """A dataclass field that bears the value of `term`.

    `size` is that of an int, or of bytes that always have the same; `at_most` the most bytes of a text, of
    bytes or of a message.
    """
    return dataclasses.field(metadata={"term": term, "size": size, "at_most": at_most})


def decode(data: bytes, *expected: type[M]) -> M:
    """The message that `data` encodes, of one of the types `expected`.

    Raises `MalformedPacketError` for anything else: another version or kind, a field that is cut,
    too long or not of its type, bytes after the last field.
    """
    return _pull_message(Reader(data), expected)


def explain(data: bytes) -> tuple[FieldRow, ...]:
    """The fields of an encoded message as rows of (name, offset, length, value): the decoder at work.

    Raises `MalformedPacketError`.
    """
    reader = RecordingReader(data)
    _pull_message(reader, tuple(_KINDS.values()))
    return tuple(reader.rows)


def terms_of(cls: type[Message]) -> tuple[Term, ...]:
    """The terms whose values a message bears, nested messages included, in the order of the encoding."""
    found: list[Term] = []
    for form in cls.forms():
        if form.term is not None:
            found.append(form.term)
        elif form.nested is not None:
            found += terms_of(form.nested)
    return tuple(found)


def kinds() -> dict[int, type[Message]]:
    """All messages by `kind`."""
    return dict(_KINDS)


def _pull_message(reader: Reader, expected: tuple[type[M], ...]) -> M:
    version = reader.byte("version")
    if version != VERSION:
        raise MalformedPacketError(f"a message of version {version}; here version {VERSION} is spoken")
    names = {kind: cls.__name__ for kind, cls in _KINDS.items()} if reader.recording else None
    number = reader.byte("kind", names)
    cls = _KINDS.get(number)
    if cls is None or not issubclass(cls, expected):
        wanted = " or ".join(each.__name__ for each in expected)
        found = cls.__name__ if cls else f"an unknown message ({number})"
        raise MalformedPacketError(f"{found} came, {wanted} is expected")
    found_message = cls(**{form.name: form.pull(reader) for form in cls.forms()})
    if reader.remaining:
        raise MalformedPacketError(f"{reader.remaining} bytes after the end of {cls.__name__}")
    return found_message


# The fields ------------------------------------------------------------------------------------


def _form(item: dataclasses.Field[Any], hint: Any) -> FieldForm:
    term: Term | None = item.metadata["term"]
    size, at_most = item.metadata["size"], item.metadata["at_most"]
    title = f"{item.name} ({term})" if term else item.name
    optional = isinstance(hint, types.UnionType)
    check: Callable[[str], str] | None = None
    if optional:
        (hint,) = (choice for choice in typing.get_args(hint) if choice is not type(None))
    if isinstance(hint, type) and issubclass(hint, Message):
        most = at_most or sum(form.at_most + 4 for form in hint.forms()) + 2
        push, pull = _nested(title, hint, optional, most)
        return FieldForm(item.name, title, term, hint, optional, most, push, pull)
    if hint is int:
        push, pull, most = *_integer(title, size), size
    elif hint is str:
        most = at_most or (LONGEST_TOPIC if term is not None and term.kind is Kind.TOPIC else LONGEST_NAME)
        check = check_topic_name if term is not None and term.kind is Kind.TOPIC else check_identity
        push, pull = _text(title, most, check)
    else:
        assert hint is bytes, f"{item.name}: {hint} is no type of a field"
        most = size or at_most or MAX_VARIABLE_BYTE_INTEGER
        push, pull = _bytes(title, most, least=size)
    return FieldForm(item.name, title, term, None, False, most, push, pull, size, check)


_Push = Callable[[bytearray, Any], None]
_Pull = Callable[[Reader], Any]


def check_identity(name: str) -> str:
    """Return `name` if a party may bear it; raise `MalformedPacketError` otherwise.

    A name becomes a level of topics, so it must be one: not empty, no separator, no wildcard.
    """
    if not _ONE_LEVEL(name):
        raise MalformedPacketError(f"{name!r} cannot name a party: it stands as one level in topics")
    return name


def _integer(title: str, size: int) -> tuple[_Push, _Pull]:
    limit = 1 << 8 * size

    def push(out: bytearray, value: int) -> None:
        if not 0 <= value < limit:
            raise MalformedPacketError(f"{title}: {value} does not fit into {size} bytes")
        out += value.to_bytes(size, "big")

    def pull(reader: Reader) -> int:
        if size == 1:
            return reader.byte(title)
        if size == 4:
            return reader.four_byte_integer(title)
        return int.from_bytes(_take(reader, size, title), "big")

    return push, pull


def _bytes(title: str, most: int, least: int = 0) -> tuple[_Push, _Pull]:
    pull_length = _length_puller(title, most, least)

    def push(out: bytearray, value: bytes) -> None:
        if not least <= len(value) <= most:
            raise MalformedPacketError(f"{title}: {len(value)} bytes; there must be {least} to {most}")
        out += _length(len(value), title)
        out += value

    def pull(reader: Reader) -> bytes:
        return _take(reader, pull_length(reader), title)

    return push, pull


def _text(title: str, most: int, check: Callable[[str], str]) -> tuple[_Push, _Pull]:
    push_bytes, pull_bytes = _bytes(title, most)

    def push(out: bytearray, value: str) -> None:
        try:
            push_bytes(out, check(check_text(value)).encode("utf-8"))
        except UnicodeEncodeError:
            raise MalformedPacketError(f"{title}: holds a surrogate, which UTF-8 has no bytes for") from None

    def pull(reader: Reader) -> str:
        try:
            return check(check_text(pull_bytes(reader).decode("utf-8")))
        except UnicodeDecodeError:
            raise MalformedPacketError(f"{title}: not well-formed UTF-8") from None

    return push, pull


def _nested(title: str, cls: type[Message], optional: bool, most: int) -> tuple[_Push, _Pull]:
    push_bytes, _ = _bytes(title, most)
    pull_length = _length_puller(title, most, 0)

    def push(out: bytearray, value: Message | None) -> None:
        if value is None and not optional:
            raise MalformedPacketError(f"{title} is missing")
        push_bytes(out, b"" if value is None else value.encode())

    def pull(reader: Reader) -> Message | None:
        length = pull_length(reader)
        if not length:
            if optional:
                return None
            raise MalformedPacketError(f"{title} is missing")
        outer = reader.enter(reader.position + length)
        inner = _pull_message(reader, (cls,))
        reader.leave(outer)
        return inner

    return push, pull


def _length_puller(title: str, most: int, least: int) -> Callable[[Reader], int]:
    name = f"length of {title}"

    def pull(reader: Reader) -> int:
        length = reader.variable_byte_integer(name)
        if not least <= length <= most:
            raise MalformedPacketError(f"{title}: {length} bytes; there must be {least} to {most}")
        return length

    return pull


def _take(reader: Reader, length: int, title: str) -> bytes:
    start = reader.position
    stop = start + length
    if not reader.recording and stop <= reader.end:
        # The same in a third of the time; a broker does it for every message.
        reader.position = stop
        return bytes(reader.data[start:stop])
    outer = reader.enter(stop)
    taken = reader.rest(title)
    reader.leave(outer)
    return taken
