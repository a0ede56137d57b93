"""Discovery brokers, their clients and companions, in memory under the virtual clock."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from mqttsec.errors import ConfigurationError, ConnectionFailed, Refused
from mqttsec.mqtt5 import Broker, LightClient
from mqttsec.mqtta.announcers import Limits
from mqttsec.mqtta.companion import Companion
from mqttsec.mqtta.discovery import Check, DiscoveryBroker
from mqttsec.mqtta.discovery_client import DiscoveryClient
from mqttsec.mqtta.notices import SYNC, T_N, T_N_PEERS, T_S, At, Notice
from mqttsec.net import LinkSettings, MemoryNetwork, run_virtual

T = TypeVar("T")
P1, P2 = At("p1", 1883), At("p2", 1883)


class Town:
    """Some discovery brokers and whoever comes to them."""

    def __init__(self, count: int, limits: Limits | None = None, check: Check | None = None) -> None:
        self.network = MemoryNetwork(default=LinkSettings(delay=0.02), seed=5)
        self.rng = random.Random(5)
        self.addresses = [At(f"d{number}", 1883) for number in range(1, count + 1)]
        self.brokers = [
            DiscoveryBroker(at.host, self.addresses, network=self.network, limits=limits, check=check)
            for at in self.addresses
        ]
        self.others: list[Any] = []

    async def open(self) -> None:
        for broker in self.brokers:
            await broker.start()
        await asyncio.sleep(6)

    async def close(self) -> None:
        for other in reversed(self.others):
            await other.stop()
        for broker in self.brokers:
            await broker.stop()

    async def client(
        self, name: str, own: At | None = None, only: int | None = None, **more: Any
    ) -> DiscoveryClient:
        known = self.addresses if only is None else [self.addresses[only]]
        client = DiscoveryClient(name, known, network=self.network, rng=self.rng, **more)
        await client.start(own)
        self.others.append(client)
        return client

    async def bridge(self, name: str, only: int | None = None, **more: Any) -> DiscoveryClient:
        return await self.client(name, At(name, 1883), only, **more)

    async def plain(self, name: str, at: int = 0) -> LightClient:
        client = LightClient(name, network=self.network)
        await client.connect(self.addresses[at].host)
        return client


def in_town(visit: Callable[[Town], Coroutine[Any, Any, T]], count: int = 3, **options: Any) -> T:
    async def main() -> T:
        town = Town(count, **options)
        await town.open()
        try:
            return await visit(town)
        finally:
            await town.close()

    return run_virtual(main())


def test_bridge_brokers_find_each_other_across_discovery_brokers() -> None:
    async def visit(town: Town) -> None:
        bridges = [await town.bridge(f"b{number}") for number in range(8)]
        await asyncio.sleep(1)
        assert len({bridge.chosen for bridge in bridges}) > 1, "they have chosen different discovery brokers"
        for bridge in bridges:
            assert bridge.peers == tuple(
                sorted(other.own for other in bridges if other is not bridge and other.own)
            )
        assert {broker.peers for broker in town.brokers} == {town.brokers[0].peers}

    in_town(visit)


def test_who_leaves_is_forgotten_everywhere_and_may_return() -> None:
    async def visit(town: Town) -> None:
        news: list[tuple[At, bool]] = []
        first = await town.bridge("b1", on_peer=lambda at, there: news.append((at, there)))
        second = await town.bridge("b2", only=2)
        await asyncio.sleep(1)
        await second.stop()
        await asyncio.sleep(1)
        assert first.peers == ()
        # Not by a DISCONNECT this time, but as a crash.
        await second.start(At("b2", 1883))
        await asyncio.sleep(1)
        assert first.peers == (At("b2", 1883),)
        town.network.cut("b2", "d3")
        town.network.partition("b2", "d3")
        await asyncio.sleep(1)
        assert first.peers == ()
        town.network.heal("b2", "d3")
        await asyncio.sleep(60)
        assert first.peers == (At("b2", 1883),)
        assert news == [(At("b2", 1883), there) for there in (True, False, True, False, True)]

    in_town(visit)


def test_the_first_pair_wins_and_the_loser_learns_it() -> None:
    async def visit(town: Town) -> None:
        told: list[tuple[str, At | None]] = []
        first = await town.client("c1", only=0)
        second = await town.client("c2", only=1, on_topic=lambda topic, at: told.append((topic, at)))
        # At the same moment at two discovery brokers: both stand for a moment, then all agree.
        await asyncio.gather(first.announce("t", P1), second.announce("t", P2))
        await asyncio.sleep(1)
        stands = {broker.topics["t"] for broker in town.brokers} | {first.topics["t"], second.topics["t"]}
        assert stands == {P1}, "at the same moment the discovery broker's name decides"
        assert told == [("t", P2), ("t", P1)], "the loser is told, and subscribes again"
        assert await second.announce("t", P2) == P1
        assert await (await town.client("c3", only=2)).announce("t", P2) == P1

    in_town(visit)


def test_a_pair_announced_a_moment_later_at_the_same_broker_gets_the_standing_one() -> None:
    async def visit(town: Town) -> None:
        first, second = await town.client("c1", only=0), await town.client("c2", only=0)
        answers = await asyncio.gather(first.announce("t", P1), second.announce("t", P2))
        assert answers[0] == answers[1]

    in_town(visit)


def test_a_large_set_comes_in_parts_and_whole() -> None:
    async def visit(town: Town) -> None:
        herald = await town.client("herald", only=0)
        for number in range(250):
            await herald.announce(f"topic/{number}", P1)
        await asyncio.sleep(1)
        newcomer = await town.client("newcomer", only=1)
        assert newcomer.topics == {f"topic/{number}": P1 for number in range(250)}
        listener = await town.plain("listener")
        await listener.subscribe(f"{T_S}/#", qos=1)
        topics = [(await listener.next_message()).topic for _ in range(9)]
        assert sorted(topics) == [T_S, *(f"{T_S}/{number}" for number in range(1, 9))]
        await listener.disconnect()

    in_town(visit, limits=Limits(part_size=30))


def test_nothing_is_missed_between_the_set_and_the_news() -> None:
    async def visit(town: Town) -> None:
        herald = await town.client("herald", only=0)

        async def announce() -> None:
            for number in range(120):
                await herald.announce(f"topic/{number}", P1)

        busy = asyncio.get_running_loop().create_task(announce())
        newcomers = []
        for number in range(20):
            await asyncio.sleep(0.17)
            newcomers.append(await town.client(f"newcomer-{number}", only=number % 3))
        await busy
        await asyncio.sleep(1)
        assert [len(newcomer.topics) for newcomer in newcomers] == [120] * 20

    in_town(visit, limits=Limits(part_size=7))


def test_a_lost_discovery_broker_is_replaced_and_catches_up() -> None:
    async def visit(town: Town) -> None:
        bridges = [await town.bridge(f"b{number}") for number in range(6)]
        herald = await town.client("herald", only=1)
        lost = town.brokers[0]
        assert any(bridge.chosen == lost.address for bridge in bridges)
        await lost.stop()
        await herald.announce("while/away", P2)
        await asyncio.sleep(30)
        assert all(bridge.chosen != lost.address for bridge in bridges)
        assert all(len(bridge.peers) == 5 for bridge in bridges)
        await lost.start()
        await asyncio.sleep(30)
        assert lost.topics == {"while/away": P2}
        assert lost.peers == town.brokers[1].peers and len(lost.peers) == 6

    in_town(visit)


def test_who_left_with_its_discovery_broker_is_withdrawn_after_a_while() -> None:
    async def visit(town: Town) -> None:
        stays = await town.bridge("b1", only=1)
        goes = await town.bridge("b2", only=0)
        moves = DiscoveryClient("b3", town.addresses[:1], network=town.network, rng=town.rng)
        await moves.start(At("b3", 1883))
        moves._discovery = (town.addresses[2],)
        town.others.append(moves)
        await asyncio.sleep(1)
        assert len(stays.peers) == 2
        town.network.partition("b2", "d1")
        await town.brokers[0].stop()
        await asyncio.sleep(20)
        assert At("b2", 1883) in stays.peers, "there was nobody to withdraw it yet"
        await asyncio.sleep(100)
        assert stays.peers == (At("b3", 1883),), "who moved elsewhere is there, who left is not"
        town.others.remove(goes)
        await goes.stop()

    in_town(visit)


def test_forged_and_malformed_notices_are_refused_and_change_nothing() -> None:
    async def visit(town: Town) -> None:
        bridge = await town.bridge("b1", only=0)
        herald = await town.client("herald", only=0)
        await herald.announce("t", P1)
        stranger = await town.plain("stranger")
        forged = [
            (T_N, b"{}", 0x99),
            (T_N, b"x" * 5000, 0x99),
            (T_N, Notice("a/#", P2).payload(), 0x99),
            (T_N, Notice("t", P1, False).payload(), 0x87),
            (T_N_PEERS, Notice("b1:1883", At("b1", 1883), False).payload(), 0x87),
            (T_N_PEERS, Notice("b1:1883", P2).payload(), 0x99),
            (T_S, b'{"parts":1,"entries":[]}', 0x87),
            (f"{SYNC}/topics", b'["t","p2:1883",9,0,"d2"]', 0x87),
        ]
        for topic, payload, code in forged:
            with pytest.raises(Refused) as caught:
                await stranger.publish(topic, payload, qos=1, retain=topic == T_S)
            assert caught.value.reason_code == code, topic
        # Whoever comes first names the public broker: the paper authenticates nobody. Later is too late.
        await stranger.publish(T_N, Notice("t", P2).payload(), qos=1)
        await stranger.disconnect()
        await asyncio.sleep(1)
        assert town.brokers[2].topics == {"t": P1}
        assert town.brokers[2].peers == (bridge.own,)
        assert town.brokers[0].refused == 6, "and two never reached a notice's form"

    in_town(visit)


def test_a_check_refuses_by_session() -> None:
    async def visit(town: Town) -> None:
        trusted, stranger = await town.client("companion-p1", only=0), await town.client("stranger", only=0)
        assert await trusted.announce("t", P1) == P1
        with pytest.raises(Refused) as caught:
            await stranger.announce("u", P2)
        assert caught.value.reason_code == 0x87
        assert town.brokers[0].topics == {"t": P1}

    in_town(visit, check=lambda session, notice: session.client_id.startswith("companion"))


def test_a_flood_is_bounded_and_costs_nobody_else_anything() -> None:
    limits = Limits(notices_per_second=5, burst=10, pairs_per_client=14, topics=20, peers=2)

    async def visit(town: Town) -> None:
        async def flood(client: LightClient, count: int, start: int = 0) -> int:
            taken = 0
            for number in range(start, start + count):
                try:
                    await client.publish(T_N, Notice(f"{client.client_id}/{number}", P1).payload(), qos=1)
                    taken += 1
                except Refused as error:
                    assert error.reason_code == 0x97
            return taken

        first, second = await town.plain("first"), await town.plain("second")
        assert 10 <= await flood(first, 12) <= 13, "the burst, and what the seconds of the flood allow"
        other = await town.client("other", only=0)
        assert await other.announce("mine", P2) == P2
        await asyncio.sleep(60)
        await flood(first, 10, 100)
        assert len(town.brokers[0].topics) == 15, "one client has its 14, the other its one"
        await flood(second, 10)
        assert len(town.brokers[0].topics) == 20, "and all together no more than that"
        assert await other.announce("mine", P2) == P2
        await asyncio.sleep(1)
        assert len(town.brokers[2].topics) == 20
        for client in (first, second):
            await client.disconnect()
        for number in range(2):
            await town.bridge(f"b{number}", only=0)
        with pytest.raises(Refused) as caught:
            await DiscoveryClient("b9", town.addresses[:1], network=town.network).start(At("b9", 1883))
        assert caught.value.reason_code == 0x97

    in_town(visit, limits=limits)


def test_errors_say_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match="one discovery broker"):
        DiscoveryClient("b1", [])
    with pytest.raises(ConfigurationError, match="Limits.burst"):
        Limits(burst=0)
    with pytest.raises(ConfigurationError, match="retry"):
        DiscoveryBroker(retry=0)
    with pytest.raises(ConfigurationError, match="above 0"):
        Companion("c", P1, [P2], grace=0)

    async def visit(town: Town) -> None:
        with pytest.raises(ConnectionFailed, match="no discovery broker answers"):
            await DiscoveryClient("b1", [At("nowhere", 1883)], network=town.network).start()
        lonely = DiscoveryClient("b2", town.addresses, network=town.network)
        with pytest.raises(ConnectionFailed, match="has not joined"):
            await lonely.announce("t", P1)
        client = await town.client("b3")
        with pytest.raises(ConfigurationError, match="has joined already"):
            await client.start()

    in_town(visit)


# -- the companion --------------------------------------------------------------------------------


def with_companion(
    visit: Callable[[Town, Broker, Companion], Coroutine[Any, Any, None]], **options: Any
) -> None:
    async def main(town: Town) -> None:
        broker = Broker(config={"listeners": {"default": {"type": "external"}}})
        await broker.start()
        server = town.network.listen(broker.protocol_factory(), "p1", 1883)
        companion = Companion("c1", P1, town.addresses, network=town.network, rng=town.rng)
        await companion.start()
        try:
            await visit(town, broker, companion)
        finally:
            await companion.stop()
            server.close()
            await broker.shutdown()

    in_town(main, **options)


def test_a_companion_announces_what_it_hears() -> None:
    async def visit(town: Town, broker: Broker, companion: Companion) -> None:
        bridge = await town.bridge("b1")
        herald = await town.client("herald")
        await herald.announce("taken", P2)
        publisher = LightClient("station", network=town.network)
        await publisher.connect("p1")
        for topic in ("seattle/wind", "seattle/rain", "seattle/wind", "taken"):
            await publisher.publish(topic, "1")
        await asyncio.sleep(2)
        assert bridge.topics == {"seattle/wind": P1, "seattle/rain": P1, "taken": P2}
        assert companion.announced["taken"] == P2
        await publisher.disconnect()

    with_companion(visit)


def test_a_companion_that_is_too_fast_goes_on_later() -> None:
    async def visit(town: Town, broker: Broker, companion: Companion) -> None:
        publisher = LightClient("station", network=town.network)
        await publisher.connect("p1")
        for number in range(40):
            await publisher.publish(f"t/{number}", "1")
        await publisher.publish("x" * 2000, "1")
        await asyncio.sleep(60)
        assert len(town.brokers[0].topics) == 40
        assert list(companion.refused) == ["x" * 2000]
        await publisher.disconnect()

    with_companion(visit, limits=Limits(notices_per_second=2, burst=5))


def test_the_topics_of_a_public_broker_that_dies_are_free_again() -> None:
    async def visit(town: Town, broker: Broker, companion: Companion) -> None:
        publisher = LightClient("station", network=town.network)
        await publisher.connect("p1")
        await publisher.publish("t", "1")
        await asyncio.sleep(1)
        assert town.brokers[1].topics == {"t": P1}
        await publisher.disconnect()
        town.network.partition("c1", "p1")
        town.network.cut("c1", "p1")
        await asyncio.sleep(1)
        assert town.brokers[1].topics == {"t": P1}, "a short break changes nothing"
        await asyncio.sleep(400)
        assert town.brokers[1].topics == {}
        other = await town.client("other")
        assert await other.announce("t", P2) == P2

    with_companion(visit)
