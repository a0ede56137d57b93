"""Ephemeral Diffie-Hellman: the standards' answers, both ends agree, and bad points are refused."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from mqttsec.crypto import CURVES, Curve, Ephemeral, Operations, Purpose
from mqttsec.crypto import curve as named
from mqttsec.errors import ConfigurationError, HandshakeError
from tests.crypto import known_answers
from tests.crypto.known_answers import Agreement

EVERY = pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)


@pytest.mark.parametrize("answer", known_answers.AGREEMENTS, ids=lambda answer: answer.source)
def test_the_secret_is_that_of_the_standard(answer: Agreement) -> None:
    private: object
    if answer.curve == "P-256":
        private = ec.derive_private_key(int.from_bytes(answer.private, "big"), ec.SECP256R1())
    else:
        private = x25519.X25519PrivateKey.from_private_bytes(answer.private)
    curve = CURVES[answer.curve]
    pair = Ephemeral(curve, private, curve.encode(private))
    assert pair.public == answer.public
    assert pair.agree(answer.peer, "K").reveal() == answer.secret


@EVERY
def test_both_ends_agree_and_others_do_not(curve: Curve) -> None:
    p, b, other = (curve.generate() for _ in range(3))
    k_pb = p.agree(b.public, "K_PB")
    assert k_pb == b.agree(p.public, "K_PB")
    assert k_pb.purpose is Purpose.SHARED_SECRET
    assert k_pb.size == curve.secret_size
    assert k_pb != other.agree(b.public, "K_PB")
    assert k_pb != p.agree(other.public, "K_PB")


@EVERY
def test_public_keys_are_fresh_and_have_one_size(curve: Curve) -> None:
    publics = {curve.generate().public for _ in range(100)}
    assert len(publics) == 100
    assert {len(public) for public in publics} == {curve.public_size}


@EVERY
def test_generation_and_agreement_are_counted(curve: Curve) -> None:
    operations = Operations("P")
    peer = curve.generate()
    pair = curve.generate(operations)
    pair.agree(peer.public, "K", operations)
    with pytest.raises(HandshakeError):
        pair.agree(b"", "K", operations)
    assert str(operations.tally) == "1 key generation + 1 ECDH"


@EVERY
def test_a_public_key_of_the_wrong_size_is_refused(curve: Curve) -> None:
    pair, peer = curve.generate(), curve.generate().public
    for wrong in (b"", peer[:-1], peer + b"\0"):
        with pytest.raises(HandshakeError, match=f"K_PB has {len(wrong)} bytes.*same curve"):
            pair.agree(wrong, "K_PB")


def test_a_point_off_the_curve_is_refused() -> None:
    """Invalid-curve attack: on a weaker curve the secret would give r away bit by bit."""
    pair, good = CURVES["P-256"].generate(), CURVES["P-256"].generate().public
    infinity = bytes(65)
    origin = b"\x04" + bytes(64)
    flipped = [good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :] for at in range(65)]
    for wrong in (infinity, origin, b"\x04" + b"\xff" * 64, *flipped):
        with pytest.raises(HandshakeError, match="no valid public key of P-256"):
            pair.agree(wrong, "K_PB")


@pytest.mark.parametrize(
    "point",
    [
        bytes(32),
        b"\x01" + bytes(31),
        bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    ],
    ids=lambda point: point.hex()[:6],
)
def test_a_point_of_small_order_is_refused(point: bytes) -> None:
    """RFC 7748, 6.1 and 7: the secret would be zero whatever r is, and everybody would know it."""
    with pytest.raises(HandshakeError, match="predictable"):
        CURVES["X25519"].generate().agree(point, "K_PB")


def test_random_bytes_are_no_point() -> None:
    pair = CURVES["P-256"].generate()
    for _ in range(50):
        with pytest.raises(HandshakeError):
            pair.agree(b"\x04" + os.urandom(64), "K_PB")


def test_an_unknown_curve_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ConfigurationError, match="P-256, X25519"):
        named("P-521")
