"""Steps 1 to 15 of the handshake as data (specification 1.3 and 1.4), in both profiles.

A `Script` is what the machines of `handshake` run: who sends which message in which packet, what each
signature covers, what each receiver checks and in which order, and which keys are known afterwards.
Nothing of this is written a second time in the machines, so changing a line here changes the bytes that
are signed; the ladder, the guarantees table and the symbolic model read the same lines.

Block 1 connects a publisher P to the broker B. Block 2 connects a subscriber S to B and, through B, to P.
An option of *hardened*, the confirming messages, adds steps 16 to 20; they are ours.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from mqttsec.crypto import Profile
from mqttsec.e2e import terms as t
from mqttsec.e2e.encoding import Message
from mqttsec.e2e.messages import (
    BrokerAnswer,
    BrokerHello,
    ForwardedConfirm,
    KeepWaiting,
    PublisherAnswer,
    PublisherConfirm,
    PublisherHello,
    StillWaiting,
    SubscriberConfirm,
    SubscriberRequest,
)
from mqttsec.e2e.schemes import Mode, Scheme
from mqttsec.e2e.terms import KeyName, Role, Term, tag
from mqttsec.errors import ConfigurationError
from mqttsec.packets import PacketType, ReasonCode

# What is signed --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Signature:
    """One signature of the handshake and what it covers, in order."""

    term: Term
    """The term for the signature itself."""
    covers: tuple[Term, ...]
    """What is signed, each with its length before it. Empty: the signature is left out and nobody asks
    for it (a mutation for the symbolic analysis; no profile does this)."""

    def __str__(self) -> str:
        return f"{self.term.name.partition(':')[0]}({', '.join(map(str, self.covers))})"


def _published(term: Term, *covers: Term) -> Signature:
    return Signature(term, covers)


_hardened = _published

# [P] Each signature covers the own ephemeral key and timestamp; that of step 5 "all previous" fields.
PUBLISHED_SIGNATURES = (
    _published(t.SIG_C1, t.R_P, t.T_P),
    _published(t.SIG_C2, t.R_B, t.T_B),
    _published(t.SIG_S1, t.ID_S, t.ID_P, t.TOPIC, t.R_SB, t.R_SP, t.T_S),
    _published(t.SIG_P2, t.R_PS, t.T_P2),
    _published(t.SIG_B2, t.R_BS, t.T_B2),
)
"""What the paper signs (specification 1.3, 1.4)."""

# A tag, the own and the peers' identities, the own ephemeral key, the peer's where it is known, the time.
HARDENED_SIGNATURES = (
    _hardened(t.SIG_C1, tag("c1"), t.ID_P, t.ID_B, t.R_P, t.T_P),
    _hardened(t.SIG_C2, tag("c2"), t.ID_B, t.ID_P, t.R_B, t.R_P, t.T_B),
    _hardened(t.SIG_S1, tag("s1"), t.ID_S, t.ID_B, t.ID_P, t.TOPIC, t.R_SB, t.R_SP, t.T_S),
    _hardened(t.SIG_P2, tag("p2"), t.ID_P, t.ID_S, t.R_PS, t.R_SP, t.T_P2),
    _hardened(t.SIG_B2, tag("b2"), t.ID_B, t.ID_S, t.R_BS, t.R_SB, t.T_B2),
    _hardened(t.SIG_C3, tag("c3"), t.ID_P, t.ID_B, t.R_P, t.R_B),
    _hardened(t.SIG_S3, tag("s3"), t.ID_S, t.ID_P, t.R_SP, t.R_PS),
    _hardened(t.SIG_S4, tag("s4"), t.ID_S, t.ID_B, t.R_SB, t.R_BS),
)
"""What we sign: as SIGMA and TLS 1.3 do (specification 1.7). The topic is one term more than the
least that is needed, since *published* covers it as well."""


# Which keys come out ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Agreement:
    """A Diffie-Hellman key: each end combines its own private key with the other's public one."""

    key: KeyName
    """The key."""
    ends: tuple[Role, Role]
    """The two, in the order of the key's name."""
    halves: tuple[Term, Term]
    """Their ephemeral keys, in the same order."""

    def own(self, role: Role) -> Term:
        """The ephemeral key that `role`, one of the ends, has made."""
        return self.halves[self.ends.index(role)]

    def peers(self, role: Role) -> Term:
        """The ephemeral key that `role` has received."""
        return self.halves[1 - self.ends.index(role)]


AGREEMENTS: Mapping[KeyName, Agreement] = MappingProxyType(
    {
        agreement.key: agreement
        for agreement in (
            Agreement(KeyName.K_PB, (Role.P, Role.B), (t.R_P, t.R_B)),
            Agreement(KeyName.K_BS, (Role.B, Role.S), (t.R_BS, t.R_SB)),
            Agreement(KeyName.K_PS, (Role.P, Role.S), (t.R_PS, t.R_SP)),
        )
    }
)
"""K_PB = KDF(r_B*R_P) = KDF(r_P*R_B), and so on (specification 1.3, 1.4)."""


@dataclass(frozen=True)
class Wrap:
    """A group key on its way to one member: wrap(K_PSi, GK_P), wrap(K_BSi, GK_B)."""

    term: Term
    """W_P or W_B."""
    holds: KeyName
    """The group key."""
    under: KeyName
    """The pair's key that seals it."""
    giver: Role
    """Who gives it to S."""


WRAPS = (
    Wrap(t.W_P, KeyName.GK_P, KeyName.K_PS, Role.P),
    Wrap(t.W_B, KeyName.GK_B, KeyName.K_BS, Role.B),
)
"""Both wraps; a scheme uses those whose group key it uses."""


# Who begins with what --------------------------------------------------------------------------


@dataclass(frozen=True)
class Start:
    """What a party takes as given when a run of a block begins, besides its own name."""

    role: Role
    """Whose view."""
    block: int
    """1 or 2."""
    knows: tuple[Term, ...]
    """The peers' names and the topic: chosen by who connects, told by CONNECT to who is connected to."""


STARTS = (
    Start(Role.P, 1, (t.ID_B,)),
    Start(Role.B, 1, (t.ID_P,)),
    Start(Role.P, 2, (t.ID_B,)),
    Start(Role.B, 2, (t.ID_S,)),
    Start(Role.S, 2, (t.ID_B, t.ID_P, t.TOPIC)),
)
"""Every view of a run; a machine begins with nothing else (`handshake.Run.of`)."""


# What is checked -------------------------------------------------------------------------------


class CheckKind(str, enum.Enum):
    """The checks there are. Each is a line in `handshake`."""

    CLIENT = "client"
    """The identity in the message is the Client Identifier of the connection."""
    INTENTION = "intention"
    """The request names this publisher, and a topic that it serves."""
    CERTIFICATE = "certificate"
    """The certificate is the authority's, valid now, and of the identity in question."""
    SAME_CERTIFICATE = "same certificate"
    """The certificate is the one of Block 1."""
    FRESH = "fresh"
    """The timestamp is not further from the own clock than the window."""
    UNSEEN = "unseen"
    """(identity, ephemeral key) did not come before within the window: the replay cache."""
    SIGNATURE = "signature"
    """The signature covers what it has to cover, in the receiver's own view of it."""
    AGREEMENT = "agreement"
    """The peer's ephemeral key is a public key, and gives the key."""
    UNWRAP = "unwrap"
    """The wrapped group key opens."""


@dataclass(frozen=True)
class Check:
    """One thing that a receiver checks, and how it refuses."""

    kind: CheckKind
    """Which sort of check."""
    subject: Term
    """What is checked: an identity, a certificate, a timestamp, an ephemeral key, a signature, a wrap."""
    key: KeyName | None = None
    """AGREEMENT: the key that it gives. UNWRAP: the group key that comes out."""
    reason_code: int = ReasonCode.NOT_AUTHORIZED
    """What the refused client gets (specification 1.4, Failures)."""

    def __str__(self) -> str:
        return f"{self.kind.value} {self.subject}"


# Who sends what, who checks what ---------------------------------------------------------------


@dataclass(frozen=True)
class Sending:
    """A step in which a message goes from one party to another."""

    number: int
    """Number in the specification."""
    packet: PacketType
    """The MQTT 5 packet that carries it: in Authentication Data, or as the Application Message of PUBLISH."""
    sender: Role
    """Who sends."""
    receiver: Role
    """Who receives."""
    message: type[Message]
    """What is sent."""
    learns: tuple[KeyName, ...] = ()
    """The keys that the sender computes for it."""
    forwards: bool = False
    """True where the sender passes on what it got, unchanged."""
    text: str = ""
    """One line for the reader."""


@dataclass(frozen=True)
class Checking:
    """A step in which a party judges the message that has come."""

    number: int
    """Number in the specification."""
    party: Role
    """Who checks."""
    message: type[Message]
    """What is checked."""
    checks: tuple[Check, ...]
    """In this order; the first that fails ends the handshake."""
    text: str = ""
    """One line for the reader."""

    @property
    def learns(self) -> tuple[KeyName, ...]:
        """The keys that come out of the checks."""
        return tuple(check.key for check in self.checks if check.key is not None)


Step = Sending | Checking


@dataclass(frozen=True)
class Script:
    """A handshake, complete: what the machines run and what the symbolic model is made from."""

    profile: Profile
    """*published* or *hardened*; says how keys are derived, too."""
    confirm: bool
    """With the confirming messages."""
    steps: tuple[Step, ...]
    """In order; Block 1 up to the first that S takes part in."""
    signatures: Mapping[Term, Signature]
    """What is signed, by the term of the signature."""
    wraps: Mapping[Term, Wrap]
    """The group keys that are given out, by the term of the wrap."""

    @property
    def hardened(self) -> bool:
        """True for the profile that we recommend."""
        return self.profile is Profile.HARDENED

    @property
    def blocks(self) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        """The steps of Block 1 and those of Block 2, which is what S takes part in."""
        first = next(index for index, step in enumerate(self.steps) if step.number == 5)
        return self.steps[:first], self.steps[first:]

    def sending(self, message: type[Message], sender: Role | None = None) -> Sending:
        """The step that sends a message; of several, the first, or the first by `sender`."""
        for step in self.steps:
            if isinstance(step, Sending) and step.message is message and sender in (None, step.sender):
                return step
        raise ConfigurationError(f"this handshake has no step that sends {message.__name__}")

    def checking(self, message: type[Message], party: Role) -> Checking:
        """The step in which a party checks a message."""
        for step in self.steps:
            if isinstance(step, Checking) and step.message is message and step.party is party:
                return step
        raise ConfigurationError(f"in this handshake {party.value} does not check {message.__name__}")

    def signing(self, signature: Term, *covers: Term) -> Script:
        """This handshake with one signature that covers something else: a mutation to experiment with."""
        if signature not in self.signatures:
            raise ConfigurationError(f"this handshake has no signature {signature}")
        changed = {**self.signatures, signature: Signature(signature, covers)}
        return replace(self, signatures=MappingProxyType(changed))

    def without(self, kind: CheckKind, subject: Term | None = None, party: Role | None = None) -> Script:
        """This handshake without the checks of a kind (of one subject, by one party): a mutation."""

        def kept(check: Check) -> bool:
            return check.kind is not kind or subject not in (None, check.subject)

        steps = tuple(
            replace(step, checks=tuple(filter(kept, step.checks)))
            if isinstance(step, Checking) and party in (None, step.party)
            else step
            for step in self.steps
        )
        return replace(self, steps=steps)

    def remembering(self) -> Script:
        """This handshake with a replay cache wherever *hardened* has one: a mutation to experiment with."""

        def with_cache(checks: tuple[Check, ...], step: Checking) -> tuple[Check, ...]:
            ephemeral = _REMEMBERED.get(step.message)
            if ephemeral is None or any(check.kind is CheckKind.UNSEEN for check in checks):
                return checks
            place = next(index for index, check in enumerate(checks) if check.kind is CheckKind.SIGNATURE)
            return (*checks[:place], _unseen(ephemeral), *checks[place:])

        steps = tuple(
            replace(step, checks=with_cache(step.checks, step)) if isinstance(step, Checking) else step
            for step in self.steps
        )
        return replace(self, steps=steps)


_REMEMBERED: Mapping[type[Message], Term] = MappingProxyType(
    {PublisherHello: t.R_P, SubscriberRequest: t.R_SP}
)
"""The ephemeral key by which a replay cache knows a message that opens a run."""


def _client(identity: Term) -> Check:
    return Check(CheckKind.CLIENT, identity)


def _certificate(of: Role) -> Check:
    return Check(CheckKind.CERTIFICATE, t.CERTIFICATE_OF[of])


def _fresh(timestamp: Term) -> Check:
    return Check(CheckKind.FRESH, timestamp)


def _unseen(ephemeral: Term) -> Check:
    return Check(CheckKind.UNSEEN, ephemeral)


def _signature(signature: Term) -> Check:
    return Check(CheckKind.SIGNATURE, signature)


def _agrees(key: KeyName, party: Role) -> Check:
    return Check(CheckKind.AGREEMENT, AGREEMENTS[key].peers(party), key)


def _unwraps(wrap: Wrap) -> Check:
    return Check(CheckKind.UNWRAP, wrap.term, wrap.holds)


def script(profile: Profile, scheme: Scheme, mode: Mode, confirm: bool = False) -> Script:
    """The handshake of a profile for a scheme.

    Raises `ConfigurationError` for confirming messages under *published*, which has none.
    """
    hardened = profile is Profile.HARDENED
    if confirm and not hardened:
        raise ConfigurationError("the confirming messages belong to the hardened profile")
    keys = scheme.keys(mode)
    wraps = {wrap.term: wrap for wrap in WRAPS if wrap.holds in keys}
    steps = _block_1(hardened, confirm) + _block_2(hardened, confirm, tuple(wraps.values()))
    signatures = HARDENED_SIGNATURES if hardened else PUBLISHED_SIGNATURES
    return Script(
        profile,
        confirm,
        steps,
        MappingProxyType({signature.term: signature for signature in signatures}),
        MappingProxyType(wraps),
    )


def _block_1(hardened: bool, confirm: bool) -> tuple[Step, ...]:
    """Specification 1.3: the channel of publisher and broker."""
    answer = PacketType.AUTH if confirm else PacketType.CONNACK
    steps: tuple[Step, ...] = (
        Sending(1, PacketType.CONNECT, Role.P, Role.B, PublisherHello, text="P connects"),
        Checking(
            2,
            Role.B,
            PublisherHello,
            (
                _client(t.ID_P),
                _certificate(Role.P),
                _fresh(t.T_P),
                *(_unseen(t.R_P),) * hardened,
                _signature(t.SIG_C1),
            ),
            "B checks who connects",
        ),
        Sending(3, answer, Role.B, Role.P, BrokerHello, (KeyName.K_PB,), text="B answers"),
        Checking(
            4,
            Role.P,
            BrokerHello,
            (
                _certificate(Role.B),
                _fresh(t.T_B),
                _signature(t.SIG_C2),
                _agrees(KeyName.K_PB, Role.P),
            ),
            "P checks the broker",
        ),
    )
    if confirm:
        steps += (
            Sending(16, PacketType.AUTH, Role.P, Role.B, PublisherConfirm, text="P confirms"),
            Checking(16, Role.B, PublisherConfirm, (_signature(t.SIG_C3),), "B knows it is no replay"),
        )
    return steps


def _block_2(hardened: bool, confirm: bool, wraps: tuple[Wrap, ...]) -> tuple[Step, ...]:
    """Specification 1.4: the channel of subscriber and broker, and the end-to-end channel."""
    unseen = (_unseen(t.R_SP),) * hardened
    answer = PacketType.AUTH if confirm else PacketType.CONNACK
    steps: tuple[Step, ...] = (
        Sending(5, PacketType.CONNECT, Role.S, Role.B, SubscriberRequest, text="S asks for a topic of P"),
        Checking(
            6,
            Role.B,
            SubscriberRequest,
            (_client(t.ID_S), _certificate(Role.S), _fresh(t.T_S), *unseen, _signature(t.SIG_S1)),
            "B checks who connects",
        ),
        Sending(
            7,
            PacketType.PUBLISH,
            Role.B,
            Role.P,
            SubscriberRequest,
            forwards=True,
            text="B passes the signed request on, to P's control topic",
        ),
        Checking(
            8,
            Role.P,
            SubscriberRequest,
            (
                Check(CheckKind.INTENTION, t.TOPIC),
                _certificate(Role.S),
                _fresh(t.T_S),
                *unseen,
                _signature(t.SIG_S1),
            ),
            "P checks who asks",
        ),
        Sending(9, PacketType.AUTH, Role.B, Role.S, KeepWaiting, text="B asks S to keep waiting"),
        Sending(10, PacketType.AUTH, Role.S, Role.B, StillWaiting, text="S waits"),
        Sending(11, PacketType.AUTH, Role.B, Role.S, KeepWaiting, text="B asks again (repeated)"),
        Sending(12, PacketType.AUTH, Role.S, Role.B, StillWaiting, text="S waits (repeated)"),
        Sending(13, PacketType.PUBLISH, Role.P, Role.B, PublisherAnswer, (KeyName.K_PS,), text="P answers"),
        Checking(
            13,
            Role.B,
            PublisherAnswer,
            (
                Check(CheckKind.SAME_CERTIFICATE, t.CERT_P),
                _fresh(t.T_P2),
                _signature(t.SIG_P2),
            ),
            "B checks P's answer",
        ),
        Sending(
            14, answer, Role.B, Role.S, BrokerAnswer, (KeyName.K_BS,), text="B passes it on with its own"
        ),
        Checking(
            15,
            Role.S,
            BrokerAnswer,
            (
                _certificate(Role.P),
                _fresh(t.T_P2),
                _signature(t.SIG_P2),
                _certificate(Role.B),
                _fresh(t.T_B2),
                _signature(t.SIG_B2),
                _agrees(KeyName.K_BS, Role.S),
                _agrees(KeyName.K_PS, Role.S),
                *map(_unwraps, wraps),
            ),
            "S checks both and takes the keys",
        ),
    )
    if confirm:
        steps += (
            Sending(18, PacketType.AUTH, Role.S, Role.B, SubscriberConfirm, text="S confirms to both"),
            Checking(18, Role.B, SubscriberConfirm, (_signature(t.SIG_S4),), "B knows it is no replay"),
            Sending(
                19,
                PacketType.PUBLISH,
                Role.B,
                Role.P,
                ForwardedConfirm,
                forwards=True,
                text="B passes the part for P on",
            ),
            Checking(19, Role.P, ForwardedConfirm, (_signature(t.SIG_S3),), "P knows it is no replay"),
        )
    return steps
