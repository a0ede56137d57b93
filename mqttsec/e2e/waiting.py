"""Subscribers on their way in: from their request until they have their CONNACK (steps 6 to 14)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from mqttsec.e2e.access import own_filter
from mqttsec.e2e.broker import Broker, Ticket
from mqttsec.e2e.handshake import read
from mqttsec.e2e.messages import StillWaiting
from mqttsec.errors import HandshakeError
from mqttsec.mqtt5 import AuthConversation
from mqttsec.packets import Properties

HELD_AT_MOST = 64
"""How many messages are held for one subscriber on its way in."""

Held = tuple[str, bytes, Properties]
"""(Topic Name, payload, properties) of a message as it is routed."""


@dataclass
class _Waiting:
    ticket: Ticket
    answered: asyncio.Future[HandshakeError | None]
    held: list[Held] = field(default_factory=list)


class WaitingRoom:
    """Who waits for a publisher's answer, and who has it and is about to be let in.

    A publisher counts a subscriber among its readers from its answer on. So what it publishes between
    that and the CONNACK is held, and nobody misses a message that was sealed for it.
    """

    def __init__(self, machine: Broker, patience: float) -> None:
        self._machine = machine
        self.patience = patience
        """Seconds between two rounds of waiting."""
        self._waiting: dict[bytes, _Waiting] = {}
        self._entering: dict[bytes, _Waiting] = {}

    def __len__(self) -> int:
        return len(self._waiting) + len(self._entering)

    async def answer(
        self, conversation: AuthConversation, ticket: Ticket, ask: Callable[[Ticket], None]
    ) -> None:
        """Steps 7 to 13, with as many rounds of "keep waiting" as it takes.

        `ask` sends the request, if the publisher is there. Raises `HandshakeError` when the publisher has
        refused, or has not come or not answered within the limit.
        """
        waiting = _Waiting(ticket, asyncio.get_running_loop().create_future())
        self._waiting[ticket.correlation] = waiting
        machine = self._machine
        try:
            ask(ticket)
            while not waiting.answered.done():
                data = await conversation.challenge(machine.wait(ticket).encode())
                machine.still(ticket, read(machine.party, data, StillWaiting))
                left = ticket.deadline - machine.party.clock()
                await asyncio.wait((waiting.answered,), timeout=max(0.0, min(self.patience, left)))
        finally:
            del self._waiting[ticket.correlation]
        error = waiting.answered.result()
        if error is not None:
            raise error

    def answered(self, publisher: str, correlation: bytes, error: HandshakeError | None) -> None:
        """A publisher's answer came: found right, or `error`."""
        waiting = self._waiting.get(correlation)
        if waiting is None or waiting.ticket.publisher != publisher or waiting.answered.done():
            return
        waiting.answered.set_result(error)
        if error is None:
            self._entering[correlation] = waiting

    def taken(self, publisher: str, topic: str, payload: bytes, properties: Properties) -> None:
        """A message is routed: for those who are about to be let in it is held."""
        for waiting in self._entering.values():
            ticket = waiting.ticket
            if (
                ticket.publisher == publisher
                and own_filter(self._machine, ticket.topic, ticket.client_id) == topic
                and ticket.client_id not in self._machine.members(publisher, ticket.topic)
                and len(waiting.held) < HELD_AT_MOST
            ):
                waiting.held.append((topic, payload, properties))

    def leave(self, ticket: Ticket) -> list[Held]:
        """The subscriber is in, or has given up. Gives what was held for it."""
        waiting = self._entering.pop(ticket.correlation, None)
        return [] if waiting is None else waiting.held
