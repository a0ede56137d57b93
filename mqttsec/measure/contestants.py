"""What takes part in a measurement of the schemes' overhead: our broker under a scheme, and its peers."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mqttsec.e2e.schemes import SCHEMES, Mode
from mqttsec.e2e.setup import BROKER, Setup
from mqttsec.errors import ConfigurationError
from mqttsec.measure import peers
from mqttsec.measure.tls_files import AUTHORITY, SERVER, TlsFiles


class Kind(str, enum.Enum):
    """How a contestant's messages are protected."""

    SCHEME = "scheme"
    """End to end, through our broker."""
    PLAIN = "no security"
    """Not at all."""
    TLS = "mutual TLS 1.3"
    """From client to broker, which reads everything."""


@dataclass(frozen=True)
class Contestant:
    """One line of a comparison."""

    name: str
    """For tables and plots."""
    kind: Kind
    """How its messages are protected."""
    setup: Setup | None = None
    """Scheme, suite, profile and mode, where it is a scheme."""

    @property
    def scheme(self) -> int | None:
        """1 to 4, or None."""
        return self.setup.scheme if self.setup is not None else None

    @property
    def suite(self) -> str:
        """The cipher suite; empty for peers."""
        return self.setup.suite if self.setup is not None else ""

    @property
    def mode(self) -> str:
        """`per_recipient` or `single_ciphertext`; empty for peers, which have one message for all."""
        return self.setup.mode.value if self.setup is not None else ""

    @property
    def profile(self) -> str:
        """`published` or `hardened`; empty for peers."""
        return self.setup.profile.value if self.setup is not None else ""

    def broker(self, folder: Path, core: int | None) -> peers.BrokerProcess:
        """Its broker, not started yet; `folder` has the identities and the TLS files.

        Raises `MissingPeerError` for a program that is not installed.
        """
        return _BROKERS[self.name if self.kind is not Kind.SCHEME else Kind.SCHEME.value](self, folder, core)


PLAIN = Contestant("no security", Kind.PLAIN)
MOSQUITTO = Contestant("mosquitto", Kind.PLAIN)
MOSQUITTO_TLS = Contestant("mosquitto TLS", Kind.TLS)
OURS_TLS = Contestant("mqttsec TLS", Kind.TLS)
PEERS = (PLAIN, MOSQUITTO, MOSQUITTO_TLS, OURS_TLS)
"""What the schemes are compared with."""


def schemes(
    suites: Sequence[str] = ("paper",),
    modes: Sequence[Mode] = (Mode.PER_RECIPIENT,),
    numbers: Sequence[int] = tuple(SCHEMES),
    curve: str = "P-256",
) -> tuple[Contestant, ...]:
    """Contestants for every scheme, suite and mode. Raises `ConfigurationError` for one that there is not."""
    setups = [
        Setup(number, suite=suite, mode=mode, curve=curve)
        for mode in modes
        for suite in suites
        for number in numbers
    ]
    return tuple(Contestant(title(setup), Kind.SCHEME, setup) for setup in setups)


def title(setup: Setup) -> str:
    """`Scheme 3 paper`, `Scheme 3 paper 1C` where there is one ciphertext for all."""
    return f"Scheme {setup.scheme} {setup.suite}{'' if setup.mode is Mode.PER_RECIPIENT else ' 1C'}"


def find_peer(name: str) -> Contestant:
    """The peer of that name. Raises `ConfigurationError` with the names that there are."""
    for peer in PEERS:
        if peer.name == name:
            return peer
    raise ConfigurationError(f"there is no peer {name!r}; there are {', '.join(peer.name for peer in PEERS)}")


def _under_a_scheme(contestant: Contestant, folder: Path, core: int | None) -> peers.BrokerProcess:
    setup = contestant.setup
    assert setup is not None, "a scheme has a setup"
    options = ["--scheme", str(setup.scheme), "--suite", setup.suite, "--curve", setup.curve]
    options += ["--mode", setup.mode.value, "--profile", setup.profile.value]
    return peers.mqttsec_broker(core=core, options=[*options, "--identities", str(folder), "--name", BROKER])


def _ours_with_tls(contestant: Contestant, folder: Path, core: int | None) -> peers.BrokerProcess:
    files = TlsFiles(folder)
    authority = files.certificate(AUTHORITY)
    return peers.mqttsec_tls_broker(files.certificate(SERVER), files.key(SERVER), authority, core)


def _mosquitto_with_tls(contestant: Contestant, folder: Path, core: int | None) -> peers.BrokerProcess:
    files = TlsFiles(folder)
    lines = (
        f"cafile {files.certificate(AUTHORITY)}",
        f"certfile {files.certificate(SERVER)}",
        f"keyfile {files.key(SERVER)}",
        "require_certificate true",
        "tls_version tlsv1.3",
    )
    return peers.mosquitto(core=core, settings=lines)


_BROKERS: dict[str, Callable[[Contestant, Path, int | None], peers.BrokerProcess]] = {
    Kind.SCHEME.value: _under_a_scheme,
    PLAIN.name: lambda contestant, folder, core: peers.mqttsec_broker(core=core),
    MOSQUITTO.name: lambda contestant, folder, core: peers.mosquitto(core=core),
    MOSQUITTO_TLS.name: _mosquitto_with_tls,
    OURS_TLS.name: _ours_with_tls,
}
