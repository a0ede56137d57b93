"""Topic Aliases (3.3.2.3.4), in both directions."""

from __future__ import annotations

import pytest

from . import wire
from .brokers import Brokers, Profile
from .client import Connect
from .coverage import covers
from .reading import Packet
from .wire import P


@covers("MQTT-3.3.2-12")
def test_alias_takes_the_place_of_the_topic(joined: Connect, name: str) -> None:
    client, other = joined(), joined()
    client.subscribe(f"{name}/#")
    other.publish(f"{name}/a", b"1", props=[(P.TOPIC_ALIAS, 1)])
    other.publish(f"{name}/b", b"2", props=[(P.TOPIC_ALIAS, 2)])
    other.publish("", b"3", props=[(P.TOPIC_ALIAS, 1)])
    other.publish("", b"4", props=[(P.TOPIC_ALIAS, 2)], qos=1)
    # An alias may be given another meaning.
    other.publish(f"{name}/c", b"5", props=[(P.TOPIC_ALIAS, 1)])
    other.publish("", b"6", props=[(P.TOPIC_ALIAS, 1)], qos=2)
    for topic, payload in (("a", b"1"), ("b", b"2"), ("a", b"3"), ("b", b"4"), ("c", b"5"), ("c", b"6")):
        message = client.message(f"{name}/{topic}", payload)
        # The alias was an affair of the publisher and the broker.
        assert message.get(P.TOPIC_ALIAS) is None


@covers("MQTT-3.3.2-12")
def test_every_announced_alias_works(connect: Connect, joined: Connect, name: str) -> None:
    client = joined()
    client.subscribe(f"{name}/#")
    other = connect()
    highest = min(300, other.connect(name).number(P.TOPIC_ALIAS_MAXIMUM, 0))
    if not highest:
        pytest.skip("the broker announces no Topic Alias Maximum")
    for alias in range(1, highest + 1):
        other.send(wire.publish(f"{name}/{alias}", b"first", props=[(P.TOPIC_ALIAS, alias)]))
    for alias in range(1, highest + 1):
        other.send(wire.publish("", b"again", props=[(P.TOPIC_ALIAS, alias)]))
    for payload in (b"first", b"again"):
        for alias in range(1, highest + 1):
            client.message(f"{name}/{alias}", payload)


@covers("MQTT-3.3.2-8")
def test_alias_0(joined: Connect, name: str) -> None:
    client = joined()
    client.send(wire.publish(name, b"x", props=[(P.TOPIC_ALIAS, 0)]))
    client.refused(0x94, 0x82, 0x81)


@covers("MQTT-3.3.2-9", "MQTT-3.2.2-17")
def test_alias_above_the_maximum(connect: Connect, name: str) -> None:
    client = connect()
    highest = client.connect(name).number(P.TOPIC_ALIAS_MAXIMUM, 0)
    if highest == 65535:
        pytest.skip("no Topic Alias is above the broker's maximum")
    client.send(wire.publish(name, b"x", props=[(P.TOPIC_ALIAS, highest + 1)]))
    client.refused(0x94)


@covers("MQTT-3.2.2-18", "MQTT-3.2.2-17")
def test_alias_where_none_is_allowed(brokers: Brokers, connect: Connect, name: str) -> None:
    client = connect(5, brokers(Profile(topic_alias_maximum=0)))
    assert not client.connect(name).get(P.TOPIC_ALIAS_MAXIMUM)
    client.send(wire.publish(name, b"x", props=[(P.TOPIC_ALIAS, 1)]))
    client.refused(0x94, 0x82)


@covers("MQTT-4.13.1-1")
def test_unknown_alias(joined: Connect) -> None:
    """An empty Topic Name with an alias that was never given (3.3.2.1: Protocol Error)."""
    client = joined()
    client.send(wire.publish("", b"x", props=[(P.TOPIC_ALIAS, 1)]))
    client.refused(0x82, 0x94)


@covers("MQTT-3.3.2-7")
def test_aliases_end_with_the_connection(connect: Connect, name: str) -> None:
    """They are no part of the session."""
    first = connect()
    first.connect(name, props=[(P.SESSION_EXPIRY, 60)])
    first.publish(f"{name}/t", b"x", props=[(P.TOPIC_ALIAS, 1)])
    first.disconnect()
    again = connect()
    assert again.connect(name, clean=False, props=[(P.SESSION_EXPIRY, 60)]).session_present
    again.send(wire.publish("", b"x", props=[(P.TOPIC_ALIAS, 1)]))
    again.refused(0x82, 0x94)


@covers("MQTT-3.3.2-7")
def test_aliases_are_each_client_s_own(joined: Connect, name: str) -> None:
    first, second = joined(), joined()
    first.publish(name, b"x", props=[(P.TOPIC_ALIAS, 1)])
    second.send(wire.publish("", b"x", props=[(P.TOPIC_ALIAS, 1)]))
    second.refused(0x82, 0x94)


@pytest.mark.parametrize("props", [[], [(P.TOPIC_ALIAS_MAXIMUM, 0)]], ids=["absent", "0"])
@covers("MQTT-3.1.2-27")
def test_no_alias_to_a_client_that_takes_none(
    joined: Connect, name: str, props: list[tuple[int, object]]
) -> None:
    client, other = joined(props=props), joined()
    client.subscribe(f"{name}/#")
    for number in range(6):
        other.publish(f"{name}/{number % 2}", b"x")
        assert client.message(f"{name}/{number % 2}", b"x").get(P.TOPIC_ALIAS) is None


@pytest.mark.parametrize("maximum", [1, 3])
@covers("MQTT-3.1.2-26", "MQTT-3.3.2-11", "MQTT-3.3.2-8", "MQTT-3.3.2-3")
def test_aliases_to_a_client(joined: Connect, name: str, maximum: int) -> None:
    """Whether the broker uses them is its affair; if it does, they are in range and mean the right topic."""
    client, other = joined(props=[(P.TOPIC_ALIAS_MAXIMUM, maximum)]), joined()
    client.subscribe((f"{name}/#", 1))
    meaning: dict[object, str] = {}
    for number in range(24):
        topic = f"{name}/{number % 6}"
        other.publish(topic, b"%d" % number, qos=number % 2)
        message = client.message(payload=b"%d" % number)
        assert resolve(message, meaning, maximum) == topic


@covers("MQTT-3.3.2-7", "MQTT-3.1.2-26")
def test_aliases_to_a_client_end_with_the_connection(connect: Connect, joined: Connect, name: str) -> None:
    """Also for what is sent again: each connection begins with full topics."""
    other = joined()
    settings = {"clean": False, "props": [(P.SESSION_EXPIRY, 60), (P.TOPIC_ALIAS_MAXIMUM, 5)]}
    first = connect()
    first.connect(name, **settings)  # type: ignore[arg-type]
    first.subscribe((f"{name}/t", 1))
    meaning: dict[object, str] = {}
    for number in range(3):
        other.publish(f"{name}/t", b"%d" % number, qos=1)
        message = first.message(payload=b"%d" % number, answer=number < 2)
        assert resolve(message, meaning, 5) == f"{name}/t"
    first.drop()
    again = connect()
    again.connect(name, **settings)  # type: ignore[arg-type]
    other.publish(f"{name}/t", b"3", qos=1)
    meaning = {}
    for number in (2, 3):
        assert resolve(again.message(payload=b"%d" % number), meaning, 5) == f"{name}/t"


def resolve(message: Packet, meaning: dict[object, str], maximum: int) -> str:
    """The topic of a message that may have an alias; `meaning` is what the client knows and learns."""
    alias = message.get(P.TOPIC_ALIAS)
    if alias is None:
        return message.topic
    assert isinstance(alias, int) and 1 <= alias <= maximum
    if message.topic:
        meaning[alias] = message.topic
    return meaning[alias]
