"""What a broker may be given that waits: an amqtt topic plugin, and an enhanced authentication."""

from __future__ import annotations

import asyncio
from typing import Any

from amqtt.plugins.base import BaseTopicPlugin

from mqttsec.errors import AuthenticationError
from mqttsec.mqtt5 import AuthConversation, AuthSuccess


class WaitingTopicPlugin(BaseTopicPlugin):  # type: ignore[misc, unused-ignore]
    """Allows everything but topics that begin with `weather/x`, after a turn of the loop."""

    async def topic_filtering(
        self, *, session: Any = None, topic: str | None = None, action: Any = None
    ) -> bool:
        await asyncio.sleep(0)
        return not (topic or "").startswith("weather/x")


class TwoRounds:
    """An authentication of two challenges that every answer satisfies, unless it is empty."""

    method = "SCRAM-SHA-256"

    async def authenticate(self, conversation: AuthConversation) -> AuthSuccess:
        for challenge in (b"one", b"two"):
            if not await conversation.challenge(challenge):
                raise AuthenticationError("an answer is missing", 0x87)
        return AuthSuccess(b"done")
