"""1,000 connections over TCP at the same time: all served, and gone without a trace when they are cut."""

from __future__ import annotations

import asyncio
import gc
import time

import psutil
import pytest

from mqttsec.mqtt5 import Broker, BrokerSettings, LightClient
from tests.robustness.wires import complaints

COUNT = 1_000


async def _until_gone(broker: Broker, left: int) -> None:
    deadline = time.monotonic() + 20
    while len(broker.connections) > left:
        assert time.monotonic() < deadline, f"{len(broker.connections)} connections are still there"
        await asyncio.sleep(0.01)


@pytest.mark.slow
@pytest.mark.usefixtures("many_files")
def test_a_thousand_connections() -> None:
    async def main() -> None:
        process = psutil.Process()
        with complaints(asyncio.get_running_loop()) as watcher:
            broker = Broker(BrokerSettings(close_timeout=0.2))
            await broker.start()
            host, port = broker.bound["default"]
            publisher = LightClient("publisher")
            await publisher.connect(host, port)
            before = process.memory_info().rss
            clients = [LightClient(f"client-{number}") for number in range(COUNT)]
            for start in range(0, COUNT, 50):
                await asyncio.gather(*(client.connect(host, port) for client in clients[start : start + 50]))
            assert len(broker.connections) == COUNT + 1
            await asyncio.gather(*(client.subscribe(f"to/{client.client_id}", qos=1) for client in clients))
            await asyncio.gather(*(client.subscribe("to/all", qos=2) for client in clients))
            each = (process.memory_info().rss - before) / COUNT
            # Both ends live in this process; the bound leaves room for either to double.
            assert each < 200_000, f"{each:.0f} bytes a connection"
            await publisher.publish("to/all", b"hello", qos=2)
            for client in clients:
                await publisher.publish(f"to/{client.client_id}", client.client_id.encode(), qos=1)
            for client in clients:
                # Two subscriptions on one connection: the order is that of publishing.
                got = [await client.next_message(timeout=20) for _ in range(2)]
                assert [message.payload for message in got] == [b"hello", client.client_id.encode()]
            for client in clients:
                client.abort()
            await _until_gone(broker, left=1)
            assert set(broker.sessions) == {"publisher"} and not broker._subscriptions
            assert await publisher.ping() < 5
            await publisher.disconnect()
            del clients, client
            await broker.shutdown()
            watcher.check()
        gc.collect()

    asyncio.run(main())


@pytest.mark.usefixtures("many_files")
def test_one_connection_too_many_is_turned_away_and_the_others_stay() -> None:
    async def main() -> None:
        with complaints(asyncio.get_running_loop()) as watcher:
            broker = Broker(BrokerSettings(max_connections=20, close_timeout=0.2))
            await broker.start()
            host, port = broker.bound["default"]
            clients = [LightClient(f"client-{number}") for number in range(20)]
            for client in clients:
                await client.connect(host, port)
            for _ in range(50):
                reader, writer = await asyncio.open_connection(host, port)
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await asyncio.wait_for(reader.readexactly(1), 10)
                writer.close()
            await _until_gone(broker, left=20)
            for client in clients:
                await client.ping()
            await clients.pop().disconnect()
            await _until_gone(broker, left=19)
            late = LightClient("late")
            await late.connect(host, port)
            for client in [*clients, late]:
                await client.disconnect()
            await broker.shutdown()
            watcher.check()

    asyncio.run(main())
