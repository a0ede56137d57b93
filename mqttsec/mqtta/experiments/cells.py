"""One cell of an experiment: a network, a publisher, a subscriber, and so many messages one after another.

Every message has a topic of its own, to which the subscriber has subscribed by itself. So in one cell as
many independent publish paths are drawn as there are messages, and as many subscribe paths; with one topic a
whole cell would hang on the length of a single subscribe path.
"""

from __future__ import annotations

import asyncio
import math
import statistics
from dataclasses import dataclass

from mqttsec.errors import ConfigurationError
from mqttsec.mqtta.network import Network
from mqttsec.mqtta.policies import Form, PathRule, Policies, Variant
from mqttsec.net import LinkSettings, run_virtual
from mqttsec.packets import Publish

WARM_UP = 5.0
"""Virtual seconds between the last subscription and the first message."""
PUBLIC = "public1"
"""The public broker's name."""
PATIENCE = 120.0
"""Virtual seconds after the last message, for those that are on long paths."""


@dataclass(frozen=True)
class Cell:
    """The settings of one measurement."""

    p_f: float
    """Forwarding probability."""
    rtt_ms: float = 55.0
    """Round-trip time between any two brokers, ms; the clients' own bridge broker costs nothing."""
    qos: int = 0
    """Quality of Service of publisher and subscriber."""
    size: int = 1000
    """Payload of a message, bytes."""
    sides: int = 2
    """2: publisher and subscriber are anonymous; 1: the publisher alone; 0: plain MQTT, both are clients of
    the public broker, over links of the same RTT."""
    messages: int = 200
    """How many messages."""
    window_s: float = 10.0
    """Seconds in which they are sent, evenly spread."""
    bridges: int = 6
    """Bridge brokers. How many there are does not matter for the length of paths, only for time."""

    def __post_init__(self) -> None:
        """Raises `ConfigurationError` for a cell that cannot be measured."""
        if not 0 <= self.p_f < 1:
            raise ConfigurationError(f"p_f={self.p_f!r}: give a probability from 0 on and below 1")
        if self.sides not in (0, 1, 2) or self.qos not in (0, 1, 2):
            raise ConfigurationError("a cell has 0, 1 or 2 anonymous sides and QoS 0, 1 or 2")
        if self.messages < 2 or not self.window_s > 0 or self.bridges < 2 or not 0 < self.size <= 1_000_000:
            raise ConfigurationError("a cell has at least 2 messages and 2 bridges, and a window above 0 s")
        if not self.rtt_ms >= 0:
            raise ConfigurationError(f"rtt_ms={self.rtt_ms!r}: a round-trip time is 0 ms or more")

    @property
    def rate(self) -> float:
        """Bytes of payload that are sent in a second."""
        return self.messages * self.size / self.window_s


@dataclass(frozen=True)
class Measured:
    """What came out."""

    cell: Cell
    """The settings."""
    seed: int
    """What chance began with."""
    latencies_ms: tuple[float, ...]
    """Milliseconds from `publish` to the subscriber's callback, of each message that arrived."""
    in_window: int
    """Messages that arrived within the window in which they were sent."""
    duplicates: int
    """Messages that came more than once."""

    @property
    def mean_ms(self) -> float:
        """Mean latency."""
        return statistics.fmean(self.latencies_ms)

    @property
    def error_ms(self) -> float:
        """Standard error of the mean."""
        return statistics.stdev(self.latencies_ms) / math.sqrt(len(self.latencies_ms))

    @property
    def goodput(self) -> float:
        """Payload bytes a second that arrived within the window.

        [D] The paper does not say how it counts. Over a whole run, however long, goodput would be the sending
        rate, for nothing gets lost; what latency takes away is what has not arrived when the publisher ends.
        """
        return self.in_window * self.cell.size / self.cell.window_s

    def row(self) -> dict[str, float | int]:
        """The row of a table, units in the names."""
        cell = self.cell
        ordered = sorted(self.latencies_ms)
        return {
            "p_f": cell.p_f,
            "rtt_ms": cell.rtt_ms,
            "qos": cell.qos,
            "size_bytes": cell.size,
            "sides": cell.sides,
            "messages": cell.messages,
            "received": len(self.latencies_ms),
            "duplicates": self.duplicates,
            "rate_bytes_per_s": cell.rate,
            "latency_mean_ms": self.mean_ms,
            "latency_error_ms": self.error_ms,
            "latency_median_ms": statistics.median(ordered),
            "latency_p95_ms": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
            "goodput_bytes_per_s": self.goodput,
            "seed": self.seed,
        }


def run_cell(cell: Cell, seed: int) -> Measured:
    """Measure one cell; the same seed gives the same numbers on every machine."""
    return run_virtual(_run(cell, seed))


async def _run(cell: Cell, seed: int) -> Measured:
    loop = asyncio.get_running_loop()
    sent: dict[int, float] = {}
    arrived: dict[int, float] = {}
    duplicates = 0

    def on_message(message: Publish) -> None:
        nonlocal duplicates
        number = int(message.topic.rsplit("/", 1)[1])
        duplicates += number in arrived
        arrived.setdefault(number, loop.time())

    rtt = cell.rtt_ms / 1000
    # The published form loses subscriptions (specification 2.3), which would be missing from every mean. And
    # a broker that picks itself spares a link, where the paper's formula counts a hop: so it never does.
    policies = Policies(p_f=cell.p_f, variant=Variant.B, form=Form.MENDED, path=PathRule.FRESH)
    network = Network(bridges=cell.bridges, policies=policies, rtt=rtt, seed=seed, journal=False)
    async with network:
        network.unmoved = LinkSettings() if cell.sides else LinkSettings(delay=rtt / 2)
        publisher = await network.client("publisher", 1 if cell.sides else PUBLIC)
        network.unmoved = LinkSettings() if cell.sides == 2 else LinkSettings(delay=rtt / 2)
        subscriber = await network.client(
            "subscriber", 2 if cell.sides == 2 else PUBLIC, on_message=on_message
        )
        if cell.sides:
            _open_all_links(network)
        topics = [f"sensor/{number}" for number in range(cell.messages)]
        if cell.sides == 2:
            await asyncio.gather(*(network.subscribe(subscriber, topic, cell.qos) for topic in topics))
        else:
            await subscriber.subscribe("sensor/+", qos=cell.qos)
        await asyncio.sleep(WARM_UP)
        payload = bytes(cell.size)
        begun = loop.time()

        async def send(number: int) -> None:
            await asyncio.sleep(begun + number * cell.window_s / cell.messages - loop.time())
            sent[number] = loop.time()
            if cell.sides:
                await network.publish(publisher, topics[number], payload, cell.qos)
            else:
                await publisher.publish(topics[number], payload, cell.qos)

        await asyncio.gather(*map(send, range(cell.messages)))
        deadline = loop.time() + PATIENCE
        while len(arrived) < cell.messages and loop.time() < deadline:
            await asyncio.sleep(1)
    latencies = tuple((arrived[number] - sent[number]) * 1000 for number in sorted(arrived))
    in_window = sum(moment <= begun + cell.window_s for moment in arrived.values())
    return Measured(cell, seed, latencies, in_window, duplicates)


def _open_all_links(network: Network) -> None:
    """Connections last: what opening them takes belongs to no message."""
    for bridge in network.bridges:
        bridge.public_link(network.publics[0].at)
        for other in network.bridges:
            if other is not bridge:
                bridge.peer_link(other.at)
