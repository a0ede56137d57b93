"""Where something else may have a say in the broker, besides its plugins and a client's `Channel`.

Four small faces, each asked by a plain call, none of them at any cost while it is not set: a `Guard`
permits, a `Service` takes messages that are meant for the broker itself, a `Relay` takes whole topics
elsewhere and answers later, a `Watch` hears how sessions end. What fails inside one of them counts as
refused, and costs nobody else anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from mqttsec.errors import MqttsecError
from mqttsec.mqtt5.faults import report_fault
from mqttsec.mqtt5.session import Session
from mqttsec.packets import Properties, ReasonCode, SubscribeFilter
from mqttsec.packets.reason_codes import ALLOWED_REASON_CODES, PacketType

if TYPE_CHECKING:
    from mqttsec.mqtt5.broker import Broker
    from mqttsec.mqtt5.message import Message


class Guard(Protocol):
    """May this client? Answers are Reason Codes: 0 allows, 0x80 or more refuses.

    Asked before anything else is done, every time, except `receive`: its answers are kept with the
    route of a topic until `Router.forget()`, or until a session's channel or any subscription changes.
    """

    def admit(self, session: Session) -> int:
        """A client without an Authentication Method wants to connect under its Client Identifier."""

    def publish(self, session: Session, topic: str) -> int:
        """A client publishes; or its Will Message is due, which has no answer."""

    def subscribe(self, session: Session, topic_filter: str) -> int:
        """A client subscribes; of a shared subscription the plain Topic Filter is asked about."""

    def receive(self, session: Session, topic: str) -> bool:
        """A client's subscription matches a topic. False: it gets nothing of it."""


Service = Callable[[Session, str, bytes, Properties], int]
"""Takes (session, topic, payload, properties) of a message that is not routed, and not retained, but meant
for the broker; gives the Reason Code for its acknowledgement. A raised `MqttsecError` refuses it."""


class Arrival:
    """A message that a `Relay` has taken over: its publisher waits for `acknowledge`.

    Until then the publisher keeps it, and what it sends again meanwhile is this same message.
    """

    __slots__ = ("message", "packet_id", "properties", "session")

    def __init__(self, session: Session, message: Message, packet_id: int, properties: Properties) -> None:
        self.session = session
        """Who published it."""
        self.message = message
        """The message, its QoS and its RETAIN flag."""
        self.packet_id = packet_id
        """Its Packet Identifier; 0 at QoS 0."""
        self.properties = properties
        """The properties of the PUBLISH."""

    def acknowledge(self, reason_code: int = 0) -> None:
        """Answer with PUBACK or PUBREC, once; at QoS 0, or when its session is over, nothing happens."""
        session = self.session
        if self.packet_id and session.relayed.get(self.packet_id) is self:
            del session.relayed[self.packet_id]
            if self.message.qos == 2 and reason_code < 0x80:
                session.received.add(self.packet_id)
            if session.connection is not None:
                session.connection.acknowledge(self.message.qos, self.packet_id, reason_code)


class Relay(Protocol):
    """Takes over what clients do under some topics, instead of the broker's own routing.

    The answers may come at once or later. What is raised here refuses.
    """

    def publish(self, arrival: Arrival) -> None:
        """A client published; call `arrival.acknowledge` once somebody has taken the message over."""

    def subscribe(
        self, session: Session, wanted: SubscribeFilter, properties: Properties, answer: Callable[[int], None]
    ) -> None:
        """A client subscribes; call `answer` with the Reason Code for SUBACK, once."""

    def unsubscribe(self, session: Session, topic_filter: str, properties: Properties) -> int:
        """A client gives a subscription up; gives the Reason Code for UNSUBACK."""


class Watch(Protocol):
    """Hears of sessions and subscriptions that end; not when the broker itself shuts down."""

    def left(self, session: Session) -> None:
        """A client's network connection ended; its session may live on."""

    def ended(self, session: Session) -> None:
        """A session is discarded; its subscriptions are still there."""

    def unsubscribed(self, session: Session, topic_filter: str) -> None:
        """A client gave a subscription up."""


class Extension(Protocol):
    """Something that takes hold of the broker by its hooks."""

    def attach(self, broker: Broker) -> None:
        """Set `guard`, `watch`, `methods` of the broker, call its `serve` and `relay`."""


def ask(question: Callable[[Session, str], int], session: Session, about: str) -> int:
    """A guard's answer; one that fails refuses."""
    try:
        return question(session, about)
    except Exception as error:
        report_fault("the guard", session.client_id, error)
        return ReasonCode.NOT_AUTHORIZED


def hand_over(service: Service, session: Session, topic: str, payload: bytes, properties: Properties) -> int:
    """Let a service take a message; gives the Reason Code for PUBACK or PUBREC."""
    try:
        code = service(session, topic, payload, properties)
    except MqttsecError as error:
        code = getattr(error, "reason_code", ReasonCode.NOT_AUTHORIZED)
    except Exception as error:
        report_fault("a service", session.client_id, error)
        code = ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR
    known = code in ALLOWED_REASON_CODES[PacketType.PUBACK]
    return code if known else ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR


def take_over(relay: Relay, arrival: Arrival) -> None:
    """Let a relay have a message; one that fails refuses it."""
    if arrival.packet_id:
        arrival.session.relayed[arrival.packet_id] = arrival
    try:
        relay.publish(arrival)
    except Exception as error:
        report_fault("a relay", arrival.session.client_id, error)
        arrival.acknowledge(ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR)


def tell(news: Callable[..., None], session: Session, *facts: object) -> None:
    """Let something outside the broker know; its failure is its own."""
    try:
        news(session, *facts)
    except Exception as error:
        report_fault("what hears of sessions", session.client_id, error)
