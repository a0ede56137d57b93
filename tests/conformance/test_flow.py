"""Receive Maximum (3.3.4, 4.9) and the order of messages (4.6)."""

from __future__ import annotations

import pytest

from . import wire
from .brokers import Brokers, Profile
from .client import Connect
from .coverage import covers, covers_311
from .wire import Kind, P


@pytest.mark.parametrize("maximum", [1, 3])
@pytest.mark.parametrize("qos", [1, 2])
@covers("MQTT-3.3.4-9", "MQTT-4.9.0-1", "MQTT-4.9.0-2", "MQTT-3.3.4-10", "MQTT-4.9.0-3")
def test_client_receive_maximum(joined: Connect, name: str, maximum: int, qos: int) -> None:
    """No more unacknowledged messages than the client takes; each acknowledgement lets one more come."""
    client, other = joined(props=[(P.RECEIVE_MAXIMUM, maximum)]), joined()
    client.subscribe((name, 2))
    for number in range(6):
        other.publish(name, b"%d" % number, qos=qos)
    first = [client.message(payload=b"%d" % number, answer=False) for number in range(maximum)]
    # Other packets are not held back, and the seventh message, at QoS 0, needs no quota.
    client.quiet()
    client.subscribe(f"{name}/more")
    other.publish(f"{name}/more", b"qos 0")
    assert client.message(f"{name}/more", b"qos 0").qos == 0
    client.quiet()
    waiting = first
    for number in range(maximum, 6):
        identifier = waiting.pop(0).packet_id or 0
        if qos == 1:
            client.send(wire.ack(Kind.PUBACK, identifier))
        else:
            client.send(wire.ack(Kind.PUBREC, identifier))
            # The quota comes back with the PUBCOMP, not with the PUBREC (4.9).
            assert [(p.kind, p.packet_id) for p in client.sync()] == [(Kind.PUBREL, identifier)]
            client.send(wire.ack(Kind.PUBCOMP, identifier))
        waiting.append(client.message(payload=b"%d" % number, answer=False))
        client.quiet()


@covers("MQTT-3.3.4-9", "MQTT-4.9.0-2", "MQTT-4.4.0-2")
def test_refusing_gives_the_quota_back(joined: Connect, name: str) -> None:
    client, other = joined(props=[(P.RECEIVE_MAXIMUM, 1)]), joined()
    client.subscribe((name, 2))
    other.publish(name, b"1", qos=1)
    other.publish(name, b"2", qos=2)
    other.publish(name, b"3", qos=2)
    client.send(wire.ack(Kind.PUBACK, client.message(payload=b"1", answer=False).packet_id or 0, 0x80))
    client.send(wire.ack(Kind.PUBREC, client.message(payload=b"2", answer=False).packet_id or 0, 0x80))
    client.message(payload=b"3")


@covers("MQTT-3.3.4-9", "MQTT-4.9.0-1", "MQTT-4.4.0-1")
def test_receive_maximum_after_a_reconnect(connect: Connect, joined: Connect, name: str) -> None:
    """It is that of the new connection, also for what is sent again."""
    client, other = connect(), joined()
    client.connect(name, clean=False, props=[(P.SESSION_EXPIRY, 60), (P.RECEIVE_MAXIMUM, 5)])
    client.subscribe((f"{name}/t", 1))
    for number in range(6):
        other.publish(f"{name}/t", b"%d" % number, qos=1)
    for number in range(5):
        client.message(payload=b"%d" % number, answer=False)
    client.drop()
    again = connect()
    again.connect(name, clean=False, props=[(P.SESSION_EXPIRY, 60), (P.RECEIVE_MAXIMUM, 2)])
    for number in range(0, 6, 2):
        pair = [again.message(payload=b"%d" % n, answer=False) for n in (number, number + 1)]
        again.quiet()
        again.send(*(wire.ack(Kind.PUBACK, message.packet_id or 0) for message in pair))
    again.quiet()


@covers("MQTT-4.9.0-3", "MQTT-3.3.4-10")
def test_without_quota_the_client_can_still_do_everything(joined: Connect, name: str) -> None:
    client, other = joined(props=[(P.RECEIVE_MAXIMUM, 1)]), joined()
    client.subscribe((name, 1))
    for number in range(3):
        other.publish(name, b"%d" % number, qos=1)
    first = client.message(payload=b"0", answer=False)
    client.publish(f"{name}/out", b"x", qos=1)
    client.publish(f"{name}/out", b"x", qos=2)
    client.subscribe(f"{name}/a", f"{name}/b")
    client.unsubscribe(f"{name}/a")
    client.quiet()
    client.send(wire.ack(Kind.PUBACK, first.packet_id or 0))
    client.message(payload=b"1")
    client.message(payload=b"2")


@covers("MQTT-3.3.4-7", "MQTT-4.13.1-1")
def test_server_receive_maximum(brokers: Brokers, connect: Connect, name: str) -> None:
    """More unfinished QoS 2 messages than the broker takes: DISCONNECT 0x93."""
    client = connect(5, brokers(Profile(receive_maximum=4)))
    assert client.connect(name).get(P.RECEIVE_MAXIMUM) == 4
    client.send(*(wire.publish(name, qos=2, packet_id=number) for number in range(1, 5)))
    for number in range(1, 5):
        client.expect(Kind.PUBREC, packet_id=number)
    client.quiet()
    client.send(wire.publish(name, qos=2, packet_id=5))
    client.refused(0x93)


@covers("MQTT-3.3.4-7", "MQTT-4.9.0-3")
def test_server_quota_comes_back(brokers: Brokers, connect: Connect, name: str) -> None:
    """A client that keeps to the maximum may go on for ever, at QoS 1 and 2."""
    client = connect(5, brokers(Profile(receive_maximum=4)))
    client.connect(name)
    for number in range(1, 30):
        client.publish(name, qos=1 + number % 2)


@pytest.mark.parametrize("qos", [0, 1, 2])
@covers("MQTT-4.6.0-5", "MQTT-4.6.0-6", "MQTT-4.9.0-2")
@covers_311("MQTT-4.6.0-5", "MQTT-4.6.0-6")
def test_order(joined: Connect, name: str, protocol: int, qos: int) -> None:
    """One publisher, one topic, one QoS: the messages arrive in their order, at every subscriber."""
    clients = [joined(protocol) for _ in range(3)]
    for granted, client in enumerate(clients):
        client.subscribe((name, granted))
    other = joined(protocol)
    for start in range(0, 60, 10):
        numbers = range(start, start + 10)
        other.send(
            *(
                wire.publish(name, b"%d" % n, qos=qos, packet_id=n + 1 if qos else None, protocol=protocol)
                for n in numbers
            )
        )
        answers = [other.recv() for _ in numbers] if qos else []
        if qos == 2:
            other.send(*(wire.ack(Kind.PUBREL, packet.packet_id or 0) for packet in answers))
            for packet in answers:
                other.expect(Kind.PUBCOMP, packet_id=packet.packet_id)
    for client in clients:
        seen: list[bytes] = []
        while len(seen) < 60:
            packet = client.recv()
            number = packet.packet_id or 0
            if packet.kind is Kind.PUBREL:
                client.send(wire.ack(Kind.PUBCOMP, number))
                continue
            seen.append(packet.payload)
            if packet.qos:
                client.send(wire.ack(Kind.PUBACK if packet.qos == 1 else Kind.PUBREC, number))
        assert seen == [b"%d" % number for number in range(60)]


@covers("MQTT-4.6.0-5", "MQTT-4.4.0-1")
@covers_311("MQTT-4.6.0-6", "MQTT-4.4.0-1")
def test_order_across_reconnects(connect: Connect, joined: Connect, name: str, protocol: int) -> None:
    """A client that breaks off again and again still gets the messages in their order."""
    props = [(P.SESSION_EXPIRY, 60)] if protocol == 5 else []
    client = connect(protocol)
    client.connect(name, clean=False, props=props)
    client.subscribe((f"{name}/t", 1))
    client.drop()
    other = joined(protocol)
    for number in range(12):
        other.publish(f"{name}/t", b"%d" % number, qos=1)
    seen: list[bytes] = []
    while len(seen) < 12:
        client = connect(protocol)
        client.connect(name, clean=False, props=props)
        for _ in range(min(4, 12 - len(seen))):
            seen.append(client.message().payload)
        if len(seen) < 12:
            # One more arrives and is not acknowledged: the next connection begins with it.
            client.message(payload=b"%d" % len(seen), answer=False)
        client.sync()
        client.drop()
    assert seen == [b"%d" % number for number in range(12)]


@covers("MQTT-4.3.2-4", "MQTT-4.3.3-8")
@covers_311("MQTT-4.3.2-2", "MQTT-4.3.3-2")
def test_acknowledgements_come_in_order(joined: Connect, name: str, protocol: int) -> None:
    client = joined(protocol)
    for qos, kind in ((1, Kind.PUBACK), (2, Kind.PUBREC)):
        numbers = list(range(20, 0, -1))
        client.send(*(wire.publish(name, qos=qos, packet_id=n, protocol=protocol) for n in numbers))
        assert [client.expect(kind).packet_id for _ in numbers] == numbers


@covers("MQTT-4.5.0-1", "MQTT-4.2.0-1")
@covers_311("MQTT-4.5.0-1")
def test_every_subscriber_gets_the_message(joined: Connect, name: str, protocol: int) -> None:
    clients = [joined(protocol) for _ in range(20)]
    for number, client in enumerate(clients):
        client.subscribe((name if number % 2 else f"{name}/#", number % 3))
    joined(protocol).publish(name, b"x", qos=2)
    for number, client in enumerate(clients):
        assert client.message(name, b"x").qos == number % 3
        client.quiet()
