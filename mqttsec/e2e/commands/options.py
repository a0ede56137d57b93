"""Options that the commands of the schemes have in common: the setup, and where the identities are."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path

from mqttsec.crypto import CURVES, SUITES, Identity, Profile, TrustAnchor
from mqttsec.crypto.pem import CA_FILE, file_name, read_identity, read_trust
from mqttsec.e2e.schemes import SCHEMES, Mode
from mqttsec.e2e.setup import Setup
from mqttsec.errors import ConfigurationError, ConnectionFailed
from mqttsec.packets import ReasonCode


def add_setup(parser: argparse.ArgumentParser, required: bool) -> None:
    """Add what all parties must agree on."""
    group = parser.add_argument_group("scheme", "the same for broker, publishers and subscribers")
    add = group.add_argument
    add("--scheme", type=int, choices=tuple(SCHEMES), required=required, help="1, 2, 3 or 4")
    add(
        "--profile",
        choices=tuple(profile.value for profile in Profile),
        default=Profile.HARDENED.value,
        help="what the paper's text says, or what is recommended (default: %(default)s)",
    )
    add("--suite", choices=tuple(SUITES), default="paper", help="cipher suite (default: %(default)s)")
    add("--curve", choices=tuple(CURVES), default="P-256", help="of ephemeral keys (default: %(default)s)")
    add(
        "--mode",
        choices=tuple(mode.value for mode in Mode),
        default=Mode.PER_RECIPIENT.value,
        help="how a message is enciphered for several subscribers (default: %(default)s)",
    )
    add("--confirm", action="store_true", help="handshakes with confirming messages")
    add("--sign-messages", action="store_true", help="the publisher signs each message")


def add_identity(parser: argparse.ArgumentParser, name: str | None) -> None:
    """Add who it is; `name` is the default, None: it must be said."""
    group = parser.add_argument_group("identity")
    add = group.add_argument
    add(
        "--identities",
        type=Path,
        metavar="DIR",
        help="where `mqttsec identities DIR NAME ...` has written the PEM files",
    )
    said = "(default: %(default)s)" if name else "must be given"
    add("--name", default=name, help=f"whose identity it is, of those in DIR; {said}")


def setup_of(options: argparse.Namespace) -> Setup:
    """The setup that the options describe. Raises `ConfigurationError`."""
    return Setup(
        options.scheme,
        Profile(options.profile),
        options.suite,
        options.curve,
        Mode(options.mode),
        options.confirm,
        options.sign_messages,
    )


def identity_of(options: argparse.Namespace) -> tuple[Identity, TrustAnchor]:
    """The identity named in the options, and the authority. Raises `ConfigurationError`."""
    folder, name = options.identities, options.name
    if folder is None:
        raise ConfigurationError(
            "--scheme needs --identities DIR: make one with `mqttsec identities DIR NAME ...`"
        )
    if not name:
        raise ConfigurationError("say with --name whose identity to use")
    return read(folder, name), read_trust(folder / f"{CA_FILE}.crt.pem")


def read(folder: Path, name: str) -> Identity:
    """A party's identity from a folder. Raises `ConfigurationError`."""
    certificate, key = (folder / f"{file_name(name)}.{kind}.pem" for kind in ("crt", "key"))
    if not certificate.exists():
        raise ConfigurationError(
            f"{folder} holds no identity {name!r}: make it with `mqttsec identities {folder} {name}`"
        )
    return read_identity(certificate, key)


@contextlib.contextmanager
def same_setup(setup: Setup) -> Iterator[None]:
    """Say what to do where the broker does not know the Authentication Method of `setup`."""
    try:
        yield
    except ConnectionFailed as error:
        if error.reason_code != ReasonCode.BAD_AUTHENTICATION_METHOD:
            raise
        raise ConnectionFailed(
            f"{error}; this end speaks {setup.method!r}: give broker, pub and sub the same options",
            error.reason_code,
        ) from None
