"""amqtt's retained store with MQTT 5 rules (3.3.1.3): properties stay, expiry runs, memory is bounded."""

from __future__ import annotations

import math

from amqtt.broker import RetainedApplicationMessage

from mqttsec.mqtt5.message import Message, forwarded
from mqttsec.packets import NO_PROPERTIES, matches


class Retained(RetainedApplicationMessage):  # type: ignore[misc, unused-ignore]
    """A retained message: a row of amqtt's retained store that keeps all of MQTT 5."""

    __slots__ = ("message",)

    def __init__(self, message: Message) -> None:
        super().__init__(None, message.topic, message.payload, message.qos)
        self.message = message


class RetainedStore:
    """The retained messages by topic. `rows` is amqtt's own table, which plugins read and write as well."""

    def __init__(self, rows: dict[str, RetainedApplicationMessage], limit: int, limit_bytes: int) -> None:
        self._rows = rows
        self._limit = limit
        self._limit_bytes = limit_bytes
        # Plugins change the table behind our back, so this is at least what is there; see `_is_full`.
        self._bytes = 0
        self._next_look = -math.inf

    def keep(self, message: Message, now: float) -> Retained | None:
        """Keep a message in place of the last one of its topic; None when the store is full."""
        if self._is_full(message):
            self._forget_expired(now)
            if self._is_full(message):
                return None
        self.remove(message.topic)
        row = self._rows[message.topic] = Retained(message.copy())
        self._bytes += len(message.payload)
        return row

    def remove(self, topic: str) -> RetainedApplicationMessage | None:
        """Take the message of a topic out, and return it."""
        row = self._rows.pop(topic, None)
        if row is not None:
            self._bytes -= len(row.data)
        return row

    def _is_full(self, message: Message) -> bool:
        old = self._rows.get(message.topic)
        if old is None and len(self._rows) >= self._limit:
            return True
        more = len(message.payload) - (len(old.data) if old is not None else 0)
        if self._bytes + more > self._limit_bytes:
            self._bytes = sum(len(row.data) for row in self._rows.values())
        return self._bytes + more > self._limit_bytes

    def matching(self, topic_filter: str, now: float) -> list[Message]:
        """Messages that match a filter; those that have expired are removed."""
        if "+" in topic_filter or "#" in topic_filter:
            topics = [topic for topic in self._rows if matches(topic_filter, topic)]
        else:
            topics = [topic_filter] if topic_filter in self._rows else []
        messages = [self._message(topic, now) for topic in topics]
        for message in messages:
            if message.expired(now):
                self.remove(message.topic)
        return [message for message in messages if not message.expired(now)]

    def holds(self, message: Message) -> bool:
        """True while this very message is the retained one of its topic."""
        row = self._rows.get(message.topic)
        return isinstance(row, Retained) and row.message is message

    def _message(self, topic: str, now: float) -> Message:
        row = self._rows[topic]
        if not isinstance(row, Retained):
            # A plugin of amqtt put it there, as its persistence plugins do at the start.
            data, qos = bytes(row.data), row.qos or 0
            row = Retained(Message(topic, data, qos, True, forwarded(NO_PROPERTIES), "", now))
            self._rows[topic] = row
        return row.message

    def _forget_expired(self, now: float) -> None:
        # A look at all of them is dear, so the publisher of a full store does not get one for every message.
        if now < self._next_look:
            return
        self._next_look = now + 1.0
        for topic in [topic for topic in self._rows if self._message(topic, now).expired(now)]:
            self.remove(topic)
