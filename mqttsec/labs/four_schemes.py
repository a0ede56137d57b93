"""Lab 03, four schemes: one reading through each of them, with real machines and real cryptography."""

from __future__ import annotations

import random
from typing import ClassVar

from mqttsec.check import ExerciseBook
from mqttsec.crypto import SUITES
from mqttsec.e2e import SCHEMES, Mode, Role
from mqttsec.e2e.company import Company
from mqttsec.errors import ConfigurationError
from mqttsec.labs.four_exercises import BOOK, JOBS, Riddle, riddles, task_size
from mqttsec.labs.lab import Lab
from mqttsec.labs.passage import (
    LISTENER,
    OTHER,
    WHAT,
    WHERE,
    Passage,
    flip,
    send,
    send_over_sockets,
    setup_of,
)
from mqttsec.labs.passage_view import FlipView, PassageView, reading
from mqttsec.labs.station import BROKER, company_of, receivers
from mqttsec.readings import weather
from mqttsec.widgets import Choice, Control, Explorer, ExplorerWidget, Table
from mqttsec.widgets.table import Cell

MOST = 50
"""How many subscribers there may be."""
HARDENED, PUBLISHED = "hardened", "published"
PER_RECIPIENT = Mode.PER_RECIPIENT.value
_MODES = tuple(mode.value for mode in Mode)
_SCHEME = Control("scheme", "Scheme", 3, 1, 4)


class FourSchemes(Lab):
    """A weather station, a broker and up to 50 subscribers, under any of the four schemes.

    `seed` chooses the reading and the riddles. Raises `ConfigurationError` for a seed that is no whole
    number.
    """

    book: ClassVar[ExerciseBook] = BOOK

    def __init__(self, seed: int = 7) -> None:
        super().__init__(seed)
        self.reading = random.Random(seed).choice(weather())
        """What the station measured."""
        self.message = self.reading.messages()[0][1]
        """The Application Message: the day's temperature, as JSON."""
        self._companies: dict[tuple[int, int, str, str, str], Company] = {}

    def __repr__(self) -> str:
        return (
            f"Lab 03, seed {self.seed}: the station of Seattle has measured {reading(self.message)} "
            f"on {self.reading.date}\nSchemes 1 to 4 are ready; nothing was sent yet."
        )

    def _company(self, scheme: int, n: int, suite: str, mode: str, profile: str) -> Company:
        if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= MOST:
            raise ConfigurationError(f"n={n!r}: give 1 to {MOST} subscribers")
        key = (scheme, n, suite, mode, profile)
        with self.lock:
            company = self._companies.get(key)
            if company is None:
                company = self._companies[key] = company_of(
                    setup_of(scheme, suite, mode, profile), receivers(n)
                )
            return company

    # -- one message ------------------------------------------------------------------------------

    def passage(
        self,
        scheme: int = 3,
        n: int = 3,
        suite: str = "paper",
        mode: str = PER_RECIPIENT,
        profile: str = HARDENED,
    ) -> Passage:
        """Send the reading to `n` subscribers; returns all that was counted and seen.

        Raises `ConfigurationError` for a scheme, number, suite, mode or profile that there is not.
        """
        with self.lock:
            return send(self._company(scheme, n, suite, mode, profile), self.message)

    def send(
        self,
        scheme: int = 3,
        n: int = 3,
        suite: str = "paper",
        mode: str = PER_RECIPIENT,
        profile: str = HARDENED,
    ) -> PassageView:
        """Send the reading to `n` subscribers and show its layers, its costs and who opens what.

        Raises `ConfigurationError` as `passage` does.
        """
        return PassageView(self.passage(scheme, n, suite, mode, profile))

    def explore(self) -> ExplorerWidget:
        """The same with sliders and lists."""
        controls = (
            _SCHEME,
            Control("n", "Subscribers", 3, 1, 10),
            Choice("suite", "Suite", "paper", tuple(SUITES)),
            Choice("mode", "Mode", PER_RECIPIENT, _MODES),
        )
        return self.keep(ExplorerWidget(Explorer(self.send, controls, "Four schemes"), self.lock))

    # -- side by side -----------------------------------------------------------------------------

    def table(self) -> Table:
        """The four schemes as the table of the paper has them: protection and key of each channel."""

        def cell(protection: str, key: object) -> str:
            return "none" if key is None else f"{protection} {key}"

        rows = []
        for title, pick in (
            ("P-B", "publisher_broker"),
            ("B-S", "broker_subscriber"),
            ("P-S", "publisher_subscriber"),
        ):
            cells = [getattr(row, pick) for row in SCHEMES.values()]
            rows.append((title, *(cell(c.protection.value, c.key and c.key.value) for c in cells)))
        return Table(("channel", *(f"Scheme {n}" for n in SCHEMES)), tuple(rows))

    def costs(self, n: int = 3, mode: str = PER_RECIPIENT) -> Table:
        """Operations for one message to `n` subscribers, counted in a run of each scheme.

        Raises `ConfigurationError` for a number or mode that there is not.
        """
        passages = [self.passage(scheme, n, mode=mode) for scheme in SCHEMES]
        rows = [
            (title, *(str(passage.counted[role]) for passage in passages))
            for title, role in (("station", Role.P), ("broker", Role.B), ("each subscriber", Role.S))
        ]
        for title, place in (("bytes P-B", 0), ("bytes B-S", 1)):
            rows.append((title, *(str(passage.legs[place].total) for passage in passages)))
        names = tuple(f"Scheme {number}" for number in SCHEMES)
        return Table(("one message", *names), tuple(rows), f"{n} subscribers, {mode}")

    def readers(self) -> Table:
        """Who reads the message in which scheme, tried with all keys in the party's memory."""
        passages = [self.passage(scheme) for scheme in SCHEMES]
        names = (LISTENER, BROKER, passages[0].subscribers[0], OTHER)
        rows = [
            (name, *("reads it" if passage.observer(name).reads else "-" for passage in passages))
            for name in names
        ]
        rows.append(
            (
                "payloads B-S",
                *("same" if passage.legs[1].different == 1 else "all different" for passage in passages),
            )
        )
        title = "the message of P to the first of 3 subscribers"
        return Table(("who", *(f"Scheme {number}" for number in SCHEMES)), tuple(rows), title)

    def over_sockets(self, n: int = 3) -> Table:
        """The reading through each scheme over TCP on 127.0.0.1, to `n` paho clients; counted and tried anew.

        The last row says whether all of it is what the run in memory gave. Raises `ConfigurationError` for a
        number that there is not, `ConnectionFailed` where the machine allows no such socket.
        """
        memory = [self.passage(scheme, n) for scheme in SCHEMES]
        runs = [send_over_sockets(each.setup, self.message, receivers(n)) for each in memory]
        rows: list[tuple[Cell, ...]] = [
            (title, *(str(run.counted[role]) for run in runs))
            for title, role in (("station", Role.P), ("broker", Role.B), ("each subscriber", Role.S))
        ]
        rows += [
            ("bytes B-S", *(run.legs[1].total for run in runs)),
            ("different payloads B-S", *(run.legs[1].different for run in runs)),
            ("subscribers that read it", *(run.received.count(self.message) for run in runs)),
            ("the broker", *("reads it" if run.observer(BROKER).reads else "-" for run in runs)),
            ("as in memory", *(run.is_like(each) for run, each in zip(runs, memory, strict=True))),
        ]
        names = tuple(f"Scheme {number}" for number in SCHEMES)
        return Table(("over TCP, paho clients", *names), tuple(rows), f"{n} subscribers, one message")

    # -- a changed bit ----------------------------------------------------------------------------

    def flip(
        self,
        scheme: int = 3,
        where: str = WHERE[0],
        what: str = WHAT[0],
        profile: str = HARDENED,
    ) -> FlipView:
        """Send the reading, change it on its way and see who refuses it.

        `where` is `station to broker`, `inside the broker` or `broker to subscriber`; `what` is `content`,
        `tag`, `number` (of the sequence) or `replay`. Raises `ConfigurationError` for anything else.
        """
        with self.lock:
            company = self._company(scheme, 2, "paper", PER_RECIPIENT, profile)
            return FlipView(flip(company, send(company, self.message), where, what))

    def explore_flips(self) -> ExplorerWidget:
        """The same with lists."""
        controls = (
            _SCHEME,
            Choice("where", "Where", WHERE[0], WHERE),
            Choice("what", "What", WHAT[0], WHAT),
            Choice("profile", "Profile", HARDENED, (HARDENED, PUBLISHED)),
        )
        return self.keep(ExplorerWidget(Explorer(self.flip, controls, "A changed bit"), self.lock))

    def flips(self, scheme: int = 3, profile: str = HARDENED) -> Table:
        """Every change at every place: what the model says and what the run did."""
        rows = []
        for where in WHERE:
            for what in WHAT:
                done = self.flip(scheme, where, what, profile).flip
                rows.append((where, what, str(done.predicted), str(done.seen), done.predicted == done.seen))
        title = f"Scheme {scheme}, {profile}"
        return Table(("where", "what", "model: refused by", "run: refused by", "equal"), tuple(rows), title)

    # -- for exercises ----------------------------------------------------------------------------

    @property
    def n(self) -> int:
        """Exercise 1: how many subscribers."""
        return task_size(self.seed)

    @property
    def riddles(self) -> tuple[Riddle, ...]:
        """Exercise 4: the changes."""
        return riddles(self.seed)

    def changes(self) -> Table:
        """Exercise 4: the changes, by letter."""
        rows = tuple((each.letter, each.scheme, each.what, each.where) for each in self.riddles)
        return Table(("change", "scheme", "what is changed", "where"), rows)

    def jobs(self) -> Table:
        """Exercise 5: what each job asks for."""
        return Table(("job", "what it asks for"), tuple((name, job.asks) for name, job in JOBS.items()))
