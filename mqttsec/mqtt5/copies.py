"""What the copies of a message look like for one client: its packet limit, Topic Aliases, and channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttsec.mqtt5.fanout import through_channel
from mqttsec.mqtt5.message import Form, Message
from mqttsec.mqtt5.outbox import Delivery
from mqttsec.mqtt5.replies import LARGEST_PACKET
from mqttsec.packets import Connect

if TYPE_CHECKING:
    from mqttsec.mqtt5.connection import Connection


class Copies:
    """Encodes for one connection what cannot be encoded once for all."""

    __slots__ = ("_aliases", "_connection", "alias_limit", "maximum_packet_size", "problem_information")

    def __init__(self, connection: Connection) -> None:
        self.maximum_packet_size = LARGEST_PACKET
        """Largest packet that the client takes, in bytes."""
        self.problem_information = True
        """False: the client wants no Reason Strings and User Properties on most packets."""
        self.alias_limit = 0
        """How many Topic Aliases the client takes."""
        self._aliases: dict[bytes, int] = {}
        self._connection = connection

    def announce(self, connect: Connect, topic_alias_maximum: int) -> None:
        """The client's CONNECT says what it takes; `topic_alias_maximum` is the broker's own bound."""
        properties = connect.properties
        self.maximum_packet_size = properties.maximum_packet_size or self.maximum_packet_size
        self.problem_information = properties.request_problem_information != 0
        self.alias_limit = min(properties.topic_alias_maximum or 0, topic_alias_maximum)

    @property
    def needed(self) -> bool:
        """True when this client cannot share its bytes with others."""
        return self.alias_limit > 0 or self.maximum_packet_size < LARGEST_PACKET

    def qos_0(self, message: Message, form: Form) -> bytes | None:
        """A QoS 0 PUBLISH for this client alone, or None where it is too large for it."""
        changed = self._changed(message)
        if changed is None:
            return None
        alias, known = self._alias(changed.topic_bytes)
        topic = b"" if known else None
        frame = changed.parts_after(form, self._connection.broker.now(), topic, alias)[0]
        if len(frame) > self.maximum_packet_size:
            return None
        if alias is not None and not known:
            self._aliases[changed.topic_bytes] = alias
        return frame

    def owed(self, delivery: Delivery) -> tuple[bytes, bytes] | None:
        """A QoS 1 or 2 PUBLISH for this client: the bytes around its Packet Identifier, or None."""
        message = self._changed(delivery.message)
        if message is None:
            return None
        head, tail = message.parts_after(delivery.form, self._connection.broker.now())
        if len(head) + 2 + len(tail) > self.maximum_packet_size:
            return None
        return head, tail

    def _changed(self, message: Message) -> Message | None:
        session = self._connection.session
        return message if session is None else through_channel(session, message)

    def _alias(self, topic: bytes) -> tuple[int | None, bool]:
        """(Topic Alias to send, whether the client knows it already)."""
        if not self.alias_limit:
            return None, False
        known = self._aliases.get(topic)
        if known is not None:
            return known, True
        # [MQTT-3.1.2-26] "The Server MUST NOT send a Topic Alias in a PUBLISH packet to the Client greater
        # than Topic Alias Maximum."
        return (len(self._aliases) + 1, False) if len(self._aliases) < self.alias_limit else (None, False)
