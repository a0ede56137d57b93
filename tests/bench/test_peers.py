"""Brokers of a comparison start, are what they say, and leave nothing behind."""

from __future__ import annotations

import math
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest

from mqttsec.errors import ConfigurationError, ConnectionFailed, MissingPeerError
from mqttsec.measure import cores, load, peers
from mqttsec.measure.crowd import Crowd
from mqttsec.measure.frames import PublishFrames
from mqttsec.measure.load import Job, run
from tests.peers import require_peer


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.interop
@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_job_on_mosquitto_gives_all_figures(qos: int, protocol: int) -> None:
    require_peer("mosquitto")
    with peers.mosquitto() as broker:
        found = run(Job(broker.host, broker.port, broker.pid, 3, 100, qos, seconds=0.05, window=50,
                        protocol=protocol, spin=False))
        pid, port = broker.pid, broker.port
    for delays in (found.paused, found.back_to_back):
        assert delays.messages >= 1
        assert 0 < delays.median_us <= delays.p95_us <= delays.p99_us <= delays.last_p99_us
    assert found.flow.deliveries > 0 and found.flow.drained
    assert found.flow.broker_cpu_us >= 0
    assert not psutil.pid_exists(pid) and not listening(port)


@pytest.mark.parametrize("acl", [False, True])
def test_stock_amqtt_serves_with_and_without_its_list(acl: bool) -> None:
    with peers.stock_amqtt(acl=acl) as broker:
        found = run(Job(broker.host, broker.port, broker.pid, 2, 100, 0, seconds=0.05, window=20, spin=False))
        port = broker.port
    assert found.flow.deliveries > 0
    assert not listening(port)


def test_the_ceiling_relays_unread() -> None:
    with peers.ceiling() as relay:
        found = run(Job(relay.host, relay.port, relay.pid, 2, 100, 0, seconds=0.05, window=100, spin=False))
    assert found.flow.deliveries > 0 and found.flow.drained


def test_a_message_that_never_arrives_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "MESSAGE_SECONDS", 0.2)
    with peers.ceiling() as relay, pytest.raises(ConnectionFailed, match="not reached 2 of 2 subscribers"):
        # The relay knows QoS 0 only.
        run(Job(relay.host, relay.port, relay.pid, 2, 100, 1, seconds=0.05, window=20, spin=False))


def test_a_broker_can_be_restarted_and_stopped_twice() -> None:
    relay = peers.ceiling()
    with relay:
        first = relay.pid
        relay.restart()
        assert relay.pid != first and relay.running and listening(relay.port)
        assert not psutil.pid_exists(first)
        with pytest.raises(ConfigurationError, match="running already"):
            relay.start()
        relay.stop()
        assert not relay.running and not listening(relay.port)
    with pytest.raises(ConfigurationError, match="not running"):
        _ = relay.pid


def test_a_block_that_raises_stops_the_broker_too() -> None:
    with pytest.raises(ZeroDivisionError), peers.ceiling() as relay:
        port = relay.port
        _ = 1 / 0
    assert not listening(port)


def test_a_port_in_use_is_an_error_that_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConnectionFailed, match=f"port {port} of 127.0.0.1: the port is in use"):
            peers.ceiling(port=port).start()


def test_a_program_that_ends_at_once_is_quoted() -> None:
    def command(port: int, scratch: Path) -> list[str]:
        return [sys.executable, "-c", "raise SystemExit('no licence')"]

    with pytest.raises(ConnectionFailed, match="odd ended before it accepted .* no licence"):
        peers.BrokerProcess("odd", "1", command).start()


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(ConnectionFailed, match="odd could not be started"):
        peers.BrokerProcess("odd", "1", lambda port, scratch: ["/nowhere/odd"]).start()


def test_mosquitto_that_is_not_installed_is_a_missing_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mqttsec.measure.peers.shutil.which", lambda program, path: None)
    with pytest.raises(MissingPeerError, match="mosquitto is not installed"):
        peers.mosquitto()


@pytest.mark.interop
def test_mosquitto_refusing_a_client_is_an_error_with_its_code() -> None:
    require_peer("mosquitto")
    with peers.mosquitto(allow_anonymous=False) as broker, pytest.raises(ConnectionFailed) as refusal:
        Crowd(broker.host, broker.port, 1, PublishFrames(5, 0, 1, 5))
    assert refusal.value.reason_code == 0x87
    assert "refused subscriber 1" in str(refusal.value)


def test_processor_time_is_counted_and_pinning_holds() -> None:
    with peers.ceiling(core=cores.place().broker) as relay:
        before = relay.cpu_seconds()
        with Crowd(relay.host, relay.port, 1, PublishFrames(1000, 0, 100)) as crowd:
            end = time.monotonic() + 5
            while relay.cpu_seconds() == before and time.monotonic() < end:
                crowd.publisher.push(10_000)
                crowd.serve(0.01)
        assert relay.cpu_seconds() > before
        if cores.place().apart:
            assert psutil.Process(relay.pid).cpu_affinity() == [cores.place().broker]
    assert math.isnan(cores.usage(2**22 + 1).running)  # no such process
