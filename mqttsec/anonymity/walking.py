"""One path, hop by hop, as bridge brokers draw it: the version to read, and to test quick ones against.

Brokers are numbered: 0 to h - 1 are honest, h to n - 1 collaborate; 0 is the initiator if nothing else is
said.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from mqttsec.anonymity.crowd import Crowd, Variant


@dataclass(frozen=True)
class Path:
    """The brokers of one path."""

    brokers: tuple[int, ...]
    """The initiator, then each one drawn; the last of them hands to the public broker."""
    honest: int
    """How many are honest: those with numbers below."""

    @property
    def hops(self) -> int:
        """L: from broker to broker, and the last one to the public broker."""
        return len(self.brokers)

    @property
    def exit(self) -> int:
        """Who hands to the public broker."""
        return self.brokers[-1]

    @property
    def first_collaborator(self) -> int | None:
        """After how many draws a collaborator has the message for the first time; None: never."""
        for place, broker in enumerate(self.brokers):
            if broker >= self.honest:
                return place
        return None

    @property
    def predecessor(self) -> int | None:
        """Who handed to the first collaborator; None if there is none on the path."""
        place = self.first_collaborator
        return None if place is None else self.brokers[place - 1]


def walk(crowd: Crowd, rng: random.Random, initiator: int = 0) -> Path:
    """Draw one path.

    The initiator always forwards; each next one forwards with probability p_f, else hands out.
    """
    brokers = [initiator, draw_next(crowd, rng, initiator)]
    while rng.random() < crowd.p_f:
        brokers.append(draw_next(crowd, rng, brokers[-1]))
    return Path(tuple(brokers), crowd.h)


def draw_next(crowd: Crowd, rng: random.Random, here: int) -> int:
    """A uniform peer: in variant A of all n, in B of the n - 1 others."""
    peer = rng.randrange(crowd.choices)
    return peer + 1 if crowd.variant is Variant.B and peer >= here else peer
