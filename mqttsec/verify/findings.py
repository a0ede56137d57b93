"""An attack, step by step: what the engine has found, told in the words of the protocol.

The engine gives the states on the way. `Explorer` says which step leads from one to the next, so every
attack is checked a second time, by other code, before it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mqttsec.errors import MqttsecError
from mqttsec.verify.cases import MALLORY, Case, Goal, Kind, Property
from mqttsec.verify.explorer import (
    OWN_KEY,
    OWN_NONCE,
    Env,
    Explorer,
    Held,
    Instance,
    State,
    Step,
    Value,
)
from mqttsec.verify.judge import Judge
from mqttsec.verify.roles import Encrypted, Part, Receive, Sealed, Send, Signed, Sort, Var
from mqttsec.verify.runner import Result


@dataclass(frozen=True)
class Attack:
    """A way to break a goal."""

    case: Case
    """The question that it answers."""
    goal: Goal
    """What is broken."""
    steps: tuple[Step, ...]
    """What happens, in order; the last receive of the claimer is not among them but in `wrong`."""
    wrong: Held
    """The claim that is wrong."""
    other: Held | None
    """BINDING: who else has the key."""
    state: State
    """Where all this leads."""

    @property
    def instances(self) -> int:
        """Runs of roles that take part."""
        return self.case.instances - self.state.left

    def name(self, instance: Instance) -> str:
        """`alice (P1)`, with a number where there are several: `alice (P1, 2)`."""
        kind = self.case.kinds[instance[0]]
        alike = [
            step.instance
            for step in self.steps
            if step.stage == 0 and self.case.kinds[step.instance[0]].role.name == kind.role.name
        ]
        number = f", {alike.index(instance) + 1}" if len(alike) > 1 else ""
        number += ", long ago" if kind.old else ""
        return f"{kind.principal} ({kind.role.name}{number})"

    def shown(self, value: Value) -> str:
        """A value in words: `R_P of alice (P1)`."""
        if value == OWN_KEY:
            return f"R of {MALLORY}"
        if value == OWN_NONCE:
            return f"N of {MALLORY}"
        if isinstance(value, str):
            return value
        if value[0] in ("g", "n"):
            return f"{value[1]} of {self.name(value[2])}"
        return str(value[1])

    @property
    def summary(self) -> str:
        """Who believes what, and what is so."""
        return f"{self.believed}; {self.truth}"

    @property
    def believed(self) -> str:
        """What the claimer believes."""
        claim, kind = self.wrong.claim, self.wrong.kind
        return (
            f"{self.name(self.wrong.instance)} believes to share {claim.secret} with {kind.who[claim.peer]}"
        )

    @property
    def truth(self) -> str:
        """What is so."""
        peer = self.wrong.kind.who[self.wrong.claim.peer]
        if self.goal.property in (Property.SECRECY, Property.FORWARD):
            return "the intruder has it"
        if self.goal.property is Property.ALIVENESS:
            return f"{peer} has done nothing at all"
        if self.goal.property is Property.ONCE:
            return f"so does another run of {self.wrong.kind.principal}'s, and {peer} has run once: a replay"
        if self.goal.property is Property.PAIRING:
            return f"{peer} has run with {self.wrong.kind.principal}, on another key: parallel runs are mixed"
        if self.goal.property is Property.BINDING and self.other is not None:
            believed = self.other.kind.who[self.other.claim.peer]
            return f"{self.name(self.other.instance)} has the key, and believes to share it with {believed}"
        if self.goal.property is Property.BINDING:
            return f"{peer} has run with somebody else as the third party"
        return f"{peer} has no run with {self.wrong.kind.principal} on this key"

    def lines(self) -> Iterator[str]:
        """The attack as text, one line a message."""
        for step in (*self.steps, *self.last):
            stage = step.kind.role.stages[step.stage]
            for receive in stage.receives:
                yield f"{'network':>8} -> {self.name(step.instance)}: {self.message(step, receive)}"
            for send in stage.sends:
                yield f"{self.name(step.instance)} -> network: {self.message(step, send)}"

    @property
    def last(self) -> tuple[Step, ...]:
        """What is received at the very end, by which no state changes."""
        found = []
        for held in (self.other, self.wrong):
            if held is not None and not held.kind.role.stages[held.stage].sends:
                found.append(Step(held.kind, held.instance, held.stage, held.env))
        return tuple(found)

    def message(self, step: Step, act: Receive | Send) -> str:
        """`step 3, BrokerHello: R_B = R_B of broker (B1), Sig_B made by mallory`."""
        parts = act.parts if isinstance(act, Receive) else act.news
        told = [self._part(step, part, isinstance(act, Receive)) for part in parts]
        return f"step {act.number}, {act.name}: " + ", ".join(filter(None, told))

    def _part(self, step: Step, part: Part, received: bool) -> str:
        if isinstance(part, Var):
            if part.sort is Sort.NAME:
                return f"{part} = {step.kind.who[part]}"
            if part.sort is Sort.TIME or part not in step.env:
                return ""
            return f"{part} = {self.shown(step.env[part])}" if received else str(part)
        if isinstance(part, Signed):
            signer = step.kind.who[part.signer]
            return f"{part} of {signer}" if part.payload else ""
        if isinstance(part, Encrypted | Sealed):
            return str(part)
        return ""


def attack(result: Result, goal: Goal) -> Attack:
    """The attack that a search has found on a goal. Raises `KeyError` where it has found none."""
    found = result.attacks[goal]
    explorer = Explorer(result.case)
    read = _Reader(result)
    states = [read.state(each) for each in found.path]
    slack = result.case.instances - found.instances
    steps = []
    for here, there in zip(states, states[1:], strict=False):
        steps.append(next((step for after, step in explorer.next(here) if after == there), None))
    end = states[-1]._replace(left=states[-1].left + slack)
    judge = Judge(explorer, end)
    wrong = judge.wrong(goal)
    if wrong is None or None in steps:
        raise MqttsecError(f"{goal}: the engine and the explorer differ; please report this")
    other = judge.misbound(wrong) if goal.property is Property.BINDING else None
    return Attack(result.case, goal, tuple(step for step in steps if step), wrong, other, end)


class _Reader:
    """From the engine's terms to the explorer's values."""

    def __init__(self, result: Result) -> None:
        self.made = result.made

    def state(self, term: Any) -> State:
        _, left, speakers, others, known = term
        return State(
            left,
            frozenset(self.record(each) for each in _flat(speakers, "__")),
            frozenset(self.record(each) for each in _flat(others, "__")),
            frozenset(self.value(each) for each in _flat(known, "_;_")),
        )

    def record(self, term: Any) -> Any:
        if term[0] == "r":
            return int(term[1][0][1:]), self.list(term[3]), term[4]
        return self.record(term[1]), term[2], self.list(term[3])

    def list(self, term: Any) -> tuple[Value, ...]:
        found = []
        while term[0] != "nil":
            found.append(self.value(term[1]))
            term = term[2]
        return tuple(found)

    def value(self, term: Any) -> Value:
        head = term[0]
        if head == "g":
            inner = term[1]
            return OWN_KEY if inner[0] == "own" else ("g", self.made.labels[inner[1]], self.record(inner[2]))
        if head == "mine":
            return OWN_NONCE
        if head == "n":
            return ("n", self.made.labels[term[1]], self.record(term[2]))
        if head in ("sig", "en"):
            return (head, self.value(term[1]), self.list(term[2]))
        if head == "sl":
            return ("sl", self.value(term[1]), self.value(term[2]))
        if head == "dh":
            return ("key", frozenset(map(self.value, term[1:])), ())
        if head == "kdf":
            return ("key", self.value(term[1])[1], self.list(term[2]))
        if head in self.made.principals:
            return self.made.principals[head]
        if head in self.made.constants:
            return ("c", self.made.constants[head])
        return head


def _flat(term: Any, operator: str) -> Iterator[Any]:
    if term[0] == operator:
        for each in term[1:]:
            yield from _flat(each, operator)
    elif term[0] not in ("none", "void"):
        yield term


__all__ = ["Attack", "Env", "Kind", "attack"]
