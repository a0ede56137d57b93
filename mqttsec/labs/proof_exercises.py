"""The exercises and the questionnaire of lab 08; answers are asked of the model anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mqttsec.check import ExerciseBook, require
from mqttsec.e2e import Script, Term
from mqttsec.verify.cases import Case, Goal, Intruder, Property
from mqttsec.verify.findings import attack
from mqttsec.verify.from_steps import protocol
from mqttsec.verify.matrix import BLOCK_1, DIRECTIONS, IN_A_DIRECTION
from mqttsec.verify.runner import search
from mqttsec.verify.variants import variant

if TYPE_CHECKING:
    from mqttsec.labs.proofs import Proofs

BOOK = ExerciseBook("lab08", "Proofs")

# -- 1: who is misbound ---------------------------------------------------------------------------

DISHONEST = ("publisher", "broker", "subscriber")
"""As what mallory has a certificate in exercise 1."""


@BOOK.exercise("Who is misbound?", todo='replace each ... by a set of directions, such as {"P-B", "S-P"}')
def exercise_1(lab: Proofs, answer: object) -> str:
    """Asks the model about *published*, for a mallory of each kind."""
    require(isinstance(answer, dict), 'give a dict: "publisher", "broker" and "subscriber", each with a set')
    assert isinstance(answer, dict)
    for kind in DISHONEST:
        given = answer.get(kind)
        require(isinstance(given, (set, frozenset)), f"{kind}: give a set of directions, such as {{'P-B'}}")
        assert isinstance(given, (set, frozenset))
        unknown = sorted(map(str, given - set(DIRECTIONS)))
        require(not unknown, f"{kind}: the directions are {', '.join(DIRECTIONS)}, not {', '.join(unknown)}")
    table = lab.table("published")
    for kind in DISHONEST:
        row = next(row for row in table.rows if row[1] == kind)
        broken = {name for name, cell in zip(DIRECTIONS, row[2:], strict=True) if cell != "."}
        for direction in sorted(answer[kind] ^ broken):
            believer, peer = direction.split("-")
            stands = f"a dishonest {kind}: {direction} stands. In whose name could mallory speak to {peer}?"
            require(direction in broken, stands)
            if kind == "broker" and "B" not in (believer, peer):
                asked = "They name each other rightly. Do both name the same broker?"
            else:
                asked = (
                    f"Which signature does mallory replace by her own, so that {peer} has {believer}'s key "
                    "and takes it for hers?"
                )
            require(False, f"a dishonest {kind}: {direction} breaks as well. {asked}")
    return "the model has found exactly these, with at most 3 role instances"


# -- 2: which safeguard -----------------------------------------------------------------------------

STOPS = {
    "peer's ephemeral key": ("pairing P-B", "names, own ephemeral", "ephemerals, no names"),
    "names": ("binding P-B", "ephemerals, no names", "names, own ephemeral"),
    "tag": ("one message for another", "published", "tags only"),
}
"""Safeguard: the attack that it stops, a variant without it, and one with it."""


@BOOK.exercise("Which safeguard stops what?", todo="replace each ... by one of the three attacks")
def exercise_2(lab: Proofs, answer: object) -> str:
    """Asks the model about a handshake without the safeguard, and about one with it."""
    attacks = {
        "pairing P-B": "mixed runs",
        "binding P-B": "misbinding",
        "one message for another": "confusion",
    }
    require(isinstance(answer, dict), "give a dict: the three safeguards, each with the name of an attack")
    assert isinstance(answer, dict)
    for safeguard, (attack_on, without, with_it) in STOPS.items():
        given = answer.get(safeguard)
        require(given in attacks.values(), f"{safeguard}: give one of {', '.join(attacks.values())}")
        falls, stands = (_falls(attack_on, name) for name in (without, with_it))
        assert falls and not stands, "the model has changed"
        require(
            given == attacks[attack_on],
            f"{safeguard}: not {given}. The model says that without it {attack_on!r} fails, and with it that "
            "holds: see lab.ask",
        )
    return "asked for each: without the safeguard the attack is found, with it there is none"


def _falls(attack_on: str, name: str) -> bool:
    """Whether a variant falls to an attack within three instances."""
    script = variant(name).script
    if attack_on == "one message for another":
        # Blocks 1 and 2 at once: one party's CONNECT passes as its answer.
        goal = Goal(Property.AGREEMENT, "S-P")
        case = Case(protocol(script), Intruder.OUTSIDER, (goal,), 3)
    else:
        kind, subject = attack_on.split()
        goal = Goal(Property(kind), subject)
        intruder = Intruder.PUBLISHER if kind == "binding" else Intruder.OUTSIDER
        case = Case(protocol(script).only(*BLOCK_1), intruder, (goal,), 3)
    return goal in search(case).attacks


# -- 3: repair it -----------------------------------------------------------------------------------

SIGNED = {"CONNECT": "Sig_P:c1", "CONNACK": "Sig_B:c2"}
"""The two signatures of Block 1."""


def terms(packet: str) -> dict[str, Term]:
    """What can stand under the signature of a packet, by name: what *hardened* signs."""
    signatures = variant("hardened").script.signatures
    signature = next(term for term in signatures if term.name == SIGNED[packet])
    return {str(term): term for term in signatures[signature].covers}


def repaired(fields: dict[str, list[str]]) -> Script:
    """*published* with a replay cache, and these fields under the signatures of Block 1."""
    script = variant("replay cache only").script
    for packet, name in SIGNED.items():
        signature = next(term for term in script.signatures if term.name == name)
        covers = [term for field, term in terms(packet).items() if field in fields[packet]]
        script = script.signing(signature, *covers)
    return script


def weakness(script: Script) -> str:
    """The smallest attack on Block 1 that an insider has, or who knows old keys, in a line; empty if none."""
    roles = protocol(script).only(*BLOCK_1)
    goals = (
        Goal(Property.SECRECY, "K_PB"),
        *(Goal(each, direction) for direction in ("P-B", "B-P") for each in IN_A_DIRECTION),
    )
    now = search(Case(roles, Intruder.INSIDER, goals, 3))
    old = search(Case(roles, Intruder.OUTSIDER, goals[:1], 2, old=True))
    for words, result in (("", now), ("with an old ephemeral key known, ", old)):
        for goal in result.attacks:
            return f"{words}{goal} fails: {attack(result, goal).summary}"
    return ""


@BOOK.exercise("Repair it with the fewest fields", todo="replace the ... by lists of field names")
def exercise_3(lab: Proofs, answer: object) -> str:
    """Searches the repaired handshake, then leaves out one field after the other."""
    require(isinstance(answer, dict), 'give a dict with "CONNECT" and "CONNACK", each with a list of fields')
    assert isinstance(answer, dict)
    fields: dict[str, list[str]] = {}
    for packet in SIGNED:
        given = answer.get(packet)
        require(
            isinstance(given, (list, tuple, set)), f"{packet}: give a list of fields, such as ['R_P', 'T_P']"
        )
        assert isinstance(given, Iterable)
        fields[packet] = [str(each) for each in given]
        unknown = [each for each in fields[packet] if each not in terms(packet)]
        require(not unknown, f"{packet}: can cover {', '.join(terms(packet))}; not {', '.join(unknown)}")
    found = weakness(repaired(fields))
    require(not found, f"not yet: {found}")
    for packet, names in fields.items():
        for name in names:
            fewer = {**fields, packet: [each for each in names if each != name]}
            require(weakness(repaired(fewer)), f"safe, but {name} in {packet} can be left out")
    count = sum(map(len, fields.values()))
    return f"safe with 3 instances and {count} signed fields, and none of them can be left out"


# -- the questionnaire ----------------------------------------------------------------------------

BOOK.question(
    "The engine says: safe with 6 instances. What do you know?",
    {"a": "there is no attack", "b": "no attack with up to 6 runs, within the model",
     "c": "the implementation is secure"},
    "b", "the bound is a bound, and the model knows no timing, no weak randomness, no defect of the code",
    "section 4",
)  # fmt: skip
BOOK.question(
    "The engine says: attack. What do you know?",
    {"a": "it may be an artefact of the model until it has been run", "b": "the protocol is broken for sure",
     "c": "the cryptography is weak"},
    "a", "here every attack is run on the real machines; elsewhere this step is easily forgotten",
    "section 3",
)  # fmt: skip
BOOK.question(
    "The paper's tool said SAFE. How can both be right?",
    {"a": "one of the tools has a defect", "b": "the paper's goals are wrong",
     "c": "goals are judged in a setting: how many runs, which blocks, who is dishonest"},
    "c", "with one run a role and nobody dishonest the goals hold here as well",
    "the table of section 4",
)  # fmt: skip
BOOK.question(
    "Why does TLS 1.3 sign a hash of the whole handshake?",
    {"a": "it holds both key shares, so an answer belongs to one run", "b": "a hash is shorter",
     "c": "to keep the names secret"},
    "a", "RFC 8446, 4.4.3: the transcript has both shares; the context string before it is a tag",
    "section 5",
)  # fmt: skip
BOOK.question(
    "What is SIGMA's MAC over the own name for?",
    {"a": "it encrypts the name", "b": "who has the key shows its name under it: nobody can be misbound",
     "c": "it replaces the certificate"},
    "b", "Krawczyk, 2003: sign and MAC; TLS 1.3's Finished does the same work",
    "section 5",
)  # fmt: skip
BOOK.question(
    "Why does *hardened* need a replay cache, or a confirming message, on top of its signatures?",
    {"a": "signatures can be forged", "b": "who answers first has nothing fresh of its own in what it gets",
     "c": "clocks are wrong"},
    "b", "a responder sees its own ephemeral key under the peer's signature only in a third message",
    "the second attack of section 3",
)  # fmt: skip
