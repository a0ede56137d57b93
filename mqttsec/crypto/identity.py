"""Who is who: the course CA, certificates for P, B and S_i, and the check of a peer's (specification 1.1).

Certificates are X.509 (RFC 5280), made on the fly: names are the same in every run, keys never are. So
are sizes: the serial number always has 20 bytes, and the CA signs until its ECDSA signature has the
usual 71 bytes in DER, twice on average, so that a lab's packets are as long today as tomorrow.

There is one CA and nothing between it and a party; nothing is revoked; what runs out is refused by the
clock that the caller passes.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NoReturn

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from mqttsec.crypto.operations import Operation, Operations
from mqttsec.crypto.signing import SIGNATURES, Signing, signing_of
from mqttsec.errors import ConfigurationError, HandshakeError

COURSE_CA = "Course CA"
"""The name of the CA that a lab makes."""

DAY = 86_400.0
"""Seconds."""
SKEW = 300.0
"""Seconds that a certificate is valid before it was made: clocks differ."""
LONGEST_NAME = 64
"""Characters of a Common Name (RFC 5280, A.1, ub-common-name), so of a client identifier with one."""

_KNOWN_EXTENSIONS = {ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE}

_NOT_A_CERTIFICATE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    x509.InvalidVersion,
)
"""What `cryptography` raises for bytes that are no certificate, at the first touch of the wrong part."""


@dataclass(frozen=True)
class Identity:
    """A party with its long-term key pair: SK_X, PK_X and Cert_X of the paper. Shows its name only."""

    name: str
    """The subject of the certificate: the Client Identifier, or the broker's name."""
    signing: Signing
    """The signature algorithm of its key."""
    certificate: bytes = field(repr=False)
    """Cert_X in DER, as it goes on the wire."""
    private_key: Any = field(repr=False, compare=False)
    """SK_X, a private key object of `cryptography`, which neither shows nor pickles."""

    def sign(self, data: bytes, operations: Operations | None = None) -> bytes:
        """Sig_X(data), `signing.signature_size` bytes."""
        if operations is not None:
            operations.add((Operation.SIGN,))
        return self.signing.sign(self.private_key, data)

    def __reduce__(self) -> NoReturn:
        raise ConfigurationError(
            f"the identity {self.name} is not pickled: `write_identity` writes it to files"
        )


@dataclass(frozen=True)
class Peer:
    """A party whose certificate was found right: from here on its public key may be believed."""

    name: str
    """The subject of the certificate."""
    signing: Signing
    """The signature algorithm of its key."""
    certificate: bytes = field(repr=False)
    """Cert_X in DER."""
    public_key: Any = field(repr=False, compare=False)
    """PK_X, a public key object of `cryptography`."""

    def verify(self, signature: bytes, data: bytes, operations: Operations | None = None) -> None:
        """Raises `HandshakeError` unless `signature` is Sig_X(data)."""
        if operations is not None:
            operations.add((Operation.VERIFY,))
        if not self.signing.fits(self.public_key, signature, data):
            raise HandshakeError(
                f"the signature of {self.name} does not fit what it should cover: changed on its way, or "
                "made by somebody else or for another message; end the handshake"
            )


@dataclass(frozen=True)
class TrustAnchor:
    """The CA's certificate, which everybody has: checks those of others."""

    certificate: x509.Certificate = field(repr=False)
    """The CA's own."""

    @property
    def name(self) -> str:
        """The CA's name."""
        return common_name(self.certificate) or self.certificate.subject.rfc4514_string()

    def check(
        self, certificate: bytes, subject: str, now: float, operations: Operations | None = None
    ) -> Peer:
        """The party `subject`, if `certificate` (DER) is really its own at the time `now`.

        `now` is in seconds since 1970 (UTC). Checks, as RFC 5280 (6.1) for a path of one: issuer and
        its signature, validity of both certificates, the subject, the key's kind and permitted use, no
        critical extension that nobody here understands. Raises `HandshakeError` for the first wrong.
        """
        if operations is not None:
            operations.add((Operation.CERTIFICATE_CHECK,))
        try:
            return self._check(certificate, subject, now)
        except _NOT_A_CERTIFICATE:
            raise HandshakeError(
                f"what {subject} showed cannot be read as a certificate: changed on its way, or of a kind "
                "not used here; end the handshake"
            ) from None

    def _check(self, der: bytes, subject: str, now: float) -> Peer:
        certificate = x509.load_der_x509_certificate(der)
        # The signature is a BIT STRING, whose first byte counts bits to leave out at its end. To leave out
        # one that is 0 changes nothing but the encoding, and a certificate is to have only one.
        if der[-1 - len(certificate.signature)]:
            raise _refused(subject, "is not encoded as it was signed", "show it as the CA made it")
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            raise _refused(subject, f"is not from {self.name}", "ask for one of that CA") from None
        _check_time(certificate, subject, now)
        _check_time(self.certificate, self.name, now)
        name = common_name(certificate)
        if name != subject:
            raise _refused(subject, f"belongs to {name!r}", "a party must show its own")
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        if constraints.ca or not usage.digital_signature:
            raise _refused(subject, "is not for signing handshakes", "use that of a party, not of a CA")
        if any(entry.critical and entry.oid not in _KNOWN_EXTENSIONS for entry in certificate.extensions):
            raise _refused(subject, "has a critical extension unknown here", "make it without")
        public = certificate.public_key()
        try:
            return Peer(subject, signing_of(public), der, public)
        except ConfigurationError as error:
            raise _refused(subject, "does not serve", str(error)) from None


def _refused(subject: str, wrong: str, advice: str) -> HandshakeError:
    return HandshakeError(f"the certificate of {subject} {wrong}: {advice}")


def _check_time(certificate: x509.Certificate, subject: str, now: float) -> None:
    if now < certificate.not_valid_before_utc.timestamp():
        raise _refused(subject, "is not yet valid", "set the clocks right, or wait")
    # RFC 5280 (4.1.2.5): valid "through notAfter, inclusive".
    if now > certificate.not_valid_after_utc.timestamp():
        raise _refused(subject, "has run out", "make a new one, or set the clocks right")


def common_name(certificate: x509.Certificate) -> str | None:
    """The subject's only Common Name, None if it has none or several."""
    values = [
        attribute.value for attribute in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    ]
    return str(values[0]) if len(values) == 1 else None


class CertificateAuthority:
    """A CA that makes certificates on the fly. Its key is fresh each time and shows nowhere."""

    def __init__(
        self,
        name: str = COURSE_CA,
        signing: Signing = SIGNATURES["ECDSA"],
        clock: Callable[[], float] = time.time,
        lasts: float = 365 * DAY,
    ) -> None:
        """`clock` gives seconds since 1970 (UTC); `lasts` is in seconds."""
        self.name = name
        """Issuer of its certificates, and subject of its own."""
        self.signing = signing
        """Its own signature algorithm; parties may use another."""
        self._clock = clock
        self._private = signing.new_private()
        now = clock()
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        builder = _builder(name, name, self._private.public_key(), now - SKEW, now + lasts)
        builder = builder.add_extension(constraints, critical=True)
        self._certificate = self._signed(builder.add_extension(_usage(for_ca=True), critical=True))

    @classmethod
    def of(
        cls, certificate: x509.Certificate, private_key: Any, clock: Callable[[], float] = time.time
    ) -> CertificateAuthority:
        """A CA that was made earlier. Raises `ConfigurationError` if key and certificate are not one pair."""
        authority = cls.__new__(cls)
        authority.signing = signing_of(certificate.public_key())
        if private_key.public_key() != certificate.public_key():
            raise ConfigurationError("this private key does not belong to this CA certificate: load its own")
        authority.name = TrustAnchor(certificate).name
        authority._clock = clock
        authority._private = private_key
        authority._certificate = certificate
        return authority

    @property
    def trust(self) -> TrustAnchor:
        """What everybody needs to check the certificates made here."""
        return TrustAnchor(self._certificate)

    @property
    def private_key(self) -> Any:
        """Its private key, an object of `cryptography`; for writing it to a file."""
        return self._private

    def issue(
        self,
        name: str,
        signing: Signing | None = None,
        starts: float | None = None,
        lasts: float = 30 * DAY,
    ) -> Identity:
        """A party called `name` with a fresh key pair and a certificate.

        `signing` is the CA's own unless given. `starts` is in seconds since 1970, a little before now
        unless given; `lasts` in seconds. Raises `ConfigurationError` for a name that fits no certificate.
        """
        if not 1 <= len(name) <= LONGEST_NAME:
            raise ConfigurationError(
                f"a party with a certificate needs a name of 1 to {LONGEST_NAME} characters, not {len(name)}"
            )
        algorithm = signing or self.signing
        private = algorithm.new_private()
        begin = self._clock() - SKEW if starts is None else starts
        builder = _builder(name, self.name, private.public_key(), begin, begin + lasts)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        certificate = self._signed(builder.add_extension(_usage(for_ca=False), critical=True))
        return Identity(name, algorithm, certificate.public_bytes(Encoding.DER), private)

    def _signed(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        while True:
            certificate = builder.sign(self._private, self.signing.certificate_hash)  # type: ignore[arg-type]
            if len(certificate.signature) == self.signing.certificate_signature_size:
                return certificate

    def __reduce__(self) -> NoReturn:
        raise ConfigurationError(f"the CA {self.name} is not pickled: `write_authority` writes it to files")

    def __repr__(self) -> str:
        return f"<certificate authority {self.name!r}, {self.signing.name}>"


def _builder(subject: str, issuer: str, public: Any, begin: float, end: float) -> x509.CertificateBuilder:
    # RFC 5280 (4.1.2.2): positive, at most 20 octets; bit 158 is set so that they are always 20.
    serial = 1 << 158 | secrets.randbits(158)
    return x509.CertificateBuilder(
        issuer_name=_name(issuer),
        subject_name=_name(subject),
        public_key=public,
        serial_number=serial,
        not_valid_before=_moment(math.floor(begin)),
        not_valid_after=_moment(math.ceil(end)),
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def _usage(for_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not for_ca,
        key_cert_sign=for_ca,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
