"""The Will Message (3.1.2.5, 3.1.3.2 to 3.1.3.4): when it is published, when not, and as what."""

from __future__ import annotations

import time

import pytest

from . import wire
from .client import Connect, RawClient
from .coverage import covers, covers_311
from .wire import Kind, P, Will


@pytest.fixture
def watcher(joined: Connect, name: str, protocol: int) -> RawClient:
    """A client that hears the wills of a test."""
    client = joined(protocol)
    client.subscribe((f"{name}/will", 2))
    return client


@pytest.mark.parametrize("qos", [0, 1, 2])
@covers("MQTT-3.1.2-7", "MQTT-3.1.2-8", "MQTT-3.1.2-12", "MQTT-3.1.2-10")
@covers_311("MQTT-3.1.2-8", "MQTT-3.1.2-10", "MQTT-3.1.2-14")
def test_will_of_a_lost_connection(
    watcher: RawClient, joined: Connect, name: str, protocol: int, qos: int
) -> None:
    client = joined(protocol, will=Will(f"{name}/will", b"gone", qos=qos))
    client.drop()
    assert watcher.message(f"{name}/will", b"gone").qos == qos
    # It was published once, and is gone.
    watcher.quiet()


@covers("MQTT-3.14.4-3", "MQTT-3.1.2-8", "MQTT-3.1.2-10")
@covers_311("MQTT-3.14.4-3", "MQTT-3.1.2-8", "MQTT-3.1.2-10")
def test_no_will_after_disconnect(watcher: RawClient, joined: Connect, name: str, protocol: int) -> None:
    joined(protocol, will=Will(f"{name}/will")).disconnect()
    watcher.quiet()


@covers("MQTT-3.14.4-3")
def test_no_will_after_disconnect_with_reason_0(joined: Connect, name: str) -> None:
    watcher = joined()
    watcher.subscribe(f"{name}/will")
    joined(will=Will(f"{name}/will")).disconnect(0, [])
    watcher.quiet()


@pytest.mark.parametrize("reason", [0x04, 0x80, 0x82, 0x93, 0x97], ids=hex)
@covers("MQTT-3.1.2-8", "MQTT-3.14.2-1")
def test_will_after_disconnect_with_another_reason(joined: Connect, name: str, reason: int) -> None:
    """0x04 asks for the will; every error keeps it too (3.14.2.1)."""
    watcher = joined()
    watcher.subscribe(f"{name}/will")
    joined(will=Will(f"{name}/will", b"kept")).disconnect(reason)
    watcher.message(f"{name}/will", b"kept")


@covers("MQTT-3.1.2-8")
@covers_311("MQTT-3.1.2-8")
def test_will_after_an_error(watcher: RawClient, joined: Connect, name: str, protocol: int) -> None:
    """The server closed the connection because of a Malformed Packet."""
    client = joined(protocol, will=Will(f"{name}/will", b"error"))
    client.send(b"\x00\x00")
    client.expect_closed()
    watcher.message(f"{name}/will", b"error")


@covers_311("MQTT-3.1.2-12")
def test_no_will_without_one(watcher: RawClient, connect: Connect, name: str, protocol: int) -> None:
    """Also not that of an earlier connection of the same client."""
    client = connect(protocol)
    client.connect(name, will=Will(f"{name}/will", b"first"))
    client.disconnect()
    again = connect(protocol)
    again.connect(name)
    again.drop()
    last = connect(protocol)
    last.connect(name)
    last.quiet()
    watcher.quiet()


@covers("MQTT-3.1.2-14")
@covers_311("MQTT-3.1.2-16")
def test_will_that_is_not_retained(watcher: RawClient, joined: Connect, name: str, protocol: int) -> None:
    joined(protocol, will=Will(f"{name}/will", b"gone", retain=False)).drop()
    watcher.message(f"{name}/will", b"gone")
    late = joined(protocol)
    late.subscribe(f"{name}/will")
    late.quiet()


@covers("MQTT-3.1.2-15")
@covers_311("MQTT-3.1.2-17")
def test_retained_will(watcher: RawClient, joined: Connect, name: str, protocol: int) -> None:
    joined(protocol, will=Will(f"{name}/will", b"kept", retain=True)).drop()
    assert not watcher.message(f"{name}/will", b"kept").retain
    late = joined(protocol)
    late.send(wire.subscribe(1, (f"{name}/will", 0), protocol=protocol))
    packets = {packet.kind: packet for packet in (late.recv(), late.recv())}
    assert packets[Kind.PUBLISH].payload == b"kept" and packets[Kind.PUBLISH].retain


@covers("MQTT-3.1.3-10", "MQTT-3.3.2-4", "MQTT-3.3.2-15", "MQTT-3.3.2-16", "MQTT-3.3.2-17", "MQTT-3.3.2-20")
def test_will_keeps_its_properties(joined: Connect, name: str) -> None:
    properties = [
        (P.PAYLOAD_FORMAT, 1),
        (P.CONTENT_TYPE, "text/plain"),
        (P.RESPONSE_TOPIC, f"{name}/answer"),
        (P.CORRELATION_DATA, b"\x00\xff"),
        (P.USER_PROPERTY, ("b", "1")),
        (P.USER_PROPERTY, ("a", "2")),
        (P.USER_PROPERTY, ("b", "1")),
    ]
    watcher = joined()
    watcher.subscribe(f"{name}/will")
    will = Will(f"{name}/will", b"text", properties=(*properties, (P.MESSAGE_EXPIRY, 100)))
    joined(will=will).drop()
    message = watcher.message(f"{name}/will", b"text")
    for identifier, value in properties[:4]:
        assert message.get(identifier) == value
    assert message.all(P.USER_PROPERTY) == [("b", "1"), ("a", "2"), ("b", "1")]
    assert 98 <= message.number(P.MESSAGE_EXPIRY) <= 100
    assert message.get(P.WILL_DELAY) is None


@covers("MQTT-3.1.2-8")
def test_will_delay(connect: Connect, joined: Connect, name: str) -> None:
    watcher = joined()
    watcher.subscribe(f"{name}/will")
    client = connect()
    will = Will(f"{name}/will", b"late", properties=((P.WILL_DELAY, 1),))
    client.connect(name, will=will, props=[(P.SESSION_EXPIRY, 60)])
    began = time.monotonic()
    client.drop()
    watcher.message(f"{name}/will", b"late")
    assert 0.5 <= time.monotonic() - began


@covers("MQTT-3.1.2-8")
def test_will_does_not_wait_longer_than_the_session(connect: Connect, joined: Connect, name: str) -> None:
    """With a Session Expiry Interval of 0 the session ends with the connection, and the will is due."""
    watcher = joined()
    watcher.subscribe(f"{name}/will")
    client = connect()
    client.connect(name, will=Will(f"{name}/will", b"now", properties=((P.WILL_DELAY, 3600),)))
    client.drop()
    watcher.message(f"{name}/will", b"now")


@covers("MQTT-3.1.2-8", "MQTT-4.1.0-2")
def test_will_is_due_when_the_session_expires(connect: Connect, joined: Connect, name: str) -> None:
    watcher = joined()
    watcher.subscribe(f"{name}/will")
    client = connect()
    will = Will(f"{name}/will", b"expired", properties=((P.WILL_DELAY, 3600),))
    client.connect(name, will=will, props=[(P.SESSION_EXPIRY, 1)])
    client.drop()
    watcher.message(f"{name}/will", b"expired")


@covers("MQTT-3.1.3-9", "MQTT-3.1.2-8")
def test_reconnecting_in_time_cancels_the_delayed_will(connect: Connect, joined: Connect, name: str) -> None:
    watcher = joined()
    watcher.subscribe(f"{name}/will")
    client = connect()
    will = Will(f"{name}/will", b"never", properties=((P.WILL_DELAY, 1),))
    client.connect(name, will=will, props=[(P.SESSION_EXPIRY, 60)])
    client.drop()
    again = connect()
    again.connect(name, clean=False, props=[(P.SESSION_EXPIRY, 60)])
    time.sleep(2.1)
    watcher.quiet()


@covers("MQTT-3.1.2-8", "MQTT-3.1.4-4")
def test_clean_start_ends_the_session_and_its_will_is_due(
    connect: Connect, joined: Connect, name: str
) -> None:
    """The session ended before the delay did, and that publishes the will (3.1.2.5)."""
    watcher = joined()
    watcher.subscribe(f"{name}/will")
    client = connect()
    will = Will(f"{name}/will", b"session over", properties=((P.WILL_DELAY, 3600),))
    client.connect(name, will=will, props=[(P.SESSION_EXPIRY, 60)])
    client.drop()
    connect().connect(name, clean=True)
    watcher.message(f"{name}/will", b"session over")


@covers("MQTT-3.1.2-8", "MQTT-3.1.4-3")
@covers_311("MQTT-3.1.2-8", "MQTT-3.1.4-2")
def test_take_over_publishes_the_will(watcher: RawClient, connect: Connect, name: str, protocol: int) -> None:
    """The first connection ended without a DISCONNECT 0x00 from its client, and no delay saves its will."""
    client = connect(protocol)
    client.connect(name, will=Will(f"{name}/will", b"taken over"))
    connect(protocol).connect(name)
    client.expect_closed()
    watcher.message(f"{name}/will", b"taken over")
    watcher.quiet()


@covers("MQTT-3.1.3-9", "MQTT-3.1.4-3")
def test_take_over_within_the_delay_publishes_no_will(connect: Connect, joined: Connect, name: str) -> None:
    """The new connection continues the session, before the delay of the will is over."""
    watcher = joined()
    watcher.subscribe(f"{name}/will")
    client = connect()
    will = Will(f"{name}/will", b"never", properties=((P.WILL_DELAY, 1),))
    client.connect(name, clean=False, will=will, props=[(P.SESSION_EXPIRY, 60)])
    again = connect()
    again.connect(name, clean=False, props=[(P.SESSION_EXPIRY, 60)])
    client.expect_closed()
    time.sleep(2.1)
    watcher.quiet()


@covers("MQTT-3.1.2-7", "MQTT-3.1.2-10")
@covers_311("MQTT-3.1.2-10")
def test_each_connection_has_its_own_will(
    watcher: RawClient, connect: Connect, name: str, protocol: int
) -> None:
    """A session that is continued keeps no will of a connection before."""
    props = [(P.SESSION_EXPIRY, 60)] if protocol == 5 else []
    for payload in (b"first", b"second"):
        client = connect(protocol)
        client.connect(name, clean=False, props=props, will=Will(f"{name}/will", payload))
        client.drop()
        watcher.message(f"{name}/will", payload)
    last = connect(protocol)
    last.connect(name, clean=False, props=props)
    last.drop()
    connect(protocol).connect(name, clean=False, props=props)
    watcher.quiet()


@covers("MQTT-3.1.2-7")
@covers_311("MQTT-3.1.2-8")
def test_will_of_a_refused_connect_is_not_kept(
    watcher: RawClient, connect: Connect, name: str, protocol: int
) -> None:
    client = connect(protocol)
    packet = wire.connect(name, protocol=protocol, will=Will(f"{name}/will", b"refused"))
    client.send(wire.frame(0x10, packet[2:] + b"\x00"))
    client.refused(0x81, 0x82)
    watcher.quiet()


@covers("MQTT-3.1.2-8")
@covers_311("MQTT-3.1.2-8")
def test_empty_will(watcher: RawClient, joined: Connect, name: str, protocol: int) -> None:
    """A Will Payload may be empty."""
    joined(protocol, will=Will(f"{name}/will", b"")).drop()
    watcher.message(f"{name}/will", b"")
