"""The broker's part without its sockets: Block 1, Block 2 in the middle, and the layers of Block 3.

It holds K_PB, K_BSi and GK_B, and never K_PSi or GK_P: it has no way to make them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mqttsec.crypto import Box, PairKeys, Peer
from mqttsec.e2e.audience import Audiences, Stream
from mqttsec.e2e.channel import (
    LayerCheck,
    LayerRefused,
    Opener,
    Place,
    pair_box,
    speaker,
)
from mqttsec.e2e.handshake import Run, Unexpected
from mqttsec.e2e.intake import Intake
from mqttsec.e2e.messages import (
    BrokerAnswer,
    BrokerHello,
    ForwardedConfirm,
    GroupUpdate,
    KeepWaiting,
    Membership,
    PublisherAnswer,
    PublisherConfirm,
    PublisherHello,
    Refusal,
    StillWaiting,
    SubscriberConfirm,
    SubscriberRequest,
    WrappedKey,
)
from mqttsec.e2e.publisher import notice_covers
from mqttsec.e2e.schemes import Protection
from mqttsec.e2e.setup import Party
from mqttsec.e2e.terms import ID_P, ID_S, TOPIC, KeyName, Role, Term
from mqttsec.errors import ConfigurationError, HandshakeError
from mqttsec.packets import ReasonCode

CORRELATION_SIZE = 16
"""Bytes of the Correlation Data of steps 7 and 13."""

TICKETS_EACH = 4
"""How many handshakes one subscriber may have on their way. One connection has one; after a break the old one
may still be there. So nobody fills the waiting room alone, and who does it needs a certificate a place."""


@dataclass(frozen=True)
class Welcome:
    """Block 1 on the broker's side, not entered yet."""

    run: Run
    """The broker's view."""
    reply: BrokerHello
    """Step 3."""

    @property
    def publisher(self) -> str:
        """Who."""
        return self.run.text(ID_P)


@dataclass
class _Link:
    """A connected publisher."""

    peer: Peer
    """Its certificate, checked in Block 1."""
    pair: PairKeys
    """K_PB."""
    intake: Intake | None
    """Takes the layer between P and B off; None where there is none."""
    notice_box: Box
    """For the tags of notices to it."""
    notices: int = 0
    """How many notices it got."""


@dataclass
class Ticket:
    """One subscriber in Block 2, from its request to the end of its handshake."""

    correlation: bytes
    """Correlation Data for steps 7, 13 and 19."""
    run: Run
    """The broker's view."""
    request: SubscriberRequest
    """Steps 5 and 7."""
    deadline: float
    """When S is told that P does not answer; seconds by the broker's clock."""
    waits: int = 0
    """w: how often S was asked to keep waiting and did (specification 1.4, steps 10 to 12)."""
    asked: bool = False
    """True once the request went to P."""
    answer: PublisherAnswer | None = None
    """Step 13, once it came and was found right."""
    held: list[GroupUpdate] = field(default_factory=list)
    """Group keys that came from P for S before S was there."""
    _epoch: int = 0
    _expects_still: bool = field(default=False, repr=False)

    @property
    def client_id(self) -> str:
        """Who asks."""
        return self.run.text(ID_S)

    @property
    def publisher(self) -> str:
        """Whom it asks."""
        return self.run.text(ID_P)

    @property
    def topic(self) -> str:
        """What it asks for."""
        return self.run.text(TOPIC)


@dataclass(frozen=True)
class Joined:
    """What is to be sent after a subscriber was entered."""

    updates: tuple[GroupUpdate, ...]
    """To S: group keys that were renewed while its handshake was on its way."""
    forwarded: ForwardedConfirm | None
    """To P: step 19, where handshakes are confirmed."""


@dataclass(frozen=True)
class Departure:
    """What is to be sent after a subscriber left a stream (*hardened*; else nothing)."""

    updates: dict[str, GroupUpdate]
    """To the other members, by Client Identifier: a new GK_B."""
    notice: Membership | None
    """To the publisher, if it is connected: it renews GK_P."""


class Broker:
    """B. Every method takes and gives messages; one that raises has changed nothing.

    A publisher: `welcome` takes step 1 and gives step 3, `enter` makes it official. A subscriber:
    `request` takes step 5 and gives a `Ticket`; its `request` goes to P (`asked` says that it went), P's
    answer into `answered`; until then `wait` and `still` go round; `accept` gives step 14, `join` makes
    it official. `drop` ends a ticket that came to nothing.
    """

    def __init__(self, party: Party, limit: float = 30.0, tickets_at_most: int = 10_000) -> None:
        """`limit` is how long S may wait for P, in seconds."""
        if party.role is not Role.B:
            raise ConfigurationError(f"{party.title} is no broker")
        self.party = party
        """Who this is."""
        self.limit = limit
        """How long S may wait for P, in seconds."""
        self.tickets_at_most = tickets_at_most
        """How many subscribers may be in Block 2 at the same time."""
        self._links: dict[str, _Link] = {}
        self._tickets: dict[bytes, Ticket] = {}
        self._tickets_of: Counter[str] = Counter()
        self._audiences = Audiences(party)

    # Block 1 -----------------------------------------------------------------------------------

    def welcome(self, client_id: str, message: PublisherHello) -> Welcome:
        """Steps 2 and 3: a publisher connects as `client_id`. Raises `HandshakeError`."""
        run = Run.of(self.party, P=client_id).receive(message)
        return Welcome(*run.send(BrokerHello))

    def enter(self, welcome: Welcome, confirm: PublisherConfirm | None = None) -> None:
        """The publisher is connected. `confirm` is step 16, where handshakes are confirmed.

        Raises `HandshakeError`.
        """
        run, setup = welcome.run, self.party.setup
        if setup.script.confirm:
            if confirm is None:
                raise HandshakeError(
                    "the confirming message is missing", party=self.party.title, step="step 16"
                )
            run = run.receive(confirm)
        name, pair = welcome.publisher, run.keys[KeyName.K_PB]
        link = self._links.get(name)
        if link is not None and link.pair is pair:
            raise Unexpected("this publisher is in already", party=self.party.title, step="step 16")
        intake = None
        protection = setup.row.publisher_broker.protection
        if protection is not Protection.NONE:
            box_of = pair_box(setup.ciphers, pair.sending(name), self.party.operations)
            key_id = run.key_id(KeyName.K_PB)
            intake = Intake(Opener(setup, Place.TO_BROKER, protection, name, key_id, box_of))
        notice_box = setup.ciphers.box(pair.receiving(name))
        self._links[name] = _Link(run.peers[Role.P], pair, intake, notice_box)
        for ticket in self._tickets.values():
            if ticket.publisher == name and ticket.answer is None:
                # What a publisher did not answer before its connection broke, it is asked again.
                ticket.asked = False

    def parted(self, publisher: str) -> None:
        """The publisher's connection ended: K_PB with it. Its subscribers stay."""
        self._links.pop(publisher, None)

    @property
    def publishers(self) -> tuple[str, ...]:
        """Who is connected."""
        return tuple(self._links)

    # Block 2 -----------------------------------------------------------------------------------

    def request(self, client_id: str, message: SubscriberRequest) -> Ticket:
        """Step 6: a subscriber connects as `client_id`.

        Raises `HandshakeError`: 0x89 Server busy where too many are waiting already, or too many of them
        under this name.
        """
        full = len(self._tickets) >= self.tickets_at_most
        if full or self._tickets_of[client_id] >= TICKETS_EACH:
            who = "subscribers are" if full else f"handshakes of {client_id!r} are"
            raise HandshakeError(
                f"too many {who} waiting for their publishers: come back later",
                ReasonCode.SERVER_BUSY,
                party=self.party.title,
                step="step 6",
            )
        run = Run.of(self.party, S=client_id).receive(message)
        correlation = self.party.random_bytes(CORRELATION_SIZE)
        ticket = Ticket(correlation, run, message, self.party.clock() + self.limit)
        self._tickets[correlation] = ticket
        self._tickets_of[client_id] += 1
        return ticket

    def waiting_for(self, publisher: str) -> tuple[Ticket, ...]:
        """Step 7: the requests that have not gone to a publisher yet; none while it is away."""
        if publisher not in self._links:
            return ()
        return tuple(
            ticket
            for ticket in self._tickets.values()
            if ticket.publisher == publisher and not ticket.asked and ticket.answer is None
        )

    def asked(self, ticket: Ticket) -> SubscriberRequest:
        """Step 7: the request goes to P, unchanged."""
        ticket.asked = True
        return ticket.request

    def wait(self, ticket: Ticket) -> KeepWaiting:
        """Steps 9 and 11. Raises `HandshakeError` 0x88 when P has not answered within the limit."""
        if self.party.clock() >= ticket.deadline:
            came = "did not answer" if ticket.publisher in self._links else "is not connected"
            raise HandshakeError(
                f"publisher {ticket.publisher!r} {came} within {self.limit:g} s: try again later",
                ReasonCode.SERVER_UNAVAILABLE,
                party=self.party.title,
                step="step 11" if ticket.waits else "step 9",
            )
        ticket._expects_still = True
        return KeepWaiting()

    def still(self, ticket: Ticket, message: StillWaiting) -> None:
        """Steps 10 and 12: S is still there. Raises `HandshakeError` where nobody asked it."""
        if not ticket._expects_still:
            raise Unexpected("nobody asked whether you still wait", party=self.party.title, step="step 10")
        ticket._expects_still = False
        ticket.waits += 1

    def answered(self, publisher: str, correlation: bytes, message: PublisherAnswer | Refusal) -> Ticket:
        """Step 13: `publisher` answers the request that came with `correlation`.

        Raises `HandshakeError` for an answer that nobody waits for, that is not right, or that refuses.
        The ticket then stands as before: `drop` it, or wait for a better answer.
        """
        ticket, link = self._tickets.get(correlation), self._links.get(publisher)
        if ticket is None or link is None or ticket.publisher != publisher or ticket.answer is not None:
            raise Unexpected(
                "nobody waits for this answer: too late, or not yours to give",
                party=self.party.title,
                step="step 13",
            )
        if isinstance(message, Refusal):
            code = message.reason_code if message.reason_code >= 0x80 else ReasonCode.NOT_AUTHORIZED
            raise HandshakeError(
                f"publisher {publisher!r} refuses", code, party=self.party.title, step="step 13"
            )
        run = replace(ticket.run, peers={**ticket.run.peers, Role.P: link.peer})
        ticket.run, ticket.answer = run.receive(message), message
        return ticket

    def accept(self, ticket: Ticket) -> BrokerAnswer:
        """Step 14: P's whole answer with B's own. Raises `HandshakeError` before P's answer is there."""
        answer = ticket.answer
        if answer is None:
            raise HandshakeError("P has not answered yet", party=self.party.title, step="step 14")
        stream = (ticket.publisher, ticket.topic)
        circle = self._audiences.invited(stream, ticket.client_id)

        def give(run: Run, wrap: Term) -> WrappedKey | None:
            if circle is None:
                return None
            return circle.wrap(self.party, ticket.client_id, run.keys[KeyName.K_BS].sending(self.party.name))

        ticket.run, message = ticket.run.send(BrokerAnswer, {"answer": answer}, give)
        self._audiences.invite(stream, circle)
        ticket._epoch = circle.epoch if circle is not None else 0
        return message

    def join(self, ticket: Ticket, confirm: SubscriberConfirm | None = None) -> Joined:
        """S is among the receivers. `confirm` is step 18, where handshakes are confirmed.

        Raises `HandshakeError`.
        """
        run, forwarded = ticket.run, None
        if ticket.correlation not in self._tickets:
            raise Unexpected("this handshake is over", party=self.party.title, step="step 18")
        if KeyName.K_BS not in run.keys:
            raise HandshakeError("step 14 has not been made yet", party=self.party.title, step="step 14")
        if self.party.setup.script.confirm:
            if confirm is None:
                raise HandshakeError(
                    "the confirming message is missing", party=self.party.title, step="step 18"
                )
            run = run.receive(confirm)
            forwarded = ForwardedConfirm(confirm.signature_publisher)
        updates = self._audiences.enter(run, ticket._epoch)
        self._forget(ticket)
        return Joined((*updates, *ticket.held), forwarded)

    def pass_on(self, publisher: str, client_id: str, update: GroupUpdate) -> GroupUpdate | None:
        """A new GK_P from `publisher` for a subscriber: to send on now, or None to be held until it joins.

        Raises `HandshakeError` where the two have nothing to do with each other.
        """
        stream = (update.publisher, update.topic)
        if publisher == update.publisher and update.key == KeyName.GK_P:
            if client_id in self._audiences.members(stream):
                return update
            for ticket in self._tickets.values():
                if (ticket.client_id, ticket.publisher, ticket.topic) == (client_id, *stream):
                    ticket.held.append(update)
                    return None
        raise HandshakeError(
            f"{client_id!r} takes no group key from {publisher!r}", party=self.party.title, step="group key"
        )

    def drop(self, ticket: Ticket) -> Departure:
        """Forget a ticket that came to nothing: nothing of it stays.

        Gives what is to be sent where P or B had made S a member already.
        """
        self._forget(ticket)
        stream = (ticket.publisher, ticket.topic)
        if ticket.client_id in self._audiences.members(stream):
            # A member whose new handshake failed stays what it was.
            return Departure({}, None)
        updates = self._audiences.leave(stream, ticket.client_id)
        return Departure(updates, self._notice(stream, ticket.client_id) if ticket.asked else None)

    def _forget(self, ticket: Ticket) -> None:
        if self._tickets.pop(ticket.correlation, None) is not None:
            self._tickets_of -= Counter((ticket.client_id,))

    @property
    def tickets(self) -> tuple[Ticket, ...]:
        """The subscribers in Block 2."""
        return tuple(self._tickets.values())

    # Members -----------------------------------------------------------------------------------

    def members(self, publisher: str, topic: str) -> tuple[str, ...]:
        """The receivers of a publisher's topic, in order of joining."""
        return self._audiences.members((publisher, topic))

    def streams(self, client_id: str) -> tuple[Stream, ...]:
        """The (publisher, topic) that a subscriber receives."""
        return self._audiences.streams(client_id)

    def epoch(self, publisher: str, topic: str) -> int | None:
        """The epoch of GK_B for a publisher's topic, as headers show it; None where there is no such key."""
        return self._audiences.epoch((publisher, topic))

    def leave(self, client_id: str, publisher: str, topic: str) -> Departure:
        """A subscriber is no longer a receiver. One that is only away stays one."""
        stream = (publisher, topic)
        if client_id not in self._audiences.members(stream):
            return Departure({}, None)
        return Departure(self._audiences.leave(stream, client_id), self._notice(stream, client_id))

    def notice(self, client_id: str, publisher: str, topic: str) -> Membership | None:
        """For a publisher that was away when a subscriber left; None while it still is."""
        if client_id in self._audiences.members((publisher, topic)):
            return None
        return self._notice((publisher, topic), client_id)

    def _notice(self, stream: Stream, client_id: str) -> Membership | None:
        link = self._links.get(stream[0])
        if link is None or not self.party.setup.hardened:
            return None
        link.notices += 1
        notice = Membership(client_id, stream[1], link.notices, b"")
        return replace(notice, tag=link.notice_box.mac(notice_covers(notice)))

    # Block 3 -----------------------------------------------------------------------------------

    def inbound(self, client_id: str, wire_topic: str, payload: bytes) -> bytes:
        """What a publisher's message is to be routed as: without the layer between P and B.

        Raises `LayerRefused` for a message that is not what this publisher protected.
        """
        link = self._links.get(client_id)
        try:
            if link is None:
                raise LayerRefused(f"{client_id!r} has no channel: connect as a publisher", LayerCheck.KEY)
            if link.intake is None:
                body, publisher = payload, speaker(payload)
            else:
                body, publisher = link.intake.take(wire_topic, payload), client_id
        except LayerRefused as error:
            raise error.at(self.party.title, "Block 3") from None
        self._audiences.routes(body, publisher)
        return body

    def outbound(self, client_id: str, wire_topic: str, payload: bytes, shared: dict[Any, Any]) -> bytes:
        """What a subscriber is to be sent: with the layer between B and S.

        `shared` is the same for all receivers of one message: what is equal for all is made once.
        Raises `LayerRefused` for one who is not a receiver.
        """
        try:
            return self._audiences.seal(client_id, wire_topic, payload, shared)
        except LayerRefused as error:
            raise error.at(self.party.title, "Block 3") from None

    def outbound_each(
        self, wire_topic: str, payload: bytes, shared: dict[Any, Any], client_ids: Sequence[str]
    ) -> Iterator[bytes | None]:
        """`outbound` for one after the other; None for one who is not a receiver. Nothing is made ahead."""
        return self._audiences.seal_each(wire_topic, payload, shared, client_ids)
