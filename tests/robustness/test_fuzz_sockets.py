"""Damaged packets over real sockets: the same broker behind a real network stack, resets included."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import struct
from collections.abc import Iterator

import pytest
import websockets.asyncio.client
import websockets.exceptions

from mqttsec.errors import ProtocolError
from mqttsec.mqtt5 import BrokerSettings, InProcessBroker
from mqttsec.net import runtime
from mqttsec.packets import MQTT_3_1_1, MQTT_5, Connect, Publish, Splitter, decode, encode
from tests.packets.mutation import Mutator
from tests.robustness.sockets import Plain, until
from tests.robustness.wires import complaints

SEED = int(os.environ.get("MQTTSEC_FUZZ_SEED", "20261122"))
INPUTS = 3_000


@pytest.fixture
def broker() -> Iterator[InProcessBroker]:
    settings = BrokerSettings(close_timeout=0.2, maximum_session_expiry=1, max_retained_messages=100)
    with complaints(runtime().loop) as watcher, InProcessBroker(settings) as running:
        yield running
    watcher.check()


@pytest.mark.slow
def test_damaged_packets_over_tcp(broker: InProcessBroker) -> None:
    address = (broker.host, broker.port)
    rng = random.Random(SEED)
    mutators = {protocol: Mutator(SEED + protocol, protocol) for protocol in (MQTT_5, MQTT_3_1_1)}
    answers = resets = 0
    with Plain(address) as sender, Plain(address) as receiver:
        sender.connect("good-sender")
        receiver.connect("good-receiver")
        receiver.subscribe("good", 2)
        for number in range(INPUTS):
            protocol = rng.choice((MQTT_5, MQTT_5, MQTT_3_1_1))
            bad = Connect(f"bad-{rng.randrange(20)}", rng.random() < 0.5, protocol=protocol)
            first = encode(bad, protocol)
            frames = [mutators[protocol].damaged() for _ in range(rng.choice((1, 1, 2, 5)))]
            data = (first if rng.random() < 0.9 else b"") + b"".join(frames)
            try:
                if rng.random() < 0.2:
                    resets += 1
                    send_and_reset(address, data)
                else:
                    answers += check_answer(send_and_listen(address, data), protocol)
                if number % 10 == 0:
                    message = Publish("good", f"{number}".encode(), number // 10 % 3,
                                      packet_id=1 if number // 10 % 3 else None)
                    sender.deliver(message)
                    assert receiver.take().payload == message.payload
            except Exception as error:
                sent = " | ".join(frame.hex(" ") for frame in (first, *frames))
                raise AssertionError(f"seed {SEED}, input {number}, protocol {protocol}: {sent}") from error
        sender.nothing_more()
        receiver.nothing_more()
        assert broker.broker is not None
        of = broker.broker
        until(lambda: runtime().call(lambda: len(of.connections)) == 2, "the end of all bad connections")
        until(lambda: runtime().call(lambda: set(of.sessions)) == {"good-sender", "good-receiver"},
              "the end of all bad sessions")
        assert runtime().call(lambda: set(of._subscriptions)) == {"good"}
    # Else the test says nothing: most connections must have got an answer, and some were reset.
    assert answers > INPUTS // 2 and resets > INPUTS // 10


def test_damaged_packets_over_websockets() -> None:
    # Chapter 6: packets need not begin or end where WebSocket frames do.
    settings = BrokerSettings(close_timeout=0.2, maximum_session_expiry=1)
    rng = random.Random(SEED)
    mutator = Mutator(SEED, MQTT_5)
    with complaints(runtime().loop) as watcher, InProcessBroker(settings, websocket_port=0) as broker:
        uri = f"ws://{broker.host}:{broker.websocket_port}"
        answers = 0
        with Plain((broker.host, broker.port)) as bystander:
            bystander.connect("bystander")
            for number in range(300):
                data = encode(Connect(f"bad-{rng.randrange(20)}", rng.random() < 0.5)) + mutator.damaged()
                cut = rng.randrange(len(data))
                pieces = [data[:cut], "text" if number % 10 == 0 else data[cut:], encode(Publish("a", b"x"))]
                answer = asyncio.run(over_websocket(uri, pieces, abort=number % 3 == 0))
                answers += check_answer(answer, MQTT_5)
            bystander.nothing_more()
            assert broker.broker is not None
            of = broker.broker
            until(lambda: runtime().call(lambda: len(of.connections)) == 1, "the end of all bad connections")
    watcher.check()
    assert answers > 100


async def over_websocket(uri: str, pieces: list[bytes | str], abort: bool) -> bytes:
    """Send each piece as one frame, then close properly or cut the connection; returns what came."""
    found = bytearray()
    answered = asyncio.Event()

    async def listen() -> None:
        try:
            async for message in client:
                assert isinstance(message, bytes)
                found.extend(message)
                answered.set()
        finally:
            answered.set()

    client = await websockets.asyncio.client.connect(uri, subprotocols=[websockets.Subprotocol("mqtt")])
    listening = asyncio.create_task(listen())
    with contextlib.suppress(websockets.exceptions.ConnectionClosed):
        for piece in pieces:
            await client.send(piece)
    if abort:
        client.transport.abort()
    # The CONNECT is whole or the WebSocket is closed for it: something comes in any case.
    await asyncio.wait_for(answered.wait(), 20)
    await client.close()
    with contextlib.suppress(websockets.exceptions.ConnectionClosed):
        await listening
    return bytes(found)


def send_and_listen(address: tuple[str, int], data: bytes) -> bytes:
    """Send, close the sending side, and read to the end of the stream."""
    with socket.create_connection(address, timeout=20) as client:
        client.sendall(data)
        found = bytearray()
        with contextlib.suppress(ConnectionResetError, BrokenPipeError, OSError):
            client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while piece := client.recv(65_536):
                found += piece
    return bytes(found)


def send_and_reset(address: tuple[str, int], data: bytes) -> None:
    """Send, then cut the connection with a TCP reset."""
    with socket.create_connection(address, timeout=20) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(data)


def check_answer(data: bytes, protocol: int) -> bool:
    """True when the broker said something; all that it says must be well formed in one of the versions."""
    for frame in Splitter().feed(data):
        try:
            decode(frame, protocol, from_client=False)
        except ProtocolError:
            # A CONNECT whose version was damaged is answered in the version that it then names.
            decode(frame, MQTT_5 + MQTT_3_1_1 - protocol, from_client=False)
    return bool(data)
