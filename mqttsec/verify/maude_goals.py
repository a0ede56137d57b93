"""What a state breaks, as equations: `w3` of a state is `b3` if the goal of that number is broken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mqttsec.verify.cases import Goal, Kind, Property, claims, ways
from mqttsec.verify.maude_rules import instance
from mqttsec.verify.maude_terms import AND, View, Writer
from mqttsec.verify.roles import Claim, Sealed, Shared, Var


@dataclass
class _Held:
    """A claim in an equation: the instance, what must hold for it to be made."""

    view: View
    claim: Claim
    conditions: list[str]


def _held(writer: Writer, kind: Kind, claim: Claim) -> Iterator[_Held]:
    """Every way in which an instance of a kind can make a claim."""
    stage = kind.role.stage_of(claim)
    if kind.role.stages[stage].sends:
        view, found = instance(writer, kind, stage + 1)
        yield _Held(view, claim, found)
        return
    for way in ways(kind, stage):
        view, found = instance(writer, kind, stage)
        view.comes(stage, way, "K")
        yield _Held(view, claim, found + view.conditions)


def _all_held(writer: Writer, wrong_only: bool = True) -> Iterator[_Held]:
    for kind in writer.case.kinds:
        for claim in claims(kind) if wrong_only else kind.role.claims:
            yield from _held(writer, kind, claim)


def goal_equations(writer: Writer, number: int, goal: Goal) -> Iterator[str]:
    """The equations that say which states break a goal, and the functions that they use."""
    yield f"  op w{number} : State -> Goals ."
    for conditions in _wrong(writer, goal):
        yield f"  ceq w{number}(st(N, R, R', K)) = b{number} if {AND.join(conditions)} ."
    yield f"  eq w{number}(S) = ok [owise] ."
    yield from _helpers(writer, goal)


def _wrong(writer: Writer, goal: Goal) -> Iterator[list[str]]:
    """The conditions of each way to break a goal."""
    if goal.property in (Property.SECRECY, Property.FORWARD):
        for held in _all_held(writer):
            yield from _leaks(goal, held)
        return
    for held in _all_held(writer):
        if f"{held.view.kind.role.kind}-{held.claim.peer_role}" == goal.subject:
            yield from _disagrees(writer, goal, held)


def _leaks(goal: Goal, held: _Held) -> Iterator[list[str]]:
    secret, view = held.claim.secret, held.view
    test = "after" if goal.property is Property.FORWARD else "has"
    if isinstance(secret, Var):
        if secret.name == goal.subject:
            yield [*held.conditions, f"{test}({view.term(secret)}, K)"]
        return
    if secret.name == goal.subject:
        yield [*held.conditions, f"open({view.key(secret)})"]
    for stage in view.kind.role.stages:
        for send in stage.sends:
            for part in send.news:
                if isinstance(part, Sealed) and part.content.name == goal.subject and part.key == secret:
                    yield [*held.conditions, f"{test}({view.term(part.content)}, K)"]


def _disagrees(writer: Writer, goal: Goal, held: _Held) -> Iterator[list[str]]:
    view, claim = held.view, held.claim
    if goal.property is Property.ALIVENESS:
        peer = view.kind.who[claim.peer]
        alive = f"lives-{writer.principal(peer)}"
        yield [*held.conditions, f"not {alive}(R R')"]
    elif goal.property is Property.AGREEMENT:
        yield [*held.conditions, f"not {_agrees(writer, goal, held)}"]
    elif goal.property is Property.PAIRING:
        for kind in _partners(writer, held):
            there = f"r({writer.kind(kind)}, {kind.age}, {view.new('List')}, {view.new('Nat')})"
            yield [
                *held.conditions,
                f"not {_agrees(writer, goal, held)}",
                f"{there} {view.new('Recs')} := R R'",
            ]
    elif goal.property is Property.ONCE:
        yield from _twice(writer, goal, held)
    else:
        yield from _misbound(writer, goal, held)


def _agreed(held: _Held) -> str:
    return held.view.list(held.claim.agreed)


def _key_of(goal: Goal, held: _Held, what: str) -> str:
    """The name of a function for one claim of one kind."""
    kind = held.view.kind
    place = kind.role.claims.index(held.claim)
    return f"{what}-{goal.property.value}-{held.view.writer.kind(kind)}-{place}"


def _agrees(writer: Writer, goal: Goal, held: _Held) -> str:
    return f"{_key_of(goal, held, 'agrees')}({_agreed(held)}, R, R')"


def _partners(writer: Writer, held: _Held) -> Iterator[Kind]:
    """Kinds of runs of the peer that a claim may be about."""
    me = held.view.kind
    for kind in writer.case.kinds:
        if kind.old or kind.role.name not in held.claim.of_peer:
            continue
        if kind.principal == me.who[held.claim.peer] and kind.who.get(me.role.owner) == me.principal:
            yield kind


def _partner_conditions(writer: Writer, kind: Kind, claim: Claim) -> tuple[View, list[str]] | None:
    """A run of the peer that has all values of a claim; None for a kind that never has them."""
    role = kind.role
    for stages in range(1, len(role.stages) + 1):
        if stages > 1 and not role.stages[stages - 1].sends:
            return None
        have = {var for stage in range(stages) for var in role.bound(stage)}
        have |= {var for stage in role.stages[:stages] for send in stage.sends for var in send.fresh}
        if set(claim.agreed) <= have:
            return instance(writer, kind, stages)
    return None


def _helpers(writer: Writer, goal: Goal) -> Iterator[str]:
    """The functions that the equations of a goal use."""
    if goal.property is Property.ALIVENESS:
        for peer in _peers(writer, goal):
            yield from _lives(writer, peer)
        return
    if goal.property in (Property.SECRECY, Property.FORWARD):
        return
    for kind in writer.case.kinds:
        for claim in claims(kind):
            if f"{kind.role.kind}-{claim.peer_role}" != goal.subject:
                continue
            held = _Held(View(writer, kind), claim, [])
            for what, alike in (("agrees", False), ("same", True)):
                if what == "same" and goal.property is not Property.BINDING:
                    continue
                yield from _agreement(writer, goal, held, what, alike)


def _agreement(writer: Writer, goal: Goal, held: _Held, what: str, alike: bool) -> Iterator[str]:
    """Whether the peer has a run on given values; `alike`: and names all others as the claimer does."""
    name = _key_of(goal, held, what)
    yield f"  op {name} : List Recs Recs -> Bool ."
    mine = held.view.kind.who
    for partner in _partners(writer, held):
        if alike and any(mine.get(var, other) != other for var, other in partner.names):
            continue
        found = _partner_conditions(writer, partner, held.claim)
        if found is not None:
            view, conditions = found
            values = view.list(held.claim.agreed)
            # The record is found by matching it against the left-hand side, where the values are known.
            yield f"  ceq {name}({values}, R, R') = true if {AND.join(conditions)} ."
    yield f"  eq {name}(L, R, R') = false [owise] ."


def _peers(writer: Writer, goal: Goal) -> tuple[str, ...]:
    found = [
        kind.who[claim.peer]
        for kind in writer.case.kinds
        for claim in claims(kind)
        if f"{kind.role.kind}-{claim.peer_role}" == goal.subject
    ]
    return tuple(dict.fromkeys(found))


def _lives(writer: Writer, peer: str) -> Iterator[str]:
    name = f"lives-{writer.principal(peer)}"
    if f"op {name}" in writer.lines:
        return
    writer.lines.append(f"op {name}")
    yield f"  op {name} : Recs -> Bool ."
    for kind in writer.case.kinds:
        if kind.principal == peer:
            yield f"  eq {name}(r({writer.kind(kind)}, A, L, N) R) = true ."
    yield f"  eq {name}(R) = false [owise] ."


def _twice(writer: Writer, goal: Goal, held: _Held) -> Iterator[list[str]]:
    """Two instances that claim the same."""
    view, claim = held.view, held.claim
    if any(var in view.kind.role.own for var in claim.agreed):
        # What the claimer made itself is never the same in two of its instances.
        return
    for kind in writer.case.kinds:
        if kind.role != view.kind.role or claim not in claims(kind):
            continue
        if kind.who[claim.peer] != view.kind.who[claim.peer]:
            continue
        for other in _held(writer, kind, claim):
            alike = f"{_agreed(held)} = {_agreed(other)}"
            differ = f"{view.record} =/= {other.view.record}"
            yield [*held.conditions, *other.conditions, alike, differ, _agrees(writer, goal, held)]


def _misbound(writer: Writer, goal: Goal, held: _Held) -> Iterator[list[str]]:
    """Somebody else has the key, or has it with somebody else; or the third party is another."""
    view, claim = held.view, held.claim
    same = f"{_key_of(goal, held, 'same')}({_agreed(held)}, R, R')"
    yield [*held.conditions, _agrees(writer, goal, held), f"not {same}"]
    if not isinstance(claim.secret, Shared):
        return
    me, peer = view.kind.principal, view.kind.who[claim.peer]
    for other in _all_held(writer, wrong_only=False):
        kind = other.view.kind
        if kind.principal == me or not isinstance(other.claim.secret, Shared):
            continue
        if kind.principal == peer and kind.who[other.claim.peer] == me:
            continue
        alike = f"{view.key(claim.secret)} = {other.view.key(other.claim.secret)}"
        yield [*held.conditions, *other.conditions, alike]
