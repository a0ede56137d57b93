"""Messages and subscriptions through a network of bridge brokers, in memory, under the virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from mqttsec.errors import ConfigurationError
from mqttsec.mqtta import Decision, Network, Policies, forwarding
from mqttsec.net import VirtualClockLoop, run_virtual
from mqttsec.packets import Properties, Publish

Play = Callable[[Network], Coroutine[Any, Any, Any]]


def played(play: Play, **options: Any) -> Any:
    """Run `play` in a network; afterwards nothing of the network is left."""

    async def main() -> Any:
        network = Network(**options)
        async with network:
            result = await play(network)
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualClockLoop)
        left = [task for task in loop.unfinished_tasks() if task is not asyncio.current_task()]
        assert not left, left
        return result

    return run_virtual(main())


async def inbox(net: Network, reader: Any) -> list[Publish]:
    """Everything that has come for a client once the network is at rest."""
    await net.settled()
    messages = []
    while (message := reader._inbox.take()) is not None:
        messages.append(message)
    return messages


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("form", ["published", "mended"])
def test_a_message_goes_through_and_comes_back_under_the_forwarding_topic(qos: int, form: str) -> None:
    async def play(net: Network) -> None:
        reader, writer = await net.client("reader", bridge=1), await net.client("writer", bridge=2)
        assert await net.subscribe(reader, "weather/x", qos) == qos
        await net.settled()  # The published form acknowledges before the path is complete.
        own = Properties(content_type="text", user_property=(("station", "7"),))
        await net.publish(writer, "weather/x", "12.8", 2, own)
        [message] = await inbox(net, reader)
        assert (message.topic, message.payload, message.qos) == (forwarding("weather/x"), b"12.8", qos)
        assert message.properties == own
        [there], [back] = net.paths("publish"), net.paths("subscribe")
        assert there.source == "writer" and back.source == "reader" and there.complete and back.complete
        assert there.hops[0].draw is None and there.hops[-1].next == "public1" == back.hops[-1].next
        for hop in there.hops[1:]:
            assert hop.draw is not None and (hop.draw > 0.5) == (hop.decision is Decision.EXIT)

    # Seed 2: neither path of the published form comes by a broker twice.
    played(play, bridges=8, policies=Policies(p_f=0.5, form=form, variant="B"), rtt=0.05, seed=2)


def test_the_public_broker_sees_the_actual_topic_and_no_client() -> None:
    async def play(net: Network) -> None:
        reader, writer = await net.client("reader", bridge=1), await net.client("writer", bridge=2)
        watcher = await net.client("watcher", bridge="public1")
        await watcher.subscribe("#", qos=2)
        await net.subscribe(reader, "weather")
        await net.publish(writer, "weather", "1")
        [message] = await inbox(net, watcher)
        assert (message.topic, message.payload) == ("weather", b"1")
        public = net.publics[0].broker  # type: ignore[attr-defined]
        assert not {"reader", "writer"} & set(public._sessions)

    played(play)


def test_ordinary_topics_stay_in_the_broker() -> None:
    async def play(net: Network) -> None:
        here, there = await net.client("here", bridge=1), await net.client("there", bridge=2)
        for client in (here, there):
            await client.subscribe("#")
        await here.publish("home/door", "open", 1)
        assert [m.payload for m in await inbox(net, here)] == [b"open"]
        assert not await inbox(net, there) and net.activity == 0

    played(play)


def test_who_unsubscribes_or_leaves_takes_the_whole_path_along() -> None:
    async def play(net: Network) -> None:
        readers = [await net.client(f"r{number}") for number in range(6)]
        for reader in readers:
            await net.subscribe(reader, "weather", 1)
        public = net.publics[0].broker  # type: ignore[attr-defined]
        assert len(public.subscriptions["weather"]) == 6
        for reader in readers[:3]:
            await reader.unsubscribe(forwarding("weather"))
        readers[3].abort()
        await readers[4].disconnect()
        await net.settled()
        assert len(public.subscriptions["weather"]) == 1
        await readers[5].disconnect()
        await net.settled()
        assert not public.subscriptions and not public._sessions
        assert [bridge.subscriptions for bridge in net.bridges] == [0] * 10

    played(play, rtt=0.04)


def test_the_same_seed_draws_the_same_paths_at_the_same_times() -> None:
    async def play(net: Network) -> list[str]:
        reader, writer = await net.client("reader"), await net.client("writer")
        await net.subscribe(reader, "t")
        for number in range(10):
            await net.publish(writer, "t", f"{number}")
        return [f"{path} {path.hops[-1].time}" for path in net.paths()]

    runs = [played(play, bridges=6, rtt=0.14, seed=seed) for seed in (5, 5, 6)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("options", [{"bridges": 0}, {"public": "carrier pigeon"}, {"public": "mosquitto"}])
def test_a_network_that_cannot_be_says_why(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Network(**options)
