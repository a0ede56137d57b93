"""What a caller hands to a client, looked at before anything is sent.

A wrong topic that reaches the Server costs the connection; and at QoS 1 and 2 paho would send it again on
the next connection, and on the one after that, for ever.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from typing import Any

from mqttsec.errors import ConfigurationError, MalformedPacketError
from mqttsec.packets import check_topic_name
from mqttsec.packets.topics import check_topic_filter
from mqttsec.packets.wire import push_utf8_string


def shown(value: object) -> str:
    """A value as text for an error message, cut short where it is long."""
    return reprlib.repr(value)


def checked_topic(party: str, topic: object) -> str:
    """`topic`, a Topic Name that may be published to; raises `ConfigurationError` otherwise (4.7)."""
    if not isinstance(topic, str):
        raise ConfigurationError(f"{party} cannot publish to {shown(topic)}: a topic is text")
    try:
        return check_topic_name(_encodable(topic))
    except MalformedPacketError as error:
        raise ConfigurationError(f"{party} cannot publish to {shown(topic)}: {error}") from None


def checked_filters(party: str, filters: Iterable[object]) -> None:
    """Raise `ConfigurationError` for a Topic Filter that nobody may subscribe to (4.7, 4.8.2)."""
    wanted = list(filters)
    if not wanted:
        raise ConfigurationError(f"{party}: name at least one Topic Filter")
    for topic_filter in wanted:
        if not isinstance(topic_filter, str):
            raise ConfigurationError(f"{party}: {shown(topic_filter)} is no Topic Filter: it has to be text")
        try:
            check_topic_filter(_encodable(topic_filter))
        except MalformedPacketError as error:
            raise ConfigurationError(f"{party}: {shown(topic_filter)} is no Topic Filter: {error}") from None


def _encodable(text: str) -> str:
    push_utf8_string(bytearray(), text, "as a UTF-8 Encoded String")
    return text


def paho_filters(topic: Any) -> list[object]:
    """The Topic Filters in what paho's `subscribe` and `unsubscribe` take: one, a pair, or a list of them."""
    if isinstance(topic, tuple):
        return [topic[0]] if topic else []
    if isinstance(topic, list):
        return [item[0] if isinstance(item, tuple) and item else item for item in topic]
    return [topic]


def payload_bytes(party: str, payload: object) -> bytes:
    """A payload as bytes, text in UTF-8; raises `ConfigurationError` for anything else."""
    if isinstance(payload, str):
        try:
            return payload.encode()
        except UnicodeEncodeError as error:
            raise ConfigurationError(f"{party}: the payload {shown(payload)} is no text: {error}") from None
    if isinstance(payload, (bytes, bytearray, memoryview)):
        return bytes(payload)
    raise ConfigurationError(
        f"{party}: a payload is bytes or text, not {type(payload).__name__}; use str() or json.dumps() first"
    )
