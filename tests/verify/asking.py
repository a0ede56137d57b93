"""Short ways to ask, for the tests."""

from __future__ import annotations

from mqttsec.e2e import Script
from mqttsec.verify.cases import Case, Goal, Intruder, Property
from mqttsec.verify.from_steps import protocol
from mqttsec.verify.matrix import BLOCK_1, BLOCK_2, IN_A_DIRECTION
from mqttsec.verify.runner import Result, search

GOALS = {
    BLOCK_1: (
        Goal(Property.SECRECY, "K_PB"),
        *(Goal(each, direction) for direction in ("P-B", "B-P") for each in IN_A_DIRECTION),
    ),
    BLOCK_2: (
        Goal(Property.SECRECY, "K_BSi"),
        Goal(Property.SECRECY, "K_PSi"),
        *(Goal(each, direction) for direction in ("S-B", "B-S", "S-P", "P-S") for each in IN_A_DIRECTION),
    ),
}
GOALS[BLOCK_1 + BLOCK_2] = GOALS[BLOCK_1] + GOALS[BLOCK_2]


def case(
    script: Script, roles: tuple[str, ...], intruder: Intruder, instances: int, cone: bool = True
) -> Case:
    return Case(protocol(script).only(*roles), intruder, GOALS[roles], instances, cone=cone)


def sizes(result: Result) -> dict[str, int]:
    """{goal: instances} of all attacks."""
    return {str(goal): found.instances for goal, found in result.attacks.items()}


def ask(script: Script, roles: tuple[str, ...], intruder: Intruder, instances: int) -> dict[str, int]:
    return sizes(search(case(script, roles, intruder, instances)))
