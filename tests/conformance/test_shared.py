"""Shared Subscriptions (4.8.2)."""

from __future__ import annotations

from typing import Any

import pytest

from . import wire
from .client import Connect, RawClient
from .coverage import covers
from .wire import Kind, P

LASTING: dict[str, Any] = {"clean": False, "props": [(P.SESSION_EXPIRY, 60)]}


def one_message(clients: list[RawClient]) -> tuple[RawClient, Any]:
    """Of these clients exactly one has got a message: which, and what. It is not acknowledged."""
    got = [(client, packet) for client in clients for packet in client.sync()]
    assert len(got) == 1, [packet for _, packet in got]
    return got[0]


@covers("MQTT-4.8.2-1", "MQTT-3.8.4-1", "MQTT-4.5.0-1")
def test_each_message_goes_to_one(joined: Connect, name: str) -> None:
    clients = [joined() for _ in range(3)]
    for client in clients:
        assert client.subscribe(f"$share/g/{name}").reasons == (0,)
    other = joined()
    for number in range(30):
        other.publish(name, b"%d" % number)
    seen = [int(packet.payload) for client in clients for packet in client.sync()]
    assert sorted(seen) == list(range(30))


@covers("MQTT-4.8.2-1", "MQTT-3.3.2-3")
def test_groups_and_others_are_independent(joined: Connect, name: str) -> None:
    """Two groups and a plain subscriber each get the message; in a group one does."""
    groups = [[joined() for _ in range(2)] for _ in range(2)]
    for number, group in enumerate(groups):
        for client in group:
            client.subscribe(f"$share/{number}/{name}/#")
    plain, other = joined(), joined()
    plain.subscribe(f"{name}/#")
    other.publish(f"{name}/t", b"x", qos=1)
    for group in groups:
        assert one_message(group)[1].topic == f"{name}/t"
    plain.message(f"{name}/t", b"x")


@covers("MQTT-4.8.2-3", "MQTT-3.8.4-8")
def test_granted_qos_is_respected(joined: Connect, name: str) -> None:
    clients = {qos: joined() for qos in (0, 1, 2)}
    for qos, client in clients.items():
        client.subscribe((f"$share/g{qos}/{name}", qos))
    other = joined()
    for published in (0, 1, 2):
        other.publish(name, b"x", qos=published)
        for qos, client in clients.items():
            assert client.message(name, b"x").qos == min(published, qos)


@covers("MQTT-3.8.3-4", "MQTT-4.13.1-1")
def test_no_local_is_an_error(joined: Connect, name: str) -> None:
    client = joined()
    client.send(wire.subscribe(1, (f"$share/g/{name}", 0x04)))
    client.refused(0x82)


@pytest.mark.parametrize(
    "pattern",
    [
        "$share/",
        "$share/g",
        "$share/g/",
        "$share//t",
        "$share/+/t",
        "$share/#/t",
        "$share/g+/t",
        "$share/g#/t",
        "$share/#",
        "$share/+",
        "$share/g/a#",
    ],
)
@covers("MQTT-4.8.2-1", "MQTT-4.8.2-2", "MQTT-4.7.3-1")
def test_bad_share(joined: Connect, pattern: str) -> None:
    """Refused in the SUBACK or by closing."""
    client = joined()
    client.send(wire.subscribe(1, (pattern, 0)), wire.PINGREQ)
    packets = client.expect_closed_or(Kind.PINGRESP)
    for packet in packets:
        if packet.kind is Kind.SUBACK:
            assert packet.reasons[0] >= 0x80
        else:
            assert packet.kind is Kind.DISCONNECT and packet.reason in (0x81, 0x82, 0x8F)


@covers("MQTT-3.10.4-1", "MQTT-3.10.4-2", "MQTT-3.11.3-2")
def test_unsubscribe_from_a_share(joined: Connect, name: str) -> None:
    """Leaving takes the full filter; the rest of the group gets everything."""
    clients, other = [joined(), joined()], joined()
    for client in clients:
        client.subscribe(f"$share/g/{name}")
    leaver = clients[0]
    assert leaver.unsubscribe(name, f"$share/h/{name}").reasons == (0x11, 0x11)
    assert leaver.unsubscribe(f"$share/g/{name}").reasons == (0,)
    for _ in range(4):
        other.publish(name, b"x")
    leaver.quiet()
    assert len(clients[1].sync()) == 4


@covers("MQTT-4.8.2-1", "MQTT-4.5.0-1")
def test_members_that_leave_are_not_served(joined: Connect, name: str) -> None:
    clients, other = [joined() for _ in range(3)], joined()
    for client in clients:
        client.subscribe(f"$share/g/{name}")
    clients[0].disconnect()
    clients[1].disconnect()
    for number in range(6):
        other.publish(name, b"%d" % number)
        clients[2].message(name, b"%d" % number)


def test_no_retained_messages_for_a_share(joined: Connect, name: str) -> None:
    """A new Shared Subscription gets no retained messages (4.8.2, in a sentence without a number)."""
    joined().publish(name, b"x", retain=True)
    client = joined()
    client.subscribe(f"$share/g/{name}")
    client.quiet()


@covers("MQTT-3.3.4-3")
def test_subscription_identifier_of_a_share(joined: Connect, name: str) -> None:
    """Each member's own."""
    clients, other = [joined(), joined()], joined()
    for number, client in enumerate(clients):
        client.subscribe(f"$share/g/{name}", props=[(P.SUBSCRIPTION_IDENTIFIER, number + 1)])
    for _ in range(4):
        other.publish(name, b"x")
    for number, client in enumerate(clients):
        assert all(packet.all(P.SUBSCRIPTION_IDENTIFIER) == [number + 1] for packet in client.sync())


@covers("MQTT-4.8.2-4", "MQTT-4.4.0-1")
def test_qos_2_is_completed_with_the_same_member(connect: Connect, joined: Connect, name: str) -> None:
    """The delivery had begun: the message waits for that client, although another could take it."""
    clients = {f"{name}-{letter}": connect() for letter in "ab"}
    for client_id, client in clients.items():
        client.connect(client_id, **LASTING)
        client.subscribe((f"$share/g/{name}", 2))
    joined().publish(name, b"x", qos=2)
    chosen, message = one_message(list(clients.values()))
    chosen.drop()
    rest = next(client for client in clients.values() if client is not chosen)
    rest.quiet()
    again = connect()
    assert again.connect(chosen.client_id, **LASTING).session_present
    assert again.message(name, b"x").packet_id == message.packet_id
    rest.quiet()


@covers("MQTT-4.8.2-5", "MQTT-4.1.0-2")
def test_qos_2_of_a_session_that_ends_goes_to_nobody(connect: Connect, joined: Connect, name: str) -> None:
    clients = {f"{name}-{letter}": connect() for letter in "ab"}
    for client_id, client in clients.items():
        client.connect(client_id, **LASTING)
        client.subscribe((f"$share/g/{name}", 2))
    joined().publish(name, b"x", qos=2)
    chosen, _ = one_message(list(clients.values()))
    chosen.drop()
    connect().connect(chosen.client_id, clean=True)
    rest = next(client for client in clients.values() if client is not chosen)
    rest.quiet()


@pytest.mark.parametrize("qos", [1, 2])
@covers("MQTT-4.8.2-6", "MQTT-4.4.0-2")
def test_refused_message_goes_to_nobody_else(joined: Connect, name: str, qos: int) -> None:
    clients = [joined() for _ in range(3)]
    for client in clients:
        client.subscribe((f"$share/g/{name}", 2))
    joined().publish(name, b"x", qos=qos)
    chosen, message = one_message(clients)
    chosen.send(wire.ack(Kind.PUBACK if qos == 1 else Kind.PUBREC, message.packet_id, 0x83))
    chosen.quiet()
    for client in clients:
        client.quiet()


@covers("MQTT-3.1.2-23", "MQTT-4.5.0-1")
def test_share_is_part_of_the_session(connect: Connect, joined: Connect, name: str) -> None:
    client = connect()
    client.connect(name, **LASTING)
    client.subscribe((f"$share/g/{name}/t", 1))
    client.disconnect()
    again = connect()
    assert again.connect(name, **LASTING).session_present
    joined().publish(f"{name}/t", b"x", qos=1)
    again.message(f"{name}/t", b"x")
