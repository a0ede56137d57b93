"""What each party of a run can say, from nothing but its own packets and the keys in its memory.

Names are looked for in the bytes. That a client is the owner of a pseudonym, its own bridge broker sees: the
pseudonym stands in what came over that client's connection. That two pseudonyms belong together stands in the
request that a reader signs. Several parties put these facts together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from mqttsec.e2e import decode as decode_message
from mqttsec.e2e.messages import PublisherHello, SubscriberRequest
from mqttsec.e2e.setup import BROKER
from mqttsec.errors import MalformedPacketError, ProtocolError
from mqttsec.labs.anonymous_systems import PUBLIC, READERS, STATION, STRANGER, Outcome
from mqttsec.labs.key_search import NO_KEYS, keys_in_memory, try_open
from mqttsec.packets import Publish, decode
from mqttsec.trace.events import Event, EventKind


@dataclass(frozen=True)
class Sight:
    """What one party, or several together, can say."""

    observers: tuple[str, ...]
    """Who."""
    reads: bool
    """Whether it can read a reading."""
    names: frozenset[str]
    """Real names that stand in its packets."""
    owners: frozenset[tuple[str, str]]
    """(client, name in its certificate) that one connection shows together."""
    pairs: frozenset[tuple[str, str]]
    """(publisher, subscriber), by the names in certificates, that stand in one request."""
    topics: frozenset[str]
    """Topics of messages."""

    def together(self, other: Sight) -> Sight:
        """What both know when they pool it."""
        return Sight(
            self.observers + other.observers,
            self.reads or other.reads,
            self.names | other.names,
            self.owners | other.owners,
            self.pairs | other.pairs,
            self.topics | other.topics,
        )

    @cached_property
    def relations(self) -> frozenset[tuple[str, str]]:
        """(publisher, subscriber) by their real names: the pairs whose owners are both known."""
        real = {name: client for client, name in self.owners}
        known = {name: name for name in self.names} | real
        return frozenset((known[p], known[s]) for p, s in self.pairs if p in known and s in known)


def sight(outcome: Outcome, observer: str) -> Sight:
    """What a bridge broker, the public broker (with B beside it) or the stranger can say."""
    events = [event for event in outcome.views[observer] if event.packet]
    real = (STATION, *READERS)
    names = frozenset(name for name in real if any(name.encode() in event.packet for event in events))
    published = [(event, packet) for event in events if (packet := _publish(event)) is not None]
    owners: set[tuple[str, str]] = set()
    pairs: set[tuple[str, str]] = set()
    for event, packet in published:
        owner, pair = _said(packet.payload)
        if owner and event.kind is EventKind.RECEIVED and event.peer in real:
            owners.add((event.peer, owner))
        if pair:
            pairs.add(pair)
    return Sight(
        (observer,),
        _reads(outcome, observer, [packet for _, packet in published]),
        names,
        frozenset(owners),
        frozenset(pairs),
        frozenset(packet.topic for _, packet in published),
    )


def _publish(event: Event) -> Publish | None:
    if event.kind not in (EventKind.SENT, EventKind.RECEIVED) or event.packet[0] >> 4 != 3:
        return None
    try:
        packet = decode(event.packet, event.protocol)
    except ProtocolError:
        return None
    return packet if isinstance(packet, Publish) else None


def _said(payload: bytes) -> tuple[str, tuple[str, str] | None]:
    """Whose message of Blocks 1 and 2 this is, and who asks for whom."""
    for kind in (PublisherHello, SubscriberRequest):
        try:
            message: object = decode_message(payload, kind)
        except MalformedPacketError:
            continue
        if isinstance(message, PublisherHello):
            return message.publisher, None
        assert isinstance(message, SubscriberRequest)
        return message.subscriber, (message.publisher, message.subscriber)
    return "", None


def _reads(outcome: Outcome, observer: str, published: Iterable[Publish]) -> bool:
    packets = list(published)
    if any(reading in packet.payload for reading in outcome.readings for packet in packets):
        return True
    if outcome.setup is None or not outcome.machines:
        return False
    # B stands beside the public broker: the two are taken for one.
    keys = keys_in_memory(outcome.machines[BROKER]) if observer == PUBLIC else NO_KEYS
    opened = (try_open(outcome.setup, keys, packet.topic, packet.payload).message for packet in packets)
    return any(message in outcome.readings for message in opened)


def observers_of(outcome: Outcome) -> tuple[str, ...]:
    """Everybody whose packets were kept, bridge brokers first."""
    return (*outcome.bridges, PUBLIC, STRANGER)


def pooled(outcome: Outcome, observers: Iterable[str]) -> Sight:
    """What several know together."""
    first, *others = [sight(outcome, observer) for observer in observers]
    for other in others:
        first = first.together(other)
    return first


def coalitions(outcome: Outcome, relation: tuple[str, str], most: int = 2) -> list[tuple[str, ...]]:
    """The smallest sets of brokers that know together who publishes to whom."""
    brokers = (*outcome.bridges, PUBLIC)
    sights = {name: sight(outcome, name) for name in brokers}
    found: list[tuple[str, ...]] = []
    for size in range(1, most + 1):
        for group in combinations(brokers, size):
            if any(set(smaller) <= set(group) for smaller in found):
                continue
            together = sights[group[0]]
            for name in group[1:]:
                together = together.together(sights[name])
            if relation in together.relations:
                found.append(group)
    return found
