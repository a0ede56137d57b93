"""Public brokers as they are: mosquitto, a stock amqtt, ours; over real sockets, with ordinary clients."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from mqttsec.errors import TimedOut
from mqttsec.mqtt5 import LightClient
from mqttsec.mqtta import Network, Policies, forwarding
from mqttsec.mqtta.publics import public_broker
from mqttsec.packets import MQTT_3_1_1, MQTT_5
from tests.peers import require_peer


@pytest.mark.interop
@pytest.mark.parametrize("public", ["mosquitto", "amqtt", "mqttsec"])
@pytest.mark.parametrize("strategy", ["blind", "topic-aware", "topic-and-qos-aware"])
def test_every_qos_goes_through_a_public_broker_that_knows_nothing(
    public: str, strategy: str
) -> None:
    if public == "mosquitto":
        require_peer("mosquitto")

    async def main() -> None:
        policies = Policies(p_f=0.6, variant="B", strategy=strategy)
        async with Network(6, policies, public=public, sockets=True, seed=1) as net:
            net.host("weather")
            boxes: dict[str, Counter[bytes]] = {}
            for name, qos, protocol in (("two", 2, MQTT_5), ("one", 1, MQTT_3_1_1), ("zero", 0, MQTT_5)):
                box = boxes[name] = Counter()
                reader = await net.client(
                    name, bridge=1, protocol=protocol, on_message=lambda m, box=box: box.update([m.payload])
                )
                assert await net.subscribe(reader, "weather", qos) == qos
            writer = await net.client("writer", bridge=2, protocol=MQTT_3_1_1)
            sent = [b"%d" % number for number in range(10)]
            for payload in sent:
                await net.publish(writer, "weather", payload, 2)
            await net.settled(1.0)
            assert set(boxes["two"]) == set(boxes["one"]) == set(boxes["zero"]) == set(sent)
            # stock amqtt speaks MQTT 3.1.1: without properties a crossing publish is not known again.
            if public != "amqtt" or strategy == "blind":
                assert boxes["two"] == Counter(sent)

    asyncio.run(main())


@pytest.mark.interop
def test_a_bridge_broker_that_crashes_before_a_mosquitto_costs_nothing() -> None:
    require_peer("mosquitto")

    async def main() -> None:
        policies = Policies(p_f=0.6, variant="B")
        async with Network(6, policies, public="mosquitto", sockets=True, seed=3) as net:
            net.host("weather")
            got: Counter[bytes] = Counter()
            reader = await net.client("reader", bridge=1, on_message=lambda m: got.update([m.payload]))
            await net.subscribe(reader, "weather", 2)
            [path] = net.paths("subscribe")
            victim = path.hops[-1].bridge
            assert victim != "b1"
            writer = await net.client("writer", bridge="public1")
            sent = [b"%d" % number for number in range(200)]
            work = [asyncio.ensure_future(writer.publish("weather", payload, 2)) for payload in sent]
            await work[50]
            await net.kill(victim)
            await asyncio.gather(*work)
            await net.settled(2.0)
            assert got == Counter(sent)

    asyncio.run(main())


@pytest.mark.interop
@pytest.mark.parametrize("public", ["mosquitto", "amqtt"])
def test_a_crash_on_the_way_to_a_public_broker_that_waits_for_pubrel_loses_nothing(public: str) -> None:
    """Both publish a QoS 2 message when PUBREL comes, not before: one whose sender crashed stays with them.

    It is published again. Before amqtt some come twice: MQTT 3.1.1 has no place for a number."""
    if public == "mosquitto":
        require_peer("mosquitto")

    async def main() -> None:
        policies = Policies(p_f=0.6, variant="B")
        async with Network(7, policies, public=public, sockets=True, seed=1) as net:
            net.host("weather")
            boxes: dict[str, Counter[bytes]] = {}
            for name, qos in (("two", 2), ("one", 1)):
                box = boxes[name] = Counter()
                reader = await net.client(
                    name, bridge=1, on_message=lambda m, box=box: box.update([m.payload])
                )
                await net.subscribe(reader, "weather", qos)
            writer = await net.client("writer", bridge=2)
            used = {hop.bridge for path in net.paths("subscribe") for hop in path.hops} | {"b2"}
            victim = next(bridge.name for bridge in net.bridges if bridge.name not in used)
            sent = [b"%d" % number for number in range(40)]
            work = [asyncio.ensure_future(net.publish(writer, "weather", payload, 2)) for payload in sent]
            await work[5]
            await net.kill(victim)
            await asyncio.gather(*work)
            for _ in range(300):
                if set(boxes["two"]) == set(boxes["one"]) == set(sent):
                    break
                await asyncio.sleep(0.1)
            await net.settled(1.0)
            assert set(boxes["two"]) == set(boxes["one"]) == set(sent)
            if public == "mosquitto":
                assert boxes["two"] == Counter(sent)

    asyncio.run(main())


@pytest.mark.interop
@pytest.mark.parametrize("public", ["mosquitto", "amqtt"])
def test_what_a_crash_of_the_last_bridge_broker_costs_is_what_the_public_broker_forgets(public: str) -> None:
    """[MQTT-4.4.0-1] bids it to send again what was not acknowledged. A stock amqtt drops that with the
    connection, of any client: before it no path drawn anew can find what was under way."""
    if public == "mosquitto":
        require_peer("mosquitto")

    async def main() -> None:
        broker = public_broker(public, "public", None)
        at = await broker.start()
        try:
            options: dict[str, Any] = {"protocol": MQTT_3_1_1, "clean_start": False, "auto_ack": False}
            before, after = LightClient("session", **options), LightClient("session", **options)
            await before.connect(at.host, at.port)
            await before.subscribe("t", qos=1)
            await before.publish("t", b"1", 1)
            assert (await before.next_message(10)).payload == b"1"
            await before.disconnect()
            connack = await after.connect(at.host, at.port)
            assert connack.session_present
            if public == "mosquitto":
                again = await after.next_message(10)
                assert (again.payload, again.dup) == (b"1", True)
            else:
                with pytest.raises(TimedOut):
                    await after.next_message(0.5)
            await after.disconnect()
        finally:
            await broker.stop()

    asyncio.run(main())


def test_paho_is_a_client_like_any_other() -> None:
    async def main() -> None:
        async with Network(4, Policies(p_f=0.5), sockets=True, seed=1) as net:
            net.host("weather")
            loop = asyncio.get_running_loop()
            came: asyncio.Future[paho.MQTTMessage] = loop.create_future()
            subscribed = asyncio.Event()
            client = paho.Client(CallbackAPIVersion.VERSION2, "paho", protocol=MQTTProtocolVersion.MQTTv311)
            client.on_message = lambda _, __, message: loop.call_soon_threadsafe(came.set_result, message)
            client.on_subscribe = lambda *_: loop.call_soon_threadsafe(subscribed.set)
            at = net.bridge(1).at
            client.connect(at.host, at.port)
            client.loop_start()
            try:
                client.subscribe(forwarding("weather"), 2)
                await asyncio.wait_for(subscribed.wait(), 10)
                writer = await net.client("writer", bridge=2)
                await net.publish(writer, "weather", "12.8", 2)
                message = await asyncio.wait_for(came, 10)
                assert (message.topic, message.payload, message.qos) == (forwarding("weather"), b"12.8", 2)
            finally:
                client.disconnect()
                client.loop_stop()

    asyncio.run(main())
