"""Trials of a whole network beside theory: path lengths, lost subscriptions, circulating messages, size.

Every number comes from real brokers and packets under the virtual clock, and is the same for the same seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import os
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, TypeVar

from mqttsec.anonymity.crowd import (
    Crowd,
    exit_is_another,
    exit_is_initiator,
    mean_path_length,
    path_length,
    path_length_variance,
)
from mqttsec.anonymity.crowd import Variant as crowd_variant
from mqttsec.mqtta.network import Network
from mqttsec.mqtta.policies import Form, Policies, Strategy, Variant
from mqttsec.mqtta.theory import chi_square, lost_by_loop_rule
from mqttsec.net import run_virtual

T = TypeVar("T")

TABLE_II = (0.5, 0.66, 0.75, 0.8, 0.835, 0.86, 0.875, 0.89, 0.9)
"""The forwarding probabilities of Table II (Buccafurri, VIII)."""
_AT_ONCE = 50
"""Messages that a client publishes before the network gets a turn."""


@dataclass(frozen=True)
class PathTrial:
    """The paths of many published messages."""

    p_f: float
    """Forwarding probability."""
    bridges: int
    """n."""
    variant: Variant
    """May a broker forward to itself?"""
    lengths: Counter[int]
    """Messages by length of their path."""
    exits: Counter[str]
    """Messages by last bridge broker."""
    first: str
    """The bridge broker of the publisher."""

    @property
    def messages(self) -> int:
        """How many."""
        return sum(self.lengths.values())

    @property
    def mean(self) -> float:
        """Mean length."""
        return sum(length * count for length, count in self.lengths.items()) / self.messages

    @property
    def variance(self) -> float:
        """Variance of the length."""
        mean = self.mean
        return sum(count * (length - mean) ** 2 for length, count in self.lengths.items()) / self.messages

    @property
    def expected_mean(self) -> float:
        """E[L]."""
        return mean_path_length(self.p_f)

    @property
    def expected_variance(self) -> float:
        """Var[L]."""
        return path_length_variance(self.p_f)

    @property
    def mean_deviation(self) -> float:
        """How many standard errors the mean is from E[L]."""
        error = math.sqrt(self.expected_variance / self.messages)
        return (self.mean - self.expected_mean) / error

    @property
    def variance_deviation(self) -> float:
        """How many standard errors the variance is from Var[L].

        Var(s^2) = (mu_4 - sigma^4) / N; a geometric number has mu_4 = sigma^4 (9 + (1-p)^2 / p).
        """
        sigma_4 = self.expected_variance**2
        mu_4 = sigma_4 * (9 + (1 - self.p_f) ** 2 / self.p_f)
        return (self.variance - self.expected_variance) / math.sqrt((mu_4 - sigma_4) / self.messages)

    @property
    def length_fit(self) -> tuple[float, int, float]:
        """Chi-square test of the lengths: (statistic, degrees of freedom, p-value)."""
        longest = max(self.lengths)
        expected = {length: self.messages * path_length(length, self.p_f) for length in range(2, longest + 1)}
        expected[longest + 1] = self.messages * self.p_f ** (longest - 1)
        return chi_square(self.lengths, expected)

    @property
    def exit_fit(self) -> tuple[float, int, float]:
        """Chi-square test of the exits against those of the variant."""
        crowd = Crowd(n=self.bridges, c=0, p_f=self.p_f, variant=crowd_variant(self.variant.value))
        expected = {
            f"b{number}": self.messages
            * (exit_is_initiator(crowd) if f"b{number}" == self.first else exit_is_another(crowd))
            for number in range(1, self.bridges + 1)
        }
        return chi_square(self.exits, expected)


def path_trial(
    p_f: float, messages: int = 10_000, bridges: int = 10, variant: Variant | str = Variant.A, seed: int = 0
) -> PathTrial:
    """Publish `messages` messages from one client, each on a fresh path."""

    async def play() -> PathTrial:
        policies = Policies(p_f=p_f, variant=Variant(variant))
        lengths: Counter[int] = Counter()
        exits: Counter[str] = Counter()
        async with Network(bridges, policies, seed=seed) as net:
            net.host("topic")
            client = await net.client("publisher", bridge=1)
            for number in range(0, messages, 1000):
                for each in range(number, min(number + 1000, messages)):
                    await net.publish(client, "topic", b"%d" % each, qos=0)
                    if each % _AT_ONCE == 0:
                        await asyncio.sleep(0.001)
                await net.settled()
                for path in net.paths():
                    lengths[path.length] += 1
                    exits[path.exit] += 1
                for bridge in net.bridges:
                    bridge.log.clear()
        return PathTrial(p_f, bridges, Variant(variant), lengths, exits, "b1")

    return _run(play())


@dataclass(frozen=True)
class LoopTrial:
    """Subscriptions that got nothing."""

    form: Form
    """Published or mended."""
    bridges: int
    """n."""
    p_f: float
    """Forwarding probability."""
    variant: Variant
    """May a broker forward to itself?"""
    subscriptions: int
    """How many, each of a topic of its own."""
    lost: int
    """To how many no message came."""

    @property
    def fraction(self) -> float:
        """The lost part."""
        return self.lost / self.subscriptions

    @property
    def expected(self) -> float:
        """What theory says of it."""
        return lost_by_loop_rule(self.bridges, self.p_f, self.variant) if self.form is Form.PUBLISHED else 0.0

    @property
    def deviation(self) -> float:
        """How many standard errors it is from that; of the mended form, lost subscriptions."""
        if self.form is Form.MENDED:
            return float(self.lost)
        error = math.sqrt(self.expected * (1 - self.expected) / self.subscriptions)
        return (self.fraction - self.expected) / error


def loop_trial(
    form: Form | str,
    bridges: int = 10,
    p_f: float = 0.67,
    variant: Variant | str = Variant.A,
    subscriptions: int = 1000,
    seed: int = 0,
) -> LoopTrial:
    """Subscribe to many topics, then let a message be published to each at the public broker: who gets it?"""

    async def play() -> LoopTrial:
        policies = Policies(p_f=p_f, variant=Variant(variant), form=Form(form))
        came: set[str] = set()
        async with Network(bridges, policies, seed=seed, journal=False) as net:
            readers = [
                await net.client(f"reader{number}", bridge=number, on_message=lambda m: came.add(m.topic))
                for number in range(1, bridges + 1)
            ]
            topics = [f"t/{number}" for number in range(subscriptions)]
            for number, topic in enumerate(topics):
                net.host(topic)
                await net.subscribe(readers[number % bridges], topic, qos=0)
            await net.settled()
            writer = await net.client("writer", bridge="public1")
            for topic in topics:
                await writer.publish(topic, b"1", qos=1)
            await net.settled()
        lost = subscriptions - len(came)
        return LoopTrial(Form(form), bridges, p_f, Variant(variant), subscriptions, lost)

    return _run(play())


@dataclass(frozen=True)
class CycleTrial:
    """Networks in which several clients subscribe to one topic."""

    form: Form
    """Published or mended."""
    strategy: Strategy
    """What happens where paths meet."""
    networks: int
    """How many, each with a seed of its own."""
    circulating: int
    """In how many a message circulated: it came to a bridge broker again and again until it was stopped."""
    dropped: int
    """Copies that the duplicate cache of the mended form dropped: 0 where the paths have no circle."""
    copies: int
    """Messages that subscribers got."""
    expected: int
    """Messages that they should have got."""


def cycle_trial(
    form: Form | str,
    networks: int = 100,
    bridges: int = 10,
    subscribers: int = 5,
    p_f: float = 0.67,
    variant: Variant | str = Variant.A,
    strategy: Strategy | str = Strategy.BLIND,
    seed: int = 0,
) -> CycleTrial:
    """Let clients at different brokers subscribe to one topic, then publish one message to all."""
    circulating = dropped = copies = 0

    async def play(number: int) -> tuple[bool, int, int]:
        policies = Policies(p_f=p_f, variant=Variant(variant), form=Form(form), strategy=Strategy(strategy))
        got: list[str] = []
        async with Network(bridges, policies, seed=seed + number, journal=False) as net:
            net.host("topic")
            for place in range(1, subscribers + 1):
                reader = await net.client(f"r{place}", bridge=place, on_message=lambda m: got.append(m.topic))
                await net.subscribe(reader, "topic", qos=0)
            await net.settled()
            writer = await net.client("writer", bridge=subscribers + 1)
            await net.publish(writer, "topic", b"1", qos=1)
            await net.settled()
            drops = sum(bridge.returning.spreading.dropped for bridge in net.bridges)
            # In the mended form nothing stops a message but its own path: at rest, it did not circulate.
            return bool(net.fuse.circulating), drops, len(got)

    for number in range(networks):
        circled, drops, came = _run(play(number))
        circulating, dropped, copies = circulating + circled, dropped + drops, copies + came
    return CycleTrial(
        Form(form), Strategy(strategy), networks, circulating, dropped, copies, networks * subscribers
    )


@dataclass(frozen=True)
class ScaleTrial:
    """A large network in one process."""

    bridges: int
    """Bridge brokers."""
    subscriptions: int
    """Subscriptions, each with a path of its own."""
    start_seconds: float
    """Until all brokers listened and had joined."""
    subscribe_seconds: float
    """Until all subscriptions were acknowledged along their whole paths."""
    start_kib: float
    """Memory of a bridge broker after the start, in KiB (growth of the process over their number)."""
    total_kib: float
    """The same with all subscriptions, connections and public sessions."""
    arrived: int
    """Messages that came, one being published to each subscription."""


def scale_trial(
    bridges: int = 100, subscriptions: int = 1000, discovery: int = 0, p_f: float = 0.67, seed: int = 0
) -> ScaleTrial:
    """Start a network, subscribe, publish a message to each subscription; times are of this machine."""

    async def play() -> ScaleTrial:
        came: Counter[str] = Counter()
        before, began = _resident_kib(), time.perf_counter()
        network = Network(bridges, Policies(p_f=p_f), seed=seed, journal=False, discovery=discovery)
        async with network as net:
            started, after_start = time.perf_counter(), _resident_kib()
            readers = [
                await net.client(f"r{number}", bridge=number, on_message=lambda m: came.update([m.topic]))
                for number in range(1, bridges + 1)
            ]
            topics = [f"t/{number}" for number in range(subscriptions)]
            if not discovery:
                for topic in topics:
                    net.host(topic)
            pending = [
                net.subscribe(readers[number % bridges], topic, qos=1) for number, topic in enumerate(topics)
            ]
            await asyncio.gather(*pending)
            done, after = time.perf_counter(), _resident_kib()
            writer = await net.client("writer", bridge=1)
            for topic in topics:
                await net.publish(writer, topic, b"1", qos=1)
            await net.settled()
        return ScaleTrial(
            bridges, subscriptions, started - began, done - started, (after_start - before) / bridges,
            (after - before) / bridges, sum(came.values()),
        )  # fmt: skip

    with _rare_collections():
        return _run(play())


@contextlib.contextmanager
def _rare_collections() -> Iterator[None]:
    """A hundred brokers are half a million objects that stay: to look through them often costs most."""
    thresholds = gc.get_threshold()
    gc.set_threshold(50_000, 100, 100)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


def _run(play: Coroutine[Any, Any, T]) -> T:
    return run_virtual(play)


def _resident_kib() -> float:
    """Memory of this process in KiB."""
    gc.collect()
    statm = FilePath("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024
    import resource

    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
