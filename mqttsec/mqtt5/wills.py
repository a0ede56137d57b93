"""Will Messages: when they are due, and who gets them (3.1.2.5, 3.1.3.2, 3.1.3.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from amqtt.contexts import Action

from mqttsec.mqtt5.hooks import Arrival, ask, take_over
from mqttsec.mqtt5.message import Message, forwarded
from mqttsec.mqtt5.router import is_servers_own

if TYPE_CHECKING:
    from mqttsec.mqtt5.broker import Broker
    from mqttsec.mqtt5.session import Session


def fall_due(broker: Broker, session: Session) -> None:
    """The session lost its connection: let its Will Message, if it has one, go out now or later.

    3.1.3.2.2: it waits until its Will Delay Interval "has passed or the Session ends, whichever happens
    first"; who connects again before has it taken back [MQTT-3.1.3-9].
    """
    if session.will is None:
        return
    delay = min(session.will.properties.will_delay_interval or 0, session.expiry_interval)
    if delay:
        session.will_timer = broker.call_later(delay, send, broker, session)
    else:
        send(broker, session)


def send(broker: Broker, session: Session) -> None:
    """Let the Will Message go out, if it is still there and guard and plugins allow it."""
    will, session.will = session.will, None
    session.will_timer = None
    if will is None:
        return
    properties = forwarded(replace(will.properties, will_delay_interval=None))
    message = Message(
        will.topic, will.payload, will.qos, will.retain, properties, session.client_id, broker.now()
    )
    if is_servers_own(will.topic):
        return
    if broker.guard is not None and ask(broker.guard.publish, session, will.topic) >= 0x80:
        return
    if broker.filtering.immediate:
        if broker.filtering.permits(session, will.topic, Action.PUBLISH):
            _deliver(broker, session, message)
    else:
        broker.in_background(_send_slowly(broker, session, message))


async def _send_slowly(broker: Broker, session: Session, message: Message) -> None:
    if await broker.filtering.ask(session, message.topic, Action.PUBLISH):
        if broker.router.relay_of(message.topic) is None:
            await broker.deliver_slowly(message)
        else:
            _deliver(broker, session, message)


def _deliver(broker: Broker, session: Session, message: Message) -> None:
    relay = broker.router.relay_of(message.topic)
    if relay is None:
        broker.deliver(message)
    else:
        take_over(relay, Arrival(session, message, 0, message.properties))
