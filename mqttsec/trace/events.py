"""Events: what happened, to whom, when. The trace is a sequence of them (design idea 1).

An `Event` is a fact that cannot change afterwards. Everything a lab shows (ladders, tables,
captures, counters, checks) is a reader of events; nothing is drawn from anywhere else.
Events hold names of keys, never keys.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass


class EventKind(str, enum.Enum):
    """What happened."""

    OPENED = "opened"
    """A network connection came into being between `party` and `peer`."""
    SENT = "sent"
    """`party` handed one MQTT Control Packet to the network, addressed to `peer`."""
    RECEIVED = "received"
    """`party` took one MQTT Control Packet, that `peer` had sent, from the network."""
    LOST = "lost"
    """The network lost one MQTT Control Packet on its way from `party` to `peer`."""
    CLOSED = "closed"
    """The network connection between `party` and `peer` ended."""
    FORWARDED = "forwarded"
    """`party` decided to pass a message on; `detail` names the topic and the receivers."""
    DERIVED = "derived"
    """`party` derived the keys named in `keys`."""
    CHECKED = "checked"
    """`party` checked something and found it right."""
    REJECTED = "rejected"
    """`party` refused something; `detail` says what and why."""
    NOTE = "note"
    """Something else worth seeing; `detail` says what."""


@dataclass(frozen=True)
class Event:
    """One fact of a run."""

    number: int
    """Position in the trace, from 0."""
    time: float
    """Seconds since the trace began, by the clock of the run (virtual or real)."""
    kind: EventKind
    """What happened."""
    party: str
    """Who records the fact: `broker`, or a client by its Client Identifier."""
    peer: str = ""
    """The other end, if the fact has one."""
    packet: bytes = b""
    """One whole MQTT Control Packet as it stood on the wire, for SENT, RECEIVED and LOST."""
    protocol: int = 5
    """Protocol Version of the connection: 5 for MQTT 5.0, 4 for MQTT 3.1.1."""
    connection: int = 0
    """Which network connection, numbered from 1 by each recorder; 0 where none is concerned."""
    detail: str = ""
    """One line for the reader."""
    fields: tuple[tuple[str, str], ...] = ()
    """Further (name, value) pairs for the reader; never secrets."""
    keys: tuple[str, ...] = ()
    """Keys by name (`K_PB`), never by value."""
    operations: tuple[tuple[str, int], ...] = ()
    """Cryptographic operations it took, (name, count): E, D, H, sign, verify, ..."""
    protected: bool = False
    """True on a connection under TLS: a listener on the wire learns sizes and times only."""
    hidden_bytes: int = 0
    """In a view whose observer cannot read the packet: how long it was; `packet` is empty then."""

    @property
    def size(self) -> int:
        """Bytes of the packet, whether it can be read or is hidden."""
        return len(self.packet) or self.hidden_bytes


class Trace:
    """The events of one run, in the order in which they were recorded.

    `clock` is a function that returns seconds; the first event sets time zero. Any thread may
    record: brokers and in-process clients share the runtime's thread, a paho client has one of
    its own, and one lock gives each event its number and its time in the same order.
    `limit` bounds memory: past it the oldest half is forgotten and `forgotten` counts it.
    """

    def __init__(self, clock: Callable[[], float], limit: int = 1_000_000) -> None:
        self._clock = clock
        self._start: float | None = None
        self._events: list[Event] = []
        self._next = 0
        self._limit = limit
        self._lock = threading.Lock()
        self.forgotten = 0
        """How many of the oldest events were dropped to stay within `limit`."""

    def record(self, kind: EventKind, party: str, peer: str = "", **facts: object) -> Event:
        """Append one event, stamped with the clock, and return it.

        `facts` are further fields of `Event` by name.
        """
        with self._lock:
            now = self._clock()
            if self._start is None:
                self._start = now
            event = Event(self._next, now - self._start, kind, party, peer, **facts)  # type: ignore[arg-type]
            self._next += 1
            self._events.append(event)
            if len(self._events) > self._limit:
                half = self._limit // 2
                self.forgotten += len(self._events) - half
                del self._events[: len(self._events) - half]
        return event

    @classmethod
    def of(cls, events: Iterable[Event], forgotten: int = 0) -> Trace:
        """A trace that holds `events` as they are: a saved one, or a view of another.

        What is recorded into it later bears the time of its last event: its run is over.
        """
        kept = list(events)
        end = kept[-1].time if kept else 0.0
        trace = cls(lambda: end)
        trace._start = 0.0
        trace._events = kept
        trace._next = kept[-1].number + 1 if kept else 0
        trace.forgotten = forgotten
        return trace

    def clear(self) -> None:
        """Forget all events and let the next one set time zero again."""
        with self._lock:
            self._events.clear()
            self._start = None
            self._next = 0
            self.forgotten = 0

    @property
    def events(self) -> tuple[Event, ...]:
        """All events so far, oldest first."""
        with self._lock:
            return tuple(self._events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self._events)
