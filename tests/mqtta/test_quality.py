"""What QoS promises end to end: crossing paths, bad links, a bridge broker that crashes in between."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import Any

import pytest

from mqttsec.errors import MqttsecError
from mqttsec.mqtta import Network, Policies
from mqttsec.net import LinkSettings
from tests.mqtta.test_network import played

STRATEGIES = ("blind", "topic-aware", "topic-and-qos-aware")
BAD = LinkSettings(loss=0.05, reorder=0.1, jitter=0.02, retransmit_after=0.05)
"""Segments are lost, repeated, late and out of order; the stream arrives."""


class Reader:
    """A subscriber that counts what it gets."""

    def __init__(self) -> None:
        self.got: Counter[str] = Counter()
        self.order: list[str] = []

    def take(self, message: Any) -> None:
        self.got[message.payload.decode()] += 1
        self.order.append(message.payload.decode())


async def readers(
    net: Network, wanted: dict[str, int], places: tuple[int, ...] = (1, 2, 3, 4, 5, 6)
) -> dict[str, Reader]:
    """Subscribers by name, their QoS given; at bridge brokers one after the other."""
    found = {}
    for place, (name, qos) in zip(places, wanted.items(), strict=False):
        reader = found[name] = Reader()
        client = await net.client(name, bridge=place, on_message=reader.take)
        assert await net.subscribe(client, "topic", qos) == qos
    return found


async def publish_all(net: Network, writer: Any, count: int, pause: float, qos: int = 2) -> set[str]:
    """Publish messages, several under way at a time."""
    sent = [f"m{number}" for number in range(count)]
    tasks = []
    for payload in sent:
        tasks.append(asyncio.ensure_future(net.publish(writer, "topic", payload, qos)))
        await asyncio.sleep(pause)
    await asyncio.gather(*tasks)
    await net.settled(5.0)
    return set(sent)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_on_bad_links_with_crossing_paths_nothing_is_lost_and_qos_2_comes_once(strategy: str) -> None:
    async def play(net: Network) -> None:
        found = await readers(net, {"two": 2, "one": 1, "two again": 2, "one again": 1})
        writer = await net.client("writer", bridge=3)
        sent = await publish_all(net, writer, 40, 0.01)
        for name, reader in found.items():
            assert set(reader.got) == sent, name
            if name.startswith("two"):
                assert set(reader.got.values()) == {1}, name

    played(play, bridges=6, policies=Policies(p_f=0.7, strategy=strategy), rtt=0.04, links=BAD, seed=4)


@pytest.mark.parametrize(
    ("strategy", "duplicates"),
    [("blind", (0, 0, 0)), ("topic-aware", (1, 1, 1)), ("topic-and-qos-aware", (1, 1, 0))],
)
def test_the_duplicate_of_a_crossing_publish_is_where_the_paper_has_it(
    strategy: str, duplicates: tuple[int, int, int]
) -> None:
    """The publisher's own bridge broker is on the path of each subscription: it belongs to the subscriber."""

    async def play(net: Network) -> None:
        found = await readers(net, {"zero": 0, "one": 1, "two": 2}, (1, 1, 1))
        writer = await net.client("writer", bridge=1)
        await net.settled()
        await net.publish(writer, "topic", "m")
        await net.settled()
        # The published form has no memory of what it has delivered.
        more = tuple(reader.got["m"] - 1 for reader in found.values())
        assert tuple(min(1, extra) for extra in more) == duplicates

    policies = Policies(p_f=0.0, strategy=strategy, form="published", variant="B")
    played(play, bridges=5, policies=policies, seed=1)


def test_mended_the_qos_2_subscriber_gets_no_duplicate_of_a_crossing_publish() -> None:
    async def play(net: Network) -> None:
        found = await readers(net, {"zero": 0, "one": 1, "two": 2}, (1, 1, 1))
        writer = await net.client("writer", bridge=1)
        await net.publish(writer, "topic", "m")
        await net.settled()
        assert [found[name].got["m"] for name in ("zero", "one", "two")] == [2, 2, 1]

    # Seed 1: the message leaves by another bridge broker than the subscriptions.
    played(play, bridges=5, policies=Policies(p_f=0, strategy="topic-aware", variant="B"), seed=1)


@pytest.mark.parametrize("seed", range(4))
def test_a_bridge_broker_that_crashes_on_the_way_to_the_public_broker_costs_nothing(seed: int) -> None:
    """One crashes while forty messages are under way through it; their paths are drawn anew."""

    async def play(net: Network) -> None:
        found = await readers(net, {"two": 2, "one": 1}, (1, 2))
        used = {hop.bridge for path in net.paths("subscribe") for hop in path.hops}
        writer = await net.client("writer", bridge=3)
        victim = next(bridge.name for bridge in net.bridges if bridge.name not in used | {"b3"})
        net.at(0.3, lambda: net.kill(victim))
        sent = await publish_all(net, writer, 40, 0.02)
        assert any(hop.bridge == victim for path in net.paths() for hop in path.hops) or net.complaints
        assert set(found["one"].got) == sent
        assert found["two"].got == Counter(sent)

    played(play, bridges=9, policies=Policies(p_f=0.6, variant="B"), rtt=0.1, seed=seed)


@pytest.mark.parametrize("seed", range(6))
def test_a_bridge_broker_that_crashes_on_the_way_back_costs_nothing(seed: int) -> None:
    """One in the middle of the subscription's path, or its last one: the path is drawn anew, the public
    broker's session goes on with what nobody has acknowledged."""

    async def play(net: Network) -> None:
        found = await readers(net, {"two": 2, "one": 1}, (1, 1))
        hops = [hop.bridge for path in net.paths("subscribe") for hop in path.hops if hop.bridge != "b1"]
        victim = hops[seed % len(hops)]
        writer = await net.client("writer", bridge="public1")
        net.at(0.4, lambda: net.kill(victim))
        sent = {f"m{number}" for number in range(60)}
        for payload in sorted(sent):
            await writer.publish("topic", payload, 2)
            await asyncio.sleep(0.02)
        await net.settled(20.0)
        assert set(found["one"].got) == sent
        assert found["two"].got == Counter(sent)
        again = net.paths("subscribe")
        assert all(hop.bridge != victim for path in again for hop in path.hops) and all(
            p.complete for p in again
        )

    played(play, bridges=8, policies=Policies(p_f=0.7, variant="B"), rtt=0.1, seed=seed)


@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_above_the_meeting_point_of_two_paths_a_crash_costs_neither_anything(strategy: str) -> None:
    async def play(net: Network) -> None:
        found = await readers(net, {"two": 2, "two more": 2}, (1, 1))
        joined = [path for path in net.paths("subscribe") if path.hops[0].decision is not None]
        assert len(joined) == 2
        trunk = max((path.hops for path in joined), key=len)
        victim = trunk[1].bridge
        writer = await net.client("writer", bridge="public1")
        net.at(0.4, lambda: net.kill(victim))
        sent = {f"m{number}" for number in range(60)}
        for payload in sorted(sent):
            await writer.publish("topic", payload, 2)
            await asyncio.sleep(0.02)
        await net.settled(20.0)
        assert found["two"].got == found["two more"].got == Counter(sent)

    played(play, bridges=8, policies=Policies(p_f=0.7, variant="B", strategy=strategy), rtt=0.1, seed=3)


def test_connections_that_break_are_taken_up_again_where_they_were() -> None:
    async def play(net: Network) -> None:
        found = await readers(net, {"two": 2}, (1,))
        writer = await net.client("writer", bridge=2)
        names = [*(bridge.name for bridge in net.bridges), "public1"]
        memory = net.network
        assert memory is not None

        def cut(a: str, b: str) -> None:
            memory.cut(a, b)

        for moment, (a, b) in enumerate((a, b) for a in names for b in names if a < b):
            net.at(0.1 + moment * 0.05, partial(cut, a, b))
        sent = await publish_all(net, writer, 40, 0.05)
        assert found["two"].got == Counter(sent)

    played(play, bridges=5, policies=Policies(p_f=0.6, variant="B"), rtt=0.06, seed=2)


def test_a_refusal_comes_back_to_the_publisher() -> None:
    async def play(net: Network) -> None:
        writer = await net.client("writer", bridge=1)
        await net.publish(writer, "topic", "1")
        await net.kill("public1")
        with pytest.raises(MqttsecError, match="0x83"):
            await net.publish(writer, "topic", "2")
        assert any("does not answer" in complaint for complaint in net.complaints)

    played(play, bridges=5, rtt=0.05)
