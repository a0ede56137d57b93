"""WebSocket listeners (MQTT 5, chapter 6), with and without TLS."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import Any

import paho.mqtt.client as paho
import pytest
import websockets
from paho.mqtt.enums import CallbackAPIVersion

from mqttsec.mqtt5 import Broker, BrokerSettings
from mqttsec.packets import (
    Connack,
    Disconnect,
    Publish,
    Splitter,
    Suback,
    Subscribe,
    SubscribeFilter,
    decode,
    encode,
)
from tests.mqtt5.authority import Authority, tls_listener
from tests.mqtt5.house import connect_packet
from tests.mqtt5.sockets import LOCAL, WEBSOCKET, listeners, run, running


@pytest.mark.parametrize("protected", [False, True])
@pytest.mark.parametrize("version", [paho.MQTTv5, paho.MQTTv311])
def test_paho_over_websockets(authority: Authority, protected: bool, version: int) -> None:
    kind = tls_listener(authority, "ws") if protected else {"type": "ws", "bind": f"{LOCAL}:0"}
    ready, stop, address = threading.Event(), threading.Event(), []

    async def main() -> None:
        async with running(listeners(websocket=kind)) as broker:
            address.extend(broker.bound["websocket"])
            ready.set()
            while not stop.is_set():
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=run, args=(main,))
    thread.start()
    try:
        assert ready.wait(10)
        got: list[tuple[str, bytes]] = []
        done = threading.Event()
        client = paho.Client(CallbackAPIVersion.VERSION2, "a", transport="websockets", protocol=version)
        if protected:
            client.tls_set(ca_certs=authority.file)
        client.on_connect = lambda *_: client.subscribe("t", 1)
        client.on_subscribe = lambda *_: (
            client.publish("t", b"small", 1),
            client.publish("t", bytes(200_000), 1),
        )

        def on_message(_: Any, __: Any, message: paho.MQTTMessage) -> None:
            got.append((message.topic, message.payload))
            if len(got) == 2:
                done.set()

        client.on_message = on_message
        client.connect(*address)
        client.loop_start()
        assert done.wait(20), got
        client.disconnect()
        client.loop_stop()
        assert got == [("t", b"small"), ("t", bytes(200_000))]
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()


@contextlib.asynccontextmanager
async def websocket_to(broker: Broker, **options: Any) -> Any:
    host, port = broker.bound["websocket"]
    async with websockets.connect(
        f"ws://{host}:{port}/mqtt",
        subprotocols=[websockets.Subprotocol("mqtt")],
        compression=None,
        max_size=None,
        ping_interval=None,
        **options,
    ) as socket_:
        yield socket_


def test_packets_may_lie_across_frames_in_any_way() -> None:
    # [MQTT-6.0.0-2] "A single WebSocket data frame can contain multiple or partial MQTT Control Packets."
    stream = b"".join(
        encode(packet)
        for packet in (connect_packet("a"), Subscribe(1, (SubscribeFilter("t"),)), Publish("t", b"word"))
    )

    async def main() -> None:
        async with running(listeners(websocket=WEBSOCKET)) as broker:
            for size in (1, 3, 7, len(stream)):
                async with websocket_to(broker) as socket_:
                    assert socket_.subprotocol == "mqtt"  # [MQTT-6.0.0-4]
                    for at in range(0, len(stream), size):
                        await socket_.send(stream[at : at + size])
                    splitter, packets = Splitter(), []
                    while len(packets) < 3:
                        data = await asyncio.wait_for(socket_.recv(), 10)
                        assert isinstance(data, bytes)
                        packets += [decode(frame, from_client=False) for frame in splitter.feed(data)]
                    assert [type(packet) for packet in packets] == [Connack, Suback, Publish]

    run(main)


def test_a_text_frame_ends_the_connection() -> None:
    # [MQTT-6.0.0-1]
    async def main() -> None:
        async with running(listeners(websocket=WEBSOCKET)) as broker, websocket_to(broker) as socket_:
            await socket_.send("CONNECT, please")
            with pytest.raises(websockets.ConnectionClosed) as caught:
                await asyncio.wait_for(socket_.recv(), 10)
            assert caught.value.rcvd is not None and caught.value.rcvd.code == 1003

    run(main)


def test_a_packet_as_large_as_the_broker_announces_fits_through_a_websocket() -> None:
    # amqtt leaves websockets' own limit of 1 MiB in place.
    async def main() -> None:
        async with running(listeners(websocket=WEBSOCKET)) as broker, websocket_to(broker) as socket_:
            payload = bytes(3_000_000)
            await socket_.send(encode(connect_packet("a")))
            await socket_.send(encode(Subscribe(1, (SubscribeFilter("t"),))))
            await socket_.send(encode(Publish("t", payload)))
            splitter, packets = Splitter(), []
            while len(packets) < 3:
                packets += splitter.feed(await asyncio.wait_for(socket_.recv(), 20))
            message = decode(packets[2], from_client=False)
            assert isinstance(message, Publish) and message.payload == payload

    run(main)


def test_what_is_no_websocket_handshake_is_shut_out_quietly(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with running(listeners(websocket=WEBSOCKET), BrokerSettings(connect_timeout=0.3)) as broker:
            for garbage in (encode(connect_packet("a")), b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n"):
                reader, writer = await asyncio.open_connection(*broker.bound["websocket"])
                writer.write(garbage)
                with contextlib.suppress(ConnectionError):
                    await asyncio.wait_for(reader.read(), 10)
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()
            async with websocket_to(broker) as socket_:
                await socket_.send(encode(connect_packet("a")))
                assert isinstance(decode(await socket_.recv(), from_client=False), Connack)

    run(main)
    assert not caplog.records, caplog.text


def test_websocket_clients_are_told_when_the_broker_shuts_down() -> None:
    async def main() -> None:
        broker = Broker(config=listeners(websocket=WEBSOCKET))
        await broker.start()
        async with websocket_to(broker) as socket_:
            await socket_.send(encode(connect_packet("a")))
            await socket_.recv()
            _, packet = await asyncio.gather(broker.shutdown(), socket_.recv())
            disconnect = decode(packet, from_client=False)
            assert isinstance(disconnect, Disconnect) and disconnect.reason_code == 0x8B

    run(main)


def test_a_websocket_client_that_does_not_answer_does_not_hold_up_the_shutdown() -> None:
    async def main() -> None:
        broker = Broker(BrokerSettings(close_timeout=0.2), listeners(websocket=WEBSOCKET))
        await broker.start()
        reader, writer = await asyncio.open_connection(*broker.bound["websocket"])
        writer.write(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        begun = time.monotonic()
        await broker.shutdown()
        # 0.2 s where nothing else runs; the library alone would wait for 10 s.
        assert time.monotonic() - begun < 3.0
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    run(main)
