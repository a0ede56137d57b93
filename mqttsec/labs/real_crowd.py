"""Collaborators in the real network: bridge brokers that log what they see, pool it, and accuse.

A network of real bridge brokers runs in memory on the virtual clock; publishers at different honest bridges
send their messages through it. The last c bridges collaborate. What they logged, and nothing else, goes to
`anonymity.logs`, which knows nothing of this network.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mqttsec.anonymity.crowd import Crowd, check_count
from mqttsec.anonymity.estimates import Estimate, proportion
from mqttsec.anonymity.innocence import round_probabilities
from mqttsec.anonymity.logs import Observation, Verdict, first_predecessors, one_per_path, verdict
from mqttsec.anonymity.rounds import check_lifetime, rounds
from mqttsec.mqtta.network import Network
from mqttsec.mqtta.policies import PathRule, Policies, Variant
from mqttsec.mqtta.seen import Direction
from mqttsec.net import run_virtual
from mqttsec.widgets.table import Table


@dataclass(frozen=True)
class Publisher:
    """One publisher of a run, as only we know it."""

    topic: str
    """What it publishes under."""
    bridge: str
    """Its own bridge broker."""


@dataclass(frozen=True)
class Tally:
    """First predecessors over all messages of a run, against the truth."""

    crowd: Crowd
    """The crowd."""
    messages: int
    """Messages of which each was a round: with sticky paths, the first on its path."""
    hits: int
    """Those that a collaborator saw."""
    initiator: int
    """Those whose first predecessor was the publisher's own bridge broker."""

    def estimates(self) -> tuple[Estimate, Estimate]:
        """P(H1+) and P(I|H1+), with their bands."""
        return proportion(self.hits, self.messages), proportion(self.initiator, self.hits)


@dataclass(frozen=True)
class CrowdRun:
    """A run: what the collaborators logged, and what only we know."""

    crowd: Crowd
    """The crowd."""
    messages: int
    """Messages of each publisher."""
    lifetime: int | None
    """Messages that a path carries: 1 is a fresh path each."""
    seed: int
    """Of the network."""
    honest: tuple[str, ...]
    """Names of the honest bridges, as everybody can know them."""
    collaborators: tuple[str, ...]
    """Names of the others."""
    began: float
    """When the first messages were sent, seconds."""
    interval: float
    """Seconds between two messages of a publisher."""
    log: tuple[Observation, ...]
    """The collaborators' pooled logs."""
    publishers: tuple[Publisher, ...]
    """The truth."""

    @cached_property
    def by_topic(self) -> dict[str, list[Observation]]:
        """The pooled logs, a list for each topic."""
        found: dict[str, list[Observation]] = {}
        for seen in self.log:
            found.setdefault(seen.topic, []).append(seen)
        return found

    def verdict(self, topic: str, messages: int | None = None) -> Verdict:
        """Whom the collaborators suspect of a topic, after so many of its messages; by default after all."""
        end = self.messages if messages is None else messages
        until = self.began + end * self.interval
        log = [seen for seen in self.by_topic.get(topic, ()) if seen.time < until]
        return verdict(self.evidence(log), self.collaborators, self.honest, topic, self.crowd)

    def evidence(self, log: Iterable[Observation]) -> list[Observation]:
        """One observation a path, from the log and the network's setting alone."""
        return one_per_path(log, self.collaborators, self.lifetime_s)

    @property
    def lifetime_s(self) -> float:
        """Seconds that a path is kept: a setting of the network, which everybody knows."""
        return path_seconds(self.messages, self.lifetime)

    def tally(self) -> Tally:
        """First predecessors against the truth, a round counted once."""
        own = {publisher.topic: publisher.bridge for publisher in self.publishers}
        first = first_predecessors(self.evidence(self.log), self.collaborators)
        right = sum(own[topic] == previous for (topic, _), previous in first.items())
        count = len(self.publishers) * rounds(self.messages, self.lifetime)
        return Tally(self.crowd, count, len(first), right)

    def named(self, messages: int) -> Estimate:
        """The share of publishers that are named, rightly and alone, after so many messages each."""
        right = sum(
            self.verdict(publisher.topic, messages).named == publisher.bridge for publisher in self.publishers
        )
        return proportion(right, len(self.publishers))

    def others(self) -> Counter[str]:
        """How often each honest bridge was a first predecessor of a message that was not its publisher's."""
        own = {publisher.topic: publisher.bridge for publisher in self.publishers}
        first = first_predecessors(self.evidence(self.log), self.collaborators)
        return Counter(previous for (topic, _), previous in first.items() if own[topic] != previous)

    def table(self) -> Table:
        """The tally beside theory."""
        tally = self.tally()
        p0, q = round_probabilities(self.crowd)
        hit = p0 + (self.crowd.h - 1) * q
        rows = []
        for words, count, of, chance in (
            ("a collaborator on the path", tally.hits, tally.messages, hit),
            ("first predecessor is the publisher's", tally.initiator, tally.messages, p0),
            ("... given a collaborator on the path", tally.initiator, tally.hits, p0 / hit if hit else 0.0),
        ):
            found = proportion(count, of)
            off = f"{found.sigmas(chance):.1f}" if of else ""
            rows.append((words, f"{count} of {of}", f"{found.value:.3f}", f"{chance:.3f}", off))
        life = "fresh paths" if self.lifetime == 1 else f"{self.lifetime or 'all'} messages to a path"
        title = f"{self.crowd}; {len(self.publishers)} publishers, {self.messages} messages each, {life}"
        return Table(
            ("what the logs show", "count", "share", "theory", "std. errors off"), tuple(rows), title
        )

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def places(crowd: Crowd, publishers: int, seed: int) -> list[int]:
    """At which honest bridge each publisher is: all of them in turn, in an order drawn by the seed."""
    check_count(publishers, "publishers")
    order = random.Random(seed).sample(range(crowd.h), crowd.h)
    return [order[number % crowd.h] for number in range(publishers)]


INTERVAL = 10.0
"""Virtual seconds between two messages of a publisher: far more than a path takes."""
RTT = 0.02
"""Seconds there and back between two brokers."""


def run_crowd(crowd: Crowd, publishers: int, messages: int, seed: int, lifetime: int | None = 1) -> CrowdRun:
    """Run the network on the virtual clock until every publisher has sent so many messages, at QoS 0.

    `lifetime`: messages that a path carries, 1 is a fresh path each, None one path for all. The same seed
    gives the same run. Raises `ConfigurationError` for a number or lifetime that cannot be.
    """
    check_count(messages, "messages")
    check_lifetime(lifetime)
    return run_virtual(_run(crowd, places(crowd, publishers, seed), messages, seed, lifetime))


async def _run(crowd: Crowd, where: list[int], messages: int, seed: int, lifetime: int | None) -> CrowdRun:
    seconds = path_seconds(messages, lifetime)
    rule: dict[str, Any] = (
        {"path": PathRule.STICKY, "lifetime": seconds} if seconds else {"path": PathRule.FRESH}
    )
    policies = Policies(p_f=crowd.p_f, variant=Variant(crowd.variant.value)).but(**rule)
    loop = asyncio.get_running_loop()
    async with Network(crowd.n, policies, rtt=RTT, seed=seed) as net:
        names = [bridge.name for bridge in net.bridges]
        honest, collaborators = names[: crowd.h], names[crowd.h :]
        who = [Publisher(f"sensor/{number}", names[at]) for number, at in enumerate(where, start=1)]
        clients = [
            await net.client(f"station {number}", publisher.bridge) for number, publisher in enumerate(who, 1)
        ]
        began = loop.time()
        for number in range(messages):
            for client, publisher in zip(clients, who, strict=True):
                await net.publish(client, publisher.topic, f"{publisher.topic} {number}", qos=0)
            await asyncio.sleep(began + (number + 1) * INTERVAL - loop.time())
        await net.settled()
        log = tuple(
            Observation(row.time, row.bridge, row.previous, row.topic, row.fingerprint.hex())
            for row in net.seen(collaborators)
            if row.direction is Direction.PUBLISH
        )
    return CrowdRun(
        crowd, messages, lifetime, seed, tuple(honest), tuple(collaborators), began, INTERVAL, log, tuple(who)
    )


def path_seconds(messages: int, lifetime: int | None) -> float:
    """Seconds for which a path is kept, so that it carries just `lifetime` messages; 0: not at all."""
    if lifetime is None:
        return messages * INTERVAL
    return (lifetime - 0.5) * INTERVAL if lifetime > 1 else 0.0
