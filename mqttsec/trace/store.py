"""Traces as JSON: saved without secrets, canonical (same trace, same bytes), checked on loading.

**What is secret.** A saved trace is handed in, mailed, committed. So `save` blanks, byte for byte
with `*` so that every length and offset stays true,

- the Password of a CONNECT;
- Authentication Data, unless its Authentication Method is one of `public_methods`: the standard
  (4.12) leaves open what the bytes are, and of a method that we do not know they may be a token
  as good as a password. The data of the course's own methods and of SCRAM are made to be
  overheard, and stay: without them a handshake could not be studied or replayed from its trace;
- the whole body of a CONNECT, CONNACK or AUTH that cannot be parsed: nobody can say what is where.

Each event that was blanked says so in its `fields`. Payloads, User Names and User Properties are
kept: they are what a lab is about. `secrets=True` keeps everything.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mqttsec.errors import ProtocolError, TraceError
from mqttsec.packets import PacketType, decode, explain
from mqttsec.trace.events import Event, EventKind, Trace

FORMAT = "mqttsec trace"
"""What the first member of a saved trace says."""
VERSION = 1
"""Version of the schema; raised whenever an older mqttsec could misread a newer file."""
PUBLIC_METHODS = ("mqttsec-*", "SCRAM-*")
"""Authentication Methods (shell patterns) whose data a listener may have, and so may a file."""

BLANK = b"*"
_SECRET_TYPES = frozenset({PacketType.CONNECT, PacketType.CONNACK, PacketType.AUTH})
_BLANKED = "blanked"


def save(
    trace: Iterable[Event], path: str | Path, secrets: bool = False,
    public_methods: Iterable[str] = PUBLIC_METHODS,
) -> tuple[int, ...]:
    """Write `trace` (a `Trace`, or a view of one) to the file `path`.

    Returns the numbers of the events in which something secret was blanked: none with
    `secrets=True`. Raises `TraceError` if the file cannot be written.
    """
    data, blanked = _dump(trace, secrets, tuple(public_methods))
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise TraceError(
            f"cannot write the trace to {path}: {error.strerror or error}; choose another folder or name"
        ) from error
    return blanked


def load(path: str | Path) -> Trace:
    """The trace in the file `path`. Raises `TraceError`, which says what to do, if there is none."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise TraceError(
            f"cannot read the trace {path}: {error.strerror or error}; check the name, or save it again"
        ) from error
    return loads(data, name=str(path))


def dumps(
    trace: Iterable[Event], secrets: bool = False, public_methods: Iterable[str] = PUBLIC_METHODS
) -> bytes:
    """`trace` as UTF-8 JSON, one event a line; the same trace gives the same bytes."""
    return _dump(trace, secrets, tuple(public_methods))[0]


def loads(data: bytes | str, name: str = "this data") -> Trace:
    """The trace that `dumps` made into `data`. Raises `TraceError` naming what is wrong and where."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise TraceError(
            f"{name} is not a saved trace: it is cut short or no JSON ({error}); save the trace again"
        ) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise TraceError(f"{name} is JSON, but not a saved trace; give a file that mqttsec.trace.save wrote")
    version = document.get("version")
    if type(version) is not int or version < 1:
        raise TraceError(f"{name}: its version {version!r} is no number from 1 on; save the trace again")
    if version > VERSION:
        raise TraceError(
            f"{name} has version {version}, this mqttsec reads up to {VERSION}; install a newer mqttsec"
        )
    unknown = sorted(set(document) - {"format", "version", "forgotten", "events"})
    if unknown:
        raise TraceError(f"{name}: {unknown[0]!r} is not part of a saved trace; save the trace again")
    forgotten = document.get("forgotten")
    if type(forgotten) is not int or forgotten < 0:
        raise TraceError(f"{name}: 'forgotten' must be a whole number from 0 on; save the trace again")
    rows = document.get("events")
    if not isinstance(rows, list):
        raise TraceError(f"{name}: 'events' must be a list; save the trace again")
    events: list[Event] = []
    for index, row in enumerate(rows):
        try:
            event = _event(row)
            if events and event.number <= events[-1].number:
                raise ValueError(f"'number' must grow, but {event.number} follows {events[-1].number}")
        except ValueError as error:
            raise TraceError(f"{name}: event {index}: {error}; save the trace again") from error
        events.append(event)
    return Trace.of(events, forgotten)


def blank(
    frame: bytes, protocol: int = 5, public_methods: Iterable[str] = PUBLIC_METHODS
) -> tuple[bytes, str]:
    """`frame` with its secrets overwritten by `*`, and the name of what was (empty if nothing was)."""
    if not frame or frame[0] >> 4 not in _SECRET_TYPES:
        return frame, ""
    try:
        packet = decode(frame, protocol)
    except ProtocolError:
        start = _body(frame)
        return frame[:start] + BLANK * (len(frame) - start), "body of a malformed packet"
    method = getattr(packet, "properties").authentication_method  # noqa: B009 - all three have properties
    public = method is not None and any(fnmatchcase(method, pattern) for pattern in public_methods)
    names = {"Password"} if public else {"Password", "Authentication Data"}
    out = bytearray(frame)
    found: list[str] = []
    # The decoder's own table of fields says where they are, so that this cannot miss what it reads.
    for row in explain(frame, protocol):
        # Two length bytes stand in front of Binary Data (1.5.6).
        if row.name in names and row.length > 2:
            out[row.offset + 2 : row.offset + row.length] = BLANK * (row.length - 2)
            found.append(row.name)
    return bytes(out), ", ".join(found)


def _body(frame: bytes) -> int:
    """Where the Remaining Length ends: up to four bytes with the top bit set mean that it goes on."""
    for index in range(1, min(len(frame), 5)):
        if not frame[index] & 0x80:
            return index + 1
    return min(len(frame), 5)


def _dump(
    trace: Iterable[Event], secrets: bool, public_methods: tuple[str, ...]
) -> tuple[bytes, tuple[int, ...]]:
    forgotten = trace.forgotten if isinstance(trace, Trace) else 0
    lines: list[str] = []
    blanked: list[int] = []
    for event in trace:
        if not secrets:
            packet, what = blank(event.packet, event.protocol, public_methods)
            if what:
                blanked.append(event.number)
                mark = (_BLANKED, what)
                fields = event.fields if mark in event.fields else (*event.fields, mark)
                event = dataclasses.replace(event, packet=packet, fields=fields)
        try:
            row = _row(event)
            _event(row)
        except ValueError as error:
            raise TraceError(f"event {event.number} cannot be saved: {error}") from error
        lines.append(_json(row))
    head = f'{{"format":{_json(FORMAT)},"version":{VERSION},"forgotten":{forgotten},"events":['
    return (head + "\n" + ",\n".join(lines) + "\n]}\n").encode("ascii"), tuple(blanked)


def _json(value: object) -> str:
    # ASCII alone: lone surrogates, that a hostile topic may bring, survive as escapes.
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


_DEFAULTS = {
    each.name: each.default for each in dataclasses.fields(Event) if each.default is not dataclasses.MISSING
}
_NAMES = tuple(each.name for each in dataclasses.fields(Event))


def _row(event: Event) -> dict[str, object]:
    """The event as a JSON object, without what has its default value."""
    row: dict[str, object] = {}
    for name in _NAMES:
        value = getattr(event, name)
        if name in _DEFAULTS and value == _DEFAULTS[name]:
            continue
        if isinstance(value, EventKind):
            value = value.value
        elif isinstance(value, bytes):
            value = value.hex()
        elif isinstance(value, tuple):
            value = [list(item) if isinstance(item, tuple) else item for item in value]
        elif name == "time":
            # 0, 0.0 and -0.0 are the same time and must give the same bytes.
            value = float(value) + 0.0
        row[name] = value
    return row


def _event(row: object) -> Event:
    """The event in a JSON object. Raises `ValueError` for whatever `_row` would not have written."""
    if not isinstance(row, dict):
        raise ValueError("must be an object")
    unknown = sorted(set(row) - set(_NAMES))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not part of an event")
    facts: dict[str, Any] = {}
    for name in _NAMES:
        if name in row:
            facts[name] = _READERS[name](name, row[name])
        elif name not in _DEFAULTS:
            raise ValueError(f"{name!r} is missing")
    return Event(**facts)


def _whole(name: str, value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{name!r} must be a whole number from 0 on")
    return value


def _seconds(name: str, value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            time = float(value)
        except OverflowError:
            time = math.inf
        if math.isfinite(time):
            return time
    raise ValueError(f"{name!r} must be a finite number of seconds")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name!r} must be text")
    return value


def _yes_or_no(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name!r} must be true or false")
    return value


def _kind(name: str, value: object) -> EventKind:
    try:
        return EventKind(value)
    except ValueError:
        raise ValueError(f"{name!r} is {value!r}, which is no kind of event") from None


def _packet(name: str, value: object) -> bytes:
    try:
        packet = bytes.fromhex(_text(name, value))
    except ValueError:
        raise ValueError(f"{name!r} must be hexadecimal digits") from None
    return packet


def _texts(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{name!r} must be a list")
    return tuple(_text(name, item) for item in value)


def _pairs(name: str, value: object) -> tuple[tuple[str, str], ...]:
    return tuple((_text(name, one), _text(name, two)) for one, two in _two_by_two(name, value))


def _counts(name: str, value: object) -> tuple[tuple[str, int], ...]:
    return tuple((_text(name, one), _whole(name, two)) for one, two in _two_by_two(name, value))


def _two_by_two(name: str, value: object) -> list[list[object]]:
    if not isinstance(value, list) or any(not isinstance(item, list) or len(item) != 2 for item in value):
        raise ValueError(f"{name!r} must be a list of pairs")
    return value


_READERS: dict[str, Any] = {
    "number": _whole,
    "time": _seconds,
    "kind": _kind,
    "party": _text,
    "peer": _text,
    "packet": _packet,
    "protocol": _whole,
    "connection": _whole,
    "detail": _text,
    "fields": _pairs,
    "keys": _texts,
    "operations": _counts,
    "protected": _yes_or_no,
    "hidden_bytes": _whole,
}
