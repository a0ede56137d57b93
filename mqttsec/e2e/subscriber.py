"""A subscriber without its sockets: Block 2, group keys, and opening messages."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from mqttsec.crypto import Box, Keyring, PairKeys, Peer, SealKey
from mqttsec.e2e.channel import (
    GroupBoxes,
    LayerCheck,
    LayerRefused,
    Opener,
    Place,
    pair_box,
    parse,
    recipient_topic,
    split_recipient,
)
from mqttsec.e2e.groups import keyring, merged
from mqttsec.e2e.handshake import Run, Unexpected
from mqttsec.e2e.messages import (
    BrokerAnswer,
    GroupUpdate,
    KeepWaiting,
    Layer,
    StillWaiting,
    SubscriberConfirm,
    SubscriberRequest,
)
from mqttsec.e2e.schemes import Protection
from mqttsec.e2e.setup import BROKER, Party
from mqttsec.e2e.terms import ID_P, TOPIC, KeyName, Role
from mqttsec.errors import ConfigurationError, TamperError

KEYS_KEPT = 4
"""How many keys of one place stay: messages that waited for a subscriber come under an older one."""


@dataclass(frozen=True)
class Opened:
    """An Application Message that a subscriber has opened."""

    publisher: str
    """Who published it; under a group's key only as far as the members trust each other."""
    topic: str
    """On which topic; without the subscriber's own name."""
    message: bytes
    """The plaintext."""
    sequence: int
    """The publisher's count."""
    epoch: int
    """The epoch of GK_P; 0 where there is none."""


@dataclass
class _Stream:
    """One topic of one publisher, as its subscriber holds it."""

    peer: Peer
    """The publisher."""
    pairs: OrderedDict[bytes, SealKey] = field(default_factory=OrderedDict)
    """K_PSi and K_BSi, which later group keys come under, by key identifier."""
    groups: OrderedDict[bytes, GroupBoxes] = field(default_factory=OrderedDict)
    """The group keys, by the group's identifier."""
    openers: OrderedDict[tuple[Place, bytes], Opener] = field(default_factory=OrderedDict)
    """By place and key identifier."""


class Subscriber:
    """S. Every method takes and gives messages; one that raises has changed nothing.

    `request` makes step 5, `wait` answers steps 9 and 11, `accepted` takes step 14. Then `open` turns
    what comes into Application Messages. Each topic of each publisher takes one handshake.
    """

    def __init__(self, party: Party, broker: str = BROKER) -> None:
        """`broker` is the name that the broker's certificate must bear."""
        if party.role is not Role.S:
            raise ConfigurationError(f"{party.title} is no subscriber")
        self.party = party
        """Who this is."""
        self.broker = broker
        """Whom it connects to."""
        self.waits = 0
        """How often the broker has asked to keep waiting in the handshake at hand."""
        self.latest: Mapping[KeyName, PairKeys] = {}
        """The keys of the last handshake, by name."""
        self._begun: Run | None = None
        self._streams: dict[tuple[str, str], _Stream] = {}

    # Block 2 -----------------------------------------------------------------------------------

    def request(self, publisher: str, topic: str) -> SubscriberRequest:
        """Step 5: ask for a topic of a publisher. May be called again at any time."""
        run = Run.of(self.party, B=self.broker, P=publisher, topic=topic)
        self._begun, message = run.send(SubscriberRequest)
        self.waits = 0
        return message

    def wait(self, message: KeepWaiting) -> StillWaiting:
        """Steps 10 and 12: the broker asks to keep waiting. Raises `HandshakeError` before `request`."""
        self._run("step 9")
        self.waits += 1
        return StillWaiting()

    def accepted(self, message: BrokerAnswer) -> SubscriberConfirm | None:
        """Step 15: checks both answers and takes the keys. Gives step 18 where handshakes are confirmed.

        Raises `HandshakeError`.
        """
        run = self._run("step 15").receive(message)
        confirm = None
        if self.party.setup.script.confirm:
            run, confirm = run.send(SubscriberConfirm)
        self._enter(run)
        self._begun, self.latest = None, run.keys
        return confirm

    def _run(self, step: str) -> Run:
        if self._begun is None:
            raise Unexpected(
                "no answer is expected: call request() first, and send what it gives",
                party=self.party.title,
                step=step,
            )
        return self._begun

    def _enter(self, run: Run) -> None:
        setup, operations = self.party.setup, self.party.operations
        publisher, topic = run.text(ID_P), run.text(TOPIC)
        stream = self._streams.get((publisher, topic)) or _Stream(run.peers[Role.P])
        stream.peer = run.peers[Role.P]
        for key, sender in ((KeyName.K_PS, publisher), (KeyName.K_BS, self.broker)):
            _keep(stream.pairs, run.key_id(key), run.keys[key].sending(sender))
        for term, wrapped in run.received.items():
            self._enter_group(stream, wrapped.key_id, run.keyrings[setup.script.wraps[term].holds])
        key_ids = {setup.script.wraps[term].holds: wrapped.key_id for term, wrapped in run.received.items()}
        for place, cell, sender in (
            (Place.END_TO_END, setup.row.end_to_end(setup.mode), publisher),
            (Place.FROM_BROKER, setup.row.broker_subscriber, self.broker),
        ):
            if cell.key is None:
                continue
            key_id = key_ids[cell.key] if cell.key.is_group else run.key_id(cell.key)
            if (place, key_id) in stream.openers:
                continue
            box_of: Callable[[int], Box]
            if cell.key.is_group:
                box_of = stream.groups[key_id]
            else:
                box_of = pair_box(setup.ciphers, run.keys[cell.key].sending(sender), operations)
            in_order = setup.in_order and place is Place.END_TO_END
            opener = Opener(setup, place, cell.protection, publisher, key_id, box_of, in_order)
            _keep(stream.openers, (place, key_id), opener)
        self._streams[publisher, topic] = stream

    def _enter_group(self, stream: _Stream, key_id: bytes, ring: Keyring) -> None:
        boxes = stream.groups.get(key_id)
        if boxes is None:
            boxes = GroupBoxes(self.party.setup.ciphers, ring, self.party.operations)
            _keep(stream.groups, key_id, boxes)
        else:
            boxes.keyring = merged(boxes.keyring, ring)

    # Members -----------------------------------------------------------------------------------

    def update(self, message: GroupUpdate) -> None:
        """A new generation of a group key came, since a member left.

        Raises `TamperError` for one that is not from the holder of the group, or not for this member.
        """
        stream = self._streams.get((message.publisher, message.topic))
        pair = stream.pairs.get(message.under) if stream is not None else None
        boxes = stream.groups.get(message.wrapped.key_id) if stream is not None else None
        if pair is None or boxes is None:
            raise TamperError(
                "a group key came for a topic or under a key that is not known: request the topic again",
                party=self.party.title,
            )
        held = boxes.keyring
        if message.key != held.scheme.name:
            raise TamperError(f"{message.key} came for a group of {held.scheme.name}", party=self.party.title)
        key = KeyName(held.scheme.name)
        owner = message.publisher if key is KeyName.GK_P else self.broker
        try:
            boxes.keyring = keyring(self.party, key, owner, message.wrapped, pair, held)
        except TamperError as error:
            raise error.at(self.party.title, "group key update") from None

    def forget(self, publisher: str, topic: str) -> None:
        """Drop all keys of a topic."""
        self._streams.pop((publisher, topic), None)

    @property
    def topics(self) -> tuple[tuple[str, str], ...]:
        """(publisher, topic) of all that can be opened."""
        return tuple(self._streams)

    def topic_filter(self, topic: str) -> str:
        """What to subscribe to: its own topic where each subscriber gets a ciphertext of its own."""
        return recipient_topic(topic, self.party.name) if self.party.setup.individual else topic

    # Block 3 -----------------------------------------------------------------------------------

    def open(self, wire_topic: str, payload: bytes) -> Opened:
        """The Application Message in the payload of a PUBLISH.

        Raises `LayerRefused` with the check that failed; nothing has changed then.
        """
        try:
            return self._open(wire_topic, payload)
        except LayerRefused as error:
            raise error.at(self.party.title, "Block 3") from None

    def _open(self, wire_topic: str, payload: bytes) -> Opened:
        setup = self.party.setup
        outer = None
        place = Place.END_TO_END
        if setup.row.broker_subscriber.protection is not Protection.NONE:
            place = Place.FROM_BROKER
        layer = parse(payload, place)
        stream, topic = self._stream(wire_topic, layer.publisher)
        if place is Place.FROM_BROKER:
            outer, opener = layer, self._opener(stream, layer, place)
            layer = parse(opener.peek(wire_topic, layer), Place.END_TO_END)
        inner = self._opener(stream, layer, Place.END_TO_END)
        peer = stream.peer if setup.sign_messages else None
        message = inner.take(wire_topic, layer, peer, self.party.operations)
        if outer is not None:
            opener.accept(outer)
        return Opened(layer.publisher, topic, message, layer.sequence, layer.epoch)

    def _stream(self, wire_topic: str, publisher: str) -> tuple[_Stream, str]:
        topic = wire_topic
        if self.party.setup.individual:
            topic, recipient = split_recipient(wire_topic)
            if recipient != self.party.name:
                raise LayerRefused(f"a message for {recipient!r}: discard it", LayerCheck.FORM)
        stream = self._streams.get((publisher, topic))
        if stream is None:
            raise LayerRefused(
                f"no key for {topic!r} of {publisher!r}: request the topic first", LayerCheck.KEY
            )
        return stream, topic

    def _opener(self, stream: _Stream, layer: Layer, place: Place) -> Opener:
        opener = stream.openers.get((place, layer.key_id))
        if opener is None:
            raise LayerRefused(
                "sealed under a key that is not known here: request the topic again", LayerCheck.KEY
            )
        return opener


K = TypeVar("K")
V = TypeVar("V")


def _keep(kept: OrderedDict[K, V], key: K, value: V) -> None:
    """Enter the newest, let the oldest go."""
    kept[key] = value
    if len(kept) > 2 * KEYS_KEPT:
        kept.popitem(last=False)
