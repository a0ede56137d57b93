"""The control topics of the schemes: who may send what to whom (specification 1.4, Failures).

| topic | from | to | carries |
|---|---|---|---|
| `$e2e/to/NAME` | the broker | the party NAME | requests, notices, confirmations (P); group keys (S) |
| `$e2e/answer/NAME` | a publisher | the broker | step 13: the answer to the request of the subscriber NAME |
| `$e2e/group/NAME` | a publisher | the broker | a new GK_P for the subscriber NAME |

All of them are reserved to the handshake. A party is subscribed to its own by the broker, when it is
connected: the handshake has no packet for it. What is sent there at QoS 1 waits for one who is away.
"""

from __future__ import annotations

from mqttsec.e2e.encoding import check_identity
from mqttsec.errors import MalformedPacketError

ROOT = "$e2e"
"""All control topics are below it; that it begins with $ keeps wildcards away from them (MQTT 5, 4.7.2)."""

QOS = 1
"""Of everything on a control topic."""

_TO, _ANSWER, _GROUP = f"{ROOT}/to/", f"{ROOT}/answer/", f"{ROOT}/group/"


def control_topic(name: str) -> str:
    """Where the broker sends what is for the party `name` alone."""
    return _TO + name


def answer_topic(subscriber: str) -> str:
    """Where a publisher sends step 13: the Response Topic of step 7."""
    return _ANSWER + subscriber


def group_topic(subscriber: str) -> str:
    """Where a publisher sends a new group key for a subscriber."""
    return _GROUP + subscriber


def is_reserved(topic: str) -> bool:
    """True for a topic or filter that belongs to the handshake."""
    return topic == ROOT or topic.startswith(ROOT + "/")


def answered(topic: str) -> str | None:
    """The subscriber whose request an answer on `topic` is for; None for another topic."""
    return _named(topic, _ANSWER)


def grouped(topic: str) -> str | None:
    """The subscriber that a group key on `topic` is for; None for another topic."""
    return _named(topic, _GROUP)


def _named(topic: str, prefix: str) -> str | None:
    if not topic.startswith(prefix):
        return None
    try:
        return check_identity(topic[len(prefix) :])
    except MalformedPacketError:
        return None


_REMEMBERED, _REMEMBERED_LENGTH = 4096, 256


class Protected:
    """The part of the topic tree in which only protected messages pass."""

    def __init__(self, filters: tuple[str, ...]) -> None:
        self.filters = filters
        """Topic Filters."""
        self._levels = tuple(each.split("/") for each in filters)
        self._known: dict[str, bool] = {}

    def covers(self, topic: str) -> bool:
        """True when every topic that `topic`, a Topic Name or Topic Filter, stands for is protected."""
        known = self._known.get(topic)
        if known is None:
            levels = topic.split("/")
            known = any(_within(levels, wanted) for wanted in self._levels)
            # Asked for every message; neither ever new topics nor long ones may fill the memory.
            if len(topic) <= _REMEMBERED_LENGTH:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[topic] = known
        return known


def _within(levels: list[str], outer: list[str]) -> bool:
    # MQTT 5, 4.7.2: a leading wildcard does not match what begins with $.
    if levels[0].startswith("$") and outer[0] in ("+", "#"):
        return False
    for index, wanted in enumerate(outer):
        if wanted == "#":
            return True
        if index == len(levels) or levels[index] == "#":
            return False
        if wanted != "+" and wanted != levels[index]:
            return False
    return len(levels) == len(outer)
