"""The roles of a handshake, made from the step data that the machines run.

Nothing of the protocol is written here: which messages there are, what stands in them, what a signature
covers, what is checked, which keys come out and from what, all of it is read from a `Script`. A change of
one line there changes the bytes on the wire and the roles alike.

What the model leaves out, because it can change no verdict: certificates are names (the authority is
honest, so a certificate says who holds a key and anybody may have it), and the messages that carry no
field (steps 9 to 12).
"""

from __future__ import annotations

from collections.abc import Iterator

from mqttsec.e2e.encoding import Message, terms_of
from mqttsec.e2e.steps import AGREEMENTS, STARTS, Agreement, Checking, CheckKind, Script, Sending, Start, Step
from mqttsec.e2e.terms import IDENTITY_OF, Kind, Term
from mqttsec.e2e.terms import Role as Kin
from mqttsec.verify.roles import (
    Act,
    Claim,
    Const,
    Item,
    Part,
    Protocol,
    Receive,
    Role,
    Sealed,
    Send,
    Shared,
    Signed,
    Sort,
    Var,
)

HONEST = {"P": "alice", "B": "broker", "S": "bob"}
"""The honest principal of each kind."""

_SORTS = {
    Kind.IDENTITY: Sort.NAME,
    Kind.EPHEMERAL: Sort.PUBLIC,
    Kind.TIMESTAMP: Sort.TIME,
}


def protocol(script: Script, name: str = "") -> Protocol:
    """The roles of both blocks: P1, B1 of the first, S2, B2, P2 of the second."""
    roles = tuple(_role(script, start) for start in STARTS)
    return Protocol(name or script.profile.value, roles, HONEST)


def role_name(kin: Kin, block: int) -> str:
    """`B2`: the broker in Block 2."""
    return f"{kin.value}{block}"


def var(term: Term) -> Var:
    """The variable of a term that has a value of its own."""
    return Var(term.name, _SORTS[term.kind])


def item(term: Term) -> Item:
    """A term as it stands under a signature."""
    return Const(term.name) if term.kind in (Kind.TAG, Kind.TOPIC) else var(term)


def signed(script: Script, term: Term) -> Signed:
    """A signature of the handshake."""
    assert term.owner is not None
    covers = script.signatures[term].covers
    return Signed(term.name, var(IDENTITY_OF[term.owner]), tuple(map(item, covers)))


def shared(script: Script, agreement: Agreement) -> Shared:
    """A key; *hardened* derives it from its name and both ends' names as well, *published* does not."""
    context: tuple[Item, ...] = ()
    if script.hardened:
        ends = (var(IDENTITY_OF[end]) for end in agreement.ends)
        context = (Const(agreement.key.value), *ends)
    one, other = agreement.halves
    return Shared(agreement.key.value, (var(one), var(other)), context)


def sealed(script: Script, term: Term) -> Sealed:
    """A group key on its way."""
    wrap = script.wraps[term]
    return Sealed(term.name, shared(script, AGREEMENTS[wrap.under]), Var(wrap.holds.value, Sort.NONCE))


def _role(script: Script, start: Start) -> Role:
    steps = script.blocks[start.block - 1]
    acts: list[Act] = []
    places: list[int] = []
    made: set[Var] = set()
    for place, step in enumerate(steps):
        act: Act | None = None
        if isinstance(step, Sending) and step.sender is start.role:
            act = _send(script, step, made)
            made |= set(act.fresh) if act is not None else set()
        elif isinstance(step, Checking) and step.party is start.role:
            act = _receive(script, step)
        if act is not None:
            acts.append(act)
            places.append(place)
    owner = var(IDENTITY_OF[start.role])
    names = [var(term) for term in start.knows if term.kind is Kind.IDENTITY]
    for act in acts:
        names += [part for part in act.parts if isinstance(part, Var) and part.sort is Sort.NAME]
    partners = tuple(dict.fromkeys(name for name in names if name != owner))
    kinds = {var(term): kin.value for kin, term in IDENTITY_OF.items()}
    done = max(index for index, act in enumerate(acts) if isinstance(act, Receive) or act.news)
    claims = tuple(_claims(script, start, steps, places[done], done))
    return Role(
        role_name(start.role, start.block), start.role.value, owner, partners, tuple(acts), claims, kinds
    )


def _send(script: Script, step: Sending, made: set[Var]) -> Send | None:
    parts = tuple(_parts(script, step.message))
    if not parts:
        return None
    own = [] if step.forwards else [term for term in terms_of(step.message) if term.owner is step.sender]
    fresh = [var(term) for term in own if term.kind in (Kind.EPHEMERAL, Kind.TIMESTAMP)]
    news: list[Part] = [var(term) for term in own if term.kind is Kind.EPHEMERAL and var(term) not in made]
    news += [signed(script, term) for term in own if term.kind is Kind.SIGNATURE]
    for term in own:
        if term in script.wraps:
            wrap = sealed(script, term)
            fresh.append(wrap.content)
            news.append(wrap)
    new = tuple(each for each in fresh if each not in made)
    return Send(step.number, step.message.__name__, parts, new, tuple(news))


def _receive(script: Script, step: Checking) -> Receive:
    checked = {check.subject for check in step.checks}
    # A signature that nobody checks, and a wrap that nobody opens, may be anything.
    parts = tuple(
        part
        for term, part in _with_terms(script, step.message)
        if term.kind not in (Kind.SIGNATURE, Kind.WRAP) or term in checked
    )
    fresh = frozenset(var(check.subject) for check in step.checks if check.kind is CheckKind.FRESH)
    unseen = tuple(
        (var(IDENTITY_OF[check.subject.owner]), var(check.subject))
        for check in step.checks
        if check.kind is CheckKind.UNSEEN and check.subject.owner is not None
    )
    return Receive(step.number, step.message.__name__, parts, fresh, unseen)


def _parts(script: Script, message: type[Message]) -> Iterator[Part]:
    for _, part in _with_terms(script, message):
        yield part


def _with_terms(script: Script, message: type[Message]) -> Iterator[tuple[Term, Part]]:
    for term in terms_of(message):
        if term.kind in _SORTS or term.kind is Kind.TOPIC:
            yield term, item(term)
        elif term.kind is Kind.SIGNATURE:
            yield term, signed(script, term)
        elif term in script.wraps:
            yield term, sealed(script, term)


# What is believed at the end -------------------------------------------------------------------


def _claims(script: Script, start: Start, steps: tuple[Step, ...], place: int, act: int) -> Iterator[Claim]:
    """A claim for every key that the role has and that one of its block has as well."""
    for agreement in AGREEMENTS.values():
        if start.role not in agreement.ends:
            continue
        peer = agreement.ends[1 - agreement.ends.index(start.role)]
        theirs = role_name(peer, start.block)
        if not any(each.role is peer and each.block == start.block for each in STARTS):
            continue
        if _learned(steps, start.role, agreement) is None:
            continue
        yield Claim(
            peer.value,
            var(IDENTITY_OF[peer]),
            shared(script, agreement),
            _agreed(steps, agreement, peer, place),
            (theirs,),
            act,
        )


def _agreed(steps: tuple[Step, ...], agreement: Agreement, peer: Kin, place: int) -> tuple[Var, ...]:
    """The halves that the peer knew when it last spoke: nobody can agree on what it has not got yet."""
    spoken = [
        index
        for index, step in enumerate(steps[:place])
        if isinstance(step, Sending) and step.sender is peer and not step.forwards and terms_of(step.message)
    ]
    learned = _learned(steps, peer, agreement)
    if spoken and learned is not None and learned <= spoken[-1]:
        return tuple(map(var, agreement.halves))
    return (var(agreement.own(peer)),)


def _learned(steps: tuple[Step, ...], role: Kin, agreement: Agreement) -> int | None:
    """Where in the steps a role computes a key; None where it does not."""
    for index, step in enumerate(steps):
        who = step.sender if isinstance(step, Sending) else step.party
        if who is role and agreement.key in step.learns:
            return index
    return None
