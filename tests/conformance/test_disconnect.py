"""DISCONNECT (3.14), AUTH without a method (3.15, 4.12), and errors (4.13)."""

from __future__ import annotations

import time

import pytest

from . import wire
from .brokers import Brokers, Profile
from .client import Connect
from .coverage import covers, covers_311
from .wire import Kind, P


@pytest.mark.parametrize(
    "packet",
    [
        wire.disconnect(),
        wire.disconnect(0),
        wire.disconnect(0, []),
        wire.disconnect(4),
        wire.disconnect(0, [(P.REASON_STRING, "bye"), (P.USER_PROPERTY, ("a", "b"))]),
    ],
    ids=["short", "reason", "properties", "with will", "full"],
)
@covers("MQTT-3.14.4-1", "MQTT-3.14.4-2")
def test_client_disconnects(joined: Connect, packet: bytes) -> None:
    """The broker closes without a word."""
    client = joined()
    client.send(packet)
    assert client.expect_closed() == []


@covers_311("MQTT-3.14.4-3")
def test_client_disconnects_in_311(joined: Connect) -> None:
    client = joined(4)
    client.send(wire.disconnect())
    assert client.expect_closed() == []


@covers("MQTT-3.14.4-1")
@covers_311("MQTT-3.14.4-3")
def test_nothing_after_disconnect_is_processed(joined: Connect, name: str, protocol: int) -> None:
    watcher, client = joined(protocol), joined(protocol)
    watcher.subscribe(name)
    client.send(wire.disconnect(), wire.publish(name, b"too late", protocol=protocol))
    client.expect_closed()
    watcher.quiet()


@pytest.mark.parametrize("reason", [0x01, 0x03, 0x05, 0x18, 0x7F, 0xFF])
@covers("MQTT-3.14.2-1", "MQTT-4.13.1-1")
def test_unknown_reason(joined: Connect, name: str, reason: int) -> None:
    """An undefined Reason Code is malformed; in any case the connection ends."""
    client = joined()
    client.send(wire.disconnect(reason))
    client.refused(0x81, 0x82)


WRONG = {
    "Session Expiry twice": [(P.SESSION_EXPIRY, 1), (P.SESSION_EXPIRY, 1)],
    "Reason String twice": [(P.REASON_STRING, "a"), (P.REASON_STRING, "a")],
    "Topic Alias": [(P.TOPIC_ALIAS, 1)],
    "Receive Maximum": [(P.RECEIVE_MAXIMUM, 1)],
}


@pytest.mark.parametrize("items", WRONG.values(), ids=WRONG.keys())
@covers("MQTT-4.13.1-1")
def test_wrong_property(joined: Connect, items: list[tuple[int, object]]) -> None:
    """The connection ends anyhow; that the packet was wrong is seen from the will, in its own test."""
    client = joined(props=[(P.SESSION_EXPIRY, 60)])
    client.send(wire.disconnect(0, items))
    client.refused(0x81, 0x82)


ERRORS = {
    "reserved type": (b"\x00\x00", (0x81, 0x82)),
    "malformed length": (b"\x30\xff\xff\xff\xff\x01", (0x81, 0x82)),
    "second CONNECT": (wire.connect("again"), (0x82,)),
    "QoS 3": (wire.publish("a", qos=3, packet_id=1), (0x81, 0x82)),
    "wildcard in a topic": (wire.publish("a/+"), (0x90, 0x82, 0x81)),
    "topic alias 65535": (wire.publish("a", props=[(P.TOPIC_ALIAS, 65535)]), (0x94,)),
    "no filters": (wire.subscribe(1), (0x82, 0x81)),
    "subscription identifier 0": (
        wire.subscribe(1, ("a", 0), props=[(P.SUBSCRIPTION_IDENTIFIER, 0)]),
        (0x82, 0x81),
    ),
    "share with No Local": (wire.subscribe(1, ("$share/g/a", 4)), (0x82,)),
    "property twice": (wire.publish("a", props=[(P.CONTENT_TYPE, "a"), (P.CONTENT_TYPE, "a")]), (0x82, 0x81)),
    "AUTH without method": (wire.auth(0x19, [(P.AUTHENTICATION_METHOD, "m")]), (0x82,)),
}


@pytest.mark.parametrize("packet, reasons", ERRORS.values(), ids=ERRORS.keys())
@covers("MQTT-4.13.1-1", "MQTT-4.13.2-1", "MQTT-3.14.2-1", "MQTT-3.14.4-1", "MQTT-3.14.4-2", "MQTT-3.14.2-2")
def test_error_is_told_and_ends_the_connection(
    joined: Connect, packet: bytes, reasons: tuple[int, ...]
) -> None:
    """A broker may close without a word; if it says why, it uses the right code, and nothing follows."""
    client = joined()
    client.send(packet, wire.PINGREQ)
    before = client.expect_closed()
    assert len(before) <= 1
    for disconnect in before:
        assert disconnect.kind is Kind.DISCONNECT and disconnect.reason in reasons


@covers_311("MQTT-4.8.0-1")
def test_error_in_311_ends_the_connection_without_a_word(joined: Connect) -> None:
    client = joined(4)
    client.send(wire.publish("a/+", protocol=4))
    assert client.expect_closed() == []


@covers("MQTT-4.13.1-1", "MQTT-4.13.2-1")
@covers_311("MQTT-4.8.0-1")
def test_errors_of_one_client_do_not_concern_others(
    connect: Connect, joined: Connect, name: str, protocol: int
) -> None:
    bystander, other = joined(protocol), joined(protocol)
    bystander.subscribe((name, 2))
    bad = [
        b"\x00\x00",
        b"\x30\xff\xff\xff\xff",
        b"\x82\x02\x00\x00",
        b"\xf0\x01\xff",
        b"\x10\x00",
        b"GET / HTTP/1.1\r\n",
    ]
    for number, data in enumerate(bad):
        client = joined(protocol)
        client.send(data)
        other.publish(name, b"%d" % number, qos=number % 3)
        bystander.message(name, b"%d" % number)
        stranger = connect(protocol)
        stranger.send(data)
    bystander.quiet()


@covers("MQTT-3.2.0-1", "MQTT-3.14.0-1", "MQTT-3.1.0-1")
@covers_311("MQTT-3.1.0-1", "MQTT-3.2.0-1")
def test_broker_does_not_speak_first(connect: Connect, protocol: int) -> None:
    client = connect(protocol)
    client.expect_silence()


AUTHS = {
    "re-authenticate": wire.auth(0x19, [(P.AUTHENTICATION_METHOD, "m")]),
    "continue": wire.auth(0x18, [(P.AUTHENTICATION_METHOD, "m"), (P.AUTHENTICATION_DATA, b"d")]),
    "empty": wire.auth(),
    "no method": wire.auth(0x19, []),
    "unknown reason": wire.auth(0x7F, [(P.AUTHENTICATION_METHOD, "m")]),
}


@pytest.mark.parametrize("packet", AUTHS.values(), ids=AUTHS.keys())
@covers("MQTT-4.12.0-7", "MQTT-4.13.1-1", "MQTT-3.15.2-1")
def test_auth_without_authentication_method(joined: Connect, packet: bytes) -> None:
    client = joined()
    client.send(packet)
    client.refused(0x81, 0x82, 0x8C)


@covers("MQTT-4.12.0-1", "MQTT-3.2.2-6", "MQTT-3.2.2-7")
def test_unknown_authentication_method(connect: Connect, name: str) -> None:
    client = connect()
    client.send(
        wire.connect(name, props=[(P.AUTHENTICATION_METHOD, "no such method"), (P.AUTHENTICATION_DATA, b"d")])
    )
    connack = client.expect(Kind.CONNACK, session_present=False)
    assert connack.reason in (0x8C, 0x87)
    assert client.expect_closed() == []


@covers("MQTT-3.14.4-1", "MQTT-4.13.2-1", "MQTT-3.1.2-22")
def test_keep_alive_timeout_is_told(joined: Connect) -> None:
    """DISCONNECT 0x8D, if anything."""
    client = joined(keep_alive=1)
    time.sleep(1)
    before = client.expect_closed(8)
    assert [(p.kind, p.reason) for p in before] in ([], [(Kind.DISCONNECT, 0x8D)])


@covers("MQTT-3.2.2-15", "MQTT-4.13.1-1")
def test_packet_too_large_for_the_broker(brokers: Brokers, connect: Connect, name: str) -> None:
    """The maximum is announced, a packet of exactly this size passes, one more byte is DISCONNECT 0x95."""
    at = brokers(Profile(maximum_packet_size=500))
    client, watcher = connect(5, at), connect(5, at)
    assert client.connect(name).get(P.MAXIMUM_PACKET_SIZE) == 500
    watcher.connect(f"{name}-2")
    watcher.subscribe(name)
    overhead = len(wire.publish(name, b"x" * 400)) - 400
    exact = wire.publish(name, b"x" * (500 - overhead))
    assert len(exact) == 500
    client.send(exact)
    watcher.message(name, b"x" * (500 - overhead))
    client.send(wire.publish(name, b"x" * (501 - overhead)))
    client.refused(0x95)
    watcher.quiet()


@covers("MQTT-3.2.2-15")
def test_broker_does_not_wait_for_a_packet_that_is_too_large(
    brokers: Brokers, connect: Connect, name: str
) -> None:
    """The Remaining Length says enough: the connection ends before 200 MB have come."""
    client = connect(5, brokers(Profile(maximum_packet_size=500)))
    client.connect(name)
    client.send(b"\x30" + wire.vbi(200_000_000) + b"\x00\x01a")
    client.refused(0x95)


@covers_311("MQTT-4.8.0-1")
def test_packet_too_large_in_311(brokers: Brokers, connect: Connect, name: str) -> None:
    client = connect(4, brokers(Profile(maximum_packet_size=500)))
    client.connect(name)
    client.send(wire.publish(name, b"x" * 600, protocol=4))
    assert client.expect_closed() == []
