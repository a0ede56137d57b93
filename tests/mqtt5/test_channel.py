"""The channel of a connection: everything passes it, nothing slips by, and one fault is one client's."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from mqttsec.errors import MqttsecError, ProtocolError
from mqttsec.mqtt5 import AuthConversation, AuthSuccess, BrokerSettings
from mqttsec.packets import (
    Auth,
    Connack,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    SubscribeFilter,
    Will,
)
from tests.mqtt5.house import Client, House, connect_packet, in_house
from tests.mqtt5.methods import auth


class Letters:
    """A toy cipher: a letter in front of what goes out to the client, and taken off what comes in."""

    def __init__(self, letter: str) -> None:
        self.mark = letter.encode() + b"|"
        self.computed = 0
        self.fails: Exception | None = None

    def inbound(self, topic: str, payload: bytes, properties: Properties) -> tuple[bytes, Properties]:
        if self.fails is not None:
            raise self.fails
        if not payload.startswith(self.mark):
            raise MqttsecError("not sealed")
        return payload[len(self.mark) :], replace(
            properties, user_property=(*properties.user_property, ("in", topic))
        )

    def outbound(
        self, topic: str, payload: bytes, properties: Properties, shared: dict[Any, Any]
    ) -> tuple[bytes, Properties]:
        if self.fails is not None:
            raise self.fails
        if self.mark not in shared:
            self.computed += 1
            shared[self.mark] = self.mark + payload
        return shared[self.mark], replace(properties, content_type="sealed")


class Sealed:
    """Gives each client the channel named by its Authentication Data; re-authentication changes it."""

    method = "sealed"

    def __init__(self) -> None:
        self.channels: dict[str, Letters] = {}

    async def authenticate(self, conversation: AuthConversation) -> AuthSuccess:
        letter = (conversation.data or b"").decode()
        conversation.session.channel = self.channels.setdefault(letter, Letters(letter))
        if conversation.again:
            await conversation.challenge(b"?")
        return AuthSuccess()


async def sealed(
    house: House, client_id: str, letter: str = "K", clean: bool = True, expiry: int = 0
) -> Client:
    client = await house.line()
    properties = Properties(
        authentication_method="sealed", authentication_data=letter.encode(), session_expiry_interval=expiry
    )
    client.send(connect_packet(client_id, clean=clean, properties=properties))
    await client.expect(Connack, reason_code=0)
    return client


def play_sealed(play: Any, settings: BrokerSettings | None = None) -> Sealed:
    method = Sealed()
    in_house(play, settings, methods=(method,))
    return method


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_is_opened_on_the_way_in_and_sealed_on_the_way_out(qos: int) -> None:
    async def play(house: House) -> None:
        plain = await house.client("plain")
        await plain.subscribe("t", qos=qos)
        receiver = await sealed(house, "b", "B")
        await receiver.subscribe("t", qos=qos)
        sender = await sealed(house, "a", "A")
        properties = Properties(content_type="text", user_property=(("x", "y"),), response_topic="r")
        assert await sender.publish("t", b"A|word", qos, properties=properties) == 0
        opened = replace(properties, user_property=(("x", "y"), ("in", "t")))
        assert (await plain.message(b"word", qos=qos)).properties == opened
        assert (await receiver.message(b"B|word", qos=qos)).properties == replace(
            opened, content_type="sealed"
        )

    play_sealed(play)


@pytest.mark.parametrize(
    ("error", "code", "logged"),
    [
        (MqttsecError("no"), 0x83, False),
        (ProtocolError("no", 0x99), 0x99, False),
        (ProtocolError("no", 0x82), 0x83, False),  # not a code of PUBACK
        (ProtocolError("no", 0x00), 0x83, False),  # a refusal is never taken for success
        (ZeroDivisionError("the secret is 42"), 0x83, True),
    ],
)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_the_channel_refuses_is_not_routed(error: Exception, code: int, logged: bool, qos: int) -> None:
    method = Sealed()

    async def play(house: House) -> None:
        watcher = await house.client("watcher")
        await watcher.subscribe("#")
        sender = await sealed(house, "a")
        method.channels["K"].fails = error
        assert await sender.publish("t", b"K|x", qos, retain=True) == (code if qos else 0)
        await watcher.silent()
        assert not house.broker.retained_messages
        assert not any("42" in line for line in house.log)
        house.logged(*["ZeroDivisionError"] * logged)
        await sender.sync()

    in_house(play, methods=(method,))


@pytest.mark.parametrize("error", [MqttsecError("no"), ZeroDivisionError()])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_channel_that_fails_outbound_costs_its_own_client_only(error: Exception, qos: int) -> None:
    method = Sealed()

    async def play(house: House) -> None:
        first = await house.client("first")
        broken = await sealed(house, "broken", "X")
        other = await sealed(house, "other", "O")
        last = await house.client("last")
        for client in (first, broken, other, last):
            await client.subscribe("t", qos=qos)
        method.channels["X"].fails = error
        sender = await house.client("sender")
        assert await sender.publish("t", b"word", qos) == 0
        await first.message(b"word")
        await other.message(b"O|word")
        await last.message(b"word")
        await broken.silent()
        house.logged(*["ZeroDivisionError"] * isinstance(error, ZeroDivisionError))
        method.channels["X"].fails = None
        await sender.publish("t", b"again", qos)
        await broken.message(b"X|again")

    in_house(play, methods=(method,))


def test_what_is_equal_for_a_group_is_computed_once() -> None:
    async def play(house: House) -> None:
        group = [await sealed(house, f"member-{number}", "G") for number in range(20)]
        for number, client in enumerate(group):
            await client.subscribe("t", qos=number % 3)
        sender = await house.client("sender")
        for round_ in range(1, 4):
            await sender.publish("t", b"word", 2)
            for client in group:
                await client.message(b"G|word")
            assert method.channels["G"].computed == round_

    method = Sealed()
    in_house(play, methods=(method,))


@pytest.mark.parametrize("qos", [1, 2])
def test_a_resend_passes_the_channel_of_the_new_connection(qos: int) -> None:
    async def play(house: House) -> None:
        receiver = await sealed(house, "b", "1", clean=False, expiry=1000)
        await receiver.subscribe("t", qos=2)
        sender = await house.client("sender")
        await sender.publish("t", b"word", qos)
        first = await receiver.expect(Publish, payload=b"1|word", dup=False)
        await receiver.drop()
        receiver = await sealed(house, "b", "2", clean=False, expiry=1000)
        again = await receiver.message(b"2|word", dup=True, packet_id=first.packet_id)
        assert again.properties.content_type == "sealed"
        await receiver.silent()

    play_sealed(play)


def test_after_pubrec_only_pubrel_is_sent_again() -> None:
    async def play(house: House) -> None:
        receiver = await sealed(house, "b", "1", clean=False, expiry=1000)
        await receiver.subscribe("t", qos=2)
        sender = await house.client("sender")
        await sender.publish("t", b"word", 2)
        packet = await receiver.expect(Publish)
        receiver.send(Pubrec(packet.packet_id or 0))
        await receiver.expect(Pubrel)
        await receiver.drop()
        receiver = await sealed(house, "b", "2", clean=False, expiry=1000)
        await receiver.expect(Pubrel, packet_id=packet.packet_id)
        receiver.send(Pubcomp(packet.packet_id or 0))
        await receiver.silent()

    play_sealed(play)


def test_what_waited_for_a_client_leaves_through_its_new_channel() -> None:
    async def play(house: House) -> None:
        receiver = await sealed(house, "b", "1", clean=False, expiry=1000)
        await receiver.subscribe("t", qos=1)
        await receiver.drop()
        sender = await house.client("sender")
        for word in (b"one", b"two", b"three"):
            await sender.publish("t", word, 1)
        receiver = await sealed(house, "b", "2", clean=False, expiry=1000)
        for word in (b"2|one", b"2|two", b"2|three"):
            await receiver.message(word)

    play_sealed(play)


def test_a_session_that_was_plain_gets_its_queue_sealed() -> None:
    async def play(house: House) -> None:
        receiver = await house.client("b", clean=False, expiry=1000)
        await receiver.subscribe("t", qos=1)
        sender = await house.client("sender")
        await sender.publish("t", b"in flight", 1)
        await receiver.expect(Publish, payload=b"in flight")
        await receiver.drop()
        await sender.publish("t", b"queued", 1)
        receiver = await sealed(house, "b", "S", clean=False, expiry=1000)
        await receiver.message(b"S|in flight", dup=True)
        await receiver.message(b"S|queued")
        await sender.publish("t", b"live", 1)
        await receiver.message(b"S|live")

    play_sealed(play)


def test_retained_shared_and_will_messages_are_sealed_too() -> None:
    async def play(house: House) -> None:
        dying = await house.client("dying", will=Will("t/will", b"gone", 1))
        sender = await house.client("sender")
        await sender.publish("t/retained", b"kept", 1, retain=True)
        receiver = await sealed(house, "b", "B")
        await receiver.subscribe("t/#", qos=1)
        assert (await receiver.message(b"B|kept")).retain
        await dying.drop()
        await receiver.message(b"B|gone", topic="t/will")
        member = await sealed(house, "c", "C")
        await member.subscribe("$share/g/s", qos=1)
        await sender.publish("s", b"turn", 1)
        await member.message(b"C|turn")
        house.broker.publish("t/own", b"word", 1)
        await receiver.message(b"B|word")

    play_sealed(play)


def test_each_new_subscriber_gets_a_retained_message_through_its_own_channel() -> None:
    async def play(house: House) -> None:
        sender = await house.client("sender")
        await sender.publish("t", b"kept", retain=True)
        for letter in "ABC":
            client = await sealed(house, letter, letter)
            await client.subscribe("t")
            await client.message(f"{letter}|kept".encode())

    play_sealed(play)


def test_a_channel_that_is_set_on_a_living_session_holds_at_once() -> None:
    # The route is remembered from before, when the client shared its bytes with the others.
    async def play(house: House) -> None:
        receiver = await sealed(house, "b", "1")
        other = await house.client("other")
        for client in (receiver, other):
            await client.subscribe("t")
        sender = await house.client("sender")
        await sender.publish("t", b"before")
        await receiver.message(b"1|before")
        receiver.send(auth(b"2", 0x19, "sealed"))
        await receiver.expect(Auth, reason_code=0x18)
        await sender.publish("t", b"in between")
        await receiver.message(b"2|in between")
        receiver.send(auth(b"", 0x18, "sealed"))
        await receiver.expect(Auth, reason_code=0)
        session = house.broker.session("other")
        assert session is not None
        session.channel = Letters("Z")
        await sender.publish("t", b"after")
        await receiver.message(b"2|after")
        for word in (b"before", b"in between", b"Z|after"):
            await other.message(word)

    play_sealed(play)


def test_the_expiry_goes_on_running_behind_a_channel() -> None:
    async def play(house: House) -> None:
        receiver = await sealed(house, "b", "1", clean=False, expiry=1000)
        await receiver.subscribe("t", qos=1)
        await receiver.drop()
        sender = await house.client("sender")
        await sender.publish("t", b"word", 1, properties=Properties(message_expiry_interval=100))
        await asyncio.sleep(40.0)
        receiver = await sealed(house, "b", "2", clean=False, expiry=1000)
        message = await receiver.message(b"2|word")
        assert message.properties.message_expiry_interval == 60

    play_sealed(play)


def test_the_packet_limit_counts_the_sealed_packet() -> None:
    async def play(house: House) -> None:
        receiver = await house.line()
        properties = Properties(
            authentication_method="sealed", authentication_data=b"A" * 40, maximum_packet_size=120
        )
        receiver.send(connect_packet("b", properties=properties))
        await receiver.expect(Connack, reason_code=0)
        for qos in (0, 1):
            await receiver.subscribe("t", qos=qos)
            sender = await house.client("sender")
            await sender.publish("t", bytes(90), qos)
            await receiver.silent()
            await sender.publish("t", bytes(10), qos)
            await receiver.message(b"A" * 40 + b"|" + bytes(10))

    play_sealed(play)


def test_no_local_and_overlapping_subscriptions_hold_behind_a_channel() -> None:
    async def play(house: House) -> None:
        client = await sealed(house, "a", "A")
        await client.subscribe(SubscribeFilter("t", 1, no_local=True))
        await client.subscribe("#", qos=0, identifier=5)
        client.send(Publish("t", b"A|mine", 1, packet_id=1))
        packets = [await client.recv(), await client.recv()]
        (message,) = (packet for packet in packets if isinstance(packet, Publish))
        assert (message.qos, message.payload) == (0, b"A|mine")
        assert message.properties.subscription_identifier == (5,)
        assert any(isinstance(packet, Puback) for packet in packets)

    play_sealed(play)
