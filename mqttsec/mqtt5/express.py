"""The short way for a packet that comes alone, from a client that sends its like again and again.

A station publishes to the same few topics, and a subscriber sends nothing but acknowledgements. Who can
get the first message of a topic on its usual way (`inbound`) may have a `Lane` for the next ones: what was
looked up and decided is kept, and a message that comes alone is written to its subscribers at once. A lane
is dropped when any subscription, connection, channel or service changes (`Router.forget`); whatever else is
out of the ordinary, from the first odd byte on, goes the usual way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from amqtt.contexts import Action

from mqttsec.mqtt5 import fanout
from mqttsec.mqtt5.acknowledging import take_one
from mqttsec.mqtt5.message import Form, Forwarded, Message, forwarded_from_wire
from mqttsec.mqtt5.outbox import Delivery
from mqttsec.mqtt5.router import Group, Route, is_servers_own
from mqttsec.packets import MQTT_5, PacketType

if TYPE_CHECKING:
    from mqttsec.mqtt5.connection import Connection
    from mqttsec.mqtt5.session import Session

_LANES = 16
_LONGEST_TOPIC = 256
# Bounds of what one connection may keep, in lanes and in bytes of a Topic Name.
_LONGEST_PACKET = 5 + 0x3FFF
# Its Remaining Length has two bytes at most: a longer packet is no matter of a few microseconds.
_QOS_0, _QOS_1, _QOS_2 = (PacketType.PUBLISH << 4 | qos << 1 for qos in range(3))
_ANSWERS = {_QOS_1: b"\x40\x02", _QOS_2: b"\x50\x02"}
# PUBACK and PUBREC up to their Packet Identifier.


class Lane(NamedTuple):
    """What is known of a client's messages to one topic."""

    first: int
    """First byte of the PUBLISH: its QoS, neither DUP nor RETAIN; 0 where the usual way has to be gone."""
    properties: bytes
    """Property Length and properties; empty in 3.1.1."""
    forwarded: Forwarded
    """The same, decoded."""
    route: Route
    """Where they go."""
    groups: tuple[tuple[bool, Group], ...]
    """Receivers; True where what they get is what came, Packet Identifier aside."""


def take(connection: Connection, session: Session, data: bytes) -> bool:
    """Act on `data` if it is one whole packet that may go the short way. False: nothing was done.

    Nothing may wait for the client's next packet, and nobody watch. Raises `ProtocolError` as `inbound`.
    """
    size = len(data)
    if size < 4:
        return False
    first = data[0]
    if first & 0xF0 != _QOS_0:
        return size == 4 and take_one(connection, session, data)
    length, at = data[1], 2
    if length & 0x80:
        length, at = length & 0x7F | data[2] << 7, 3
        if not 0x80 <= length < 0x4000:
            return False
    if at + length != size:
        return False
    end = at + 2 + (data[at] << 8 | data[at + 1])
    if end > size:
        return False
    lane = connection.lanes.get(data[at + 2 : end])
    broker = connection.broker
    if lane is None or lane.first != first or broker.dirty or broker.guard is not None:
        return False
    at = end
    if first != _QOS_0:
        at += 2
        number = data[end:at]
        if len(number) < 2 or number == b"\0\0" or session.relayed:
            return False
        if first == _QOS_2 and not _is_new(connection, session, number):
            return False
    if not data.startswith(lane.properties, at):
        return False
    at += len(lane.properties)
    _deliver(connection, session, lane, data, end, at)
    if first != _QOS_0:
        if first == _QOS_2:
            session.received.add(int.from_bytes(number, "big"))
        connection.outlet.write_now(_ANSWERS[first] + number)
    return True


def _is_new(connection: Connection, session: Session, number: bytes) -> bool:
    """True for a QoS 2 message that is no repetition, with room below the Receive Maximum."""
    received = session.received
    return (
        int.from_bytes(number, "big") not in received
        and len(received) < connection.broker.settings.receive_maximum
    )


def _deliver(connection: Connection, session: Session, lane: Lane, data: bytes, end: int, at: int) -> None:
    """Write the message whose Topic Name ends at `end` and whose payload begins at `at` to all receivers."""
    broker = connection.broker
    message: Message | None = None
    for same, (form, lines, away) in lane.groups:
        if same:
            head, tail = (data[:end], data[end + 2 :]) if form.qos else (data, b"")
        else:
            message = message or _message(connection, session, lane, data, end, at)
            head, tail = message.parts(form)
        if not form.qos:
            fanout.write_now(lines, head)
            continue
        written, late = fanout.write_numbered_now(lines, head, tail)
        # What each client owes an answer for is noted down when all have been written to.
        message = message or _message(connection, session, lane, data, end, at)
        delivery = Delivery(message, form)
        for outbox in written:
            outbox.admit(delivery)
        if late:
            fanout.number(broker, delivery, late, head, tail)
        if away:
            fanout.keep_for(broker, delivery, away)


def _message(connection: Connection, session: Session, lane: Lane, data: bytes, end: int, at: int) -> Message:
    route = lane.route
    return Message(
        route.topic,
        data[at:],
        lane.first >> 1 & 3,
        False,
        lane.forwarded,
        session.client_id,
        connection.broker.now(),
        route.topic_bytes,
    )


def learn(connection: Connection, session: Session, frame: bytes) -> None:
    """Make a lane for the like of `frame`, a PUBLISH that has just gone the usual way, by itself."""
    broker, lanes = connection.broker, connection.lanes
    first = frame[0]
    if first not in _ANSWERS and first != _QOS_0:
        return
    if broker.guard is not None or broker.hears_messages or not broker.filtering.immediate:
        return
    at = 3 if frame[1] & 0x80 else 2
    end = at + 2 + (frame[at] << 8 | frame[at + 1])
    topic = frame[at + 2 : end]
    route = broker.router.cached(topic)
    if route is None or topic in lanes or len(frame) > _LONGEST_PACKET or len(topic) > _LONGEST_TOPIC:
        return
    qos = first >> 1 & 3
    at = end + 2 if qos else end
    properties = frame[at : at + 1 + (frame[at] & 0x7F)] if connection.protocol >= MQTT_5 else b""
    if len(lanes) >= _LANES:
        lanes.clear()
    broker.router.has_lanes(connection)
    if _is_ordinary(connection, session, route, qos, properties):
        groups = tuple(
            (group.form == Form(connection.protocol, qos, False), group)
            for group in route.plan(qos, False).groups
        )
        lanes[topic] = Lane(first, properties, forwarded_from_wire(properties[1:]), route, groups)
    else:
        # Remembered as well: it need not be looked at after every message.
        lanes[topic] = Lane(0, b"", forwarded_from_wire(b""), route, ())


def _is_ordinary(connection: Connection, session: Session, route: Route, qos: int, properties: bytes) -> bool:
    """True when messages like this are only passed on, the same way to all of a few kinds of receivers."""
    broker = connection.broker
    if properties[:1] >= b"\x80":
        return False
    sorted_properties = forwarded_from_wire(properties[1:])
    plan = route.plan(qos, False)
    return (
        session.channel is None
        and route.service is None
        and route.relay is None
        and not route.shared
        # Every receiver gets a copy that is made once for its group.
        and 0 < sum(len(group.lines) + len(group.away) for group in plan.groups) == len(route.targets)
        and not is_servers_own(route.topic)
        and broker.settings.maximum_packet_size >= _LONGEST_PACKET
        and broker.filtering.permits(session, route.topic, Action.PUBLISH)
        # With an expiry or an alias the bytes are not passed on as they came; nor where the order changes.
        and sorted_properties.expiry is None
        and sorted_properties.alias is None
        and sorted_properties.unaltered == properties[1:]
    )
