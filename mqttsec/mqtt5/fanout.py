"""Delivering a message: to all subscribers of its topic, or to one session (3.3.4, 4.3, 4.6).

The hot path of the broker. For subscribers that get the same bytes it is one append a subscriber;
the connections write once at the end of the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttsec.errors import MqttsecError
from mqttsec.mqtt5.faults import report_fault
from mqttsec.mqtt5.message import Form, Message, forwarded
from mqttsec.mqtt5.outbox import Delivery
from mqttsec.mqtt5.router import Plan, Route, Target
from mqttsec.mqtt5.session import Session
from mqttsec.packets import ReasonCode

if TYPE_CHECKING:
    from mqttsec.mqtt5.broker import Broker


_PROPERTIES, _CHANGED = object(), object()
# Places in `Message.shared` that no channel knows: the properties, and what a channel made last.


def publish(broker: Broker, message: Message, route: Route) -> bool:
    """Deliver `message` to everyone on `route`. False when nobody is subscribed."""
    plan = route.plan(message.qos, message.retain)
    for form, sessions in plan.groups:
        _publish_to_group(broker, message, message, form, sessions)
    for form, sessions in plan.alike:
        made = through_channel(sessions[0], message)
        if made is not None:
            _publish_to_group(broker, message, made, form, sessions)
            continue
        # Refused, or a fault of this one: each of the others may say for itself.
        for session in sessions:
            deliver(broker, session, message, form)
    if plan.singles or route.shared:
        _publish_singly(broker, message, route, plan)
    broker.schedule_flush()
    return not route.empty


def _publish_to_group(
    broker: Broker, message: Message, made: Message, form: Form, sessions: tuple[Session, ...]
) -> None:
    """Deliver `made`, which a channel may have made of `message`; what waits, waits as `message`."""
    head, tail = made.parts(form)
    dirty = broker.dirty
    if not form.qos and broker.alone:
        for session in sessions:
            connection = session.connection
            if connection is not None:
                connection.write_now(head)
        return
    if not form.qos:
        for session in sessions:
            connection = session.connection
            if connection is not None:
                connection.out.append(head)
                if not connection.dirty:
                    connection.dirty = True
                    dirty.append(connection)
        return
    delivery = Delivery(message, form)
    spliced, frame = 0, b""
    for session in sessions:
        connection = session.connection
        if connection is None:
            session.outbox.enqueue(delivery)
            check_bounds(broker, session)
            continue
        packet_id = session.outbox.admit(delivery)
        if not packet_id:
            check_bounds(broker, session)
            continue
        if packet_id != spliced:
            # Subscribers that came together have the same Packet Identifier next: one splice serves all.
            spliced, frame = packet_id, head + packet_id.to_bytes(2, "big") + tail
        if broker.alone:
            connection.write_now(frame)
            continue
        connection.out.append(frame)
        if not connection.dirty:
            connection.dirty = True
            dirty.append(connection)


def _publish_singly(broker: Broker, message: Message, route: Route, plan: Plan) -> None:
    for target in plan.singles:
        deliver_to_target(broker, message, target)
    for topic_filter, rows in route.shared:
        row = broker.router.next_of_share(topic_filter, rows)
        target = Target(row.session)
        target.subscriptions.append(row)
        deliver_to_target(broker, message, target)


def deliver_to_target(broker: Broker, message: Message, target: Target) -> None:
    """Deliver the one copy that a session gets of a message."""
    # By Client Identifier, not by session: the Will of a session that has ended is still the client's own.
    form = target.form(message.qos, message.retain, own=target.session.client_id == message.publisher)
    if form is not None:
        deliver(broker, target.session, message, form)


def deliver(broker: Broker, session: Session, message: Message, form: Form) -> None:
    """Deliver one message to one session, now or later."""
    connection = session.connection
    if form.qos:
        session.outbox.enqueue(Delivery(message, form))
        if connection is not None:
            connection.pump()
        check_bounds(broker, session)
    elif connection is not None:
        frame = connection.encode_qos_0(message, form)
        if frame is not None:
            connection.push(frame)


def check_bounds(broker: Broker, session: Session) -> None:
    """Keep what waits for one session within the settings, at its own cost and nobody else's."""
    outbox, settings = session.outbox, broker.settings
    if outbox.queued <= settings.max_queued_messages and outbox.queued_bytes <= settings.max_queued_bytes:
        return
    if session.connection is not None:
        session.connection.end(ReasonCode.QUOTA_EXCEEDED, "you take messages more slowly than they come")
        return
    outbox.drop_newest()


def through_channel(session: Session, message: Message) -> Message | None:
    """The message as the session's channel changes it; None where the channel refuses it, or fails."""
    channel = session.channel
    if channel is None:
        return message
    shared = message.shared
    properties = shared.get(_PROPERTIES)
    if properties is None:
        properties = shared[_PROPERTIES] = message.properties
    try:
        payload, changed = channel.outbound(message.topic, message.payload, properties, shared)
    except MqttsecError:
        return None
    except Exception as error:
        # A fault in one client's channel must not keep the message from the others, nor let it out unchanged.
        report_fault("the channel", session.client_id, error)
        return None
    if changed is properties:
        if payload is message.payload:
            return message
        # What a channel makes once for many is one message here as well.
        latest: Message | None = shared.get(_CHANGED)
        if latest is not None and latest.payload is payload:
            return latest
    made = Message(
        message.topic,
        payload,
        message.qos,
        message.retain,
        forwarded(changed),
        message.publisher,
        message.received_at,
        message.topic_bytes,
    )
    if changed is properties:
        shared[_CHANGED] = made
    return made
