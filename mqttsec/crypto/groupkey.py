"""Group keys with epochs: GK_B of the broker, GK_P of a publisher (specification 1.4, 1.7).

The owner of a group draws a secret and gives it to each member, wrapped: sealed with the key that the
two share. Under *published* that is all, for ever: who leaves still reads. Under *hardened* the group
passes through epochs, written `generation.step`:

- **someone leaves**: a new generation, its secret drawn afresh and wrapped for each who stays;
- **someone joins**: a new step, its secret HKDF of the one before. Those who are there take the step on
  their own, without a message; who joins cannot go back to read what was said earlier.

A wrap is bound to group, owner, member and epoch, so that none passes for another.

Everything here is immutable: a change gives a new `Group` or `Keyring`, a failure leaves the old one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from mqttsec.crypto.keys import Key, Purpose, SealKey
from mqttsec.crypto.operations import Operation, Operations
from mqttsec.crypto.schedule import LABEL_FORMAT, Profile, fields, group_keys, group_secret_size, hkdf
from mqttsec.crypto.suites import Suite
from mqttsec.errors import ConfigurationError, TamperError

GENERATIONS_KEPT = 4
"""How many generations, the current one included, stay readable for late messages and late members."""

STEPS_PER_GENERATION = 1024
"""How many joins one generation takes. A receiver never goes more steps, whatever a packet says."""

_STEP_BITS = 16


@dataclass(frozen=True, order=True)
class Epoch:
    """A stretch in which the group does not change; a later one is greater."""

    generation: int = 0
    """Counts the secrets drawn afresh: one more for each that left."""
    step: int = 0
    """Counts the joins of this generation."""

    def __post_init__(self) -> None:
        if not (0 <= self.generation < 1 << _STEP_BITS and 0 <= self.step < 1 << _STEP_BITS):
            raise ConfigurationError(f"there is no epoch {self}: both numbers have {_STEP_BITS} bits")

    @property
    def number(self) -> int:
        """As one number of 32 bits: generation, then step, 16 bits each."""
        return self.generation << _STEP_BITS | self.step

    @classmethod
    def of(cls, number: int) -> Epoch:
        """The epoch with that number."""
        return cls(number >> _STEP_BITS, number & (1 << _STEP_BITS) - 1)

    def __str__(self) -> str:
        return f"{self.generation}.{self.step}"


FIRST = Epoch()
"""The epoch in which a group begins; under *published* also the last."""


@dataclass(frozen=True)
class GroupKey:
    """The key of a group in one epoch. Shows names only."""

    name: str
    """GK_B or GK_P."""
    owner: str
    """The identity that drew it."""
    epoch: Epoch
    """When it is in use."""
    secret: Key
    """What members hold; later steps of the generation come from it."""
    keys: SealKey
    """What messages are sealed with."""


@dataclass(frozen=True)
class Wrapped:
    """A group key on its way to one member: W_P or W_B of specification 1.4, with what it is bound to."""

    name: str
    """GK_B or GK_P."""
    owner: str
    """Who wrapped it."""
    member: str
    """For whom."""
    epoch: Epoch
    """Of which epoch the key is."""
    sealed: bytes
    """The secret, sealed with the key of the pair."""


@dataclass(frozen=True)
class Member:
    """One member, as the owner knows it."""

    name: str
    """Its identity."""
    since: Epoch
    """The first epoch that it may read."""


@dataclass(frozen=True)
class GroupScheme:
    """What both sides of a group must agree on."""

    profile: Profile
    """*published* never changes the key."""
    suite: Suite
    """What messages and wraps are sealed by."""
    name: str
    """GK_B or GK_P."""
    owner: str
    """The identity that draws the keys."""

    def key(self, epoch: Epoch, secret: Key) -> GroupKey:
        """The group key that `secret` makes in `epoch`."""
        keys = group_keys(self.profile, self.suite, secret, self.name, self.owner, epoch.number)
        return GroupKey(self.name, self.owner, epoch, secret, keys)

    def fresh(self, epoch: Epoch) -> GroupKey:
        """A group key drawn by the operating system's generator."""
        size = group_secret_size(self.profile, self.suite)
        return self.key(epoch, Key(self.name, Purpose.GROUP_SECRET, os.urandom(size)))

    def stepped(self, key: GroupKey, step: int) -> GroupKey:
        """`key` of a later step of its generation; there is no way back."""
        secret = key.secret
        for number in range(key.epoch.step + 1, step + 1):
            epoch = Epoch(key.epoch.generation, number)
            info = fields(LABEL_FORMAT, self.name, "next step", self.owner, epoch.number.to_bytes(4, "big"))
            secret = Key(self.name, Purpose.GROUP_SECRET, hkdf(secret, secret.size, info))
        return key if step == key.epoch.step else self.key(Epoch(key.epoch.generation, step), secret)

    def bound_to(self, member: str, epoch: Epoch) -> bytes:
        """The associated data of a wrap; none under *published*."""
        if self.profile is Profile.PUBLISHED:
            return b""
        return fields(LABEL_FORMAT, "wrap", self.name, self.owner, member, epoch.number.to_bytes(4, "big"))


# -- the owner's side --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """A group as its owner holds it: members, the current key, and the beginnings of late generations."""

    scheme: GroupScheme
    """What the members were told as well."""
    current: GroupKey
    """What the owner seals with now."""
    members: tuple[Member, ...] = ()
    """Who may read it, in order of joining; one who is offline stays a member."""
    beginnings: tuple[GroupKey, ...] = ()
    """The first key of each generation kept, oldest first."""

    @classmethod
    def new(cls, profile: Profile, suite: Suite, name: str, owner: str) -> Group:
        """A group without members, in its first epoch."""
        scheme = GroupScheme(profile, suite, name, owner)
        first = scheme.fresh(FIRST)
        return cls(scheme, first, (), (first,))

    def joined(self, member: str) -> Group:
        """The group with `member` in it; under *hardened* a step on. Who is in already changes nothing."""
        if self.member(member) is not None:
            return self
        epoch = self.current.epoch
        if self.scheme.profile is Profile.PUBLISHED:
            stepped = self
        elif epoch.step < STEPS_PER_GENERATION:
            stepped = replace(self, current=self.scheme.stepped(self.current, epoch.step + 1))
        else:
            stepped = self.rekeyed()
        return replace(stepped, members=(*self.members, Member(member, stepped.current.epoch)))

    def left(self, member: str) -> Group:
        """The group without `member`; under *hardened* in a new generation. Who is not in changes nothing."""
        if self.member(member) is None:
            return self
        others = replace(self, members=tuple(other for other in self.members if other.name != member))
        return others if self.scheme.profile is Profile.PUBLISHED else others.rekeyed()

    def rekeyed(self) -> Group:
        """The group in a new generation: each member needs a new wrap."""
        generation = self.current.epoch.generation + 1
        if generation >= 1 << _STEP_BITS:
            raise ConfigurationError(f"the group {self.scheme.name} has used up its epochs: make a new group")
        fresh = self.scheme.fresh(Epoch(generation))
        kept = (*self.beginnings, fresh)[-GENERATIONS_KEPT:]
        return replace(self, current=fresh, beginnings=kept)

    def member(self, name: str) -> Member | None:
        """That member, None if there is no such."""
        return next((member for member in self.members if member.name == name), None)

    def wrap(
        self, member: str, pair: SealKey, after: Epoch | None = None, operations: Operations | None = None
    ) -> tuple[Wrapped, ...]:
        """What `member` needs, sealed with `pair`, the key it shares with the owner; oldest first.

        One wrap: the current key, as in a handshake. With `after`, the last epoch that the member has,
        one for each generation begun since and still kept: that is how one who was offline catches up.
        Never anything from before it joined. Raises `ConfigurationError` for one who is no member.
        """
        entry = self.member(member)
        if entry is None:
            raise ConfigurationError(f"{member} is no member of {self.scheme.name}: let it join first")
        keys = (self.current,) if after is None else self._since(entry, after)
        return tuple(self._wrapped(member, pair, key, operations) for key in keys)

    def _since(self, member: Member, after: Epoch) -> tuple[GroupKey, ...]:
        known = max(after, member.since)
        missed = tuple(key for key in self.beginnings if key.epoch.generation > known.generation)
        if after >= member.since:
            return missed
        # It joined again since: it starts where it was let in, unless that generation is forgotten.
        here = tuple(key for key in self.beginnings if key.epoch.generation == member.since.generation)
        return (*(self.scheme.stepped(key, member.since.step) for key in here), *missed)

    def _wrapped(self, member: str, pair: SealKey, key: GroupKey, operations: Operations | None) -> Wrapped:
        scheme = self.scheme
        box = scheme.suite.box(pair)
        sealed = box.seal(key.secret.reveal(), scheme.bound_to(member, key.epoch))
        if operations is not None:
            operations.add((Operation.WRAP,))
        return Wrapped(scheme.name, scheme.owner, member, key.epoch, sealed)


# -- a member's side ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Keyring:
    """The keys of one group as a member holds them: for each generation kept, the earliest key it has."""

    scheme: GroupScheme
    """What the owner told."""
    member: str
    """Whose keyring this is."""
    earliest: tuple[GroupKey, ...] = ()
    """Oldest generation first, at most `GENERATIONS_KEPT`."""

    @property
    def latest(self) -> Epoch | None:
        """The newest epoch received, None before the first wrap."""
        return self.earliest[-1].epoch if self.earliest else None

    def unwrapped(self, wrapped: Wrapped, pair: SealKey, operations: Operations | None = None) -> Keyring:
        """The keyring with the key in `wrapped`, which was sealed with `pair`.

        Raises `TamperError` if it does not open: changed, for another group, member or epoch, or not
        from one who has `pair`. A generation that is older than all that are kept is let go.
        """
        scheme = self.scheme
        key = scheme.key(wrapped.epoch, _opened(scheme, self.member, wrapped, pair))
        if operations is not None:
            operations.add((Operation.UNWRAP,))
        generation = wrapped.epoch.generation
        held = [other for other in self.earliest if other.epoch.generation == generation]
        if held and held[0].epoch <= key.epoch:
            return self
        others = [other for other in self.earliest if other.epoch.generation != generation]
        kept = sorted((*others, key), key=lambda each: each.epoch)
        return replace(self, earliest=tuple(kept[-GENERATIONS_KEPT:]))

    def key(self, epoch: Epoch) -> GroupKey:
        """The key of `epoch`, a later step of a generation that is held; nothing is remembered.

        Raises `TamperError` for an epoch that this member cannot reach: before it joined, after it left,
        forgotten, or invented.
        """
        for held in self.earliest:
            ahead = epoch.step - held.epoch.step
            if held.epoch.generation == epoch.generation and ahead >= 0:
                if epoch.step <= STEPS_PER_GENERATION:
                    return self.scheme.stepped(held, epoch.step)
        raise TamperError(
            f"{self.member} has no key of {self.scheme.name} for epoch {epoch}: it was not a member then, "
            "has forgotten it, or still waits for its wrap"
        )

    def forgetting(self, before: Epoch) -> Keyring:
        """The keyring without what it takes to read anything older than `before`."""
        kept = tuple(
            self.scheme.stepped(key, before.step)
            if key.epoch.generation == before.generation and key.epoch < before
            else key
            for key in self.earliest
            if key.epoch.generation >= before.generation
        )
        return replace(self, earliest=kept)


def _opened(scheme: GroupScheme, member: str, wrapped: Wrapped, pair: SealKey) -> Key:
    # Not the names in the packet but our own go under the tag: what was meant for another fails.
    bound = scheme.bound_to(member, wrapped.epoch)
    secret = Key(scheme.name, Purpose.GROUP_SECRET, scheme.suite.box(pair).open(wrapped.sealed, bound))
    if secret.size != group_secret_size(scheme.profile, scheme.suite):
        raise TamperError(f"the wrap of {scheme.name} holds {secret.size} bytes and not a key: discard it")
    return secret
