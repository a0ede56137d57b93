"""Code written for sockets on a memory link: paho itself, and amqtt's stream adapters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import paho.mqtt.client as paho
import pytest
from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from paho.mqtt.enums import CallbackAPIVersion

from mqttsec.errors import ConfigurationError
from mqttsec.net import LinkSettings, LinkSocket, MemoryNetwork, run_virtual


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an asynchronous test under the virtual clock."""

    def run() -> None:
        run_virtual(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


class Peer(asyncio.Protocol):
    """Keeps what it gets; the test answers through its transport."""

    last: Peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.data = b""
        Peer.last = self

    def data_received(self, data: bytes) -> None:
        self.data += data


@virtual
async def test_it_connects_sends_and_receives_without_blocking() -> None:
    network = MemoryNetwork(default=LinkSettings(delay=0.1))
    network.listen(Peer, "broker", 1883)
    calls: list[tuple[float, bytes]] = []
    loop = asyncio.get_running_loop()
    socket = LinkSocket(
        network,
        "broker",
        1883,
        source="alice",
        on_readable=lambda: calls.append((loop.time(), socket.recv(4))),
    )
    socket.setblocking(False)
    socket.settimeout(0)
    assert socket.fileno() == -1
    assert socket.getpeername() == ("broker", 1883) and socket.getsockname()[0] == "alice"
    assert socket.send(b"early, ") == 7
    with pytest.raises(BlockingIOError):
        socket.recv(10)
    await asyncio.sleep(1)
    assert socket.send(b"late") == 4
    await asyncio.sleep(1)
    assert Peer.last.data == b"early, late"
    Peer.last.transport.write(b"an answer")
    await asyncio.sleep(1)
    # Called again while there is something, like a selector.
    assert calls == [(2.1, b"an a"), (2.1, b"nswe"), (2.1, b"r")]
    Peer.last.transport.close()
    await asyncio.sleep(1)
    assert calls[3:] == [(pytest.approx(3.1), b"")]
    socket.close()
    socket.close()
    with pytest.raises(OSError, match="closed"):
        socket.recv(1)
    with pytest.raises(OSError, match="closed"):
        socket.send(b"x")
    await asyncio.sleep(1)
    assert network.connections == () and not network.losses


@virtual
async def test_refused_reset_and_timed_out_are_told_by_recv() -> None:
    network = MemoryNetwork()
    told: list[str] = []
    refused = LinkSocket(network, "broker", 1883, on_readable=lambda: told.append("readable"))
    await asyncio.sleep(1)
    assert told == ["readable"]
    with pytest.raises(ConnectionRefusedError):
        refused.recv(1)
    with pytest.raises(ConnectionRefusedError):
        refused.send(b"x")
    refused.close()
    network.listen(Peer, "broker", 1883)
    reset = LinkSocket(network, "broker", 1883)
    await asyncio.sleep(1)
    Peer.last.transport.write(b"first this")
    await asyncio.sleep(1)
    Peer.last.transport.abort()
    await asyncio.sleep(1)
    assert reset.pending() == 10
    assert reset.recv(100) == b"first this"
    with pytest.raises(ConnectionResetError):
        reset.recv(100)
    network.partition("bob", "broker")
    silent = LinkSocket(network, "broker", 1883, source="bob")
    await asyncio.sleep(200)
    with pytest.raises(TimeoutError):
        silent.recv(1)


@virtual
async def test_a_callback_that_takes_nothing_is_not_called_for_ever() -> None:
    network = MemoryNetwork()
    network.listen(Peer, "broker", 1883)
    calls: list[None] = []
    LinkSocket(network, "broker", 1883, on_readable=lambda: calls.append(None))
    await asyncio.sleep(1)
    Peer.last.transport.write(b"x")
    await asyncio.sleep(1)
    Peer.last.transport.write(b"y")
    await asyncio.sleep(1)
    assert len(calls) == 2


@virtual
async def test_both_directions_stop_at_a_slow_reader() -> None:
    network = MemoryNetwork(default=LinkSettings(delay=0.1, window=10_000))
    network.listen(Peer, "broker", 1883)
    room: list[str] = []
    socket = LinkSocket(network, "broker", 1883, on_writable=lambda: room.append("room"))
    sent = 0
    with pytest.raises(BlockingIOError):
        while True:
            sent += socket.send(bytes(50_000))
    assert sent == 65536
    await asyncio.sleep(0.5)
    assert room == ["room"]
    Peer.last.transport.pause_reading()
    with pytest.raises(BlockingIOError):
        while True:
            sent += socket.send(bytes(50_000))
    Peer.last.transport.resume_reading()
    await asyncio.sleep(100)
    assert len(Peer.last.data) == sent and room == ["room", "room"]
    Peer.last.transport.write(bytes(500_000))
    await asyncio.sleep(100)
    assert socket.pending() < 65536 + 10_001
    got = 0
    while got < 500_000:
        got += len(socket.recv(100_000))
        await asyncio.sleep(1)


@virtual
async def test_closing_at_once_still_delivers_what_was_sent() -> None:
    network = MemoryNetwork(default=LinkSettings(delay=0.1))
    network.listen(Peer, "broker", 1883)
    socket = LinkSocket(network, "broker", 1883)
    socket.send(b"only this")
    socket.close()
    idle = LinkSocket(network, "broker", 1883)
    idle.close()
    await asyncio.sleep(1)
    assert Peer.last.data == b"only this" and network.connections == ()


@virtual
async def test_it_cannot_block() -> None:
    network = MemoryNetwork()
    socket = LinkSocket(network, "broker", 1883)
    with pytest.raises(ConfigurationError, match="cannot block"):
        socket.setblocking(True)
    with pytest.raises(ConfigurationError, match="cannot block"):
        socket.settimeout(None)
    socket.close()


# paho


class LinkedPaho(paho.Client):
    """paho as it is, over a LinkSocket: reads on arrival, keep alive by a timer of the loop."""

    def __init__(self, network: MemoryNetwork, client_id: str) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5)
        self.suppress_exceptions = False
        self._network = network
        # What a callback of paho sends waits until the callback has returned.
        self.on_socket_register_write = self._write_soon
        self._tick()

    def _create_socket(self) -> LinkSocket:  # type: ignore[override]
        return LinkSocket(
            self._network,
            self._host,
            self._port,
            source=self._client_id.decode(),
            on_readable=self.loop_read,
            on_writable=self.loop_write,
        )

    def _write_soon(self, *_: object) -> None:
        asyncio.get_running_loop().call_soon(self.loop_write)

    def _tick(self) -> None:
        self.loop_misc()
        asyncio.get_running_loop().call_later(1.0, self._tick)


class ScriptedBroker(asyncio.Protocol):
    """Just enough of MQTT 5 for one client: each packet type has one fixed answer."""

    def __init__(self, answers_pings: Callable[[], bool]) -> None:
        self.seen: list[tuple[float, int]] = []
        self.buffer = b""
        self.answers_pings = answers_pings

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while len(self.buffer) >= 2 and len(self.buffer) >= 2 + self.buffer[1]:
            assert self.buffer[1] < 128  # No packet of this script is longer.
            packet, self.buffer = self.buffer[: 2 + self.buffer[1]], self.buffer[2 + self.buffer[1] :]
            self.answer(packet)

    def answer(self, packet: bytes) -> None:
        kind = packet[0] >> 4
        self.seen.append((round(asyncio.get_running_loop().time(), 6), kind))
        if kind == 1:  # CONNECT: CONNACK, success, no properties
            self.transport.write(b"\x20\x03\x00\x00\x00")
        elif kind == 8:  # SUBSCRIBE: SUBACK, granted QoS 1, and a message for "a"
            self.transport.write(b"\x90\x04" + packet[2:4] + b"\x00\x01")
            self.transport.write(b"\x32\x08\x00\x01a\x00\x07\x00hi")
        elif kind == 3:  # PUBLISH at QoS 1, topic "t": PUBACK
            self.transport.write(b"\x40\x02" + packet[5:7])
        elif kind == 12 and self.answers_pings():
            self.transport.write(b"\xd0\x00")


def paho_session(monkeypatch: pytest.MonkeyPatch) -> tuple[list[Any], list[tuple[float, int]]]:
    async def main() -> tuple[list[Any], list[tuple[float, int]]]:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(paho, "time_func", loop.time)
        network = MemoryNetwork(default=LinkSettings(delay=0.05))
        answering = [True]
        brokers: list[ScriptedBroker] = []

        def serve() -> ScriptedBroker:
            brokers.append(ScriptedBroker(lambda: answering[0]))
            return brokers[-1]

        network.listen(serve, "broker", 1883)
        log: list[Any] = []

        def note(*what: object) -> None:
            log.append((round(loop.time(), 6), *what))

        client = LinkedPaho(network, "alice")
        client.on_connect = lambda c, u, flags, reason, properties: (
            note("connected", str(reason)),
            c.subscribe("a", 1),
        )
        client.on_subscribe = lambda c, u, mid, reasons, properties: note("subscribed", str(reasons[0]))
        client.on_message = lambda c, u, message: note("message", message.topic, message.payload)
        client.on_publish = lambda c, u, mid, reason, properties: note("published", str(reason))
        client.on_disconnect = lambda c, u, flags, reason, properties: note("disconnected", str(reason))
        client.connect("broker", 1883, keepalive=10)
        await asyncio.sleep(2)
        client.publish("t", b"x", qos=1)
        await asyncio.sleep(30)
        answering[0] = False
        await asyncio.sleep(60)
        client.reconnect()
        await asyncio.sleep(1)
        network.cut("alice", "broker")
        await asyncio.sleep(1)
        network._listeners.clear()
        client.reconnect()
        await asyncio.sleep(1)
        return log, brokers[0].seen

    return run_virtual(main())


def test_paho_runs_over_a_memory_link_under_virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    log, seen = paho_session(monkeypatch)
    # Two round trips of 0.1 s: the handshake, then CONNECT and CONNACK; one more for SUBSCRIBE.
    assert log[:4] == [
        (0.2, "connected", "Success"),
        (0.3, "subscribed", "Granted QoS 1"),
        (0.3, "message", "a", b"hi"),
        (2.1, "published", "Success"),
    ]
    # Then PINGREQs and an unanswered one; a new connection and a cut; a refusal. paho 2.2's
    # loop_misc() tells of a keep alive time-out twice, which is no matter here.
    assert [event for event in log[4:] if event[1:] == ("disconnected", "Keep alive timeout")]
    told = [what for _, what, *_ in log[4:] if what != "disconnected" or _[0] != "Keep alive timeout"]
    assert told == ["connected", "subscribed", "message", "disconnected", "disconnected"]
    assert log[4][2] == "Keep alive timeout"
    assert [kind for _, kind in seen][:4] == [1, 8, 4, 3]
    assert [kind for _, kind in seen].count(12) >= 3
    # And all of it is the same every time.
    assert paho_session(monkeypatch) == (log, seen)


# amqtt


@virtual
async def test_amqtts_stream_adapters_run_over_a_memory_link() -> None:
    network = MemoryNetwork(default=LinkSettings(delay=0.1, jitter=0.1, segment=3))
    served: list[Any] = []

    async def external_connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # What a caller of amqtt's Broker.external_connected() wraps its streams in.
        adapted_reader, adapted_writer = StreamReaderAdapter(reader), StreamWriterAdapter(writer)
        served.append(adapted_writer.get_peer_info())
        served.append(await adapted_reader.read(4))
        adapted_writer.write(b"answer")
        await adapted_writer.drain()
        await adapted_writer.close()

    network.listen_streams(external_connected, "broker", 1883)
    reader, writer = await network.open_streams("broker", 1883, source=("alice", 50_000))
    writer.write(b"PING")
    assert await reader.read() == b"answer"
    assert served == [("alice", 50_000), b"PING"]
    writer.close()
    await writer.wait_closed()
