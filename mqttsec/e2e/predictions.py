"""What the steps say must happen to a message that was tampered with: the model of the tamper matrix.

Nothing is run here. A change is described by what became of each term; then the script's checks are
gone through in their order and the first that must notice is the prediction. The real machines are held
to it, bit by bit, and a lab shows both side by side.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mqttsec.crypto import Epoch
from mqttsec.crypto.groupkey import STEPS_PER_GENERATION
from mqttsec.e2e import terms as t
from mqttsec.e2e.channel import BOUND, LayerCheck, Place, split_recipient
from mqttsec.e2e.encoding import Message, terms_of
from mqttsec.e2e.handshake import VALUE_KINDS, leaves
from mqttsec.e2e.messages import Layer, WrappedKey
from mqttsec.e2e.schemes import Cell, Protection
from mqttsec.e2e.setup import Setup
from mqttsec.e2e.steps import AGREEMENTS, Check, Checking, CheckKind, Script, Sending, Step
from mqttsec.e2e.terms import IDENTITY_OF, KeyName, Kind, Role, Term


class Change(str, enum.Enum):
    """What became of the value of a term."""

    ALTERED = "altered"
    """Something that nobody made; of a timestamp: still within the window."""
    MISSING = "missing"
    """Nothing is left of it."""
    OTHER = "from an earlier session"
    """What the same term was in another session of the same parties, not long ago."""
    FOREIGN = "from a session of somebody else"
    """What the same term is in a session at the same time, in which the client is another: in Block 1
    another publisher, in Block 2 another subscriber of the same publisher."""
    STALE = "stale"
    """Of a timestamp: outside the window."""
    HEADER = "header altered"
    """Of a wrap: its key identifier or epoch; the sealed key is as it was."""


Changes = Mapping[Term, Change]
"""The terms whose value is not what it was; all others are as they were."""


class Misfit(str, enum.Enum):
    """Why a message is refused before the first check of its step."""

    FORM = "form"
    """The bytes are no message of the kind that is expected."""
    UNEXPECTED = "unexpected"
    """Nobody waits for it: it answers a question that is settled, or was never asked."""


@dataclass(frozen=True)
class Prediction:
    """How a handshake ends in which a message was tampered with."""

    party: Role | None = None
    """Who refuses; None: nobody."""
    check: Check | Misfit | None = None
    """Because of what."""
    split: frozenset[KeyName] = frozenset()
    """Where nobody refuses: the keys on which the two ends now differ."""

    @property
    def refused(self) -> bool:
        """True when somebody notices."""
        return self.party is not None

    def __str__(self) -> str:
        if self.party is not None:
            said = self.check.value if isinstance(self.check, Misfit) else self.check
            return f"{self.party.value} refuses: {said}"
        if self.split:
            return f"not noticed; {', '.join(sorted(self.split))} split"
        return "not noticed, and to no effect"


def changes(
    original: Message, tampered: Message, elsewhere: Mapping[Change, Message], window: float, now: float
) -> Changes:
    """What became of each term of `original`, a message of the handshake, in `tampered`.

    `elsewhere` has the same message of other sessions, by OTHER and FOREIGN. `window` and `now` are in
    seconds.
    """
    was = dict(leaves(original))
    borrowed = {change: dict(leaves(message)) for change, message in elsewhere.items()}
    found = {}
    for term, value in leaves(tampered):
        if value == was[term]:
            continue
        sources = [change for change, values in borrowed.items() if values[term] == value]
        if term.kind is Kind.TIMESTAMP and abs(now - value / 1000) > window:
            found[term] = Change.STALE
        elif sources:
            found[term] = sources[0]
        elif value is None or value == b"":
            found[term] = Change.MISSING
        elif isinstance(value, WrappedKey) and was[term] is not None and value.sealed == was[term].sealed:
            found[term] = Change.HEADER
        else:
            found[term] = Change.ALTERED
    return found


# The handshake, played with labels in place of values ------------------------------------------

Label = object
"""What stands for a value: None for the honest one, or what became of it. A signature's label is that of
its signer with those of all that was signed, a wrap's those of the two halves of its key."""

_KNOWN = {
    Role.P: {t.ID_P, t.ID_B},
    Role.B: {t.ID_B},
    Role.S: {t.ID_S, t.ID_B, t.ID_P, t.TOPIC},
}
"""What a party knows before the first message, so that none can tell it otherwise. B knows its client
by the Client Identifier, too."""


def predict(script: Script, number: int, changed: Changes) -> Prediction:
    """How a handshake ends in which the message of step `number` was changed on its way."""
    block = _block_of(script, number)
    client = _client_of(block)
    views: dict[Role, dict[Term, Label]] = {role: dict.fromkeys(_KNOWN[role]) for role in Role}
    views[Role.B][IDENTITY_OF[client]] = None
    inbox: dict[tuple[Role, type[Message]], dict[Term, Label]] = {}
    for step in block:
        if isinstance(step, Sending):
            sent = _sent(script, step, views[step.sender], inbox)
            if step.number == number:
                sent.update(
                    {term: _label(script, client, term, change, sent) for term, change in changed.items()}
                )
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


def predict_again(script: Script, number: int) -> Prediction:
    """What becomes of the message of step `number` that comes a second time, unchanged.

    Who has said nothing in the block yet knows a repetition by its replay cache alone. Who has, waits for
    one answer and no more; what bears nothing to check is B's question, and one answer is too many.
    """
    block = _block_of(script, number)
    sending = next(step for step in block if isinstance(step, Sending) and step.number == number)
    judging = _judging(block, sending)
    if judging is None:
        return Prediction(Role.B, Misfit.UNEXPECTED)
    said = any(
        isinstance(step, Sending) and step.number < number and step.sender is judging.party for step in block
    )
    if said:
        return Prediction(judging.party, Misfit.UNEXPECTED)
    for check in judging.checks:
        if check.kind is CheckKind.UNSEEN:
            return Prediction(judging.party, check)
    return Prediction()


def keys_without(script: Script, number: int) -> frozenset[tuple[Role, KeyName]]:
    """Who holds which key of a pair where the message of step `number` never comes: nobody goes on then."""
    held = set()
    for step in _block_of(script, number):
        party = step.sender if isinstance(step, Sending) else step.party
        if not isinstance(step, Sending) and step.number >= number:
            break
        held |= {(party, key) for key in step.learns if not key.is_group}
        if isinstance(step, Sending) and step.number == number:
            break
    return frozenset(held)


def why_taken(script: Script, number: int, changed: Changes) -> str:
    """Why nobody notices a change that `predict` says nobody notices: what is not signed, or not bound."""
    reasons = []
    for term, change in changed.items():
        if change is Change.HEADER:
            reasons.append(f"the seal of {term} covers the key and not its header")
        elif term.kind is Kind.SIGNATURE:
            reasons.append(f"{script.signatures[term]} fits: all that it covers came with it")
    covered = {term for signature in script.signatures.values() for term in signature.covers}
    reasons += [f"no signature covers {term}" for term in changed if term.kind in VALUE_KINDS
                and term not in covered]  # fmt: skip
    return "; ".join(reasons)


def _block_of(script: Script, number: int) -> tuple[Step, ...]:
    return next(each for each in script.blocks if any(step.number == number for step in each))


def _client_of(block: tuple[Step, ...]) -> Role:
    first = block[0]
    assert isinstance(first, Sending), "a block begins with a CONNECT"
    return first.sender


def _judging(block: tuple[Step, ...], sending: Sending) -> Checking | None:
    """The step that checks a message where it arrives; None for one that bears nothing."""
    for step in block:
        if isinstance(step, Checking) and (step.party, step.message) == (sending.receiver, sending.message):
            return step
    return None


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
        return None, tuple(view.get(each) for each in script.signatures[term].covers)
    if term.kind is Kind.WRAP:
        return _halves(script, term, view) if term in script.wraps else None
    return view.get(term)


def _halves(script: Script, wrap: Term, view: Mapping[Term, Label]) -> Label:
    return tuple(view.get(half) for half in AGREEMENTS[script.wraps[wrap].under].halves)


def _label(script: Script, client: Role, term: Term, change: Change, sent: Mapping[Term, Label]) -> Label:
    if change is Change.HEADER:
        return change, sent[term]
    if change in (Change.OTHER, Change.FOREIGN) and term.kind is Kind.SIGNATURE:
        # Its signer, perhaps another, meant the other session's values.
        assert term.owner is not None
        signer = _elsewhere(IDENTITY_OF[term.owner], change, client)
        return signer, tuple(_elsewhere(each, change, client) for each in script.signatures[term].covers)
    if change in (Change.OTHER, Change.FOREIGN) and term.kind is Kind.WRAP:
        return change, change
    return change


def _elsewhere(term: Term, change: Change, client: Role) -> Label:
    """What a term of another session is in ours: the same, unless it is fresh or names another client."""
    fresh = term.kind in (Kind.EPHEMERAL, Kind.TIMESTAMP)
    return change if fresh or (change is Change.FOREIGN and term is IDENTITY_OF[client]) else None


def _notices(
    script: Script, party: Role, check: Check, told: Mapping[Term, Label], seen: Mapping[Term, Label]
) -> bool:
    label = told[check.subject]
    if check.kind in (CheckKind.CLIENT, CheckKind.SAME_CERTIFICATE):
        return label is not None
    if check.kind is CheckKind.INTENTION:
        return told[IDENTITY_OF[party]] is not None
    if check.kind is CheckKind.CERTIFICATE:
        # Of two that the authority has certified, each has its own certificate for its own name.
        assert check.subject.owner is not None
        return label not in (None, Change.FOREIGN) or label != seen[IDENTITY_OF[check.subject.owner]]
    if check.kind is CheckKind.FRESH:
        return label is Change.STALE
    if check.kind is CheckKind.UNSEEN:
        return label is Change.OTHER
    if check.kind is CheckKind.SIGNATURE:
        # A signature fits if signer and verifier mean the same by every term that it covers.
        covers = script.signatures[check.subject].covers
        assert check.subject.owner is not None
        signer = seen.get(IDENTITY_OF[check.subject.owner])
        return bool(covers) and label != (signer, tuple(seen.get(each) for each in covers))
    if check.kind is CheckKind.AGREEMENT:
        return seen[check.subject] is Change.MISSING
    assert check.kind is CheckKind.UNWRAP
    if isinstance(label, tuple) and label[0] is Change.HEADER:
        return script.hardened or label[1] != _halves(script, check.subject, seen)
    return label != _halves(script, check.subject, seen)


# Block 3 ---------------------------------------------------------------------------------------


def predict_layer(
    setup: Setup,
    cell: Cell,
    original: Layer,
    tampered: Layer,
    same_topic: bool,
    held: Epoch,
    replay: bool,
    earlier: Collection[Layer] = (),
) -> LayerCheck | None:
    """Which check must refuse a layer in which fields were changed; None: none does.

    `cell` is the row of the table that protects it, `same_topic` whether it comes on the topic that it was
    made for, `held` the epoch from which on the receiver can read, `replay` whether it came before; all
    messages before it have come, and `earlier` are those that somebody may have kept. What is under the tag
    is what `channel.BOUND` says.
    """
    differing = {form.name for form in Layer.forms()
                 if getattr(original, form.name) != getattr(tampered, form.name)}  # fmt: skip
    if not same_topic:
        differing.add("topic")
    sealed = cell.protection is Protection.EI
    signed = setup.sign_messages and original.layer == Place.END_TO_END
    must_be_empty = ({"tag"} if sealed else set()) | (set() if signed else {"signature"})
    if differing & ({"layer"} | must_be_empty):
        return LayerCheck.FORM
    if differing & {"publisher", "key_id"}:
        return LayerCheck.KEY
    if "epoch" in differing and not _reachable(cell, Epoch.of(tampered.epoch), held):
        return LayerCheck.KEY
    # A number that came before is refused before anything is opened.
    if setup.hardened and tampered.sequence < original.sequence + replay:
        return LayerCheck.SEQUENCE
    # Another epoch has another key, whether or not the number itself is under the tag. All that is under a
    # tag must have been made together, now or earlier.
    bound = {"body", "tag", "epoch", *BOUND[setup.profile]}
    whole = any(
        all(getattr(made, name) == getattr(tampered, name) for name in bound - {"topic"}) for made in earlier
    )
    if differing & bound and not (whole and same_topic):
        return LayerCheck.TAG
    return LayerCheck.SIGNATURE if "signature" in differing else None


def predict_topic(setup: Setup, topic: str, tampered: str) -> LayerCheck | None:
    """Which check of S must refuse a message that comes on another topic than the one it was made for.

    S has the keys of each topic from a handshake of its own, and finds them by the topic.
    """
    if setup.individual and split_recipient(topic)[1] != split_recipient(tampered)[1]:
        return LayerCheck.FORM
    return LayerCheck.KEY if topic != tampered else None


def why_layer_taken(setup: Setup, changed: frozenset[str]) -> str:
    """Why nobody notices a change of `changed`, fields of a layer (`topic` and `again` among them)."""
    if not changed:
        return "nothing arrives, and nobody counts; the next message opens"
    if changed & {"again", "body"}:
        return "whole, as it was made before, and no sequence number is looked at"
    free = sorted(changed - set(BOUND[setup.profile]))
    return f"not under the tag: {', '.join(free)}"


def _reachable(cell: Cell, epoch: Epoch, held: Epoch) -> bool:
    """Whether a member derives a key for an epoch at all: a later step of a generation that it holds."""
    if cell.key is None or not cell.key.is_group:
        return epoch == Epoch()
    return epoch.generation == held.generation and held.step <= epoch.step <= STEPS_PER_GENERATION
