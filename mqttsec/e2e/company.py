"""P, B and any number of S side by side in memory, under a clock that is set by hand.

The machines are the real ones; what goes from one to another is encoded and decoded again. There is no
network in between, so an attack can stand anywhere: `attacks` and the labs use this.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

from mqttsec.crypto import CertificateAuthority, Identity, Operations
from mqttsec.e2e.broker import Broker, Ticket
from mqttsec.e2e.encoding import Message, decode
from mqttsec.e2e.publisher import Publisher
from mqttsec.e2e.setup import BROKER, Party, Setup
from mqttsec.e2e.subscriber import Opened, Subscriber
from mqttsec.e2e.terms import Role

START = 1_800_000_000.0
"""What the clock of a company shows first: seconds since 1970."""

PUBLISHER = "alice"
"""The publisher's name."""

TOPIC = "weather/seattle"
"""What subscribers ask for unless they are told otherwise."""

M = TypeVar("M", bound=Message)


@cache
def _authority() -> CertificateAuthority:
    return CertificateAuthority(clock=lambda: START)


@cache
def _identity(name: str) -> Identity:
    # Certificates outlive a company: making one takes longer than a handshake.
    return _authority().issue(name)


def across(message: M) -> M:
    """The message as it arrives: encoded, and decoded again."""
    return decode(message.encode(), type(message))


class Company:
    """One publisher, one broker, and subscribers as they come."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        """What all have in common."""
        self.now = START
        """The clock of all parties: seconds since 1970."""
        self.operations: dict[str, Operations] = {}
        """What each party has computed, by name."""
        self.broker = Broker(self.party(Role.B, BROKER))
        """B."""
        self.publisher = Publisher(self.party(Role.P, PUBLISHER))
        """P, alice."""
        self.subscribers: dict[str, Subscriber] = {}
        """Each S, by name."""

    def party(self, role: Role, name: str) -> Party:
        """Somebody with a certificate of the course's authority."""
        counters = self.operations.setdefault(name, Operations(name))
        return Party(role, _identity(name), _authority().trust, self.setup, lambda: self.now, counters)

    def subscriber(self, name: str) -> Subscriber:
        """The subscriber of that name; a new one where there is none yet."""
        if name not in self.subscribers:
            self.subscribers[name] = Subscriber(self.party(Role.S, name))
        return self.subscribers[name]

    def connect(self) -> None:
        """Block 1. Raises `HandshakeError`."""
        welcome = self.broker.welcome(PUBLISHER, across(self.publisher.hello()))
        confirm = self.publisher.welcomed(across(welcome.reply))
        self.broker.enter(welcome, None if confirm is None else across(confirm))

    def ask(self, name: str, topic: str = TOPIC) -> Ticket:
        """Steps 5 and 6. Raises `HandshakeError`."""
        return self.broker.request(name, across(self.subscriber(name).request(PUBLISHER, topic)))

    def join(self, name: str, topic: str = TOPIC) -> None:
        """Block 2. Raises `HandshakeError`."""
        ticket = self.ask(name, topic)
        answer = self.publisher.asked(ticket.correlation, across(self.broker.asked(ticket)))
        self.broker.answered(PUBLISHER, ticket.correlation, across(answer))
        self.finish(ticket)

    def finish(self, ticket: Ticket) -> None:
        """Block 2 from step 14 on. Raises `HandshakeError`."""
        subscriber = self.subscriber(ticket.client_id)
        confirm = subscriber.accepted(across(self.broker.accept(ticket)))
        joined = self.broker.join(ticket, None if confirm is None else across(confirm))
        for update in joined.updates:
            subscriber.update(across(update))
        if joined.forwarded is not None:
            self.publisher.confirmed(ticket.correlation, across(joined.forwarded))

    def leave(self, name: str, topic: str = TOPIC) -> None:
        """A subscriber leaves; under *hardened* those who stay get new group keys."""
        departure = self.broker.leave(name, PUBLISHER, topic)
        updates = list(departure.updates.items())
        if departure.notice is not None:
            updates += self.publisher.departed(across(departure.notice)).items()
        for member, update in updates:
            self.subscribers[member].update(across(update))

    def route(self, message: bytes, topic: str = TOPIC) -> dict[str, tuple[str, bytes]]:
        """What each receiver is sent of one message: (Topic Name, payload), by name."""
        sent: dict[str, tuple[str, bytes]] = {}
        for wire_topic, payload in self.publisher.protect(topic, message):
            routed = self.broker.inbound(PUBLISHER, wire_topic, payload)
            shared: dict[Any, Any] = {}
            for name in self.broker.members(PUBLISHER, topic):
                if self.subscribers[name].topic_filter(topic) == wire_topic:
                    sent[name] = wire_topic, self.broker.outbound(name, wire_topic, routed, shared)
        return sent

    def publish(self, message: bytes, topic: str = TOPIC) -> dict[str, Opened]:
        """One message, all the way to every receiver."""
        return {name: self.subscribers[name].open(*sent) for name, sent in self.route(message, topic).items()}


def ready(setup: Setup, *names: str) -> Company:
    """A company in which P is connected and `names` have joined."""
    company = Company(setup)
    company.connect()
    for name in names:
        company.join(name)
    return company
