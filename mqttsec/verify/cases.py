"""What is asked: a protocol, an intruder, goals, and how many instances there may be.

Every kind of party has one honest principal (alice, the broker, bob); two principals of a kind add nothing
(Comon-Lundh and Cortier, 2004). The intruder owns the network. It may have a certificate besides, as
mallory, whom honest parties then take for a peer like any other: as a party of any kind (*insider*), or of
one kind only. Not more than `instances` runs of roles take part in an attack, in any mixture.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from mqttsec.verify.roles import (
    Claim,
    Encrypted,
    Protocol,
    Role,
    Sealed,
    Shared,
    Signed,
    Sort,
    Stage,
    Var,
    variables,
)

MALLORY = "mallory"
"""The name that the intruder's certificate bears."""


class Intruder(str, enum.Enum):
    """Who attacks. All of them own the network."""

    OUTSIDER = "outsider"
    """Has no certificate."""
    INSIDER = "insider"
    """Has a certificate, and takes part as whatever it likes."""
    BROKER = "broker"
    """Has one as a broker."""
    PUBLISHER = "publisher"
    """Has one as a publisher."""
    SUBSCRIBER = "subscriber"
    """Has one as a subscriber."""

    def may_be(self, kind: str) -> bool:
        """Whether honest parties take mallory for a party of a kind (`P`, `B`, `S`)."""
        return self is Intruder.INSIDER or self.value[0].upper() == kind


class Property(str, enum.Enum):
    """What may be asked of a protocol. X is who claims, Y its peer, both honest."""

    SECRECY = "secrecy"
    """What X believes to share with Y only, the intruder does not know."""
    FORWARD = "forward"
    """The same, when all long-term keys leak after the run."""
    ALIVENESS = "aliveness"
    """Y has taken part in something."""
    AGREEMENT = "agreement"
    """Y has run with X, in the role that X thinks, on the same key (Lowe, 1997: non-injective)."""
    ONCE = "once"
    """Two claims of X have two runs of Y behind them: with AGREEMENT, injective. Fails by replay."""
    BINDING = "binding"
    """Nobody else than Y has the key that X takes for its and Y's, Y does not have it with another, and both
    take the same one for the third party: fails by identity misbinding (unknown key share)."""
    PAIRING = "pairing"
    """If Y does run with X, then on the same key: fails where parallel runs are mixed."""


@dataclass(frozen=True)
class Goal:
    """One property of one key, or of one direction."""

    property: Property
    """Which."""
    subject: str
    """A key (`K_PB`), or who claims and about whom (`P-B`)."""

    def __str__(self) -> str:
        return f"{self.property.value} {self.subject}"


@dataclass(frozen=True)
class Kind:
    """A sort of instance: a role, run by its honest principal, with certain partners."""

    role: Role
    """Whose."""
    names: tuple[tuple[Var, str], ...]
    """Who is who in its view."""
    old: bool = False
    """True for a run of before the window, whose ephemeral keys have leaked since."""

    @cached_property
    def who(self) -> dict[Var, str]:
        """Who is who."""
        return dict(self.names)

    @property
    def principal(self) -> str:
        """Who runs it."""
        return self.who[self.role.owner]

    @property
    def age(self) -> str:
        """What its timestamps show."""
        return "old" if self.old else "now"

    def trusts(self, var: Var) -> bool:
        """Whether a partner is honest."""
        return self.who[var] != MALLORY

    def __str__(self) -> str:
        partners = ", ".join(f"{var}={name}" for var, name in self.names if var != self.role.owner)
        return f"{self.role.name}[{partners}]{' long ago' if self.old else ''}"


@dataclass(frozen=True)
class Case:
    """One question."""

    protocol: Protocol
    """The roles."""
    intruder: Intruder
    """Who attacks."""
    goals: tuple[Goal, ...]
    """What is asked, all in one search."""
    instances: int
    """The most runs of roles, all kinds together."""
    old: bool = False
    """With runs of long ago, whose ephemeral keys the intruder has by now."""
    each: int = 0
    """The most instances of one role; 0: as many as there are at all."""
    cone: bool = True
    """Leave out kinds of instances whose signatures nobody can use and that are nobody's peer; of those that
    could still have a key with the wrong peer, take one."""
    title: str = ""
    """For the reader."""
    _cache: dict[str, tuple[Kind, ...]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The sorts of instances that take part."""
        if "kinds" not in self._cache:
            everything = tuple(self._all())
            useful = _cone(everything) if self.cone else everything
            binding = any(goal.property is Property.BINDING for goal in self.goals)
            self._cache["kinds"] = everything if binding else useful
            self._cache["lone"] = tuple(kind for kind in self._cache["kinds"] if kind not in useful)
        return self._cache["kinds"]

    @property
    def lone(self) -> tuple[Kind, ...]:
        """Those of which one instance may take part: as whoever else has a key, for BINDING."""
        return self._cache["lone"] if self.kinds else ()

    def _all(self) -> Iterator[Kind]:
        honest = self.protocol.honest
        for old in (False, True) if self.old else (False,):
            for role in self.protocol.roles:
                choices = []
                for partner in role.partners:
                    kind = role.kinds[partner]
                    choices.append([honest[kind], *[MALLORY] * self.intruder.may_be(kind)])
                for chosen in itertools.product(*choices):
                    names = ((role.owner, honest[role.kind]), *zip(role.partners, chosen, strict=True))
                    yield Kind(role, names, old)


def claims(kind: Kind) -> tuple[Claim, ...]:
    """The claims of a kind of instance that can be wrong: those about an honest peer, made now."""
    if kind.old:
        return ()
    return tuple(claim for claim in kind.role.claims if kind.trusts(claim.peer))


# What it takes to make a party accept ----------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """One way in which the intruder can bring a stage about: what it repeats, and what it chooses."""

    repeats: tuple[Signed | Encrypted | Sealed, ...]
    """Made by honest parties, seen on the network."""
    chooses: tuple[Var, ...]
    """Values that it may choose among all it knows."""
    knows: tuple[Var, ...]
    """Values of the receiver's that it must know to build the rest."""
    opens: tuple[Shared, ...]
    """Keys that it must know to build the rest."""


def ways(kind: Kind, stage: int) -> tuple[Way, ...]:
    """All of them; none where a stage receives nothing. Forged is only what the receiver can accept."""
    role = kind.role
    before = role.known(stage)
    parts = [part for receive in role.stages[stage].receives for part in receive.parts]
    if not role.stages[stage].receives:
        return ()
    repeated: list[tuple[Signed | Encrypted | Sealed, bool]] = []
    choices: list[tuple[tuple[Signed | Encrypted | Sealed, bool], ...]] = []
    forged_always = [part for part in parts if isinstance(part, Var)]
    for part in parts:
        if isinstance(part, Signed) and part.payload:
            choices.append(((part, kind.trusts(part.signer)),))
        elif isinstance(part, Encrypted | Sealed):
            choices.append(((part, True), (part, False)))
    found = []
    for combination in itertools.product(*choices):
        repeated = [each for each in combination if each[1]]
        given = before | set(variables(tuple(part for part, _ in repeated)))
        chooses = tuple(var for var in role.bound(stage) if var not in given)
        knows: list[Var] = [var for var in forged_always if var.sort is Sort.NONCE and var in before]
        opens: list[Shared] = []
        for part, repeat in combination:
            if repeat:
                continue
            if isinstance(part, Sealed):
                opens.append(part.key)
            else:
                knows += [
                    var
                    for var in variables((part,))
                    if var.sort is Sort.NONCE and (var in before or var not in role.bound(stage))
                ]
        known = tuple(dict.fromkeys(var for var in knows if var in before))
        found.append(Way(tuple(part for part, _ in repeated), chooses, known, tuple(opens)))
    return tuple(found)


def checked_now(stage: Stage) -> frozenset[Var]:
    """The timestamps that a stage wants to be of its own time."""
    return frozenset(var for receive in stage.receives for var in receive.fresh)


# Which kinds matter ----------------------------------------------------------------------------


def _cone(kinds: tuple[Kind, ...]) -> tuple[Kind, ...]:
    """Those that reach a claim: who claims, who is the peer of a claim, and whose signatures they can use.

    A static argument, so it drops too little rather than too much. What any other instance sends is a
    signature that nobody accepts and an ephemeral key, for which the intruder may put one of its own; it can
    only be the one that has a key with the wrong peer (BINDING), and for that one of them is enough.
    """
    wanted = [kind for kind in kinds if claims(kind)]
    pending = list(wanted)
    while pending:
        user = pending.pop()
        for maker in kinds:
            if maker not in wanted and _helps(maker, user):
                wanted.append(maker)
                pending.append(maker)
    return tuple(kind for kind in kinds if kind in wanted)


def _helps(maker: Kind, user: Kind) -> bool:
    peers = {name for claim in user.role.claims for name in claim.of_peer}
    if maker.role.name in peers and all(
        user.who.get(var, name) == name for var, name in maker.names if var in user.who
    ):
        return True
    made = [part for stage in maker.role.stages for send in stage.sends for part in send.news]
    for stage in range(len(user.role.stages)):
        for way in ways(user, stage):
            if any(_fits(maker, one, user, other) for one in made for other in way.repeats):
                return True
            if any(var.sort is Sort.NONCE for var in way.chooses):
                return True
    return False


def _fits(maker: Kind, made: object, user: Kind, wanted: Signed | Encrypted | Sealed) -> bool:
    if type(made) is not type(wanted):
        return False
    if isinstance(made, Sealed):
        return True
    if isinstance(made, Encrypted) and isinstance(wanted, Encrypted):
        pairs = [(made.to, wanted.to), *zip(made.payload, wanted.payload, strict=False)]
        same = len(made.payload) == len(wanted.payload)
    else:
        assert isinstance(made, Signed) and isinstance(wanted, Signed)
        pairs = [(made.signer, wanted.signer), *zip(made.payload, wanted.payload, strict=False)]
        same = len(made.payload) == len(wanted.payload)
    return same and all(_alike(maker, one, user, other) for one, other in pairs)


def _alike(maker: Kind, one: object, user: Kind, other: object) -> bool:
    if isinstance(one, Var) and isinstance(other, Var):
        if one.sort is not other.sort:
            return False
        return one.sort is not Sort.NAME or maker.who[one] == user.who[other]
    return one == other
