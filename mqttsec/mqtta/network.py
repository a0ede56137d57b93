"""A whole network of MQTT-A in one process: bridge brokers, public brokers, discovery, clients.

    async def main():
        async with Network(bridges=10, policies=Policies(p_f=0.75)) as net:
            reader = await net.client("reader", bridge=1)
            await net.subscribe(reader, "weather", qos=2)
            ...
    run_virtual(main())

In memory by default, on any loop; over loopback TCP with `sockets=True`, as mosquitto and stock amqtt need.
The same seed gives the same draws, and in memory the same times.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

from mqttsec.errors import ConfigurationError, TimedOut
from mqttsec.mqtt5 import LightClient
from mqttsec.mqtta.bridge import BridgeBroker
from mqttsec.mqtta.directory import Directory, StaticDirectory
from mqttsec.mqtta.discovery import DiscoveryBroker
from mqttsec.mqtta.discovery_client import DiscoveryClient
from mqttsec.mqtta.geography import City, rtt_matrix
from mqttsec.mqtta.notices import At
from mqttsec.mqtta.policies import Policies
from mqttsec.mqtta.publics import PublicBroker, public_broker
from mqttsec.mqtta.published import Fuse
from mqttsec.mqtta.seen import Direction, Observer, Path, Seen, publish_paths, subscribe_paths
from mqttsec.mqtta.topics import forwarding
from mqttsec.net import LinkSettings, MemoryNetwork
from mqttsec.packets import MQTT_5, NO_PROPERTIES, Properties
from mqttsec.trace.events import Trace

_ACQUAINTED_SECONDS = 30.0


class Network:
    """Bridge brokers b1, b2, ..., public brokers public1, ..., discovery brokers d1, ...

    Args:
        bridges: how many bridge brokers.
        policies: their rules.
        public: what the public brokers are: "mqttsec", "amqtt", "mosquitto", or the address of a running one.
        publics: how many of them.
        discovery: how many discovery brokers; 0: everybody knows everybody from the start.
        rtt: round-trip time in seconds between any two brokers; or a matrix, bridge brokers first, then
            public brokers; or cities, over which the brokers are spread in turn. Of one to itself: 0.
        links: further properties of these links (bandwidth, loss, ...).
        seed: decides every draw; None: from the system's secret source.
        trace: where the draws are recorded as events.
        journal: keep what each bridge broker sees.
        sockets: loopback TCP instead of memory.
        protocol: in memory, the Protocol Version that bridge brokers speak with public brokers, such as
            `MQTT_3_1_1`; over TCP each public broker is asked.

    Raises:
        ConfigurationError: for what cannot be.

    """

    def __init__(
        self,
        bridges: int = 10,
        policies: Policies | None = None,
        public: str | At = "mqttsec",
        publics: int = 1,
        discovery: int = 0,
        rtt: float | Sequence[Sequence[float]] | Sequence[City] = 0.0,
        links: LinkSettings | None = None,
        seed: int | None = 0,
        trace: Trace | None = None,
        journal: bool = True,
        sockets: bool = False,
        protocol: int = MQTT_5,
    ) -> None:
        if bridges < 1 or publics < 1 or discovery < 0:
            raise ConfigurationError("a network has one bridge broker and one public broker at least")
        if sockets and (rtt or links is not None):
            raise ConfigurationError("rtt and links are of a network in memory; real sockets have their own")
        self.policies = policies or Policies()
        self.seed = seed
        self.network = None if sockets else MemoryNetwork(seed=0 if seed is None else seed)
        """The network in memory; None over TCP."""
        self.observer = Observer(trace, self.policies.p_f)
        """Numbers what all bridge brokers see."""
        self.fuse = Fuse()
        """Published form: what circulates."""
        self.publics: list[PublicBroker] = [
            public_broker(public, f"public{number}", self.network) for number in range(1, publics + 1)
        ]
        """The public brokers."""
        self.discovery: list[DiscoveryBroker] = []
        """The discovery brokers, once started."""
        self.bridges: list[BridgeBroker] = []
        """The bridge brokers, once started."""
        self.topics: dict[str, At] = {}
        """Without discovery: S, shared by all."""
        self.clients: dict[str, LightClient] = {}
        """The clients by name."""
        self.unmoved = LinkSettings()
        """Links of clients to their bridge brokers."""
        self._wanted = bridges
        self._discoveries = discovery
        self._rtt, self._links = rtt, links or LinkSettings()
        self._journal = journal
        self._protocol = protocol
        self._names: dict[At, str] = {}
        self._timers: list[asyncio.TimerHandle] = []
        self._tasks: set[asyncio.Future[Any]] = set()
        self._directories: list[StaticDirectory] = []

    # Life --------------------------------------------------------------------------------------

    async def start(self) -> Network:
        """Start everything; returns itself."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def _start(self) -> None:
        self._set_links()
        for public in self.publics:
            self._names[await public.start()] = public.name
        if self._discoveries:
            await self._start_discovery()
        everybody: list[At] = []
        for number in range(1, self._wanted + 1):
            bridge = self._make(f"b{number}", everybody)
            self.bridges.append(bridge)
            at = await bridge.listen()
            everybody.append(at)
            self._names[at] = bridge.name
        for bridge in self.bridges:
            await bridge.join()
        await self._acquainted()

    async def _acquainted(self) -> None:
        """Wait until everybody has heard of everybody, as far as discovery brings them together."""
        loop = asyncio.get_running_loop()
        given_up_at = loop.time() + _ACQUAINTED_SECONDS
        while any(len(bridge.directory.peers) < self._wanted - 1 for bridge in self.bridges):
            if loop.time() > given_up_at:
                raise TimedOut(
                    f"the bridge brokers have not found each other within {_ACQUAINTED_SECONDS:g} s: do the "
                    "discovery brokers reach each other?"
                )
            await asyncio.sleep(0.01)

    async def _start_discovery(self) -> None:
        ats: list[At] = []
        for number in range(1, self._discoveries + 1):
            broker = DiscoveryBroker(f"d{number}", peers=list(ats), network=self.network)
            await broker.start()
            for other in self.discovery:
                # Each hears every other one.
                other.follow(broker.address)
            self.discovery.append(broker)
            ats.append(broker.address)
            self._names[broker.address] = broker.name

    def _make(self, name: str, everybody: list[At]) -> BridgeBroker:
        rng = None if self.seed is None else random.Random(f"{self.seed} {name}")
        directory: Directory
        if self._discoveries:
            directory = DiscoveryClient(
                name, [broker.address for broker in self.discovery], network=self.network, rng=rng
            )
        else:
            directory = static = StaticDirectory((), self.topics)
            static.everybody = everybody
            self._directories.append(static)
        bridge = BridgeBroker(
            name, directory, self.policies, publics=tuple(public.at for public in self.publics), rng=rng,
            network=self.network, observer=self.observer, journal=self._journal,
            name_of=lambda at: self._names.get(at, str(at)), fuse=self.fuse,
        )  # fmt: skip
        if self.network is not None:
            bridge.dialer.protocols.update({public.at: self._protocol for public in self.publics})
        return bridge

    def _set_links(self) -> None:
        network, rtt = self.network, self._rtt
        if network is None:
            return
        hosts = [f"b{number}" for number in range(1, self._wanted + 1)] + [p.name for p in self.publics]
        network.default = self._links
        if isinstance(rtt, (int, float)):
            network.default = replace(self._links, delay=float(rtt) / 2)
            for host in hosts:
                network.set_link(host, host, replace(self._links, delay=0.0))
        elif isinstance(rtt[0], City):
            network.set_rtts(hosts, rtt_matrix([each for each in rtt if isinstance(each, City)], len(hosts)))
        else:
            network.set_rtts(hosts, [row for row in rtt if not isinstance(row, City)])

    async def stop(self) -> None:
        """Stop clients, bridge brokers, discovery and public brokers."""
        for timer in self._timers:
            timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(
            *(client.disconnect() for client in self.clients.values()), return_exceptions=True
        )
        self.clients.clear()
        await asyncio.gather(*(bridge.stop() for bridge in self.bridges))
        for broker in self.discovery:
            await broker.stop()
        for public in self.publics:
            await public.stop()

    async def __aenter__(self) -> Network:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # Clients -----------------------------------------------------------------------------------

    async def client(self, name: str, bridge: int | str | None = None, **options: Any) -> LightClient:
        """A client that is connected to bridge broker number `bridge` (1, 2, ...), or to that of this name.

        Without `bridge` a random one; "public1" connects it to a public broker. `options` are those of
        `LightClient`. Raises `ConfigurationError` for a broker that there is not.
        """
        host, at = self._place(name, bridge)
        if self.network is not None:
            self.network.set_link(name, host, self.unmoved)
        client = LightClient(name, network=self.network, peer=host, **options)
        await client.connect(at.host, at.port)
        self.clients[name] = client
        return client

    def _place(self, name: str, bridge: int | str | None) -> tuple[str, At]:
        if bridge is None:
            rng = (
                random.Random(f"{self.seed} place of {name}")
                if self.seed is not None
                else random.SystemRandom()
            )
            chosen = self.bridges[int(rng.random() * len(self.bridges))]
            return chosen.name, chosen.at
        for public in self.publics:
            if public.name == bridge:
                return public.name, public.at
        found = self.bridge(bridge)
        return found.name, found.at

    def bridge(self, which: int | str) -> BridgeBroker:
        """A bridge broker by its number (1, 2, ...) or name. Raises `ConfigurationError`."""
        name = f"b{which}" if isinstance(which, int) else which
        for bridge in self.bridges:
            if bridge.name == name:
                return bridge
        raise ConfigurationError(f"there is no bridge broker {name!r}; there are b1 to b{len(self.bridges)}")

    async def publish(
        self,
        client: LightClient,
        topic: str,
        payload: bytes | str = b"",
        qos: int = 2,
        properties: Properties = NO_PROPERTIES,
    ) -> int:
        """Let a client publish to T_F/`topic`; gives the Reason Code. Raises as `LightClient.publish`."""
        return await client.publish(forwarding(topic), payload, qos, properties=properties)

    async def subscribe(self, client: LightClient, topic: str, qos: int = 2) -> int:
        """Let a client subscribe to T_F/`topic`; gives the granted QoS. Raises as `LightClient.subscribe`."""
        return (await client.subscribe(forwarding(topic), qos=qos))[0]

    def host(self, topic: str, public: int = 1) -> None:
        """Without discovery: enter a topic in S, hosted by public broker number `public`."""
        self.topics[topic] = self.publics[public - 1].at

    async def settled(self, quiet: float | None = None) -> None:
        """Wait until nothing has moved for `quiet` seconds; by default a few round trips."""
        if quiet is None:
            quiet = 0.2 if self.network is None else 1.0 + 4 * self._longest_rtt()
        before = -1
        while before != self.activity:
            before = self.activity
            await asyncio.sleep(quiet)

    def _longest_rtt(self) -> float:
        if isinstance(self._rtt, (int, float)):
            return float(self._rtt)
        return 0.4

    @property
    def activity(self) -> int:
        """What all bridge brokers have passed on so far."""
        return sum(bridge.activity for bridge in self.bridges)

    # What happens to it ------------------------------------------------------------------------

    async def kill(self, which: int | str) -> None:
        """A bridge broker or public broker crashes."""
        for public in self.publics:
            if public.name == which:
                await public.kill()
                return
        bridge = self.bridge(which)
        await bridge.kill()

    def at(self, seconds: float, what: Callable[[], Awaitable[Any] | None]) -> None:
        """Do something so many seconds from now, such as `lambda: net.kill("b3")`."""

        def due() -> None:
            result = what()
            if result is not None:
                task = asyncio.ensure_future(result)
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

        self._timers.append(asyncio.get_running_loop().call_later(seconds, due))

    # What was seen -----------------------------------------------------------------------------

    def seen(self, bridges: Iterable[int | str] | None = None) -> list[Seen]:
        """What some bridge brokers have seen, or all, in order: what these collaborators know."""
        chosen = self.bridges if bridges is None else [self.bridge(which) for which in bridges]
        return sorted((row for bridge in chosen for row in bridge.log), key=lambda row: row.number)

    def paths(self, direction: Direction | str = Direction.PUBLISH) -> list[Path]:
        """The paths of all messages, or of all subscriptions, put together from everybody's log."""
        rows = self.seen()
        if Direction(direction) is Direction.SUBSCRIBE:
            return subscribe_paths(rows)
        return publish_paths(rows)

    @property
    def complaints(self) -> list[str]:
        """What went wrong at the bridge brokers, in words."""
        return [complaint for bridge in self.bridges for complaint in bridge.complaints]

    def __repr__(self) -> str:
        return f"<network of {self._wanted} bridge brokers, {self.policies}>"
