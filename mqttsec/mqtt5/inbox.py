"""Where the messages of a `LightClient` wait until somebody asks for them."""

from __future__ import annotations

import asyncio
from collections import deque

from mqttsec.errors import MqttsecError
from mqttsec.packets import Publish


class Inbox:
    """A queue of messages with readers that wait; no bound, and no task."""

    def __init__(self) -> None:
        self._messages: deque[Publish] = deque()
        self._readers: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Publish) -> None:
        """Add a message and wake one reader."""
        self._messages.append(message)
        self._wake()

    def take(self) -> Publish | None:
        """The oldest message, if there is one."""
        return self._messages.popleft() if self._messages else None

    async def news(self, timeout: float | None, late: MqttsecError) -> None:
        """Wait until a message came or `wake_all` was called; raises `late` after `timeout` seconds."""
        loop = asyncio.get_running_loop()
        reader: asyncio.Future[None] = loop.create_future()
        timer = None if timeout is None else loop.call_later(timeout, _expire, reader, late)
        self._readers.append(reader)
        try:
            await reader
        except asyncio.CancelledError:
            if reader.done() and not reader.cancelled():
                # Woken and cancelled in the same turn: the news are for the next one then.
                self._wake()
            raise
        finally:
            if timer is not None:
                timer.cancel()
            if reader in self._readers:
                self._readers.remove(reader)

    def wake_all(self) -> None:
        """Nothing more will come: let every reader look for itself."""
        while self._readers:
            self._wake()

    def _wake(self) -> None:
        while self._readers:
            reader = self._readers.popleft()
            if not reader.done():
                reader.set_result(None)
                return


def _expire(reader: asyncio.Future[None], late: MqttsecError) -> None:
    if not reader.done():
        reader.set_exception(late)
