"""`LightClient` against a scripted Server under virtual time, against mosquitto, and against our broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from mqttsec.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailed,
    MqttsecError,
    ProtocolError,
    Refused,
    TimedOut,
)
from mqttsec.mqtt5.auth import AuthConversation, AuthSuccess
from mqttsec.mqtt5.broker import Broker
from mqttsec.mqtt5.light import LightClient
from mqttsec.net import LinkSettings, MemoryNetwork, OnLoss, run_virtual
from mqttsec.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscribeFilter,
    Unsuback,
    Unsubscribe,
    Will,
    decode,
)
from mqttsec.trace.events import EventKind, Trace
from tests.mqtt5.local_mosquitto import local_mosquitto
from tests.mqtt5.scripted import Line, ScriptedPeer, Sums, together

Script = Callable[[ScriptedPeer], Coroutine[Any, Any, Any]]
Act = Callable[[LightClient], Coroutine[Any, Any, Any]]


def play(act: Act, script: Script, protocol: int = 5, delay: float = 0.0, **options: Any) -> Any:
    """Run `act` of a client and `script` of the Server side by side; returns what `act` returned."""

    async def main() -> Any:
        network = MemoryNetwork(default=LinkSettings(delay=delay))
        peer = ScriptedPeer(network, protocol)
        client = LightClient("alice", network=network, protocol=protocol, **options)
        return (await together(act(client), script(peer)))[0]

    return run_virtual(main())


async def accept(peer: ScriptedPeer, connack: Connack = Connack()) -> Line:  # noqa: B008
    line = await peer.line()
    await line.expect(Connect)
    line.send(connack)
    return line


# Connecting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [5, 4])
def test_connect_says_what_was_asked_for(protocol: int) -> None:
    properties = Properties()
    if protocol == 5:
        properties = Properties(session_expiry_interval=60, user_property=(("a", "b"),))
    will = Will("gone", b"alice", 1, True)

    async def act(client: LightClient) -> None:
        connack = await client.connect("broker")
        assert connack == client.connack
        assert client.connected
        await client.disconnect()
        assert not client.connected
        assert await client.wait_closed() is None

    async def script(peer: ScriptedPeer) -> None:
        line = await peer.line()
        assert await line.expect(Connect) == Connect(
            "alice", False, 30, "user", b"secret", will, properties, protocol
        )
        line.send(Connack())
        assert await line.expect(Disconnect) == Disconnect()
        await line.expect_end()

    play(act, script, protocol, clean_start=False, keep_alive=30, username="user", password="secret",
         will=will, properties=properties)


@pytest.mark.parametrize(("protocol", "code"), [(5, 0x87), (4, 5)])
def test_a_refusal_is_an_error_with_the_servers_reason(protocol: int, code: int) -> None:
    async def act(client: LightClient) -> None:
        with pytest.raises(ConnectionFailed, match="Not authorized") as caught:
            await client.connect("broker")
        assert caught.value.reason_code == code
        assert not client.connected

    async def script(peer: ScriptedPeer) -> None:
        line = await accept(peer, Connack(False, code))
        await line.expect_end()

    play(act, script, protocol)


def test_nobody_there_is_an_error_that_says_where() -> None:
    async def main() -> None:
        client = LightClient("alice", network=MemoryNetwork())
        with pytest.raises(ConnectionFailed, match="broker:1883.*running"):
            await client.connect("broker")

    run_virtual(main())


def test_a_server_that_says_nothing_is_an_error_after_the_timeout() -> None:
    async def act(client: LightClient) -> None:
        begun = asyncio.get_running_loop().time()
        with pytest.raises(ConnectionFailed, match="no CONNACK"):
            await client.connect("broker")
        assert asyncio.get_running_loop().time() - begun == 7

    async def script(peer: ScriptedPeer) -> None:
        line = await peer.line()
        await line.expect(Connect)
        await line.expect_end()

    play(act, script, timeout=7)


def test_an_assigned_client_identifier_is_taken_over() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        trace = Trace(asyncio.get_running_loop().time)
        client = LightClient(network=network, trace=trace)
        peer = ScriptedPeer(network)

        async def script() -> None:
            await accept(peer, Connack(properties=Properties(assigned_client_identifier="c-17")))
            line = await peer.line()
            assert (await line.expect(Connect)).client_id == "c-17"
            line.send(Connack())

        async def act() -> None:
            await client.connect("broker")
            assert client.client_id == "c-17"
            await client.disconnect()
            await client.connect("broker")

        await together(act(), script())
        assert {event.party for event in trace if event.connection == 2} == {"c-17"}

    run_virtual(main())


def test_a_client_can_connect_again_after_an_abort() -> None:
    async def act(client: LightClient) -> None:
        await client.connect("broker")
        with pytest.raises(ConfigurationError, match="connected already"):
            await client.connect("broker")
        client.abort()
        await client.connect("broker")
        assert client.connected

    async def script(peer: ScriptedPeer) -> None:
        line = await accept(peer)
        await line.expect_end()
        await accept(peer)

    play(act, script)


def test_a_session_where_none_can_be_is_a_protocol_error() -> None:
    """[MQTT-3.2.2-2]"""

    async def act(client: LightClient) -> None:
        with pytest.raises(ProtocolError):
            await client.connect("broker")

    async def script(peer: ScriptedPeer) -> None:
        line = await accept(peer, Connack(session_present=True))
        assert (await line.expect(Disconnect)).reason_code == 0x82

    play(act, script)


# Enhanced authentication -----------------------------------------------------------------------


@pytest.mark.parametrize("rounds", [0, 1, 5])
def test_authentication_takes_any_number_of_rounds(rounds: int) -> None:
    sums = Sums()

    async def act(client: LightClient) -> None:
        await client.connect("broker")
        assert sums.finished == 1

    async def script(peer: ScriptedPeer) -> None:
        line = await peer.line()
        properties = (await line.expect(Connect)).properties
        assert (properties.authentication_method, properties.authentication_data) == ("sums", b"hello")
        for number in range(1, rounds + 1):
            line.send(Auth(0x18, Properties(authentication_method="sums", authentication_data=b"2")))
            answer = await line.expect(Auth)
            assert answer.reason_code == 0x18
            assert answer.properties == Properties(
                authentication_method="sums", authentication_data=str(2 * number).encode()
            )
        line.send(Connack(properties=Properties(authentication_method="sums", authentication_data=b"fine")))

    play(act, script, authenticator=sums)


def _challenge(data: bytes, method: str = "sums", code: int = 0x18) -> Auth:
    return Auth(code, Properties(authentication_method=method, authentication_data=data))


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (_challenge(b"13"), AuthenticationError, 0x80),
        (_challenge(b"1", method="other"), ProtocolError, 0x82),
        (_challenge(b"1", code=0x00), ProtocolError, 0x82),
        (_challenge(b"1", code=0x19), ProtocolError, 0x82),
        (Auth(), ProtocolError, 0x82),
        (Connack(properties=Properties(authentication_method="sums", authentication_data=b"wrong")),
         AuthenticationError, 0x80),
        (Connack(properties=Properties(authentication_method="sums")), AuthenticationError, 0x80),
        (Connack(properties=Properties(authentication_method="other", authentication_data=b"fine")),
         ProtocolError, 0x82),
        (Connack(), ProtocolError, 0x82),
        (Suback(1, (0,)), ProtocolError, 0x82),
    ],
    ids=["bad challenge", "other method", "AUTH success", "AUTH again", "AUTH without method", "bad proof",
         "no proof", "CONNACK other method", "CONNACK without method", "not AUTH"],
)
def test_the_client_ends_an_authentication_that_is_not_right(
    answer: Packet, error: type[MqttsecError], said: int
) -> None:
    async def act(client: LightClient) -> None:
        with pytest.raises(error):
            await client.connect("broker")
        assert not client.connected

    async def script(peer: ScriptedPeer) -> None:
        line = await peer.line()
        await line.expect(Connect)
        line.send(answer)
        assert (await line.expect(Disconnect)).reason_code == said
        await line.expect_end()

    play(act, script, authenticator=Sums(give_up_at=13))


def test_auth_without_an_authenticator_is_a_protocol_error() -> None:
    """[MQTT-4.12.0-6]"""

    async def act(client: LightClient) -> None:
        with pytest.raises(ProtocolError):
            await client.connect("broker")

    async def script(peer: ScriptedPeer) -> None:
        line = await peer.line()
        await line.expect(Connect)
        line.send(_challenge(b"1"))
        assert (await line.expect(Disconnect)).reason_code == 0x82

    play(act, script)


def test_reauthentication_while_messages_go_on() -> None:
    """[MQTT-4.12.1-1]"""
    sums = Sums()

    async def act(client: LightClient) -> None:
        await client.connect("broker")
        message = asyncio.ensure_future(client.next_message())
        await client.reauthenticate()
        assert (await message).payload == b"meanwhile"
        assert (sums.exchanges, sums.finished) == (2, 2)
        with pytest.raises(ConnectionFailed) as caught:
            await client.reauthenticate()
        assert caught.value.reason_code == 0x87

    async def script(peer: ScriptedPeer) -> None:
        success = Properties(authentication_method="sums", authentication_data=b"fine")
        line = await accept(peer, Connack(properties=success))
        assert await line.expect(Auth) == _challenge(b"hello", code=0x19)
        line.send(_challenge(b"4"), Publish("t", b"meanwhile"))
        assert await line.expect(Auth) == _challenge(b"4")
        line.send(Auth(0x00, success))
        await line.expect(Auth)
        line.send(Disconnect(0x87))
        await line.expect_end()

    play(act, script, authenticator=sums)


def test_reauthentication_needs_an_authenticator_and_a_connection() -> None:
    async def act(client: LightClient) -> None:
        await client.connect("broker")
        with pytest.raises(AuthenticationError, match="no authenticator"):
            await client.reauthenticate()
        assert client.connected

    play(act, accept)
    with pytest.raises(ConfigurationError):
        LightClient(protocol=4, authenticator=Sums())


# Publishing ------------------------------------------------------------------------------------


def test_each_qos_waits_for_its_last_acknowledgement() -> None:
    async def act(client: LightClient) -> list[float]:
        loop = asyncio.get_running_loop()
        await client.connect("broker")
        took = []
        for qos in (0, 1, 2):
            begun = loop.time()
            assert await client.publish("t", b"x", qos) == 0
            took.append(loop.time() - begun)
        return took

    async def script(peer: ScriptedPeer) -> None:
        line = await accept(peer)
        assert await line.expect(Publish) == Publish("t", b"x")
        assert await line.expect(Publish) == Publish("t", b"x", 1, packet_id=1)
        line.send(Puback(1))
        assert await line.expect(Publish) == Publish("t", b"x", 2, packet_id=2)
        line.send(Pubrec(2))
        assert await line.expect(Pubrel) == Pubrel(2)
        line.send(Pubcomp(2))

    # One and two round trips of 0.2 s, by the virtual clock.
    assert play(act, script, delay=0.1) == pytest.approx([0, 0.2, 0.4])


def test_the_servers_receive_maximum_bounds_what_is_under_way() -> None:
    """[MQTT-4.9.0-2]"""

    async def act(client: LightClient) -> None:
        await client.connect("broker")
        await asyncio.gather(*(client.publish("t", bytes([n]), 1) for n in range(4)))

    async def script(peer: ScriptedPeer) -> None:
        line = await accept(peer, Connack(properties=Properties(receive_maximum=2)))
        ids = [(await line.expect(Publish)).packet_id for _ in range(2)]
        await line.expect_silence(1)
        line.send(Puback(ids[1] or 0))
        assert (await line.expect(Publish)).payload == b"\2"
        await line.expect_silence(1)
        line.send(Puback(ids[0] or 0))
        third = await line.expect(Publish)
        assert third.payload == b"\3"
        line.send(Puback(3), Puback(4))

    play(act, script)


def test_a_refused_message_raises() -> None:
    async def act(client: LightClient) -> None:
        await client.connect("broker")
        for qos in (1, 2):
            with pytest.raises(Refused) as caught:
                await client.publish("t", b"x", qos)
            assert caught.value.reason_code == 0x87

    async def script(peer: ScriptedPeer) -> None:
        line = await accept(peer)
        await line.expect(Publish)
        line.send(Puback(1, 0x87))
        await line.expect(Publish)
        line.send(Pubrec(2, 0x87))

    play(act, script)


def test_an_acknowledgement_that_stays_away_is_an_error() -> None:
    async def act(client: LightClient) -> None:
        await client.connect("broker")
        with pytest.raises(TimedOut, match="waited 5 s in vain"):
            await client.publish("t", b"x", 1)

    play(act, accept, timeout=5)


@pytest.mark.parametrize(
    ("granted", "message", "code"),
    [
        (Properties(maximum_qos=1), {"qos": 2}, 0x9B),
        (Properties(retain_available=0), {"retain": True}, 0x9A),
        (Properties(maximum_packet_size=50), {"payload": b"x" * 50}, 0x95),
        (Properties(), {"topic": "a/#"}, 0x90),
        (Properties(), {"qos": 3}, 0x82),
    ],
)
def test_what_the_server_would_not_take_is_not_sent(
    granted: Properties, message: dict[str, Any], code: int
) -> None:
    """[MQTT-3.2.2-11], [MQTT-3.2.2-14], [MQTT-3.2.2-15]"""

    async def act(client: LightClient) -> None:
        await client.connect("broker")
        with pytest.raises(ProtocolError) as caught:
            await client.publish(**{"topic": "t", **message})
        assert caught.value.reason_code == code
        await client.publish("good")

    async def script(peer: ScriptedPeer) -> None:
        line = await accept(peer, Connack(properties=granted))
        assert (await line.expect(Publish)).topic == "good"

    play(act, script)


def test_an_acknowledgement_may_bear_properties() -> None:
    why = Properties(reason_string="too hot", user_property=(("limit", "40"),))

    async def act(client: LightClient) -> None:
        await client.connect("broker")
        client.acknowledge(await client.next_message(), 0x97, why)
        client.acknowledge(await client.next_message(), 0x83, why)

    async def script(peer: ScriptedPeer) -> None:
        line = await accept(peer)
        line.send(Publish("t", b"x", 1, packet_id=1))
        assert await line.expect(Puback) == Puback(1, 0x97, why)
        line.send(Publish("t", b"x", 2, packet_id=2))
        assert await line.expect(Pubrec) == Pubrec(2, 0x83, why)

    play(act, script, auto_ack=False)


def test_unacknowledged_messages_are_sent_again_after_a_broken_connection() -> None:
    """[MQTT-4.4.0-1], [MQTT-3.3.1-1]"""

    async def act(client: LightClient) -> None:
        await client.connect("broker")
        waiting = [asyncio.ensure_future(client.publish("t", bytes([n]), 1 + n % 2)) for n in range(3)]
        await client.wait_closed()
        await client.connect("broker", clean_start=False)
        assert await asyncio.gather(*waiting) == [0, 0, 0]

    async def script(peer: ScriptedPeer) -> None:
        line = await accept(peer)
        for _ in range(3):
            await line.expect(Publish)
        line.send(Pubrec(2))
        await line.expect(Pubrel)
        line.abort()
        line = await accept(peer, Connack(session_present=True))
        assert await line.expect(Pubrel) == Pubrel(2)
        assert await line.expect(Publish) == Publish("t", b"\0", 1, dup=True, packet_id=1)
        assert await line.expect(Publish) == Publish("t", b"\2", 1, dup=True, packet_id=3)
        line.send(Pubcomp(2), Puback(1), Puback(3))

    play(act, script, properties=Properties(session_expiry_interval=100))


@pytest.mark.parametrize("expiry", [None, 100])
def test_a_lost_session_ends_deliveries_with_an_error(expiry: int | None) -> None:
    """[MQTT-3.2.2-5]: and without an expiry the session ends with the connection (3.1.2.11.2)."""

    async def act(client: LightClient) -> None:
        await client.connect("broker")
        waiting = asyncio.ensure_future(client.publish("t", b"x", 1))
        await client.wait_closed()
        if expiry is not None:
            await asyncio.sleep(0.1)
            assert not waiting.done()
            await client.connect("broker", clean_start=False)
        with pytest.raises(ConnectionFailed):
            await waiting
        assert client.session.unfinished == 0

    async def script(peer: ScriptedPeer) -> None:
        line = await accept(peer)
        await line.expect(Publish)
        line.abort()
        if expiry is not None:
            line = await accept(peer)
            await line.expect_silence(1)

    play(act, script, properties=Properties(session_expiry_interval=expiry))


def test_publishing_without_a_connection_says_what_to_do() -> None:
    async def main() -> None:
        client = LightClient("alice")
        for attempt in (client.publish("t"), client.subscribe("t"), client.ping(), client.next_message()):
            with pytest.raises(ConnectionFailed, match="connect"):
                await attempt
        await client.disconnect()

    run_virtual(main())


def test_topic_aliases_shorten_as_far_as_the_server_allows() -> None:
    """[MQTT-3.3.2-9]"""

    async def act(client: LightClient) -> None:
        await client.connect("broker")
        for topic in ("a", "b", "c", "a", "c"):
            await client.publish(topic)
        with pytest.raises(ConfigurationError, match="topic_aliases"):
            await client.publish("a", properties=Properties(topic_alias=1))

    async def script(peer: ScriptedPeer) -> None:
        line = await accept(peer, Connack(properties=Properties(topic_alias_maximum=2)))
        seen = [await line.expect(Publish) for _ in range(5)]
        assert [(p.topic, p.properties.topic_alias) for p in seen] == [
            ("a", 1), ("b", 2), ("c", None), ("", 1), ("c", None)
        ]

    play(act, script, topic_aliases=True)


# Receiving -------------------------------------------------------------------------------------


def test_messages_come_in_order_and_are_acknowledged() -> None:
    async def act(client: LightClient) -> None:
        await client.connect("broker")
        got = [message.payload async for message in client.messages()]
        assert got == [b"0", b"1", b"2"]
        with pytest.raises(ConnectionFailed):
            await client.next_message()

    async def script(peer: ScriptedPeer) -> None:
        line = await accept(peer)
        line.send(Publish("t", b"0"), Publish("t", b"1", 1, packet_id=7), Publish("t", b"2", 2, packet_id=8))
        assert await line.expect(Puback) == Puback(7)
        assert await line.expect(Pubrec) == Pubrec(8)
        line.send(Publish("t", b"2", 2, dup=True, packet_id=8))
        assert await line.expect(Pubrec) == Pubrec(8)
        line.send(Pubrel(8))
        assert await line.expect(Pubcomp) == Pubcomp(8)
        line.close()

    play(act, script)


def test_acknowledging_by_hand() -> None:
    async def act(client: LightClient) -> None:
        await client.connect("broker")
        one, two = await client.next_message(), await client.next_message()
        await asyncio.sleep(5)
        client.acknowledge(one)
        client.acknowledge(two, 0x97)
        with pytest.raises(MqttsecError):
            client.acknowledge(one)

    async def script(peer: ScriptedPeer) -> None:
        line = await accept(peer)
        line.send(Publish("t", b"1", 1, packet_id=7), Publish("t", b"2", 2, packet_id=8))
        await line.expect_silence(4)
        assert await line.expect(Puback) == Puback(7)
        assert await line.expect(Pubrec) == Pubrec(8, 0x97)

    play(act, script, auto_ack=False)


def test_a_callback_gets_the_messages_and_its_errors_cost_no_connection() -> None:
    got: list[bytes] = []
    reported: list[dict[str, Any]] = []

    def on_message(message: Publish) -> None:
        got.append(message.payload)
        if message.payload == b"bad":
            raise ValueError("of the lab")

    async def act(client: LightClient) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
        await client.connect("broker")
        await client.wait_closed()

    async def script(peer: ScriptedPeer) -> None:
        line = await accept(peer)
        line.send(Publish("t", b"bad", 1, packet_id=1), Publish("t", b"good", 1, packet_id=2))
        assert (await line.expect(Puback), await line.expect(Puback)) == (Puback(1), Puback(2))
        line.close()

    play(act, script, on_message=on_message)
    assert got == [b"bad", b"good"]
    assert isinstance(reported[0]["exception"], ValueError)


def test_no_message_in_time_is_an_error() -> None:
    async def act(client: LightClient) -> None:
        await client.connect("broker")
        with pytest.raises(TimedOut, match="within 2 s"):
            await client.next_message(2)

    play(act, accept)


def test_the_servers_topic_aliases_are_resolved() -> None:
    async def act(client: LightClient) -> None:
        await client.connect("broker")
        topics = [(await client.next_message()).topic for _ in range(3)]
        assert topics == ["weather", "weather", "other"]
        why = await client.wait_closed()
        assert isinstance(why, ProtocolError)

    async def script(peer: ScriptedPeer) -> None:
        line = await peer.line()
        assert (await line.expect(Connect)).properties.topic_alias_maximum == 3
        line.send(Connack())
        aliased = Properties(topic_alias=3)
        line.send(Publish("weather", properties=aliased), Publish("", properties=aliased),
                  Publish("other", properties=aliased), Publish("x", properties=Properties(topic_alias=4)))
        assert (await line.expect(Disconnect)).reason_code == 0x94

    play(act, script, properties=Properties(topic_alias_maximum=3))


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"\x90\x00", 0x81),
        (b"\x30\xff\xff\xff\xff\x01", 0x81),
        (b"\x00\x00", 0x81),
        (Connack(), 0x82),
        (Pingreq(), 0x82),
        (Publish("", properties=Properties(topic_alias=1)), 0x94),
        (Publish("t", b"x" * 300), 0x95),
    ],
)
def test_a_packet_that_must_not_come_ends_the_connection_with_its_reason(
    bad: Packet | bytes, code: int
) -> None:
    async def act(client: LightClient) -> None:
        await client.connect("broker")
        why = await client.wait_closed()
        assert isinstance(why, ProtocolError)
        assert why.reason_code == code

    async def script(peer: ScriptedPeer) -> None:
        line = await accept(peer)
        line.send(bad)
        assert (await line.expect(Disconnect)).reason_code == code
        await line.expect_end()

    play(act, script, properties=Properties(maximum_packet_size=200))


# Subscribing, pings, the end -------------------------------------------------------------------


def test_subscribe_and_unsubscribe() -> None:
    options = SubscribeFilter("b", 2, no_local=True, retain_as_published=True, retain_handling=2)

    async def act(client: LightClient) -> None:
        await client.connect("broker")
        assert await client.subscribe("a/#", options, qos=1,
                                      properties=Properties(subscription_identifier=(7,))) == (1, 2)
        assert await client.unsubscribe("a/#", "b") == (0, 0x11)
        with pytest.raises(Refused, match="'c'.*Not authorized") as caught:
            await client.subscribe("a", "c")
        assert caught.value.reason_code == 0x87
        with pytest.raises(ProtocolError):
            await client.subscribe("a/#/b")
        with pytest.raises(ProtocolError):
            await client.subscribe()

    async def script(peer: ScriptedPeer) -> None:
        line = await accept(peer)
        assert await line.expect(Subscribe) == Subscribe(
            1, (SubscribeFilter("a/#", 1), options), Properties(subscription_identifier=(7,))
        )
        line.send(Suback(1, (1, 2)))
        assert await line.expect(Unsubscribe) == Unsubscribe(2, ("a/#", "b"))
        line.send(Unsuback(2, (0, 0x11)))
        await line.expect(Subscribe)
        line.send(Suback(3, (0, 0x87)))

    play(act, script)


def test_keep_alive_pings_before_it_is_over_and_only_when_idle() -> None:
    """[MQTT-3.1.2-20]"""
    times: list[float] = []

    async def act(client: LightClient) -> None:
        await client.connect("broker")
        await asyncio.sleep(50)
        await client.publish("t")
        assert await client.ping() == pytest.approx(0.2)
        await client.wait_closed()

    async def script(peer: ScriptedPeer) -> None:
        loop = asyncio.get_running_loop()
        line = await accept(peer)
        begun = loop.time()
        await line.expect(Publish)
        await line.expect(Pingreq)
        line.send(Pingresp())
        for _ in range(2):
            await line.expect(Pingreq, None)
            times.append(loop.time() - begun)
            line.send(Pingresp())
        line.close()

    play(act, script, keep_alive=60, delay=0.1)
    # From the ping at 50 s on; each leaves when a tenth of the 60 s is left.
    assert times == pytest.approx([50.2 + 54, 50.2 + 108])


def test_a_server_that_does_not_answer_pings_is_given_up() -> None:
    async def act(client: LightClient) -> None:
        await client.connect("broker")
        why = await client.wait_closed()
        assert isinstance(why, ConnectionFailed)
        assert why.reason_code == 0x8D
        assert asyncio.get_running_loop().time() == pytest.approx(18)

    async def script(peer: ScriptedPeer) -> None:
        line = await accept(peer, Connack(properties=Properties(server_keep_alive=10)))
        await line.expect(Pingreq)
        await line.expect_end()

    play(act, script, keep_alive=600)


def test_the_servers_disconnect_is_reported_to_everybody_who_waits() -> None:
    async def act(client: LightClient) -> None:
        await client.connect("broker")
        results = await asyncio.gather(
            client.subscribe("t"), client.next_message(), client.ping(), client.publish("t", qos=1),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [ConnectionFailed] * 4
        codes = {result.reason_code for result in results if isinstance(result, ConnectionFailed)}
        assert codes == {0x8B, None}
        assert client.server_disconnect == Disconnect(0x8B, Properties(reason_string="good night"))

    async def script(peer: ScriptedPeer) -> None:
        line = await accept(peer)
        await line.expect(Subscribe)
        line.send(Disconnect(0x8B, Properties(reason_string="good night")))

    play(act, script)


def test_disconnect_carries_reason_and_properties_and_abort_says_nothing() -> None:
    async def act(client: LightClient) -> None:
        await client.connect("broker")
        await client.disconnect(0x04, Properties(session_expiry_interval=5))
        await client.connect("broker")
        client.abort()
        assert isinstance(await client.wait_closed(), ConnectionFailed)

    async def script(peer: ScriptedPeer) -> None:
        line = await accept(peer)
        assert await line.expect(Disconnect) == Disconnect(0x04, Properties(session_expiry_interval=5))
        line = await accept(peer)
        await line.expect_end()

    play(act, script)


def test_any_bytes_can_be_sent_on_purpose() -> None:
    async def act(client: LightClient) -> None:
        await client.connect("broker")
        client.send(b"\xc0\x00")
        client.send(Publish("t", b"x", 1, packet_id=99))

    async def script(peer: ScriptedPeer) -> None:
        line = await accept(peer)
        await line.expect(Pingreq)
        assert (await line.expect(Publish)).packet_id == 99

    play(act, script)


def test_the_trace_has_every_packet_as_it_was_on_the_wire() -> None:
    async def main() -> None:
        trace = Trace(asyncio.get_running_loop().time)
        network = MemoryNetwork(default=LinkSettings(delay=0.5))
        peer = ScriptedPeer(network)
        client = LightClient("alice", network=network, trace=trace)

        async def act() -> None:
            for _ in range(2):
                await client.connect("broker")
                await client.publish("t", b"x", 1)
                await client.disconnect()

        async def script() -> None:
            for _ in range(2):
                line = await accept(peer)
                line.send(Puback((await line.expect(Publish)).packet_id or 0))

        await together(act(), script())
        seen = [
            (event.kind, type(decode(event.packet)).__name__ if event.packet else "", event.connection)
            for event in trace
        ]
        assert seen == [
            step for number in (1, 2) for step in (
                (EventKind.OPENED, "", number), (EventKind.SENT, "Connect", number),
                (EventKind.RECEIVED, "Connack", number), (EventKind.SENT, "Publish", number),
                (EventKind.RECEIVED, "Puback", number), (EventKind.SENT, "Disconnect", number),
                (EventKind.CLOSED, "", number),
            )
        ]
        assert {(event.party, event.peer, event.protocol) for event in trace} == {("alice", "broker", 5)}

    run_virtual(main())


@pytest.mark.parametrize(
    "wrong", [{"protocol": 3}, {"protocol": 4, "properties": Properties(receive_maximum=3)}]
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        LightClient("alice", **wrong)


# Against mosquitto -----------------------------------------------------------------------------


@pytest.mark.interop
@pytest.mark.parametrize("protocol", [5, 4])
def test_mosquitto_delivers_at_every_qos(protocol: int) -> None:
    async def main(port: int) -> None:
        alice, bob = (LightClient(name, protocol=protocol) for name in ("alice", "bob"))
        async with alice, bob:
            await alice.connect(port=port)
            await bob.connect(port=port)
            assert await bob.subscribe("t/#", qos=2) == (2,)
            for qos in (0, 1, 2):
                await alice.publish("t/x", f"at {qos}", qos)
            got = [await bob.next_message() for _ in range(3)]
            assert [(m.payload, m.qos) for m in got] == [(b"at 0", 0), (b"at 1", 1), (b"at 2", 2)]
            await bob.unsubscribe("t/#")
            assert await bob.ping() >= 0

    with local_mosquitto() as port:
        asyncio.run(main(port))


@pytest.mark.interop
def test_mosquitto_resumes_a_session_and_delivers_exactly_once() -> None:
    async def main(port: int) -> None:
        stays = Properties(session_expiry_interval=60, topic_alias_maximum=5)
        async with LightClient("alice", properties=stays, topic_aliases=True) as alice, \
                LightClient("bob", properties=stays, auto_ack=False) as bob:
            await alice.connect(port=port)
            await bob.connect(port=port)
            await bob.subscribe("t", qos=2)
            await alice.publish("t", b"first", 2)
            first = await bob.next_message()
            bob.abort()
            connack = await bob.connect(port=port, clean_start=False)
            assert connack.session_present
            # mosquitto sends it again, bob does not hand it on again; the answer counts on this connection.
            await bob.ping()
            bob.acknowledge(first)
            await alice.publish("t", b"second", 2)
            second = await bob.next_message()
            assert second.payload == b"second"
            bob.acknowledge(second)

    with local_mosquitto() as port:
        asyncio.run(main(port))


@pytest.mark.interop
def test_mosquitto_refuses_an_unknown_method() -> None:
    async def main(port: int) -> None:
        client = LightClient("alice", authenticator=Sums())
        with pytest.raises(ConnectionFailed) as caught:
            await client.connect(port=port)
        assert caught.value.reason_code == 0x8C

    with local_mosquitto() as port:
        asyncio.run(main(port))


# Against our own broker ------------------------------------------------------------------------


async def start_broker(network: MemoryNetwork, **options: Any) -> Broker:
    broker = Broker(config={"listeners": {"default": {"type": "external"}}}, **options)
    await broker.start()
    network.listen(broker.protocol_factory(), "broker", 1883)
    return broker


class SumsAtTheBroker:
    """The Server's side of `Sums`: one number at first, another one again."""

    method = "sums"

    async def authenticate(self, conversation: AuthConversation) -> AuthSuccess:
        number = b"21" if conversation.again else b"20"
        if await conversation.challenge(number) != number:
            raise AuthenticationError("a wrong sum", 0x87)
        return AuthSuccess(b"fine")


def test_our_broker_authenticates_and_authenticates_again() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        broker = await start_broker(network, methods=[SumsAtTheBroker()])
        sums = Sums()
        client = LightClient("alice", network=network, authenticator=sums)
        await client.connect("broker")
        await client.reauthenticate()
        assert sums.finished == 2
        refused = LightClient("bob", network=network, authenticator=Sums(give_up_at=20))
        with pytest.raises(AuthenticationError):
            await refused.connect("broker")
        await client.disconnect()
        await broker.shutdown()

    run_virtual(main())


@pytest.mark.parametrize("protocol", [5, 4])
def test_each_message_arrives_exactly_once_however_often_the_link_breaks(protocol: int) -> None:
    """[MQTT-4.3.3-10], [MQTT-4.4.0-1]: links that break every few packets, and nothing lost or doubled."""
    count = 60

    async def main() -> int:
        network = MemoryNetwork(seed=3)
        broker = await start_broker(network)
        stays = Properties(session_expiry_interval=3600) if protocol == 5 else Properties()
        alice, bob = (
            LightClient(name, network=network, properties=stays, protocol=protocol, timeout=600)
            for name in ("alice", "bob")
        )
        breaking = LinkSettings(delay=0.01, loss=0.08, on_loss=OnLoss.BREAK)
        connections = 0

        async def hold(client: LightClient) -> None:
            nonlocal connections
            while True:
                try:
                    await client.connect("broker", clean_start=False, link=breaking)
                    connections += 1
                    await client.wait_closed()
                except ConnectionFailed:
                    await asyncio.sleep(0.01)

        # A first connection over a good link, for the subscription.
        await bob.connect("broker", clean_start=False)
        await bob.subscribe("t", qos=2)
        await bob.disconnect()
        holding = [asyncio.ensure_future(hold(client)) for client in (alice, bob)]
        sending: list[asyncio.Future[int]] = []
        for number in range(count):
            while not alice.connected:
                await asyncio.sleep(0.01)
            sending.append(asyncio.ensure_future(alice.publish("t", str(number), 2)))
            await asyncio.sleep(0.005)
        await asyncio.gather(*sending)
        got: list[int] = []
        while len(got) < count:
            try:
                got.append(int((await bob.next_message()).payload))
            except ConnectionFailed:
                await asyncio.sleep(0.01)
        await asyncio.sleep(5)
        for task in holding:
            task.cancel()
        bob.abort()
        alice.abort()
        # What came beyond the expected would be here.
        with pytest.raises(ConnectionFailed):
            got.append(int((await bob.next_message()).payload))
        assert got == list(range(count))
        await broker.shutdown()
        return connections

    assert run_virtual(main()) > 20


def test_a_thousand_clients_in_one_process_under_virtual_time() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        network = MemoryNetwork(default=LinkSettings(delay=0.02))
        broker = await start_broker(network)
        counts: dict[str, int] = {}

        def count(name: str) -> Callable[[Publish], None]:
            def on_message(message: Publish) -> None:
                counts[name] = counts.get(name, 0) + 1

            return on_message

        names = [f"c{n}" for n in range(1000)]
        clients = [LightClient(name, network=network, on_message=count(name), keep_alive=0) for name in names]
        await asyncio.gather(*(client.connect("broker") for client in clients))
        await asyncio.gather(*(client.subscribe("all", qos=1) for client in clients))
        await clients[0].publish("all", "hello", 1)
        await asyncio.sleep(1)
        assert counts == {client.client_id: 1 for client in clients}
        await asyncio.gather(*(client.disconnect() for client in clients))
        await broker.shutdown()
        return loop.time()

    assert run_virtual(main()) < 5
