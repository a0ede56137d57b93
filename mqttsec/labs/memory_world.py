"""A station, a broker and subscribers of a scheme, side by side in memory: real machines, no sockets.

The messages between them are encoded and decoded as on a wire; the clock stands still, so that the
same calls give the same text on every machine. Keys and nonces are fresh in each run.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from mqttsec.crypto import SIGNATURES, CertificateAuthority, Identity, Operations, Tally
from mqttsec.e2e import Broker, Departure, Message, Party, Publisher, Role, Setup, Subscriber, decode
from mqttsec.e2e.messages import GroupUpdate

STATION, BROKER = "station", "broker"
TOPIC = "seattle/temperature"
"""What is published."""
RECEIVERS = ("dashboard", "logger", "phone", "display", "alarm")
"""The first subscribers; further ones are client-6, client-7, ..."""

_NOW = 1_330_000_000.0
"""What every clock says: seconds since 1970."""


@cache
def _authority() -> CertificateAuthority:
    return CertificateAuthority(signing=SIGNATURES["Ed25519"], clock=lambda: _NOW)


@cache
def _identity(name: str) -> Identity:
    return _authority().issue(name)


def receivers(count: int) -> tuple[str, ...]:
    """The names of so many subscribers."""
    return (*RECEIVERS, *(f"client-{number}" for number in range(len(RECEIVERS) + 1, count + 1)))[:count]


def across(message: Message) -> Any:
    """A message as it comes out at the other end of a wire."""
    return decode(message.encode(), type(message))


Sent = tuple[str, bytes]
"""Topic Name and payload of a PUBLISH."""


class MemoryWorld:
    """The parties of one run, connected: Block 1 has been done, and Block 2 for each of `subscribers`."""

    def __init__(self, setup: Setup, subscribers: tuple[str, ...] = ()) -> None:
        self.setup = setup
        """Scheme, profile, suite and mode of all."""
        self.operations: dict[str, Operations] = {}
        """The counters, by party."""
        self.broker = Broker(self._party(Role.B, BROKER))
        """B."""
        self.publisher = Publisher(self._party(Role.P, STATION))
        """P."""
        self.subscribers: dict[str, Subscriber] = {}
        """Each S by name, those that left as well: they keep what they had."""
        welcome = self.broker.welcome(STATION, across(self.publisher.hello()))
        confirm = self.publisher.welcomed(across(welcome.reply))
        self.broker.enter(welcome, across(confirm) if confirm is not None else None)
        for name in subscribers:
            self.join(name)

    def _party(self, role: Role, name: str) -> Party:
        self.operations[name] = Operations(name)
        trust = _authority().trust
        return Party(role, _identity(name), trust, self.setup, lambda: _NOW, self.operations[name])

    def tallies(self) -> dict[str, Tally]:
        """What each party has computed so far."""
        return {name: operations.tally for name, operations in self.operations.items()}

    @property
    def members(self) -> tuple[str, ...]:
        """Who receives, in order of joining."""
        return self.broker.members(STATION, TOPIC)

    # -- coming and going -------------------------------------------------------------------------

    def join(self, name: str) -> None:
        """Block 2 for one subscriber."""
        subscriber = self.subscribers.get(name)
        if subscriber is None:
            subscriber = self.subscribers[name] = Subscriber(self._party(Role.S, name))
        ticket = self.broker.request(name, across(subscriber.request(STATION, TOPIC)))
        answer = self.publisher.asked(ticket.correlation, across(self.broker.asked(ticket)))
        self.broker.answered(STATION, ticket.correlation, across(answer))
        confirm = subscriber.accepted(across(self.broker.accept(ticket)))
        joined = self.broker.join(ticket, across(confirm) if confirm is not None else None)
        for update in joined.updates:
            subscriber.update(across(update))
        if joined.forwarded is not None:
            self.publisher.confirmed(ticket.correlation, across(joined.forwarded))

    def leave(self, name: str) -> dict[str, list[GroupUpdate]]:
        """A subscriber leaves. Gives the group keys that each of the others is to be sent."""
        departure: Departure = self.broker.leave(name, STATION, TOPIC)
        updates = {other: [update] for other, update in departure.updates.items()}
        if departure.notice is not None:
            for other, update in self.publisher.departed(across(departure.notice)).items():
                passed = self.broker.pass_on(STATION, other, across(update))
                if passed is not None:
                    updates.setdefault(other, []).append(passed)
        return updates

    # -- a message --------------------------------------------------------------------------------

    def protect(self, message: bytes) -> list[Sent]:
        """What P sends of an Application Message: one, or one for each subscriber."""
        return self.publisher.protect(TOPIC, message)

    def forward(self, sent: Sent) -> dict[str, Sent]:
        """What B sends of one PUBLISH of P, by receiver. Raises `LayerRefused`."""
        topic, payload = sent
        return self.deliver(topic, self.broker.inbound(STATION, topic, payload))

    def deliver(self, topic: str, routed: bytes) -> dict[str, Sent]:
        """What B sends of a message that it has taken in, by receiver."""
        shared: dict[Any, Any] = {}
        return {
            name: (topic, self.broker.outbound(name, topic, routed, shared))
            for name in self.members
            if self.subscribers[name].topic_filter(TOPIC) == topic
        }

    def route(self, message: bytes) -> dict[str, Sent]:
        """What each receiver is sent of an Application Message."""
        return {name: each for sent in self.protect(message) for name, each in self.forward(sent).items()}
