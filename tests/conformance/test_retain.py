"""Retained messages (3.3.1.3) and Retain Handling (3.8.3.1)."""

from __future__ import annotations

from typing import Any

import pytest

from . import wire
from .client import Connect, RawClient
from .coverage import covers, covers_311
from .reading import Packet
from .wire import Kind

RETAIN_AS_PUBLISHED = 0x08


def subscribe(client: RawClient, *filters: tuple[str, int]) -> list[Packet]:
    """SUBSCRIBE, and the messages it brings, which may come before or after the SUBACK."""
    number = client.packet_id()
    client.send(wire.subscribe(number, *filters, protocol=client.protocol))
    packets = client.sync()
    assert [packet.kind for packet in packets].count(Kind.SUBACK) == 1, client.story("one SUBACK expected")
    return [packet for packet in packets if packet.kind is Kind.PUBLISH]


def payloads(messages: list[Packet]) -> list[bytes]:
    return sorted(message.payload for message in messages)


@pytest.mark.parametrize("qos", [0, 1, 2])
@covers("MQTT-3.3.1-5", "MQTT-3.3.1-9", "MQTT-3.8.4-8")
@covers_311("MQTT-3.3.1-5", "MQTT-3.3.1-6", "MQTT-3.3.1-8", "MQTT-3.8.4-6")
def test_retained_message(joined: Connect, name: str, protocol: int, qos: int) -> None:
    """A later subscriber gets the last one, marked as retained, at its own QoS or less."""
    other = joined(protocol)
    other.publish(name, b"before", qos=qos, retain=True)
    other.publish(name, b"last", qos=qos, retain=True)
    for granted in (0, 1, 2):
        messages = subscribe(joined(protocol), (name, granted))
        assert payloads(messages) == [b"last"]
        assert messages[0].retain and messages[0].qos == min(qos, granted) and not messages[0].dup


@covers("MQTT-3.3.1-5")
@covers_311("MQTT-3.3.1-7")
def test_retained_qos_0_replaces_qos_1(joined: Connect, name: str, protocol: int) -> None:
    other = joined(protocol)
    other.publish(name, b"qos 1", qos=1, retain=True)
    other.publish(name, b"qos 0", qos=0, retain=True)
    assert payloads(subscribe(joined(protocol), (name, 1))) == [b"qos 0"]


@covers("MQTT-3.3.1-6", "MQTT-3.3.1-7")
@covers_311("MQTT-3.3.1-10", "MQTT-3.3.1-11")
def test_empty_retained_message(joined: Connect, name: str, protocol: int) -> None:
    """It is delivered as usual, removes the retained one, and is not kept."""
    other, client = joined(protocol), joined(protocol)
    other.publish(name, b"x", retain=True)
    assert payloads(subscribe(client, (name, 0))) == [b"x"]
    other.publish(name, b"", retain=True)
    assert not client.message(name, b"").retain
    assert subscribe(joined(protocol), (name, 0)) == []


@covers("MQTT-3.3.1-8")
@covers_311("MQTT-3.3.1-12")
def test_message_that_is_not_retained(joined: Connect, name: str, protocol: int) -> None:
    other = joined(protocol)
    other.publish(f"{name}/none", b"not kept")
    other.publish(f"{name}/some", b"kept", retain=True)
    other.publish(f"{name}/some", b"not kept")
    other.publish(f"{name}/some", b"")
    assert payloads(subscribe(joined(protocol), (f"{name}/+", 0))) == [b"kept"]


@covers("MQTT-3.3.1-12")
@covers_311("MQTT-3.3.1-9")
def test_established_subscription_gets_retain_0(joined: Connect, name: str, protocol: int) -> None:
    client, other = joined(protocol), joined(protocol)
    client.subscribe(name)
    other.publish(name, b"x", retain=True)
    assert not client.message(name, b"x").retain


@covers("MQTT-3.3.1-13")
def test_retain_as_published(joined: Connect, name: str) -> None:
    client, other = joined(), joined()
    client.subscribe((name, RETAIN_AS_PUBLISHED))
    other.publish(name, b"x", retain=True)
    assert client.message(name, b"x").retain
    other.publish(name, b"y", retain=False)
    assert not client.message(name, b"y").retain


@covers("MQTT-3.3.1-12", "MQTT-3.3.1-13")
def test_retain_as_published_is_each_subscription_s_own(joined: Connect, name: str) -> None:
    plain, published, other = joined(), joined(), joined()
    plain.subscribe((name, 0))
    published.subscribe((name, RETAIN_AS_PUBLISHED))
    other.publish(name, b"x", retain=True)
    assert not plain.message(name, b"x").retain
    assert published.message(name, b"x").retain


@pytest.mark.parametrize("handling, first, second", [(0, 1, 1), (1, 1, 0), (2, 0, 0)])
@covers("MQTT-3.3.1-9", "MQTT-3.3.1-10", "MQTT-3.3.1-11", "MQTT-3.8.4-4")
def test_retain_handling(joined: Connect, name: str, handling: int, first: int, second: int) -> None:
    """0: on every SUBSCRIBE; 1: on the first; 2: never."""
    joined().publish(name, b"x", retain=True)
    client = joined()
    assert len(subscribe(client, (name, handling << 4))) == first
    assert len(subscribe(client, (name, handling << 4))) == second


@covers("MQTT-3.3.1-10")
def test_retain_handling_1_after_unsubscribe(joined: Connect, name: str) -> None:
    """The subscription is new again."""
    joined().publish(name, b"x", retain=True)
    client = joined()
    assert len(subscribe(client, (name, 0x10))) == 1
    client.unsubscribe(name)
    assert len(subscribe(client, (name, 0x10))) == 1


@covers("MQTT-3.3.1-10")
def test_retain_handling_1_in_a_continued_session(connect: Connect, joined: Connect, name: str) -> None:
    joined().publish(f"{name}/t", b"x", retain=True)
    settings: dict[str, Any] = {"clean": False, "props": [(wire.P.SESSION_EXPIRY, 60)]}
    client = connect()
    client.connect(name, **settings)
    assert len(subscribe(client, (f"{name}/t", 0x10))) == 1
    client.disconnect()
    again = connect()
    again.connect(name, **settings)
    assert subscribe(again, (f"{name}/t", 0x10)) == []


@covers("MQTT-3.3.1-9", "MQTT-3.8.4-4")
@covers_311("MQTT-3.3.1-6", "MQTT-3.8.4-3", "MQTT-3.3.1-8")
def test_subscribing_again_sends_retained_again(joined: Connect, name: str, protocol: int) -> None:
    joined(protocol).publish(name, b"x", retain=True)
    client = joined(protocol)
    for _ in range(3):
        messages = subscribe(client, (name, 0))
        assert payloads(messages) == [b"x"] and messages[0].retain


@covers("MQTT-3.3.1-9", "MQTT-3.3.2-3")
@covers_311("MQTT-3.3.1-6", "MQTT-3.3.2-3")
def test_retained_messages_of_a_wildcard(joined: Connect, name: str, protocol: int) -> None:
    other = joined(protocol)
    for topic in ("a", "a/b", "a/b/c", "d", ""):
        other.publish(f"{name}/{topic}", topic.encode() + b"!", retain=True)
    expected = {
        "#": [b"!", b"a!", b"a/b!", b"a/b/c!", b"d!"],
        "+": [b"!", b"a!", b"d!"],
        "a/#": [b"a!", b"a/b!", b"a/b/c!"],
        "+/b": [b"a/b!"],
        "a/b": [b"a/b!"],
        "x": [],
    }
    for pattern, found in expected.items():
        assert payloads(subscribe(joined(protocol), (f"{name}/{pattern}", 0))) == found, pattern


@covers("MQTT-3.3.1-9")
@covers_311("MQTT-3.3.1-6")
def test_retained_messages_go_to_the_subscriber_only(joined: Connect, name: str, protocol: int) -> None:
    """Others, connected or connecting, hear nothing of them again."""
    early = joined(protocol)
    joined(protocol).publish(f"{name}/t", b"x", retain=True)
    assert payloads(subscribe(early, (f"{name}/t", 0))) == [b"x"]
    assert payloads(subscribe(joined(protocol), (f"{name}/t", 0))) == [b"x"]
    stranger = joined(protocol)
    stranger.quiet()
    early.quiet()


@covers("MQTT-3.3.1-5")
@covers_311("MQTT-3.1.2-7", "MQTT-3.3.1-5")
def test_retained_messages_outlive_the_publisher(
    connect: Connect, joined: Connect, name: str, protocol: int
) -> None:
    """They do not belong to its session."""
    for number, end in enumerate(("disconnect", "drop")):
        client = connect(protocol)
        client.connect(f"{name}-{end}", clean=True)
        client.publish(f"{name}/{end}", b"kept", retain=True)
        client.disconnect() if end == "disconnect" else client.drop()
        again = connect(protocol)
        again.connect(f"{name}-{end}", clean=True)
        assert payloads(subscribe(joined(protocol), (f"{name}/+", 0))) == [b"kept"] * (number + 1)


@covers("MQTT-3.8.4-4", "MQTT-3.8.4-3")
@covers_311("MQTT-3.8.4-3")
def test_subscribing_again_loses_nothing(joined: Connect, name: str, protocol: int) -> None:
    """Messages flow on while a subscription is replaced again and again."""
    client, other = joined(protocol), joined(protocol)
    client.subscribe((name, 1))
    expected = [b"%d" % number for number in range(40)]
    for number, payload in enumerate(expected):
        other.send(wire.publish(name, payload, qos=1, packet_id=number + 1, protocol=protocol))
        client.send(wire.subscribe(1000 + number, (name, 1), protocol=protocol))
    seen: list[bytes] = []
    subacks = 0
    while len(seen) < len(expected) or subacks < len(expected):
        packet = client.recv()
        if packet.kind is Kind.PUBLISH:
            seen.append(packet.payload)
            client.send(wire.ack(Kind.PUBACK, packet.packet_id or 0))
        else:
            assert packet.kind is Kind.SUBACK
            subacks += 1
    assert seen == expected
