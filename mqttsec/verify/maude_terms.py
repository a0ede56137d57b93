"""What a Maude module is written with: the sorts of a state, names for everything, and one instance's values.

Every name is made here from numbers, so no word of a protocol can clash with one of Maude's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mqttsec.verify.cases import Case, Kind, Way, checked_now
from mqttsec.verify.roles import Const, Encrypted, Item, Part, Sealed, Shared, Signed, Sort, Var

HEAD = """
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
"""The beginning of every module: sorts, constructors, and what the intruder can open and knows."""

_SORT_NAMES = {Sort.NAME: "Name", Sort.PUBLIC: "Pub", Sort.NONCE: "Nonce", Sort.TIME: "Time"}

AND = " /\\ "
"""Between conditions."""


@dataclass
class Writer:
    """Names for everything, given out as they are asked for."""

    case: Case
    """What the module is about."""
    principals: dict[str, str] = field(default_factory=dict)
    """Principal: its name in the module."""
    constants: dict[str, str] = field(default_factory=dict)
    """Tag or topic: its name in the module."""
    labels: dict[str, int] = field(default_factory=dict)
    """Variable of a fresh value: its number."""
    lines: list[str] = field(default_factory=list)
    """Declarations that must not be written twice."""
    variables: int = 0
    """How many variables of Maude's have been made."""

    def principal(self, name: str) -> str:
        """A principal's name."""
        return self.principals.setdefault(name, f"p{len(self.principals)}")

    def constant(self, name: str) -> str:
        """A tag's or a topic's name."""
        return self.constants.setdefault(name, f"c{len(self.constants)}")

    def label(self, var: Var) -> int:
        """The number of a fresh value."""
        return self.labels.setdefault(var.name, len(self.labels))

    def kind(self, kind: Kind) -> str:
        """The name of a kind of instances."""
        return f"k{self.case.kinds.index(kind)}"


@dataclass
class View:
    """An instance inside an equation or a rule: what stands for it and for its variables."""

    writer: Writer
    """Who gives names."""
    kind: Kind
    """Of which kind the instance is."""
    env: dict[Var, str] = field(default_factory=dict)
    """What stands for each variable of the role."""
    record: str = ""
    """The term of the instance itself, in the set of those that have begun."""
    conditions: list[str] = field(default_factory=list)
    """What must hold."""

    def new(self, sort: str) -> str:
        """A variable of Maude's that no other term has."""
        self.writer.variables += 1
        return f"Z{self.writer.variables}:{sort}"

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
        """Several values in a row."""
        return f"({' : '.join([*map(self.term, items), 'nil'])})"

    def key(self, key: Shared) -> str:
        """A shared key."""
        one, other = (self.term(half) for half in key.halves)
        base = f"dh({one}, {other})"
        return f"kdf({base}, {self.list(key.context)})" if key.context else base

    def fact(self, part: Signed | Encrypted | Sealed) -> str:
        """A part that the intruder can repeat, but not make."""
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
