"""Scheme 4 over MQTT-A: one run of a station and its readers, by any of five ways, with all that was seen.

How Scheme 4 runs over an anonymity network, and why:

* B is a client beside the public broker, so that any broker will do there. It takes Blocks 1 and 2 and every
  message, and gives what Scheme 4 gives: it checks K_PB's tag, makes GK_B's, never encrypts or decrypts.
* Blocks 1 and 2 are the same messages, signatures and keys, but their carrier is PUBLISH. MQTT-A forwards
  nothing else: with an enhanced authentication in CONNECT a party would have to connect to B itself, and B
  would know its address.
* What is meant for a party goes to `scheme4/to/<token>`, a topic that the party drew at random and has
  subscribed to through the network. So B answers without knowing whom.
* Scheme 4 authenticates by certificates, and a certificate bears a name. With real names everybody on the way
  reads them, the public broker as well. So each party has a certificate of the authority for a pseudonym.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from mqttsec.crypto import Operations
from mqttsec.e2e import Broker as SchemeBroker
from mqttsec.e2e import Party, Publisher, Role, Setup, Subscriber, Ticket, decode
from mqttsec.e2e.company import START, authority, identity
from mqttsec.e2e.messages import (
    BrokerAnswer,
    BrokerHello,
    ForwardedConfirm,
    GroupUpdate,
    PublisherAnswer,
    PublisherConfirm,
    PublisherHello,
    SubscriberConfirm,
    SubscriberRequest,
)
from mqttsec.e2e.setup import BROKER
from mqttsec.errors import MqttsecError
from mqttsec.mqtt5 import LightClient
from mqttsec.mqtta.network import Network
from mqttsec.mqtta.policies import Policies
from mqttsec.mqtta.publics import OwnPublic
from mqttsec.mqtta.seen import Direction, Seen
from mqttsec.mqtta.topics import read_forwarding
from mqttsec.net import run_virtual
from mqttsec.packets import Publish
from mqttsec.trace.events import Event, Trace

STATION, READERS = "station", ("dashboard", "logger")
"""Who publishes and who reads: their Client Identifiers, which are their real names."""
TO_BROKER, TO_PARTY = "scheme4/b", "scheme4/to"
"""Where B listens, and where parties do."""
PUBLIC, STRANGER = "public1", "stranger"
"""The public broker, and somebody who subscribes to everything there."""
TOPIC = "g/weather"
"""What is published; it says nothing about the station's place."""
SIGNING = "Ed25519"
RTT_MS = 55.0
"""Round-trip time between any two brokers, ms."""
ATTACKS = ("changed", "replay")
"""What somebody on the way may do."""


@dataclass(frozen=True)
class System:
    """One way to send readings."""

    name: str
    """For tables."""
    scheme: bool
    """With Scheme 4 around the messages."""
    network: bool
    """Through MQTT-A; else parties are clients of the public broker."""
    pseudonyms: bool = False
    """Certificates for pseudonyms."""


PLAIN = System("plain MQTT", False, False)
SCHEME = System("Scheme 4", True, False)
ANONYMOUS = System("MQTT-A", False, True)
NAMED = System("Scheme 4 over MQTT-A, real names", True, True)
COMBINED = System("Scheme 4 over MQTT-A, pseudonyms", True, True, True)
SYSTEMS = (PLAIN, SCHEME, ANONYMOUS, NAMED, COMBINED)


@dataclass
class Outcome:
    """What a run leaves behind."""

    system: System
    """The way."""
    readings: tuple[bytes, ...]
    """What the station sent, in plain."""
    opened: dict[str, list[bytes]] = field(default_factory=dict)
    """What each reader has, by its real name."""
    pseudonyms: dict[str, str] = field(default_factory=dict)
    """The name in the certificate of each party, by its real name."""
    bridges: tuple[str, ...] = ()
    """The bridge brokers."""
    homes: dict[str, str] = field(default_factory=dict)
    """The bridge broker of each party, by its real name; empty without a network."""
    views: dict[str, tuple[Event, ...]] = field(default_factory=dict)
    """What each bridge broker, the public broker and the stranger saw: their own packets, and no others."""
    machines: dict[str, object] = field(default_factory=dict)
    """The machine of each party and of B, by name, whose memory can be searched for keys."""
    setup: Setup | None = None
    """Of Scheme 4."""
    refused: list[str] = field(default_factory=list)
    """What B, or a reader, did not believe."""
    last: tuple[Seen, ...] = ()
    """The rows of all bridge brokers about the last message, there and back."""
    latencies_ms: list[float] = field(default_factory=list)
    """Milliseconds of virtual time from the station to each reader, of each reading."""


class _Post:
    """How one party sends and what comes to it, through the network or straight."""

    def __init__(self, run: _Run, name: str, client: LightClient, through: bool) -> None:
        self.name = name
        self.token = f"{run.rng.getrandbits(64):016x}"
        self._run = run
        self._client = client
        self._through = through
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._on_topic: dict[str, Callable[[bytes], None]] = {}
        client.on_message = self._arrived

    def _arrived(self, message: Publish) -> None:
        topic = read_forwarding(message.topic).actual if self._through else message.topic
        if topic == f"{TO_PARTY}/{self.token}":
            self.inbox.put_nowait(message.payload)
        elif topic in self._on_topic:
            self._on_topic[topic](message.payload)

    async def send(self, topic: str, payload: bytes) -> None:
        """Publish at QoS 1."""
        if self._through:
            await self._run.network.publish(self._client, topic, payload, 1)
        else:
            await self._client.publish(topic, payload, qos=1)

    async def listen(self, topic: str, on_payload: Callable[[bytes], None] | None = None) -> None:
        """Subscribe at QoS 1."""
        if on_payload is not None:
            self._on_topic[topic] = on_payload
        if self._through:
            await self._run.network.subscribe(self._client, topic, 1)
        else:
            await self._client.subscribe(topic, qos=1)

    async def to_broker(self, kind: str, payload: bytes) -> None:
        """To B; the token says where the answer goes."""
        await self.send(f"{TO_BROKER}/{kind}/{self.token}", payload)

    async def answer(self) -> bytes:
        """What comes next to this party's own topic."""
        return await asyncio.wait_for(self.inbox.get(), 60)


class _SchemeBroker:
    """B: a client of the public broker with the machine of Scheme 4."""

    def __init__(self, run: _Run, client: LightClient) -> None:
        self.machine = SchemeBroker(run.party(Role.B, BROKER))
        self.client = client
        """Its connection to the public broker."""
        self._run = run
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
            self._run.outcome.refused.append(f"B refused a {kind}: {error}")
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


def _now(loop: asyncio.AbstractEventLoop) -> float:
    return START + loop.time()


class _Run:
    """The parties of one run."""

    def __init__(self, system: System, readings: tuple[bytes, ...], network: Network, seed: int) -> None:
        self.network = network
        self.rng = random.Random(f"post {seed}")
        self.outcome = Outcome(system, readings, setup=Setup(4))
        names = {name: f"p-{self.rng.getrandbits(32):08x}" for name in (STATION, *READERS)}
        self.outcome.pseudonyms = names if system.pseudonyms else {name: name for name in names}
        self._loop = asyncio.get_running_loop()
        self._sent_at: dict[bytes, float] = {}
        self._updates: list[asyncio.Task[None]] = []
        self.attack = ""
        """One of `ATTACKS`, or nothing."""

    def party(self, role: Role, name: str) -> Party:
        """Somebody with a certificate of the authority."""
        assert self.outcome.setup is not None
        return Party(
            role,
            identity(name, SIGNING),
            authority(SIGNING).trust,
            self.outcome.setup,
            # No function of this run: whoever searches a party's memory for keys would find everybody's.
            partial(_now, self._loop),
            Operations(name),
        )

    async def go(self) -> Outcome:
        """Everybody comes, the readings go."""
        outcome, system = self.outcome, self.outcome.system
        posts = {}
        for name, place in self._places().items():
            client = await self.network.client(name, bridge=place)
            posts[name] = _Post(self, name, client, system.network)
            if system.network:
                outcome.homes[name] = place
        if system.scheme:
            await self._with_scheme(posts)
        else:
            await self._without(posts)
        await asyncio.sleep(20)
        for task in self._updates:
            task.cancel()
        return outcome

    def _places(self) -> dict[str, str]:
        """The broker of each party: bridge brokers far from each other, or all at the public broker."""
        names = [STATION, *READERS]
        if not self.outcome.system.network:
            return dict.fromkeys(names, PUBLIC)
        last = len(self.network.bridges) - 1
        return {name: f"b{1 + number * last // (len(names) - 1)}" for number, name in enumerate(names)}

    def _opened(self, name: str, reading: bytes) -> None:
        self.outcome.opened.setdefault(name, []).append(reading)
        if reading in self._sent_at:
            self.outcome.latencies_ms.append(1000 * (self._loop.time() - self._sent_at[reading]))

    async def _without(self, posts: dict[str, _Post]) -> None:
        for name in READERS:
            await posts[name].listen(TOPIC, partial(self._opened, name))
        for reading in self.outcome.readings:
            self._sent_at[reading] = self._loop.time()
            await posts[STATION].send(TOPIC, reading)
            await asyncio.sleep(1)
        if self.outcome.system.network:
            await self._attacked(TOPIC, self.outcome.readings[-1])

    async def _with_scheme(self, posts: dict[str, _Post]) -> None:
        broker = _SchemeBroker(self, await self.network.client("scheme-b", PUBLIC))
        await broker.client.subscribe(f"{TO_BROKER}/#", qos=1)
        station, names = posts[STATION], self.outcome.pseudonyms
        machine = Publisher(self.party(Role.P, names[STATION]))
        self.outcome.machines = {BROKER: broker.machine, STATION: machine}
        for post in posts.values():
            await post.listen(f"{TO_PARTY}/{post.token}")
        # Block 1.
        await station.to_broker("hello", machine.hello().encode())
        confirm = machine.welcomed(decode(await station.answer(), BrokerHello))
        await station.to_broker("confirm", b"" if confirm is None else confirm.encode())
        for name in READERS:
            await self._join(machine, station, posts[name])
        # Block 3.
        payload = b""
        for reading in self.outcome.readings:
            self._sent_at[reading] = self._loop.time()
            for _, payload in machine.protect(TOPIC, reading):
                await station.to_broker("data", payload)
            await asyncio.sleep(1)
        if self.attack == "changed":
            # One more message, which the attacker keeps from its way and changes.
            payload = machine.protect(TOPIC, self.outcome.readings[-1])[0][1]
        await self._attacked(f"{TO_BROKER}/data/{station.token}", payload)

    async def _attacked(self, topic: str, payload: bytes) -> None:
        """What somebody on the way makes of a message, sent in the place of it."""
        if self.attack:
            at = len(payload) // 2
            changed = payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]
            mallory = await self.network.client("mallory", f"b{len(self.network.bridges) // 2}")
            await self.network.publish(mallory, topic, changed if self.attack == "changed" else payload, 1)

    async def _join(self, machine: Publisher, station: _Post, post: _Post) -> None:
        """Block 2 for one reader."""
        names = self.outcome.pseudonyms
        subscriber = Subscriber(self.party(Role.S, names[post.name]))
        self.outcome.machines[post.name] = subscriber
        await post.to_broker("request", subscriber.request(names[STATION], TOPIC).encode())
        asked = await station.answer()
        correlation, request = asked[1 : 1 + asked[0]], asked[1 + asked[0] :]
        answer = machine.asked(correlation, decode(request, SubscriberRequest))
        await station.to_broker("answer", bytes([len(correlation)]) + correlation + answer.encode())
        confirm = subscriber.accepted(decode(await post.answer(), BrokerAnswer))

        def take(payload: bytes) -> None:
            try:
                opened = subscriber.open(TOPIC, payload)
            except MqttsecError as error:
                self.outcome.refused.append(f"{post.name} refused: {error}")
            else:
                self._opened(post.name, opened.message)

        await post.listen(TOPIC, take)
        await post.to_broker("joined", b"" if confirm is None else confirm.encode())
        if confirm is not None:
            forwarded = await station.answer()
            number = forwarded[1 : 1 + forwarded[0]]
            machine.confirmed(number, decode(forwarded[1 + forwarded[0] :], ForwardedConfirm))
        self._keep_updating(post, subscriber)

    def _keep_updating(self, post: _Post, subscriber: Subscriber) -> None:
        """New group keys, when somebody joins or leaves later."""

        async def keep() -> None:
            while True:
                subscriber.update(decode(await post.inbox.get(), GroupUpdate))

        self._updates.append(self._loop.create_task(keep()))


def _last_message(rows: list[Seen]) -> tuple[Seen, ...]:
    """The rows of the last message there, and of all that came of it on the way back."""
    there = [row for row in rows if row.direction is Direction.PUBLISH]
    if not there:
        return ()
    last = [row for row in there if row.key == there[-1].key]
    back = [row for row in rows if row.direction is Direction.DELIVER and row.number > last[0].number]
    return (*last, *back)


def send_readings(
    system: System,
    readings: tuple[bytes, ...],
    bridges: int = 8,
    p_f: float = 0.67,
    seed: int = 7,
    attack: str = "",
) -> Outcome:
    """Let the station send `readings` by one way, under the virtual clock, and return all that was seen.

    `attack`: what a broker on the way does at the end: `changed` (one bit of one more message), `replay` (the
    last message once more); "" nothing.
    """

    async def main() -> Outcome:
        loop = asyncio.get_running_loop()
        policies = Policies.mended(p_f=p_f)
        network = Network(bridges=bridges, policies=policies, rtt=RTT_MS / 1000, seed=seed)
        async with network:
            traces = {bridge.name: Trace(loop.time) for bridge in network.bridges}
            for bridge in network.bridges:
                bridge.broker.trace = traces[bridge.name]
            public = network.publics[0]
            assert isinstance(public, OwnPublic) and public.broker is not None
            traces[PUBLIC] = public.broker.trace = Trace(loop.time)
            traces[STRANGER] = Trace(loop.time)
            stranger = await network.client(STRANGER, PUBLIC, trace=traces[STRANGER])
            await stranger.subscribe("#", qos=1)
            run = _Run(system, readings, network, seed)
            run.attack = attack
            outcome = await run.go()
            outcome.bridges = tuple(bridge.name for bridge in network.bridges)
            outcome.last = _last_message(network.seen())
            outcome.views = {name: trace.events for name, trace in traces.items()}
        return outcome

    return run_virtual(main())
