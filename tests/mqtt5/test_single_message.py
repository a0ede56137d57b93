"""A message that comes alone is written at once, and nothing of that changes what clients receive."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from typing import Any

import pytest

from mqttsec.mqtt5 import Broker, BrokerSettings, LightClient, fanout
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


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_the_message_leaves_while_its_packet_is_still_handled(
    monkeypatch: pytest.MonkeyPatch, qos: int
) -> None:
    """What the short way is for: the bytes are in the socket before anything is collected for a flush."""

    async def play(broker: Broker, port: int) -> None:
        subscriber, publisher = await _clients(port, 2)
        await subscriber.subscribe(SubscribeFilter("t", qos))
        await publisher.publish("t", b"the first goes the usual way", qos=qos)
        await subscriber.next_message(5)
        connection = next(c for c in broker.connections if c.session and c.session.client_id == "c0")
        written: list[tuple[int, bytes, int]] = []

        def write(descriptor: int, data: bytes) -> int:
            written.append((descriptor, data, len(broker.dirty)))
            return os.write(descriptor, data)

        monkeypatch.setattr(fanout, "write", write)
        await publisher.publish("t", b"x", qos=qos)
        assert (await subscriber.next_message(5)).payload == b"x"
        ((descriptor, data, dirty),) = written
        assert descriptor == connection.outlet.direct and data.endswith(b"x") and not dirty

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


@pytest.mark.parametrize("loop_name", ["asyncio", "uvloop"])
def test_a_descriptor_is_ours_until_the_connection_is_lost(loop_name: str) -> None:
    """What direct writing rests on: a closing transport keeps its socket until it has told its protocol.

    Otherwise the number could be another client's already.
    """

    async def play() -> None:
        broker = Broker()
        await broker.start()
        for how in ("abort", "close"):
            (subscriber,) = await _clients(broker.bound["default"][1], 1)
            connection = next(iter(broker.connections))
            descriptor, transport, outlet = connection.outlet.direct, connection.transport, connection.outlet
            assert transport is not None and stat.S_ISSOCK(os.fstat(descriptor).st_mode)
            inode = os.fstat(descriptor).st_ino
            getattr(transport, how)()
            turns = 0
            while outlet.direct >= 0:
                assert os.fstat(descriptor).st_ino == inode, "closed before `connection_lost`"
                await asyncio.sleep(0)
                turns += 1
                assert turns < 1000
            assert outlet.transport is None
            outlet.write_now(b"never")
            outlet.flush()
        await broker.shutdown()

    if loop_name == "uvloop":
        uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed: pip install uvloop")
        loop = uvloop.new_event_loop()
    else:
        loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(play())
    finally:
        loop.close()
