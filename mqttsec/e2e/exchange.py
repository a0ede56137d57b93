"""A run of all three blocks, packet by packet: what one party sends waits until somebody delivers it.

The parties are those of a `Company`; between them travel real MQTT 5 packets (specification 1.3, 1.4):
CONNECT, AUTH and CONNACK with the message in Authentication Data, PUBLISH with it as payload. Left out are
PUBACK and SUBSCRIBE, which carry nothing of the schemes. Who delivers may deliver something else: that is
the attacker of the handshake lab. Everything is recorded in a `Trace`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from mqttsec.e2e.broker import Ticket
from mqttsec.e2e.company import PUBLISHER, TOPIC, Company
from mqttsec.e2e.control import answer_topic, control_topic, is_reserved
from mqttsec.e2e.encoding import Message, decode
from mqttsec.e2e.handshake import read
from mqttsec.e2e.messages import (
    BrokerAnswer,
    BrokerHello,
    KeepWaiting,
    Layer,
    PublisherAnswer,
    PublisherHello,
    Refusal,
    StillWaiting,
    SubscriberRequest,
)
from mqttsec.e2e.setup import BROKER
from mqttsec.errors import HandshakeError, MalformedPacketError, MqttsecError, TamperError
from mqttsec.packets import Auth, Connack, Connect, Packet, Properties, Publish, ReasonCode
from mqttsec.packets import decode as decode_packet
from mqttsec.packets import encode as encode_packet
from mqttsec.trace import EventKind, Trace

SUBSCRIBER = "bob"
"""The subscriber whose handshake is shown."""

NETWORK = "network"
"""Whoever sits on the line."""

TRAVEL = 0.02
"""Seconds that a packet is on its way."""

_CONNECTIONS = {PUBLISHER: 1, SUBSCRIBER: 2}


@dataclass(frozen=True)
class Flight:
    """A packet on its way."""

    step: int
    """Of specification 1.3 and 1.4; 0 in Block 3."""
    sender: str
    """Who really sends it."""
    receiver: str
    """Whom it goes to."""
    packet: Packet
    """The MQTT packet."""
    speaks_as: str = ""
    """Whose connection it comes on."""
    connection: int = 0
    """For the trace."""

    @property
    def frame(self) -> bytes:
        """The bytes on the wire."""
        return encode_packet(self.packet)

    @property
    def carried(self) -> bytes:
        """What it carries of the schemes."""
        return carried(self.packet)

    def carrying(self, data: bytes) -> Flight:
        """The same packet with something else in it."""
        if isinstance(self.packet, Publish):
            return replace(self, packet=replace(self.packet, payload=data))
        assert isinstance(self.packet, Connect | Connack | Auth)
        about = replace(self.packet.properties, authentication_data=data)
        return replace(self, packet=replace(self.packet, properties=about))

    @property
    def title(self) -> str:
        """`step 7, PUBLISH broker to alice`."""
        name = self.packet.packet_type.name
        step = f"step {self.step}, " if self.step else ""
        return f"{step}{name} {self.sender} to {self.receiver}"


def carried(packet: Packet) -> bytes:
    """What a packet carries of the schemes: Authentication Data, or the payload of PUBLISH."""
    if isinstance(packet, Publish):
        return packet.payload
    if isinstance(packet, Connect | Connack | Auth):
        return packet.properties.authentication_data or b""
    return b""


@dataclass
class Exchange:
    """The run at hand. `deliver` takes a packet to its receiver, whose answers then wait in `pending`."""

    company: Company
    """The parties."""
    trace: Trace
    """What has happened."""
    pending: list[Flight] = field(default_factory=list)
    """Packets on their way."""
    published: list[bytes] = field(default_factory=list)
    """Application Messages that alice has protected."""
    taken: list[bytes] = field(default_factory=list)
    """Application Messages that bob has taken for hers."""
    on_wire: list[tuple[str, str, Publish]] = field(default_factory=list)
    """(sender, receiver, packet) of every data message that was delivered."""
    _tickets: list[Ticket] = field(default_factory=list)
    _ids: int = 0

    # What begins a block -----------------------------------------------------------------------

    def connect(self) -> None:
        """Step 1: alice connects."""
        self._send_connect(1, PUBLISHER, self.company.publisher.hello())

    def subscribe(self) -> None:
        """Step 5: bob asks for the topic."""
        request = self.company.subscriber(SUBSCRIBER).request(PUBLISHER, TOPIC)
        self._send_connect(5, SUBSCRIBER, request)

    def publish(self, message: bytes) -> None:
        """Block 3: alice has something to say."""
        if not self.company.publisher.connected:
            self.note(PUBLISHER, "is not connected: nothing to send")
            return
        protected = self.company.publisher.protect(TOPIC, message)
        if not protected:
            self.note(PUBLISHER, "nobody has asked for the topic: nothing to send")
            return
        self.published.append(message)
        for topic, payload in protected:
            if not topic.endswith("/mallory"):
                self._send(0, PUBLISHER, BROKER, Publish(topic, payload))

    def _send_connect(self, step: int, name: str, message: Message) -> None:
        connect = Connect(name, clean_start=True, keep_alive=60, properties=self._about(message))
        self._send(step, name, BROKER, connect)

    # Delivering --------------------------------------------------------------------------------

    @property
    def next(self) -> Flight | None:
        """The packet whose turn it is; None when nothing is on its way."""
        return min(self.pending, key=lambda flight: flight.step) if self.pending else None

    def take(self) -> Flight:
        """The same, taken off the line."""
        flight = self.next
        assert flight is not None, "something is on its way"
        self.pending.remove(flight)
        return flight

    def lose(self, flight: Flight) -> None:
        """The packet never arrives."""
        self.company.now += TRAVEL
        self._record(EventKind.LOST, flight.sender, flight.receiver, flight)

    def deliver(self, flight: Flight) -> None:
        """The packet arrives, and its receiver does what it does."""
        self._record(EventKind.SENT, flight.sender, flight.receiver, flight)
        self.company.now += TRAVEL
        self._record(EventKind.RECEIVED, flight.receiver, flight.sender, flight)
        try:
            packet = decode_packet(flight.frame)
            if flight.receiver == BROKER:
                self._at_broker(flight, packet)
            elif flight.receiver == PUBLISHER:
                self._at_publisher(packet)
            elif flight.receiver == NETWORK:
                self.note(NETWORK, "gets the answer, and has no private key to make anything of it")
            else:
                self._at_subscriber(packet, flight.sender)
        except (HandshakeError, TamperError, MalformedPacketError) as error:
            self._rejected(flight.receiver, flight.sender, error)
            if flight.receiver == BROKER:
                self._refuse(flight, error)

    def settle(self) -> None:
        """Nothing is on its way any more: who still waits for an answer gives up."""
        broker = self.company.broker
        for ticket in self._tickets:
            self.company.now = max(self.company.now, ticket.deadline)
            try:
                broker.wait(ticket)
            except HandshakeError as error:
                self._rejected(BROKER, SUBSCRIBER, error)
                self._drop(ticket, error)
                return

    # Each party --------------------------------------------------------------------------------

    def _at_broker(self, flight: Flight, packet: Packet) -> None:
        broker, party = self.company.broker, self.company.broker.party
        if isinstance(packet, Connect):
            message = read(party, carried(packet), PublisherHello, SubscriberRequest)
            if isinstance(message, PublisherHello):
                welcome = broker.welcome(packet.client_id, message)
                broker.enter(welcome)
                self._derived(BROKER, ("K_PB",), packet.client_id)
                connack = Connack(False, ReasonCode.SUCCESS, self._about(welcome.reply))
                self._send(3, BROKER, _back(flight), connack)
            else:
                assert isinstance(message, SubscriberRequest)
                self._asked(broker.request(packet.client_id, message))
        elif isinstance(packet, Auth):
            still = read(party, carried(packet), StillWaiting)
            for ticket in self._tickets:
                broker.still(ticket, still)
        elif isinstance(packet, Publish) and is_reserved(packet.topic):
            message = read(party, packet.payload, PublisherAnswer, Refusal)
            assert isinstance(message, PublisherAnswer | Refusal)
            correlation = packet.properties.correlation_data or b""
            self._accept(broker.answered(flight.speaks_as, correlation, message))
        elif isinstance(packet, Publish):
            self.on_wire.append((flight.sender, BROKER, packet))
            self._route(packet.topic, broker.inbound(flight.speaks_as, packet.topic, packet.payload))

    def _asked(self, ticket: Ticket) -> None:
        """Steps 6, 7 and 9."""
        broker = self.company.broker
        self._tickets.append(ticket)
        self._checked(BROKER, ticket.client_id, "it is bob who asks")
        if ticket.publisher in broker.publishers:
            about = Properties(
                response_topic=answer_topic(ticket.client_id), correlation_data=ticket.correlation
            )
            self._send_control(7, BROKER, ticket.publisher, broker.asked(ticket), about)
        waiting = Auth(ReasonCode.CONTINUE_AUTHENTICATION, self._about(broker.wait(ticket)))
        self._send(9, BROKER, ticket.client_id, waiting)

    def _accept(self, ticket: Ticket) -> None:
        """Steps 13 and 14."""
        broker = self.company.broker
        answer = broker.accept(ticket)
        broker.join(ticket)
        self._tickets.remove(ticket)
        keys = ("K_BSi",) if answer.wrapped is None else ("K_BSi", "GK_B")
        self._derived(BROKER, keys, ticket.client_id)
        connack = Connack(False, ReasonCode.SUCCESS, self._about(answer))
        self._send(14, BROKER, ticket.client_id, connack)

    def _route(self, topic: str, payload: bytes) -> None:
        broker = self.company.broker
        if SUBSCRIBER in broker.members(PUBLISHER, TOPIC):
            sent = broker.outbound(SUBSCRIBER, topic, payload, {})
            self._send(0, BROKER, SUBSCRIBER, Publish(topic, sent))

    def _refuse(self, flight: Flight, error: MqttsecError) -> None:
        """What a client gets whose message was not right (specification 1.4, Failures)."""
        if isinstance(flight.packet, Connect):
            connack = Connack(False, _code(error), Properties(reason_string="refused"))
            self._send(3 if flight.step == 1 else 14, BROKER, _back(flight), connack)
        elif flight.step == 13:
            for ticket in tuple(self._tickets):
                self._drop(ticket, error)

    def _drop(self, ticket: Ticket, error: MqttsecError) -> None:
        self.company.broker.drop(ticket)
        self._tickets.remove(ticket)
        connack = Connack(False, _code(error), Properties(reason_string="refused"))
        self._send(14, BROKER, ticket.client_id, connack)

    def _at_publisher(self, packet: Packet) -> None:
        publisher = self.company.publisher
        if isinstance(packet, Connack):
            if _refused(packet):
                self.note(PUBLISHER, "gives up: refused")
                return
            publisher.welcomed(read(publisher.party, carried(packet), BrokerHello))
            self._derived(PUBLISHER, ("K_PB",), BROKER)
        elif isinstance(packet, Publish):
            self._answer(packet)

    def _answer(self, packet: Publish) -> None:
        """Steps 8 and 13."""
        publisher = self.company.publisher
        about = Properties(correlation_data=packet.properties.correlation_data)
        topic = packet.properties.response_topic or answer_topic(SUBSCRIBER)
        try:
            request = read(publisher.party, packet.payload, SubscriberRequest)
            answer = publisher.asked(about.correlation_data or b"", request)
        except HandshakeError as error:
            self._rejected(PUBLISHER, BROKER, error)
            self._send(13, PUBLISHER, BROKER, self._publish(topic, Refusal(_code(error)), about))
            return
        self._derived(
            PUBLISHER, ("K_PSi",) if answer.wrapped is None else ("K_PSi", "GK_P"), request.subscriber
        )
        self._send(13, PUBLISHER, BROKER, self._publish(topic, answer, about))

    def _at_subscriber(self, packet: Packet, sender: str) -> None:
        subscriber = self.company.subscriber(SUBSCRIBER)
        if isinstance(packet, Auth):
            still = subscriber.wait(read(subscriber.party, carried(packet), KeepWaiting))
            again = Auth(ReasonCode.CONTINUE_AUTHENTICATION, self._about(still))
            self._send(10, SUBSCRIBER, BROKER, again)
        elif isinstance(packet, Connack):
            if _refused(packet):
                self.note(SUBSCRIBER, "gives up: refused")
                return
            subscriber.accepted(read(subscriber.party, carried(packet), BrokerAnswer))
            groups = [key.value for key in sorted(self.company.setup.row.keys(self.company.setup.mode))]
            group = tuple(name for name in groups if name.startswith("GK"))
            self._derived(SUBSCRIBER, ("K_BSi", "K_PSi", *group), BROKER)
        elif isinstance(packet, Publish):
            self.on_wire.append((sender, SUBSCRIBER, packet))
            opened = subscriber.open(packet.topic, packet.payload)
            self.taken.append(opened.message)
            self._checked(SUBSCRIBER, opened.publisher, f'reads "{opened.message.decode()}"')

    # Packets -----------------------------------------------------------------------------------

    def _about(self, message: Message) -> Properties:
        return Properties(
            authentication_method=self.company.setup.method, authentication_data=message.encode()
        )

    def _publish(self, topic: str, message: Message, about: Properties) -> Publish:
        self._ids += 1
        return Publish(topic, message.encode(), 1, packet_id=self._ids, properties=about)

    def _send_control(self, step: int, sender: str, name: str, message: Message, about: Properties) -> None:
        self._send(step, sender, name, self._publish(control_topic(name), message, about))

    def _send(self, step: int, sender: str, receiver: str, packet: Packet) -> None:
        client = sender if receiver == BROKER else receiver
        self.pending.append(Flight(step, sender, receiver, packet, sender, _CONNECTIONS.get(client, 3)))

    # The trace ---------------------------------------------------------------------------------

    def note(self, party: str, detail: str) -> None:
        """Something worth seeing."""
        self.trace.record(EventKind.NOTE, party, detail=detail)

    def _record(self, kind: EventKind, party: str, peer: str, flight: Flight) -> None:
        self.trace.record(kind, party, peer, packet=flight.frame, connection=flight.connection)

    def _derived(self, party: str, keys: Iterable[str], peer: str) -> None:
        names = tuple(keys)
        self.trace.record(EventKind.DERIVED, party, peer, keys=names)

    def _checked(self, party: str, peer: str, detail: str) -> None:
        self.trace.record(EventKind.CHECKED, party, peer, detail=detail)

    def _rejected(self, party: str, peer: str, error: MqttsecError) -> None:
        # Who refuses stands beside it, and a group's identifier is drawn anew in each run.
        said = re.sub(r"^[PBS] \w+(, |: )", "", str(error))
        self.trace.record(EventKind.REJECTED, party, peer, detail=re.sub(r" [0-9a-f]{16}\b", "", said))


def _back(flight: Flight) -> str:
    """Who gets the answer to a CONNECT: whoever is at the other end of that connection."""
    assert isinstance(flight.packet, Connect)
    return flight.packet.client_id if flight.sender == flight.speaks_as else NETWORK


def message_of(data: bytes) -> Message:
    """The message in what a packet carries. Raises `MalformedPacketError`."""
    return decode(data, *_CARRIED)


_CARRIED: tuple[type[Message], ...] = (
    PublisherHello,
    BrokerHello,
    SubscriberRequest,
    KeepWaiting,
    StillWaiting,
    PublisherAnswer,
    Refusal,
    BrokerAnswer,
    Layer,
)


def _code(error: MqttsecError) -> int:
    code = getattr(error, "reason_code", ReasonCode.NOT_AUTHORIZED)
    return int(code) if code >= 0x80 else int(ReasonCode.NOT_AUTHORIZED)


def _refused(packet: Connack) -> bool:
    return packet.reason_code >= 0x80
