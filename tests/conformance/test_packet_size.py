"""Maximum Packet Size of the client (3.1.2.11.4), and what a broker may add to its answers."""

from __future__ import annotations

import pytest

from . import wire
from .brokers import Brokers, Profile
from .client import Connect
from .coverage import covers
from .wire import Kind, P


@pytest.mark.parametrize("qos", [0, 1, 2])
@covers("MQTT-3.1.2-24", "MQTT-3.1.2-25")
def test_message_that_is_too_large_is_dropped(joined: Connect, name: str, qos: int) -> None:
    """A PUBLISH of exactly the size comes, a larger one does not, and the flow goes on behind it."""
    client, other = joined(props=[(P.MAXIMUM_PACKET_SIZE, 100)]), joined()
    client.subscribe((name, qos))
    overhead = len(wire.publish(name, qos=qos, packet_id=1 if qos else None))
    for size in (100 - overhead, 101 - overhead, 5000):
        other.publish(name, b"x" * size, qos=qos)
    assert len(client.message(name, b"x" * (100 - overhead)).raw) == 100
    client.quiet()
    other.publish(name, b"y", qos=qos)
    client.message(name, b"y")
    client.quiet()


@covers("MQTT-3.1.2-25", "MQTT-3.3.4-9", "MQTT-4.9.0-2")
def test_message_that_is_too_large_takes_no_quota(joined: Connect, name: str) -> None:
    """The broker behaves as if it had been sent and acknowledged."""
    client = joined(props=[(P.MAXIMUM_PACKET_SIZE, 100), (P.RECEIVE_MAXIMUM, 1)])
    client.subscribe((name, 2))
    other = joined()
    for number in range(4):
        other.publish(name, b"x" * 5000, qos=1 + number % 2)
        other.publish(name, b"%d" % number, qos=1 + number % 2)
    for number in range(4):
        client.message(name, b"%d" % number)
    client.quiet()


@covers("MQTT-3.1.2-24", "MQTT-3.1.2-25")
def test_properties_count(joined: Connect, name: str) -> None:
    """User Properties of a message are never left out to make it fit; the message is."""
    client, other = joined(props=[(P.MAXIMUM_PACKET_SIZE, 100)]), joined()
    client.subscribe(name)
    other.publish(name, b"x", props=[(P.USER_PROPERTY, ("name", "v" * 100))])
    other.publish(name, b"y")
    client.message(name, b"y")


@covers("MQTT-3.1.2-24", "MQTT-3.1.2-25")
def test_queued_and_retained_messages_that_are_too_large(
    connect: Connect, joined: Connect, name: str
) -> None:
    other = joined()
    client = connect()
    client.connect(name, clean=False, props=[(P.SESSION_EXPIRY, 60)])
    client.subscribe((f"{name}/t", 1))
    client.disconnect()
    for size in (1, 300, 2):
        other.publish(f"{name}/t", b"x" * size, qos=1)
    other.publish(f"{name}/r/1", b"r" * 300, qos=1, retain=True)
    other.publish(f"{name}/r/2", b"r", qos=1, retain=True)
    again = connect()
    again.connect(name, clean=False, props=[(P.SESSION_EXPIRY, 60), (P.MAXIMUM_PACKET_SIZE, 100)])
    again.message(payload=b"x")
    again.message(payload=b"xx")
    again.send(wire.subscribe(9, (f"{name}/r/+", 1)))
    kinds = {packet.kind: packet for packet in (again.recv(), again.recv())}
    assert set(kinds) == {Kind.SUBACK, Kind.PUBLISH} and kinds[Kind.PUBLISH].payload == b"r"


@covers(
    "MQTT-3.1.2-24",
    "MQTT-3.9.2-1",
    "MQTT-3.9.2-2",
    "MQTT-3.11.2-1",
    "MQTT-3.11.2-2",
    "MQTT-3.4.2-2",
    "MQTT-3.4.2-3",
    "MQTT-3.5.2-2",
    "MQTT-3.5.2-3",
    "MQTT-3.6.2-2",
    "MQTT-3.6.2-3",
    "MQTT-3.7.2-2",
    "MQTT-3.7.2-3",
)
def test_answers_fit(joined: Connect, name: str) -> None:
    """Every answer keeps to a very small maximum, refusals and their Reason Strings included."""
    limit = 20
    client, other = joined(props=[(P.MAXIMUM_PACKET_SIZE, limit)]), joined()
    client.send(
        wire.subscribe(1, (f"{name}", 2), ("$share/+/t", 0)),
        wire.publish(f"{name}/other", qos=1, packet_id=2),
        wire.publish(f"{name}/other", qos=2, packet_id=3),
        wire.ack(Kind.PUBREL, 3),
        wire.ack(Kind.PUBREL, 4),
        wire.unsubscribe(5, "no such filter", f"{name}/x"),
        wire.ack(Kind.PUBREC, 6),
        wire.PINGREQ,
    )
    packets = client.expect_closed_or(Kind.PINGRESP)
    other.publish(name, b"x", qos=2)
    assert [packet.raw for packet in packets if len(packet.raw) > limit] == []


@covers("MQTT-3.14.2-3", "MQTT-3.14.2-4", "MQTT-3.1.2-24")
def test_disconnect_fits(joined: Connect) -> None:
    for packet in (wire.publish("a/+"), b"\x00\x00", wire.subscribe(1), wire.auth(0x19, [])):
        client = joined(props=[(P.MAXIMUM_PACKET_SIZE, 20)])
        client.send(packet)
        assert [told.raw for told in client.expect_closed() if len(told.raw) > 20] == []


@covers("MQTT-3.2.2-19", "MQTT-3.2.2-20", "MQTT-3.1.2-24")
def test_refusing_connack_fits(connect: Connect, name: str) -> None:
    """A small CONNACK is possible for every refusal; Reason Strings have no place in it."""
    client = connect()
    props = [(P.MAXIMUM_PACKET_SIZE, 20), (P.AUTHENTICATION_METHOD, "a method that nobody has heard of")]
    client.send(wire.connect(name, props=props))
    assert [told.raw for told in client.expect_closed() if len(told.raw) > 20] == []


@covers("MQTT-3.1.2-29")
def test_no_problem_information(joined: Connect, connect: Connect, name: str) -> None:
    """Request Problem Information 0: neither Reason String nor User Property in any of these answers."""
    client = joined(props=[(P.REQUEST_PROBLEM_INFORMATION, 0)])
    client.send(
        wire.subscribe(1, (name, 2), ("$share/g/", 0)),
        wire.publish(f"$SYS/{name}", qos=1, packet_id=2),
        wire.publish(f"{name}/other", qos=2, packet_id=3),
        wire.ack(Kind.PUBREL, 3),
        wire.ack(Kind.PUBREL, 4),
        wire.ack(Kind.PUBREC, 6),
        wire.unsubscribe(5, "no such filter"),
        wire.PINGREQ,
    )
    for packet in client.expect_closed_or(Kind.PINGRESP):
        if packet.kind is not Kind.DISCONNECT:
            assert packet.get(P.REASON_STRING) is None and packet.all(P.USER_PROPERTY) == []


@covers("MQTT-3.1.2-29")
def test_message_keeps_its_user_properties_without_problem_information(joined: Connect, name: str) -> None:
    """PUBLISH is the exception: its User Properties are the publisher's."""
    client, other = joined(props=[(P.REQUEST_PROBLEM_INFORMATION, 0)]), joined()
    client.subscribe(name)
    other.publish(name, b"x", props=[(P.USER_PROPERTY, ("a", "b"))])
    assert client.message(name, b"x").all(P.USER_PROPERTY) == [("a", "b")]


@covers("MQTT-3.1.2-29")
def test_refused_publish_without_problem_information(brokers: Brokers, connect: Connect, name: str) -> None:
    client = connect(5, brokers(Profile(forbidden="secret")))
    client.connect(name, props=[(P.REQUEST_PROBLEM_INFORMATION, 0)])
    client.send(wire.publish("secret/x", qos=1, packet_id=1))
    puback = client.expect(Kind.PUBACK, packet_id=1, reason=0x87)
    assert puback.props == ()
