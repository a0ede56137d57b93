"""A protocol as roles: what each party knows, receives, sends, and claims at the end.

The symbolic view (Dolev and Yao, 1983): a value is a term, cryptography is perfect, the network is the
intruder. A `Role` is the view of one party of one run; an *instance* of it is one run by one principal.
What the role language has is what our handshake and the classic protocols of `classic` need: names,
constants, timestamps, Diffie-Hellman keys, nonces, signatures, public-key encryption, sealed secrets.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mqttsec.errors import ConfigurationError


class Sort(str, enum.Enum):
    """What sort of value a variable stands for. Values of two sorts are never mistaken for each other."""

    NAME = "Name"
    """A principal."""
    PUBLIC = "Pub"
    """An ephemeral Diffie-Hellman key g^x; who made it knows x."""
    NONCE = "Nonce"
    """A fresh number, and any other secret made for one run."""
    TIME = "Time"
    """A timestamp: of now, or of before the window."""
    CONSTANT = "Cst"
    """A tag, a topic: the same in all runs, known to everybody."""


@dataclass(frozen=True)
class Var:
    """A value that differs from instance to instance."""

    name: str
    """In the words of the protocol: `R_SP`, `P`, `T_B'`."""
    sort: Sort
    """What sort of value."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Const:
    """A value that is the same for all."""

    name: str
    """`c1`, `topic`."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Signed:
    """A signature; what is signed goes with it in clear."""

    name: str
    """In the words of the protocol: `Sig_P:c1`."""
    signer: Var
    """Whose long-term key made it."""
    payload: tuple[Item, ...]
    """What it covers. Empty: there is no signature, and nobody asks for one."""

    def __str__(self) -> str:
        return f"{self.name.partition(':')[0]}({', '.join(map(str, self.payload))})"


@dataclass(frozen=True)
class Shared:
    """A key that two Diffie-Hellman halves give: KDF(g^xy, context)."""

    name: str
    """`K_PB`."""
    halves: tuple[Var, Var]
    """The two ephemeral keys; exponents commute, so their order says nothing."""
    context: tuple[Item, ...] = ()
    """What else the key is derived from."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Sealed:
    """A secret under a shared key: wrap(K_PSi, GK_P)."""

    name: str
    """`W_P`."""
    key: Shared
    """What seals it."""
    content: Var
    """The secret, a nonce."""

    def __str__(self) -> str:
        return f"wrap({self.key}, {self.content})"


@dataclass(frozen=True)
class Encrypted:
    """Public-key encryption: only its addressee can read it, and anybody can make it."""

    name: str
    """In the words of the protocol."""
    to: Var
    """Whose public key it is under."""
    payload: tuple[Item, ...]
    """What is in it."""

    def __str__(self) -> str:
        return f"{{{', '.join(map(str, self.payload))}}}pk({self.to})"


Item = Var | Const
"""What stands in a signature or in a ciphertext."""

Part = Var | Const | Signed | Sealed | Encrypted
"""What a message is made of."""


@dataclass(frozen=True)
class Receive:
    """A message that the role waits for, and what it checks before it goes on."""

    number: int
    """Of the step in the protocol's description."""
    name: str
    """Of the message."""
    parts: tuple[Part, ...]
    """What is in it; variables that are not known yet take the values that come."""
    fresh: frozenset[Var] = frozenset()
    """Timestamps that are checked to be of now."""
    unseen: tuple[tuple[Var, Var], ...] = ()
    """(identity, ephemeral) pairs that the principal must not have taken before: the replay cache."""


@dataclass(frozen=True)
class Send:
    """A message that the role sends."""

    number: int
    """Of the step in the protocol's description."""
    name: str
    """Of the message."""
    parts: tuple[Part, ...]
    """What is in it."""
    fresh: tuple[Var, ...] = ()
    """What the role makes for it: ephemeral keys, nonces."""
    news: tuple[Part, ...] = ()
    """What of it the network has not seen: the rest is passed on. Without news it is no step of its own."""


Act = Receive | Send
"""What a role does."""


@dataclass(frozen=True)
class Claim:
    """What a role believes when it is done: it shares something with a peer."""

    peer_role: str
    """The kind of the peer: `B`."""
    peer: Var
    """Who it is believed to be."""
    secret: Shared | Var
    """What is believed to be known to the two only."""
    agreed: tuple[Var, ...]
    """What the two agree on, besides each other: the halves that the peer knew when it last sent."""
    of_peer: tuple[str, ...]
    """The roles of the peer, any of which may be meant."""
    at: int
    """After which act of the role it stands, counted from 0."""


@dataclass(frozen=True)
class Stage:
    """Acts that the model takes together: what is received, then what is sent upon it."""

    receives: tuple[Receive, ...]
    """First; none at the beginning of a role that speaks first."""
    sends: tuple[Send, ...]
    """Then; none at the end of a role that has the last word said to it: a check, and no transition."""
    last: int
    """Index of the last act in it."""


@dataclass(frozen=True)
class Role:
    """One party's view of one run."""

    name: str
    """`B1`: the kind, and the block."""
    kind: str
    """Who runs it: `P`, `B`, `S`."""
    owner: Var
    """The principal that runs it."""
    partners: tuple[Var, ...]
    """The other principals in its view; before the run, or as the messages say."""
    acts: tuple[Act, ...]
    """In order."""
    claims: tuple[Claim, ...] = ()
    """What it believes afterwards."""
    kinds: Mapping[Var, str] = field(default_factory=dict, compare=False)
    """Of which kind the partners are: an honest `P` is somebody else than an honest `S`."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The acts, grouped: receiving together with the sending that follows.

        Nothing is lost by taking two receives at once when nothing new is sent in between: who got the first
        alone has told the network nothing and claims nothing.
        """
        made: list[Stage] = []
        receives: list[Receive] = []
        sends: list[Send] = []
        last = -1
        for index, act in enumerate(self.acts):
            if isinstance(act, Receive):
                if sends:
                    made.append(Stage(tuple(receives), tuple(sends), last))
                    receives, sends = [], []
                receives.append(act)
                last = index
            elif act.news:
                sends.append(act)
                last = index
        if receives or sends:
            made.append(Stage(tuple(receives), tuple(sends), last))
        return tuple(made)

    @property
    def initiator(self) -> bool:
        """True for a role that speaks first."""
        return not self.stages[0].receives

    @property
    def own(self) -> frozenset[Var]:
        """What the role makes itself."""
        return frozenset(var for act in self.acts if isinstance(act, Send) for var in act.fresh)

    def known(self, stage: int) -> frozenset[Var]:
        """The variables that have a value when a stage begins: names, what it made, what it has been told."""
        before = {self.owner, *self.partners}
        for earlier in self.stages[:stage]:
            before |= {var for receive in earlier.receives for var in variables(receive.parts)}
            before |= {var for send in earlier.sends for var in send.fresh}
        return frozenset(before)

    def bound(self, stage: int) -> tuple[Var, ...]:
        """The variables that a stage gives values that matter later, in order of the message.

        A value that the role only looks at, such as a timestamp, makes no difference between two instances.
        """
        matters: set[Var] = set()
        for index, each in enumerate(self.stages):
            if index > stage:
                matters |= {var for receive in each.receives for var in variables(receive.parts)}
            if index >= stage:
                matters |= {var for send in each.sends for var in used(send.news)}
                matters |= {var for receive in each.receives for pair in receive.unseen for var in pair}
        for claim in self.claims:
            matters |= {*used((claim.secret,)), *claim.agreed}
        before = self.known(stage)
        own = {var for send in self.stages[stage].sends for var in send.fresh}
        found = [var for receive in self.stages[stage].receives for var in variables(receive.parts)]
        kept = [var for var in found if var in matters and var not in before and var not in own]
        return tuple(dict.fromkeys(var for var in kept if var.sort is not Sort.NAME))

    def stage_of(self, claim: Claim) -> int:
        """The stage after which a claim stands."""
        for index, stage in enumerate(self.stages):
            if stage.last >= claim.at:
                return index
        raise ConfigurationError(f"role {self.name} has no act {claim.at}")


@dataclass(frozen=True)
class Protocol:
    """Roles that belong together."""

    name: str
    """For the reader."""
    roles: tuple[Role, ...]
    """All of them."""
    honest: Mapping[str, str] = field(default_factory=dict)
    """The honest principal of each kind: P is alice."""

    def role(self, name: str) -> Role:
        """The role of that name. Raises `ConfigurationError`."""
        for role in self.roles:
            if role.name == name:
                return role
        raise ConfigurationError(f"{self.name} has no role {name}; there are {self.names}")

    @property
    def names(self) -> str:
        """The names of the roles."""
        return ", ".join(role.name for role in self.roles)

    def only(self, *names: str) -> Protocol:
        """The same with some of its roles."""
        kept = tuple(role for role in self.roles if role.name in names)
        return Protocol(self.name, kept, self.honest)


def variables(parts: tuple[Part, ...]) -> Iterator[Var]:
    """The variables in the parts of a message, in order; names and what a key is made of included."""
    for part in parts:
        if isinstance(part, Var):
            yield part
        elif isinstance(part, Signed):
            yield from variables((part.signer, *part.payload))
        elif isinstance(part, Encrypted):
            yield from variables((part.to, *part.payload))
        elif isinstance(part, Sealed):
            yield part.content


def used(parts: tuple[Part | Shared, ...]) -> Iterator[Var]:
    """The same, with what a key is made of."""
    for part in parts:
        if isinstance(part, Shared):
            yield from used((*part.halves, *part.context))
        elif isinstance(part, Sealed):
            yield from used((part.key, part.content))
        else:
            yield from variables((part,))
