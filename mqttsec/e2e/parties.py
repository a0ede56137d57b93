"""A publisher and a subscriber to use: plaintext in, plaintext out, over sockets (paho, MQTT 5).

    with Publisher(alice, trust, setup, port=port) as publisher:
        publisher.publish("weather/seattle", "12.8")

    with Subscriber(bob, trust, setup, port=port) as subscriber:
        subscriber.subscribe("alice", "weather/seattle")
        print(subscriber.message().message)

`alice` and `bob` are identities (`mqttsec.crypto`), `trust` their authority; the setup is the broker's.
Their twins on memory links are in `memory_parties`.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties

from mqttsec.crypto import Identity, Operations, TrustAnchor
from mqttsec.e2e.control import QOS
from mqttsec.e2e.ends import Posting, PublisherEnd, Stream, SubscriberEnd
from mqttsec.e2e.faces import PATIENCE, TIMEOUT, PublisherFace, SubscriberFace
from mqttsec.e2e.setup import BROKER, Setup
from mqttsec.e2e.subscriber import Opened
from mqttsec.errors import ConnectionFailed, Refused, TimedOut
from mqttsec.mqtt5 import Client
from mqttsec.packets import Properties, reason_name
from mqttsec.trace.events import Trace

S = TypeVar("S", bound="_OnPaho")


class _OnPaho:
    """A party's connection: what publisher and subscriber have in common."""

    def __init__(self, end: PublisherEnd | SubscriberEnd, host: str, port: int, trace: Trace | None) -> None:
        self.host = host
        """The broker's address."""
        self.port = port
        """The broker's TCP port."""
        self.client = Client(client_id=end.machine.party.name, authenticator=end, trace=trace)
        """The paho client; its callbacks are in use."""
        self.client.on_message = self._on_message
        self.client.on_socket_open = _without_delay

    def _on_message(self, _: object, __: object, message: paho.MQTTMessage) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Disconnect."""
        self.client.close()

    def __enter__(self: S) -> S:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Publisher(PublisherFace, _OnPaho):
    """P. `with Publisher(...)` connects; or call `connect`.

    Args:
        identity: its key pair and certificate; the name is its Client Identifier.
        trust: the authority whose certificates it believes.
        setup: what it has in common with the broker and its subscribers.
        host, port: the broker's address.
        broker: the name that the broker's certificate must bear.
        serves: which topics it publishes; a request for another is refused.
        operations: counts its cryptographic operations.
        clock: seconds since 1970.
        trace: where events are recorded.

    """

    def __init__(
        self,
        identity: Identity,
        trust: TrustAnchor,
        setup: Setup | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 1883,
        broker: str = BROKER,
        serves: Callable[[str], bool] = lambda topic: True,
        operations: Operations | None = None,
        clock: Callable[[], float] = time.time,
        trace: Trace | None = None,
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
        _OnPaho.__init__(self, self.end, host, port, trace)
        self._codes: dict[int, int] = {}
        self.client.on_publish = self._on_publish

    def connect(self, timeout: float = TIMEOUT) -> Publisher:
        """Block 1. Raises `ConnectionFailed` with the broker's Reason Code, or `HandshakeError`."""
        self.client.connect_and_wait(self.host, self.port, timeout)
        return self

    def __enter__(self) -> Publisher:
        if not self.client.is_connected():
            self.connect()
        return self

    def publish(self, topic: str, message: bytes | str, qos: int = 1, timeout: float = TIMEOUT) -> int:
        """Protect a message and publish it; returns how many packets it took: 0 while nobody has asked.

        Returns when the broker has acknowledged all. Raises `Refused` with its Reason Code, `TimedOut`, or
        `ConnectionFailed`.
        """
        with self.end.lock:
            sent = [self.client.publish(*each, qos) for each in self._protect(topic, message)]
        for info in sent:
            self._await(info, topic, timeout)
        return len(sent)

    def expel(self, topic: str, subscriber: str) -> None:
        """Serve a subscriber no longer; under *hardened* it cannot read what is published from now on."""
        with self.end.lock:
            self._post(self.end.expel(topic, subscriber))

    def _await(self, info: paho.MQTTMessageInfo, topic: str, timeout: float) -> None:
        try:
            info.wait_for_publish(timeout)
        except RuntimeError:
            raise ConnectionFailed(f"{self.name} is not connected: connect() first") from None
        if not info.is_published():
            raise TimedOut(f"{self.name}: the broker did not take a message on {topic!r} in {timeout:g} s")
        code = self._codes.pop(info.mid, 0)
        if code:
            raise Refused(
                f"{self.name}: the broker refused a message on {topic!r} with {reason_name(code)}", code
            )

    def _on_publish(self, _: object, __: object, mid: int, reason: Any, ___: object) -> None:
        # paho holds its own lock here: no call of ours that could wait for another thread.
        if reason.is_failure:
            self._codes[mid] = reason.value
        else:
            # What an earlier message under this Packet Identifier got is nobody's any more.
            self._codes.pop(mid, None)

    def _on_message(self, _: object, __: object, message: paho.MQTTMessage) -> None:
        with self.end.lock:
            self._post(self.end.on_control(bytes(message.payload), properties_of(message)))

    def _post(self, postings: list[Posting]) -> None:
        for posting in postings:
            about = PahoProperties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            if posting.properties.correlation_data is not None:
                about.CorrelationData = posting.properties.correlation_data
            self.client.publish(posting.topic, posting.payload, QOS, properties=about)


class Subscriber(SubscriberFace, _OnPaho):
    """S. It connects with its first `subscribe`, and after a break by itself.

    `session_expiry` is for how many seconds the broker keeps its place while it is away. The other
    arguments are those of `Publisher`. `on_opened` is called with each message, from paho's thread.
    """

    def __init__(
        self,
        identity: Identity,
        trust: TrustAnchor,
        setup: Setup | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 1883,
        broker: str = BROKER,
        session_expiry: int = 0,
        operations: Operations | None = None,
        clock: Callable[[], float] = time.time,
        trace: Trace | None = None,
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
        _OnPaho.__init__(self, self.end, host, port, trace)
        self._news = threading.Condition()
        self._inbox: deque[Opened] = deque()
        self._codes: dict[Stream, int] = {}
        self._asked: dict[int, Stream] = {}
        self._busy = False
        self._connected = False
        self._ended: ConnectionFailed | None = None
        self._expiry = session_expiry
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_subscribe = self._on_subscribe
        self.end.on_joined = self._on_joined

    # What is wanted ----------------------------------------------------------------------------

    def subscribe(self, publisher: str, topic: str, qos: int = 1, timeout: float = PATIENCE) -> None:
        """Block 2 for a topic of a publisher, then SUBSCRIBE. Returns when messages will come.

        Raises `ConnectionFailed` with the broker's Reason Code (0x88 when the publisher does not come),
        `HandshakeError`, `Refused` or `TimedOut`. A refused handshake ends the connection (MQTT 5, 4.12.1).
        """
        stream = publisher, topic
        with self._news:
            self._codes.pop(stream, None)
        self.end.want(stream, qos)
        try:
            if not self.client.is_connected():
                self._connect(timeout)
            else:
                self._go_on()
            self._wait(
                lambda: stream in self._codes or not self._connected, timeout, f"{topic!r} of {publisher!r}"
            )
        except BaseException:
            self.end.unwant(stream)
            raise
        code = self._codes.get(stream)
        if code is None or code >= 0x80:
            self.end.unwant(stream)
        if code is None:
            raise self._ended or ConnectionFailed(f"{self.name}: the connection ended")
        if code >= 0x80:
            raise Refused(f"{self.name}: the broker refused {topic!r} with {reason_name(code)}", code)

    def unsubscribe(self, publisher: str, topic: str, timeout: float = TIMEOUT) -> None:
        """Leave a topic: the broker and the publisher are told, the keys go."""
        stream = publisher, topic
        self.client.unsubscribe_and_wait(self.end.topic_filter(stream), timeout)
        self.end.unwant(stream)

    def disconnect(self) -> None:
        """Go away. With a `session_expiry` the place is kept; `reconnect` comes back."""
        self.client.close()

    def reconnect(self, timeout: float = PATIENCE) -> None:
        """Come back: all handshakes anew; what has waited comes. Raises as `subscribe`."""
        with self._news:
            self._codes.clear()
        self.end.lost()
        self._connect(timeout, clean_start=False)
        self._wait(lambda: len(self._codes) == len(self.end.wanted), timeout, "its topics again")

    # What comes --------------------------------------------------------------------------------

    def message(self, timeout: float = TIMEOUT) -> Opened:
        """The next message, in plain. Raises `TimedOut`."""
        self._wait(lambda: bool(self._inbox), timeout, "a message that it can read")
        return self._inbox.popleft()

    def messages(self, count: int, timeout: float = TIMEOUT) -> Iterator[Opened]:
        """The next `count` messages, each within `timeout` seconds. Raises `TimedOut`."""
        for _ in range(count):
            yield self.message(timeout)

    # paho's thread -----------------------------------------------------------------------------

    def _connect(self, timeout: float, clean_start: bool = True) -> None:
        about = PahoProperties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        about.SessionExpiryInterval = self._expiry
        self._busy = True
        self.client.connect_and_wait(self.host, self.port, timeout, clean_start=clean_start, properties=about)

    def _go_on(self) -> None:
        """Begin the next handshake that is due, unless one is under way."""
        with self._news:
            if self._busy or not self.end.due or not self._connected:
                return
            self._busy = True
        self.client.reauthenticate()

    def _on_joined(self, stream: Stream) -> None:
        # Within a CONNACK or AUTH; a SUBSCRIBE may follow an AUTH at once, a CONNACK once paho took it.
        if self._connected:
            self._ask(stream)

    def _on_connect(self, _: object, __: object, ___: object, reason: Any, ____: object) -> None:
        if not reason.is_failure and self.end.joined is not None:
            # What was at hand when the connection broke is over; the first topic is in.
            self._busy = self._connected = True
            self._ask(self.end.joined)

    def _ask(self, stream: Stream) -> None:
        _, mid = self.client.subscribe(self.end.topic_filter(stream), self.end.wanted.get(stream, QOS))
        if mid is not None:
            self._asked[mid] = stream

    def _on_subscribe(self, _: object, __: object, mid: int, reasons: list[Any], ___: object) -> None:
        stream = self._asked.pop(mid, None)
        if stream is not None:
            with self._news:
                self._codes[stream] = reasons[0].value
                self._busy = False
            self._tell(self.end.held())
            self._go_on()

    def _on_disconnect(self, _: object, __: object, ___: object, reason: Any, about: Any) -> None:
        words = getattr(about, "ReasonString", "")
        self.end.lost()
        with self._news:
            self._ended = ConnectionFailed(
                f"{self.name}: the connection ended with {reason}" + (f": {words}" if words else ""),
                reason.value,
            )
            self._busy = self._connected = False
            self._asked.clear()
            self._news.notify_all()

    def _on_message(self, _: object, __: object, message: paho.MQTTMessage) -> None:
        self._tell(self.end.take(message.topic, bytes(message.payload), properties_of(message)))
        self._go_on()

    def _tell(self, opened: list[Opened]) -> None:
        with self._news:
            self._inbox.extend(opened)
            self._news.notify_all()
        self._show(opened)

    def _wait(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        with self._news:
            if not self._news.wait_for(condition, timeout):
                raise self._in_vain(timeout, what)


def _without_delay(_: object, __: object, sock: Any) -> None:
    # A handshake is small packets to and fro, each of which would wait for the other side's ACK.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def properties_of(message: paho.MQTTMessage) -> Properties:
    """What the parties need of a message's properties."""
    about = message.properties
    return Properties(
        response_topic=getattr(about, "ResponseTopic", None),
        correlation_data=getattr(about, "CorrelationData", None),
        user_property=tuple((str(name), str(value)) for name, value in getattr(about, "UserProperty", ())),
    )
