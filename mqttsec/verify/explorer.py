"""The model, run by plain Python: what a state is, and what may happen next. `judge` says what it breaks.

This is the meaning of a `Case`, written to be read. It is slow: the engine is Maude (`module`), which is
held to the same counts of states and the same verdicts on small bounds. It also says what exactly is sent
in an attack that Maude has found (`findings`).

Values are tuples: ("g", label, instance) is the public half of a fresh ephemeral key, ("g", "own", None)
one of the intruder's; ("n", ...) a nonce alike; ("sig", signer, payload), ("en", addressee, payload) and
("sl", key, content) are signatures, ciphertexts and sealed secrets; ("key", halves, context) is a shared
key. An instance is (kind, inputs, k): the index of its kind, the values it was begun with, and a number
that tells instances with the same inputs apart. So two runs in which the same things happened to other
copies of an idle responder are one state.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from mqttsec.verify.cases import Case, Kind, Way, checked_now, claims, ways
from mqttsec.verify.roles import (
    Claim,
    Const,
    Encrypted,
    Part,
    Sealed,
    Send,
    Shared,
    Signed,
    Sort,
    Var,
)

Value = Any
"""A symbolic value, as the head of the module says."""

Instance = tuple[int, tuple[Value, ...], int]
"""(kind, inputs, k)."""

Env = dict[Var, Value]
"""What the variables of a role stand for in one instance."""

OWN_KEY: Value = ("g", "own", None)
"""An ephemeral key that the intruder made."""
OWN_NONCE: Value = ("n", "own", None)
"""A nonce that the intruder made."""


class State(NamedTuple):
    """Where a run stands."""

    left: int
    """How many more instances there may be."""
    speakers: frozenset[Instance]
    """Instances of roles that speak first, which begin before all others: it costs the intruder nothing."""
    others: frozenset[Any]
    """Instances of roles that answer, and (instance, stage, inputs) of every later stage."""
    seen: frozenset[Value]
    """What the intruder knows and could not make itself."""


@dataclass(frozen=True)
class Step:
    """One thing that happened."""

    kind: Kind
    """To whom."""
    instance: Instance
    """Which of them."""
    stage: int
    """What: this stage of its role."""
    env: Env
    """The values of its variables afterwards."""


@dataclass(frozen=True)
class Held:
    """A claim that an instance makes."""

    kind: Kind
    """Whose."""
    instance: Instance
    """Which of them."""
    claim: Claim
    """What."""
    env: Env
    """In which values."""
    stage: int
    """After which stage."""


class Explorer:
    """A case, and its states."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.kinds = case.kinds
        self.lone = {index for index, kind in enumerate(case.kinds) if kind in case.lone}

    @property
    def start(self) -> State:
        """Nothing has happened."""
        return State(self.case.instances, frozenset(), frozenset(), frozenset({OWN_KEY, OWN_NONCE}))

    # Values ------------------------------------------------------------------------------------

    def value(self, kind: Kind, item: Part | Shared, env: Env) -> Value:
        """What a term stands for."""
        if isinstance(item, Const):
            return ("c", item.name)
        if isinstance(item, Var):
            return kind.who[item] if item.sort is Sort.NAME else env[item]
        if isinstance(item, Shared):
            halves = frozenset(env[half] for half in item.halves)
            return ("key", halves, tuple(self.value(kind, each, env) for each in item.context))
        if isinstance(item, Signed):
            payload = tuple(self.value(kind, each, env) for each in item.payload)
            return ("sig", kind.who[item.signer], payload)
        if isinstance(item, Encrypted):
            return ("en", kind.who[item.to], tuple(self.value(kind, each, env) for each in item.payload))
        return ("sl", self.value(kind, item.key, env), env[item.content])

    def fresh(self, kind: Kind, send: Send, instance: Instance) -> Env:
        """What an instance makes for a message."""
        made: Env = {}
        for var in send.fresh:
            if var.sort is Sort.TIME:
                made[var] = kind.age
            else:
                made[var] = ("g" if var.sort is Sort.PUBLIC else "n", var.name, instance)
        return made

    def opens(self, value: Value) -> bool:
        """Whether the intruder can compute a shared key: it has one of the private halves."""
        return any(self.leaked(half) for half in value[1])

    def leaked(self, half: Value) -> bool:
        """Whether the intruder has the private half of an ephemeral key."""
        return half == OWN_KEY or (half[2] is not None and self.kinds[half[2][0]].old)

    def taken(self, value: Value) -> Iterator[Value]:
        """What the intruder gets out of something that was sent."""
        if value[0] == "en" and value[1] not in self.case.protocol.honest.values():
            yield from (each for each in value[2] if each[0] in ("g", "n"))
            return
        yield value
        if value[0] == "sl" and self.opens(value[1]):
            yield value[2]

    def known(self, kind: Kind, instance: Instance, state: State) -> tuple[Env, int]:
        """The values that an instance has, and how many of its stages are done."""
        role = kind.role
        env: Env = dict(zip(role.bound(0), instance[1], strict=True))
        done = 1
        for send in role.stages[0].sends:
            env |= self.fresh(kind, send, instance)
        for stage in range(1, len(role.stages)):
            inputs = next(
                (each[2] for each in state.others if each[0] == instance and each[1] == stage), None
            )
            if inputs is None:
                break
            env |= dict(zip(role.bound(stage), inputs, strict=True))
            for send in role.stages[stage].sends:
                env |= self.fresh(kind, send, instance)
            done += 1
        return env, done

    # What may happen ---------------------------------------------------------------------------

    def accepted(self, kind: Kind, stage: int, env: Env, seen: frozenset[Value]) -> Iterator[Env]:
        """Every way in which the intruder brings a stage about: the values that the variables take."""
        for way in ways(kind, stage):
            yield from self._by(way, kind, stage, env, seen)

    def _by(self, way: Way, kind: Kind, stage: int, env: Env, seen: frozenset[Value]) -> Iterator[Env]:
        now = checked_now(kind.role.stages[stage])
        # In order of their text: an attack is told in the same words every time.
        in_order = sorted(seen, key=repr)
        found = [dict(env)]
        # What a seal is under may be chosen: signatures first, then choices, then seals.
        for part in sorted(way.repeats, key=lambda part: isinstance(part, Sealed)):
            if isinstance(part, Sealed):
                found = self._chosen(way, kind, found, in_order)
            found = [
                more
                for each in found
                for value in in_order
                for more in self._match(part, value, kind, each, now)
            ]
        found = self._chosen(way, kind, found, in_order)
        for each in found:
            if all(each[var] in seen for var in way.knows) and all(
                self.opens(self.value(kind, key, each)) for key in way.opens
            ):
                yield each

    @staticmethod
    def _chosen(way: Way, kind: Kind, found: list[Env], in_order: list[Value]) -> list[Env]:
        """The same, with every choice among what is known."""
        for var in way.chooses:
            mark = "g" if var.sort is Sort.PUBLIC else "n"
            choices = [kind.age] if var.sort is Sort.TIME else [each for each in in_order if each[0] == mark]
            found = [
                more
                for each in found
                for more in ([each] if var in each else [{**each, var: value} for value in choices])
            ]
        return found

    def _match(
        self, part: Signed | Encrypted | Sealed, value: Value, kind: Kind, env: Env, now: frozenset[Var]
    ) -> Iterator[Env]:
        if isinstance(part, Sealed):
            if value[0] == "sl" and value[1] == self.value(kind, part.key, env):
                yield {**env, part.content: value[2]}
            return
        mark, name = ("sig", part.signer) if isinstance(part, Signed) else ("en", part.to)
        if value[0] != mark or value[1] != kind.who[name] or len(value[2]) != len(part.payload):
            return
        bound = dict(env)
        for item, came in zip(part.payload, value[2], strict=True):
            if isinstance(item, Var) and item.sort is not Sort.NAME and item not in bound:
                if not _of_sort(came, item.sort) or (item in now and came != kind.age):
                    return
                bound[item] = came
            elif self.value(kind, item, bound) != came:
                return
        yield bound

    def next(self, state: State) -> Iterator[tuple[State, Step]]:
        """The states that may follow, and what happens on the way."""
        alone = any(instance[0] in self.lone for _, instance in self.instances(state))
        for index, kind in enumerate(self.kinds):
            if alone and index in self.lone or self._enough(state, kind):
                continue
            if kind.role.initiator:
                if state.left and not state.others:
                    count = sum(each[0] == index for each in state.speakers)
                    yield self._begun(state, kind, (index, (), count), {})
            elif state.left:
                yield from self._answers(state, index, kind)
        for instance in (*state.speakers, *(each for each in state.others if isinstance(each[0], int))):
            kind = self.kinds[instance[0]]
            env, done = self.known(kind, instance, state)
            if done < len(kind.role.stages) and kind.role.stages[done].sends:
                found = {}
                for bound in self.accepted(kind, done, env, state.seen):
                    found[tuple(bound[var] for var in kind.role.bound(done))] = bound
                for inputs, bound in found.items():
                    yield self._goes_on(state, kind, instance, done, inputs, bound)

    def _enough(self, state: State, kind: Kind) -> bool:
        """Whether there are as many instances of a role as there may be."""
        runs = sum(other.role == kind.role for other, _ in self.instances(state))
        return 0 < self.case.each <= runs

    def _answers(self, state: State, index: int, kind: Kind) -> Iterator[tuple[State, Step]]:
        found = {}
        for bound in self.accepted(kind, 0, {}, state.seen):
            found[tuple(bound[var] for var in kind.role.bound(0))] = bound
        for inputs, bound in found.items():
            if self._refused(state, kind, bound):
                continue
            count = sum(each[:2] == (index, inputs) for each in state.others if isinstance(each[0], int))
            yield self._begun(state, kind, (index, inputs, count), bound)

    def _refused(self, state: State, kind: Kind, env: Env) -> bool:
        """The replay cache: one of the same principal has taken the same from the same peer."""
        for receive in kind.role.stages[0].receives:
            for identity, half in receive.unseen:
                if not kind.trusts(identity):
                    # mallory could always make a new ephemeral key; one stands for all of them.
                    continue
                for instance in state.others:
                    if not isinstance(instance[0], int):
                        continue
                    other = self.kinds[instance[0]]
                    if (other.principal, other.age) != (kind.principal, kind.age):
                        continue
                    values = dict(zip(other.role.bound(0), instance[1], strict=True))
                    for each in other.role.stages[0].receives:
                        for theirs, taken in each.unseen:
                            if other.who[theirs] == kind.who[identity] and values[taken] == env[half]:
                                return True
        return False

    def _begun(self, state: State, kind: Kind, instance: Instance, env: Env) -> tuple[State, Step]:
        env, sent = self._sends(kind, instance, 0, env)
        speakers, others = state.speakers, state.others
        if kind.role.initiator:
            speakers |= {instance}
        else:
            others |= {instance}
        return State(state.left - 1, speakers, others, state.seen | sent), Step(kind, instance, 0, env)

    def _goes_on(
        self, state: State, kind: Kind, instance: Instance, stage: int, inputs: tuple[Value, ...], env: Env
    ) -> tuple[State, Step]:
        env, sent = self._sends(kind, instance, stage, env)
        others = state.others | {(instance, stage, inputs)}
        return State(state.left, state.speakers, others, state.seen | sent), Step(kind, instance, stage, env)

    def _sends(self, kind: Kind, instance: Instance, stage: int, env: Env) -> tuple[Env, frozenset[Value]]:
        sent: set[Value] = set()
        env = dict(env)
        for send in kind.role.stages[stage].sends:
            env |= self.fresh(kind, send, instance)
            for part in send.news:
                if not (isinstance(part, Signed) and not part.payload):
                    sent |= set(self.taken(self.value(kind, part, env)))
        return env, frozenset(sent)

    # Who is there, and claims what -------------------------------------------------------------

    def instances(self, state: State) -> Iterator[tuple[Kind, Instance]]:
        """All that have begun."""
        for instance in sorted((*state.speakers, *state.others), key=repr):
            if isinstance(instance[0], int):
                yield self.kinds[instance[0]], instance

    def held(self, state: State, wrong_only: bool = True) -> Iterator[Held]:
        """All claims that are made, or could be at once; without `wrong_only` those about mallory as well."""
        for kind, instance in self.instances(state):
            env, done = self.known(kind, instance, state)
            for claim in claims(kind) if wrong_only else kind.role.claims:
                stage = kind.role.stage_of(claim)
                if stage < done:
                    yield Held(kind, instance, claim, env, stage)
                elif stage == done and not kind.role.stages[stage].sends:
                    for bound in self.accepted(kind, stage, env, state.seen):
                        yield Held(kind, instance, claim, bound, stage)


def _of_sort(value: Value, sort: Sort) -> bool:
    if sort is Sort.TIME:
        return value in ("now", "old")
    return bool(value[0] == {Sort.PUBLIC: "g", Sort.NONCE: "n", Sort.CONSTANT: "c"}.get(sort))
