"""Event plugins, amqtt's loggers and $SYS among them, and what plugins do to the broker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from mqttsec.packets import Publish, SubscribeFilter, Unsuback, Unsubscribe, Will
from tests.mqtt5.house import ANONYMOUS, Client, House, in_house
from tests.mqtt5.users_plugins import HERE, OWN_WARNINGS, Listener, plugin

SYS = "amqtt.plugins.sys.broker.BrokerSysPlugin"

pytestmark = OWN_WARNINGS


def test_every_event_is_heard_with_its_facts() -> None:
    heard: list[tuple[str, dict[str, Any]]] = []

    async def play(house: House) -> None:
        listener = plugin(house.broker, Listener)
        client = await house.client("a")
        await client.subscribe("t/#", qos=1)
        await client.publish("t/x", b"word", 2, retain=True)
        await client.message(b"word")
        await client.publish("t/x", b"", 0, retain=True)
        await client.message(b"")
        client.send(Unsubscribe(3, ("t/#",)))
        await client.expect(Unsuback)
        await client.drop()
        heard.extend(listener.heard)

    in_house(play, plugins={ANONYMOUS: {}, HERE + "Listener": {}})
    assert [name for name, _ in heard] == [
        "pre_start",
        "connected",
        "subscribed",
        "received",
        "retained",
        "broadcast",
        "received",
        "retained",
        "broadcast",
        "unsubscribed",
        "disconnected",
    ]
    facts = dict(heard)
    assert facts["connected"]["client_session"].client_id == facts["connected"]["client_id"] == "a"
    assert facts["subscribed"] == {"client_id": "a", "topic": "t/#", "qos": 1}
    assert facts["unsubscribed"] == {"client_id": "a", "topic": "t/#"}
    message = next(fact for name, fact in heard if name == "broadcast")["message"]
    assert (message.topic, bytes(message.data), message.qos, message.retain) == ("t/x", b"word", 2, True)
    kept, removed = (fact["retained_message"] for name, fact in heard if name == "retained")
    assert (kept.topic, removed.topic, removed.data) == ("t/x", "t/x", b"")


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def amqtt_log() -> Iterator[list[str]]:
    handler, logger = _Lines(), logging.getLogger("amqtt.broker.plugins")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler.lines
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_event_logger_and_packet_logger_plugins_log(amqtt_log: list[str]) -> None:
    async def talk(house: House) -> None:
        client = await house.client("a")
        await client.subscribe("t", qos=1)
        client.send(Publish("t", b"x"))
        await client.message(b"x")
        await client.drop()

    in_house(
        talk,
        plugins={
            ANONYMOUS: {},
            "amqtt.plugins.logging_amqtt.EventLoggerPlugin": {},
            "amqtt.plugins.logging_amqtt.PacketLoggerPlugin": {},
        },
    )
    for event in (
        "pre_start",
        "client_connected",
        "client_subscribed",
        "message_broadcast",
        "client_disconnected",
    ):
        assert any(f"on_broker_{event}" in line for line in amqtt_log), event
    packets = [line for line in amqtt_log if "-in--" in line or "-out->" in line]
    assert packets == [
        "<-in-- CONNECT(16 bytes)",
        "a -out-> CONNACK(16 bytes)",
        "a <-in-- SUBSCRIBE(9 bytes)",
        "a -out-> SUBACK(6 bytes)",
        "a <-in-- PUBLISH(7 bytes)",
        "a -out-> PUBLISH(7 bytes)",
    ]


def test_broker_sys_plugin_publishes_sys_topics() -> None:
    async def play(house: House) -> None:
        client = await house.client("a")
        await client.subscribe("$SYS/#", SubscribeFilter("#"))
        version = await client.expect(Publish, topic="$SYS/broker/version", retain=True)
        assert version.payload.startswith(b"aMQTT version")
        await client.publish("t", b"x")
        await client.message(b"x")
        await asyncio.sleep(10.5)
        found: dict[str, bytes] = {}
        while not client.waiting.empty():
            message = await client.message()
            assert message.topic.startswith("$SYS/broker/"), message
            found[message.topic.removeprefix("$SYS/broker/")] = message.payload
        assert found["clients/connected"] == b"1"
        assert found["messages/publish/received"] == b"1"
        assert found["messages/subscriptions/count"] == b"2"
        assert found["messages/retained/count"] == b"1"
        assert int(found["load/bytes/received"]) > 20

    in_house(play, plugins={ANONYMOUS: {}, SYS: {"sys_interval": 10}})


@pytest.mark.parametrize("by", ["publish", "will"])
def test_clients_do_not_write_sys_topics(by: str) -> None:
    async def play(house: House) -> None:
        watcher = await house.client("w")
        await watcher.subscribe("$SYS/#")
        client = await house.client("a", will=Will("$SYS/broker/version", b"mine", 1, True))
        if by == "publish":
            for qos in (0, 1, 2):
                code = await client.publish("$SYS/broker/version", b"mine", qos, retain=True)
                assert code == (0x87 if qos else 0)
        else:
            await client.drop()
        await watcher.silent()
        assert not house.broker.retained_messages

    in_house(play)


# What plugins do to the broker -----------------------------------------------------------------


def test_a_plugin_may_bring_back_sessions_subscriptions_and_retained_messages() -> None:
    async def play(house: House) -> None:
        assert list(house.broker.sessions) == ["kept"]
        sender = await house.client("sender")
        assert await sender.publish("a/b", b"while away", 2) == 0
        client = await house.line()
        assert (await client.connect("kept", clean=False, expiry=60)).session_present
        assert (await client.message(b"while away")).qos == 1
        await sender.publish("a/c", b"live", 1)
        await client.message(b"live")
        client.send(Unsubscribe(1, ("a/+", "a/#")))
        assert (await client.expect(Unsuback)).reason_codes == (0, 0x11)
        await client.subscribe("+/news", qos=2)
        got = {
            (message.topic, message.payload, message.qos)
            for message in [await client.message(), await client.message()]
        }
        assert got == {("old/news", b"kept", 1), ("new/news", b"said", 0)}

    in_house(play, plugins={ANONYMOUS: {}, HERE + "Restorer": {}})


def test_a_session_that_a_plugin_made_is_dropped_by_a_clean_start() -> None:
    async def play(house: House) -> None:
        client = await house.line()
        assert not (await client.connect("kept")).session_present
        assert not house.broker.subscriptions

    in_house(play, plugins={ANONYMOUS: {}, HERE + "Restorer": {}})


def test_a_plugin_sees_the_broker_through_amqtts_context() -> None:
    async def play(house: House) -> None:
        client: Client = await house.client("a")
        await client.subscribe("t", qos=1)
        await client.publish("kept", b"x", 1, retain=True)
        context = house.broker.plugins_manager.context
        assert [session.client_id for session in context.sessions] == ["a"]
        assert context.get_session("a").client_id == "a"
        ((session, qos),) = context.subscriptions["t"]
        assert (session.client_id, qos) == ("a", 1)
        assert context.retained_messages["kept"].data == b"x"
        await context.broadcast_message("t", b"from a plugin", 2)
        assert (await client.message(b"from a plugin")).qos == 1

    in_house(play)
