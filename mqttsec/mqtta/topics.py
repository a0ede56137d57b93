"""Topics of the forwarding network: T_F/T_A, with classes of QoS T_F/Q0/T_A to T_F/Q2/T_A (Buccafurri, III).

A client adds the prefix T_F to the actual topic T_A to be anonymous; the last bridge broker takes it away
again, so that a public broker sees T_A only. The topics of discovery stand in `notices`.
"""

from __future__ import annotations

from typing import NamedTuple

from mqttsec.errors import ConfigurationError, MalformedPacketError
from mqttsec.packets import check_topic_name

T_F = "mqtta/forward"
"""The forwarding prefix."""
CLASSES = ("Q0", "Q1", "Q2")
"""The level after T_F that names the class of a subscription, by its QoS (topic-and-QoS-aware)."""


class Forwarding(NamedTuple):
    """A topic under T_F, taken apart."""

    actual: str
    """T_A: what the public broker knows it as."""
    qos_class: int | None
    """The class that it names, 0 to 2; None: none."""


def forwarding(actual: str, qos_class: int | None = None) -> str:
    """T_F/T_A, or T_F/Qn/T_A. Raises `ConfigurationError` for no Topic Name."""
    try:
        check_topic_name(actual)
    except MalformedPacketError as error:
        raise ConfigurationError(f"{actual!r} is no actual topic: {error}") from None
    return f"{T_F}/{actual}" if qos_class is None else f"{T_F}/{CLASSES[qos_class]}/{actual}"


def read_forwarding(topic: str, classes: bool = False) -> Forwarding:
    """Take a topic under T_F apart; with `classes` a first level Q0, Q1 or Q2 is a class.

    Raises `MalformedPacketError` for T_F alone, a class alone, and wildcards: S names actual topics only.
    """
    actual = topic[len(T_F) + 1 :]
    qos_class = None
    if classes:
        level, _, rest = actual.partition("/")
        if level in CLASSES:
            qos_class, actual = CLASSES.index(level), rest
    if not topic.startswith(f"{T_F}/") or not actual:
        raise MalformedPacketError(f"{topic!r} names no actual topic: give {T_F}/<topic>")
    return Forwarding(check_topic_name(actual), qos_class)
