"""What a relay takes over: messages and subscriptions that are answered later, by whoever has them then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttsec.errors import ConfigurationError
from mqttsec.mqtt5 import BrokerSettings, LightClient
from mqttsec.mqtt5.hooks import Arrival
from mqttsec.mqtt5.session import Session
from mqttsec.packets import (
    Disconnect,
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
)
from tests.mqtt5.house import House, in_house


class Carrier:
    """Keeps what it is given until the test decides."""

    def __init__(self, house: House) -> None:
        self.arrivals: list[Arrival] = []
        self.wanted: list[tuple[str, Callable[[int], None]]] = []
        self.fails = False
        house.broker.relay("far", self)

    def publish(self, arrival: Arrival) -> None:
        if self.fails:
            raise ZeroDivisionError
        self.arrivals.append(arrival)

    def subscribe(
        self, session: Session, wanted: SubscribeFilter, properties: Properties, answer: Callable[[int], None]
    ) -> None:
        if self.fails:
            raise ZeroDivisionError
        self.wanted.append((wanted.topic_filter, answer))

    def unsubscribe(self, session: Session, topic_filter: str, properties: Properties) -> int:
        return 0x11 if topic_filter == "far/unknown" else 0


@pytest.mark.parametrize(("qos", "answer"), [(1, Puback), (2, Pubrec)])
def test_a_message_is_acknowledged_when_the_relay_says_so_and_nobody_here_gets_it(
    qos: int, answer: type[Puback] | type[Pubrec]
) -> None:
    async def play(house: House) -> None:
        carrier = Carrier(house)
        watcher = await house.client("watcher")
        await watcher.subscribe("#", qos=2)
        client = await house.client("a")
        client.send(Publish("far/x", b"1", qos, False, False, 7), Publish("near", b"2", 0))
        await client.silent()
        assert (await watcher.expect(Publish)).topic == "near"
        [arrival] = carrier.arrivals
        assert (arrival.message.topic, arrival.message.qos, arrival.session.client_id) == ("far/x", qos, "a")
        arrival.acknowledge(0x83)
        assert (await client.expect(answer)).reason_code == 0x83
        arrival.acknowledge(0)
        await client.silent()
        await watcher.silent()

    in_house(play)


def test_what_is_sent_again_meanwhile_is_the_same_message_and_the_answer_goes_to_the_new_connection() -> None:
    async def play(house: House) -> None:
        carrier = Carrier(house)
        client = await house.client("a", expiry=60)
        client.send(Publish("far/x", b"1", 2, False, False, 7))
        await client.silent()
        await client.drop()
        again = await house.client("a", clean=False, expiry=60)
        again.send(Publish("far/x", b"1", 2, False, True, 7))
        await again.silent()
        assert len(carrier.arrivals) == 1
        carrier.arrivals[0].acknowledge()
        assert (await again.expect(Pubrec)).packet_id == 7
        # Until PUBREL the same Packet Identifier is the same message [MQTT-4.3.3-10].
        again.send(Publish("far/x", b"1", 2, False, True, 7))
        await again.expect(Pubrec)
        again.send(Pubrel(7), Publish("far/x", b"2", 2, False, False, 7))
        await again.expect(Pubcomp)
        await again.silent()
        assert len(carrier.arrivals) == 2

    in_house(play)


def test_a_relay_holds_no_more_than_the_receive_maximum() -> None:
    async def play(house: House) -> None:
        Carrier(house)
        client = await house.client("a")
        for number in (1, 2, 3):
            client.send(Publish("far", b"", 1, False, False, number))
        await client.ended_with(Disconnect, 0x93)

    in_house(play, BrokerSettings(receive_maximum=2))


def test_a_suback_waits_for_its_last_filter_and_others_do_not_wait_for_it() -> None:
    async def play(house: House) -> None:
        carrier = Carrier(house)
        client = await house.client("a")
        filters = tuple(map(SubscribeFilter, ("far/x", "near", "$share/g/far/x", "far/y")))
        client.send(Subscribe(5, filters))
        client.send(Subscribe(6, (SubscribeFilter("other"),)))
        assert (await client.expect(Suback)).packet_id == 6
        assert [name for name, _ in carrier.wanted] == ["far/x", "far/y"]
        carrier.wanted[1][1](0x83)
        await client.silent()
        carrier.wanted[0][1](1)
        assert (await client.expect(Suback)).reason_codes == (1, 0, 0x9E, 0x83)
        client.send(Unsubscribe(8, ("far/x", "far/unknown", "near")))
        assert (await client.expect(Unsuback)).reason_codes == (0, 0x11, 0)

    in_house(play)


def test_a_relay_that_fails_refuses() -> None:
    async def play(house: House) -> None:
        carrier = Carrier(house)
        carrier.fails = True
        client = await house.client("a")
        client.send(Publish("far", b"", 1, False, False, 1), Subscribe(2, (SubscribeFilter("far"),)))
        assert (await client.expect(Puback)).reason_code == 0x83
        assert (await client.expect(Suback)).reason_codes == (0x83,)
        house.logged("a relay", "a relay")

    in_house(play)


def test_a_will_goes_through_the_relay_as_well() -> None:
    async def play(house: House) -> None:
        carrier = Carrier(house)
        client = await house.client("a", will=Will("far/will", b"gone", 1))
        await client.drop()
        [arrival] = carrier.arrivals
        assert (arrival.message.payload, arrival.packet_id) == (b"gone", 0)
        arrival.acknowledge()

    in_house(play)


def test_a_prefix_has_whole_levels_and_no_wildcards() -> None:
    async def play(house: House) -> None:
        carrier = Carrier(house)
        client = await house.client("a")
        for topic in ("farther", "near/far", "far"):
            await client.publish(topic)
        assert [arrival.message.topic for arrival in carrier.arrivals] == ["far"]
        with pytest.raises(ConfigurationError):
            house.broker.relay("far/#", carrier)

    in_house(play)


def test_who_publishes_without_waiting_hears_of_both_acknowledgements() -> None:
    async def play(house: House) -> None:
        client = LightClient("a", network=house.network)
        heard: list[object] = []
        client.submit(Publish("t", b"early", 1), heard.append)
        await client.connect("broker", 1883)
        client.submit(Publish("t", b"late", 2), heard.append, lambda: heard.append("accepted"))
        await client.ping()
        await client.ping()
        assert heard == [0x10, "accepted", 0]
        await client.disconnect()

    in_house(play)
