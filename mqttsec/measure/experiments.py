"""What the schemes cost, measured live: experiments that yield rows while they run.

    stop = threading.Event()
    rows = list(overhead(schemes(("paper",)), subscribers=200, rounds=3, stop=stop))
    print(frame(rows))

Every contestant's audience is connected before the first turn; then they take turns, round by round
(A B C, A B C, ...), so that whatever else the machine does hits all of them. `stop` ends a run within a
fifth of a second, with what has been measured so far.
"""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

from mqttsec.e2e.company import TOPIC, Company
from mqttsec.e2e.setup import Setup
from mqttsec.errors import ConfigurationError
from mqttsec.measure.contestants import Contestant
from mqttsec.measure.cores import Placement
from mqttsec.measure.spare import Spare
from mqttsec.measure.stage import Stage, Stopped

if TYPE_CHECKING:
    import pandas as pd

CONNECTION, SINGLE, FLOOD, FLOOR = "connection", "one at a time", "flood", "floor"
"""What a row is about; the last is no contestant's, see `floor`."""
WRITTEN, SEALED = "write alone", "seal and write"
"""The two rows of a floor."""
MOST_SUBSCRIBERS, MOST_BYTES = 1000, 65_536


@dataclass(frozen=True)
class Row:
    """One raw result. A figure that an experiment does not have is None."""

    experiment: str
    """`CONNECTION`, `SINGLE`, `FLOOD` or `FLOOR`."""
    round: int
    """From 1; 0 for a connection."""
    contestant: str
    kind: str
    """`scheme`, `no security`, `mutual TLS 1.3`, `floor`."""
    scheme: int | None
    suite: str
    mode: str
    profile: str
    subscribers: int
    payload_bytes: int
    qos: int
    note: str = ""
    """Why there are no figures."""
    messages: int | None = None
    """Application Messages that the figures are of."""
    deliveries: int | None = None
    mean_us: float | None = None
    """Publish to receive, per delivery; from just before a copy is sealed."""
    median_us: float | None = None
    p95_us: float | None = None
    p99_us: float | None = None
    min_us: float | None = None
    max_us: float | None = None
    stdev_us: float | None = None
    first_us: float | None = None
    """The first delivery of a message, mean over messages."""
    broker_cpu_us: float | None = None
    """Processor time of the broker per delivery, user + system."""
    deliveries_per_s: float | None = None
    broker_busy: float | None = None
    """Share of a core."""
    load_busy: float | None = None
    disturbance: float | None = None
    """Share of the time that broker or load wanted a core and did not get it."""
    publisher_ms: float | None = None
    """The publisher's connection, until CONNACK."""
    subscriber_mean_ms: float | None = None
    """A subscriber's connection, until CONNACK; one after the other."""
    subscriber_median_ms: float | None = None
    subscriber_min_ms: float | None = None
    subscriber_max_ms: float | None = None
    handshake_bytes: int | None = None
    """On the wire of one subscriber's connection until CONNACK, both ways, TLS included."""
    message_bytes_in: int | None = None
    """On the wire for one Application Message, publisher to broker, all copies."""
    message_bytes_out: int | None = None
    """On the wire for one Application Message, broker to one subscriber."""
    packets_in: int | None = None
    """Copies of one Application Message that the publisher sends."""


_FIGURES = {field.name for field in fields(Row)}


def overhead(
    contestants: Sequence[Contestant],
    *,
    subscribers: int = 200,
    payload: int = 1024,
    qos: int = 0,
    rounds: int = 5,
    seconds: float = 0.4,
    flood_seconds: float = 0.0,
    stop: threading.Event | None = None,
    placement: Placement | None = None,
    spare: Spare | None = None,
) -> Iterator[Row]:
    """Connect all contestants, then measure them in turns: messages one at a time, and a flood if asked for.

    A contestant that fails is named in a row's `note` and left out; the others go on. `seconds` are those
    of one turn; without `spare` no turn is taken again. Raises `ConfigurationError` for numbers that cannot
    work.
    """
    spare = spare or Spare(0.0)
    _check(subscribers, payload, qos, rounds)
    if len({each.name for each in contestants}) < len(contestants):
        raise ConfigurationError("two contestants have the same name: leave one out")
    turns = [(SINGLE, "single", seconds)]
    if flood_seconds > 0 and qos == 0:
        turns.append((FLOOD, "flow", flood_seconds))
    stage = Stage(contestants, subscribers, payload, qos, stop, placement)
    with stage:
        try:
            for contestant in contestants:
                about = _about(CONNECTION, 0, contestant, stage)
                entered = stage.enter(contestant)
                if entered is None:
                    yield replace(about, note=stage.left_out[contestant.name])
                else:
                    yield replace(about, **asdict(entered))
            for number in range(1, rounds + 1):
                for contestant in stage.present:
                    for experiment, job, length in turns:
                        about = _about(experiment, number, contestant, stage)
                        turn = partial(stage.turn, contestant, job, length)
                        found = spare.least_disturbed(turn, _disturbance)
                        if found is None:
                            yield replace(about, note=stage.left_out[contestant.name])
                            break
                        yield replace(about, **{name: found[name] for name in found.keys() & _FIGURES})
        except Stopped:
            return


def _disturbance(found: dict[str, Any] | None) -> float:
    """Of a turn; a contestant that failed has no other."""
    return 0.0 if found is None else float(found["disturbance"])


def connections(
    contestants: Sequence[Contestant],
    sizes: Sequence[int] = (10, 20, 50, 100, 200),
    *,
    stop: threading.Event | None = None,
) -> Iterator[Row]:
    """Connection latency by number of subscribers, which come one after the other."""
    for size in sizes:
        if stop is not None and stop.is_set():
            return
        yield from overhead(contestants, subscribers=size, payload=64, rounds=0, stop=stop)


@dataclass(frozen=True)
class Count:
    """Operations and bytes of one Application Message, counted in a run in memory: the same everywhere."""

    scheme: int
    mode: str
    suite: str
    subscribers: int
    payload_bytes: int
    publisher: str
    """Operations of P: `2E + 2H`."""
    broker: str
    """Of B."""
    subscriber: str
    """Of each S."""
    publisher_bytes: int
    """Payloads from P to B, together."""
    broker_bytes: int
    """Payloads from B to all S, together."""


def count(setup: Setup, subscribers: int, payload: int) -> Count:
    """Send one message in memory and count. Raises `ConfigurationError` for numbers that cannot work."""
    _check(subscribers, payload, 0, 1)
    company = Company(setup)
    company.connect()
    names = [f"s{number:05}" for number in range(subscribers)]
    for name in names:
        company.join(name)
    before = {name: each.tally for name, each in company.operations.items()}
    message = bytes(payload)
    copies = company.publisher.protect(TOPIC, message)
    delivered: dict[str, tuple[str, bytes]] = {}
    publisher = company.publisher.party.name
    for wire_topic, sealed in copies:
        routed = company.broker.inbound(publisher, wire_topic, sealed)
        shared: dict[object, object] = {}
        for name in names:
            if company.subscribers[name].topic_filter(TOPIC) == wire_topic:
                delivered[name] = wire_topic, company.broker.outbound(name, wire_topic, routed, shared)
    for name, sent in delivered.items():
        assert company.subscribers[name].open(*sent).message == message
    spent = {name: each.tally - before[name] for name, each in company.operations.items()}
    return Count(
        setup.scheme,
        setup.mode.value,
        setup.suite,
        subscribers,
        payload,
        str(spent[publisher]),
        str(spent[company.broker.party.name]),
        str(spent[names[0]]),
        sum(len(sealed) for _, sealed in copies),
        sum(len(sent) for _, sent in delivered.values()),
    )


def frame(rows: Iterable[Row | Count]) -> pd.DataFrame:
    """The rows as a tidy `pandas.DataFrame`, units in the column names."""
    import pandas as pd

    return pd.DataFrame([asdict(row) for row in rows])


def write_csv(rows: Iterable[Row], file: TextIO) -> None:
    """The raw rows, one a line; a figure that is not there is empty."""
    writer = csv.DictWriter(file, [field.name for field in fields(Row)])
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)


def read_csv(file: TextIO) -> list[Row]:
    """The rows that `write_csv` wrote. Raises `ConfigurationError` for another file."""
    reader = csv.DictReader(file)
    if set(reader.fieldnames or ()) != _FIGURES:
        raise ConfigurationError("this CSV is not one of `mqttsec bench overhead --csv`: give one that is")
    texts = {field.name for field in fields(Row) if field.type == "str"}
    whole = {field.name for field in fields(Row) if str(field.type).startswith("int")}
    rows = []
    for line in reader:
        values: dict[str, object] = {}
        for name, text in line.items():
            if name in texts:
                values[name] = text
            else:
                values[name] = None if text == "" else int(text) if name in whole else float(text)
        rows.append(Row(**values))  # type: ignore[arg-type]
    return rows


def _about(experiment: str, number: int, contestant: Contestant, stage: Stage) -> Row:
    return Row(
        experiment,
        number,
        contestant.name,
        contestant.kind.value,
        contestant.scheme,
        contestant.suite,
        contestant.mode,
        contestant.profile,
        stage.subscribers,
        stage.payload,
        stage.qos,
    )


def _check(subscribers: int, payload: int, qos: int, rounds: int) -> None:
    for value, least, most, name in (
        (subscribers, 1, MOST_SUBSCRIBERS, "subscribers"),
        (payload, 1, MOST_BYTES, "payload"),
        (qos, 0, 2, "qos"),
        (rounds, 0, 1000, "rounds"),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ConfigurationError(f"{name}={value!r}: give a whole number from {least} to {most}")
