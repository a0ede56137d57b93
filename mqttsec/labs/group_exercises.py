"""The exercises and the questionnaire of lab 05; answers are recomputed from runs of the machines."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from mqttsec.check import ExerciseBook, number, require
from mqttsec.crypto import Epoch, Key, Purpose, SealKey
from mqttsec.e2e import KeyName, Setup
from mqttsec.errors import MqttsecError
from mqttsec.labs.forgery import FORGERS, INSIDER, attempt, keys_of_forger
from mqttsec.labs.group_story import Event, Moment, tell
from mqttsec.labs.key_search import Keys, keys_in_memory, try_open
from mqttsec.labs.station import RECEIVERS, company_of, receivers

if TYPE_CHECKING:
    from mqttsec.labs.group_keys import GroupKeys

BOOK = ExerciseBook("lab05", "Group keys")

# -- 1: who can read what -------------------------------------------------------------------------


def exercise_events(seed: int) -> tuple[Event, ...]:
    """A story for exercise 1: one leaves, one joins, one is away, one more leaves; four messages."""
    rng = random.Random(seed)
    *first, late = rng.sample(RECEIVERS, 4)
    gone, offline, second = rng.sample(first, 3)
    message = ("message", "")
    return (
        *(("join", name) for name in first), message, ("leave", gone), message,
        ("away", offline), ("join", late), message, ("leave", second), message,
    )  # fmt: skip


@BOOK.exercise("Who can read it?", todo='replace each ... by a set of names, such as {"dashboard", "phone"}')
def exercise_1(lab: GroupKeys, answer: object) -> str:
    """Tells the story under *hardened* and lets everybody try all messages at its end."""
    require(isinstance(answer, dict), "give a dict: the number of each message with a set of names")
    assert isinstance(answer, dict)
    events = exercise_events(lab.seed)
    story = tell(Setup(3), lab.message, events)
    last = story.moments[-1]
    for message in range(1, len(story.epochs) + 1):
        given = answer.get(message)
        require(isinstance(given, (set, frozenset)), f"message {message}: give a set of names")
        assert isinstance(given, (set, frozenset))
        unknown = sorted(map(str, given - set(story.names)))
        require(not unknown, f"message {message}: nobody here is called {', '.join(unknown)}")
        right = {name for name in story.names if last.reads[name][message - 1]}
        for wrong in sorted(given ^ right):
            require(False, f"message {message}: {wrong} {_why(events, last, wrong, message, wrong in right)}")
    return f"{len(story.names)} tried all {len(story.epochs)} messages with the keys they had, and so it was"


_THEN = "was a member then, and nobody takes back a key that was used"


def _why(events: tuple[Event, ...], last: Moment, name: str, message: int, can: bool) -> str:
    said, before = 0, 0
    for kind, who in events:
        said += kind == "message"
        if kind == "join" and who == name and said >= message:
            return "joined later, and the ratchet has no way back"
        if kind == "away" and who == name:
            before = said
        if kind == "leave" and who == name:
            if said < message:
                return "had left: the others have got a new secret, and it has not"
            return _THEN if can else "cannot"
    if last.state[name] == "offline" and message > before:
        if can:
            return "was offline, but after a join each takes the step alone; no wrap is needed"
        return "is still offline: the wrap of the new generation waits for it"
    return _THEN if can else "has no key for it"


# -- 2: what a change costs -----------------------------------------------------------------------


def exercise_size(seed: int) -> int:
    """The size of the group of exercise 2."""
    return 8 + random.Random(seed).randrange(23)


@BOOK.exercise("What a join and a leave cost", todo="replace each ... by a number of wraps")
def exercise_2(lab: GroupKeys, answer: object) -> str:
    """Lets one join and one leave a group of that size, and counts the wraps of the station."""
    require(isinstance(answer, dict), 'give a dict with "join" and "leave"')
    assert isinstance(answer, dict)
    n = exercise_size(lab.seed)
    costs = lab.rekeying(n)
    for kind in ("join", "leave"):
        given = number(answer.get(kind), f"the wraps of a {kind}")
        station, broker = costs[kind][:2]
        if given == station:
            continue
        require(given != station + broker, f"{kind}: that is station and broker together; give the station's")
        require(
            kind != "join" or given < n, "join: those who are there take the step alone; only one gets a wrap"
        )
        require(kind != "leave" or given != n, "leave: who leaves gets no wrap")
        require(
            kind != "leave" or given > 1, "leave: one wrap opens with one pair's key only; each needs its own"
        )
        require(False, f"{kind}: not what the run counted; look at the column 'wraps P' of the story")
    return f"a run with {n} members: {costs['join'][0]} for a join, {costs['leave'][0]} for a leave"


# -- 3: the ratchet -------------------------------------------------------------------------------

_HAS, _WANTS = 1, 5


class Ratchet:
    """A member that joined first, was away while four others joined, and a message of now.

    `secret` is the group's secret of step `now`, which the member got in its wrap; the message is sealed
    under the key of step `wanted`. `step(secret, number)` is one turn: the secret of step `number` from
    that of the step before, by HKDF.
    """

    def __init__(self, message: bytes) -> None:
        self._company = company_of(Setup(3), receivers(_WANTS))
        self._message = message
        self._sent = self._company.route(message)[RECEIVERS[0]]
        self._ring = next(
            ring for ring in keys_in_memory(self._company.subscribers[RECEIVERS[0]]).rings
            if ring.scheme.name == KeyName.GK_P.value
        )  # fmt: skip
        self.now, self.wanted = _HAS, _WANTS

    @property
    def secret(self) -> bytes:
        """The secret of step `now`, for the reader's own function."""
        return self._ring.earliest[0].secret.reveal()

    def step(self, secret: bytes, number: int) -> bytes:
        """The secret of step `number`, from that of step `number - 1`."""
        scheme, key = self._ring.scheme, Key(KeyName.GK_P.value, Purpose.GROUP_SECRET, secret)
        before = scheme.key(Epoch(0, number - 1), key)
        return scheme.stepped(before, number).secret.reveal()

    def opens(self, secret: bytes) -> bool:
        """Whether the message opens with the keys that `secret` makes in step `wanted`."""
        key = Key(KeyName.GK_P.value, Purpose.GROUP_SECRET, secret)
        made: SealKey = self._ring.scheme.key(Epoch(0, self.wanted), key).keys
        held = keys_in_memory(self._company.subscribers[RECEIVERS[0]])
        outer = tuple(ring for ring in held.rings if ring.scheme.name == KeyName.GK_B.value)
        return try_open(self._company.setup, Keys((made,), outer), *self._sent).message == self._message

    def __repr__(self) -> str:
        return f"the member holds the secret of step {self.now}; the message is of step {self.wanted}"


@BOOK.exercise("Turn the ratchet", todo="write the body of the function")
def exercise_3(lab: GroupKeys, catch_up: Callable[..., object]) -> str:
    """Opens a real message with the secret that the reader's function gives."""
    require(callable(catch_up), "give the function itself: check.exercise_3(catch_up)")
    ratchet = Ratchet(lab.message)
    turns: list[int] = []

    def step(secret: bytes, number: int) -> bytes:
        turns.append(number)
        return ratchet.step(secret, number)

    secret = catch_up(ratchet.secret, ratchet.now, ratchet.wanted, step)
    require(isinstance(secret, bytes) and len(secret) == len(ratchet.secret),
            "it must return a secret: what the last step(secret, number) gave")  # fmt: skip
    assert isinstance(secret, bytes)
    wanted = list(range(ratchet.now + 1, ratchet.wanted + 1))
    require(
        turns == wanted, f"it took the steps {turns}; from {ratchet.now} to {ratchet.wanted} it is {wanted}"
    )
    require(
        ratchet.opens(secret), "the message does not open: does each turn begin with what the last one gave?"
    )
    try:
        back = catch_up(ratchet.secret, ratchet.wanted, ratchet.now, step)
    except (MqttsecError, ValueError):
        back = None
    require(back is None, f"from step {ratchet.wanted} back to {ratchet.now} there is no way: return None")
    return f"{len(wanted)} turns, no message to wait for, and the reading opens"


# -- 4: what a forger needs -----------------------------------------------------------------------


@BOOK.exercise("What a forger needs", todo='replace ... by a set of key names, such as {"K_PB", "K_PSi"}')
def exercise_4(lab: GroupKeys, answer: object) -> str:
    """Lets the insider forge with these keys alone, then with one less each time."""
    require(isinstance(answer, (set, frozenset)), 'give a set of key names, such as {"K_PB", "K_PSi"}')
    assert isinstance(answer, (set, frozenset))
    names = {key.value for key in KeyName}
    require(answer <= names, f"the keys are {', '.join(sorted(names))}")
    company = company_of(Setup(3), receivers(3))
    held = set(keys_of_forger(company, FORGERS[2]).names())
    for name in sorted(answer - held):
        require(False, f"{INSIDER} does not have {name}: it has {', '.join(sorted(held))}")
    tried = attempt(company, FORGERS[2], frozenset(answer))
    require(tried.believed, f"with {', '.join(sorted(answer)) or 'no key'}: {tried.outcome}; the dashboard "
                            "takes off two layers, and each wants a key")  # fmt: skip
    for name in sorted(answer):
        if attempt(company, FORGERS[2], frozenset(answer - {name})).believed:
            require(False, f"believed, but it would be without {name} too")
    return f"with {' and '.join(sorted(answer))} the forgery was believed, with one less it was not"


# -- the questionnaire ----------------------------------------------------------------------------

BOOK.question(
    "Why must a leave bring a fresh secret, while a join needs only a step?",
    {"a": "a join is rarer", "b": "who leaves knows the secret, and could take the step too",
     "c": "a step is slower"},
    "b", "HKDF is public: whoever has the secret of a step has all later ones of its generation",
    "section 3",
)  # fmt: skip
BOOK.question(
    "What does the step of a join keep from the new member?",
    {"a": "what was said before", "b": "what will be said", "c": "who else is a member"},
    "a", "HKDF does not run backwards: from step 5 there is no way to step 4",
    "section 3",
)  # fmt: skip
BOOK.question(
    "A member was offline while another left. What does it need?",
    {"a": "nothing", "b": "a new certificate", "c": "the wrap of the new generation, which waits for it"},
    "c", "one wrap for each generation that began meanwhile; four generations are kept",
    "section 1",
)  # fmt: skip
BOOK.question(
    "What does the tag under GK_P prove to a member?",
    {"a": "some member or the publisher made it", "b": "the publisher made it", "c": "the broker saw it"},
    "a", "all who have the key can make the tag: it is integrity within the group, not its source",
    "section 4",
)  # fmt: skip
BOOK.question(
    "A group of 1000 loses a member every second. What hurts?",
    {"a": "the size of messages", "b": "999 wraps a second at station and broker", "c": "nothing"},
    "b", "here a leave is linear in n; key trees (LKH, MLS) make it logarithmic",
    "section 5",
)  # fmt: skip
