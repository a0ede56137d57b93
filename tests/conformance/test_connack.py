"""CONNACK (3.2): what the broker says of itself, and keeps to."""

from __future__ import annotations

from . import wire
from .brokers import Brokers, Profile
from .client import Connect
from .coverage import covers, covers_311
from .wire import P, Will


@covers("MQTT-3.2.2-1", "MQTT-3.2.2-2", "MQTT-3.1.4-5", "MQTT-2.2.2-1", "MQTT-3.2.2-8")
@covers_311("MQTT-3.2.2-1", "MQTT-3.1.4-4")
def test_connack_of_a_new_session(connect: Connect, name: str, protocol: int) -> None:
    connack = connect(protocol).connect(name)
    assert not connack.session_present
    if protocol == 4:
        assert connack.raw == b"\x20\x02\x00\x00"


@covers("MQTT-3.1.2-28")
def test_no_response_information_unasked(connect: Connect, name: str) -> None:
    for number, props in enumerate(([], [(P.REQUEST_RESPONSE_INFORMATION, 0)])):
        connack = connect().connect(f"{name}{number}", props=props)
        assert connack.get(P.RESPONSE_INFORMATION) is None


@covers("MQTT-4.12.0-6")
def test_no_authentication_method_unasked(connect: Connect, name: str) -> None:
    connack = connect().connect(name)
    assert connack.get(P.AUTHENTICATION_METHOD) is None and connack.get(P.AUTHENTICATION_DATA) is None


@covers("MQTT-3.1.4-5", "MQTT-3.2.2-8")
def test_connack_says_what_the_broker_can_do(connect: Connect, name: str) -> None:
    """Announced limits keep to their ranges (3.2.2.3), whatever they are."""
    connack = connect().connect(name)
    assert connack.number(P.RECEIVE_MAXIMUM, 65535) >= 1
    assert connack.number(P.MAXIMUM_QOS, 0) in (0, 1)
    assert connack.number(P.MAXIMUM_PACKET_SIZE, 1) >= 1
    switches = (
        P.RETAIN_AVAILABLE,
        P.WILDCARD_AVAILABLE,
        P.SUBSCRIPTION_IDENTIFIER_AVAILABLE,
        P.SHARED_AVAILABLE,
    )
    for switch in switches:
        assert connack.number(switch, 1) in (0, 1)


@covers("MQTT-3.2.2-9", "MQTT-3.2.2-10", "MQTT-3.2.2-11", "MQTT-3.2.2-12")
def test_maximum_qos(brokers: Brokers, connect: Connect, name: str) -> None:
    """A broker with QoS 1 at most: it says so, grants no more, and refuses more."""
    at = brokers(Profile(maximum_qos=1))
    client = connect(5, at)
    assert client.connect(name).get(P.MAXIMUM_QOS) == 1
    assert client.subscribe((f"{name}/0", 0), (f"{name}/1", 1), (f"{name}/2", 2)).reasons in (
        (0, 1, 1),
        (0, 1, 2),
    )
    client.send(wire.publish(name, b"x", qos=2, packet_id=9))
    client.refused(0x9B)
    client = connect(5, at)
    client.connect(name, will=Will(name, qos=2), reason=0x9B)
    assert client.expect_closed() == []


@covers("MQTT-3.2.2-13", "MQTT-3.2.2-14")
def test_retain_not_available(brokers: Brokers, connect: Connect, name: str) -> None:
    at = brokers(Profile(retain_available=False))
    client = connect(5, at)
    assert client.connect(name).get(P.RETAIN_AVAILABLE) == 0
    client.send(wire.publish(name, b"x", retain=True))
    client.refused(0x9A)
    client = connect(5, at)
    client.connect(name, will=Will(name, retain=True), reason=0x9A)
    assert client.expect_closed() == []
