"""Lab 01, MQTT and the curious broker: the object that its notebook talks to."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import ClassVar

from mqttsec.check import ExerciseBook
from mqttsec.errors import ConfigurationError
from mqttsec.labs.curious_exercises import BOOK, PUZZLE_TOPICS, mystery_packet
from mqttsec.labs.lab import Lab
from mqttsec.labs.lossy_link import lossy_runs
from mqttsec.labs.observers import (
    LISTENER_TLS,
    logins,
    packet_table,
    under_tls,
    view,
    views,
    who_sees_what,
)
from mqttsec.labs.qos_view import QosComparison
from mqttsec.labs.weather_run import STATION, WeatherRun, publish_weather
from mqttsec.packets import matches
from mqttsec.readings import Reading, weather
from mqttsec.trace import Arrow, Ladder, Trace, arrows, ladder, seen_on_network, text_ladder, write_capture
from mqttsec.widgets import Control, Explorer, ExplorerWidget, Stepper, StepperWidget
from mqttsec.widgets.packet_view import packet_text
from mqttsec.widgets.stepper import ladder_like
from mqttsec.widgets.table import Cell, Table

FORTNIGHT = 14
"""Days whose packet sizes the lab lists."""
MESSAGES = 20
"""Messages that each run over a breaking link publishes."""
_WIDTH = 104
"""Characters that a line of text has beside JupyterLab's file browser on a small screen."""
_LOGIN = 60
"""Bytes; the station's packets below this are its login and its good-bye."""


@dataclass(frozen=True, repr=False)
class Capture:
    """A capture file that was written; its `repr` says how to open it."""

    path: str
    """Where it is, as seen from the notebook."""
    packets: int
    """How many MQTT packets are in it."""
    size: int
    """Its length in bytes."""

    def __repr__(self) -> str:
        return (
            f"{self.path}: {self.packets} MQTT packets, {self.size} bytes\n"
            f"open it:  wireshark {self.path}\n"
            f"or read:  tshark -r {self.path} -Y mqtt"
        )


class CuriousBroker(Lab):
    """A weather station, a broker that reads along, two subscribers, and whoever listens on the network.

    `seed` chooses the days and everything that chance decides: the same seed gives the same packets,
    times and answers on every machine. Raises `ConfigurationError` for a seed that is no whole number.
    """

    book: ClassVar[ExerciseBook] = BOOK

    def __init__(self, seed: int = 7) -> None:
        super().__init__(seed)
        self.readings = self._choose_days()
        """The station's readings, a day each; `lab.publish(days=2)` publishes the first two."""
        self.run: WeatherRun = publish_weather(self.readings[:1], seed=seed)
        """The last run: what `ladder`, `packet`, `stepper`, `sees` and `capture` show."""

    def __repr__(self) -> str:
        first = self.readings[0]
        return (
            f"Lab 01, seed {self.seed}: the weather station of Seattle, from {first.date} on\n"
            f"The station has published its first day: {len(self.packets)} packets went through the broker."
        )

    def _choose_days(self) -> tuple[Reading, ...]:
        """Days from a place that the seed chooses; in the first fortnight it drizzles, but not always."""
        days = weather()
        rng = random.Random(self.seed)
        while True:
            start = rng.randrange(len(days) - 60)
            chosen = days[start : start + 60]
            kinds = [reading.weather for reading in chosen[:FORTNIGHT]]
            if 2 <= kinds.count("drizzle") <= 6 and len(set(kinds)) > 2:
                return chosen

    def _first(self, days: int) -> tuple[Reading, ...]:
        if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= len(self.readings):
            raise ConfigurationError(f"days={days!r}: the station has 1 to {len(self.readings)} days")
        return self.readings[:days]

    # -- the station publishes --------------------------------------------------------------------

    def publish(self, days: int = 1, qos: int = 1) -> Table:
        """The station publishes so many days of readings at this QoS; returns who received what.

        Raises `ConfigurationError` for a QoS that there is not, or for days that there are not.
        """
        run = publish_weather(self._first(days), qos, seed=self.seed)
        with self.lock:
            self.run = run
        return self.received()

    def received(self) -> Table:
        """Who received what in the last run."""
        rows: list[tuple[Cell, ...]] = []
        for subscriber in self.run.subscribers:
            messages = self.run.received[subscriber.name]
            wanted = sum(matches(subscriber.topic_filter, topic) for topic, _ in self.run.published)
            last = messages[-1].payload.decode() if messages else ""
            rows.append((subscriber.name, subscriber.version, subscriber.topic_filter, subscriber.qos,
                         len(messages), wanted, last))
        columns = ("subscriber", "speaks", "subscription", "QoS", "received", "of", "last message")
        return Table(columns, tuple(rows), f"the station published {len(self.run.published)} messages")

    # -- packets ----------------------------------------------------------------------------------

    @property
    def trace(self) -> Trace:
        """Everything that happened in the last run."""
        return self.run.trace

    @property
    def packets(self) -> tuple[Arrow, ...]:
        """The packets of the last run, in order; packet 1 is `lab.packets[0]`."""
        return arrows(self.run.trace)

    def stepper(self) -> StepperWidget:
        """Step through the packets of the last run: Back, Next, Reset, a slider, and whose eyes."""
        model = Stepper(views(self.run.trace), title="The weather station")
        return self.keep(StepperWidget(model, self.lock))

    def ladder(self, first: int = 1, last: int | None = None, observer: str = "") -> str:
        """The packets from `first` to `last` as text, as everybody sees them or as one `observer` does."""
        whole = ladder(self.run.trace)
        if observer:
            whole = ladder_like(whole, view(self.run.trace, observer))
        before, rows = whole.up_to(max(first - 1, 0)), whole.up_to(last)
        return text_ladder(Ladder(whole.parties, rows[len(before) :]), width=_WIDTH)

    def packet(self, number: int) -> str:
        """One packet byte by byte, as text. Raises `ConfigurationError` if there is no such packet."""
        packets = self.packets
        if not 1 <= number <= len(packets):
            raise ConfigurationError(f"there is no packet {number}; there are 1 to {len(packets)}")
        return packet_text(packets[number - 1], _WIDTH)

    # -- who sees what ----------------------------------------------------------------------------

    def sees(self, observer: str) -> Table:
        """The packets of the last run as one observer sees them.

        `observer` is `broker`, a client, `listener` or `listener with TLS`; anything else raises
        `ConfigurationError`.
        """
        return packet_table(view(self.run.trace, observer), f"what the {observer} sees")

    def who_sees_what(self) -> Table:
        """All observers side by side: how much of the last run each of them can read."""
        return who_sees_what(self.run.trace)

    def logins(self, observer: str) -> Table:
        """Who logs in with what, as far as one observer sees it."""
        return logins(view(self.run.trace, observer))

    def sizes(self, days: int = FORTNIGHT) -> Table:
        """What a listener has of the station's messages under TLS: four lengths a day, in bytes.

        Raises `ConfigurationError` for days that there are not.
        """
        run = publish_weather(self._first(days), seed=self.seed)
        lengths = [
            arrow.size for arrow in arrows(seen_on_network(under_tls(run.trace)))
            if arrow.sender == STATION and arrow.size > _LOGIN
        ]
        rows = tuple((day + 1, *lengths[4 * day : 4 * day + 4]) for day in range(days))
        return Table(("day", "1st", "2nd", "3rd", "4th"), rows, f"{LISTENER_TLS}: bytes of each message")

    # -- breaking links ---------------------------------------------------------------------------

    def breaking_link(self, breaking: float = 0.15, seed: int | None = None, qos: int = 1) -> QosComparison:
        """Publish at each QoS over a link that breaks; `qos` is the one whose story is told.

        Raises `ConfigurationError` if `breaking` is not from 0 to 0.4 or `qos` is none.
        """
        if qos not in (0, 1, 2):
            raise ConfigurationError(f"qos={qos!r}: MQTT knows QoS 0, 1 and 2")
        chosen = self.seed if seed is None else seed
        return QosComparison(lossy_runs(self.readings[:MESSAGES], breaking, chosen), qos)

    def explore_links(self) -> ExplorerWidget:
        """The same with sliders."""
        controls = (
            Control("breaking", "Breaks", 0.15, 0.0, 0.3, 0.01),
            Control("seed", "Seed", min(self.seed, 30), 0, 30),
            Control("qos", "Story of QoS", 1, 0, 2),
        )
        model = Explorer(self.breaking_link, controls, "A breaking link")
        return self.keep(ExplorerWidget(model, self.lock))

    def compare(self, guess: Sequence[object], comparison: QosComparison | None = None) -> Table:
        """Your guess how many messages get lost at QoS 0, 1 and 2, beside what happened.

        Where you have not guessed yet, it does not tell. Raises `ConfigurationError` if `guess` is no list.
        """
        if not isinstance(guess, Sequence):
            raise ConfigurationError(f"guess {guess!r}: give three numbers, such as [1, 2, 3]")
        said = [*(mine if isinstance(mine, int) else None for mine in guess), None, None, None]
        runs = (comparison or self.breaking_link()).runs
        rows = tuple(
            (run.qos, "?" if mine is None else mine, "?" if mine is None else run.lost)
            for run, mine in zip(runs, said, strict=False)
        )
        return Table(("QoS", "your guess", "lost"), rows)

    # -- for exercises ----------------------------------------------------------------------------

    def puzzle(self) -> Table:
        """Exercise 1: the topics by number. (The Topic Filters stand in the answer.)"""
        return Table(("number", "topic"), tuple(enumerate(PUZZLE_TOPICS, start=1)))

    def mystery(self) -> str:
        """Exercise 2: a PUBLISH as the broker received it, as bytes in hexadecimal."""
        frame = mystery_packet(self.seed)
        lines = [f"{at:>4}  {frame[at : at + 16].hex(' ')}" for at in range(0, len(frame), 16)]
        return "\n".join(["  at  bytes", *lines])

    # -- files ------------------------------------------------------------------------------------

    def capture(self, name: str = "lab01.pcap") -> Capture:
        """Write the packets of the last run to `out/` for Wireshark.

        Raises `ConfigurationError` for a name that leads elsewhere, `TraceError` if writing fails.
        """
        path = self.out(name)
        # The first packet leaves at midnight of the first day (UTC): a capture without a date says 1970.
        midnight = datetime.fromisoformat(self.readings[0].date).replace(tzinfo=timezone.utc)
        count = write_capture(self.run.trace, path, midnight.timestamp())
        return Capture(path.as_posix(), count, path.stat().st_size)
