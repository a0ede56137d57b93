"""The tamper matrix of the handshake: what happens is what the steps predict, for every change."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator

import pytest

from mqttsec.crypto import Profile
from mqttsec.e2e import CheckFailed, CheckKind, Message, Setup, decode
from mqttsec.e2e import terms as t
from mqttsec.e2e.messages import SubscriberRequest, WrappedKey
from mqttsec.e2e.predictions import Prediction, changes, predict
from mqttsec.errors import MalformedPacketError
from tests.e2e.stages import Stage, numbers, stage

# A flipped bit makes a serial number negative, on which `cryptography` has a word to say.
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")

SETUPS = {
    "published-1": Setup(1, Profile.PUBLISHED),
    "published-3": Setup(3, Profile.PUBLISHED, "aes-gcm", "X25519"),
    "hardened-2": Setup(2, Profile.HARDENED, "chacha20", "X25519"),
    "hardened-3": Setup(3, Profile.HARDENED),
    "confirmed-4": Setup(4, Profile.HARDENED, confirm=True),
}
LEGS = [
    pytest.param(setup, number, id=f"{name}-step-{number}")
    for name, setup in SETUPS.items()
    for number in numbers(setup)
]


def predicted(place: Stage, tampered: Message) -> Prediction:
    setup, now = place.world.setup, place.world.now
    changed = changes(place.original, tampered, place.other, setup.window, now)
    return predict(setup.script, place.number, changed)


def happens(place: Stage, tampered: Message) -> Prediction:
    """What the machines do, in the words of a prediction."""
    try:
        place.deliver(tampered)
    except CheckFailed as error:
        role = next(role for role in t.Role if error.party.startswith(f"{role.value} "))
        return Prediction(role, error.check)
    return Prediction(split=frozenset(place.split))


def altered(place: Stage, alter: str, draw: random.Random) -> Iterator[Message]:
    """`original` with one field changed, for each field."""
    for path, value, borrowed in fields_of(place.original, place.other):
        new: object
        if alter == "flip":
            new = flipped(value, draw)
        elif alter == "truncate":
            new = value[:-1] if isinstance(value, (str, bytes)) else value // 256  # type: ignore[operator]
            if path[-1] == "key_id":
                new = value[:-1] + bytes((value[-1] ^ 0xFF,))
        elif alter == "remove":
            new = value[:1] if isinstance(value, str) else type(value)()
            if path[-1] == "key_id":
                new = bytes(len(value))
        else:
            new = borrowed
        if new != value:
            yield with_field(place.original, path, new)
    if alter == "remove":
        for form in place.original.forms():
            if form.optional and getattr(place.original, form.name) is not None:
                yield dataclasses.replace(place.original, **{form.name: None})  # type: ignore[type-var]


def fields_of(message: Message, other: Message, path: tuple[str, ...] = ()) -> Iterator[tuple]:  # type: ignore[type-arg]
    for form in message.forms():
        value, borrowed = getattr(message, form.name), getattr(other, form.name)
        if isinstance(value, Message):
            yield from fields_of(value, borrowed, (*path, form.name))
        elif value is not None:
            yield (*path, form.name), value, borrowed


def with_field(message: Message, path: tuple[str, ...], value: object) -> Message:
    inner = value if len(path) == 1 else with_field(getattr(message, path[0]), path[1:], value)
    return dataclasses.replace(message, **{path[0]: inner})  # type: ignore[type-var, no-any-return]


def flipped(value: str | bytes | int, draw: random.Random) -> str | bytes | int:
    if isinstance(value, int):
        return value ^ 1 << draw.randrange(64 if value > 1 << 32 else 8)
    if isinstance(value, str):
        return ("b" if value[0] == "a" else "a") + value[1:]
    at = draw.randrange(8 * len(value))
    whole = int.from_bytes(value, "big") ^ 1 << at
    return whole.to_bytes(len(value), "big")


@pytest.mark.parametrize("alter", ("flip", "truncate", "remove", "swap"))
@pytest.mark.parametrize("setup, number", LEGS)
def test_every_field_changed(setup: Setup, number: int, alter: str) -> None:
    draw = random.Random(f"{setup.method} {number} {alter}")
    # Which fields there are is asked of the place itself, so each message is made for the place at hand.
    place = stage(setup, number)
    count = sum(1 for _ in altered(place, alter, draw))
    assert count or number in (16, 18, 19) or alter == "swap"
    for index in range(count):
        message = list(altered(place, alter, draw))[index]
        expected = predicted(place, message)
        assert happens(place, message) == expected, (message, str(expected))
        if not (expected.refused and expected.party is place.first_judge):
            place = stage(setup, number)
    # Whatever was refused has left everything as it was.
    assert happens(place, place.original) == Prediction()


@pytest.mark.parametrize("setup, number", LEGS)
def test_a_bit_of_every_byte_flipped(setup: Setup, number: int) -> None:
    """No byte of a message is without meaning: a flipped bit is malformed, or refused as predicted."""
    draw = random.Random(number)
    place = stage(setup, number)
    data = place.original.encode()
    outcomes = set()
    for at in range(len(data)):
        changed = data[:at] + bytes((data[at] ^ 1 << draw.randrange(8),)) + data[at + 1 :]
        try:
            message = decode(changed, type(place.original))
        except MalformedPacketError:
            outcomes.add("malformed")
            continue
        expected = predicted(place, message)
        if not (expected.refused and expected.party is place.first_judge):
            # What is meant for S passes B; `test_every_field_changed` follows it all the way.
            assert expected.refused or setup.profile is Profile.PUBLISHED
            continue
        assert happens(place, message) == expected, (at, message, str(expected))
        outcomes.add(str(expected))
    assert happens(place, place.original) == Prediction()
    assert "malformed" in outcomes and len(outcomes) >= 2


@pytest.mark.parametrize("setup, number", LEGS)
def test_every_truncation_is_malformed(setup: Setup, number: int) -> None:
    place = stage(setup, number)
    data = place.original.encode()
    for end in range(len(data)):
        with pytest.raises(MalformedPacketError):
            decode(data[:end], type(place.original))
    with pytest.raises(MalformedPacketError):
        decode(data + b"\0", type(place.original))


@pytest.mark.parametrize("setup, number", LEGS)
def test_a_message_of_another_session(setup: Setup, number: int) -> None:
    place = stage(setup, number)
    expected = predicted(place, place.other)
    assert happens(place, place.other) == expected
    # *hardened* refuses every replay; *published* takes what is fresh, and the keys then differ.
    assert expected.refused == (setup.profile is Profile.HARDENED or unwraps(setup, number))


def unwraps(setup: Setup, number: int) -> bool:
    return setup.scheme >= 3 and number in (5, 7, 13, 14)


@pytest.mark.parametrize("setup, number", LEGS)
def test_a_replay_in_its_own_session(setup: Setup, number: int) -> None:
    """The same message once more, after it was taken."""
    place = stage(setup, number)
    place.deliver(place.original)
    if setup.profile is Profile.HARDENED and number in (1, 5):
        with pytest.raises(CheckFailed) as refusal:
            place.deliver(place.original)
        assert refusal.value.check.kind is CheckKind.UNSEEN
        assert refusal.value.reason_code == 0x87


@pytest.mark.parametrize("late, refused", ((59.0, False), (61.0, True), (-59.0, False), (-61.0, True)))
@pytest.mark.parametrize("profile", Profile)
def test_a_message_that_comes_late(profile: Profile, late: float, refused: bool) -> None:
    """The window is 60 s, on both sides."""
    for number in (1, 3, 5, 7, 13, 14):
        place = stage(Setup(3, profile), number)
        place.world.now += late
        outcome = happens(place, place.original)
        assert outcome.refused is refused, number
        if refused:
            assert outcome.check is not None and outcome.check.kind is CheckKind.FRESH


def test_a_change_of_one_signed_field_changes_the_prediction_and_the_run() -> None:
    """The machines run from the step data: what is not signed there is not noticed here."""
    script = Setup(2).script.signing(t.SIG_S1, t.ID_S, t.ID_P, t.R_SB, t.T_S)
    script = script.signing(t.SIG_P2, t.R_PS, t.T_P2)
    for setup, refused in ((Setup(2), True), (Setup(2, altered=script), False)):
        place = stage(setup, 5)
        assert isinstance(place.original, SubscriberRequest) and isinstance(place.other, SubscriberRequest)
        fresh = setup.group.generate().public
        message = dataclasses.replace(place.original, ephemeral_publisher=fresh)
        expected = predicted(place, message)
        assert expected.refused is refused or expected.party is t.Role.S
        assert happens(place, message) == expected


def test_wraps_are_bound_to_their_epoch_under_hardened_only() -> None:
    for profile, refused in ((Profile.PUBLISHED, False), (Profile.HARDENED, True)):
        place = stage(Setup(3, profile), 14)
        wrapped = place.original.wrapped  # type: ignore[attr-defined]
        assert isinstance(wrapped, WrappedKey)
        moved = dataclasses.replace(wrapped, epoch=wrapped.epoch + 1)
        message = dataclasses.replace(place.original, wrapped=moved)  # type: ignore[type-var]
        assert predicted(place, message).refused is refused
        assert happens(place, message).refused is refused
