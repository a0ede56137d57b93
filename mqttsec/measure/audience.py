"""One publisher and its subscribers, connected to a contestant's broker: real handshakes, thin receivers.

The publisher seals with the real machine, each copy just before it is sent. The receivers of a running
measurement count bytes and do not decrypt; one of them is asked now and then to open what it got.
"""

from __future__ import annotations

import select
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from mqttsec.crypto import Profile
from mqttsec.crypto.pem import CA_FILE, read_authority
from mqttsec.e2e.ends import PublisherEnd, SubscriberEnd
from mqttsec.e2e.journal import Journal
from mqttsec.e2e.publisher import Publisher
from mqttsec.e2e.schemes import Mode
from mqttsec.e2e.setup import Party, Setup
from mqttsec.e2e.subscriber import Subscriber
from mqttsec.e2e.terms import Role
from mqttsec.errors import ConnectionFailed
from mqttsec.measure.contestants import Kind
from mqttsec.measure.link import SECONDS, Link, tls_context
from mqttsec.packets import (
    MQTT_5,
    Auth,
    Connack,
    Connect,
    Packet,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscribeFilter,
    decode,
)
from mqttsec.packets.wire import variable_byte_integer

TOPIC = "plant/hall/7/temperature"
"""What everybody subscribes to; with a ciphertext per recipient, what lies below it."""
PUBLISHER = "station"
MESSAGE_SECONDS = 20.0
"""A single message that takes longer has been lost."""
_QUIET = 0.03
"""Seconds without a byte after which nothing more is on its way."""


@dataclass(frozen=True)
class Entry:
    """Who enters where: a contestant's broker that runs, and the size of its audience."""

    key: int
    """Names the audience in later jobs."""
    kind: str
    """A `Kind`."""
    host: str
    port: int
    pid: int
    """Of the broker: its processor time is read."""
    folder: str
    """Where the identities and TLS files are."""
    subscribers: int
    payload: int
    """Bytes of an Application Message."""
    qos: int
    setup: tuple[int, str, str, str, str] | None = None
    """(scheme, profile, suite, curve, mode)."""

    def as_setup(self) -> Setup | None:
        """The setup, where it is a scheme."""
        if self.setup is None:
            return None
        scheme, profile, suite, curve, mode = self.setup
        return Setup(scheme, Profile(profile), suite, curve, Mode(mode))


@dataclass(frozen=True)
class Entered:
    """What connecting took. Latencies in milliseconds, from before the TCP connection to the CONNACK."""

    publisher_ms: float
    """Of the publisher."""
    subscriber_mean_ms: float
    """Of the subscribers, which come one after the other."""
    subscriber_median_ms: float
    subscriber_min_ms: float
    subscriber_max_ms: float
    handshake_bytes: int
    """Of one subscriber's connection until CONNACK, both ways, TLS included."""
    message_bytes_in: int
    """On the wire for one Application Message, from the publisher to the broker, all its copies."""
    message_bytes_out: int
    """From the broker to one subscriber."""
    packets_in: int
    """Copies that the publisher sends of one Application Message."""


class Audience:
    """A connected crowd; `enter` makes it. Raises `ConnectionFailed` when the broker loses somebody."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.count = entry.subscribers
        self.payload = (b"0123456789abcdef" * (entry.payload // 16 + 1))[: entry.payload]
        self.receivers: list[Link] = []
        self.stride = 0
        """Bytes of MQTT of one delivery."""
        self.entered: Entered | None = None
        self._setup = entry.as_setup()
        self._tls = tls_context(Path(entry.folder)) if entry.kind == Kind.TLS.value else None
        self._ends: list[SubscriberEnd] = []
        self._next_id = 0
        self._unacknowledged = 0
        self._poll = select.epoll()
        self._by_descriptor: dict[int, int] = {}

    @property
    def seals_for_each(self) -> bool:
        """Whether the broker makes a copy of its own for every receiver."""
        if self._setup is None:
            return self._tls is not None
        key = self._setup.row.broker_subscriber.key
        return key is not None and not key.is_group

    # -- connecting -------------------------------------------------------------------------------

    def enter(self) -> Entered:
        """Connect everybody, subscribe, send two messages to see how long they are on the wire."""
        entry = self.entry
        if self._setup is not None:
            folder = Path(entry.folder)
            authority = read_authority(folder / f"{CA_FILE}.crt.pem", folder / f"{CA_FILE}.key.pem")
            party = Party(Role.P, authority.issue(PUBLISHER), authority.trust, self._setup)
            self._end = PublisherEnd(Publisher(party), Journal(lambda: None, PUBLISHER))
        began = time.perf_counter()
        self.publisher = self._connect(PUBLISHER)
        publisher_ms = 1e3 * (time.perf_counter() - began)
        latencies, handshake = [], 0
        for number in range(self.count):
            name = f"s{number:05}"
            end = None
            if self._setup is not None:
                party = Party(Role.S, authority.issue(name), authority.trust, self._setup)
                end = SubscriberEnd(Subscriber(party), Journal(lambda: None, name))
                end.want((PUBLISHER, TOPIC), entry.qos)
                self._ends.append(end)
            began = time.perf_counter()
            link = self._connect(name, end)
            latencies.append(1e3 * (time.perf_counter() - began))
            handshake = link.sent + link.received
            self.receivers.append(link)
            topic = end.topic_filter((PUBLISHER, TOPIC)) if end is not None else TOPIC
            link.send(Subscribe(1, (SubscribeFilter(topic, entry.qos),)))
            while not any(isinstance(packet, Suback) for packet in self._wait(link)):
                pass
        for number, link in enumerate((*self.receivers, self.publisher)):
            link.free()
            self._by_descriptor[link.socket.fileno()] = number
            self._poll.register(link.socket, select.EPOLLIN)
        self._drain()
        sent, came = self.publisher.sent, self.receivers[0].received
        copies = self._calibrate()
        self.entered = Entered(
            publisher_ms,
            fmean(latencies),
            median(latencies),
            min(latencies),
            max(latencies),
            handshake,
            (self.publisher.sent - sent) // 2,
            (self.receivers[0].received - came) // 2,
            copies,
        )
        return self.entered

    def _connect(self, name: str, end: SubscriberEnd | None = None) -> Link:
        """Connect a client; the publisher answers what its subscriber asks meanwhile."""
        link = Link(name, self.entry.host, self.entry.port, self._tls)
        speaker: PublisherEnd | SubscriberEnd | None = end
        if name == PUBLISHER and self._setup is not None:
            speaker = self._end
        about = Properties()
        if speaker is not None:
            about = Properties(authentication_method=speaker.method, authentication_data=speaker.first())
        link.send(Connect(name, keep_alive=0, properties=about))
        while True:
            for packet in self._wait(link):
                if isinstance(packet, Auth) and speaker is not None:
                    data = speaker.challenge(packet.properties.authentication_data)
                    about = Properties(authentication_method=speaker.method, authentication_data=data)
                    link.send(Auth(0x18, about))
                    continue
                if not isinstance(packet, Connack) or packet.reason_code:
                    said = packet.properties.reason_string if isinstance(packet, Connack) else None
                    raise ConnectionFailed(f"{name} was not let in: {said or packet}.")
                if speaker is not None:
                    speaker.finish(packet.properties.authentication_data)
                return link

    def _wait(self, link: Link) -> list[Packet]:
        """The next packets of a link that is connecting."""
        waiting = select.poll()
        waiting.register(link.socket, select.POLLIN)
        if link.name != PUBLISHER:
            waiting.register(self.publisher.socket, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in waiting.poll(1e3 * SECONDS)}
            if not ready:
                raise ConnectionFailed(f"{link.name} waited {SECONDS:.0f} s for an answer of the broker.")
            if link.name != PUBLISHER and self.publisher.socket.fileno() in ready:
                self._answer(self.publisher.packets())
            if link.socket.fileno() in ready:
                return link.packets()

    def _answer(self, packets: list[Packet]) -> None:
        """What the publisher does about packets on its own connection."""
        for packet in packets:
            if isinstance(packet, Publish):
                if packet.packet_id is not None:
                    self.publisher.send(Puback(packet.packet_id))
                for posting in self._end.on_control(packet.payload, packet.properties):
                    number, about = self._identifier(), posting.properties
                    self.publisher.send(
                        Publish(posting.topic, posting.payload, 1, False, False, number, about)
                    )
            elif isinstance(packet, Pubrec):
                self.publisher.send(Pubrel(packet.packet_id))
            elif isinstance(packet, (Puback, Pubcomp)):
                self._unacknowledged -= 1

    def _identifier(self) -> int:
        self._unacknowledged += 1
        self._next_id = self._next_id % 65_535 + 1
        return self._next_id

    def _drain(self) -> None:
        """Take all that is still on its way after the handshakes."""
        while ready := self._poll.poll(_QUIET, self.count + 1):
            for descriptor, _ in ready:
                number = self._by_descriptor[descriptor]
                if number == self.count:
                    self._take_publisher()
                else:
                    link = self.receivers[number]
                    link.frames(link.receive()[0])

    def _calibrate(self) -> int:
        """Send two messages: a delivery's bytes on the wire are what came of each. Returns the copies."""
        strides: list[set[int]] = []
        copies = 0
        for _ in range(2):
            before = [link.delivered for link in self.receivers]
            copies = len(self.send())
            collected = [b""] * self.count
            deadline = time.monotonic() + MESSAGE_SECONDS
            while min(self._grown(before)) == 0 or self._poll.poll(_QUIET, 1):
                for number, data, _ in self.arrivals(0.05):
                    collected[number] += data
                if time.monotonic() > deadline:
                    raise ConnectionFailed(
                        f"A message had not reached everybody after {MESSAGE_SECONDS:.0f} s."
                    )
            strides.append(set(self._grown(before)))
            self.settle(collected)
        if len(strides[0]) != 1 or strides[0] != strides[1]:
            raise ConnectionFailed(f"Deliveries have different lengths ({strides}): they cannot be counted.")
        self.stride = strides[0].pop()
        return copies

    def _grown(self, before: list[int]) -> list[int]:
        return [link.delivered - old for link, old in zip(self.receivers, before, strict=True)]

    # -- messages ---------------------------------------------------------------------------------

    def send(self) -> list[int]:
        """Publish one Application Message: when each copy began, before it was sealed, in nanoseconds."""
        qos, began = self.entry.qos, []
        if self._setup is None:
            began.append(time.time_ns())
            self.publisher.write(self._frame(TOPIC, self.payload, qos))
            return began
        copies = self._end.machine.copies(TOPIC, self.payload)
        while True:
            now = time.time_ns()
            copy = next(copies, None)
            if copy is None:
                return began
            began.append(now)
            self.publisher.write(self._frame(*copy, qos))

    def _frame(self, topic: str, payload: bytes, qos: int) -> bytes:
        """A PUBLISH without properties; at once, because this is the publisher's hot path."""
        name = topic.encode()
        length = 2 + len(name) + (2 if qos else 0) + 1 + len(payload)
        number = self._identifier().to_bytes(2, "big") if qos else b""
        head = bytes((0x30 | qos << 1,)) + variable_byte_integer(length) + len(name).to_bytes(2, "big")
        return b"".join((head, name, number, b"\0", payload))

    def arrivals(self, seconds: float) -> list[tuple[int, bytes, int]]:
        """(receiver, bytes from the wire, when they came) of all that is there; waits for the first."""
        came = []
        for descriptor, _ in self._poll.poll(seconds, self.count + 1):
            number = self._by_descriptor[descriptor]
            if number == self.count:
                self._take_publisher()
                continue
            data, stamp = self.receivers[number].receive()
            if data:
                came.append((number, data, stamp))
        return came

    def discard(self, seconds: float) -> None:
        """Count what has come at QoS 0 and let the kernel throw it away; waits for the first."""
        for descriptor, _ in self._poll.poll(seconds, self.count + 1):
            number = self._by_descriptor[descriptor]
            link = self.receivers[number] if number < self.count else self.publisher
            if number == self.count:
                self._take_publisher()
            elif number == 0 and self._tls is not None:
                # It will read again what comes later, and a record that TLS has not seen breaks that.
                link.frames(link.receive()[0])
            else:
                link.discard()

    def _take_publisher(self) -> None:
        frames = self.publisher.frames(self.publisher.receive()[0])
        self._answer([decode(frame, MQTT_5, from_client=False) for frame in frames])

    def settle(self, collected: list[bytes]) -> None:
        """End the exchanges of a message at QoS 1 and 2; the first receiver opens what it got.

        Raises `ConnectionFailed` where it is not what was published.
        """
        if not self.entry.qos:
            self._open(self.receivers[0].frames(collected[0]))
            return
        open_exchanges = self.count
        waiting = list(enumerate(collected))
        deadline = time.monotonic() + MESSAGE_SECONDS
        while True:
            for number, data in waiting:
                link = self.receivers[number]
                frames = link.frames(data)
                if number == 0:
                    self._open([frame for frame in frames if frame[0] >> 4 == 3])
                for frame in frames:
                    open_exchanges -= self._reply(link, frame)
            if not open_exchanges and not self._unacknowledged:
                return
            waiting = [(number, data) for number, data, _ in self.arrivals(0.05)]
            if time.monotonic() > deadline:
                raise ConnectionFailed(
                    f"The acknowledgements of a message at QoS {self.entry.qos} were not through after "
                    f"{MESSAGE_SECONDS:.0f} s."
                )

    def _reply(self, link: Link, frame: bytes) -> bool:
        """Answer one packet of the broker; True where that ended an exchange."""
        packet = decode(frame, MQTT_5, from_client=False)
        if isinstance(packet, Publish) and packet.packet_id is not None:
            link.send(Puback(packet.packet_id) if packet.qos == 1 else Pubrec(packet.packet_id))
            return packet.qos == 1
        if isinstance(packet, Pubrel):
            link.send(Pubcomp(packet.packet_id))
            return True
        return False

    def _open(self, frames: list[bytes]) -> None:
        """Whether the first receiver can read what was published."""
        for frame in frames:
            packet = decode(frame, MQTT_5, from_client=False)
            if not isinstance(packet, Publish):
                raise ConnectionFailed(f"The first subscriber was sent {packet}, not a PUBLISH.")
            message = packet.payload
            if self._ends:
                message = self._ends[0].machine.open(packet.topic, packet.payload).message
            if message != self.payload:
                raise ConnectionFailed("The first subscriber opened something else than was published.")

    def close(self) -> None:
        """Close every connection."""
        for link in (*self.receivers, *([self.publisher] if hasattr(self, "publisher") else [])):
            link.close()
        self._poll.close()
