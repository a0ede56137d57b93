"""Arrows: what two parties recorded about one packet, put together.

A packet that travels is recorded twice, SENT by the one end and RECEIVED by the other, and three
times if the network loses it. A ladder, a capture and a listener's view want it once: an `Arrow`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from mqttsec.trace.events import Event, EventKind

PACKET_KINDS = frozenset({EventKind.SENT, EventKind.RECEIVED, EventKind.LOST})
"""The kinds of events that carry a packet."""

RACE_SECONDS = 0.25
"""How long before its SENT a RECEIVED may stand in the trace: two threads recorded them."""


@dataclass(frozen=True)
class Arrow:
    """One MQTT Control Packet on its way from `sender` to `receiver`."""

    number: int
    """Position among the arrows of the trace, from 1."""
    sender: str
    """The party that sent the packet."""
    receiver: str
    """The party that it was addressed to."""
    sent: float | None
    """Seconds since the trace began when it was sent; None if the sender did not record it."""
    received: float | None
    """Seconds when it was received; None if it never was, or the receiver did not record it."""
    frame: bytes
    """The packet as it stood on the wire; empty if the observer of this view cannot read it."""
    protocol: int = 5
    """Protocol Version of the connection: 5, or 4 for MQTT 3.1.1."""
    lost: bool = False
    """True if the network lost it."""
    note: str = ""
    """One line for the reader, from the events."""
    protected: bool = False
    """True if the connection is under TLS."""
    hidden_bytes: int = 0
    """How long the packet was if it cannot be read."""
    sender_connection: int = 0
    """The connection, as the sender numbers its own; 0 if not known."""
    receiver_connection: int = 0
    """The connection, as the receiver numbers its own; 0 if not known."""
    events: tuple[int, ...] = ()
    """Numbers of the events that it was made from, first recorded first."""

    @property
    def time(self) -> float:
        """Seconds when it left, or, if nobody recorded that, when it arrived."""
        if self.sent is not None:
            return self.sent
        return self.received if self.received is not None else 0.0

    @property
    def delay(self) -> float | None:
        """Seconds on the way, if both ends recorded it; never negative."""
        if self.sent is None or self.received is None:
            return None
        return max(0.0, self.received - self.sent)

    @property
    def size(self) -> int:
        """Bytes of the packet, whether it can be read or is hidden."""
        return len(self.frame) or self.hidden_bytes


def arrows(events: Iterable[Event]) -> tuple[Arrow, ...]:
    """The packets of `events` (a `Trace` or any part of one), each once, in the order recorded.

    RECEIVED belongs to the oldest SENT of the same bytes between the same parties that nothing
    has answered yet. If a party reconnected, the connection decides: a connection of the one end
    corresponds to one connection of the other, and an open one comes before a closed one. What
    finds no counterpart (a foreign client records nothing) is an arrow of its own.
    """
    return _Matcher(events).arrows()


class _Flight:
    """The events about one packet, while they are being collected."""

    __slots__ = ("events", "lost", "received", "sent")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.sent: Event | None = None
        self.received: Event | None = None
        self.lost: Event | None = None

    def arrow(self, number: int) -> Arrow:
        first = self.events[0]
        outward = self.sent or self.lost
        sender, receiver = (first.peer, first.party) if outward is None else (outward.party, outward.peer)
        return Arrow(
            number=number,
            sender=sender,
            receiver=receiver,
            sent=None if outward is None else outward.time,
            received=None if self.received is None else self.received.time,
            frame=first.packet,
            protocol=first.protocol,
            lost=self.lost is not None,
            note="; ".join(dict.fromkeys(event.detail for event in self.events if event.detail)),
            protected=any(event.protected for event in self.events),
            hidden_bytes=first.hidden_bytes,
            sender_connection=0 if outward is None else outward.connection,
            receiver_connection=0 if self.received is None else self.received.connection,
            events=tuple(event.number for event in self.events),
        )


_Key = tuple[str, str, bytes, int]
"""Sender, receiver, packet, hidden length: what SENT, RECEIVED and LOST of one packet share."""
_End = tuple[str, int]
"""A connection as one party numbers it."""


class _Matcher:
    """Goes once through the events and brings together what belongs together."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._flights: list[_Flight] = []
        # By connection below the key, so that what a dead connection left behind is skipped at once.
        self._under_way: dict[_Key, dict[int, deque[_Flight]]] = {}
        self._early: dict[_Key, deque[_Flight]] = {}
        self._other_end: dict[_End, _End] = {}
        self._closed: set[_End] = set()
        steps = {
            EventKind.SENT: self._on_sent,
            EventKind.RECEIVED: self._on_received,
            EventKind.LOST: self._on_lost,
            EventKind.CLOSED: self._on_closed,
        }
        for event in events:
            if step := steps.get(event.kind):
                step(event)

    def arrows(self) -> tuple[Arrow, ...]:
        return tuple(flight.arrow(number) for number, flight in enumerate(self._flights, start=1))

    def _on_sent(self, event: Event) -> None:
        key = (event.party, event.peer, event.packet, event.hidden_bytes)
        early = self._early.get(key)
        while early:
            flight = early.popleft()
            received = flight.received
            if received is not None and event.time - received.time <= RACE_SECONDS and self._may_join(
                (event.party, event.connection), (received.party, received.connection)
            ):
                flight.sent = event
                flight.events.append(event)
                self._join(event, received)
                return
        flight = self._new(event)
        flight.sent = event
        self._under_way.setdefault(key, {}).setdefault(event.connection, deque()).append(flight)

    def _on_received(self, event: Event) -> None:
        key = (event.peer, event.party, event.packet, event.hidden_bytes)
        flight = self._oldest(key, (event.party, event.connection))
        if flight is None:
            flight = self._new(event)
            self._early.setdefault(key, deque()).append(flight)
        else:
            flight.events.append(event)
            if flight.sent is not None:
                self._join(flight.sent, event)
        flight.received = event

    def _on_lost(self, event: Event) -> None:
        key = (event.party, event.peer, event.packet, event.hidden_bytes)
        waiting = self._under_way.get(key, {})
        candidates = [
            queue for number, queue in waiting.items()
            if queue and (not event.connection or number in (0, event.connection))
        ]
        if not candidates:
            self._new(event).lost = event
            return
        queue = min(candidates, key=lambda queue: queue[0].events[0].number)
        # A link that draws the loss as it takes the packet records LOST at the time of SENT.
        at_once = queue[-1].sent is not None and queue[-1].sent.time == event.time
        flight = queue.pop() if at_once else queue.popleft()
        flight.events.append(event)
        flight.lost = event

    def _on_closed(self, event: Event) -> None:
        if event.connection:
            self._closed.add((event.party, event.connection))

    def _new(self, event: Event) -> _Flight:
        flight = _Flight()
        flight.events.append(event)
        self._flights.append(flight)
        return flight

    def _oldest(self, key: _Key, receiving: _End) -> _Flight | None:
        sender = key[0]
        candidates = [
            ((sender, number) in self._closed, queue[0].events[0].number, queue)
            for number, queue in self._under_way.get(key, {}).items()
            if queue and self._may_join((sender, number), receiving)
        ]
        if not candidates:
            return None
        return min(candidates, key=lambda candidate: candidate[:2])[2].popleft()

    def _may_join(self, one: _End, other: _End) -> bool:
        if not one[1] or not other[1]:
            return True
        return self._other_end.get(one, other) == other and self._other_end.get(other, one) == one

    def _join(self, sent: Event, received: Event) -> None:
        if sent.connection and received.connection:
            one, other = (sent.party, sent.connection), (received.party, received.connection)
            self._other_end[one], self._other_end[other] = other, one
