"""What is compared: the handshake as published, as hardened, and with one safeguard changed.

Each variant is a `Script`, the data that the machines run, changed in a line or two; `Variant.setup` is
what to give to the machines so that they run it. This is the teaching core: which safeguard stops which
attack.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from mqttsec.crypto import Profile
from mqttsec.e2e import terms as t
from mqttsec.e2e.setup import Setup
from mqttsec.e2e.steps import CheckKind, Script, Signature
from mqttsec.e2e.terms import Kind, Role, Term
from mqttsec.errors import ConfigurationError

Change = Callable[[Script], Script]
"""Makes another handshake of one."""


@dataclass(frozen=True)
class Variant:
    """A handshake to analyse."""

    name: str
    """As tables and the command line call it."""
    text: str
    """What it is, in a line."""
    profile: Profile
    """Which of the two it starts from: the key schedule is that one's."""
    change: Change = lambda script: script
    """What is changed."""
    confirm: bool = False
    """With the confirming messages."""
    safe: bool = False
    """True where nothing is expected to be found."""

    def setup(self, scheme: int = 2) -> Setup:
        """For the machines. Scheme 2 has no group keys; 3 and 4 have the same handshake with wraps."""
        plain = Setup(scheme, self.profile, confirm=self.confirm)
        return replace(plain, altered=self.change(plain.script))

    @cached_property
    def script(self) -> Script:
        """The steps, without group keys."""
        return self.setup().script


# Changes ---------------------------------------------------------------------------------------


def resigned(cover: Callable[[Signature], tuple[Term, ...]]) -> Change:
    """Every signature covers something else."""

    def change(script: Script) -> Script:
        for term, signature in tuple(script.signatures.items()):
            script = script.signing(term, *cover(signature))
        return script

    return change


def covering(*kinds: Kind, peers: bool = True) -> Change:
    """Every signature covers what *hardened* covers, of some kinds only; without `peers`, only what the
    signer brings itself."""

    def cover(signature: Signature) -> tuple[Term, ...]:
        full = Setup(2, confirm=True).script.signatures[signature.term].covers
        return tuple(
            term
            for term in full
            if term.kind in kinds
            and (peers or term.kind is not Kind.EPHEMERAL or term.owner is signature.term.owner)
        )

    return resigned(cover)


def leaving_out(signature: Term, *terms: Term) -> Change:
    """One signature covers less."""

    def change(script: Script) -> Script:
        covers = script.signatures[signature].covers
        return script.signing(signature, *(term for term in covers if term not in terms))

    return change


def unchecked(kind: CheckKind, subject: Term | None = None, party: Role | None = None) -> Change:
    """A check that nobody makes, or that one party does not make."""
    return lambda script: script.without(kind, subject, party)


def _tagged(signature: Signature) -> tuple[Term, ...]:
    return (t.tag(signature.term.name.partition(":")[2]), *signature.covers)


def _own_only(signature: Signature) -> tuple[Term, ...]:
    return tuple(term for term in signature.covers if term.kind in (Kind.EPHEMERAL, Kind.TIMESTAMP))


_TAG, _ID, _EPH, _TIME, _TOPIC = Kind.TAG, Kind.IDENTITY, Kind.EPHEMERAL, Kind.TIMESTAMP, Kind.TOPIC
_PUBLISHED, _HARDENED = Profile.PUBLISHED, Profile.HARDENED

VARIANTS: tuple[Variant, ...] = (
    Variant("published", "what the paper's text says", _PUBLISHED),
    Variant(
        "own values only",
        "published, and the request is signed like all others: own ephemeral keys and time, no name",
        _PUBLISHED,
        resigned(_own_only),
    ),
    Variant("replay cache only", "published, with a replay cache", _PUBLISHED, Script.remembering),
    Variant("tags only", "published, and each signature says what it is for", _PUBLISHED, resigned(_tagged)),
    Variant(
        "ephemerals, no names",
        "tags, own and peer's ephemeral key, time; nobody's name",
        _PUBLISHED,
        covering(_TAG, _EPH, _TIME),
    ),
    Variant(
        "names, own ephemeral",
        "tags, both names, own ephemeral key, time; not the peer's ephemeral key",
        _PUBLISHED,
        covering(_TAG, _ID, _TOPIC, _EPH, _TIME, peers=False),
    ),
    Variant("hardened", "what we recommend, with the replay cache", _HARDENED, safe=True),
    Variant(
        "confirmed",
        "hardened, with the confirming messages in place of the replay cache",
        _HARDENED,
        unchecked(CheckKind.UNSEEN),
        confirm=True,
        safe=True,
    ),
    Variant(
        "no replay cache",
        "hardened, without replay cache and confirming messages",
        _HARDENED,
        unchecked(CheckKind.UNSEEN),
    ),
    Variant(
        "no peer's ephemeral",
        "hardened, but the signatures leave the peer's ephemeral key out",
        _HARDENED,
        covering(_TAG, _ID, _TOPIC, _EPH, _TIME, peers=False),
    ),
    Variant(
        "no names",
        "hardened, but the signatures leave all names out",
        _HARDENED,
        covering(_TAG, _EPH, _TIME, _TOPIC),
    ),
    Variant(
        "no broker in request",
        "hardened, but S does not sign which broker it asks",
        _HARDENED,
        leaving_out(t.SIG_S1, t.ID_B),
    ),
    Variant("no signatures", "hardened, and nobody signs anything", _HARDENED, resigned(lambda each: ())),
    Variant("only time signed", "hardened, but signatures cover the time only", _HARDENED, covering(_TIME)),
    Variant("R_SP unsigned", "hardened, but S does not sign R_SP", _HARDENED, leaving_out(t.SIG_S1, t.R_SP)),
    Variant("R_PS unsigned", "hardened, but P does not sign R_PS", _HARDENED, leaving_out(t.SIG_P2, t.R_PS)),
    Variant(
        "P does not check S",
        "hardened, but P does not check S's signature",
        _HARDENED,
        unchecked(CheckKind.SIGNATURE, t.SIG_S1, Role.P),
    ),
    Variant(
        "time unsigned",
        "hardened, but the signatures leave the time out",
        _HARDENED,
        covering(_TAG, _ID, _TOPIC, _EPH),
    ),
    Variant("time unchecked", "hardened, but nobody checks the time", _HARDENED, unchecked(CheckKind.FRESH)),
)
"""In the order in which the lab goes through them."""


def variant(name: str) -> Variant:
    """The variant of that name. Raises `ConfigurationError`, with the names there are."""
    for each in VARIANTS:
        if each.name == name:
            return each
    names = ", ".join(repr(each.name) for each in VARIANTS)
    raise ConfigurationError(f"there is no variant {name!r}; there are {names}")
