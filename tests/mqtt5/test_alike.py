"""Channels that are alike: one of them does it for all, and nobody gets what is another's."""

from __future__ import annotations

from collections.abc import Hashable

import pytest

from mqttsec.errors import MqttsecError
from mqttsec.mqtt5 import AuthConversation, AuthSuccess
from tests.mqtt5.house import House, in_house
from tests.mqtt5.test_channel import Letters, sealed


class Family(Letters):
    """Letters that says which family it belongs to."""

    family: Hashable | None = None

    def alike(self, topic: str) -> Hashable | None:
        return self.family


class Families:
    """Gives each client a channel of its own: the letter, and after it the family, if any."""

    method = "sealed"

    def __init__(self) -> None:
        self.channels: dict[str, Family] = {}

    async def authenticate(self, conversation: AuthConversation) -> AuthSuccess:
        letter, _, family = (conversation.data or b"").decode().partition("/")
        channel = Family(letter)
        channel.family = family or None
        self.channels[conversation.session.client_id] = conversation.session.channel = channel
        return AuthSuccess()


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_one_channel_seals_for_its_family(qos: int) -> None:
    families = Families()

    async def play(house: House) -> None:
        clients = {
            name: await sealed(house, name, letter)
            for name, letter in {"a1": "A/a", "b1": "B/b", "a2": "A/a", "own": "O", "a3": "A/a"}.items()
        }
        for client in clients.values():
            await client.subscribe("t", qos=qos)
        plain = await house.client("plain")
        await plain.subscribe("t", qos=qos)
        sender = await house.client("sender")
        for word in (b"one", b"two"):
            await sender.publish("t", word, qos)
            for name, client in clients.items():
                await client.message(name[0].upper().encode() + b"|" + word, qos=qos)
            await plain.message(word, qos=qos)
        computed = {name: channel.computed for name, channel in families.channels.items()}
        assert computed == {"a1": 2, "b1": 2, "a2": 0, "own": 2, "a3": 0}

    in_house(play, methods=(families,))


@pytest.mark.parametrize("qos", [0, 1])
def test_where_the_first_of_a_family_fails_the_others_speak_for_themselves(qos: int) -> None:
    families = Families()

    async def play(house: House) -> None:
        clients = [await sealed(house, f"a{number}", "A/a") for number in range(3)]
        for client in clients:
            await client.subscribe("t", qos=qos)
        families.channels["a0"].fails = MqttsecError("not for me")
        sender = await house.client("sender")
        await sender.publish("t", b"word", qos)
        await clients[0].silent()
        for client in clients[1:]:
            await client.message(b"A|word", qos=qos)

    in_house(play, methods=(families,))


def test_the_router_asks_again_when_it_is_told_that_something_changed() -> None:
    families = Families()

    async def play(house: House) -> None:
        one, two = await sealed(house, "one", "A/a"), await sealed(house, "two", "A/a")
        for client in (one, two):
            await client.subscribe("t")
        sender = await house.client("sender")
        await sender.publish("t", b"word")
        families.channels["two"].family = None
        families.channels["two"].mark = b"B|"
        house.broker.router.forget()
        await sender.publish("t", b"word")
        for client, marks in ((one, b"AA"), (two, b"AB")):
            for mark in marks:
                await client.message(bytes((mark,)) + b"|word")

    in_house(play, methods=(families,))


def test_who_was_away_gets_it_through_its_own_channel() -> None:
    families = Families()

    async def play(house: House) -> None:
        stays = await sealed(house, "stays", "A/a")
        away = await sealed(house, "away", "A/a", expiry=60)
        for client in (stays, away):
            await client.subscribe("t", qos=1)
        await away.drop()
        sender = await house.client("sender")
        await sender.publish("t", b"word", 1)
        await stays.message(b"A|word")
        back = await sealed(house, "away", "N/a", clean=False, expiry=60)
        await back.message(b"N|word")

    in_house(play, methods=(families,))
