"""Defects of amqtt 0.12.1 that our broker must not have: one test for each, named after it."""

from __future__ import annotations

import asyncio

import pytest

from mqttsec.mqtt5 import Broker
from mqttsec.net import run_virtual
from mqttsec.packets import (
    MQTT_3_1_1,
    Disconnect,
    Puback,
    Publish,
    Suback,
    Subscribe,
    SubscribeFilter,
)
from tests.mqtt5.house import ANONYMOUS, EXTERNAL, House, connect_packet, in_house

BOTH = pytest.mark.parametrize("protocol", [5, MQTT_3_1_1])


@BOTH
def test_a_connecting_client_gets_no_retained_messages_of_other_clients_filters(protocol: int) -> None:
    async def play(house: House) -> None:
        first = await house.client("first", protocol)
        await first.publish("t", b"kept", retain=True)
        await first.subscribe("t")
        await first.message(b"kept")
        second = await house.client("second", protocol)
        await second.silent()
        await first.silent()

    in_house(play)


@BOTH
def test_a_session_that_resumes_gets_no_retained_message_again(protocol: int) -> None:
    async def play(house: House) -> None:
        options = {"clean": False} | ({"expiry": 100} if protocol == 5 else {})
        client = await house.client("a", protocol, **options)
        await client.publish("t", b"kept", retain=True)
        await client.subscribe("t")
        await client.message(b"kept")
        await client.drop()
        client = await house.client("a", protocol, **options)
        await client.silent()

    in_house(play)


@BOTH
@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("published", [0, 1, 2])
def test_delivery_is_at_the_lower_of_both_qos(protocol: int, granted: int, published: int) -> None:
    async def play(house: House) -> None:
        receiver = await house.client("receiver", protocol)
        await receiver.subscribe("t", qos=granted)
        sender = await house.client("sender", protocol)
        await sender.publish("t", b"x", published)
        await receiver.message(b"x", qos=min(granted, published))

    in_house(play)


@BOTH
def test_keep_alive_is_enforced(protocol: int) -> None:
    async def play(house: House) -> None:
        client = await house.client("a", protocol, keep_alive=10)
        begun = asyncio.get_running_loop().time()
        await client.closed()
        assert asyncio.get_running_loop().time() - begun == 15.0

    in_house(play)


@BOTH
def test_a_takeover_closes_the_first_connection_and_does_not_disturb_the_second(protocol: int) -> None:
    async def play(house: House) -> None:
        first = await house.client("a", protocol)
        second = await house.client("a", protocol)
        if protocol == 5:
            await first.ended_with(Disconnect, 0x8E)
        else:
            assert await first.closed() == []
        await asyncio.sleep(10.0)
        await second.subscribe("t", qos=1)
        await second.publish("t", b"x", 1)
        await second.message(b"x")
        session = house.broker.session("a")
        assert session is not None and session.transitions.state == "connected"
        assert len(house.broker.connections) == 1

    in_house(play)


@BOTH
def test_a_publish_to_a_dollar_topic_is_like_any_other(protocol: int) -> None:
    async def play(house: House) -> None:
        receiver = await house.client("receiver", protocol)
        await receiver.subscribe("$x/#", "#", qos=1)
        sender = await house.client("sender", protocol)
        assert await sender.publish("$x/y", b"1", 1) == 0
        assert await sender.publish("z", b"2", 1) == 0
        await receiver.message(b"1")
        await receiver.message(b"2")
        await receiver.silent()

    in_house(play)


@BOTH
def test_a_qos_1_message_is_not_lost_by_a_late_acknowledgement(protocol: int) -> None:
    async def play(house: House) -> None:
        options = {"clean": False} | ({"expiry": 1000} if protocol == 5 else {})
        receiver = await house.client("receiver", protocol, **options)
        await receiver.subscribe("t", qos=1)
        sender = await house.client("sender", protocol)
        await sender.publish("t", b"x", 1)
        first = await receiver.expect(Publish, dup=False)
        # Nothing is sent again on the same connection [MQTT-4.4.0-1], and nothing is given up.
        await receiver.silent(60.0)
        await receiver.drop()
        receiver = await house.client("receiver", protocol, **options)
        await receiver.expect(Publish, dup=True, packet_id=first.packet_id)
        await asyncio.sleep(60.0)
        receiver.send(Puback(first.packet_id or 0))
        await receiver.drop()
        receiver = await house.client("receiver", protocol, **options)
        await receiver.silent()

    in_house(play)


@BOTH
@pytest.mark.parametrize("qos", [1, 2])
def test_queued_messages_do_not_carry_the_retain_flag(protocol: int, qos: int) -> None:
    async def play(house: House) -> None:
        options = {"clean": False} | ({"expiry": 1000} if protocol == 5 else {})
        receiver = await house.client("receiver", protocol, **options)
        await receiver.subscribe("t", qos=2)
        await receiver.drop()
        sender = await house.client("sender", protocol)
        await sender.publish("t", b"plain", qos)
        await sender.publish("t", b"kept", qos, retain=True)
        receiver = await house.client("receiver", protocol, **options)
        await receiver.message(b"plain", retain=False, qos=qos)
        await receiver.message(b"kept", retain=False, qos=qos)
        await receiver.silent()

    in_house(play)


@BOTH
def test_subscribing_again_takes_the_new_qos(protocol: int) -> None:
    async def play(house: House) -> None:
        receiver = await house.client("receiver", protocol)
        sender = await house.client("sender", protocol)
        for qos in (0, 2, 1):
            assert (await receiver.subscribe("t", qos=qos)).reason_codes == (qos,)
            await sender.publish("t", b"x", 2)
            await receiver.message(b"x", qos=qos)
        await receiver.silent()

    in_house(play)


@BOTH
def test_anonymous_sessions_persist(protocol: int) -> None:
    async def play(house: House) -> None:
        options = {"clean": False} | ({"expiry": 1000} if protocol == 5 else {})
        client = await house.client("a", protocol, **options)
        await client.subscribe("t", qos=1)
        session = house.broker.session("a")
        assert session is not None and session.is_anonymous
        await client.drop()
        await asyncio.sleep(100.0)
        sender = await house.client("sender", protocol)
        await sender.publish("t", b"x", 1)
        client = await house.line(protocol)
        assert (await client.connect("a", **options)).session_present
        await client.message(b"x")

    in_house(play, plugins={ANONYMOUS: {"allow_anonymous": True}})


def test_puback_is_not_sent_before_the_access_rules_were_asked() -> None:
    async def play(house: House) -> None:
        client = await house.client("a")
        begun = asyncio.get_running_loop().time()
        assert await client.publish("t", b"x", 1) == 0x87
        assert asyncio.get_running_loop().time() - begun == pytest.approx(5.0)

    in_house(
        play,
        plugins={
            ANONYMOUS: {},
            "tests.mqtt5.users_plugins.Rules": {"forbidden": ["a publish t"], "delay": 5.0},
        },
    )


def test_no_task_for_each_delivery() -> None:
    # amqtt's worst delays are the garbage collector's, busy with three tasks for every delivery.
    made: list[object] = []

    async def play(house: House) -> None:
        loop = asyncio.get_running_loop()
        receivers = [await house.client(f"receiver-{number}") for number in range(20)]
        for receiver in receivers:
            await receiver.subscribe("t", qos=1)
        sender = await house.client("sender")
        create = loop.create_task
        loop.create_task = lambda *args, **options: (made.append(args), create(*args, **options))[1]  # type: ignore
        try:
            for number in range(10):
                sender.send(Publish("t", b"x", 1, packet_id=number + 1))
            await asyncio.sleep(1.0)
        finally:
            loop.create_task = create  # type: ignore[method-assign]
        assert [receiver.waiting.qsize() for receiver in receivers] == [10] * 20

    in_house(play)
    assert not made


def test_a_message_reaches_the_others_when_one_subscriber_has_just_gone() -> None:
    # amqtt's fan-out awaited its deliveries; a broken connection held up or lost the rest.
    async def play(house: House) -> None:
        first, middle, last = [await house.client(name) for name in ("first", "middle", "last")]
        for client in (first, middle, last):
            await client.subscribe("t")
        sender = await house.client("sender")
        assert middle.transport is not None
        middle.transport.abort()
        await sender.publish("t", b"x")
        await first.message(b"x")
        await last.message(b"x")

    in_house(play)


def test_a_broker_without_plugins_configured_gets_only_the_anonymous_one() -> None:
    # amqtt's default brings a 20 s $SYS timer and two loggers, which cost every packet.
    async def main() -> None:
        broker = Broker(config={"listeners": EXTERNAL})
        assert [type(plugin).__name__ for plugin in broker.plugins_manager.plugins] == ["AnonymousAuthPlugin"]
        assert not broker.observed and not broker.hears_messages

    run_virtual(main())


def test_messages_sent_right_after_subscribe_are_not_lost() -> None:
    # amqtt handles SUBSCRIBE and PUBLISH of one connection in different tasks, in any order.
    async def play(house: House) -> None:
        client = await house.line()
        client.send(
            connect_packet("a"),
            *(
                part
                for number in range(20)
                for part in (
                    Subscribe(number + 1, (SubscribeFilter(f"t/{number}"),)),
                    Publish(f"t/{number}", b"x"),
                )
            ),
        )
        await asyncio.sleep(1.0)
        kinds = []
        while not client.waiting.empty():
            kinds.append(type(await client.recv()))
        assert kinds[1:] == [Suback, Publish] * 20

    in_house(play)
