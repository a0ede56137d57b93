"""Certificates for the TLS peers of a measurement: an authority of its own, made for one run."""

from __future__ import annotations

import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

AUTHORITY, SERVER, CLIENT = "tls-ca", "tls-server", "tls-client"
_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class TlsFiles:
    """The PEM files in a folder: P-256 keys, as the schemes have by default."""

    folder: Path
    """Where they are."""

    def certificate(self, name: str) -> Path:
        """The certificate of the authority, the server or the client."""
        return self.folder / f"{name}.crt.pem"

    def key(self, name: str) -> Path:
        """The private key of the server or the client."""
        return self.folder / f"{name}.key.pem"

    def make(self) -> TlsFiles:
        """Write them; keys are for their owner's eyes only."""
        keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in (AUTHORITY, SERVER, CLIENT)}
        issuer = keys[AUTHORITY]
        for name, key in keys.items():
            made = _certificate(name, key.public_key(), issuer)
            self.certificate(name).write_bytes(made.public_bytes(Encoding.PEM))
            if name == AUTHORITY:
                continue
            descriptor = os.open(self.key(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return self


def _certificate(
    name: str, key: ec.EllipticCurvePublicKey, issuer: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.timezone.utc)
    authority = name == AUTHORITY
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
         "decipher_only"), False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(AUTHORITY))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        # Python 3.13 verifies by RFC 5280 to the letter, which wants these three.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False
        )
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=authority, crl_sign=authority, **usage),
            critical=True,
        )
        .sign(issuer, hashes.SHA256())
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
