"""Scheme 4 over MQTT-A: one run of a station and its readers, by any of five ways, with all that was seen.

How Scheme 4 runs over an anonymity network, and why (`scheme_by_post` has the rest):

* Blocks 1 and 2 are the same messages, signatures and keys, but their carrier is PUBLISH. MQTT-A forwards
  nothing else: with an enhanced authentication in CONNECT a party would have to connect to B itself, and B
  would know its address.
* Scheme 4 authenticates by certificates, and a certificate bears a name. With real names everybody on the way
  reads them, the public broker as well. So each party has a certificate of the authority for a pseudonym.
"""

from __future__ import annotations

import asyncio
import random
from functools import partial

from mqttsec.crypto import Operations
from mqttsec.e2e import Party, Publisher, Role, Setup, Subscriber, decode
from mqttsec.e2e.company import START, authority, identity
from mqttsec.e2e.messages import BrokerAnswer, BrokerHello, ForwardedConfirm, GroupUpdate, SubscriberRequest
from mqttsec.e2e.setup import BROKER
from mqttsec.errors import MqttsecError
from mqttsec.labs.anonymous_systems import (
    PUBLIC,
    READERS,
    RTT_MS,
    SIGNING,
    STATION,
    STRANGER,
    TOPIC,
    Outcome,
    System,
)
from mqttsec.labs.scheme_by_post import TO_BROKER, TO_PARTY, Post, SchemeByPost
from mqttsec.mqtta.network import Network
from mqttsec.mqtta.policies import Policies
from mqttsec.mqtta.publics import OwnPublic
from mqttsec.mqtta.seen import Direction, Seen
from mqttsec.net import run_virtual
from mqttsec.trace.events import Trace


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
            token = f"{self.rng.getrandbits(64):016x}"
            posts[name] = Post(name, token, client, self.network if system.network else None)
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

    async def _without(self, posts: dict[str, Post]) -> None:
        for name in READERS:
            await posts[name].listen(TOPIC, partial(self._opened, name))
        for reading in self.outcome.readings:
            self._sent_at[reading] = self._loop.time()
            await posts[STATION].send(TOPIC, reading)
            await asyncio.sleep(1)
        if self.outcome.system.network:
            await self._attacked(TOPIC, self.outcome.readings[-1])

    async def _with_scheme(self, posts: dict[str, Post]) -> None:
        party = self.party(Role.B, BROKER)
        broker = SchemeByPost(party, await self.network.client("scheme-b", PUBLIC))
        await broker.client.subscribe(f"{TO_BROKER}/#", qos=1)
        station, names = posts[STATION], self.outcome.pseudonyms
        machine = Publisher(self.party(Role.P, names[STATION]))
        self.outcome.machines = {BROKER: broker.machine, STATION: machine}
        self.outcome.refused = broker.refused
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

    async def _join(self, machine: Publisher, station: Post, post: Post) -> None:
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

    def _keep_updating(self, post: Post, subscriber: Subscriber) -> None:
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
