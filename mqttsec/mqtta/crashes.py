"""Bridge brokers that crash while messages are under way: what is lost, what comes twice (MQTT 5, 4.3).

Seeded networks under the virtual clock, where subscriptions of one topic cross each other and the publisher's
paths, over links that lose and reorder segments. In each, one bridge broker that has no client of its own is
killed at a random moment. QoS promises that nothing is lost at QoS 1 and 2 and that nothing comes twice at
QoS 2, whether it was published through the network or by an ordinary client at the public broker.

A public broker of MQTT 3.1.1 is the exception. There a message has no place for a number, and where the last
bridge broker crashes before it could say that it has published one, another publishes it again: two PUBLISH
packets that nobody can tell from two equal readings. What else MQTT 3.1.1 promises holds; and a `Sequencer`'s
number, which is in the payload, is known again by the subscriber's `Reorderer`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

from mqttsec.mqtta.network import Network
from mqttsec.mqtta.policies import Policies, Strategy, Variant
from mqttsec.net import LinkSettings, run_virtual
from mqttsec.packets import MQTT_5, Publish

BRIDGES = 9
"""Bridge brokers of a network; the first ones have clients."""
SUBSCRIBERS = ((2, 1), (1, 1), (2, 2), (1, 3), (2, 3))
"""(QoS, number of its bridge broker) of each subscriber of the topic, in the order of subscribing."""
PUBLISHER_AT = 4
"""Number of the bridge broker of the client that publishes through the network."""
MESSAGES = 12
"""Messages that each of the two publishers sends; of the ordinary client's a third are retained."""
THROUGH = "hidden"
"""The client that publishes through the network; its messages are called so."""
_EVERY = 0.03
"""Seconds between them."""
_LINKS = LinkSettings(loss=0.03, reorder=0.1, jitter=0.02, retransmit_after=0.05)


@dataclass(frozen=True)
class Crash:
    """One network in which one bridge broker crashed."""

    seed: int
    """Of the network, the victim and the moment."""
    protocol: int
    """Protocol Version of the public broker."""
    victim: str
    """Who crashed."""
    lost: tuple[tuple[int, str, str], ...]
    """(QoS, subscriber, message) that never came."""
    doubled: tuple[tuple[int, str, str], ...]
    """(QoS, subscriber, message) that came more than once."""

    def breaks(self, qos: int) -> bool:
        """Whether something at this QoS of the subscriber is otherwise than it must be."""
        must_be_once = [
            name
            for each, _, name in self.doubled
            if each == qos == 2 and (self.protocol >= MQTT_5 or not name.startswith(THROUGH))
        ]
        return bool(must_be_once) or any(each == qos for each, _, _ in self.lost)


@dataclass(frozen=True)
class CrashTrial:
    """Many of them, of one strategy."""

    strategy: Strategy
    """What happens where paths meet."""
    crashes: tuple[Crash, ...]
    """Each network."""

    @property
    def networks(self) -> int:
        """How many."""
        return len(self.crashes)

    def expected(self, qos: int) -> int:
        """Messages that the subscribers at a QoS should have got."""
        return self.networks * 2 * MESSAGES * sum(each == qos for each, _ in SUBSCRIBERS)

    def lost(self, qos: int) -> int:
        """How many of them never came."""
        return sum(each == qos for crash in self.crashes for each, _, _ in crash.lost)

    def doubled(self, qos: int) -> int:
        """How many of them came more than once."""
        return sum(each == qos for crash in self.crashes for each, _, _ in crash.doubled)

    def broken(self, *of: int) -> tuple[int, ...]:
        """Seeds of the networks in which QoS did not hold for subscribers at these, by default at any."""
        return tuple(crash.seed for crash in self.crashes if any(crash.breaks(qos) for qos in of or (1, 2)))

    @property
    def holds(self) -> bool:
        """Whether nothing was lost, and nothing came twice at QoS 2 but what has to."""
        return not self.broken()


def crash_trial(
    strategy: Strategy | str,
    networks: int = 100,
    seed: int = 0,
    processes: int = 1,
    protocol: int = MQTT_5,
) -> CrashTrial:
    """Let a bridge broker crash in each of many networks; the numbers do not depend on `processes`."""
    chosen = Strategy(strategy)
    with _spread(processes) as each:
        crashes = tuple(each(partial(crash, chosen, protocol=protocol), range(seed, seed + networks)))
    return CrashTrial(chosen, crashes)


def crash(strategy: Strategy | str, seed: int, protocol: int = MQTT_5) -> Crash:
    """Let a bridge broker crash in one network."""
    rng = random.Random(f"crash {seed}")
    victim = f"b{rng.randint(PUBLISHER_AT + 1, BRIDGES)}"
    moment = rng.uniform(0.0, MESSAGES * _EVERY + 0.5)
    policies = Policies(p_f=0.67, variant=Variant.B, strategy=Strategy(strategy))

    async def play() -> Crash:
        got: dict[tuple[int, str], Counter[str]] = {}
        async with Network(
            BRIDGES, policies, seed=seed, rtt=0.08, links=_LINKS, journal=False, protocol=protocol
        ) as net:
            net.host("topic")
            for place, (qos, bridge) in enumerate(SUBSCRIBERS, 1):
                box = got[qos, f"reader{place}"] = Counter()
                reader = await net.client(f"reader{place}", bridge=bridge, on_message=partial(_count, box))
                await net.subscribe(reader, "topic", qos)
            sent = await _publish(net, lambda: net.at(moment, lambda: net.kill(victim)))
            await net.settled(20.0)
        lost = [(*who, name) for who, box in got.items() for name in sorted(sent - set(box))]
        doubled = [(*who, name) for who, box in got.items() for name, n in sorted(box.items()) if n > 1]
        return Crash(seed, protocol, victim, tuple(lost), tuple(doubled))

    return run_virtual(play())


def _count(box: Counter[str], message: Publish) -> None:
    box[message.payload.decode()] += 1


async def _publish(net: Network, begin: Callable[[], None]) -> set[str]:
    """One client publishes through the network, one at the public broker as ever; gives what they sent."""
    hidden = await net.client(THROUGH, bridge=PUBLISHER_AT)
    open_one = await net.client("open", bridge="public1")
    begin()
    sent = set()
    work: list[asyncio.Future[Any]] = []
    for number in range(MESSAGES):
        sent |= {f"{THROUGH} {number}", f"open {number}"}
        work.append(asyncio.ensure_future(net.publish(hidden, "topic", f"{THROUGH} {number}", 2)))
        work.append(asyncio.ensure_future(open_one.publish("topic", f"open {number}", 2, number % 3 == 0)))
        await asyncio.sleep(_EVERY)
    await asyncio.gather(*work)
    return sent


_Map = Callable[[Callable[[int], Crash], Iterable[int]], Iterable[Crash]]


@contextmanager
def _spread(processes: int) -> Iterator[_Map]:
    if processes < 2:
        yield map
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield partial(pool.map, chunksize=8)
