"""What a party can read: its memory is searched for keys, and each is tried on the bytes.

This asks neither the machines nor the table of the schemes who may read what; so it can be held
against both.
"""

from __future__ import annotations

import gc
import types
from collections.abc import Iterator
from dataclasses import dataclass

from mqttsec.crypto import Epoch, Keyring, SealKey
from mqttsec.e2e import Protection, Setup, decode
from mqttsec.e2e.channel import Place, associated
from mqttsec.e2e.messages import Layer
from mqttsec.errors import MalformedPacketError, TamperError

_CONTAINERS = (dict, list, tuple, set, frozenset)


@dataclass(frozen=True)
class Keys:
    """The keys that were found."""

    sealing: tuple[SealKey, ...] = ()
    """Keys that seal and open messages."""
    rings: tuple[Keyring, ...] = ()
    """What a member of a group holds: later epochs come from it."""

    def names(self) -> tuple[str, ...]:
        """The paper's names, each once, in the order of the alphabet."""
        found = {key.name.split()[0] for key in self.sealing}
        return tuple(sorted(found | {ring.scheme.name for ring in self.rings if ring.earliest}))

    def for_epoch(self, number: int) -> Iterator[SealKey]:
        """All keys there are, those included that the rings give for an epoch."""
        yield from self.sealing
        for ring in self.rings:
            try:
                yield ring.key(Epoch.of(number)).keys
            except TamperError:
                continue


NO_KEYS = Keys()
"""Of one who only listens on the network."""


def keys_in_memory(party: object) -> Keys:
    """All keys among the live objects that `party`, a machine, refers to."""
    sealing: dict[int, SealKey] = {}
    rings: dict[int, Keyring] = {}
    seen: set[int] = set()
    todo: list[object] = [party]
    while todo:
        item = todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, SealKey):
            sealing[id(item)] = item
        elif isinstance(item, types.CellType):
            todo.append(item.cell_contents)
        elif isinstance(item, types.FunctionType):
            # Not its globals: the module would lead to everybody's keys.
            todo += item.__closure__ or ()
        elif isinstance(item, types.MethodType):
            todo.append(item.__self__)
        elif isinstance(item, _CONTAINERS) or type(item).__module__.startswith("mqttsec."):
            if isinstance(item, Keyring):
                rings[id(item)] = item
            todo += (each for each in gc.get_referents(item) if not isinstance(each, type))
    return Keys(tuple(sealing.values()), tuple(rings.values()))


@dataclass(frozen=True)
class Opening:
    """How far somebody came with the bytes of one message."""

    removed: tuple[Place, ...]
    """The layers that came off, the outermost first."""
    message: bytes | None
    """The Application Message, if all came off."""
    header: Layer | None
    """The end-to-end layer as far as it showed: its header; its body may be sealed."""


def try_open(setup: Setup, keys: Keys, topic: str, payload: bytes) -> Opening:
    """Take off the layers of `payload`, which was published under `topic`, with whatever key fits."""
    removed: list[Place] = []
    header = None
    while True:
        try:
            layer = decode(payload, Layer)
        except MalformedPacketError:
            return Opening(tuple(removed), None, header)
        place = Place(layer.layer)
        header = layer if place is Place.END_TO_END else header
        body = _opened(setup, keys, topic, layer, place)
        if body is None:
            return Opening(tuple(removed), None, header)
        removed.append(place)
        if place is Place.END_TO_END:
            return Opening(tuple(removed), body, header)
        payload = body


def _opened(setup: Setup, keys: Keys, topic: str, layer: Layer, place: Place) -> bytes | None:
    cell = {
        Place.END_TO_END: setup.row.end_to_end(setup.mode),
        Place.TO_BROKER: setup.row.publisher_broker,
        Place.FROM_BROKER: setup.row.broker_subscriber,
    }[place]
    if cell.protection is not Protection.EI:
        # A tag hides nothing.
        return layer.body
    bound = associated(layer, topic) if setup.hardened else b""
    for key in keys.for_epoch(layer.epoch):
        try:
            return setup.ciphers.open(key, layer.body, bound)
        except TamperError:
            continue
    return None
