"""Channels that are alike: one of them does it for all, and nobody gets what is another's."""

from __future__ import annotations

import socket
from collections.abc import Hashable
from typing import TypeVar

import pytest

from mqttsec.errors import MqttsecError
from mqttsec.mqtt5 import AuthConversation, AuthSuccess, Broker, InProcessBroker
from mqttsec.mqtt5.connection import _is_one_packet
from mqttsec.packets import (
    MQTT_5,
    Connack,
    Connect,
    Packet,
    Properties,
    Publish,
    Splitter,
    Suback,
    Subscribe,
    SubscribeFilter,
    decode,
    encode,
)
from tests.mqtt5.house import House, in_house
from tests.mqtt5.test_channel import Letters, sealed

P = TypeVar("P", bound=Packet)


class Family(Letters):
    """Letters that says which family it belongs to."""

    family: Hashable | None = None

    def alike(self, topic: str) -> Hashable | None:
        return self.family


class Families:
    """Gives each client a channel of its own: the letter, and after it the family, if any."""

    method = "sealed"

    def __init__(self) -> None:
        self.channels: dict[str, Family] = {}

    def attach(self, broker: Broker) -> None:
        broker.methods[self.method] = self

    async def authenticate(self, conversation: AuthConversation) -> AuthSuccess:
        letter, _, family = (conversation.data or b"").decode().partition("/")
        channel = Family(letter)
        channel.family = family or None
        self.channels[conversation.session.client_id] = conversation.session.channel = channel
        return AuthSuccess()


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_one_channel_seals_for_its_family(qos: int) -> None:
    families = Families()

    async def play(house: House) -> None:
        clients = {
            name: await sealed(house, name, letter)
            for name, letter in {"a1": "A/a", "b1": "B/b", "a2": "A/a", "own": "O", "a3": "A/a"}.items()
        }
        for client in clients.values():
            await client.subscribe("t", qos=qos)
        plain = await house.client("plain")
        await plain.subscribe("t", qos=qos)
        sender = await house.client("sender")
        for word in (b"one", b"two"):
            await sender.publish("t", word, qos)
            for name, client in clients.items():
                await client.message(name[0].upper().encode() + b"|" + word, qos=qos)
            await plain.message(word, qos=qos)
        computed = {name: channel.computed for name, channel in families.channels.items()}
        assert computed == {"a1": 2, "b1": 2, "a2": 0, "own": 2, "a3": 0}

    in_house(play, methods=(families,))


@pytest.mark.parametrize("qos", [0, 1])
def test_where_the_first_of_a_family_fails_the_others_speak_for_themselves(qos: int) -> None:
    families = Families()

    async def play(house: House) -> None:
        clients = [await sealed(house, f"a{number}", "A/a") for number in range(3)]
        for client in clients:
            await client.subscribe("t", qos=qos)
        families.channels["a0"].fails = MqttsecError("not for me")
        sender = await house.client("sender")
        await sender.publish("t", b"word", qos)
        await clients[0].silent()
        for client in clients[1:]:
            await client.message(b"A|word", qos=qos)

    in_house(play, methods=(families,))


def test_the_router_asks_again_when_it_is_told_that_something_changed() -> None:
    families = Families()

    async def play(house: House) -> None:
        one, two = await sealed(house, "one", "A/a"), await sealed(house, "two", "A/a")
        for client in (one, two):
            await client.subscribe("t")
        sender = await house.client("sender")
        await sender.publish("t", b"word")
        families.channels["two"].family = None
        families.channels["two"].mark = b"B|"
        house.broker.router.forget()
        await sender.publish("t", b"word")
        for client, marks in ((one, b"AA"), (two, b"AB")):
            for mark in marks:
                await client.message(bytes((mark,)) + b"|word")

    in_house(play, methods=(families,))


def test_who_was_away_gets_it_through_its_own_channel() -> None:
    families = Families()

    async def play(house: House) -> None:
        stays = await sealed(house, "stays", "A/a")
        away = await sealed(house, "away", "A/a", expiry=60)
        for client in (stays, away):
            await client.subscribe("t", qos=1)
        await away.drop()
        sender = await house.client("sender")
        await sender.publish("t", b"word", 1)
        await stays.message(b"A|word")
        back = await sealed(house, "away", "N/a", clean=False, expiry=60)
        await back.message(b"N|word")

    in_house(play, methods=(families,))


@pytest.mark.parametrize(
    ("data", "one"),
    [
        (b"\x30\x02ab", True),
        (b"\x30\x02abc", False),
        (b"\x30\x02a", False),
        (b"\x30\x80\x01" + bytes(128), True),
        (b"\x30\x80\x01" + bytes(127), False),
        (b"\x30\x80\x80\x01" + bytes(16_384), True),
        (b"\x30\xff\xff\xff\xff\x01", False),
        (b"\x30\x80", False),
        (b"\x30", False),
        (b"", False),
    ],
)
def test_a_packet_that_came_by_itself_is_known(data: bytes, one: bool) -> None:
    assert _is_one_packet(data) is one


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_over_sockets_a_family_gets_it_at_once_and_in_order(qos: int) -> None:
    """Alone, in a batch, and alone again: nothing overtakes, nothing is lost."""
    families = Families()
    with InProcessBroker(extensions=[families]) as broker:
        about = [
            Properties(authentication_method="sealed", authentication_data=letter)
            for letter in (b"A/a", b"A/a", b"A/a")
        ]
        receivers = [Line(broker.port, f"r{number}", each) for number, each in enumerate(about)]
        for receiver in receivers:
            receiver.send(Subscribe(1, (SubscribeFilter("t", qos),)))
            receiver.expect(Suback)
        sender = Line(broker.port, "sender", Properties())
        numbers = iter(range(1, 100))

        def publish(*words: bytes) -> None:
            packets = [Publish("t", word, qos, packet_id=next(numbers) if qos else None) for word in words]
            sender.send(*packets)

        publish(b"one")
        for receiver in receivers:
            assert receiver.expect(Publish).payload == b"A|one"
        publish(*(b"%d" % number for number in range(20)))
        publish(b"last")
        wanted = [b"A|%d" % number for number in range(20)] + [b"A|last"]
        for receiver in receivers:
            assert [receiver.expect(Publish).payload for _ in wanted] == wanted
        computed = [channel.computed for channel in families.channels.values()]
        assert sum(computed) == 22, "sealed once for all three"
        for line in (*receivers, sender):
            line.close()


class Line:
    """A client on a blocking socket, which answers nothing."""

    def __init__(self, port: int, name: str, about: Properties) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._splitter = Splitter()
        self._came: list[Packet] = []
        self.send(Connect(name, properties=about))
        assert self.expect(Connack).reason_code == 0

    def send(self, *packets: Packet) -> None:
        self._socket.sendall(b"".join(encode(packet, MQTT_5) for packet in packets))

    def expect(self, kind: type[P]) -> P:
        """The next packet of a kind; what the broker sends besides is passed over."""
        while True:
            while self._came:
                packet = self._came.pop(0)
                if isinstance(packet, kind):
                    return packet
            frames = self._splitter.feed(self._socket.recv(65536))
            self._came += [decode(frame, MQTT_5, from_client=False) for frame in frames]

    def close(self) -> None:
        self._socket.close()
