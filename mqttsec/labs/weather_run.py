"""A weather station publishes through the real broker, in memory and in virtual time.

The broker is `mqttsec.mqtt5.Broker`, the one that also serves sockets; its links are in memory and
the clock is virtual, so that a run takes milliseconds and gives the same trace on every machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from mqttsec.errors import ConfigurationError
from mqttsec.mqtt5 import Broker, BrokerSettings, LightClient
from mqttsec.net import LinkSettings, MemoryNetwork, run_virtual
from mqttsec.packets import MQTT_3_1_1, MQTT_5, Properties, Publish, SubscribeFilter
from mqttsec.readings import Reading
from mqttsec.trace import Trace

BROKER = "broker"
PORT = 1883
STATION = "station"
USER_NAME = "station-24233"
PASSWORD = b"drizzle"
"""What the station logs in with. It is no secret: the lab shows who can read it."""
DAY = 1.0
"""Virtual seconds from one day's readings to the next: the station is in a hurry."""
_READING = Properties(
    payload_format_indicator=1, content_type="application/json", user_property=(("station", "USW00024233"),)
)
"""What MQTT 5 lets the station say about each message."""


@dataclass(frozen=True)
class Subscriber:
    """Somebody who wants readings."""

    name: str
    """Its Client Identifier."""
    topic_filter: str
    """What it subscribes to."""
    qos: int = 1
    """At which QoS."""
    protocol: int = MQTT_5
    """5, or 4 for MQTT 3.1.1."""
    delay: float = 0.005
    """Seconds between it and the broker."""

    @property
    def version(self) -> str:
        """`MQTT 5.0` or `MQTT 3.1.1`."""
        return "MQTT 3.1.1" if self.protocol == MQTT_3_1_1 else "MQTT 5.0"


SUBSCRIBERS = (
    Subscriber("dashboard", "seattle/#", 1, MQTT_5, 0.005),
    Subscriber("old-logger", "+/temperature", 0, MQTT_3_1_1, 0.030),
)
"""Who subscribes in the lab, unless an exercise says otherwise."""


@dataclass(frozen=True)
class WeatherRun:
    """What happened."""

    trace: Trace
    """Everything, as all parties recorded it."""
    published: tuple[tuple[str, bytes], ...]
    """(Topic Name, payload) in the order in which the station published."""
    received: dict[str, tuple[Publish, ...]]
    """What each subscriber got, in order."""
    subscribers: tuple[Subscriber, ...]
    """Who subscribed."""


def publish_weather(
    readings: Sequence[Reading], qos: int = 1, subscribers: Sequence[Subscriber] = SUBSCRIBERS, seed: int = 0
) -> WeatherRun:
    """The station publishes `readings` at `qos`; everybody connects before and disconnects after.

    Raises `ConfigurationError` for a QoS that there is not, and `Refused` for a wrong Topic Filter.
    """
    if qos not in (0, 1, 2):
        raise ConfigurationError(f"qos={qos!r}: MQTT knows QoS 0, 1 and 2")
    days = [reading.messages() for reading in readings]

    async def station(client: LightClient) -> None:
        for day in days:
            for topic, payload in day:
                await client.publish(topic, payload, qos=qos, properties=_READING)
            await asyncio.sleep(DAY)

    published = tuple(message for day in days for message in day)
    trace, received = _run(station, subscribers, seed)
    return WeatherRun(trace, published, received, tuple(subscribers))


def publish_topics(topics: Iterable[str], subscribers: Sequence[Subscriber]) -> dict[str, list[str]]:
    """Publish one empty message a topic, and say which topics each subscriber got, sorted.

    Raises `MalformedPacketError` for a wrong Topic Name or Filter.
    """
    wanted = tuple(topics)

    async def station(client: LightClient) -> None:
        for topic in wanted:
            await client.publish(topic, b"", qos=1)

    _, received = _run(station, subscribers, 0)
    return {name: sorted(message.topic for message in messages) for name, messages in received.items()}


def one_packet(packet: Publish) -> bytes:
    """A client sends `packet` exactly as it is; returns the frame as the broker received it."""

    async def sender(client: LightClient) -> None:
        client.send(packet)
        await asyncio.sleep(1)

    trace, _ = _run(sender, (), 0)
    kind = Publish.packet_type << 4
    return next(e.packet for e in trace if e.party == BROKER and e.packet and e.packet[0] & 0xF0 == kind)


Act = Callable[[LightClient], Awaitable[None]]


def _run(
    act: Act, subscribers: Sequence[Subscriber], seed: int
) -> tuple[Trace, dict[str, tuple[Publish, ...]]]:
    names = [subscriber.name for subscriber in subscribers]
    if len({STATION, BROKER, *names}) != len(names) + 2:
        raise ConfigurationError("every party needs a name of its own")
    return run_virtual(_play(act, subscribers, seed))


async def _play(
    act: Act, subscribers: Sequence[Subscriber], seed: int
) -> tuple[Trace, dict[str, tuple[Publish, ...]]]:
    trace = Trace(asyncio.get_running_loop().time)
    network = MemoryNetwork(default=LinkSettings(delay=0.010), seed=seed)
    broker = memory_broker(network, trace, seed)
    await broker.start()
    received: dict[str, list[Publish]] = {subscriber.name: [] for subscriber in subscribers}
    clients = []
    for subscriber in subscribers:
        name = subscriber.name
        network.set_link(name, BROKER, LinkSettings(delay=subscriber.delay))
        client = LightClient(
            name, network=network, trace=trace, protocol=subscriber.protocol, on_message=received[name].append
        )
        await client.connect(BROKER, PORT)
        await client.subscribe(SubscribeFilter(subscriber.topic_filter, subscriber.qos))
        clients.append(client)
    station = LightClient(STATION, network=network, trace=trace, username=USER_NAME, password=PASSWORD)
    await station.connect(BROKER, PORT)
    await act(station)
    # What is under way to the slowest subscriber, and its answer, shall arrive.
    await asyncio.sleep(1)
    for client in (station, *clients):
        await client.disconnect()
    await asyncio.sleep(1)
    await broker.shutdown()
    return trace, {name: tuple(messages) for name, messages in received.items()}


def memory_broker(network: MemoryNetwork, trace: Trace | None, seed: int) -> Broker:
    """The broker with a listener on `network` and none on a socket; not started yet."""
    # amqtt insists on a listener; one of this type waits to be given connections, and opens no socket.
    config = {"listeners": {"default": {"type": "external"}}}
    broker = Broker(BrokerSettings(name=BROKER, seed=seed), config, trace=trace)
    network.listen(broker.protocol_factory(), BROKER, PORT)
    return broker
