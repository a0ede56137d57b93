"""What bridge brokers see and decide, one row a hop; and the paths that all rows make together.

A bridge broker's own rows are what it knows, and what collaborators pool. Nobody in the network has all.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count
from typing import NamedTuple

from mqttsec.mqtta.drawing import Decision
from mqttsec.trace.events import EventKind, Trace


class Direction(str, enum.Enum):
    """What came by."""

    PUBLISH = "publish"
    """A message on its way to the public broker."""
    SUBSCRIBE = "subscribe"
    """A subscription on its way to the public broker."""
    DELIVER = "deliver"
    """A message on its way back to a subscriber; `previous` is where it comes from."""


class Seen(NamedTuple):
    """One row: a bridge broker took something and passed it on."""

    time: float
    """Loop time in seconds."""
    bridge: str
    """Who saw it."""
    direction: Direction
    """What it was."""
    previous: str
    """Where it came from, as the connection told: a bridge broker or client; of `deliver` also host:port."""
    next: str
    """Where it went: a bridge broker, a public broker, a client; empty where it ended here."""
    topic: str
    """T_A."""
    draw: float | None
    """R; None where there was no draw."""
    decision: Decision | None
    """What was decided; None of `deliver`, which only goes back along the path."""
    key: str
    """The message's number; of `subscribe` the token that came in, empty at the first hop."""
    onward: str
    """Of `subscribe`: the token that went on."""
    fingerprint: bytes
    """8 bytes that are the same for the same payload; empty of `subscribe`."""
    again: bool
    """True where a broken path was drawn anew."""
    number: int
    """Orders the rows of a whole network."""


class Hop(NamedTuple):
    """One bridge broker on a path."""

    bridge: str
    """Its name."""
    previous: str
    """Where it had it from."""
    next: str
    """Where it passed it on to."""
    draw: float | None
    """R."""
    decision: Decision | None
    """What it decided."""
    time: float
    """When."""


@dataclass(frozen=True)
class Path:
    """The way of one message or subscription through the network, put together from the rows of all."""

    direction: Direction
    """Of what."""
    topic: str
    """T_A."""
    key: str
    """The message's number; of a subscription the first token."""
    hops: tuple[Hop, ...]
    """The bridge brokers in order."""

    @property
    def length(self) -> int:
        """L: links from the first bridge broker to the public broker, that one counted, the client's not."""
        return len(self.hops)

    @property
    def source(self) -> str:
        """The client that published or subscribed."""
        return self.hops[0].previous

    @property
    def complete(self) -> bool:
        """Whether it ended at a public broker, or where another one's path was joined."""
        return self.hops[-1].decision in (Decision.EXIT, Decision.JOINED) or (
            self.hops[-1].decision is Decision.KEPT and self.hops[-1].draw is not None
        )

    @property
    def exit(self) -> str:
        """The last bridge broker."""
        return self.hops[-1].bridge

    def __str__(self) -> str:
        names = [self.source, *(hop.bridge for hop in self.hops), self.hops[-1].next]
        return " > ".join(name for name in names if name)


def fingerprint(payload: bytes) -> bytes:
    """8 bytes by which a payload is known again."""
    return blake2b(payload, digest_size=8).digest()


class Observer:
    """Numbers the rows of a network and writes the draws into a trace, if there is one.

    One for all bridge brokers of a process; it knows what none of them knows, such as the number of a hop.
    """

    def __init__(self, trace: Trace | None = None, p_f: float | None = None, limit: int = 5_000_000) -> None:
        self.trace = trace
        self.p_f = p_f
        self.limit = limit
        """Rows that one bridge broker keeps; the oldest half is forgotten past it."""
        self.on_seen: Callable[[Seen], None] | None = None
        """Called with every row."""
        self.number = count().__next__
        self._hops: dict[str, int] = {}

    def saw(self, row: Seen) -> None:
        """Take a row."""
        if self.on_seen is not None:
            self.on_seen(row)
        if self.trace is not None and row.direction is not Direction.DELIVER:
            self._record(row, self.trace)

    def _record(self, row: Seen, trace: Trace) -> None:
        hop = self._hops.get(row.key, 0) + (not row.again or not row.key)
        if row.direction is Direction.PUBLISH:
            self._hops[row.key] = hop
        elif row.onward:
            self._hops[row.onward] = hop
        r = "-" if row.draw is None else f"{row.draw:.4f}"
        p_f = "" if self.p_f is None else f"{self.p_f:g}"
        decision = "" if row.decision is None else row.decision.value
        what = f"R = {r}, p_f = {p_f}: {decision}" if row.draw is not None else decision
        trace.record(
            EventKind.FORWARDED,
            row.bridge,
            row.next,
            detail=f"{row.direction.value} {row.topic}, hop {hop}: {what} to {row.next or 'nobody'}",
            fields=(
                ("direction", row.direction.value), ("topic", row.topic), ("hop", str(hop)), ("R", r),
                ("p_f", p_f), ("decision", decision), ("previous", row.previous), ("next", row.next),
            ),
        )  # fmt: skip


def publish_paths(rows: Iterable[Seen]) -> list[Path]:
    """The paths of published messages, in the order in which they began."""
    paths: dict[str, list[Seen]] = {}
    for row in sorted(rows, key=lambda row: row.number):
        if row.direction is not Direction.PUBLISH:
            continue
        path = paths.setdefault(row.key, [])
        if row.again:
            # The bridge broker tried another way: what it tried before is no part of the path.
            place = max((i for i, old in enumerate(path) if old.bridge == row.bridge), default=len(path))
            del path[place:]
        path.append(row)
    return [_path(rows) for rows in paths.values() if rows]


def subscribe_paths(rows: Iterable[Seen]) -> list[Path]:
    """The paths of subscriptions as they are now, in the order in which they began."""
    latest: dict[str, Seen] = {}
    firsts: dict[tuple[str, str, str], Seen] = {}
    by_packet: dict[str, list[Seen]] = {}
    for row in sorted(rows, key=lambda row: row.number):
        if row.direction is not Direction.SUBSCRIBE:
            continue
        if row.key and row.key == row.onward:
            by_packet.setdefault(row.key, []).append(row)
        elif row.key:
            latest[row.key] = row
        else:
            firsts[row.bridge, row.previous, row.topic] = row
            if row.onward and row.onward in by_packet:
                by_packet[row.onward] = []
    paths = []
    for first in firsts.values():
        path = [first]
        # The published form keeps one number along the path, the mended one a new token at every hop.
        path += by_packet.get(first.onward, [])
        while path[-1].onward != path[-1].key and path[-1].onward in latest:
            path.append(latest[path[-1].onward])
        paths.append(_path(path))
    return paths


def _path(rows: list[Seen]) -> Path:
    hops = tuple(Hop(r.bridge, r.previous, r.next, r.draw, r.decision, r.time) for r in rows)
    first = rows[0]
    key = first.key if first.direction is Direction.PUBLISH else first.onward
    return Path(first.direction, first.topic, key, hops)
