"""A whole network that lives on discovery: brokers of any kind come and go, and messages go on."""

from __future__ import annotations

import asyncio
import random

from mqttsec.mqtt5 import LightClient
from mqttsec.mqtta import Companion, DiscoveryClient, Network, Policies
from mqttsec.mqtta.notices import At
from mqttsec.net import run_virtual


def heard(client: LightClient) -> list[bytes]:
    """The payloads that a client gets from now on."""
    payloads: list[bytes] = []
    client.on_message = lambda message: payloads.append(message.payload)
    return payloads


def test_messages_go_on_while_brokers_come_and_go() -> None:
    async def main() -> None:
        policies = Policies(p_f=0.6, patience=1.0)
        async with Network(bridges=6, policies=policies, discovery=3, publics=2, rtt=0.04, seed=4) as net:
            reader, station = await net.client("reader", 2), await net.client("station", 1)
            got = heard(reader)
            await net.subscribe(reader, "wind", 1)
            await net.publish(station, "wind", b"1", 1)
            await asyncio.sleep(2)
            assert got == [b"1"]
            # A discovery broker is lost: those at it go to another one, and nobody is forgotten.
            lost = net.discovery[0]
            await lost.stop()
            await asyncio.sleep(60)
            for bridge in net.bridges:
                assert len(bridge.directory.peers) == 5
            await net.publish(station, "wind", b"2", 1)
            # A new bridge broker joins meanwhile, by the others.
            newcomer = DiscoveryClient(
                "b7", [broker.address for broker in net.discovery], network=net.network, rng=random.Random(1)
            )
            await newcomer.start(At("b7", 1883))
            assert len(newcomer.peers) == 6 and newcomer.topics["wind"] in {each.at for each in net.publics}
            await newcomer.stop()
            await asyncio.sleep(5)
            # A bridge broker crashes: its session at discovery ends, and all are told.
            await net.kill("b5")
            await asyncio.sleep(60)
            for bridge in net.bridges:
                if bridge.name != "b5":
                    assert At("b5", 1883) not in bridge.directory.peers
            await net.publish(station, "wind", b"3", 1)
            await asyncio.sleep(10)
            assert got == [b"1", b"2", b"3"]

    run_virtual(main())


def test_a_topic_that_a_companion_announced_is_found_at_its_public_broker() -> None:
    async def main() -> None:
        async with Network(bridges=5, discovery=2, publics=3, rtt=0.04, seed=9) as net:
            ats = [broker.address for broker in net.discovery]
            companion = Companion("companion", net.publics[2].at, ats, network=net.network)
            await companion.start()
            plain = await net.client("plain", "public3")
            await plain.publish("tide", b"0")
            await asyncio.sleep(2)
            assert net.bridges[0].directory.topics["tide"] == net.publics[2].at
            # From now on messages through the network meet those of ordinary clients there.
            await plain.subscribe("tide", qos=1)
            got = heard(plain)
            station = await net.client("station", 1)
            for number in range(5):
                await net.publish(station, "tide", str(number).encode(), 1)
            await asyncio.sleep(5)
            assert sorted(got) == [b"0", b"1", b"2", b"3", b"4"]
            await companion.stop()

    run_virtual(main())
