"""Copies that are made for each receiver, one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from mqttsec.errors import MqttsecError
from mqttsec.mqtt5 import AuthConversation, AuthSuccess, Broker, InProcessBroker, fanout
from mqttsec.packets import Properties, Puback, Publish, Suback, Subscribe, SubscribeFilter
from tests.mqtt5.house import House, in_house
from tests.mqtt5.test_alike import Line
from tests.mqtt5.test_channel import Letters, sealed


class Press:
    """What all channels of this test have in common: it makes their copies, and keeps account."""

    def __init__(self) -> None:
        self.channels: dict[str, Printed] = {}
        self.made: list[str] = []
        """For whom, in order."""
        self.breaks_at: str | None = None
        """Where a fault lies."""

    def __call__(
        self, topic: str, payload: bytes, shared: dict[Any, Any], client_ids: Sequence[str]
    ) -> Iterator[bytes | None]:
        for client_id in client_ids:
            if client_id == self.breaks_at:
                raise ZeroDivisionError("the secret is 42")
            self.made.append(client_id)
            channel = self.channels[client_id]
            yield None if channel.fails else channel.mark + payload


class Printed(Letters):
    """Letters whose copies a press makes."""

    def __init__(self, letter: str, press: Press) -> None:
        super().__init__(letter)
        self.series = press


class Presses:
    """Gives each client a channel of its own: the letter, and after it the number of the press."""

    method = "sealed"

    def __init__(self) -> None:
        self.presses = {"1": Press(), "2": Press()}

    def attach(self, broker: Broker) -> None:
        broker.methods[self.method] = self

    async def authenticate(self, conversation: AuthConversation) -> AuthSuccess:
        letter, _, number = (conversation.data or b"").decode().partition("/")
        press, client_id = self.presses[number], conversation.session.client_id
        press.channels[client_id] = conversation.session.channel = Printed(letter, press)
        return AuthSuccess()


async def crowd(house: House, qos: int = 0) -> dict[str, Any]:
    """Three of one press, one of another, all subscribed."""
    letters = {"a1": "A/1", "b2": "B/2", "c1": "C/1", "d1": "D/1"}
    clients = {name: await sealed(house, name, letter) for name, letter in letters.items()}
    for client in clients.values():
        await client.subscribe("t", qos=qos)
    return clients


def test_each_gets_its_own_copy_of_its_own_press() -> None:
    presses = Presses()

    async def play(house: House) -> None:
        clients = await crowd(house)
        plain = await house.client("plain")
        await plain.subscribe("t")
        sender = await house.client("sender")
        about = Properties(content_type="text", user_property=(("x", "y"),), message_expiry_interval=60)
        for word in (b"one", b"two", b"x" * 200, b"y" * 20_000, b""):
            await sender.publish("t", word, properties=about)
            for name, client in clients.items():
                got = await client.message(name[0].upper().encode() + b"|" + word, qos=0, retain=False)
                assert got.properties == about
            await plain.message(word)
        assert presses.presses["1"].made == ["a1", "c1", "d1"] * 5
        assert presses.presses["2"].made == ["b2"] * 5
        assert not any(
            each.computed for press in presses.presses.values() for each in press.channels.values()
        )

    in_house(play, methods=(presses,))


def test_the_refused_one_gets_nothing_and_the_others_theirs() -> None:
    presses = Presses()

    async def play(house: House) -> None:
        clients = await crowd(house)
        presses.presses["1"].channels["c1"].fails = MqttsecError("not for me")
        sender = await house.client("sender")
        await sender.publish("t", b"word")
        for name in ("a1", "b2", "d1"):
            await clients[name].message(name[0].upper().encode() + b"|word")
        await clients["c1"].sync()

    in_house(play, methods=(presses,))


@pytest.mark.parametrize("where", ["a1", "c1", "d1"])
def test_after_a_fault_in_the_press_each_channel_makes_its_own(where: str) -> None:
    presses = Presses()

    async def play(house: House) -> None:
        clients = await crowd(house)
        press = presses.presses["1"]
        press.breaks_at = where
        sender = await house.client("sender")
        await sender.publish("t", b"word")
        for name, client in clients.items():
            await client.message(name[0].upper().encode() + b"|word")
            await client.sync()
        own = [name for name, channel in press.channels.items() if channel.computed]
        assert press.made + own == ["a1", "c1", "d1"]

    in_house(play, methods=(presses,))


@pytest.mark.parametrize("qos", [1, 2])
def test_what_may_have_to_wait_is_made_by_the_channel_when_it_leaves(qos: int) -> None:
    presses = Presses()

    async def play(house: House) -> None:
        clients = await crowd(house, qos)
        sender = await house.client("sender")
        await sender.publish("t", b"word", qos)
        for name, client in clients.items():
            await client.message(name[0].upper().encode() + b"|word", qos=qos)
        assert not presses.presses["1"].made

    in_house(play, methods=(presses,))


def subscribed(port: int, letters: str) -> list[Line]:
    """Subscribers of the first press, on sockets."""
    lines = []
    for letter in letters:
        about = Properties(authentication_method="sealed", authentication_data=f"{letter}/1".encode())
        line = Line(port, f"r{letter}", about)
        line.send(Subscribe(1, (SubscribeFilter("t", 0),)))
        line.expect(Suback)
        lines.append(line)
    return lines


def test_over_sockets_copies_come_in_order() -> None:
    """Alone, in a batch, and alone again: nothing overtakes, nothing is lost."""
    presses = Presses()
    with InProcessBroker(extensions=[presses]) as broker:
        receivers = subscribed(broker.port, "ABC")
        sender = Line(broker.port, "sender", Properties())
        sender.send(Publish("t", b"one", 0))
        for receiver, mark in zip(receivers, (b"A|", b"B|", b"C|"), strict=True):
            assert receiver.expect(Publish).payload == mark + b"one"
        sender.send(*(Publish("t", b"%d" % number * 500, 0) for number in range(20)))
        sender.send(Publish("t", b"last", 0))
        words = [b"%d" % number * 500 for number in range(20)] + [b"last"]
        for receiver, mark in zip(receivers, (b"A|", b"B|", b"C|"), strict=True):
            assert [receiver.expect(Publish).payload for _ in words] == [mark + word for word in words]
        assert presses.presses["1"].made == ["rA", "rB", "rC"] * 22
        for line in (*receivers, sender):
            line.close()


def test_over_sockets_whose_network_is_full_copies_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system call takes a part of one; the rest and the next ones follow, and the order stays."""
    presses = Presses()
    short: list[int] = []

    def watched(descriptor: int, frame: bytes) -> int:
        sent = os.write(descriptor, frame)
        if sent < len(frame):
            short.append(sent)
        return sent

    monkeypatch.setattr(fanout, "write", watched)
    with InProcessBroker(extensions=[presses]) as broker:
        receivers = subscribed(broker.port, "AB")
        sender = Line(broker.port, "sender", Properties())
        words = [number.to_bytes(2, "big") * 25_000 for number in range(200)]
        for word in words:
            # Acknowledged, so that each comes alone.
            sender.send(Publish("t", word, 1, packet_id=1))
            sender.expect(Puback)
        for receiver, mark in zip(receivers, (b"A|", b"B|"), strict=True):
            assert [receiver.expect(Publish).payload for _ in words] == [mark + word for word in words]
        for line in (*receivers, sender):
            line.close()
    assert short, "no copy met a network that took a part of it"
