"""The four schemes over real sockets, with a weather station's readings: what each costs, and what B reads.

For each scheme a broker, a publisher and three subscribers come to life; the first subscriber asks
before the station is there, so that it has to wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from mqttsec.crypto import CertificateAuthority, Operation, Operations, Tally
from mqttsec.e2e.broker_side import BrokerSide
from mqttsec.e2e.control import ROOT
from mqttsec.e2e.parties import Publisher, Subscriber
from mqttsec.e2e.schemes import SCHEMES, Wire, layers, operations
from mqttsec.e2e.setup import BROKER, Setup
from mqttsec.e2e.terms import Role
from mqttsec.errors import MqttsecError, TimedOut
from mqttsec.mqtt5 import InProcessBroker
from mqttsec.packets import Auth, Connack, Connect, Publish, decode
from mqttsec.trace.events import Event, EventKind, Trace

STATION = "station"
SUBSCRIBERS = ("dashboard", "irrigation", "windmill")

_ROUNDS = 2
"""How often the first subscriber is asked to keep waiting before the station comes."""
_PATIENCE = 0.1
"""Seconds between two rounds of waiting; short, so that the demo is."""


@dataclass(frozen=True)
class SchemeRun:
    """What one scheme did."""

    scheme: int
    """1 to 4."""
    mode: str
    """`per_recipient` or `single_ciphertext`."""
    messages: int
    """Application Messages that the station published."""
    received: int
    """Application Messages that the subscribers opened and found right, together."""
    block_1: int
    """Packets of the publisher's handshake."""
    block_2: dict[str, int]
    """Packets of each subscriber's handshake, acknowledgements not counted."""
    waits: dict[str, int]
    """w of each subscriber: how often it was asked to keep waiting."""
    operations: dict[str, str]
    """Per Application Message: P, B and one S, as counted."""
    as_the_table_says: bool
    """Whether that is what specification 1.5 says for so many subscribers."""
    broker_holds: str
    """What B had of a message in its hands, once its layers were off."""
    broker_reads: int
    """Application Messages whose plaintext was in anything that B got, had or sent."""
    seconds: float
    """How long it all took."""

    @property
    def complete(self) -> bool:
        """True when all came through, at the cost in the table, and B read nothing."""
        everyone = self.messages * len(SUBSCRIBERS)
        return self.received == everyone and self.as_the_table_says and not self.broker_reads


def demonstrate(messages: Sequence[tuple[str, bytes]]) -> tuple[SchemeRun, ...]:
    """All four schemes, one after the other. `messages` are (Topic Name, payload).

    Raises `ConnectionFailed` or `TimedOut`, naming who did not answer.
    """
    authority = CertificateAuthority()
    return tuple(_run(number, authority, messages) for number in SCHEMES)


def _run(number: int, authority: CertificateAuthority, messages: Sequence[tuple[str, bytes]]) -> SchemeRun:
    began = time.perf_counter()
    setup, trust, trace = Setup(number), authority.trust, Trace(time.monotonic)
    counted = {name: Operations(name) for name in (BROKER, STATION, *SUBSCRIBERS)}
    side = BrokerSide(authority.issue(BROKER), trust, setup, patience=_PATIENCE, operations=counted[BROKER])
    curious = _Curious(side)
    topics = sorted({topic for topic, _ in messages})
    with ExitStack() as stack:
        broker = stack.enter_context(InProcessBroker(extensions=[side], trace=trace))
        readers = [
            stack.enter_context(
                Subscriber(authority.issue(name), trust, setup, port=broker.port, operations=counted[name])
            )
            for name in SUBSCRIBERS
        ]
        early = _Early(readers[0], topics[0])
        early.has_waited(_ROUNDS)
        station = Publisher(
            authority.issue(STATION), trust, setup, port=broker.port, operations=counted[STATION]
        )
        stack.enter_context(station)
        early.join()
        for reader in readers[1:]:
            reader.subscribe(STATION, topics[0])
        waits = dict(side.waits)
        handshakes = trace.events
        for reader in readers:
            for topic in topics[1:]:
                reader.subscribe(STATION, topic)
        before = {name: each.tally for name, each in counted.items()}
        for topic, payload in messages:
            station.publish(topic, payload)
        received = sum(_received(reader, messages) for reader in readers)
        spent = {name: each.tally - before[name] for name, each in counted.items()}
    table = operations(setup.row, setup.mode, len(readers))
    as_table = {STATION: table[Role.P], BROKER: table[Role.B], **dict.fromkeys(SUBSCRIBERS, table[Role.S])}
    seen = b"|".join((*(event.packet for event in trace), *curious.had))
    shown = {"P": STATION, "B": BROKER, "each S": SUBSCRIBERS[0]}
    return SchemeRun(
        number,
        setup.mode.value,
        len(messages),
        received,
        _packets(handshakes, STATION),
        {name: _packets(handshakes, name) for name in SUBSCRIBERS},
        waits,
        {title: _each(spent[name], len(messages)) for title, name in shown.items()},
        spent == {name: len(messages) * tally for name, tally in as_table.items()},
        _held(setup),
        sum(payload in seen for _, payload in messages),
        round(time.perf_counter() - began, 3),
    )


class _Curious:
    """A broker that keeps what it has of each message once the publisher's layer is off."""

    def __init__(self, side: BrokerSide) -> None:
        self.had: list[bytes] = []
        take_off = side.machine.inbound

        def inbound(client_id: str, wire_topic: str, payload: bytes) -> bytes:
            body = take_off(client_id, wire_topic, payload)
            self.had.append(body)
            return body

        side.machine.inbound = inbound  # type: ignore[method-assign]


class _Early(threading.Thread):
    """A subscriber that asks before the publisher is there."""

    def __init__(self, subscriber: Subscriber, topic: str) -> None:
        super().__init__(daemon=True)
        self._subscriber = subscriber
        self._topic = topic
        self._error: MqttsecError | None = None
        self.start()

    def run(self) -> None:
        """Ask, and wait for the answer."""
        try:
            self._subscriber.subscribe(STATION, self._topic)
        except MqttsecError as error:
            self._error = error

    def has_waited(self, rounds: int) -> None:
        """Return once it was asked to keep waiting so often, or it has given up."""
        while self.is_alive() and self._subscriber.end.machine.waits < rounds:
            time.sleep(_PATIENCE / 10)

    def join(self, timeout: float | None = 30.0) -> None:
        """Wait for the handshake; raises what it raised."""
        super().join(timeout)
        if self._error is not None:
            raise self._error
        if self.is_alive():
            raise TimedOut(f"{SUBSCRIBERS[0]} still waits for {STATION}; is the machine very busy?")


def _received(reader: Subscriber, messages: Iterable[tuple[str, bytes]]) -> int:
    wanted = sorted(messages)
    got = sorted((each.topic, each.message) for each in reader.messages(len(wanted), timeout=30))
    return sum(one == other for one, other in zip(got, wanted, strict=True))


def _packets(events: Iterable[Event], party: str) -> int:
    """Handshake packets between the broker and a party, and between broker and publisher on its behalf."""
    count = 0
    for event in events:
        if event.party != BROKER or event.kind not in (EventKind.SENT, EventKind.RECEIVED):
            continue
        packet = decode(event.packet, event.protocol)
        if isinstance(packet, (Connect, Connack, Auth)):
            count += event.peer == party
        elif isinstance(packet, Publish) and packet.topic.startswith(ROOT):
            response = packet.properties.response_topic or packet.topic
            count += response.endswith(f"/{party}")
    return count


def _each(spent: Tally, messages: int) -> str:
    return str(Tally({operation: spent[operation] // messages for operation in Operation}))


def _held(setup: Setup) -> str:
    inner = setup.row.end_to_end(setup.mode)
    assert inner.key is not None, "every scheme protects messages end to end"
    outer = len(layers(setup.row, Wire.P_B, setup.mode)) - 1
    before = (
        "" if not outer else f", once its own layer ({setup.row.publisher_broker.protection.value}) was off"
    )
    return f"{inner.protection.value} under {inner.key.value}{before}"


def report(runs: Iterable[SchemeRun]) -> str:
    """The runs as text."""
    lines: list[str] = []
    for run in runs:
        waited = ", ".join(f"{name} {waits}" for name, waits in run.waits.items())
        packets = ", ".join(f"{name} {count}" for name, count in run.block_2.items())
        verdict = "as the paper's table" if run.as_the_table_says else "NOT what the paper's table says"
        lines += [
            f"Scheme {run.scheme} ({run.mode}): {run.messages} messages to {len(SUBSCRIBERS)} subscribers, "
            f"{run.received} opened, {run.seconds:.2f} s",
            f"  handshake packets   {STATION} {run.block_1}, {packets}",
            f"  rounds of waiting   {waited}",
            "  a message costs     "
            + ", ".join(f"{party} {cost}" for party, cost in run.operations.items())
            + f" ({verdict})",
            f"  the broker held     {run.broker_holds}",
            f"  the broker read     {run.broker_reads} of {run.messages} payloads; it sees topics and sizes",
        ]
    return "\n".join(lines)
