"""Every bound on the broker's memory holds, and costs whoever reaches it, nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mqttsec.mqtt5 import Broker, BrokerSettings, InProcessBroker
from mqttsec.net import LinkSettings
from mqttsec.packets import (
    MQTT_3_1_1,
    Connack,
    Disconnect,
    Properties,
    Publish,
    Pubrec,
    SubscribeFilter,
)
from tests.mqtt5.house import Client, House, connect_packet, in_house

NARROW = LinkSettings(window=4096)
"""A link whose window closes when nobody reads."""


class Stuck(Client):
    """A client that stops reading after it has subscribed."""

    def stop(self) -> None:
        assert self.transport is not None
        self.transport.pause_reading()

    def go_on(self) -> None:
        assert self.transport is not None
        self.transport.resume_reading()


async def stuck(house: House, client_id: str, qos: int, **options: Any) -> Stuck:
    _, client = await house.network.connect(Stuck, "broker", 1883, settings=NARROW)
    await client.connect(client_id, **options)
    await client.subscribe("t", qos=qos)
    client.stop()
    return client


def test_max_connections() -> None:
    async def play(house: House) -> None:
        clients = [await house.client(str(number)) for number in range(3)]
        refused = await house.line()
        assert await refused.closed() == []
        for client in clients:
            await client.sync()
        await clients.pop().drop()
        await house.client("late")
        assert len(house.broker.connections) == 3

    in_house(play, BrokerSettings(max_connections=3))


@pytest.mark.parametrize(("protocol", "code"), [(5, 0x97), (MQTT_3_1_1, 3)])
def test_max_sessions(protocol: int, code: int) -> None:
    async def play(house: House) -> None:
        kept = await house.client("kept", expiry=1000)
        await kept.drop()
        here = await house.client("here")
        refused = await house.line(protocol)
        assert (await refused.connect("new")).reason_code == code
        # Who has a session may come back, with it or anew.
        back = await house.client("kept", clean=False, expiry=1000)
        await house.client("kept")
        await back.ended_with(Disconnect, 0x8E)
        await here.drop()
        await house.client("new", protocol)
        assert len(house.broker.sessions) == 2

    in_house(play, BrokerSettings(max_sessions=2))


@pytest.mark.parametrize(("protocol", "code"), [(5, 0x97), (MQTT_3_1_1, 0x80)])
def test_max_subscriptions(protocol: int, code: int) -> None:
    async def play(house: House) -> None:
        client = await house.client("a", protocol)
        assert (await client.subscribe("1", "2", "3", qos=1)).reason_codes == (1, 1, code)
        assert (await client.subscribe("2", qos=0)).reason_codes == (0,), "replacing is not one more"
        other = await house.client("b", protocol)
        assert (await other.subscribe("1")).reason_codes == (0,)

    in_house(play, BrokerSettings(max_subscriptions=2))


def test_max_topic_levels() -> None:
    async def play(house: House) -> None:
        client = await house.client("a")
        long = "/".join("a" * 5)
        assert (await client.subscribe(long, long + "/", "/" * 5, f"$share/g/{long}")).reason_codes == (
            0,
            0x8F,
            0x8F,
            0,
        )
        # A Topic Name costs nothing, so it may have as many as it likes.
        assert await client.publish("/" * 60_000, b"x", 1) == 0x10

    in_house(play, BrokerSettings(max_topic_levels=5))


def test_max_retained_messages() -> None:
    async def play(house: House) -> None:
        client = await house.client("a")
        soon = Properties(message_expiry_interval=10)
        assert await client.publish("1", b"x", 1, True) == 0x10
        assert await client.publish("2", b"x", 1, True, soon) == 0x10
        assert await client.publish("3", b"x", 1, True) == 0x97
        assert await client.publish("3", b"x", 2, True) == 0x97
        assert await client.publish("1", b"y", 1, True) == 0x10, "replacing is not one more"
        await asyncio.sleep(11.0)
        assert await client.publish("3", b"x", 1, True) == 0x10, "what has expired makes room"
        assert await client.publish("1", b"", 1, True) == 0x10
        assert await client.publish("4", b"x", 1, True) == 0x10
        assert sorted(house.broker.retained_messages) == ["3", "4"]

    in_house(play, BrokerSettings(max_retained_messages=2))


def test_max_retained_bytes() -> None:
    async def play(house: House) -> None:
        client = await house.client("a")
        soon = Properties(message_expiry_interval=10)
        assert await client.publish("1", b"x" * 60, 1, True) == 0x10
        assert await client.publish("2", b"x" * 40, 1, True, soon) == 0x10
        assert await client.publish("3", b"x", 1, True) == 0x97
        assert await client.publish("1", b"x" * 61, 1, True) == 0x97
        assert await client.publish("1", b"y" * 59, 1, True) == 0x10, "what is replaced makes room"
        assert await client.publish("3", b"x", 1, True) == 0x10
        await asyncio.sleep(11.0)
        assert await client.publish("4", b"x" * 40, 1, True) == 0x10, "what has expired makes room"
        # A plugin may take a message out of amqtt's table by itself.
        del house.broker.retained_messages["1"]
        assert await client.publish("5", b"x" * 59, 1, True) == 0x10
        assert await client.publish("6", b"x", 1, True) == 0x97
        assert sorted(house.broker.retained_messages) == ["3", "4", "5"]

    in_house(play, BrokerSettings(max_retained_bytes=100))


def test_a_retained_message_is_kept_once_whatever_is_asked_for() -> None:
    async def play(house: House) -> None:
        client = await house.client("a")
        await client.publish("t", bytes(10_000), 1, True)
        for identifier in range(1, 100):
            await client.subscribe("t", qos=identifier % 3, identifier=identifier)
            await client.message()
        (row,) = house.broker.retained_messages.values()
        assert not row.message._forms

    in_house(play)


@pytest.mark.parametrize(
    "limit", [BrokerSettings(max_queued_messages=5), BrokerSettings(max_queued_bytes=500)]
)
def test_for_a_client_that_is_away_the_newest_messages_are_dropped(limit: BrokerSettings) -> None:
    async def play(house: House) -> None:
        client = await house.client("a", expiry=1000)
        await client.subscribe("t", qos=1)
        await client.drop()
        sender = await house.client("sender")
        for number in range(20):
            assert await sender.publish("t", b"%d" % number + bytes(99 - len(str(number))), 1) == 0
        session = house.broker.session("a")
        assert session is not None
        assert (session.outbox.queued, session.outbox.dropped) == (5, 15)
        client = await house.client("a", clean=False, expiry=1000)
        for number in range(5):
            assert (await client.message()).payload.startswith(b"%d" % number)
        await client.silent()

    in_house(play, limit)


def test_qos_0_does_not_wait_for_a_client_that_is_away() -> None:
    async def play(house: House) -> None:
        client = await house.client("a", expiry=1000)
        await client.subscribe("t", qos=2)
        await client.drop()
        sender = await house.client("sender")
        await sender.publish("t", b"x", 0)
        session = house.broker.session("a")
        assert session is not None and session.outbox.queued == 0

    in_house(play)


@pytest.mark.parametrize(
    "limit",
    [
        BrokerSettings(max_queued_messages=50, max_inflight=10),
        BrokerSettings(max_queued_bytes=5000, max_inflight=10),
    ],
)
@pytest.mark.parametrize("qos", [1, 2])
def test_a_slow_client_is_cut_off_and_the_others_lose_nothing(limit: BrokerSettings, qos: int) -> None:
    async def play(house: House) -> None:
        slow = await stuck(house, "slow", qos, expiry=1000)
        other = await house.client("other")
        await other.subscribe("t", qos=qos)
        sender = await house.client("sender")
        for number in range(100):
            assert await sender.publish("t", b"%d" % number + bytes(99 - len(str(number))), qos) == 0
            await other.message()
        slow.go_on()
        await slow.ended_with(Disconnect, 0x97)
        session = house.broker.session("slow")
        assert session is not None and session.connection is None
        assert session.outbox.queued <= 51
        # Its session is kept: what waits comes when it is back.
        slow = await house.line()
        assert (await slow.connect("slow", clean=False, expiry=1000)).session_present
        await slow.message()

    in_house(play, limit)


def test_a_client_that_never_reads_is_cut_off_at_the_write_buffer() -> None:
    async def play(house: House) -> None:
        slow = await stuck(house, "slow", 0)
        other = await house.client("other")
        await other.subscribe("t")
        sender = await house.client("sender")
        for number in range(200):  # noqa: B007
            await sender.publish("t", bytes(10_000))
            await other.message(bytes(10_000))
            session = house.broker.session("slow")
            if session is None:
                break
            assert session.connection is not None and session.connection.transport is not None
            backlog = session.connection.outlet.backlog
            size = session.connection.transport.get_write_buffer_size() + len(backlog)
            assert size <= 500_000
        else:
            raise AssertionError("never cut off")
        assert 45 < number < 60
        slow.go_on()
        await slow.ended_with(Disconnect, 0x97)

    in_house(play, BrokerSettings(max_write_buffer=500_000))


def test_a_client_that_reads_again_in_time_loses_nothing() -> None:
    async def play(house: House) -> None:
        slow = await stuck(house, "slow", 0)
        sender = await house.client("sender")
        for number in range(40):
            await sender.publish("t", b"%d" % number + bytes(9_000))
        slow.go_on()
        for number in range(40):
            assert (await slow.message()).payload.startswith(b"%d" % number)
        await slow.sync()

    in_house(play, BrokerSettings(max_write_buffer=500_000))


@pytest.mark.parametrize(("asked", "window"), [(None, 20), (65_535, 20), (7, 7)])
def test_max_inflight_and_the_clients_receive_maximum(asked: int | None, window: int) -> None:
    # [MQTT-3.3.4-9]
    async def play(house: House) -> None:
        client = await house.line()
        client.send(connect_packet("a", properties=Properties(receive_maximum=asked)))
        await client.expect(Connack)
        await client.subscribe("t", qos=1)
        sender = await house.client("sender")
        for number in range(50):
            await sender.publish("t", b"%d" % number, 1)
        await asyncio.sleep(5.0)
        assert client.waiting.qsize() == window
        for number in range(50):
            await client.message(b"%d" % number)

    in_house(play, BrokerSettings(max_inflight=20))


def test_the_brokers_receive_maximum() -> None:
    # [MQTT-3.3.4-7], [MQTT-3.3.4-8]
    async def play(house: House) -> None:
        client = await house.client("a", expiry=1000)
        client.send(*(Publish("t", b"x", 2, packet_id=number) for number in (1, 2, 3)))
        for number in (1, 2, 3):
            await client.expect(Pubrec, packet_id=number)
        client.send(Publish("t", b"x", 2, dup=True, packet_id=2))
        await client.expect(Pubrec, packet_id=2, reason_code=0)
        client.send(Publish("t", b"x", 2, packet_id=4))
        await client.ended_with(Disconnect, 0x93)
        # What the session knows of them survives.
        client = await house.client("a", clean=False, expiry=1000)
        client.send(Publish("t", b"x", 2, dup=True, packet_id=3))
        await client.expect(Pubrec, packet_id=3)

    in_house(play, BrokerSettings(receive_maximum=3))


@pytest.mark.parametrize(("protocol", "told"), [(5, [0x95]), (MQTT_3_1_1, [])])
def test_maximum_packet_size(protocol: int, told: list[int]) -> None:
    async def play(house: House) -> None:
        client = await house.client("a", protocol)
        assert await client.publish("t", bytes(980), 1) == (0x10 if protocol == 5 else 0)
        client.send(b"\x30\xff\xff\x7f")  # refused as soon as its length is known
        assert [packet.reason_code for packet in await client.closed()] == told  # type: ignore[union-attr]

    in_house(play, BrokerSettings(maximum_packet_size=1000))


def test_messages_too_large_for_a_client_are_not_sent_and_count_as_done() -> None:
    # [MQTT-3.1.2-24], [MQTT-3.1.2-25]
    async def play(house: House) -> None:
        client = await house.line()
        client.send(connect_packet("a", properties=Properties(maximum_packet_size=200, receive_maximum=1)))
        await client.expect(Connack)
        await client.subscribe("t", qos=2)
        sender = await house.client("sender")
        for qos in (0, 1, 2):
            await sender.publish("t", bytes(500), qos)
            await sender.publish("t", b"fits", qos)
            await client.message(b"fits", qos=qos)
        await client.silent()

    in_house(play)


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_topic_aliases_towards_a_client_stay_below_its_maximum(limit: int) -> None:
    # [MQTT-3.1.2-26], [MQTT-3.1.2-27]
    async def play(house: House) -> None:
        client = await house.line()
        client.send(connect_packet("a", properties=Properties(topic_alias_maximum=limit)))
        await client.expect(Connack)
        await client.subscribe("#")
        sender = await house.client("sender")
        known: dict[int, str] = {}
        for turn in range(3):
            for number in range(5):
                await sender.publish(f"t/{number}", b"x")
                message = await client.message()
                alias = message.properties.topic_alias
                if alias is None:
                    assert message.topic == f"t/{number}"
                    continue
                assert 1 <= alias <= limit
                assert known.setdefault(alias, message.topic) == f"t/{number}"
                assert (message.topic == "") == (turn > 0)
        assert len(known) == limit

    in_house(play)


def test_the_will_of_one_that_is_cut_off_reaches_the_rest_of_the_same_fan_out() -> None:
    from mqttsec.packets import Will

    async def play(house: House) -> None:
        first = await house.client("first")
        await first.subscribe("t", SubscribeFilter("gone"), qos=1)
        slow = await stuck(house, "slow", 1, will=Will("gone", b"slow"))
        last = await house.client("last")
        await last.subscribe("t", SubscribeFilter("gone"), qos=1)
        sender = await house.client("sender")
        topics: dict[Client, list[str]] = {first: [], last: []}
        for _ in range(12):
            await sender.publish("t", bytes(1000), 1)
            for client, got in topics.items():
                got.append((await client.message()).topic)
        for client, got in topics.items():
            got.append((await client.message()).topic)
            assert sorted(got) == ["gone"] + ["t"] * 12
        slow.go_on()
        await slow.ended_with(Disconnect, 0x97)

    in_house(play, BrokerSettings(max_queued_messages=5, max_inflight=4))


def test_a_broker_on_real_sockets_holds_its_bounds_too() -> None:
    import socket

    from mqttsec.packets import Subscribe, encode

    settings = BrokerSettings(max_write_buffer=300_000)
    with InProcessBroker(settings) as house:
        with socket.create_connection((house.host, house.port)) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.sendall(encode(connect_packet("slow")) + encode(Subscribe(1, (SubscribeFilter("t"),))))
            slow.settimeout(10)
            assert slow.recv(1) == b"\x20"
            with socket.create_connection((house.host, house.port)) as sender:
                sender.settimeout(10)
                sender.sendall(encode(connect_packet("sender")))
                assert sender.recv(1) == b"\x20"
                for _ in range(2000):
                    sender.sendall(encode(Publish("t", bytes(10_000))))
                    broker: Broker | None = house.broker
                    assert broker is not None
                    if broker.session("slow") is None:
                        break
                else:
                    raise AssertionError("never cut off")
