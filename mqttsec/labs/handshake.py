"""Lab 02, the handshake: the object that its notebook talks to."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from mqttsec.check import ExerciseBook
from mqttsec.crypto import Profile
from mqttsec.e2e.attacks import ATTACKS, INSIDER, Attack, Outcome, attack, attempt
from mqttsec.e2e.company import PUBLISHER, START, Company, ready
from mqttsec.e2e.encoding import Message
from mqttsec.e2e.exchange import NETWORK, SUBSCRIBER, Exchange, Flight
from mqttsec.e2e.knowledge import holdings
from mqttsec.e2e.setup import BROKER, Setup
from mqttsec.e2e.terms import KeyName
from mqttsec.errors import ConfigurationError, MalformedPacketError
from mqttsec.labs.curious_broker import Capture
from mqttsec.labs.handshake_exercises import BOOK, PROBES, distinct_keys, mutants
from mqttsec.labs.handshake_run import Play, Plot
from mqttsec.labs.handshake_views import guarantees_table, keys_table, packet_rows, reads_table
from mqttsec.labs.lab import Lab
from mqttsec.labs.meddling import Delay, Drop, Inject, Meddling, Replay, Tamper, changeable
from mqttsec.labs.over_sockets import SocketRun
from mqttsec.labs.over_sockets import run as run_over_sockets
from mqttsec.readings import weather
from mqttsec.trace import Arrow, EventKind, Ladder, Trace, arrows, ladder, text_ladder, write_capture
from mqttsec.trace.ladder import row_text
from mqttsec.widgets.console import Console, ConsoleWidget
from mqttsec.widgets.table import Cell, Table

MILESTONES = ("start", "block 1", "block 2", "end")
"""Where `jump` goes."""

ATTACKERS = (NETWORK, BROKER, INSIDER)
"""As whom a reader meddles: the network, the broker, or a malicious subscriber."""

_WIDTH = 104
_LINE = 100
"""Columns of what is said in words."""


@dataclass(frozen=True, repr=False)
class Moment:
    """Where a run stands after a step; its `repr` says what has just happened, and what comes next."""

    position: int
    """How many packets have been sent."""
    text: str
    """In a few lines, of any length."""

    def __repr__(self) -> str:
        return _broken(self.text)


@dataclass(frozen=True, repr=False)
class Attempt:
    """How an attack ended; its `repr` says what was tried, then the end."""

    outcome: Outcome
    """In full."""

    def __repr__(self) -> str:
        outcome = self.outcome
        ends = f"succeeds: {outcome.achieved}" if outcome.succeeded else f"fails: {outcome.error}"
        return _broken(f"{outcome.attack.summary}\n{outcome.setup.profile.value}: {ends}")


def _broken(said: str) -> str:
    """Long lines broken between words, what follows set in under them."""
    lines = []
    for line in said.splitlines():
        deeper = " " * (len(line) - len(line.lstrip()) + 2)
        lines += textwrap.wrap(
            line, _LINE, subsequent_indent=deeper, break_long_words=False, break_on_hyphens=False
        )
    return "\n".join(lines)


class Handshake(Lab):
    """alice publishes, bob subscribes, between them a broker; you are whoever you like on the line.

    `scheme` is 1 to 4, `profile` is `published` or `hardened`, `signed` signs messages (hardened only).
    `seed` chooses what alice says. Keys are fresh in every run; names, sizes and times are the same.
    Raises `ConfigurationError` for a setting that there is not.
    """

    book: ClassVar[ExerciseBook] = BOOK

    def __init__(
        self, seed: int = 7, scheme: int = 3, profile: str = "published", signed: bool = False
    ) -> None:
        self.setup = make_setup(scheme, profile, signed)
        """What the parties agree on."""
        super().__init__(seed)
        days = weather()
        first = seed % (len(days) - 2)
        self.says = tuple(f"{day.temp_max:.1f} C".encode() for day in days[first : first + 2])
        """What alice publishes."""
        self.meddling: dict[int, list[Meddling]] = {}
        """What you do, by packet."""
        self._play = self._run(0)

    def __repr__(self) -> str:
        return (
            f"Lab 02, seed {self.seed}: Scheme {self.setup.scheme}, {self.setup.profile.value}\n"
            f"alice, the broker and bob are ready; {self._run(None).marks['end']} packets will be sent."
        )

    def use(self, scheme: int = 3, profile: str = "published", signed: bool = False) -> Moment:
        """Begin anew with another setup. Raises `ConfigurationError` for one that there is not."""
        setup = make_setup(scheme, profile, signed)
        with self.lock:
            self.setup = setup
            self.meddling = {}
            self._play = self._run(0)
        return self.moment()

    # -- playing ----------------------------------------------------------------------------------

    def _run(self, upto: int | None) -> Play:
        """Play from the start: `upto` packets, or all."""
        return Plot(self.setup, self.says).play(self.meddling, upto)

    # -- where we are -----------------------------------------------------------------------------

    @property
    def position(self) -> int:
        """How many packets have been sent."""
        return len(self._play.delivered)

    @property
    def exchange(self) -> Exchange:
        """The run at hand."""
        return self._play.exchange

    @property
    def trace(self) -> Trace:
        """Everything that has happened so far."""
        return self.exchange.trace

    @property
    def packets(self) -> tuple[Arrow, ...]:
        """The packets so far; packet 1 is `lab.packets[0]`."""
        return arrows(self.trace)

    def upcoming(self) -> Flight | None:
        """The packet that comes next; None at the end."""
        with self.lock:
            after = self._run(self.position + 1)
        return after.delivered[-1] if len(after.delivered) > self.position else None

    def step(self) -> Moment:
        """One packet more."""
        return self._go(self.position + 1)

    def back(self) -> Moment:
        """One packet less: the run is played again up to there."""
        return self._go(max(self.position - 1, 0))

    def jump(self, milestone: str | int) -> Moment:
        """To a milestone (`start`, `block 1`, `block 2`, `end`), or to a number of packets.

        Raises `ConfigurationError` for one that there is not.
        """
        if isinstance(milestone, str):
            if milestone not in MILESTONES:
                raise ConfigurationError(f"no milestone {milestone!r}: take one of {', '.join(MILESTONES)}")
            marks = self._run(None).marks
            return self._go(marks[milestone])
        return self._go(max(milestone, 0))

    def run(self) -> Moment:
        """To the end."""
        return self._go(None)

    def reset(self) -> Moment:
        """To the start, and nobody meddles any more."""
        with self.lock:
            self.meddling = {}
        return self._go(0)

    def _go(self, upto: int | None) -> Moment:
        with self.lock:
            self._play = self._run(upto)
        return self.moment()

    # -- meddling ---------------------------------------------------------------------------------

    def tamper(
        self,
        step: int,
        change: str | Callable[[Message], Message],
        value: Any = None,
        by: str = NETWORK,
    ) -> Moment:
        """Change packet `step` before it is delivered, and deliver it.

        `change` is a field (`lab.fields(step)` names them) or a function of the message; `value` the new
        value, else a bit is flipped. Raises `ConfigurationError` for a packet or field that there is not.
        """
        return self._meddle(step, Tamper(_attacker(by), change, value))

    def drop(self, step: int, by: str = NETWORK) -> Moment:
        """Packet `step` never arrives."""
        return self._meddle(step, Drop(_attacker(by)))

    def delay(self, step: int, seconds: float, by: str = NETWORK) -> Moment:
        """Packet `step` arrives so many seconds late."""
        return self._meddle(step, Delay(_attacker(by), float(seconds)))

    def replay(self, step: int, by: str = NETWORK) -> Moment:
        """Packet `step`, which has been sent, is sent once more, now.

        Raises `ConfigurationError` for one that has not been sent.
        """
        if not 1 <= step <= self.position:
            raise ConfigurationError(f"packet {step} has not been sent yet; {self.position} have")
        return self._meddle(self.position + 1, Replay(_attacker(by), step))

    def inject(self, text: str, by: str = INSIDER) -> Moment:
        """Send bob a message as if from alice, made with the keys that `by` has, now."""
        return self._meddle(self.position + 1, Inject(_attacker(by), text))

    def _meddle(self, step: int, action: Meddling) -> Moment:
        with self.lock:
            before = self.meddling
            mine = {number: [*actions] for number, actions in before.items()}
            mine.setdefault(step, []).append(action)
            self.meddling = mine
            try:
                play = self._run(step)
                if len(play.delivered) < step or step < 1:
                    raise ConfigurationError(f"there is no packet {step}; there are {len(play.delivered)}")
            except (ConfigurationError, MalformedPacketError) as error:
                self.meddling = before
                raise ConfigurationError(str(error)) from None
            self._play = play
        return self.moment()

    def fields(self, step: int) -> tuple[str, ...]:
        """The fields of packet `step` that `tamper` takes. Raises `ConfigurationError` if there is none."""
        return changeable(self._flight(step))

    def _flight(self, step: int) -> Flight:
        delivered = self._play.delivered
        if step > len(delivered):
            delivered = self._run(step).delivered
        if not 1 <= step <= len(delivered):
            raise ConfigurationError(f"there is no packet {step}; there are 1 to {len(delivered)}")
        return delivered[step - 1]

    # -- what it looks like -----------------------------------------------------------------------

    def moment(self) -> Moment:
        """What has just happened, and what comes next."""
        lines = []
        if self.position:
            flight = self._play.delivered[-1]
            lines.append(f"packet {self.position}: {flight.title}, {len(flight.frame)} bytes")
            lines += [f"  {line}" for line in self._news()]
        upcoming = self.upcoming()
        lines.append(f"next: {upcoming.title}" if upcoming is not None else "nothing more is on its way")
        return Moment(self.position, "\n".join(lines))

    def _news(self) -> list[str]:
        """What the parties have noted since the last packet, and what was done to it."""
        events = self.trace.events
        last = max(event.number for event in events if event.kind in (EventKind.SENT, EventKind.LOST))
        news = [event for event in events[last:] if event.kind not in _PACKETS]
        before = [event for event in events[max(last - 3, 0) : last] if event.party in ATTACKERS]
        meddled = [event for event in before if event.kind is EventKind.NOTE]
        return [f"{event.party}: {row_text(event)}" for event in (*meddled, *news)]

    def diagram(self) -> Ladder:
        """The ladder so far, alice on the left."""
        there = ladder(self.trace).parties
        order = (PUBLISHER, BROKER, SUBSCRIBER, NETWORK, INSIDER)
        return ladder(self.trace, [name for name in order if name in there])

    def ladder(self, first: int = 1) -> str:
        """The packets so far as text, from packet `first` on."""
        whole = self.diagram()
        skipped = len(whole.up_to(max(first - 1, 0)))
        return text_ladder(Ladder(whole.parties, whole.rows[skipped:]), width=_WIDTH)

    def packet(self, step: int) -> Table:
        """Packet `step` field by field; the fields of the message in it stand below the one that carries it.

        Of keys, signatures and whatever else differs from run to run it says only how long they are.
        """
        flight = self._flight(step)
        title = f"packet {step}: {flight.title}, {len(flight.frame)} bytes"
        return Table(("at", "bytes", "field", "value"), tuple(packet_rows(flight)), title)

    def knows(self) -> Table:
        """Which keys each party holds now, by name; `differs` where two that should be one are not."""
        return keys_table(self.exchange, self.position)

    def reads(self) -> Table:
        """Who can read the messages so far, tried with the keys that each has now."""
        return reads_table(self.exchange)

    def guarantees(self) -> Table:
        """What has been reached so far, and how many attacks of ours break it under this profile."""
        return guarantees_table(self.exchange, self.position)

    def console(self) -> ConsoleWidget:
        """The same with buttons: step, look, and meddle."""
        return self.keep(ConsoleWidget(Console(self), self.lock))

    # -- for exercises ----------------------------------------------------------------------------

    def honest(self, milestone: str) -> Company:
        """The parties at a milestone of this setup when nobody meddles."""
        with self.apart():
            self.meddling = {}
            self.jump(milestone)
            return self.exchange.company

    def keys_of(self, company: Company, party: str) -> tuple[KeyName, ...]:
        """The names of the keys that a party holds."""
        return tuple(holding.name for holding in holdings(company, party))

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Whatever is done within, the run is as it was afterwards."""
        with self.lock:
            setup, meddling, play = self.setup, self.meddling, self._play
            try:
                yield
            finally:
                self.setup, self.meddling, self._play = setup, meddling, play

    def mutants(self) -> Table:
        """Exercise 3: which attacks succeed against the handshakes A, B and C."""
        found = mutants(self.seed)
        rows = []
        for name in PROBES:
            outcomes = (attempt(attack(name), setup) for setup in found.values())
            rows.append((name, *("succeeds" if each.succeeded else "fails" for each in outcomes)))
        return Table(("attack", *found), tuple(rows))

    def key_schedule(self) -> Table:
        """How many keys serve the four uses of a pair's key: encryption and tags, forth and back."""
        rows: list[tuple[Cell, ...]] = []
        for profile in Profile:
            company = ready(make_setup(self.setup.scheme, profile.value, False), SUBSCRIBER)
            pairs = company.subscribers[SUBSCRIBER].latest
            rows += [(profile.value, name.value, 4, distinct_keys(pair)) for name, pair in pairs.items()]
        return Table(("profile", "key", "uses", "different keys"), tuple(rows))

    # -- the same over sockets --------------------------------------------------------------------

    def over_sockets(self) -> SocketRun:
        """The same run, with nobody in between, over TCP on 127.0.0.1: a broker and two paho clients.

        Raises `ConnectionFailed` where the machine allows no such socket, `TimedOut` if it is too busy.
        """
        with self.apart():
            self.meddling = {}
            memory = self._run(None).exchange.trace
        return run_over_sockets(self.setup, self.says, SUBSCRIBER, arrows(memory))

    def capture(self, run: SocketRun | None = None, name: str = "lab02.pcap") -> Capture:
        """The run so far for Wireshark, or one `over_sockets`, into `out/`.

        Raises `ConfigurationError` for a name with a folder.
        """
        path = self.out(name)
        trace, start = (self.trace, START) if run is None else (run.trace, run.began)
        packets = write_capture(trace, path, start=start)
        return Capture(path.as_posix(), packets, path.stat().st_size)

    # -- attacks ----------------------------------------------------------------------------------

    def attacks(self) -> Table:
        """The attacks there are."""
        rows = tuple((each.name, each.row, each.adversary.value, each.summary) for each in ATTACKS)
        return Table(("attack", "row", "by", "what happens"), rows)

    def attack(self, name: str, profile: str = "published") -> Attempt:
        """Run one of them. Raises `ConfigurationError` for one that there is not."""
        each = _attack(name)
        setup = {Profile.PUBLISHED: each.published, Profile.HARDENED: each.hardened}[_profile(profile)]
        return Attempt(attempt(each, setup))


_PACKETS = (EventKind.SENT, EventKind.RECEIVED, EventKind.LOST)


def make_setup(scheme: int, profile: str, signed: bool) -> Setup:
    """The setup of these words. Raises `ConfigurationError`."""
    return Setup(scheme, _profile(profile), sign_messages=signed)


def _profile(name: str) -> Profile:
    if name not in [profile.value for profile in Profile]:
        raise ConfigurationError(f"no profile {name!r}: take published or hardened")
    return Profile(name)


def _attack(name: str) -> Attack:
    try:
        return attack(name)
    except KeyError:
        names = ", ".join(each.name for each in ATTACKS)
        raise ConfigurationError(f"no attack {name!r}: take one of {names}") from None


def _attacker(by: str) -> str:
    if by not in ATTACKERS:
        raise ConfigurationError(f"nobody here is called {by!r}: meddle as {', '.join(ATTACKERS)}")
    return by
