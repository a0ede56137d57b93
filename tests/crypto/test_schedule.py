"""The key schedules: RFC 5869's answers, one key under *published*, and no two alike under *hardened*."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mqttsec.crypto import (
    SUITES,
    Key,
    Profile,
    Purpose,
    Suite,
    fields,
    group_keys,
    label,
    pair_keys,
    same_secret,
)
from mqttsec.crypto.schedule import group_secret_size, hkdf
from mqttsec.errors import ConfigurationError, TamperError
from tests.crypto import known_answers
from tests.crypto.known_answers import Hkdf

EVERY = pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
PUBLISHED, HARDENED = Profile.PUBLISHED, Profile.HARDENED


def shared(secret: bytes | None = None) -> Key:
    return Key("K_PB", Purpose.SHARED_SECRET, os.urandom(32) if secret is None else secret)


@pytest.mark.parametrize("answer", known_answers.HKDF_SHA256, ids=lambda answer: answer.source)
def test_hkdf_gives_what_rfc_5869_gives(answer: Hkdf) -> None:
    assert hkdf(shared(answer.secret), len(answer.output), answer.info, answer.salt) == answer.output


@EVERY
def test_published_has_one_key_for_everything(suite: Suite) -> None:
    secret = shared()
    keys = pair_keys(PUBLISHED, suite, secret, "K_PB", ("P", "B"))
    assert keys.forth == keys.back
    assert keys.forth.encryption is keys.forth.mac
    assert keys.forth.encryption.purpose is Purpose.ENCRYPTION_AND_MAC
    # It is blind to names and context: what *hardened* binds, *published* does not.
    other = pair_keys(PUBLISHED, suite, secret, "K_PB", ("P", "Mallory"), [b"other"])
    assert same_secret(keys.forth.mac, other.forth.mac)


@EVERY
def test_hardened_has_a_key_for_each_purpose_and_direction(suite: Suite) -> None:
    keys = pair_keys(HARDENED, suite, shared(), "K_PB", ("P", "B"), [b"R_P", b"R_B"])
    four = [keys.forth.encryption, keys.forth.mac, keys.back.encryption, keys.back.mac]
    assert len({key.reveal() for key in four}) == 4
    assert len({key.reveal()[:16] for key in four}) == 4
    assert [key.purpose for key in four] == [Purpose.ENCRYPTION, Purpose.MAC] * 2
    assert (keys.forth.name, keys.back.name) == ("K_PB P>B", "K_PB B>P")
    assert keys.forth.mac.size == suite.mac_key_size


@EVERY
@pytest.mark.parametrize("profile", Profile)
def test_both_ends_derive_the_same_and_talk(suite: Suite, profile: Profile) -> None:
    secret = os.urandom(32)
    p, b = (pair_keys(profile, suite, shared(secret), "K_PB", ("P", "B"), [b"R"]) for _ in range(2))
    assert p == b
    assert suite.open(b.receiving("B"), suite.seal(p.sending("P"), b"up")) == b"up"
    assert suite.open(p.receiving("P"), suite.seal(b.sending("B"), b"down")) == b"down"


def test_a_message_sent_back_to_its_sender_opens_under_published_only() -> None:
    suite = SUITES["paper"]
    published, hardened = (pair_keys(profile, suite, shared(), "K_PB", ("P", "B")) for profile in Profile)
    own = suite.seal(published.sending("P"), b"up")
    assert suite.open(published.receiving("P"), own) == b"up"
    with pytest.raises(TamperError):
        suite.open(hardened.receiving("P"), suite.seal(hardened.sending("P"), b"up"))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "K_BSi"},
        {"ends": ("P", "S1")},
        {"ends": ("B", "P")},
        {"context": [b"R", b""]},
        {"context": []},
    ],
    ids=str,
)
def test_hardened_keys_depend_on_all_they_are_bound_to(change: dict[str, object]) -> None:
    secret, suite = shared(), SUITES["paper"]
    given: dict[str, object] = {"name": "K_PB", "ends": ("P", "B"), "context": [b"R"]}
    one = pair_keys(HARDENED, suite, secret, **given)  # type: ignore[arg-type]
    two = pair_keys(HARDENED, suite, secret, **{**given, **change})  # type: ignore[arg-type]
    for ours, theirs in ((one.forth.encryption, two.forth.encryption), (one.forth.mac, two.forth.mac)):
        assert not same_secret(ours, theirs)


@EVERY
def test_group_keys_of_every_epoch_group_and_owner_differ_under_hardened(suite: Suite) -> None:
    secret = Key("GK_P", Purpose.GROUP_SECRET, os.urandom(32))
    cases = itertools.product(("GK_P", "GK_B"), ("P1", "P2"), (0, 1, 1 << 16))
    keys = [group_keys(HARDENED, suite, secret, *case) for case in cases]
    assert len({key.encryption.reveal() for key in keys} | {key.mac.reveal() for key in keys}) == 24


@EVERY
def test_a_published_group_key_is_the_secret_itself(suite: Suite) -> None:
    size = group_secret_size(PUBLISHED, suite)
    secret = Key("GK_P", Purpose.GROUP_SECRET, os.urandom(size))
    key = group_keys(PUBLISHED, suite, secret, "GK_P", "P", 0)
    assert same_secret(key.encryption, secret)
    assert suite.open(key, suite.seal(key, b"21.4")) == b"21.4"
    assert group_secret_size(HARDENED, suite) == 32


def test_the_label_is_as_documented() -> None:
    assert label("K_PB", Purpose.MAC, ("P", "B"), [b"\x00\x01"]) == (
        b"\x00\x09mqttsec 1\x00\x04K_PB\x00\x03mac\x00\x01P\x00\x01B\x00\x02\x00\x01"
    )


@given(st.lists(st.binary(max_size=6), max_size=5), st.lists(st.binary(max_size=6), max_size=5))
def test_no_two_lists_of_fields_give_the_same_bytes(one: list[bytes], two: list[bytes]) -> None:
    assume(one != two)
    assert fields(*one) != fields(*two)


def test_a_field_too_long_is_refused() -> None:
    assert len(fields("x" * 0xFFFF)) == 0x10001
    with pytest.raises(ConfigurationError, match="65535"):
        fields("x" * 0x10000)


def test_a_pair_needs_two_names_and_has_no_third_party() -> None:
    with pytest.raises(ConfigurationError, match="two identities"):
        pair_keys(HARDENED, SUITES["paper"], shared(), "K_PB", ("P", "P"))
    keys = pair_keys(HARDENED, SUITES["paper"], shared(), "K_PB", ("P", "B"))
    for of in (keys.sending, keys.receiving):
        with pytest.raises(ConfigurationError, match="not to S1"):
            of("S1")
