"""P, B and any number of S side by side in memory, under a clock that is set by hand.

The machines are the real ones; what goes from one to another is encoded and decoded again. There is no
network in between, so an attack can stand anywhere: `attacks`, the labs and the tests use this. Keys and
nonces are fresh in each company, certificates outlive it: making one takes longer than a handshake.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

from mqttsec.crypto import SIGNATURES, CertificateAuthority, Identity, Operations, Tally, TrustAnchor
from mqttsec.e2e.broker import Broker, Departure, Ticket
from mqttsec.e2e.encoding import Message, decode
from mqttsec.e2e.messages import GroupUpdate
from mqttsec.e2e.publisher import Publisher
from mqttsec.e2e.setup import BROKER, Party, Setup
from mqttsec.e2e.subscriber import Opened, Subscriber
from mqttsec.e2e.terms import Role

START = 1_800_000_000.0
"""What the clock of a company shows first: seconds since 1970."""

PUBLISHER = "alice"
"""The publisher's name unless it is given another."""

TOPIC = "weather/seattle"
"""What subscribers ask for unless they are told otherwise."""

M = TypeVar("M", bound=Message)

Sent = tuple[str, bytes]
"""Topic Name and payload of a PUBLISH."""

Updates = dict[str, list[GroupUpdate]]
"""New group keys on their way, by receiver."""


@cache
def _authority(signing: str) -> CertificateAuthority:
    return CertificateAuthority(signing=SIGNATURES[signing], clock=lambda: START)


@cache
def _identity(name: str, signing: str) -> Identity:
    return _authority(signing).issue(name)


def authority(signing: str = "ECDSA") -> CertificateAuthority:
    """The authority that a company believes, of either kind of signature."""
    return _authority(signing)


def identity(name: str, signing: str = "ECDSA") -> Identity:
    """The key pair and certificate of one name."""
    return _identity(name, signing)


def across(message: M) -> M:
    """The message as it arrives: encoded, and decoded again."""
    return decode(message.encode(), type(message))


class _Clock:
    """Hands that others turn. It knows nobody: whoever searches a party's memory stays in that party."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Company:
    """One broker, one publisher (or more: `new_publisher`), and subscribers as they come.

    Args:
        setup: what all have in common.
        signing: `ECDSA`, or `Ed25519`, whose signatures and certificates are always of the same length.
        publisher: the name of P.
        topic: what subscribers ask for and P publishes, unless a call says otherwise.

    """

    def __init__(
        self,
        setup: Setup | None = None,
        signing: str = "ECDSA",
        *,
        publisher: str = PUBLISHER,
        topic: str = TOPIC,
    ) -> None:
        self.setup = setup or Setup()
        """What all have in common."""
        self.topic = topic
        """What is published."""
        self._clock = _Clock()
        self.operations: dict[str, Operations] = {}
        """What each party has computed, by name."""
        self._signing = signing
        self.broker = Broker(self.party(Role.B, BROKER))
        """B."""
        self.publisher = self.new_publisher(publisher)
        """P."""
        self.subscribers: dict[str, Subscriber] = {}
        """Each S by name, those that left as well: they keep what they had."""

    @property
    def now(self) -> float:
        """The clock of all parties: seconds since 1970. Whoever sets it decides what time it is."""
        return self._clock.now

    @now.setter
    def now(self, seconds: float) -> None:
        self._clock.now = seconds

    # Parties -----------------------------------------------------------------------------------

    def party(self, role: Role, name: str, trust: TrustAnchor | None = None, **more: Any) -> Party:
        """Somebody with a certificate of the authority, and counters from zero."""
        counters = self.operations[name] = Operations(name)
        believed = trust or authority(self._signing).trust
        who = identity(name, self._signing)
        return Party(role, who, believed, self.setup, self._clock, counters, **more)

    def new_publisher(self, name: str, **more: Any) -> Publisher:
        """A publisher that is not connected yet."""
        return Publisher(self.party(Role.P, name, **more))

    def subscriber(self, name: str) -> Subscriber:
        """The subscriber of that name; a new one where there is none yet."""
        if name not in self.subscribers:
            self.subscribers[name] = Subscriber(self.party(Role.S, name))
        return self.subscribers[name]

    @property
    def members(self) -> tuple[str, ...]:
        """Who receives the topic of P, in order of joining."""
        return self.broker.members(self.publisher.party.name, self.topic)

    def tallies(self) -> dict[str, Tally]:
        """What each party has computed so far."""
        return {name: operations.tally for name, operations in self.operations.items()}

    # Handshakes: each raises `HandshakeError` where the other side refuses ----------------------

    def connect(self, publisher: Publisher | None = None) -> None:
        """Block 1."""
        p = publisher or self.publisher
        welcome = self.broker.welcome(p.party.name, across(p.hello()))
        confirm = p.welcomed(across(welcome.reply))
        self.broker.enter(welcome, None if confirm is None else across(confirm))

    def ask(self, name: str, topic: str | None = None, publisher: Publisher | None = None) -> Ticket:
        """Steps 5 and 6."""
        whose = (publisher or self.publisher).party.name
        return self.broker.request(name, across(self.subscriber(name).request(whose, topic or self.topic)))

    def wait(self, ticket: Ticket) -> None:
        """Steps 9 and 10, 11 and 12."""
        still = self.subscribers[ticket.client_id].wait(across(self.broker.wait(ticket)))
        self.broker.still(ticket, across(still))

    def answer(self, ticket: Ticket, publisher: Publisher | None = None) -> None:
        """Steps 7, 8 and 13."""
        p = publisher or self.publisher
        answer = p.asked(ticket.correlation, across(self.broker.asked(ticket)))
        self.broker.answered(p.party.name, ticket.correlation, across(answer))

    def finish(self, ticket: Ticket, publisher: Publisher | None = None) -> None:
        """Steps 14 and 15, and 18 and 19."""
        subscriber = self.subscribers[ticket.client_id]
        confirm = subscriber.accepted(across(self.broker.accept(ticket)))
        joined = self.broker.join(ticket, None if confirm is None else across(confirm))
        for update in joined.updates:
            subscriber.update(across(update))
        if joined.forwarded is not None:
            (publisher or self.publisher).confirmed(ticket.correlation, across(joined.forwarded))

    def join(self, *names: str, topic: str | None = None, publisher: Publisher | None = None) -> None:
        """Block 2, for each of `names`, with one round of waiting."""
        for name in names:
            ticket = self.ask(name, topic, publisher)
            self.wait(ticket)
            self.answer(ticket, publisher)
            self.finish(ticket, publisher)

    # Leaving -----------------------------------------------------------------------------------

    def part(self, name: str, topic: str | None = None) -> Updates:
        """A subscriber leaves; gives what the others are to be sent."""
        return self.updates(self.broker.leave(name, self.publisher.party.name, topic or self.topic))

    def updates(self, departure: Departure) -> Updates:
        """What is sent when somebody left: new group keys, under *hardened*."""
        updates = {name: [update] for name, update in departure.updates.items()}
        if departure.notice is not None:
            for name, update in self.publisher.departed(across(departure.notice)).items():
                passed = self.broker.pass_on(self.publisher.party.name, name, across(update))
                if passed is not None:
                    updates.setdefault(name, []).append(passed)
        return updates

    def take(self, updates: Updates) -> None:
        """Deliver what `part` or `updates` gave."""
        for name, each in updates.items():
            for update in each:
                self.subscribers[name].update(across(update))

    def leave(self, name: str, topic: str | None = None) -> None:
        """A subscriber leaves, and those who stay get their new group keys."""
        self.take(self.part(name, topic))

    # Messages: each raises `LayerRefused` where a layer does not hold ---------------------------

    def forward(
        self, sent: Sent, topic: str | None = None, publisher: Publisher | None = None
    ) -> dict[str, Sent]:
        """What B sends of one PUBLISH of P, by receiver."""
        routed = self.broker.inbound((publisher or self.publisher).party.name, *sent)
        return self.deliver((sent[0], routed), topic, publisher)

    def deliver(
        self, routed: Sent, topic: str | None = None, publisher: Publisher | None = None
    ) -> dict[str, Sent]:
        """What B sends of a message that it has taken in, by receiver."""
        whose, about = (publisher or self.publisher).party.name, topic or self.topic
        wire_topic, payload = routed
        shared: dict[Any, Any] = {}
        return {
            name: (wire_topic, self.broker.outbound(name, wire_topic, payload, shared))
            for name in self.broker.members(whose, about)
            if self.subscribers[name].topic_filter(about) == wire_topic
        }

    def route(
        self, message: bytes, topic: str | None = None, publisher: Publisher | None = None
    ) -> dict[str, Sent]:
        """What each receiver is sent of one Application Message."""
        protected = (publisher or self.publisher).protect(topic or self.topic, message)
        return {
            name: each for sent in protected for name, each in self.forward(sent, topic, publisher).items()
        }

    def publish(self, message: bytes, topic: str | None = None) -> dict[str, Opened]:
        """One message, all the way to every receiver."""
        return {name: self.subscribers[name].open(*sent) for name, sent in self.route(message, topic).items()}


def ready(setup: Setup, *names: str) -> Company:
    """A company in which P is connected and `names` have joined."""
    company = Company(setup)
    company.connect()
    company.join(*names)
    return company
