"""Delivery at QoS 0, 1 and 2 (4.3), and what is sent again after a reconnect (4.4)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from . import wire
from .client import Connect, RawClient
from .coverage import covers, covers_311
from .reading import Packet
from .wire import Kind, P


def settings(protocol: int) -> dict[str, Any]:
    """CONNECT settings of a session that lasts."""
    return {"clean": False, "props": [(P.SESSION_EXPIRY, 300)] if protocol == 5 else []}


@pytest.fixture
def away(connect: Connect, joined: Connect, name: str, protocol: int) -> tuple[RawClient, RawClient]:
    """A publisher, and a subscriber (at QoS 2, to name/t) whose session lasts."""
    client = connect(protocol)
    client.connect(name, **settings(protocol))
    client.subscribe((f"{name}/t", 2))
    return joined(protocol), client


def back(connect: Connect, name: str, protocol: int, client: RawClient) -> RawClient:
    """The subscriber loses its connection and comes back."""
    client.drop()
    again = connect(protocol)
    assert again.connect(name, **settings(protocol)).session_present
    return again


@covers("MQTT-4.3.1-1", "MQTT-3.3.1-2", "MQTT-4.3.2-2", "MQTT-4.3.3-2", "MQTT-3.8.4-8")
@covers_311("MQTT-4.3.1-1", "MQTT-3.3.1-2", "MQTT-4.3.2-1", "MQTT-4.3.3-1", "MQTT-3.8.4-6")
def test_first_delivery(joined: Connect, name: str, protocol: int) -> None:
    """At the lower of both QoS, with DUP 0, and with a Packet Identifier above QoS 0 only."""
    for granted in (0, 1, 2):
        client, other = joined(protocol), joined(protocol)
        client.subscribe((f"{name}/{granted}", granted))
        for qos in (0, 1, 2):
            other.publish(f"{name}/{granted}", b"x", qos=qos)
            message = client.message(f"{name}/{granted}", b"x")
            assert message.qos == min(qos, granted) and not message.dup
            assert (message.packet_id is None) == (message.qos == 0)
        client.quiet()


@covers("MQTT-4.3.2-3", "MQTT-4.4.0-1", "MQTT-3.3.1-1")
@covers_311("MQTT-4.3.2-1", "MQTT-4.4.0-1", "MQTT-3.3.1-1")
def test_qos_1_is_sent_again(
    away: tuple[RawClient, RawClient], connect: Connect, name: str, protocol: int
) -> None:
    """After a reconnect, with DUP and the same Packet Identifier, until it is acknowledged."""
    other, client = away
    other.publish(f"{name}/t", b"x", qos=1)
    first = client.message(payload=b"x", answer=False)
    again = back(connect, name, protocol, client)
    second = again.message(payload=b"x", answer=False)
    assert (second.dup, second.qos, second.packet_id) == (True, 1, first.packet_id)
    third_client = back(connect, name, protocol, again)
    third = third_client.message(payload=b"x")
    assert (third.dup, third.packet_id) == (True, first.packet_id)
    third_client.quiet()
    last = back(connect, name, protocol, third_client)
    last.quiet()


@covers("MQTT-4.4.0-1")
@covers_311("MQTT-4.3.2-1")
def test_nothing_is_sent_again_while_connected(
    away: tuple[RawClient, RawClient], name: str, protocol: int
) -> None:
    """MQTT 5 forbids it; 3.1.1 does not ask for it, and mosquitto does not do it either."""
    other, client = away
    other.publish(f"{name}/t", b"1", qos=1)
    other.publish(f"{name}/t", b"2", qos=2)
    client.message(payload=b"1", answer=False)
    client.message(payload=b"2", answer=False)
    client.expect_silence(1.2)


@covers("MQTT-4.3.3-3", "MQTT-4.4.0-1", "MQTT-3.3.1-1")
@covers_311("MQTT-4.3.3-1", "MQTT-4.4.0-1", "MQTT-3.3.1-1")
def test_qos_2_is_sent_again_before_pubrec(
    away: tuple[RawClient, RawClient], connect: Connect, name: str, protocol: int
) -> None:
    other, client = away
    other.publish(f"{name}/t", b"x", qos=2)
    first = client.message(payload=b"x", answer=False)
    again = back(connect, name, protocol, client)
    second = again.message(payload=b"x")
    assert (second.dup, second.qos, second.packet_id) == (True, 2, first.packet_id)
    again.quiet()
    back(connect, name, protocol, again).quiet()


@covers("MQTT-4.3.3-4", "MQTT-4.3.3-5", "MQTT-4.3.3-6", "MQTT-4.4.0-1", "MQTT-2.2.1-5", "MQTT-3.6.2-1")
@covers_311("MQTT-4.3.3-1", "MQTT-4.4.0-1", "MQTT-2.3.1-6")
def test_qos_2_pubrel_is_sent_again_after_pubrec(
    away: tuple[RawClient, RawClient], connect: Connect, name: str, protocol: int
) -> None:
    """The PUBREL, not the PUBLISH: the client has the message."""
    other, client = away
    other.publish(f"{name}/t", b"x", qos=2)
    number = client.message(payload=b"x", answer=False).packet_id or 0
    client.send(wire.ack(Kind.PUBREC, number))
    client.expect(Kind.PUBREL, packet_id=number, reason=0)
    again = back(connect, name, protocol, client)
    again.expect(Kind.PUBREL, packet_id=number)
    third = back(connect, name, protocol, again)
    third.expect(Kind.PUBREL, packet_id=number)
    third.send(wire.ack(Kind.PUBCOMP, number))
    third.quiet()
    back(connect, name, protocol, third).quiet()


@covers("MQTT-4.4.0-1", "MQTT-4.6.0-5", "MQTT-4.1.0-1")
@covers_311("MQTT-4.4.0-1", "MQTT-4.6.0-6", "MQTT-4.1.0-1")
def test_everything_unfinished_is_sent_again(
    away: tuple[RawClient, RawClient], connect: Connect, name: str, protocol: int
) -> None:
    """Sent but unacknowledged, waiting for PUBCOMP, and not yet sent: each is completed once."""
    other, client = away
    for number in range(6):
        other.publish(f"{name}/t", b"%d" % number, qos=1 + number % 2)
    messages = [client.message(payload=b"%d" % number, answer=False) for number in range(6)]
    numbers = [message.packet_id or 0 for message in messages]
    client.send(wire.ack(Kind.PUBACK, numbers[0]))
    client.send(wire.ack(Kind.PUBREC, numbers[1]))
    client.expect(Kind.PUBREL, packet_id=numbers[1])
    client.quiet()
    # Not just dropped: a broker that had not noticed yet would send the last message into the void.
    client.disconnect()
    other.publish(f"{name}/t", b"6", qos=1)
    again = connect(protocol)
    again.connect(name, **settings(protocol))
    packets = [again.recv() for _ in range(6)]
    released = [packet for packet in packets if packet.kind is Kind.PUBREL]
    assert [packet.packet_id for packet in released] == [numbers[1]]
    published = [packet for packet in packets if packet.kind is Kind.PUBLISH]
    assert [packet.payload for packet in published if packet.qos == 1] == [b"2", b"4", b"6"]
    assert [packet.payload for packet in published if packet.qos == 2] == [b"3", b"5"]
    for packet in published:
        number = int(packet.payload)
        assert packet.dup == (number < 6), packet
        if number < 6:
            assert packet.packet_id == numbers[number]
        else:
            assert packet.packet_id not in numbers[1:6]
    finish(again, packets)
    again.quiet()


def finish(client: RawClient, packets: list[Packet]) -> None:
    """Complete the flows of these packets."""
    for packet in packets:
        number = packet.packet_id or 0
        if packet.kind is Kind.PUBREL:
            client.send(wire.ack(Kind.PUBCOMP, number))
        elif packet.qos == 1:
            client.send(wire.ack(Kind.PUBACK, number))
        elif packet.qos == 2:
            client.send(wire.ack(Kind.PUBREC, number))
            client.expect(Kind.PUBREL, packet_id=number)
            client.send(wire.ack(Kind.PUBCOMP, number))


@covers("MQTT-4.3.2-5", "MQTT-4.3.2-4")
@covers_311("MQTT-4.3.2-2")
def test_qos_1_identifier_is_free_after_puback(joined: Connect, name: str, protocol: int) -> None:
    """The same identifier again is a new message, also with DUP."""
    client, other = joined(protocol), joined(protocol)
    client.subscribe((name, 1))
    for number in range(4):
        packet = wire.publish(
            name, b"%d" % number, qos=1, dup=number % 2 == 1, packet_id=7, protocol=protocol
        )
        other.send(packet)
        other.expect(Kind.PUBACK, packet_id=7)
        client.message(name, b"%d" % number)


@pytest.mark.parametrize("repeats", [0, 1, 2])
@covers("MQTT-4.3.3-10", "MQTT-4.3.3-8", "MQTT-4.3.3-11", "MQTT-4.3.3-12")
@covers_311("MQTT-4.3.3-2")
def test_qos_2_is_delivered_once(joined: Connect, name: str, protocol: int, repeats: int) -> None:
    """A repeated PUBLISH gets its PUBREC and is no new message before the PUBCOMP; after it, it is one."""
    client, other = joined(protocol), joined(protocol)
    client.subscribe((name, 1))
    for payload in (b"first", b"second"):
        for dup in (False, True, True)[: repeats + 1]:
            other.send(wire.publish(name, payload, qos=2, dup=dup, packet_id=7, protocol=protocol))
            assert other.expect(Kind.PUBREC, packet_id=7).reason in (0, 0x10)
        other.send(wire.ack(Kind.PUBREL, 7))
        other.expect(Kind.PUBCOMP, packet_id=7, reason=0)
        client.message(name, payload)
        client.quiet()


@covers("MQTT-4.3.3-10", "MQTT-4.1.0-1", "MQTT-4.3.3-11")
@covers_311("MQTT-4.3.3-2", "MQTT-4.1.0-1", "MQTT-3.1.2-4")
def test_qos_2_is_delivered_once_across_reconnects(
    connect: Connect, joined: Connect, name: str, protocol: int
) -> None:
    """The publisher breaks off after each step and repeats it on the next connection."""
    client = joined(protocol)
    client.subscribe((f"{name}/t", 1))
    publish = [
        wire.publish(f"{name}/t", b"x", qos=2, dup=dup, packet_id=9, protocol=protocol) for dup in (0, 1)
    ]

    def reconnect() -> RawClient:
        other = connect(protocol)
        other.connect(name, **settings(protocol))
        return other

    other = reconnect()
    other.send(publish[0])
    other.expect(Kind.PUBREC, packet_id=9)
    other.drop()
    other = reconnect()
    other.send(publish[1])
    other.expect(Kind.PUBREC, packet_id=9)
    other.drop()
    other = reconnect()
    other.send(wire.ack(Kind.PUBREL, 9))
    other.expect(Kind.PUBCOMP, packet_id=9, reason=0)
    client.message(f"{name}/t", b"x")
    other.drop()
    other = reconnect()
    other.send(wire.ack(Kind.PUBREL, 9))
    assert other.expect(Kind.PUBCOMP, packet_id=9).reason in (0, 0x92)
    client.quiet()


@covers("MQTT-3.7.2-1", "MQTT-4.3.3-11")
@covers_311("MQTT-4.3.3-2")
def test_pubrel_without_publish(joined: Connect, protocol: int) -> None:
    """It is answered: a client that repeats a PUBREL has to come to an end. MQTT 5 may say 0x92."""
    client = joined(protocol)
    client.send(wire.ack(Kind.PUBREL, 77))
    assert client.expect(Kind.PUBCOMP, packet_id=77).reason in (0, 0x92)
    client.quiet()


@covers("MQTT-3.6.2-1")
def test_pubrec_without_publish(joined: Connect) -> None:
    """MQTT 5 (3.6.2.1): a PUBREL with 0x92, or none; the connection stays."""
    client = joined()
    client.send(wire.ack(Kind.PUBREC, 77))
    for packet in client.sync():
        assert (packet.kind, packet.packet_id) == (Kind.PUBREL, 77) and packet.reason in (0, 0x92)


@pytest.mark.parametrize("kind", [Kind.PUBACK, Kind.PUBCOMP], ids=lambda kind: kind.name)
@covers("MQTT-2.2.1-5")
def test_acknowledgement_of_nothing(joined: Connect, protocol: int, kind: Kind) -> None:
    """It may come late, after a session ended; it does no harm."""
    client = joined(protocol)
    client.send(wire.ack(kind, 77))
    client.quiet()


@pytest.mark.parametrize("reason", [0x80, 0x83, 0x87, 0x90, 0x97, 0x99])
@pytest.mark.parametrize("qos", [1, 2])
@covers("MQTT-4.4.0-2", "MQTT-4.3.3-9", "MQTT-4.3.3-4")
def test_refused_message_is_not_sent_again(
    connect: Connect, joined: Connect, name: str, qos: int, reason: int
) -> None:
    """PUBACK or PUBREC of 0x80 or more ends the flow, and its identifier is free."""
    client = connect()
    client.connect(name, **settings(5))
    client.subscribe((f"{name}/t", 2))
    joined().publish(f"{name}/t", b"x", qos=qos)
    number = client.message(payload=b"x", answer=False).packet_id or 0
    client.send(wire.ack(Kind.PUBACK if qos == 1 else Kind.PUBREC, number, reason))
    # No PUBREL follows a PUBREC that refuses.
    client.quiet()
    back(connect, name, 5, client).quiet()


@covers("MQTT-4.3.2-3", "MQTT-4.3.3-3")
def test_acknowledgements_with_properties(joined: Connect, name: str) -> None:
    """All forms of PUBACK, PUBREC and PUBCOMP count: short, with Reason Code, with properties."""
    client, other = joined(), joined()
    client.subscribe((name, 2))
    props = [(P.REASON_STRING, "fine"), (P.USER_PROPERTY, ("a", "b"))]
    for reason, more in ((None, None), (0, None), (0x10, None), (0, []), (0x10, props)):
        other.publish(name, b"1", qos=1)
        number = client.message(payload=b"1", answer=False).packet_id or 0
        client.send(wire.ack(Kind.PUBACK, number, reason, more))
        other.publish(name, b"2", qos=2)
        number = client.message(payload=b"2", answer=False).packet_id or 0
        client.send(wire.ack(Kind.PUBREC, number, reason, more))
        client.expect(Kind.PUBREL, packet_id=number)
        client.send(wire.ack(Kind.PUBCOMP, number, reason and 0, more))
        client.quiet()


@covers("MQTT-4.3.3-11")
def test_pubrel_with_properties(joined: Connect, name: str) -> None:
    client = joined()
    for reason, props in ((0, None), (0, []), (0x92, None), (0, [(P.REASON_STRING, "why")])):
        client.send(wire.publish(name, qos=2, packet_id=3))
        client.expect(Kind.PUBREC, packet_id=3)
        client.send(wire.ack(Kind.PUBREL, 3, reason, props))
        client.expect(Kind.PUBCOMP, packet_id=3)


@pytest.mark.parametrize(
    "kind", [Kind.PUBACK, Kind.PUBREC, Kind.PUBREL, Kind.PUBCOMP], ids=lambda kind: kind.name
)
@covers("MQTT-3.4.2-1", "MQTT-3.5.2-1", "MQTT-3.6.2-1", "MQTT-3.7.2-1", "MQTT-4.13.1-1")
def test_acknowledgement_with_an_unknown_reason(joined: Connect, name: str, kind: Kind) -> None:
    client, other = joined(), joined()
    client.subscribe((name, 2))
    if kind is Kind.PUBREL:
        client.send(wire.publish(f"{name}/other", qos=2, packet_id=5))
        client.expect(Kind.PUBREC)
        number = 5
    else:
        other.publish(name, b"x", qos=1 if kind is Kind.PUBACK else 2)
        number = client.message(answer=False).packet_id or 0
    if kind is Kind.PUBCOMP:
        client.send(wire.ack(Kind.PUBREC, number))
        client.expect(Kind.PUBREL)
    client.send(wire.ack(kind, number, 0x7F))
    client.refused(0x81, 0x82)


@pytest.mark.parametrize(
    "kind", [Kind.PUBACK, Kind.PUBREC, Kind.PUBREL, Kind.PUBCOMP], ids=lambda kind: kind.name
)
@covers("MQTT-4.13.1-1")
def test_acknowledgement_with_a_wrong_property(joined: Connect, kind: Kind) -> None:
    client = joined()
    client.send(wire.ack(kind, 5, 0, [(P.TOPIC_ALIAS, 1)]))
    client.refused(0x81, 0x82)


@covers("MQTT-4.3.3-7")
def test_sent_message_does_not_expire(connect: Connect, joined: Connect, name: str) -> None:
    """The PUBLISH has been sent: it is completed, even if its time is over at the reconnect."""
    client = connect()
    client.connect(name, **settings(5))
    client.subscribe((f"{name}/t", 2))
    joined().publish(f"{name}/t", b"x", qos=2, props=[(P.MESSAGE_EXPIRY, 1)])
    number = client.message(payload=b"x", answer=False).packet_id
    client.drop()
    time.sleep(2.1)
    again = connect()
    again.connect(name, **settings(5))
    assert again.message(payload=b"x").packet_id == number


@covers("MQTT-4.3.3-13")
def test_flow_of_an_expired_message_goes_on(connect: Connect, joined: Connect, name: str) -> None:
    """The receiver (here the broker) answers PUBREL although it may have dropped the message."""
    other = joined()
    other.send(wire.publish(name, b"x", qos=2, packet_id=4, props=[(P.MESSAGE_EXPIRY, 1)]))
    other.expect(Kind.PUBREC, packet_id=4)
    time.sleep(1.6)
    other.send(wire.ack(Kind.PUBREL, 4))
    other.expect(Kind.PUBCOMP, packet_id=4, reason=0)
