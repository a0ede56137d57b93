"""Retained messages for a new subscription: as fast as the client takes them, and no faster (3.3.1.3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mqttsec.mqtt5 import fanout
from mqttsec.mqtt5.message import Form, Message
from mqttsec.mqtt5.outbox import Delivery

if TYPE_CHECKING:
    from mqttsec.mqtt5.connection import Connection
    from mqttsec.mqtt5.session import Session

_MESSAGES_AT_ONCE = 256
_BYTES_AT_ONCE = 256 * 1024


class RetainedFlow:
    """What one connection has still to get of the retained messages that its subscriptions asked for.

    One SUBSCRIBE of a few kB can ask for millions of messages ("#" a thousand times over), so they go
    out in small portions, each only when the network and the QoS window took the one before. The first
    portion goes at once: where there is not more, a subscription is answered in one go.
    """

    __slots__ = ("_connection", "_scheduled", "_waiting")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: deque[Iterator[tuple[Message, Form]]] = deque()
        self._scheduled = False

    def add(self, messages: Iterator[tuple[Message, Form]]) -> None:
        """Let these messages go, after those that wait already."""
        self._waiting.append(messages)
        if len(self._waiting) == 1:
            self._send_portion()

    def go_on(self) -> None:
        """There may be room again."""
        if self._waiting and not self._scheduled:
            self._scheduled = True
            self._connection.broker.call_soon(self._send_portion)

    def _send_portion(self) -> None:
        self._scheduled = False
        if self._send():
            self.go_on()
        self._connection.broker.schedule_flush()

    def _send(self) -> bool:
        """Send a portion; True when there is room for more and perhaps more to send."""
        connection, session = self._connection, self._connection.session
        sent = 0
        for _ in range(_MESSAGES_AT_ONCE):
            # Where it stops for want of room, the network or an acknowledgement makes it go on.
            if session is None or connection.outlet.congested or session.outbox.queued:
                return False
            if sent >= _BYTES_AT_ONCE:
                break
            following = self._next()
            if following is None:
                return False
            sent += len(following[0].payload)
            fanout.deliver(connection.broker, session, *following)
        return True

    def _next(self) -> tuple[Message, Form] | None:
        while self._waiting:
            for following in self._waiting[0]:
                return following
            self._waiting.popleft()
        return None

    def keep_for(self, session: Session) -> None:
        """The connection ends: what the session outlives and is owed at QoS 1 and 2 waits in its outbox."""
        settings, outbox = self._connection.broker.settings, session.outbox
        while session.expiry_interval and (following := self._next()) is not None:
            if outbox.queued >= settings.max_queued_messages:
                break
            if outbox.queued_bytes >= settings.max_queued_bytes:
                break
            if following[1].qos:
                outbox.enqueue(Delivery(*following))
        self._waiting.clear()
