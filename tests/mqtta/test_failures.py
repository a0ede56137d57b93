"""What goes wrong in a network is said, is bounded, and costs nobody else anything."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from mqttsec.errors import ConfigurationError, MqttsecError, Refused
from mqttsec.mqtt5 import LightClient
from mqttsec.mqtta import At, Network, Policies, forwarding
from mqttsec.mqtta.errors import NoPeers, NoPublicBroker
from mqttsec.mqtta.notices import T_N, Notice
from mqttsec.packets import MQTT_3_1_1, Properties, ReasonCode, SubscribeFilter
from tests.mqtta.test_network import inbox, played


@pytest.mark.parametrize("p_f", [1, 1.5, -0.1, float("nan"), "0.5"])
def test_p_f_outside_0_to_1_is_refused(p_f: Any) -> None:
    with pytest.raises(ConfigurationError, match="p_f="):
        Policies(p_f=p_f)


@pytest.mark.parametrize(
    "rules",
    [{"variant": "C"}, {"strategy": "clever"}, {"form": "x"}, {"lifetime": 0}, {"aware_classes": (0, 1)}],
)
def test_rules_that_there_are_not_are_refused(rules: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Policies(**rules)


async def refused(work: Any, code: int = 0x83) -> None:
    with pytest.raises(Refused) as caught:
        await work
    assert caught.value.reason_code == code


@pytest.mark.parametrize("variant", ["A", "B"])
def test_without_another_bridge_broker_nothing_is_sent_and_that_is_said(variant: str) -> None:
    async def play(net: Network) -> None:
        client = await net.client("a", bridge=1)
        await refused(net.publish(client, "t", "1", 1))
        await refused(net.subscribe(client, "t", 1))
        assert any("knows no other bridge broker" in words for words in net.complaints)
        # Its own clients do not suffer.
        await client.subscribe("home")
        await client.publish("home", "1", 1)
        assert (await client.next_message()).payload == b"1"
        assert not net.bridge(1).subscriptions and not net.bridge(1).broker.router._table.get(forwarding("t"))

    played(play, bridges=1, policies=Policies(variant=variant))


@pytest.mark.parametrize("qos", [1, 2])
def test_a_topic_without_a_public_broker_is_refused_the_whole_way_back(qos: int) -> None:
    async def play(net: Network) -> None:
        for bridge in net.bridges:
            bridge.publics = ()
        client = await net.client("a", bridge=1)
        await refused(net.publish(client, "t", "1", qos))
        await refused(net.subscribe(client, "t", qos))
        assert any("no public broker hosts 't'" in words for words in net.complaints)
        assert [bridge.subscriptions for bridge in net.bridges] == [0] * 5
        assert [bridge.under_way for bridge in net.bridges] == [0] * 5

    played(play, bridges=5, rtt=0.05)


def test_a_public_broker_that_dies_is_told_and_others_go_on() -> None:
    async def play(net: Network) -> None:
        net.host("here", 1)
        net.host("there", 2)
        got: Counter[bytes] = Counter()
        reader = await net.client("reader", bridge=1, on_message=lambda m: got.update([m.payload]))
        writer = await net.client("writer", bridge=2)
        for topic in ("here", "there"):
            await net.subscribe(reader, topic, 2)
        await net.kill("public1")
        began = asyncio.get_running_loop().time()
        lost = asyncio.ensure_future(net.publish(writer, "here", "lost", 2))
        await net.publish(writer, "there", "one", 2)
        await refused(lost)
        other = await net.client("other", bridge=3)
        await refused(net.subscribe(other, "here", 1))
        assert asyncio.get_running_loop().time() - began < 30
        # It is back: old subscriptions are made again by themselves.
        await net.publics[0].start()
        await asyncio.sleep(20.0)
        await net.publish(writer, "here", "two", 2)
        await net.publish(writer, "there", "three", 2)
        await net.settled()
        assert got == Counter([b"one", b"two", b"three"])

    played(play, bridges=6, publics=2, rtt=0.05, seed=3)


def test_topics_and_filters_that_cannot_be_are_refused() -> None:
    async def play(net: Network) -> None:
        client = await net.client("a", bridge=1)
        for topic_filter, code in [
            ("mqtta/forward/+", ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED),
            ("mqtta/forward/#", ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED),
            ("mqtta/forward", ReasonCode.TOPIC_FILTER_INVALID),
            ("$share/g/mqtta/forward/t", ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED),
        ]:
            await refused(client.subscribe(SubscribeFilter(topic_filter, 1)), code)
        await refused(client.publish("mqtta/forward", "1", 1), ReasonCode.TOPIC_NAME_INVALID)
        old = await net.client("old", bridge=1, protocol=MQTT_3_1_1)
        await refused(old.subscribe("mqtta/forward/+"), 0x80)
        assert net.activity == 0

    played(play, bridges=3)


def test_a_client_that_plays_a_bridge_brokers_marks_gains_nothing() -> None:
    async def play(net: Network) -> None:
        reader, forger = await net.client("reader", bridge=1), await net.client("forger", bridge=2)
        await net.subscribe(reader, "t", 2)
        marks = Properties(user_property=(("mqtta-id", "0"), ("mqtta-token", "0"), ("own", "kept")))
        await net.publish(forger, "t", "1", 2, marks)
        await net.publish(forger, "t", "2", 2, marks)
        await forger.subscribe(forwarding("t"), qos=1, properties=marks)
        messages = await inbox(net, reader)
        assert {m.payload for m in messages} == {b"1", b"2"}
        assert {m.properties for m in messages} == {Properties(user_property=(("own", "kept"),))}
        assert len(net.paths("subscribe")) == 2

    played(play, bridges=5)


def test_a_bridge_broker_with_forged_tokens_and_messages_is_answered_and_stopped() -> None:
    async def play(net: Network) -> None:
        reader = await net.client("reader", bridge=1)
        await net.subscribe(reader, "t", 1)
        named = Properties(user_property=(("mqtta-bridge", "evil"),), session_expiry_interval=60)
        evil = await net.client("evil", bridge=1, properties=named)
        # Without a token there is no subscription, with any hop limit it ends.
        await refused(evil.subscribe(forwarding("t"), qos=1))
        huge = Properties(user_property=(("mqtta-token", "x"), ("mqtta-hops", "9" * 30)))
        assert await evil.subscribe(forwarding("t"), qos=1, properties=huge) == (1,)
        odd = Properties(user_property=(("mqtta-token", "y"), ("mqtta-hops", "-1")))
        assert await evil.subscribe(forwarding("t"), qos=1, properties=odd) == (1,)
        unknown = Properties(user_property=(("mqtta-token", "nobody's"),))
        assert await evil.unsubscribe(forwarding("t"), properties=unknown) == (0x11,)
        await evil.publish(forwarding("t"), "from evil", 1)
        assert [m.payload for m in await inbox(net, reader)] == [b"from evil"]

    played(play, bridges=5, rtt=0.02)


def test_a_forged_notice_harms_its_own_topic_at_most_and_a_flood_nobody() -> None:
    async def play(net: Network) -> None:
        discovery = net.discovery[0].address
        reader, writer = await net.client("reader", bridge=1), await net.client("writer", bridge=2)
        await net.subscribe(reader, "known", 2)
        forger = LightClient("forger", network=net.network)
        await forger.connect(discovery.host, discovery.port)
        nowhere = At("nowhere", 1883)
        for topic in ("known", "new"):
            await forger.publish(T_N, Notice(topic, nowhere).payload(), qos=1)
        flood = [
            forger.publish(T_N, Notice(f"flood/{number}", nowhere).payload(), qos=1) for number in range(3000)
        ]
        answers = await asyncio.gather(*flood, return_exceptions=True)
        refusals = {getattr(answer, "reason_code", 0) for answer in answers}
        assert refusals == {0, ReasonCode.QUOTA_EXCEEDED}
        # First pair wins: the known topic stays where it is. The forged one is refused, not waited for.
        await net.publish(writer, "known", "1", 2)
        await refused(net.publish(writer, "new", "1", 2))
        assert [m.payload for m in await inbox(net, reader)] == [b"1"]
        await forger.disconnect()

    played(play, bridges=4, discovery=2, rtt=0.02)


def test_bridge_brokers_find_each_other_by_discovery_and_a_new_topic_its_public_broker() -> None:
    async def play(net: Network) -> None:
        reader, writer = await net.client("reader", bridge=1), await net.client("writer", bridge=2)
        for topic in ("one", "two", "three"):
            await net.subscribe(reader, topic, 2)
            await net.publish(writer, topic, topic, 2)
        assert {m.payload for m in await inbox(net, reader)} == {b"one", b"two", b"three"}
        known = [bridge.directory.topics for bridge in net.bridges]
        assert all(each == known[0] for each in known) and set(known[0]) == {"one", "two", "three"}
        assert all(len(bridge.directory.peers) == 4 for bridge in net.bridges)
        # One that crashes is not drawn any more.
        await net.kill("b5")
        await asyncio.sleep(60.0)
        assert all(len(bridge.directory.peers) == 3 for bridge in net.bridges[:4])
        for number in range(20):
            await net.publish(writer, "one", f"{number}", 2)
        assert len(await inbox(net, reader)) == 20

    played(play, bridges=5, publics=2, discovery=2, rtt=0.02)


def test_a_hop_limit_ends_a_subscription_at_the_public_broker() -> None:
    async def play(net: Network) -> None:
        reader = await net.client("reader", bridge=1)
        await net.subscribe(reader, "t", 1)
        [path] = net.paths("subscribe")
        assert path.complete and path.length <= 9

    played(play, bridges=5, policies=Policies(p_f=0.999, hop_limit=4))


def test_sticky_paths_keep_order_and_end_with_their_lifetime() -> None:
    async def play(net: Network) -> None:
        reader, writer = await net.client("reader", bridge=1), await net.client("writer", bridge=2)
        await net.subscribe(reader, "t", 2)
        for number in range(10):
            asyncio.ensure_future(net.publish(writer, "t", f"{number}", 2))
        assert [m.payload for m in await inbox(net, reader)] == [b"%d" % number for number in range(10)]
        ways = {tuple(hop.bridge for hop in path.hops) for path in net.paths()}
        assert len(ways) == 1
        await asyncio.sleep(101.0)
        for _ in range(10):
            await net.publish(writer, "t", "later", 2)
        later = {tuple(hop.bridge for hop in path.hops) for path in net.paths()[10:]}
        assert len(later) == 1 and later != ways
        way = next(iter(later))
        await net.kill(way[1])
        await net.publish(writer, "t", "after", 2)
        assert way[1] not in [hop.bridge for hop in net.paths()[-1].hops]

    played(play, bridges=9, policies=Policies(p_f=0.8, path="sticky", lifetime=100), rtt=0.04, seed=2)


def test_the_errors_are_of_one_family() -> None:
    assert issubclass(NoPeers, MqttsecError) and issubclass(NoPublicBroker, MqttsecError)
