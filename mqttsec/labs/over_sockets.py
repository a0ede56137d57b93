"""The labs' parties over real sockets: a broker on a port of 127.0.0.1, everybody else on paho (MQTT 5).

The machines, the messages and their sizes are those of a `Company` in memory. What differs: real time, the
acknowledgements of QoS 1, SUBSCRIBE, and two clients that may send at the same moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType

from mqttsec.crypto import CertificateAuthority, Operations, Tally
from mqttsec.e2e import Setup
from mqttsec.e2e.broker_side import BrokerSide
from mqttsec.e2e.company import PUBLISHER, TOPIC, Sent
from mqttsec.e2e.control import is_reserved
from mqttsec.e2e.exchange import carried
from mqttsec.e2e.parties import Publisher, Subscriber
from mqttsec.e2e.setup import BROKER
from mqttsec.errors import TimedOut
from mqttsec.mqtt5 import InProcessBroker
from mqttsec.packets import Auth, Connack, Connect, Publish, decode
from mqttsec.trace import Arrow, Ladder, Trace, arrows, text_ladder

_WIDTH = 104
_PATIENCE = 30.0
"""Seconds between two rounds of "keep waiting": with a publisher that is there, one round does."""
_LONG = 30.0
"""Seconds that something may take on a very busy machine."""


class SocketCompany:
    """A broker, a connected publisher, and subscribers as they come; all of it ends with `close`.

    Raises `ConnectionFailed` where the machine allows no socket on 127.0.0.1.
    """

    def __init__(self, setup: Setup, publisher: str = PUBLISHER, topic: str = TOPIC) -> None:
        self.setup = setup
        """What all have in common."""
        self.topic = topic
        """What is published."""
        self.trace = Trace(time.monotonic)
        """Every packet, as the broker and the clients had it."""
        self.operations = {BROKER: Operations(BROKER), publisher: Operations(publisher)}
        """What each party has computed, by name."""
        self.subscribers: dict[str, Subscriber] = {}
        """Those who are there."""
        self._authority = CertificateAuthority()
        self._stack = ExitStack()
        trust = self._authority.trust
        self.side = BrokerSide(
            self._authority.issue(BROKER),
            trust,
            setup,
            patience=_PATIENCE,
            operations=self.operations[BROKER],
        )
        """The broker's part of the scheme."""
        with ExitStack() as stack:
            broker = stack.enter_context(InProcessBroker(extensions=[self.side], trace=self.trace))
            self.port = broker.port
            """The broker's TCP port."""
            self.publisher = stack.enter_context(
                Publisher(
                    self._authority.issue(publisher),
                    trust,
                    setup,
                    port=self.port,
                    operations=self.operations[publisher],
                    trace=self.trace,
                )
            )
            """P."""
            self._stack = stack.pop_all()

    def join(self, name: str) -> None:
        """Block 2 for one subscriber. Raises what `Subscriber.subscribe` does."""
        counters = self.operations[name] = Operations(name)
        who, trust = self._authority.issue(name), self._authority.trust
        subscriber = self._stack.enter_context(
            Subscriber(who, trust, self.setup, port=self.port, operations=counters, trace=self.trace)
        )
        subscriber.subscribe(self.publisher.name, self.topic, qos=0, timeout=_LONG)
        self.subscribers[name] = subscriber

    def leave(self, name: str) -> None:
        """A subscriber leaves. Returns when the publisher knows: under *hardened* the broker tells it."""
        self.subscribers.pop(name).unsubscribe(self.publisher.name, self.topic, _LONG)
        if self.setup.hardened:
            _until(lambda: name not in self.publisher.members(self.topic), f"{name} to leave")

    def publish(self, message: bytes) -> dict[str, bytes]:
        """Publish one message; gives what each subscriber opened. Raises `TimedOut`."""
        self.publisher.publish(self.topic, message, qos=0)
        return {name: each.message(_LONG).message for name, each in self.subscribers.items()}

    def tallies(self) -> dict[str, Tally]:
        """What each party has computed so far."""
        return {name: operations.tally for name, operations in self.operations.items()}

    def messages_of(self, sender: str) -> list[Sent]:
        """Topic Name and payload of every data message that the broker or the publisher sent, in order."""
        packets = (decode(arrow.frame) for arrow in arrows(self.trace) if arrow.sender == sender)
        found = (packet for packet in packets if isinstance(packet, Publish))
        return [(packet.topic, packet.payload) for packet in found if not is_reserved(packet.topic)]

    def close(self) -> None:
        """End it; twice does no harm."""
        self._stack.close()

    def __enter__(self) -> SocketCompany:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _until(condition: Callable[[], bool], what: str) -> None:
    # What comes is a PUBLISH on a control topic, for which a user has no callback.
    end = time.monotonic() + _LONG
    while not condition():
        if time.monotonic() > end:
            raise TimedOut(f"waited {_LONG:g} s in vain for {what}; is the machine very busy?")
        time.sleep(0.002)


# A run to look at --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Packet:
    """What can be compared between a run over sockets and one in memory."""

    name: str
    """CONNECT, CONNACK, AUTH or PUBLISH."""
    sender: str
    """Who sent it."""
    receiver: str
    """Who got it."""
    carries: int
    """Bytes of the scheme's message in it."""


@dataclass(frozen=True, repr=False)
class SocketRun:
    """A run over sockets that has ended; its `repr` says how it went."""

    setup: Setup
    """Scheme and profile."""
    parties: tuple[str, ...]
    """Publisher, broker, subscriber."""
    trace: Trace
    """All packets, acknowledgements as well."""
    began: float
    """When the trace begins: seconds since 1970."""
    read: tuple[str, ...]
    """What the subscriber read."""
    found: int
    """How many of the Application Messages stood readable in any packet."""
    alike: bool
    """Whether the packets of the schemes are those of the run in memory, in kind, way and size."""

    @property
    def arrows(self) -> tuple[Arrow, ...]:
        """The packets that carry a message of the scheme, in the order of the steps."""
        return scheme_arrows(self.trace, self.parties)

    def ladder(self) -> str:
        """Those packets as text. Without times: they differ from run to run."""
        return text_ladder(Ladder(self.parties, self.arrows), width=_WIDTH, times=False)

    def __repr__(self) -> str:
        publisher, _, subscriber = self.parties
        others = len(arrows(self.trace)) - len(self.arrows)
        return "\n".join(
            (
                f"Scheme {self.setup.scheme}, {self.setup.profile.value}, over TCP on 127.0.0.1: {publisher} "
                f"and {subscriber} are paho clients",
                f"{len(self.arrows)} packets of the scheme, {'the same' if self.alike else 'NOT the same'} "
                f"as in memory; {others} others (SUBSCRIBE, acknowledgements)",
                f"{subscriber} read {', '.join(self.read)}; readable on the wire: {self.found} of them",
            )
        )


def run(setup: Setup, says: tuple[bytes, ...], subscriber: str, memory: tuple[Arrow, ...]) -> SocketRun:
    """Both blocks of the handshake, then each message. `memory` has the packets of the same run in memory.

    Raises `ConnectionFailed`, `HandshakeError` or `TimedOut`.
    """
    began = time.time()
    with SocketCompany(setup) as company:
        company.join(subscriber)
        read = tuple(company.publish(message)[subscriber].decode() for message in says)
        # How the connections end is nobody's story, and another one each time.
        trace = Trace.of(company.trace.events)
    parties = (company.publisher.name, BROKER, subscriber)
    seen = b"|".join(event.packet for event in trace)
    alike = [_packet(each) for each in scheme_arrows(trace, parties)] == [_packet(each) for each in memory]
    return SocketRun(setup, parties, trace, began, read, sum(text in seen for text in says), alike)


def scheme_arrows(trace: Trace, parties: tuple[str, ...]) -> tuple[Arrow, ...]:
    """The packets that carry a message of the scheme, numbered anew.

    What two clients send at the same moment comes as it comes; here it stands in the order of the steps.
    """
    ranked = [(rank, each) for each in arrows(trace) if (rank := _rank(each, parties)) is not None]
    ranked.sort(key=lambda pair: pair[0])
    return tuple(replace(each, number=number) for number, (_, each) in enumerate(ranked, start=1))


def _rank(arrow: Arrow, parties: tuple[str, ...]) -> int | None:
    """The step of specification 1.3 and 1.4 that sends this packet; 20 in Block 3, None outside."""
    publisher, _, subscriber = parties
    packet = decode(arrow.frame)
    if isinstance(packet, Connect):
        return 1 if arrow.sender == publisher else 5
    if isinstance(packet, Connack):
        return 3 if arrow.receiver == publisher else 14
    if isinstance(packet, Auth):
        return 10 if arrow.sender == subscriber else 9
    if not isinstance(packet, Publish):
        return None
    if not is_reserved(packet.topic):
        return 20
    if packet.properties.correlation_data is None:
        # That somebody left is told on the same topics, after all that is shown here.
        return None
    return 7 if arrow.sender == BROKER else 13


def _packet(arrow: Arrow) -> Packet:
    packet = decode(arrow.frame)
    return Packet(packet.packet_type.name, arrow.sender, arrow.receiver, len(carried(packet)))
