"""Enhanced authentication (4.12): any number of rounds before CONNACK, and everything that can go wrong."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from mqttsec.errors import AuthenticationError
from mqttsec.mqtt5 import AuthConversation, AuthSuccess, BrokerSettings
from mqttsec.packets import (
    MQTT_3_1_1,
    Auth,
    Connack,
    Disconnect,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Publish,
    Suback,
    Subscribe,
    SubscribeFilter,
    Will,
    encode,
)
from tests.mqtt5.house import ANONYMOUS, House, connect_packet, in_house
from tests.mqtt5.methods import Rounds, admitted, answer, auth, hello, nothing_left


@pytest.mark.parametrize("rounds", [0, 1, 5])
def test_any_number_of_rounds(rounds: int) -> None:
    method = Rounds(rounds)

    async def play(house: House) -> None:
        client = await house.line()
        client.send(hello())
        await answer(client, rounds)
        connack = await client.expect(Connack, reason_code=0)
        # [MQTT-4.12.0-5]: the method comes back, with the data of the last step.
        assert connack.properties.authentication_method == "rounds"
        assert connack.properties.authentication_data == b"welcome"
        assert connack.properties.user_property == (("rounds", str(rounds)),)
        assert method.begun == [(b"hello", False)]
        await client.publish("t", b"x", 2)

    in_house(play, methods=(method,))


def test_a_connect_without_data_is_the_methods_business() -> None:
    method = Rounds(1)

    async def play(house: House) -> None:
        await admitted(house, 1, data=None)
        assert method.begun == [(None, False)]

    in_house(play, methods=(method,))


def test_a_wrong_answer_is_refused_with_the_methods_code() -> None:
    async def play(house: House) -> None:
        client = await house.line()
        client.send(hello(extra={"session_expiry_interval": 60}))
        await client.expect(Auth)
        client.send(auth(b"wrong"))
        await client.ended_with(Connack, 0x87)
        nothing_left(house)

    in_house(play, methods=(Rounds(2),))


@pytest.mark.parametrize(
    ("said", "heard"), [(0x86, 0x86), (0x8C, 0x8C), (0x8E, 0x82), (0x00, 0x87), (0x18, 0x87)]
)
def test_a_refusal_is_never_taken_for_success(said: int, heard: int) -> None:
    class Clumsy:
        method = "rounds"

        async def authenticate(self, conversation: AuthConversation) -> AuthSuccess:
            raise AuthenticationError("no", said)

    async def play(house: House) -> None:
        client = await house.line()
        client.send(hello())
        await client.ended_with(Connack, heard)
        nothing_left(house)

    in_house(play, methods=(Clumsy(),))


def test_an_unknown_method_is_refused_with_0x8c() -> None:
    # [MQTT-4.12.0-1]
    async def play(house: House) -> None:
        client = await house.line()
        client.send(hello(method="ROUNDS"))
        await client.ended_with(Connack, 0x8C)
        nothing_left(house)

    in_house(play, methods=(Rounds(),))


@pytest.mark.parametrize("method", ["other", ""])
def test_another_method_in_auth_is_a_protocol_error(method: str) -> None:
    # [MQTT-4.12.0-5]
    rounds = Rounds(2)

    async def play(house: House) -> None:
        client = await house.line()
        client.send(hello())
        await client.expect(Auth)
        client.send(auth(b"2", method=method))
        last = (await client.closed())[-1]
        assert isinstance(last, Connack) and last.reason_code in (0x81, 0x82), last
        await asyncio.sleep(1)
        assert rounds.cancelled == 1
        nothing_left(house)

    in_house(play, methods=(rounds,))


@pytest.mark.parametrize("code", [0x18, 0x19])
def test_auth_without_a_method_in_connect_is_a_protocol_error(code: int) -> None:
    # [MQTT-4.12.0-7]
    async def play(house: House) -> None:
        client = await house.client("a")
        client.send(auth(b"2", code))
        await client.ended_with(Disconnect, 0x82)

    in_house(play, methods=(Rounds(),))


def test_auth_while_a_plugin_is_asked_ends_the_attempt() -> None:
    async def play(house: House) -> None:
        client = await house.line()
        client.send(connect_packet("a"), auth(b"2"))
        await client.ended_with(Connack, 0x82)
        nothing_left(house)

    in_house(play, plugins={"tests.mqtt5.users_plugins.SlowAuthentication": {}})


def test_auth_before_connect_closes_the_connection() -> None:
    async def play(house: House) -> None:
        client = await house.line()
        client.send(auth(b"2"))
        assert await client.closed() == []

    in_house(play, methods=(Rounds(),))


def test_auth_in_3_1_1_closes_the_connection() -> None:
    async def play(house: House) -> None:
        client = await house.client("a", MQTT_3_1_1)
        client.send(encode(auth(b"2")))
        assert await client.closed() == []

    in_house(play, methods=(Rounds(),))


@pytest.mark.parametrize(
    "wrong",
    [
        [auth(b"2"), auth(b"4")],  # the answer to a question that was not asked yet
        [auth(b"2", 0x19)],  # re-authentication before CONNACK
        [hello()],  # a second CONNECT
        [Pingreq()],  # [MQTT-3.1.2-30] nothing but AUTH and DISCONNECT
        [Publish("t", b"early")],
        [Subscribe(1, (SubscribeFilter("t"),))],
        [b"\xf0\x01\x18"],  # AUTH 0x18 without a method
        [b"\xf0\x02\x00\x00"],  # AUTH 0x00 from a client
    ],
)
def test_what_does_not_fit_into_the_exchange_ends_it(wrong: list[Any]) -> None:
    rounds = Rounds(2)

    async def play(house: House) -> None:
        client = await house.line()
        client.send(hello())
        await client.expect(Auth)
        client.send(*wrong)
        packets = await client.closed()
        assert isinstance(packets[-1], Connack) and packets[-1].reason_code in (0x81, 0x82), packets
        await asyncio.sleep(1)
        nothing_left(house)

    in_house(play, methods=(rounds,))


def test_a_challenge_that_is_not_answered_times_out() -> None:
    async def play(house: House) -> None:
        client = await house.line()
        begun = asyncio.get_running_loop().time()
        client.send(hello())
        await client.expect(Auth)
        await client.ended_with(Connack, 0x87)
        assert asyncio.get_running_loop().time() - begun == pytest.approx(7.0)
        nothing_left(house)

    in_house(play, BrokerSettings(connect_timeout=7.0), methods=(Rounds(),))


class Undecided(Rounds):
    """Asks its question, and then waits for something that never comes; the first time or again."""

    def __init__(self, again: bool) -> None:
        super().__init__(1)
        self._stuck_again = again

    async def authenticate(self, conversation: AuthConversation) -> AuthSuccess:
        success = await super().authenticate(conversation)
        if conversation.again is self._stuck_again:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled += 1
        return success


def test_a_method_that_never_returns_is_interrupted() -> None:
    method = Undecided(again=False)

    async def play(house: House) -> None:
        client = await house.line()
        begun = asyncio.get_running_loop().time()
        client.send(hello())
        await answer(client, 1)
        # Said in time, though never answered: the broker's doing, not the client's (0x88).
        await client.ended_with(Connack, 0x88)
        assert asyncio.get_running_loop().time() - begun == pytest.approx(30.0)
        assert method.cancelled == 1
        nothing_left(house)

    in_house(play, BrokerSettings(authentication_timeout=30.0), methods=(method,))


def test_a_reauthentication_that_never_returns_is_interrupted() -> None:
    method = Undecided(again=True)

    async def play(house: House) -> None:
        client = await admitted(house, 1)
        begun = asyncio.get_running_loop().time()
        client.send(auth(b"again", 0x19))
        await answer(client, 1)
        # Packets go on being handled until then; DISCONNECT has no 0x88.
        client.send(Pingreq())
        await client.expect(Pingresp)
        await client.ended_with(Disconnect, 0x87)
        assert asyncio.get_running_loop().time() - begun == pytest.approx(30.0)
        assert method.cancelled == 1

    in_house(play, BrokerSettings(authentication_timeout=30.0), methods=(method,))


def test_each_round_has_its_own_time() -> None:
    async def play(house: House) -> None:
        client = await house.line()
        client.send(hello())
        for number in (1, 2, 3):
            await client.expect(Auth)
            await asyncio.sleep(6.0)
            client.send(auth(str(2 * number).encode()))
        await client.expect(Connack, reason_code=0)

    in_house(play, BrokerSettings(connect_timeout=7.0), methods=(Rounds(3),))


def test_a_method_that_crashes_lets_nobody_in_and_says_no_secrets() -> None:
    class Broken:
        method = "rounds"

        async def authenticate(self, conversation: AuthConversation) -> AuthSuccess:
            raise ZeroDivisionError("the secret is 42")

    async def play(house: House) -> None:
        client = await house.line()
        client.send(hello())
        refusal = await client.ended_with(Connack, 0x80)
        assert "42" not in str(refusal)
        assert not any("42" in line for line in house.log)
        house.logged("ZeroDivisionError")
        nothing_left(house)
        bystander = await house.client("b")
        await bystander.sync()

    in_house(play, methods=(Broken(),))


@pytest.mark.parametrize("how", ["abort", "eof", "disconnect"])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(how: str, after: int) -> None:
    rounds = Rounds(3)

    async def play(house: House) -> None:
        watcher = await house.client("watcher")
        await watcher.subscribe("#")
        client = await house.line()
        client.send(hello("a", will=Will("gone", b"a"), extra={"session_expiry_interval": 100}))
        await answer(client, after)
        await client.expect(Auth)
        assert client.transport is not None
        if how == "abort":
            client.transport.abort()
        elif how == "eof":
            client.transport.write_eof()
        else:
            client.send(Disconnect())
            await client.closed()
        await watcher.silent()
        assert list(house.broker.sessions) == ["watcher"]
        assert len(house.broker.connections) == 1
        assert rounds.cancelled == 1
        gc.collect()

    in_house(play, methods=(rounds,))


def test_an_attempt_that_fails_does_not_touch_the_session_of_that_name() -> None:
    rounds = Rounds(1)

    async def play(house: House) -> None:
        client = await admitted(house, 1, "a", extra={"session_expiry_interval": 100})
        await client.subscribe("t", qos=1)
        thief = await house.line()
        thief.send(hello("a", clean=True))
        await thief.expect(Auth)
        thief.send(auth(b"wrong"))
        await thief.ended_with(Connack, 0x87)
        stranger = await house.line()
        stranger.send(hello("a", method="unknown"))
        await stranger.ended_with(Connack, 0x8C)
        assert await client.publish("other", b"x", 1) == 0x10
        client.send(Publish("t", b"still here"))
        await client.message(b"still here")

    in_house(play, methods=(rounds,))


# Without a method ------------------------------------------------------------------------------


def test_what_is_sent_before_connack_is_held_and_done_in_order() -> None:
    # 3.1.4: "Clients are allowed to send further MQTT Control Packets immediately after sending a CONNECT
    # packet".
    async def play(house: House) -> None:
        client = await house.line()
        client.send(
            connect_packet("a"),
            Subscribe(1, (SubscribeFilter("t", 1),)),
            Publish("t", b"1", 1, packet_id=1),
            Publish("t", b"2"),
            Pingreq(),
        )
        await client.expect(Connack, reason_code=0)
        await client.expect(Suback)
        kinds = [await client.recv() for _ in range(4)]
        messages = [packet.payload for packet in kinds if isinstance(packet, Publish)]
        assert messages == [b"1", b"2"]
        assert {type(packet) for packet in kinds} == {Publish, Puback, Pingresp}

    in_house(play, plugins={"tests.mqtt5.users_plugins.SlowAuthentication": {}})


def test_what_is_sent_before_a_refusal_is_not_done() -> None:
    async def play(house: House) -> None:
        watcher = await house.client("watcher", username="good")
        await watcher.subscribe("#")
        client = await house.line()
        client.send(connect_packet("a", username="bad"), Publish("t", b"x", retain=True), Pingreq())
        await client.ended_with(Connack, 0x87)
        await watcher.silent()
        assert not house.broker.retained_messages

    in_house(play, plugins={"tests.mqtt5.users_plugins.SlowAuthentication": {"admits": "good"}})


def test_too_much_before_connack_ends_the_connection() -> None:
    async def play(house: House) -> None:
        client = await house.line()
        client.send(connect_packet("a"))
        for _ in range(20):
            client.send(Publish("t", bytes(900)))
        await client.ended_with(Connack, 0x97)
        await asyncio.sleep(1)
        nothing_left(house)

    in_house(
        play,
        BrokerSettings(maximum_packet_size=10_000),
        plugins={"tests.mqtt5.users_plugins.SlowAuthentication": {}},
    )


def test_a_disconnect_before_connack_ends_the_attempt() -> None:
    async def play(house: House) -> None:
        watcher = await house.client("watcher")
        await watcher.subscribe("#")
        client = await house.line()
        client.send(connect_packet("a", expiry=100, will=Will("gone")), Disconnect())
        assert await client.closed() == []
        await watcher.silent()
        assert list(house.broker.sessions) == ["watcher"]

    in_house(play, plugins={"tests.mqtt5.users_plugins.SlowAuthentication": {}})


@pytest.mark.parametrize("protocol", [5, 4])
def test_an_authentication_plugin_that_crashes_lets_nobody_in(protocol: int) -> None:
    async def play(house: House) -> None:
        client = await house.line(protocol)
        client.send(connect_packet("a", protocol=protocol))
        refusal = (await client.closed())[-1]
        assert isinstance(refusal, Connack) and refusal.reason_code != 0
        house.logged("ZeroDivisionError")
        nothing_left(house)

    in_house(play, plugins={"tests.mqtt5.users_plugins.BrokenAuthentication": {}})


def test_required_method_refuses_others_and_none() -> None:
    class Easy(Rounds):
        method = "easy"

    async def play(house: House) -> None:
        for packet, code in (
            (connect_packet("a"), 0x87),
            (hello(method="easy"), 0x8C),
            (hello(method="x"), 0x8C),
        ):
            client = await house.line()
            client.send(packet)
            await client.ended_with(Connack, code)
        old = await house.line(MQTT_3_1_1)
        assert (await old.connect("a")).reason_code == 5
        nothing_left(house)
        await admitted(house, 1)

    in_house(play, methods=(Rounds(), Easy(0)), required_method="rounds")


def test_a_method_may_be_added_while_the_broker_runs() -> None:
    async def play(house: House) -> None:
        house.broker.methods["rounds"] = Rounds(1)
        await admitted(house, 1)

    in_house(play)


# amqtt warns about the only name that its own option has.
@pytest.mark.filterwarnings("ignore:The 'acl' option:DeprecationWarning")
def test_the_user_name_of_connect_gives_no_rights_unless_the_method_says_so() -> None:
    class Named(Rounds):
        method = "named"

        async def authenticate(self, conversation: AuthConversation) -> AuthSuccess:
            conversation.session.username = "alice"
            return AuthSuccess()

    acl = {"alice": ["alice/#"], "admin": ["#"]}

    async def play(house: House) -> None:
        liar = await house.line()
        liar.send(hello("liar", username="admin", password=b"anything"))
        await liar.expect(Connack, reason_code=0)
        assert await liar.publish("alice/x", qos=1) == 0x87
        assert (await liar.subscribe("#")).reason_codes == (0x87,)
        alice = await house.line()
        alice.send(hello("alice", method="named", username="admin"))
        await alice.expect(Connack, reason_code=0)
        assert await alice.publish("alice/x", qos=1) == 0x10
        assert await alice.publish("other", qos=1) == 0x87

    in_house(
        play,
        plugins={
            ANONYMOUS: {},
            "amqtt.plugins.topic_checking.TopicAccessControlListPlugin": {"acl": acl, "publish_acl": acl},
        },
        methods=(Rounds(0), Named(0)),
    )


def test_request_problem_information_0_keeps_words_out_of_auth() -> None:
    # [MQTT-3.1.2-29]
    class Talkative:
        method = "rounds"

        async def authenticate(self, conversation: AuthConversation) -> AuthSuccess:
            await conversation.challenge(
                b"1", Properties(reason_string="tell me", user_property=(("a", "b"),))
            )
            return AuthSuccess()

    async def play(house: House) -> None:
        for wanted, words in ((1, ("tell me", (("a", "b"),))), (0, (None, ()))):
            client = await house.line()
            client.send(hello(extra={"request_problem_information": wanted}))
            question = await client.expect(Auth)
            assert (question.properties.reason_string, question.properties.user_property) == words
            client.send(auth(b""))
            await client.expect(Connack, reason_code=0)

    in_house(play, methods=(Talkative(),))
