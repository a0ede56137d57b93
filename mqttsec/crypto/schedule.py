"""From a shared secret to the keys in use: the key schedule of both profiles (specification 1.7).

*published* has one key for a pair: HKDF-SHA256 of the shared secret with neither salt nor label, used
for E and H and in both directions, as the paper has it.

*hardened* has a key for every purpose and direction, each HKDF-SHA256 (RFC 5869) of the same secret
with a label of its own as `info`. A label is a list of fields, each with its length in 2 bytes
(big-endian) before it, so that no two lists give the same bytes:

    "mqttsec 1"     this format
    "K_PB"          the name of the key
    "encryption"    its purpose: encryption, mac
    "P", "B"        from whom, to whom; a group's key has its name's owner and "*"
    context ...     whatever else binds it: the ephemeral keys of the handshake, an epoch
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mqttsec.crypto.keys import Key, Purpose, SealKey
from mqttsec.crypto.suites import Suite
from mqttsec.errors import ConfigurationError

LABEL_FORMAT = "mqttsec 1"
"""The first field of every label; another format gets another name."""

EVERYONE = "*"
"""To whom a group's key speaks."""


class Profile(str, enum.Enum):
    """How faithfully, or how well."""

    PUBLISHED = "published"
    """What the paper's text says, weaknesses included."""
    HARDENED = "hardened"
    """What we recommend."""


@dataclass(frozen=True)
class PairKeys:
    """The keys of two parties: one `SealKey` a direction. Under *published* both are the same."""

    name: str
    """The paper's name: K_PB, K_BSi, K_PSi."""
    ends: tuple[str, str]
    """The identities of the two, in the order of the name."""
    forth: SealKey
    """From the first to the second."""
    back: SealKey
    """From the second to the first."""

    def sending(self, party: str) -> SealKey:
        """What `party`, one of the two, seals with. Raises `ConfigurationError` for a third."""
        return self.forth if self._is_first(party) else self.back

    def receiving(self, party: str) -> SealKey:
        """What `party`, one of the two, opens with. Raises `ConfigurationError` for a third."""
        return self.back if self._is_first(party) else self.forth

    def _is_first(self, party: str) -> bool:
        if party not in self.ends:
            raise ConfigurationError(f"{self.name} belongs to {' and '.join(self.ends)}, not to {party}")
        return party == self.ends[0]


def pair_keys(
    profile: Profile,
    suite: Suite,
    secret: Key,
    name: str,
    ends: tuple[str, str],
    context: Iterable[bytes] = (),
) -> PairKeys:
    """The keys of a channel or of an end-to-end relation, from its Diffie-Hellman secret.

    Both ends give the same `name`, `ends` in the same order, and `context`; *published* looks at none
    of these. Raises `ConfigurationError` if the two ends bear one name: their directions would be one.
    """
    if ends[0] == ends[1]:
        raise ConfigurationError(f"{name}: both ends are called {ends[0]}; a pair needs two identities")
    if profile is Profile.PUBLISHED:
        single = _single(suite, secret, name)
        return PairKeys(name, ends, single, single)
    fixed = tuple(context)
    forth = _split(suite, secret, name, ends, fixed)
    back = _split(suite, secret, name, (ends[1], ends[0]), fixed)
    return PairKeys(name, ends, forth, back)


def group_keys(profile: Profile, suite: Suite, secret: Key, name: str, owner: str, epoch: int) -> SealKey:
    """The key of a group in one epoch, from the secret that its members were given.

    *published*: the secret is the key, of `group_secret_size` bytes. *hardened*: two keys, derived
    with the group's name, its owner and the epoch.
    """
    if profile is Profile.PUBLISHED:
        return SealKey.single(Key(name, Purpose.ENCRYPTION_AND_MAC, secret.reveal()))
    return _split(suite, secret, name, (owner, EVERYONE), (epoch.to_bytes(4, "big"),))


def group_secret_size(profile: Profile, suite: Suite) -> int:
    """Bytes of a group's secret: those of the one key under *published*, 32 under *hardened*."""
    return suite.encryption_key_size if profile is Profile.PUBLISHED else 32


def label(name: str, purpose: Purpose, ends: tuple[str, str], context: Iterable[bytes] = ()) -> bytes:
    """The `info` of one key under *hardened*; the format stands at the head of this module."""
    return fields(LABEL_FORMAT, name, purpose.value, *ends, *context)


def fields(*values: str | bytes) -> bytes:
    """Texts (as UTF-8) and bytes in a row, each after its length in 2 bytes: no two rows are alike.

    Raises `ConfigurationError` for a field longer than 65,535 bytes.
    """
    return b"".join(map(_field, values))


def hkdf(secret: Key, size: int, info: bytes = b"", salt: bytes = b"") -> bytes:
    """HKDF-SHA256 (RFC 5869): `size` bytes, at most 8,160.

    "if not provided, [salt] is set to a string of HashLen zeros" (2.2): an empty one is the same.
    """
    return HKDF(hashes.SHA256(), size, salt or None, info).derive(secret.reveal())


def _field(value: str | bytes) -> bytes:
    field = value.encode() if isinstance(value, str) else value
    if len(field) > 0xFFFF:
        raise ConfigurationError("a name or a field has more than 65535 bytes: shorten it")
    return len(field).to_bytes(2, "big") + field


def _single(suite: Suite, secret: Key, name: str) -> SealKey:
    size = suite.encryption_key_size
    return SealKey.single(Key(name, Purpose.ENCRYPTION_AND_MAC, hkdf(secret, size)))


def _split(
    suite: Suite, secret: Key, name: str, ends: tuple[str, str], context: tuple[bytes, ...]
) -> SealKey:
    shown = f"{name} {ends[0]}>{ends[1]}"

    def derive(purpose: Purpose, size: int) -> Key:
        return Key(shown, purpose, hkdf(secret, size, label(name, purpose, ends, context)))

    return SealKey(
        shown,
        derive(Purpose.ENCRYPTION, suite.encryption_key_size),
        derive(Purpose.MAC, suite.mac_key_size),
    )
