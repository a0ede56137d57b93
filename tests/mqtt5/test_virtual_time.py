"""The unmodified broker under the virtual clock: every wait is exact, and a run is the same every time."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from mqttsec.mqtt5 import NEVER, Broker, BrokerSettings
from mqttsec.net import LinkSettings
from mqttsec.packets import (
    MQTT_3_1_1,
    Connack,
    Disconnect,
    Pingreq,
    Pingresp,
    Properties,
    Publish,
    SubscribeFilter,
    Will,
    encode,
)
from mqttsec.trace.events import EventKind, Trace
from tests.mqtt5.house import Client, House, connect_packet, in_house


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize(
    ("keep_alive", "imposed", "after"), [(10, None, 15.0), (7, None, 10.5), (60, 2, 3.0)]
)
def test_the_keep_alive_ends_after_one_and_a_half_times_to_the_second(
    keep_alive: int, imposed: int | None, after: float
) -> None:
    # [MQTT-3.1.2-22], [MQTT-3.2.2-21]
    async def play(house: House) -> None:
        client = await house.client("a", keep_alive=keep_alive)
        for _ in range(5):
            await asyncio.sleep(after - 0.001)
            client.send(Pingreq())
            heard = now()
            await client.expect(Pingresp)
        await client.ended_with(Disconnect, 0x8D)
        assert now() - heard == pytest.approx(after, abs=1e-9)

    in_house(play, BrokerSettings(server_keep_alive=imposed))


def test_a_keep_alive_of_0_lasts_for_ever() -> None:
    async def play(house: House) -> None:
        client = await house.client("a")
        await asyncio.sleep(7 * 24 * 3600.0)
        await client.sync()

    in_house(play)


def test_any_bytes_count_for_the_keep_alive_and_it_costs_one_timer() -> None:
    async def play(house: House) -> None:
        client = await house.client("a", keep_alive=10)
        timers: list[Any] = []
        call_later = house.broker.call_later
        house.broker.call_later = lambda *args: (timers.append(args), call_later(*args))[1]  # type: ignore
        for _ in range(300):
            await asyncio.sleep(1.0)
            client.send(Publish("t"))
        assert len(timers) <= 300 / 15 + 2

    in_house(play)


@pytest.mark.parametrize(
    ("delay", "expiry", "after"),
    [
        (None, 0, 0.0),
        (0, 100, 0.0),
        (30, 100, 30.0),
        (100, 30, 30.0),  # [MQTT-3.1.3-9] "or the Session ends, whichever happens first"
        (30, 0, 0.0),
        (30, NEVER, 30.0),
    ],
)
def test_the_will_comes_when_its_delay_or_the_session_is_over(
    delay: int | None, expiry: int, after: float
) -> None:
    async def play(house: House) -> None:
        watcher = await house.client("watcher")
        await watcher.subscribe("gone")
        will = Will("gone", b"a", properties=Properties(will_delay_interval=delay, content_type="will"))
        client = await house.client("a", expiry=expiry, will=will)
        assert client.transport is not None
        client.transport.abort()
        left = now()
        message = await watcher.expect(Publish, 200.0)
        assert now() - left == after
        assert message.properties == Properties(content_type="will")
        await watcher.silent(200.0)

    in_house(play)


def test_a_client_that_is_back_in_time_has_no_will_sent() -> None:
    # [MQTT-3.1.3-9]
    async def play(house: House) -> None:
        watcher = await house.client("watcher")
        await watcher.subscribe("gone")
        will = Will("gone", b"a", properties=Properties(will_delay_interval=10))
        for _ in range(3):
            client = await house.client("a", clean=False, expiry=100, will=will)
            await client.drop()
            await asyncio.sleep(8.0)
        await watcher.message(b"a")
        await watcher.silent(200.0)

    in_house(play)


def test_a_clean_start_ends_the_session_and_sends_the_delayed_will() -> None:
    async def play(house: House) -> None:
        watcher = await house.client("watcher")
        await watcher.subscribe("gone")
        will = Will("gone", b"a", properties=Properties(will_delay_interval=10))
        client = await house.client("a", expiry=100, will=will)
        await client.drop()
        await house.client("a")
        await watcher.message(b"a")

    in_house(play)


def test_no_local_holds_for_the_will_of_an_earlier_session() -> None:
    # [MQTT-3.8.3-3] goes by the Client Identifier.
    async def play(house: House) -> None:
        will = Will("gone", b"a", properties=Properties(will_delay_interval=10))
        client = await house.client("a", clean=False, expiry=100, will=will)
        await client.subscribe(SubscribeFilter("gone", 1, no_local=True))
        await client.drop()
        client = await house.client("a", clean=False, expiry=100)
        house.broker.publish("gone", b"not its own")
        await client.message(b"not its own")

    in_house(play)


@pytest.mark.parametrize("expiry", [1, 100])
def test_a_session_ends_to_the_second(expiry: int) -> None:
    # [MQTT-3.1.2-23], 4.1.0
    async def play(house: House) -> None:
        for late, present in ((-0.001, True), (0.001, False)):
            client = await house.client("a", clean=False, expiry=expiry)
            await client.subscribe("t", qos=1)
            assert client.transport is not None
            client.transport.abort()
            await asyncio.sleep(expiry + late)
            assert (house.broker.session("a") is not None) == present
            assert bool(house.broker.subscriptions) == present
            client = await house.line()
            assert (await client.connect("a", clean=False, expiry=expiry)).session_present == present
        await client.drop()

    in_house(play)


def test_a_disconnect_may_change_the_expiry() -> None:
    # 3.14.2.2.2
    async def play(house: House) -> None:
        client = await house.client("a", expiry=1000)
        client.send(Disconnect(0, Properties(session_expiry_interval=5)))
        await client.closed()
        await asyncio.sleep(4.9)
        assert house.broker.session("a") is not None
        await asyncio.sleep(0.2)
        assert house.broker.session("a") is None
        client = await house.client("a")
        client.send(Disconnect(0, Properties(session_expiry_interval=5)))
        await client.ended_with(Disconnect, 0x82)

    in_house(play)


def test_the_broker_may_grant_less_and_goes_by_it() -> None:
    async def play(house: House) -> None:
        client = await house.line()
        connack = await client.connect("a", expiry=1000)
        assert connack.properties.session_expiry_interval == 10
        client.send(Disconnect(0, Properties(session_expiry_interval=500)))
        await client.closed()
        await asyncio.sleep(9.9)
        assert house.broker.session("a") is not None
        await asyncio.sleep(0.2)
        assert house.broker.session("a") is None
        old = await house.client("old", MQTT_3_1_1, clean=False)
        await old.drop()
        await asyncio.sleep(10.1)
        assert not house.broker.sessions

    in_house(play, BrokerSettings(maximum_session_expiry=10))


@pytest.mark.parametrize("way", ["queued", "retained", "window"])
def test_a_message_expires_to_the_second_and_says_how_long_it_has_left(way: str) -> None:
    # [MQTT-3.3.2-5], [MQTT-3.3.2-6]
    async def play(house: House) -> None:
        sender = await house.client("sender")
        for waits, left in ((0.5, 10), (3.0, 7), (9.5, 1), (10.0, None), (11.0, None)):
            receiver = await house.line()
            narrow = Properties(session_expiry_interval=1000, receive_maximum=1)
            receiver.send(connect_packet("receiver", properties=narrow))
            await receiver.expect(Connack)
            properties = Properties(message_expiry_interval=10)
            if way == "queued":
                await receiver.subscribe("t", qos=1)
                await receiver.drop()
                await sender.publish("t", b"x", 1, properties=properties)
                published = now()
                await asyncio.sleep(waits)
                receiver = await house.client("receiver", clean=False, expiry=1000)
            elif way == "retained":
                await sender.publish("t", b"x", 1, retain=True, properties=properties)
                published = now()
                await asyncio.sleep(waits)
                await receiver.subscribe("t", qos=1)
            else:
                await receiver.subscribe("t", qos=1)
                await sender.publish("t", b"blocks", 1)
                blocks = await receiver.expect(Publish, payload=b"blocks")
                await sender.publish("t", b"x", 1, properties=properties)
                published = now()
                await asyncio.sleep(waits)
                receiver.send(encode_puback(blocks))
            assert now() == published + waits
            if left is None:
                await receiver.silent()
            else:
                message = await receiver.message(b"x")
                assert message.properties.message_expiry_interval == left
                await receiver.silent()
            await receiver.drop()
        assert house.broker.retained_messages == {} or way != "retained"
        await house.client("receiver")

    in_house(play)


def encode_puback(message: Publish) -> bytes:
    assert message.packet_id is not None
    return b"\x40\x02" + message.packet_id.to_bytes(2, "big")


def test_a_connection_without_connect_is_cut_after_the_timeout() -> None:
    async def play(house: House) -> None:
        for begin in (b"", encode(connect_packet("a"))[:-1]):
            client = await house.line()
            opened = now()
            if begin:
                client.send(begin)
            assert await client.closed() == []
            assert now() - opened == 5.0

    in_house(play, BrokerSettings(connect_timeout=5.0))


def test_who_does_not_close_is_closed() -> None:
    # After its last packet the broker waits for the client's end, but not for ever.
    async def play(house: House) -> None:
        class Stubborn(Client):
            def eof_received(self) -> bool:
                return True

            def connection_lost(self, exc: Exception | None) -> None:
                lost.append(now())

        lost: list[float] = []
        _, client = await house.network.connect(Stubborn, "broker", 1883)
        await client.connect("a")
        begun = now()
        client.send(b"\x00\x00")
        await client.expect(Disconnect)
        for _ in range(100):
            # What it goes on sending is neither done nor kept.
            client.send(Publish("t", bytes(10_000)))
            await asyncio.sleep(0.01)
        await asyncio.sleep(2.0)
        assert lost == [begun + 2.5]
        assert not house.broker.connections

    in_house(play, BrokerSettings(close_timeout=2.5))


# The same every time ---------------------------------------------------------------------------


async def lively(house: House) -> None:
    """A bit of everything, over links that lose and delay."""
    link = LinkSettings(delay=0.02, jitter=0.01, loss=0.02, bandwidth=50_000.0)
    clients = []
    for number in range(6):
        client = await house.line(protocol=5 if number % 2 else MQTT_3_1_1, link=link)
        await client.connect(
            "" if number == 5 else f"client-{number}", keep_alive=20, will=Will("gone", b"%d" % number)
        )
        await client.subscribe("#", f"$share/g/{number % 2}", qos=number % 3)
        clients.append(client)
    for number, client in enumerate(clients):
        for qos in range(3):
            client.send(Publish(f"{number % 2}", bytes(200), qos, qos == 1, packet_id=qos or None))
    await asyncio.sleep(10.0)
    assert clients[0].transport is not None
    clients[0].transport.abort()
    await asyncio.sleep(3600.0)


def fingerprint(trace: Trace | None) -> str:
    assert trace is not None and len(trace) > 100
    return hashlib.sha256(repr(tuple(trace)).encode()).hexdigest()


def test_a_run_is_the_same_every_time() -> None:
    settings = BrokerSettings(seed=7)
    first = in_house(lively, settings, traced=True)
    assert fingerprint(first) == fingerprint(in_house(lively, settings, traced=True))
    assert first is not None and {EventKind.OPENED, EventKind.CLOSED, EventKind.REJECTED} <= {
        event.kind for event in first
    }


def test_assigned_client_identifiers_follow_the_seed_and_differ() -> None:
    names: list[list[str | None]] = []

    async def play(house: House) -> None:
        found = []
        for _ in range(20):
            client = await house.line()
            found.append((await client.connect("")).properties.assigned_client_identifier)
        names.append(found)

    for seed in (1, 1, 2, None, None):
        in_house(play, BrokerSettings(seed=seed))
    assert names[0] == names[1]
    assert len({name for found in names[1:] for name in found}) == 80


def test_a_hundred_brokers_under_one_virtual_clock() -> None:
    async def play(house: House) -> None:
        others = []
        for number in range(100):
            broker = Broker(
                BrokerSettings(name=str(number)), {"listeners": {"default": {"type": "external"}}}
            )
            await broker.start()
            house.network.listen(broker.protocol_factory(), f"broker-{number}", 1883)
            others.append(broker)
        for number in range(100):
            _, client = await house.network.connect(Client, f"broker-{number}", 1883)
            await client.connect("a", keep_alive=10)
        assert all(len(broker.connections) == 1 for broker in others)
        await asyncio.sleep(15.1)
        assert not any(broker.connections for broker in others)
        for broker in others:
            await broker.shutdown()

    in_house(play)


@pytest.mark.parametrize("protocol", [5, MQTT_3_1_1])
def test_the_trace_tells_the_whole_life_of_a_connection(protocol: int) -> None:
    async def play(house: House) -> None:
        client = await house.client("a", protocol)
        await client.subscribe("t")
        client.send(Disconnect(), protocol and b"")
        await client.closed()
        await asyncio.sleep(5.0)

    trace = in_house(play, traced=True)
    assert trace is not None
    assert [event.kind for event in trace] == [
        EventKind.OPENED,
        EventKind.RECEIVED,
        EventKind.SENT,
        EventKind.RECEIVED,
        EventKind.SENT,
        EventKind.RECEIVED,
        EventKind.CLOSED,
    ]
    assert {(event.party, event.peer, event.connection) for event in trace} == {("broker", "a", 1)}
    assert {event.protocol for event in trace} == {protocol}
