"""What discovery brokers know, as plain data: pairs, notices, and two sets that stay equal everywhere.

A discovery broker keeps S = {(topic, public broker)} and S' = {bridge brokers} (Buccafurri et al. 2023).
Both are a `PairSet` here: a key with one value, which entered by a first notice and left by another one.
Sets of several discovery brokers are merged entry by entry, and in whatever order the notices come they
end up equal: of two entries of one key the later *generation* wins (a pair that was withdrawn, and one that
was announced after that), within a generation the *first* pair, by its time and then by its broker's name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mqttsec.errors import ConfigurationError, MalformedPacketError
from mqttsec.packets import ReasonCode, check_topic_name
from mqttsec.packets.wire import check_text

T_N, T_S = "mqtta/new/topics", "mqtta/set/topics"
"""T_N: new topics are announced there. T_S: the retained set of pairs."""
T_N_PEERS, T_S_PEERS = "mqtta/new/peers", "mqtta/set/peers"
"""T_N' and T_S': the same for bridge brokers."""
SYNC = "mqtta/sync"
"""What a discovery broker learned first-hand, for the other discovery brokers."""

LONGEST_TOPIC = 1024
"""Bytes of a Topic Name that may be announced."""
LONGEST_HOST = 255
"""Characters of a host's name (RFC 1035, 2.3.4)."""


@dataclass(frozen=True, order=True)
class At:
    """Where a broker listens."""

    host: str
    """Host name; of a host in memory the name in its `MemoryNetwork`."""
    port: int
    """TCP port, 1 to 65,535."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def read(cls, text: object) -> At:
        """The address that `host:port` names. Raises `MalformedPacketError`."""
        host, separator, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
        fits = separator and host and len(host) <= LONGEST_HOST and host.isprintable() and " " not in host
        if not fits or not port.isascii() or not port.isdigit() or not 0 < int(port) <= 65_535:
            raise MalformedPacketError(
                f"{str(text)[:60]!r} is no address: give host:port", ReasonCode.PAYLOAD_FORMAT_INVALID
            )
        return cls(host, int(port))


@dataclass(frozen=True)
class Entry:
    """What is known of one key: its pair, or that it was withdrawn."""

    key: str
    """The actual topic T_A; of a bridge broker its own address."""
    value: At | None
    """The public broker that hosts the topic, the address of the bridge broker; None: withdrawn."""
    generation: int
    """Odd while the pair stands, even after it was withdrawn; grows by one each time."""
    stamp: float
    """When a discovery broker heard of it first-hand, by its own clock, in seconds."""
    origin: str
    """Which discovery broker that was."""

    def beats(self, other: Entry) -> bool:
        """Whether this entry stands where both are known. The same answer on every broker."""
        if self.generation != other.generation:
            return self.generation > other.generation
        # [D] first pair wins. Two brokers may have heard of a key at the same moment: then the name decides.
        return (self.stamp, self.origin, str(self.value)) < (other.stamp, other.origin, str(other.value))

    def row(self) -> list[object]:
        """The entry as JSON has it."""
        return [self.key, None if self.value is None else str(self.value), self.generation, self.stamp,
                self.origin]  # fmt: skip

    @classmethod
    def read(cls, row: object) -> Entry:
        """An entry from JSON. Raises `MalformedPacketError` for anything that is none."""
        if not isinstance(row, list) or len(row) != 5:
            raise _malformed("an entry has five fields")
        key, value, generation, stamp, origin = row
        if not isinstance(key, str) or not isinstance(origin, str) or len(origin) > LONGEST_HOST:
            raise _malformed("the key and the origin of an entry are text")
        if isinstance(generation, bool) or not isinstance(generation, int) or not 0 < generation < 2**53:
            raise _malformed("the generation of an entry is a number from 1 on")
        if isinstance(stamp, bool) or not isinstance(stamp, (int, float)) or not abs(stamp) < 1e12:
            raise _malformed("the time of an entry is a number of seconds")
        at = None if value is None else At.read(value)
        if (at is None) == (generation % 2 == 1):
            raise _malformed("an entry of an odd generation has a pair, one of an even generation has none")
        return cls(key, at, generation, float(stamp), origin)


@dataclass(frozen=True)
class Notice:
    """What a client announces on T_N or T_N': a pair that is new, or one of its own that ends."""

    key: str
    """The topic, or the address of the bridge broker."""
    value: At
    """Where it is."""
    present: bool = True
    """False withdraws the pair."""

    def payload(self) -> bytes:
        """The notice as a payload."""
        return _json({"key": self.key, "at": str(self.value), "present": self.present})

    @classmethod
    def read(cls, payload: bytes, peers: bool) -> Notice:
        """The notice in a payload; `peers`: it came on T_N'. Raises `MalformedPacketError` (0x99)."""
        fields = _from_json(payload)
        if not isinstance(fields, dict) or set(fields) != {"key", "at", "present"}:
            raise _malformed("a notice has the fields key, at and present")
        key, at, present = fields["key"], At.read(fields["at"]), fields["present"]
        if not isinstance(key, str) or not isinstance(present, bool):
            raise _malformed("key is text, present is true or false")
        if peers and key != str(at):
            raise _malformed("a bridge broker is announced under its own address")
        if not peers:
            check_announced_topic(key)
        return cls(key, at, present)


def check_announced_topic(topic: str) -> None:
    """Raise `MalformedPacketError` unless `topic` may stand in S: clients can publish to it."""
    try:
        check_topic_name(check_text(topic))
    except MalformedPacketError as error:
        raise _malformed(str(error)) from None
    if len(topic.encode()) > LONGEST_TOPIC or topic.startswith("$"):
        raise _malformed(f"a topic has {LONGEST_TOPIC} bytes at most and does not begin with $")


class PairSet:
    """S or S': entries by key, divided into parts that are re-published one at a time.

    An entry keeps its place, so that a new one changes one part only; with `part_size` entries a part, a set
    of n entries has ceil(n / part_size) parts.
    """

    def __init__(self, part_size: int = 100) -> None:
        if part_size < 1:
            raise ConfigurationError("a part of a set holds 1 entry or more")
        self.part_size = part_size
        self._places: dict[str, int] = {}
        self._entries: list[Entry] = []

    def merge(self, entry: Entry) -> bool:
        """Take an entry in if it wins; True if that changed the set."""
        place = self._places.get(entry.key)
        if place is None:
            self._places[entry.key] = len(self._entries)
            self._entries.append(entry)
            return True
        if not entry.beats(self._entries[place]):
            return False
        self._entries[place] = entry
        return True

    def entry(self, key: str) -> Entry | None:
        """What is known of a key, a withdrawal as well."""
        place = self._places.get(key)
        return None if place is None else self._entries[place]

    def value(self, key: str) -> At | None:
        """The address that stands for a key, if any."""
        entry = self.entry(key)
        return None if entry is None else entry.value

    def next(self, key: str, value: At | None, stamp: float, origin: str) -> Entry | None:
        """The entry that a first-hand notice makes; None where it changes nothing: the first pair stands."""
        known = self.entry(key)
        generation = 0 if known is None else known.generation
        if (value is None) == (generation % 2 == 0):
            return None
        return Entry(key, value, generation + 1, stamp, origin)

    def pairs(self) -> dict[str, At]:
        """The pairs that stand."""
        return {entry.key: entry.value for entry in self._entries if entry.value is not None}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    # Parts -------------------------------------------------------------------------------------

    @property
    def parts(self) -> int:
        """How many retained messages carry the set, at least 1."""
        return max(1, -(-len(self._entries) // self.part_size))

    def part_of(self, key: str) -> int:
        """In which part a key is, from 0."""
        return self._places[key] // self.part_size

    def part(self, number: int) -> bytes:
        """The payload of part `number`; it also says how many there are."""
        first = number * self.part_size
        rows = [entry.row() for entry in self._entries[first : first + self.part_size]]
        return _json({"parts": self.parts, "entries": rows})


def part_topic(topic: str, number: int) -> str:
    """Where part `number` is retained: T_S itself, then T_S/1, T_S/2, ..."""
    return topic if not number else f"{topic}/{number}"


@dataclass(frozen=True)
class Part:
    """One part of a set, as it was read."""

    parts: int
    """How many parts the set has."""
    entries: tuple[Entry, ...]
    """Its entries."""

    @classmethod
    def read(cls, payload: bytes) -> Part:
        """A part from its payload. Raises `MalformedPacketError`."""
        fields = _from_json(payload)
        if not isinstance(fields, dict) or not isinstance(fields.get("entries"), list):
            raise _malformed("a set has the fields parts and entries")
        parts = fields.get("parts")
        if isinstance(parts, bool) or not isinstance(parts, int) or not 0 < parts < 1_000_000:
            raise _malformed("a set says in how many parts it comes")
        return cls(parts, tuple(map(Entry.read, fields["entries"])))


def entry_payload(entry: Entry) -> bytes:
    """An entry for T_N, T_N' and the other discovery brokers."""
    return _json(entry.row())


def read_entry(payload: bytes) -> Entry:
    """The entry of `entry_payload`. Raises `MalformedPacketError`."""
    return Entry.read(_from_json(payload))


def merged(entries: Iterable[Entry]) -> dict[str, At]:
    """The pairs that stand when all these entries are known."""
    known = PairSet()
    for entry in entries:
        known.merge(entry)
    return known.pairs()


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _from_json(payload: bytes) -> object:
    try:
        value: object = json.loads(payload)
    except (ValueError, RecursionError):
        raise _malformed("this is no JSON") from None
    return value


def _malformed(why: str) -> MalformedPacketError:
    return MalformedPacketError(
        f"a discovery notice that cannot be: {why}", ReasonCode.PAYLOAD_FORMAT_INVALID
    )
