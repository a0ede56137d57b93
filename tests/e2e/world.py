"""P, B and as many S as a test wants, side by side in memory, under a clock that the test sets."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from mqttsec.crypto import SIGNATURES, CertificateAuthority, Identity, Operations, Tally, TrustAnchor
from mqttsec.e2e import (
    Broker,
    Departure,
    Message,
    Opened,
    Party,
    Publisher,
    Role,
    Setup,
    Subscriber,
    Ticket,
    decode,
)
from mqttsec.e2e.messages import BrokerAnswer, BrokerHello, PublisherAnswer, StillWaiting

NOON = 1_800_000_000.0
"""When tests begin: seconds since 1970."""

TOPIC = "weather/seattle"


@cache
def _authority(signing: str) -> CertificateAuthority:
    return CertificateAuthority(signing=SIGNATURES[signing], clock=lambda: NOON)


@cache
def _identity(name: str, signing: str) -> Identity:
    return _authority(signing).issue(name)


def authority(signing: str = "ECDSA") -> CertificateAuthority:
    return _authority(signing)


def identity(name: str, signing: str = "ECDSA") -> Identity:
    return _identity(name, signing)


def across(message: Message) -> Any:
    """A message as it comes out at the other end of a wire."""
    return decode(message.encode(), type(message))


Tamper = Callable[[Message], Message]


class World:
    def __init__(self, setup: Setup | None = None, signing: str = "ECDSA", publisher: str = "alice") -> None:
        self.setup = setup or Setup()
        self.signing = signing
        self.now = NOON
        self.operations: dict[str, Operations] = {}
        self.broker = Broker(self.party(Role.B, "broker"))
        self.publisher = self.new_publisher(publisher)
        self.subscribers: dict[str, Subscriber] = {}

    def party(self, role: Role, name: str, trust: TrustAnchor | None = None, **more: Any) -> Party:
        self.operations[name] = Operations(name)
        return Party(
            role,
            identity(name, self.signing),
            trust or authority(self.signing).trust,
            self.setup,
            lambda: self.now,
            self.operations[name],
            **more,
        )

    def new_publisher(self, name: str, **more: Any) -> Publisher:
        return Publisher(self.party(Role.P, name, **more))

    def new_subscriber(self, name: str) -> Subscriber:
        self.subscribers[name] = Subscriber(self.party(Role.S, name))
        return self.subscribers[name]

    def tally(self, name: str) -> Tally:
        return self.operations[name].tally

    def tallies(self) -> dict[str, Tally]:
        return {name: each.tally for name, each in self.operations.items()}

    # The handshakes, step by step ---------------------------------------------------------------

    def connect(self, publisher: Publisher | None = None) -> None:
        """Block 1."""
        p = publisher or self.publisher
        welcome = self.broker.welcome(p.party.name, across(p.hello()))
        reply: BrokerHello = across(welcome.reply)
        confirm = p.welcomed(reply)
        self.broker.enter(welcome, across(confirm) if confirm is not None else None)

    def ask(self, name: str, topic: str = TOPIC, publisher: str | None = None) -> Ticket:
        """Steps 5 and 6."""
        subscriber = self.subscribers.get(name) or self.new_subscriber(name)
        request = subscriber.request(publisher or self.publisher.party.name, topic)
        return self.broker.request(name, across(request))

    def wait(self, ticket: Ticket) -> None:
        """Steps 9 and 10, 11 and 12."""
        still = self.subscribers[ticket.client_id].wait(across(self.broker.wait(ticket)))
        self.broker.still(ticket, across(still) if isinstance(still, StillWaiting) else still)

    def answer(self, ticket: Ticket, publisher: Publisher | None = None) -> None:
        """Steps 7, 8 and 13."""
        p = publisher or self.publisher
        answer: PublisherAnswer = p.asked(ticket.correlation, across(self.broker.asked(ticket)))
        self.broker.answered(p.party.name, ticket.correlation, across(answer))

    def finish(self, ticket: Ticket, publisher: Publisher | None = None) -> None:
        """Steps 14 and 15, and 18 and 19."""
        p = publisher or self.publisher
        accepted: BrokerAnswer = across(self.broker.accept(ticket))
        confirm = self.subscribers[ticket.client_id].accepted(accepted)
        joined = self.broker.join(ticket, across(confirm) if confirm is not None else None)
        for update in joined.updates:
            self.subscribers[ticket.client_id].update(across(update))
        if joined.forwarded is not None:
            p.confirmed(ticket.correlation, across(joined.forwarded))

    def join(self, *names: str, topic: str = TOPIC, publisher: Publisher | None = None) -> None:
        """Block 2, for each of `names`, with one round of waiting."""
        p = publisher or self.publisher
        for name in names:
            ticket = self.ask(name, topic, p.party.name)
            self.wait(ticket)
            self.answer(ticket, p)
            self.finish(ticket, p)

    def leave(self, name: str, topic: str = TOPIC) -> None:
        departure = self.broker.leave(name, self.publisher.party.name, topic)
        self.deliver_departure(departure)

    def deliver_departure(self, departure: Departure, skip: tuple[str, ...] = ()) -> None:
        """What is sent when somebody left; to those in `skip` it is not delivered."""
        updates = list(departure.updates.items())
        if departure.notice is not None:
            renewed = self.publisher.departed(across(departure.notice))
            for name, update in renewed.items():
                passed = self.broker.pass_on(self.publisher.party.name, name, across(update))
                if passed is not None:
                    updates.append((name, passed))
        for name, update in updates:
            if name not in skip:
                self.subscribers[name].update(across(update))

    # Block 3 ------------------------------------------------------------------------------------

    def route(
        self, message: bytes, topic: str = TOPIC, publisher: Publisher | None = None
    ) -> dict[str, tuple[str, bytes]]:
        """What each receiver is sent of one message: (Topic Name, payload) by name."""
        p = publisher or self.publisher
        sent = {}
        for wire_topic, payload in p.protect(topic, message):
            routed = self.broker.inbound(p.party.name, wire_topic, payload)
            shared: dict[Any, Any] = {}
            for name in self.broker.members(p.party.name, topic):
                if self.subscribers[name].topic_filter(topic) == wire_topic:
                    sent[name] = wire_topic, self.broker.outbound(name, wire_topic, routed, shared)
        return sent

    def publish(self, message: bytes, topic: str = TOPIC) -> dict[str, Opened]:
        """One message, all the way to every receiver."""
        return {name: self.subscribers[name].open(*sent) for name, sent in self.route(message, topic).items()}
