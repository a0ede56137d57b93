"""What the steps say must happen to a message that was tampered with: the model of the tamper matrix.

Nothing is run here. A change is described by what became of each term; then the script's checks are
gone through in their order and the first that must notice is the prediction. The real machines are held
to it, bit by bit, and a lab shows both side by side.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from mqttsec.crypto import Epoch
from mqttsec.crypto.groupkey import STEPS_PER_GENERATION
from mqttsec.e2e import terms as t
from mqttsec.e2e.channel import LayerCheck, Place
from mqttsec.e2e.encoding import Message, terms_of
from mqttsec.e2e.handshake import VALUE_KINDS, leaves
from mqttsec.e2e.messages import Layer, WrappedKey
from mqttsec.e2e.schemes import Cell, Protection
from mqttsec.e2e.setup import Setup
from mqttsec.e2e.steps import AGREEMENTS, Check, CheckKind, Script, Sending
from mqttsec.e2e.terms import IDENTITY_OF, KeyName, Kind, Role, Term


class Change(str, enum.Enum):
    """What became of the value of a term."""

    ALTERED = "altered"
    """Something that nobody made; of a timestamp: still within the window."""
    MISSING = "missing"
    """Nothing is left of it."""
    OTHER = "from another session"
    """What the same term was in another session of the same parties, not long ago."""
    STALE = "stale"
    """Of a timestamp: outside the window."""
    HEADER = "header altered"
    """Of a wrap: its key identifier or epoch; the sealed key is as it was."""


Changes = Mapping[Term, Change]
"""The terms whose value is not what it was; all others are as they were."""


@dataclass(frozen=True)
class Prediction:
    """How a handshake ends in which a message was tampered with."""

    party: Role | None = None
    """Who refuses; None: nobody."""
    check: Check | None = None
    """Because of which check."""
    split: frozenset[KeyName] = frozenset()
    """Where nobody refuses: the keys on which the two ends now differ."""

    @property
    def refused(self) -> bool:
        """True when somebody notices."""
        return self.party is not None

    def __str__(self) -> str:
        if self.party is not None:
            return f"{self.party.value} refuses: {self.check}"
        if self.split:
            return f"not noticed; {', '.join(sorted(self.split))} split"
        return "not noticed, and to no effect"


def changes(
    original: Message, tampered: Message, other: Message | None, window: float, now: float
) -> Changes:
    """What became of each term of `original`, a message of the handshake, in `tampered`.

    `other` is the same message of another session. `window` and `now` are in seconds.
    """
    was, borrowed = dict(leaves(original)), dict(leaves(other)) if other is not None else {}
    found = {}
    for term, value in leaves(tampered):
        if value == was[term]:
            continue
        if term.kind is Kind.TIMESTAMP and abs(now - value / 1000) > window:
            found[term] = Change.STALE
        elif term in borrowed and value == borrowed[term]:
            found[term] = Change.OTHER
        elif value is None or value == b"":
            found[term] = Change.MISSING
        elif isinstance(value, WrappedKey) and was[term] is not None and value.sealed == was[term].sealed:
            found[term] = Change.HEADER
        else:
            found[term] = Change.ALTERED
    return found


# The handshake, played with labels in place of values ------------------------------------------

Label = object
"""What stands for a value: None for the honest one, or what became of it. A signature's label is the
labels of all that was signed, a wrap's those of the two halves of its key."""

_KNOWN = {
    Role.P: {t.ID_P, t.ID_B},
    Role.B: {t.ID_B},
    Role.S: {t.ID_S, t.ID_B, t.ID_P, t.TOPIC},
}
"""What a party knows before the first message, so that none can tell it otherwise. B knows its client
by the Client Identifier, too."""


def predict(script: Script, number: int, changed: Changes) -> Prediction:
    """How a handshake ends in which the message of step `number` was changed on its way."""
    block = next(each for each in script.blocks if any(step.number == number for step in each))
    first = block[0]
    assert isinstance(first, Sending)
    views: dict[Role, dict[Term, Label]] = {role: dict.fromkeys(_KNOWN[role]) for role in Role}
    views[Role.B][IDENTITY_OF[first.sender]] = None
    inbox: dict[tuple[Role, type[Message]], dict[Term, Label]] = {}
    for step in block:
        if isinstance(step, Sending):
            sent = _sent(script, step, views[step.sender], inbox)
            if step.number == number:
                sent.update({term: _label(script, term, change, sent) for term, change in changed.items()})
            inbox[step.receiver, step.message] = sent
            continue
        told, view = inbox[step.party, step.message], views[step.party]
        seen = {**{term: label for term, label in told.items() if term.kind in VALUE_KINDS}, **view}
        for check in step.checks:
            if _notices(script, step.party, check, told, seen):
                return Prediction(step.party, check)
        views[step.party] = seen
    return Prediction(
        split=frozenset(
            key
            for key, agreement in AGREEMENTS.items()
            if any(views[one].get(half) != views[two].get(half)
                   for one, two in (agreement.ends,) for half in agreement.halves)
        )
    )  # fmt: skip


def _sent(
    script: Script,
    step: Sending,
    view: dict[Term, Label],
    inbox: Mapping[tuple[Role, type[Message]], Mapping[Term, Label]],
) -> dict[Term, Label]:
    """The labels of an honest message; what its sender makes itself is entered into its `view`."""
    own = {term for term in terms_of(step.message) if term.owner is step.sender}
    view.update({term: None for term in own if term.kind in VALUE_KINDS and term not in view})
    passed_on: dict[Term, Label] = {}
    for (role, _), labels in inbox.items():
        if role is step.sender:
            passed_on.update(labels)
    return {
        term: passed_on[term] if term not in own and term in passed_on else _made(script, term, view)
        for term in terms_of(step.message)
    }


def _made(script: Script, term: Term, view: Mapping[Term, Label]) -> Label:
    if term.kind is Kind.SIGNATURE:
        return tuple(view.get(each) for each in script.signatures[term].covers)
    if term.kind is Kind.WRAP:
        return _halves(script, term, view) if term in script.wraps else None
    return view.get(term)


def _halves(script: Script, wrap: Term, view: Mapping[Term, Label]) -> Label:
    return tuple(view.get(half) for half in AGREEMENTS[script.wraps[wrap].under].halves)


def _label(script: Script, term: Term, change: Change, sent: Mapping[Term, Label]) -> Label:
    if change is Change.HEADER:
        return change, sent[term]
    if change is Change.OTHER and term.kind is Kind.SIGNATURE:
        # The signer meant the other session's values.
        fresh = (Kind.EPHEMERAL, Kind.TIMESTAMP)
        covers = script.signatures[term].covers
        return tuple(Change.OTHER if each.kind in fresh else None for each in covers)
    if change is Change.OTHER and term.kind is Kind.WRAP:
        return Change.OTHER, Change.OTHER
    return change


def _notices(
    script: Script, party: Role, check: Check, told: Mapping[Term, Label], seen: Mapping[Term, Label]
) -> bool:
    label = told[check.subject]
    if check.kind in (CheckKind.CLIENT, CheckKind.SAME_CERTIFICATE):
        return label is not None
    if check.kind is CheckKind.INTENTION:
        return told[IDENTITY_OF[party]] is not None
    if check.kind is CheckKind.CERTIFICATE:
        assert check.subject.owner is not None
        return label is not None or seen[IDENTITY_OF[check.subject.owner]] is not None
    if check.kind is CheckKind.FRESH:
        return label is Change.STALE
    if check.kind is CheckKind.UNSEEN:
        return label is Change.OTHER
    if check.kind is CheckKind.SIGNATURE:
        # A signature fits if signer and verifier mean the same by every term that it covers.
        covers = script.signatures[check.subject].covers
        return bool(covers) and label != tuple(seen.get(each) for each in covers)
    if check.kind is CheckKind.AGREEMENT:
        return seen[check.subject] is Change.MISSING
    assert check.kind is CheckKind.UNWRAP
    if isinstance(label, tuple) and label[0] is Change.HEADER:
        return script.hardened or label[1] != _halves(script, check.subject, seen)
    return label != _halves(script, check.subject, seen)


# Block 3 ---------------------------------------------------------------------------------------


def predict_layer(
    setup: Setup, cell: Cell, original: Layer, tampered: Layer, same_topic: bool, held: Epoch, replay: bool
) -> LayerCheck | None:
    """Which check must refuse a layer in which fields were changed; None: none does.

    `cell` is the row of the table that protects it, `same_topic` whether it comes on the topic that it was
    made for, `held` the epoch from which on the receiver can read, `replay` whether it came before; all
    messages before it have come.
    """

    def differs(*names: str) -> bool:
        return any(getattr(original, name) != getattr(tampered, name) for name in names)

    sealed = cell.protection is Protection.EI
    signed = setup.sign_messages and original.layer == Place.END_TO_END
    if differs("layer") or (sealed and differs("tag")) or (not signed and differs("signature")):
        return LayerCheck.FORM
    if differs("publisher", "key_id"):
        return LayerCheck.KEY
    if differs("epoch") and not _reachable(cell, Epoch.of(tampered.epoch), held):
        return LayerCheck.KEY
    # A number that came before is refused before anything is opened.
    if setup.hardened and tampered.sequence < original.sequence + replay:
        return LayerCheck.SEQUENCE
    under_tag = differs("body", "tag", "epoch")
    if setup.hardened:
        under_tag = under_tag or differs("sequence") or not same_topic
    if under_tag:
        return LayerCheck.TAG
    return LayerCheck.SIGNATURE if differs("signature") else None


def _reachable(cell: Cell, epoch: Epoch, held: Epoch) -> bool:
    """Whether a member derives a key for an epoch at all: a later step of a generation that it holds."""
    if cell.key is None or not cell.key.is_group:
        return epoch == Epoch()
    return epoch.generation == held.generation and held.step <= epoch.step <= STEPS_PER_GENERATION
