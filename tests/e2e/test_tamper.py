"""Messages of the handshake tampered with byte by byte, late, and under mutated steps.

The matrix of fields and changes is in `test_tamper_matrix`.
"""

from __future__ import annotations

import dataclasses
import random

import pytest

from mqttsec.crypto import Profile
from mqttsec.e2e import CheckFailed, CheckKind, Message, Setup, decode
from mqttsec.e2e import terms as t
from mqttsec.e2e.handshake import Unreadable
from mqttsec.e2e.messages import SubscriberRequest, WrappedKey
from mqttsec.e2e.predictions import Misfit, Prediction, changes, predict
from mqttsec.e2e.stages import Stage, numbers, stage
from mqttsec.errors import MalformedPacketError

# A flipped bit makes a serial number negative, on which `cryptography` has a word to say.
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")

SETUPS = {
    "published-3": Setup(3, Profile.PUBLISHED, "aes-gcm", "X25519"),
    "hardened-2": Setup(2, Profile.HARDENED, "chacha20", "X25519"),
    "confirmed-4": Setup(4, Profile.HARDENED, confirm=True),
}
LEGS = [
    pytest.param(setup, number, id=f"{name}-step-{number}")
    for name, setup in SETUPS.items()
    for number in numbers(setup)
]


def predicted(place: Stage, tampered: Message) -> Prediction:
    setup, now = place.company.setup, place.company.now
    changed = changes(place.original, tampered, place.elsewhere, setup.window, now)
    return predict(setup.script, place.number, changed)


def happens(place: Stage, data: bytes) -> Prediction:
    """What the machines do, in the words of a prediction."""
    error = place.session.deliver(data) or place.session.go_on()
    if error is None:
        return Prediction(split=place.session.split)
    role = next(role for role in t.Role if error.party.startswith(f"{role.value} "))
    if isinstance(error, Unreadable):
        return Prediction(role, Misfit.FORM)
    assert isinstance(error, CheckFailed)
    return Prediction(role, error.check)


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
            expected = predicted(place, decode(changed, type(place.original)))
        except MalformedPacketError:
            expected = Prediction(place.judge, Misfit.FORM)
        if not (expected.refused and expected.party is place.judge):
            # What is meant for S passes B; the matrix follows it all the way.
            assert expected.refused or setup.profile is Profile.PUBLISHED
            continue
        assert happens(place, changed) == expected, (at, str(expected))
        outcomes.add(str(expected))
    assert happens(place, data) == Prediction()
    # Steps 9 and 10 bear nothing but their header.
    assert len(outcomes) >= (1 if number in (9, 10) else 2)


@pytest.mark.parametrize("setup, number", LEGS)
def test_every_truncation_is_malformed(setup: Setup, number: int) -> None:
    place = stage(setup, number)
    data = place.original.encode()
    for end in range(len(data)):
        with pytest.raises(MalformedPacketError):
            decode(data[:end], type(place.original))
    with pytest.raises(MalformedPacketError):
        decode(data + b"\0", type(place.original))


@pytest.mark.parametrize("late, refused", ((59.0, False), (61.0, True), (-59.0, False), (-61.0, True)))
@pytest.mark.parametrize("profile", Profile)
def test_a_message_that_comes_late(profile: Profile, late: float, refused: bool) -> None:
    """The window is 60 s, on both sides."""
    for number in (1, 3, 5, 7, 13, 14):
        place = stage(Setup(3, profile), number)
        place.company.now += late
        outcome = happens(place, place.original.encode())
        assert outcome.refused is refused, number
        if refused:
            assert not isinstance(outcome.check, Misfit) and outcome.check is not None
            assert outcome.check.kind is CheckKind.FRESH


def test_a_replayed_connect_is_refused_with_its_reason_code() -> None:
    for number in (1, 5):
        place = stage(Setup(3), number)
        data = place.original.encode()
        assert place.session.deliver(data) is None
        error = place.session.again(number, data)
        assert isinstance(error, CheckFailed) and error.check.kind is CheckKind.UNSEEN
        assert error.reason_code == 0x87


def test_a_change_of_one_signed_field_changes_the_prediction_and_the_run() -> None:
    """The machines run from the step data: what is not signed there is not noticed here."""
    script = Setup(2).script.signing(t.SIG_S1, t.ID_S, t.ID_P, t.R_SB, t.T_S)
    script = script.signing(t.SIG_P2, t.R_PS, t.T_P2)
    for setup, refused in ((Setup(2), True), (Setup(2, altered=script), False)):
        place = stage(setup, 5)
        assert isinstance(place.original, SubscriberRequest)
        fresh = setup.group.generate().public
        message = dataclasses.replace(place.original, ephemeral_publisher=fresh)
        expected = predicted(place, message)
        assert expected.refused is refused or expected.party is t.Role.S
        assert happens(place, message.encode()) == expected


def test_wraps_are_bound_to_their_epoch_under_hardened_only() -> None:
    for profile, refused in ((Profile.PUBLISHED, False), (Profile.HARDENED, True)):
        place = stage(Setup(3, profile), 14)
        wrapped = place.original.wrapped  # type: ignore[attr-defined]
        assert isinstance(wrapped, WrappedKey)
        moved = dataclasses.replace(wrapped, epoch=wrapped.epoch + 1)
        message = dataclasses.replace(place.original, wrapped=moved)  # type: ignore[type-var]
        assert predicted(place, message).refused is refused
        assert happens(place, message.encode()).refused is refused
