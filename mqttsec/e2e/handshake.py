"""The handshake machine: one party's view of one run, moved by the script (`steps`).

A `Run` is immutable: sending and receiving give a new one, a failure leaves the old one as it was. It
does no input or output; messages go in and come out. What it does at each step stands in the script:
here are only the meanings of the script's words.

`send` makes a message: the fields first, then the keys that the step makes known, then what is sealed
with them, then the signatures. `receive` takes the script's checks in order and stops at the first that
fails.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeVar

from mqttsec.crypto import Ephemeral, Keyring, PairKeys, Peer, fields, pair_keys
from mqttsec.e2e.encoding import Message, decode
from mqttsec.e2e.groups import keyring
from mqttsec.e2e.messages import KEY_ID_SIZE, WrappedKey
from mqttsec.e2e.setup import Party
from mqttsec.e2e.steps import AGREEMENTS, STARTS, Check, Checking, CheckKind
from mqttsec.e2e.terms import IDENTITY_OF, TOPIC, KeyName, Kind, Role, Term
from mqttsec.errors import HandshakeError, MalformedPacketError, TamperError

M = TypeVar("M", bound=Message)

Value = str | int | bytes
"""What can stand for a term."""

_NOTHING: Mapping[Any, Any] = MappingProxyType({})


def _nothing() -> Mapping[Any, Any]:
    return _NOTHING


class CheckFailed(HandshakeError):
    """A check of the script that refused a message."""

    def __init__(self, message: str, check: Check, reason_code: int) -> None:
        super().__init__(message, reason_code)
        self.check = check
        """Which check."""


class Unreadable(HandshakeError):
    """Bytes that are no message of the kind that is expected."""


class Unexpected(HandshakeError):
    """A message that nobody waits for: too late, a second time, or before it was asked for."""


@dataclass(frozen=True)
class Run:
    """One party's view of one run of a block."""

    party: Party
    """Whose view."""
    values: Mapping[Term, Value] = field(default_factory=_nothing)
    """What it knows by name: identities, topic, ephemeral public keys, timestamps."""
    secrets: Mapping[Term, Ephemeral] = field(default_factory=_nothing, repr=False)
    """The private halves of its own ephemeral keys; each is dropped as soon as its key is agreed on."""
    peers: Mapping[Role, Peer] = field(default_factory=_nothing, repr=False)
    """Whose certificate has been found right."""
    keys: Mapping[KeyName, PairKeys] = field(default_factory=_nothing)
    """The keys agreed on."""
    keyrings: Mapping[KeyName, Keyring] = field(default_factory=_nothing)
    """The group keys received."""
    received: Mapping[Term, WrappedKey] = field(default_factory=_nothing, repr=False)
    """The wraps they came in."""

    @classmethod
    def of(cls, party: Party, **names: str) -> Run:
        """A new run in which `party` knows itself and `names`: by role (`P`, `B`, `S`), or `topic`.

        The names are those with which a run of its role begins (`steps.STARTS`), no more and no less.
        """
        known: dict[Term, Value] = {
            TOPIC if name == "topic" else IDENTITY_OF[Role(name)]: value for name, value in names.items()
        }
        assert (party.role, frozenset(known)) in _STARTS, (
            f"{party.title} cannot begin a run with {set(names)}"
        )
        known[IDENTITY_OF[party.role]] = party.name
        return cls(party, MappingProxyType(known))

    def text(self, term: Term) -> str:
        """The value of an identity or a topic."""
        return str(self.values[term])

    def key_id(self, key: KeyName) -> bytes:
        """Names a key that this run agreed on; both ends give it the same name."""
        return key_id(*(self._bytes(half) for half in AGREEMENTS[key].halves))

    # Sending -----------------------------------------------------------------------------------

    def send(
        self,
        message: type[M],
        parts: Mapping[str, Message] = _NOTHING,
        give: Callable[[Run, Term], WrappedKey | None] = lambda run, wrap: None,
    ) -> tuple[Run, M]:
        """Make the message of a step, and the run after it.

        `parts` are the nested messages that are passed on; `give` wraps a group key for the other end,
        once the run has the key to wrap it with. Raises `HandshakeError` where the peer's ephemeral key
        gives no key.
        """
        step = self.party.setup.script.sending(message, self.party.role)
        made: dict[str, Any] = dict(parts)
        run = self
        for form in message.forms():
            term = form.term
            if term is None or term.kind in (Kind.SIGNATURE, Kind.WRAP):
                continue
            run, made[form.name] = run._own(term)
        try:
            for key in step.learns:
                run = run._agree(key)
        except HandshakeError as error:
            raise error.at(self.party.title, f"step {step.number}") from None
        for form in message.forms():
            if form.term is not None and form.term.kind is Kind.WRAP:
                made[form.name] = give(run, form.term)
            elif form.term is not None and form.term.kind is Kind.SIGNATURE:
                made[form.name] = run._sign(form.term)
        return run, message(**made)

    def _own(self, term: Term) -> tuple[Run, Value]:
        """The value of a term that this party brings, and the run that knows it."""
        if term.kind is Kind.CERTIFICATE:
            return self, self.party.identity.certificate
        if term.kind is Kind.TIMESTAMP:
            now = int(self.party.clock() * 1000)
            return self._knowing({term: now}), now
        if term.kind is Kind.EPHEMERAL and term not in self.values:
            pair = self.party.setup.group.generate(self.party.operations)
            run = replace(self, secrets=MappingProxyType({**self.secrets, term: pair}))
            return run._knowing({term: pair.public}), pair.public
        return self, self.values[term]

    def _sign(self, signature: Term) -> bytes:
        covers = self.party.setup.script.signatures[signature].covers
        if not covers:
            return b""
        return self.party.identity.sign(self._covered(covers), self.party.operations)

    # Receiving ---------------------------------------------------------------------------------

    def receive(self, message: Message) -> Run:
        """The run after a message that passed all checks of its step.

        Raises `CheckFailed`, with the check and its Reason Code, for the first that fails.
        """
        party = self.party
        step = party.setup.script.checking(type(message), party.role)
        told = dict(leaves(message))
        # What this party knows itself stands; a message cannot overrule it.
        run = self._knowing(
            {
                term: value
                for term, value in told.items()
                if term.kind in VALUE_KINDS and term not in self.values
            }
        )
        for check in step.checks:
            try:
                run = _CHECKS[check.kind](run, check, told)
            except (HandshakeError, TamperError) as error:
                raise _failed(party, step, check, error) from None
        for check in step.checks:
            if check.kind is CheckKind.UNSEEN:
                party.replays.remember(*run._replayed(check, told))
        return run

    def _client(self, check: Check, told: Mapping[Term, Any]) -> Run:
        if told[check.subject] != self.values[check.subject]:
            raise HandshakeError(
                f"the message speaks for {told[check.subject]!r}, the Client Identifier is "
                f"{self.values[check.subject]!r}: connect under your own name"
            )
        return self

    def _intention(self, check: Check, told: Mapping[Term, Any]) -> Run:
        if told[IDENTITY_OF[self.party.role]] != self.party.name:
            raise HandshakeError("the request is meant for another publisher: ask that one")
        if not self.party.serves(told[check.subject]):
            raise HandshakeError(f"the topic {told[check.subject]!r} is not published here: ask for another")
        return self

    def _certificate(self, check: Check, told: Mapping[Term, Any]) -> Run:
        party, role = self.party, _owner(check.subject)
        peer = party.trust.check(
            told[check.subject], self.text(IDENTITY_OF[role]), party.clock(), party.operations
        )
        return replace(self, peers=MappingProxyType({**self.peers, role: peer}))

    def _same_certificate(self, check: Check, told: Mapping[Term, Any]) -> Run:
        if told[check.subject] != self.peers[_owner(check.subject)].certificate:
            raise HandshakeError("the certificate is another than that of Block 1: show the same one")
        return self

    def _fresh(self, check: Check, told: Mapping[Term, Any]) -> Run:
        party = self.party
        away = party.clock() - told[check.subject] / 1000
        if abs(away) > party.setup.window:
            raise HandshakeError(
                f"the timestamp is {abs(away):.0f} s {'old' if away > 0 else 'ahead'}, more than "
                f"{party.setup.window:.0f} s: stale, or the clocks differ. Set them right and begin again"
            )
        return self

    def _unseen(self, check: Check, told: Mapping[Term, Any]) -> Run:
        identity, ephemeral, _ = self._replayed(check, told)
        self.party.replays.check(identity, ephemeral, self.party.clock())
        return self

    def _replayed(self, check: Check, told: Mapping[Term, Any]) -> tuple[str, bytes, float]:
        stamp = next(value for term, value in told.items() if term.kind is Kind.TIMESTAMP)
        # A timestamp may lie ahead of our clock, and then counts for longer.
        until = stamp / 1000 + self.party.setup.window
        return self.text(IDENTITY_OF[_owner(check.subject)]), told[check.subject], until

    def _signature(self, check: Check, told: Mapping[Term, Any]) -> Run:
        covers = self.party.setup.script.signatures[check.subject].covers
        if covers:
            peer = self.peers.get(_owner(check.subject))
            if peer is None:
                raise HandshakeError("no certificate says whose signature this is")
            peer.verify(told[check.subject], self._covered(covers), self.party.operations)
        return self

    def _agreement(self, check: Check, told: Mapping[Term, Any]) -> Run:
        assert check.key is not None
        return self._agree(check.key)

    def _unwrap(self, check: Check, told: Mapping[Term, Any]) -> Run:
        wrap = self.party.setup.script.wraps[check.subject]
        wrapped = told.get(check.subject)
        if wrapped is None:
            raise HandshakeError(f"{check.subject} is missing: without it no message can be read")
        owner = self.text(IDENTITY_OF[wrap.giver])
        ring = keyring(self.party, wrap.holds, owner, wrapped, self.keys[wrap.under].sending(owner))
        return replace(
            self,
            keyrings=MappingProxyType({**self.keyrings, wrap.holds: ring}),
            received=MappingProxyType({**self.received, check.subject: wrapped}),
        )

    # What both need ----------------------------------------------------------------------------

    def _agree(self, key: KeyName) -> Run:
        """K = KDF(r * R'), after which r is of no more use."""
        party, agreement = self.party, AGREEMENTS[key]
        own = agreement.own(party.role)
        secret = self.secrets[own].agree(
            self._bytes(agreement.peers(party.role)), key.value, party.operations
        )
        ends = (self.text(IDENTITY_OF[agreement.ends[0]]), self.text(IDENTITY_OF[agreement.ends[1]]))
        setup = party.setup
        context = tuple(self._bytes(half) for half in agreement.halves)
        pair = pair_keys(setup.profile, setup.ciphers, secret, key.value, ends, context)
        return replace(
            self,
            keys=MappingProxyType({**self.keys, key: pair}),
            secrets=MappingProxyType({term: each for term, each in self.secrets.items() if term != own}),
        )

    def _covered(self, covers: tuple[Term, ...]) -> bytes:
        """What is signed: each value with its length before it."""
        return fields(*map(self._signed, covers))

    def _signed(self, term: Term) -> str | bytes:
        if term.kind is Kind.TAG:
            # The tag says which message of which protocol is signed, so the setup is signed with it.
            return f"{self.party.setup.method} {term.name}"
        value = self.values[term]
        return value.to_bytes(8, "big") if isinstance(value, int) else value

    def _knowing(self, values: Mapping[Term, Value]) -> Run:
        return replace(self, values=MappingProxyType({**self.values, **values})) if values else self

    def _bytes(self, term: Term) -> bytes:
        value = self.values[term]
        assert isinstance(value, bytes), f"{term} is no ephemeral key"
        return value


_STARTS = frozenset((start.role, frozenset(start.knows)) for start in STARTS)
"""What a run may begin with."""

VALUE_KINDS = (Kind.IDENTITY, Kind.TOPIC, Kind.EPHEMERAL, Kind.TIMESTAMP)
"""What a run remembers of a message; the rest is looked at and dropped."""

_CHECKS: Mapping[CheckKind, Callable[[Run, Check, Mapping[Term, Any]], Run]] = {
    CheckKind.CLIENT: Run._client,
    CheckKind.INTENTION: Run._intention,
    CheckKind.CERTIFICATE: Run._certificate,
    CheckKind.SAME_CERTIFICATE: Run._same_certificate,
    CheckKind.FRESH: Run._fresh,
    CheckKind.UNSEEN: Run._unseen,
    CheckKind.SIGNATURE: Run._signature,
    CheckKind.AGREEMENT: Run._agreement,
    CheckKind.UNWRAP: Run._unwrap,
}
"""What each word of the script means."""


def leaves(message: Message) -> Iterator[tuple[Term, Any]]:
    """(term, value) of every field that bears a term, nested messages included."""
    for form in message.forms():
        value = getattr(message, form.name)
        if form.term is not None:
            yield form.term, value
        elif isinstance(value, Message):
            yield from leaves(value)


def key_id(*halves: bytes) -> bytes:
    """Names a key by the two ephemeral public keys that made it: nothing about the key is in it."""
    return hashlib.sha256(fields(*halves)).digest()[:KEY_ID_SIZE]


def read(party: Party, data: bytes | None, *expected: type[M]) -> M:
    """The message that came to `party`. Raises `Unreadable` for bytes that are none that is expected."""
    try:
        return decode(data or b"", *expected)
    except MalformedPacketError as error:
        names = " or ".join(each.__name__ for each in expected)
        raise Unreadable(
            f"what came is no {names} ({error}): changed on its way, or of another version", party=party.title
        ) from None


def _owner(term: Term) -> Role:
    assert term.owner is not None, f"{term} is nobody's"
    return term.owner


def _failed(party: Party, step: Checking, check: Check, error: HandshakeError | TamperError) -> CheckFailed:
    # A check may have a Reason Code of its own: a replay cache without room says 0x89.
    code = error.reason_code if isinstance(error, HandshakeError) else check.reason_code
    failed = CheckFailed(f"{check} failed: {error}", check, code)
    failed.at(party.title, f"step {step.number}")
    return failed
