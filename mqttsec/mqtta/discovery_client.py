"""A bridge broker among discovery brokers: join, take the sets, hear news, announce (Buccafurri, III).

    client = DiscoveryClient("b1", [At("d1", 1883), At("d2", 1883)], network=network, rng=rng)
    await client.start(own=At("b1", 1883))
    client.peers, client.topics

It chooses one discovery broker at random. If that one is lost it chooses another, takes the sets again and
announces itself again, so that whoever was told that it had left learns that it has not.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

from mqttsec.errors import ConfigurationError, ConnectionFailed, MqttsecError, TimedOut
from mqttsec.mqtt5 import LightClient
from mqttsec.mqtta.discovery import PEERS, SUBJECTS, TOPICS, Subject
from mqttsec.mqtta.notices import At, Entry, Notice, PairSet, Part, part_topic, read_entry
from mqttsec.net import MemoryNetwork
from mqttsec.packets import Publish
from mqttsec.trace.events import Trace

TopicNews = Callable[[str, "At | None"], None]
"""Called with a topic and the public broker that hosts it from now on; None: none does any more."""
PeerNews = Callable[[At, bool], None]
"""Called with a bridge broker and whether it is there."""


class DiscoveryClient:
    """The place of one bridge broker (or companion) among the discovery brokers.

    Args:
        name: Client Identifier, in memory also the host.
        discovery: the discovery brokers that it knows of, at least one.
        network: memory links; None: TCP.
        rng: chooses the discovery broker.
        on_topic, on_peer: called at every change, on the loop; they must not raise.
        retry: seconds until the next try when no discovery broker answers.
        patience: seconds for which `start` and an announcement wait.
        trace: where events are recorded.

    Raises:
        ConfigurationError: for an empty list.

    """

    def __init__(
        self,
        name: str,
        discovery: Sequence[At],
        *,
        network: MemoryNetwork | None = None,
        rng: random.Random | None = None,
        on_topic: TopicNews | None = None,
        on_peer: PeerNews | None = None,
        retry: float = 2.0,
        patience: float = 30.0,
        trace: Trace | None = None,
    ) -> None:
        if not discovery:
            raise ConfigurationError(f"{name}: give the address of one discovery broker at least")
        self.name = name
        """Client Identifier."""
        self.chosen: At | None = None
        """The discovery broker that it is connected to."""
        self.own: At | None = None
        """The bridge broker's own address, which it announces."""
        self.on_topic = on_topic
        """Called when a topic gets another public broker."""
        self.on_peer = on_peer
        """Called when a bridge broker comes or goes."""
        self._discovery = tuple(discovery)
        self._network = network
        self._rng = rng or random.SystemRandom()
        self._retry = retry
        self._patience = patience
        self._trace = trace
        self._sets = {subject.name: PairSet() for subject in SUBJECTS}
        self._peers: tuple[At, ...] | None = None
        self._parts: dict[str, int] = {}
        self._had: set[str] = set()
        self._complete: asyncio.Future[None] | None = None
        self._client: LightClient | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._announced: dict[str, At] = {}

    # What is known -----------------------------------------------------------------------------

    @property
    def topics(self) -> dict[str, At]:
        """S: the public broker of each topic."""
        return self._sets[TOPICS.name].pairs()

    def public_broker(self, topic: str) -> At | None:
        """The public broker of a topic, if one is known."""
        return self._sets[TOPICS.name].value(topic)

    @property
    def peers(self) -> tuple[At, ...]:
        """S': the other bridge brokers, in the order of their addresses."""
        if self._peers is None:
            pairs = self._sets[PEERS.name].pairs().values()
            self._peers = tuple(sorted(at for at in pairs if at != self.own))
        return self._peers

    @property
    def connected(self) -> bool:
        """True while a discovery broker answers; the sets stay as they are while none does."""
        return self._client is not None and self._client.connected

    # Joining and leaving -------------------------------------------------------------------------

    async def start(self, own: At | None = None) -> DiscoveryClient:
        """Join: take the sets from a random discovery broker and, with `own`, announce oneself.

        Raises `ConnectionFailed` if none of the discovery brokers answers, `Refused` if the announcement is
        not wanted.
        """
        if self._keeper is not None:
            raise ConfigurationError(f"{self.name} has joined already: stop() first")
        self.own = own
        await self._join()
        self._keeper = asyncio.get_running_loop().create_task(self._keep())
        return self

    async def stop(self) -> None:
        """Leave; the discovery broker sees the session end and tells the others."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        client, self._client = self._client, None
        if client is not None:
            await client.disconnect()
        self.chosen = None

    async def _keep(self) -> None:
        """Find another discovery broker whenever one is lost."""
        while True:
            assert self._client is not None
            await self._client.wait_closed()
            while not self.connected:
                try:
                    await self._join()
                except MqttsecError:
                    await asyncio.sleep(self._retry)

    async def _join(self) -> None:
        failure: MqttsecError | None = None
        for at in self._rng.sample(self._discovery, len(self._discovery)):
            client = LightClient(
                self.name, network=self._network, trace=self._trace, peer=at.host,
                on_message=self._on_message, timeout=self._patience,
            )  # fmt: skip
            try:
                await client.connect(at.host, at.port)
                await self._take_sets(client)
                self._client, self.chosen = client, at
                await self._introduce(client)
                return
            except (ConnectionFailed, TimedOut) as error:
                failure = error
                client.abort()
            except BaseException:
                client.abort()
                raise
        names = ", ".join(map(str, self._discovery))
        raise ConnectionFailed(f"{self.name}: no discovery broker answers ({names}): {failure}")

    async def _take_sets(self, client: LightClient) -> None:
        """Subscribe to T_S and T_S', take what is retained, unsubscribe; T_N and T_N' stay."""
        self._parts, self._had = {}, set()
        complete = self._complete = asyncio.get_running_loop().create_future()
        sets = [f"{subject.retained}/#" for subject in SUBJECTS]
        try:
            # One SUBSCRIBE for all four, so that no notice falls between the set and the news.
            await client.subscribe(*(subject.new for subject in SUBJECTS), *sets, qos=1)
            await asyncio.wait_for(complete, self._patience)
        except (asyncio.TimeoutError, TimeoutError):
            raise TimedOut(f"{self.name} got no retained sets; is that a discovery broker?") from None
        finally:
            self._complete = None
        await client.unsubscribe(*sets)

    async def _introduce(self, client: LightClient) -> None:
        if self.own is not None:
            notice = Notice(str(self.own), self.own)
            await client.publish(PEERS.new, notice.payload(), qos=1)
        for topic, at in sorted(self._announced.items()):
            # The last discovery broker may have gone before it could tell anybody.
            if self.public_broker(topic) is None:
                await client.publish(TOPICS.new, Notice(topic, at).payload(), qos=1)

    # Announcing ----------------------------------------------------------------------------------

    async def announce(self, topic: str, at: At) -> At:
        """Announce that a public broker hosts a topic; returns the one that stands: the first pair wins.

        Raises `Refused` (0x97 too many or too fast, 0x99 no topic that can be, 0x87 not allowed), or
        `ConnectionFailed` without a discovery broker.
        """
        known = self.public_broker(topic)
        if known is not None:
            return known
        client = self._require_client()
        self._announced[topic] = at
        try:
            await client.publish(TOPICS.new, Notice(topic, at).payload(), qos=1)
        except MqttsecError:
            self._announced.pop(topic, None)
            raise
        # The broker tells the pair that stands before it acknowledges, on the same connection.
        return self.public_broker(topic) or at

    async def withdraw(self, topic: str) -> None:
        """Take back a pair that this client announced. Raises as `announce`."""
        at = self._announced.pop(topic, None)
        if at is not None:
            await self._require_client().publish(TOPICS.new, Notice(topic, at, False).payload(), qos=1)

    def _require_client(self) -> LightClient:
        if self._client is None:
            raise ConnectionFailed(f"{self.name} has not joined: await start() first")
        return self._client

    # What comes ----------------------------------------------------------------------------------

    def _on_message(self, message: Publish) -> None:
        subject = next(each for each in SUBJECTS if each.name == message.topic.split("/")[2])
        try:
            if message.topic == subject.new:
                self._learn(subject, read_entry(message.payload))
            else:
                self._take_part(subject, message.topic, Part.read(message.payload))
        except MqttsecError:
            # A discovery broker that says what cannot be: nothing is believed of it.
            pass

    def _take_part(self, subject: Subject, topic: str, part: Part) -> None:
        if topic == subject.retained:
            self._parts[subject.name] = part.parts
        self._had.add(topic)
        for entry in part.entries:
            self._learn(subject, entry)
        if self._complete is not None and not self._complete.done() and all(map(self._has_all, SUBJECTS)):
            self._complete.set_result(None)

    def _has_all(self, subject: Subject) -> bool:
        parts = self._parts.get(subject.name, 0)
        return parts > 0 and all(part_topic(subject.retained, number) in self._had for number in range(parts))

    def _learn(self, subject: Subject, entry: Entry) -> None:
        known = self._sets[subject.name]
        before = known.value(entry.key)
        if not known.merge(entry) or known.value(entry.key) == before:
            return
        if subject is TOPICS:
            if self.on_topic is not None:
                self.on_topic(entry.key, entry.value)
        elif self.own is None or entry.key != str(self.own):
            self._peers = None
            at = entry.value or before
            if self.on_peer is not None and at is not None:
                self.on_peer(at, entry.value is not None)
        elif entry.value is None:
            # Somebody lost sight of this very broker: it is there, and says so.
            asyncio.get_running_loop().create_task(self._say_again())

    async def _say_again(self) -> None:
        client = self._client
        if client is not None and client.connected and self._keeper is not None:
            try:
                await self._introduce(client)
            except MqttsecError:
                pass

    def __repr__(self) -> str:
        return f"<discovery client {self.name} at {self.chosen}>"
