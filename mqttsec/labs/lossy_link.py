"""QoS 0, 1 and 2 side by side over links that break: what arrives, what is missing, what comes twice.

TCP hides lost segments, so MQTT loses messages only where a connection ends with packets under way:
then "the Client and Server MUST resend" what QoS 1 and 2 left unfinished [MQTT-4.4.0-1]. Here each
packet between station and broker breaks their connection with some probability, and the station
comes back with its session.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from mqttsec.errors import ConfigurationError, ConnectionFailed, ProtocolError
from mqttsec.labs.weather_run import BROKER, PORT, STATION, memory_broker
from mqttsec.mqtt5 import LightClient
from mqttsec.net import LinkSettings, Loss, LossCause, MemoryNetwork, OnLoss, run_virtual
from mqttsec.packets import PacketType, Properties, Publish, Splitter
from mqttsec.readings import Reading
from mqttsec.trace import Arrow, Event, EventKind, Trace, arrows

LOGGER = "logger"
"""Who subscribes in these runs."""
TOPIC = "seattle/precipitation"
_DELAY = 0.050
"""Seconds from each client to the broker."""
_PAUSE = 1.0
"""Seconds between two readings, and from a break to the new connection."""
_LARGEST = 1 << 20
"""Bytes; no packet here is longer."""
_LONG_LIVED = Properties(session_expiry_interval=3600)


@dataclass(frozen=True)
class LossyRun:
    """One QoS over one breaking link."""

    qos: int
    """Of the messages and of the subscription."""
    trace: Trace
    """Everything, lost packets included."""
    published: tuple[bytes, ...]
    """The payloads that the station published, all different."""
    received: tuple[bytes, ...]
    """The payloads that the logger got, in order, repeated ones included."""
    breaks: int
    """How many connections broke."""

    @property
    def lost(self) -> int:
        """How many published messages never came."""
        return len(set(self.published) - set(self.received))

    @property
    def duplicates(self) -> int:
        """How many came more than once, counted by the copies too many."""
        return len(self.received) - len(set(self.received))

    @property
    def exactly_once(self) -> bool:
        """True if each message came, and came once."""
        return not self.lost and not self.duplicates

    @property
    def packets(self) -> int:
        """How many packets were sent for the messages: PUBLISH and its acknowledgements, both ways."""
        count = Counter(arrow.frame[0] >> 4 for arrow in arrows(self.trace) if arrow.frame)
        return sum(count[kind] for kind in range(3, 8))


def lossy_runs(
    readings: Sequence[Reading], breaking: float, seed: int, levels: Sequence[int] = (0, 1, 2)
) -> tuple[LossyRun, ...]:
    """The station publishes each day's rain, at each QoS, over a link that breaks.

    `breaking` is the probability with which a packet between station and broker breaks their
    connection. Raises `ConfigurationError` if it is not from 0 to 0.4.
    """
    if not 0 <= breaking <= 0.4:
        raise ConfigurationError(f"breaking={breaking!r}: give a probability from 0 to 0.4")
    payloads = tuple(f"{reading.date} {reading.precipitation} mm".encode() for reading in readings)
    return tuple(_cached(payloads, qos, float(breaking), int(seed)) for qos in levels)


@lru_cache(maxsize=256)
def _cached(payloads: tuple[bytes, ...], qos: int, breaking: float, seed: int) -> LossyRun:
    return run_virtual(_play(payloads, qos, breaking, seed))


async def _play(payloads: tuple[bytes, ...], qos: int, breaking: float, seed: int) -> LossyRun:
    loop = asyncio.get_running_loop()
    trace = Trace(loop.time)
    received: list[bytes] = []
    breaks: list[int] = []

    def on_loss(loss: Loss) -> None:
        if loss.cause is LossCause.BREAK:
            breaks.append(loss.connection)
        _record_loss(trace, loss)

    network = MemoryNetwork(default=LinkSettings(delay=_DELAY), seed=seed, on_loss=on_loss)
    broker = memory_broker(network, trace, seed)
    await broker.start()
    logger = _client(LOGGER, network, trace, lambda message: received.append(message.payload))
    station = _client(STATION, network, trace)
    for client in (logger, station):
        await client.connect(BROKER, PORT)
    await logger.subscribe(TOPIC, qos=qos)
    # The link holds until both are ready.
    network.set_link(STATION, BROKER, LinkSettings(delay=_DELAY, loss=breaking, on_loss=OnLoss.BREAK))
    keeper = asyncio.ensure_future(_keep_connected(station))
    await _publish(station, payloads, qos)
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)
    for client in (station, logger):
        await client.disconnect()
    await asyncio.sleep(_PAUSE)
    await broker.shutdown()
    return LossyRun(qos, trace, payloads, tuple(received), len(set(breaks)))


def _client(
    name: str, network: MemoryNetwork, trace: Trace, on_message: Callable[[Publish], None] | None = None
) -> LightClient:
    # No Keep Alive: pings would only be in the way of what is to be seen.
    return LightClient(name, network=network, trace=trace, keep_alive=0, properties=_LONG_LIVED, timeout=None,
                       on_message=on_message)


async def _keep_connected(client: LightClient) -> None:
    """Whenever the connection ends, come back after a pause, with the session."""
    while True:
        await client.wait_closed()
        await asyncio.sleep(_PAUSE)
        with contextlib.suppress(ConnectionFailed):
            await client.connect(BROKER, PORT, clean_start=False)


async def _publish(station: LightClient, payloads: Sequence[bytes], qos: int) -> None:
    for payload in payloads:
        while True:
            # The application waits until it is connected: nothing is lost for want of a connection.
            while not station.connected:
                await asyncio.sleep(_PAUSE / 10)
            try:
                await station.publish(TOPIC, payload, qos=qos)
                break
            except ConnectionFailed:
                continue
        await asyncio.sleep(_PAUSE)


def _record_loss(trace: Trace, loss: Loss) -> None:
    """Record the packets in lost bytes: each write was one or several whole packets."""
    try:
        frames = list(Splitter(_LARGEST).feed(loss.data))
    except ProtocolError:
        # Bytes from the middle of a packet: no packet begins there.
        return
    for frame in frames:
        trace.record(EventKind.LOST, loss.source[0], loss.destination[0], packet=bytes(frame))


def story(run: LossyRun) -> tuple[Event, ...]:
    """The events around the most instructive message of a run, until the next message sets off.

    That is one which was sent again though it had arrived, else one that never came, else one of which
    a packet was lost, else the first; of several the shortest. A note says where the connection breaks.
    """
    packets = arrows(run.trace)
    starts = {payload: _first_event(packets, payload) for payload in run.published}
    ends = [*list(starts.values())[1:], _good_bye(packets)]
    chapters = {
        payload: tuple(event for event in run.trace if start <= event.number < end)
        for (payload, start), end in zip(starts.items(), ends, strict=True)
    }
    copies = Counter(run.received)

    def interest(payload: bytes) -> tuple[int, int]:
        lost = {event.packet[0] >> 4 for event in chapters[payload] if event.kind is EventKind.LOST}
        if copies[payload] > 1 or PacketType.PUBREC in lost:
            # Sent twice though it had arrived: QoS 1 delivers it twice, QoS 2 does not.
            rank = 0
        else:
            rank = 1 if not copies[payload] else 2 if lost else 3
        return rank, len(chapters[payload])

    return tuple(_told(event) for event in chapters[min(chapters, key=interest)] if _worth_telling(event))


def _first_event(packets: Sequence[Arrow], payload: bytes) -> int:
    return next(arrow.events[0] for arrow in packets if _kind(arrow) is PacketType.PUBLISH
                and arrow.frame.endswith(payload))


def _good_bye(packets: Sequence[Arrow]) -> int:
    return next(arrow.events[0] for arrow in packets if _kind(arrow) is PacketType.DISCONNECT)


def _kind(arrow: Arrow) -> PacketType:
    return PacketType(arrow.frame[0] >> 4)


def _worth_telling(event: Event) -> bool:
    if event.kind in (EventKind.OPENED, EventKind.CLOSED):
        return event.kind is EventKind.CLOSED and event.party == STATION
    return True


def _told(event: Event) -> Event:
    if event.kind is EventKind.CLOSED:
        return dataclasses.replace(event, kind=EventKind.NOTE, detail="the connection breaks")
    return event


def seeds(seed: int, count: int) -> list[int]:
    """`count` seeds for as many runs, drawn from one."""
    return random.Random(seed).sample(range(1, 10_000), count)
