"""A handshake stopped just before one message is delivered, so that a test can deliver another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mqttsec.crypto import PairKeys, same_secret
from mqttsec.e2e import KeyName, Message, Role, Setup, Ticket
from mqttsec.e2e.messages import (
    BrokerAnswer,
    BrokerHello,
    ForwardedConfirm,
    PublisherAnswer,
    PublisherConfirm,
    PublisherHello,
    SubscriberConfirm,
    SubscriberRequest,
)
from tests.e2e.world import NOON, TOPIC, World, across


@dataclass
class Stage:
    """One leg of a handshake, with everything ready."""

    world: World
    number: int
    """Of the step that sends the message."""
    first_judge: Role
    """Who gets it first."""
    original: Message
    other: Message
    """The same message of an earlier session of the same parties."""
    deliver: Callable[[Any], None]
    """Delivers a message in place of the original, and lets the handshake end as it would."""
    keys: Callable[[], dict[KeyName, tuple[PairKeys, PairKeys]]]
    """Afterwards: each key as both its ends have it."""

    @property
    def split(self) -> set[KeyName]:
        """The keys on which the two ends differ."""
        return {
            name
            for name, (one, two) in self.keys().items()
            if not same_secret(one.forth.encryption, two.forth.encryption)
        }


def earlier(world: World) -> dict[int, Message]:
    """A whole session, message by message, by number of step."""
    sent: dict[int, Message] = {}
    p, b = world.publisher, world.broker
    sent[1] = p.hello()
    welcome = b.welcome("alice", across(sent[1]))
    sent[3] = welcome.reply
    confirm = p.welcomed(welcome.reply)
    if confirm is not None:
        sent[16] = confirm
    b.enter(welcome, confirm)
    s = world.subscriber("s1")
    sent[5] = s.request("alice", TOPIC)
    ticket = b.request("s1", across(sent[5]))
    sent[7] = b.asked(ticket)
    sent[13] = p.asked(ticket.correlation, across(sent[7]))
    b.answered("alice", ticket.correlation, across(sent[13]))
    sent[14] = b.accept(ticket)
    confirmed = s.accepted(across(sent[14]))
    if confirmed is not None:
        sent[18] = confirmed
    forwarded = b.join(ticket, confirmed).forwarded
    if forwarded is not None:
        sent[19] = forwarded
        p.confirmed(ticket.correlation, forwarded)
    world.now += 1.0
    return sent


def numbers(setup: Setup) -> tuple[int, ...]:
    """The steps that carry fields, so that there is something to tamper with."""
    return (1, 3, 5, 7, 13, 14, 16, 18, 19) if setup.confirm else (1, 3, 5, 7, 13, 14)


def stage(setup: Setup, number: int, signing: str = "ECDSA") -> Stage:
    """The handshake of `setup` before the message of step `number` is delivered."""
    world = World(setup, signing)
    sent = earlier(world)
    assert world.now != NOON
    return _block_1(world, number, sent) if number in (1, 3, 16) else _block_2(world, number, sent)


def _block_1(world: World, number: int, sent: dict[int, Message]) -> Stage:
    p, b = world.publisher, world.broker
    hello = p.hello()
    made: dict[str, Any] = {}

    def after_1(message: PublisherHello) -> None:
        made["welcome"] = b.welcome("alice", across(message))
        after_3(made["welcome"].reply)

    def after_3(message: BrokerHello) -> None:
        confirm = p.welcomed(across(message))
        after_16(confirm)

    def after_16(message: PublisherConfirm | None) -> None:
        b.enter(made["welcome"], across(message) if message is not None else None)

    def keys() -> dict[KeyName, tuple[PairKeys, PairKeys]]:
        mine, link = p._channel, b._links["alice"]
        assert mine is not None
        return {KeyName.K_PB: (mine, link.pair)}

    if number == 1:
        return Stage(world, 1, Role.B, hello, sent[1], after_1, keys)
    made["welcome"] = b.welcome("alice", across(hello))
    if number == 3:
        return Stage(world, 3, Role.P, made["welcome"].reply, sent[3], after_3, keys)
    confirm = p.welcomed(made["welcome"].reply)
    assert confirm is not None
    return Stage(world, 16, Role.B, confirm, sent[16], after_16, keys)


def _block_2(world: World, number: int, sent: dict[int, Message]) -> Stage:
    p, b, s = world.publisher, world.broker, world.subscribers["s1"]
    request = s.request("alice", TOPIC)
    made: dict[str, Ticket] = {}

    def after_5(message: SubscriberRequest) -> None:
        made["ticket"] = b.request("s1", across(message))
        after_7(b.asked(made["ticket"]))

    def after_7(message: SubscriberRequest) -> None:
        after_13(p.asked(made["ticket"].correlation, across(message)))

    def after_13(message: PublisherAnswer) -> None:
        b.answered("alice", made["ticket"].correlation, across(message))
        after_14(b.accept(made["ticket"]))

    def after_14(message: BrokerAnswer) -> None:
        after_18(s.accepted(across(message)))

    def after_18(message: SubscriberConfirm | None) -> None:
        forwarded = b.join(made["ticket"], across(message) if message is not None else None).forwarded
        if forwarded is not None:
            after_19(forwarded)

    def after_19(message: ForwardedConfirm) -> None:
        p.confirmed(made["ticket"].correlation, across(message))

    def keys() -> dict[KeyName, tuple[PairKeys, PairKeys]]:
        assert s.latest is not None
        member = b._audiences._by_stream["alice", TOPIC].members["s1"]
        return {
            KeyName.K_PS: (p._streams[TOPIC].members["s1"].pair, s.latest[KeyName.K_PS]),
            KeyName.K_BS: (member.pair, s.latest[KeyName.K_BS]),
        }

    if number == 5:
        return Stage(world, 5, Role.B, request, sent[5], after_5, keys)
    ticket = made["ticket"] = b.request("s1", across(request))
    if number == 7:
        return Stage(world, 7, Role.P, b.asked(ticket), sent[7], after_7, keys)
    answer = p.asked(ticket.correlation, across(b.asked(ticket)))
    if number == 13:
        return Stage(world, 13, Role.B, answer, sent[13], after_13, keys)
    b.answered("alice", ticket.correlation, across(answer))
    accepted = b.accept(ticket)
    if number == 14:
        return Stage(world, 14, Role.S, accepted, sent[14], after_14, keys)
    confirm = s.accepted(across(accepted))
    assert confirm is not None
    if number == 18:
        return Stage(world, 18, Role.B, confirm, sent[18], after_18, keys)
    forwarded = b.join(ticket, across(confirm)).forwarded
    assert forwarded is not None
    return Stage(world, 19, Role.P, forwarded, sent[19], after_19, keys)
