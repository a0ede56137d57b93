"""A layer's header read and bound without ado, for the hot path of Block 3.

`encoding` reads any message, field by field, and says exactly what is wrong with a bad one. The eight fields
of a `Layer` are read for every message: `quick_layer` does it in half the time, and leaves all that is
unusual to the decoder. `Bound` writes what is under a tag when only topic and number change, `Known` knows
how the layers under one key begin. `intake` puts them together where a broker takes messages.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from mqttsec.crypto import fields
from mqttsec.e2e.encoding import VERSION, check_identity
from mqttsec.e2e.messages import KEY_ID_SIZE, Layer
from mqttsec.errors import MalformedPacketError
from mqttsec.packets.wire import check_text, variable_byte_integer

_BEGIN = bytes((VERSION, Layer.kind))
_NUMBERS = struct.Struct(">IQ")
"""Epoch and sequence number."""
_LONGEST_TAG = 64
_KEPT, _LONGEST_KEPT = 1024, 256
# Topic Names that one key keeps, and the bytes of one: ever new or long ones do not fill the memory.


length = lru_cache(maxsize=256)(variable_byte_integer)
"""How many bytes follow, as `encoding` writes it. Messages of one kind have one length, or a few."""


@lru_cache(maxsize=1024)
def _name(data: bytes) -> str:
    return check_identity(check_text(data.decode("utf-8")))


def quick_layer(data: bytes) -> Layer | None:
    """What `decode(data, Layer)` gives; None where that may raise, or where the layer is signed."""
    try:
        if data[:2] != _BEGIN or data[3] > 127:
            return None
        at = 4 + data[3]
        publisher = _name(data[4:at])
        if data[at] != KEY_ID_SIZE:
            return None
        at += 1
        key_id = data[at : at + KEY_ID_SIZE]
        at += KEY_ID_SIZE
        epoch, sequence = _NUMBERS.unpack_from(data, at)
        rest = _rest(data, at + _NUMBERS.size)
        if rest is None:
            return None
        begin, end = rest
        return Layer(data[2], publisher, key_id, epoch, sequence, data[begin:end], data[end + 1 : -1], b"")
    except (IndexError, ValueError, struct.error, MalformedPacketError):
        return None


def quick_publisher(data: bytes) -> tuple[int, str] | None:
    """(layer, publisher) of what `quick_layer` gives, without making it."""
    try:
        if data[:2] != _BEGIN or data[3] > 127:
            return None
        at = 4 + data[3]
        if data[at] != KEY_ID_SIZE or _rest(data, at + 1 + KEY_ID_SIZE + _NUMBERS.size) is None:
            return None
        return data[2], _name(data[4:at])
    except (IndexError, ValueError, MalformedPacketError):
        return None


def _rest(data: bytes, at: int) -> tuple[int, int] | None:
    """Begin and end of the body, whose length stands at `at`, if a tag and no signature follow it."""
    size, shift = 0, 0
    while data[at] > 127:
        size |= (data[at] & 127) << shift
        shift += 7
        at += 1
    if shift > 21 or (shift and not data[at]):
        return None  # too long, or not the shortest form
    begin = at + 1
    end = begin + (size | data[at] << shift)
    tag_size = data[end]
    # The last byte is the length of the signature: there is none.
    if tag_size > _LONGEST_TAG or len(data) != end + tag_size + 2 or data[-1]:
        return None
    return begin, end


def beginning(place: int, publisher: str) -> bytes:
    """How the layers of one place and publisher begin, up to the identifier of the key."""
    header = Layer(place, publisher, bytes(KEY_ID_SIZE), 0, 0, b"", b"", b"").encode()
    # Three empty fields end it.
    return header[: -KEY_ID_SIZE - _NUMBERS.size - 3]


class Bound:
    """What is under the tags of the layers of one place and key (*hardened*), as `channel.associated`."""

    __slots__ = ("_after", "_before", "_epoch", "before")

    def __init__(self, place: int, publisher: str, key_id: bytes) -> None:
        self._before = fields("mqttsec layer", bytes((place,)), publisher)
        self._after = fields(key_id)
        self.before: dict[str, bytes] = {}
        """By Topic Name, all before the sequence number; of one epoch, 0 for the key of a pair."""
        self._epoch = 0

    def of(self, topic: str, epoch: int, sequence: int) -> bytes:
        """Of the message with this number, on this Topic Name (at most 65,535 bytes, as in MQTT)."""
        before = self.before.get(topic) if epoch == self._epoch else None
        if before is None:
            before = self._make(topic, epoch)
        return before + sequence.to_bytes(8, "big")

    def _make(self, topic: str, epoch: int) -> bytes:
        name = topic.encode()
        parts = (self._before, len(name).to_bytes(2, "big"), name, self._after, b"\0\4")
        made = b"".join((*parts, epoch.to_bytes(4, "big"), b"\0\x08"))
        if len(name) <= _LONGEST_KEPT:
            if len(self.before) >= _KEPT or epoch != self._epoch:
                self.before.clear()
                self._epoch = epoch
            self.before[topic] = made
        return made


class Known:
    """The layers of one place under the one key of a pair: their encodings begin alike."""

    __slots__ = ("begin",)

    def __init__(self, place: int, publisher: str, key_id: bytes) -> None:
        self.begin = beginning(place, publisher) + key_id + bytes(4)
        """All before the sequence number; the epoch of a pair's key is 0."""

    def split(self, data: bytes) -> tuple[int, bytes, bytes] | None:
        """(sequence number, body, tag) of such a layer; None for anything else, or a signed one."""
        at = len(self.begin)
        if not data.startswith(self.begin):
            return None
        try:
            rest = _rest(data, at + 8)
        except IndexError:
            return None
        if rest is None:
            return None
        begin, end = rest
        return int.from_bytes(data[at : at + 8], "big"), data[begin:end], data[end + 1 : -1]
