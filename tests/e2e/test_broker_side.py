"""The schemes on the broker: handshakes through real packets, on memory links, to the second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatch

import pytest

from mqttsec.crypto import Profile
from mqttsec.e2e import SCHEMES, Mode, Role, Setup
from mqttsec.e2e.broker import TICKETS_EACH
from mqttsec.e2e.company import START, TOPIC, Company, identity
from mqttsec.e2e.control import Protected, answer_topic, control_topic, group_topic
from mqttsec.e2e.encoding import decode
from mqttsec.e2e.memory_parties import MemorySubscriber
from mqttsec.e2e.messages import Refusal, SubscriberConfirm
from mqttsec.e2e.schemes import connect_operations, operations, subscribe_operations
from mqttsec.errors import ConfigurationError, ConnectionFailed, Refused, TimedOut
from mqttsec.net import LinkSettings
from mqttsec.packets import Auth, Connack, Connect, Properties, Publish, Will
from mqttsec.trace import PUBLIC_METHODS
from tests.e2e.hall import Hall, in_hall, settle
from tests.e2e.test_handshake import EVERY_SETUP
from tests.mqtt5.house import Client, connect_packet

NO = 0x87


# Blocks 1 to 3 ---------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", EVERY_SETUP, ids=lambda setup: setup.method)
def test_plaintext_goes_in_and_comes_out(setup: Setup) -> None:
    async def play(hall: Hall) -> None:
        publisher = await hall.publisher()
        receivers = [await hall.subscriber(name) for name in ("s1", "s2", "s3")]
        took = await publisher.publish(TOPIC, "12.8 C")
        assert took == (3 if setup.individual else 1)
        for receiver in receivers:
            opened = await receiver.message()
            assert (opened.publisher, opened.topic, opened.message) == ("alice", TOPIC, b"12.8 C")
        assert publisher.members(TOPIC) == ("s1", "s2", "s3") == hall.side.machine.members("alice", TOPIC)
        for party in hall.parties:
            await party.close()
        await settle()
        hall.nothing_left()

    in_hall(play, setup)


@pytest.mark.parametrize("qos", (0, 1, 2))
def test_any_qos(qos: int) -> None:
    async def play(hall: Hall) -> None:
        publisher = await hall.publisher()
        receiver = hall.new_subscriber("s1")
        await receiver.subscribe("alice", TOPIC, qos=qos)
        for number in range(5):
            await publisher.publish(TOPIC, str(number), qos)
        assert [(await receiver.message()).message for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]

    in_hall(play, Setup(3))


@pytest.mark.parametrize("n", (1, 2, 5, 10, 50))
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("number", SCHEMES)
def test_a_run_costs_what_the_specification_says(number: int, mode: Mode, n: int) -> None:
    async def play(hall: Hall) -> None:
        publisher = await hall.publisher()
        block_1, block_2 = connect_operations(), subscribe_operations(SCHEMES[number], mode)
        assert hall.tallies() == {"alice": block_1[Role.P], "broker": block_1[Role.B]}
        names = [f"s{each}" for each in range(n)]
        receivers = [await hall.subscriber(name) for name in names]
        before = hall.tallies()
        assert before == {
            "alice": block_1[Role.P] + n * block_2[Role.P],
            "broker": block_1[Role.B] + n * block_2[Role.B],
            **dict.fromkeys(names, block_2[Role.S]),
        }
        await publisher.publish(TOPIC, "12.8 C")
        assert {(await receiver.message()).message for receiver in receivers} == {b"12.8 C"}
        table = operations(SCHEMES[number], mode, n)
        assert {name: tally - before[name] for name, tally in hall.tallies().items()} == {
            "alice": table[Role.P],
            "broker": table[Role.B],
            **dict.fromkeys(names, table[Role.S]),
        }

    in_hall(play, Setup(number, curve="X25519", mode=mode))


def test_the_packets_of_the_handshake_are_those_of_the_specification() -> None:
    async def play(hall: Hall) -> None:
        await hall.publisher()
        await hall.subscriber("s1")

    trace = in_hall(play, Setup(3), traced=True)
    assert trace is not None
    packets = [
        (event.party, event.packet[0] >> 4) for event in trace if event.packet and event.kind.value == "sent"
    ]
    connect, connack, publish, puback, subscribe, suback, auth = 1, 2, 3, 4, 8, 9, 15
    assert packets[:2] == [("alice", connect), ("broker", connack)]
    middle = [packet for packet in packets[2:] if packet[1] != puback][:9]
    assert middle[0] == ("s1", connect)
    # Steps 7 and 9 leave the broker together; 10 and 13 come as they come.
    assert sorted(middle[1:5]) == sorted(
        [("broker", publish), ("broker", auth), ("s1", auth), ("alice", publish)]
    )
    assert middle[5:8] == [("broker", connack), ("s1", subscribe), ("broker", suback)]


def test_scheme_2_sends_each_its_own_bytes_3_and_4_the_same_to_all_and_1_what_came() -> None:
    for number, mode in ((1, Mode.SINGLE_CIPHERTEXT), *((n, m) for n in (2, 3, 4) for m in Mode)):

        async def play(hall: Hall) -> None:
            publisher = await hall.publisher()
            receivers = [await hall.subscriber(f"s{each}") for each in range(5)]
            await publisher.publish(TOPIC, "12.8 C")
            for receiver in receivers:
                await receiver.message()

        trace = in_hall(play, Setup(number, mode=mode), traced=True)
        assert trace is not None
        bodies = [
            event.packet
            for event in trace
            if event.kind.value == "sent"
            and event.party == "broker"
            and event.packet[0] >> 4 == 3
            and b"$e2e/" not in event.packet
        ]
        assert len(bodies) == 5
        assert len(set(bodies)) == (5 if number == 2 else 1), (number, mode)


# P is late, P never comes, P comes again -------------------------------------------------------


def test_a_subscriber_waits_for_a_publisher_that_is_late() -> None:
    async def play(hall: Hall) -> None:
        waits = asyncio.create_task(hall.subscriber("s1"))
        await asyncio.sleep(12)
        assert not waits.done()
        publisher = await hall.publisher()
        receiver = await waits
        # Asked at 0, 5 and 10 s.
        assert hall.side.waits == {"s1": 3} and receiver.end.machine.waits == 3
        await publisher.publish(TOPIC, "1")
        assert (await receiver.message()).message == b"1"

    in_hall(play)


@pytest.mark.parametrize("again", (False, True), ids=("connecting", "re-authenticating"))
def test_a_publisher_that_never_comes_is_given_up_after_the_limit(again: bool) -> None:
    async def play(hall: Hall) -> None:
        receiver = hall.new_subscriber("s1")
        if again:
            await hall.publisher()
            await receiver.subscribe("alice", TOPIC)
        began = asyncio.get_running_loop().time()
        with pytest.raises(ConnectionFailed, match="'bob' is not connected within 12 s") as refused:
            await receiver.subscribe("bob", TOPIC)
        # Table 3-13: DISCONNECT, which ends a re-authentication, knows no 0x88.
        assert refused.value.reason_code == (NO if again else 0x88)
        assert asyncio.get_running_loop().time() - began == pytest.approx(12.0, abs=0.01)
        assert receiver.end.wanted == ({("alice", TOPIC): 1} if again else {})
        for party in hall.parties:
            await party.close()
        await settle()
        hall.nothing_left()

    in_hall(play, limit=12.0)


def test_a_publisher_that_is_silent_is_given_up_too() -> None:
    async def play(hall: Hall) -> None:
        publisher = hall.new_publisher()
        publisher.client.on_message = lambda message: None
        await publisher.connect()
        with pytest.raises(ConnectionFailed, match="'alice' did not answer") as refused:
            await hall.subscriber("s1")
        assert refused.value.reason_code == 0x88

    in_hall(play, limit=7.0)


def test_a_publisher_that_connects_again_is_asked_again() -> None:
    async def play(hall: Hall) -> None:
        deaf = hall.new_publisher()
        deaf.client.on_message = lambda message: None
        await deaf.connect()
        waits = asyncio.create_task(hall.subscriber("s1"))
        await asyncio.sleep(3)
        deaf.client.abort()
        publisher = await hall.publisher()
        receiver = await waits
        await publisher.publish(TOPIC, "1")
        assert (await receiver.message()).message == b"1"

    in_hall(play)


def test_after_a_break_a_publisher_goes_on_with_its_subscribers() -> None:
    async def play(hall: Hall) -> None:
        publisher = await hall.publisher()
        receiver = await hall.subscriber("s1")
        publisher.client.abort()
        await settle()
        assert hall.side.machine.publishers == ()
        await publisher.connect(clean_start=False)
        await publisher.publish(TOPIC, "1")
        assert (await receiver.message()).message == b"1"
        assert receiver.end.machine.waits == 1

    in_hall(play)


@pytest.mark.parametrize("number", SCHEMES)
def test_the_subscribers_of_a_publisher_that_begins_anew_shake_hands_again(number: int) -> None:
    async def play(hall: Hall) -> None:
        first = await hall.publisher()
        receivers = [await hall.subscriber(f"s{each}") for each in range(3)]
        first.client.abort()
        await settle()
        second = await hall.publisher()
        await settle()
        assert set(second.members(TOPIC)) == {"s0", "s1", "s2"}
        await second.publish(TOPIC, "1")
        for receiver in receivers:
            assert (await receiver.message()).message == b"1"

    in_hall(play, Setup(number))


@pytest.mark.parametrize("confirm", (False, True))
@pytest.mark.parametrize("number", SCHEMES)
def test_nothing_is_lost_between_the_publishers_answer_and_the_connack(number: int, confirm: bool) -> None:
    async def play(hall: Hall) -> None:
        publisher = await hall.publisher()
        waits = asyncio.create_task(hall.subscriber("s1", link=LinkSettings(delay=1.0)))
        while not publisher.members(TOPIC):
            await asyncio.sleep(0.01)
        # The answer to "keep waiting" takes a second more, the CONNACK another.
        for each in range(3):
            assert hall.side.machine.members("alice", TOPIC) == ()
            await publisher.publish(TOPIC, str(each))
        receiver = await waits
        await publisher.publish(TOPIC, "3")
        assert [(await receiver.message()).message for _ in range(4)] == [b"0", b"1", b"2", b"3"]
        await settle()
        assert receiver._inbox.empty() and not len(hall.side._room)

    in_hall(play, Setup(number, confirm=confirm))


# Several publishers, topics, subscribers -------------------------------------------------------


@pytest.mark.parametrize("number", SCHEMES)
def test_several_publishers_topics_and_subscribers(number: int) -> None:
    async def play(hall: Hall) -> None:
        alice, bob = await hall.publisher("alice"), await hall.publisher("bob")
        a, b, both = (hall.new_subscriber(name) for name in ("a", "b", "both"))
        await asyncio.gather(
            a.subscribe("alice", "t/1"),
            b.subscribe("bob", "t/1"),
            both.subscribe("alice", "t/1"),
            both.subscribe("bob", "t/1"),
            both.subscribe("bob", "t/2"),
        )
        await alice.publish("t/1", "from alice")
        await bob.publish("t/1", "from bob")
        await bob.publish("t/2", "another")
        assert (await a.message()).message == b"from alice"
        assert (await b.message()).message == b"from bob"
        got = {
            (each.publisher, each.topic, each.message) for each in [await both.message() for _ in range(3)]
        }
        assert got == {
            ("alice", "t/1", b"from alice"), ("bob", "t/1", b"from bob"), ("bob", "t/2", b"another")
        }  # fmt: skip
        await settle()
        assert a._inbox.empty() and b._inbox.empty()

    in_hall(play, Setup(number))


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("number", SCHEMES)
def test_subscribers_join_and_leave_while_messages_flow(number: int, profile: Profile) -> None:
    async def play(hall: Hall) -> None:
        publisher = await hall.publisher()
        published: list[bytes] = []
        flowing = True

        async def flow() -> None:
            while flowing:
                published.append(str(len(published)).encode())
                await publisher.publish(TOPIC, published[-1])
                await asyncio.sleep(0.05)

        stream = asyncio.create_task(flow())
        receivers = {}
        for each in range(8):
            await asyncio.sleep(0.07)
            receivers[each] = await hall.subscriber(f"s{each}")
            if each % 3 == 2:
                await receivers.pop(each - 1).unsubscribe("alice", TOPIC)
        await asyncio.sleep(1.0)
        flowing = False
        await stream
        await settle()
        for receiver in receivers.values():
            got = [receiver._inbox.get_nowait().message for _ in range(receiver._inbox.qsize())]
            # Everything from its SUBSCRIBE on: in order, once, without a gap.
            assert len(got) > 15 and got == published[-len(got) :]
            # A key may be on its way when the first message under it comes; nothing else is refused.
            assert all("no key of GK" in str(error) for error in receiver.end.refused), receiver.end.refused

    in_hall(play, Setup(number, profile))


@pytest.mark.parametrize("way", ("unsubscribes", "disconnects", "is cut off", "starts clean elsewhere"))
@pytest.mark.parametrize("number", (3, 4))
def test_who_left_cannot_read_the_next_message(number: int, way: str) -> None:
    async def play(hall: Hall) -> None:
        publisher = await hall.publisher()
        goes, stays = await hall.subscriber("goes"), await hall.subscriber("stays")
        spy: list[tuple[str, bytes]] = []
        # The bytes for the one who stays reach the one who left all the same: on the network.
        take = stays.end.take

        def overheard(topic: str, payload: bytes, properties: Properties):  # type: ignore[no-untyped-def]
            spy.append((topic, payload))
            return take(topic, payload, properties)

        stays.end.take = overheard  # type: ignore[method-assign]
        if way == "unsubscribes":
            await goes.client.unsubscribe(TOPIC)
        elif way == "disconnects":
            await goes.client.disconnect()
        elif way == "is cut off":
            goes.client.abort()
        else:
            await hall.subscriber("goes", topic="another")
        await settle()
        assert publisher.members(TOPIC) == ("stays",)
        await publisher.publish(TOPIC, "secret")
        assert (await stays.message()).message == b"secret"
        assert not stays.end.refused
        for topic, payload in spy:
            assert goes.end.take(topic, payload, Properties()) == []
        assert "no key of GK" in str(goes.end.refused[-1])

    in_hall(play, Setup(number))


def test_under_published_who_left_still_reads() -> None:
    async def play(hall: Hall) -> None:
        publisher = await hall.publisher()
        goes, stays = await hall.subscriber("goes"), await hall.subscriber("stays")
        epoch = publisher.end.machine.epoch(TOPIC)
        await goes.client.unsubscribe(TOPIC)
        await settle()
        assert publisher.end.machine.epoch(TOPIC) == epoch
        take = stays.end.take
        read: list[bytes] = []

        def overheard(topic: str, payload: bytes, properties: Properties):  # type: ignore[no-untyped-def]
            read.extend(each.message for each in goes.end.take(topic, payload, properties))
            return take(topic, payload, properties)

        stays.end.take = overheard  # type: ignore[method-assign]
        await publisher.publish(TOPIC, "secret")
        await stays.message()
        assert read == [b"secret"]

    in_hall(play, Setup(3, Profile.PUBLISHED))


@pytest.mark.parametrize("number", SCHEMES)
def test_who_was_away_catches_up(number: int) -> None:
    async def play(hall: Hall) -> None:
        publisher = await hall.publisher()
        away = await hall.subscriber("away", session_expiry=600)
        others = [await hall.subscriber(f"s{each}") for each in range(3)]
        await publisher.publish(TOPIC, "0")
        assert (await away.message()).message == b"0"
        await away.disconnect()
        await publisher.publish(TOPIC, "1")
        # Two generations and a join later:
        await others[0].unsubscribe("alice", TOPIC)
        await settle()
        await publisher.publish(TOPIC, "2")
        await hall.subscriber("new")
        await others[1].unsubscribe("alice", TOPIC)
        await settle()
        await publisher.publish(TOPIC, "3")
        assert hall.side.machine.members("alice", TOPIC) == ("away", "s2", "new")
        connack = await away.reconnect()
        assert connack is not None and connack.session_present
        await publisher.publish(TOPIC, "4")
        got = [(await away.message()).message for _ in range(4)]
        assert got == [b"1", b"2", b"3", b"4"]

    in_hall(play, Setup(number))


def test_who_stays_away_too_long_is_no_member_any_more() -> None:
    async def play(hall: Hall) -> None:
        publisher = await hall.publisher()
        away = await hall.subscriber("away", session_expiry=60)
        await away.disconnect()
        await asyncio.sleep(59)
        assert publisher.members(TOPIC) == ("away",)
        await asyncio.sleep(2)
        assert publisher.members(TOPIC) == () == hall.side.machine.members("alice", TOPIC)

    in_hall(play)


def test_a_publisher_that_was_away_hears_who_left() -> None:
    async def play(hall: Hall) -> None:
        publisher = await hall.publisher()
        goes, stays = await hall.subscriber("goes"), await hall.subscriber("stays")
        publisher.client.abort()
        await settle()
        await goes.close()
        await settle()
        assert publisher.members(TOPIC) == ("goes", "stays")
        await publisher.connect(clean_start=False)
        await settle()
        assert publisher.members(TOPIC) == ("stays",)
        await publisher.publish(TOPIC, "1")
        assert (await stays.message()).message == b"1"

    in_hall(play)


def test_who_came_back_before_the_publisher_did_stays_a_member() -> None:
    async def play(hall: Hall) -> None:
        publisher = await hall.publisher()
        await hall.subscriber("stays")
        goes = await hall.subscriber("goes")
        publisher.client.abort()
        await settle()
        await goes.close()
        back = asyncio.create_task(hall.subscriber("goes"))
        await settle()
        await publisher.connect(clean_start=False)
        await back
        await settle()
        await publisher.publish(TOPIC, "1")
        assert (await back.result().message()).message == b"1"

    in_hall(play)


def test_a_publisher_may_expel_a_subscriber() -> None:
    async def play(hall: Hall) -> None:
        publisher = await hall.publisher()
        expelled, stays = await hall.subscriber("expelled"), await hall.subscriber("stays")
        await publisher.expel(TOPIC, "expelled")
        await publisher.publish(TOPIC, "secret")
        assert (await stays.message()).message == b"secret"
        with pytest.raises(TimedOut, match="no key of GK_P"):
            await expelled.message()

    in_hall(play, Setup(4))


# Who may not -----------------------------------------------------------------------------------


def test_those_without_a_scheme_are_refused_on_protected_topics_and_served_elsewhere() -> None:
    async def play(hall: Hall) -> None:
        publisher = await hall.publisher()
        receiver = await hall.subscriber("s1")
        for protocol, code in ((5, NO), (4, 0x80)):
            plain = await hall.plain(f"plain-{protocol}", protocol)
            suback = await plain.subscribe(
                TOPIC, "weather/#", "weather/+", "$share/g/weather/seattle", "news/#", "#"
            )
            assert suback.reason_codes == (code, code, code, code, 0, 0)
            assert await plain.publish(TOPIC, b"forged", 1) == (NO if protocol == 5 else 0)
            assert await plain.publish("news/1", b"hello", 1) == 0
            await plain.message(b"hello")
            assert await publisher.publish(TOPIC, "secret") == 1
            assert (await receiver.message()).message == b"secret"
            await plain.sync()
        assert not receiver.end.refused

    in_hall(play, protects=("weather/#",))


def test_those_with_a_scheme_are_served_elsewhere_as_well() -> None:
    async def play(hall: Hall) -> None:
        await hall.publisher()
        receiver = await hall.subscriber("s1")
        plain = await hall.plain("plain")
        await plain.subscribe("news")
        await receiver.client.publish("news", b"hello", 1)
        await plain.message(b"hello")

    in_hall(play, protects=("weather/#",))


def test_control_topics_are_reserved() -> None:
    async def play(hall: Hall) -> None:
        publisher = await hall.publisher()
        receiver = await hall.subscriber("s1")
        plain = await hall.plain("plain")
        topics = [
            maker(name) for maker in (control_topic, answer_topic, group_topic) for name in ("alice", "s1")
        ]
        for topic in topics:
            assert (await plain.subscribe(topic)).reason_codes == (NO,)
            assert await plain.publish(topic, b"", 1) == NO
            with pytest.raises(Refused):
                await receiver.client.subscribe(topic)
            with pytest.raises(Refused):
                await receiver.client.publish(topic, b"", 1)
            with pytest.raises(Refused):
                await publisher.client.publish(topic, b"", 1)
        for wide in ("$e2e/#", "$e2e/to/+", "$e2e"):
            assert (await plain.subscribe(wide)).reason_codes == (NO,)
        await plain.subscribe("#", "+/+/+")
        await hall.subscriber("s2")
        await plain.sync()

    in_hall(play, protects=("weather/#",))


def test_a_subscriber_gets_only_what_its_handshake_was_for() -> None:
    async def play(hall: Hall) -> None:
        alice = await hall.publisher()
        receiver, other = await hall.subscriber("s1", topic="t/1"), await hall.subscriber("s2", topic="t/2")
        for topic_filter in ("t/2", "t/+", "#"):
            with pytest.raises(Refused) as refused:
                await receiver.client.subscribe(topic_filter)
            assert refused.value.reason_code == NO
        with pytest.raises(Refused) as refused:
            await receiver.client.publish("t/1", b"forged", 1)
        assert refused.value.reason_code == NO
        await alice.publish("t/2", "for the other")
        assert (await other.message()).message == b"for the other"
        await settle()
        assert receiver._inbox.empty()

    in_hall(play)


def test_nobody_without_a_scheme_takes_the_place_of_one_with_it() -> None:
    async def play(hall: Hall) -> None:
        await hall.publisher()
        receiver = await hall.subscriber("s1", session_expiry=600)
        for _ in range(2):
            line = await hall.house.line()
            line.send(connect_packet("s1", clean=False))
            await line.ended_with(Connack, NO)
            assert receiver.client.connected or _
            await receiver.disconnect()

    in_hall(play)


def test_a_will_does_not_pass_the_channel() -> None:
    async def play(hall: Hall) -> None:
        for topic, code in ((TOPIC, NO), ("$e2e/to/s1", NO), ("status", None)):
            publisher = hall.new_publisher()
            publisher.client.will = Will(topic, b"gone")
            if code is None:
                await publisher.connect()
                await publisher.close()
            else:
                with pytest.raises(ConnectionFailed, match="Will Message") as refused:
                    await publisher.connect()
                assert refused.value.reason_code == code
        hall.nothing_left()

    in_hall(play, protects=("weather/#",))


def test_a_topic_that_is_not_protected_takes_no_handshake() -> None:
    async def play(hall: Hall) -> None:
        await hall.publisher()
        with pytest.raises(ConnectionFailed, match="not protected here"):
            await hall.subscriber("s1", topic="news")

    in_hall(play, protects=("weather/#",))


# Failures (specification 1.4) ------------------------------------------------------------------


def test_failures_have_the_reason_codes_of_the_specification() -> None:
    async def play(hall: Hall) -> None:
        elsewhere = Setup(4)
        foreign = Company(Setup(3), "Ed25519")
        late = START - 100.0
        cases = (
            ({"setup": elsewhere}, 0x8C, "not known here"),
            ({"identity": identity("mallory")}, NO, "speaks for 'mallory'"),
            ({"identity": foreign.publisher.party.identity}, NO, "is not from Course CA"),
            ({"clock": lambda: late}, NO, "stale"),
        )
        for options, code, words in cases:
            for make in (hall.new_publisher, hall.new_subscriber):
                party = make("alice", **options)  # type: ignore[operator]
                party.client.client_id = "alice"
                with pytest.raises(ConnectionFailed) as refused:
                    if make == hall.new_publisher:
                        await party.connect()
                    else:
                        await party.subscribe("bob", TOPIC)
                assert refused.value.reason_code == code, refused.value
                assert words in str(refused.value)
        hall.nothing_left()

    in_hall(play)


def test_a_replayed_connect_is_refused_under_hardened() -> None:
    async def play(hall: Hall) -> None:
        hello = hall.new_publisher().end.first()
        connect = connect_packet(
            "alice",
            properties=Properties(authentication_method=hall.setup.method, authentication_data=hello),
        )
        for code in (0, NO if hall.setup.hardened else 0):
            line = await hall.house.line()
            line.send(connect)
            connack = await line.expect(Connack, reason_code=code)
        words = connack.properties.reason_string or ""
        assert "a replay" in words if hall.setup.hardened else not words

    in_hall(play, Setup(3))
    in_hall(play, Setup(3, Profile.PUBLISHED))


def test_a_publisher_refuses_and_the_subscriber_hears_it() -> None:
    async def play(hall: Hall) -> None:
        publisher = await hall.publisher(serves=lambda topic: topic == TOPIC)
        with pytest.raises(ConnectionFailed, match="publisher 'alice' refuses") as refused:
            await hall.subscriber("s1", topic="weather/oslo")
        assert refused.value.reason_code == NO
        assert publisher.members("weather/oslo") == ()
        await hall.subscriber("s1")

    in_hall(play)


@pytest.mark.parametrize(
    "payload", (b"", b"garbage", Refusal(0).encode()), ids=("empty", "garbage", "refusal")
)
def test_an_answer_that_is_none_ends_the_wait(payload: bytes) -> None:
    async def play(hall: Hall) -> None:
        publisher = hall.new_publisher()
        end, answers = publisher.end, []

        def answer(message: object) -> None:
            for posting in end.on_control(message.payload, message.properties):  # type: ignore[attr-defined]
                answers.append(posting)
                publisher._tasks.run(lambda: publisher._post([replace(answers[0], payload=payload)]))

        publisher.client.on_message = answer
        await publisher.connect()
        with pytest.raises(ConnectionFailed) as refused:
            await hall.subscriber("s1")
        assert refused.value.reason_code == NO
        assert hall.side.machine.tickets == () and not len(hall.side._room)
        assert len(answers) == 1

    in_hall(play)


def test_a_publisher_cannot_answer_for_another() -> None:
    async def play(hall: Hall) -> None:
        alice, bob = hall.new_publisher("alice"), await hall.publisher("bob")
        codes: list[int] = []

        def pass_on(message: object) -> None:
            posting = alice.end.on_control(message.payload, message.properties)[0]  # type: ignore[attr-defined]

            async def post() -> None:
                try:
                    await bob.client.publish(posting.topic, posting.payload, 1, properties=posting.properties)
                except Refused as refused:
                    codes.append(refused.reason_code)
                await alice._post([posting])

            alice._tasks.run(post)

        alice.client.on_message = pass_on
        await alice.connect()
        await hall.subscriber("s1")
        assert codes == [NO]

    in_hall(play)


# What is left of handshakes that came to nothing -----------------------------------------------


@pytest.mark.parametrize("confirm", (False, True))
def test_an_unfinished_handshake_leaves_nothing(confirm: bool) -> None:
    async def play(hall: Hall) -> None:
        deaf = hall.new_publisher()
        deaf.client.on_message = lambda message: None
        await deaf.connect()
        for cut_after in range(5):
            receiver = hall.new_subscriber(f"s{cut_after}")
            receiver.end.want(("alice", TOPIC), 1)
            line = await hall.house.line()
            line.send(
                connect_packet(
                    receiver.name,
                    properties=Properties(
                        authentication_method=hall.setup.method, authentication_data=receiver.end.first()
                    ),
                )
            )
            for _ in range(cut_after):
                question = await line.expect(Auth)
                reply = receiver.end.challenge(question.properties.authentication_data)
                line.send(
                    Auth(0x18, Properties(authentication_method=hall.setup.method, authentication_data=reply))
                )
            await line.drop()
        assert hall.side.machine.tickets == () and not len(hall.side._room)
        await deaf.close()
        await settle()
        hall.nothing_left()

    in_hall(play, Setup(3, confirm=confirm))


def test_a_silent_subscriber_is_cut_off() -> None:
    async def play(hall: Hall) -> None:
        receiver = hall.new_subscriber("s1")
        receiver.end.want(("alice", TOPIC), 1)
        line = await hall.house.line()
        data = receiver.end.first()
        properties = Properties(authentication_method=hall.setup.method, authentication_data=data)
        line.send(connect_packet("s1", properties=properties))
        await line.expect(Auth)
        await line.ended_with(Connack, NO)
        hall.nothing_left()

    in_hall(play)


async def confirms_wrongly(
    hall: Hall, wrong: Callable[[SubscriberConfirm], SubscriberConfirm]
) -> tuple[MemorySubscriber, Client]:
    """(a subscriber, its line) that has gone through Block 2, has all keys, and confirms with `wrong`."""
    liar = hall.new_subscriber("liar")
    liar.end.want(("alice", TOPIC), 1)
    line, method = await hall.house.line(), hall.setup.method
    about = Properties(authentication_method=method, authentication_data=liar.end.first())
    line.send(connect_packet("liar", properties=about))
    for _ in range(2):
        # Steps 9 and 14.
        question = await line.expect(Auth)
        reply = liar.end.challenge(question.properties.authentication_data)
        if len(liar.end.machine.topics) == 1:
            reply = wrong(decode(reply, SubscriberConfirm)).encode()
        line.send(Auth(0x18, Properties(authentication_method=method, authentication_data=reply)))
    return liar, line


def test_who_does_not_confirm_is_not_in_and_the_group_key_changes() -> None:
    async def play(hall: Hall) -> None:
        publisher = await hall.publisher()
        stays = await hall.subscriber("stays")
        _, line = await confirms_wrongly(
            hall, lambda confirm: replace(confirm, signature_broker=confirm.signature_publisher)
        )
        await line.ended_with(Connack, NO)
        await settle()
        assert publisher.members(TOPIC) == ("stays",) == hall.side.machine.members("alice", TOPIC)
        await publisher.publish(TOPIC, "1")
        assert (await stays.message()).message == b"1"

    in_hall(play, Setup(3, confirm=True))


def test_who_confirms_to_the_broker_alone_leaves_the_publisher_and_the_group_key_changes() -> None:
    """Step 18 is right for B, and the part that goes on to P as step 19 is not."""

    async def play(hall: Hall) -> None:
        publisher = await hall.publisher()
        stays = await hall.subscriber("stays")
        before = publisher.end.machine.epoch(TOPIC)
        liar, line = await confirms_wrongly(
            hall, lambda confirm: replace(confirm, signature_publisher=confirm.signature_broker)
        )
        assert (await line.expect(Connack)).reason_code == 0
        await settle()
        assert publisher.members(TOPIC) == ("stays",)
        assert before is not None and (publisher.end.machine.epoch(TOPIC) or 0) >> 16 == (before >> 16) + 1
        await publisher.publish(TOPIC, "1")
        assert (await stays.message()).message == b"1"
        sent = await line.expect(Publish)
        assert liar.end.take(sent.topic, sent.payload, sent.properties) == []
        assert liar.end.refused
        # A later wrong one, for a handshake that is settled, does no harm.
        assert publisher.end.machine.disown(b"unknown") == ("", {})

    in_hall(play, Setup(3, confirm=True))


def asks(hall: Hall, name: str) -> Connect:
    """The CONNECT of a subscriber for a publisher that never comes."""
    receiver = hall.new_subscriber(name)
    receiver.end.want(("nobody", TOPIC), 1)
    about = Properties(authentication_method=hall.setup.method, authentication_data=receiver.end.first())
    return connect_packet(name, properties=about)


def test_one_subscriber_does_not_fill_the_waiting_room() -> None:
    async def play(hall: Hall) -> None:
        lines = []
        for _ in range(20):
            lines.append(await hall.house.line())
            lines[-1].send(asks(hall, "greedy"))
        await settle()
        assert len(hall.side.machine.tickets) == TICKETS_EACH
        for line in lines[TICKETS_EACH:]:
            await line.ended_with(Connack, 0x89)
        # Others come in meanwhile, and so does it again when it has been cut off.
        await hall.publisher()
        await hall.subscriber("s1")
        await asyncio.sleep(11)
        assert hall.side.machine.tickets == () and not hall.side.machine._tickets_of
        await hall.subscriber("greedy")

    in_hall(play, Setup(3, curve="X25519"), half_open_at_most=10)


def test_publishers_that_owe_their_confirmation_are_bounded() -> None:
    async def play(hall: Hall) -> None:
        lines = []
        for each in range(8):
            publisher = hall.new_publisher(f"p{each}")
            about = Properties(
                authentication_method=hall.setup.method, authentication_data=publisher.end.first()
            )
            lines.append(await hall.house.line())
            lines[-1].send(connect_packet(publisher.name, properties=about))
        for line in lines[:5]:
            await line.expect(Auth)
        for line in lines[5:]:
            await line.ended_with(Connack, 0x89)
        await asyncio.sleep(11)
        hall.nothing_left()
        assert not hall.side._unconfirmed
        await hall.publisher()

    in_hall(play, Setup(3, confirm=True), half_open_at_most=5)


def test_half_open_handshakes_are_bounded() -> None:
    async def play(hall: Hall) -> None:
        lines = []
        for each in range(60):
            lines.append(await hall.house.line())
            lines[-1].send(asks(hall, f"s{each}"))
        await settle()
        assert len(hall.side.machine.tickets) == 50 == len(hall.side._room)
        for line in lines[:50]:
            await line.expect(Auth)
        for line in lines[50:]:
            await line.ended_with(Connack, 0x89)
        # Those who do not answer are gone after a round; there is room again.
        await asyncio.sleep(11)
        hall.nothing_left()
        await hall.publisher()
        await hall.subscriber("s1")

    in_hall(play, Setup(3, curve="X25519"), half_open_at_most=50)


# Small parts -----------------------------------------------------------------------------------


def test_it_works_over_a_slow_link_too() -> None:
    async def play(hall: Hall) -> None:
        link = LinkSettings(delay=0.2)
        publisher = await hall.publisher(link=link)
        receiver = await hall.subscriber("s1", link=link)
        await publisher.publish(TOPIC, "1")
        assert (await receiver.message()).message == b"1"

    in_hall(play)


def test_one_broker_has_one_broker_side() -> None:
    async def play(hall: Hall) -> None:
        with pytest.raises(ConfigurationError, match="one broker"):
            hall.side.attach(hall.house.broker)

    in_hall(play)


@pytest.mark.parametrize("filters", ((), ("a/#/b",), ("",)))
def test_filters_that_are_none_are_refused(filters: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError):
        in_hall(lambda hall: settle(), protects=filters)


@pytest.mark.parametrize(
    ("outer", "covered", "not_covered"),
    [
        ("#", ("a", "#", "+/a", "a/b/c"), ("$SYS/a",)),
        ("+/a", ("b/a", "+/a"), ("$SYS/a", "+/b", "b/a/c")),
        ("a/#", ("a", "a/b/c", "a/#", "a/+"), ("#", "+/b", "b")),
        ("a/+", ("a/b", "a/+"), ("a/#", "a", "a/b/c")),
        ("a", ("a",), ("+", "b", "a/b")),
        ("$x/#", ("$x/y",), ("x/y",)),
    ],
)
def test_what_is_protected(outer: str, covered: tuple[str, ...], not_covered: tuple[str, ...]) -> None:
    protected = Protected((outer,))
    assert all(map(protected.covers, covered))
    assert not any(map(protected.covers, not_covered))


def test_the_name_of_the_method_is_that_of_a_public_one() -> None:
    assert any(fnmatch(setup.method, public) for public in PUBLIC_METHODS for setup in EVERY_SETUP)


def test_what_is_remembered_of_topics_is_bounded() -> None:
    protected = Protected(("a/#",))
    for each in range(10_000):
        assert protected.covers(f"a/{each}") and not protected.covers(f"b/{each}")
    assert protected.covers("a/" + "x" * 60_000)
    assert sum(map(len, protected._known)) < 4096 * 256
