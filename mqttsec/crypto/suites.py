"""The cipher suites of specification 1.6 behind one face.

How the paper's four operations map on a suite:

| paper | `paper` | `aes-gcm`, `chacha20` |
|---|---|---|
| E, D | AES-128-CBC with a fresh IV | not offered alone: the cipher has its integrity built in |
| H | HMAC-SHA256 | HMAC-SHA256 (`aes-gcm-gmac`: GMAC) |
| EI | C = E(M), t = H(C); C || t | one AEAD call, counted as E + H (opening: D + H) |
| I | H | H |

A suite is a row of `SUITES`; a `Box` is a suite keyed: make one for each key and direction and keep
it, since keying costs more than sealing a small message. `Suite.seal` and its like key a box for one
message: handy in a lab, wrong in a loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from mqttsec.crypto.ciphers import (
    AEAD_TAG,
    BLOCK,
    HMAC_TAG,
    NONCE,
    Aead,
    AeadCalls,
    CbcHmac,
    GmacTags,
    HmacTags,
)
from mqttsec.crypto.keys import SealKey
from mqttsec.crypto.operations import Operation, Operations
from mqttsec.errors import ConfigurationError, TamperError


class Seal(Protocol):
    """seal(plaintext, associated_data=b"") -> sealed; open(sealed, associated_data=b"") -> plaintext."""

    def __call__(self, text: bytes, associated_data: bytes = b"", /) -> bytes: ...


@dataclass(frozen=True)
class Box:
    """A suite with a key in it: the operations of the paper, ready to use. Any thread may call them."""

    name: str
    """The name of its key."""
    seal: Seal = field(repr=False)
    """EI. Raises `ConfigurationError` when the key has sealed as many messages as it may."""
    open: Seal = field(repr=False)
    """The plaintext of what `seal` gave for the same associated data; raises `TamperError`."""
    mac: Callable[[bytes], bytes] = field(repr=False)
    """I: a tag of the data, `Suite.tag_size` bytes."""
    check: Callable[[bytes, bytes], None] = field(repr=False)
    """check(data, tag) raises `TamperError` unless the tag is one of the data."""
    encrypt: Callable[[bytes], bytes] = field(repr=False)
    """E alone, without integrity: `paper` only, else `ConfigurationError`."""
    decrypt: Callable[[bytes], bytes] = field(repr=False)
    """D alone: `paper` only. `TamperError` for a wrong length or padding; other changes pass."""
    aead: AeadCalls | None = field(default=None, repr=False)
    """What `seal` and `open` are made of, where that is an AEAD and nobody counts."""


@dataclass(frozen=True)
class Suite:
    """One row of `SUITES`."""

    name: str
    """As a user asks for it: `paper`."""
    title: str
    """Its algorithms, for the reader."""
    encryption_key_size: int
    """Bytes of a key for E; under *published* the one key has this size."""
    mac_key_size: int
    """Bytes of a key for H under *hardened*."""
    tag_size: int
    """Bytes of a tag of `mac`."""
    sealed_size: Callable[[int], int] = field(repr=False)
    """Bytes of a sealed message, from those of the message."""
    make: Callable[[SealKey], Box] = field(repr=False)
    """Keys a box that counts nothing."""

    def box(self, key: SealKey, operations: Operations | None = None) -> Box:
        """A box with `key` in it, counted by `operations` if there is one.

        Raises `ConfigurationError` for a key of the wrong size.
        """
        if key.encryption.size != self.encryption_key_size:
            raise ConfigurationError(
                f"{key.name} has {key.encryption.size} bytes and {self.name} needs "
                f"{self.encryption_key_size}: derive it for this suite"
            )
        box = self.make(key)
        return box if operations is None else counted(box, operations)

    def seal(self, key: SealKey, plaintext: bytes, associated_data: bytes = b"") -> bytes:
        """EI once; see `Box.seal`."""
        return self.box(key).seal(plaintext, associated_data)

    def open(self, key: SealKey, sealed: bytes, associated_data: bytes = b"") -> bytes:
        """The plaintext; see `Box.open`. Raises `TamperError`."""
        return self.box(key).open(sealed, associated_data)

    def mac(self, key: SealKey, data: bytes) -> bytes:
        """I once; see `Box.mac`."""
        return self.box(key).mac(data)

    def check(self, key: SealKey, data: bytes, tag: bytes) -> None:
        """Raises `TamperError` unless `tag` is one of `data`."""
        self.box(key).check(data, tag)


def counted(box: Box, operations: Operations) -> Box:
    """`box`, each of whose successful calls is counted; a refused message costs the H that refused it."""
    add = operations.add
    e, d, h = Operation.E, Operation.D, Operation.H

    def seal(plaintext: bytes, associated_data: bytes = b"", /) -> bytes:
        sealed = box.seal(plaintext, associated_data)
        add((e, h))
        return sealed

    def open(sealed: bytes, associated_data: bytes = b"", /) -> bytes:
        try:
            plaintext = box.open(sealed, associated_data)
        except TamperError:
            add((h,))
            raise
        add((d, h))
        return plaintext

    def mac(data: bytes) -> bytes:
        tag = box.mac(data)
        add((h,))
        return tag

    def check(data: bytes, tag: bytes) -> None:
        add((h,))
        box.check(data, tag)

    def encrypt(plaintext: bytes) -> bytes:
        ciphertext = box.encrypt(plaintext)
        add((e,))
        return ciphertext

    def decrypt(ciphertext: bytes) -> bytes:
        plaintext = box.decrypt(ciphertext)
        add((d,))
        return plaintext

    return Box(box.name, seal, open, mac, check, encrypt, decrypt)


def _cbc_hmac(key: SealKey) -> Box:
    cipher = CbcHmac(key.name, key.encryption, key.mac)
    return Box(key.name, cipher.seal, cipher.open, cipher.mac, cipher.check, cipher.encrypt, cipher.decrypt)


def _aead(
    algorithm: type[AESGCM] | type[ChaCha20Poly1305], integrity: type[HmacTags] | type[GmacTags]
) -> Callable[[SealKey], Box]:
    def make(key: SealKey) -> Box:
        cipher = Aead(key.name, algorithm(key.encryption.reveal()))
        tags = integrity(key.name, key.mac)
        seal, open, calls = cipher.seal, cipher.open, cipher.calls
        return Box(key.name, seal, open, tags.mac, tags.check, cipher.encrypt, cipher.decrypt, calls)

    return make


def _cbc_hmac_size(size: int) -> int:
    return BLOCK + (size // BLOCK + 1) * BLOCK + HMAC_TAG


def _aead_size(size: int) -> int:
    return NONCE + size + AEAD_TAG


SUITES = {
    suite.name: suite
    for suite in (
        Suite("paper", "AES-128-CBC, then HMAC-SHA256", 16, 32, HMAC_TAG, _cbc_hmac_size, _cbc_hmac),
        Suite("aes-gcm", "AES-128-GCM", 16, 32, HMAC_TAG, _aead_size, _aead(AESGCM, HmacTags)),
        Suite(
            "aes-gcm-gmac",
            "AES-128-GCM, tags by GMAC",
            16,
            16,
            GmacTags.tag_size,
            _aead_size,
            _aead(AESGCM, GmacTags),
        ),
        Suite(
            "chacha20", "ChaCha20-Poly1305", 32, 32, HMAC_TAG, _aead_size, _aead(ChaCha20Poly1305, HmacTags)
        ),
    )
}
"""The three suites of the specification; the second also with GMAC, its other way to tag."""


def suite(name: str) -> Suite:
    """The suite of that name. Raises `ConfigurationError` with the names there are."""
    try:
        return SUITES[name]
    except KeyError:
        raise ConfigurationError(f"no cipher suite {name!r}: take one of {', '.join(SUITES)}") from None
