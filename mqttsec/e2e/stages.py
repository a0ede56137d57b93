"""A handshake that can be stopped before any of its messages, so that another one is delivered in its place.

The tamper matrix tries every change at every step. For that each step needs a run that has come so far
honestly, and the same message of two other sessions: an earlier one of the same parties, which is over, and
one of somebody else, which is at the same point at the same time.

Where this module looks into a machine (`_channel`, `_streams`), it shows what has become of the keys.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mqttsec.crypto import PairKeys, same_secret
from mqttsec.e2e.broker import Ticket, Welcome
from mqttsec.e2e.company import TOPIC, Company
from mqttsec.e2e.encoding import Message
from mqttsec.e2e.handshake import read
from mqttsec.e2e.messages import (
    BrokerAnswer,
    BrokerHello,
    ForwardedConfirm,
    KeepWaiting,
    PublisherAnswer,
    PublisherConfirm,
    PublisherHello,
    Refusal,
    StillWaiting,
    SubscriberConfirm,
    SubscriberRequest,
)
from mqttsec.e2e.predictions import Change
from mqttsec.e2e.publisher import Publisher
from mqttsec.e2e.setup import Setup
from mqttsec.e2e.steps import AGREEMENTS, Sending
from mqttsec.e2e.subscriber import Subscriber
from mqttsec.e2e.terms import KeyName, Role
from mqttsec.errors import HandshakeError, TamperError

SUBSCRIBER = "s1"
"""Whose handshake is tampered with."""

OTHERS = {Role.P: "mallory", Role.S: "eve"}
"""Who has a session at the same time: another publisher, another subscriber."""

PACE = 0.01
"""Seconds between two sessions."""

T = TypeVar("T")


@dataclass(frozen=True)
class Arriving:
    """A message on its way."""

    number: int
    """The step that sends it."""
    receiver: Role
    """Whom it goes to."""
    message: Message
    """What it is, if nobody changes it."""


Refused = HandshakeError | TamperError
"""What a machine raises that refuses a message."""

Conversation = Generator["Arriving | HandshakeError | TamperError", bytes, None]
"""Yields the message on its way, is sent the bytes that arrive, and yields the error where the receiver
refuses them: the message is then still on its way, since a machine that refuses has changed nothing."""


class Session:
    """One block of the handshake between parties of a company, a message at a time."""

    def __init__(
        self, company: Company, publisher: Publisher, subscriber: Subscriber | None, topic: str = TOPIC
    ) -> None:
        """Block 1 of `publisher`, or Block 2 of `subscriber`, who asks it for `topic`."""
        self._company = company
        self._topic = topic
        self._publisher = publisher
        self._subscriber = subscriber
        self._welcome: Welcome | None = None
        self._ticket: Ticket | None = None
        self._taking: dict[int, Callable[[bytes], object]] = {}
        company.now += PACE
        self._talk = self._block_1() if subscriber is None else self._block_2(subscriber)
        self.arriving: Arriving | None = self._next()
        """The message on its way; None when the block is over."""

    def deliver(self, data: bytes) -> Refused | None:
        """Let `data` arrive in place of the message on its way; gives the receiver's error, if it refuses."""
        assert self.arriving is not None, "the block is not over"
        try:
            result = self._talk.send(data)
        except StopIteration:
            self.arriving = None
            return None
        except (HandshakeError, TamperError) as error:
            # It took the message, and cannot make the next one of it.
            self.arriving = None
            return error
        if isinstance(result, Arriving):
            self.arriving = result
            return None
        self._next()
        return result

    def go_on(self, until: int = 0) -> Refused | None:
        """Deliver what is on its way as it is, up to the message of step `until`, or to the end.

        Gives the error of the first that refuses.
        """
        while self.arriving is not None and self.arriving.number != until:
            error = self.deliver(self.arriving.message.encode())
            if error is not None:
                return error
        return None

    def again(self, number: int, data: bytes) -> Refused | None:
        """Let `data` arrive once more where the message of step `number` has been taken; gives the error."""
        try:
            self._taking[number](data)
        except (HandshakeError, TamperError) as error:
            return error
        return None

    def _taken(
        self, number: int, receiver: Role, message: Message, take: Callable[[bytes], T]
    ) -> Generator[Any, bytes, T]:
        self._taking[number] = take
        while True:
            data = yield Arriving(number, receiver, message)
            try:
                return take(data)
            except (HandshakeError, TamperError) as error:
                yield error

    def _next(self) -> Arriving | None:
        arriving = next(self._talk, None)
        assert arriving is None or isinstance(arriving, Arriving)
        return arriving

    # The blocks ----------------------------------------------------------------------------------

    def _block_1(self) -> Conversation:
        b, p = self._company.broker, self._publisher
        welcome = self._welcome = yield from self._taken(
            1, Role.B, p.hello(), lambda data: b.welcome(p.party.name, read(b.party, data, PublisherHello))
        )
        confirm = yield from self._taken(
            3, Role.P, welcome.reply, lambda data: p.welcomed(read(p.party, data, BrokerHello))
        )
        if confirm is None:
            b.enter(welcome)
            return
        yield from self._taken(
            16, Role.B, confirm, lambda data: b.enter(welcome, read(b.party, data, PublisherConfirm))
        )

    def _block_2(self, s: Subscriber) -> Conversation:
        b, p, name = self._company.broker, self._publisher, s.party.name
        request = s.request(p.party.name, self._topic)
        ticket = self._ticket = yield from self._taken(
            5, Role.B, request, lambda data: b.request(name, read(b.party, data, SubscriberRequest))
        )
        correlation = ticket.correlation
        # Steps 7 and 9 are sent together; here the wait comes first.
        still = yield from self._taken(
            9, Role.S, b.wait(ticket), lambda data: s.wait(read(s.party, data, KeepWaiting))
        )
        yield from self._taken(
            10, Role.B, still, lambda data: b.still(ticket, read(b.party, data, StillWaiting))
        )
        answer = yield from self._taken(
            7,
            Role.P,
            b.asked(ticket),
            lambda data: p.asked(correlation, read(p.party, data, SubscriberRequest)),
        )
        yield from self._taken(
            13, Role.B, answer, lambda data: b.answered(p.party.name, correlation, self._answer(data))
        )
        confirm = yield from self._taken(
            14, Role.S, b.accept(ticket), lambda data: s.accepted(read(s.party, data, BrokerAnswer))
        )
        if confirm is None:
            joined = b.join(ticket)
        else:
            joined = yield from self._taken(
                18, Role.B, confirm, lambda data: b.join(ticket, read(b.party, data, SubscriberConfirm))
            )
        for update in joined.updates:
            s.update(update)
        if joined.forwarded is not None:
            yield from self._taken(
                19,
                Role.P,
                joined.forwarded,
                lambda data: p.confirmed(correlation, read(p.party, data, ForwardedConfirm)),
            )

    def _answer(self, data: bytes) -> PublisherAnswer | Refusal:
        message = read(self._company.broker.party, data, PublisherAnswer, Refusal)
        assert isinstance(message, (PublisherAnswer, Refusal))
        return message

    # What has become of the keys -------------------------------------------------------------------

    @property
    def held(self) -> dict[tuple[Role, KeyName], PairKeys]:
        """Each key of a pair that this block was for, as each of its holders has it."""
        found: dict[tuple[Role, KeyName], PairKeys | None] = {}
        p, s = self._publisher, self._subscriber
        if s is None:
            found[Role.P, KeyName.K_PB] = p._channel
            run = self._welcome.run if self._welcome is not None else None
            found[Role.B, KeyName.K_PB] = run.keys.get(KeyName.K_PB) if run is not None else None
        else:
            stream = p._streams.get(self._topic)
            member = stream.members.get(s.party.name) if stream is not None else None
            found[Role.P, KeyName.K_PS] = member.pair if member is not None else None
            run = self._ticket.run if self._ticket is not None else None
            found[Role.B, KeyName.K_BS] = run.keys.get(KeyName.K_BS) if run is not None else None
            for key in (KeyName.K_BS, KeyName.K_PS):
                found[Role.S, key] = s.latest.get(key)
        return {holder: pair for holder, pair in found.items() if pair is not None}

    @property
    def split(self) -> frozenset[KeyName]:
        """The keys on which the two ends differ, now that the block is over."""
        held, differing = self.held, set()
        names = (KeyName.K_PB,) if self._subscriber is None else (KeyName.K_BS, KeyName.K_PS)
        for name in names:
            one, two = (held.get((role, name)) for role in AGREEMENTS[name].ends)
            if one is None or two is None or not same_secret(one.forth.encryption, two.forth.encryption):
                differing.add(name)
        return frozenset(differing)


@dataclass
class Stage:
    """Everything ready before the message of one step is delivered."""

    company: Company
    """The parties."""
    number: int
    """The step."""
    session: Session
    """What has come so far."""
    elsewhere: dict[Change, Message] = field(default_factory=dict)
    """The same message of other sessions."""

    @property
    def original(self) -> Message:
        """The message, as it should be."""
        return self.arriving.message

    @property
    def judge(self) -> Role:
        """Who gets it first."""
        return self.arriving.receiver

    @property
    def arriving(self) -> Arriving:
        """The message on its way."""
        arriving = self.session.arriving
        assert arriving is not None and arriving.number == self.number, "nothing has been taken yet"
        return arriving


def numbers(setup: Setup) -> tuple[int, ...]:
    """The steps that send a message, each kind of message once by each sender."""
    seen, found = set(), []
    for step in setup.script.steps:
        if isinstance(step, Sending) and (step.message, step.sender) not in seen:
            seen.add((step.message, step.sender))
            found.append(step.number)
    return tuple(found)


def stage(setup: Setup, number: int, alone: bool = False) -> Stage:
    """The handshake of `setup` before the message of step `number` arrives.

    `alone`: nothing has happened before in this company, and there are no other sessions.
    """
    company = Company(setup)
    p, s = company.publisher, company.subscriber(SUBSCRIBER)
    first = any(step.number == number for step in setup.script.blocks[0])
    elsewhere: dict[Change, Message] = {}

    def session(publisher: Publisher, subscriber: Subscriber) -> Session:
        return Session(company, publisher, None if first else subscriber)

    if not first or not alone:
        Session(company, p, None).go_on()
    if not alone:
        elsewhere[Change.OTHER] = _passing(session(p, s), number)
        other = company.new_publisher(OTHERS[Role.P]) if first else p
        foreign = session(other, company.subscriber(OTHERS[Role.S]))
        foreign.go_on(number)
        assert foreign.arriving is not None
        elsewhere[Change.FOREIGN] = foreign.arriving.message
    own = session(p, s)
    own.go_on(number)
    return Stage(company, number, own, elsewhere)


def _passing(session: Session, number: int) -> Message:
    """The message of step `number` of a session that is then led to its end."""
    session.go_on(number)
    assert session.arriving is not None, f"there is a step {number}"
    message = session.arriving.message
    session.go_on()
    return message
