"""An unmodified mosquitto becomes a public broker by the companion beside it, over real sockets."""

from __future__ import annotations

import asyncio

import pytest

from mqttsec.mqtt5 import LightClient
from mqttsec.mqtta.companion import Companion
from mqttsec.mqtta.discovery import DiscoveryBroker
from mqttsec.mqtta.discovery_client import DiscoveryClient
from mqttsec.mqtta.notices import At
from tests.mqtt5.local_mosquitto import local_mosquitto

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("protocol", [5, 4])
def test_topics_of_a_mosquitto_are_announced_to_two_discovery_brokers(protocol: int) -> None:
    async def main(port: int) -> None:
        public = At("127.0.0.1", port)
        heard: asyncio.Queue[tuple[str, At | None]] = asyncio.Queue()
        first, second = DiscoveryBroker("d1"), DiscoveryBroker("d2")
        await first.start()
        await second.start()
        first.follow(second.address)
        second.follow(first.address)
        bridge = DiscoveryClient(
            "b1", [second.address], on_topic=lambda topic, at: heard.put_nowait((topic, at))
        )
        companion = Companion("c1", public, [first.address], protocol=protocol)
        station = LightClient("station", protocol=protocol)
        try:
            await bridge.start(At("127.0.0.1", 1))
            await companion.start()
            await station.connect(public.host, public.port)
            for topic in ("seattle/wind", "seattle/rain", "seattle/wind"):
                await station.publish(topic, "1", qos=1)
            news = [await asyncio.wait_for(heard.get(), 10) for _ in range(2)]
            assert news == [("seattle/wind", public), ("seattle/rain", public)]
            assert first.topics == second.topics == bridge.topics
            assert first.peers == second.peers == (At("127.0.0.1", 1),)
        finally:
            await station.disconnect()
            await companion.stop()
            await bridge.stop()
            await first.stop()
            await second.stop()

    with local_mosquitto() as port:
        asyncio.run(main(port))
