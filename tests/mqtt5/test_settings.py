"""`BrokerSettings` refuses what cannot work, and CONNACK announces what is set."""

from __future__ import annotations

from typing import Any

import pytest

from mqttsec.errors import ConfigurationError
from mqttsec.mqtt5 import Broker, BrokerSettings, InProcessBroker
from mqttsec.net import run_virtual
from mqttsec.packets import MQTT_3_1_1, Connack, Disconnect, Properties
from tests.mqtt5.house import EXTERNAL, House, connect_packet, in_house


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("maximum_qos", -1),
        ("maximum_qos", 3),
        ("receive_maximum", 0),
        ("receive_maximum", 65_536),
        ("topic_alias_maximum", 65_536),
        ("maximum_packet_size", 10),
        ("maximum_packet_size", 268_435_461),
        ("maximum_session_expiry", -1),
        ("max_inflight", 0),
        ("max_inflight", 65_536),
        ("connect_timeout", 0),
        ("close_timeout", -1),
        ("max_connections", 0),
        ("max_sessions", 0),
        ("max_subscriptions", 0),
        ("max_topic_levels", 0),
        ("max_queued_messages", 0),
        ("max_queued_bytes", 0),
        ("max_write_buffer", 0),
        ("max_retained_messages", 0),
        ("max_retained_bytes", 0),
        ("server_keep_alive", 0),
        ("server_keep_alive", "60"),
        ("maximum_qos", "2"),
        ("close_timeout", "1 s"),
        ("connect_timeout", float("nan")),
        ("response_information", "answers/#"),
        ("response_information", ""),
        ("server_reference", "other\n1883"),
        ("server_keep_alive", 65_536),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        BrokerSettings(**{name: value})


def test_the_limits_of_every_setting_are_allowed() -> None:
    BrokerSettings(
        maximum_qos=0,
        receive_maximum=65_535,
        topic_alias_maximum=0,
        maximum_packet_size=268_435_460,
        maximum_session_expiry=0,
        max_inflight=1,
        server_keep_alive=65_535,
    )


@pytest.mark.parametrize(
    ("settings", "properties"),
    [
        ({}, Properties(receive_maximum=1024, maximum_packet_size=16_777_216, topic_alias_maximum=10)),
        (
            {
                "maximum_qos": 1,
                "retain_available": False,
                "wildcard_subscription_available": False,
                "subscription_identifier_available": False,
                "shared_subscription_available": False,
                "receive_maximum": 65_535,
                "topic_alias_maximum": 0,
                "maximum_packet_size": 1000,
                "server_keep_alive": 77,
                "maximum_session_expiry": 5,
            },
            Properties(
                maximum_qos=1,
                retain_available=0,
                wildcard_subscription_available=0,
                subscription_identifier_available=0,
                shared_subscription_available=0,
                maximum_packet_size=1000,
                server_keep_alive=77,
                session_expiry_interval=5,
            ),
        ),
    ],
)
def test_connack_announces_every_limit_that_is_not_the_standards_own(
    settings: dict[str, Any], properties: Properties
) -> None:
    async def play(house: House) -> None:
        client = await house.line()
        connack = await client.connect("a", expiry=None if not settings else 60)
        assert connack == Connack(False, 0, properties)
        old = await house.line(MQTT_3_1_1)
        assert await old.connect("b") == Connack(False, 0)

    in_house(play, BrokerSettings(**settings))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"listeners": {"tls": {"type": "tcp"}}}, "default"),
        ({"listeners": {"default": {"type": "carrier pigeon"}}}, "carrier pigeon"),
        ({"no_such_option": 1}, "no_such_option"),
        ({"plugins": {"no.such.Plugin": {}}}, "no.such.Plugin"),
        ({"plugins": {"amqtt.plugins.topic_checking.TopicTabooPlugin": {"typo": 1}}}, "typo"),
        ({"plugins": {"tests.mqtt5.house.House": {}}}, "House"),
        (
            {"plugins": {"amqtt.plugins.authentication.FileAuthPlugin": {"password_file": "nowhere.txt"}}},
            "nowhere.txt",
        ),
    ],
)
def test_what_amqtt_does_not_take_is_a_configuration_error_that_names_it(
    config: dict[str, Any], words: str
) -> None:
    async def main() -> None:
        with pytest.raises(ConfigurationError, match=words):
            Broker(config={"listeners": EXTERNAL, **config})

    run_virtual(main())


def test_a_listener_that_there_is_not_is_an_error_that_names_those_there_are() -> None:
    async def play(house: House) -> None:
        with pytest.raises(ConfigurationError, match="'tls'.*'default'"):
            house.broker.protocol_factory("tls")

    in_house(play)


@pytest.mark.parametrize("files", [{}, {"certificate": "a.pem"}, {"key": "a.key"}])
def test_a_tls_port_without_certificate_or_key_is_refused_at_once(files: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="certificate and key"):
        InProcessBroker(tls_port=0, **files)  # type: ignore[arg-type]


@pytest.mark.parametrize(("topic", "qos"), [("a/#", 0), ("", 0), ("a", 3), ("a", -1)])
def test_the_brokers_own_messages_are_checked(topic: str, qos: int) -> None:
    from mqttsec.errors import MqttsecError

    async def play(house: House) -> None:
        with pytest.raises(MqttsecError):
            house.broker.publish(topic, b"", qos)

    in_house(play)


def test_response_information_goes_to_those_who_ask_for_it() -> None:
    """3.2.2.3.15, and [MQTT-3.1.2-28]: "MUST NOT" without the wish."""

    async def play(house: House) -> None:
        for name, wish, answer in (("a", 1, "answers/a"), ("b", 0, None), ("c", None, None), ("#", 1, None)):
            line = await house.line()
            line.send(connect_packet(name, properties=Properties(request_response_information=wish)))
            assert (await line.expect(Connack)).properties.response_information == answer
        old = await house.line(MQTT_3_1_1)
        assert await old.connect("d") == Connack(False, 0)

    in_house(play, BrokerSettings(response_information="answers"))


def test_where_there_is_no_room_a_client_is_told_of_another_server() -> None:
    """3.2.2.3.16; who speaks 3.1.1 hears 0x03 Server unavailable."""

    async def play(house: House) -> None:
        first = await house.line()
        await first.connect("a")
        second = await house.line()
        second.send(connect_packet("b"))
        refusal = await second.expect(Connack)
        assert (refusal.reason_code, refusal.properties.server_reference) == (0x9C, "other:1883")
        third = await house.line(MQTT_3_1_1)
        assert await third.connect("c") == Connack(False, 3)

    in_house(play, BrokerSettings(max_sessions=1, server_reference="other:1883"))


def test_a_broker_that_shuts_down_tells_its_clients_of_another_server() -> None:
    """3.14.2.2.5."""

    async def play(house: House) -> None:
        line = await house.line()
        await line.connect("a")
        await house.broker.shutdown()
        goodbye = await line.expect(Disconnect)
        assert (goodbye.reason_code, goodbye.properties.server_reference) == (0x9C, "other:1883")

    in_house(play, BrokerSettings(server_reference="other:1883"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": None},
        {"name": 5},
        {"maximum_qos": True},
        {"maximum_qos": "2"},
        {"retain_available": 0},
        {"allow_anonymous": "yes"},
        {"require_client_certificate": None},
        {"connect_timeout": "10 s"},
        {"authentication_timeout": 0},
        {"authentication_timeout": None},
        {"close_timeout": True},
        {"max_sessions": None},
        {"server_keep_alive": 60.5},
        {"response_information": 5},
        {"response_information": b"answers"},
        {"server_reference": 1883},
        {"seed": "lucky"},
    ],
)
def test_a_setting_of_the_wrong_type_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        BrokerSettings(**wrong)
