"""Lab 09, the capstone: Scheme 4 end to end over MQTT-A, and what each party really had of it."""

from __future__ import annotations

import random
from typing import ClassVar

from mqttsec.check import ExerciseBook
from mqttsec.errors import ConfigurationError
from mqttsec.labs.anonymous_run import send_readings
from mqttsec.labs.anonymous_systems import (
    ATTACKS,
    COMBINED,
    PUBLIC,
    READERS,
    RTT_MS,
    STATION,
    STRANGER,
    SYSTEMS,
    TOPIC,
    Outcome,
)
from mqttsec.labs.capstone_exercises import BOOK, SHORT
from mqttsec.labs.lab import Lab
from mqttsec.labs.scheme_by_post import TO_BROKER, TO_PARTY
from mqttsec.labs.threats import coalitions, observers_of, sight
from mqttsec.mqtta.seen import Direction
from mqttsec.packets import Publish, decode
from mqttsec.readings import weather
from mqttsec.trace.events import EventKind
from mqttsec.widgets import Choice, Explorer, ExplorerWidget, Table
from mqttsec.widgets.look import columns, text
from mqttsec.widgets.network import Kind, Leg, Place, Way, network_svg
from mqttsec.widgets.table import Cell

N = 8
"""Bridge brokers of the runs."""
MESSAGES = 3
"""Readings that the station sends."""
_NAMES = tuple(system.name for system in SYSTEMS)


class ThreatView:
    """What the explorer of lab 09 shows: one system through one pair of eyes."""

    def __init__(self, outcome: Outcome, observer: str) -> None:
        self.outcome = outcome
        self.observer = observer
        self._sight = sight(outcome, observer)

    def head(self) -> str:
        """One line: which system, whose eyes."""
        return f"{self.outcome.system.name}, seen by {self.observer}"

    def picture(self) -> str:
        """Who is connected to whom; the observer is marked."""
        outcome = self.outcome
        network = outcome.system.network
        clients = (STATION, *READERS, STRANGER)
        places = [Place(name, Kind.CLIENT, name == self.observer) for name in clients]
        if network:
            places += [Place(name, Kind.BRIDGE, name == self.observer) for name in outcome.bridges]
        places.append(Place(PUBLIC, Kind.PUBLIC, self.observer == PUBLIC))
        title = f"{self.head()}: {'; '.join(self._said())}"
        return network_svg(places, self._legs(), title=title, highlight=False)

    def _legs(self) -> list[Leg]:
        """The way of the last reading, as far as this observer has packets of it."""
        outcome = self.outcome
        if self.observer == STRANGER:
            return [Leg(PUBLIC, STRANGER, way=Way.DELIVER)]
        if not outcome.system.network:
            return [Leg(STATION, PUBLIC), *(Leg(PUBLIC, name, way=Way.DELIVER) for name in READERS)]
        ways = {Direction.PUBLISH: Way.PUBLISH, Direction.DELIVER: Way.DELIVER}
        legs: list[Leg] = []
        for row in outcome.last:
            if self.observer in (row.bridge, row.previous) and row.previous in self._places():
                legs.append(Leg(row.previous, row.bridge, way=ways[row.direction]))
            if self.observer in (row.bridge, row.next) and row.next in self._places():
                legs.append(Leg(row.bridge, row.next, way=ways[row.direction]))
        return list(dict.fromkeys(legs))

    def _places(self) -> set[str]:
        return {STATION, *READERS, *self.outcome.bridges, PUBLIC}

    def _said(self) -> list[str]:
        seen = self._sight
        return [
            "reads the readings" if seen.reads else "reads nothing",
            f"real names: {', '.join(sorted(seen.names)) or 'none'}",
            f"pairs by real name: {', '.join(f'{p} to {s}' for p, s in sorted(seen.relations)) or 'none'}",
        ]

    def table(self) -> Table:
        """What it can say."""
        seen = self._sight
        rows: list[tuple[Cell, ...]] = [
            ("reads the readings", "yes" if seen.reads else "no"),
            ("real names in its packets", ", ".join(sorted(seen.names)) or "-"),
            (
                "knows whose pseudonym",
                ", ".join(f"{name} is {alias}" for name, alias in sorted(seen.owners)) or "-",
            ),
            ("who asks for whom", ", ".join(f"{s} for {p}" for p, s in sorted(seen.pairs)) or "-"),
            ("the same by real names", ", ".join(f"{s} for {p}" for p, s in sorted(seen.relations)) or "-"),
            ("packets", str(len(self.outcome.views[self.observer]))),
        ]
        return Table(("question", "answer"), tuple(rows), self.head())

    def html(self) -> str:
        """Picture and table side by side."""
        table = Table(self.table().columns, self.table().rows)
        head = f'<p class="mqs-caption">{text(self.head())}</p>'
        return head + columns(self.picture(), table.html())

    def text(self) -> str:
        """The table as fixed-width text."""
        return repr(self.table())

    def __repr__(self) -> str:
        return self.text()


class Capstone(Lab):
    """A station, two readers, a public broker with B beside it, and eight bridge brokers.

    `seed` decides the readings, the pseudonyms and every draw. Raises `ConfigurationError` for a seed that
    is no whole number.
    """

    book: ClassVar[ExerciseBook] = BOOK

    def __init__(self, seed: int = 7) -> None:
        super().__init__(seed)
        rng = random.Random(f"capstone {seed}")
        day = rng.choice(weather())
        self.readings = tuple(payload for _, payload in day.messages())[:MESSAGES]
        """What the station sends."""
        self.n, self.c = 20, rng.choice((3, 4, 5))
        """Exercise 5: bridge brokers, and how many of them collaborate."""
        least = self.n / (2 * (self.n - self.c - 1))
        self.bound_ms = int(round(self.latency_ms(least + 0.04), -1))
        """Exercise 5: the latency budget, ms."""
        self._outcomes: dict[tuple[int, str], Outcome] = {}

    def __repr__(self) -> str:
        return (
            f"Lab 09, seed {self.seed}: {STATION}, {', '.join(READERS)}; {N} bridge brokers, {PUBLIC} with B"
            f"\nbeside it, a {STRANGER}; {MESSAGES} readings, in {len(SYSTEMS)} ways."
        )

    # -- runs -------------------------------------------------------------------------------------

    def outcome(self, system: int | str = 4, attack: str = "") -> Outcome:
        """All that was seen in a run of a system, by its place or short name; `attack`: changed or replay.

        Raises `ConfigurationError` for a system or attack that there is not.
        """
        place = SHORT.get(system, -1) if isinstance(system, str) else system
        if place not in range(len(SYSTEMS)) or attack not in ("", *ATTACKS):
            raise ConfigurationError(
                f"choose a system of {', '.join(SHORT)}, and an attack of {', '.join(ATTACKS)}"
            )
        with self.lock:
            key = (place, attack)
            if key not in self._outcomes:
                self._outcomes[key] = send_readings(
                    SYSTEMS[place], self.readings, bridges=N, seed=self.seed, attack=attack
                )
            return self._outcomes[key]

    def latency_ms(self, p_f: float) -> float:
        """Mean latency of the combination: RTT/(1 - p_f) + RTT, for B stands beside the public broker, ms."""
        return RTT_MS / (1 - p_f) + RTT_MS

    # -- views ------------------------------------------------------------------------------------

    def see(self, system: int | str = 4, observer: str = PUBLIC) -> ThreatView:
        """One system through one pair of eyes. Raises `ConfigurationError` for one who is not there."""
        outcome = self.outcome(system)
        if observer not in observers_of(outcome):
            raise ConfigurationError(
                f"nobody here is called {observer!r}: {', '.join(observers_of(outcome))}"
            )
        return ThreatView(outcome, observer)

    def _explored(self, system: str, observer: str) -> ThreatView:
        return self.see(_NAMES.index(system), observer)

    def explore(self) -> ExplorerWidget:
        """The same with lists."""
        everybody = (*(f"b{number}" for number in range(1, N + 1)), PUBLIC, STRANGER)
        controls = (
            Choice("system", "System", COMBINED.name, _NAMES),
            Choice("observer", "Eyes of", PUBLIC, everybody),
        )
        return self.keep(ExplorerWidget(Explorer(self._explored, controls, "Threats"), self.lock))

    def systems(self) -> Table:
        """The five systems, and what the public broker, a stranger and the bridge brokers have of each."""
        rows: list[tuple[Cell, ...]] = []
        for place, system in enumerate(SYSTEMS):
            outcome = self.outcome(place)
            public, stranger = sight(outcome, PUBLIC), sight(outcome, STRANGER)
            between = [sight(outcome, name) for name in outcome.bridges if name not in outcome.homes.values()]
            got = all(outcome.opened.get(name) == list(outcome.readings) for name in READERS)
            rows.append(
                (
                    system.name,
                    next(short for short, there in SHORT.items() if there == place),
                    "yes" if got else "no",
                    "reads" if public.reads else "-",
                    ", ".join(sorted(public.names)) or "-",
                    "reads" if stranger.reads else "-",
                    ("reads" if any(each.reads for each in between) else "-") if system.network else "",
                )
            )
        names = ("system", "short", "arrived", "public broker", "names it has", "stranger", "brokers between")
        return Table(names, tuple(rows))

    def threats(self, system: int | str = 4) -> Table:
        """Every party of one system, and what it can say after the run."""
        outcome = self.outcome(system)
        roles = {home: f"broker of {name}" for name, home in outcome.homes.items()}
        rows: list[tuple[Cell, ...]] = []
        for name in observers_of(outcome):
            if not outcome.views[name]:
                continue
            seen = sight(outcome, name)
            role = {PUBLIC: "with B", STRANGER: "subscribes #"}.get(name, roles.get(name, "between"))
            rows.append(
                (
                    name,
                    role,
                    "yes" if seen.reads else "-",
                    ", ".join(sorted(seen.names)) or "-",
                    "yes" if seen.owners else "-",
                    len(seen.pairs),
                    len(seen.relations),
                )
            )
        names = ("party", "place", "reads", "real names", "name+pseudonym", "pairs", "by real name")
        return Table(names, tuple(rows), outcome.system.name)

    def coalitions(self) -> Table:
        """The smallest sets of one or two brokers that know who publishes to whom, by real names."""
        rows = [
            (f"{STATION} to {reader}", " and ".join(group))
            for reader in READERS
            for group in coalitions(self.outcome(SYSTEMS.index(COMBINED)), (STATION, reader))
        ]
        return Table(("who talks to whom", "known together to"), tuple(rows), "with pseudonyms")

    def kinds(self, system: int | str = 3) -> list[tuple[str, bool]]:
        """Each kind of message that the public broker had, and whether the station's real name is in one."""
        found: dict[str, bool] = {}
        for event in self.outcome(system).views[PUBLIC]:
            if event.kind is not EventKind.RECEIVED or not event.packet or event.packet[0] >> 4 != 3:
                continue
            packet = decode(event.packet, event.protocol)
            assert isinstance(packet, Publish)
            kind = _kind(packet.topic)
            found[kind] = found.get(kind, False) or STATION.encode() in packet.payload
        return list(found.items())

    def messages(self, system: int | str = 3) -> Table:
        """The kinds of messages on their way to B, and where they belong."""
        steps = {
            "hello": "Block 1, step 1: P's signed key and certificate",
            "confirm": "Block 1, step 16: P's confirmation",
            "request": "Block 2, step 5: S's signed request and certificate",
            "answer": "Block 2, step 13: P's answer, the wrapped GK_P",
            "joined": "Block 2, step 18: S's confirmation",
            "data": "Block 3: a message under GK_P, with the tag of K_PB",
            "to a party": "B's answers, on topics that the parties drew",
            "to the readers": "Block 3: the same message with the tag of GK_B",
        }
        rows = [(kind, steps.get(kind, "")) for kind, _ in self.kinds(system)]
        return Table(("kind", "what it is"), tuple(rows))

    def noticed(self, system: int | str, attack: str) -> str:
        """Who refuses a message that a broker on the way changed or sent again: B, readers or nobody."""
        outcome = self.outcome(system, attack)
        if outcome.refused:
            return "B" if outcome.refused[0].startswith("B ") else "readers"
        return "nobody"

    def attacks(self) -> Table:
        """What a broker on the way can do, without the scheme and with it."""
        rows = []
        for short in ("network", "both"):
            for attack in ATTACKS:
                outcome = self.outcome(short, attack)
                more = len(outcome.opened[READERS[0]]) - MESSAGES
                rows.append((outcome.system.name, attack, self.noticed(short, attack), more))
        return Table(("system", "what", "who refuses it", "more readings at the dashboard"), tuple(rows))

    def task(self) -> str:
        """What exercise 5 asks."""
        return (
            "Nobody but the readers may read; the public broker may not learn a real name; of "
            f"{self.n} bridge brokers\n{self.c} collaborate, and the station wants probable innocence; RTT "
            f"{RTT_MS:g} ms, at most {self.bound_ms} ms to a reader.\nSystems: {', '.join(SHORT)}"
        )


def _kind(topic: str) -> str:
    if topic.startswith(f"{TO_BROKER}/"):
        return topic.split("/")[2]
    if topic.startswith(f"{TO_PARTY}/"):
        return "to a party"
    return "to the readers" if topic == TOPIC else topic
