"""A bridge broker: our MQTT broker with the forwarding network plugged into its hooks (Buccafurri et al.).

Its clients use it as any broker; what they publish and subscribe to under T_F goes through the network. The
broker itself knows nothing of that: this is an extension that relays T_F (`mqttsec.mqtt5.hooks.Relay`).
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable

from mqttsec.errors import ConfigurationError, MqttsecError
from mqttsec.mqtt5 import Broker, BrokerSettings
from mqttsec.mqtt5.hooks import Arrival
from mqttsec.mqtt5.session import Session
from mqttsec.mqtta.carrying import Carrying, Meddle
from mqttsec.mqtta.dialing import Dialer
from mqttsec.mqtta.directory import Directory
from mqttsec.mqtta.drawing import Avoided, Draw, Drawer
from mqttsec.mqtta.errors import NoPublicBroker
from mqttsec.mqtta.links import Link
from mqttsec.mqtta.marks import BRIDGE
from mqttsec.mqtta.notices import At
from mqttsec.mqtta.policies import Policies
from mqttsec.mqtta.published import Fuse
from mqttsec.mqtta.returning import Returning
from mqttsec.mqtta.seen import Direction, Observer, Seen, fingerprint
from mqttsec.mqtta.topics import T_F
from mqttsec.net import MemoryNetwork, MemoryServer
from mqttsec.packets import Properties, ReasonCode, SubscribeFilter
from mqttsec.trace.events import EventKind

SESSION_EXPIRY = 60
"""Seconds for which the sessions between bridge brokers, and at public brokers, outlive a connection."""
COMPLAINTS_KEPT = 1000


class BridgeBroker:
    """One bridge broker.

    Args:
        name: its name, in memory also its host.
        directory: whom to ask for peers and public brokers.
        policies: the rules.
        publics: public brokers that may host new topics, besides those that the directory knows.
        rng: chance; from a secret source in a deployment, seeded in a lab.
        network: the network in memory; None: TCP on 127.0.0.1.
        port: its port; 0 takes a free one (TCP), 1883 in memory.
        observer: numbers what is seen; shared by the bridge brokers of a process.
        journal: keep what is seen in `log`.
        settings: of the broker itself.
        name_of: the name of a broker by its address, for the log.

    """

    def __init__(
        self,
        name: str,
        directory: Directory,
        policies: Policies | None = None,
        *,
        publics: tuple[At, ...] = (),
        rng: random.Random | None = None,
        network: MemoryNetwork | None = None,
        port: int = 0,
        observer: Observer | None = None,
        journal: bool = True,
        settings: BrokerSettings | None = None,
        name_of: Callable[[At], str] | None = None,
        fuse: Fuse | None = None,
    ) -> None:
        self.name = name
        self.directory = directory
        self.policies = policies or Policies()
        self.publics = publics
        self.rng: random.Random = rng or random.SystemRandom()
        self.network = network
        self.log: deque[Seen] = deque(maxlen=None)
        """What it has seen: this is what it knows, and what a collaborator gives away."""
        self.complaints: deque[str] = deque(maxlen=COMPLAINTS_KEPT)
        """What went wrong, in words, the latest last."""
        self.running = False
        """True between start and stop."""
        self.meddle: Meddle | None = None
        """Set on a bridge broker that attacks: changes what passes, or drops it (None)."""
        self.activity = 0
        """Messages and subscriptions passed on so far."""
        self.session_expiry = SESSION_EXPIRY
        self.dialer = Dialer(name, network, self.policies.patience)
        self._port = port or (1883 if network is not None else 0)
        self._observer = observer or Observer(p_f=self.policies.p_f)
        self._journal = journal
        self._name_of = name_of or str
        self._fuse = fuse or Fuse()
        self._settings = settings or BrokerSettings(name=name, receive_maximum=65_535, max_inflight=65_535)
        self._at: At | None = None
        self._broker: Broker | None = None
        self._server: MemoryServer | None = None
        self._peers: dict[At, Link] = {}
        self._publics: dict[At, Link] = {}
        self._avoided = Avoided()
        self._origins: dict[Session, str | None] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self._closing: dict[asyncio.Task[None], Link] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._drawer: Drawer | None = None
        self.carrying = Carrying(self)
        """The publish side."""
        self.returning = Returning(self)
        """The subscribe side."""

    # Life --------------------------------------------------------------------------------------

    @property
    def broker(self) -> Broker:
        """The MQTT broker itself. Raises `ConfigurationError` before `start`."""
        if self._broker is None:
            raise ConfigurationError(f"bridge broker {self.name} has not been started: await start() first")
        return self._broker

    @property
    def at(self) -> At:
        """Where it listens. Raises `ConfigurationError` before `start`."""
        if self._at is None:
            raise ConfigurationError(f"bridge broker {self.name} has not been started: await start() first")
        return self._at

    def now(self) -> float:
        """Loop time in seconds."""
        return self.broker.now()

    async def start(self) -> BridgeBroker:
        """Listen, then join: whoever learns of it may connect at once."""
        await self.listen()
        await self.join()
        return self

    async def listen(self) -> At:
        """Start the broker; gives its address."""
        kind = {"type": "external"} if self.network is not None else {
            "type": "tcp", "bind": f"127.0.0.1:{self._port}"}  # fmt: skip
        self._broker = Broker(self._settings, {"listeners": {"default": kind}}, extensions=[self])
        await self._broker.start()
        if self.network is not None:
            self._server = self.network.listen(self._broker.protocol_factory(), self.name, self._port)
            self._at = At(self.name, self._port)
        else:
            self._at = At(*self._broker.bound["default"])
        self._drawer = Drawer(self._at, self.policies, self.rng)
        self.running = True
        return self._at

    async def join(self) -> None:
        """Join the network by its directory."""
        self.directory.on_topic = self.returning.move
        self.directory.on_peer = self._peer_news
        await self.directory.start(self.at)

    async def stop(self) -> None:
        """Leave the network, end all sessions, shut the broker down."""
        if not self.running:
            return
        self.running = False
        await self.directory.stop()
        self._cancel_timers()
        links = [*self._peers.values(), *self._publics.values(), *self.returning.links()]
        for task in list(self._tasks):
            task.cancel()
        closing = [*self._closing, *(link.close() for link in links)]
        await asyncio.gather(*self._tasks, *closing, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        await self.broker.shutdown()

    async def kill(self) -> None:
        """End as a crash does: no DISCONNECT, no word to anybody, connections reset."""
        if not self.running:
            return
        self.running = False
        if self._server is not None:
            self._server.close()
        self._cancel_timers()
        links = [*self._peers.values(), *self._publics.values(), *self.returning.links()]
        for link in [*links, *self._closing.values()]:
            link.abort()
        for connection in list(self.broker.connections):
            connection.abort()
        for task in [*self._tasks, *self._closing]:
            task.cancel()
        # The listeners and timers of this process have to go as well; nobody outside hears of it.
        await self.directory.stop()
        await self.broker.shutdown()

    def _cancel_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    # The broker's hooks ------------------------------------------------------------------------

    def attach(self, broker: Broker) -> None:
        """Take hold of the broker (`mqttsec.mqtt5.hooks.Extension`)."""
        broker.relay(T_F, self)
        broker.watch = self

    def publish(self, arrival: Arrival) -> None:
        """A client or bridge broker published under T_F."""
        self.carrying.take(arrival)

    def subscribe(
        self, session: Session, wanted: SubscribeFilter, properties: Properties, answer: Callable[[int], None]
    ) -> None:
        """A client or bridge broker subscribes under T_F."""
        if self.running:
            self.returning.subscribe(session, wanted, properties, answer)
        else:
            answer(ReasonCode.UNSPECIFIED_ERROR)

    def unsubscribe(self, session: Session, topic_filter: str, properties: Properties) -> int:
        """A client or bridge broker gives up a subscription under T_F."""
        return self.returning.unsubscribe(session, topic_filter, properties)

    def left(self, session: Session) -> None:
        """A connection ended; the session may come back."""

    def ended(self, session: Session) -> None:
        """A session is over."""
        if self.running:
            self.returning.ended(session)
        self._origins.pop(session, None)

    def unsubscribed(self, session: Session, topic_filter: str) -> None:
        """An ordinary subscription ended: nothing of ours."""

    def origin(self, session: Session) -> str | None:
        """The name of the bridge broker at the other end of a session; None for a client."""
        known = self._origins.get(session, "")
        if known != "":
            return known
        connection = session.connection
        name = None
        if connection is not None and connection.connect is not None:
            pairs = connection.connect.properties.user_property
            name = next((value for mark, value in pairs if mark == BRIDGE), None)
        self._origins[session] = name
        return name

    # Other brokers -----------------------------------------------------------------------------

    def draw(self, first: bool, may_forward: bool = True) -> Draw:
        """Draw the next hop. Raises `NoPeers`."""
        assert self._drawer is not None
        avoid = self._avoided.at(self.now())
        return self._drawer.draw(self.directory.peers, first, avoid, may_forward)

    def avoid(self, at: At) -> None:
        """Do not draw a bridge broker for a while."""
        self._avoided.add(at, self.now())

    def peer_link(self, at: At) -> Link:
        """The session at another bridge broker; opened if need be."""
        link = self._peers.get(at)
        if link is None:
            link = self._peers[at] = Link(
                self.dialer, at, f"bridge:{self.name}", user_property=((BRIDGE, self.name),),
                on_message=self.returning.from_peer, on_reset=self._peer_reset, on_gone=self._peer_gone,
                session_expiry=self.session_expiry,
            )  # fmt: skip
        return link

    def known_link(self, at: At) -> Link | None:
        """The session at another bridge broker, if there is one."""
        return self._peers.get(at)

    def public_link(self, at: At) -> Link:
        """The session at a public broker for what is published there; opened if need be."""
        link = self._publics.get(at)
        if link is None:
            link = self._publics[at] = Link(
                self.dialer, at, f"bridge:{self.name}", public=True,
                on_message=self.returning.published.from_public, on_gone=self._public_gone,
                session_expiry=self.session_expiry, endless=self.policies.is_published,
            )  # fmt: skip
        return link

    def _peer_gone(self, link: Link, why: MqttsecError) -> None:
        if self._peers.get(link.at) is link:
            del self._peers[link.at]
        self.avoid(link.at)
        if self.running:
            self.complain(why, link.client_id)
            self.carrying.forget(link.at)
            self.returning.peer_gone(link.at)

    def _peer_reset(self, link: Link) -> None:
        if self.running:
            self.returning.peer_gone(link.at)

    def _public_gone(self, link: Link, why: MqttsecError) -> None:
        if self._publics.get(link.at) is link:
            del self._publics[link.at]
        self.complain(why, link.client_id)

    def _peer_news(self, at: At, present: bool) -> None:
        if present:
            self._avoided.forget(at)

    async def host_new_topic(self, topic: str) -> At:
        """A random public broker for a topic that nobody hosts yet, announced; the first pair stands.

        Raises `NoPublicBroker`, or what the announcement raises.
        """
        choice = sorted({*self.publics, *self.directory.topics.values()})
        if not choice:
            raise NoPublicBroker(
                f"{self.name}: no public broker hosts {topic!r} and none is known that could: announce one"
            )
        return await self.directory.announce(topic, choice[int(self.rng.random() * len(choice))])

    # Small parts -------------------------------------------------------------------------------

    def see(
        self,
        direction: Direction,
        previous: str,
        onto: str,
        topic: str,
        draw: Draw | None,
        key: str,
        onward: str = "",
        payload: bytes = b"",
        again: bool = False,
    ) -> None:
        """Enter a row into the log."""
        self.activity += 1
        if not self._journal:
            return
        r, decision = (None, None) if draw is None else (draw.r, draw.decision)
        print_of = b"" if direction is Direction.SUBSCRIBE else fingerprint(payload)
        row = Seen(
            self.now(), self.name, direction, previous, onto, topic, r, decision, key, onward, print_of,
            again, self._observer.number(),
        )  # fmt: skip
        self.log.append(row)
        if len(self.log) > self._observer.limit:
            self.log.popleft()
        self._observer.saw(row)

    def name_of(self, at: At) -> str:
        """The name of a broker, for the log."""
        return self._name_of(at)

    def fuse(self, topic: str, number: str, payload: bytes) -> bool:
        """Published form: whether one more copy of a message may pass."""
        return self._fuse.passes(number or (topic, payload))

    def complain(self, why: MqttsecError, about: str) -> None:
        """Something went wrong that its cause cannot be told, or is told a Reason Code only."""
        self.complaints.append(str(why))
        if self._observer.trace is not None:
            self._observer.trace.record(EventKind.REJECTED, self.name, about, detail=str(why))

    def keep_task(self, task: asyncio.Task[object]) -> None:
        """Hold a task until it is done; it is cancelled when the bridge broker stops."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close_link(self, link: Link, end_session: bool) -> None:
        """Close a session at another broker, without waiting for it."""
        task = asyncio.get_running_loop().create_task(link.close(end_session))
        self._closing[task] = link
        task.add_done_callback(lambda done: self._closing.pop(done, None) and None)

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do something later, unless stopped by then."""

        def due() -> None:
            self._timers.discard(timer)
            if self.running:
                work()

        timer = asyncio.get_running_loop().call_later(seconds, due)
        self._timers.add(timer)

    @property
    def subscriptions(self) -> int:
        """Subscriptions that go through here."""
        return len(self.returning.branches)

    @property
    def under_way(self) -> int:
        """QoS 1 and 2 messages that it has taken and nobody has acknowledged yet."""
        return len(self.carrying.carried)

    def __repr__(self) -> str:
        return f"<bridge broker {self.name}{'' if self._at is None else f' at {self._at}'}>"
