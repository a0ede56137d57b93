"""Memory links: whole asyncio transports with TCP's manners, and what the settings do to them."""

from __future__ import annotations

import asyncio
import gc
import ssl
import time
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from mqttsec.errors import ConfigurationError
from mqttsec.net import LinkSettings, LinkTransport, Loss, LossCause, MemoryNetwork, OnLoss, run_virtual


class Recorder(asyncio.Protocol):
    """Writes down everything that it is told, with the time."""

    def __init__(self, keep_open: bool = False) -> None:
        self.log: list[tuple[float, str, object]] = []
        self.data = b""
        self.keep_open = keep_open
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def note(self, what: str, value: object = None) -> None:
        self.log.append((asyncio.get_running_loop().time(), what, value))

    @property
    def told(self) -> list[str]:
        return [what for _, what, _ in self.log]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, LinkTransport)
        self.transport = transport
        self.note("made")

    def data_received(self, data: bytes) -> None:
        assert data
        self.data += data
        self.note("data", data)

    def eof_received(self) -> bool:
        self.note("eof")
        return self.keep_open

    def connection_lost(self, error: Exception | None) -> None:
        self.note("lost", type(error) if error else None)
        self.gone.set_result(None)

    def pause_writing(self) -> None:
        self.note("pause")

    def resume_writing(self) -> None:
        self.note("resume")


class Pair:
    """A connection with a Recorder at each end."""

    def __init__(self, network: MemoryNetwork, client: Recorder, server: Recorder) -> None:
        self.network, self.client, self.server = network, client, server
        self.at_client, self.at_server = client.transport, server.transport


async def connected(
    settings: LinkSettings | None = None, seed: int = 1, keep_open: bool = False, **options: Any
) -> Pair:
    network = MemoryNetwork(default=settings, seed=seed, **options)
    servers: list[Recorder] = []
    ready = asyncio.Event()

    def serve() -> Recorder:
        servers.append(Recorder(keep_open))
        ready.set()
        return servers[0]

    network.listen(serve, "broker", 1883)
    _, client = await network.connect(lambda: Recorder(keep_open), "broker", 1883, source="alice")
    await ready.wait()
    return Pair(network, client, servers[0])


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an asynchronous test under the virtual clock."""

    def run() -> None:
        run_virtual(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


# Opening


@virtual
async def test_opening_takes_one_round_trip_and_the_listener_half_a_one_more() -> None:
    pair = await connected(LinkSettings(delay=0.05))
    assert pair.client.log == [(0.1, "made", None)]
    assert pair.server.log == [(pytest.approx(0.15), "made", None)]


@virtual
async def test_addresses() -> None:
    pair = await connected()
    assert pair.at_server.get_extra_info("sockname") == ("broker", 1883)
    host, port = pair.at_server.get_extra_info("peername")
    assert host == "alice" and 49152 <= port <= 65535
    assert pair.at_client.get_extra_info("peername") == ("broker", 1883)
    assert pair.at_client.get_extra_info("sockname") == (host, port)
    assert pair.at_client.get_extra_info("ssl_object", "none") == "none"
    assert repr(pair.at_client) == f"<LinkTransport ('alice', {port}) to ('broker', 1883) open>"


@virtual
async def test_nobody_listens_is_refused_after_a_round_trip() -> None:
    network = MemoryNetwork(default=LinkSettings(delay=0.5))
    with pytest.raises(ConnectionRefusedError, match="nobody listens on port 1883 of broker"):
        await network.connect(Recorder, "broker", 1883)
    assert asyncio.get_running_loop().time() == 1.0
    server = network.listen(Recorder, "broker", 1883)
    async with server:
        assert server.is_serving()
        await network.connect(Recorder, "broker", 1883)
    assert not server.is_serving()
    with pytest.raises(ConnectionRefusedError):
        await network.connect(Recorder, "broker", 1883)


@virtual
async def test_a_taken_port_and_a_port_that_cannot_be_are_told() -> None:
    network = MemoryNetwork()
    first = network.listen(Recorder, "broker", 1883)
    with pytest.raises(ConfigurationError, match="port 1883 of broker is taken"):
        network.listen(Recorder, "broker", 1883)
    first.close()
    first.close()
    network.listen(Recorder, "broker", 1883)
    with pytest.raises(ConfigurationError, match="70000"):
        network.listen(Recorder, "broker", 70000)
    free = network.listen(Recorder, "broker")
    assert free.address[1] not in (0, 1883)
    await network.connect(Recorder, *free.address)


@virtual
async def test_a_listener_whose_factory_fails_resets_and_goes_on() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    network = MemoryNetwork()
    fail = [True]

    def serve() -> Recorder:
        if fail[0]:
            raise RuntimeError("no room")
        return Recorder()

    network.listen(serve, "broker", 1883)
    _, client = await network.connect(Recorder, "broker", 1883)
    client.transport.write(b"hello")
    await client.gone
    assert client.log[-1][1:] == ("lost", ConnectionResetError)
    assert [str(c["exception"]) for c in complaints] == ["no room"]
    assert [loss.data for loss in network.losses] == [b"hello"]
    assert network.connections == ()
    fail[0] = False
    await network.connect(Recorder, "broker", 1883)


@virtual
async def test_a_client_factory_that_fails_fails_the_connect() -> None:
    network = MemoryNetwork()
    network.listen(Recorder, "broker", 1883)

    def fail() -> Recorder:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await network.connect(fail, "broker", 1883)
    assert network.connections == ()


@virtual
async def test_a_cancelled_connect_leaves_nothing() -> None:
    network = MemoryNetwork(default=LinkSettings(delay=1))
    servers: list[Recorder] = []

    def serve() -> Recorder:
        servers.append(Recorder())
        return servers[-1]

    network.listen(serve, "broker", 1883)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(network.connect(Recorder, "broker", 1883), 1.5)
    await asyncio.sleep(10)
    assert servers == [] and network.connections == ()


# Bytes


@virtual
async def test_bytes_take_the_delay_each_way() -> None:
    pair = await connected(LinkSettings(delay=0.25))
    start = asyncio.get_running_loop().time()
    pair.at_client.write(b"there")
    pair.at_server.writelines([b"ba", bytearray(b"c"), memoryview(b"k")])
    await asyncio.sleep(1)
    assert pair.server.log[-1] == (start + 0.25, "data", b"there")
    assert pair.client.log[-1] == (start + 0.25, "data", b"back")


@virtual
async def test_what_is_written_in_one_moment_arrives_as_one() -> None:
    pair = await connected()
    for n in range(100):
        pair.at_client.write(b"%02d" % n)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [value for _, what, value in pair.server.log if what == "data"] == [
        b"".join(b"%02d" % n for n in range(100))
    ]


@virtual
async def test_bandwidth_is_the_time_between_segments() -> None:
    pair = await connected(LinkSettings(delay=0.1, bandwidth=1000, segment=100))
    start = asyncio.get_running_loop().time()
    pair.at_client.write(bytes(1000))
    await asyncio.sleep(5)
    times = [at - start for at, what, _ in pair.server.log if what == "data"]
    assert times == pytest.approx([0.1 + 0.1 * n for n in range(1, 11)])


@virtual
async def test_connections_between_the_same_hosts_share_their_bandwidth() -> None:
    network = MemoryNetwork(default=LinkSettings(bandwidth=1000, segment=100))
    done: list[float] = []

    class Sink(asyncio.Protocol):
        size = 0

        def data_received(self, data: bytes) -> None:
            self.size += len(data)
            if self.size == 1000:
                done.append(asyncio.get_running_loop().time())

    network.listen(Sink, "broker", 1883)
    transports = [
        (await network.connect(Recorder, "broker", 1883, source=source))[0]
        for source in ("alice", "alice", "bob")
    ]
    own, _ = await network.connect(
        Recorder, "broker", 1883, source="alice", settings=LinkSettings(bandwidth=10_000)
    )
    for transport in (*transports, own):
        transport.write(bytes(1000))
    await asyncio.sleep(10)
    assert done == pytest.approx([0.1, 1.0, 1.0, 2.0])


@given(
    chunks=st.lists(st.binary(max_size=4000), max_size=12),
    delay=st.sampled_from([0.0, 0.01]),
    bandwidth=st.sampled_from([None, 5000.0]),
    jitter=st.sampled_from([0.0, 0.5]),
    loss=st.sampled_from([0.0, 0.4]),
    reorder=st.sampled_from([0.0, 0.5]),
    segment=st.sampled_from([1, 7, 1460]),
    window=st.sampled_from([1, 10, 3000, 262_144]),
    pauses=st.lists(st.sampled_from([0.0, 0.001, 0.3]), max_size=6),
    seed=st.integers(0, 3),
)
@settings(max_examples=120, deadline=None)
def test_every_byte_arrives_once_and_in_order_whatever_the_link_does(
    chunks: list[bytes],
    delay: float,
    bandwidth: float | None,
    jitter: float,
    loss: float,
    reorder: float,
    segment: int,
    window: int,
    pauses: list[float],
    seed: int,
) -> None:
    link = LinkSettings(
        delay, bandwidth, jitter, loss, reorder=reorder, segment=max(segment, 50 if window > 99 else 1),
        window=max(window, 50),
    )  # fmt: skip

    async def main() -> tuple[list[Any], list[Any]]:
        pair = await connected(link, seed)
        for index, chunk in enumerate(chunks):
            pair.at_client.write(chunk)
            pair.at_server.write(chunk[::-1])
            if index < len(pauses):
                pair.at_server.pause_reading()
                await asyncio.sleep(pauses[index])
                pair.at_server.resume_reading()
        pair.at_client.write_eof()
        await asyncio.wait([pair.client.gone, pair.server.gone])
        assert pair.server.data == b"".join(chunks)
        assert pair.client.data == b"".join(chunk[::-1] for chunk in chunks)
        assert pair.server.log[-1][1:] == ("lost", None)
        assert not pair.network.losses and not pair.network.connections
        return pair.client.log, pair.server.log

    # The same seed gives the same events at the same times.
    assert run_virtual(main(), horizon=None) == run_virtual(main(), horizon=None)


def test_another_seed_gives_another_run() -> None:
    async def main(seed: int) -> list[Any]:
        pair = await connected(LinkSettings(jitter=0.5), seed)
        pair.at_client.write(bytes(10_000))
        await asyncio.sleep(5)
        return pair.server.log

    assert run_virtual(main(1)) == run_virtual(main(1))
    assert run_virtual(main(1)) != run_virtual(main(2))


def test_the_traffic_on_one_link_does_not_change_another() -> None:
    async def main(noise: bool) -> list[Any]:
        network = MemoryNetwork(default=LinkSettings(delay=0.01, jitter=0.3, loss=0.2), seed=9)
        servers: dict[str, Recorder] = {}

        class Server(Recorder):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                servers[transport.get_extra_info("peername")[0]] = self

        network.listen(Server, "broker", 1883)
        if noise:
            other, _ = await network.connect(Recorder, "broker", 1883, source="bob")
            other.write(bytes(50_000))
        begin = asyncio.get_running_loop().time()
        transport, _ = await network.connect(Recorder, "broker", 1883, source="alice")
        for _ in range(20):
            transport.write(bytes(3000))
        await asyncio.sleep(60)
        return [(at - begin, what, value) for at, what, value in servers["alice"].log]

    quiet, noisy = run_virtual(main(False)), run_virtual(main(True))
    assert [what for _, what, _ in quiet] == [what for _, what, _ in noisy]
    assert [at for at, _, _ in quiet] == pytest.approx([at for at, _, _ in noisy])


def test_messages_of_one_moment_arrive_in_the_order_of_their_writing_on_any_loop() -> None:
    """asyncio's own timers of one moment have no order; the network's have."""

    async def main() -> list[int]:
        network = MemoryNetwork(default=LinkSettings(delay=0.02))
        got: list[int] = []

        class Server(asyncio.Protocol):
            def data_received(self, data: bytes) -> None:
                got.extend(data)

        network.listen(Server, "broker", 1883)
        opened = await asyncio.gather(
            *(network.connect(asyncio.Protocol, "broker", 1883) for _ in range(100))
        )
        await asyncio.sleep(0.1)
        # The same moment for all of them, on a real clock too.
        loop = asyncio.get_running_loop()
        moment = loop.time()
        loop.time = lambda: moment  # type: ignore[method-assign]
        for n, (transport, _) in enumerate(opened):
            transport.write(bytes([n]))
        del loop.time
        while len(got) < 100:
            await asyncio.sleep(0.01)
        return got

    assert run_virtual(main()) == list(range(100))
    assert asyncio.run(main()) == list(range(100))


@virtual
async def test_loss_on_a_stream_is_delay_and_is_counted() -> None:
    pair = await connected(LinkSettings(delay=0.01, loss=0.5, retransmit_after=1.0, segment=100), seed=3)
    start = asyncio.get_running_loop().time()
    before = pair.network.connections[0].retransmitted
    pair.at_client.write(bytes(2000))
    await asyncio.sleep(4000)
    assert len(pair.server.data) == 2000
    assert pair.network.connections[0].retransmitted > before
    waits = {round(at - start, 6) for at, what, _ in pair.server.log if what == "data"}
    # 1 s, then 2 s more, then 4 s more: each loss of the same segment doubles the wait.
    assert waits <= {0.01, 1.01, 3.01, 7.01, 15.01, 31.01, 63.01, 123.01} and len(waits) > 1


@virtual
async def test_a_detour_holds_up_what_is_behind_it() -> None:
    pair = await connected(LinkSettings(reorder=0.3, reorder_delay=2.0, segment=10), seed=5)
    pair.at_client.write(bytes(range(200)))
    await asyncio.sleep(30)
    assert pair.server.data == bytes(range(200))
    assert pair.network.connections[0].reordered > 0


# Flow control


@virtual
async def test_a_reader_that_pauses_stops_the_writer_and_bounds_what_is_kept() -> None:
    pair = await connected(LinkSettings(delay=0.1, window=10_000))
    pair.at_client.set_write_buffer_limits(high=5000, low=1000)
    assert pair.at_client.get_write_buffer_limits() == (1000, 5000)
    pair.at_server.pause_reading()
    assert not pair.at_server.is_reading()
    for _ in range(16):
        pair.at_client.write(bytes(1000))
    assert pair.client.told == ["made", "pause"]
    await asyncio.sleep(10)
    assert pair.at_client.get_write_buffer_size() == 6000
    assert pair.server.data == b""
    resumed = asyncio.get_running_loop().time()
    pair.at_server.resume_reading()
    pair.at_server.resume_reading()
    await asyncio.sleep(10)
    assert len(pair.server.data) == 16_000
    # The writer hears of it one way later.
    assert pair.client.log[-1] == (resumed + 0.1, "resume", None)
    assert pair.at_client.get_write_buffer_size() == 0


@virtual
async def test_the_window_and_the_round_trip_limit_the_rate() -> None:
    pair = await connected(LinkSettings(delay=0.5, window=1000))
    start = asyncio.get_running_loop().time()
    pair.at_client.write(bytes(5000))
    await asyncio.sleep(30)
    times = [at - start for at, what, _ in pair.server.log if what == "data"]
    assert times == [0.5, 1.5, 2.5, 3.5, 4.5]


@virtual
async def test_a_writer_that_waits_for_drain_never_holds_much() -> None:
    network = MemoryNetwork(default=LinkSettings(delay=0.01, bandwidth=1e6))
    got = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        while data := await reader.read(50_000):
            got += len(data)
            await asyncio.sleep(0.01)
        writer.close()

    network.listen_streams(serve, "broker", 1883)
    reader, writer = await network.open_streams("broker", 1883, source="alice")
    most = 0
    for _ in range(200):
        writer.write(bytes(20_000))
        most = max(most, writer.transport.get_write_buffer_size())  # type: ignore[attr-defined]
        await writer.drain()
    writer.write_eof()
    assert await reader.read() == b""
    assert got == 4_000_000 and 0 < most < 200_000


@virtual
async def test_write_buffer_limits_follow_asyncio() -> None:
    pair = await connected()
    assert pair.at_client.get_write_buffer_limits() == (16384, 65536)
    pair.at_client.set_write_buffer_limits(low=100)
    assert pair.at_client.get_write_buffer_limits() == (100, 400)
    with pytest.raises(ValueError):
        pair.at_client.set_write_buffer_limits(high=1, low=2)
    with pytest.raises(TypeError):
        pair.at_client.write("text")  # type: ignore[arg-type]


# Ending


@virtual
async def test_close_delivers_what_was_written_then_both_ends_are_over() -> None:
    pair = await connected(LinkSettings(delay=0.1, window=100))
    pair.at_client.write(bytes(1000))
    pair.at_client.close()
    assert pair.at_client.is_closing() and not pair.at_client.is_reading()
    await asyncio.wait([pair.client.gone, pair.server.gone])
    assert len(pair.server.data) == 1000
    assert pair.server.told[-2:] == ["eof", "lost"] and pair.server.log[-1][2] is None
    assert pair.client.told == ["made", "lost"] and pair.client.log[-1][2] is None
    await asyncio.sleep(1)
    assert pair.network.connections == () and not pair.network.losses


@virtual
async def test_half_close_keeps_the_other_direction() -> None:
    pair = await connected(LinkSettings(delay=0.1), keep_open=True)
    assert pair.at_client.can_write_eof()
    pair.at_client.write(b"question")
    pair.at_client.write_eof()
    with pytest.raises(RuntimeError):
        pair.at_client.write(b"more")
    await asyncio.sleep(1)
    assert pair.server.told == ["made", "data", "eof"]
    pair.at_server.write(b"answer")
    pair.at_server.close()
    await asyncio.sleep(1)
    assert pair.client.data == b"answer" and pair.client.told[-1] == "eof"
    pair.at_client.close()
    await pair.client.gone
    assert pair.network.connections == () and not pair.network.losses


@virtual
async def test_abort_loses_what_waits_and_resets_the_peer() -> None:
    pair = await connected(LinkSettings(delay=0.1, window=100))
    pair.at_client.write(b"x" * 100 + b"y" * 50)
    pair.at_client.abort()
    await pair.client.gone
    assert pair.client.log[-1][1:] == ("lost", None)
    await pair.server.gone
    assert pair.server.data == b"x" * 100
    assert pair.server.log[-1][1:] == ("lost", ConnectionResetError)
    (loss,) = pair.network.losses
    assert (loss.data, loss.offset, loss.cause) == (b"y" * 50, 100, LossCause.ABORTED)
    assert loss.source[0] == "alice" and loss.destination == ("broker", 1883) and loss.connection == 1


@virtual
async def test_bytes_for_an_end_that_closed_are_lost_and_reset_a_half_open_peer() -> None:
    pair = await connected(LinkSettings(delay=0.1), keep_open=True)
    pair.at_client.write(b"last words")
    pair.at_client.close()
    await asyncio.sleep(1)
    assert pair.server.data == b"last words" and pair.server.told[-1] == "eof"
    pair.at_server.write(b"too late")
    await pair.server.gone
    assert pair.server.log[-1][1:] == ("lost", ConnectionResetError)
    assert [(loss.data, loss.cause) for loss in pair.network.losses] == [(b"too late", LossCause.CLOSED)]
    pair.at_server.write(b"never")
    assert [loss.data for loss in pair.network.losses] == [b"too late", b"never"]
    assert pair.network.losses[1].offset == 8
    await asyncio.sleep(1)
    assert pair.network.connections == ()


@virtual
async def test_a_peer_stuck_behind_a_full_window_is_freed_when_the_reader_closes() -> None:
    pair = await connected(LinkSettings(delay=0.1, window=100), keep_open=True)
    pair.at_server.pause_reading()
    pair.at_client.write(bytes(500))
    await asyncio.sleep(1)
    pair.at_client.close()
    await asyncio.sleep(1)
    assert not pair.client.gone.done()
    pair.at_server.close()
    await asyncio.wait([pair.client.gone, pair.server.gone])
    assert pair.client.log[-1][1:] == ("lost", ConnectionResetError)
    assert sum(len(loss.data) for loss in pair.network.losses) == 500
    assert pair.network.connections == ()


@virtual
async def test_a_protocol_that_raises_loses_only_its_own_connection() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    class Raises(Recorder):
        def data_received(self, data: bytes) -> None:
            raise ZeroDivisionError("in data_received")

    network = MemoryNetwork()
    network.listen(Raises, "broker", 1883)
    _, client = await network.connect(Recorder, "broker", 1883)
    _, bystander = await network.connect(Recorder, "broker", 1883)
    client.transport.write(b"x")
    await client.gone
    assert client.log[-1][1:] == ("lost", ConnectionResetError)
    assert [str(c["exception"]) for c in complaints] == ["in data_received"]
    assert not bystander.gone.done()
    assert len(network.connections) == 1


# Cutting, breaking, partitions


@virtual
async def test_a_cut_loses_everything_under_way_both_ways_and_says_what() -> None:
    seen: list[Loss] = []
    pair = await connected(LinkSettings(delay=0.1, window=10), on_loss=seen.append)
    pair.at_client.write(b"abcdef")
    await asyncio.sleep(0.2)
    pair.at_client.write(b"0123456789 and more")
    pair.at_server.write(b"acknowledged")
    pair.at_client.get_extra_info("connection").cut()
    pair.network.connections[0].cut()
    assert pair.at_client.is_closing()
    await asyncio.wait([pair.client.gone, pair.server.gone])
    assert pair.server.data == b"abcdef" and pair.client.data == b""
    for end in (pair.client, pair.server):
        assert end.log[-1][1:] == ("lost", ConnectionResetError)
    assert [(loss.source[0], loss.offset, loss.data, loss.cause) for loss in seen] == [
        ("alice", 6, b"0123456789 and more", LossCause.CUT),
        ("broker", 0, b"acknowledged", LossCause.CUT),
    ]
    assert list(pair.network.losses) == seen
    await asyncio.sleep(10)
    assert pair.server.told == ["made", "data", "lost"] and pair.network.connections == ()


@virtual
async def test_a_cut_takes_what_a_paused_reader_had_not_read() -> None:
    pair = await connected()
    pair.at_server.pause_reading()
    pair.at_client.write(b"arrived, ")
    await asyncio.sleep(1)
    pair.at_client.write(b"not arrived")
    assert pair.network.cut("alice", "broker") == 1
    assert pair.network.cut("alice", "broker") == 1
    await pair.server.gone
    assert pair.network.cut("alice", "broker") == 0
    assert [loss.data for loss in pair.network.losses] == [b"arrived, not arrived"]


@virtual
async def test_a_cut_while_connecting_fails_the_connect() -> None:
    network = MemoryNetwork(default=LinkSettings(delay=1))
    network.listen(Recorder, "broker", 1883)
    asyncio.get_running_loop().call_later(1.5, network.cut, "alice", "broker")
    with pytest.raises(ConnectionResetError):
        await network.connect(Recorder, "broker", 1883, source="alice")
    assert network.connections == ()


@virtual
async def test_a_link_can_break_after_so_many_bytes() -> None:
    pair = await connected(LinkSettings(delay=0.1, break_after=10))
    pair.at_client.write(b"12345")
    await asyncio.sleep(1)
    pair.at_server.write(b"abc")
    pair.at_client.write(b"6789")
    await asyncio.wait([pair.client.gone, pair.server.gone])
    # Three and five and two bytes are ten; what set off later is lost.
    assert pair.client.data == b"abc" and pair.server.data == b"1234567"
    assert [(loss.offset, loss.data, loss.cause) for loss in pair.network.losses] == [
        (7, b"89", LossCause.BREAK)
    ]


def test_a_breaking_link_loses_some_runs_and_accounts_for_every_byte() -> None:
    link = LinkSettings(delay=0.01, loss=0.05, on_loss=OnLoss.BREAK)

    async def main(seed: int) -> bool:
        pair = await connected(link, seed)
        sent = b""
        for n in range(30):
            if pair.at_client.is_closing():
                break
            message = b"message %02d " % n
            sent += message
            pair.at_client.write(message)
            await asyncio.sleep(0.004)
        await asyncio.sleep(1)
        lost = b"".join(loss.data for loss in pair.network.losses)
        assert pair.server.data + lost == sent
        if pair.network.losses:
            assert pair.network.losses[0].offset == len(pair.server.data)
            assert pair.client.log[-1][2] is pair.server.log[-1][2] is ConnectionResetError
        return bool(lost)

    broke = [run_virtual(main(seed)) for seed in range(20)]
    assert broke == [run_virtual(main(seed)) for seed in range(20)]
    # 1 - 0.95 ** 30 = 0.79 of the runs are expected to break.
    assert 8 <= sum(broke) < 20


@virtual
async def test_a_partition_holds_everything_and_heal_lets_it_through() -> None:
    pair = await connected(LinkSettings(delay=0.1))
    pair.at_client.write(b"on its way, ")
    await asyncio.sleep(0.05)
    pair.network.partition("broker", "alice")
    pair.at_client.write(b"written meanwhile")
    await asyncio.sleep(1000)
    assert pair.server.data == b"" and not pair.server.gone.done()
    pair.network.heal("alice", "broker")
    healed = asyncio.get_running_loop().time()
    await asyncio.sleep(1)
    assert pair.server.log[-1] == (healed + 0.1, "data", b"on its way, written meanwhile")
    assert not pair.network.losses
    pair.network.heal("alice", "broker")


@virtual
async def test_a_partition_in_the_middle_of_a_delivery_takes_effect_at_once() -> None:
    pair = await connected(LinkSettings(delay=0.1))

    class Partitions(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            pair.network.partition("alice", "broker")

    pair.at_server.set_protocol(server := Partitions())
    pair.at_client.write(b"one")
    pair.at_client.close()
    await asyncio.sleep(10)
    assert server.told == ["data"]
    pair.network.heal("alice", "broker")
    await asyncio.sleep(1)
    assert server.told == ["data", "eof", "lost"]


@virtual
async def test_connecting_through_a_partition_waits_for_it_to_heal_or_times_out() -> None:
    network = MemoryNetwork(default=LinkSettings(delay=0.1))
    network.listen(Recorder, "broker", 1883)
    loop = asyncio.get_running_loop()
    network.partition("alice", "broker")
    with pytest.raises(TimeoutError, match="broker does not answer alice"):
        await network.connect(Recorder, "broker", 1883, source="alice", timeout=20)
    assert loop.time() == 20 and network.connections == ()
    loop.call_later(5, network.heal, "alice", "broker")
    await network.connect(Recorder, "broker", 1883, source="alice")
    assert loop.time() == pytest.approx(25.2)


# Links


@virtual
async def test_pairs_have_settings_of_their_own_and_changes_are_felt_at_once() -> None:
    pair = await connected(LinkSettings(delay=0.1))
    network = pair.network
    network.set_link("alice", "broker", LinkSettings(delay=3), both=False)
    assert network.link("alice", "broker").delay == 3 and network.link("broker", "alice").delay == 0.1
    start = asyncio.get_running_loop().time()
    pair.at_client.write(b"slow")
    pair.at_server.write(b"fast")
    await asyncio.sleep(10)
    assert pair.client.log[-1][0] - start == pytest.approx(0.1)
    assert pair.server.log[-1][0] - start == pytest.approx(3)


@virtual
async def test_a_matrix_of_round_trip_times() -> None:
    network = MemoryNetwork(default=LinkSettings(bandwidth=1e9))
    hosts = ("paris", "tokyo", "lima")
    matrix = [[0, 0.22, 0.18], [0.22, 0, 0.26], [0.18, 0.26, 0]]
    network.set_rtts(hosts, matrix)
    assert network.link("tokyo", "paris") == LinkSettings(delay=0.11, bandwidth=1e9)
    network.listen(Recorder, "tokyo", 1883)
    await network.connect(Recorder, "tokyo", 1883, source="lima")
    assert asyncio.get_running_loop().time() == pytest.approx(0.26)
    with pytest.raises(ConfigurationError, match="3 x 3"):
        network.set_rtts(hosts, matrix[:2])


@pytest.mark.parametrize(
    "wrong",
    [
        {"delay": -1},
        {"delay": "50 ms"},
        {"delay": float("nan")},
        {"jitter": float("inf")},
        {"loss": "half"},
        {"loss": 1.5},
        {"loss": 1.0},
        {"reorder": -0.1},
        {"bandwidth": 0},
        {"segment": 0},
        {"window": 0},
        {"break_after": -1},
        {"delay": True},
        {"delay": None},
        {"bandwidth": "1 MB/s"},
        {"segment": "1460"},
        {"window": 1.5},
        {"break_after": b"1"},
        {"on_loss": "sometimes"},
        {"on_loss": None},
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        LinkSettings(**wrong)


@pytest.mark.parametrize("wrong", [0.05, {"delay": 0.05}, "slow"])
def test_what_is_no_settings_is_refused_with_an_example(wrong: Any) -> None:
    network = MemoryNetwork()
    with pytest.raises(ConfigurationError, match="LinkSettings\\(delay"):
        network.set_link("a", "b", wrong)
    with pytest.raises(ConfigurationError, match="LinkSettings\\(delay"):
        MemoryNetwork(default=wrong)
    with pytest.raises(ConfigurationError, match="port '1883'"):
        network.listen(asyncio.Protocol, "broker", "1883")  # type: ignore[arg-type]


def test_a_network_belongs_to_one_loop() -> None:
    network = MemoryNetwork()

    async def main() -> None:
        network.listen(Recorder, f"broker-{len(network._listeners)}", 1883)
        await network.connect(Recorder, "broker-0", 1883)

    run_virtual(main())
    with pytest.raises(ConfigurationError, match="loop is closed"):
        run_virtual(main())


# Other users of transports


@virtual
async def test_a_buffered_protocol() -> None:
    class Buffered(asyncio.BufferedProtocol):
        buffer = bytearray(7)
        data = b""

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            self.data += self.buffer[:nbytes]

    network = MemoryNetwork()
    servers: list[Buffered] = []

    def serve() -> Buffered:
        servers.append(Buffered())
        return servers[0]

    network.listen(serve, "broker", 1883)
    transport, _ = await network.connect(Recorder, "broker", 1883)
    transport.write(b"more than one bufferful")
    await asyncio.sleep(1)
    assert servers[0].data == b"more than one bufferful"


def _certificate(directory: Path) -> tuple[str, str]:
    """A self-signed certificate for the host `broker`, valid at the time the test really runs."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("broker")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = directory / "broker.pem", directory / "broker.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return str(certificate_file), str(key_file)


def test_tls_runs_over_a_memory_link(tmp_path: Path) -> None:
    certificate_file, key_file = _certificate(tmp_path)
    for_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for_server.load_cert_chain(certificate_file, key_file)
    for_client = ssl.create_default_context(cafile=certificate_file)

    async def main() -> None:
        pair = await connected(LinkSettings(delay=0.05, jitter=0.01, segment=100))
        loop = asyncio.get_running_loop()
        client, server = Recorder(), Recorder()
        at_server, at_client = await asyncio.gather(
            loop.start_tls(pair.at_server, server, for_server, server_side=True),
            loop.start_tls(pair.at_client, client, for_client, server_hostname="broker"),
        )
        assert at_client is not None and at_server is not None
        at_client.write(b"hidden " * 5000)
        at_server.write(b"answer")
        await asyncio.sleep(10)
        assert server.data == b"hidden " * 5000 and client.data == b"answer"
        at_client.close()
        await asyncio.sleep(10)
        assert client.told[-1] == server.told[-1] == "lost"
        assert pair.network.connections == ()

    run_virtual(main())


# Scale


def test_ten_thousand_connections_are_cheap() -> None:
    async def main() -> tuple[int, int]:
        network = MemoryNetwork(default=LinkSettings(delay=0.05))
        got = 0

        class Server(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = transport

            def data_received(self, data: bytes) -> None:
                nonlocal got
                got += 1
                assert isinstance(self.transport, LinkTransport)
                self.transport.write(data)

        network.listen(Server, "broker", 1883)
        opened = await asyncio.gather(
            *(network.connect(asyncio.Protocol, "broker", 1883) for _ in range(10_000))
        )
        for transport, _ in opened:
            transport.write(b"x" * 100)
        await asyncio.sleep(1)
        alive = len(network.connections)
        for transport, _ in opened:
            transport.close()
        await asyncio.sleep(1)
        assert network.connections == () and not network._wires and not network._ports
        return alive, got

    began = time.perf_counter()
    assert run_virtual(main()) == (10_000, 10_000)
    assert time.perf_counter() - began < 30
    gc.collect()
