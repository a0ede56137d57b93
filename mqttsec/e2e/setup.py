"""What the parties of a run must agree on before it, and what each brings along."""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from mqttsec.crypto import (
    Curve,
    Identity,
    Operations,
    Profile,
    Suite,
    TrustAnchor,
    curve,
    suite,
)
from mqttsec.e2e.encoding import check_identity
from mqttsec.e2e.schemes import Mode, Scheme, scheme
from mqttsec.e2e.steps import Script, script
from mqttsec.e2e.terms import KeyName, Role
from mqttsec.errors import ConfigurationError, HandshakeError, MalformedPacketError
from mqttsec.packets import ReasonCode

BROKER = "broker"
"""The name that a broker bears unless it is given another: the subject of its certificate."""


@dataclass(frozen=True)
class Setup:
    """What all parties of a run have in common. Two that differ in it do not understand each other."""

    scheme: int = 3
    """1, 2, 3 or 4."""
    profile: Profile = Profile.HARDENED
    """What the paper's text says, or what we recommend (specification 1.7)."""
    suite: str = "paper"
    """Cipher suite: `paper`, `aes-gcm`, `aes-gcm-gmac`, `chacha20`."""
    curve: str = "P-256"
    """Curve of the ephemeral keys: `P-256`, `X25519`."""
    mode: Mode = Mode.PER_RECIPIENT
    """How a message is enciphered for several subscribers."""
    confirm: bool = False
    """With the confirming messages of steps 16 to 20; *hardened* only."""
    sign_messages: bool = False
    """The publisher signs each Application Message; *hardened* only."""
    window: float = 60.0
    """Seconds that a timestamp may be away from the receiver's clock."""
    in_order: bool = True
    """*hardened*: a message that a later one of its publisher and topic has overtaken is refused. Turn it
    off where one topic mixes QoS levels, between which MQTT keeps no order; repeats are refused anyhow."""
    altered: Script | None = field(default=None, repr=False)
    """A mutated handshake to experiment with (`Script.signing`, `Script.without`); None: as it should be."""

    def __post_init__(self) -> None:
        """Raises `ConfigurationError` for a setting that cannot work."""
        scheme(self.scheme), suite(self.suite), curve(self.curve)
        if self.profile is Profile.PUBLISHED and (self.confirm or self.sign_messages):
            raise ConfigurationError("confirming and signing messages belong to the hardened profile")
        if not self.window > 0:
            raise ConfigurationError(f"the window for timestamps is {self.window} s; it must be positive")

    @cached_property
    def row(self) -> Scheme:
        """The scheme's row of the table."""
        return scheme(self.scheme)

    @cached_property
    def script(self) -> Script:
        """The handshake."""
        return self.altered or script(self.profile, self.row, self.mode, self.confirm)

    @cached_property
    def individual(self) -> bool:
        """True where each subscriber has a ciphertext of its own, on a topic of its own."""
        return self.row.end_to_end(self.mode).key is KeyName.K_PS

    @cached_property
    def hardened(self) -> bool:
        """True for the profile that we recommend."""
        return self.profile is Profile.HARDENED

    @cached_property
    def ciphers(self) -> Suite:
        """The cipher suite."""
        return suite(self.suite)

    @cached_property
    def group(self) -> Curve:
        """The curve of the ephemeral keys."""
        return curve(self.curve)

    @cached_property
    def method(self) -> str:
        """The Authentication Method: who names another in CONNECT gets 0x8C (specification 1.4).

        Under *hardened* it is part of every tag, so that nobody can talk two parties into different setups.
        """
        options = "".join(
            f" {name}" for name, on in (("confirm", self.confirm), ("signed", self.sign_messages)) if on
        )
        return (
            f"mqttsec-e2e/1 scheme {self.scheme} {self.profile.value} {self.suite} {self.curve} "
            f"{self.mode.value}{options}"
        )


class ReplayCache:
    """What came within the window: (identity, ephemeral key), each until its timestamp has run out.

    Bounded: when it is full of entries that still count, nobody new is let in. To forget one of them
    would let it be replayed.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._until: dict[tuple[str, bytes], float] = {}
        self._order: list[tuple[float, tuple[str, bytes]]] = []

    def __len__(self) -> int:
        return len(self._until)

    def check(self, identity: str, ephemeral: bytes, now: float) -> None:
        """Raises `HandshakeError` for what has been seen and still counts, or when there is no room."""
        while self._order and self._order[0][0] < now:
            del self._until[heapq.heappop(self._order)[1]]
        if (identity, ephemeral) in self._until:
            raise HandshakeError(
                "this ephemeral key came before: a replay. Begin again with a fresh one",
                ReasonCode.NOT_AUTHORIZED,
            )
        if len(self._until) >= self._limit:
            raise HandshakeError(
                "more handshakes within the window than are remembered: come back later",
                ReasonCode.SERVER_BUSY,
            )

    def remember(self, identity: str, ephemeral: bytes, until: float) -> None:
        """Enter one until the time `until`, seconds by the clock of `check`."""
        key = (identity, ephemeral)
        if key not in self._until:
            self._until[key] = until
            heapq.heappush(self._order, (until, key))


@dataclass(frozen=True)
class Party:
    """One party of a run: who it is, whom it believes, and its own clock and counters."""

    role: Role
    """P, B or S."""
    identity: Identity
    """Its long-term key pair and certificate; the name is its Client Identifier."""
    trust: TrustAnchor
    """The authority whose certificates it believes."""
    setup: Setup
    """What it has in common with the others."""
    clock: Callable[[], float] = time.time
    """Seconds since 1970: for timestamps, certificates and time limits."""
    operations: Operations | None = None
    """Counts its cryptographic operations; None: nothing is counted."""
    random_bytes: Callable[[int], bytes] = os.urandom
    """Draws identifiers that are no secrets. Keys and nonces come from `cryptography` and the system."""
    replays: ReplayCache = field(default_factory=ReplayCache, repr=False)
    """What it has seen within the window."""
    serves: Callable[[str], bool] = lambda topic: True
    """P: which topics it publishes; a request for another is refused."""

    def __post_init__(self) -> None:
        """Raises `ConfigurationError` for a name that cannot be a level of a topic."""
        try:
            check_identity(self.identity.name)
        except MalformedPacketError as error:
            raise ConfigurationError(str(error)) from None

    @property
    def name(self) -> str:
        """Its identity."""
        return self.identity.name

    @property
    def title(self) -> str:
        """For messages to a reader: `P alice`."""
        return f"{self.role.value} {self.name}"
