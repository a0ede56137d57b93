"""Discovery brokers: who is a bridge broker, and which public broker hosts which topic (Buccafurri, III).

    discovery = DiscoveryBroker("d1", peers=[At("d2", 1883)], network=network)
    await discovery.start()

It is our broker with a service on T_N and T_N'. What clients announce there is checked, entered into S or
S', re-published retained on T_S or T_S', told on T_N or T_N', and passed to the other discovery brokers.

What the paper leaves open, and how it is here:

* A discovery broker *follows* the others: it is an ordinary MQTT client of each, subscribed to what they
  learned first-hand. So nobody can pass for a discovery broker by a message, and what came from one is not
  forwarded again: each hears it from its source.
* First pair wins; `notices.PairSet` says how brokers that heard two pairs at once agree.
* A bridge broker is there as long as the session that announced it: when that ends, it is withdrawn. Topics
  outlive who announced them.
* The paper authenticates nobody: whoever comes first gives a topic its public broker. `check` may refuse,
  by the client's session (its certificate, its user name). Without one the bounds of `Limits` hold, and
  nobody can withdraw a pair that another client announced.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mqttsec.errors import ConfigurationError, MalformedPacketError, MqttsecError, Refused
from mqttsec.mqtt5 import Broker, BrokerSettings, LightClient
from mqttsec.mqtt5.session import Session
from mqttsec.mqtta.announcers import Announcer, Limits
from mqttsec.mqtta.notices import (
    SYNC,
    T_N,
    T_N_PEERS,
    T_S,
    T_S_PEERS,
    At,
    Entry,
    Notice,
    PairSet,
    Part,
    entry_payload,
    part_topic,
    read_entry,
)
from mqttsec.net import MemoryNetwork
from mqttsec.packets import Properties, Publish, ReasonCode
from mqttsec.trace.events import Trace

MQTT_PORT = 1883

Check = Callable[[Session, Notice], bool]
"""May this client announce this? False refuses the notice with 0x87 Not authorized."""


@dataclass(frozen=True)
class Subject:
    """One of the two things that are discovered, with its topics."""

    name: str
    """`topics` or `peers`."""
    new: str
    """T_N or T_N'."""
    retained: str
    """T_S or T_S'."""

    @property
    def sync(self) -> str:
        """Where other discovery brokers listen."""
        return f"{SYNC}/{self.name}"


TOPICS = Subject("topics", T_N, T_S)
PEERS = Subject("peers", T_N_PEERS, T_S_PEERS)
SUBJECTS = (TOPICS, PEERS)


class DiscoveryBroker:
    """B_D.

    Args:
        name: its name, in memory also its host; the same as no other broker's.
        peers: the other discovery brokers; may be completed with `follow`.
        limits: bounds.
        check: may refuse notices; None: everybody may announce, as in the paper.
        network: memory links (port 1883 of the host `name`); None: TCP on 127.0.0.1.
        port: TCP port; 0 takes a free one.
        clock: seconds, the same for all discovery brokers within what messages take; by default the loop's
            in memory, else the time since 1970.
        retry: seconds until a lost discovery broker is tried again.
        grace: seconds after which the bridge brokers that a lost discovery broker announced are withdrawn,
            unless they have come to this one.
        trace: where events are recorded.

    """

    def __init__(
        self,
        name: str = "discovery",
        peers: Iterable[At] = (),
        *,
        limits: Limits | None = None,
        check: Check | None = None,
        network: MemoryNetwork | None = None,
        port: int = 0,
        clock: Callable[[], float] | None = None,
        retry: float = 5.0,
        grace: float = 60.0,
        trace: Trace | None = None,
    ) -> None:
        if not (retry > 0 and grace > 0):
            raise ConfigurationError("retry and grace are seconds: give numbers above 0")
        self.name = name
        """Its name."""
        self.limits = limits or Limits()
        """Bounds."""
        self.sets = {subject.name: PairSet(self.limits.part_size) for subject in SUBJECTS}
        """S and S'."""
        self.refused = 0
        """Notices that were refused."""
        self.address = At(name, MQTT_PORT) if network is not None else At("127.0.0.1", port or 1)
        """Where it listens; over TCP once it has started."""
        self._others = list(peers)
        self._check = check
        self._network = network
        self._port = port
        self._clock = clock
        self._retry = retry
        self._grace = grace
        self._trace = trace
        self._broker: Broker | None = None
        self._announcers: dict[str, Announcer] = {}
        self._followers: dict[At, asyncio.Task[None]] = {}
        self._stale: set[tuple[str, int]] = set()

    # Life --------------------------------------------------------------------------------------

    async def start(self) -> DiscoveryBroker:
        """Listen, and follow the other discovery brokers; those that are not there yet are tried again.

        Raises `ConfigurationError` for a port in use.
        """
        listener = {"type": "tcp", "bind": f"127.0.0.1:{self._port}"}
        if self._network is not None:
            listener = {"type": "external"}
        broker = Broker(
            BrokerSettings(name=self.name), {"listeners": {"default": listener}}, trace=self._trace
        )
        for subject in SUBJECTS:
            broker.serve(subject.new, self._on_topics if subject is TOPICS else self._on_peers)
        # What only discovery brokers say is not for clients to say.
        broker.serve("mqtta/#", lambda *_: ReasonCode.NOT_AUTHORIZED)
        broker.watch = self
        await broker.start()
        self._broker = broker
        if self._network is not None:
            self._server = self._network.listen(broker.protocol_factory(), self.name, MQTT_PORT)
        else:
            self.address = At(*broker.bound["default"])
        if self._clock is None:
            self._clock = time.time if self._network is None else broker.now
        for subject in SUBJECTS:
            for number in range(self._set(subject).parts):
                self._retain(subject, number)
        for other in self._others:
            self.follow(other)
        return self

    async def stop(self) -> None:
        """Stop; what it knows is kept for another `start`."""
        followers, self._followers = list(self._followers.values()), {}
        for task in followers:
            task.cancel()
        await asyncio.gather(*followers, return_exceptions=True)
        broker, self._broker = self._broker, None
        if broker is not None:
            if self._network is not None:
                self._server.close()
            await broker.shutdown()
        self._announcers.clear()

    def follow(self, other: At) -> None:
        """Hear what another discovery broker learns, from now on and whenever it comes back."""
        if other != self.address and other not in self._followers:
            self._followers[other] = asyncio.get_running_loop().create_task(self._follow(other))

    @property
    def topics(self) -> dict[str, At]:
        """S: the public broker of each topic."""
        return self._set(TOPICS).pairs()

    @property
    def peers(self) -> tuple[At, ...]:
        """S': the bridge brokers that are there."""
        return tuple(self._set(PEERS).pairs().values())

    # Notices of clients ------------------------------------------------------------------------

    def _on_topics(self, session: Session, topic: str, payload: bytes, properties: Properties) -> int:
        return self._on_notice(session, TOPICS, payload)

    def _on_peers(self, session: Session, topic: str, payload: bytes, properties: Properties) -> int:
        return self._on_notice(session, PEERS, payload)

    def _on_notice(self, session: Session, subject: Subject, payload: bytes) -> int:
        """A notice on T_N or T_N'; the Reason Code of its acknowledgement."""
        try:
            self._take(session, subject, payload)
        except MqttsecError:
            self.refused += 1
            raise
        return ReasonCode.SUCCESS

    def _take(self, session: Session, subject: Subject, payload: bytes) -> None:
        announcer = self._announcers.get(session.client_id)
        if announcer is None:
            announcer = self._announcers[session.client_id] = Announcer(self.limits, self._running.now())
        if not announcer.may_speak(self._running.now()):
            raise _refused(f"{session.client_id} announces too fast", ReasonCode.QUOTA_EXCEEDED)
        if len(payload) > self.limits.largest_notice:
            raise MalformedPacketError("the notice is too large", ReasonCode.PAYLOAD_FORMAT_INVALID)
        notice = Notice.read(payload, subject is PEERS)
        if self._check is not None and not self._check(session, notice):
            raise _refused(f"{session.client_id} may not announce {notice.key!r}", ReasonCode.NOT_AUTHORIZED)
        own = (subject.name, notice.key)
        if notice.present:
            self._make_room(subject, announcer, notice.key)
        elif own not in announcer.pairs:
            # Without this whoever knows the form of a notice could end anybody's pair.
            raise _refused(
                f"{notice.key!r} was not announced by {session.client_id}", ReasonCode.NOT_AUTHORIZED
            )
        self._learn(subject, notice.key, notice.value if notice.present else None)
        if not notice.present:
            announcer.pairs.discard(own)
        elif self._set(subject).value(notice.key) == notice.value:
            announcer.pairs.add(own)

    def _make_room(self, subject: Subject, announcer: Announcer, key: str) -> None:
        known = self._set(subject)
        limit = self.limits.topics if subject is TOPICS else self.limits.peers
        if known.entry(key) is None and len(known) >= limit:
            raise _refused(f"there are {limit} {subject.name} already", ReasonCode.QUOTA_EXCEEDED)
        if (subject.name, key) not in announcer.pairs:
            if len(announcer.pairs) >= self.limits.pairs_per_client:
                raise _refused("this client has announced enough", ReasonCode.QUOTA_EXCEEDED)

    def _learn(self, subject: Subject, key: str, value: At | None) -> None:
        """Something first-hand: enter it, tell everybody."""
        known = self._set(subject)
        entry = known.next(key, value, self._now(), str(self.address))
        if entry is None:
            # The first pair stands. Who announced another one learns which: it re-subscribes.
            standing = known.entry(key)
            if standing is not None:
                self._running.publish(subject.new, entry_payload(standing), qos=1)
            return
        self._enter(subject, entry)
        self._running.publish(subject.sync, entry_payload(entry), qos=1)

    def _enter(self, subject: Subject, entry: Entry) -> bool:
        """Take an entry into the set; False if it changes nothing."""
        known = self._set(subject)
        parts = known.parts
        if not known.merge(entry):
            return False
        if self._broker is not None:
            if not self._stale:
                # Many entries of one turn of the loop make one new retained message, not one each. Who
                # subscribes in between gets it as well: it is subscribed to T_S until it has had its sets.
                self._broker.call_soon(self._retain_stale)
            # The first part says how many there are.
            changed = {known.part_of(entry.key)} | ({0} if known.parts != parts else set())
            self._stale |= {(subject.name, number) for number in changed}
            self._broker.publish(subject.new, entry_payload(entry), qos=1)
        return True

    def _retain_stale(self) -> None:
        stale, self._stale = self._stale, set()
        for subject in SUBJECTS if self._broker is not None else ():
            for number in sorted(number for name, number in stale if name == subject.name):
                self._retain(subject, number)

    def _retain(self, subject: Subject, number: int) -> None:
        topic = part_topic(subject.retained, number)
        self._running.publish(topic, self._set(subject).part(number), qos=1, retain=True)

    # Clients that go -----------------------------------------------------------------------------

    def left(self, session: Session) -> None:
        """A connection ended; the session may go on."""

    def unsubscribed(self, session: Session, topic_filter: str) -> None:
        """A client has the set and needs T_S no more."""

    def ended(self, session: Session) -> None:
        """A session ended: the bridge brokers that it announced have left."""
        announcer = self._announcers.pop(session.client_id, None)
        for name, key in sorted(announcer.pairs) if announcer is not None else ():
            if name == PEERS.name:
                self._learn(PEERS, key, None)

    # The other discovery brokers -------------------------------------------------------------------

    async def _follow(self, other: At) -> None:
        """Be a client of another discovery broker for good."""
        away = 0.0
        while True:
            try:
                await self._follow_once(other)
                away = 0.0
            except MqttsecError:
                # It is away; it is asked again, and then all of its set is taken.
                if away < self._grace <= away + self._retry:
                    self._give_up(str(other))
                away += self._retry
            await asyncio.sleep(self._retry)

    def _give_up(self, origin: str) -> None:
        """Withdraw the bridge brokers that a lost discovery broker announced.

        Those that live have announced themselves elsewhere by now. One that this broker does not know of
        hears that it is withdrawn, and announces itself once more.
        """
        here = {key for each in self._announcers.values() for name, key in each.pairs if name == PEERS.name}
        for entry in list(self._set(PEERS)):
            if entry.value is not None and entry.origin == origin and entry.key not in here:
                self._learn(PEERS, entry.key, None)

    async def _follow_once(self, other: At) -> None:
        client = LightClient(
            self.name, network=self._network, trace=self._trace, peer=other.host, on_message=self._on_followed
        )
        try:
            await client.connect(other.host, other.port)
            sets = [f"{subject.retained}/#" for subject in SUBJECTS]
            # All in one SUBSCRIBE: what changes while the sets are on their way comes as news.
            await client.subscribe(*(subject.sync for subject in SUBJECTS), *sets, qos=1)
            await client.wait_closed()
        finally:
            client.abort()

    def _on_followed(self, message: Publish) -> None:
        subject = next(each for each in SUBJECTS if each.name == message.topic.split("/")[2])
        try:
            if message.topic == subject.sync:
                entries: tuple[Entry, ...] = (read_entry(message.payload),)
            else:
                entries = Part.read(message.payload).entries
        except MqttsecError:
            self.refused += 1
            return
        known = self._set(subject)
        limit = self.limits.topics if subject is TOPICS else self.limits.peers
        for entry in entries:
            if known.entry(entry.key) is not None or len(known) < limit:
                self._enter(subject, entry)
            else:
                self.refused += 1

    # Small parts -----------------------------------------------------------------------------------

    def _set(self, subject: Subject) -> PairSet:
        return self.sets[subject.name]

    def _now(self) -> float:
        assert self._clock is not None, "it has started"
        return self._clock()

    @property
    def _running(self) -> Broker:
        if self._broker is None:
            raise ConfigurationError(f"{self.name} is not running: await start() first")
        return self._broker

    def __repr__(self) -> str:
        return f"<discovery broker {self.name}: {len(self.topics)} topics, {len(self.peers)} bridge brokers>"


def _refused(why: str, code: int) -> Refused:
    return Refused(why, code)
