"""Keep Alive and PINGREQ (3.1.2.10, 3.12)."""

from __future__ import annotations

import time

from . import wire
from .brokers import Brokers, Profile
from .client import Closed, Connect, RawClient, Silent
from .coverage import covers, covers_311
from .wire import Kind, P, Will


@covers("MQTT-3.1.2-22", "MQTT-3.2.2-22", "MQTT-3.1.2-8")
@covers_311("MQTT-3.1.2-24", "MQTT-3.1.2-8")
def test_silent_client_is_closed(joined: Connect, name: str, protocol: int) -> None:
    """After 1.5 times the Keep Alive, as if the network had failed: the will is published."""
    watcher = joined(protocol)
    watcher.subscribe(f"{name}/will")
    client = joined(protocol, keep_alive=1, will=Will(f"{name}/will", b"silent"))
    began = time.monotonic()
    before = client.expect_closed(5)
    passed = time.monotonic() - began
    assert all(packet.kind is Kind.DISCONNECT and packet.reason == 0x8D for packet in before)
    # A broker that looks once a second sees it up to a second late.
    assert 1.3 <= passed <= 2.8, passed
    watcher.message(f"{name}/will", b"silent")


@covers("MQTT-3.1.2-22", "MQTT-3.12.4-1")
@covers_311("MQTT-3.1.2-24", "MQTT-3.12.4-1")
def test_ping_keeps_the_connection(joined: Connect, protocol: int) -> None:
    client = joined(protocol, keep_alive=1)
    for _ in range(3):
        time.sleep(0.7)
        client.quiet()


@covers("MQTT-3.1.2-22")
@covers_311("MQTT-3.1.2-24")
def test_any_packet_keeps_the_connection(joined: Connect, name: str, protocol: int) -> None:
    client = joined(protocol, keep_alive=1)
    for _ in range(3):
        time.sleep(0.7)
        client.send(wire.publish(name, b"x", protocol=protocol))
    client.quiet()


@covers("MQTT-3.1.2-22")
@covers_311("MQTT-3.1.2-24")
def test_what_the_broker_sends_does_not_count(joined: Connect, name: str, protocol: int) -> None:
    """Only packets from the client keep its connection; it may receive as many as it likes."""
    client = joined(protocol, keep_alive=1)
    client.subscribe(name)
    other = joined(protocol)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        other.send(wire.publish(name, b"x", protocol=protocol))
        time.sleep(0.05)
        if has_closed(client):
            return
    raise AssertionError(client.story("the broker did not close the connection of a silent client"))


def has_closed(client: RawClient) -> bool:
    """Whether the connection has ended; takes what has come."""
    try:
        while True:
            client.recv(0)
    except Silent:
        return False
    except Closed:
        return True


@covers("MQTT-3.1.2-22")
@covers_311("MQTT-3.1.2-24")
def test_keep_alive_0_is_off(joined: Connect, protocol: int) -> None:
    client = joined(protocol, keep_alive=0)
    client.expect_silence(1.3)
    client.quiet()


@covers("MQTT-3.2.2-22")
def test_server_keep_alive_is_announced(brokers: Brokers, connect: Connect, name: str) -> None:
    """A broker that grants less than the client asked for says so."""
    client = connect(5, brokers(Profile(server_keep_alive=10)))
    assert client.connect(name, keep_alive=60).get(P.SERVER_KEEP_ALIVE) == 10


@covers("MQTT-3.1.2-22", "MQTT-3.2.2-22")
def test_server_keep_alive_is_enforced(brokers: Brokers, connect: Connect, name: str) -> None:
    """What the broker says in CONNACK is what counts."""
    client = connect(5, brokers(Profile(server_keep_alive=1)))
    assert client.connect(name, keep_alive=60).get(P.SERVER_KEEP_ALIVE) == 1
    began = time.monotonic()
    client.expect_closed(5)
    assert 1.3 <= time.monotonic() - began <= 2.8


@covers("MQTT-3.12.4-1")
@covers_311("MQTT-3.12.4-1")
def test_pingresp(joined: Connect, protocol: int) -> None:
    client = joined(protocol)
    client.send(wire.PINGREQ * 3)
    for _ in range(3):
        assert client.expect(Kind.PINGRESP).raw == b"\xd0\x00"
    client.expect_silence()
