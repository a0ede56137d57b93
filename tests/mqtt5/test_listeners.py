"""Listeners on real sockets: both versions on one port, amqtt's adapters, start and stop."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator

import paho.mqtt.client as paho
import psutil
import pytest
from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from paho.mqtt.enums import CallbackAPIVersion

from mqttsec.errors import ConfigurationError
from mqttsec.mqtt5 import Broker, BrokerSettings, InProcessBroker
from mqttsec.packets import (
    Disconnect,
    Publish,
    Suback,
    Subscribe,
    SubscribeFilter,
)
from tests.mqtt5.authority import Authority
from tests.mqtt5.house import connect_packet
from tests.mqtt5.sockets import LOCAL, WEBSOCKET, Wire, listeners, run, running


def test_both_versions_on_one_port_talk_to_each_other() -> None:
    async def main() -> None:
        async with running() as broker:
            new, old = [await Wire.open(broker.bound["default"]) for _ in range(2)]
            await new.round_trip("new", 5)
            await old.round_trip("old", 4)
            new.send(Subscribe(2, (SubscribeFilter("t", 1),)))
            assert isinstance(await new.recv(), Suback)
            old.send(Subscribe(2, (SubscribeFilter("t", 1),)), protocol=4)
            assert isinstance(await old.recv(4), Suback)
            old.send(Publish("t", b"x"), protocol=4)
            for client, protocol in ((new, 5), (old, 4)):
                message = await client.recv(protocol)
                assert isinstance(message, Publish) and message.payload == b"x"
            await new.close()
            await old.close()

    run(main)


def test_external_connections_come_by_amqtts_adapters() -> None:
    async def main() -> None:
        config = {"listeners": {"default": {"type": "external"}}}
        async with running(config) as broker:
            served: list[str] = []

            async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await broker.external_connected(
                    StreamReaderAdapter(reader), StreamWriterAdapter(writer), "default"
                )
                served.append("one")
                # amqtt's adapter leaves a stream open whose other end has been cut.
                writer.close()

            server = await asyncio.start_server(connected, LOCAL, 0)
            address = server.sockets[0].getsockname()
            client = await Wire.open(address)
            await client.round_trip("a")
            assert broker.session("a").remote_address == LOCAL
            other = await Wire.open(address)
            await other.round_trip("a")
            taken = await client.recv()
            assert isinstance(taken, Disconnect) and taken.reason_code == 0x8E
            assert await client.recv() is None
            await client.close()
            await other.close()
            server.close()
            await server.wait_closed()
            while len(served) < 2:
                await asyncio.sleep(0.01)
            reader = asyncio.StreamReader()
            with pytest.raises(ConfigurationError, match="nowhere"):
                await broker.external_connected(StreamReaderAdapter(reader), None, "nowhere")

    run(main)


# Start and stop --------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_a_configuration_error_and_nothing_stays_open(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        with socket.create_server((LOCAL, 0)) as taken:
            port = taken.getsockname()[1]
            for kind in ("tcp", "ws"):
                config = listeners(second={"type": kind, "bind": f"{LOCAL}:{port}"})
                broker = Broker(config=config)
                with pytest.raises(ConfigurationError, match=f"{port}.*Choose another port"):
                    await broker.start()
                assert not broker.bound
        listening = [c for c in psutil.Process().net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        assert not [c for c in listening if c.laddr.port == port]
        assert len(listening) == before

    before = len([c for c in psutil.Process().net_connections("tcp") if c.status == psutil.CONN_LISTEN])
    run(main)
    assert not caplog.records, caplog.text


@pytest.mark.parametrize("bind", [f"{LOCAL}:99999", f"{LOCAL}:port", "256.0.0.1:0"])
def test_an_address_that_cannot_be_is_a_configuration_error(bind: str) -> None:
    async def main() -> None:
        with pytest.raises(ConfigurationError):
            async with running({"listeners": {"default": {"type": "tcp", "bind": bind}}}):
                raise AssertionError("started")

    run(main)


def test_shutdown_leaves_nothing_and_the_port_may_be_used_again_at_once() -> None:
    async def main() -> None:
        broker = Broker(config=listeners(websocket=WEBSOCKET))
        await broker.start()
        addresses = dict(broker.bound)
        client = await Wire.open(addresses["default"])
        await client.round_trip("a")
        silent = await Wire.open(addresses["default"])
        _, packet = await asyncio.gather(broker.shutdown(), client.recv())
        assert isinstance(packet, Disconnect) and packet.reason_code == 0x8B
        assert await client.recv() is None and await silent.recv() is None
        for address in addresses.values():
            with pytest.raises(ConnectionRefusedError):
                await Wire.open(address)
        await broker.shutdown()  # twice does no harm
        await client.close()
        await silent.close()
        # Another broker, and the same one again, on the same port.
        again = Broker(
            config={
                "listeners": {"default": {"type": "tcp", "bind": ":".join(map(str, addresses["default"]))}}
            }
        )
        for _ in range(2):
            await again.start()
            assert again.bound["default"] == addresses["default"]
            client = await Wire.open(addresses["default"])
            await client.round_trip("a")
            await asyncio.gather(again.shutdown(), client.recv())
            await client.close()
            assert not again.sessions and not again.subscriptions and not again.retained_messages

    run(main)


def test_a_listener_keeps_its_own_limit_of_connections() -> None:
    async def main() -> None:
        config = listeners(small={"type": "tcp", "bind": f"{LOCAL}:0", "max_connections": 2})
        async with running(config) as broker:
            kept = [await Wire.open(broker.bound["small"]) for _ in range(2)]
            for number, client in enumerate(kept):
                await client.round_trip(f"kept-{number}")
            refused = await Wire.open(broker.bound["small"])
            refused.send(connect_packet("refused"))
            assert await refused.recv() is None
            await refused.close()
            other = await Wire.open(broker.bound["default"])
            await other.round_trip("other")
            await kept.pop().close()
            while len(broker.connections) > 2:
                await asyncio.sleep(0.01)
            late = await Wire.open(broker.bound["small"])
            await late.round_trip("late")
            for client in (*kept, other, late):
                await client.close()

    run(main)


@pytest.fixture
def thread_count() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("asyncio")]


def test_a_hundred_brokers_in_one_process(thread_count: None) -> None:
    async def main() -> None:
        tracemalloc.start()
        before, begun = tracemalloc.get_traced_memory()[0], time.monotonic()
        brokers = [Broker(BrokerSettings(name=f"broker-{number}")) for number in range(100)]
        for broker in brokers:
            await broker.start()
        took = time.monotonic() - begun
        each = (tracemalloc.get_traced_memory()[0] - before) / len(brokers)
        tracemalloc.stop()
        assert took < 5.0, f"{took:.1f} s"
        assert each < 200 * 1024, f"{each / 1024:.0f} KiB a broker"
        for broker in (brokers[0], brokers[-1]):
            client = await Wire.open(broker.bound["default"])
            await client.round_trip("a")
            await client.close()
        for broker in brokers:
            await broker.shutdown()
        print(f"\n100 brokers: {took:.2f} s, {each / 1024:.0f} KiB each")

    run(main)


# The synchronous face --------------------------------------------------------------------------


def test_in_process_broker_with_all_three_listeners(authority: Authority) -> None:
    certificate, key = authority.issue("server")
    with InProcessBroker(
        websocket_port=0, tls_port=0, certificate=certificate, key=key, ca=authority.file
    ) as broker:
        ports = {broker.port, broker.websocket_port, broker.tls_port}
        assert len(ports) == 3 and broker.host == LOCAL
        got = threading.Event()
        client = paho.Client(CallbackAPIVersion.VERSION2, "a", protocol=paho.MQTTv5)
        client.tls_set(ca_certs=authority.file)
        client.on_connect = lambda *_: client.subscribe("t")
        client.on_subscribe = lambda *_: client.publish("t", b"x")
        client.on_message = lambda *_: got.set()
        client.connect(broker.host, broker.tls_port)
        client.loop_start()
        assert got.wait(10)
        client.disconnect()
        client.loop_stop()
        with pytest.raises(ConfigurationError, match="Choose another port"):
            InProcessBroker(port=broker.port).start()
        assert broker.start() is broker
    broker.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOCAL, broker.port), timeout=5)
