"""One CONNECT with certificates at both ends: Block 1 on our broker, TLS 1.3 on mosquitto.

Both authenticate a client and a broker by P-256 certificates of one course CA and agree on a key by
ephemeral Diffie-Hellman on the same curve. Both clients are a blocking socket and what the protocol needs,
nothing else: the clock runs from before the TCP connection until the CONNACK has been checked. Each
connection is fresh; no TLS session is resumed.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mqttsec.crypto import Identity, Profile, TrustAnchor
from mqttsec.crypto.pem import CA_FILE
from mqttsec.e2e import Party, Publisher, Role, Setup
from mqttsec.e2e.handshake import read
from mqttsec.e2e.messages import BrokerHello
from mqttsec.errors import ConfigurationError, ConnectionFailed
from mqttsec.measure import peers
from mqttsec.measure.figures import Figure
from mqttsec.packets import Connack, Connect, Disconnect, Packet, Properties, Splitter, decode, encode

PART = "connect"

CLIENT, BROKER = "alice", "broker"
"""Who has an identity in the folder."""

WARM_UP = 10
"""Connections of each before the first that counts."""

LONGEST = 10.0
"""Seconds that one connection may take."""

TLS_GROUPS = {"P-256": "prime256v1", "X25519": "X25519"}
"""OpenSSL's names of our curves."""


class Contestant(Protocol):
    """One way to connect."""

    name: str

    def connect(self) -> float:
        """Connect once; seconds from before the TCP connection until the CONNACK has been checked.

        Raises `ConnectionFailed`, `HandshakeError`.
        """


@dataclass
class Block1:
    """A publisher under a scheme."""

    port: int
    """Where its broker listens."""
    party: Party
    """Who connects."""

    def __post_init__(self) -> None:
        setup = self.party.setup
        self.name = block_1_name(setup.profile, setup.curve)

    def connect(self) -> float:
        """Steps 1 to 4."""
        began = time.perf_counter()
        with _tcp(self.port) as sock:
            machine, setup = Publisher(self.party), self.party.setup
            about = Properties(
                authentication_method=setup.method, authentication_data=machine.hello().encode()
            )
            sock.sendall(encode(Connect(self.party.name, True, 60, properties=about)))
            answer = _accepted(_packet(sock), self.name)
            data = answer.properties.authentication_data
            machine.welcomed(read(self.party, data, BrokerHello))
            took = time.perf_counter() - began
            _leave(sock)
        return took


@dataclass
class Tls:
    """A client of mosquitto over TLS 1.3."""

    port: int
    """Where mosquitto listens."""
    curve: str
    """On which the ephemeral keys are."""
    folder: Path
    """Where the client's certificate and key are, and the CA's certificate."""

    def __post_init__(self) -> None:
        self.name = tls_name(self.curve)
        context = self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Our certificates name parties, not hosts; that it is the broker's own is checked below.
        context.check_hostname = False
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(self.folder / f"{CA_FILE}.crt.pem")
        context.load_cert_chain(self.folder / f"{CLIENT}.crt.pem", self.folder / f"{CLIENT}.key.pem")
        context.set_ecdh_curve(TLS_GROUPS[self.curve])

    def connect(self) -> float:
        """The TLS handshake, CONNECT and CONNACK."""
        began = time.perf_counter()
        with self._context.wrap_socket(_tcp(self.port)) as sock:
            sock.sendall(encode(Connect(CLIENT, True, 60)))
            _accepted(_packet(sock), self.name)
            peer = sock.getpeercert() or {}
            if ("commonName", BROKER) not in [pair for part in peer.get("subject", ()) for pair in part]:
                raise ConnectionFailed(f"{self.name}: the certificate is not the broker's")
            took = time.perf_counter() - began
            if sock.version() != "TLSv1.3" or sock.session_reused:
                raise ConnectionFailed(f"{self.name}: not a fresh TLS 1.3 connection ({sock.version()})")
            _leave(sock)
        return took


def block_1_name(profile: Profile, curve: str) -> str:
    """For tables."""
    return f"Block 1 {profile.value} {curve}"


def tls_name(curve: str) -> str:
    """For tables."""
    return f"TLS 1.3 {curve}"


def mosquitto_settings(folder: Path) -> Sequence[str]:
    """Lines for mosquitto: TLS 1.3 only, a certificate of our CA from every client."""
    return (
        f"cafile {folder / f'{CA_FILE}.crt.pem'}",
        f"certfile {folder / f'{BROKER}.crt.pem'}",
        f"keyfile {folder / f'{BROKER}.key.pem'}",
        "require_certificate true",
        "tls_version tlsv1.3",
    )


def scheme_options(setup: Setup, folder: Path) -> Sequence[str]:
    """Options of `mqttsec broker` for a setup."""
    return (
        "--scheme", str(setup.scheme), "--profile", setup.profile.value, "--suite", setup.suite,
        "--curve", setup.curve, "--identities", str(folder),
    )  # fmt: skip


@contextlib.contextmanager
def contestants(
    setups: Sequence[Setup], identity: Identity, trust: TrustAnchor, folder: Path, core: int | None, tls: bool
) -> Iterator[list[Contestant]]:
    """All who are to be compared, their brokers running; `tls`: with mosquitto.

    Raises `MissingPeerError`, `ConnectionFailed`.
    """
    with contextlib.ExitStack() as stack:
        found: list[Contestant] = []
        for setup in setups:
            broker = stack.enter_context(
                peers.mqttsec_broker(core=core, options=scheme_options(setup, folder))
            )
            found.append(Block1(broker.port, Party(Role.P, identity, trust, setup)))
        if tls:
            peer = stack.enter_context(peers.mosquitto(core=core, settings=mosquitto_settings(folder)))
            found += [Tls(peer.port, curve, folder) for curve in dict.fromkeys(s.curve for s in setups)]
        yield found


def measure(found: Sequence[Contestant], rounds: int, warm_up: int = WARM_UP) -> Iterator[Figure]:
    """Connect in turn, A B C, A B C, so that whatever else the machine does hits all of them."""
    if rounds < 1:
        raise ConfigurationError("--rounds: at least one")
    for number in range(1 - warm_up, rounds + 1):
        for each in found:
            took = each.connect()
            if number > 0:
                yield Figure(PART, each.name, number, 1e6 * took, "us")


def _tcp(port: int) -> socket.socket:
    sock = socket.create_connection((peers.HOST, port), timeout=LONGEST)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _packet(sock: socket.socket) -> Packet:
    splitter = Splitter(1 << 20)
    while True:
        data = sock.recv(1 << 16)
        if not data:
            raise ConnectionFailed("the broker closed the connection instead of answering")
        for frame in splitter.iterate(data):
            return decode(frame, from_client=False)


def _accepted(packet: Packet, name: str) -> Connack:
    if not isinstance(packet, Connack) or packet.reason_code:
        raise ConnectionFailed(f"{name}: the broker answered {packet}")
    return packet


def _leave(sock: socket.socket) -> None:
    """DISCONNECT, and wait until the broker has closed, so that nothing is left for the next one's time."""
    sock.sendall(encode(Disconnect()))
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while sock.recv(1 << 16):
            pass
