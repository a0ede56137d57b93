"""A broker with the schemes on a memory network under the virtual clock, and parties that come to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from mqttsec.crypto import Operations, Tally
from mqttsec.e2e import Setup
from mqttsec.e2e.broker_side import BrokerSide
from mqttsec.e2e.company import START, TOPIC, authority, identity
from mqttsec.e2e.memory_parties import MemoryPublisher, MemorySubscriber
from mqttsec.mqtt5 import BrokerSettings
from mqttsec.trace.events import Trace
from tests.mqtt5.house import Client, House, in_house


class Hall:
    def __init__(self, house: House, setup: Setup, options: dict[str, Any], trace: Trace | None) -> None:
        self.house = house
        self.setup = setup
        self.trace = trace
        self.operations: dict[str, Operations] = {}
        self.side = BrokerSide(
            identity("broker"),
            authority().trust,
            setup,
            clock=self.clock,
            operations=self._counter("broker"),
            **options,
        )
        self.side.attach(house.broker)
        self.parties: list[MemoryPublisher | MemorySubscriber] = []

    def clock(self) -> float:
        return START + asyncio.get_running_loop().time()

    def _counter(self, name: str) -> Operations:
        self.operations[name] = Operations(name)
        return self.operations[name]

    def tallies(self) -> dict[str, Tally]:
        return {name: each.tally for name, each in self.operations.items()}

    def _party(self, kind: Any, name: str, options: dict[str, Any]) -> Any:
        given = {
            "clock": self.clock,
            "operations": self._counter(name),
            "network": self.house.network,
            "trace": self.trace,
            **options,
        }
        who, setup = given.pop("identity", identity(name)), given.pop("setup", self.setup)
        party = kind(who, given.pop("trust", authority().trust), setup, **given)
        self.parties.append(party)
        return party

    def new_publisher(self, name: str = "alice", **options: Any) -> MemoryPublisher:
        return self._party(MemoryPublisher, name, options)  # type: ignore[no-any-return]

    async def publisher(self, name: str = "alice", **options: Any) -> MemoryPublisher:
        return await self.new_publisher(name, **options).connect()

    def new_subscriber(self, name: str, **options: Any) -> MemorySubscriber:
        return self._party(MemorySubscriber, name, options)  # type: ignore[no-any-return]

    async def subscriber(
        self, name: str, publisher: str = "alice", topic: str = TOPIC, **options: Any
    ) -> MemorySubscriber:
        subscriber = self.new_subscriber(name, **options)
        await subscriber.subscribe(publisher, topic)
        return subscriber

    async def plain(self, name: str, protocol: int = 5, **options: Any) -> Client:
        return await self.house.client(name, protocol, **options)

    def nothing_left(self) -> None:
        """No trace of any party, connected or not."""
        side, broker = self.side, self.house.broker
        assert not broker.sessions and not broker.subscriptions
        assert not side.machine.tickets and not side.machine.publishers
        assert not side._channels and not side._publishing and not len(side._room)
        assert not side.waits
        assert not side.machine._audiences._by_stream


async def settle() -> None:
    """Let everything that is on its way arrive."""
    await asyncio.sleep(1.0)


def in_hall(
    play: Callable[[Hall], Coroutine[Any, Any, None]],
    setup: Setup | None = None,
    settings: BrokerSettings | None = None,
    traced: bool = False,
    **options: Any,
) -> Trace | None:
    """Run `play` in a hall of this setup; `options` are the broker side's."""

    async def main(house: House) -> None:
        hall = Hall(house, setup or Setup(), options, house.broker.trace)
        await play(hall)
        for party in hall.parties:
            await party.close()
        await settle()

    return in_house(main, settings, traced=traced)
