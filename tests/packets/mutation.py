"""Damage to packets, reproducible from a seed: what a fuzzer feeds to the codec and to the broker."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.packets.corpus import CORPUS, body_of, with_length

# Lengths, counts and identifiers at the edges of what a parser may trust.
_EDGES = (0x00, 0x01, 0x02, 0x03, 0x0B, 0x26, 0x7F, 0x80, 0xFE, 0xFF)


class Mutator:
    """Gives packets of the corpus back damaged, with the Remaining Length mostly put right.

    Without that a parser would stop at the first check and never see the damage.
    """

    def __init__(self, seed: int, protocol: int, frames: Sequence[bytes] | None = None) -> None:
        self.random = random.Random(seed)
        self._frames = frames or [seed.frame for seed in CORPUS if seed.protocol == protocol]

    def damaged(self) -> bytes:
        """The next damaged packet."""
        rng = self.random
        frame = rng.choice(self._frames)
        first, body = frame[0], bytearray(body_of(frame))
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            first = self._step(first, body)
        damaged = with_length(first, bytes(body))
        if rng.random() < 0.05:
            # Now and then a Remaining Length that lies or is not even one.
            damaged = damaged[:1] + rng.randbytes(rng.randint(1, 5)) + bytes(body)
        return damaged

    def _step(self, first: int, body: bytearray) -> int:
        rng, choice = self.random, self.random.random()
        at = rng.randrange(len(body)) if body else 0
        if not body or choice < 0.05:
            return first ^ 1 << rng.randrange(8)
        if choice < 0.40:
            body[at] ^= 1 << rng.randrange(8)
        elif choice < 0.65:
            body[at] = rng.choice(_EDGES)
        elif choice < 0.75:
            del body[at : at + rng.choice((1, 1, 2, 4))]
        elif choice < 0.85:
            body[at:at] = rng.randbytes(rng.choice((1, 1, 2, 4)))
        elif choice < 0.92:
            # A piece twice: a property or a filter that stands more than once.
            body[at:at] = body[at : at + rng.randint(1, 12)]
        elif choice < 0.96:
            # A piece of another packet.
            other = body_of(rng.choice(self._frames))
            start = rng.randrange(len(other) + 1)
            body[at:at] = other[start : start + rng.randint(1, 16)]
        else:
            del body[at:]
        return first
