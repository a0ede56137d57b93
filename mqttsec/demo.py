"""`mqttsec demo`: the main job without a notebook, in seconds.

A real broker, a paho publisher that streams a weather station's readings, four subscribers that want
different things of it, and the question of the whole project: what can the broker in the middle read?
Then the same readings through Schemes 1 to 4, and the question once more; and at last through a network of
bridge brokers, where no broker knows both who sends and who reads.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties

from mqttsec.e2e import demonstration
from mqttsec.errors import TimedOut
from mqttsec.mqtt5 import Client, InProcessBroker
from mqttsec.mqtta import demonstration as network_demonstration
from mqttsec.packets import Publish, decode
from mqttsec.readings import Reading, weather
from mqttsec.trace import EventKind, Trace, save, seen_by, write_capture

STATION = "station"
SCHEME_DAYS = 7
"""Days of readings that go through each scheme."""
_AT_A_TIME = 200


@dataclass(frozen=True)
class Role:
    """One subscriber of the demo."""

    name: str
    """Its Client Identifier."""
    topic_filter: str
    """What it subscribes to."""
    qos: int
    """At which QoS."""
    protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5
    """MQTT 5.0 or 3.1.1."""


ROLES = (
    Role("dashboard", "seattle/#", 1),
    Role("irrigation", "seattle/precipitation", 2),
    Role("windmill", "seattle/wind", 0),
    Role("old-logger", "+/temperature", 1, MQTTProtocolVersion.MQTTv311),
)
"""The subscribers."""


@dataclass
class Received:
    """What one subscriber got."""

    name: str
    """Its Client Identifier."""
    topic_filter: str
    """Its subscription."""
    protocol: str
    """MQTT 5.0 or MQTT 3.1.1."""
    qos: int
    """Its subscription's QoS."""
    messages: int = 0
    """How many messages came."""
    expected: int = 0
    """How many were published to its topics."""
    last: str = ""
    """The last payload."""


@dataclass(frozen=True)
class Outcome:
    """One run of the demo."""

    days: int
    """Days of readings."""
    published: int
    """Messages that the station published."""
    seconds: float
    """How long the stream took."""
    received: tuple[Received, ...]
    """What each subscriber got."""
    broker_reads: dict[str, Any] = field(default_factory=dict)
    """What the broker could read: topics, payloads, and who talks to whom."""
    schemes: tuple[demonstration.SchemeRun, ...] = ()
    """The same with Schemes 1 to 4."""
    network: network_demonstration.NetworkRun | None = None
    """The same through bridge brokers."""

    @property
    def complete(self) -> bool:
        """True when every subscriber got every message of its topics exactly once, in each of the parts."""
        plain = all(row.messages == row.expected for row in self.received)
        through = self.network is None or self.network.complete
        return plain and through and all(run.complete for run in self.schemes)


def main(arguments: list[str]) -> int:
    """Run the demo; returns 0 when everyone received what was published, else 1."""
    parser = argparse.ArgumentParser(
        prog="mqttsec demo",
        description="Stream a weather station's readings through the broker in this process.",
    )
    parser.add_argument(
        "--days", type=int, default=365, help="days of readings, 1 to 1461 (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.add_argument("--trace", metavar="FILE", help="save all events as JSON")
    parser.add_argument("--capture", metavar="FILE", help="save all packets as .pcap for Wireshark")
    options = parser.parse_args(arguments)
    trace = Trace(time.monotonic)
    readings = weather(options.days)
    few = [message for reading in readings[:SCHEME_DAYS] for message in reading.messages()]
    outcome = replace(
        run(readings, trace),
        schemes=demonstration.demonstrate(few),
        network=network_demonstration.demonstrate(few),
    )
    print(
        json.dumps({**asdict(outcome), "complete": outcome.complete}, indent=2)
        if options.json
        else report(outcome),
        flush=True,
    )
    # After the outcome: a file that cannot be written does not hide it.
    if options.trace:
        save(trace, options.trace)
    if options.capture:
        write_capture(trace, options.capture)
    return 0 if outcome.complete else 1


def run(readings: Sequence[Reading], trace: Trace) -> Outcome:
    """Stream `readings` from one publisher to all `ROLES`; the broker's events go into `trace`.

    Raises `ConnectionFailed` or `TimedOut`, naming who did not answer.
    """
    with InProcessBroker(trace=trace) as broker:
        results = {
            role.name: Received(role.name, role.topic_filter, _version(role), role.qos) for role in ROLES
        }
        everything = [message for reading in readings for message in reading.messages()]
        for role in ROLES:
            results[role.name].expected = sum(
                paho.topic_matches_sub(role.topic_filter, topic) for topic, _ in everything
            )
        done = threading.Condition()
        clients = [_subscriber(role, results[role.name], done, broker.host, broker.port) for role in ROLES]
        try:
            began = time.perf_counter()
            _publish(everything, broker.host, broker.port)
            with done:
                if not done.wait_for(
                    lambda: all(r.messages >= r.expected for r in results.values()), timeout=30
                ):
                    late = [r.name for r in results.values() if r.messages < r.expected]
                    raise TimedOut(
                        f"{', '.join(late)} did not get everything within 30 s; look at --trace FILE"
                    )
            seconds = time.perf_counter() - began
        finally:
            for client in clients:
                client.close()
    return Outcome(
        len(readings), len(everything), round(seconds, 3), tuple(results.values()), _broker_reads(trace)
    )


def _version(role: Role) -> str:
    return "MQTT 5.0" if role.protocol is MQTTProtocolVersion.MQTTv5 else "MQTT 3.1.1"


def _subscriber(role: Role, result: Received, done: threading.Condition, host: str, port: int) -> Client:
    client = Client(client_id=role.name, protocol=role.protocol)

    def on_message(_: Any, __: Any, message: paho.MQTTMessage) -> None:
        with done:
            result.messages += 1
            result.last = message.payload.decode("utf-8")
            done.notify()

    client.on_message = on_message
    client.connect_and_wait(host, port)
    client.subscribe_and_wait(role.topic_filter, role.qos)
    return client


def _publish(messages: Sequence[tuple[str, bytes]], host: str, port: int) -> None:
    properties = PahoProperties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.PayloadFormatIndicator = 1
    properties.ContentType = "application/json"
    properties.UserProperty = ("station", "USW00024233")
    with Client(client_id=STATION) as client:
        client.connect_and_wait(host, port)
        # A window of acknowledged messages keeps the stream from outrunning its subscribers.
        for start in range(0, len(messages), _AT_A_TIME):
            batch = [
                client.publish(topic, payload, qos=2, properties=properties)
                for topic, payload in messages[start : start + _AT_A_TIME]
            ]
            for info in batch:
                info.wait_for_publish(30)
                if not info.is_published():
                    raise TimedOut(
                        f"{STATION}: the broker did not acknowledge message {info.mid} within 30 s"
                    )


def _broker_reads(trace: Trace) -> dict[str, Any]:
    """What a curious broker learns, read from its own packets."""
    topics: Counter[str] = Counter()
    readers: dict[str, Counter[str]] = {}
    sample = ""
    payload_bytes = 0
    for event in seen_by(trace, "broker"):
        if not event.packet or event.packet[0] >> 4 != Publish.packet_type:
            continue
        packet = decode(event.packet, event.protocol)
        if not isinstance(packet, Publish):
            continue
        if event.kind is EventKind.RECEIVED:
            topics[packet.topic] += 1
            payload_bytes += len(packet.payload)
            sample = sample or packet.payload.decode("utf-8", "replace")
        elif event.kind is EventKind.SENT:
            readers.setdefault(event.peer, Counter())[packet.topic] += 1
    return {
        "messages": sum(topics.values()),
        "payload_bytes_in_plain": payload_bytes,
        "topics": dict(sorted(topics.items())),
        "first_payload": sample,
        "who_reads_what": {name: sorted(counts) for name, counts in sorted(readers.items())},
    }


def report(outcome: Outcome) -> str:
    """The outcome as text."""
    reads = outcome.broker_reads
    lines = [
        f"{outcome.days} days of a weather station: {outcome.published} messages at QoS 2 "
        f"in {outcome.seconds:.2f} s",
        "",
        f"{'subscriber':<12}{'speaks':<12}{'subscription':<24}{'QoS':>3}{'received':>10}{'of':>7}",
    ]
    for row in outcome.received:
        lines.append(
            f"{row.name:<12}{row.protocol:<12}{row.topic_filter:<24}{row.qos:>3}{row.messages:>10}{row.expected:>7}"
        )
    lines += [
        "",
        f"What the broker in the middle could read: {reads['messages']} messages, "
        f"{reads['payload_bytes_in_plain']} bytes of payload, all in plain:",
        f"  {reads['first_payload']}",
        *(f"  topic {topic}: {count} messages" for topic, count in reads["topics"].items()),
        *(f"  {name} reads {', '.join(topics)}" for name, topics in reads["who_reads_what"].items()),
    ]
    if outcome.schemes:
        days = min(outcome.days, SCHEME_DAYS)
        lines += ["", f"The first {days} days with the schemes:", "", demonstration.report(outcome.schemes)]
    if outcome.network is not None:
        lines += ["", network_demonstration.report(outcome.network)]
    if not outcome.complete:
        lines += ["", "INCOMPLETE: not everyone received exactly what was published"]
    return "\n".join(lines)
