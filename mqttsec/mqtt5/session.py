"""Sessions and subscriptions: amqtt's `Session`, with the state that MQTT 5 adds (4.1)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import amqtt.session

from mqttsec.mqtt5.outbox import Outbox
from mqttsec.packets import MQTT_5, Will

if TYPE_CHECKING:
    from mqttsec.mqtt5.channel import Channel
    from mqttsec.mqtt5.connection import Connection
    from mqttsec.mqtt5.hooks import Arrival


class SessionState:
    """`new`, `connected` or `disconnected`: the face of amqtt's state machine without its 30 kB."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = "new"

    def connect(self) -> None:
        """Enter `connected`."""
        self.state = "connected"

    def disconnect(self) -> None:
        """Enter `disconnected`."""
        self.state = "disconnected"

    def is_connected(self) -> bool:
        """True in state `connected`."""
        return self.state == "connected"


class Session(amqtt.session.Session):  # type: ignore[misc, unused-ignore]
    """One client's session: what outlives its network connection (MQTT 5, 4.1)."""

    def __init__(self, client_id: str, protocol: int = MQTT_5) -> None:
        super().__init__()
        self.client_id: str = client_id
        """Client Identifier."""
        self.protocol = protocol
        """Protocol Version of the last connection."""
        self.connection: Connection | None = None
        """The network connection, while there is one."""
        self.expiry_interval = 0
        """Seconds that the session outlives its connection."""
        self.subscriptions: dict[str, Subscription] = {}
        """By Topic Filter, as the client wrote it."""
        self.outbox = Outbox()
        """What is owed to the client."""
        self.received: set[int] = set()
        """Packet Identifiers of QoS 2 publications whose PUBREL has not come [MQTT-4.3.3-10]."""
        self.relayed: dict[int, Arrival] = {}
        """Publications that a relay has not acknowledged yet, by Packet Identifier."""
        self.will: Will | None = None
        """Will Message of the current connection, or of the last one while its delay runs."""
        self.will_timer: asyncio.TimerHandle | None = None
        """Runs while a Will Message is delayed."""
        self.expiry_timer: asyncio.TimerHandle | None = None
        """Runs while the client is away."""
        self._channel: Channel | None = None

    @property
    def channel(self) -> Channel | None:
        """Transforms messages between broker and client; None: they pass as they are."""
        return self._channel

    @channel.setter
    def channel(self, channel: Channel | None) -> None:
        self._channel = channel
        if self.connection is not None:
            # Routes are made for clients with or without a channel: none may go on past the new one.
            self.connection.broker.router.forget()

    def _init_states(self) -> None:
        self.transitions = SessionState()

    @property
    def inflight_in_count(self) -> int:
        """Unfinished QoS 2 publications from the client."""
        return len(self.received)

    @property
    def inflight_out_count(self) -> int:
        """Unacknowledged messages to the client."""
        return len(self.outbox.inflight)

    @property
    def retained_messages_count(self) -> int:
        """Messages that wait for the client."""
        return self.outbox.queued

    def clear_queues(self) -> None:
        """Forget what is owed to the client."""
        super().clear_queues()
        self.outbox.clear()
        self.received.clear()
        self.relayed.clear()

    def cancel_timers(self) -> None:
        """The client is back, or the session is over: nothing runs out any more."""
        for timer in (self.will_timer, self.expiry_timer):
            if timer is not None:
                timer.cancel()
        self.will_timer = self.expiry_timer = None

    # amqtt compares sessions by Client Identifier and so makes them unhashable; ours are themselves.
    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__


class Subscription(tuple):  # type: ignore[type-arg]
    """One subscription. Being the pair (session, QoS), it is also a row of amqtt's subscription table."""

    topic_filter: str
    """Topic Filter as the client wrote it, `$share/...` included."""
    session: Session
    """Whose it is."""
    qos: int
    """Granted QoS."""
    no_local: bool
    """Do not send back what this client published."""
    retain_as_published: bool
    """Forward the RETAIN flag as it came."""
    identifier: int | None
    """Subscription Identifier."""

    def __new__(
        cls,
        topic_filter: str,
        session: Session,
        qos: int,
        no_local: bool = False,
        retain_as_published: bool = False,
        identifier: int | None = None,
    ) -> Subscription:
        row = super().__new__(cls, (session, qos))
        row.topic_filter = topic_filter
        row.session = session
        row.qos = qos
        row.no_local = no_local
        row.retain_as_published = retain_as_published
        row.identifier = identifier
        return row

    def __eq__(self, other: Any) -> bool:
        return self is other

    __hash__ = object.__hash__
