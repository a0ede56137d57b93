"""A case as the text of a Maude module (Clavel et al., All About Maude).

The meaning is that of `explorer`, in rewriting: a state is a term, what may happen next is a rule, what a
state breaks is an equation. What makes it fast is in the text:

- A role that speaks first is a rule that only adds an instance; all of them come before anybody answers.
- A receive at the end of a role is no rule at all: whether it could happen is a question about the state.
- Roles that answer wait in one counter. A fresh value is named by the instance that made it, and an
  instance by its inputs, so permuted runs are one and the same term.
- A forged message is built only in a shape that its receiver accepts (`cases.ways`).
- Kinds of instances that reach no claim are left out (`cases.Case.cone`).

Every name is made by this module from numbers, so no word of a protocol can clash with one of Maude's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from mqttsec.verify.cases import Case, Goal, Kind, Property, Way, checked_now, claims, ways
from mqttsec.verify.roles import (
    Claim,
    Const,
    Encrypted,
    Item,
    Part,
    Sealed,
    Shared,
    Signed,
    Sort,
    Var,
)

_HEAD = """
mod {name} is
  protecting NAT . protecting EXT-BOOL .
  sorts Name Cst Time Pub Nonce Val List Exp Key Age Kind Rec Recs Know Goal Goals State .
  subsorts Name Cst Time Pub Nonce < Val .
  sort Sig Enc Seal Fact .
  subsorts Pub Nonce Sig Enc Seal < Fact < Know .
  subsort Rec < Recs .
  subsort Goal < Goals .
  ops now old : -> Time [ctor] .
  op nil : -> List [ctor] .
  op _:_ : Val List -> List [ctor gather (e E)] .
  op g : Exp -> Pub [ctor] .
  op own : -> Exp [ctor] .
  op x : Nat Rec -> Exp [ctor] .
  op n : Nat Rec -> Nonce [ctor] .
  op mine : -> Nonce [ctor] .
  op sig : Name List -> Sig [ctor] .
  op en : Name List -> Enc [ctor] .
  op sl : Key Nonce -> Seal [ctor] .
  op dh : Pub Pub -> Key [ctor comm] .
  op kdf : Key List -> Key [ctor] .
  op r : Kind Time List Nat -> Rec [ctor] .
  op d : Rec Nat List -> Rec [ctor] .
  op none : -> Recs [ctor] .
  op __ : Recs Recs -> Recs [ctor assoc comm id: none] .
  op void : -> Know [ctor] .
  op _;_ : Know Know -> Know [ctor assoc comm id: void] .
  op st : Nat Recs Recs Know -> State [ctor] .
  op ok : -> Goals [ctor] .
  op _,_ : Goals Goals -> Goals [ctor assoc comm id: ok] .
  var X Y : Pub . var E : Exp . var M : Nat . var A : Time . var L : List . var K : Know . var F : Fact .
  var R R' : Recs . var C : Rec . var T : Kind . var N : Nat . var Q : Key . var S : State . var O : Nonce .
  var B : Name . var G : Goals . var V : Val .
  op leak : Pub -> Bool .
  eq leak(g(own)) = true .
  eq leak(g(x(M, r(T, old, L, N)))) = true .
  eq leak(X) = false [owise] .
  op open : Key -> Bool .
  eq open(dh(X, Y)) = leak(X) or-else leak(Y) .
  eq open(kdf(Q, L)) = open(Q) .
  op in : Val List -> Bool .
  eq in(V, V : L) = true .
  eq in(V, L) = false [owise] .
  op has : Fact Know -> Bool .
  eq has(F, F ; K) = true .
  eq has(F, K) = false [owise] .
  op after : Nonce Know -> Bool .
  eq after(O, O ; K) = true .
  ceq after(O, en(B, L) ; K) = true if in(O, L) .
  eq after(O, K) = false [owise] .
  op add : Fact Know -> Know .
  eq add(F, F ; K) = F ; K .
  ceq add(sl(Q, O), K) = sl(Q, O) ; add(O, K) if open(Q) /\\ not has(sl(Q, O), K) .
  eq add(F, K) = F ; K [owise] .
  op copy : Kind Time List Nat Recs -> Nat .
  eq copy(T, A, L, N, r(T, A, L, N) R) = copy(T, A, L, s N, R) .
  eq copy(T, A, L, N, R) = N [owise] .
  op lone : Recs -> Bool .
  op done : Rec Nat Recs -> Bool .
  eq done(C, N, d(C, N, L) R) = true .
  eq done(C, N, R) = false [owise] .
"""

_SORT_NAMES = {Sort.NAME: "Name", Sort.PUBLIC: "Pub", Sort.NONCE: "Nonce", Sort.TIME: "Time"}

AND = " /\\ "

MODULE = "CASE"
"""The name of the module."""


@dataclass
class _Writer:
    """Names for everything, and the lines."""

    case: Case
    principals: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    variables: int = 0

    def principal(self, name: str) -> str:
        return self.principals.setdefault(name, f"p{len(self.principals)}")

    def constant(self, name: str) -> str:
        return self.constants.setdefault(name, f"c{len(self.constants)}")

    def label(self, var: Var) -> int:
        return self.labels.setdefault(var.name, len(self.labels))

    def kind(self, kind: Kind) -> str:
        return f"k{self.case.kinds.index(kind)}"


@dataclass
class _View:
    """An instance inside an equation or a rule: what stands for it and for its variables."""

    writer: _Writer
    kind: Kind
    env: dict[Var, str] = field(default_factory=dict)
    record: str = ""
    conditions: list[str] = field(default_factory=list)

    def new(self, sort: str) -> str:
        self.writer.variables += 1
        return f"Z{self.writer.variables}:{sort}"

    def copied(self) -> _View:
        return _View(self.writer, self.kind, dict(self.env), self.record, list(self.conditions))

    def term(self, item: Item) -> str:
        """A value; a variable that has none yet gets a variable of Maude's."""
        if isinstance(item, Const):
            return self.writer.constant(item.name)
        if item.sort is Sort.NAME:
            return self.writer.principal(self.kind.who[item])
        if item not in self.env:
            self.env[item] = self.new(_SORT_NAMES[item.sort])
        return self.env[item]

    def list(self, items: tuple[Item, ...]) -> str:
        return f"({' : '.join([*map(self.term, items), 'nil'])})"

    def key(self, key: Shared) -> str:
        one, other = (self.term(half) for half in key.halves)
        base = f"dh({one}, {other})"
        return f"kdf({base}, {self.list(key.context)})" if key.context else base

    def fact(self, part: Signed | Encrypted | Sealed) -> str:
        if isinstance(part, Signed):
            return f"sig({self.term(part.signer)}, {self.list(part.payload)})"
        if isinstance(part, Encrypted):
            return f"en({self.term(part.to)}, {self.list(part.payload)})"
        return f"sl({self.key(part.key)}, {self.term(part.content)})"

    def make(self, stage: int) -> None:
        """The values that the instance itself brings into a stage."""
        for send in self.kind.role.stages[stage].sends:
            for var in send.fresh:
                if var.sort is Sort.TIME:
                    self.env[var] = self.kind.age
                else:
                    label = self.writer.label(var)
                    made = f"x({label}, {self.record})"
                    nonce = f"n({label}, {self.record})"
                    self.env[var] = f"g({made})" if var.sort is Sort.PUBLIC else nonce

    def sent(self, stage: int, onto: str) -> str:
        """What the intruder knows after the instance has sent what it sends in a stage."""
        known = onto
        for send in self.kind.role.stages[stage].sends:
            for part in send.news:
                for fact in self._told(part):
                    known = f"add({fact}, {known})"
        return known

    def _told(self, part: Part) -> Iterator[str]:
        if isinstance(part, Signed):
            if part.payload:
                yield self.fact(part)
        elif isinstance(part, Encrypted):
            if self.kind.who[part.to] in self.writer.case.protocol.honest.values():
                yield self.fact(part)
            else:
                for item in part.payload:
                    if isinstance(item, Var) and item.sort in (Sort.PUBLIC, Sort.NONCE):
                        yield self.term(item)
        elif isinstance(part, Sealed):
            yield self.fact(part)
        else:
            yield self.term(part)

    def comes(self, stage: int, way: Way, known: str) -> None:
        """The conditions under which the intruder brings a stage about in one way."""
        now = checked_now(self.kind.role.stages[stage])
        for var in now:
            self.env[var] = self.kind.age
        for part in way.repeats:
            fact = self.fact(part)
            self.conditions.append(f"{fact} ; {self.new('Know')} := {known}")
        for var in way.chooses:
            if var in self.env:
                continue
            if var.sort is Sort.TIME:
                self.env[var] = self.kind.age
                continue
            self.conditions.append(f"{self.term(var)} ; {self.new('Know')} := {known}")
        for var in way.knows:
            self.conditions.append(f"has({self.term(var)}, {known})")
        for key in way.opens:
            self.conditions.append(f"open({self.key(key)})")


@dataclass(frozen=True)
class Module:
    """A case for the engine."""

    text: str
    """The module. Its initial state is `start(n)`; `w3` of a state is `b3` if that goal is broken."""
    principals: Mapping[str, str]
    """What stands for whom."""
    constants: Mapping[str, str]
    """What stands for which tag or topic."""
    labels: Mapping[int, str]
    """Which fresh value a number names."""


def module(case: Case) -> Module:
    """The module of a case."""
    writer = _Writer(case)
    body: list[str] = []
    rules = [line for kind in case.kinds for line in _rules(writer, kind)]
    seen = list(_caches(writer))
    goals = [line for number, goal in enumerate(case.goals) for line in _goal(writer, number, goal)]
    body.append(f"  ops {' '.join(f'k{index}' for index in range(len(case.kinds)))} : -> Kind [ctor] .")
    for name in case.protocol.honest.values():
        writer.principal(name)
    body.append(f"  ops {' '.join(writer.principals.values())} : -> Name [ctor] .")
    if writer.constants:
        body.append(f"  ops {' '.join(writer.constants.values())} : -> Cst [ctor] .")
    body.append(f"  ops {' '.join(f'b{number}' for number in range(len(case.goals)))} : -> Goal [ctor] .")
    body.append("  op start : Nat -> State .")
    body.append("  eq start(N) = st(N, none, none, g(own) ; mine) .")
    for kind in case.lone:
        body.append(f"  eq lone(r({writer.kind(kind)}, A, L, N) R) = true .")
    body.append("  eq lone(R) = false [owise] .")
    body += _counters(case, writer.kind)
    body += seen + goals
    head = _HEAD.format(name=MODULE)
    return Module(
        head + "\n".join(body + rules) + "\nendm\n",
        {short: name for name, short in writer.principals.items()},
        {short: name for name, short in writer.constants.items()},
        {number: name for name, number in writer.labels.items()},
    )


# What may happen -------------------------------------------------------------------------------


def _rules(writer: _Writer, kind: Kind) -> Iterator[str]:
    if kind.role.initiator:
        yield _speaks(writer, kind)
    else:
        yield from _answers(writer, kind)
    for stage in range(1, len(kind.role.stages)):
        if kind.role.stages[stage].sends:
            yield from _goes_on(writer, kind, stage)


def _speaks(writer: _Writer, kind: Kind) -> str:
    view = _View(writer, kind)
    name = writer.kind(kind)
    view.record = f"r({name}, {kind.age}, nil, copy({name}, {kind.age}, nil, 0, R))"
    view.make(0)
    rule = f"st(s N, R, none, K) => st(N, R {view.record}, none, {view.sent(0, 'K')})"
    conditions = _allowed(writer, kind, "R")
    return f"  crl {rule} if {AND.join(conditions)} ." if conditions else f"  rl {rule} ."


def _allowed(writer: _Writer, kind: Kind, records: str) -> list[str]:
    """What must hold so that one more instance may begin."""
    conditions = [f"not lone({records})"] if kind in writer.case.lone else []
    if writer.case.each:
        conditions.append(f"runs-{kind.role.name}({records}) < {writer.case.each}")
    return conditions


def _counters(case: Case, name: Callable[[Kind], str]) -> Iterator[str]:
    """How many instances of each role there are."""
    for role in dict.fromkeys(kind.role.name for kind in case.kinds) if case.each else ():
        yield f"  op runs-{role} : Recs -> Nat ."
        for kind in case.kinds:
            if kind.role.name == role:
                yield f"  eq runs-{role}(r({name(kind)}, A, L, N) R) = s runs-{role}(R) ."
        yield f"  eq runs-{role}(R) = 0 [owise] ."


def _answers(writer: _Writer, kind: Kind) -> Iterator[str]:
    name = writer.kind(kind)
    for way in ways(kind, 0):
        view = _View(writer, kind)
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


def _goes_on(writer: _Writer, kind: Kind, stage: int) -> Iterator[str]:
    for way in ways(kind, stage):
        view, found = _instance(writer, kind, stage)
        view.comes(stage, way, "K")
        inputs = view.list(kind.role.bound(stage))
        view.make(stage)
        conditions = [*found, f"not done({view.record}, {stage}, R')", *view.conditions]
        after = f"st(N, R, R' d({view.record}, {stage}, {inputs}), {view.sent(stage, 'K')})"
        yield f"  crl st(N, R, R', K) => {after} if {AND.join(conditions)} ."


def _instance(writer: _Writer, kind: Kind, stages: int) -> tuple[_View, list[str]]:
    """An instance that has done so many stages, and the conditions that find it in the state (R, R')."""
    view = _View(writer, kind)
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


def _cache_name(writer: _Writer, principal: str, identity: str) -> str:
    return f"seen-{writer.principal(principal)}-{writer.principal(identity)}"


def _caches(writer: _Writer) -> Iterator[str]:
    """Replay caches: whether somebody has taken an ephemeral key from somebody."""
    made: dict[str, list[str]] = {}
    for kind in writer.case.kinds:
        for principal, identity, (_, half) in _unseen(kind):
            cache = _cache_name(writer, principal, identity)
            view = _View(writer, kind)
            inputs = view.list(kind.role.bound(0))
            record = f"r({writer.kind(kind)}, A, {inputs}, N)"
            made.setdefault(cache, []).append(f"  eq {cache}(A, {view.env[half]}, {record} R) = true .")
    for cache, lines in made.items():
        yield f"  op {cache} : Time Pub Recs -> Bool ."
        yield from lines
        yield f"  eq {cache}(A, X, R) = false [owise] ."


# What a state breaks ---------------------------------------------------------------------------


@dataclass
class _Held:
    """A claim in an equation: the instance, what must hold for it to be made."""

    view: _View
    claim: Claim
    conditions: list[str]


def _held(writer: _Writer, kind: Kind, claim: Claim) -> Iterator[_Held]:
    """Every way in which an instance of a kind can make a claim."""
    stage = kind.role.stage_of(claim)
    if kind.role.stages[stage].sends:
        view, found = _instance(writer, kind, stage + 1)
        yield _Held(view, claim, found)
        return
    for way in ways(kind, stage):
        view, found = _instance(writer, kind, stage)
        view.comes(stage, way, "K")
        yield _Held(view, claim, found + view.conditions)


def _all_held(writer: _Writer, wrong_only: bool = True) -> Iterator[_Held]:
    for kind in writer.case.kinds:
        for claim in claims(kind) if wrong_only else kind.role.claims:
            yield from _held(writer, kind, claim)


def _goal(writer: _Writer, number: int, goal: Goal) -> Iterator[str]:
    yield f"  op w{number} : State -> Goals ."
    for conditions in _wrong(writer, goal):
        yield f"  ceq w{number}(st(N, R, R', K)) = b{number} if {AND.join(conditions)} ."
    yield f"  eq w{number}(S) = ok [owise] ."
    yield from _helpers(writer, goal)


def _wrong(writer: _Writer, goal: Goal) -> Iterator[list[str]]:
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


def _disagrees(writer: _Writer, goal: Goal, held: _Held) -> Iterator[list[str]]:
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


def _agrees(writer: _Writer, goal: Goal, held: _Held) -> str:
    return f"{_key_of(goal, held, 'agrees')}({_agreed(held)}, R, R')"


def _partners(writer: _Writer, held: _Held) -> Iterator[Kind]:
    """Kinds of runs of the peer that a claim may be about."""
    me = held.view.kind
    for kind in writer.case.kinds:
        if kind.old or kind.role.name not in held.claim.of_peer:
            continue
        if kind.principal == me.who[held.claim.peer] and kind.who.get(me.role.owner) == me.principal:
            yield kind


def _partner_conditions(writer: _Writer, kind: Kind, claim: Claim) -> tuple[_View, list[str]] | None:
    """A run of the peer that has all values of a claim; None for a kind that never has them."""
    role = kind.role
    for stages in range(1, len(role.stages) + 1):
        if stages > 1 and not role.stages[stages - 1].sends:
            return None
        have = {var for stage in range(stages) for var in role.bound(stage)}
        have |= {var for stage in role.stages[:stages] for send in stage.sends for var in send.fresh}
        if set(claim.agreed) <= have:
            return _instance(writer, kind, stages)
    return None


def _helpers(writer: _Writer, goal: Goal) -> Iterator[str]:
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
            held = _Held(_View(writer, kind), claim, [])
            for what, alike in (("agrees", False), ("same", True)):
                if what == "same" and goal.property is not Property.BINDING:
                    continue
                yield from _agreement(writer, goal, held, what, alike)


def _agreement(writer: _Writer, goal: Goal, held: _Held, what: str, alike: bool) -> Iterator[str]:
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


def _peers(writer: _Writer, goal: Goal) -> tuple[str, ...]:
    found = [
        kind.who[claim.peer]
        for kind in writer.case.kinds
        for claim in claims(kind)
        if f"{kind.role.kind}-{claim.peer_role}" == goal.subject
    ]
    return tuple(dict.fromkeys(found))


def _lives(writer: _Writer, peer: str) -> Iterator[str]:
    name = f"lives-{writer.principal(peer)}"
    if f"op {name}" in writer.lines:
        return
    writer.lines.append(f"op {name}")
    yield f"  op {name} : Recs -> Bool ."
    for kind in writer.case.kinds:
        if kind.principal == peer:
            yield f"  eq {name}(r({writer.kind(kind)}, A, L, N) R) = true ."
    yield f"  eq {name}(R) = false [owise] ."


def _twice(writer: _Writer, goal: Goal, held: _Held) -> Iterator[list[str]]:
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


def _misbound(writer: _Writer, goal: Goal, held: _Held) -> Iterator[list[str]]:
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
