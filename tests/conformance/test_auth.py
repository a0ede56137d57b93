"""Enhanced authentication (3.15, 4.12), with the method "challenge" of `ours.py`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from . import wire
from .brokers import Brokers, Profile, Running
from .client import Connect, RawClient
from .coverage import covers
from .wire import Kind, P, Property, Will

METHOD: Property = (P.AUTHENTICATION_METHOD, "challenge")
Begin = Callable[..., RawClient]


def data(content: bytes) -> Property:
    return P.AUTHENTICATION_DATA, content


@pytest.fixture
def at(brokers: Brokers) -> Running:
    """A broker that knows the method."""
    return brokers(Profile(enhanced_authentication=True))


@pytest.fixture
def begin(connect: Connect, at: Running, name: str) -> Begin:
    """CONNECT with the method and its first data; the answer is still to come."""

    def begin(first: bytes = b"hello", *more: Property, will: Will | None = None) -> RawClient:
        client = connect(5, at)
        client.send(wire.connect(name, props=[METHOD, data(first), *more], will=will))
        return client

    return begin


@pytest.fixture
def inside(begin: Begin) -> Begin:
    """A client that has been let in."""

    def inside(*more: Property, will: Will | None = None) -> RawClient:
        client = begin(b"proof", *more, will=will)
        client.expect(Kind.CONNACK, reason=0)
        return client

    return inside


def challenged(client: RawClient) -> None:
    """An AUTH that asks for more has come."""
    packet = client.expect(Kind.AUTH, reason=0x18)
    assert packet.get(P.AUTHENTICATION_METHOD) == "challenge"
    assert packet.get(P.AUTHENTICATION_DATA) == b"prove it"


@covers("MQTT-4.12.0-5", "MQTT-3.2.0-1")
def test_without_a_round(begin: Begin) -> None:
    """CONNECT and CONNACK may be all; the CONNACK names the method."""
    connack = begin(b"proof").expect(Kind.CONNACK, reason=0)
    assert connack.get(P.AUTHENTICATION_METHOD) == "challenge"
    assert connack.get(P.AUTHENTICATION_DATA) == b"welcome"


@pytest.mark.parametrize("rounds", [1, 2, 5])
@covers("MQTT-4.12.0-2", "MQTT-4.12.0-3", "MQTT-4.12.0-5", "MQTT-3.15.2-1", "MQTT-3.2.0-1")
def test_rounds(begin: Begin, rounds: int) -> None:
    client = begin()
    for number in range(rounds):
        challenged(client)
        answer = b"proof" if number == rounds - 1 else b"more"
        client.send(wire.auth(0x18, [METHOD, data(answer)]))
    connack = client.expect(Kind.CONNACK, reason=0)
    assert connack.get(P.AUTHENTICATION_METHOD) == "challenge"
    client.quiet()


@covers("MQTT-4.12.0-4", "MQTT-3.2.2-6", "MQTT-3.2.2-7", "MQTT-3.1.4-2", "MQTT-4.13.2-1")
def test_refused_at_once(begin: Begin) -> None:
    client = begin(b"nonsense")
    client.expect(Kind.CONNACK, reason=0x87, session_present=False)
    assert client.expect_closed() == []


@covers("MQTT-4.12.0-4", "MQTT-3.14.0-1")
def test_refused_after_a_round(begin: Begin) -> None:
    """With a CONNACK: no DISCONNECT comes before the CONNACK."""
    client = begin()
    challenged(client)
    client.send(wire.auth(0x18, [METHOD, data(b"nonsense")]))
    client.expect(Kind.CONNACK, reason=0x87, session_present=False)
    assert client.expect_closed() == []


WRONG = {
    "success": wire.auth(0x00, [METHOD, data(b"proof")]),
    "re-authenticate": wire.auth(0x19, [METHOD, data(b"proof")]),
    "unknown reason": wire.auth(0x7F, [METHOD, data(b"proof")]),
    "no method": wire.auth(0x18, [data(b"proof")]),
    "other method": wire.auth(0x18, [(P.AUTHENTICATION_METHOD, "other"), data(b"proof")]),
    "empty": wire.auth(),
    "method twice": wire.auth(0x18, [METHOD, METHOD, data(b"proof")]),
    "data twice": wire.auth(0x18, [METHOD, data(b"proof"), data(b"proof")]),
    "wrong property": wire.auth(0x18, [METHOD, data(b"proof"), (P.TOPIC_ALIAS, 1)]),
    "wrong flags": b"\xf1" + wire.auth(0x18, [METHOD, data(b"proof")])[1:],
}


@pytest.mark.parametrize("packet", WRONG.values(), ids=WRONG.keys())
@covers("MQTT-4.12.0-3", "MQTT-4.12.0-5", "MQTT-3.15.1-1", "MQTT-3.15.2-1", "MQTT-3.14.0-1", "MQTT-4.13.1-1")
def test_wrong_answer(begin: Begin, packet: bytes) -> None:
    client = begin()
    challenged(client)
    client.send(packet)
    before = client.expect_closed()
    assert all(told.kind is Kind.CONNACK and told.reason in (0x81, 0x82, 0x87, 0x8C) for told in before)


@pytest.mark.parametrize("kind", ["PUBLISH", "SUBSCRIBE", "PINGREQ", "CONNECT"])
@covers("MQTT-3.1.2-30", "MQTT-3.14.0-1", "MQTT-3.2.0-1")
def test_nothing_else_before_connack(
    begin: Begin, joined: Connect, at: Running, name: str, kind: str
) -> None:
    """Such a packet is not served, and no DISCONNECT comes before a CONNACK."""
    watcher = joined(5, at)
    watcher.subscribe(f"{name}/t")
    client = begin()
    challenged(client)
    packets = {
        "PUBLISH": wire.publish(f"{name}/t", b"too early"),
        "SUBSCRIBE": wire.subscribe(1, (f"{name}/t", 0)),
        "PINGREQ": wire.PINGREQ,
        "CONNECT": wire.connect(name, props=[METHOD, data(b"proof")]),
    }
    client.send(packets[kind])
    before = client.expect_closed()
    assert all(told.kind is Kind.CONNACK and (told.reason or 0) >= 0x80 for told in before)
    watcher.quiet()


@covers("MQTT-3.1.2-30")
def test_client_may_leave_in_between(begin: Begin, joined: Connect, at: Running, name: str) -> None:
    """DISCONNECT is allowed; the connection was never accepted, so there is no will."""
    watcher = joined(5, at)
    watcher.subscribe(f"{name}/will")
    client = begin(will=Will(f"{name}/will"))
    challenged(client)
    client.send(wire.disconnect())
    client.expect_closed()
    watcher.quiet()


@covers("MQTT-3.1.4-3", "MQTT-4.12.0-4", "MQTT-3.1.2-4")
def test_refused_client_takes_nothing_over(inside: Begin, begin: Begin) -> None:
    """Who cannot prove who he is does not end the connection of who has."""
    first = inside()
    second = begin(b"nonsense")
    second.expect(Kind.CONNACK, reason=0x87)
    first.quiet()
    third = begin()
    challenged(third)
    first.quiet()


@covers("MQTT-4.12.1-1", "MQTT-4.12.0-5", "MQTT-4.12.0-2", "MQTT-3.15.2-1")
def test_again(inside: Begin, name: str) -> None:
    """Re-authentication goes on beside the messages, and ends with AUTH 0x00."""
    client = inside()
    client.subscribe(f"{name}/t")
    client.send(wire.auth(0x19, [METHOD, data(b"hello")]))
    challenged(client)
    client.send(wire.publish(f"{name}/t", b"meanwhile"))
    client.message(f"{name}/t", b"meanwhile")
    client.send(wire.auth(0x18, [METHOD, data(b"proof")]))
    packet = client.expect(Kind.AUTH, reason=0)
    assert packet.get(P.AUTHENTICATION_METHOD) == "challenge"
    assert packet.get(P.AUTHENTICATION_DATA) == b"welcome"
    client.quiet()


@covers("MQTT-4.12.1-2", "MQTT-4.13.2-1")
def test_again_and_refused(inside: Begin, joined: Connect, at: Running, name: str) -> None:
    """DISCONNECT and the end; the will is published."""
    watcher = joined(5, at)
    watcher.subscribe(f"{name}/will")
    client = inside(will=Will(f"{name}/will", b"refused"))
    client.send(wire.auth(0x19, [METHOD, data(b"nonsense")]))
    assert [(told.kind, told.reason) for told in client.expect_closed()] == [(Kind.DISCONNECT, 0x87)]
    watcher.message(f"{name}/will", b"refused")


WRONG_AGAIN = {
    "other method": wire.auth(0x19, [(P.AUTHENTICATION_METHOD, "other"), data(b"proof")]),
    "no method": wire.auth(0x19, [data(b"proof")]),
    "continue unasked": wire.auth(0x18, [METHOD, data(b"proof")]),
    "success": wire.auth(0x00, [METHOD]),
    "unknown reason": wire.auth(0x7F, [METHOD]),
}


@pytest.mark.parametrize("packet", WRONG_AGAIN.values(), ids=WRONG_AGAIN.keys())
@covers("MQTT-4.12.1-1", "MQTT-4.12.1-2", "MQTT-4.13.1-1", "MQTT-3.15.2-1")
def test_wrong_beginning(inside: Begin, packet: bytes) -> None:
    client = inside()
    client.send(packet)
    client.refused(0x81, 0x82, 0x8C, 0x87)


@covers("MQTT-3.15.2-2", "MQTT-3.15.2-3", "MQTT-3.1.2-24")
def test_auth_fits(begin: Begin) -> None:
    """Reason String and User Properties come if there is room, and stay away if there is not."""
    roomy = begin(b"talk").expect(Kind.AUTH, reason=0x18)
    assert roomy.text(P.REASON_STRING) == "r" * 300 and roomy.all(P.USER_PROPERTY) == [("name", "v" * 300)]
    client = begin(b"talk", (P.MAXIMUM_PACKET_SIZE, 100))
    challenged(client)
    assert "r" * 300 not in client.log[-1] and "v" * 300 not in client.log[-1]


@covers("MQTT-3.2.2-20", "MQTT-3.1.2-24")
def test_accepting_connack_fits(begin: Begin) -> None:
    roomy = begin(b"proof, and talk").expect(Kind.CONNACK, reason=0)
    assert roomy.all(P.USER_PROPERTY) == [("name", "v" * 300)]
    tight = begin(b"proof, and talk", (P.MAXIMUM_PACKET_SIZE, 100)).expect(Kind.CONNACK, reason=0)
    assert len(tight.raw) <= 100 and tight.all(P.USER_PROPERTY) == []
    assert tight.get(P.AUTHENTICATION_DATA) == b"welcome"


@covers("MQTT-3.2.2-19", "MQTT-3.1.2-24")
def test_refusing_connack_fits(begin: Begin) -> None:
    """The reason may be long; without room it goes, the Reason Code stays."""
    roomy = begin(b"nonsense").expect(Kind.CONNACK, reason=0x87)
    assert len(roomy.raw) > 100, "the test needs a broker that gives a long reason"
    tight = begin(b"nonsense", (P.MAXIMUM_PACKET_SIZE, 60)).expect(Kind.CONNACK, reason=0x87)
    assert len(tight.raw) <= 60


@covers("MQTT-3.14.2-3", "MQTT-3.1.2-24")
def test_refusing_disconnect_fits(inside: Begin) -> None:
    client = inside((P.MAXIMUM_PACKET_SIZE, 60))
    client.send(wire.auth(0x19, [METHOD, data(b"nonsense")]))
    assert [len(told.raw) for told in client.expect_closed() if len(told.raw) > 60] == []


@covers("MQTT-3.1.2-29")
def test_auth_without_problem_information(begin: Begin) -> None:
    packet = begin(b"talk", (P.REQUEST_PROBLEM_INFORMATION, 0)).expect(Kind.AUTH, reason=0x18)
    assert packet.get(P.REASON_STRING) is None and packet.all(P.USER_PROPERTY) == []
