"""Lab 08, proofs: ask a model of the handshake, see the attack or how far there is none, run it for real."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from mqttsec.check import ExerciseBook
from mqttsec.e2e import explain
from mqttsec.errors import ConfigurationError
from mqttsec.labs.lab import Lab
from mqttsec.labs.proof_exercises import BOOK
from mqttsec.trace import Ladder, arrows, ladder, svg_ladder, text_ladder
from mqttsec.verify import classic
from mqttsec.verify.cases import Case, Goal, Intruder, Property
from mqttsec.verify.findings import Attack, attack
from mqttsec.verify.from_steps import protocol
from mqttsec.verify.live import run_live
from mqttsec.verify.matrix import BLOCK_1, BLOCK_2, DIRECTIONS, IN_A_DIRECTION, KEYS, PARTS, Part
from mqttsec.verify.replay import Outcome, run
from mqttsec.verify.runner import Result, require_engine, search
from mqttsec.verify.variants import VARIANTS, Variant, variant
from mqttsec.widgets import Choice, Explorer, ExplorerWidget, Stepper, StepperWidget, Table
from mqttsec.widgets.look import text as escaped
from mqttsec.widgets.table import Cell

INSTANCES = 3
"""How far the lab searches unless it is told otherwise: a second at most."""

INTRUDERS = tuple(each.value for each in Intruder)
"""Who may attack, by name."""

GOALS: tuple[Goal, ...] = (
    *(Goal(Property.SECRECY, key) for key in KEYS),
    *(Goal(each, direction) for direction in DIRECTIONS for each in IN_A_DIRECTION),
)
"""What can be asked."""


@dataclass(frozen=True)
class Answer:
    """What came of one question: the attack, or how far there is none."""

    variant: Variant
    """Which handshake."""
    intruder: Intruder
    """Against whom."""
    goal: Goal
    """What was asked."""
    result: Result
    """What the engine says."""
    attack: Attack | None
    """The smallest attack."""
    outcome: Outcome | None
    """The same, as it was run on the machines."""

    @property
    def headline(self) -> str:
        """The verdict in a line."""
        where = f"{self.variant.name}, {self.intruder.value}: {self.goal}"
        if self.attack is None:
            return f"{where} - safe with {self.result.bound} instances ({self.result.states} states)"
        return f"{where} - attack with {self.attack.instances} instances"

    @property
    def asked(self) -> str:
        """The question in words."""
        return QUESTIONS[self.goal.property].format(*_sides(self.goal))

    def text(self) -> str:
        """Verdict, and the attack as a ladder."""
        lines = [self.headline, self.asked]
        if self.outcome is not None:
            ran = wrapped(f"run on the machines: {self.outcome.achieved}")
            lines += [ran, "", text_ladder(attack_ladder(self.outcome))]
        return "\n".join(lines)

    def html(self) -> str:
        """The same for the page."""
        kind = "mqs-attack" if self.attack else "mqs-safe"
        told = f'<p class="{kind}"><b>{escaped(self.headline)}</b><br>{escaped(self.asked)}'
        if self.outcome is not None:
            told += f"<br>Run on the machines: {escaped(self.outcome.achieved)}."
        return f"{told}</p>{self.picture()}"

    def picture(self) -> str:
        """The attack as a picture; nothing where there is none."""
        if self.outcome is None:
            return ""
        shown = attack_ladder(self.outcome)
        return svg_ladder(shown, width=840, title="The attack", ident="ladder-attack")

    def __repr__(self) -> str:
        return self.text()


QUESTIONS = {
    Property.SECRECY: "Does nobody else learn {0}?",
    Property.ALIVENESS: "When {0} is done, has {1} taken part at all?",
    Property.AGREEMENT: "When {0} is done, has {1} run with {0}, on the same key?",
    Property.ONCE: "Does each run that {0} believes in stand for a run of {1}?",
    Property.BINDING: "Does {1} alone share {0}'s key, and know that it is {0}'s?",
    Property.PAIRING: "If {1} runs with {0}, do both get the same key?",
}
"""What a goal asks."""


def attack_ladder(outcome: Outcome) -> Ladder:
    """The ladder of an attack, its columns in the order of `attack_columns`."""
    return ladder(outcome.trace, attack_columns(outcome))


def attack_columns(outcome: Outcome) -> tuple[str, ...]:
    """alice, broker and bob from left to right as in every lab, the intruder between those it talks to."""
    pairs = {frozenset((arrow.sender, arrow.receiver)) for arrow in arrows(outcome.trace)}
    parties = ladder(outcome.trace).parties
    sides = ("alice", "broker", "bob")
    intruders = [name for name in parties if name.split()[0] not in sides]
    columns: list[str] = []
    for side in sides:
        columns += (name for name in parties if name.split()[0] == side)
        for name in intruders:
            if name not in columns and any(name in pair and pair & set(columns) for pair in pairs):
                columns.append(name)
    return tuple(dict.fromkeys((*columns, *parties)))


def wrapped(words: str) -> str:
    """Words in lines that a page of 1280 pixels does not break once more."""
    return textwrap.fill(words, 100)


def _sides(goal: Goal) -> tuple[str, ...]:
    names = {"P": "alice", "B": "the broker", "S": "bob"}
    if goal.subject in KEYS:
        return (goal.subject,)
    return tuple(names[side] for side in goal.subject.split("-"))


def goal_of(text: str) -> Goal:
    """`binding P-B` as a goal. Raises `ConfigurationError` for one that there is not."""
    for goal in GOALS:
        if str(goal) == text:
            return goal
    raise ConfigurationError(f"there is no goal {text!r}: give such as {GOALS[0]} or {GOALS[-1]}")


def part_of(goal: Goal) -> Part:
    """The block that a goal is about."""
    block_1 = goal.subject in ("K_PB", "P-B", "B-P")
    return PARTS[0] if block_1 else PARTS[1]


def intruder_of(name: str) -> Intruder:
    """The intruder of that name. Raises `ConfigurationError`."""
    names = [each.value for each in Intruder]
    if name not in names:
        raise ConfigurationError(f"there is no intruder {name!r}; there are {', '.join(names)}")
    return Intruder(name)


class Proofs(Lab):
    """The handshake as a model that can be asked, and its attacks, to be run.

    `seed` chooses what an exercise asks. Raises `ConfigurationError` for a seed that is no whole number,
    `MissingPeerError` without the engine.
    """

    book: ClassVar[ExerciseBook] = BOOK

    def __init__(self, seed: int = 7) -> None:
        require_engine()
        super().__init__(seed)
        self._answers: dict[tuple[str, str, str, int], Answer] = {}
        self._found: dict[tuple[str, Intruder, str, int], list[str]] = {}

    def __repr__(self) -> str:
        return (
            f"Lab 08, seed {self.seed}: the handshake as a model, {len(VARIANTS)} variants, "
            f"{len(Intruder)} intruders, {len(GOALS)} goals\n"
            'lab.ask("published", "insider", "binding P-B") asks the engine, Maude.'
        )

    # -- asking -----------------------------------------------------------------------------------

    def ask(
        self,
        name: str = "published",
        intruder: str = "outsider",
        goal: str = "agreement P-B",
        instances: int = INSTANCES,
    ) -> Answer:
        """The smallest attack on a goal, run on the machines; or how far there is none.

        Raises `ConfigurationError` for a variant, intruder, goal or bound that there is not.
        """
        if isinstance(instances, bool) or not isinstance(instances, int) or not 1 <= instances <= 6:
            raise ConfigurationError(f"instances={instances!r}: give 1 to 6")
        asked = (name, intruder, goal, instances)
        with self.lock:
            if asked not in self._answers:
                self._answers[asked] = self._ask(
                    variant(name), intruder_of(intruder), goal_of(goal), instances
                )
            return self._answers[asked]

    def _ask(self, each: Variant, intruder: Intruder, goal: Goal, instances: int) -> Answer:
        roles = protocol(each.script, each.name).only(*part_of(goal).roles)
        result = search(Case(roles, intruder, (goal,), instances))
        if not result.complete:
            raise ConfigurationError("the search takes too long with so many instances: ask with fewer")
        if goal not in result.attacks:
            return Answer(each, intruder, goal, result, None, None)
        found = attack(result, goal)
        return Answer(each, intruder, goal, result, found, run(found, each.setup()))

    def explore(self) -> ExplorerWidget:
        """The same with three lists."""
        controls = (
            Choice("name", "Variant", "published", tuple(each.name for each in VARIANTS)),
            Choice("intruder", "Intruder", "outsider", INTRUDERS),
            Choice("goal", "Goal", "agreement P-B", tuple(map(str, GOALS))),
        )
        return self.keep(ExplorerWidget(Explorer(self.ask, controls, "Ask the model"), self.lock))

    def table(
        self,
        *names: str,
        property: str = "binding",
        intruders: Sequence[str] = INTRUDERS,
        instances: int = INSTANCES,
    ) -> Table:
        """The smallest attack on one property, by variant, intruder and direction; `.` where there is none.

        Raises `ConfigurationError` for a variant, property or intruder that there is not.
        """
        rows: list[tuple[Cell, ...]] = []
        for name in names or ("published", "hardened"):
            for intruder in map(intruder_of, intruders):
                goals = [goal_of(f"{property} {direction}") for direction in DIRECTIONS]
                asked = (name, intruder, property, instances)
                with self.lock:
                    if asked not in self._found:
                        self._found[asked] = self._sizes(variant(name), intruder, goals, instances)
                    rows.append((name, intruder.value, *self._found[asked]))
        title = f"{property}: role instances of the smallest attack, up to {instances}"
        return Table(("variant", "intruder", *DIRECTIONS), tuple(rows), title)

    def _sizes(self, each: Variant, intruder: Intruder, goals: list[Goal], instances: int) -> list[str]:
        sizes = {}
        for roles, own in ((BLOCK_1, goals[:2]), (BLOCK_2, goals[2:])):
            case = Case(protocol(each.script).only(*roles), intruder, tuple(own), instances)
            found = search(case).attacks
            sizes.update({goal: str(found[goal].instances) if goal in found else "." for goal in own})
        return [sizes[goal] for goal in goals]

    # -- running ----------------------------------------------------------------------------------

    def step(
        self, name: str = "published", intruder: str = "insider", goal: str = "binding P-B"
    ) -> StepperWidget:
        """Step through an attack, packet by packet, as it ran on the machines.

        Raises `ConfigurationError` where there is no attack.
        """
        outcome = self._outcome(name, intruder, goal)
        model = Stepper(
            {"everybody": outcome.trace}, title="The attack", parties=attack_columns(outcome), inside=explain
        )
        return self.keep(StepperWidget(model, self.lock))

    def ladder(self, name: str = "published", intruder: str = "insider", goal: str = "binding P-B") -> str:
        """The same as text. Raises `ConfigurationError` where there is no attack."""
        return text_ladder(attack_ladder(self._outcome(name, intruder, goal)))

    def live(self, name: str = "published", intruder: str = "insider", goal: str = "binding P-B") -> str:
        """Run an attack against a live MQTT 5 broker on a TCP port of this machine; says what came of it.

        Raises `ConfigurationError` where there is no attack, or the broker takes no part in it.
        """
        answer = self.ask(name, intruder, goal)
        if answer.attack is None:
            raise ConfigurationError(f"{answer.headline}: there is nothing to run")
        return wrapped(run_live(answer.attack, answer.variant.setup()).achieved)

    def _outcome(self, name: str, intruder: str, goal: str) -> Outcome:
        answer = self.ask(name, intruder, goal)
        if answer.outcome is None:
            raise ConfigurationError(f"{answer.headline}: there is nothing to step through")
        return answer.outcome

    # -- what the paper claims, and what is known of others ---------------------------------------

    def settings(self) -> Table:
        """*published* in the setting in which the paper's claim stands, and in three stronger ones."""
        rows: list[tuple[Cell, ...]] = []
        for words, roles, intruder, instances, each in (
            ("one run a role, Block 1", BLOCK_1, Intruder.OUTSIDER, 2, 1),
            ("one run a role, Block 2", BLOCK_2, Intruder.OUTSIDER, 3, 1),
            ("both blocks at once", BLOCK_1 + BLOCK_2, Intruder.OUTSIDER, 3, 1),
            ("two runs at once, Block 1", BLOCK_1, Intruder.OUTSIDER, 3, 0),
            ("an insider, Block 1", BLOCK_1, Intruder.INSIDER, 2, 0),
        ):
            goals = tuple(
                goal for goal in GOALS if part_of(goal).roles[0] in roles or part_of(goal).roles == roles
            )
            case = Case(
                protocol(variant("published").script).only(*roles), intruder, goals, instances, each=each
            )
            found = search(case).attacks
            secret = sum(goal.property is Property.SECRECY for goal in found)
            rows.append((words, intruder.value, len(goals), secret, len(found) - secret))
        columns = ("setting", "intruder", "goals", "secrets lost", "other goals broken")
        return Table(columns, tuple(rows), "published")

    def classics(self) -> Table:
        """Protocols with a known attack or a known proof: what the same engine says of them."""
        rows: list[tuple[Cell, ...]] = []
        for each, goals in (
            (classic.needham_schroeder(), ("agreement B-A", "secrecy N_B")),
            (classic.needham_schroeder(repaired=True), ("agreement B-A", "secrecy N_B")),
            (classic.signed_diffie_hellman(), ("binding A-B", "secrecy K")),
            (classic.signed_diffie_hellman(names=True), ("binding A-B", "secrecy K")),
            (classic.signed_diffie_hellman(macs=True), ("binding A-B", "secrecy K")),
        ):
            known = (*classic.NONCE_GOALS, *classic.KEY_GOALS)
            asked = tuple(next(goal for goal in known if str(goal) == name) for name in goals)
            result = search(Case(each, Intruder.INSIDER, asked, INSTANCES))
            verdicts = [
                f"{goal}: attack, {result.attacks[goal].instances}"
                if goal in result.attacks
                else f"{goal}: safe"
                for goal in asked
            ]
            rows.append((each.name, *verdicts))
        return Table(
            ("protocol", "authentication", "secrecy"), tuple(rows), f"insider, {INSTANCES} instances"
        )

    # -- for the exercises ------------------------------------------------------------------

    def signed(self, name: str = "published") -> Table:
        """Exercise 1: what each signature covers. Raises `ConfigurationError` for a variant there is not."""
        packets = {"c1": "CONNECT of P", "c2": "CONNACK to P", "s1": "CONNECT of S", "p2": "answer of P"}
        packets |= {"b2": "CONNACK to S", "c3": "AUTH of P", "s3": "AUTH of S, for P", "s4": "AUTH of S"}
        rows: list[tuple[Cell, ...]] = []
        for term, signature in variant(name).script.signatures.items():
            signer, _, tag = term.name.partition(":")
            rows.append((packets[tag], signer, ", ".join(map(str, signature.covers))))
        return Table(("message", "signature", "covers"), tuple(rows), name)

    def fields(self) -> Table:
        """Exercise 3: what can stand under the two signatures of Block 1, and what *published* signs."""
        script, full = variant("published").script, variant("hardened").script
        rows: list[tuple[Cell, ...]] = []
        for packet, name in (("CONNECT", "Sig_P:c1"), ("CONNACK", "Sig_B:c2")):
            term = next(term for term in script.signatures if term.name == name)
            can = ", ".join(map(str, full.signatures[term].covers))
            rows.append((packet, can, ", ".join(map(str, script.signatures[term].covers))))
        return Table(("signature in", "can cover", "published covers"), tuple(rows))
