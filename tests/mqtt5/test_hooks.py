"""What a guard forbids, what a service takes, what a watch hears; and that none of it costs others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mqttsec.errors import ConfigurationError, MqttsecError, ProtocolError
from mqttsec.mqtt5 import AuthConversation, AuthSuccess, Broker, BrokerSettings
from mqttsec.mqtt5.session import Session
from mqttsec.packets import (
    Auth,
    Connack,
    Disconnect,
    Properties,
    ReasonCode,
    Suback,
    Subscribe,
    SubscribeFilter,
    Unsuback,
    Unsubscribe,
    Will,
)
from tests.mqtt5.house import House, connect_packet, in_house
from tests.mqtt5.methods import Rounds, auth, hello

NO = ReasonCode.NOT_AUTHORIZED


class Fence:
    """Keeps everybody but `owner` out of "private/#"."""

    def __init__(self, owner: str = "owner") -> None:
        self.owner = owner
        self.fails = False

    def _may(self, session: Session, topic: str) -> bool:
        if self.fails:
            raise ZeroDivisionError
        return session.client_id == self.owner or not topic.startswith("private/")

    def admit(self, session: Session) -> int:
        return NO if session.client_id == "nobody" else 0

    def publish(self, session: Session, topic: str) -> int:
        return 0 if self._may(session, topic) else NO

    def subscribe(self, session: Session, topic_filter: str) -> int:
        return 0 if self._may(session, topic_filter) else ReasonCode.QUOTA_EXCEEDED

    def receive(self, session: Session, topic: str) -> bool:
        return self._may(session, topic)


def guarded(house: House) -> Fence:
    fence = Fence()
    house.broker.guard = fence
    return fence


def sessions(calls: list[Any]) -> list[tuple[str, ...]]:
    return [(name, session.client_id, *rest) for name, session, *rest in calls]


class Ears:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def left(self, session: Session) -> None:
        self.heard.append(("left", session))

    def ended(self, session: Session) -> None:
        self.heard.append(("ended", session, *sorted(session.subscriptions)))

    def unsubscribed(self, session: Session, topic_filter: str) -> None:
        self.heard.append(("unsubscribed", session, topic_filter))


# The guard -------------------------------------------------------------------------------------


@pytest.mark.parametrize("qos", [1, 2])
def test_a_refused_publication_is_answered_with_the_guards_reason(qos: int) -> None:
    async def play(house: House) -> None:
        guarded(house)
        owner = await house.client("owner")
        await owner.subscribe("private/#", "public", qos=qos)
        stranger = await house.client("stranger")
        assert await stranger.publish("private/a", b"no", qos) == NO
        assert await stranger.publish("public", b"yes", qos, packet_id=2) == 0
        await owner.message(b"yes")
        await owner.silent()

    in_house(play)


def test_a_refused_subscription_is_answered_with_the_guards_reason_code() -> None:
    async def play(house: House) -> None:
        guarded(house)
        stranger = await house.client("stranger")
        suback = await stranger.subscribe("private/a", "$share/g/private/a", "public")
        assert suback.reason_codes == (0x97, 0x97, 0)
        old = await house.line(4)
        await old.connect("old")
        assert (await old.subscribe("private/a")).reason_codes == (0x80,)

    in_house(play)


def test_a_wider_subscription_brings_nothing_that_is_guarded() -> None:
    async def play(house: House) -> None:
        guarded(house)
        owner = await house.client("owner")
        stranger, old = await house.client("stranger"), await house.client("old", 4)
        await stranger.subscribe("#", "$share/g/#", qos=1)
        await old.subscribe("+/a", qos=1)
        assert await owner.publish("private/a", b"kept", 1, retain=True) == ReasonCode.NO_MATCHING_SUBSCRIBERS
        await stranger.silent()
        await stranger.subscribe("+/a", qos=1)
        await stranger.sync()
        await old.silent()

    in_house(play)


def test_answers_about_receivers_are_kept_until_routes_are_forgotten() -> None:
    async def play(house: House) -> None:
        fence = guarded(house)
        a, b = await house.client("a"), await house.client("b")
        await a.subscribe("private/x", "+/x")
        await b.subscribe("+/x")
        fence.owner = "a"
        house.broker.router.forget()
        await a.publish("private/x", b"1")
        await a.message(b"1")
        await b.sync()
        fence.owner = "b"
        house.broker.router.forget()
        await b.publish("private/x", b"2")
        await b.message(b"2")
        await a.sync()

    in_house(play)


def test_a_will_passes_the_guard_too() -> None:
    async def play(house: House) -> None:
        guarded(house)
        owner = await house.client("owner")
        await owner.subscribe("private/a", "public")
        for topic in ("private/a", "public"):
            stranger = await house.client("stranger", will=Will(topic, topic.encode()))
            await stranger.drop()
        await owner.message(b"public")
        await owner.silent()

    in_house(play)


def test_a_client_without_a_method_may_not_be_admitted() -> None:
    async def play(house: House) -> None:
        guarded(house)
        line = await house.line()
        line.send(connect_packet("nobody"))
        refused = await line.ended_with(Connack, NO)
        assert isinstance(refused, Connack) and "Authentication Method" in (
            refused.properties.reason_string or ""
        )
        again = await house.line()
        again.send(hello("nobody"))
        question = await again.expect(Auth)
        again.send(auth(str(2 * int(question.properties.authentication_data or b"0")).encode()))
        await again.expect(Connack, reason_code=0)

    in_house(play, methods=(Rounds(),))


def test_a_guard_that_fails_refuses() -> None:
    async def play(house: House) -> None:
        fence = guarded(house)
        client = await house.client("owner")
        fence.fails = True
        assert await client.publish("a", b"", 1) == NO
        assert (await client.subscribe("a")).reason_codes == (NO,)
        house.logged(
            "the guard failed for client 'owner': ZeroDivisionError",
            "the guard failed for client 'owner': ZeroDivisionError",
        )

    in_house(play)


# A service -------------------------------------------------------------------------------------


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_service_takes_messages_in_place_of_subscribers_and_the_retained_store(qos: int) -> None:
    async def play(house: House) -> None:
        taken: list[Any] = []

        def service(session: Session, topic: str, payload: bytes, properties: Properties) -> int:
            taken.append((session.client_id, topic, payload, properties))
            return 0

        house.broker.serve("desk/#", service)
        client = await house.client("a")
        await client.subscribe("#")
        about = Properties(response_topic="r", correlation_data=b"c")
        assert await client.publish("desk/1", b"word", qos, retain=True, properties=about) == 0
        assert taken == [("a", "desk/1", b"word", about)]
        await client.silent()
        assert not house.broker.retained("#")
        house.broker.publish("desk/1", b"the broker's own")
        await client.message(b"the broker's own")
        assert len(taken) == 1

    in_house(play)


@pytest.mark.parametrize(
    ("error", "code", "logged"),
    [
        (ProtocolError("no", 0x99), 0x99, False),
        (MqttsecError("no"), 0x87, False),
        (ProtocolError("no", 0x82), 0x83, False),  # no code of PUBACK
        (ZeroDivisionError("secret"), 0x83, True),
    ],
)
def test_a_service_that_refuses_or_fails(error: Exception, code: int, logged: bool) -> None:
    async def play(house: House) -> None:
        def service(*_: Any) -> int:
            raise error

        house.broker.serve("desk", service)
        client = await house.client("a")
        assert await client.publish("desk", b"", 1) == code
        await client.sync()
        if logged:
            house.logged("a service failed for client 'a': ZeroDivisionError")

    in_house(play)


def test_the_guard_comes_before_the_service() -> None:
    async def play(house: House) -> None:
        guarded(house)
        taken: list[bytes] = []
        house.broker.serve("private/#", lambda session, topic, payload, about: taken.append(payload) or 0)
        assert await (await house.client("stranger")).publish("private/x", b"no", 1) == NO
        assert await (await house.client("owner")).publish("private/x", b"yes", 1) == 0
        assert taken == [b"yes"]

    in_house(play)


def test_a_service_needs_a_filter() -> None:
    async def play(house: House) -> None:
        with pytest.raises(ConfigurationError):
            house.broker.serve("a/#/b", lambda *_: 0)

    in_house(play)


# A watch ---------------------------------------------------------------------------------------


def test_a_watch_hears_who_leaves_and_whose_session_ends() -> None:
    ears = Ears()

    async def play(house: House) -> None:
        house.broker.watch = ears
        a = await house.client("a", expiry=10)
        await a.subscribe("x", "y")
        a.send(Unsubscribe(2, ("y", "z")))
        await a.expect(Unsuback)
        await a.drop()
        assert sessions(ears.heard) == [("unsubscribed", "a", "y"), ("left", "a")]
        await asyncio.sleep(10)
        assert sessions(ears.heard)[2:] == [("ended", "a", "x")]
        b = await house.client("b")
        ears.heard.clear()
        b.send(Disconnect())
        await b.closed()
        assert sessions(ears.heard) == [("left", "b"), ("ended", "b")]
        await house.client("c", expiry=10)
        ears.heard.clear()

    in_house(play)
    assert ears.heard == []  # the broker's own end is no news


def test_a_watch_that_fails_costs_nothing() -> None:
    class Deaf(Ears):
        def left(self, session: Session) -> None:
            raise ZeroDivisionError

    async def play(house: House) -> None:
        house.broker.watch = Deaf()
        a = await house.client("a")
        await a.drop()
        assert not house.broker.sessions
        house.logged("what hears of sessions failed for client 'a': ZeroDivisionError")

    in_house(play)


# An authentication's end -----------------------------------------------------------------------


class Settling:
    method = "settling"

    def __init__(self) -> None:
        self.ends: list[str] = []
        self.house: House | None = None

    async def authenticate(self, conversation: AuthConversation) -> AuthSuccess:
        def entered(session: Session) -> None:
            self.ends.append(f"entered {session.client_id}")
            assert self.house is not None and session.connection is not None
            assert session is self.house.broker.session(session.client_id)
            self.house.broker.publish("news", b"first", 0)

        return AuthSuccess(entered=entered, abandoned=lambda: self.ends.append("abandoned"))


def test_a_method_hears_that_its_client_is_in_and_speaks_after_the_connack() -> None:
    method = Settling()

    async def play(house: House) -> None:
        method.house = house
        line = await house.line()
        line.send(
            hello("a", "settling", extra={"session_expiry_interval": 5}),
        )
        await line.expect(Connack)
        await line.subscribe("news")
        line.send(auth(b"", 0x19, "settling"))
        await line.expect(Auth, reason_code=0)
        await line.message(b"first")
        assert method.ends == ["entered a", "entered a"]

    in_house(play, methods=(method,))


def test_a_method_hears_that_there_was_no_room() -> None:
    method = Settling()

    async def play(house: House) -> None:
        method.house = house
        await house.client("first")
        line = await house.line()
        line.send(hello("a", "settling"))
        await line.ended_with(Connack, 0x97)
        assert method.ends == ["abandoned"]

    in_house(play, BrokerSettings(max_sessions=1), methods=(method,))


def test_an_extension_takes_hold_of_the_broker_it_is_given_to() -> None:
    class Extension:
        def attach(self, broker: Broker) -> None:
            broker.guard = Fence()

    async def play(house: House) -> None:
        broker = Broker(extensions=[Extension()])
        assert isinstance(broker.guard, Fence)
        house.broker.guard = broker.guard
        client = await house.client("a")
        client.send(Subscribe(1, (SubscribeFilter("private/x"),)))
        await client.expect(Suback, reason_codes=(0x97,))

    in_house(play)
