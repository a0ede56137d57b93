"""Re-authentication (4.12.1): messages flow on, success is AUTH 0x00, failure is the end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mqttsec.errors import AuthenticationError
from mqttsec.mqtt5 import AuthConversation, AuthSuccess
from mqttsec.packets import (
    Auth,
    Disconnect,
    Publish,
    Will,
)
from tests.mqtt5.house import House, in_house
from tests.mqtt5.methods import Rounds, admitted, auth, hello


@pytest.mark.parametrize("rounds", [0, 1, 5])
def test_reauthentication_while_messages_flow(rounds: int) -> None:
    method = Rounds(rounds)

    async def play(house: House) -> None:
        client = await admitted(house, rounds)
        await client.subscribe("t")
        for _ in range(2):
            client.send(auth(b"again", 0x19))
            for number in range(1, rounds + 1):
                await client.expect(Auth, reason_code=0x18)
                # Packets go on being handled in the middle of the exchange.
                client.send(Publish("t", b"meanwhile"))
                await client.message(b"meanwhile")
                client.send(auth(str(2 * number).encode()))
            done = await client.expect(Auth, reason_code=0)
            assert done.properties.authentication_method == "rounds"
            assert done.properties.authentication_data == b"welcome"
        assert method.begun[1:] == [(b"again", True)] * 2
        await client.sync()

    in_house(play, methods=(method,))


def test_a_reauthentication_that_fails_ends_the_connection_but_not_the_session() -> None:
    # [MQTT-4.12.1-2]
    async def play(house: House) -> None:
        watcher = await admitted(house, 1, "watcher")
        await watcher.subscribe("gone")
        client = await admitted(house, 1, will=Will("gone", b"a"), extra={"session_expiry_interval": 60})
        client.send(auth(b"again", 0x19))
        await client.expect(Auth)
        client.send(auth(b"wrong"))
        await client.ended_with(Disconnect, 0x87)
        await watcher.message(b"a")
        session = house.broker.session("a")
        assert session is not None and session.connection is None

    in_house(play, methods=(Rounds(1),))


@pytest.mark.parametrize(("said", "heard"), [(0x86, 0x87), (0x8C, 0x8C), (0x00, 0x87)])
def test_a_refused_reauthentication_says_what_disconnect_can_say(said: int, heard: int) -> None:
    class Fickle:
        method = "rounds"

        async def authenticate(self, conversation: AuthConversation) -> AuthSuccess:
            if conversation.again:
                raise AuthenticationError("not any more", said)
            return AuthSuccess()

    async def play(house: House) -> None:
        client = await admitted(house, 0)
        client.send(auth(b"again", 0x19))
        await client.ended_with(Disconnect, heard)

    in_house(play, methods=(Fickle(),))


def test_a_method_that_crashes_while_reauthenticating_ends_the_connection() -> None:
    class Brittle:
        method = "rounds"

        async def authenticate(self, conversation: AuthConversation) -> AuthSuccess:
            if conversation.again:
                raise ZeroDivisionError
            return AuthSuccess()

    async def play(house: House) -> None:
        client = await admitted(house, 0)
        client.send(auth(b"again", 0x19))
        await client.ended_with(Disconnect, 0x80)
        house.logged("ZeroDivisionError")

    in_house(play, methods=(Brittle(),))


@pytest.mark.parametrize(
    "wrong",
    [
        [auth(b"2")],  # an answer to nothing
        [auth(b"again", 0x19, method="other")],  # [MQTT-4.12.1-1]
        [auth(b"again", 0x19), auth(b"again", 0x19)],  # two at a time, in one write
        [b"\xf0\x00"],  # AUTH 0x00 is not for clients
    ],
)
def test_auth_out_of_turn_ends_the_connection(wrong: list[Any]) -> None:
    rounds = Rounds(1)

    async def play(house: House) -> None:
        client = await admitted(house, 1)
        client.send(*wrong)
        await client.ended_with(Disconnect, 0x82)
        await asyncio.sleep(1)

    in_house(play, methods=(rounds,))


def test_a_client_that_leaves_while_reauthenticating_leaves_no_task() -> None:
    rounds = Rounds(1)

    async def play(house: House) -> None:
        client = await admitted(house, 1)
        client.send(auth(b"again", 0x19))
        await client.expect(Auth)
        await client.drop()
        assert rounds.cancelled == 1
        assert not house.broker.sessions

    in_house(play, methods=(rounds,))


def test_a_takeover_ends_a_reauthentication_that_is_under_way() -> None:
    rounds = Rounds(1)

    async def play(house: House) -> None:
        old = await admitted(house, 1)
        old.send(auth(b"again", 0x19))
        await old.expect(Auth)
        new = await admitted(house, 1)
        await old.ended_with(Disconnect, 0x8E)
        assert rounds.cancelled == 1
        await new.sync()

    in_house(play, methods=(rounds,))


def test_shutdown_in_the_middle_of_an_exchange() -> None:
    rounds = Rounds(1)

    async def play(house: House) -> None:
        before = await house.line()
        before.send(hello("b"))
        await before.expect(Auth)
        again = await admitted(house, 1)
        again.send(auth(b"again", 0x19))
        await again.expect(Auth)

    in_house(play, methods=(rounds,))
    assert rounds.cancelled == 2
