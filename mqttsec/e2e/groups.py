"""Group keys on their way: from `mqttsec.crypto` groups to the wraps in messages and back (1.4, 1.7)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mqttsec.crypto import Epoch, Group, GroupKey, GroupScheme, Keyring, SealKey, Wrapped
from mqttsec.crypto.groupkey import GENERATIONS_KEPT
from mqttsec.e2e.messages import KEY_ID_SIZE, WrappedKey
from mqttsec.e2e.setup import Party
from mqttsec.e2e.terms import KeyName


@dataclass(frozen=True)
class Circle:
    """A group as its owner holds it, with the name that data messages know it by."""

    key: KeyName
    """GK_P or GK_B."""
    key_id: bytes
    """Names this group; drawn when it began, so that a new group of the same owner is told apart."""
    group: Group
    """Members, epochs, keys."""

    @classmethod
    def new(cls, party: Party, key: KeyName) -> Circle:
        """A group of `party` without members."""
        setup, key_id = party.setup, party.random_bytes(KEY_ID_SIZE)
        group = Group.new(setup.profile, setup.ciphers, key.value, _title(party.name, key_id))
        return cls(key, key_id, group)

    @property
    def epoch(self) -> int:
        """The current epoch, as it stands in headers."""
        return self.group.current.epoch.number

    def joined(self, member: str) -> Circle:
        """With a member more; under *hardened* one step on."""
        return Circle(self.key, self.key_id, self.group.joined(member))

    def left(self, member: str) -> Circle:
        """Without a member; under *hardened* in a new generation, which the others must be given."""
        return Circle(self.key, self.key_id, self.group.left(member))

    def wrap(self, party: Party, member: str, pair: SealKey) -> WrappedKey:
        """The current key for one member: one wrap."""
        (wrapped,) = self.group.wrap(member, pair, operations=party.operations)
        return WrappedKey(self.key_id, wrapped.epoch.number, wrapped.sealed)

    def missed(self, party: Party, member: str, pair: SealKey, after: int) -> tuple[WrappedKey, ...]:
        """One wrap for each generation begun since the epoch `after`, the last that a member has."""
        wraps = self.group.wrap(member, pair, Epoch.of(after), party.operations)
        return tuple(WrappedKey(self.key_id, wrapped.epoch.number, wrapped.sealed) for wrapped in wraps)


def keyring(
    party: Party,
    key: KeyName,
    owner: str,
    wrapped: WrappedKey,
    pair: SealKey,
    held: Keyring | None = None,
) -> Keyring:
    """What a member holds of a group after a wrap came, sealed with `pair`: one unwrap.

    Raises `TamperError` for a wrap that does not open.
    """
    setup = party.setup
    title = _title(owner, wrapped.key_id)
    ring = held or Keyring(GroupScheme(setup.profile, setup.ciphers, key.value, title), party.name)
    sealed = Wrapped(key.value, title, party.name, Epoch.of(wrapped.epoch), wrapped.sealed)
    return ring.unwrapped(sealed, pair, party.operations)


def _title(owner: str, key_id: bytes) -> str:
    # A group is known by owner and identifier; under *hardened* both are bound to its wraps and its keys.
    return f"{owner} {key_id.hex()}"


def merged(held: Keyring, newer: Keyring) -> Keyring:
    """Two keyrings of one group as one: after a new handshake, what is held is not lost."""
    earliest: dict[int, GroupKey] = {}
    for key in (*held.earliest, *newer.earliest):
        known = earliest.get(key.epoch.generation)
        if known is None or key.epoch < known.epoch:
            earliest[key.epoch.generation] = key
    kept = sorted(earliest.values(), key=lambda key: key.epoch)
    return replace(held, earliest=tuple(kept[-GENERATIONS_KEPT:]))
