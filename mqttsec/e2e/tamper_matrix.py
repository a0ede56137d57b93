"""The tamper matrix: every field of every message x every change, each tried on the real machines.

What happens is compared with what `predictions` says from the step data (what is signed, checked, under the
tag). A row is a field of a message, a column a change; a cell holds the cases that were tried there. A case
in which the run differs from the model is a surprise: there must be none.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from mqttsec.crypto import Profile
from mqttsec.e2e.alterations import Alteration, Field, Path, fields_of, raw_of, variants, with_raw
from mqttsec.e2e.channel import LayerCheck, LayerRefused
from mqttsec.e2e.encoding import Message, decode, terms_of
from mqttsec.e2e.handshake import CheckFailed, Unexpected, Unreadable
from mqttsec.e2e.messages import Layer
from mqttsec.e2e.predictions import (
    Change,
    Misfit,
    Prediction,
    changes,
    keys_without,
    predict,
    predict_again,
    predict_layer,
    predict_topic,
    why_layer_taken,
    why_taken,
)
from mqttsec.e2e.roads import MESSAGES, Road, anew, other_topics, roads
from mqttsec.e2e.schemes import SCHEMES, Mode
from mqttsec.e2e.setup import Setup
from mqttsec.e2e.stages import Stage, numbers, stage
from mqttsec.e2e.steps import Script
from mqttsec.e2e.terms import KeyName, Role
from mqttsec.errors import HandshakeError, MalformedPacketError, TamperError

M = TypeVar("M", bound=Message)

MESSAGE_ROW = "(message)"
"""The row of a message as a whole."""

TOPIC_ROW = "(topic)"
"""The row of a data message for the Topic Name that it is published on."""


@dataclass(frozen=True)
class Verdict:
    """How a message that was changed ends."""

    party: str = ""
    """Who refuses it: P, B or S; empty: nobody."""
    error: str = ""
    """The check that failed: `signature Sig_P:c1`, `form`, `tag`."""
    effect: str = ""
    """Where nobody refuses: what has become of keys or contents; empty: nothing."""
    why: str = field(default="", compare=False)
    """Of a prediction: why nobody notices."""

    @property
    def short(self) -> str:
        """The kind of check that failed: `signature`, `same certificate`, `form`; or `accepted`."""
        return (self.error.rpartition(" ")[0] or self.error) if self.party else "accepted"

    def __str__(self) -> str:
        if self.party:
            return f"{self.party} refuses: {self.error}"
        return f"accepted; {self.effect}" if self.effect else "accepted"


@dataclass(frozen=True)
class Case:
    """One changed message."""

    predicted: Verdict
    """By the model."""
    seen: Verdict
    """By the run."""

    @property
    def surprise(self) -> bool:
        """True where they differ."""
        return self.predicted != self.seen


@dataclass(frozen=True)
class Cell:
    """One field under one change."""

    message: str
    """`step 3 BrokerHello`, `P-B message`."""
    field: str
    """`signature`, `answer.wrapped.epoch`, `(message)`."""
    alteration: Alteration
    """What was done to it."""
    cases: tuple[Case, ...]
    """Each value tried; none where the change changes nothing: the field is empty, or the same there."""


@dataclass(frozen=True)
class Matrix:
    """All cells of one setup."""

    setup: Setup
    """Scheme, profile, suite, mode."""
    cells: tuple[Cell, ...]
    """Message by message, field by field, change by change."""
    controls: tuple[tuple[str, Case], ...]
    """By message: after all that was refused, the unchanged message is taken; a machine that refuses has
    changed nothing."""

    @property
    def cases(self) -> int:
        """How many changed messages were delivered."""
        return sum(len(cell.cases) for cell in self.cells)

    @property
    def surprises(self) -> tuple[str, ...]:
        """What the model did not predict, in words."""
        found = [
            f"{cell.message}, {cell.field}, {cell.alteration.value}: "
            f"predicted: {case.predicted}; seen: {case.seen}"
            for cell in self.cells
            for case in cell.cases
            if case.surprise
        ]
        found += [
            f"{message}, unchanged: predicted: {case.predicted}; seen: {case.seen}"
            for message, case in self.controls
            if case.surprise
        ]
        return tuple(found)


@dataclass(frozen=True)
class Plan:
    """One table of the command: a setup, and which part of it is tried."""

    setup: Setup
    """What the parties have in common."""
    steps: tuple[int, ...]
    """The messages of the handshake, by the step that sends them."""
    data: bool = True
    """Whether data messages are tried."""
    title: str = ""
    """What is special."""


def plans(
    schemes: Collection[int] = tuple(SCHEMES),
    profiles: Collection[Profile] = tuple(Profile),
    suite: str = "paper",
    curve: str = "P-256",
) -> Iterator[Plan]:
    """Everything that there is to be tried.

    Both modes where they differ: where the end-to-end key is individual. For *hardened* the messages that
    only its options have: those that confirm a handshake, and data messages that are signed.
    """
    for number in schemes:
        for profile in profiles:
            setup = Setup(number, profile, suite, curve)
            steps = numbers(setup)
            for mode in Mode if setup.individual else (setup.mode,):
                yield Plan(replace(setup, mode=mode), steps, title=mode.value if setup.individual else "")
            if setup.hardened:
                confirmed = replace(setup, confirm=True)
                more = tuple(step for step in numbers(confirmed) if step not in steps)
                yield Plan(confirmed, more, data=False, title="confirming messages")
                yield Plan(replace(setup, sign_messages=True), (), title="signed messages")


def run(plan: Plan, seed: int = 0, model: Script | None = None, bits: int = 4) -> Matrix:
    """Try everything that a plan says.

    `model` is the handshake that predictions are made from: that of the setup unless given. `seed` chooses
    the bits that are flipped, `bits` how many of each field.
    """
    script = model or plan.setup.script
    draw = random.Random(f"{plan.setup.method} {seed}")
    cells: list[Cell] = []
    controls: list[tuple[str, Case]] = []
    for number in plan.steps:
        trial = _HandshakeTrial(plan.setup, script, number)
        cells += trial.cells(draw, bits)
        controls.append((trial.title, trial.control()))
    if plan.data:
        for road in roads(plan.setup):
            data_trial = _DataTrial(plan.setup, road)
            cells += data_trial.cells(draw, bits)
            controls.append((road.title, data_trial.control()))
    return Matrix(plan.setup, tuple(cells), tuple(controls))


def verdict_of(error: HandshakeError | TamperError) -> Verdict:
    """An error of a machine in the words of a verdict."""
    party = error.party.partition(" ")[0]
    if isinstance(error, CheckFailed):
        return Verdict(party, str(error.check))
    if isinstance(error, LayerRefused):
        return Verdict(party, error.check.value)
    if isinstance(error, Unreadable):
        return Verdict(party, Misfit.FORM.value)
    if isinstance(error, Unexpected):
        return Verdict(party, Misfit.UNEXPECTED.value)
    return Verdict(party or "?", f"{type(error).__name__} {error}")


# The handshake ---------------------------------------------------------------------------------


class _HandshakeTrial:
    """One message of the handshake, again and again."""

    def __init__(self, setup: Setup, script: Script, number: int) -> None:
        self._setup = setup
        self._script = script
        self._number = number
        self._stage = stage(setup, number)
        self.title = f"step {number} {type(self._stage.original).__name__}"

    def cells(self, draw: random.Random, bits: int) -> Iterator[Cell]:
        for path in [each.path for each in fields_of(self._stage.original)]:
            for alteration in Alteration:
                # Each stage has keys of its own, so that values are made for the one at hand.
                seed = draw.random()
                count = len(self._variants(path, alteration, seed, bits)[1])
                cases = [self._case(path, alteration, seed, bits, index) for index in range(count)]
                if not path and alteration is Alteration.REPLAY:
                    cases.append(self._again())
                if not path and alteration is Alteration.REMOVE:
                    cases = [self._removed()]
                yield Cell(self.title, ".".join(path) or MESSAGE_ROW, alteration, tuple(cases))

    def _variants(
        self, path: Path, alteration: Alteration, seed: float, bits: int
    ) -> tuple[Field, tuple[bytes, ...]]:
        place = self._stage
        each = next(found for found in fields_of(place.original) if found.path == path)
        there = {change: raw_of(message, path) for change, message in place.elsewhere.items()}
        elsewhere, before = there[Change.FOREIGN], there[Change.OTHER]
        return each, variants(each, alteration, elsewhere, before, random.Random(seed), bits)

    def _case(self, path: Path, alteration: Alteration, seed: float, bits: int, index: int) -> Case:
        place = self._stage
        each, made = self._variants(path, alteration, seed, bits)
        # A value may by chance be what stands there already; then the one before it is tried again.
        raw = made[min(index, len(made) - 1)]
        data = with_raw(place.original, path, raw)
        predicted = self._predicted(place, each.fits(raw, alteration), data)
        return Case(predicted, self._deliver(data))

    def _predicted(self, place: Stage, fits: bool | None, data: bytes) -> Verdict:
        tampered = _readable(fits, data, type(place.original))
        if not isinstance(tampered, Message):
            return Verdict(place.judge.value, tampered)
        changed = changes(place.original, tampered, place.elsewhere, self._setup.window, place.company.now)
        prediction = predict(self._script, self._number, changed)
        why = "" if prediction.refused else why_taken(self._script, self._number, changed)
        return _verdict(prediction, why)

    def _deliver(self, data: bytes) -> Verdict:
        place = self._stage
        error = place.session.deliver(data)
        if error is not None:
            return verdict_of(error)
        # Somebody has taken it, so that the next change needs a stage where nothing has happened.
        self._stage = stage(self._setup, self._number)
        error = place.session.go_on()
        return verdict_of(error) if error is not None else Verdict(effect=_split(place.session.split))

    def _again(self) -> Case:
        """The message itself, a second time, to the one who has taken it."""
        place, number = self._stage, self._number
        self._stage = stage(self._setup, number)
        session, bears, data = place.session, terms_of(type(place.original)), place.original.encode()
        error = session.deliver(data) or session.again(number, data)
        if error is None and not bears and session.arriving is not None:
            # It bears nothing, so it is taken; what is too much is its receiver's second answer.
            answer = session.arriving
            data = answer.message.encode()
            error = session.deliver(data) or session.again(answer.number, data)
        prediction = predict_again(self._script, number)
        why = "" if prediction.refused else "nobody looks whether it came before"
        return Case(_verdict(prediction, why), Verdict() if error is None else verdict_of(error))

    def _removed(self) -> Case:
        """The message never comes: nobody goes on, and who has keys are those who had them before."""
        place = stage(self._setup, self._number, alone=True)
        predicted = _unfinished(keys_without(self._script, self._number))
        return Case(
            Verdict(effect=predicted, why="nothing arrives; who waits gives up after its time limit"),
            Verdict(effect=_unfinished(place.session.held)),
        )

    def control(self) -> Case:
        error = self._stage.session.go_on()
        seen = verdict_of(error) if error is not None else Verdict(effect=_split(self._stage.session.split))
        return Case(Verdict(), seen)


def _verdict(prediction: Prediction, why: str) -> Verdict:
    if prediction.party is None:
        return Verdict(effect=_split(prediction.split), why=why)
    check = prediction.check
    said = check.value if isinstance(check, Misfit) else str(check)
    return Verdict(prediction.party.value, said)


def _split(keys: Collection[KeyName]) -> str:
    return " and ".join(sorted(key.value for key in keys)) + " split" if keys else ""


def _unfinished(held: Collection[tuple[Role, KeyName]]) -> str:
    """Who has which key of a handshake that does not end."""
    names = ", ".join(sorted(f"{key.value} at {role.value}" for role, key in held))
    return f"unfinished: {names}" if names else "unfinished: no key anywhere"


def _readable(fits: bool | None, data: bytes, kind: type[M]) -> M | str:
    """The message that `data` is by the format, or the error that is predicted where it is none."""
    if fits is False:
        return Misfit.FORM.value
    try:
        return decode(data, kind)
    except MalformedPacketError as error:
        return Misfit.FORM.value if fits is None else f"nothing: the format has it, the decoder says: {error}"


# Data messages ---------------------------------------------------------------------------------


class _DataTrial:
    """One layer of a data message on one road, again and again."""

    def __init__(self, setup: Setup, road: Road) -> None:
        self._setup = setup
        self._road = road

    def cells(self, draw: random.Random, bits: int) -> Iterator[Cell]:
        road = self._road
        for each in fields_of(road.original):
            there, before = (raw_of(layer, each.path) for layer in (road.elsewhere, road.before))
            for alteration in Alteration:
                made = variants(each, alteration, there, before, draw, bits)
                cases = [self._case(each, alteration, raw) for raw in made]
                if not each.path and alteration is Alteration.REPLAY:
                    cases.append(self._again())
                if not each.path and alteration is Alteration.REMOVE:
                    cases = [self._removed()]
                yield Cell(road.title, ".".join(each.path) or MESSAGE_ROW, alteration, tuple(cases))
        for alteration in Alteration if road.topics else ():
            topics = other_topics(road, alteration, draw, bits)
            yield Cell(road.title, TOPIC_ROW, alteration, tuple(map(self._moved, topics)))

    def _case(self, each: Field, alteration: Alteration, raw: bytes) -> Case:
        road = self._road
        data = with_raw(road.original, each.path, raw)
        tampered = _readable(each.fits(raw, alteration), data, Layer)
        if isinstance(tampered, Layer):
            predicted = self._predicted(each, tampered)
        else:
            predicted = Verdict(road.first_judge.value, tampered)
        return Case(predicted, _arrives(road, road.topic, data))

    def _predicted(self, each: Field, tampered: Layer) -> Verdict:
        road = self._road
        if tampered == road.before:
            return self._repeated()
        check = predict_layer(
            self._setup, road.cell, road.original, tampered, True, road.held, False, (road.before,)
        )
        if check is None:
            return Verdict(why=why_layer_taken(self._setup, frozenset(each.path)))
        # Where no layer is for the broker, it looks whether it is one, and for whose subscribers.
        routed = (tampered.layer, tampered.publisher) == (road.original.layer, road.original.publisher)
        return Verdict((road.judge if routed else road.first_judge).value, check.value)

    def _repeated(self) -> Verdict:
        """A layer that came before is whole: only its number tells."""
        road, layer = self._road, self._road.before
        check = predict_layer(self._setup, road.cell, layer, layer, True, road.held, replay=True)
        if check is None:
            return Verdict(why=why_layer_taken(self._setup, frozenset({"again"})))
        return Verdict(road.judge.value, check.value)

    def _again(self) -> Case:
        road = anew(self._setup, self._road)
        data = road.original.encode()
        road.take(road.topic, data)
        return Case(self._repeated(), _arrives(road, road.topic, data))

    def _removed(self) -> Case:
        road = anew(self._setup, self._road)
        why = why_layer_taken(self._setup, frozenset())
        return Case(Verdict(why=why), _arrives(road, road.topic, road.after.encode()))

    def _moved(self, topic: str) -> Case:
        road, setup = self._road, self._setup
        seen = _arrives(road, topic, road.original.encode())
        if road.judge is Role.B:
            check = predict_layer(
                setup, road.cell, road.original, road.original, False, road.held, replay=False
            )
            if check is not None:
                return Case(Verdict(Role.B.value, check.value), seen)
        if road.first_judge is Role.B and topic not in road.topics:
            # The broker has nobody who receives that topic of this publisher.
            return Case(Verdict(Role.B.value, LayerCheck.KEY.value), seen)
        check = predict_topic(setup, road.topic, topic)
        assert check is not None, "another topic has other keys"
        return Case(Verdict(Role.S.value, check.value), seen)

    def control(self) -> Case:
        return Case(Verdict(), _arrives(self._road, self._road.topic, self._road.original.encode()))


def _arrives(road: Road, topic: str, data: bytes) -> Verdict:
    try:
        message = road.take(topic, data)
    except LayerRefused as error:
        return verdict_of(error)
    return Verdict(effect="" if message in MESSAGES else "the content is another")
