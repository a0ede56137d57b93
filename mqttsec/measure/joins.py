"""Many subscribers join one topic through the full handshake, all in one process over loopback TCP.

Broker, publisher and subscribers share one event loop and so one core: what is measured is the work of
all parties together. Block 1 of the publisher is over when the clock starts; it stops when the last
subscriber has its keys and its SUBACK.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from mqttsec.crypto import Identity, TrustAnchor
from mqttsec.e2e import Setup
from mqttsec.e2e.broker_side import BrokerSide
from mqttsec.e2e.memory_parties import MemoryPublisher, MemorySubscriber
from mqttsec.errors import MqttsecError
from mqttsec.measure.connects import BROKER, CLIENT
from mqttsec.mqtt5 import Broker

PART = "join"

TOPIC = "weather/seattle"


def subscriber_names(count: int) -> tuple[str, ...]:
    """Who joins."""
    return tuple(f"subscriber-{number}" for number in range(1, count + 1))


async def join(
    setup: Setup, identities: Mapping[str, Identity], trust: TrustAnchor, subscribers: int
) -> float:
    """Let so many join at once; seconds until the last is in. Every one must then read a message.

    Raises `MqttsecError`, the first of a subscriber that does not get in or cannot read.
    """
    side = BrokerSide(identities[BROKER], trust, setup, half_open_at_most=subscribers)
    broker = Broker(extensions=[side])
    await broker.start()
    receivers: list[MemorySubscriber] = []
    try:
        host, port = broker.bound["default"]
        where: dict[str, Any] = {"host": host, "port": port}
        publisher = await MemoryPublisher(identities[CLIENT], trust, setup, **where).connect()
        names = subscriber_names(subscribers)
        receivers = [MemorySubscriber(identities[name], trust, setup, **where) for name in names]
        began = time.perf_counter()
        await asyncio.gather(*(receiver.subscribe(CLIENT, TOPIC) for receiver in receivers))
        took = time.perf_counter() - began
        await publisher.publish(TOPIC, "12.8")
        for receiver in receivers:
            if (await receiver.message()).message != b"12.8":
                raise MqttsecError(f"{receiver.name} read something else than was published")
    finally:
        await asyncio.gather(*(receiver.close() for receiver in receivers))
        await broker.shutdown()
    return took
