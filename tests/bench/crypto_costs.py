"""What the primitives cost and what keeping them warm saves: `python -m tests.bench.crypto_costs`.

Microseconds a call, the least of several rounds, so that another program's turn on the core does not
count; `naive` makes the objects of `cryptography` anew for each message, as its manual shows.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial

from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hmac import HMAC

from mqttsec.crypto import CURVES, SIGNATURES, SUITES, CertificateAuthority, Key, Operations, Purpose, SealKey

ROUNDS = 9
SIZES = (64, 1024, 65536)
"""Bytes of a message."""


def cost(function: Callable[..., object], *arguments: object) -> float:
    """Microseconds that one call takes at best; a round lasts about 10 ms."""
    call = partial(function, *arguments)
    start = time.perf_counter()
    call()
    calls = max(3, min(5000, int(0.01 / (time.perf_counter() - start))))
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        best = min(best, (time.perf_counter() - start) / calls)
    return best * 1e6


def naive_seal(name: str, key: bytes, plaintext: bytes) -> bytes:
    """As the manual of `cryptography` shows it."""
    if name == "paper":
        padder = padding.PKCS7(128).padder()
        iv = os.urandom(16)
        encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
        padded = padder.update(plaintext) + padder.finalize()
        ciphertext = iv + encryptor.update(padded) + encryptor.finalize()
        running = HMAC(key, hashes.SHA256())
        running.update(ciphertext)
        return ciphertext + running.finalize()
    nonce = os.urandom(12)
    cipher = ChaCha20Poly1305(key) if name == "chacha20" else AESGCM(key)
    return nonce + cipher.encrypt(nonce, plaintext, None)


def symmetric() -> None:
    print(f"{'suite':14}{'bytes':>7}{'seal':>9}{'open':>9}{'mac':>9}{'counted':>9}{'naive':>9}  naive / seal")
    for suite in SUITES.values():
        secret = os.urandom(suite.encryption_key_size)
        key = SealKey.single(Key("K", Purpose.ENCRYPTION_AND_MAC, secret))
        box, counted = suite.box(key), suite.box(key, Operations())
        for size in SIZES:
            message = os.urandom(size)
            sealed = box.seal(message)
            figures = [
                cost(box.seal, message),
                cost(box.open, sealed),
                cost(box.mac, message),
                cost(counted.seal, message),
                cost(naive_seal, suite.name, secret, message),
            ]
            row = "".join(f"{figure:9.2f}" for figure in figures)
            print(f"{suite.name:14}{size:7}{row}{figures[-1] / figures[0]:14.1f}")


def asymmetric() -> None:
    for curve in CURVES.values():
        one, two = curve.generate(), curve.generate().public
        figures = cost(curve.generate), cost(one.agree, two, "K")
        print(f"{curve.name:14}generate {figures[0]:7.1f}   agree {figures[1]:7.1f}")
    for signing in SIGNATURES.values():
        ca = CertificateAuthority(signing=signing)
        party, now, data = ca.issue("P"), time.time(), os.urandom(300)
        peer, signature = ca.trust.check(party.certificate, "P", now), party.sign(data)
        print(
            f"{signing.name:14}sign {cost(party.sign, data):7.1f}   "
            f"verify {cost(peer.verify, signature, data):7.1f}   "
            f"certificate check {cost(ca.trust.check, party.certificate, 'P', now):7.1f}   "
            f"issue {cost(ca.issue, 'P'):7.1f}   certificate {len(party.certificate)} bytes"
        )


if __name__ == "__main__":
    symmetric()
    asymmetric()
