"""The exercises and the questionnaire of lab 09; answers are recomputed from what each party really saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttsec.check import ExerciseBook, number, require
from mqttsec.labs.anonymous_systems import ANONYMOUS, COMBINED, NAMED, PUBLIC, READERS, STATION, SYSTEMS
from mqttsec.labs.threats import pooled, sight

if TYPE_CHECKING:
    from mqttsec.labs.capstone import Capstone

BOOK = ExerciseBook("lab09", "Scheme 4 over MQTT-A")

SHORT = {"plain": 0, "scheme": 1, "network": 2, "both_named": 3, "both": 4}
"""Short names of the systems, and their places."""

# -- 1: what the public broker has ------------------------------------------------------------------


@BOOK.exercise("What the public broker has", todo='replace each ... by a set such as {"reads", "names"}')
def exercise_1(lab: Capstone, answer: object) -> str:
    """Looks into the packets that the public broker had in a run of each system."""
    require(isinstance(answer, dict), f"give a dict with {', '.join(SHORT)}")
    assert isinstance(answer, dict)
    for short, place in SHORT.items():
        given = answer.get(short)
        require(isinstance(given, (set, frozenset)), f'{short}: give a set of "reads" and "names", or set()')
        assert isinstance(given, (set, frozenset))
        require(given <= {"reads", "names"}, f'{short}: the words are "reads" and "names"')
        seen = sight(lab.outcome(place), PUBLIC)
        right = {word for word, holds in (("reads", seen.reads), ("names", bool(seen.names))) if holds}
        for wrong in sorted(given ^ right):
            require(False, f"{short}: {_why(place, wrong, wrong in right)}")
    return "five runs, and the bytes of the public broker's own packets say the same"


def _why(place: int, word: str, holds: bool) -> str:
    system = SYSTEMS[place]
    if word == "reads":
        return "nothing is encrypted there" if holds else "the messages are under GK_P, which B never has"
    if not holds:
        return "all it sees of the parties are bridge brokers and pseudonyms"
    if system is NAMED:
        return "look into the handshake: what does a certificate say?"
    return "a client connects there under its own Client Identifier"


# -- 2: where the name leaks --------------------------------------------------------------------------


@BOOK.exercise("Where the name leaks", todo="replace ... by the kind of a message, such as 'data'")
def exercise_2(lab: Capstone, answer: object) -> str:
    """Searches the packets of the public broker for the station's real name, the first one first."""
    kinds = [kind for kind, _ in lab.kinds(SYSTEMS.index(NAMED))]
    require(isinstance(answer, str), f"give one of {', '.join(kinds)}")
    require(answer in kinds, f"the kinds are {', '.join(kinds)}")
    first = next(kind for kind, named in lab.kinds(SYSTEMS.index(NAMED)) if named)
    require(answer == first, "the name stands in an earlier one already: which message brings a certificate?")
    later = [kind for kind, named in lab.kinds(SYSTEMS.index(COMBINED)) if named]
    assert not later, later
    return f"the {first} carries the certificate; with a pseudonym in it, no packet has the name"


# -- 3: who together ----------------------------------------------------------------------------------


@BOOK.exercise("Who finds out together?", todo='replace ... by a set of brokers, such as {"b3", "public1"}')
def exercise_3(lab: Capstone, answer: object) -> str:
    """Pools what these brokers saw in the run with pseudonyms."""
    require(
        isinstance(answer, (set, frozenset)) and answer, 'give a set of brokers, such as {"b3", "public1"}'
    )
    assert isinstance(answer, (set, frozenset))
    outcome = lab.outcome(SYSTEMS.index(COMBINED))
    there = {*outcome.bridges, PUBLIC}
    require(answer <= there, f"the brokers are {', '.join(sorted(there))}")
    relation = STATION, READERS[0]
    together = pooled(outcome, sorted(answer))
    if relation not in together.relations:
        known = {client for client, _ in together.owners}
        missing = [name for name in relation if name not in known]
        require(
            not missing,
            f"none of them can say which pseudonym is {' or '.join(missing)}: who sees its client?",
        )
        require(False, "they know both pseudonyms, but nobody saw that one asked for the other")
    for name in sorted(answer):
        rest = answer - {name}
        if rest and relation in pooled(outcome, sorted(rest)).relations:
            require(False, f"it is enough without {name}")
    who = " and ".join(sorted(answer))
    return f"{who}: one knows who the station is, one the dashboard, and the request joins them"


# -- 4: a changed message ------------------------------------------------------------------------------


@BOOK.exercise("Who notices?", todo='replace each ... by "B", "readers" or "nobody"')
def exercise_4(lab: Capstone, answer: object) -> str:
    """Lets a bridge broker change one bit, and send a message again, with the scheme and without."""
    require(isinstance(answer, dict), 'give a dict: (system, what) with "B", "readers" or "nobody"')
    assert isinstance(answer, dict)
    for system, short in ((ANONYMOUS, "network"), (COMBINED, "both")):
        for attack in ("changed", "replay"):
            given = answer.get((short, attack))
            require(given in ("B", "readers", "nobody"), f'{short}, {attack}: say "B", "readers" or "nobody"')
            seen = lab.noticed(SYSTEMS.index(system), attack)
            if given != seen and system is ANONYMOUS:
                require(False, f"{short}, {attack}: without a tag, how would anybody know?")
            if given != seen:
                words = "somebody does: the message has a tag, and a number under it"
                require(given != "nobody", f"{short}, {attack}: {words}")
                require(seen != "B", f"{short}, {attack}: somebody else notices before it reaches them")
                require(False, f"{short}, {attack}: who checks first?")
    return "MQTT-A hides who speaks, not that a broker on the way speaks instead; K_PB's tag shows that"


# -- 5: the choice ----------------------------------------------------------------------------------


@BOOK.exercise("Design it", todo="replace each ... by your choice")
def exercise_5(lab: Capstone, system: object, p_f: object) -> str:
    """Runs the reader's choice and looks: contents, names, collaborators, latency."""
    require(isinstance(system, str) and system in SHORT, f"system: choose one of {', '.join(SHORT)}")
    assert isinstance(system, str)
    p = number(p_f, "p_f")
    require(0 <= p < 0.95, "p_f: give a probability from 0 on and below 0.95")
    outcome = lab.outcome(SHORT[system])
    seen = sight(outcome, PUBLIC)
    require(not seen.reads, "the public broker reads the readings")
    require(not seen.names, "the public broker reads a real name")
    bridges = [sight(outcome, name) for name in outcome.bridges]
    require(not any(each.reads for each in bridges), "a bridge broker reads the readings")
    n, c, bound = lab.n, lab.c, lab.bound_ms
    least = n / (2 * (n - c - 1))
    require(
        p >= least, f"with {c} collaborators among {n}, probable innocence needs p_f >= n / (2 (n - c - 1))"
    )
    here = lab.latency_ms(p)
    require(
        here <= bound, f"{here:.0f} ms from the station to a reader, on average; the budget is {bound} ms"
    )
    return f"contents and names hidden, {c} of {n} collaborators borne, {here:.0f} of {bound} ms"


BOOK.question(
    "Why are Blocks 1 and 2 carried by PUBLISH here?",
    {
        "a": "AUTH is not in MQTT 5",
        "b": "with CONNECT and AUTH a party would connect to B itself, and B would know where it is",
        "c": "PUBLISH is shorter",
    },
    "b",
    "the network forwards publications and subscriptions; a connection it does not hide",
    "section 1",
)
BOOK.question(
    "What does B know of the station in the combination?",
    {"a": "its pseudonym, topics, times and sizes", "b": "nothing", "c": "its bridge broker"},
    "a",
    "it must authenticate somebody: the pseudonym, which the authority vouches for",
    "the table of all parties in section 1",
)
BOOK.question(
    "The station's own bridge broker is curious. What does it have?",
    {
        "a": "the readings",
        "b": "its name and its pseudonym, but no reading",
        "c": "nothing that it should not",
    },
    "b",
    "that is the local eavesdropper of the MQTT-A paper; the scheme keeps the contents from it",
    "section 1, through the eyes of b1",
)
BOOK.question(
    "What do pseudonyms of the authority not protect from?",
    {"a": "the public broker", "b": "the authority itself", "c": "the readers"},
    "b",
    "it knows whom it gave which one; there are credentials that hide even that",
    "section 2",
)
BOOK.question(
    "Messages of one pseudonym can be linked to each other. What would help?",
    {"a": "a larger p_f", "b": "a new pseudonym now and then, and new topics with it", "c": "QoS 2"},
    "b",
    "cars do so on the road: a pool of certificates, each for a short time",
    "section 3",
)
