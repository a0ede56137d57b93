"""Where something else may have a say in the broker, besides its plugins and a client's `Channel`.

Three small faces, each asked by a plain call, none of them at any cost while it is not set: a `Guard`
permits, a `Service` takes messages that are meant for the broker itself, a `Watch` hears how sessions
end. What fails inside one of them counts as refused, and costs nobody else anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from mqttsec.errors import MqttsecError
from mqttsec.mqtt5.faults import report_fault
from mqttsec.mqtt5.session import Session
from mqttsec.packets import Properties, ReasonCode
from mqttsec.packets.reason_codes import ALLOWED_REASON_CODES, PacketType

if TYPE_CHECKING:
    from mqttsec.mqtt5.broker import Broker


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
        """Set `guard`, `watch`, `methods` of the broker, call its `serve`."""


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


def tell(news: Callable[..., None], session: Session, *facts: object) -> None:
    """Let something outside the broker know; its failure is its own."""
    try:
        news(session, *facts)
    except Exception as error:
        report_fault("what hears of sessions", session.client_id, error)
