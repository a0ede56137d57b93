"""The exercises and the questionnaire of lab 02; answers are recomputed from the running machines."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mqttsec.check import ExerciseBook, require
from mqttsec.crypto import CURVES, Key, PairKeys, Profile, Purpose, SealKey, fields, pair_keys
from mqttsec.crypto.schedule import hkdf
from mqttsec.e2e import CheckKind, Setup
from mqttsec.e2e.attacks import attack, attempt
from mqttsec.e2e.guarantees import GUARANTEES, Standing
from mqttsec.e2e.terms import ID_P, R_P, SIG_C2, KeyName
from mqttsec.errors import ConfigurationError, TamperError
from mqttsec.labs.meddling import Replay
from mqttsec.trace import EventKind

if TYPE_CHECKING:
    from mqttsec.labs.handshake import Handshake

BOOK = ExerciseBook("lab02", "The handshake")

PARTIES = ("alice", "broker", "bob")

# -- 1: who has which key -------------------------------------------------------------------------


@BOOK.exercise("Who has which key?", todo="replace each ... by a set, such as {'alice', 'bob'}")
def exercise_1(lab: Handshake, answer: object) -> str:
    """Compares with what the machines hold at the end of Block 2 of the run at hand."""
    require(isinstance(answer, dict), "give a dict: each key with a set of parties")
    assert isinstance(answer, dict)
    company = lab.honest("block 2")
    for key in KeyName:
        require(key.value in answer, f"there is nothing for {key.value}")
        given = answer[key.value]
        require(isinstance(given, (set, frozenset)), f"give a set of parties for {key.value}")
        require(given <= set(PARTIES), f"{key.value}: the parties are {', '.join(PARTIES)}")
        right = {party for party in PARTIES if any(each is key for each in lab.keys_of(company, party))}
        for wrong in sorted(given - right):
            hint = "it has no half of it" if not key.is_group else "nobody gives it that key"
            require(False, f"{wrong} does not have {key.value}: {hint}")
        for missing in sorted(right - given):
            require(False, f"{missing} has {key.value}, too: look where it comes from in the ladder")
    return "as the machines hold them after Block 2; the broker has neither K_PSi nor GK_P"


# -- 2: the key schedule --------------------------------------------------------------------------

_ENDS = ("alice", "bob")


@BOOK.exercise("Derive the keys", todo="write the body of the function")
def exercise_2(lab: Handshake, derive: Callable[..., object]) -> str:
    """The system seals a message under K_PSi; the reader's keys must open it, in both directions."""
    require(callable(derive), "give the function itself: check.exercise_2(derive)")
    suite = lab.setup.ciphers
    mine, theirs = (CURVES["P-256"].generate() for _ in range(2))
    context = (mine.public, theirs.public)
    secret = mine.agree(theirs.public, "K_PSi")
    system = pair_keys(Profile.HARDENED, suite, secret, "K_PSi", _ENDS, context)
    for ends, seal in ((_ENDS, system.forth), ((_ENDS[1], _ENDS[0]), system.back)):
        parts = {}
        for purpose, size in (("encryption", suite.encryption_key_size), ("mac", suite.mac_key_size)):
            made = derive(secret.reveal(), "K_PSi", purpose, ends, context, size)
            require(isinstance(made, bytes), f"it returned {type(made).__name__}: return bytes")
            assert isinstance(made, bytes)
            require(len(made) == size, f"{size} bytes are wanted for {purpose}, it returned {len(made)}")
            parts[purpose] = made
        own = SealKey("yours", _key(parts["encryption"]), _key(parts["mac"]))
        sealed = suite.box(seal).seal(b"12.8 C", b"header")
        try:
            opened = suite.box(own).open(sealed, b"header")
        except TamperError:
            opened = b""
        require(opened == b"12.8 C", _slip(parts, secret, ends, context))
    return "your keys open what the system seals, from alice to bob and from bob to alice"


def _key(secret: bytes) -> Key:
    return Key("yours", Purpose.ENCRYPTION_AND_MAC, secret)


def _slip(parts: dict[str, bytes], secret: Key, ends: tuple[str, str], context: tuple[bytes, ...]) -> str:
    made, size = parts["encryption"], len(parts["encryption"])
    format_, name, purpose = "mqttsec 1", "K_PSi", "encryption"
    likely = {
        hkdf(secret, size): "no label at all: that is the published schedule, one key for everything",
        hkdf(secret, size, fields(format_, name, purpose, *ends)):
            "the context is missing: both ephemeral keys",
        hkdf(secret, size, fields(format_, name, *ends, *context)): "the purpose is missing",
        hkdf(secret, size, fields(name, purpose, *ends, *context)): "'mqttsec 1' comes first: it is missing",
        hkdf(secret, size, fields(format_, name, purpose, *reversed(ends), *context)):
            "the two ends are the other way round",
        hkdf(secret, size, fields(format_, name, purpose, *sorted(ends), *context)):
            "the ends in alphabetical order give both directions one key: keep their order",
        hkdf(secret, size, "".join((format_, name, purpose, *ends)).encode() + b"".join(context)):
            "the fields need their lengths before them: use fields(...)",
    }  # fmt: skip
    hint = likely.get(made, "compare your label with the table, field by field")
    return f"the message from {ends[0]} to {ends[1]} does not open: {hint}"


# -- 3: the missing binding -----------------------------------------------------------------------

MISSING = ("name", "ephemeral", "cache")
"""P's name or P's ephemeral key under B's signature of step 3; the replay cache."""
PROBES = ("identity misbinding", "mixed parallel runs", "replayed CONNECT")
"""What is tried on each of them."""


def mutants(seed: int) -> dict[str, Setup]:
    """Three handshakes, A, B and C, from each of which one thing was taken away; the seed says which."""
    order = random.Random(seed).sample(MISSING, len(MISSING))
    return {letter: _without(missing) for letter, missing in zip("ABC", order, strict=True)}


def _without(missing: str) -> Setup:
    whole = Setup(3).script
    covers = whole.signatures[SIG_C2].covers
    if missing == "name":
        script = whole.signing(SIG_C2, *(term for term in covers if term is not ID_P))
    elif missing == "ephemeral":
        script = whole.signing(SIG_C2, *(term for term in covers if term is not R_P))
    else:
        script = whole.without(CheckKind.UNSEEN)
    # The keys are derived as published: hardened ones would bind the names a second time.
    return Setup(3, Profile.PUBLISHED, altered=script)


@BOOK.exercise("Find the missing binding", todo="replace each ... by 'name', 'ephemeral' or 'cache'")
def exercise_3(lab: Handshake, answer: object) -> str:
    """Puts back what the reader says is missing; then every attack must fail."""
    require(isinstance(answer, dict), "give a dict: A, B and C each with what is missing")
    assert isinstance(answer, dict)
    for letter, setup in mutants(lab.seed).items():
        require(letter in answer, f"there is nothing for {letter}")
        said = answer[letter]
        require(said in MISSING, f"{letter}: one of {', '.join(MISSING)}")
        mended = replace(setup, altered=_mended(setup, said))
        for probe in PROBES:
            outcome = attempt(attack(probe), mended)
            require(not outcome.succeeded, f"{letter} with the {said} put back: {probe} still succeeds")
    return "with these put back, all three attacks fail against all three"


def _mended(setup: Setup, missing: str) -> Any:
    whole, script = Setup(3).script, setup.script
    if missing == "cache":
        return replace(script, steps=whole.steps)
    wanted = ID_P if missing == "name" else R_P
    present = {*script.signatures[SIG_C2].covers, wanted}
    return script.signing(SIG_C2, *(term for term in whole.signatures[SIG_C2].covers if term in present))


# -- 4: the replay --------------------------------------------------------------------------------


@BOOK.exercise("Make the replay work, then stop it", todo="write the function, and what stops it")
def exercise_4(lab: Handshake, attack_it: Callable[[Any], object], stopped_by: object) -> str:
    """Runs the reader's function against both profiles, and looks at the machines."""
    require(callable(attack_it), "give the function itself first: check.exercise_4(replay_it, stopped_by)")
    with lab.apart():
        broken, refused = _replayed(lab, attack_it, "published"), None
        require(
            broken[0] is Standing.BROKEN,
            "published: afterwards alice and the broker still have the same K_PB. Which packet made it?",
        )
        refused = _replayed(lab, attack_it, "hardened")
    require(refused[1], "hardened: the broker refuses nothing; do the same there as under published")
    require(isinstance(stopped_by, str), "give the check that stops it as a text, as the refusal names it")
    assert isinstance(stopped_by, str)
    said = refused[1][0].partition(" failed")[0].rpartition(": ")[2]
    require(
        stopped_by.strip().lower() in (said.lower(), said.lower().split()[0]),
        f"it is not {stopped_by!r} that refuses: read what the broker says in the ladder under hardened",
    )
    return f"published: the two ends have different keys now; hardened: the broker refuses by {said}"


def _replayed(lab: Handshake, attack_it: Callable[[Any], object], profile: str) -> tuple[Standing, list[str]]:
    lab.use(3, profile)
    try:
        attack_it(lab)
    except ConfigurationError as error:
        require(False, f"{profile}: {error}")
    actions = [action for each in lab.meddling.values() for action in each]
    require(actions, f"{profile}: the function does nothing to the run: it should call lab.replay(...)")
    require(all(isinstance(action, Replay) for action in actions), "replay alone: nothing else is needed")
    events = lab.trace.events
    refusals = [event.detail for event in events if event.kind is EventKind.REJECTED]
    return GUARANTEES[0].standing(lab.exchange), refusals


def distinct_keys(pair: PairKeys) -> int:
    """How many different keys serve encryption and tags in both directions."""
    every = {key.reveal() for each in (pair.forth, pair.back) for key in (each.encryption, each.mac)}
    return len(every)


# -- the questionnaire ----------------------------------------------------------------------------

BOOK.question(
    "Why does B reach P by PUBLISH in step 7, and not by AUTH?",
    {"a": "AUTH is too short", "b": "only a client may begin an authentication", "c": "PUBLISH is encrypted"},
    "b",
    "MQTT 5 (4.12): the client begins, and may begin again; the server answers",
    "section 1",
)
BOOK.question(
    "Who computes K_PSi?",
    {"a": "alice and bob", "b": "the broker, for both", "c": "all three"},
    "a",
    "the broker passes R_SP and R_PS on, but has neither private half",
    "exercise 1",
)
BOOK.question(
    "B's signature of step 3 covers R_B and T_B alone. What can an attacker do with it?",
    {"a": "read K_PB", "b": "forge it", "c": "give it to another run, or to another client"},
    "c",
    "nothing under it says whom it answers: mixed runs, and misbinding",
    "section 4",
)
BOOK.question(
    "The broker drops step 13 for ever. What is lost?",
    {"a": "secrecy", "b": "availability", "c": "both"},
    "b",
    "bob gets 0x88 after the time limit; whoever carries messages can always stop them",
    "section 2",
)
BOOK.question(
    "An insider forges a message of alice's under Scheme 3. What stops it?",
    {"a": "a longer group key", "b": "a signature of alice on each message", "c": "the replay window"},
    "b",
    "all members hold the same key: its tag cannot tell them apart",
    "section 5",
)
BOOK.question(
    "Under hardened, which key tags a message of alice's to the broker?",
    {"a": "the one that encrypts it", "b": "one for tags from alice to the broker", "c": "GK_P"},
    "b",
    "HKDF with a label: purpose, and from whom to whom",
    "section 3",
)
