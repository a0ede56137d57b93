"""What `mqttsec bench fanout` measures, and the shape of one raw result."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TextIO

from mqttsec.errors import ConfigurationError

OURS, OURS_ACL, MOSQUITTO, AMQTT, CEILING = "mqttsec", "mqttsec+acl", "mosquitto", "amqtt", "ceiling"
NAMES = (OURS, MOSQUITTO, AMQTT, OURS_ACL, CEILING)
"""What can be measured, in the order of the alternation."""

DISTURBED = 0.1
"""A run in which broker or load wanted a core for this share of the time and did not get it is repeated."""
SATURATED, PAUSED, BACK_TO_BACK = "saturated", "one at a time, pauses", "one at a time, back to back"


@dataclass(frozen=True)
class Plan:
    """What to measure. Cells are numbers of subscribers x payloads x QoS."""

    subscribers: tuple[int, ...] = (1, 10, 200)
    payloads: tuple[int, ...] = (100, 1000)
    """Bytes; a single subscriber gets only the first."""
    qos: tuple[int, ...] = (0, 1, 2)
    brokers: tuple[str, ...] = (OURS, MOSQUITTO, AMQTT, OURS_ACL)
    """Of `NAMES`. The access control list and the ceiling are measured in a part of the cells."""
    rounds: int = 3
    seconds: float = 0.75
    """Per cell, broker and round, for the three runs together; connecting and draining come on top."""
    protocol: int = 4
    """4 for MQTT 3.1.1, which every peer speaks; 5 for MQTT 5.0, which stock amqtt does not."""
    gap: float = 0.002
    """Mean pause between single messages, seconds."""
    spare: float = 30.0
    """Seconds in all that may go into repeating disturbed runs."""

    def __post_init__(self) -> None:
        for broker in self.brokers:
            if broker not in NAMES:
                raise ConfigurationError(f"No broker is called {broker!r}; there are: {', '.join(NAMES)}.")
        bounds = ((self.subscribers, 1, 20_000, "subscribers"), (self.payloads, 1, 100_000, "payload"),
                  (self.qos, 0, 2, "qos"), ((self.rounds,), 1, 1_000, "rounds"),
                  ((self.protocol,), 4, 5, "protocol"))
        for values, least, most, name in bounds:
            if not values or not all(least <= value <= most for value in values):
                raise ConfigurationError(f"--{name} takes numbers from {least} to {most}, not {values}.")
        if not 0.03 <= self.seconds <= 600 or not 0 <= self.gap <= 1:
            raise ConfigurationError("--seconds-per-cell takes 0.03 to 600, --gap-ms 0 to 1000.")

    def cells(self) -> Iterator[Cell]:
        """Every cell, with the brokers that are measured in it."""
        for subscribers in self.subscribers:
            for payload in self.payloads if subscribers > 1 else self.payloads[:1]:
                for qos in self.qos:
                    brokers = (broker for broker in self.brokers
                               if self._takes_part(broker, subscribers, payload, qos))
                    yield Cell(subscribers, payload, qos, tuple(brokers))

    def _takes_part(self, broker: str, subscribers: int, payload: int, qos: int) -> bool:
        if broker == OURS_ACL:  # what a list costs does not depend on payload or QoS: one of each is enough
            return subscribers > 1 and payload == self.payloads[0] and qos == self.qos[0]
        if broker == AMQTT and self.protocol == 5:
            return False
        return broker != CEILING or qos == 0 and self.protocol == 4


@dataclass(frozen=True)
class Cell:
    """One experiment that is repeated for each of `brokers` in each round."""

    subscribers: int
    payload: int
    qos: int
    brokers: tuple[str, ...]

    @property
    def window(self) -> int:
        """Messages the slowest subscriber may be behind: deep enough that no broker ever waits."""
        return max(64, min(1000, 50_000 // self.subscribers))


@dataclass(frozen=True)
class Row:
    """One raw result: a line of the CSV. A figure that a regime does not have is None."""

    round: int
    broker: str
    subscribers: int
    payload_bytes: int
    qos: int
    regime: str
    note: str = ""
    """Why there are no figures, or what is odd about them."""
    deliveries: int | None = None
    seconds: float | None = None
    deliveries_per_s: float | None = None
    broker_cpu_us: float | None = None
    """Processor time of the broker per delivery, user + system."""
    broker_busy: float | None = None
    """Share of a core."""
    load_busy: float | None = None
    disturbance: float | None = None
    """Share of the time that broker or load wanted a core which another program had."""
    median_us: float | None = None
    """Publish to receive, per delivery."""
    p95_us: float | None = None
    p99_us: float | None = None
    last_median_us: float | None = None
    """Publish until the last subscriber has it, per message."""
    last_p95_us: float | None = None
    last_p99_us: float | None = None


def write_csv(rows: Sequence[Row], file: TextIO) -> None:
    """The raw rows, one a line, with units in the column names; a figure that is not there is empty."""
    writer = csv.DictWriter(file, [field.name for field in fields(Row)])
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
