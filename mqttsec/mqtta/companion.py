"""What stands beside a public broker and announces its topics: the public broker itself stays as it is.

"Public brokers unmodified" and "a public broker that meets a new topic announces it" (Buccafurri, III)
together mean an ordinary client of the broker that hears every topic and speaks for it:

    companion = Companion("c1", public=At("127.0.0.1", 1883), discovery=[At("127.0.0.1", 1900)])
    await companion.start()

It hears what is published, not who subscribes: a topic that is subscribed to first is announced by the
bridge broker at the end of the path.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from mqttsec.errors import ConfigurationError, MqttsecError, Refused
from mqttsec.mqtt5 import LightClient
from mqttsec.mqtta.discovery_client import DiscoveryClient
from mqttsec.mqtta.notices import At, check_announced_topic
from mqttsec.net import MemoryNetwork
from mqttsec.packets import MQTT_5, Publish, ReasonCode
from mqttsec.trace.events import Trace


class Companion:
    """Announces what it hears on a public broker.

    Args:
        name: Client Identifier at both brokers, in memory also the host.
        public: the public broker, whichever it is.
        discovery: the discovery brokers.
        topics: Topic Filter of what is announced.
        waiting_at_most: topics that wait to be announced; further ones wait for their next message.
        protocol: 5, or 4 for a public broker that speaks MQTT 3.1.1 only.
        retry: seconds until the next try, of a connection or of an announcement that was too many.
        grace: seconds without the public broker after which its topics are withdrawn.
        network, rng, trace: as of `DiscoveryClient`.

    """

    def __init__(
        self,
        name: str,
        public: At,
        discovery: Sequence[At],
        *,
        topics: str = "#",
        waiting_at_most: int = 10_000,
        protocol: int = MQTT_5,
        retry: float = 2.0,
        grace: float = 10.0,
        network: MemoryNetwork | None = None,
        rng: random.Random | None = None,
        trace: Trace | None = None,
    ) -> None:
        if not (retry > 0 and grace > 0 and waiting_at_most > 0):
            raise ConfigurationError("retry, grace and waiting_at_most must be above 0")
        self.name = name
        """Client Identifier."""
        self.public = public
        """The public broker."""
        self.announced: dict[str, At] = {}
        """The pair that stands for each topic that it heard; another broker's where that came first."""
        self.refused: dict[str, str] = {}
        """Topics that could not be announced, and why."""
        self._topics = topics
        self._most = waiting_at_most
        self._protocol = protocol
        self._retry = retry
        self._grace = grace
        self._network = network
        self._trace = trace
        self._discovery = DiscoveryClient(name, discovery, network=network, rng=rng, trace=trace)
        self._client: LightClient | None = None
        self._waiting: dict[str, None] = {}
        self._something = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> Companion:
        """Connect to both. Raises `ConnectionFailed` if either does not answer."""
        if self._tasks:
            raise ConfigurationError(f"{self.name} is at work already: stop() first")
        self._something = asyncio.Event()
        await self._discovery.start()
        try:
            await self._listen()
        except BaseException:
            await self._discovery.stop()
            raise
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._keep_listening()), loop.create_task(self._announce())]
        return self

    async def stop(self) -> None:
        """Go away; the pairs stand."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.disconnect()
        await self._discovery.stop()

    # The public broker ---------------------------------------------------------------------------

    async def _listen(self) -> None:
        client = LightClient(
            self.name, protocol=self._protocol, network=self._network, trace=self._trace,
            peer=self.public.host, on_message=self._on_message,
        )  # fmt: skip
        try:
            await client.connect(self.public.host, self.public.port)
            await client.subscribe(self._topics)
        except BaseException:
            client.abort()
            raise
        self._client = client

    async def _keep_listening(self) -> None:
        while True:
            assert self._client is not None
            await self._client.wait_closed()
            away = 0.0
            while not self._client.connected:
                try:
                    await self._listen()
                except MqttsecError:
                    if away < self._grace <= away + self._retry:
                        await self._withdraw_all()
                    away += self._retry
                    await asyncio.sleep(self._retry)

    async def _withdraw_all(self) -> None:
        """The public broker is gone: its topics may go to others, and are announced anew if it returns."""
        for topic, at in list(self.announced.items()):
            if at == self.public:
                try:
                    await self._discovery.withdraw(topic)
                except MqttsecError:
                    # No discovery broker either: bridge brokers find the public broker dead by themselves.
                    return
            self.announced.pop(topic, None)

    def _on_message(self, message: Publish) -> None:
        topic = message.topic
        if topic in self.announced or topic in self.refused or topic in self._waiting:
            return
        if len(self._waiting) < self._most:
            self._waiting[topic] = None
            self._something.set()

    # The discovery brokers -----------------------------------------------------------------------

    async def _announce(self) -> None:
        while True:
            while not self._waiting:
                self._something.clear()
                await self._something.wait()
            topic = next(iter(self._waiting))
            try:
                check_announced_topic(topic)
                self.announced[topic] = await self._discovery.announce(topic, self.public)
            except Refused as error:
                if error.reason_code == ReasonCode.QUOTA_EXCEEDED:
                    # Too fast, or the discovery broker is full: later.
                    await asyncio.sleep(self._retry)
                    continue
                self._refuse(topic, error)
            except MqttsecError as error:
                if not self._discovery.connected:
                    await asyncio.sleep(self._retry)
                    continue
                self._refuse(topic, error)
            self._waiting.pop(topic, None)

    def _refuse(self, topic: str, error: MqttsecError) -> None:
        if len(self.refused) < self._most:
            self.refused[topic] = str(error)

    def __repr__(self) -> str:
        return f"<companion {self.name} of {self.public}: {len(self.announced)} topics>"
