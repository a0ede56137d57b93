"""`mqttsec identities`: key pairs and certificates for the parties of the schemes, as PEM files."""

from __future__ import annotations

import argparse
from pathlib import Path

from mqttsec.crypto import SIGNATURES, CertificateAuthority
from mqttsec.crypto.pem import (
    CA_FILE,
    file_name,
    read_authority,
    write_authority,
    write_identity,
)
from mqttsec.e2e.encoding import check_identity
from mqttsec.e2e.setup import BROKER
from mqttsec.errors import ConfigurationError, MalformedPacketError

DAY = 86_400.0


def main(arguments: list[str]) -> int:
    """Make what is missing; returns 0. Raises `ConfigurationError`."""
    parser = argparse.ArgumentParser(
        prog="mqttsec identities",
        description="Make a certificate authority in DIR, if there is none, and an identity for each NAME. "
        "What is there stays as it is. Each party gets its two files and ca.crt.pem; nobody gets ca.key.pem.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the PEM files are")
    parser.add_argument(
        "names", nargs="*", default=[BROKER], metavar="NAME", help=f"Client Identifiers (default: {BROKER})"
    )
    parser.add_argument(
        "--signing", choices=tuple(SIGNATURES), default="ECDSA", help="signatures (default: %(default)s)"
    )
    parser.add_argument(
        "--days", type=int, default=30, help="how long identities are valid (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    if options.days < 1:
        raise ConfigurationError("--days must be at least 1")
    for name in options.names:
        try:
            check_identity(name)
        except MalformedPacketError as error:
            raise ConfigurationError(str(error)) from None
    authority = _authority(options.folder, options.signing)
    for name in options.names:
        path = options.folder / f"{file_name(name)}.crt.pem"
        if path.exists():
            print(f"{name}: is there already")
            continue
        identity = authority.issue(name, SIGNATURES[options.signing], lasts=options.days * DAY)
        for written in write_identity(identity, options.folder):
            print(f"{name}: {written}")
    return 0


def _authority(folder: Path, signing: str) -> CertificateAuthority:
    certificate, key = folder / f"{CA_FILE}.crt.pem", folder / f"{CA_FILE}.key.pem"
    if certificate.exists():
        return read_authority(certificate, key)
    authority = CertificateAuthority(signing=SIGNATURES[signing])
    try:
        written = write_authority(authority, folder)
    except OSError as error:
        raise ConfigurationError(f"cannot write to {folder}: {error.strerror}") from None
    for path in written:
        print(f"authority: {path}")
    return authority
