"""Lab 05, group keys: wraps, epochs, members who leave or are away, an insider's forgery, and the costs."""

from __future__ import annotations

import random
import statistics
import time
from typing import ClassVar

from mqttsec.check import ExerciseBook
from mqttsec.crypto import Operation, Profile
from mqttsec.e2e import Setup
from mqttsec.e2e.company import Company
from mqttsec.errors import ConfigurationError
from mqttsec.labs.forgery import FORGERS, Forgery, attempt, spent
from mqttsec.labs.group_exercises import BOOK, Ratchet, exercise_events, exercise_size
from mqttsec.labs.group_sockets import leave_over_sockets
from mqttsec.labs.group_story import EVENTS, Story, StoryView, tell
from mqttsec.labs.lab import Lab
from mqttsec.labs.station import BROKER, STATION, TOPIC, company_of, receivers
from mqttsec.readings import weather
from mqttsec.widgets import Choice, Control, Explorer, ExplorerWidget, Table
from mqttsec.widgets.table import Cell

SIZES = (2, 5, 10, 50)
"""Group sizes whose costs the lab lists."""
HARDENED, PUBLISHED = Profile.HARDENED.value, Profile.PUBLISHED.value
_TIMES = 200


def setup_of(scheme: int, profile: str, sign: bool = False) -> Setup:
    """A setup with group keys. Raises `ConfigurationError` for a scheme or profile that there is not."""
    if scheme not in (3, 4):
        raise ConfigurationError(f"scheme={scheme!r}: group keys end to end are in Schemes 3 and 4")
    if profile not in (HARDENED, PUBLISHED):
        raise ConfigurationError(f"profile={profile!r}: there are {HARDENED} and {PUBLISHED}")
    return Setup(scheme, Profile(profile), sign_messages=sign)


class GroupKeys(Lab):
    """A station, a broker and a group whose members come, go, and are away.

    `seed` chooses the reading and the riddles. Raises `ConfigurationError` for a seed that is no whole
    number.
    """

    book: ClassVar[ExerciseBook] = BOOK

    def __init__(self, seed: int = 7) -> None:
        super().__init__(seed)
        self.message = random.Random(seed).choice(weather()).messages()[0][1]
        """The Application Message."""
        self._stories: dict[tuple[int, str], Story] = {}

    def __repr__(self) -> str:
        return (
            f"Lab 05, seed {self.seed}: a station, a broker, and a group that changes\n"
            f"The story has {len(EVENTS)} events; lab.story(event=3) shows the first three."
        )

    # -- the story --------------------------------------------------------------------------------

    def story(self, event: int = len(EVENTS), profile: str = HARDENED, scheme: int = 3) -> StoryView:
        """Who can read which message after so many events of the story.

        Raises `ConfigurationError` for an event, profile or scheme that there is not.
        """
        if isinstance(event, bool) or not isinstance(event, int) or not 1 <= event <= len(EVENTS):
            raise ConfigurationError(f"event={event!r}: the story has the events 1 to {len(EVENTS)}")
        with self.lock:
            story = self._stories.get((scheme, profile))
            if story is None:
                story = self._stories[scheme, profile] = tell(setup_of(scheme, profile), self.message)
        return StoryView(story, event)

    def explore(self) -> ExplorerWidget:
        """The same with a slider and a list."""
        controls = (
            Control("event", "Event", 1, 1, len(EVENTS)),
            Choice("profile", "Profile", HARDENED, (HARDENED, PUBLISHED)),
        )
        return self.keep(ExplorerWidget(Explorer(self.story, controls, "A group that changes"), self.lock))

    def over_sockets(self, profile: str = HARDENED, scheme: int = 3) -> Table:
        """Three join, a message, the phone leaves, a message: over TCP on 127.0.0.1, with paho clients.

        Raises `ConfigurationError` for a profile or scheme that there is not, `ConnectionFailed` where the
        machine allows no such socket.
        """
        return leave_over_sockets(setup_of(scheme, profile), self.message)

    # -- an insider -------------------------------------------------------------------------------

    def forge(self, who: str = FORGERS[2], profile: str = HARDENED, sign: bool = False) -> Forgery:
        """Let somebody forge a message of the station for the dashboard, with the keys in its memory.

        Raises `ConfigurationError` for a forger or profile that there is not, or signatures of *published*.
        """
        if who not in FORGERS:
            raise ConfigurationError(f"{who!r} does not forge; there are {', '.join(FORGERS)}")
        return attempt(company_of(setup_of(3, profile, sign), receivers(3)), who)

    def forgeries(self) -> Table:
        """Who gets a forged message believed: the paper's scheme, hardened, and with signed messages."""
        rows = []
        for who in FORGERS:
            tried = [self.forge(who, PUBLISHED), self.forge(who), self.forge(who, sign=True)]
            keys = ", ".join(tried[0].keys) or "none"
            rows.append((who, keys, *(each.outcome for each in tried)))
        columns = ("forger", "keys", "published", "hardened", "hardened, signed")
        return Table(columns, tuple(rows), "a message 'from the station' for the dashboard, Scheme 3")

    def signature_cost(self, scheme: int = 3) -> Table:
        """Operations for one message to 3 members, without and with the publisher's signature.

        Raises `ConfigurationError` for a scheme without group keys.
        """
        members = receivers(3)
        counted = []
        for sign in (False, True):
            company = company_of(setup_of(scheme, HARDENED, sign), members)
            counted.append(spent(company, lambda company=company: self._through(company)))  # type: ignore[misc]
        names = {"station": STATION, "broker": BROKER, "each member": members[0]}
        rows = tuple((title, *(str(tally[name]) for tally in counted)) for title, name in names.items())
        return Table(("one message", "not signed", "signed"), rows, f"Scheme {scheme}, hardened")

    def _through(self, company: Company) -> None:
        for name, sent in company.route(self.message).items():
            company.subscribers[name].open(*sent)

    def signature_times(self) -> Table:
        """Median microseconds of one message at the station and at a member, unsigned and signed."""
        rows: list[tuple[Cell, ...]] = []
        for title, sign in (("not signed", False), ("signed", True)):
            company = company_of(setup_of(3, HARDENED, sign), receivers(1))
            sealing, opening = [], []
            for _ in range(_TIMES):
                began = time.perf_counter()
                sent = company.publisher.protect(TOPIC, self.message)[0]
                sealing.append(time.perf_counter() - began)
                delivered = company.forward(sent)[receivers(1)[0]]
                began = time.perf_counter()
                company.subscribers[receivers(1)[0]].open(*delivered)
                opening.append(time.perf_counter() - began)
            rows.append((title, *(round(1e6 * statistics.median(times)) for times in (sealing, opening))))
        return Table(("message", "station us", "member us"), tuple(rows), f"median of {_TIMES}, Ed25519")

    # -- rekeying ---------------------------------------------------------------------------------

    def rekeying(self, n: int, profile: str = HARDENED) -> dict[str, tuple[int, int, int, int]]:
        """What a join to and a leave from a group of `n` cost: measured in a run of Scheme 3.

        `join` and `leave` with (wraps of P, wraps of B, messages to the others, unwraps of each other).
        Raises `ConfigurationError` for a size that cannot be.
        """
        if isinstance(n, bool) or not isinstance(n, int) or not 2 <= n <= SIZES[-1]:
            raise ConfigurationError(f"n={n!r}: give a group of 2 to {SIZES[-1]}")
        members = receivers(n + 1)
        costs: dict[str, tuple[int, int, int, int]] = {}

        def count(kind: str, company: Company) -> None:
            sent = 0

            def change() -> None:
                nonlocal sent
                if kind == "join":
                    company.join(members[n])
                    return
                for name, updates in company.part(members[n - 1]).items():
                    sent += len(updates)
                    for update in updates:
                        company.subscribers[name].update(update)

            tallies = spent(company, change)
            wraps = [tallies[name][Operation.WRAP] for name in (STATION, BROKER)]
            costs[kind] = (wraps[0], wraps[1], sent, tallies[members[0]][Operation.UNWRAP])

        for kind in ("join", "leave"):
            count(kind, company_of(setup_of(3, profile), members[:n]))
        return costs

    def rekey_costs(self, profile: str = HARDENED) -> Table:
        """The costs of one join and one leave, by the size of the group before it.

        Raises `ConfigurationError` for a profile that there is not.
        """
        columns = ("members", "event", "wraps P", "wraps B", "messages to others", "unwraps of each other")
        rows = tuple((n, kind, *cost) for n in SIZES for kind, cost in self.rekeying(n, profile).items())
        return Table(columns, rows, f"Scheme 3, {profile}")

    # -- for exercises ----------------------------------------------------------------------------

    def events(self) -> Table:
        """Exercise 1: what happens."""
        story = tell(setup_of(3, HARDENED), self.message, exercise_events(self.seed))
        rows = tuple(
            (number, moment.words(story.messages(number)))
            for number, moment in enumerate(story.moments, start=1)
        )
        return Table(("event", "what happens"), rows)

    @property
    def n(self) -> int:
        """Exercise 2: the size of the group."""
        return exercise_size(self.seed)

    def ratchet(self) -> Ratchet:
        """Exercise 3: a member that was away while others joined, and a message it cannot read yet."""
        return Ratchet(self.message)
