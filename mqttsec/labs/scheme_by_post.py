"""Scheme 4 by post: how a party sends through an anonymity network, and B as a client of the public broker.

* B is a client beside the public broker, so that any broker will do there. It takes Blocks 1 and 2 and every
  message, and gives what Scheme 4 gives: it checks K_PB's tag, makes GK_B's, never encrypts or decrypts.
* What is meant for a party goes to `scheme4/to/<token>`, a topic that the party drew at random and has
  subscribed to through the network. So B answers without knowing whom.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mqttsec.e2e import Broker as SchemeBroker
from mqttsec.e2e import Party, Ticket, decode
from mqttsec.e2e.messages import (
    PublisherAnswer,
    PublisherConfirm,
    PublisherHello,
    SubscriberConfirm,
    SubscriberRequest,
)
from mqttsec.errors import MqttsecError
from mqttsec.labs.anonymous_systems import TOPIC
from mqttsec.mqtt5 import LightClient
from mqttsec.mqtta.network import Network
from mqttsec.mqtta.topics import read_forwarding
from mqttsec.packets import Publish

TO_BROKER, TO_PARTY = "scheme4/b", "scheme4/to"
"""Where B listens, and where parties do."""


class Post:
    """How one party sends and what comes to it: through an anonymity network, or straight (`None`)."""

    def __init__(self, name: str, token: str, client: LightClient, network: Network | None) -> None:
        self.name = name
        """Whose."""
        self.token = token
        """What the party drew at random for its own topic."""
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()
        """What came to that topic."""
        self._client = client
        self._network = network
        self._on_topic: dict[str, Callable[[bytes], None]] = {}
        client.on_message = self._arrived

    def _arrived(self, message: Publish) -> None:
        topic = read_forwarding(message.topic).actual if self._network else message.topic
        if topic == f"{TO_PARTY}/{self.token}":
            self.inbox.put_nowait(message.payload)
        elif topic in self._on_topic:
            self._on_topic[topic](message.payload)

    async def send(self, topic: str, payload: bytes) -> None:
        """Publish at QoS 1."""
        if self._network is not None:
            await self._network.publish(self._client, topic, payload, 1)
        else:
            await self._client.publish(topic, payload, qos=1)

    async def listen(self, topic: str, on_payload: Callable[[bytes], None] | None = None) -> None:
        """Subscribe at QoS 1."""
        if on_payload is not None:
            self._on_topic[topic] = on_payload
        if self._network is not None:
            await self._network.subscribe(self._client, topic, 1)
        else:
            await self._client.subscribe(topic, qos=1)

    async def to_broker(self, kind: str, payload: bytes) -> None:
        """To B; the token says where the answer goes."""
        await self.send(f"{TO_BROKER}/{kind}/{self.token}", payload)

    async def answer(self) -> bytes:
        """What comes next to this party's own topic."""
        return await asyncio.wait_for(self.inbox.get(), 60)


class SchemeByPost:
    """B: a client of the public broker with the machine of Scheme 4."""

    def __init__(self, party: Party, client: LightClient) -> None:
        self.machine = SchemeBroker(party)
        """What checks, tags and remembers."""
        self.client = client
        """Its connection to the public broker."""
        self.refused: list[str] = []
        """What it did not believe."""
        self._names: dict[str, str] = {}
        self._tokens: dict[str, str] = {}
        self._tickets: dict[str, Ticket] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        client.on_message = self._arrived

    def _arrived(self, message: Publish) -> None:
        _, _, kind, token = message.topic.split("/", 3)
        try:
            sent = getattr(self, f"_on_{kind}")(token, message.payload)
        except MqttsecError as error:
            self.refused.append(f"B refused a {kind}: {error}")
            return
        for topic, payload in sent:
            task = asyncio.get_running_loop().create_task(self._send(topic, payload))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, topic: str, payload: bytes) -> None:
        await self.client.publish(topic, payload, qos=1)

    def _to(self, name: str, payload: bytes) -> tuple[str, bytes]:
        return f"{TO_PARTY}/{self._tokens[name]}", payload

    def _on_hello(self, token: str, payload: bytes) -> list[tuple[str, bytes]]:
        """Steps 1 to 3."""
        hello = decode(payload, PublisherHello)
        self._meet(hello.publisher, token)
        self._welcome = self.machine.welcome(hello.publisher, hello)
        return [self._to(hello.publisher, self._welcome.reply.encode())]

    def _on_confirm(self, token: str, payload: bytes) -> list[tuple[str, bytes]]:
        """Step 16."""
        self.machine.enter(self._welcome, decode(payload, PublisherConfirm) if payload else None)
        return []

    def _on_request(self, token: str, payload: bytes) -> list[tuple[str, bytes]]:
        """Steps 5 to 7; the ticket's number travels in front of the signed request."""
        request = decode(payload, SubscriberRequest)
        self._meet(request.subscriber, token)
        ticket = self.machine.request(request.subscriber, request)
        self._tickets[token] = ticket
        asked = self.machine.asked(ticket).encode()
        return [self._to(request.publisher, bytes([len(ticket.correlation)]) + ticket.correlation + asked)]

    def _on_answer(self, token: str, payload: bytes) -> list[tuple[str, bytes]]:
        """Steps 13 and 14."""
        correlation, rest = payload[1 : 1 + payload[0]], payload[1 + payload[0] :]
        publisher = self._names[token]
        ticket = self.machine.answered(publisher, correlation, decode(rest, PublisherAnswer))
        return [self._to(ticket.client_id, self.machine.accept(ticket).encode())]

    def _on_joined(self, token: str, payload: bytes) -> list[tuple[str, bytes]]:
        """Steps 18 and 19, and the group keys of those who were there before."""
        ticket = self._tickets[token]
        joined = self.machine.join(ticket, decode(payload, SubscriberConfirm) if payload else None)
        sent = [self._to(ticket.client_id, update.encode()) for update in joined.updates]
        if joined.forwarded is not None:
            number = bytes([len(ticket.correlation)]) + ticket.correlation
            sent.append(self._to(ticket.publisher, number + joined.forwarded.encode()))
        return sent

    def _on_data(self, token: str, payload: bytes) -> list[tuple[str, bytes]]:
        """Block 3: check K_PB's tag, make GK_B's once; the same bytes go to all."""
        publisher = self._names[token]
        routed = self.machine.inbound(publisher, TOPIC, payload)
        member = self.machine.members(publisher, TOPIC)[0]
        return [(TOPIC, self.machine.outbound(member, TOPIC, routed, {}))]

    def _meet(self, name: str, token: str) -> None:
        self._names[token], self._tokens[name] = name, token
