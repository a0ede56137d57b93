"""Sessions (3.1.2.4, 3.1.2.11.2, 4.1): begun, continued, taken over, ended."""

from __future__ import annotations

import time

import pytest

from . import wire
from .client import Connect, RawClient
from .coverage import covers, covers_311
from .wire import Kind, P, Property, Will

LASTING: list[Property] = [(P.SESSION_EXPIRY, 300)]


def begin(client: RawClient, name: str, **settings: object) -> bool:
    """CONNECT to a session that outlives the connection; says whether it was there before."""
    props = LASTING if client.protocol == 5 else []
    return client.connect(name, clean=False, props=props, **settings).session_present  # type: ignore[arg-type]


@covers("MQTT-3.1.2-5", "MQTT-3.1.2-6", "MQTT-3.1.2-23", "MQTT-3.2.2-3", "MQTT-3.1.3-2", "MQTT-4.1.0-1")
@covers_311("MQTT-3.1.2-4", "MQTT-3.2.2-2", "MQTT-3.2.2-3", "MQTT-3.1.3-2", "MQTT-4.1.0-1", "MQTT-4.1.0-2")
def test_session_is_continued(connect: Connect, joined: Connect, name: str, protocol: int) -> None:
    """Subscriptions last, and the second CONNACK says so; the first found nothing."""
    client = connect(protocol)
    assert not begin(client, name)
    client.subscribe(f"{name}/t", qos=1)
    client.disconnect()
    again = connect(protocol)
    assert begin(again, name)
    joined(protocol).publish(f"{name}/t", b"still", qos=1)
    again.message(f"{name}/t", b"still")


@covers("MQTT-3.1.2-23", "MQTT-4.5.0-1", "MQTT-3.1.2-5")
@covers_311("MQTT-3.1.2-5", "MQTT-3.1.2-4", "MQTT-4.5.0-1")
def test_messages_wait_for_the_client(connect: Connect, joined: Connect, name: str, protocol: int) -> None:
    client = connect(protocol)
    begin(client, name)
    client.subscribe(f"{name}/t", qos=2)
    client.disconnect()
    other = joined(protocol)
    other.publish(f"{name}/t", b"one", qos=1)
    other.publish(f"{name}/t", b"two", qos=2)
    again = connect(protocol)
    assert begin(again, name)
    first, second = again.message(payload=b"one"), again.message(payload=b"two")
    assert (first.qos, second.qos) == (1, 2)
    # They were never sent before, and they are no retained messages.
    assert not (first.dup or second.dup or first.retain or second.retain)
    again.quiet()


@covers("MQTT-3.1.2-4", "MQTT-3.1.4-4", "MQTT-3.2.2-2")
@covers_311("MQTT-3.1.2-6", "MQTT-3.1.4-3", "MQTT-3.2.2-1")
def test_clean_start_discards_the_session(
    connect: Connect, joined: Connect, name: str, protocol: int
) -> None:
    client = connect(protocol)
    begin(client, name)
    client.subscribe(f"{name}/t", qos=1)
    client.disconnect()
    other = joined(protocol)
    other.publish(f"{name}/t", b"for the old session", qos=1)
    clean = connect(protocol)
    assert not clean.connect(name, clean=True, props=LASTING if protocol == 5 else []).session_present
    other.publish(f"{name}/t", b"and another", qos=1)
    clean.quiet()
    clean.disconnect()
    # The old state is not found by a later session either.
    third = connect(protocol)
    assert begin(third, name) is (protocol == 5)
    third.quiet()


@covers_311("MQTT-3.1.2-6", "MQTT-3.2.2-3")
def test_clean_session_ends_with_the_connection(connect: Connect, name: str) -> None:
    client = connect(4)
    client.connect(name, clean=True)
    client.subscribe(f"{name}/t", qos=1)
    client.disconnect()
    assert not begin(connect(4), name)


@covers("MQTT-3.2.2-3", "MQTT-4.1.0-2")
def test_session_without_expiry_ends_with_the_connection(connect: Connect, name: str) -> None:
    """Without a Session Expiry Interval it is 0 (3.1.2.11.2)."""
    client = connect()
    client.connect(name)
    client.subscribe(f"{name}/t", qos=1)
    client.disconnect()
    assert not begin(connect(), name)


@covers("MQTT-3.2.2-3", "MQTT-4.1.0-2")
def test_session_of_a_lost_connection_without_expiry(connect: Connect, joined: Connect, name: str) -> None:
    watcher = joined()
    watcher.subscribe(f"{name}/will")
    client = connect()
    client.connect(name, will=Will(f"{name}/will"))
    client.drop()
    watcher.message()
    assert not begin(connect(), name)


@covers("MQTT-4.1.0-2", "MQTT-3.1.2-23")
def test_session_expires(connect: Connect, name: str) -> None:
    client = connect()
    client.connect(name, props=[(P.SESSION_EXPIRY, 1)])
    client.subscribe(f"{name}/t", qos=1)
    client.disconnect()
    soon = connect()
    assert soon.connect(name, clean=False, props=[(P.SESSION_EXPIRY, 1)]).session_present
    soon.disconnect()
    # Expiry counts in seconds; a broker may check once a second.
    time.sleep(2.2)
    assert not begin(connect(), name)


@covers("MQTT-4.1.0-1")
def test_session_does_not_expire_while_connected(connect: Connect, joined: Connect, name: str) -> None:
    """The interval begins when the connection is closed."""
    client = connect()
    client.connect(name, props=[(P.SESSION_EXPIRY, 1)])
    client.subscribe(f"{name}/t", qos=1)
    time.sleep(2.2)
    joined().publish(f"{name}/t", b"x", qos=1)
    client.message(f"{name}/t", b"x")


@covers("MQTT-4.1.0-2", "MQTT-3.1.2-23")
def test_disconnect_changes_the_session_expiry(connect: Connect, name: str) -> None:
    """From a lasting session to none (3.14.2.2.2)."""
    client = connect()
    begin(client, name)
    client.disconnect(0, [(P.SESSION_EXPIRY, 0)])
    assert not begin(connect(), name)


@covers("MQTT-3.1.2-23")
def test_disconnect_makes_the_session_last_longer(connect: Connect, name: str) -> None:
    client = connect()
    client.connect(name, props=[(P.SESSION_EXPIRY, 1)])
    client.disconnect(0, [(P.SESSION_EXPIRY, 300)])
    time.sleep(2.2)
    assert begin(connect(), name)


@covers("MQTT-4.13.1-1")
def test_disconnect_cannot_begin_a_session_expiry(connect: Connect, name: str) -> None:
    """From 0 to more is a Protocol Error (3.14.2.2.2)."""
    client = connect()
    client.connect(name)
    client.send(wire.disconnect(0, [(P.SESSION_EXPIRY, 60)]))
    client.refused(0x82)
    assert not begin(connect(), name)


@covers("MQTT-3.1.2-5", "MQTT-3.1.2-23")
def test_session_that_never_expires(connect: Connect, name: str) -> None:
    client = connect()
    client.connect(name, props=[(P.SESSION_EXPIRY, 0xFFFFFFFF)])
    client.drop()
    assert begin(connect(), name)


@covers("MQTT-3.1.4-3", "MQTT-3.1.3-2", "MQTT-3.14.2-1", "MQTT-3.14.4-2", "MQTT-4.13.2-1")
@covers_311("MQTT-3.1.4-2", "MQTT-3.1.3-2")
def test_take_over(connect: Connect, name: str, protocol: int) -> None:
    first, second = connect(protocol), connect(protocol)
    first.connect(name)
    second.connect(name)
    before = first.expect_closed()
    assert [(packet.kind, packet.reason) for packet in before] == (
        [(Kind.DISCONNECT, 0x8E)] if protocol == 5 else []
    )
    second.quiet()


@covers("MQTT-3.1.4-3", "MQTT-3.1.2-5", "MQTT-3.2.2-3", "MQTT-4.4.0-1")
@covers_311("MQTT-3.1.4-2", "MQTT-3.1.2-4", "MQTT-3.2.2-2", "MQTT-4.4.0-1")
def test_take_over_of_a_session(connect: Connect, joined: Connect, name: str, protocol: int) -> None:
    """The session goes on where the first connection left it, with what it had not acknowledged."""
    first = connect(protocol)
    begin(first, name)
    first.subscribe(f"{name}/t", qos=1)
    other = joined(protocol)
    other.publish(f"{name}/t", b"one", qos=1)
    sent = first.message(payload=b"one", answer=False)
    second = connect(protocol)
    assert begin(second, name)
    first.expect_closed()
    other.publish(f"{name}/t", b"two", qos=1)
    resent = second.message(payload=b"one")
    assert resent.dup and resent.packet_id == sent.packet_id
    second.message(payload=b"two")
    second.quiet()


@covers("MQTT-3.1.4-3", "MQTT-3.1.4-4", "MQTT-3.2.2-2")
@covers_311("MQTT-3.1.4-2", "MQTT-3.1.4-3", "MQTT-3.2.2-1")
def test_take_over_with_clean_start(connect: Connect, joined: Connect, name: str, protocol: int) -> None:
    first = connect(protocol)
    begin(first, name)
    first.subscribe(f"{name}/t", qos=1)
    second = connect(protocol)
    assert not second.connect(name, clean=True).session_present
    first.expect_closed()
    joined(protocol).publish(f"{name}/t", b"x", qos=1)
    second.quiet()


@covers("MQTT-3.1.4-3", "MQTT-3.1.4-4")
@covers_311("MQTT-3.1.4-2")
def test_take_over_many_times(connect: Connect, name: str, protocol: int) -> None:
    clients = [connect(protocol) for _ in range(5)]
    for client in clients:
        client.connect(name)
    for client in clients[:-1]:
        client.expect_closed()
    clients[-1].quiet()


@covers("MQTT-3.1.3-2")
@covers_311("MQTT-3.1.3-2")
def test_client_identifiers_are_compared_exactly(connect: Connect, name: str, protocol: int) -> None:
    names = [name, name.upper(), f"{name} ", f"{name}\u00e9", f"{name}e\u0301"]
    clients = [connect(protocol) for _ in names]
    for client, client_id in zip(clients, names, strict=True):
        client.connect(client_id)
    for client in clients:
        client.quiet()


@pytest.mark.parametrize("end", ["disconnect", "drop"])
@covers("MQTT-3.1.2-23", "MQTT-3.1.2-5")
@covers_311("MQTT-3.1.2-4")
def test_subscriptions_survive(connect: Connect, name: str, protocol: int, end: str) -> None:
    """Whichever way the connection ended, UNSUBSCRIBE in the next one still finds the subscription."""
    client = connect(protocol)
    begin(client, name)
    client.subscribe(f"{name}/t", qos=1)
    if end == "disconnect":
        client.disconnect()
    else:
        client.drop()
    again = connect(protocol)
    assert begin(again, name)
    assert again.unsubscribe(f"{name}/t").reasons == ((0,) if protocol == 5 else ())
    assert again.unsubscribe(f"{name}/t").reasons == ((0x11,) if protocol == 5 else ())
