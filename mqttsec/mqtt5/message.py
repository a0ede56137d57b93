"""An Application Message inside the broker, and the forms in which it goes out.

A message to many subscribers is encoded once for each distinct wire form (protocol version, QoS,
RETAIN flag, Subscription Identifiers), never once a subscriber; only the Packet Identifier of QoS 1
and 2 differs, and it is spliced in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from mqttsec.packets import MQTT_5, NO_PROPERTIES, Properties
from mqttsec.packets.codec import check_publish_properties
from mqttsec.packets.properties import PropertyId, Where, property_bytes, pull_properties
from mqttsec.packets.wire import Reader, variable_byte_integer


class Form(NamedTuple):
    """What can differ between the copies of one message, Packet Identifier aside."""

    protocol: int
    """Protocol Version of the receiver."""
    qos: int
    """min(publish QoS, subscription QoS)."""
    retain: bool
    """RETAIN flag of the copy."""
    identifiers: tuple[int, ...] = ()
    """Subscription Identifiers of the matching subscriptions."""


@dataclass(frozen=True)
class Forwarded:
    """The properties of an incoming PUBLISH, sorted by what the broker does with them."""

    properties: Properties
    """As the client sent them."""
    unaltered: bytes
    """Encoded properties that every subscriber gets unaltered [MQTT-3.3.2-4, -15, -16, -17, -20]."""
    expiry: int | None
    """Message Expiry Interval in seconds, which is rewritten on the way out."""
    alias: int | None
    """Topic Alias, which concerns the publisher's connection only."""


_NOTHING = Forwarded(NO_PROPERTIES, b"", None, None)


def forwarded(properties: Properties) -> Forwarded:
    """Sort the properties of a message to publish."""
    if properties == NO_PROPERTIES:
        return _NOTHING
    rest = replace(properties, message_expiry_interval=None, topic_alias=None, subscription_identifier=())
    return Forwarded(
        properties,
        property_bytes(rest, Where.PUBLISH),
        properties.message_expiry_interval,
        properties.topic_alias,
    )


@lru_cache(maxsize=2048)
def _forwarded_from_wire(raw: bytes) -> Forwarded:
    properties = pull_properties(Reader(variable_byte_integer(len(raw)) + raw), Where.PUBLISH)
    check_publish_properties(properties, from_client=True)
    return forwarded(properties)


def forwarded_from_wire(raw: bytes) -> Forwarded:
    """Check and sort the property bytes of an incoming PUBLISH.

    A station sends the same properties again and again, so small ones are remembered.
    Raises `MalformedPacketError` or `ProtocolError`.
    """
    if not raw:
        return _NOTHING
    return _forwarded_from_wire(raw) if len(raw) <= 512 else _forwarded_from_wire.__wrapped__(raw)


class Message:
    """One Application Message on its way through the broker. Never changed after it was made."""

    __slots__ = (
        "_forms",
        "expiry",
        "payload",
        "publisher",
        "qos",
        "received_at",
        "retain",
        "shared",
        "topic",
        "topic_bytes",
        "unaltered",
    )

    def __init__(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        retain: bool,
        properties: Forwarded,
        publisher: str,
        received_at: float,
        topic_bytes: bytes | None = None,
    ) -> None:
        self.topic = topic
        self.topic_bytes = topic.encode("utf-8") if topic_bytes is None else topic_bytes
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.publisher = publisher
        self.received_at = received_at
        self.unaltered = properties.unaltered
        self.expiry = properties.expiry
        self.shared: dict[Any, Any] = {}
        """Where channels keep what is equal for many receivers (see `Channel.outbound`)."""
        self._forms: dict[Form, tuple[bytes, bytes]] = {}

    def copy(self) -> Message:
        """The same message without the wire forms that were made of it, to be kept for long."""
        message = Message.__new__(Message)
        for name in Message.__slots__:
            setattr(message, name, getattr(self, name))
        message.shared, message._forms = {}, {}
        return message

    def __repr__(self) -> str:
        return f"Message({self.topic!r}, {len(self.payload)} bytes, QoS {self.qos})"

    @property
    def properties(self) -> Properties:
        """The properties to forward, decoded again from their bytes, with the original expiry."""
        raw = self.unaltered
        if not raw and self.expiry is None:
            return NO_PROPERTIES
        properties = pull_properties(Reader(variable_byte_integer(len(raw)) + raw), Where.PUBLISH)
        return replace(properties, message_expiry_interval=self.expiry)

    def expired(self, now: float) -> bool:
        """True when its Message Expiry Interval has passed at loop time `now` [MQTT-3.3.2-5]."""
        return self.expiry is not None and now - self.received_at >= self.expiry

    def parts(self, form: Form) -> tuple[bytes, bytes]:
        """(bytes before, bytes after) the place of the Packet Identifier, DUP not set.

        At QoS 0 the two stand side by side. For a message that is delivered at once; one that
        waited goes through `parts_after`.
        """
        parts = self._forms.get(form)
        if parts is None:
            parts = self._forms[form] = self._encode(form, self.expiry)
        return parts

    def parts_after(
        self, form: Form, now: float, topic: bytes | None = None, alias: int | None = None
    ) -> tuple[bytes, bytes]:
        """Like `parts` for a message that waited, or that goes out with a Topic Alias.

        [MQTT-3.3.2-6] "The PUBLISH packet sent to a Client by the Server MUST contain a Message Expiry
        Interval set to the received value minus the time that the message has been waiting".
        """
        if self.expiry is None and alias is None:
            # What was encoded for the others is used; nothing is kept for this one, or a client could fill
            # the memory by asking for a retained message under ever new Subscription Identifiers.
            return self._forms.get(form) or self._encode(form, None)
        left = None if self.expiry is None else max(0, self.expiry - int(now - self.received_at))
        return self._encode(form, left, topic, alias)

    def before(self, form: Form, size: int) -> bytes:
        """A QoS 0 PUBLISH up to a payload of `size` bytes, which a channel makes in place of ours."""
        properties = self._properties(form, self.expiry, None)
        return _head(form, self.topic_bytes, len(properties) + size) + properties

    def _encode(
        self, form: Form, expiry: int | None, topic: bytes | None = None, alias: int | None = None
    ) -> tuple[bytes, bytes]:
        name = self.topic_bytes if topic is None else topic
        tail = self._properties(form, expiry, alias) + self.payload
        head = _head(form, name, len(tail))
        return (head, tail) if form.qos else (head + tail, b"")

    def _properties(self, form: Form, expiry: int | None, alias: int | None) -> bytes:
        """Property Length and properties; nothing in 3.1.1."""
        if form.protocol < MQTT_5:
            return b""
        properties = self.unaltered
        if expiry is not None:
            properties = bytes((PropertyId.MESSAGE_EXPIRY_INTERVAL,)) + expiry.to_bytes(4, "big") + properties
        for identifier in form.identifiers:
            properties += bytes((PropertyId.SUBSCRIPTION_IDENTIFIER,)) + variable_byte_integer(identifier)
        if alias is not None:
            properties += bytes((PropertyId.TOPIC_ALIAS,)) + alias.to_bytes(2, "big")
        return variable_byte_integer(len(properties)) + properties


def _head(form: Form, name: bytes, size: int) -> bytes:
    """A PUBLISH up to its Packet Identifier; `size` are the bytes of its properties and payload."""
    length = 2 + len(name) + (2 if form.qos else 0) + size
    first = 0x30 | form.qos << 1 | form.retain
    return b"".join((bytes((first,)), variable_byte_integer(length), len(name).to_bytes(2, "big"), name))


def with_dup(head: bytes) -> bytes:
    """The same first bytes with the DUP flag set [MQTT-3.3.1-1]."""
    return bytes((head[0] | 0x08,)) + head[1:]
