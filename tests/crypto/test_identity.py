"""Signatures and certificates: what is accepted, and one test for each reason to refuse."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from mqttsec.crypto import (
    SIGNATURES,
    CertificateAuthority,
    Identity,
    Operations,
    Signing,
    TrustAnchor,
)
from mqttsec.crypto import signature as named
from mqttsec.crypto.identity import DAY, SKEW
from mqttsec.crypto.signing import signing_of
from mqttsec.errors import AuthenticationError, ConfigurationError, HandshakeError
from tests.crypto import known_answers
from tests.crypto.known_answers import Signature

EVERY = pytest.mark.parametrize("signing", SIGNATURES.values(), ids=SIGNATURES)
NOW = 1_800_000_000.0
"""In January 2027."""


def authority(
    signing: Signing = SIGNATURES["ECDSA"], name: str = "Course CA", now: float = NOW
) -> CertificateAuthority:
    return CertificateAuthority(name, signing, clock=lambda: now)


def certificate_by(
    ca: CertificateAuthority,
    *,
    names: tuple[str, ...] = ("P",),
    public: Any = None,
    constraints: x509.BasicConstraints | None = None,
    signs: bool = True,
    usage: bool = True,
    extra: x509.ExtensionType | None = None,
    issuer: str | None = None,
) -> bytes:
    """A certificate as our CA would not make it, signed with its key all the same."""
    builder = x509.CertificateBuilder(
        issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer or ca.name)]),
        subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names]),
        public_key=public or ec.generate_private_key(ec.SECP256R1()).public_key(),
        serial_number=1,
        not_valid_before=datetime.fromtimestamp(NOW - DAY, timezone.utc),
        not_valid_after=datetime.fromtimestamp(NOW + DAY, timezone.utc),
    )
    builder = builder.add_extension(constraints or x509.BasicConstraints(False, None), critical=True)
    if usage:
        flags = x509.KeyUsage(signs, False, False, False, not signs, False, False, False, False)
        builder = builder.add_extension(flags, critical=True)
    if extra is not None:
        builder = builder.add_extension(extra, critical=True)
    return builder.sign(ca.private_key, hashes.SHA256()).public_bytes(Encoding.DER)


# -- signatures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", known_answers.SIGNED, ids=lambda answer: answer.source)
def test_a_signature_of_the_standard_fits(answer: Signature) -> None:
    signing = SIGNATURES[answer.algorithm]
    public: Any
    if answer.algorithm == "ECDSA":
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), answer.public)
    else:
        public = ed25519.Ed25519PublicKey.from_public_bytes(answer.public)
    assert signing.fits(public, answer.signature, answer.data)
    assert not signing.fits(public, answer.signature, answer.data + b"\0")


@EVERY
@given(data=st.binary(max_size=100))
def test_a_signature_fits_and_always_has_the_same_size(signing: Signing, data: bytes) -> None:
    private = signing.new_private()
    signature = signing.sign(private, data)
    assert len(signature) == signing.signature_size
    assert signing.fits(private.public_key(), signature, data)
    assert not signing.fits(signing.new_private().public_key(), signature, data)


@EVERY
def test_one_bit_of_any_byte_of_a_signature_is_noticed(signing: Signing) -> None:
    private = signing.new_private()
    public, signature = private.public_key(), signing.sign(private, b"R_P, T_P")
    for at in range(len(signature)):
        damaged = signature[:at] + bytes((signature[at] ^ 1 << at % 8,)) + signature[at + 1 :]
        assert not signing.fits(public, damaged, b"R_P, T_P")
    padded = signature[:32] + b"\0" + signature[32:]
    for wrong in (b"", signature[:-1], signature + b"\0", padded, bytes(64), b"\xff" * 64):
        assert not signing.fits(public, wrong, b"R_P, T_P")


def test_keys_of_other_kinds_belong_to_no_algorithm() -> None:
    with pytest.raises(ConfigurationError, match="ECDSA or Ed25519"):
        signing_of(ec.generate_private_key(ec.SECP384R1()).public_key())
    with pytest.raises(ConfigurationError, match="ECDSA, Ed25519"):
        named("RSA")


# -- accepted ------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("of_ca", SIGNATURES.values(), ids=SIGNATURES)
def test_a_party_shows_its_certificate_and_signs(signing: Signing, of_ca: Signing) -> None:
    ca = authority(of_ca)
    p = ca.issue("P", signing)
    peer = ca.trust.check(p.certificate, "P", NOW)
    assert (peer.name, peer.signing, peer.certificate) == ("P", signing, p.certificate)
    peer.verify(p.sign(b"R_P, T_P"), b"R_P, T_P")


@EVERY
def test_sizes_are_the_same_in_every_run(signing: Signing) -> None:
    """A lab shows packets with certificates in them: their lengths must not change from run to run."""
    runs = [authority(signing) for _ in range(4)]
    assert len({len(ca.trust.certificate.public_bytes(Encoding.DER)) for ca in runs}) == 1
    sizes = {len(ca.issue("weather-station").certificate) for ca in runs for _ in range(5)}
    assert len(sizes) == 1
    assert len({ca.issue("P").certificate for ca in runs for _ in range(5)}) == 20


def test_names_are_any_that_mqtt_has_up_to_64_characters() -> None:
    ca = authority()
    for name in ("Ä", "x" * 64, "sensor/7 ☂", "a,CN=B"):
        assert ca.trust.check(ca.issue(name).certificate, name, NOW).name == name
    for name in ("", "x" * 65):
        with pytest.raises(ConfigurationError, match="1 to 64 characters"):
            ca.issue(name)


def test_work_is_counted_also_when_it_ends_in_a_refusal() -> None:
    ca, operations = authority(), Operations("B")
    p = ca.issue("P")
    peer = ca.trust.check(p.certificate, "P", NOW, operations)
    peer.verify(p.sign(b"R", operations), b"R", operations)
    assert str(operations.tally) == "1 sign + 1 verify + 1 certificate check"
    with pytest.raises(HandshakeError):
        peer.verify(bytes(64), b"R", operations)
    with pytest.raises(HandshakeError):
        ca.trust.check(b"", "P", NOW, operations)
    assert str(operations.tally) == "1 sign + 2 verify + 2 certificate check"


# -- refused -------------------------------------------------------------------------------------------


def refused(trust: TrustAnchor, certificate: bytes, subject: str = "P", now: float = NOW) -> str:
    with pytest.raises(HandshakeError) as caught:
        trust.check(certificate, subject, now)
    assert caught.value.reason_code == 0x87
    assert isinstance(caught.value, AuthenticationError), "a broker refuses the connection by itself"
    return str(caught.value)


def test_the_certificate_of_another_ca_is_refused() -> None:
    stranger = authority(name="Another CA").issue("P").certificate
    assert "P is not from Course CA" in refused(authority().trust, stranger)


def test_a_ca_of_the_same_name_is_not_the_same_ca() -> None:
    assert "P is not from Course CA" in refused(authority().trust, authority().issue("P").certificate)


def test_a_certificate_signed_by_itself_or_by_a_party_is_refused() -> None:
    ca = authority()
    mallory = ca.issue("Mallory")
    party = CertificateAuthority("Mallory", clock=lambda: NOW)
    party._private = mallory.private_key
    assert "is not from" in refused(ca.trust, party.issue("P").certificate)
    assert "is not from" in refused(
        ca.trust, authority(name="P").trust.certificate.public_bytes(Encoding.DER)
    )


def test_somebody_else_s_certificate_is_refused() -> None:
    ca = authority()
    assert "P belongs to 'Mallory'" in refused(ca.trust, ca.issue("Mallory").certificate)


def test_a_certificate_is_valid_between_its_two_moments() -> None:
    ca = authority()
    certificate = ca.issue("P", starts=NOW + 10, lasts=100).certificate
    for now in (NOW + 10, NOW + 60, NOW + 110):
        ca.trust.check(certificate, "P", now)
    assert "not yet valid" in refused(ca.trust, certificate, now=NOW + 9)
    assert "has run out" in refused(ca.trust, certificate, now=NOW + 111)
    fresh = ca.issue("P").certificate
    ca.trust.check(fresh, "P", NOW - SKEW)
    assert "not yet valid" in refused(ca.trust, fresh, now=NOW - SKEW - 1)


def test_a_ca_that_has_run_out_vouches_for_nobody() -> None:
    ca = CertificateAuthority(clock=lambda: NOW, lasts=10 * DAY)
    certificate = ca.issue("P", lasts=100 * DAY).certificate
    ca.trust.check(certificate, "P", NOW + 9 * DAY)
    assert "Course CA has run out" in refused(ca.trust, certificate, now=NOW + 11 * DAY)


def test_time_may_begin_at_zero_as_on_a_virtual_clock() -> None:
    ca = authority(now=0.0)
    ca.trust.check(ca.issue("P").certificate, "P", 0.0)


def test_certificates_for_other_uses_are_refused() -> None:
    ca = authority()
    ca.trust.check(certificate_by(ca), "P", NOW)
    assert "not for signing" in refused(
        ca.trust, certificate_by(ca, constraints=x509.BasicConstraints(True, 0))
    )
    assert "not for signing" in refused(ca.trust, certificate_by(ca, signs=False))
    assert "cannot be read" in refused(ca.trust, certificate_by(ca, usage=False))
    assert "not for signing" in refused(ca.trust, ca.trust.certificate.public_bytes(Encoding.DER), ca.name)


def test_a_critical_extension_that_nobody_knows_is_refused() -> None:
    """RFC 5280 (4.2): "MUST reject [it] if it encounters a critical extension it does not recognize"."""
    ca = authority()
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert "critical extension" in refused(ca.trust, certificate_by(ca, extra=unknown))


def test_two_names_or_none_are_no_name() -> None:
    ca = authority()
    assert "belongs to None" in refused(ca.trust, certificate_by(ca, names=("P", "Mallory")))
    assert "belongs to None" in refused(ca.trust, certificate_by(ca, names=()))


def test_an_issuer_s_name_without_its_signature_and_the_reverse_are_refused() -> None:
    ca = authority()
    assert "is not from" in refused(ca.trust, certificate_by(ca, issuer="Another CA"))


def test_a_key_of_another_kind_is_refused() -> None:
    ca = authority()
    public = ec.generate_private_key(ec.SECP384R1()).public_key()
    assert "does not serve" in refused(ca.trust, certificate_by(ca, public=public))


@EVERY
def test_one_bit_of_any_byte_of_a_certificate_is_noticed(signing: Signing) -> None:
    ca = authority(signing)
    certificate = ca.issue("P").certificate
    for at in range(len(certificate)):
        refused(ca.trust, certificate[:at] + bytes((certificate[at] ^ 1 << at % 8,)) + certificate[at + 1 :])
    for size in range(0, len(certificate), 7):
        refused(ca.trust, certificate[:size])
    refused(ca.trust, certificate + b"\0")
    ca.trust.check(certificate, "P", NOW)


@given(st.binary(max_size=300))
def test_bytes_that_are_no_certificate_are_refused(data: bytes) -> None:
    with pytest.raises(HandshakeError, match="cannot be read as a certificate"):
        _TRUST.check(data, "P", NOW)


_TRUST = authority().trust


def test_the_signature_of_another_or_of_something_else_is_refused() -> None:
    ca = authority()
    p: Identity = ca.issue("P")
    peer = ca.trust.check(p.certificate, "P", NOW)
    for signature, data in ((p.sign(b"R_P"), b"R_X"), (ca.issue("P").sign(b"R_P"), b"R_P"), (b"", b"R_P")):
        with pytest.raises(HandshakeError, match="the signature of P does not fit"):
            peer.verify(signature, data)


def test_an_error_says_where_it_happened_once_that_is_known() -> None:
    with pytest.raises(HandshakeError) as caught:
        try:
            _TRUST.check(b"", "P", NOW)
        except HandshakeError as error:
            raise error.at("B", "step 2") from None
    assert str(caught.value).startswith("B, step 2: what P showed cannot be read")
    assert (caught.value.party, caught.value.step) == ("B", "step 2")


@EVERY
def test_a_certificate_has_one_encoding(signing: Signing) -> None:
    """The byte before the signature counts bits to leave out; where the last is 0, that changes nothing."""
    maker = authority(signing)
    even = next(der for der in iter(lambda: maker.issue("alice").certificate, None) if not der[-1] & 1)
    maker.trust.check(even, "alice", NOW)
    at = len(even) - 1 - len(x509.load_der_x509_certificate(even).signature)
    second = even[:at] + b"\x01" + even[at + 1 :]
    as_before = x509.load_der_x509_certificate(even).signature
    assert x509.load_der_x509_certificate(second).signature == as_before
    with pytest.raises(HandshakeError, match="not encoded as it was signed"):
        maker.trust.check(second, "alice", NOW)
