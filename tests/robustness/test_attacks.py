"""Attacks on the broker's time and memory by clients that keep to the letter of the standard."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import psutil
import pytest
from amqtt.plugins.base import BaseAuthPlugin

from mqttsec.mqtt5 import Broker, BrokerSettings
from mqttsec.net import run_virtual
from mqttsec.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Properties,
    Puback,
    Publish,
    Pubrec,
    Splitter,
    Suback,
    Subscribe,
    SubscribeFilter,
    decode,
)
from tests.robustness.plugins import TwoRounds
from tests.robustness.wires import Peer, complaints

EXTERNAL = {"listeners": {"default": {"type": "external"}}}
MIB = 1024 * 1024


def with_broker(
    attack: Callable[[Broker], Coroutine[Any, Any, None]], settings: BrokerSettings | None = None,
    config: dict[str, Any] | None = None, **more: Any,
) -> None:
    """Run an attack in virtual time; a bystander must be served afterwards, and nobody may complain."""
    async def main() -> None:
        with complaints(asyncio.get_running_loop()) as watcher:
            broker = Broker(settings, {**EXTERNAL, **(config or {})}, **more)
            await broker.start()
            bystander = Peer(broker)
            assert not (await bystander.connect(Connect("bystander", keep_alive=0))).reason_code
            bystander.send(Subscribe(1, (SubscribeFilter("bystander", 2),)))
            await attack(broker)
            bystander.publish("bystander", b"still here", 2)
            for _ in range(10):
                await asyncio.sleep(0)
                bystander.read()
            assert [message.payload for message in bystander.received] == [b"still here"]
            await broker.shutdown()
            watcher.check()

    run_virtual(main(), horizon=None)


async def arrive(broker: Broker, connect: Connect) -> Peer:
    """A connected client."""
    peer = Peer(broker, connect.protocol)
    assert not (await peer.connect(connect)).reason_code
    return peer


class Growth:
    """Resident memory that this process gained since the object was made."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._before = self._process.memory_info().rss

    def check(self, bound: int) -> None:
        """Fail if it is more than `bound` bytes."""
        grown = self._process.memory_info().rss - self._before
        assert grown < bound, f"{grown / MIB:.0f} MiB more than before"


# Topics ----------------------------------------------------------------------------------------


def test_topics_as_deep_as_they_can_be() -> None:
    async def attack(broker: Broker) -> None:
        peer = await arrive(broker, Connect("deep"))
        depth = broker.settings.max_topic_levels
        filters = ["/".join(["+"] * depth), "/".join(["+"] * (depth - 1)) + "/#", "/" * (depth - 1), "#"]
        peer.send(Subscribe(1, tuple(SubscribeFilter(text) for text in filters)))
        peer.read()
        assert peer.packets.pop() == Suback(1, (0, 0, 0, 0))
        for text in ("/" * 65_535, "/".join(["+"] * 32_768), "a/" * 500 + "#"):
            peer.send(Subscribe(2, (SubscribeFilter(text),)))
            peer.read()
            # 0x8F: "The Topic Filter is correctly formed but is not accepted by this Server".
            assert peer.packets.pop() == Suback(2, (0x8F,))
        for topic, copies in (("/" * 65_535, 1), ("/" * (depth - 1), 1), ("a/" * 32_767, 1)):
            peer.publish(topic, b"x", 0)
            peer.read()
            assert len(peer.received) == copies, len(topic)
            peer.received.clear()

    with_broker(attack)


@pytest.mark.parametrize("config", [
    {}, {"plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {},
                     "amqtt.plugins.topic_checking.TopicTabooPlugin": {}}},
], ids=["plain", "with a topic plugin"])
def test_ever_new_long_topics_are_not_remembered(config: dict[str, Any]) -> None:
    async def attack(broker: Broker) -> None:
        peer = await arrive(broker, Connect("babbler"))
        growth = Growth()
        for number in range(3_000):
            peer.publish(f"{number}/" + "x" * 60_000, b"", 0)
        # All of them would be 170 MiB, twice over where text and bytes are kept.
        growth.check(100 * MIB)
        assert not peer.wire.ended

    with_broker(attack, config=config)


# Subscriptions ---------------------------------------------------------------------------------


def test_too_many_subscriptions() -> None:
    async def attack(broker: Broker) -> None:
        peer = await arrive(broker, Connect("greedy"))
        for number in range(60):
            peer.send(Subscribe(1, (SubscribeFilter(f"a/{number}"),)))
        peer.read()
        codes = [packet.reason_codes[0] for packet in peer.packets if isinstance(packet, Suback)]
        assert codes == [0] * 50 + [0x97] * 10

    with_broker(attack, BrokerSettings(max_subscriptions=50))


@pytest.mark.parametrize("qos", [0, 1])
def test_one_packet_that_asks_for_all_retained_messages_again_and_again(qos: int) -> None:
    async def attack(broker: Broker) -> None:
        peer = await arrive(broker, Connect("hoarder"))
        for number in range(500):
            broker.publish(f"r/{number}", b"x" * 1_000, qos, retain=True)
        growth, begun = Growth(), time.process_time()
        # 2 million messages of 1 kB are asked for with 16 kB.
        peer.send(Subscribe(1, (SubscribeFilter("#", qos),) * 4_000))
        assert time.process_time() - begun < 2, "the broker was busy with one client for too long"
        for _ in range(100):
            # Between two portions others have their turn; what was sent is read, so that more may come.
            await asyncio.sleep(0)
            peer.wire.take()
        growth.check(50 * MIB)
        assert not peer.wire.ended

    with_broker(attack)


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_more_retained_messages_than_may_wait_all_arrive(qos: int) -> None:
    async def attack(broker: Broker) -> None:
        for number in range(3_000):
            broker.publish(f"r/{number}", number.to_bytes(4, "big") + bytes(1_000), qos, retain=True)
        peer = await arrive(broker, Connect("curious", properties=Properties(receive_maximum=5)))
        peer.send(Subscribe(1, (SubscribeFilter("r/#", qos),)))
        for _ in range(4_000):
            await asyncio.sleep(0)
            peer.read()
        numbers = [int.from_bytes(message.payload[:4], "big") for message in peer.received]
        assert sorted(numbers) == list(range(3_000))
        assert all(message.retain for message in peer.received)

    with_broker(attack, BrokerSettings(max_queued_messages=100, max_queued_bytes=MIB, max_write_buffer=MIB))


def test_a_retained_message_that_is_replaced_meanwhile_comes_once_and_is_new() -> None:
    async def attack(broker: Broker) -> None:
        for number in range(1_000):
            broker.publish(f"r/{number}", b"old", retain=True)
        peer = await arrive(broker, Connect("curious"))
        peer.send(Subscribe(1, (SubscribeFilter("r/#"),)))
        for number in range(1_000):
            broker.publish(f"r/{number}", b"new", retain=True)
        for _ in range(50):
            await asyncio.sleep(0)
            peer.read()
        last = {message.topic: message.payload for message in peer.received}
        assert len(last) == 1_000 and set(last.values()) == {b"new"}

    with_broker(attack)


def test_retained_messages_wait_for_a_client_that_was_cut_off_while_they_came() -> None:
    async def attack(broker: Broker) -> None:
        for number in range(1_000):
            broker.publish(f"r/{number}", number.to_bytes(4, "big"), 1, retain=True)
        own = Properties(session_expiry_interval=60, receive_maximum=5)
        connect = Connect("curious", False, properties=own)
        peer = await arrive(broker, connect)
        peer.send(Subscribe(1, (SubscribeFilter("r/#", 1),)))
        peer.wire.hang_up()
        again = await arrive(broker, connect)
        for _ in range(1_500):
            await asyncio.sleep(0)
            again.read()
        assert {int.from_bytes(message.payload, "big") for message in again.received} == set(range(1_000))

    with_broker(attack)


# Memory ----------------------------------------------------------------------------------------


def test_too_many_retained_messages() -> None:
    async def attack(broker: Broker) -> None:
        peer = await arrive(broker, Connect("archivist"))
        for number in range(60):
            peer.send(Publish(f"a/{number}", b"x", 1, True, packet_id=number + 1))
        codes = [packet.reason_code for packet in read_answers(peer, Puback)]
        assert len(broker._retained_messages) == 50
        assert codes[50:] == [0x97] * 10

    with_broker(attack, BrokerSettings(max_retained_messages=50))


def read_answers(peer: Peer, kind: type[Puback] | type[Pubrec] | type[Disconnect]) -> list[Any]:
    """The answers of a kind that came, without acting on them."""
    found = [decode(frame, peer.protocol, from_client=False) for frame in Splitter().feed(peer.wire.take())]
    return [packet for packet in found if isinstance(packet, kind)]


def test_qos_2_publications_that_are_never_released() -> None:
    async def attack(broker: Broker) -> None:
        peer = await arrive(broker, Connect("hoarder"))
        for number in range(1, 22):
            peer.send(Publish("a", b"x", 2, packet_id=number))
        session = broker.session("hoarder")
        assert session is None and peer.wire.ended
        answers = read_answers(peer, Pubrec)
        assert len(answers) == 20

    with_broker(attack, BrokerSettings(receive_maximum=20))


def test_messages_for_sessions_whose_client_never_comes_back() -> None:
    async def attack(broker: Broker) -> None:
        forever = Properties(session_expiry_interval=0xFFFF_FFFF)
        for number in range(20):
            peer = await arrive(broker, Connect(f"gone-{number}", properties=forever))
            peer.send(Subscribe(1, (SubscribeFilter("news/#", 1),)))
            peer.wire.hang_up()
        peer = await arrive(broker, Connect("herald"))
        growth = Growth()
        for number in range(5_000):
            peer.publish("news/today", number.to_bytes(4, "big") + bytes(10_000), 1)
            peer.read()
        for number in range(20):
            session = broker.session(f"gone-{number}")
            assert session is not None
            assert session.outbox.queued <= 100 and session.outbox.queued_bytes <= 200_000
        # 20 sessions hold the same messages, not a copy each.
        growth.check(50 * MIB)

    with_broker(attack, BrokerSettings(max_queued_messages=100, max_queued_bytes=200_000))


def test_too_many_sessions() -> None:
    async def attack(broker: Broker) -> None:
        forever = Properties(session_expiry_interval=0xFFFF_FFFF)
        codes = []
        for number in range(40):
            peer = Peer(broker)
            codes.append((await peer.connect(Connect(f"many-{number}", properties=forever))).reason_code)
            peer.wire.hang_up()
        # The bystander has one of the 30.
        assert codes == [0] * 29 + [0x97] * 11
        assert len(broker.sessions) == 30

    with_broker(attack, BrokerSettings(max_sessions=30))


def test_one_session_that_a_hundred_connections_want() -> None:
    async def attack(broker: Broker) -> None:
        peers = [Peer(broker) for _ in range(100)]
        for peer in peers:
            peer.send(Connect("wanted", False, 0, properties=Properties(session_expiry_interval=60)))
        for _ in range(50):
            await asyncio.sleep(0)
        for peer in peers:
            peer.read()
            assert isinstance(peer.packets[0], Connack) and not peer.packets[0].reason_code
        ended = [peer for peer in peers if peer.wire.ended]
        assert len(ended) == 99
        for peer in ended:
            assert isinstance(peer.packets[1], Disconnect) and peer.packets[1].reason_code == 0x8E
        await asyncio.sleep(10)
        assert len(broker.connections) == 2 and set(broker.sessions) == {"bystander", "wanted"}

    with_broker(attack)


def test_a_client_that_is_cut_off_by_its_own_message() -> None:
    async def attack(broker: Broker) -> None:
        peer = await arrive(broker, Connect("own-worst-enemy", properties=Properties(receive_maximum=1)))
        peer.send(Subscribe(1, (SubscribeFilter("own", 1),)))
        for number in range(1, 200):
            # Never acknowledged; the last one finds the queue full, and its PUBACK no connection.
            peer.send(Publish("own", b"x", 1, packet_id=number))
        await asyncio.sleep(0)
        assert peer.wire.ended and broker.session("own-worst-enemy") is None
        last = read_answers(peer, Disconnect)
        assert [packet.reason_code for packet in last] == [0x97]

    with_broker(attack, BrokerSettings(max_queued_messages=100))


def test_a_backlog_is_not_counted_anew_for_each_message() -> None:
    async def attack(broker: Broker) -> None:
        deaf, sender = await arrive(broker, Connect("deaf")), await arrive(broker, Connect("sender"))
        deaf.send(Subscribe(1, (SubscribeFilter("data"),)))
        deaf.wire.protocol.pause_writing()
        times = []
        for _ in range(3):
            begun = time.process_time()
            for _ in range(8_000):
                sender.publish("data", b"x" * 20, 0)
            times.append(time.process_time() - begun)
        assert times[2] < 2.5 * times[0], times
        assert not deaf.wire.ended

    with_broker(attack)


# Before the CONNACK ----------------------------------------------------------------------------


class Undecided(BaseAuthPlugin):  # type: ignore[misc, unused-ignore]
    """Takes for ever to decide about anybody called `anybody`."""

    async def authenticate(self, *, session: Any) -> bool:
        if session.client_id == "anybody":
            await asyncio.Event().wait()
        return True


def test_a_plugin_that_never_decides_keeps_no_connection_for_ever() -> None:
    async def attack(broker: Broker) -> None:
        peers = [Peer(broker) for _ in range(20)]
        for peer in peers:
            peer.send(Connect("anybody"))
            # What comes meanwhile waits on the network, not in the broker.
            for _ in range(100):
                peer.send(Publish("a", bytes(10_000)))
        await asyncio.sleep(1)
        assert sum(peer.wire.protocol.waiting.held_bytes for peer in peers) < MIB
        await asyncio.sleep(60)
        assert len(broker.connections) == 1, f"{len(broker.connections) - 1} connections wait for ever"
        assert set(broker.sessions) == {"bystander"}

    with_broker(attack, config={"plugins": {"tests.robustness.test_attacks.Undecided": {}}})


def test_a_challenge_that_is_never_answered() -> None:
    async def attack(broker: Broker) -> None:
        method = Properties(authentication_method="SCRAM-SHA-256")
        peers = [Peer(broker) for _ in range(20)]
        for peer in peers:
            peer.send(Connect("anybody", properties=method))
        await asyncio.sleep(1)
        for peer in peers:
            peer.read()
            assert isinstance(peer.packets[0], Auth) and peer.packets[0].reason_code == 0x18
        await asyncio.sleep(60)
        assert len(broker.connections) == 1 and set(broker.sessions) == {"bystander"}

    with_broker(attack, methods=[TwoRounds()])


def test_a_flood_of_packets_while_a_challenge_is_open() -> None:
    async def attack(broker: Broker) -> None:
        peer = Peer(broker)
        peer.send(Connect("anybody", properties=Properties(authentication_method="SCRAM-SHA-256")))
        await asyncio.sleep(1)
        growth = Growth()
        for _ in range(1_000):
            peer.send(Publish("a", bytes(100_000)))
        growth.check(30 * MIB)
        await asyncio.sleep(5)
        assert peer.wire.ended

    with_broker(attack, BrokerSettings(maximum_packet_size=MIB), methods=[TwoRounds()])
