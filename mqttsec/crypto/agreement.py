"""Ephemeral Diffie-Hellman: r, R = r*G and the shared secret r*R' of specification 1.2.

A curve is a row of `CURVES`. Public keys have one fixed size on the wire, so that a handshake has the
same sizes in every run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mqttsec.crypto.keys import Key, Purpose
from mqttsec.crypto.operations import Operation, Operations
from mqttsec.errors import ConfigurationError, HandshakeError


@dataclass(frozen=True)
class Curve:
    """One row of `CURVES`."""

    name: str
    """As a user asks for it: `P-256`."""
    public_size: int
    """Bytes of a public key on the wire."""
    secret_size: int
    """Bytes of a shared secret."""
    new_private: Callable[[], Any] = field(repr=False)
    """A fresh private key of `cryptography`."""
    encode: Callable[[Any], bytes] = field(repr=False)
    """The public key of a private key, on the wire."""
    exchange: Callable[[Any, bytes], bytes] = field(repr=False)
    """exchange(private, public): the shared secret; ValueError for a public key it must not use."""

    def generate(self, operations: Operations | None = None) -> Ephemeral:
        """A fresh ephemeral key pair."""
        private = self.new_private()
        if operations is not None:
            operations.add((Operation.KEY_GENERATION,))
        return Ephemeral(self, private, self.encode(private))


class Ephemeral:
    """An ephemeral key pair (r, R). Shows R only; forgotten by dropping it, as is right after use."""

    __slots__ = ("_curve", "_private", "_public")

    def __init__(self, curve: Curve, private: Any, public: bytes) -> None:
        self._curve = curve
        self._private = private
        self._public = public

    @property
    def curve(self) -> Curve:
        """The curve it is on."""
        return self._curve

    @property
    def public(self) -> bytes:
        """R, as it goes on the wire: `curve.public_size` bytes."""
        return self._public

    def agree(self, peer: bytes, name: str, operations: Operations | None = None) -> Key:
        """The shared secret with the owner of the public key `peer`; it is for the key schedule only.

        `name` is that of the key to come, K_PB. Raises `HandshakeError` for what is no public key of
        this curve: of the wrong size, not on the curve, or (X25519) of small order.
        """
        curve = self._curve
        if len(peer) != curve.public_size:
            raise HandshakeError(
                f"the ephemeral key for {name} has {len(peer)} bytes, a public key of {curve.name} has "
                f"{curve.public_size}: use the same curve at both ends"
            )
        try:
            secret = Key(name, Purpose.SHARED_SECRET, curve.exchange(self._private, peer))
        except ValueError:
            raise HandshakeError(
                f"the ephemeral key for {name} is no valid public key of {curve.name}: changed on its way, "
                "or chosen to make the secret predictable; begin a new handshake"
            ) from None
        if operations is not None:
            operations.add((Operation.ECDH,))
        return secret

    def __repr__(self) -> str:
        return f"<ephemeral key pair, {self._curve.name}, R = {self._public.hex()}>"

    def __copy__(self) -> Ephemeral:
        return self

    def __deepcopy__(self, memo: object) -> Ephemeral:
        return self

    def __reduce__(self) -> NoReturn:
        raise ConfigurationError("an ephemeral key pair does not leave this process")


# -- P-256 -----------------------------------------------------------------------------------------

_P256 = ec.SECP256R1()


def _new_p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(_P256)


def _encode_p256(private: ec.EllipticCurvePrivateKey) -> bytes:
    # Uncompressed, as TLS 1.3 sends it (RFC 8446, 4.2.8.2): no square root to take at the other end.
    return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _exchange_p256(private: ec.EllipticCurvePrivateKey, peer: bytes) -> bytes:
    # SEC 1 (3.2.2): a point that is not on the curve is refused here, before it meets the secret.
    return private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(_P256, peer))


# -- X25519 ----------------------------------------------------------------------------------------


def _encode_x25519(private: x25519.X25519PrivateKey) -> bytes:
    return private.public_key().public_bytes_raw()


def _exchange_x25519(private: x25519.X25519PrivateKey, peer: bytes) -> bytes:
    # RFC 7748 (6.1): "MAY check [...] whether the resulting shared K is the all-zero value"; this does.
    return private.exchange(x25519.X25519PublicKey.from_public_bytes(peer))


CURVES = {
    curve.name: curve
    for curve in (
        Curve("P-256", 65, 32, _new_p256, _encode_p256, _exchange_p256),
        Curve("X25519", 32, 32, x25519.X25519PrivateKey.generate, _encode_x25519, _exchange_x25519),
    )
}
"""P-256 (SEC 1, NIST SP 800-56A), the default, as in the paper; X25519 (RFC 7748)."""


def curve(name: str) -> Curve:
    """The curve of that name. Raises `ConfigurationError` with the names there are."""
    try:
        return CURVES[name]
    except KeyError:
        raise ConfigurationError(f"no curve {name!r}: take one of {', '.join(CURVES)}") from None
