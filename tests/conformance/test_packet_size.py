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


ANSWERS = {
    "SUBACK": (wire.subscribe(1, ("a", 2), ("secret/x", 0)), Kind.SUBACK),
    "UNSUBACK": (wire.unsubscribe(1, "no such filter", "another"), Kind.UNSUBACK),
    "PUBACK": (wire.publish("secret/x", qos=1, packet_id=1), Kind.PUBACK),
    "PUBREC": (wire.publish("secret/x", qos=2, packet_id=1), Kind.PUBREC),
    "PUBREL": (wire.ack(Kind.PUBREC, 1), Kind.PUBREL),
    "PUBCOMP": (wire.ack(Kind.PUBREL, 1), Kind.PUBCOMP),
}
"""What draws each answer with a reason to give, from a broker that forbids everything under "secret/"."""
answers = pytest.mark.parametrize("packet, kind", ANSWERS.values(), ids=ANSWERS.keys())


@answers
@covers(
    "MQTT-3.1.2-24",
    "MQTT-3.4.2-2",
    "MQTT-3.4.2-3",
    "MQTT-3.5.2-2",
    "MQTT-3.5.2-3",
    "MQTT-3.6.2-2",
    "MQTT-3.6.2-3",
    "MQTT-3.7.2-2",
    "MQTT-3.7.2-3",
    "MQTT-3.9.2-1",
    "MQTT-3.9.2-2",
    "MQTT-3.11.2-1",
    "MQTT-3.11.2-2",
)
def test_answer_fits(brokers: Brokers, connect: Connect, name: str, packet: bytes, kind: Kind) -> None:
    """The Reason Code always fits; what explains it only comes where there is room."""
    limit = 40
    client = connect(5, brokers(Profile(forbidden="secret")))
    client.connect(name, props=[(P.MAXIMUM_PACKET_SIZE, limit)])
    client.send(packet, wire.PINGREQ)
    before = client.expect_closed_or(Kind.PINGRESP)
    assert [told.raw for told in before if len(told.raw) > limit] == []
    # A PUBREC of which the broker knows nothing may go unanswered (3.6.2.1).
    assert kind is Kind.PUBREL or kind in [told.kind for told in before]


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


@answers
@covers("MQTT-3.1.2-29")
def test_no_problem_information(
    brokers: Brokers, connect: Connect, name: str, packet: bytes, kind: Kind
) -> None:
    """Request Problem Information 0: neither Reason String nor User Property in any of these answers."""
    client = connect(5, brokers(Profile(forbidden="secret")))
    client.connect(name, props=[(P.REQUEST_PROBLEM_INFORMATION, 0)])
    client.send(packet, wire.PINGREQ)
    before = client.expect_closed_or(Kind.PINGRESP)
    assert kind is Kind.PUBREL or kind in [told.kind for told in before]
    assert [told for told in before if told.props] == []


@covers("MQTT-3.1.2-29")
def test_message_keeps_its_user_properties_without_problem_information(joined: Connect, name: str) -> None:
    """PUBLISH is the exception: its User Properties are the publisher's."""
    client, other = joined(props=[(P.REQUEST_PROBLEM_INFORMATION, 0)]), joined()
    client.subscribe(name)
    other.publish(name, b"x", props=[(P.USER_PROPERTY, ("a", "b"))])
    assert client.message(name, b"x").all(P.USER_PROPERTY) == [("a", "b")]
