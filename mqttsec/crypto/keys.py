"""Secret keys that do not show: a name, a purpose, and bytes that no repr, format or pickle gives away.

Forgetting a key means dropping the last reference to it: Python cannot promise to overwrite memory,
so nothing here pretends to.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NoReturn

from cryptography.hazmat.primitives.constant_time import bytes_eq

from mqttsec.errors import ConfigurationError


class Purpose(str, enum.Enum):
    """What a key is for. A key of the *hardened* profile has one purpose and no other."""

    SHARED_SECRET = "shared secret"
    """What a Diffie-Hellman exchange gives; only the key schedule takes it."""
    GROUP_SECRET = "group secret"
    """What members of a group share in one epoch; only the key schedule takes it."""
    ENCRYPTION = "encryption"
    """For E and D; for an AEAD, which has its own integrity, for EI."""
    MAC = "mac"
    """For H."""
    ENCRYPTION_AND_MAC = "encryption and mac"
    """For both, as the paper has it: a weakness that *published* keeps (specification 1.7)."""


class Key:
    """A secret with a name (`K_PB`) and a purpose. Immutable.

    Two keys are equal when name, purpose and bytes are; the bytes are compared in constant time.
    """

    __slots__ = ("_name", "_purpose", "_secret")

    def __init__(self, name: str, purpose: Purpose, secret: bytes) -> None:
        self._name = name
        self._purpose = purpose
        self._secret = secret

    @property
    def name(self) -> str:
        """The paper's name: K_PB, K_BSi, K_PSi, GK_B, GK_P."""
        return self._name

    @property
    def purpose(self) -> Purpose:
        """What it is for."""
        return self._purpose

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self._secret)

    def reveal(self) -> bytes:
        """The bytes: for a primitive, or for a test that searches where they must not be.

        Hand them on at once and keep them in no variable: tracebacks may show variables.
        """
        return self._secret

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Key):
            return NotImplemented
        same = same_secret(self, other)
        return same and (self._name, self._purpose) == (other._name, other._purpose)

    def __hash__(self) -> int:
        return hash((self._name, self._purpose))

    def __repr__(self) -> str:
        return f"<key {self._name}: {self._purpose.value}, {self.size} bytes>"

    def __copy__(self) -> Key:
        return self

    def __deepcopy__(self, memo: object) -> Key:
        return self

    def __reduce__(self) -> NoReturn:
        raise ConfigurationError(f"the key {self._name} does not leave this process: save its name instead")


def same_secret(one: Key, other: Key) -> bool:
    """Whether two keys hold the same bytes, whatever they are called; in constant time."""
    return bytes_eq(one.reveal(), other.reveal())


@dataclass(frozen=True)
class SealKey:
    """What seals and opens in one direction: a key for E and a key for H.

    Under *published* both are the same `Key`, under *hardened* two independent ones.
    """

    name: str
    """The paper's name; under *hardened* with the direction or the epoch: `K_PB P>B`."""
    encryption: Key
    """For encrypt, decrypt, seal, open."""
    mac: Key
    """For mac and check, and for the tag of a suite that encrypts then MACs."""

    @classmethod
    def single(cls, key: Key) -> SealKey:
        """One key for everything, as the paper has it."""
        return cls(key.name, key, key)
