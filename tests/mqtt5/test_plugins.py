"""Authentication and topic plugins: amqtt's own and some that wait or fail; RECEIVE is always asked."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from mqttsec.mqtt5 import BrokerSettings
from mqttsec.packets import MQTT_3_1_1, Publish, Will
from tests.mqtt5.house import ANONYMOUS, House, in_house
from tests.mqtt5.users_plugins import HERE, OWN_WARNINGS, Rules, plugin

ACL = "amqtt.plugins.topic_checking.TopicAccessControlListPlugin"
TABOO = "amqtt.plugins.topic_checking.TopicTabooPlugin"
FILE = "amqtt.plugins.authentication.FileAuthPlugin"

pytestmark = OWN_WARNINGS


# Authentication --------------------------------------------------------------------------------


def test_file_auth_plugin_with_a_password_file(tmp_path: Path) -> None:
    hasher = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
    passwords = tmp_path / "passwords"
    passwords.write_text(f"# users\nalice:{hasher.hash('secret')}\n")

    async def play(house: House) -> None:
        for protocol, refused in ((5, 0x87), (MQTT_3_1_1, 5)):
            for user, password, code in (
                ("alice", b"secret", 0),
                ("alice", b"wrong", refused),
                ("bob", b"secret", refused),
                (None, None, refused),
                ("alice", None, refused),
            ):
                client = await house.line(protocol)
                connack = await client.connect("a", username=user, password=password)
                assert connack.reason_code == code, (protocol, user, password)
                await client.drop()
        # bytes that are no text
        client = await house.line()
        assert (await client.connect("a", username="alice", password=b"\xff\xfe")).reason_code >= 0x80
        house.log.clear()

    in_house(play, plugins={FILE: {"password_file": str(passwords)}})


def test_without_anonymous_clients_a_user_name_is_needed() -> None:
    async def play(house: House) -> None:
        client = await house.line()
        assert (await client.connect("a")).reason_code == 0x87
        await house.client("a", username="somebody")

    in_house(play, BrokerSettings(allow_anonymous=False))


def test_plugins_hear_who_was_there_last(tmp_path: Path) -> None:
    async def play(house: House) -> None:
        client = await house.client("a", username="alice", expiry=60)
        session = house.broker.session("a")
        assert session is not None
        assert session.last_connect_time is not None and session.last_disconnect_time is None
        assert (session.username, session.remote_address, session.clean_session) == ("alice", "host-1", True)
        assert session.transitions.state == "connected"
        await client.drop()
        assert session.last_disconnect_time is not None
        assert session.transitions.state == "disconnected"

    in_house(play)


# Topics ----------------------------------------------------------------------------------------


def test_topic_access_control_list_plugin() -> None:
    rules = {"alice": ["home/#"], "anonymous": ["open/+"]}

    async def play(house: House) -> None:
        alice = await house.client("a", username="alice")
        anonymous = await house.client("b")
        assert (
            await alice.subscribe("home/+/x", "open/a", "$share/g/home/y", "$share/g/open/y")
        ).reason_codes == (
            0,
            0x87,
            0,
            0x87,
        )
        assert (await anonymous.subscribe("open/a", "home/a")).reason_codes == (0, 0x87)
        assert await anonymous.publish("open/a", b"1", 1) == 0
        await anonymous.message(b"1")
        assert await anonymous.publish("home/b/x", b"2", 1) == 0x87
        assert await alice.publish("home/b/x", b"3", 2) == 0
        await alice.message(b"3")
        assert await alice.publish("open/a", b"4", 2) == 0x87
        assert await alice.publish("open/a", b"5", 0) == 0
        await anonymous.silent()

    in_house(play, plugins={ANONYMOUS: {}, ACL: {"acl": rules, "publish_acl": rules}})


def test_a_denied_publish_is_acknowledged_in_3_1_1_and_goes_nowhere() -> None:
    # 3.1.1, 3.3.5.1: the Server "has no way of informing that Client. It MUST either make a positive
    # acknowledgement, according to the normal QoS rules, or close the Network Connection" [MQTT-3.3.5-2].
    async def play(house: House) -> None:
        client = await house.client("a", MQTT_3_1_1)
        watcher = await house.client("w", username="admin")
        assert (await watcher.subscribe("#")).reason_codes == (0,)
        assert (await client.subscribe("prohibited")).reason_codes == (0x80,)
        assert await client.publish("prohibited", b"x", 1, retain=True) == 0
        await watcher.silent()
        assert not house.broker.retained_messages

    in_house(play, plugins={ANONYMOUS: {}, TABOO: {}})


def test_topic_taboo_plugin_also_for_shared_subscriptions_and_wildcards() -> None:
    async def play(house: House) -> None:
        client = await house.client("a")
        assert (await client.subscribe("top-secret", "$share/g/top-secret", "#")).reason_codes == (
            0x87,
            0x87,
            0,
        )
        admin = await house.client("b", username="admin")
        assert (await admin.subscribe("top-secret")).reason_codes == (0,)
        assert await admin.publish("top-secret", b"x", 1) == 0
        await admin.message(b"x")
        await client.silent()

    in_house(play, plugins={ANONYMOUS: {}, TABOO: {}})


class Audience:
    """Everybody who must not get a message of topic "t", by every way there is."""

    WAYS = ("live", "queued", "shared", "retained")

    def __init__(self, house: House) -> None:
        self.house = house

    async def gather(self) -> None:
        self.live = await self.house.client("live")
        await self.live.subscribe("#", qos=1)
        self.shared = await self.house.client("shared")
        await self.shared.subscribe("$share/g/#", qos=1)
        queued = await self.house.client("queued", clean=False, expiry=1000)
        await queued.subscribe("t/#", qos=1)
        await queued.drop()
        self.allowed = await self.house.client("allowed")
        await self.allowed.subscribe("#", qos=1)

    async def got_nothing(self) -> None:
        queued = await self.house.client("queued", clean=False, expiry=1000)
        late = await self.house.client("retained")
        await late.subscribe("t/#", qos=1)
        for client in (self.live, self.shared, queued, late):
            await client.silent()


FORBIDDEN = [f"{way} receive t" for way in Audience.WAYS]


@pytest.mark.parametrize("rules", ["Rules", "SteadyRules"])
@pytest.mark.parametrize("source", ["client", "will", "broker", "plugin"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_the_receive_check_is_never_skipped(rules: str, source: str, qos: int) -> None:
    async def play(house: House) -> None:
        audience = Audience(house)
        await audience.gather()
        for _ in range(2):  # the second time from what is remembered
            if source == "client":
                sender = await house.client("sender")
                assert await sender.publish("t", b"x", qos, retain=True) == 0
            elif source == "will":
                dying = await house.client("sender", will=Will("t", b"x", qos, True))
                await dying.drop()
            elif source == "broker":
                house.broker.publish("t", b"x", qos, retain=True)
            else:
                await house.broker.plugins_manager.context.broadcast_message("t", b"x", qos)
                await house.broker.plugins_manager.context.retain_message("t", b"x", qos)
            assert (await audience.allowed.message(b"x", topic="t")).qos == min(qos, 1)
        await audience.got_nothing()
        assert list(house.broker.retained_messages) == ["t"]
        asked = {(who, what) for who, what, topic in plugin(house.broker, Rules).asked if topic == "t"}
        assert asked >= {(way, "receive") for way in (*Audience.WAYS, "allowed")}

    in_house(play, plugins={ANONYMOUS: {}, HERE + rules: {"forbidden": FORBIDDEN}})


@pytest.mark.parametrize("rules", ["Rules", "SteadyRules"])
def test_publish_and_subscribe_are_asked_for_wills_too(rules: str) -> None:
    async def play(house: House) -> None:
        watcher = await house.client("watcher")
        await watcher.subscribe("#")
        client = await house.client("bad", will=Will("t", b"gone"))
        assert await client.publish("t", b"x", 2) == 0x87
        assert (await client.subscribe("t", "u")).reason_codes == (0x87, 0)
        await client.drop()
        await watcher.silent()

    in_house(play, plugins={ANONYMOUS: {}, HERE + rules: {"forbidden": ["bad publish t", "bad subscribe t"]}})


def test_a_share_goes_to_a_member_who_may_receive() -> None:
    async def play(house: House) -> None:
        good, bad = await house.client("good"), await house.client("bad")
        for client in (bad, good):
            await client.subscribe("$share/g/t", qos=1)
        sender = await house.client("sender")
        for _ in range(4):
            assert await sender.publish("t", b"x", 1) == 0
            await good.message(b"x")
        await bad.silent()

    in_house(play, plugins={ANONYMOUS: {}, HERE + "Rules": {"forbidden": ["bad receive t"]}})


def test_with_a_plugin_that_waits_a_clients_packets_stay_in_order() -> None:
    async def play(house: House) -> None:
        receiver = await house.client("receiver")
        await receiver.subscribe("t", qos=2)
        sender = await house.client("sender")
        frames = [
            Publish("t", str(number).encode(), number % 3, packet_id=number + 1 if number % 3 else None)
            for number in range(10)
        ]
        sender.send(*frames)
        for number in range(10):
            await receiver.message(str(number).encode())

    in_house(play, plugins={ANONYMOUS: {}, HERE + "Rules": {"forbidden": []}})


def test_a_plugin_that_waits_does_not_make_others_wait() -> None:
    async def play(house: House) -> None:
        slow, quick = await house.client("slow"), await house.client("quick")
        slow.send(Publish("t", b"x"))
        await asyncio.sleep(1.0)
        begun = asyncio.get_running_loop().time()
        await quick.sync()
        assert asyncio.get_running_loop().time() == begun

    in_house(play, plugins={ANONYMOUS: {}, HERE + "Rules": {"forbidden": [], "delay": 100.0}})


def test_waiting_for_a_plugin_is_not_the_clients_silence() -> None:
    async def play(house: House) -> None:
        client = await house.client("a", keep_alive=10)
        client.send(Publish("t", b"x", 1, packet_id=1))
        packet = await client.recv(100.0)
        assert packet is not None and packet.packet_type.name == "PUBACK"

    in_house(play, plugins={ANONYMOUS: {}, HERE + "Rules": {"forbidden": [], "delay": 60.0}})


def test_who_leaves_while_a_plugin_is_asked_gets_and_says_nothing_more() -> None:
    async def play(house: House) -> None:
        receiver = await house.client("receiver")
        await receiver.subscribe("t")
        sender = await house.client("sender")
        sender.send(Publish("t", b"x"))
        await asyncio.sleep(0.6)  # PUBLISH was allowed, RECEIVE is being asked
        await receiver.drop()
        await sender.sync()

    in_house(play, plugins={ANONYMOUS: {}, HERE + "Rules": {"forbidden": []}})


def test_an_answer_that_depends_on_configuration_only_is_asked_once() -> None:
    async def play(house: House) -> None:
        receiver, sender = await house.client("receiver"), await house.client("sender")
        await receiver.subscribe("t")
        for _ in range(20):
            await sender.publish("t", b"x")
            await receiver.message(b"x")
        asked = plugin(house.broker, Rules).asked
        assert sorted(asked) == [
            ("receiver", "receive", "t"),
            ("receiver", "subscribe", "t"),
            ("sender", "publish", "t"),
        ]

    in_house(play, plugins={ANONYMOUS: {}, HERE + "SteadyRules": {"forbidden": []}})


def test_a_client_that_comes_back_under_another_user_name_has_other_rights() -> None:
    rules = {"alice": ["#"], "bob": ["nothing"]}

    async def play(house: House) -> None:
        sender = await house.client("sender", username="alice")
        client = await house.client("a", username="alice", clean=False, expiry=1000)
        await client.subscribe("top-secret", qos=1)
        await client.drop()
        # amqtt's list has no rules for receiving; the taboo plugin knows "admin".
        client = await house.client("a", username="bob", clean=False, expiry=1000)
        await sender.publish("top-secret", b"x", 1)
        await client.silent()
        assert await client.publish("top-secret", b"x", 1) == 0x87

    in_house(
        play,
        plugins={
            ANONYMOUS: {},
            HERE + "SteadyRules": {"forbidden": ["a receive top-secret"]},
            ACL: {"acl": rules, "publish_acl": rules},
        },
    )


def test_remembered_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mqttsec.mqtt5.plugins._REMEMBERED", 10)

    async def play(house: House) -> None:
        client = await house.client("a")
        for number in range(50):
            await client.publish(f"t/{number}")
            assert len(house.broker.filtering._answers) <= 10

    in_house(play, plugins={ANONYMOUS: {}, HERE + "SteadyRules": {"forbidden": []}})


# Plugins that fail -----------------------------------------------------------------------------


@pytest.mark.parametrize("rules", ["BrokenRules", "BrokenSteadyRules"])
def test_a_topic_plugin_that_fails_forbids_and_nobody_is_disconnected(rules: str) -> None:
    async def play(house: House) -> None:
        client, watcher = await house.client("a"), await house.client("w")
        assert (await watcher.subscribe("#", "bad/x")).reason_codes == (0, 0x87)
        assert await client.publish("bad/x", b"x", 1) == 0x87
        house.broker.publish("bad/y", b"x")
        await watcher.silent()
        assert await client.publish("good", b"x", 1) == 0
        await watcher.message(b"x")
        assert house.log and all("ZeroDivisionError" in line for line in house.log)
        house.log.clear()

    in_house(play, plugins={ANONYMOUS: {}, HERE + rules: {}})


def test_a_plugin_that_waits_though_it_said_it_would_not_forbids() -> None:
    async def play(house: House) -> None:
        client = await house.client("a")
        assert await client.publish("t", b"x", 1) == 0x87
        house.logged("LyingRules")

    in_house(play, plugins={ANONYMOUS: {}, HERE + "LyingRules": {"forbidden": []}})


def test_an_event_plugin_that_fails_costs_nothing() -> None:
    async def play(house: House) -> None:
        client = await house.client("a")
        await client.sync()
        gc.collect()
        # asyncio's own report of a task that nobody waited for.
        house.logged("ZeroDivisionError")

    in_house(play, plugins={ANONYMOUS: {}, HERE + "BrokenListener": {}})
