"""Receivers of the same streams get one sealed message; nobody gets another's."""

from __future__ import annotations

import pytest

from mqttsec.e2e import Mode, Setup
from mqttsec.e2e.company import TOPIC
from mqttsec.errors import TimedOut
from tests.e2e.hall import Hall, in_hall, settle

SHARED = [
    (number, mode) for number in (1, 3, 4) for mode in Mode if number > 1 or mode.value.startswith("single")
]


@pytest.mark.parametrize(("number", "mode"), SHARED)
def test_two_publishers_of_one_topic_reach_each_their_own_receivers(number: int, mode: Mode) -> None:
    """The plan of a topic is made for all its publishers; who joins or leaves one of them changes it."""

    async def play(hall: Hall) -> None:
        alice, bob = await hall.publisher("alice"), await hall.publisher("bob")
        both = await hall.subscriber("both")
        of_alice = await hall.subscriber("one")
        of_bob = await hall.subscriber("two", "bob")
        # From now on a plan is remembered; `both` asks for the second stream of a topic that it has.
        await alice.publish(TOPIC, "a1")
        await both.subscribe("bob", TOPIC)
        await bob.publish(TOPIC, "b1")
        await alice.publish(TOPIC, "a2")
        for subscriber, wanted in ((both, ["a1", "b1", "a2"]), (of_alice, ["a1", "a2"]), (of_bob, ["b1"])):
            got = [(await subscriber.message()).message.decode() for _ in wanted]
            assert sorted(got) == sorted(wanted)
        await of_alice.unsubscribe("alice", TOPIC)
        await alice.publish(TOPIC, "a3")
        assert (await both.message()).message == b"a3"
        await settle()
        for subscriber in (both, of_alice, of_bob):
            assert not subscriber.end.refused, "nobody was sent what is not for it"
            with pytest.raises(TimedOut):
                await subscriber.message(timeout=1)

    in_hall(play, Setup(number, mode=mode))


@pytest.mark.parametrize("number", [3, 4])
def test_the_broker_seals_once_for_a_group_whatever_its_size(number: int) -> None:
    async def play(hall: Hall) -> None:
        alice = await hall.publisher()
        subscribers = [await hall.subscriber(f"s{place}") for place in range(7)]
        before = hall.tallies()["broker"]
        await alice.publish(TOPIC, "12.8", qos=0)
        packets = {(await subscriber.message()).message for subscriber in subscribers}
        assert packets == {b"12.8"}
        spent = hall.tallies()["broker"] - before
        assert str(spent) == {3: "E + D + 2H", 4: "2H"}[number]

    in_hall(play, Setup(number))
