"""The search for keys finds what is there, wherever it hides, and nothing of anybody else's."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from mqttsec.crypto import Key, Purpose, SealKey
from mqttsec.e2e import SCHEMES, Setup
from mqttsec.e2e.channel import Place
from mqttsec.labs.key_search import NO_KEYS, keys_in_memory, try_open
from mqttsec.labs.station import TOPIC, company_of, receivers


def a_key(name: str) -> SealKey:
    return SealKey.single(Key(name, Purpose.ENCRYPTION_AND_MAC, os.urandom(16)))


class Holder:
    """A machine of this test; its module must count as one of ours."""

    __module__ = "mqttsec.pretended"

    def __init__(self, held: object) -> None:
        self._held = held

    def method(self) -> None:
        """Bound to the key's holder."""


def test_keys_hide_in_containers_closures_and_methods() -> None:
    key = a_key("GK_P x>y")
    for hidden in (
        key, [key], {"at": (key,)}, lambda: key, Holder(key).method, Holder([{"deep": Holder(key)}])
    ):  # fmt: skip
        assert keys_in_memory(Holder(hidden)).sealing == (key,)
        assert keys_in_memory(Holder(hidden)).names() == ("GK_P",)
    assert keys_in_memory(Holder(SimpleNamespace(key=key))) == NO_KEYS, "a stranger's object is not ours"


_ELSEWHERE = a_key("K_PB")


def test_the_search_does_not_leave_through_a_functions_module() -> None:
    assert keys_in_memory(Holder(lambda: _ELSEWHERE)) == NO_KEYS


@pytest.mark.parametrize("number", SCHEMES)
def test_a_key_that_is_planted_in_the_broker_is_found_and_opens(number: int) -> None:
    """So that "the broker has no end-to-end key" is no accident of the search."""
    company = company_of(Setup(number), receivers(2))
    broker, publisher = company.broker, keys_in_memory(company.publisher)
    sent = company.publisher.protect(TOPIC, b"12.8 degC")[0]
    assert try_open(company.setup, keys_in_memory(broker), *sent).message is None
    broker.planted = [key for key in publisher.sealing if key.name[:4] in ("GK_P", "K_PS")]  # type: ignore[attr-defined]
    opening = try_open(company.setup, keys_in_memory(broker), *sent)
    assert opening.message == b"12.8 degC" and opening.removed[-1] is Place.END_TO_END
    assert try_open(company.setup, NO_KEYS, "elsewhere", b"no layer").removed == ()
