"""A case as the text of a Maude module (Clavel et al., All About Maude).

The meaning is that of `explorer`, in rewriting: a state is a term, what may happen next is a rule, what a
state breaks is an equation. What makes it fast is in the text:

- A role that speaks first is a rule that only adds an instance; all of them come before anybody answers.
- A receive at the end of a role is no rule at all: whether it could happen is a question about the state.
- Roles that answer wait in one counter. A fresh value is named by the instance that made it, and an
  instance by its inputs, so permuted runs are one and the same term.
- A forged message is built only in a shape that its receiver accepts (`cases.ways`).
- Kinds of instances that reach no claim are left out (`cases.Case.cone`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mqttsec.verify.cases import Case
from mqttsec.verify.maude_goals import goal_equations
from mqttsec.verify.maude_rules import caches, counters, rules_of
from mqttsec.verify.maude_terms import HEAD, Writer

MODULE = "CASE"
"""The name of the module."""


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
    writer = Writer(case)
    body: list[str] = []
    rules = [line for kind in case.kinds for line in rules_of(writer, kind)]
    seen = list(caches(writer))
    goals = [line for number, goal in enumerate(case.goals) for line in goal_equations(writer, number, goal)]
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
    body += counters(case, writer.kind)
    body += seen + goals
    head = HEAD.format(name=MODULE)
    return Module(
        head + "\n".join(body + rules) + "\nendm\n",
        {short: name for name, short in writer.principals.items()},
        {short: name for name, short in writer.constants.items()},
        {number: name for name, number in writer.labels.items()},
    )
