"""Topic Names and Topic Filters (MQTT 5, 4.7 and 4.8.2): what is well formed and what matches."""

from __future__ import annotations

from mqttsec.errors import MalformedPacketError
from mqttsec.packets.reason_codes import ReasonCode

SHARE = "$share/"
"""How the Topic Filter of a shared subscription begins (4.8.2)."""


def check_topic_name(topic: str) -> str:
    """Return `topic` if a PUBLISH may bear it; raise `MalformedPacketError` otherwise.

    [MQTT-4.7.3-1] at least one character; [MQTT-3.3.2-2] no wildcard characters (then 0x90).
    """
    if not topic:
        raise MalformedPacketError("a Topic Name has at least one character")
    if "+" in topic or "#" in topic:
        raise MalformedPacketError(
            f"the Topic Name {topic!r} holds a wildcard", ReasonCode.TOPIC_NAME_INVALID
        )
    return topic


def check_topic_filter(topic_filter: str) -> str:
    """Return `topic_filter` if a SUBSCRIBE may bear it; raise `MalformedPacketError` otherwise."""
    _, plain = split_share(topic_filter)
    if not plain:
        raise MalformedPacketError("a Topic Filter has at least one character")
    levels = plain.split("/")
    for index, level in enumerate(levels):
        # [MQTT-4.7.1-1] '#' "MUST be specified either on its own or following a topic level
        # separator. In either case it MUST be the last character".
        if "#" in level and (level != "#" or index != len(levels) - 1):
            raise MalformedPacketError(f"in {topic_filter!r} '#' is not alone in the last level")
        # [MQTT-4.7.1-2] '+' "MUST occupy an entire level of the filter".
        if "+" in level and level != "+":
            raise MalformedPacketError(f"in {topic_filter!r} '+' does not stand alone in its level")
    return topic_filter


def split_share(topic_filter: str) -> tuple[str | None, str]:
    """(ShareName, Topic Filter) of a subscription; ShareName is None where it is not shared.

    Raises `MalformedPacketError` for an ill-formed shared subscription.
    """
    if not topic_filter.startswith(SHARE):
        return None, topic_filter
    name, separator, plain = topic_filter[len(SHARE) :].partition("/")
    # [MQTT-4.8.2-1] a ShareName of at least one character; [MQTT-4.8.2-2] without "/", "+", "#",
    # followed by "/" and a Topic Filter.
    if not name or "+" in name or "#" in name or not separator or not plain:
        raise MalformedPacketError(f"{topic_filter!r} is not $share/NAME/FILTER")
    return name, plain


def matches(topic_filter: str, topic: str) -> bool:
    """True when messages published to `topic` belong to a (non-shared) `topic_filter`."""
    # [MQTT-4.7.2-1] a filter that starts with a wildcard does not match a Topic Name that starts with $.
    if topic.startswith("$") and topic_filter[:1] in ("+", "#"):
        return False
    filter_levels = topic_filter.split("/")
    levels = topic.split("/")
    for index, wanted in enumerate(filter_levels):
        if wanted == "#":
            return True
        if index == len(levels) or (wanted != "+" and wanted != levels[index]):
            return False
    return len(filter_levels) == len(levels)
