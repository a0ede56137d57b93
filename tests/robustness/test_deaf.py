"""A subscriber that never reads is cut off with a reason; the others lose nothing, and memory is bounded."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from mqttsec.mqtt5 import Broker, BrokerSettings, InProcessBroker
from mqttsec.mqtt5.connection import Connection
from mqttsec.net import runtime
from mqttsec.packets import Disconnect, Publish
from mqttsec.trace import EventKind, Trace
from tests.robustness.sockets import Plain
from tests.robustness.wires import complaints

LIMIT = 2 * 1024 * 1024
MESSAGE = bytes(64 * 1024)
SETTINGS = BrokerSettings(
    max_write_buffer=LIMIT, max_queued_messages=100, max_queued_bytes=100 * len(MESSAGE), max_inflight=20,
    close_timeout=10)


@pytest.fixture
def trace() -> Trace:
    return Trace(time.monotonic)


@pytest.fixture
def broker(trace: Trace) -> Iterator[InProcessBroker]:
    with complaints(runtime().loop) as watcher, InProcessBroker(SETTINGS, trace=trace) as running:
        yield running
    watcher.check()


def waiting_bytes(broker: Broker, client_id: str) -> int:
    """What the broker holds for the client: in its own buffer, the transport's, and the session's queue."""
    session = broker.session(client_id)
    connection: Connection | None = None if session is None else session.connection
    if session is None:
        return 0
    held = session.outbox.queued_bytes + sum(len(MESSAGE) for _ in session.outbox.inflight)
    if connection is not None and connection.transport is not None:
        held += connection.transport.get_write_buffer_size() + len(connection.outlet.backlog)
    return held


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_subscriber_that_never_reads(broker: InProcessBroker, trace: Trace, qos: int) -> None:
    address = (broker.host, broker.port)
    count = 400
    with Plain(address) as publisher, Plain(address) as good, Plain(address, receive_buffer=4_096) as deaf:
        publisher.connect("publisher")
        good.connect("good")
        good.subscribe("data", qos)
        deaf.connect("deaf")
        deaf.subscribe("data", qos)
        largest, slowest = 0, 0.0
        for number in range(count):
            message = number.to_bytes(4, "big") + MESSAGE
            begun = time.monotonic()
            publisher.deliver(Publish("data", message, 1, packet_id=1))
            assert good.take().payload == message
            slowest = max(slowest, time.monotonic() - begun)
            assert broker.broker is not None
            largest = max(largest, runtime().call(waiting_bytes, broker.broker, "deaf"))
        good.nothing_more()
        publisher.nothing_more()

        def gone() -> bool:
            assert broker.broker is not None
            return broker.broker.session("deaf") is None

        assert runtime().call(gone), "the deaf subscriber was not cut off"
        # One message may come on top of what is full; the kernel's own buffers are not the broker's.
        queue = SETTINGS.max_queued_bytes + SETTINGS.max_inflight * len(MESSAGE) if qos else 0
        bound = LIMIT + queue + 2 * len(MESSAGE)
        assert 0 < largest <= bound, f"the broker held {largest} bytes for the deaf subscriber"
        assert slowest < 5, f"somebody else waited {slowest:.1f} s"
        (why,) = [event for event in trace.events if event.kind is EventKind.REJECTED]
        assert why.peer == "deaf" and "0x97" in why.detail

        # Whoever reads after all finds whole packets, and the reason at their end.
        last = None
        while (packet := deaf.receive()) is not None:
            last = packet
        assert isinstance(last, Disconnect) and last.reason_code == 0x97 and last.properties.reason_string


def test_a_subscriber_that_reads_but_does_not_acknowledge(broker: InProcessBroker) -> None:
    """It reads everything; what it does not acknowledge may not pile up without bound either."""
    address = (broker.host, broker.port)
    with Plain(address) as publisher, Plain(address) as mute:
        publisher.connect("publisher")
        mute.connect("mute")
        mute.subscribe("data", 1)
        for _ in range(SETTINGS.max_inflight + SETTINGS.max_queued_messages + 1):
            publisher.deliver(Publish("data", b"x", 1, packet_id=1))
        got = []
        while not isinstance(packet := mute.receive(), Disconnect):
            assert packet is not None
            got.append(packet)
        assert len(got) == SETTINGS.max_inflight and packet.reason_code == 0x97
        publisher.nothing_more()


def test_a_subscriber_that_stops_for_a_while_loses_nothing(broker: InProcessBroker) -> None:
    address = (broker.host, broker.port)
    with Plain(address) as publisher, Plain(address, receive_buffer=4_096) as slow:
        publisher.connect("publisher")
        slow.connect("slow")
        slow.subscribe("data", 0)
        messages = [number.to_bytes(4, "big") + MESSAGE[:32_768] for number in range(50)]
        for message in messages:
            publisher.deliver(Publish("data", message, 1, packet_id=1))
        assert [slow.take().payload for _ in messages] == messages
        slow.nothing_more()


@pytest.mark.parametrize("start", [b"", b"\x10", b"\x10\x20\x00\x04MQ"], ids=["nothing", "a byte", "a part"])
def test_a_client_that_does_not_finish_its_connect(start: bytes) -> None:
    settings = BrokerSettings(connect_timeout=0.3, close_timeout=0.2)
    with InProcessBroker(settings) as impatient, Plain((impatient.host, impatient.port)) as client:
        client.socket.sendall(start)
        with contextlib.suppress(ConnectionResetError):
            assert client.receive() is None
        with Plain((impatient.host, impatient.port)) as other:
            other.connect("other")
            other.nothing_more()
