"""A network behind plain calls: for cells, in memory, on a thread of its own, the same every time."""

from __future__ import annotations

import pytest

from mqttsec.errors import ConfigurationError, MqttsecError
from mqttsec.mqtta.lab_network import LabNetwork


def story() -> tuple[str, ...]:
    with LabNetwork(bridges=6, rtt=0.05, seed=3) as net:
        net.client("reader", bridge=1)
        net.client("writer", bridge=2)
        there = net.subscribe("reader", "weather")
        here = net.publish("writer", "weather", "12.8")
        [message] = net.received("reader")
        assert (message.payload, message.qos) == (b"12.8", 2)
        assert there.source == "reader" and here.source == "writer" and here.complete
        assert {row.bridge for row in net.seen("b2")} == {"b2"}
        before = net.now
        net.advance(60.0)
        assert net.now == before + 60
        victim = there.hops[1].bridge
        net.kill(victim)
        [again] = net.paths("subscribe")
        assert again.complete and victim not in [hop.bridge for hop in again.hops]
        net.publish("writer", "weather", "13.1")
        assert [each.payload for each in net.received("reader")] == [b"12.8", b"13.1"]
        assert net.trace is not None
        return str(there), str(here), str(again), *(event.detail for event in net.trace)


def test_the_same_calls_tell_the_same_story() -> None:
    assert story() == story()


def test_mistakes_are_named_and_nothing_is_left_running() -> None:
    with LabNetwork(bridges=3) as net:
        with pytest.raises(ConfigurationError, match="no client 'nobody'"):
            net.publish("nobody", "t", "1")
        with pytest.raises(ConfigurationError, match="b1 to b3"):
            net.client("a", bridge=7)
        net.client("a", bridge=1)
        with pytest.raises(MqttsecError):
            net.publish("a", "#", "1")
    net.close()
    with pytest.raises(ConfigurationError):
        LabNetwork(sockets=True)
