"""Block 3: layers go on and come off (specification 1.5), for every scheme, by its row of the table.

A data message is one or two `Layer`s, each protected as its cell says: EI seals the layer below, I puts
a tag over it. Under *published* that is all, as in the paper: the header is not protected and its
sequence number not looked at, so that topics can be swapped and messages replayed. Under *hardened* the
topic and the whole header are under the tag, and a sequence number serves once.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from mqttsec.crypto import (
    NONCE,
    Box,
    Epoch,
    Identity,
    Keyring,
    Operations,
    Peer,
    Profile,
    SealKey,
    Suite,
    fields,
)
from mqttsec.crypto.suites import Seal
from mqttsec.e2e.encoding import decode
from mqttsec.e2e.messages import Layer
from mqttsec.e2e.quick import Bound, Known, length, quick_layer, quick_publisher
from mqttsec.e2e.schemes import Protection
from mqttsec.e2e.setup import Setup
from mqttsec.e2e.window import Window
from mqttsec.errors import HandshakeError, MalformedPacketError, TamperError

REORDERING = 1024
"""How far messages of one channel may overtake each other: a client may send one of QoS 0 past those of
QoS 1 that wait for their turn."""

_BOXES_KEPT = 8
_HEADS_KEPT = 256


class Place(enum.IntEnum):
    """Which layer of a message; stands in its header."""

    END_TO_END = 1
    """From P to S: the inner one."""
    TO_BROKER = 2
    """From P to B."""
    FROM_BROKER = 3
    """From B to S."""


class LayerCheck(str, enum.Enum):
    """What is checked of a layer that arrives, in this order."""

    FORM = "form"
    """It is a layer, and the one that belongs here."""
    KEY = "key"
    """Its key is known: publisher, identifier and epoch."""
    SEQUENCE = "sequence"
    """*hardened*: its number has not come before, and none after it where order is kept."""
    TAG = "tag"
    """What the scheme protects is as it was."""
    SIGNATURE = "signature"
    """*hardened*, optional: the publisher made it, and not another member of the group."""


class LayerRefused(TamperError):
    """A layer that did not come off."""

    def __init__(self, message: str, check: LayerCheck, *, party: str = "", step: str = "") -> None:
        super().__init__(message, party=party, step=step)
        self.check = check
        """What failed."""
        self.reason_code = 0x87
        """For the PUBACK of a publisher: Not authorized."""


# Putting a layer on ----------------------------------------------------------------------------

_Head = tuple[str, bytes, bytes, Callable[[bytes, bytes, bytes], bytes] | None, Iterator[bytes]]
# What stays the same in every message of a Topic Name: the name; how the encoding begins; how that begins
# which is under the tag besides the body, empty under *published*; `encrypt` and `nonces` of an AEAD, where
# one seals. A plain tuple, which Python takes apart at once.


@dataclass(slots=True)
class Sealer:
    """Puts on the layers of one place under one key. Slots: Scheme 2 touches one of these a receiver."""

    setup: Setup
    """Scheme and profile."""
    place: Place
    """Which layer."""
    protection: Protection
    """EI or I."""
    publisher: str
    """Whose messages."""
    key_id: bytes
    """Names the key in the header."""
    box: Box
    """The key."""
    epoch: int = 0
    """The epoch of a group's key."""
    sequence: int = 0
    """The number of the last message."""

    _heads: dict[str, _Head] = field(default_factory=dict, repr=False)
    """By Topic Name."""
    _head: _Head | None = field(default=None, repr=False)
    """Of the last Topic Name: most sealers have no other."""
    _seal: Seal = field(init=False, repr=False)
    """`box.seal`."""

    def __post_init__(self) -> None:
        self._seal = self.box.seal

    def put(self, topic: str, body: bytes) -> Layer:
        """The layer with `body` in it, for the Topic Name `topic`."""
        number, protected, tag = self._protect(topic, body)
        return replace(self._header(), sequence=int.from_bytes(number, "big"), body=protected, tag=tag)

    def seal(self, topic: str, body: bytes) -> bytes:
        """`put(topic, body).encode()`, in a quarter of the time: Scheme 2 does it for each receiver."""
        head = self._head
        if head is None or head[0] != topic:
            head = self._head_of(topic)
        _, before, bound, encrypt, nonces = head
        self.sequence = sequence = self.sequence + 1
        number = sequence.to_bytes(8, "big")
        under = bound + number if bound else b""
        if encrypt is not None:
            try:
                nonce = next(nonces)
            except (IndexError, StopIteration):
                pass  # no nonce is left, or may be used: `box.seal` gets more, or says so
            else:
                sealed = encrypt(nonce, body, under)
                # Tag and signature are empty.
                return b"".join((before, number, length(NONCE + len(sealed)), nonce, sealed, b"\0\0"))
        if self.protection is Protection.EI:
            sealed = self._seal(body, under)
            return b"".join((before, number, length(len(sealed)), sealed, b"\0\0"))
        tag = self.box.mac(under + body)
        return b"".join((before, number, length(len(body)), body, length(len(tag)), tag, b"\0"))

    def _protect(self, topic: str, body: bytes) -> tuple[bytes, bytes, bytes]:
        """(sequence number, body, tag) of the next layer."""
        bound = self._head_of(topic)[2]
        self.sequence += 1
        number = self.sequence.to_bytes(8, "big")
        under = bound + number if bound else b""
        if self.protection is Protection.EI:
            return number, self.box.seal(body, under), b""
        return number, body, self.box.mac(under + body)

    def _head_of(self, topic: str) -> _Head:
        head = self._heads.get(topic)
        if head is None:
            header = self._header()
            if len(self._heads) >= _HEADS_KEPT:
                self._heads.clear()
            # The sequence number and three empty fields end the encoding; the sequence number ends the other.
            bound = associated(header, topic)[:-8] if self.setup.hardened else b""
            before = header.encode()[: -8 - 3]
            aead = self.box.aead if self.protection is Protection.EI else None
            if aead is None:
                head = topic, before, bound, None, iter(())
            else:
                head = topic, before, bound, aead.encrypt, aead.nonces
            self._heads[topic] = head
        self._head = head
        return head

    def _header(self) -> Layer:
        return Layer(self.place, self.publisher, self.key_id, self.epoch, 0, b"", b"", b"")

    def rekey(self, epoch: int, box: Box) -> None:
        """Go on under the key of another epoch of the same group."""
        self.epoch, self.box, self._seal = epoch, box, box.seal
        self._heads.clear()
        self._head = None


def signed(layer: Layer, topic: str, signer: Identity, setup: Setup, operations: Operations | None) -> Layer:
    """The layer with its publisher's signature (*hardened*, optional)."""
    return replace(layer, signature=signer.sign(_signature_covers(layer, topic, setup), operations))


BOUND: Mapping[Profile, tuple[str, ...]] = MappingProxyType(
    {
        Profile.PUBLISHED: (),
        Profile.HARDENED: ("layer", "publisher", "topic", "key_id", "epoch", "sequence"),
    }
)
"""What is under the tag of a layer besides its body (specification 1.7): fields of `Layer`, and the topic
on which it is published. `associated` writes them in this order; `predictions` says what follows."""


def associated(layer: Layer, topic: str) -> bytes:
    """The bytes of what is under the tag besides the body: *hardened*, see `BOUND`."""
    return fields(
        "mqttsec layer",
        bytes((layer.layer,)),
        layer.publisher,
        topic,
        layer.key_id,
        layer.epoch.to_bytes(4, "big"),
        layer.sequence.to_bytes(8, "big"),
    )


def _signature_covers(layer: Layer, topic: str, setup: Setup) -> bytes:
    return fields(f"{setup.method} m1", associated(layer, topic)) + layer.body


# Taking a layer off ----------------------------------------------------------------------------


class Opener:
    """Takes off the layers of one place under one key, or under the keys of one group."""

    def __init__(
        self,
        setup: Setup,
        place: Place,
        protection: Protection,
        publisher: str,
        key_id: bytes,
        box_of: Callable[[int], Box],
        in_order: bool = False,
    ) -> None:
        self.setup = setup
        """Scheme and profile."""
        self.place = place
        """Which layer."""
        self.protection = protection
        """EI or I."""
        self.publisher = publisher
        """Whose messages."""
        self.key_id = key_id
        """Names the key in the header."""
        self.box_of = box_of
        """The key of an epoch. Raises `TamperError` for one that is not known."""
        self.bound = Bound(place, publisher, key_id)
        """What is under the tags besides the bodies (*hardened*)."""
        self.window = Window(1 if in_order else REORDERING)
        """The numbers that came (*hardened*)."""
        self._known = Known(place, publisher, key_id)
        self.came: Callable[[int], None] = self.window.accept if setup.hardened else _forget
        """Remembers the number of a layer that `strip` has found right."""

    def take(
        self, topic: str, layer: Layer, peer: Peer | None = None, operations: Operations | None = None
    ) -> bytes:
        """What is in `layer`, which from now on is a repetition.

        `peer` is the publisher whose signature it must bear, if any must. Raises `LayerRefused` with the
        check that failed; nothing has changed then.
        """
        body = self.peek(topic, layer, peer, operations)
        self.accept(layer)
        return body

    def peek(
        self, topic: str, layer: Layer, peer: Peer | None = None, operations: Operations | None = None
    ) -> bytes:
        """What is in `layer`, as `take` gives it, without remembering that it came."""
        if layer.layer != self.place:
            raise LayerRefused("a layer that does not belong here: discard it", LayerCheck.FORM)
        sealed = self.protection is Protection.EI
        if (sealed and layer.tag) or (peer is None and layer.signature):
            # Nobody would look at it, so two encodings would say the same.
            raise LayerRefused("a field is filled that this scheme leaves empty", LayerCheck.FORM)
        if (layer.publisher, layer.key_id) != (self.publisher, self.key_id):
            raise LayerRefused("sealed under a key that is not known here", LayerCheck.KEY)
        body = self._uncover(topic, layer.epoch, layer.sequence, layer.body, layer.tag)
        if peer is not None:
            try:
                peer.verify(layer.signature, _signature_covers(layer, topic, self.setup), operations)
            except HandshakeError as error:
                raise LayerRefused(str(error), LayerCheck.SIGNATURE) from None
        return body

    def strip(self, topic: str, payload: bytes) -> tuple[int, bytes]:
        """(sequence number, what is in it) of an encoded layer under the key of a pair, as `peek`.

        Its number is not remembered before `came`. Raises `LayerRefused`.
        """
        parts = self._known.split(payload)
        if parts is None:
            layer = parse(payload, self.place)
            return layer.sequence, self.peek(topic, layer)
        number, body, tag = parts
        if tag and self.protection is Protection.EI:
            raise LayerRefused("a field is filled that this scheme leaves empty", LayerCheck.FORM)
        return number, self._uncover(topic, 0, number, body, tag)

    def accept(self, layer: Layer) -> None:
        """Remember that `layer`, which `peek` has found right, came."""
        self.came(layer.sequence)

    def _uncover(self, topic: str, epoch: int, number: int, body: bytes, tag: bytes) -> bytes:
        try:
            box = self.box_of(epoch)
        except TamperError as error:
            raise LayerRefused(str(error), LayerCheck.KEY) from None
        bound = b""
        if self.setup.hardened:
            if not self.window.is_new(number):
                raise LayerRefused(
                    f"message {number} after message {self.window.highest}: a repetition, or out of order. "
                    "Discard it",
                    LayerCheck.SEQUENCE,
                )
            bound = self.bound.of(topic, epoch, number)
        try:
            if self.protection is Protection.EI:
                return box.open(body, bound)
            box.check(bound + body, tag)
        except TamperError as error:
            raise LayerRefused(str(error), LayerCheck.TAG) from None
        return body


def _forget(number: int) -> None:
    """*published* looks at no sequence number."""


def pair_box(suite: Suite, key: SealKey, operations: Operations | None) -> Callable[[int], Box]:
    """For an `Opener`: the box of a pair's key, which has no epochs."""
    box = suite.box(key, operations)

    def of(epoch: int) -> Box:
        if epoch:
            raise TamperError("the key of a pair has no epochs")
        return box

    return of


class GroupBoxes:
    """For an `Opener`: the boxes of a group's epochs, as far as a member's keyring reaches."""

    def __init__(self, suite: Suite, keyring: Keyring, operations: Operations | None) -> None:
        self.keyring = keyring
        """What the member holds; exchanged when a new generation comes."""
        self._suite = suite
        self._operations = operations
        self._boxes: OrderedDict[int, Box] = OrderedDict()

    def __call__(self, epoch: int) -> Box:
        """The box of an epoch. Raises `TamperError` for one that the keyring does not reach."""
        box = self._boxes.get(epoch)
        if box is None:
            key = self.keyring.key(Epoch.of(epoch)).keys
            box = self._boxes[epoch] = self._suite.box(key, self._operations)
            if len(self._boxes) > _BOXES_KEPT:
                self._boxes.popitem(last=False)
        return box


def speaker(payload: bytes) -> str:
    """Whose inner layer a payload is. Raises `LayerRefused` where it is none."""
    quick = quick_publisher(payload)
    if quick is not None and quick[0] == Place.END_TO_END:
        return quick[1]
    return parse(payload, Place.END_TO_END).publisher


def parse(payload: bytes, place: Place) -> Layer:
    """The outermost layer of a payload. Raises `LayerRefused` where it is none, or another one."""
    try:
        layer = quick_layer(payload) or decode(payload, Layer)
    except MalformedPacketError as error:
        raise LayerRefused(f"no protected message ({error}): discard it", LayerCheck.FORM) from None
    if layer.layer != place:
        raise LayerRefused(f"layer {layer.layer} came where {place.value} belongs", LayerCheck.FORM)
    return layer


# Topics ----------------------------------------------------------------------------------------


def recipient_topic(topic: str, subscriber: str) -> str:
    """Where the ciphertext for one subscriber goes: `<topic>/<subscriber id>` (specification 1.5)."""
    return f"{topic}/{subscriber}"


def split_recipient(topic: str) -> tuple[str, str]:
    """(topic, subscriber) of a per-recipient topic."""
    base, _, subscriber = topic.rpartition("/")
    return base, subscriber
