"""Topic Names and Topic Filters (4.7): which filters match which names."""

from __future__ import annotations

import pytest

from .client import Connect
from .coverage import covers, covers_311

MATCHES = [
    ("sport/tennis/player1/#", "sport/tennis/player1", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
    ("sport/tennis/player1/#", "sport/tennis/player10", False),
    ("sport/#", "sport", True),
    ("sport/#", "sport/", True),
    ("sport/tennis/+", "sport/tennis/player1", True),
    ("sport/tennis/+", "sport/tennis/player1/ranking", False),
    ("sport/+", "sport", False),
    ("sport/+", "sport/", True),
    ("+/+", "/finance", True),
    ("/+", "/finance", True),
    ("+", "/finance", False),
    ("+", "finance", True),
    ("+/tennis/#", "sport/tennis", True),
    ("+/tennis/#", "tennis", False),
    ("sport/+/player1", "sport/tennis/player1", True),
    ("sport/+/player1", "sport//player1", True),
    ("sport/+/+/#", "sport/a", False),
    ("sport/+/+/#", "sport/a/b", True),
    ("a/b", "a/b", True),
    ("a/b", "a/B", False),
    ("a/b", "a/b/", False),
    ("a/b", "/a/b", False),
    ("a//b", "a//b", True),
    ("a//b", "a/b", False),
    ("a/+/b", "a//b", True),
    ("/", "/", True),
    ("//", "/", False),
    ("/#", "/", True),
    ("/#", "//x", True),
    ("+/#", "x", True),
    ("a b", "a b", True),
    ("a b", "ab", False),
    ("\u00e9", "\u00e9", True),
    ("\u00e9", "e\u0301", False),
    ("a/$b/+", "a/$b/c", True),
    ("+/$b", "a/$b", True),
]
"""Filter, name and whether they match, each below a prefix of its own; many are the standard's examples."""


@pytest.mark.parametrize("pattern, topic, matches", MATCHES)
@covers("MQTT-4.7.1-1", "MQTT-4.7.1-2", "MQTT-3.3.2-3", "MQTT-4.7.3-4")
@covers_311("MQTT-4.7.1-2", "MQTT-4.7.1-3", "MQTT-3.3.2-3", "MQTT-4.7.3-4")
def test_match(joined: Connect, name: str, protocol: int, pattern: str, topic: str, matches: bool) -> None:
    client, other = joined(protocol), joined(protocol)
    client.subscribe(f"{name}/{pattern}")
    other.publish(f"{name}/{topic}", b"x")
    if matches:
        client.message(f"{name}/{topic}", b"x")
    client.quiet()


@pytest.mark.parametrize("pattern", ["#", "+/{name}", "+/#", "/#", "{name}/#"])
@covers("MQTT-4.7.2-1")
@covers_311("MQTT-4.7.2-1")
def test_dollar_topics_are_hidden_from_wildcards(
    joined: Connect, name: str, protocol: int, pattern: str
) -> None:
    """A filter that begins with a wildcard does not see $ topics, whether messages or retained."""
    client, other = joined(protocol), joined(protocol)
    other.publish(f"$test/{name}", b"retained", retain=True)
    client.subscribe(pattern.format(name=name))
    client.sync()
    other.publish(f"$test/{name}", b"x")
    hidden = [packet for packet in client.sync() if packet.topic.startswith("$")]
    assert hidden == []


@covers("MQTT-4.7.2-1", "MQTT-3.3.2-3")
@covers_311("MQTT-4.7.2-1", "MQTT-3.3.2-3")
def test_dollar_topics_are_seen_by_name(joined: Connect, name: str, protocol: int) -> None:
    """A broker may keep some for itself; mosquitto lets clients use any but $SYS and $share."""
    client, other = joined(protocol), joined(protocol)
    client.subscribe(f"$test/{name}/#")
    other.publish(f"$test/{name}/a", b"x")
    client.message(f"$test/{name}/a", b"x")


@covers("MQTT-4.7.2-1")
@covers_311("MQTT-4.7.2-1")
def test_publishing_to_a_dollar_topic_harms_nobody(joined: Connect, name: str, protocol: int) -> None:
    """The broker may not accept it, but the client stays connected and is answered."""
    client = joined(protocol)
    client.publish(f"$SYS/{name}", b"x", qos=1)
    client.publish(f"$other/{name}", b"x", qos=2)
    client.quiet()


@covers("MQTT-4.7.0-1", "MQTT-3.3.2-3")
@covers_311("MQTT-4.7.1-1", "MQTT-3.3.2-3")
def test_everything(joined: Connect, name: str, protocol: int) -> None:
    """Of all that comes for "#" each message has the topic it was published to."""
    client, other = joined(protocol), joined(protocol)
    client.subscribe("#")
    client.sync()
    for topic in (f"{name}", f"/{name}", f"{name}/a/b/c/d/e/f", f"{name}//"):
        other.publish(topic, topic.encode())
        mine = [packet for packet in client.sync() if packet.payload == topic.encode()]
        assert [packet.topic for packet in mine] == [topic]


@covers("MQTT-3.3.2-3", "MQTT-4.5.0-1")
@covers_311("MQTT-4.5.0-1")
def test_deep_topics(joined: Connect, name: str, protocol: int) -> None:
    """Hundreds of levels are no reason to fail; a broker that refuses them does so alone for that client."""
    client, other = joined(protocol), joined(protocol)
    topic = f"{name}/" + "/".join("l" * 150)
    client.subscribe(topic, f"{name}/#")
    other.publish(topic, b"x")
    client.message(topic, b"x")
