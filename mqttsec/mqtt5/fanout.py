"""Delivering a message: to all subscribers of its topic, or to one session (3.3.4, 4.3, 4.6).

The hot path of the broker. For subscribers that get the same bytes it is one append a subscriber;
the connections write once at the end of the batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import write
from typing import TYPE_CHECKING

from mqttsec.errors import MqttsecError
from mqttsec.mqtt5.faults import report_fault
from mqttsec.mqtt5.message import Form, Message, forwarded
from mqttsec.mqtt5.outbox import Delivery, Outbox
from mqttsec.mqtt5.router import Apart, Group, Line, Plan, Route, Target
from mqttsec.mqtt5.session import Session
from mqttsec.packets import ReasonCode

if TYPE_CHECKING:
    from mqttsec.mqtt5.broker import Broker


_PROPERTIES, _CHANGED = object(), object()
# Places in `Message.shared` that no channel knows: the properties, and what a channel made last.


def publish(broker: Broker, message: Message, route: Route) -> bool:
    """Deliver `message` to everyone on `route`. False when nobody is subscribed."""
    plan = route.plan(message.qos, message.retain)
    for group in plan.groups:
        _publish_to_group(broker, message, message, group)
    for group in plan.alike:
        first = group.lines[0][2] if group.lines else group.away[0]
        made = through_channel(first, message)
        if made is not None:
            if broker.alone and not broker.dirty:
                _publish_now(broker, message, made, group)
            else:
                _publish_to_group(broker, message, made, group)
            continue
        # Refused, or a fault of this one: each of the others may say for itself.
        for session in (*(line[2] for line in group.lines), *group.away):
            deliver(broker, session, message, group.form)
    for apart in plan.apart:
        _publish_apart(broker, message, apart)
    if plan.singles or route.shared:
        _publish_singly(broker, message, route, plan)
    broker.schedule_flush()
    return not route.empty


def _publish_to_group(broker: Broker, message: Message, made: Message, group: Group) -> None:
    """Deliver `made`, which a channel may have made of `message`; what waits, waits as `message`."""
    form, lines, away = group
    head, tail = made.parts(form)
    if form.qos:
        delivery = Delivery(message, form)
        keep_for(broker, delivery, away)
        number(broker, delivery, lines, head, tail)
        return
    dirty = broker.dirty
    for outlet, _, _ in lines:
        outlet.out.append(head)
        if not outlet.dirty:
            outlet.dirty = True
            dirty.append(outlet)


def _publish_now(broker: Broker, message: Message, made: Message, group: Group) -> None:
    """The same for a message that came alone and has no lane, because it passes a channel: at once."""
    form, lines, away = group
    head, tail = made.parts(form)
    if not form.qos:
        write_now(lines, head)
        return
    written, late = write_numbered_now(lines, head, tail)
    delivery = Delivery(message, form)
    for outbox in written:
        outbox.admit(delivery)
    number(broker, delivery, late, head, tail)
    keep_for(broker, delivery, away)


def _publish_apart(broker: Broker, message: Message, apart: Apart) -> None:
    """Deliver copies that are made for each receiver.

    They leave when all are made, as in the E2E paper, whose shortest delay grows with n for that reason. To
    write each at once would serve the first receivers sooner; for the broker it is the same work.
    """
    form, series, lines, names = apart
    at_once = broker.alone and not broker.dirty
    size, head, done = -1, b"", 0
    try:
        for (outlet, _, _), payload in zip(
            lines, series(message.topic, message.payload, message.shared, names), strict=True
        ):
            done += 1
            if payload is None:
                continue
            if len(payload) != size:
                size = len(payload)
                head = message.before(form, size)
            outlet.out.append(head + payload)
    except Exception:
        # A fault in one copy: it and the rest are made each for itself, and report for themselves.
        for _, _, session in lines[done:]:
            deliver(broker, session, message, form)
    _leave(broker, lines, at_once)


def _leave(broker: Broker, lines: Iterable[Line], at_once: bool) -> None:
    """Let what stands in the outlets leave with the next write; `at_once`, if nothing is in the way."""
    dirty = broker.dirty
    for outlet, _, _ in lines:
        out, descriptor = outlet.out, outlet.direct
        if at_once and descriptor >= 0 and len(out) == 1:
            frame = out.pop()
            try:
                sent = write(descriptor, frame)
            except OSError:
                sent = 0
            if sent == len(frame):
                continue
            out.append(frame[sent:])
        if out and not outlet.dirty:
            outlet.dirty = True
            dirty.append(outlet)


def keep_for(broker: Broker, delivery: Delivery, away: Iterable[Session]) -> None:
    """Let a QoS 1 or 2 message wait for clients that are not connected."""
    for session in away:
        session.outbox.enqueue(delivery)
        check_bounds(broker, session)


def number(broker: Broker, delivery: Delivery, lines: Iterable[Line], head: bytes, tail: bytes) -> None:
    """Let copies with a Packet Identifier leave with the next write; what cannot go now waits."""
    dirty = broker.dirty
    spliced, frame = 0, b""
    for outlet, outbox, session in lines:
        packet_id = outbox.admit(delivery)
        if not packet_id:
            check_bounds(broker, session)
            continue
        if packet_id != spliced:
            # Subscribers that came together have the same Packet Identifier next: one splice serves all.
            spliced, frame = packet_id, head + packet_id.to_bytes(2, "big") + tail
        outlet.out.append(frame)
        if not outlet.dirty:
            outlet.dirty = True
            dirty.append(outlet)


def write_now(lines: Iterable[Line], frame: bytes) -> None:
    """Write the same bytes to all, in this very moment: the first does not wait until a list is made.

    Nothing may wait for the next write meanwhile, in no outlet of the broker.
    """
    size = len(frame)
    for outlet, _, _ in lines:
        descriptor = outlet.direct
        if descriptor < 0:
            outlet.push(frame)
            continue
        try:
            sent = write(descriptor, frame)
        except OSError:
            sent = 0
        if sent != size:
            outlet.push(frame[sent:])


def write_numbered_now(lines: Iterable[Line], head: bytes, tail: bytes) -> tuple[list[Outbox], list[Line]]:
    """`write_now` for QoS 1 and 2; `head` and `tail` stand around the Packet Identifier.

    Returns the outboxes whose next delivery has been written, to which it has to be admitted before anything
    else is done, and the lines that could not be written to.
    """
    written: list[Outbox] = []
    late: list[Line] = []
    spliced, frame, size = 0, b"", 0
    for line in lines:
        outlet, outbox, _ = line
        packet_id, descriptor = outbox.free, outlet.direct
        if not packet_id or descriptor < 0:
            late.append(line)
            continue
        if packet_id != spliced:
            spliced, frame = packet_id, head + packet_id.to_bytes(2, "big") + tail
            size = len(frame)
        try:
            sent = write(descriptor, frame)
        except OSError:
            sent = 0
        if sent != size:
            outlet.push(frame[sent:])
        written.append(outbox)
    return written, late


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
        frame = connection.copies.qos_0(message, form)
        if frame is not None:
            connection.outlet.push(frame)


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
