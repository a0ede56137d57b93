"""Lab 02's run: alice connects, bob subscribes, alice speaks, and whoever meddles.

A run is always played from its start: the same meddling gives the same run, except for its keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mqttsec.e2e.attacks import INSIDER
from mqttsec.e2e.company import PUBLISHER, START, Company
from mqttsec.e2e.exchange import Exchange, Flight
from mqttsec.e2e.setup import Setup
from mqttsec.errors import HandshakeError
from mqttsec.labs.meddling import Delay, Drop, Inject, Meddling, Replay, Tamper
from mqttsec.trace import Trace

Done = Mapping[int, Sequence[Meddling]]
"""What is done to a run, by packet."""


@dataclass
class Play:
    """A run as far as it was played."""

    exchange: Exchange
    """The parties and the trace."""
    delivered: list[Flight] = field(default_factory=list)
    """What was delivered or dropped, in order."""
    marks: dict[str, int] = field(default_factory=lambda: {"start": 0})
    """Milestone: after how many packets."""


@dataclass(frozen=True)
class _Stage:
    """A part of a run that begins when nothing is on its way."""

    milestone: str
    """What is reached then."""
    begin: Callable[[], None]
    """Puts its first packet on the way."""
    silent: bool = False
    """True where it happens behind the scenes, as soon as it can."""


@dataclass(frozen=True)
class Plot:
    """What a run is about."""

    setup: Setup
    """What the parties agree on."""
    says: tuple[bytes, ...]
    """What alice publishes."""

    def play(self, meddling: Done, upto: int | None) -> Play:
        """Play from the start: `upto` packets, or all (None).

        Raises `ConfigurationError` for a meddling that is not possible.
        """
        company = Company(self.setup)
        play = Play(Exchange(company, Trace(lambda: company.now - START)))
        stages = self._stages(play.exchange)
        while True:
            _pause(play, stages)
            if upto is not None and len(play.delivered) >= upto:
                break
            if _inserted(play, meddling):
                continue
            if play.exchange.next is None:
                if not stages:
                    play.marks["end"] = len(play.delivered)
                    break
                stages.pop(0).begin()
                continue
            _pass(play, play.exchange.take(), meddling)
        return play

    def _stages(self, exchange: Exchange) -> list[_Stage]:
        def mallory_joins() -> None:
            # Behind the scenes and honestly: a subscriber like any other, who keeps her keys.
            company = exchange.company
            if self.setup.scheme >= 3 and PUBLISHER in company.broker.publishers:
                try:
                    company.join(INSIDER)
                except HandshakeError as error:
                    # Where the reader has broken Block 1 without a word, she meets it as well.
                    exchange.note(INSIDER, f"cannot join: {error.step}")

        def say(message: bytes) -> Callable[[], None]:
            def begin() -> None:
                if message == self.says[0] or exchange.published:
                    exchange.publish(message)

            return begin

        return [
            _Stage("start", exchange.connect),
            _Stage("block 1", exchange.subscribe),
            _Stage("block 2", mallory_joins, silent=True),
            *(_Stage("block 2", say(message)) for message in self.says),
        ]


def _pause(play: Play, stages: list[_Stage]) -> None:
    """What happens by itself when nothing is on its way."""
    if play.exchange.next is None:
        play.exchange.settle()
    while play.exchange.next is None and stages:
        play.marks.setdefault(stages[0].milestone, len(play.delivered))
        if not stages[0].silent:
            break
        stages.pop(0).begin()


def _inserted(play: Play, meddling: Done) -> bool:
    """Deliver what an attacker sends as the next packet; False where nobody does."""
    number = len(play.delivered) + 1
    for action in meddling.get(number, ()):
        if isinstance(action, Replay | Inject):
            flight = action.make(play.exchange, play.delivered)
            play.exchange.note(action.by, str(action).removeprefix(f"{action.by} "))
            play.delivered.append(flight)
            play.exchange.deliver(flight)
            return True
    return False


def _pass(play: Play, flight: Flight, meddling: Done) -> None:
    """Deliver a packet, with what was done to it."""
    exchange = play.exchange
    for action in meddling.get(len(play.delivered) + 1, ()):
        exchange.note(action.by, str(action).removeprefix(f"{action.by} "))
        if isinstance(action, Tamper):
            flight = action.apply(flight)
        elif isinstance(action, Delay):
            exchange.company.now += action.seconds
        elif isinstance(action, Drop):
            play.delivered.append(flight)
            exchange.lose(flight)
            return
    play.delivered.append(flight)
    exchange.deliver(flight)
