"""What each party knows at a moment of a run: keys by name, and what it can read, tried with its real keys.

Nothing here shows a key. Whether two parties have the same one is found by comparing them; whether a party
can read a message is found by opening it with every key that the party holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mqttsec.crypto import Box, Epoch, GroupKey, Key, Keyring, PairKeys, same_secret
from mqttsec.e2e.channel import associated
from mqttsec.e2e.company import PUBLISHER, TOPIC, Company
from mqttsec.e2e.encoding import decode
from mqttsec.e2e.groups import Circle
from mqttsec.e2e.messages import Layer
from mqttsec.e2e.setup import BROKER, Setup
from mqttsec.e2e.subscriber import Subscriber
from mqttsec.e2e.terms import KeyName
from mqttsec.errors import MalformedPacketError, TamperError


@dataclass(frozen=True)
class Holding:
    """A key that a party holds."""

    name: KeyName
    """The paper's name."""
    peer: str
    """With whom it is shared, in the holder's opinion; empty for a group's."""
    boxes: Callable[[int], tuple[Box, ...]]
    """What opens with it, by the epoch of a message."""
    secret: Key
    """To compare with another's."""

    def same_as(self, other: Holding) -> bool:
        """Whether both hold the same key."""
        return same_secret(self.secret, other.secret)


def holdings(company: Company, party: str) -> tuple[Holding, ...]:
    """The keys of a party of the topic `TOPIC`, by its name; an outsider has none."""
    if party == PUBLISHER:
        return tuple(_of_publisher(company))
    if party == BROKER:
        return tuple(_of_broker(company))
    subscriber = company.subscribers.get(party)
    return () if subscriber is None else tuple(_of_subscriber(company, subscriber))


def _of_publisher(company: Company) -> Iterator[Holding]:
    publisher = company.publisher
    if publisher._channel is not None:
        yield _pair(company.setup, KeyName.K_PB, publisher._channel, BROKER)
    stream = publisher._streams.get(TOPIC)
    if stream is not None:
        for name, member in stream.members.items():
            yield _pair(company.setup, KeyName.K_PS, member.pair, name)
        if stream.circle is not None:
            yield _circle(company.setup, stream.circle)


def _of_broker(company: Company) -> Iterator[Holding]:
    broker = company.broker
    for name, link in broker._links.items():
        yield _pair(company.setup, KeyName.K_PB, link.pair, name)
    audience = broker._audiences._by_stream.get((PUBLISHER, TOPIC))
    if audience is not None:
        for name, member in audience.members.items():
            yield _pair(company.setup, KeyName.K_BS, member.pair, name)
        if audience.circle is not None:
            yield _circle(company.setup, audience.circle)


def _of_subscriber(company: Company, subscriber: Subscriber) -> Iterator[Holding]:
    setup = company.setup
    for name, pair in subscriber.latest.items():
        yield _pair(setup, name, pair, PUBLISHER if name is KeyName.K_PS else BROKER)
    stream = subscriber._streams.get((PUBLISHER, TOPIC))
    for group in stream.groups.values() if stream is not None else ():
        ring = group.keyring
        latest = ring.latest
        if latest is not None:

            def boxes(epoch: int, of: Callable[[int], Box] = group) -> tuple[Box, ...]:
                try:
                    return (of(epoch),)
                except TamperError:
                    return ()

            name = KeyName(ring.scheme.name)
            yield Holding(name, "", boxes, _now(company, name, ring, latest).keys.encryption)


def _now(company: Company, name: KeyName, ring: Keyring, latest: Epoch) -> GroupKey:
    """The key of the group's epoch of the moment, if the member reaches it: the one to compare."""
    owner = company.publisher if name is KeyName.GK_P else None
    epoch = owner.epoch(TOPIC) if owner is not None else company.broker.epoch(PUBLISHER, TOPIC)
    try:
        return ring.key(Epoch.of(epoch or latest.number))
    except TamperError:
        return ring.key(latest)


def _pair(setup: Setup, name: KeyName, pair: PairKeys, peer: str) -> Holding:
    both = (setup.ciphers.box(pair.forth), setup.ciphers.box(pair.back))
    return Holding(name, peer, lambda epoch: both, pair.forth.encryption)


def _circle(setup: Setup, circle: Circle) -> Holding:
    current = circle.group.current
    box = (setup.ciphers.box(current.keys),)
    return Holding(
        circle.key, "", lambda epoch: box if epoch == circle.epoch else (), current.keys.encryption
    )


def reads(company: Company, party: str, topic: str, payload: bytes) -> bytes | None:
    """The Application Message in a payload, if the keys of a party open it; None if they do not."""
    held = holdings(company, party)
    body = payload
    while True:
        try:
            layer = decode(body, Layer)
        except MalformedPacketError:
            return body
        if layer.tag:
            # A tag hides nothing.
            body = layer.body
            continue
        inside = _open(company.setup, held, layer, topic)
        if inside is None:
            return None
        body = inside


def _open(setup: Setup, held: tuple[Holding, ...], layer: Layer, topic: str) -> bytes | None:
    bound = associated(layer, topic) if setup.hardened else b""
    for holding in held:
        for box in holding.boxes(layer.epoch):
            try:
                return box.open(layer.body, bound)
            except TamperError:
                continue
    return None
