"""Keys do not show: not in any repr, format, pickle, exception, traceback with variables, or log."""

from __future__ import annotations

import base64
import copy
import json
import logging
import os
import pickle
import pprint
import traceback
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from mqttsec.crypto import (
    CURVES,
    SIGNATURES,
    SUITES,
    CertificateAuthority,
    Epoch,
    Group,
    Key,
    Keyring,
    Operations,
    Profile,
    Purpose,
    SealKey,
    Suite,
    pair_keys,
    same_secret,
)
from mqttsec.errors import ConfigurationError, MqttsecError

EVERY = pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)


def spellings(secret: bytes) -> list[str]:
    """How bytes may come to stand in a text. A part is as bad as the whole: the first 8 bytes will do."""
    part = secret[:8]
    return [
        part.hex(),
        part.hex().upper(),
        part.hex(" "),
        repr(part)[2:-1],
        str(list(part))[1:-1],
        base64.b64encode(secret).decode()[:10],
        str(int.from_bytes(secret, "big")),
    ]


def assert_hidden(text: str, *secrets: bytes) -> None:
    for secret in secrets:
        assert not any(spelling in text for spelling in spellings(secret)), text


def shown(value: Any) -> str:
    """All the usual ways to look at an object."""
    return "\n".join((repr(value), str(value), f"{value}", pprint.pformat(value)))


def test_the_search_finds_what_it_searches() -> None:
    secret = os.urandom(16)
    for text in (
        repr(secret),
        secret.hex(),
        str(list(secret)),
        str(bytearray(secret)),
        json.dumps(list(secret)),
    ):
        with pytest.raises(AssertionError):
            assert_hidden(text, secret)


def scalar(private: Any) -> bytes:
    """The secret bytes of a private key object of `cryptography`."""
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return private.private_numbers().private_value.to_bytes(32, "big")
    raw: bytes = private.private_bytes_raw()
    return raw


@EVERY
@pytest.mark.parametrize("profile", Profile)
def test_nothing_that_holds_a_key_shows_it(suite: Suite, profile: Profile) -> None:
    shared = Key("K_PB", Purpose.SHARED_SECRET, os.urandom(32))
    pair = pair_keys(profile, suite, shared, "K_PB", ("P", "B"))
    group = Group.new(profile, suite, "GK_P", "P").joined("B")
    (wrapped,) = group.wrap("B", pair.forth)
    ring = Keyring(group.scheme, "B").unwrapped(wrapped, pair.forth)
    secrets = [
        key.reveal()
        for key in (
            shared,
            *(
                each
                for way in (pair.forth, pair.back, group.current.keys)
                for each in (way.encryption, way.mac)
            ),
            group.current.secret,
        )
    ]
    boxes = [suite.box(pair.forth), suite.box(pair.forth, Operations("P"))]
    for value in (shared, pair, group, wrapped, ring, group.current, suite, *boxes):
        assert_hidden(shown(value) + shown([value]) + shown({"key": value}), *secrets)
        assert_hidden(shown(getattr(value, "__dict__", {})), *secrets)
    assert_hidden(shown(asdict(pair)) + shown(asdict(group)), *secrets)
    assert repr(shared) == "<key K_PB: shared secret, 32 bytes>"


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
@pytest.mark.parametrize("signing", SIGNATURES.values(), ids=SIGNATURES)
def test_no_private_key_shows(curve: Any, signing: Any) -> None:
    ca = CertificateAuthority(signing=signing)
    p, ephemeral = ca.issue("P"), curve.generate()
    for value, private in ((p, p.private_key), (ca, ca.private_key), (ephemeral, ephemeral._private)):
        assert_hidden(shown(value) + shown([value]), scalar(private))
    assert repr(ephemeral) == f"<ephemeral key pair, {curve.name}, R = {ephemeral.public.hex()}>"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_no_key_leaves_by_pickle(protocol: int) -> None:
    key = Key("K_PB", Purpose.MAC, os.urandom(16))
    group = Group.new(Profile.HARDENED, SUITES["paper"], "GK_P", "P")
    ca = CertificateAuthority()
    for value in (key, SealKey.single(key), group, CURVES["P-256"].generate(), ca, ca.issue("P")):
        with pytest.raises(ConfigurationError) as caught:
            pickle.dumps(value, protocol)
        assert_hidden(str(caught.value), key.reveal(), group.current.secret.reveal())
    with pytest.raises(ConfigurationError, match="K_PB does not leave this process"):
        pickle.dumps(key, protocol)
    with pytest.raises(TypeError):
        json.dumps(key)


def test_a_copy_of_a_key_is_the_key() -> None:
    """Immutable things need no second set of bytes in memory."""
    key, ephemeral = Key("K", Purpose.MAC, os.urandom(16)), CURVES["P-256"].generate()
    assert copy.copy(key) is key and copy.deepcopy([key])[0] is key
    assert copy.copy(ephemeral) is ephemeral and copy.deepcopy([ephemeral])[0] is ephemeral


def failures(suite: Suite, secret: Key, pair: SealKey) -> list[Callable[[], object]]:
    """Calls that fail in every way there is, each with keys in its hands."""
    group = Group.new(Profile.HARDENED, suite, "GK_P", "P").joined("S")
    ring = Keyring(group.scheme, "S")
    sealed = suite.seal(pair, b"21.4")
    (wrapped,) = group.wrap("S", pair)
    short = SealKey(pair.name, Key(pair.name, Purpose.ENCRYPTION, pair.encryption.reveal()[:8]), pair.mac)
    wrong = SealKey(pair.name, pair.encryption, Key(pair.name, Purpose.MAC, pair.mac.reveal()[:8]))
    return [
        lambda: suite.open(pair, sealed[:-1]),
        lambda: suite.open(pair, sealed[:-1] + bytes((sealed[-1] ^ 1,)), b"bound"),
        lambda: suite.check(pair, b"21.4", b"no tag"),
        lambda: suite.box(short),
        lambda: suite.box(wrong),
        lambda: pair_keys(Profile.HARDENED, suite, secret, "K", ("P", "P")),
        lambda: pair_keys(Profile.HARDENED, suite, secret, "x" * 70_000, ("P", "B")),
        lambda: CURVES["P-256"].generate().agree(b"\4" + bytes(64), "K"),
        lambda: group.wrap("T", pair),
        lambda: ring.unwrapped(replace(wrapped, sealed=sealed), pair),
        lambda: ring.unwrapped(wrapped, pair).key(Epoch(7)),
    ]


@EVERY
def test_no_failure_shows_a_key_even_with_all_variables(
    suite: Suite, caplog: pytest.LogCaptureFixture
) -> None:
    """A notebook may show tracebacks with the variables of every frame (IPython's `%xmode Verbose`)."""
    secret = Key("K_PB", Purpose.SHARED_SECRET, os.urandom(32))
    pair = pair_keys(Profile.HARDENED, suite, secret, "K_PB", ("P", "B")).forth
    secrets = [secret.reveal(), pair.encryption.reveal(), pair.mac.reveal()]
    caplog.set_level(logging.DEBUG)
    for fail in failures(suite, secret, pair):
        try:
            fail()
        except MqttsecError as error:
            frames = traceback.TracebackException.from_exception(error, capture_locals=True)
            # This test's own frame knows the secrets, and is not what is tested.
            del frames.stack[0]
            text = "".join(frames.format()) + repr(error) + str(error.__dict__)
            logging.getLogger("mqttsec").exception("it failed", exc_info=error)
        else:
            pytest.fail("it should have failed")
        assert_hidden(text, *secrets)
    assert_hidden(caplog.text, *secrets)
    assert "it failed" in caplog.text


def test_keys_are_compared_by_all_they_are_and_secrets_by_their_bytes() -> None:
    secret = os.urandom(16)
    key = Key("K_PB", Purpose.MAC, secret)
    assert key == Key("K_PB", Purpose.MAC, bytes(secret)) and hash(key) == hash(
        Key("K_PB", Purpose.MAC, secret)
    )
    others = [
        Key("K_BSi", Purpose.MAC, secret),
        Key("K_PB", Purpose.ENCRYPTION, secret),
        Key("K_PB", Purpose.MAC, os.urandom(16)),
        Key("K_PB", Purpose.MAC, secret[:-1]),
    ]
    assert all(key != other for other in others)
    assert [same_secret(key, other) for other in others] == [True, True, False, False]
    assert key != secret
    with pytest.raises(AttributeError):
        key.name = "K_X"  # type: ignore[misc]
