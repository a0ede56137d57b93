"""Identities in files: they come back, keys are their owner's alone, and every wrong file is named."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mqttsec.crypto import (
    SIGNATURES,
    CertificateAuthority,
    Signing,
    read_authority,
    read_identity,
    read_trust,
    write_authority,
    write_identity,
    write_trust,
)
from mqttsec.errors import ConfigurationError

EVERY = pytest.mark.parametrize("signing", SIGNATURES.values(), ids=SIGNATURES)
NOW = 1_800_000_000.0


def clock() -> float:
    return NOW


@EVERY
@pytest.mark.parametrize("password", [None, b"21.4 degrees"], ids=["plain", "encrypted"])
def test_everything_comes_back(signing: Signing, password: bytes | None, tmp_path: Path) -> None:
    ca = CertificateAuthority(signing=signing, clock=clock)
    p = ca.issue("P")
    again = read_identity(*write_identity(p, tmp_path / "new", password), password)
    assert again == p
    trust = read_trust(write_trust(ca.trust, tmp_path))
    assert trust == ca.trust
    trust.check(again.certificate, "P", NOW).verify(again.sign(b"R_P"), b"R_P")

    ca_again = read_authority(*write_authority(ca, tmp_path, password), password, clock)
    assert (ca_again.name, ca_again.signing) == ("Course CA", signing)
    ca.trust.check(ca_again.issue("S1").certificate, "S1", NOW)


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")
def test_a_key_file_is_for_its_owner_only_even_where_an_open_one_was(tmp_path: Path) -> None:
    ca = CertificateAuthority()
    (tmp_path / "P.key.pem").write_text("an older one")
    (tmp_path / "P.key.pem").chmod(0o644)
    for path in (write_identity(ca.issue("P"), tmp_path)[1], write_authority(ca, tmp_path)[1]):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["../P", "a/b", "ca", "..", "Ä ☂", "%63a", "P.key.pem"])
def test_any_name_makes_a_file_in_the_folder(name: str, tmp_path: Path) -> None:
    ca = CertificateAuthority(clock=clock)
    write_authority(ca, tmp_path)
    identity = ca.issue(name)
    paths = write_identity(identity, tmp_path)
    assert {path.parent for path in paths} == {tmp_path}
    assert len(list(tmp_path.iterdir())) == 4, "no file of another is written over"
    assert read_identity(*paths) == identity


def test_wrong_files_are_named(tmp_path: Path) -> None:
    ca = CertificateAuthority()
    p_certificate, p_key = write_identity(ca.issue("P"), tmp_path)
    s_certificate, s_key = write_identity(ca.issue("S"), tmp_path, b"secret word")
    ca_certificate, ca_key = write_authority(ca, tmp_path)
    empty = tmp_path / "empty.pem"
    empty.touch()
    for certificate, key, password, message in (
        (tmp_path / "none.pem", p_key, None, "cannot read .*none.pem: No such file"),
        (p_certificate, tmp_path / "none.pem", None, "cannot read .*none.pem"),
        (tmp_path, p_key, None, "cannot read"),
        (empty, p_key, None, "empty.pem holds no certificate"),
        (p_key, p_key, None, "P.key.pem holds no certificate"),
        (p_certificate, p_certificate, None, "P.crt.pem holds no private key"),
        (p_certificate, ca_key, None, "ca.key.pem is not the key of"),
        (s_certificate, s_key, None, "S.key.pem .*if it is encrypted, give the password"),
        (s_certificate, s_key, b"wrong", "S.key.pem .*check the password"),
        (p_certificate, p_key, b"wrong", "P.key.pem .*check the password"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            read_identity(certificate, key, password)
    with pytest.raises(ConfigurationError, match="P.crt.pem is not the certificate of a CA"):
        read_trust(p_certificate)
    with pytest.raises(ConfigurationError, match="does not belong to this CA"):
        read_authority(ca_certificate, p_key)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    ca = CertificateAuthority()
    p = ca.issue("P")
    certificate, key = write_identity(p, tmp_path)
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(ConfigurationError, match="is not the key of"):
        read_identity(certificate, key)
