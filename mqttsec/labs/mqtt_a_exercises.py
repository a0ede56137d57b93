"""The exercises and the questionnaire of lab 06; answers are recomputed from runs of the network."""

from __future__ import annotations

import math
import random
import statistics
from typing import TYPE_CHECKING

from mqttsec.anonymity.latency import RTTS_MS
from mqttsec.check import ExerciseBook, number, require
from mqttsec.labs.walk_view import knows_publisher, knows_subscriber
from mqttsec.labs.walks import Subscribed, lengths, subscribed
from mqttsec.mqtta.experiments.cells import Cell, run_cell
from mqttsec.mqtta.policies import Form, Strategy

if TYPE_CHECKING:
    from mqttsec.labs.mqtt_a import MqttA

BOOK = ExerciseBook("lab06", "MQTT-A")

# -- 1: the mean path length ------------------------------------------------------------------------

COUNT = 400
"""Messages of the check of exercise 1."""


def task_p_f(seed: int) -> float:
    """The forwarding probability of exercise 1."""
    return random.Random(f"length {seed}").choice((0.6, 0.75, 0.8))


@BOOK.exercise("The mean path length", todo="replace ... by a number of hops")
def exercise_1(lab: MqttA, answer: object) -> str:
    """Sends 400 messages through the network and takes the mean of their paths."""
    given = number(answer, "the mean path length")
    p = task_p_f(lab.seed)
    found = lengths(8, p, COUNT, lab.seed)
    mean, error = statistics.fmean(found), math.sqrt(p) / (1 - p) / math.sqrt(COUNT)
    # What theory says is right, also for one seed in three hundred whose run lies further away.
    near = abs(given - mean) <= 3 * error or abs(given - 1 / (1 - p) - 1) < 0.02
    if not near:
        hops = 1 / (1 - p)
        require(
            abs(given - hops) > 0.06, "that is the mean number of draws; the first broker forwards undrawn"
        )
        require(
            abs(given - 1 / p) > 0.06,
            "1/p counts until the first *forward*; the path ends with the first exit",
        )
        require(abs(given - (hops + 2)) > 0.06, "the hop from the client to its broker is not counted")
        require(abs(given - 1 - p) > 0.06, "a path does not end after one draw: each R <= p_f adds a hop")
        require(False, f"your run of {COUNT} messages says otherwise; what is the chance of each length?")
    return f"{COUNT} messages: {mean:.2f} hops on average, {max(found)} at most, {min(found)} at least"


# -- 2: what a broker knows -------------------------------------------------------------------------


@BOOK.exercise("Who knows whom?", todo='replace each ... by a set of brokers, such as {"b3"}')
def exercise_2(lab: MqttA, answer: object) -> str:
    """Reads the logs of all bridge brokers of the lab's run."""
    require(isinstance(answer, dict), 'give a dict with "publisher", "subscriber" and "both"')
    assert isinstance(answer, dict)
    run = lab.run()
    publisher = {name for name in run.bridges if knows_publisher(run, name)}
    subscriber = {name for name in run.bridges if knows_subscriber(run, name)}
    right = {"publisher": publisher, "subscriber": subscriber, "both": publisher & subscriber}
    for what, names in right.items():
        given = answer.get(what)
        require(isinstance(given, (set, frozenset)), f'"{what}": give a set of brokers; set() for none')
        assert isinstance(given, (set, frozenset))
        unknown = sorted(map(str, given - set(run.bridges)))
        require(not unknown, f"{what}: there is no bridge broker {', '.join(unknown)}")
        more = sorted(given - names)
        require(
            not more,
            f"{what}: {', '.join(more)} had it from a broker, and cannot tell whether that one was the first",
        )
        require(given == names, f"{what}: a client's own broker sees the client; look at 'had them from'")
    return "each end is known to its own broker alone; nobody in between knows that he is in between"


# -- 3: the strategies ------------------------------------------------------------------------------


@BOOK.exercise("Where paths cross", todo='replace ... by a set of strategies, such as {"blind"}; by a number')
def exercise_3(lab: MqttA, one_subscription: object, blind_cycle: object) -> str:
    """Runs all strategies on the lab's crossing once more."""
    names = {strategy.value for strategy in Strategy}
    require(
        isinstance(one_subscription, (set, frozenset)),
        'the first answer is a set of strategies, such as {"blind"}',
    )
    assert isinstance(one_subscription, (set, frozenset))
    require(one_subscription <= names, f"the strategies are {', '.join(sorted(names))}")
    runs = {strategy: lab.crossing(strategy.value) for strategy in Strategy}
    right = {strategy.value for strategy, run in runs.items() if run.upstream == 1}
    require(one_subscription == right, "look at the column 'at the public broker' for the mended rules")
    published = lab.crossing(Strategy.BLIND.value, Form.PUBLISHED.value)
    copies = number(blind_cycle, "how many copies reader-1 got")
    require(copies != published.messages, "that is how many messages there were; look at the copies")
    require(copies == published.copies[0], "look at the row 'blind, published', column 'copies', reader-1")
    return (
        f"{published.messages} messages became {sum(published.copies)} copies, and only the lab stopped them"
    )


# -- 4: the loop rule -------------------------------------------------------------------------------

READERS = 12
"""Subscriptions of exercise 4."""


def lost_run(seed: int) -> Subscribed:
    """The run of exercise 4: the first seed from the lab's own on that loses two to six subscriptions."""
    for number_ in range(seed, seed + 50):
        run = subscribed(Form.PUBLISHED, 10, READERS, number_)
        if 2 <= len(run.lost) <= 6:
            return run
    return run


@BOOK.exercise("Find the lost subscriptions", todo='replace ... by a set of readers, such as {"reader-3"}')
def exercise_4(lab: MqttA, answer: object) -> str:
    """Publishes a message to every topic and looks who gets none; then again under the mended rule."""
    require(isinstance(answer, (set, frozenset)), 'give a set of readers, such as {"reader-3"}')
    assert isinstance(answer, (set, frozenset))
    run = lab.subscriptions()
    everybody = {path.source for path in run.paths}
    require(answer <= everybody, f"the readers are called 'reader-1' to 'reader-{READERS}'")
    wrong = sorted(answer - set(run.lost))
    require(not wrong, f"{', '.join(wrong)} got the message: no broker stands twice on that path")
    missing = len(set(run.lost) - set(answer))
    require(not missing, f"{missing} more wait in vain: on which other paths does a broker stand twice?")
    mended = lab.subscriptions(Form.MENDED.value)
    assert not mended.lost, mended.lost
    return f"{len(run.lost)} of {READERS} lost; with a token a hop, which lets a path come back, none"


# -- 5: p_f for a budget ----------------------------------------------------------------------------


def budget(seed: int) -> tuple[int, int]:
    """(round-trip time, latency bound) of exercise 5, both ms."""
    rng = random.Random(f"budget {seed}")
    rtt = rng.choice(RTTS_MS)
    return rtt, int(round(rtt * rng.choice((5.0, 6.0, 8.0)), -1))


def largest_here(rtt_ms: float, bound_ms: float) -> float:
    """The largest p_f of this network: RTT/(1 - p_f) + RTT <= bound, for our brokers take no time."""
    return 1 - rtt_ms / (bound_ms - rtt_ms)


@BOOK.exercise("p_f for a latency budget", todo="replace ... by a forwarding probability")
def exercise_5(lab: MqttA, answer: object) -> str:
    """Sends 200 messages at the reader's p_f and takes their mean latency."""
    p_f = number(answer, "p_f")
    require(0 <= p_f < 1, "a forwarding probability is from 0 on and below 1")
    rtt, bound = budget(lab.seed)
    best = largest_here(rtt, bound)
    require(p_f != 0 or best <= 0, "at 0 every path has two hops: more hiding is within the budget")
    measured = run_cell(Cell(p_f, rtt_ms=float(rtt)), lab.seed) if p_f <= 0.95 else None
    require(measured is not None, "a path would have more than 20 hops on average: far beyond the budget")
    assert measured is not None
    # The mean of 200 paths is uncertain itself: then theory decides on which side of the bound it lies.
    mean, error = measured.mean_ms, measured.error_ms
    took = f"200 messages took {mean:.0f} ms on average (standard error {error:.0f})"
    require(mean - 4 * error <= bound and p_f <= best + 0.005, f"{took}; the budget is {bound} ms")
    require(p_f > best - 0.03, f"{took}: within the budget, but there is room for a larger p_f")
    return f"{took}, RTT/(1 - p_f) + RTT is {rtt / (1 - p_f) + rtt:.0f} ms, the budget {bound} ms"


BOOK.question(
    "Why does the first bridge broker always forward to a peer?",
    {
        "a": "else a path of one hop would show the public broker the client's own bridge broker",
        "b": "to balance the load",
        "c": "because it does not know the topic",
    },
    "a",
    "with two hops at least, the public broker cannot take the exit for the client's own broker",
    "section 1",
)
BOOK.question(
    "A bridge broker gets a message from b4. What does it know about the publisher?",
    {"a": "it is a client of b4", "b": "it may be a client of b4, or of any other", "c": "nothing at all"},
    "b",
    "b4 may be the first broker or not; how likely it is, is the matter of lab 07",
    "section 2",
)
BOOK.question(
    "What does the public broker see of a subscriber that hides?",
    {"a": "its Client Identifier", "b": "its bridge broker", "c": "the last broker of the path"},
    "c",
    "a bridge broker is an ordinary client there, and subscribes in its own name",
    "section 2",
)
BOOK.question(
    "Both sides hide at the same p_f. What does that do to the latency?",
    {"a": "it is the same as for one", "b": "RTT/(1 - p_f), twice what one side adds", "c": "it squares"},
    "b",
    "latencies add up: one side is the mean of both and none",
    "section 5",
)
BOOK.question(
    "A discovery broker lies about a topic. What can happen?",
    {
        "a": "nothing, for T_A is signed",
        "b": "its messages go to a public broker of the liar's choice",
        "c": "the bridge broker crashes",
    },
    "b",
    "the paper authenticates nobody: first pair wins, so a check of who announces is worth its cost",
    "section 1",
)
