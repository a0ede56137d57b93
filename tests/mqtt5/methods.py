"""A toy authentication method, and clients that speak it packet by packet."""

from __future__ import annotations

import asyncio
from typing import Any

from mqttsec.errors import AuthenticationError
from mqttsec.mqtt5 import AuthConversation, AuthSuccess
from mqttsec.packets import (
    Auth,
    Connack,
    Connect,
    Properties,
)
from tests.mqtt5.house import Client, House, connect_packet


class Rounds:
    """Asks `rounds` questions; the answer to question n is its double."""

    method = "rounds"

    def __init__(self, rounds: int = 1) -> None:
        self.rounds = rounds
        self.begun: list[tuple[bytes | None, bool]] = []
        self.cancelled = 0
        self.conversations: list[AuthConversation] = []

    async def authenticate(self, conversation: AuthConversation) -> AuthSuccess:
        self.begun.append((conversation.data, conversation.again))
        self.conversations.append(conversation)
        try:
            for number in range(1, self.rounds + 1):
                answer = await conversation.challenge(str(number).encode())
                if answer != str(2 * number).encode():
                    raise AuthenticationError(f"{answer!r} is wrong", 0x87)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return AuthSuccess(b"welcome", (("rounds", str(self.rounds)),))


def hello(
    client_id: str = "a", method: str | None = "rounds", data: bytes | None = b"hello", **options: Any
) -> Connect:
    extra = options.pop("extra", {})
    properties = Properties(authentication_method=method, authentication_data=data, **extra)
    return connect_packet(client_id, properties=properties, **options)


def auth(data: bytes | None, code: int = 0x18, method: str | None = "rounds") -> Auth:
    return Auth(code, Properties(authentication_method=method, authentication_data=data))


async def answer(client: Client, rounds: int) -> None:
    for number in range(1, rounds + 1):
        question = await client.expect(Auth, reason_code=0x18)
        assert question.properties.authentication_method == "rounds"
        assert question.properties.authentication_data == str(number).encode()
        client.send(auth(str(2 * number).encode()))


async def admitted(house: House, rounds: int, client_id: str = "a", **options: Any) -> Client:
    client = await house.line()
    client.send(hello(client_id, **options))
    await answer(client, rounds)
    await client.expect(Connack, reason_code=0)
    return client


def nothing_left(house: House) -> None:
    """No trace of an attempt that failed."""
    assert not house.broker.sessions
    assert not house.broker.subscriptions
    assert not house.broker.retained_messages
