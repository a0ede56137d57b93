"""A message that comes alone is written at once, and nothing of that changes what clients receive."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from mqttsec.mqtt5 import Broker, BrokerSettings, LightClient
from mqttsec.packets import SubscribeFilter


async def _clients(port: int, count: int, **options: Any) -> list[LightClient]:
    clients = [LightClient(f"c{number}", **options) for number in range(count)]
    for client in clients:
        await client.connect("127.0.0.1", port)
    return clients


def _run(coroutine_function: Any, settings: BrokerSettings | None = None) -> None:
    async def main() -> None:
        broker = Broker(settings)
        await broker.start()
        try:
            await coroutine_function(broker, broker.bound["default"][1])
        finally:
            await broker.shutdown()

    asyncio.run(main())


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_every_subscriber_gets_single_messages_in_order(qos: int) -> None:
    async def play(broker: Broker, port: int) -> None:
        clients = await _clients(port, 5)
        for client in clients:
            await client.subscribe(SubscribeFilter("t", qos))
        for number in range(20):
            await clients[0].publish("t", b"%d" % number, qos=qos)
        for client in clients:
            got = [(await client.next_message(5)).payload for _ in range(20)]
            assert got == [b"%d" % number for number in range(20)]

    _run(play)


def test_the_message_leaves_before_the_batch_ends() -> None:
    """What `write_now` is for: the bytes are in the subscriber's socket while the packet is still handled."""

    async def play(broker: Broker, port: int) -> None:
        subscriber, publisher = await _clients(port, 2)
        await subscriber.subscribe("t")
        seen: list[int] = []
        connection = next(c for c in broker.connections if c.peer == "c0" or c.number == 1)
        write = connection.write_now
        connection.write_now = lambda data: (write(data), seen.append(len(connection.out)))  # type: ignore
        await publisher.publish("t", b"x")
        assert (await subscriber.next_message(5)).payload == b"x"
        assert seen == [0], "nothing was left for the end of the batch"

    _run(play)


def test_a_subscriber_whose_network_is_full_loses_nothing() -> None:
    """The system call takes a part; the rest follows through the transport, and the order stays."""

    async def play(broker: Broker, port: int) -> None:
        publisher = (await _clients(port, 1))[0]
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", port))
        deaf.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(deaf, bytes.fromhex("100d00044d51545404020000000164"))
        assert await loop.sock_recv(deaf, 4) == bytes.fromhex("20020000")
        await loop.sock_sendall(deaf, bytes.fromhex("8206000100017400"))
        assert await loop.sock_recv(deaf, 5) == bytes.fromhex("9003000100")
        size, count = 50_000, 200
        for number in range(count):
            await publisher.publish("t", number.to_bytes(2, "big") * (size // 2), qos=1)
        whole = count * (1 + 3 + 3 + size)
        got = bytearray()
        while len(got) < whole:
            got += await asyncio.wait_for(loop.sock_recv(deaf, 65536), 10)
        deaf.close()
        for number in range(count):
            frame = got[number * (whole // count) : (number + 1) * (whole // count)]
            assert frame[7:] == number.to_bytes(2, "big") * (size // 2)

    _run(play)


def test_a_connection_that_is_closing_is_not_written_to() -> None:
    async def play(broker: Broker, port: int) -> None:
        subscriber, publisher = await _clients(port, 2)
        await subscriber.subscribe("t")
        connection = next(c for c in broker.connections if c.session and c.session.client_id == "c0")
        transport = connection.transport
        assert transport is not None
        # As after a failed read: the transport is closing, the protocol has not heard of it yet.
        transport.abort()
        connection.write_now(b"never")
        assert connection.out == [b"never"], "kept for the transport, which is gone"
        await asyncio.sleep(0)
        await publisher.publish("t", b"x", qos=1)

    _run(play)
