"""Brokers and clients on real sockets: a loop on which every complaint is a failure."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ssl
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

from mqttsec.mqtt5 import Broker, BrokerSettings
from mqttsec.packets import (
    Connack,
    Packet,
    Publish,
    Splitter,
    Suback,
    Subscribe,
    SubscribeFilter,
    decode,
    encode,
)
from tests.mqtt5.house import connect_packet

LOCAL = "127.0.0.1"
WEBSOCKET = {"type": "ws", "bind": f"{LOCAL}:0"}


class Wire:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self._splitter = Splitter()
        self._frames: list[bytes] = []

    @classmethod
    async def open(cls, address: tuple[str, int], context: ssl.SSLContext | None = None) -> Wire:
        return cls(*await asyncio.open_connection(*address, ssl=context))

    def send(self, *packets: Packet, protocol: int = 5) -> None:
        self.writer.write(b"".join(encode(packet, protocol) for packet in packets))

    async def recv(self, protocol: int = 5) -> Packet | None:
        while not self._frames:
            try:
                data = await asyncio.wait_for(self._reader.read(65_536), 10)
            except (ConnectionError, ssl.SSLError):
                data = b""
            if not data:
                return None
            self._frames += self._splitter.feed(data)
        return decode(self._frames.pop(0), protocol, from_client=False)

    async def round_trip(self, name: str, protocol: int = 5) -> None:
        self.send(connect_packet(name, protocol=protocol), protocol=protocol)
        connack = await self.recv(protocol)
        assert isinstance(connack, Connack) and connack.reason_code == 0, connack
        self.send(Subscribe(1, (SubscribeFilter(name),)), Publish(name, b"word"), protocol=protocol)
        assert isinstance(await self.recv(protocol), Suback)
        message = await self.recv(protocol)
        assert isinstance(message, Publish) and message.payload == b"word", message

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """As `asyncio.run`, with every complaint of the loop a failure, and nothing left at the end."""
    complaints: list[str] = []

    async def outer() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(str(context)))
        await asyncio.wait_for(main(), 60)
        for _ in range(3):
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(outer())
        gc.collect()
    assert not complaints, complaints


@contextlib.asynccontextmanager
async def running(config: dict[str, Any] | None = None, settings: BrokerSettings | None = None) -> Any:
    broker = Broker(settings, config)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.shutdown()


def listeners(**named: dict[str, Any]) -> dict[str, Any]:
    return {"listeners": {"default": {"type": "tcp", "bind": f"{LOCAL}:0"}, **named}}
