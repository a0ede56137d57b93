"""The draw of the next hop: pure chance, no network (Buccafurri, III).

The first bridge broker always forwards to a random peer. Each next one draws R: R <= p_f forwards to a random
peer, else the message leaves for the public broker.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Collection, Sequence
from typing import NamedTuple

from mqttsec.mqtta.errors import NoPeers
from mqttsec.mqtta.notices import At
from mqttsec.mqtta.policies import Policies, Variant

AVOID_SECONDS = 30.0
"""For so long a bridge broker that did not answer is not drawn."""


class Decision(str, enum.Enum):
    """What a bridge broker does with a message or a subscription."""

    FIRST = "first"
    """It is the first one: it forwards without a draw."""
    FORWARD = "forward"
    """R <= p_f."""
    EXIT = "exit"
    """R > p_f: on to the public broker."""
    KEPT = "kept"
    """On a sticky path: as drawn for the first message."""
    JOINED = "joined"
    """A subscription joins the path of an earlier one of the topic."""
    DISCARDED = "discarded"
    """The published loop rule: this subscription has been here."""


class Draw(NamedTuple):
    """One decision."""

    decision: Decision
    """What was decided."""
    peer: At | None
    """To which peer; None: to the public broker."""
    r: float | None
    """R, 0 < R <= 1; None where there was no draw."""


class Drawer:
    """Draws for one bridge broker. `own` is its address, `rng` its chance."""

    def __init__(self, own: At, policies: Policies, rng: random.Random) -> None:
        self.own = own
        self.policies = policies
        self.rng = rng

    def draw(
        self, peers: Sequence[At], first: bool, avoid: Collection[At] = (), may_forward: bool = True
    ) -> Draw:
        """Decide on the next hop.

        `peers` are the other bridge brokers, `avoid` those that did not answer. Without `may_forward` (the
        hop limit) a message leaves. Raises `NoPeers`.
        """
        r = None
        if not first:
            # 1 - random() is in (0, 1]: with p_f = 0 nothing is ever forwarded.
            r = 1.0 - self.rng.random()
            if r > self.policies.p_f or not may_forward:
                return Draw(Decision.EXIT, None, r)
        if avoid:
            peers = [peer for peer in peers if peer not in avoid]
        if not peers:
            raise NoPeers(
                f"bridge broker {self.own} knows no other bridge broker"
                + (" that answers" if avoid else "")
                + ": let one join, or ask discovery"
            )
        return Draw(Decision.FIRST if first else Decision.FORWARD, self._choose(peers), r)

    def _choose(self, peers: Sequence[At]) -> At:
        if self.policies.variant is Variant.B:
            return peers[int(self.rng.random() * len(peers))]
        # Crowds: oneself is one of the n.
        place = int(self.rng.random() * (len(peers) + 1))
        return peers[place] if place < len(peers) else self.own


class Avoided:
    """Bridge brokers that did not answer: they are not drawn for a while. Times are loop times in seconds."""

    def __init__(self) -> None:
        self._until: dict[At, float] = {}

    def add(self, at: At, now: float) -> None:
        """One did not answer."""
        self._until[at] = now + AVOID_SECONDS

    def forget(self, at: At) -> None:
        """One is there again."""
        self._until.pop(at, None)

    def at(self, now: float) -> tuple[At, ...]:
        """Those to be avoided now."""
        if self._until:
            self._until = {at: until for at, until in self._until.items() if until > now}
        return tuple(self._until)


class StickyPaths:
    """The next hop and label that are kept for a path, by (previous hop, label there), for a lifetime.

    Not by (previous hop, topic), as the paper's words suggest: a path that runs X-Y-X-Y would then never end.
    """

    def __init__(self, lifetime: float, at_most: int = 100_000) -> None:
        self._lifetime = lifetime
        self._at_most = at_most
        self._kept: dict[tuple[str, str], tuple[Draw, str, float]] = {}

    def find(self, previous: str, label: str, now: float) -> tuple[Draw, str] | None:
        """(draw, label for the next hop) of a path that lives."""
        found = self._kept.get((previous, label))
        if found is None or found[2] <= now:
            return None
        return found[0], found[1]

    def keep(self, previous: str, label: str, draw: Draw, onward: str, now: float) -> None:
        """Remember a path from now on."""
        if len(self._kept) >= self._at_most:
            self._kept = {key: kept for key, kept in self._kept.items() if kept[2] > now}
            while len(self._kept) >= self._at_most:
                # Still too many live: the oldest go; their next message draws anew.
                del self._kept[next(iter(self._kept))]
        self._kept[previous, label] = (draw, onward, now + self._lifetime)

    def forget(self, peer: At) -> None:
        """A peer is gone: paths over it are drawn anew."""
        self._kept = {key: kept for key, kept in self._kept.items() if kept[0].peer != peer}
