"""The exercises and the questionnaire of lab 03; answers are recomputed from runs of the machines."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mqttsec.check import ExerciseBook, require
from mqttsec.crypto import Box, Key, Operation, Operations, Purpose, SealKey, Tally, suite
from mqttsec.e2e import SCHEMES, Mode, Role
from mqttsec.errors import TamperError
from mqttsec.labs.passage import LISTENER, WHERE, Passage, Verdict

if TYPE_CHECKING:
    from mqttsec.labs.four_schemes import FourSchemes

BOOK = ExerciseBook("lab03", "Four schemes")

# -- 1: operation counts --------------------------------------------------------------------------

TASK_SCHEME = 2
"""The scheme of exercise 1: the one whose costs grow with the subscribers at both P and B."""
_TERM = re.compile(r"(\d*)([EDH])")


def task_size(seed: int) -> int:
    """How many subscribers exercise 1 asks about."""
    return 4 + random.Random(seed).randrange(6)


def parse_tally(given: object) -> Tally | None:
    """A tally from text as the paper writes it: `2E + 2H`; None if it is none."""
    if not isinstance(given, str):
        return None
    total = Tally()
    for part in ("" if given.strip() == "0" else given).replace(" ", "").split("+"):
        if not part and given.strip() == "0":
            continue
        found = _TERM.fullmatch(part)
        if found is None:
            return None
        total = total + Tally({Operation(found[2]): int(found[1] or 1)})
    return total


@BOOK.exercise("Count the operations", todo='replace each ... by a text such as "2E + 2H"')
def exercise_1(lab: FourSchemes, answer: object) -> str:
    """Counts a run of the scheme with so many subscribers."""
    require(isinstance(answer, dict), 'give a dict with "station", "broker" and "subscriber"')
    assert isinstance(answer, dict)
    n = task_size(lab.seed)
    right = lab.passage(TASK_SCHEME, n).counted
    alone = lab.passage(TASK_SCHEME, 1).counted
    single = lab.passage(TASK_SCHEME, n, mode=Mode.SINGLE_CIPHERTEXT.value).counted
    for name, role in (("station", Role.P), ("broker", Role.B), ("subscriber", Role.S)):
        given = parse_tally(answer.get(name))
        require(given is not None, f'{name}: write it as the paper does, such as "2E + 2H", or "0"')
        if given == right[role]:
            continue
        require(
            role is Role.S or given != alone[role],
            f"{name}: that is for one subscriber; there are {n}, each with a key of its own",
        )
        require(
            role is Role.S or given != single[role],
            f"{name}: that is for one ciphertext for all; here each of {n} has a ciphertext of its own",
        )
        require(
            role is not Role.S or given != n * right[role],
            "subscriber: that is for all together; give it for each",
        )
        assert given is not None
        for operation, what in (
            (Operation.H, "tag (H) is made or checked"),
            (Operation.E, "encryption (E) is made"),
            (Operation.D, "decryption (D) is made"),
        ):
            require(
                given[operation] == right[role][operation],
                f"{name}: {given[operation]}{operation.value} is not what the run counted; go through "
                f"the layers of Scheme {TASK_SCHEME}: for each that goes on or comes off, one {what}",
            )
    return (
        f"a run with {n} subscribers counted {right[Role.P]} at the station, {right[Role.B]} at the "
        f"broker, {right[Role.S]} at each subscriber"
    )


# -- 2: what the broker does ----------------------------------------------------------------------


@BOOK.exercise(
    "A broker that does not encrypt", todo="replace ... by a set of scheme numbers, and by one scheme number"
)
def exercise_2(lab: FourSchemes, never: object, and_checks: object) -> str:
    """Runs all four and counts the E and D of the broker, and its H."""
    require(isinstance(never, (set, frozenset)), "give the first as a set of scheme numbers, such as {2, 3}")
    assert isinstance(never, (set, frozenset))
    require(never <= set(SCHEMES), "there are the schemes 1, 2, 3 and 4")
    counted = {number: lab.passage(number).counted[Role.B] for number in SCHEMES}
    idle = {number for number, tally in counted.items() if not tally[Operation.E] + tally[Operation.D]}
    for wrong in sorted(never - idle):
        require(False, f"Scheme {wrong}: the broker counted {counted[wrong]}")
    require(
        never == idle,
        f"{len(idle - never)} more: a tag alone (I) is no encryption, and where there is "
        "no layer for the broker it has nothing to do",
    )
    checking = {number for number in idle if counted[number][Operation.H]}
    require(and_checks in idle, "give one of the schemes of your set")
    require(
        and_checks in checking,
        f"Scheme {and_checks}: its broker counted {counted[and_checks]}"  # type: ignore[index]
        ", so it checks nothing",
    )
    return f"the broker of Scheme {and_checks} counted {counted[checking.pop()]}, and no E or D"


# -- 3: be the broker -----------------------------------------------------------------------------


def _box(name: str, operations: Operations) -> Box:
    encryption = Key(name, Purpose.ENCRYPTION, os.urandom(16))
    return suite("paper").box(SealKey(name, encryption, Key(name, Purpose.MAC, os.urandom(32))), operations)


@BOOK.exercise("Be the broker of Scheme 4", todo="write the body of the function")
def exercise_3(lab: FourSchemes, forward: Callable[..., object]) -> str:
    """Gives the reader's function real boxes, right tags and forged ones."""
    require(callable(forward), "give the function itself: check.exercise_3(forward)")
    operations = Operations("reader")
    station, group = _box("K_PB", operations), _box("GK_B", operations)
    inner = lab.message
    tag = station.mac(inner)
    before = operations.tally
    given = forward(station, group, inner, tag)
    spent = operations.tally - before
    require(given != tag, "that is the station's tag: the subscribers do not have K_PB; make one with GK_B")
    require(isinstance(given, bytes), f"it returned {given!r}: return the new tag, bytes")
    assert isinstance(given, bytes)
    try:
        group.check(inner, given)
    except TamperError:
        require(False, "the subscribers refuse that tag: it must be group.mac(inner)")
    forged = bytes((tag[0] ^ 1,)) + tag[1:]
    try:
        forward(station, group, inner, forged)
    except TamperError:
        pass
    else:
        require(False, "it has passed on what bears a forged tag: station.check(inner, tag) comes first")
    expected = lab.passage(4).counted[Role.B]
    require(spent == expected, f"it took {spent}; the broker of Scheme 4 needs {expected}")
    return f"subscribers believe it, a forged tag is refused, and it took {spent}"


# -- 4: which layer notices -----------------------------------------------------------------------


@dataclass(frozen=True)
class Riddle:
    """One change of exercise 4."""

    letter: str
    """How it is called."""
    scheme: int
    """In which scheme."""
    what: str
    """What is changed."""
    where: str
    """And where."""


def riddles(seed: int) -> tuple[Riddle, ...]:
    """Three changes: one on the way to the broker, one inside it, one of Scheme 1."""
    rng = random.Random(seed)
    what = ("content", "tag")
    chosen = [
        (rng.choice((2, 3, 4)), rng.choice(what), WHERE[0]),
        (rng.choice((2, 3, 4)), rng.choice(what), WHERE[1]),
        (1, rng.choice(what), WHERE[0]),
        (rng.choice((2, 3, 4)), rng.choice(what), WHERE[2]),
    ]
    rng.shuffle(chosen)
    return tuple(Riddle(letter, *each) for letter, each in zip("ABCD", chosen, strict=True))


@BOOK.exercise(
    "Which layer notices?", todo='replace each ... by (party, channel), such as ("subscriber", "B-S")'
)
def exercise_4(lab: FourSchemes, answer: object) -> str:
    """Makes each change in a run and compares who refused."""
    require(isinstance(answer, dict), 'give a dict: each letter with a pair, such as ("broker", "P-B")')
    assert isinstance(answer, dict)
    for riddle in riddles(lab.seed):
        given = answer.get(riddle.letter)
        require(
            isinstance(given, tuple) and len(given) == 2,
            f'{riddle.letter}: give (party, channel), such as ("subscriber", "B-S")',
        )
        assert isinstance(given, tuple)
        party, channel = given
        require(
            party in ("broker", "subscriber") and channel in ("P-B", "B-S", "P-S"),
            f"{riddle.letter}: the parties are broker and subscriber, the channels P-B, B-S and P-S",
        )
        seen = lab.flip(riddle.scheme, riddle.where, riddle.what).flip.seen
        if (party, channel) != (seen.party, seen.channel):
            require(False, f"{riddle.letter}: not so in the run; {_layer_hint(riddle, seen, party)}")
    return "as in the runs: " + ", ".join(
        f"{riddle.letter} {lab.flip(riddle.scheme, riddle.where, riddle.what).flip.seen}"
        for riddle in riddles(lab.seed)
    )


def _layer_hint(riddle: Riddle, seen: Verdict, party: object) -> str:
    if riddle.where == WHERE[1]:
        return "what the broker changes, it wraps anew: its own tag is right, so which layer is left?"
    if riddle.scheme == 1:
        return "in Scheme 1 there is one layer only; who has its key?"
    if party != seen.party:
        return "the outermost layer on that wire is checked first: by whom?"
    return "right party, but which layer did it check first?"


# -- 5: the cheapest that does it -----------------------------------------------------------------

JOB_SIZE = 20
"""How many subscribers exercise 5 has."""


@dataclass(frozen=True)
class Job:
    """A requirement of exercise 5."""

    asks: str
    """In words."""
    met: Callable[[FourSchemes, Passage], bool]
    """Whether a run meets it."""


def _unread(lab: FourSchemes, passage: Passage) -> bool:
    return not passage.observer("broker").reads and not passage.observer(LISTENER).reads


def _broker_checks(lab: FourSchemes, passage: Passage) -> bool:
    return lab.flip(passage.setup.scheme, WHERE[0], "content").flip.seen.party == "broker"


def _pairwise_different(lab: FourSchemes, passage: Passage) -> bool:
    return passage.legs[1].different == passage.legs[1].copies


def _header_hidden(lab: FourSchemes, passage: Passage) -> bool:
    seen = passage.observer(LISTENER)
    return seen.to_broker.header is None and seen.from_broker.header is None


JOBS = {
    "archive": Job("broker cannot read", lambda lab, passage: _unread(lab, passage)),
    "gate": Job(
        "broker cannot read, and stops what was changed before it",
        lambda lab, passage: _unread(lab, passage) and _broker_checks(lab, passage),
    ),
    "veil": Job(
        "as gate; a listener sees nothing of the P-S layer",
        lambda lab, passage: (
            _unread(lab, passage) and _broker_checks(lab, passage) and _header_hidden(lab, passage)
        ),
    ),
    "twins": Job(
        "as gate; no two subscribers get the same bytes",
        lambda lab, passage: (
            _unread(lab, passage) and _broker_checks(lab, passage) and _pairwise_different(lab, passage)
        ),
    ),
}
"""The jobs of exercise 5; each is done by one scheme with the fewest operations at the broker."""


def _work(passage: Passage) -> int:
    return sum(passage.counted[Role.B][operation] for operation in (Operation.E, Operation.D, Operation.H))


@BOOK.exercise("The cheapest scheme that does it", todo="replace each ... by a scheme number")
def exercise_5(lab: FourSchemes, answer: object) -> str:
    """Runs every scheme: which meet the job, and which of them takes the broker the fewest operations?"""
    require(isinstance(answer, dict), "give a dict: each job with a scheme number")
    assert isinstance(answer, dict)
    passages = {number: lab.passage(number, JOB_SIZE) for number in SCHEMES}
    for name, job in JOBS.items():
        given = answer.get(name)
        require(given in SCHEMES, f"{name}: choose Scheme 1, 2, 3 or 4")
        assert isinstance(given, int)
        right = [number for number, passage in passages.items() if job.met(lab, passage)]
        require(given in right, f"{name}: a run of Scheme {given} does not meet it: {job.asks}")
        best = min(right, key=lambda number: _work(passages[number]))
        require(
            given == best,
            f"{name}: Scheme {given} does it, and costs the broker "
            f"{passages[given].counted[Role.B]} for {JOB_SIZE} subscribers; one needs less",
        )
    work = ", ".join(f"{number}: {passage.counted[Role.B]}" for number, passage in passages.items())
    return f"the broker's operations for {JOB_SIZE} subscribers, Scheme {work}"


# -- the questionnaire ----------------------------------------------------------------------------

BOOK.question(
    "In which schemes can the broker read the message?",
    {"a": "in none", "b": "in 1, where it has no layer", "c": "in 2 and 3, where it decrypts"},
    "a",
    "it takes its own layer off and finds another one, under a key that it does not have",
    "section 3",
)
BOOK.question(
    "Why does the station of Scheme 2 encrypt 2n times for n subscribers?",
    {"a": "to be safe", "b": "each subscriber has its own end-to-end key", "c": "the broker asks for it"},
    "b",
    "n inner layers under n keys K_PSi, and each gets an outer one under K_PB",
    "exercise 1",
)
BOOK.question(
    "What does Scheme 4 give up against Scheme 3?",
    {"a": "the outer layer hides nothing", "b": "the broker cannot check", "c": "subscribers cannot check"},
    "a",
    "a tag shows that nothing was changed; the header of the inner layer is there for all to see",
    "exercise 5",
)
BOOK.question(
    "A broker changes the ciphertext below its own layer. Who notices?",
    {"a": "nobody", "b": "the next broker", "c": "the subscriber, by the P-S tag"},
    "c",
    "B can make the outer tag anew, not the inner one: it has no key of the P-S layer",
    "section 4",
)
BOOK.question(
    "The same bytes go to all subscribers. What must hold?",
    {"a": "they have one key in common", "b": "they trust the broker", "c": "they use TLS"},
    "a",
    "group keys: one encryption for all, and whoever has the key can seal as well (lab 05)",
    "section 3",
)
BOOK.question(
    "Under published, a message is replayed on its way to the subscriber. Who notices?",
    {"a": "the broker", "b": "nobody", "c": "the subscriber"},
    "b",
    "the paper's tag covers the ciphertext alone; hardened puts a sequence number under it",
    "section 4",
)
