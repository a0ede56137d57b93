"""The symmetric primitives as the suites use them: CBC with HMAC, AEADs, and two kinds of tags.

All come from `cryptography`; what is ours is how they are kept warm. A seal of a small message in a
fan-out is the hottest line of Scheme 2, and most of its price is not cryptography:

- a CBC context costs 30 times the encryption of 64 bytes with it: contexts run on, with the IV made
  as RFC 4346 (6.2.3.2) does it, and are lent from a pool, so that threads never share one;
- an HMAC key schedule costs as much as the tag: it is computed once and copied;
- a system call for each nonce costs as much as an AES-GCM seal: nonces come in batches;
- hundreds of keys that take turns have left the caches each time: what holds one has slots, and is small.

A nonce cannot be chosen from outside, not even by a test: known answers are tested by opening.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.exceptions import InvalidTag as InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hmac import HMAC

from mqttsec.crypto.keys import Key
from mqttsec.errors import ConfigurationError, TamperError

MESSAGES_PER_BOX = 2**31
"""How often one box seals or tags with a random nonce before it refuses.

NIST SP 800-38D (8.3): with random 96-bit nonces "the total number of invocations of the authenticated
encryption function shall not exceed 2^32" for a key. Both ends of a pair may hold a box of one key
(under *published* they do), so that each has half. Two equal nonces among 2^32 then have a
probability below 2^-32.
"""

BLOCK = 16
"""Bytes of an AES block, and of an IV."""
NONCE = 12
"""Bytes of a nonce of AES-GCM and ChaCha20-Poly1305."""
AEAD_TAG = 16
"""Bytes of an AEAD's tag."""
HMAC_TAG = 32
"""Bytes of an HMAC-SHA256 tag; it is never cut."""
SHORTEST_MAC_KEY = 16
"""Bytes. RFC 2104 (3) discourages keys shorter than the hash; *published* has no more than these."""

_PADDING = tuple(bytes((size,)) * size for size in range(BLOCK + 1))
"""RFC 5652 (6.3), "PKCS #7": as many bytes of padding as their value says."""
_ZEROS = tuple(bytes(size) for size in range(BLOCK))


class _Stock:
    """Random strings of one length from the operating system, drawn in batches. Any thread may draw."""

    def __init__(self, size: int, batch: int = 256) -> None:
        self._size = size
        self._bytes = size * batch
        # list.pop is atomic, and what is added is new: no string is handed out twice.
        self._ready: list[bytes] = []
        if hasattr(os, "register_at_fork"):
            # A forked child must not draw what its parent draws too.
            os.register_at_fork(after_in_child=self._ready.clear)

    def budget(self) -> Iterator[bytes]:
        """`MESSAGES_PER_BOX` strings and then no more; IndexError says that `more` has to be called.

        It has no Python frame of its own: it is hot.
        """
        return itertools.starmap(self._ready.pop, itertools.repeat((), MESSAGES_PER_BOX))

    def more(self) -> bytes:
        """Draw a batch; its first string, for the `next` that found none and has counted all the same."""
        fresh, size = os.urandom(self._bytes), self._size
        self._ready.extend(fresh[at : at + size] for at in range(size, self._bytes, size))
        return fresh[:size]


_NONCES = _Stock(NONCE)
_BLOCKS = _Stock(BLOCK)


def _spent(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"the key {name} has sealed {MESSAGES_PER_BOX} messages, its limit: agree on a new one"
    )


def _does_not_open(name: str) -> TamperError:
    return TamperError(
        f"this does not open with {name}: changed or cut on its way, sealed with another key, "
        "or bound to other data; discard it"
    )


def _check_size(name: str, key: Key) -> None:
    if key.size < SHORTEST_MAC_KEY:
        raise ConfigurationError(f"the MAC key {name} has {key.size} bytes: give at least {SHORTEST_MAC_KEY}")


class HmacTags:
    """H: HMAC-SHA256 (RFC 2104, FIPS 198-1), 32 bytes."""

    __slots__ = ("_keyed", "_name")
    tag_size = HMAC_TAG

    def __init__(self, name: str, key: Key) -> None:
        _check_size(name, key)
        self._name = name
        self._keyed = HMAC(key.reveal(), hashes.SHA256())

    def mac(self, data: bytes) -> bytes:
        """H_K(data)."""
        running = self._keyed.copy()
        running.update(data)
        return running.finalize()

    def check(self, data: bytes, tag: bytes) -> None:
        """Raises `TamperError` unless `tag` is H_K(data); compared in constant time."""
        running = self._keyed.copy()
        running.update(data)
        try:
            running.verify(tag)
        except InvalidSignature:
            raise _does_not_open(self._name) from None


class GmacTags:
    """H as GMAC (NIST SP 800-38D, 3): AES-GCM of nothing. A tag is nonce (12 bytes), then tag (16).

    Unlike HMAC it never gives the same tag twice. With the very key of an AES-GCM box a tag of X is
    also what sealing an empty message bound to X gives: use a key of its own, as *hardened* does.
    """

    __slots__ = ("_gcm", "_name", "_nonces")
    tag_size = NONCE + AEAD_TAG

    def __init__(self, name: str, key: Key) -> None:
        _check_size(name, key)
        self._name = name
        self._gcm = AESGCM(key.reveal())
        self._nonces = _NONCES.budget()

    def mac(self, data: bytes) -> bytes:
        """A fresh tag of `data`."""
        try:
            nonce = next(self._nonces)
        except IndexError:
            nonce = _NONCES.more()
        except StopIteration:
            raise _spent(self._name) from None
        return nonce + self._gcm.encrypt(nonce, b"", data)

    def check(self, data: bytes, tag: bytes) -> None:
        """Raises `TamperError` unless `tag` is one of `data`."""
        if len(tag) != self.tag_size:
            raise _does_not_open(self._name)
        try:
            self._gcm.decrypt(tag[:NONCE], tag[NONCE:], data)
        except InvalidTag:
            raise _does_not_open(self._name) from None


class CbcHmac(HmacTags):
    """E: AES-CBC, the IV in front. EI: encrypt, then HMAC-SHA256: (C = E_K(M), t = H_K(C)), C || t.

    Associated data A goes under the tag too, which is then over A, zeros up to a whole block, C, and
    the length of A in 8 bytes: this says where A ends, and as C alone is a multiple of 16 bytes and
    this never is, a message with associated data never passes as one without.
    """

    __slots__ = ("_aes", "_blocks", "_decryptors", "_encryptors")

    def __init__(self, name: str, encryption: Key, mac: Key) -> None:
        super().__init__(name, mac)
        self._aes = algorithms.AES(encryption.reveal())
        self._blocks = _BLOCKS.budget()
        # Contexts at rest. One that is at work in another thread is not in its list, so that no two
        # threads ever feed one context; who finds none makes one.
        self._encryptors: list[Callable[[bytes], bytes]] = []
        self._decryptors: list[Callable[[bytes], bytes]] = []

    def encrypt(self, plaintext: bytes) -> bytes:
        """E_K(plaintext): IV (16 bytes), then the padded message in whole blocks. No integrity.

        RFC 4346 (6.2.3.2 (2) b): "Generate a cryptographically strong random number R [...] and
        prepend it to the plaintext [...] the CBC residue from the previous record may be used as the
        mask". The IV is then E(R xor residue): as random as R, and known to nobody beforehand.
        """
        try:
            block = next(self._blocks)
        except IndexError:
            block = _BLOCKS.more()
        except StopIteration:
            raise _spent(self._name) from None
        try:
            update = self._encryptors.pop()
        except IndexError:
            update = Cipher(self._aes, modes.CBC(bytes(BLOCK))).encryptor().update
        ciphertext = update(b"".join((block, plaintext, _PADDING[BLOCK - len(plaintext) % BLOCK])))
        self._encryptors.append(update)
        return ciphertext

    def decrypt(self, ciphertext: bytes) -> bytes:
        """D_K(ciphertext). Raises `TamperError` where length or padding is wrong, and only then.

        Without `check` first this error is a padding oracle, and a flipped bit flips the same bit of
        the next block: `open` checks first.
        """
        if len(ciphertext) < 2 * BLOCK or len(ciphertext) % BLOCK:
            raise _does_not_open(self._name)
        try:
            update = self._decryptors.pop()
        except IndexError:
            update = Cipher(self._aes, modes.CBC(bytes(BLOCK))).decryptor().update
        # The context runs on from an earlier message: the block that comes of the IV means nothing.
        padded = update(ciphertext)
        self._decryptors.append(update)
        size = padded[-1]
        if not 1 <= size <= BLOCK or not padded.endswith(_PADDING[size]):
            raise _does_not_open(self._name)
        return padded[BLOCK:-size]

    def seal(self, plaintext: bytes, associated_data: bytes = b"") -> bytes:
        """EI of `plaintext`, bound to `associated_data`, which is not sent."""
        ciphertext = self.encrypt(plaintext)
        running = self._keyed.copy()
        running.update(_under_tag(ciphertext, associated_data) if associated_data else ciphertext)
        return ciphertext + running.finalize()

    def open(self, sealed: bytes, associated_data: bytes = b"") -> bytes:
        """The plaintext; raises `TamperError`. The tag is checked before anything is decrypted."""
        ciphertext = sealed[:-HMAC_TAG]
        running = self._keyed.copy()
        running.update(_under_tag(ciphertext, associated_data) if associated_data else ciphertext)
        try:
            running.verify(sealed[-HMAC_TAG:])
        except InvalidSignature:
            raise _does_not_open(self._name) from None
        return self.decrypt(ciphertext)


def _under_tag(ciphertext: bytes, associated_data: bytes) -> bytes:
    size = len(associated_data)
    return b"".join((associated_data, _ZEROS[-size % BLOCK], ciphertext, size.to_bytes(8, "big")))


class AeadCalls(NamedTuple):
    """What an `Aead` is made of: for a hot path that does more around a call, in one frame of Python."""

    encrypt: Callable[[bytes, bytes, bytes], bytes]
    """(nonce, plaintext, associated data) -> ciphertext and tag."""
    decrypt: Callable[[bytes, bytes, bytes], bytes]
    """(nonce, ciphertext and tag, associated data) -> plaintext; raises `InvalidTag`."""
    nonces: Iterator[bytes]
    """The only source of nonces for `encrypt`. Where it raises, `Aead.seal` gets more, or says why not; one
    message of the key's limit is lost then."""


class Aead:
    """EI as one call of an AEAD (RFC 5116): nonce (12 bytes), ciphertext, tag (16 bytes)."""

    __slots__ = ("_decrypt", "_encrypt", "_name", "_nonces")

    def __init__(self, name: str, cipher: AESGCM | ChaCha20Poly1305) -> None:
        self._name = name
        self._encrypt = cipher.encrypt
        self._decrypt = cipher.decrypt
        self._nonces = _NONCES.budget()

    def seal(self, plaintext: bytes, associated_data: bytes = b"") -> bytes:
        """EI of `plaintext`, bound to `associated_data`, which is not sent."""
        try:
            nonce = next(self._nonces)
        except IndexError:
            nonce = _NONCES.more()
        except StopIteration:
            raise _spent(self._name) from None
        return nonce + self._encrypt(nonce, plaintext, associated_data)

    def open(self, sealed: bytes, associated_data: bytes = b"") -> bytes:
        """The plaintext; raises `TamperError`."""
        if len(sealed) < NONCE + AEAD_TAG:
            raise _does_not_open(self._name)
        try:
            return self._decrypt(sealed[:NONCE], sealed[NONCE:], associated_data)
        except InvalidTag:
            raise _does_not_open(self._name) from None

    @property
    def calls(self) -> AeadCalls:
        """What `seal` and `open` are made of."""
        return AeadCalls(self._encrypt, self._decrypt, self._nonces)

    def encrypt(self, plaintext: bytes) -> bytes:
        """Raises `ConfigurationError`: an AEAD has no E without integrity."""
        raise ConfigurationError(f"{self._name}: an AEAD never encrypts without integrity; use seal")

    def decrypt(self, ciphertext: bytes) -> bytes:
        """Raises `ConfigurationError`: an AEAD has no D without integrity."""
        raise ConfigurationError(f"{self._name}: an AEAD never decrypts without integrity; use open")
