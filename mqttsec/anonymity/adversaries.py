"""Sender, recipient and relationship anonymity against each of the three adversaries, for one message.

Publisher and subscriber sit at two different honest bridge brokers; each path is drawn on its own. The
message is sent along one path to the public broker, the subscription along another. Topics are visible
to every broker, so whoever is on both paths knows that they belong together. (MQTT-A, VIII; the degrees
are those of Reiter and Rubin, Crowds, 1998, section 3. The papers state the degrees; the probabilities
for recipient and relationship are derived here.)
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from mqttsec.anonymity.crowd import Crowd, Variant
from mqttsec.anonymity.innocence import collaborator_on_path, predecessor_is_initiator

_TINY = 1e-12


class Property(str, enum.Enum):
    """What is to stay hidden."""

    SENDER = "sender"
    """Which bridge broker a message of this topic comes from."""
    RECIPIENT = "recipient"
    """Which bridge broker a subscription to this topic comes from."""
    RELATIONSHIP = "relationship"
    """Which two of them talk to each other."""


class Adversary(str, enum.Enum):
    """Who looks."""

    LOCAL = "local eavesdropper"
    """Has the publisher's own bridge broker, and no other."""
    COLLABORATORS = "collaborating bridge brokers"
    """c bridge brokers that pool what they see."""
    PUBLIC = "public broker"
    """The broker that hosts the topic: it sees where both paths leave the crowd."""


class Degree(str, enum.Enum):
    """Degrees of anonymity, from best to worst (Crowds, section 3)."""

    ABSOLUTE = "absolute privacy"
    """The adversary sees nothing at all."""
    BEYOND_SUSPICION = "beyond suspicion"
    """Nobody who could have been it is less likely than the one it was."""
    PROBABLE = "probable innocence"
    """No more likely it than not."""
    POSSIBLE = "possible innocence"
    """Likely it, but it may have been somebody else."""
    EXPOSED = "exposed"
    """Surely it."""


@dataclass(frozen=True)
class Exposure:
    """What one adversary learns of one property, from one message and one subscription."""

    what: Property
    """The property."""
    who: Adversary
    """The adversary."""
    degree: Degree
    """How anonymous, given that the adversary sees something."""
    seen: float
    """P(the adversary sees what it needs to name somebody)."""
    named: float
    """P(its best guess is right | seen)."""
    formula: str
    """Where the two numbers come from."""

    @property
    def absolute(self) -> float:
        """P(absolute privacy): nothing to name anybody by."""
        return 1 - self.seen

    @property
    def caught(self) -> float:
        """P(seen, and the best guess is right)."""
        return self.seen * self.named


def exposure(crowd: Crowd, what: Property, who: Adversary) -> Exposure:
    """One cell of the table.

    - The local eavesdropper knows its own publisher; of the subscription it is a single collaborator (c = 1).
    - Collaborators name the first predecessor on each path; for the relationship they must be on both
      and be right twice: P(H1+)^2 and P(I|H1+)^2, since the paths are drawn independently.
    - The public broker sees the exit alone. A: the exit is uniform whoever began, so every broker is as
      likely, 1/n. B: the exit is the initiator with p/(n-1+p), so the best guess is any *other* broker,
      each 1/(n-1+p).
    """
    if who is Adversary.LOCAL:
        one = replace(crowd, c=1)
        hit, guess = collaborator_on_path(one), predecessor_is_initiator(one)
        if what is Property.SENDER:
            return Exposure(what, who, Degree.EXPOSED, 1.0, 1.0, "the client is connected to it")
        return Exposure(what, who, _degree(guess), hit, guess, "P(H1+), P(I|H1+) with c = 1")
    if who is Adversary.COLLABORATORS:
        if crowd.c == 0:
            return Exposure(what, who, Degree.ABSOLUTE, 0.0, 0.0, "nobody collaborates")
        hit, guess = collaborator_on_path(crowd), predecessor_is_initiator(crowd)
        if what is Property.RELATIONSHIP:
            return Exposure(what, who, _degree(guess**2), hit**2, guess**2, "P(H1+)^2, P(I|H1+)^2")
        return Exposure(what, who, _degree(guess), hit, guess, "P(H1+), P(I|H1+)")
    best = exit_guess(crowd)
    words = "1/n" if crowd.variant is Variant.A else "1/(n-1+p)"
    if what is Property.RELATIONSHIP:
        return Exposure(what, who, Degree.BEYOND_SUSPICION, 1.0, best**2, f"({words})^2")
    return Exposure(what, who, Degree.BEYOND_SUSPICION, 1.0, best, words)


def exposures(crowd: Crowd) -> tuple[Exposure, ...]:
    """All nine cells, adversary by adversary."""
    return tuple(exposure(crowd, what, who) for who in Adversary for what in Property)


def exit_guess(crowd: Crowd) -> float:
    """P(the public broker's best guess at the initiator is right): 1/n in A, 1/(n-1+p) in B.

    Bayes over a uniform initiator: P(initiator = j | exit = e) = P(exit = e | initiator = j), because these
    sum to 1 over j as well. In B the best j is any but e (`crowd.exit_is_another`).
    """
    return 1 / crowd.n if crowd.variant is Variant.A else 1 / (crowd.n - 1 + crowd.p_f)


def _degree(named: float) -> Degree:
    if named >= 1 - _TINY:
        return Degree.EXPOSED
    return Degree.PROBABLE if named <= 0.5 + _TINY else Degree.POSSIBLE
