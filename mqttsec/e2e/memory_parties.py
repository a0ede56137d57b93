"""The twins of `parties` on light clients: memory links and the virtual clock, or sockets by the hundred.

    publisher = await MemoryPublisher(alice, trust, setup, network=network).connect()
    subscriber = MemorySubscriber(bob, trust, setup, network=network)
    await subscriber.subscribe("alice", "weather/seattle")
    await publisher.publish("weather/seattle", "12.8")
    print((await subscriber.message()).message)

The same names and the same errors, to be awaited. Without `network` they go over TCP. A twin does not
connect again by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from mqttsec.crypto import Identity, Operations, TrustAnchor
from mqttsec.e2e.control import QOS
from mqttsec.e2e.ends import Posting, Stream
from mqttsec.e2e.faces import PATIENCE, TIMEOUT, PublisherFace, SubscriberFace
from mqttsec.e2e.setup import BROKER, Setup
from mqttsec.e2e.subscriber import Opened
from mqttsec.errors import MqttsecError
from mqttsec.mqtt5 import LightClient
from mqttsec.packets import NO_PROPERTIES, Connack, Properties, Publish
from mqttsec.trace.events import Trace

if TYPE_CHECKING:
    from mqttsec.net import LinkSettings, MemoryNetwork


class _Tasks:
    """What has to be done because of a message, while the client goes on."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, work: Callable[[], object]) -> None:
        """Do `work`, which gives an awaitable; a connection that ended meanwhile ends it."""

        async def finish() -> None:
            try:
                await work()  # type: ignore[misc]
            except MqttsecError:
                # The user's own call meets the same, and says so.
                pass

        task = asyncio.get_running_loop().create_task(finish())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class MemoryPublisher(PublisherFace):
    """P on a light client. Arguments as of `parties.Publisher`; `network` and `link` are of memory links."""

    def __init__(
        self,
        identity: Identity,
        trust: TrustAnchor,
        setup: Setup | None = None,
        *,
        host: str = "broker",
        port: int = 1883,
        broker: str = BROKER,
        serves: Callable[[str], bool] = lambda topic: True,
        operations: Operations | None = None,
        clock: Callable[[], float] = time.time,
        trace: Trace | None = None,
        network: MemoryNetwork | None = None,
        link: LinkSettings | None = None,
    ) -> None:
        super().__init__(
            identity,
            trust,
            setup,
            broker=broker,
            serves=serves,
            operations=operations,
            clock=clock,
            trace=trace,
        )
        self.client = LightClient(
            self.name, authenticator=self.end, network=network, trace=trace, on_message=self._on_message
        )
        """The light client."""
        self._where = host, port
        self._link = link
        self._tasks = _Tasks()

    async def connect(self, clean_start: bool = True) -> MemoryPublisher:
        """Block 1. `clean_start=False` after a break: its subscribers stay. Raises as `parties.Publisher`."""
        await self.client.connect(*self._where, clean_start=clean_start, link=self._link)
        return self

    async def publish(self, topic: str, message: bytes | str, qos: int = 1) -> int:
        """Protect a message and publish it; returns how many packets it took: 0 while nobody has asked."""
        sent = self._protect(topic, message)
        await asyncio.gather(*(self.client.publish(wire, payload, qos) for wire, payload in sent))
        return len(sent)

    async def expel(self, topic: str, subscriber: str) -> None:
        """Serve a subscriber no longer."""
        await self._post(self.end.expel(topic, subscriber))

    async def close(self) -> None:
        """Disconnect."""
        await self.client.disconnect()

    async def _post(self, postings: list[Posting]) -> None:
        await asyncio.gather(
            *(
                self.client.publish(each.topic, each.payload, QOS, properties=each.properties)
                for each in postings
            )
        )

    def _on_message(self, message: Publish) -> None:
        postings = self.end.on_control(message.payload, message.properties)
        if postings:
            self._tasks.run(lambda: self._post(postings))


class MemorySubscriber(SubscriberFace):
    """S on a light client. Arguments as of `parties.Subscriber`; `network` and `link` are of memory links."""

    def __init__(
        self,
        identity: Identity,
        trust: TrustAnchor,
        setup: Setup | None = None,
        *,
        host: str = "broker",
        port: int = 1883,
        broker: str = BROKER,
        session_expiry: int = 0,
        operations: Operations | None = None,
        clock: Callable[[], float] = time.time,
        trace: Trace | None = None,
        network: MemoryNetwork | None = None,
        link: LinkSettings | None = None,
        on_opened: Callable[[Opened], None] | None = None,
    ) -> None:
        super().__init__(
            identity,
            trust,
            setup,
            broker=broker,
            operations=operations,
            clock=clock,
            trace=trace,
            on_opened=on_opened,
        )
        about = Properties(session_expiry_interval=session_expiry) if session_expiry else NO_PROPERTIES
        self.client = LightClient(
            self.name,
            authenticator=self.end,
            network=network,
            trace=trace,
            properties=about,
            on_message=self._on_message,
            timeout=PATIENCE,
        )
        """The light client."""
        self._where = host, port
        self._link = link
        self._inbox: asyncio.Queue[Opened] = asyncio.Queue()
        self._turn = asyncio.Lock()
        self._tasks = _Tasks()

    # What is wanted ----------------------------------------------------------------------------

    async def subscribe(self, publisher: str, topic: str, qos: int = 1) -> None:
        """Block 2 for a topic of a publisher, then SUBSCRIBE. Raises as `parties.Subscriber`."""
        stream = publisher, topic
        self.end.want(stream, qos)
        try:
            async with self._turn:
                # Somebody else's turn may have seen to it.
                if stream in self.end.due:
                    await self._shake_hands()
        except BaseException:
            self.end.unwant(stream)
            raise

    async def _shake_hands(self, clean_start: bool = True) -> Connack | None:
        """The handshakes that are due; each is followed by its SUBSCRIBE."""
        connack = None
        while self.end.due:
            if self.client.connected:
                await self.client.reauthenticate()
            else:
                connack = await self.client.connect(*self._where, clean_start=clean_start, link=self._link)
            joined = self.end.joined
            assert joined is not None, "the handshake has ended well"
            await self.client.subscribe(self.end.topic_filter(joined), qos=self.end.wanted.get(joined, QOS))
            self._tell(self.end.held())
        return connack

    async def unsubscribe(self, publisher: str, topic: str) -> None:
        """Leave a topic: the broker and the publisher are told, the keys go."""
        stream: Stream = (publisher, topic)
        await self.client.unsubscribe(self.end.topic_filter(stream))
        self.end.unwant(stream)

    async def disconnect(self) -> None:
        """Go away. With a `session_expiry` the place is kept; `reconnect` comes back."""
        await self.client.disconnect()
        self.end.lost()

    async def reconnect(self) -> Connack | None:
        """Come back: all handshakes anew; what has waited comes. Raises as `subscribe`."""
        async with self._turn:
            self.end.lost()
            return await self._shake_hands(clean_start=False)

    async def close(self) -> None:
        """Disconnect."""
        await self.client.disconnect()

    # What comes --------------------------------------------------------------------------------

    async def message(self, timeout: float = TIMEOUT) -> Opened:
        """The next message, in plain. Raises `TimedOut`."""
        try:
            return await asyncio.wait_for(self._inbox.get(), timeout)
        except (asyncio.TimeoutError, TimeoutError):
            raise self._in_vain(timeout, "a message that it can read") from None

    def _on_message(self, message: Publish) -> None:
        self._tell(self.end.take(message.topic, message.payload, message.properties))
        if self.end.due and not self._turn.locked():
            self._tasks.run(self._renew)

    async def _renew(self) -> None:
        async with self._turn:
            await self._shake_hands()

    def _tell(self, opened: list[Opened]) -> None:
        for each in opened:
            self._inbox.put_nowait(each)
        self._show(opened)
