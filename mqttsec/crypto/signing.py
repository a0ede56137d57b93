"""Long-term signatures: ECDSA on P-256 as in the paper, and Ed25519; each a row of `SIGNATURES`.

Every signature has one fixed size. ECDSA's usual encoding (DER) has 70, 71 or 72 bytes by chance; we
send r and s as 32 bytes each (IEEE P1363, as RFC 7518, 3.4, does), so that a packet has the same length
in every run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from mqttsec.errors import ConfigurationError


@dataclass(frozen=True)
class Signing:
    """One row of `SIGNATURES`."""

    name: str
    """As a user asks for it: `ECDSA`."""
    signature_size: int
    """Bytes of a signature on the wire."""
    new_private: Callable[[], Any] = field(repr=False)
    """A fresh private key of `cryptography`."""
    owns: Callable[[object], bool] = field(repr=False)
    """Whether a public key of `cryptography` is one of this row."""
    sign: Callable[[Any, bytes], bytes] = field(repr=False)
    """sign(private, data): the signature, `signature_size` bytes."""
    fits: Callable[[Any, bytes, bytes], bool] = field(repr=False)
    """fits(public, signature, data): whether the signature is one of the data."""
    certificate_hash: hashes.HashAlgorithm | None = field(repr=False)
    """The hash of a certificate's signature, None where the algorithm has its own."""
    certificate_signature_size: int = field(repr=False)
    """Bytes of a certificate's signature as we make it; see `identity`."""


# -- ECDSA with SHA-256 on P-256 ---------------------------------------------------------------------

_SHA256 = hashes.SHA256()
_ECDSA = ec.ECDSA(_SHA256)
_HALF = 32


def _new_ecdsa() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _owns_ecdsa(public: object) -> bool:
    return isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1)


def _sign_ecdsa(private: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    r, s = decode_dss_signature(private.sign(data, _ECDSA))
    return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")


def _fits_ecdsa(public: ec.EllipticCurvePublicKey, signature: bytes, data: bytes) -> bool:
    if len(signature) != 2 * _HALF:
        return False
    r, s = int.from_bytes(signature[:_HALF], "big"), int.from_bytes(signature[_HALF:], "big")
    try:
        public.verify(encode_dss_signature(r, s), data, _ECDSA)
    except InvalidSignature:
        return False
    return True


# -- Ed25519 -----------------------------------------------------------------------------------------


def _owns_ed25519(public: object) -> bool:
    return isinstance(public, ed25519.Ed25519PublicKey)


def _sign_ed25519(private: ed25519.Ed25519PrivateKey, data: bytes) -> bytes:
    return private.sign(data)


def _fits_ed25519(public: ed25519.Ed25519PublicKey, signature: bytes, data: bytes) -> bool:
    try:
        public.verify(signature, data)
    except InvalidSignature:
        return False
    return True


SIGNATURES = {
    signing.name: signing
    for signing in (
        Signing("ECDSA", 64, _new_ecdsa, _owns_ecdsa, _sign_ecdsa, _fits_ecdsa, _SHA256, 71),
        Signing(
            "Ed25519",
            64,
            ed25519.Ed25519PrivateKey.generate,
            _owns_ed25519,
            _sign_ed25519,
            _fits_ed25519,
            None,
            64,
        ),
    )
}
"""ECDSA with SHA-256 on P-256 (FIPS 186-5), the default, as in the paper; Ed25519 (RFC 8032)."""


def signature(name: str) -> Signing:
    """The signature algorithm of that name. Raises `ConfigurationError` with the names there are."""
    try:
        return SIGNATURES[name]
    except KeyError:
        raise ConfigurationError(
            f"no signature algorithm {name!r}: take one of {', '.join(SIGNATURES)}"
        ) from None


def signing_of(public: object) -> Signing:
    """The row that a public key belongs to. Raises `ConfigurationError` if there is none."""
    for row in SIGNATURES.values():
        if row.owns(public):
            return row
    raise ConfigurationError(
        f"a key of a kind that is not used here: take one for {' or '.join(SIGNATURES)} (ECDSA on P-256)"
    )
