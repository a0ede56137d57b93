"""Identities in PEM files (RFC 7468), for parties that live in processes of their own.

A party has two files, `NAME.crt.pem` and `NAME.key.pem`; the CA has `ca.crt.pem`, which everybody gets,
and `ca.key.pem`, which stays where certificates are made. Key files are readable by their owner only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from mqttsec.crypto.identity import CertificateAuthority, Identity, TrustAnchor, common_name
from mqttsec.crypto.signing import signing_of
from mqttsec.errors import ConfigurationError

CA_FILE = "ca"
"""The first part of the CA's file names."""


def write_identity(identity: Identity, folder: Path, password: bytes | None = None) -> tuple[Path, Path]:
    """Write certificate and key of a party into `folder`; returns the two paths.

    With a `password` the key is encrypted (PKCS #8, RFC 5958).
    """
    certificate = x509.load_der_x509_certificate(identity.certificate)
    return _write(folder, file_name(identity.name), certificate, identity.private_key, password)


def read_identity(certificate: Path, key: Path, password: bytes | None = None) -> Identity:
    """A party from its two files.

    Raises `ConfigurationError` where a file is missing, is no PEM, needs a password or has another, where
    the two are not one pair, or the key is of a kind not used here.
    """
    loaded, private = _read_certificate(certificate), _read_key(key, password)
    if private.public_key() != loaded.public_key():
        raise ConfigurationError(f"{key} is not the key of {certificate}: give the two files of one party")
    name = common_name(loaded)
    if name is None:
        raise ConfigurationError(f"{certificate} names no subject (Common Name): make a new one")
    return Identity(name, signing_of(loaded.public_key()), loaded.public_bytes(Encoding.DER), private)


def write_trust(trust: TrustAnchor, folder: Path) -> Path:
    """Write the CA's certificate, which everybody needs, into `folder`; returns its path."""
    path = _path(folder, CA_FILE, "crt")
    path.write_bytes(trust.certificate.public_bytes(Encoding.PEM))
    return path


def read_trust(certificate: Path) -> TrustAnchor:
    """The CA's certificate from its file.

    Raises `ConfigurationError` where it is missing, is no PEM, or is not a CA's.
    """
    loaded = _read_certificate(certificate)
    try:
        constraints = loaded.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = loaded.extensions.get_extension_for_class(x509.KeyUsage).value
        serves = constraints.ca and usage.key_cert_sign
    except (x509.ExtensionNotFound, ValueError):
        serves = False
    if not serves:
        raise ConfigurationError(f"{certificate} is not the certificate of a CA: give the CA's own")
    return TrustAnchor(loaded)


def write_authority(
    authority: CertificateAuthority, folder: Path, password: bytes | None = None
) -> tuple[Path, Path]:
    """Write certificate and key of a CA into `folder`; returns the two paths."""
    return _write(folder, CA_FILE, authority.trust.certificate, authority.private_key, password)


def read_authority(
    certificate: Path, key: Path, password: bytes | None = None, clock: Callable[[], float] = time.time
) -> CertificateAuthority:
    """A CA from its two files. Raises `ConfigurationError` as `read_trust` and `read_identity` do."""
    return CertificateAuthority.of(read_trust(certificate).certificate, _read_key(key, password), clock)


def file_name(name: str) -> str:
    """The first part of the names of a party's files."""
    # A Client Identifier may hold any character; a file name may not. "ca" is the CA's.
    return quote(name, safe="") if name != CA_FILE else "%63a"


def _path(folder: Path, name: str, kind: str) -> Path:
    return folder / f"{name}.{kind}.pem"


def _write(
    folder: Path, name: str, certificate: x509.Certificate, private: Any, password: bytes | None
) -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    certificate_path, key_path = _path(folder, name, "crt"), _path(folder, name, "key")
    certificate_path.write_bytes(certificate.public_bytes(Encoding.PEM))
    protection: KeySerializationEncryption = NoEncryption()
    if password:
        protection = BestAvailableEncryption(password)
    # A file that was there may be open to others: it goes, and the new one is never open to them.
    key_path.unlink(missing_ok=True)
    descriptor = os.open(key_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))
    return certificate_path, key_path


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(_read(path))
    except ValueError:
        raise ConfigurationError(f"{path} holds no certificate in PEM: give a file that does") from None


def _read_key(path: Path, password: bytes | None) -> Any:
    try:
        return load_pem_private_key(_read(path), password)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        advice = "check the password" if password else "if it is encrypted, give the password"
        raise ConfigurationError(f"{path} holds no private key in PEM that can be read: {advice}") from None
