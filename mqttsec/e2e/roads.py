"""Where a data message can be changed, with real machines at both ends (specification 1.5).

On the way from P to B and from B to S an outsider sees the outermost layer; inside the broker, below its own
layer, B sees the one from P to S and can seal whatever it likes again. A `Road` stands before a message that
is about to arrive there: one message came before, another will come after it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mqttsec.crypto import Epoch
from mqttsec.e2e.alterations import Alteration, Field, variants
from mqttsec.e2e.channel import Place, parse
from mqttsec.e2e.company import TOPIC, Company
from mqttsec.e2e.messages import Layer, SubscriberRequest
from mqttsec.e2e.schemes import Cell, Protection
from mqttsec.e2e.setup import Setup
from mqttsec.e2e.stages import OTHERS, SUBSCRIBER, Session
from mqttsec.e2e.terms import Role

ANOTHER_TOPIC = "weather/oslo"
"""A second topic of the same publisher and subscriber."""

MESSAGES = (b"11.7", b"12.8", b"13.9")
"""Before, at hand, after."""

ELSEWHERE = b"-3.0"
"""What the other publisher says to the other subscriber."""


@dataclass(frozen=True)
class Road:
    """One layer of a message that is about to arrive."""

    title: str
    """`P-B message`, `B-S message`, `P-S message at B`."""
    cell: Cell
    """How the layer is protected."""
    topic: str
    """Topic Name of its PUBLISH."""
    original: Layer
    """The layer, as it should be."""
    before: Layer
    """That of the message before, which has arrived."""
    after: Layer
    """That of the message after it."""
    elsewhere: Layer
    """That of a message from another publisher to another subscriber."""
    held: Epoch
    """From which epoch on the receiver can read."""
    first_judge: Role
    """Who gets it first."""
    judge: Role
    """Who takes the layer off."""
    take: Callable[[str, bytes], bytes]
    """take(topic, layer): all the way to S, what it reads. Raises `LayerRefused`."""
    topics: tuple[str, ...]
    """The topics on which S receives; none where the topic is tried on another road."""


def roads(setup: Setup) -> Iterator[Road]:
    """Every road of a setup, each with parties of its own."""
    yield _road(setup, "P-B message", Role.P)
    yield _road(setup, "B-S message", Role.B)
    if setup.row.publisher_broker.protection is not Protection.NONE:
        yield _road(setup, "P-S message at B", None)


def anew(setup: Setup, road: Road) -> Road:
    """The same road with other parties, and the message not delivered yet."""
    return next(each for each in roads(setup) if each.title == road.title)


def _road(setup: Setup, title: str, sender: Role | None) -> Road:
    """`sender` is who sends the layer on a wire; None: B changes it before it seals it."""
    company, row = Company(setup), setup.row
    p, s, b = company.publisher, company.subscriber(SUBSCRIBER), company.broker
    mallory, eve = company.new_publisher(OTHERS[Role.P]), company.subscriber(OTHERS[Role.S])
    for publisher, subscriber in ((p, s), (mallory, eve)):
        Session(company, publisher, None).go_on()
        Session(company, publisher, subscriber).go_on()
    Session(company, p, s, ANOTHER_TOPIC).go_on()
    said = [sent for message in MESSAGES for sent in p.protect(TOPIC, message)]
    ((elsewhere, foreign),) = mallory.protect(TOPIC, ELSEWHERE)
    topic, name = said[0][0], p.party.name

    def outbound(topic: str, routed: bytes) -> bytes:
        return b.outbound(SUBSCRIBER, topic, routed, {})

    def forged(topic: str, routed: bytes) -> bytes:
        # A broker that forges does not look at what it seals; `shared` says whose members get it.
        return b.outbound(SUBSCRIBER, topic, routed, {"publisher": name})

    def from_p(topic: str, data: bytes) -> bytes:
        return s.open(topic, outbound(topic, b.inbound(name, topic, data))).message

    def from_b(topic: str, data: bytes) -> bytes:
        return s.open(topic, data).message

    def at_b(topic: str, data: bytes) -> bytes:
        return s.open(topic, forged(topic, data)).message

    payloads = [payload for _, payload in said]
    cell, place, take, judge = row.publisher_broker, Place.TO_BROKER, from_p, Role.B
    if sender is not Role.P:
        payloads = [b.inbound(name, topic, payload) for payload in payloads]
        foreign = b.inbound(mallory.party.name, elsewhere, foreign)
        cell, place, take, judge = row.end_to_end(setup.mode), Place.END_TO_END, at_b, Role.S
    if sender is Role.B:
        payloads = [outbound(topic, payload) for payload in payloads]
        foreign = b.outbound(eve.party.name, elsewhere, foreign, {})
        cell, place, take = row.broker_subscriber, Place.FROM_BROKER, from_b
    if cell.protection is Protection.NONE:
        # There is no layer on this wire, so that the one from P to S is what is seen.
        cell, place, judge = row.end_to_end(setup.mode), Place.END_TO_END, Role.S
    before, original, after = (parse(payload, place) for payload in payloads)
    take(topic, payloads[0])
    return Road(
        title=title,
        cell=cell,
        topic=topic,
        original=original,
        before=before,
        after=after,
        elsewhere=parse(foreign, place),
        held=Epoch.of(original.epoch) if cell.key is not None and cell.key.is_group else Epoch(),
        first_judge=Role.B if sender is Role.P else Role.S,
        judge=judge,
        take=take,
        topics=() if sender is None else (topic, s.topic_filter(ANOTHER_TOPIC)),
    )


def other_topics(road: Road, alteration: Alteration, draw: random.Random, bits: int) -> tuple[str, ...]:
    """What may stand in the place of the Topic Name; what is no Topic Name, no MQTT codec lets pass."""
    raw = road.topic.encode()
    form = next(form for form in SubscriberRequest.forms() if form.name == "topic")
    field = Field(("topic",), form, raw)
    elsewhere = road.topics[-1].encode()
    # Of all flipped bits those are taken that give a Topic Name.
    made = variants(field, alteration, elsewhere, raw, draw, bits=8 * len(raw))
    fitting = [each.decode() for each in made if field.fits(each, alteration)]
    return tuple(fitting[:bits])
