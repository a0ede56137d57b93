"""All that is asked of a variant: every goal, against one intruder, with the blocks apart and together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mqttsec.verify.cases import Case, Goal, Intruder, Property
from mqttsec.verify.from_steps import protocol
from mqttsec.verify.runner import Found, Result
from mqttsec.verify.variants import Variant

BLOCK_1 = ("P1", "B1")
"""The roles of the publisher's handshake."""
BLOCK_2 = ("S2", "B2", "P2")
"""The roles of the subscriber's."""

DIRECTIONS = ("P-B", "B-P", "S-B", "B-S", "S-P", "P-S")
"""Who claims, and about whom."""

IN_A_DIRECTION = (
    Property.ALIVENESS,
    Property.AGREEMENT,
    Property.ONCE,
    Property.BINDING,
    Property.PAIRING,
)
"""What is asked of each, in the order of the table."""

KEYS = ("K_PB", "K_BSi", "K_PSi")
"""The keys of the handshake."""
GROUP_KEYS = ("GK_B", "GK_P")
"""The keys that are wrapped with them."""


@dataclass(frozen=True)
class Part:
    """One search of a matrix."""

    name: str
    """As the table calls it."""
    roles: tuple[str, ...]
    """Who takes part."""
    goals: tuple[Goal, ...]
    """What is asked."""
    instances: int
    """How far."""
    scheme: int = 2
    """3 where group keys are wrapped."""
    old: bool = False
    """With runs of long ago whose ephemeral keys have leaked."""


def _secret(*keys: str) -> tuple[Goal, ...]:
    return tuple(Goal(each, key) for key in keys for each in (Property.SECRECY, Property.FORWARD))


def _towards(*directions: str) -> tuple[Goal, ...]:
    return tuple(Goal(each, direction) for direction in directions for each in IN_A_DIRECTION)


_GOALS_1 = _secret("K_PB") + _towards("P-B", "B-P")
_GOALS_2 = _secret("K_BSi", "K_PSi") + _towards("S-B", "B-S", "S-P", "P-S")

PARTS: tuple[Part, ...] = (
    Part("Block 1", BLOCK_1, _GOALS_1, 6),
    Part("Block 2", BLOCK_2, _GOALS_2, 4),
    Part("together", BLOCK_1 + BLOCK_2, _GOALS_1 + _GOALS_2, 3),
    Part("group keys", BLOCK_2, _secret(*GROUP_KEYS), 3, scheme=3),
    Part("old keys", BLOCK_1 + BLOCK_2, tuple(Goal(Property.SECRECY, key) for key in KEYS), 3, old=True),
)
"""What the full table asks, and how far it searches."""


@dataclass(frozen=True)
class Question:
    """A variant, an intruder, a part."""

    variant: Variant
    """Which handshake."""
    intruder: Intruder
    """Against whom."""
    part: Part
    """What."""

    def case(self, instances: int | None = None) -> Case:
        """For the engine; `instances` for another bound than the part's."""
        roles = protocol(self.variant.setup(self.part.scheme).script, self.variant.name)
        bound = instances or self.part.instances
        return Case(roles.only(*self.part.roles), self.intruder, self.part.goals, bound, self.part.old)


def questions(
    variants: Iterable[Variant], intruders: Iterable[Intruder] = Intruder, parts: Iterable[Part] = PARTS
) -> Iterator[Question]:
    """All of them, in order."""
    intruders, parts = tuple(intruders), tuple(parts)
    for variant in variants:
        for intruder in intruders:
            for part in parts:
                yield Question(variant, intruder, part)


@dataclass
class Matrix:
    """The answers so far."""

    answers: dict[Question, Result] = field(default_factory=dict)
    """By question."""

    def of(self, variant: Variant, intruder: Intruder) -> Mapping[str, Result]:
        """The answers about one row, by name of the part."""
        return {
            question.part.name: result
            for question, result in self.answers.items()
            if question.variant == variant and question.intruder is intruder
        }

    def attacks(self, variant: Variant) -> dict[tuple[Intruder, str, Goal], Found]:
        """All attacks on a variant."""
        return {
            (question.intruder, question.part.name, goal): found
            for question, result in self.answers.items()
            if question.variant == variant
            for goal, found in result.attacks.items()
        }

    @property
    def complete(self) -> bool:
        """False where the time ran out somewhere."""
        return all(result.complete for result in self.answers.values())

    def surprises(self) -> list[str]:
        """What is not as it should be: a safe variant that falls, another one that does not, no time left."""
        said = []
        for variant in dict.fromkeys(question.variant for question in self.answers):
            attacks = self.attacks(variant)
            if variant.safe and attacks:
                (intruder, part, goal), found = next(iter(attacks.items()))
                said.append(
                    f"{variant.name}: {goal} fails against {intruder.value}, {part}, {found.instances}"
                )
            if not variant.safe and not attacks:
                said.append(f"{variant.name}: nothing is found")
        for question, result in self.answers.items():
            if not result.complete:
                said.append(
                    f"{question.variant.name}, {question.intruder.value}, {question.part.name}: no time left"
                )
        return said

    # As a table --------------------------------------------------------------------------------

    def rows(self) -> list[tuple[str, ...]]:
        """Cells of the table, one row for a variant and an intruder."""
        made = []
        for variant, intruder in dict.fromkeys((each.variant, each.intruder) for each in self.answers):
            answers = self.of(variant, intruder)
            cells = [
                self._cell(answers, KEYS, Property.SECRECY, "Block 1", "Block 2")
                + self._cell(answers, GROUP_KEYS, Property.SECRECY, "group keys"),
                self._cell(answers, KEYS, Property.FORWARD, "Block 1", "Block 2")
                + self._cell(answers, GROUP_KEYS, Property.FORWARD, "group keys"),
                self._cell(answers, KEYS, Property.SECRECY, "old keys"),
            ]
            for parts in (("Block 1", "Block 2"), ("together",)):
                cells += [self._direction(answers, direction, *parts) for direction in DIRECTIONS]
            made.append((variant.name, intruder.value, *cells))
        return made

    @staticmethod
    def _cell(answers: Mapping[str, Result], subjects: Iterable[str], wanted: Property, *parts: str) -> str:
        return "".join(_mark(answers, Goal(wanted, subject), parts) for subject in subjects)

    @staticmethod
    def _direction(answers: Mapping[str, Result], direction: str, *parts: str) -> str:
        return "".join(_mark(answers, Goal(each, direction), parts) for each in IN_A_DIRECTION)

    def text(self) -> str:
        """The table in fixed width; `legend` says what its signs mean."""
        head = ("variant", "intruder", "secret", "later", "old", *DIRECTIONS, *DIRECTIONS)
        rows = [head, *self.rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        apart = sum(widths[:5]) + 2 * 5
        over = " " * apart + "blocks apart".ljust(sum(widths[5:11]) + 2 * 6) + "blocks together"
        return "\n".join((over, *lines))

    def records(self) -> Iterator[dict[str, str | int]]:
        """One row a question and goal: the table in long form."""
        for question, result in self.answers.items():
            for goal in question.part.goals:
                found = result.attacks.get(goal)
                verdict = "attack" if found else "safe" if result.complete else "unknown"
                yield {
                    "variant": question.variant.name,
                    "intruder": question.intruder.value,
                    "part": question.part.name,
                    "property": goal.property.value,
                    "subject": goal.subject,
                    "verdict": verdict,
                    "attack_instances": found.instances if found else "",
                    "bound_instances": result.bound,
                    "states": result.states,
                }


def _mark(answers: Mapping[str, Result], goal: Goal, parts: Iterable[str]) -> str:
    """A digit: the instances of the smallest attack; a point: none within the bound; blank: not asked."""
    mark = " "
    for name in parts:
        result = answers.get(name)
        if result is None or goal not in result.case.goals:
            continue
        found = result.attacks.get(goal)
        if found is not None:
            return str(found.instances)
        mark = "?" if not result.complete else "." if result.bound == result.case.instances else ":"
    return mark


def legend() -> str:
    """What the signs of the table mean."""
    keys = ", ".join((*KEYS, *GROUP_KEYS))
    asked = ", ".join(each.value for each in IN_A_DIRECTION)
    bounds = ", ".join(f"{part.name} {part.instances}" for part in PARTS)
    return (
        "A digit: the fewest role instances of an attack. A point: no attack within the bound; two points: "
        "within one less.\n"
        f"secret, later: secrecy of {keys}, and when all long-term keys leak later.\n"
        f"old: secrecy of {', '.join(KEYS)} when ephemeral keys of old runs are known.\n"
        f"X-Y, what X believes about Y: {asked}.\n"
        f"Bound, in role instances: {bounds}."
    )
