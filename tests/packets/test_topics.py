"""Topic Names and Topic Filters (4.7, 4.8.2), compared with paho's matcher."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from mqttsec.errors import MalformedPacketError
from mqttsec.packets import check_topic_filter, check_topic_name, matches
from mqttsec.packets.topics import split_share
from tests.packets.strategies import plain_filters, shared_filters, topics

# Few levels, so that filters and topics meet often.
_NAMES = ["", "a", "b", "$a", "a b", "ä"]
near_topics = st.lists(st.sampled_from(_NAMES), min_size=1, max_size=5).map("/".join).filter(bool)
near_filters = st.builds(
    lambda levels, end: "/".join(levels + end),
    st.lists(st.sampled_from([*_NAMES, "+"]), max_size=5), st.sampled_from([[], ["#"]])).filter(bool)


@settings(max_examples=1_000, deadline=None)
@given(topic_filter=near_filters, topic=near_topics)
def test_matching_is_that_of_paho(topic_filter: str, topic: str) -> None:
    assert matches(topic_filter, topic) == topic_matches_sub(topic_filter, topic)


@pytest.mark.parametrize(("topic_filter", "topic", "expected"), [
    # The examples of 4.7.1.2 and 4.7.1.3.
    ("sport/tennis/player1/#", "sport/tennis/player1", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
    ("sport/#", "sport", True),
    ("#", "sport/tennis", True),
    ("sport/tennis/+", "sport/tennis/player1", True),
    ("sport/tennis/+", "sport/tennis/player1/ranking", False),
    ("sport/+", "sport", False),
    ("sport/+", "sport/", True),
    ("+/+", "/finance", True),
    ("/+", "/finance", True),
    ("+", "/finance", False),
    # [MQTT-4.7.2-1] and its examples.
    ("#", "$SYS/a", False),
    ("+/monitor/Clients", "$SYS/monitor/Clients", False),
    ("$SYS/#", "$SYS/", True),
    ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
    # 4.7.3: case, a leading or trailing "/" and spaces count; [MQTT-4.7.3-4] nothing is normalised.
    ("ACCOUNTS", "Accounts", False),
    ("/finance", "finance", False),
    ("finance", "finance/", False),
    ("Accounts payable", "Accounts payable", True),
    ("caf\u00e9", "cafe\u0301", False),
])
def test_the_examples_of_the_standard(topic_filter: str, topic: str, expected: bool) -> None:
    check_topic_filter(topic_filter)
    check_topic_name(topic)
    assert matches(topic_filter, topic) is expected


@given(topic_filter=plain_filters | shared_filters, topic=topics)
def test_the_well_formed_pass(topic_filter: str, topic: str) -> None:
    assert check_topic_filter(topic_filter) == topic_filter
    assert check_topic_name(topic) == topic


@pytest.mark.parametrize("topic_filter", [
    "",  # [MQTT-4.7.3-1]
    "sport/tennis#", "sport/tennis/#/ranking", "#/", "##", "a/#b",  # [MQTT-4.7.1-1]
    "sport+", "+sport", "a/++/b", "a/b+/c", "+#",  # [MQTT-4.7.1-2]
    "$share/", "$share//a", "$share/group", "$share/group/",  # [MQTT-4.8.2-1]
    "$share/gr+oup/a", "$share/gr#oup/a", "$share/#", "$share/+/a",  # [MQTT-4.8.2-2]
    "$share/group/a#", "$share/group/#/a",
])
def test_ill_formed_filters(topic_filter: str) -> None:
    with pytest.raises(MalformedPacketError):
        check_topic_filter(topic_filter)


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a#b", "+"])
def test_ill_formed_names(topic: str) -> None:
    # [MQTT-4.7.3-1], [MQTT-3.3.2-2], [MQTT-4.7.0-1]
    with pytest.raises(MalformedPacketError):
        check_topic_name(topic)


@pytest.mark.parametrize(("topic_filter", "expected"), [
    ("a/b", (None, "a/b")),
    ("$share/group/a/b", ("group", "a/b")),
    ("$share/group//", ("group", "/")),
    ("$share/group/$SYS/#", ("group", "$SYS/#")),
    ("$share", (None, "$share")),
    ("$shared/a/b", (None, "$shared/a/b")),
    ("/$share/a/b", (None, "/$share/a/b")),
])
def test_shared_subscriptions(topic_filter: str, expected: tuple[str | None, str]) -> None:
    assert split_share(topic_filter) == expected
