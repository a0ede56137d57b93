"""What may happen in a case, as rewrite rules: instances begin, answer and go on; caches refuse replays."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mqttsec.verify.cases import Case, Kind, ways
from mqttsec.verify.maude_terms import AND, View, Writer
from mqttsec.verify.roles import Var


def rules_of(writer: Writer, kind: Kind) -> Iterator[str]:
    """All rules of one kind of instance."""
    if kind.role.initiator:
        yield _speaks(writer, kind)
    else:
        yield from _answers(writer, kind)
    for stage in range(1, len(kind.role.stages)):
        if kind.role.stages[stage].sends:
            yield from _goes_on(writer, kind, stage)


def _speaks(writer: Writer, kind: Kind) -> str:
    view = View(writer, kind)
    name = writer.kind(kind)
    view.record = f"r({name}, {kind.age}, nil, copy({name}, {kind.age}, nil, 0, R))"
    view.make(0)
    rule = f"st(s N, R, none, K) => st(N, R {view.record}, none, {view.sent(0, 'K')})"
    conditions = _allowed(writer, kind, "R")
    return f"  crl {rule} if {AND.join(conditions)} ." if conditions else f"  rl {rule} ."


def _allowed(writer: Writer, kind: Kind, records: str) -> list[str]:
    """What must hold so that one more instance may begin."""
    conditions = [f"not lone({records})"] if kind in writer.case.lone else []
    if writer.case.each:
        conditions.append(f"runs-{kind.role.name}({records}) < {writer.case.each}")
    return conditions


def counters(case: Case, name: Callable[[Kind], str]) -> Iterator[str]:
    """How many instances of each role there are."""
    for role in dict.fromkeys(kind.role.name for kind in case.kinds) if case.each else ():
        yield f"  op runs-{role} : Recs -> Nat ."
        for kind in case.kinds:
            if kind.role.name == role:
                yield f"  eq runs-{role}(r({name(kind)}, A, L, N) R) = s runs-{role}(R) ."
        yield f"  eq runs-{role}(R) = 0 [owise] ."


def _answers(writer: Writer, kind: Kind) -> Iterator[str]:
    name = writer.kind(kind)
    for way in ways(kind, 0):
        view = View(writer, kind)
        view.conditions += _allowed(writer, kind, "R R'")
        view.comes(0, way, "K")
        inputs = view.list(kind.role.bound(0))
        for principal, identity, (name_of, half) in _unseen(kind):
            if kind.trusts(name_of):
                cache = _cache_name(writer, principal, identity)
                view.conditions.append(f"not {cache}({kind.age}, {view.term(half)}, R')")
        count = view.new("Nat")
        view.conditions.append(f"{count} := copy({name}, {kind.age}, {inputs}, 0, R')")
        view.record = f"r({name}, {kind.age}, {inputs}, {count})"
        view.make(0)
        after = f"st(N, R, R' {view.record}, {view.sent(0, 'K')})"
        yield f"  crl st(s N, R, R', K) => {after} if {AND.join(view.conditions)} ."


def _goes_on(writer: Writer, kind: Kind, stage: int) -> Iterator[str]:
    for way in ways(kind, stage):
        view, found = instance(writer, kind, stage)
        view.comes(stage, way, "K")
        inputs = view.list(kind.role.bound(stage))
        view.make(stage)
        conditions = [*found, f"not done({view.record}, {stage}, R')", *view.conditions]
        after = f"st(N, R, R' d({view.record}, {stage}, {inputs}), {view.sent(stage, 'K')})"
        yield f"  crl st(N, R, R', K) => {after} if {AND.join(conditions)} ."


def instance(writer: Writer, kind: Kind, stages: int) -> tuple[View, list[str]]:
    """An instance that has done so many stages, and the conditions that find it in the state (R, R')."""
    view = View(writer, kind)
    name, number = writer.kind(kind), view.new("Nat")
    inputs = view.list(kind.role.bound(0))
    view.record = f"r({name}, {kind.age}, {inputs}, {number})"
    where = "R" if kind.role.initiator else "R'"
    found = [f"{view.record} {view.new('Recs')} := {where}"]
    view.make(0)
    for stage in range(1, stages):
        given = view.list(kind.role.bound(stage))
        found.append(f"d({view.record}, {stage}, {given}) {view.new('Recs')} := R'")
        view.make(stage)
    return view, found


def _unseen(kind: Kind) -> Iterator[tuple[str, str, tuple[Var, Var]]]:
    """(principal, identity, (its variable, the ephemeral key's)) of what a kind looks up in its cache."""
    for receive in kind.role.stages[0].receives:
        for identity, half in receive.unseen:
            yield kind.principal, kind.who[identity], (identity, half)


def _cache_name(writer: Writer, principal: str, identity: str) -> str:
    return f"seen-{writer.principal(principal)}-{writer.principal(identity)}"


def caches(writer: Writer) -> Iterator[str]:
    """Replay caches: whether somebody has taken an ephemeral key from somebody."""
    made: dict[str, list[str]] = {}
    for kind in writer.case.kinds:
        for principal, identity, (_, half) in _unseen(kind):
            cache = _cache_name(writer, principal, identity)
            view = View(writer, kind)
            inputs = view.list(kind.role.bound(0))
            record = f"r({writer.kind(kind)}, A, {inputs}, N)"
            made.setdefault(cache, []).append(f"  eq {cache}(A, {view.env[half]}, {record} R) = true .")
    for cache, lines in made.items():
        yield f"  op {cache} : Time Pub Recs -> Bool ."
        yield from lines
        yield f"  eq {cache}(A, X, R) = false [owise] ."
