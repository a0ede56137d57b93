"""Sequence numbers in the message, at the application layer: order at the receiver (Buccafurri, V).

With a fresh path for each message, later ones overtake earlier ones. The publisher numbers what it sends, the
subscriber hands it on in order, each once. It stands in the payload, so that it survives public brokers of
MQTT 3.1.1, and no broker on the way has to know of it.

    stamp = Sequencer(rng).stamp          # publisher:  publish(topic, stamp(payload))
    order = Reorderer()                   # subscriber: for each in order.take(message.payload): use(each)
"""

from __future__ import annotations

import random
import secrets
from struct import Struct
from typing import NamedTuple

from mqttsec.errors import ConfigurationError, MalformedPacketError

_HEAD = Struct(">4sQQ")
"""Four bytes that say what this is, the stream, the number from 0."""
_MAGIC = b"MQA1"


class Numbered(NamedTuple):
    """A message with its number."""

    stream: int
    """Which publisher and topic: 64 random bits, nobody's name."""
    number: int
    """0, 1, 2, ..."""
    payload: bytes
    """What the application sent."""


class Sequencer:
    """Numbers the messages of one publisher on one topic, or on several that are to be kept in order."""

    def __init__(self, rng: random.Random | None = None) -> None:
        self.stream = secrets.randbits(64) if rng is None else rng.getrandbits(64)
        """This stream."""
        self.next = 0
        """The number of the next message."""

    def stamp(self, payload: bytes | str) -> bytes:
        """The payload with its number in front."""
        raw = payload.encode("utf-8") if isinstance(payload, str) else payload
        number, self.next = self.next, self.next + 1
        return _HEAD.pack(_MAGIC, self.stream, number) + raw


def read_numbered(payload: bytes) -> Numbered:
    """Take a numbered payload apart. Raises `MalformedPacketError` where there is no number."""
    if len(payload) < _HEAD.size or payload[:4] != _MAGIC:
        raise MalformedPacketError("the payload has no sequence number: does its publisher use a Sequencer?")
    _, stream, number = _HEAD.unpack_from(payload)
    return Numbered(stream, number, payload[_HEAD.size :])


class Reorderer:
    """Hands messages on in the order of their numbers, each once.

    `window` bounds how far a number may be ahead of the one that is waited for, and so what is held back:
    with one further ahead, the oldest gap is given up and counted in `missing`.
    """

    def __init__(self, window: int = 1000) -> None:
        if window < 1:
            raise ConfigurationError(f"window={window} cannot be: give 1 or more")
        self._window = window
        self._streams: dict[int, _Stream] = {}
        self.duplicates = 0
        """Messages that had come before."""
        self.missing: list[tuple[int, int]] = []
        """(stream, number) that were given up; one that comes later all the same counts as a duplicate."""

    def take(self, payload: bytes) -> list[Numbered]:
        """What can be handed on now that this payload came. Raises `MalformedPacketError` without one."""
        message = read_numbered(payload)
        stream = self._streams.setdefault(message.stream, _Stream())
        if message.number < stream.next or message.number in stream.held:
            self.duplicates += 1
            return []
        stream.held[message.number] = message
        ready = stream.ready()
        while stream.held and max(stream.held) - stream.next >= self._window:
            self._give_up(message.stream, stream)
            ready += stream.ready()
        return ready

    def flush(self) -> list[Numbered]:
        """Give up all gaps: what is held back, in order."""
        ready: list[Numbered] = []
        for number, stream in self._streams.items():
            while stream.held:
                self._give_up(number, stream)
                ready += stream.ready()
        return ready

    @property
    def held(self) -> int:
        """Messages that wait for earlier ones."""
        return sum(len(stream.held) for stream in self._streams.values())

    def _give_up(self, number: int, stream: _Stream) -> None:
        first = min(stream.held)
        self.missing += [(number, each) for each in range(stream.next, first)]
        stream.next = first


class _Stream:
    """What has come of one stream."""

    def __init__(self) -> None:
        self.next = 0
        self.held: dict[int, Numbered] = {}

    def ready(self) -> list[Numbered]:
        """The messages without a gap before them."""
        ready = []
        while self.next in self.held:
            ready.append(self.held.pop(self.next))
            self.next += 1
        return ready
