"""What a reader of the handshake lab does to a run: tamper, drop, delay, replay, inject.

Each is a small piece of data about one packet; a run is played again from its start with all of them, so
that going back is easy. What is forged is made with the keys that the forger really has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mqttsec.e2e.attacks import INSIDER, forged_message
from mqttsec.e2e.channel import LayerRefused, Place, Sealer
from mqttsec.e2e.company import PUBLISHER, TOPIC
from mqttsec.e2e.encoding import Message
from mqttsec.e2e.exchange import SUBSCRIBER, Exchange, Flight, message_of
from mqttsec.e2e.knowledge import holdings
from mqttsec.e2e.messages import Layer
from mqttsec.e2e.schemes import Protection
from mqttsec.e2e.setup import BROKER
from mqttsec.errors import ConfigurationError, MalformedPacketError
from mqttsec.packets import Publish

MQTT_TOPIC = "topic name"
"""The field of a data message that is the packet's own."""

Change = Callable[[Message], Message]
"""What a reader's own function does to a message."""


@dataclass(frozen=True)
class Tamper:
    """Change a field of the packet."""

    by: str
    """Who does it."""
    change: str | Change
    """A field, such as `timestamp` or `answer.signature`; or a function of the message."""
    value: Any = None
    """The new value; None: a bit is flipped, a number grows by one, a name gets another letter."""

    def apply(self, flight: Flight) -> Flight:
        """The packet after it. Raises `ConfigurationError` for a field that it does not have."""
        if self.change == MQTT_TOPIC and isinstance(flight.packet, Publish):
            topic = str(self.value) if self.value is not None else _other(flight.packet.topic)
            return replace(flight, packet=replace(flight.packet, topic=topic))
        message = message_of(flight.carried)
        try:
            if callable(self.change):
                return flight.carrying(self.change(message).encode())
            return flight.carrying(_changed(message, self.change.split("."), self.value).encode())
        except (MalformedPacketError, TypeError) as error:
            raise ConfigurationError(f"the message cannot be changed so: {error}") from None

    def __str__(self) -> str:
        what = "it with a function" if callable(self.change) else self.change
        return f"{self.by} changes {what}"


@dataclass(frozen=True)
class Drop:
    """The packet never arrives."""

    by: str
    """Who does it."""

    def __str__(self) -> str:
        return f"{self.by} drops it"


@dataclass(frozen=True)
class Delay:
    """The packet arrives late."""

    by: str
    """Who does it."""
    seconds: float
    """How late."""

    def __str__(self) -> str:
        return f"{self.by} holds it back for {self.seconds:g} s"


@dataclass(frozen=True)
class Replay:
    """A packet that was there before is sent once more."""

    by: str
    """Who does it."""
    of: int
    """Which packet."""

    def make(self, exchange: Exchange, delivered: Sequence[Flight]) -> Flight:
        """The packet to deliver."""
        return replace(delivered[self.of - 1], sender=self.by, connection=3)

    def __str__(self) -> str:
        return f"{self.by} sends packet {self.of} again"


@dataclass(frozen=True)
class Inject:
    """A message of alice's that alice never sent goes to bob."""

    by: str
    """Who makes it, with the keys it has."""
    text: str
    """What it says."""

    def make(self, exchange: Exchange, delivered: Sequence[Flight]) -> Flight:
        """The packet to deliver."""
        try:
            topic, payload = forged(exchange, self.by, self.text.encode())
        except (LayerRefused, KeyError):
            # Bob receives nothing yet, so there is nothing that would fit.
            topic, payload = TOPIC, self.text.encode()
        return Flight(0, self.by, SUBSCRIBER, Publish(topic, payload), PUBLISHER, 3)

    def __str__(self) -> str:
        return f"{self.by} sends a message of its own as alice"


Meddling = Tamper | Drop | Delay | Replay | Inject
"""All that can be done."""


def forged(exchange: Exchange, by: str, message: bytes) -> tuple[str, bytes]:
    """(Topic Name, payload) of a message "from alice" to bob, as well as `by` can make it.

    An insider has the group keys. The broker has its own layer, and for the inner one no key but its own.
    The network has nothing, and leaves the message in clear under a header that looks right.
    """
    company = exchange.company
    setup = company.setup
    topic = company.subscriber(SUBSCRIBER).topic_filter(TOPIC)
    if by == INSIDER and INSIDER in company.subscribers and not setup.individual:
        return forged_message(setup, company.subscribers[INSIDER], message)
    key_id, epoch = _inner_header(exchange)
    held = holdings(company, by)
    if not held:
        return topic, Layer(Place.END_TO_END, PUBLISHER, key_id, epoch, 1_000, message, b"", b"").encode()
    (box, *_) = next(boxes for each in held if (boxes := each.boxes(epoch)))
    inner = Sealer(setup, Place.END_TO_END, Protection.EI, PUBLISHER, key_id, box, epoch, sequence=1_000)
    payload = inner.seal(topic, message)
    return topic, company.broker.outbound(SUBSCRIBER, topic, payload, {}) if by == BROKER else payload


def _inner_header(exchange: Exchange) -> tuple[bytes, int]:
    """Key identifier and epoch that bob expects of alice: they stand in the clear in every message."""
    stream = exchange.company.subscriber(SUBSCRIBER)._streams[PUBLISHER, TOPIC]
    key_id = next(key_id for place, key_id in stream.openers if place is Place.END_TO_END)
    return key_id, exchange.company.publisher.epoch(TOPIC) or 0


def changeable(flight: Flight) -> tuple[str, ...]:
    """The fields of a packet that `Tamper` takes."""
    own = (MQTT_TOPIC,) if flight.step == 0 else ()
    try:
        return (*_names(message_of(flight.carried)), *own)
    except MalformedPacketError:
        return own


def _names(message: Message, before: str = "") -> list[str]:
    found = []
    for form in message.forms():
        value = getattr(message, form.name)
        if isinstance(value, Message):
            found += _names(value, f"{before}{form.name}.")
        elif value is not None and value != b"":
            found.append(before + form.name)
    return found


def _changed(message: Message, path: list[str], value: Any) -> Message:
    name, *rest = path
    if name not in {form.name for form in message.forms()}:
        there = ", ".join(_names(message))
        raise ConfigurationError(f"there is no field {name!r}; there are {there or 'none'}")
    old = getattr(message, name)
    if rest:
        if not isinstance(old, Message):
            raise ConfigurationError(f"{name} has no field {rest[0]!r}")
        new: Any = _changed(old, rest, value)
    else:
        new = _other(old) if value is None else value
    whole: Any = message
    changed: Message = replace(whole, **{name: new})
    return changed


def _other(old: Any) -> Any:
    if isinstance(old, bytes):
        if not old:
            raise ConfigurationError("this field is empty: there is no bit to flip")
        return old[:-1] + bytes((old[-1] ^ 1,))
    if isinstance(old, int):
        return old + 1
    if isinstance(old, str):
        return old[:-1] + ("x" if old[-1:] != "x" else "y")
    raise ConfigurationError("name a field within this one, such as answer.signature")
