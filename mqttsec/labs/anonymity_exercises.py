"""The exercises and the questionnaire of lab 07; simulations and the real network judge the answers."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mqttsec.anonymity import attacks
from mqttsec.anonymity.crowd import Crowd
from mqttsec.anonymity.innocence import collaborator_on_path, least_p_f, round_probabilities
from mqttsec.anonymity.predecessor import messages_until, named, rounds_for_error
from mqttsec.anonymity.simulation import tally_walks
from mqttsec.check import ExerciseBook, number, require
from mqttsec.errors import ConfigurationError

if TYPE_CHECKING:
    from mqttsec.labs.anonymity import Anonymity

BOOK = ExerciseBook("lab07", "Anonymity")

# -- 1: derive P(I|H1+) ---------------------------------------------------------------------------

TRIED = (Crowd(6, 2, 0.7), Crowd(8, 1, 0.9), Crowd(9, 5, 0.6), Crowd(12, 3, 0.75))
"""The crowds that exercise 1 simulates."""
_PATHS = 60_000

_SLIPS: dict[str, Callable[[Crowd], float]] = {
    "that is the others' share; what is left of 1 is the publisher's": lambda k: k.p_f * (k.h - 1) / k.n,
    "the initiator itself is among the n - c honest brokers: how many others can be taken for it?":
        lambda k: 1 - k.p_f * k.h / k.n,
    "without p_f you count a second hop that is made only with probability p_f":
        lambda k: 1 - (k.h - 1) / k.n,
    "the first hop is always made: a collaborator there is surely right, so it is more than one of n - c":
        lambda k: 1 / k.h,
    "that is P(I and H1+); divide by P(H1+)": lambda k: round_probabilities(k)[0],
    "that is P(H1+), that a collaborator is on the path at all": collaborator_on_path,
}  # fmt: skip
"""Hints by the likely slip: what it gives for a crowd."""


@BOOK.exercise("Derive P(I|H1+)", todo="write the body of the function")
def exercise_1(lab: Anonymity, formula: object) -> str:
    """Compares the reader's formula with paths drawn hop by hop."""
    require(callable(formula), "give the function itself: check.exercise_1(initiator_given_hit)")
    assert callable(formula)
    answers = {k: number(formula(k.n, k.c, k.p_f), "what the function returns") for k in TRIED}
    for hint, slip in _SLIPS.items():
        require(any(abs(given - slip(crowd)) > 1e-9 for crowd, given in answers.items()), hint)
    for crowd, given in answers.items():
        found = tally_walks(crowd, _PATHS, lab.seed).given_hit()
        require(0 <= given <= 1 and found.sigmas(given) < 4,
                f"{crowd}: {given:.3f}, but in {found.count} simulated paths with a collaborator "
                f"it was {found.low:.3f} to {found.high:.3f}")  # fmt: skip
    return f"within the bands of {_PATHS} simulated paths in each of {len(TRIED)} crowds"


# -- 2: the printed bound -------------------------------------------------------------------------


@BOOK.exercise("The printed bound", todo="replace ... by a crowd (n, c, p_f), and write the function")
def exercise_2(lab: Anonymity, counterexample: object, bound: object) -> str:
    """Simulates the counterexample, and crowds just at the reader's bound."""
    require(isinstance(counterexample, tuple) and len(counterexample) == 3, "give the crowd as (n, c, p_f)")
    assert isinstance(counterexample, tuple)
    try:
        crowd = Crowd(*counterexample)
    except ConfigurationError as error:
        require(False, str(error))
    require(crowd.c > 0, "with c = 0 nobody watches")
    require(
        crowd.p_f >= 0.5, "the printed bound is 1/2 and promises nothing below it; choose p_f from 0.5 on"
    )
    found = tally_walks(crowd, _PATHS, lab.seed).given_hit(z=4)
    require(found.low > 0.5, f"{crowd}: simulated, P(I|H1+) is {found}: not clearly above 1/2, so that the "
                             "printed bound is not refuted; raise c, or lower p_f")  # fmt: skip
    require(callable(bound), "give the function itself as the second answer")
    assert callable(bound)
    for n, c in ((12, 3), (20, 4), (30, 10), (8, 1)):
        given = number(bound(n, c), f"the bound for n = {n}, c = {c}")
        right = least_p_f(n, c).value
        assert right is not None
        if abs(given - right) < 1e-9:
            continue
        require(
            abs(given - 0.5) > 1e-9, f"n = {n}, c = {c}: that is 1/2, the printed bound again; where is c?"
        )
        require(abs(given - n / (2 * (n - c))) > 1e-9, f"n = {n}, c = {c}: the initiator is among the n - c")
        require(0 <= given < 1, f"n = {n}, c = {c}: {given:g} is no forwarding probability")
        at = tally_walks(Crowd(n, c, given), _PATHS, lab.seed).given_hit()
        require(False, f"n = {n}, c = {c}: at p_f = {given:.3f} the simulation has P(I|H1+) = {at}, "
                       "and at the bound it is 1/2: solve 1 - p (n-c-1)/n = 1/2")  # fmt: skip
    return f"refuted by {crowd}: simulated {found.value:.3f}; and your bound is where P(I|H1+) is 1/2"


# -- 3: accuse ------------------------------------------------------------------------------------


@BOOK.exercise("Accuse", todo="write the body of the function")
def exercise_3(lab: Anonymity, accuse: object) -> str:
    """Gives the function the pooled logs of the real network, a topic at a time."""
    require(callable(accuse), "give the function itself: check.exercise_3(accuse)")
    assert callable(accuse)
    run = lab.network()
    right, ours = 0, 0
    for publisher in run.publishers:
        log = [seen for seen in run.log if seen.topic == publisher.topic]
        given: Any = accuse(list(log), set(run.collaborators))
        require(isinstance(given, str), "it must return the name of a bridge, such as 'b3'")
        require(given not in run.collaborators, f"{publisher.topic}: {given} is one of us; each line says "
                                                "who saw it, and from whom it came: previous")  # fmt: skip
        require(given in run.honest, f"{publisher.topic}: there is no bridge {given!r}")
        suspected = run.verdict(publisher.topic)
        best = max(suspected.posterior.values())
        tied = {name for name, share in suspected.posterior.items() if share >= best - 1e-12}
        right += given == publisher.bridge
        ours += publisher.bridge in tied
        require(given in tied, f"{publisher.topic}: {given} came first {suspected.counts[given]} times, "
                               f"another {max(suspected.counts.values())} times; of each message only the "
                               "earliest line counts")  # fmt: skip
    return f"of {len(run.publishers)} publishers in the real network {right} are named rightly"


# -- 4 and 5: over time ---------------------------------------------------------------------------


def task(seed: int) -> Crowd:
    """The crowd of exercises 4 and 5: inside the bound of probable innocence for one path."""
    rng = random.Random(seed)
    n = rng.choice((18, 24, 30))
    c = rng.choice((2, 3))
    return Crowd(n, c, rng.choice((0.7, 0.75, 0.8)))


BUDGET = 300
"""Messages of exercise 5."""
_TRIALS = 1200


@BOOK.exercise("How many messages until you are named?", todo="replace ... by a number of messages")
def exercise_4(lab: Anonymity, answer: object) -> str:
    """Attacks publishers, each with a path drawn hop by hop for every message."""
    given = number(answer, "the number of messages")
    whole = given == int(given) and 1 <= given <= BUDGET
    require(whole, f"give a whole number of messages from 1 to {BUDGET}")
    crowd, messages = task(lab.seed), int(given)
    found = attacks.simulate(crowd, messages, _TRIALS, lab.seed).share(messages)
    until = messages_until(crowd, 0.95, convolve=np.convolve)
    if messages == until or found.low <= 0.95 <= found.high:
        return f"{messages} messages: {100 * found.value:.1f} % of {_TRIALS} simulated publishers were named"
    require(messages != rounds_for_error(crowd, 0.05),
            f"that is the bound (h-1)(1 - (sqrt p0 - sqrt q)^2)^R <= 5 %: enough, but long before "
            f"that it happens; at {messages} messages {100 * found.value:.1f} % were named")  # fmt: skip
    p0 = round_probabilities(crowd)[0]
    once = int(np.ceil(np.log(0.05) / np.log1p(-p0)))
    require(abs(messages - once) > 1, "by then you were noted once with 95 %; others may have been as well: "
                                      "you must be noted oftener than each of them")  # fmt: skip
    words = "too many" if found.low > 0.95 else "too few"
    require(False, f"{words}: of {_TRIALS} simulated publishers {100 * found.value:.1f} % were named after "
                   f"{messages} messages")  # fmt: skip
    return ""


@BOOK.exercise("What a sticky path buys", todo="replace ... by a lifetime in messages")
def exercise_5(lab: Anonymity, answer: object) -> str:
    """Attacks publishers whose paths live so long."""
    given = number(answer, "the lifetime")
    require(given == int(given) and given >= 1, "give a whole number of messages from 1 on")
    crowd, lifetime = task(lab.seed), int(given)
    share = named(crowd, BUDGET, lifetime, convolve=np.convolve)
    found = attacks.simulate(crowd, BUDGET, _TRIALS // 3, lab.seed, lifetime=lifetime).share(BUDGET)
    drawn = -(-BUDGET // lifetime)
    said = f"{drawn} paths in {BUDGET} messages, P(named) = {share:.3f}, simulated {found}"
    require(share <= 0.5, f"{said}; fewer paths, please")
    shorter = named(crowd, BUDGET, lifetime - 1, convolve=np.convolve) if lifetime > 1 else 1.0
    require(shorter > 0.5, f"{said}; few enough, but a shorter life would do as well: "
                           "who is seen on a path is seen for all its life")  # fmt: skip
    return said


# -- the questionnaire ----------------------------------------------------------------------------

BOOK.question(
    "What does probable innocence promise?",
    {"a": "nobody finds out", "b": "one path makes you no likelier than not", "c": "the broker sees nothing"},
    "b",
    "at most 1/2, of one path that a collaborator is on; nothing is said of many",
    "section 2",
)
BOOK.question(
    "p_f = 0.5. How many brokers do you need against one collaborator?",
    {"a": "4", "b": "a thousand", "c": "no number will do"},
    "c",
    "P(I|H1+) = 1 - (n-2)/(2n) is above 1/2 for every n",
    "the table of bounds in section 2",
)
BOOK.question(
    "What does a longer path change?",
    {"a": "a collaborator is met oftener, and knows less", "b": "both fall", "c": "both rise"},
    "a",
    "P(H1+) rises with p_f and P(I|H1+) falls; and it takes longer",
    "the first plot",
)
BOOK.question(
    "Why does a fresh path for each message help the collaborators?",
    {"a": "it is slower", "b": "each path is a new look, and you are the one who is always there",
     "c": "the topic changes"},
    "b", "the predecessor attack: p0 against q in every round",
    "section 4",
)  # fmt: skip
BOOK.question(
    "What does the public broker learn of the publisher if a broker may pick itself?",
    {"a": "nothing: every broker is as likely the exit", "b": "its bridge broker", "c": "half of it"},
    "a",
    "the exit is uniform whoever began: beyond suspicion",
    "the table of adversaries in section 2",
)
BOOK.question(
    "How does the least p_f grow with the share of collaborators?",
    {"a": "exponentially", "b": "not at all, it is 1/2", "c": "as a hyperbola with its pole at one half"},
    "c",
    "1/(2(1-x)) reaches 1 at x = 1/2, and the path's length 1 + 2(1-x)/(1-2x) grows beyond all bounds",
    "the plot of section 5",
)
