"""What no server takes is refused by our own clients and commands, with words and without harm."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mqttsec.errors import ConfigurationError, MqttsecError, ProtocolError
from mqttsec.mqtt5 import BrokerSettings, Client, InProcessBroker, LightClient
from mqttsec.mqtt5.arguments import checked_filters, paho_filters, payload_bytes
from mqttsec.mqtt5.command import configuration, main, parser

WRONG_TOPICS = ["", "a/#", "+/a", "a\0b", "\ud800", "x" * 65_536, None, 5, b"a"]
WRONG_FILTERS = ["", "a/#/b", "a+", "a\0b", "\ud800", "x" * 65_536, "$share/x", "$share//a", None, 5, []]


@pytest.fixture(scope="module")
def broker() -> Iterator[InProcessBroker]:
    with InProcessBroker(BrokerSettings(maximum_packet_size=2000, maximum_qos=1)) as running:
        yield running


@pytest.fixture(scope="module")
def client(broker: InProcessBroker) -> Iterator[Client]:
    with Client(client_id="station") as connected:
        connected.connect_and_wait(broker.host, broker.port)
        yield connected


def refused(client: Client, ask: Callable[[], Any], error: type[MqttsecError] = ConfigurationError) -> None:
    """`ask` raises, briefly; the connection lives and nothing is sent again."""
    sent = client._last_mid
    with pytest.raises(error) as caught:
        ask()
    assert "station" in str(caught.value) or error is ProtocolError
    assert len(str(caught.value)) < 300
    assert client.publish_and_wait("fine", b"", 1) == 0x10
    assert client._last_mid <= sent + 2, "at most the request itself had a Packet Identifier"


@pytest.mark.parametrize("topic", WRONG_TOPICS, ids=lambda topic: repr(topic)[:12])
def test_paho_publishes_to_no_wrong_topic(client: Client, topic: Any) -> None:
    refused(client, lambda: client.publish_and_wait(topic, b"x", 1))


@pytest.mark.parametrize("topic", WRONG_FILTERS, ids=lambda topic: repr(topic)[:12])
def test_paho_subscribes_to_no_wrong_filter(client: Client, topic: Any) -> None:
    refused(client, lambda: client.subscribe_and_wait(topic))
    refused(client, lambda: client.unsubscribe_and_wait(topic))


def test_paho_sends_nothing_beyond_the_servers_limits(client: Client) -> None:
    refused(client, lambda: client.publish_and_wait("t", bytes(2000), 1), ProtocolError)
    refused(client, lambda: client.publish_and_wait("t", b"", 2), ProtocolError)
    fits = 2000 - len(b"\x32\x00\x00\x00\x01t\x00\x00\x00")
    assert client.publish_and_wait("t", bytes(fits), 1) == 0x10
    refused(client, lambda: client.publish_and_wait("t", bytes(fits + 1), 1), ProtocolError)


def test_paho_refuses_unknown_options_payloads_and_addresses(client: Client, broker: InProcessBroker) -> None:
    refused(client, lambda: client.publish_and_wait("t", object()))
    refused(client, lambda: client.publish_and_wait("t", b"", 3))
    refused(client, lambda: client.publish_and_wait("t", b"", retian=True))
    refused(client, lambda: client.subscribe_and_wait("t", 3))
    port: Any = str(broker.port)
    with pytest.raises(ConfigurationError, match="other cannot connect"):
        Client(client_id="other").connect_and_wait(broker.host, port)


@pytest.mark.parametrize("payload", [None, 5, 1.5, "text", b"bytes", bytearray(b"more")])
def test_payloads_that_paho_takes_are_taken(client: Client, payload: Any) -> None:
    assert client.publish_and_wait("t", payload, 1) == 0x10


def test_every_form_of_pahos_filters_is_looked_at() -> None:
    for topic in ["a", ("a", 1), ["a", "b"], [("a", 1), ("b", object())]]:
        checked_filters("x", paho_filters(topic))
    for topic in ["a+", ("a+", 1), ["a", "b+"], [("a", 1), ("b+", 1)]]:
        with pytest.raises(ConfigurationError, match=r"\+"):
            checked_filters("x", paho_filters(topic))


def light(broker: InProcessBroker, act: Callable[[LightClient], Awaitable[Any]]) -> None:
    async def play() -> None:
        async with LightClient("light") as client:
            await client.connect(broker.host, broker.port)
            with pytest.raises(MqttsecError) as caught:
                await act(client)
            assert len(str(caught.value)) < 70_000
            assert await client.publish("fine", b"", 1) == 0x10

    asyncio.run(play())


@pytest.mark.parametrize("wrong", WRONG_TOPICS, ids=lambda topic: repr(topic)[:12])
def test_the_light_client_publishes_to_no_wrong_topic(broker: InProcessBroker, wrong: Any) -> None:
    light(broker, lambda client: client.publish(wrong, b"x", 1))


@pytest.mark.parametrize("wrong", WRONG_FILTERS, ids=lambda topic: repr(topic)[:12])
def test_the_light_client_subscribes_to_no_wrong_filter(broker: InProcessBroker, wrong: Any) -> None:
    light(broker, lambda client: client.subscribe(wrong))
    light(broker, lambda client: client.unsubscribe(wrong))


def test_the_light_client_refuses_wrong_payloads_passwords_and_addresses(broker: InProcessBroker) -> None:
    five: Any = 5
    light(broker, lambda client: client.publish("t", five))
    light(broker, lambda client: client.publish("t", "\ud800"))
    with pytest.raises(ConfigurationError, match="password"):
        LightClient("a", password=five)
    with pytest.raises(ConfigurationError, match="cannot connect"):
        asyncio.run(LightClient("a").connect(broker.host, 99_999))
    with pytest.raises(ConfigurationError, match="bytes or text"):
        payload_bytes("a", five)


def test_an_address_that_there_is_not_is_an_error_that_says_why() -> None:
    broker = InProcessBroker()
    with pytest.raises(ConfigurationError, match="start"):
        broker.port  # noqa: B018
    with broker, pytest.raises(ConfigurationError, match="websocket_port=0"):
        broker.websocket_port  # noqa: B018


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("port", ["-1", "65536", "99999"])
def test_the_command_takes_no_port_that_there_is_not(loop: str, port: str) -> None:
    """uvloop would take the lower 16 bits and listen somewhere else."""
    with pytest.raises(ConfigurationError, match=port):
        main(["--port", port, "--event-loop", loop])


def options(*words: str) -> Namespace:
    return parser().parse_args(list(words))


def test_options_that_would_do_nothing_are_refused(tmp_path: Path) -> None:
    for option in ("--ca", "--certificate", "--key"):
        with pytest.raises(ConfigurationError, match="--tls-port"):
            configuration(options(option, str(tmp_path / "x.pem")))
    with pytest.raises(ConfigurationError, match="a/#/b"):
        configuration(options("--acl", "alice=a/#/b"))
    with pytest.raises(ConfigurationError, match="USER=FILTER"):
        configuration(options("--acl", "alice"))
    acl = configuration(options("--acl", "alice=a/#", "--acl", "alice=b", "--acl", "anonymous=c"))["plugins"]
    assert acl["amqtt.plugins.topic_checking.TopicAccessControlListPlugin"]["acl"] == {
        "alice": ["a/#", "b"], "anonymous": ["c"],
    }
