"""What a run has reached so far, measured at the machines, and which attacks of ours break it (1.1, 1.7).

A guarantee is *reached* when both ends act on it. It is *broken* when they do and it is not true: then an
attack has succeeded that nobody noticed.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from mqttsec.e2e.attacks import Adversary, attack
from mqttsec.e2e.company import PUBLISHER
from mqttsec.e2e.exchange import SUBSCRIBER, Exchange
from mqttsec.e2e.knowledge import Holding, holdings
from mqttsec.e2e.setup import BROKER, Setup
from mqttsec.e2e.terms import KeyName


class Standing(str, enum.Enum):
    """Where a guarantee stands."""

    NOT_YET = "not yet"
    """Nobody relies on it."""
    HALF = "one end"
    """One end believes it, the other is not there yet."""
    HOLDS = "holds"
    """Both ends believe it, and it is so."""
    BROKEN = "broken"
    """Somebody believes it, and it is not so."""


@dataclass(frozen=True)
class Guarantee:
    """One thing that the handshake is to achieve."""

    text: str
    """What, in a line."""
    standing: Callable[[Exchange], Standing]
    """Looks at the machines."""
    attacks: tuple[str, ...]
    """Names of the attacks (`attacks.ATTACKS`) that break it where they succeed."""

    def broken_by(self, adversary: Adversary, setup: Setup) -> tuple[str, ...]:
        """The attacks of one kind of adversary that succeed against the profile of `setup`."""
        return tuple(name for name in self.attacks if _succeeds(name, adversary, setup))


def _succeeds(name: str, adversary: Adversary, setup: Setup) -> bool:
    each = attack(name)
    if each.adversary is not adversary:
        return False
    if not setup.hardened:
        return True
    return each.also_beats is not None and not setup.sign_messages


def find(exchange: Exchange, party: str, key: KeyName, peer: str) -> Holding | None:
    """The key of that name that `party` shares with `peer` (empty: with a group), if it has it."""
    for holding in holdings(exchange.company, party):
        if holding.name is key and holding.peer == peer:
            return holding
    return None


def _shared(key: KeyName, one: str, other: str) -> Callable[[Exchange], Standing]:
    def standing(exchange: Exchange) -> Standing:
        mine, theirs = find(exchange, one, key, other), find(exchange, other, key, one)
        if mine is None and theirs is None:
            return Standing.NOT_YET
        if mine is None or theirs is None:
            return Standing.HALF
        return Standing.HOLDS if mine.same_as(theirs) else Standing.BROKEN

    return standing


def _kept_from_broker(exchange: Exchange) -> Standing:
    mine = [
        holding
        for holding in holdings(exchange.company, PUBLISHER)
        if holding.name in (KeyName.K_PS, KeyName.GK_P)
    ]
    if not mine:
        return Standing.NOT_YET
    theirs = holdings(exchange.company, BROKER)
    known = any(each.same_as(other) for each in mine for other in theirs)
    return Standing.BROKEN if known else Standing.HOLDS


def _as_sent(exchange: Exchange) -> Standing:
    if not exchange.taken:
        return Standing.NOT_YET
    # What came is a part of what was sent, in the same order and nothing twice.
    rest = iter(exchange.published)
    in_order = all(any(message == sent for sent in rest) for message in exchange.taken)
    return Standing.HOLDS if in_order else Standing.BROKEN


GUARANTEES: tuple[Guarantee, ...] = (
    Guarantee(
        "alice and the broker share K_PB",
        _shared(KeyName.K_PB, PUBLISHER, BROKER),
        ("mixed parallel runs", "replayed CONNECT", "identity misbinding"),
    ),
    Guarantee("the broker and bob share K_BSi", _shared(KeyName.K_BS, BROKER, SUBSCRIBER), ()),
    Guarantee(
        "alice and bob share K_PSi",
        _shared(KeyName.K_PS, PUBLISHER, SUBSCRIBER),
        ("CONNECT as answer",),
    ),
    Guarantee("the broker has neither K_PSi nor GK_P", _kept_from_broker, ()),
    Guarantee(
        "bob takes what alice sent, once and in order",
        _as_sent,
        ("topic swap", "replayed message", "reordering", "insider forgery"),
    ),
)
"""In the order in which a run reaches them."""
