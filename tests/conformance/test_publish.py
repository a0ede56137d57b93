"""PUBLISH (3.3): what a client may send, and what arrives."""

from __future__ import annotations

import time

import pytest

from . import wire
from .brokers import Brokers, Profile
from .client import Connect
from .coverage import covers, covers_311
from .wire import Kind, P


@covers("MQTT-3.3.1-4", "MQTT-4.13.1-1")
@covers_311("MQTT-3.3.1-4", "MQTT-4.8.0-1")
def test_qos_3(joined: Connect, name: str, protocol: int) -> None:
    client = joined(protocol)
    client.send(wire.publish(name, qos=3, packet_id=1, protocol=protocol))
    client.refused(0x81, 0x82)


@covers("MQTT-3.3.1-2", "MQTT-4.3.1-1")
@covers_311("MQTT-3.3.1-2", "MQTT-4.3.1-1")
def test_dup_with_qos_0(joined: Connect, name: str, protocol: int) -> None:
    client = joined(protocol)
    client.send(wire.publish(name, dup=True, protocol=protocol))
    client.refused(0x81, 0x82)


@pytest.mark.parametrize("qos", [1, 2])
@covers("MQTT-3.3.1-3", "MQTT-4.3.2-2", "MQTT-4.3.3-2")
@covers_311("MQTT-3.3.1-3", "MQTT-4.3.2-1", "MQTT-4.3.3-1")
def test_dup_is_not_forwarded(joined: Connect, name: str, protocol: int, qos: int) -> None:
    """A PUBLISH that the server sends for the first time has DUP 0, even if it received DUP 1."""
    client, other = joined(protocol), joined(protocol)
    client.subscribe((name, qos))
    other.publish(name, b"x", qos=qos, dup=True)
    assert not client.message(name, b"x").dup


@pytest.mark.parametrize("topic", ["a/#", "+", "a/+/b", "#", "a#", "a+"])
@pytest.mark.parametrize("qos", [0, 1])
@covers("MQTT-3.3.2-2", "MQTT-4.7.0-1")
@covers_311("MQTT-3.3.2-2", "MQTT-4.7.1-1")
def test_wildcard_in_topic_name(joined: Connect, protocol: int, topic: str, qos: int) -> None:
    client = joined(protocol)
    client.send(wire.publish(topic, b"x", qos=qos, packet_id=qos or None, protocol=protocol))
    client.refused(0x81, 0x82, 0x90)


@covers("MQTT-4.7.3-1", "MQTT-4.13.1-1")
@covers_311("MQTT-4.7.3-1")
def test_empty_topic_name(joined: Connect, protocol: int) -> None:
    """Without a Topic Alias an empty Topic Name is a Protocol Error (3.3.2.1)."""
    client = joined(protocol)
    client.send(wire.publish("", b"x", protocol=protocol))
    client.refused(0x81, 0x82, 0x90)


@covers("MQTT-4.7.3-3", "MQTT-3.3.2-1")
@covers_311("MQTT-4.7.3-3", "MQTT-3.3.2-1")
def test_longest_topic_name(joined: Connect, name: str, protocol: int) -> None:
    """65,535 bytes are a Topic Name; a broker that has a lower limit refuses cleanly or ignores it."""
    client, other = joined(protocol), joined(protocol)
    topic = f"{name}/" + "t" * (65535 - len(name) - 1)
    client.subscribe(f"{name}/+")
    other.publish(topic, b"x")
    client.message(topic, b"x")


@pytest.mark.parametrize(
    "topic", ["/", "//", "a/", "/a", " ", "a b/c", "\u00e9/\u4e2d/\U0001f321", "a//b", "A"]
)
@covers("MQTT-4.7.3-4", "MQTT-3.3.2-3")
@covers_311("MQTT-4.7.3-4", "MQTT-3.3.2-3")
def test_unusual_topic_names(joined: Connect, name: str, protocol: int, topic: str) -> None:
    client, other = joined(protocol), joined(protocol)
    client.subscribe(f"{name}{topic}", f"{name}{topic}/x")
    other.publish(f"{name}{topic}", b"x")
    client.message(f"{name}{topic}", b"x")
    client.quiet()


@covers("MQTT-3.3.2-3", "MQTT-3.3.2-1")
@covers_311("MQTT-3.3.2-3", "MQTT-3.3.2-1")
def test_any_payload(joined: Connect, name: str, protocol: int) -> None:
    """Payloads are bytes: none, all values, what looks like a packet, a large one."""
    client, other = joined(protocol), joined(protocol)
    client.subscribe(name)
    for payload in (b"", bytes(range(256)), wire.PINGREQ * 3, b"\xed\xa0\x80", b"x" * 300_000):
        other.publish(name, payload)
        client.message(name, payload)


@covers("MQTT-3.3.4-1", "MQTT-4.3.2-4", "MQTT-4.3.3-8", "MQTT-4.3.3-11", "MQTT-2.2.1-5")
@covers_311("MQTT-3.3.4-1", "MQTT-4.3.2-2", "MQTT-4.3.3-2", "MQTT-2.3.1-6")
def test_answer_by_qos(joined: Connect, name: str, protocol: int) -> None:
    """QoS 0: none; QoS 1: PUBACK; QoS 2: PUBREC and, on PUBREL, PUBCOMP; in the order of the packets."""
    client = joined(protocol)
    identifiers = [7, 65535, 1, 300]
    for qos, kind in ((1, Kind.PUBACK), (2, Kind.PUBREC)):
        client.send(*(wire.publish(name, qos=qos, packet_id=n, protocol=protocol) for n in identifiers))
        for number in identifiers:
            assert client.expect(kind, packet_id=number).reason in (0, 0x10)
    for number in identifiers:
        client.send(wire.ack(Kind.PUBREL, number))
        client.expect(Kind.PUBCOMP, packet_id=number, reason=0)
    client.send(wire.publish(name, protocol=protocol))
    client.quiet()


@covers("MQTT-3.3.2-4", "MQTT-3.3.2-15", "MQTT-3.3.2-16", "MQTT-3.3.2-17", "MQTT-3.3.2-18", "MQTT-3.3.2-20")
def test_properties_are_forwarded(joined: Connect, name: str) -> None:
    client, other = joined(), joined()
    client.subscribe((name, 2))
    users = [("z", "1"), ("a", "2"), ("z", "1"), ("", ""), ("\u00e9", "\U0001f321"), ("a", "0")]
    properties: list[tuple[P, object]] = [
        (P.RESPONSE_TOPIC, f"{name}/answer"),
        (P.USER_PROPERTY, users[0]),
        (P.CONTENT_TYPE, "text/plain; charset=utf-8"),
        (P.CORRELATION_DATA, bytes(range(256))),
        *((P.USER_PROPERTY, user) for user in users[1:]),
        (P.PAYLOAD_FORMAT, 1),
    ]
    for qos in (0, 1, 2):
        other.publish(name, b"text", qos=qos, props=properties)
        message = client.message(name, b"text")
        assert message.all(P.USER_PROPERTY) == users
        for identifier, value in properties:
            if identifier != P.USER_PROPERTY:
                assert message.get(identifier) == value, identifier
        assert len(message.props) == len(properties)


@covers("MQTT-3.3.2-4", "MQTT-2.2.2-1")
def test_no_properties_are_added(joined: Connect, name: str) -> None:
    """Nothing that the publisher did not say (a default may be spelled out: Payload Format 0)."""
    client, other = joined(), joined()
    client.subscribe(name)
    other.publish(name, b"x")
    assert set(client.message(name, b"x").props) <= {(P.PAYLOAD_FORMAT, 0)}
    other.publish(name, b"x", props=[(P.PAYLOAD_FORMAT, 0)])
    assert set(client.message(name, b"x").props) <= {(P.PAYLOAD_FORMAT, 0)}


@covers("MQTT-3.3.2-17", "MQTT-3.3.2-18")
def test_properties_survive_a_queue_and_the_retained_store(
    connect: Connect, joined: Connect, name: str
) -> None:
    client = connect()
    client.connect(name, clean=False, props=[(P.SESSION_EXPIRY, 60)])
    client.subscribe((f"{name}/t", 1))
    client.disconnect()
    users = [("b", "1"), ("a", "2"), ("b", "3")]
    properties = [*((P.USER_PROPERTY, user) for user in users), (P.CORRELATION_DATA, b"\0\1")]
    joined().publish(f"{name}/t", b"x", qos=1, retain=True, props=properties)
    again = connect()
    again.connect(name, clean=False, props=[(P.SESSION_EXPIRY, 60)])
    late = joined()
    late.send(wire.subscribe(1, (f"{name}/t", 1)))
    late.expect(Kind.SUBACK)
    for reader in (again, late):
        message = reader.message(f"{name}/t", b"x")
        assert message.all(P.USER_PROPERTY) == users and message.get(P.CORRELATION_DATA) == b"\0\1"


@covers("MQTT-3.3.2-3")
@covers_311("MQTT-3.3.2-3")
def test_versions_side_by_side(joined: Connect, name: str) -> None:
    """A 3.1.1 subscriber gets the message of an MQTT 5 publisher without its properties, and the reverse."""
    old, new = joined(4), joined(5)
    old.subscribe((f"{name}/new", 1))
    new.subscribe((f"{name}/old", 1))
    new.publish(f"{name}/new", b"from 5", qos=1, props=[(P.USER_PROPERTY, ("a", "b"))])
    old.message(f"{name}/new", b"from 5")
    old.publish(f"{name}/old", b"from 3.1.1", qos=1)
    assert not set(new.message(f"{name}/old", b"from 3.1.1").props) - {(P.PAYLOAD_FORMAT, 0)}


WRONG_PROPERTIES = {
    "Payload Format twice": [(P.PAYLOAD_FORMAT, 0), (P.PAYLOAD_FORMAT, 0)],
    "Message Expiry twice": [(P.MESSAGE_EXPIRY, 9), (P.MESSAGE_EXPIRY, 9)],
    "Topic Alias twice": [(P.TOPIC_ALIAS, 1), (P.TOPIC_ALIAS, 1)],
    "Response Topic twice": [(P.RESPONSE_TOPIC, "a"), (P.RESPONSE_TOPIC, "a")],
    "Correlation Data twice": [(P.CORRELATION_DATA, b"a"), (P.CORRELATION_DATA, b"a")],
    "Content Type twice": [(P.CONTENT_TYPE, "a"), (P.CONTENT_TYPE, "a")],
    "Session Expiry": [(P.SESSION_EXPIRY, 1)],
    "Receive Maximum": [(P.RECEIVE_MAXIMUM, 1)],
    "Reason String": [(P.REASON_STRING, "a")],
    "Will Delay": [(P.WILL_DELAY, 1)],
    "Authentication Method": [(P.AUTHENTICATION_METHOD, "a")],
}


@pytest.mark.parametrize("items", WRONG_PROPERTIES.values(), ids=WRONG_PROPERTIES.keys())
@covers("MQTT-4.13.1-1", "MQTT-4.13.2-1")
def test_wrong_property(joined: Connect, name: str, items: list[tuple[int, object]]) -> None:
    client = joined()
    client.send(wire.publish(name, b"x", props=items))
    client.refused(0x81, 0x82, 0x99)


@pytest.mark.parametrize(
    "block",
    [b"\x02\x7f\x00", b"\x03\x02\x00\x00", b"\x7f", b"\x80\x80\x80\x80\x01"],
    ids=["unknown identifier", "cut short", "length too long", "length of five bytes"],
)
@covers("MQTT-4.13.1-1")
def test_malformed_properties(joined: Connect, name: str, block: bytes) -> None:
    client = joined()
    client.send(wire.frame(0x30, wire.binary(name) + block))
    client.refused(0x81, 0x82)


@pytest.mark.parametrize("identifier", [1, 0, 268_435_455])
@covers("MQTT-3.3.4-6", "MQTT-4.13.1-1")
def test_subscription_identifier_from_a_client(joined: Connect, name: str, identifier: int) -> None:
    client = joined()
    client.send(wire.publish(name, b"x", props=[(P.SUBSCRIPTION_IDENTIFIER, identifier)]))
    client.refused(0x81, 0x82)


@pytest.mark.parametrize("topic", ["a/#", "+/a", "#"])
@covers("MQTT-3.3.2-14")
def test_wildcard_in_response_topic(joined: Connect, name: str, topic: str) -> None:
    client = joined()
    client.send(wire.publish(name, b"x", props=[(P.RESPONSE_TOPIC, topic)]))
    client.refused(0x81, 0x82, 0x90)


@covers("MQTT-3.3.2-5", "MQTT-3.3.2-6")
def test_message_expiry(connect: Connect, joined: Connect, name: str) -> None:
    """One message expires while the client is away; the interval of the other is what is left of it."""
    client = connect()
    client.connect(name, clean=False, props=[(P.SESSION_EXPIRY, 60)])
    client.subscribe((f"{name}/t", 1))
    client.disconnect()
    other = joined()
    other.publish(f"{name}/t", b"short", qos=1, props=[(P.MESSAGE_EXPIRY, 1)])
    other.publish(f"{name}/t", b"long", qos=1, props=[(P.MESSAGE_EXPIRY, 100)])
    other.publish(f"{name}/t", b"forever", qos=1)
    time.sleep(2.1)
    again = connect()
    again.connect(name, clean=False, props=[(P.SESSION_EXPIRY, 60)])
    assert 96 <= again.message(payload=b"long").number(P.MESSAGE_EXPIRY) <= 98
    assert again.message(payload=b"forever").get(P.MESSAGE_EXPIRY) is None
    again.quiet()


@covers("MQTT-3.3.2-5", "MQTT-3.3.2-6")
def test_retained_message_expiry(joined: Connect, name: str) -> None:
    other = joined()
    other.publish(f"{name}/short", b"short", retain=True, props=[(P.MESSAGE_EXPIRY, 1)])
    other.publish(f"{name}/long", b"long", retain=True, props=[(P.MESSAGE_EXPIRY, 100)])
    time.sleep(2.1)
    client = joined()
    client.send(wire.subscribe(1, (f"{name}/+", 0)))
    packets = {packet.kind: packet for packet in (client.recv(), client.recv())}
    assert packets[Kind.PUBLISH].payload == b"long"
    assert 96 <= packets[Kind.PUBLISH].number(P.MESSAGE_EXPIRY) <= 98
    client.quiet()


@covers("MQTT-3.3.2-6")
def test_message_expiry_of_what_goes_straight_through(joined: Connect, name: str) -> None:
    client, other = joined(), joined()
    client.subscribe(name)
    other.publish(name, b"x", props=[(P.MESSAGE_EXPIRY, 100)])
    assert 99 <= client.message(name, b"x").number(P.MESSAGE_EXPIRY) <= 100


@covers("MQTT-3.3.4-1", "MQTT-3.4.2-1", "MQTT-3.5.2-1")
@covers_311("MQTT-3.3.5-2", "MQTT-3.3.4-1")
def test_publish_that_is_not_allowed(brokers: Brokers, connect: Connect, name: str, protocol: int) -> None:
    """It is not delivered. MQTT 5 says 0x87; in 3.1.1 it is acknowledged as usual, or the connection ends."""
    at = brokers(Profile(forbidden="secret"))
    watcher, client = connect(protocol, at), connect(protocol, at)
    watcher.connect(f"{name}-1")
    watcher.subscribe("secret/#", name)
    client.connect(f"{name}-2")
    client.send(wire.publish(f"secret/{name}", b"x", qos=1, packet_id=1, protocol=protocol))
    puback = client.expect(Kind.PUBACK, packet_id=1)
    assert puback.reason == (0x87 if protocol == 5 else 0)
    client.send(wire.publish(f"secret/{name}", b"x", qos=2, packet_id=2, protocol=protocol))
    pubrec = client.expect(Kind.PUBREC, packet_id=2)
    assert pubrec.reason == (0x87 if protocol == 5 else 0)
    if protocol == 4:
        client.send(wire.ack(Kind.PUBREL, 2))
        client.expect(Kind.PUBCOMP, packet_id=2)
    client.publish(name, b"allowed", qos=1)
    watcher.message(name, b"allowed")
    watcher.quiet()
