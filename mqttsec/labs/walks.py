"""Runs of an anonymity network for lab 06, under the virtual clock: what each broker saw, who got what."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from mqttsec.mqtta.discovery_client import DiscoveryClient
from mqttsec.mqtta.drawing import Decision
from mqttsec.mqtta.network import Network
from mqttsec.mqtta.policies import Form, Policies, Strategy, Variant
from mqttsec.mqtta.seen import Direction, Path, Seen
from mqttsec.net import run_virtual
from mqttsec.packets import Publish

STATION, READER = "station", "dashboard"
"""Who publishes and who subscribes."""
PUBLIC = "public1"
"""The public broker."""
TOPIC = "seattle/weather"
MESSAGES = 4
"""Messages of one walk."""
CIRCLES = 60
"""Copies of a message after which a lab takes it to circulate for ever, and stops it."""


@dataclass(frozen=True)
class Walk:
    """A station, a reader, and some messages through a network."""

    n: int
    """Bridge brokers."""
    p_f: float
    """Forwarding probability."""
    rtt_ms: float
    """Round-trip time between two brokers, ms."""
    homes: dict[str, str]
    """The bridge broker of each client."""
    subscription: Path
    """The way of the reader's subscription."""
    messages: tuple[Path, ...]
    """The way of each message to the public broker."""
    rows: tuple[Seen, ...]
    """What all bridge brokers saw, in order."""
    latencies_ms: tuple[float, ...]
    """Of each message from the station to the reader, ms."""

    @property
    def bridges(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(f"b{number}" for number in range(1, self.n + 1))

    def path(self, message: int) -> Path:
        """The way of a message, from 1; 0: of the subscription."""
        return self.messages[message - 1] if message else self.subscription

    def back(self, message: int) -> tuple[Seen, ...]:
        """The rows of a message on its way back to the reader; none for the subscription."""
        key = self.path(message).key
        return tuple(
            row for row in self.rows if message and row.direction is Direction.DELIVER and row.key == key
        )

    def log(self, bridge: str) -> tuple[Seen, ...]:
        """What one bridge broker saw."""
        return tuple(row for row in self.rows if row.bridge == bridge)


def walk(n: int, p_f: float, rtt_ms: float, seed: int) -> Walk:
    """One subscription and `MESSAGES` messages."""

    async def main() -> Walk:
        loop = asyncio.get_running_loop()
        sent: list[float] = []
        came: list[float] = []
        policies = Policies(p_f=p_f, variant=Variant.B)
        network = Network(bridges=n, policies=policies, rtt=rtt_ms / 1000, seed=seed)
        async with network:
            reader = await network.client(READER, n, on_message=lambda message: came.append(loop.time()))
            station = await network.client(STATION, 1)
            open_links(network)
            await asyncio.sleep(5)
            await network.subscribe(reader, TOPIC, 1)
            await asyncio.sleep(5)
            for number in range(1, MESSAGES + 1):
                sent.append(loop.time())
                # The answer to a message comes when it has been taken over, long after it was passed on.
                task = loop.create_task(network.publish(station, TOPIC, f"message {number}", 1))
                await asyncio.sleep(60 * max(rtt_ms, 1) / 1000)
                await task
                while len(came) < number:
                    await asyncio.sleep(1)
            latencies = tuple((end - begin) * 1000 for begin, end in zip(sent, came, strict=True))
            subscription = network.paths(Direction.SUBSCRIBE)[0]
            messages = tuple(network.paths(Direction.PUBLISH))
            homes = {STATION: "b1", READER: f"b{n}"}
            return Walk(
                n, p_f, rtt_ms, homes, subscription, messages, tuple(network.seen()), latencies
            )  # fmt: skip

    return run_virtual(main())


def open_links(network: Network) -> None:
    """Open all connections: what that takes belongs to no message."""
    for bridge in network.bridges:
        bridge.public_link(network.publics[0].at)
        for other in network.bridges:
            if other is not bridge:
                bridge.peer_link(other.at)


# -- who is there -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Member:
    """What one bridge broker has from discovery."""

    name: str
    """Its name."""
    asked: str
    """The discovery broker that it chose."""
    peers: tuple[str, ...]
    """The other bridge brokers."""
    topics: dict[str, str]
    """The public broker of each topic, as host:port."""


def membership(n: int, seed: int) -> tuple[Member, ...]:
    """n bridge brokers that find each other and a topic by two discovery brokers."""

    async def main() -> tuple[Member, ...]:
        network = Network(bridges=n, discovery=2, rtt=0.055, seed=seed)
        async with network:
            station = await network.client(STATION, 1)
            await network.publish(station, TOPIC, "first", 1)
            await asyncio.sleep(10)
            found = []
            for bridge in network.bridges:
                directory = bridge.directory
                assert isinstance(directory, DiscoveryClient) and directory.chosen is not None
                topics = {topic: str(at) for topic, at in directory.topics.items()}
                peers = tuple(at.host for at in directory.peers)
                found.append(Member(bridge.name, directory.chosen.host, peers, topics))
            return tuple(found)

    return run_virtual(main())


# -- many messages --------------------------------------------------------------------------------


def lengths(n: int, p_f: float, count: int, seed: int) -> tuple[int, ...]:
    """The path lengths of `count` published messages."""

    async def main() -> tuple[int, ...]:
        network = Network(bridges=n, policies=Policies(p_f=p_f, variant=Variant.B), seed=seed)
        async with network:
            station = await network.client(STATION, 1)
            for number in range(count):
                await network.publish(station, TOPIC, str(number), 0)
            await network.settled()
            return tuple(path.length for path in network.paths(Direction.PUBLISH))

    return run_virtual(main())


# -- two subscriptions that cross -------------------------------------------------------------------


@dataclass(frozen=True)
class Crossing:
    """Two readers of one topic, whose paths meet, and some messages."""

    strategy: Strategy
    """What a bridge broker does where paths meet."""
    form: Form
    """Published or mended rules against loops."""
    paths: tuple[Path, ...]
    """The ways of the two subscriptions."""
    messages: int
    """How many messages there were."""
    distinct: tuple[int, ...]
    """Messages that each reader has got."""
    copies: tuple[int, ...]
    """How often in all."""
    carried: int
    """How often a bridge broker has carried a message back."""
    upstream: int
    """Subscriptions that reached the public broker."""
    circulating: int
    """Messages that had to be stopped."""

    @property
    def shared(self) -> tuple[str, ...]:
        """The bridge brokers on both paths."""
        first, second = ({hop.bridge for hop in path.hops} for path in self.paths)
        return tuple(sorted(first & second))


def crossing(
    strategy: Strategy | str, form: Form | str, seed: int, messages: int = 5, qos: int = 2
) -> Crossing:
    """Four bridge brokers, two readers, `messages` messages at QoS 2."""

    async def main() -> Crossing:
        policies = Policies(p_f=0.7, variant=Variant.B, strategy=Strategy(strategy), form=Form(form))
        network = Network(bridges=4, policies=policies, rtt=0.055, seed=seed)
        network.fuse.copies = CIRCLES
        got: tuple[Counter[bytes], ...] = (Counter(), Counter())
        async with network:
            for number, counter in enumerate(got, 1):
                reader = await network.client(
                    f"reader-{number}", number + 1, on_message=_counting(counter)
                )  # fmt: skip
                await network.subscribe(reader, TOPIC, qos)
                await asyncio.sleep(2)
            station = await network.client(STATION, 1)
            for number in range(messages):
                await network.publish(station, TOPIC, str(number), 2)
                await asyncio.sleep(2)
            await network.settled()
            rows = network.seen()
            paths = tuple(network.paths(Direction.SUBSCRIBE))
        subscribed = [row for row in rows if row.direction is Direction.SUBSCRIBE]
        return Crossing(
            policies.strategy,
            policies.form,
            paths,
            messages,
            tuple(len(counter) for counter in got),
            tuple(sum(counter.values()) for counter in got),
            sum(row.direction is Direction.DELIVER for row in rows),
            sum(row.decision is Decision.EXIT for row in subscribed),
            len(network.fuse.circulating),
        )

    return run_virtual(main())


def _counting(counter: Counter[bytes]) -> Callable[[Publish], None]:
    return lambda message: counter.update([message.payload])


# -- the loop rule ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Subscribed:
    """Several readers, each of a topic of its own, under one form of the loop rule."""

    form: Form
    """Published or mended."""
    n: int
    """Bridge brokers."""
    paths: tuple[Path, ...]
    """The way of each subscription, by reader."""
    received: tuple[bool, ...]
    """Whether the message came that was published to its topic afterwards."""

    @property
    def lost(self) -> tuple[str, ...]:
        """Who waits in vain."""
        pairs = zip(self.paths, self.received, strict=True)
        return tuple(path.source for path, received in pairs if not received)


def subscribed(
    form: Form | str, n: int, readers: int, seed: int, p_f: float = 0.67, variant: Variant | str = Variant.A
) -> Subscribed:
    """`readers` subscriptions, then a message to each of their topics."""

    async def main() -> Subscribed:
        policies = Policies(p_f=p_f, form=Form(form), variant=Variant(variant))
        network = Network(bridges=n, policies=policies, seed=seed)
        got: set[str] = set()
        async with network:
            for number in range(1, readers + 1):
                name = f"reader-{number}"
                reader = await network.client(
                    name, 1 + number % n, on_message=lambda message, name=name: got.add(name)
                )  # fmt: skip
                await network.subscribe(reader, f"topic-{number}", 1)
            station = await network.client(STATION, 1)
            for number in range(1, readers + 1):
                await network.publish(station, f"topic-{number}", "here", 1)
            await network.settled()
            paths = {path.source: path for path in network.paths(Direction.SUBSCRIBE)}
        names = [f"reader-{number}" for number in range(1, readers + 1)]
        return Subscribed(
            policies.form, n, tuple(paths[name] for name in names), tuple(name in got for name in names)
        )  # fmt: skip

    return run_virtual(main())
