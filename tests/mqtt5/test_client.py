"""paho's client with AUTH and a trace: against a scripted Server, mosquitto, and our broker."""

from __future__ import annotations

import ast
import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties
from paho.mqtt.subscribeoptions import SubscribeOptions

from mqttsec.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailed,
    MqttsecError,
    ProtocolError,
    Refused,
    TimedOut,
)
from mqttsec.mqtt5 import client as client_module
from mqttsec.mqtt5 import paho_seam
from mqttsec.mqtt5.auth import AuthConversation, AuthSuccess
from mqttsec.mqtt5.client import Client
from mqttsec.mqtt5.inprocess import InProcessBroker
from mqttsec.net import LinkSettings, MemoryNetwork, run_virtual
from mqttsec.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    decode,
    encode,
)
from mqttsec.trace.events import EventKind, Trace
from tests.mqtt5.local_mosquitto import local_mosquitto
from tests.mqtt5.scripted import Conversation, ScriptedPeer, ScriptedServer, Sums, together

LOOPBACK = "127.0.0.1"
METHOD = Properties(authentication_method="sums")
FINE = Properties(authentication_method="sums", authentication_data=b"fine")


def challenge(data: bytes, code: int = 0x18) -> Auth:
    return Auth(code, Properties(authentication_method="sums", authentication_data=data))


def accept(line: Conversation, connack: Connack = Connack()) -> Connect:  # noqa: B008
    connect = line.expect(Connect)
    line.send(connack)
    return connect


# The private parts of paho ---------------------------------------------------------------------

OVERRIDDEN = {
    "_call_socket_close": ["self", "sock"],
    "_call_socket_open": ["self", "sock"],
    "_create_socket": ["self"],
    "_do_on_disconnect": ["self", "packet_from_broker", "v1_rc", "reason", "properties"],
    "_handle_on_message": ["self", "message"],
    "_mid_generate": ["self"],
    "_packet_handle": ["self"],
    "_packet_queue": ["self", "command", "packet", "mid", "qos", "info"],
    "_send_connect": ["self", "keepalive"],
    "_sock_send": ["self", "buf"],
}
"""Methods that paho calls and `PahoSeam` overrides, with the parameters that paho gives them."""

USED = {
    "_client_id", "_connect_properties", "_do_on_publish", "_host", "_in_packet", "_keepalive",
    "_last_bytes_received", "_last_msg_out", "_out_message_mutex", "_out_messages", "_ping_t", "_port",
    "_protocol", "_reconnect_on_failure", "_send_disconnect", "_sock", "_sock_close", "_sockpairR",
    "_sockpairW", "_ssl", "_state", "_thread", "_thread_terminate",
}
"""Other private members of paho's client that are read or set."""


def _private_members_in(module: Any) -> set[str]:
    """The `self._x` and `super()._x` of a module."""
    tree = ast.parse(Path(module.__file__).read_text())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    members = {
        node.attr for node in found
        if isinstance(node.value, ast.Call) or (isinstance(node.value, ast.Name) and node.value.id == "self")
    }
    return {name for name in members if name.startswith("_") and not name.startswith("__")}


def test_every_private_member_of_paho_that_is_used_exists_and_is_named_here() -> None:
    """The guard for an upgrade of paho: what moved fails here, by name."""
    plain = paho.Client(paho.CallbackAPIVersion.VERSION2)
    used = _private_members_in(paho_seam) | _private_members_in(client_module)
    named = USED | set(OVERRIDDEN)
    assert {name for name in named if not hasattr(plain, name)} == set()
    assert {name for name in used if hasattr(plain, name)} == named
    for name, parameters in OVERRIDDEN.items():
        assert list(inspect.signature(getattr(paho.Client, name)).parameters) == parameters, name
        assert name in vars(paho_seam.PahoSeam), name
    assert set(plain._in_packet) >= {"command", "remaining_count", "packet"}
    assert paho.time_func in (time.monotonic, paho_seam._time)
    assert paho_seam._ConnectionState.MQTT_CS_DISCONNECTED


def test_our_own_private_names_do_not_collide_with_pahos() -> None:
    plain = paho.Client(paho.CallbackAPIVersion.VERSION2)
    parts = (paho_seam.PahoSeam, Client)
    own = {name for part in parts for name in vars(part) if not name.startswith("__")}
    assert {name for name in own if hasattr(plain, name)} == set(OVERRIDDEN)


# Connecting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [5, 4])
def test_pahos_own_face_is_intact(protocol: int) -> None:
    happened: list[str] = []
    got = threading.Event()

    def script(line: Conversation) -> None:
        connect = accept(line)
        assert (connect.client_id, connect.keep_alive, connect.protocol) == ("station", 30, protocol)
        mid = line.expect(Subscribe).packet_id
        line.send(Suback(mid, (1,)))
        published = line.expect(Publish)
        line.send(Puback(published.packet_id or 0), Publish("t", b"hello"))
        line.expect(Disconnect)

    client = Client(client_id="station", protocol=protocol)
    client.on_connect = lambda c, data, flags, reason, properties: happened.append(f"connect {reason}")
    client.on_subscribe = lambda c, data, mid, codes, properties: happened.append(f"subscribe {codes[0]}")
    client.on_publish = lambda c, data, mid, reason, properties: happened.append("publish")
    client.on_disconnect = lambda c, data, flags, reason, properties: happened.append(f"disconnect {reason}")

    def on_message(c: Any, data: Any, message: paho.MQTTMessage) -> None:
        happened.append(f"message {message.payload.decode()}")
        got.set()

    client.on_message = on_message
    with ScriptedServer(script, protocol=protocol) as server:
        client.connect(LOOPBACK, server.port, keepalive=30)
        client.loop_start()
        assert client.subscribe("t", 1)[0] == 0
        client.publish("t", "x", 1).wait_for_publish(5)
        assert got.wait(5)
        client.disconnect()
        client.loop_stop()
    assert happened == ["connect Success", "subscribe Granted QoS 1", "publish", "message hello",
                        "disconnect Normal disconnection"]


def test_connect_and_wait_returns_the_connack() -> None:
    connack = Connack(properties=Properties(receive_maximum=10, reason_string="welcome"))

    def script(line: Conversation) -> None:
        connect = accept(line, connack)
        assert connect.properties.session_expiry_interval == 60
        line.expect(Disconnect)
        line.expect_end()

    asked = PahoProperties(PacketTypes.CONNECT)
    asked.SessionExpiryInterval = 60
    with ScriptedServer(script) as server, Client(client_id="station") as client:
        assert client.connect_and_wait(LOOPBACK, server.port, properties=asked) == connack
        assert client.is_connected()
        with pytest.raises(ConfigurationError, match="connected already"):
            client.connect_and_wait(LOOPBACK, server.port)


@pytest.mark.parametrize(("protocol", "code", "word"), [
    (5, 0x87, "Not authorized"), (5, 0x97, "Quota exceeded"), (4, 5, "Not authorized"),
    (4, 1, "protocol version"),
])
def test_a_refusal_raises_and_the_client_does_not_try_again(protocol: int, code: int, word: str) -> None:
    def script(line: Conversation) -> None:
        accept(line, Connack(False, code))
        line.expect_end()

    reasons: list[str] = []
    client = Client(client_id="station", protocol=protocol)
    client.on_connect = lambda c, data, flags, reason, properties: reasons.append(str(reason))
    with ScriptedServer(script, protocol=protocol) as server:
        with pytest.raises(ConnectionFailed, match=word) as caught:
            client.connect_and_wait(LOOPBACK, server.port)
    assert caught.value.reason_code == code
    assert client._thread is None
    if (protocol, code) != (4, 1):
        assert len(reasons) == 1


def test_nobody_there_and_no_such_place_say_what_to_do() -> None:
    with ScriptedServer() as server:
        port = server.port
    client = Client(client_id="station")
    with pytest.raises(ConnectionFailed, match=f"{port}.*running"):
        client.connect_and_wait(LOOPBACK, port)
    for host, wrong in (("", 1883), (LOOPBACK, 0)):
        with pytest.raises(ConfigurationError):
            client.connect_and_wait(host, wrong)


def test_a_server_that_says_nothing_is_an_error_after_the_timeout() -> None:
    def script(line: Conversation) -> None:
        line.expect(Connect)
        line.expect(Disconnect)

    with ScriptedServer(script) as server:
        with pytest.raises(ConnectionFailed, match=r"no CONNACK .* within 0\.2 s"):
            Client(client_id="station").connect_and_wait(LOOPBACK, server.port, timeout=0.2)


def test_a_server_that_hangs_up_before_connack_is_an_error() -> None:
    with ScriptedServer(lambda line: line.expect(Connect)) as server:  # type: ignore[arg-type,return-value]
        with pytest.raises(ConnectionFailed, match="the connection ended"):
            Client(client_id="station").connect_and_wait(LOOPBACK, server.port)


@pytest.mark.parametrize("wrong", [
    {"protocol": 7}, {"protocol": 5, "clean_session": True}, {"protocol": 4, "authenticator": Sums()},
    {"protocol": 4, "clean_session": False},
])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Client(**wrong)


# Enhanced authentication -----------------------------------------------------------------------


@pytest.mark.parametrize("rounds", [0, 1, 5])
def test_authentication_takes_any_number_of_rounds(rounds: int) -> None:
    def script(line: Conversation) -> None:
        properties = line.expect(Connect).properties
        assert (properties.authentication_method, properties.authentication_data) == ("sums", b"hello")
        assert properties.receive_maximum == 9
        for number in range(1, rounds + 1):
            line.send(challenge(b"2"))
            assert line.expect(Auth) == challenge(str(2 * number).encode())
        line.send(Connack(properties=FINE))
        line.expect(Disconnect)

    sums = Sums()
    asked = PahoProperties(PacketTypes.CONNECT)
    asked.ReceiveMaximum = 9
    with ScriptedServer(script) as server, Client(client_id="station", authenticator=sums) as client:
        client.connect_and_wait(LOOPBACK, server.port, properties=asked)
        assert (sums.exchanges, sums.finished) == (1, 1)
        assert not hasattr(asked, "AuthenticationMethod")


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (challenge(b"13"), AuthenticationError, 0x80),
        (Auth(0x18, Properties(authentication_method="other")), ProtocolError, 0x82),
        (challenge(b"1", code=0x00), ProtocolError, 0x82),
        (challenge(b"1", code=0x19), ProtocolError, 0x82),
        (Auth(), ProtocolError, 0x82),
        (Connack(properties=Properties(authentication_method="sums", authentication_data=b"wrong")),
         AuthenticationError, 0x80),
        (Connack(properties=METHOD), AuthenticationError, 0x80),
        (Connack(), ProtocolError, 0x82),
    ],
    ids=["bad challenge", "other method", "AUTH success", "AUTH again", "AUTH without method", "bad proof",
         "no proof", "CONNACK without method"],
)
def test_the_client_ends_an_authentication_that_is_not_right(
    answer: Packet, error: type[MqttsecError], said: int
) -> None:
    def script(line: Conversation) -> None:
        line.expect(Connect)
        line.send(answer)
        assert line.expect(Disconnect).reason_code == said
        line.expect_end()

    connected: list[object] = []
    client = Client(client_id="station", authenticator=Sums(give_up_at=13))
    client.on_connect = lambda *facts: connected.append(facts)
    with ScriptedServer(script) as server:
        with pytest.raises(error):
            client.connect_and_wait(LOOPBACK, server.port)
    assert connected == []


def test_the_server_refuses_in_the_middle_of_an_authentication() -> None:
    """[MQTT-4.12.0-4]; the reason comes to `on_connect`, as paho reports every refusal."""
    def script(line: Conversation) -> None:
        line.expect(Connect)
        line.send(challenge(b"1"))
        line.expect(Auth)
        line.send(Connack(False, 0x87))

    reasons: list[int] = []
    client = Client(client_id="station", authenticator=Sums())
    client.on_connect = lambda c, data, flags, reason, properties: reasons.append(reason.value)
    with ScriptedServer(script) as server:
        with pytest.raises(ConnectionFailed) as caught:
            client.connect_and_wait(LOOPBACK, server.port)
    assert (caught.value.reason_code, reasons) == (0x87, [0x87])


def test_a_first_word_that_fails_is_an_error_before_anything_is_sent() -> None:
    class Empty(Sums):
        def first(self) -> bytes | None:
            raise AuthenticationError("no credential left")

    def script(line: Conversation) -> None:
        line.expect_end()

    with ScriptedServer(script) as server:
        with pytest.raises(AuthenticationError, match="no credential"):
            Client(client_id="station", authenticator=Empty()).connect_and_wait(LOOPBACK, server.port)


def test_auth_without_an_authenticator_is_a_protocol_error() -> None:
    def script(line: Conversation) -> None:
        line.expect(Connect)
        line.send(challenge(b"1"))
        assert line.expect(Disconnect).reason_code == 0x82

    with ScriptedServer(script) as server, pytest.raises(ProtocolError):
        Client(client_id="station").connect_and_wait(LOOPBACK, server.port)


def test_nothing_but_auth_is_sent_before_connack() -> None:
    """[MQTT-3.1.2-30]; what paho keeps (QoS 1 and 2) leaves after it."""
    client = Client(client_id="station", authenticator=Sums())
    published = threading.Event()
    acknowledged = threading.Event()
    client.on_publish = lambda c, data, mid, reason, properties: acknowledged.set()

    def script(line: Conversation) -> None:
        line.expect(Connect)
        assert published.wait(5)
        line.send(challenge(b"1"))
        line.expect(Auth)
        line.send(Connack(properties=FINE))
        message = line.expect(Publish)
        assert (message.payload, message.dup) == (b"kept", False)
        line.send(Puback(message.packet_id or 0))
        line.expect(Disconnect)

    with ScriptedServer(script) as server:
        client.connect(LOOPBACK, server.port)
        client.loop_start()
        assert client.publish("t", "lost", 0).rc == paho.MQTT_ERR_NO_CONN
        assert client.subscribe("t")[0] == paho.MQTT_ERR_NO_CONN
        client.publish("t", "kept", 1)
        published.set()
        assert acknowledged.wait(5)
        client.close()


def test_paho_reconnects_by_itself_and_authenticates_anew() -> None:
    sums = Sums()
    back = threading.Event()

    def first(line: Conversation) -> None:
        accept(line, Connack(properties=FINE))
        line.close()

    def second(line: Conversation) -> None:
        connect = line.expect(Connect)
        assert connect.properties.authentication_data == b"hello"
        line.send(Connack(properties=FINE))
        line.expect(Disconnect)

    client = Client(client_id="station", authenticator=sums)

    def on_connect(*facts: Any) -> None:
        if sums.finished == 2:
            back.set()

    client.on_connect = on_connect
    with ScriptedServer(first, second) as server:
        with client:
            client.connect_and_wait(LOOPBACK, server.port)
            assert back.wait(10)
            assert (sums.exchanges, sums.finished) == (2, 2)


def test_reauthentication_while_messages_go_on() -> None:
    """[MQTT-4.12.1-1]"""
    def script(line: Conversation) -> None:
        accept(line, Connack(properties=FINE))
        assert line.expect(Auth) == challenge(b"hello", 0x19)
        line.send(challenge(b"4"), Publish("t", b"meanwhile"))
        assert line.expect(Auth) == challenge(b"4")
        line.send(Auth(0x00, FINE))
        line.expect(Auth)
        line.send(Disconnect(0x87))

    sums = Sums()
    client = Client(client_id="station", authenticator=sums, reconnect_on_failure=False)
    with ScriptedServer(script) as server, client:
        client.connect_and_wait(LOOPBACK, server.port)
        client.reauthenticate_and_wait()
        assert client.message().payload == b"meanwhile"
        assert (sums.exchanges, sums.finished) == (2, 2)
        with pytest.raises(ConnectionFailed) as caught:
            client.reauthenticate_and_wait()
        assert caught.value.reason_code == 0x87


def test_reauthentication_needs_an_authenticator_and_a_connection() -> None:
    with pytest.raises(AuthenticationError, match="no authenticator"):
        Client().reauthenticate()
    with pytest.raises(AuthenticationError, match="no authenticator|no connection"):
        Client(authenticator=Sums()).reauthenticate()


# Calls that wait -------------------------------------------------------------------------------


def test_subscribe_publish_and_messages_wait_for_their_answers() -> None:
    def script(line: Conversation) -> None:
        accept(line)
        subscribe = line.expect(Subscribe)
        assert [(f.topic_filter, f.qos, f.no_local) for f in subscribe.filters] == [("t/#", 1, True)]
        line.send(Suback(subscribe.packet_id, (1,)))
        assert line.expect(Publish).qos == 0
        line.send(Puback(line.expect(Publish).packet_id or 0, 0x10))
        message = line.expect(Publish)
        line.send(Pubrec(message.packet_id or 0))
        assert line.expect(Pubrel).packet_id == message.packet_id
        line.send(Pubcomp(message.packet_id or 0))
        line.send(Publish("t/a", b"1"), Publish("t/b", b"2", 1, packet_id=5))
        assert line.expect(Puback) == Puback(5)
        line.send(Unsuback(line.expect(Unsubscribe).packet_id, (0x11,)))
        line.expect(Disconnect)

    with ScriptedServer(script) as server, Client(client_id="station") as client:
        client.connect_and_wait(LOOPBACK, server.port)
        assert client.subscribe_and_wait("t/#", options=SubscribeOptions(qos=1, noLocal=True)) == (1,)
        assert client.publish_and_wait("t/a", "x", qos=0) == 0
        assert client.publish_and_wait("t/a", "x") == 0x10
        assert client.publish_and_wait("t/a", "x", qos=2) == 0
        assert [m.payload for m in client.messages(count=2)] == [b"1", b"2"]
        assert list(client.messages(timeout=0.05)) == []
        with pytest.raises(TimedOut, match="no message"):
            list(client.messages(timeout=0.05, count=1))
        assert client.unsubscribe_and_wait("t/#") == (0x11,)


def test_refusals_raise_with_their_reason_code() -> None:
    """At QoS 2 a PUBREC of 0x80 or above ends it without PUBREL [MQTT-4.3.3-4], where paho would send one."""
    reasons: list[int] = []

    def script(line: Conversation) -> None:
        accept(line)
        line.send(Suback(line.expect(Subscribe).packet_id, (0x87,)))
        line.send(Puback(line.expect(Publish).packet_id or 0, 0x97))
        line.send(Pubrec(line.expect(Publish).packet_id or 0, 0x99))
        line.expect(Disconnect)

    with ScriptedServer(script) as server, Client(client_id="station") as client:
        client.on_publish = lambda c, data, mid, reason, properties: reasons.append(reason.value)
        client.connect_and_wait(LOOPBACK, server.port)
        asks: list[tuple[int, Callable[[], object]]] = [
            (0x87, lambda: client.subscribe_and_wait("t")),
            (0x97, lambda: client.publish_and_wait("t", "x", 1)),
            (0x99, lambda: client.publish_and_wait("t", "x", 2)),
        ]
        for code, ask in asks:
            with pytest.raises(Refused) as caught:
                ask()
            assert caught.value.reason_code == code
        assert reasons == [0x97, 0x99]
        assert client._inflight_messages == 0


def test_an_answer_that_stays_away_is_an_error_that_says_what_to_do() -> None:
    def script(line: Conversation) -> None:
        accept(line)
        line.expect(Subscribe)
        line.expect(Publish)
        line.expect(Disconnect)

    with ScriptedServer(script) as server, Client(client_id="station") as client:
        client.connect_and_wait(LOOPBACK, server.port)
        with pytest.raises(TimedOut, match="SUBACK for 't'; look at the trace"):
            client.subscribe_and_wait("t", timeout=0.1)
        with pytest.raises(TimedOut):
            client.publish_and_wait("t", timeout=0.1)


def test_the_end_of_the_connection_ends_the_waiting() -> None:
    def script(line: Conversation) -> None:
        accept(line)
        line.expect(Subscribe)
        line.send(Disconnect(0x8B))

    client = Client(client_id="station", reconnect_on_failure=False)
    with ScriptedServer(script) as server, client:
        client.connect_and_wait(LOOPBACK, server.port)
        with pytest.raises(ConnectionFailed, match="shutting down") as caught:
            client.subscribe_and_wait("t")
        assert caught.value.reason_code == 0x8B


def test_without_a_connection_the_error_says_to_connect() -> None:
    client = Client(client_id="station")
    for ask in (lambda: client.subscribe_and_wait("t"), lambda: client.publish_and_wait("t"),
                lambda: client.publish_and_wait("t", qos=0), lambda: client.unsubscribe_and_wait("t")):
        with pytest.raises(ConnectionFailed, match="connect_and_wait"):
            ask()
    with pytest.raises(ConfigurationError, match="t/#"):
        client.publish_and_wait("t/#")
    with pytest.raises(ConfigurationError, match="#/t"):
        client.subscribe_and_wait("#/t")


def test_waiting_in_a_callback_is_refused_instead_of_hanging() -> None:
    caught: list[BaseException] = []
    done = threading.Event()

    def on_connect(client: Any, *facts: Any) -> None:
        try:
            client.subscribe_and_wait("t")
        except ConfigurationError as error:
            caught.append(error)
        done.set()

    def script(line: Conversation) -> None:
        accept(line)
        line.expect(Disconnect)

    with ScriptedServer(script) as server, Client(client_id="station") as client:
        client.on_connect = on_connect
        client.connect_and_wait(LOOPBACK, server.port)
        assert done.wait(5)
    assert "callback" in str(caught[0])


@pytest.mark.parametrize(("bad", "code"), [
    (b"\x90\x00", 0x81), (b"\x40\x03\x00\x01\xff", 0x82), (b"\x00\x00", 0x81), (b"\x20\x02\x00\x00", 0x81),
    (b"\x30\x04\x00\x01t\xff", 0x81), (encode(Pingreq()), 0x82),
])
def test_a_packet_that_must_not_come_ends_the_connection_with_its_reason(bad: bytes, code: int) -> None:
    """And not paho's thread, whose own reading of packets raises what it does not catch."""
    def script(line: Conversation) -> None:
        accept(line)
        line.send(bad)
        assert line.expect(Disconnect).reason_code == code
        line.expect_end()

    reasons: list[int] = []
    ended = threading.Event()

    def on_disconnect(c: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        reasons.append(reason.value)
        ended.set()

    client = Client(client_id="station", reconnect_on_failure=False)
    client.on_disconnect = on_disconnect
    with ScriptedServer(script) as server:
        client.connect_and_wait(LOOPBACK, server.port)
        assert ended.wait(5)
        with pytest.raises(ConnectionFailed) as caught:
            client.publish_and_wait("t")
        assert caught.value.reason_code == code
        client.close()
    assert reasons == [code]


# The trace -------------------------------------------------------------------------------------


def test_the_trace_has_every_packet_as_it_was_on_the_wire() -> None:
    seen_by_server: list[Packet] = []

    def script(line: Conversation) -> None:
        seen_by_server.append(accept(line))
        for kind in (Subscribe, Publish):
            packet = line.expect(kind)
            seen_by_server.append(packet)  # type: ignore[arg-type]
            number = packet.packet_id  # type: ignore[attr-defined]
            line.send(Suback(number, (0,)) if kind is Subscribe else Puback(number))
        line.send(Publish("t", b"x" * 200))
        seen_by_server.append(line.expect(Disconnect))

    trace = Trace(time.monotonic)
    with ScriptedServer(script) as server:
        with Client(client_id="station", trace=trace) as client:
            client.connect_and_wait(LOOPBACK, server.port)
            client.subscribe_and_wait("t")
            client.publish_and_wait("t", "x")
            assert len(client.message().payload) == 200
    kinds = [(event.kind, type(decode(event.packet)).__name__ if event.packet else "") for event in trace]
    assert kinds == [
        (EventKind.OPENED, ""), (EventKind.SENT, "Connect"), (EventKind.RECEIVED, "Connack"),
        (EventKind.SENT, "Subscribe"), (EventKind.RECEIVED, "Suback"), (EventKind.SENT, "Publish"),
        (EventKind.RECEIVED, "Puback"), (EventKind.RECEIVED, "Publish"), (EventKind.SENT, "Disconnect"),
        (EventKind.CLOSED, ""),
    ]
    assert [decode(event.packet) for event in trace if event.kind is EventKind.SENT] == seen_by_server
    assert {(event.party, event.peer, event.connection, event.protocol) for event in trace} == {
        ("station", "broker", 1, 5)
    }


def test_a_packet_that_leaves_in_pieces_is_recorded_once() -> None:
    size = 8_000_000

    def script(line: Conversation) -> None:
        accept(line)
        assert len(line.expect(Publish).payload) == size
        line.expect(Disconnect)

    trace = Trace(time.monotonic)
    with ScriptedServer(script) as server, Client(client_id="station", trace=trace) as client:
        client.connect_and_wait(LOOPBACK, server.port)
        client.publish_and_wait("t", b"x" * size, qos=0, timeout=20)
    sent = [event for event in trace if event.kind is EventKind.SENT]
    assert [len(event.packet) > size for event in sent] == [False, True, False]


def test_a_packet_that_the_network_did_not_take_is_recorded_as_lost() -> None:
    class Broken:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def send(self, data: bytes) -> int:
            if data[0] >> 4 == 3:
                raise ConnectionResetError("cut")
            sent: int = self._inner.send(data)
            return sent

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

    class Cut(Client):
        def _create_socket(self) -> Any:
            return Broken(super()._create_socket())

    def script(line: Conversation) -> None:
        accept(line)
        line.expect_end()

    trace = Trace(time.monotonic)
    client = Cut(client_id="station", trace=trace, reconnect_on_failure=False)
    with ScriptedServer(script) as server, client:
        client.connect_and_wait(LOOPBACK, server.port)
        with pytest.raises(ConnectionFailed):
            client.publish_and_wait("t", "x", qos=1)
    lost = [event for event in trace if event.kind is EventKind.LOST]
    assert [decode(event.packet) for event in lost] == [Publish("t", b"x", 1, packet_id=1)]


# Over a memory link, under virtual time --------------------------------------------------------


def test_paho_runs_over_a_memory_link_under_virtual_time() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        network = MemoryNetwork(default=LinkSettings(delay=0.1))
        peer = ScriptedPeer(network)
        trace = Trace(loop.time)
        sums = Sums()
        client = Client(client_id="station", network=network, trace=trace, authenticator=sums)
        client.on_connect = lambda c, *facts: c.publish("from/callback")
        times = []

        async def act() -> None:
            client.connect("broker", 1883, keepalive=60)
            await client.ready()
            times.append(loop.time())
            _, mid = client.subscribe("t")
            assert await client.answer(mid or 0) == (0,)
            assert await client.answer(client.publish("t", "x", 1).mid) == (0,)
            times.append(loop.time())
            with pytest.raises(ConfigurationError, match="await"):
                client.publish_and_wait("t")
            await asyncio.sleep(3600)
            assert client.is_connected()
            client.disconnect()

        async def script() -> None:
            line = await peer.line()
            await line.expect(Connect)
            line.send(challenge(b"3"))
            await line.expect(Auth)
            line.send(Connack(properties=FINE))
            assert (await line.expect(Publish)).topic == "from/callback"
            line.send(Suback((await line.expect(Subscribe)).packet_id, (0,)))
            line.send(Puback((await line.expect(Publish)).packet_id or 0))
            pings = 0
            while True:
                try:
                    await line.expect(Pingreq, 100)
                except AssertionError as other:
                    assert "Disconnect" in str(other)
                    break
                pings += 1
                line.send(Pingresp())
            times.append(pings)
            await line.expect_end()

        await together(act(), script())
        assert [event.kind for event in trace][-1] is EventKind.CLOSED
        return times

    begun = time.monotonic()
    connected, answered, pings = run_virtual(main())
    # TCP's and AUTH's and CONNECT's round trips of 0.2 s each, then those of SUBSCRIBE and PUBLISH.
    assert connected == pytest.approx(0.6)
    assert answered == pytest.approx(1.0)
    # One at least for every Keep Alive of 60 s in an hour.
    assert 55 <= pings <= 62
    assert run_virtual(main()) == [connected, answered, pings]
    assert time.monotonic() - begun < 10


def test_over_a_memory_link_failures_are_the_same_errors() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        client = Client(client_id="station", network=network, reconnect_on_failure=False)
        client.connect("broker", 1883)
        with pytest.raises(ConnectionFailed):
            await client.ready()
        peer = ScriptedPeer(network)

        async def refuse() -> None:
            line = await peer.line()
            await line.expect(Connect)
            line.send(Connack(False, 0x89))
            line = await peer.line()
            await line.expect(Connect)
            await line.expect_end()

        async def act() -> None:
            client.connect("broker", 1883)
            with pytest.raises(ConnectionFailed) as caught:
                await client.ready()
            assert caught.value.reason_code == 0x89
            client.connect("broker", 1883, keepalive=10)
            with pytest.raises(ConnectionFailed, match="no CONNACK"):
                await client.ready(5)
            # Without any answer paho gives up after its keep alive, by the loop's clock.
            with pytest.raises(ConnectionFailed, match="ended"):
                await client.ready(60)
            assert asyncio.get_running_loop().time() == pytest.approx(10, abs=0.1)

        await together(act(), refuse())

    run_virtual(main())


def test_a_real_client_beside_a_virtual_one_keeps_real_time() -> None:
    async def virtual() -> float:
        Client(network=MemoryNetwork())
        await asyncio.sleep(1000)
        return paho.time_func()

    assert run_virtual(virtual()) == 1000
    assert paho.time_func() == pytest.approx(time.monotonic(), abs=1)


# Against mosquitto -----------------------------------------------------------------------------


@pytest.mark.interop
@pytest.mark.parametrize("protocol", [5, 4])
def test_mosquitto_delivers_at_every_qos(protocol: int) -> None:
    trace = Trace(time.monotonic)
    with local_mosquitto() as port, Client(client_id="station", protocol=protocol, trace=trace) as client:
        client.connect_and_wait(LOOPBACK, port)
        assert client.subscribe_and_wait("t/#", qos=2) == (2,)
        for qos in (0, 1, 2):
            client.publish_and_wait("t/x", f"at {qos}", qos)
        got = [(m.payload, m.qos) for m in client.messages(timeout=5, count=3)]
        assert got == [(b"at 0", 0), (b"at 1", 1), (b"at 2", 2)]
        client.unsubscribe_and_wait("t/#")
    for event in trace:
        if event.packet:
            decode(event.packet, protocol, from_client=event.kind is EventKind.SENT)


@pytest.mark.interop
def test_mosquitto_refuses_an_unknown_method() -> None:
    with local_mosquitto() as port, pytest.raises(ConnectionFailed) as caught:
        Client(client_id="station", authenticator=Sums()).connect_and_wait(LOOPBACK, port)
    assert caught.value.reason_code == 0x8C


# Against our own broker ------------------------------------------------------------------------


class SumsAtTheBroker:
    """The Server's side of `Sums`: three numbers, and a proof at the end."""

    method = "sums"

    async def authenticate(self, conversation: AuthConversation) -> AuthSuccess:
        if conversation.data != b"hello":
            raise AuthenticationError("expected hello", 0x86)
        total = 0
        for number in (5, 7, 11):
            total += number
            if await conversation.challenge(str(number).encode()) != str(total).encode():
                raise AuthenticationError("a wrong sum", 0x87)
        return AuthSuccess(b"fine")


def test_our_broker_authenticates_in_rounds_and_again() -> None:
    trace = Trace(time.monotonic)
    sums = Sums()
    with InProcessBroker(trace=trace, methods=[SumsAtTheBroker()]) as broker:
        with Client(client_id="station", authenticator=sums, trace=trace) as client:
            client.connect_and_wait(broker.host, broker.port)
            client.subscribe_and_wait("t", 1)
            client.reauthenticate_and_wait()
            client.publish_and_wait("t", "x", qos=1)
            assert client.message().payload == b"x"
    assert (sums.exchanges, sums.finished) == (2, 2)
    by_client = [event.packet for event in trace if event.party == "station" and event.packet]
    by_broker = [event.packet for event in trace if event.party == "broker" and event.packet]
    assert sorted(by_client) == sorted(by_broker)
    assert sum(frame[0] >> 4 == 15 for frame in by_client) == 3 * 2 + 1 + 3 * 2 + 1


def test_our_broker_refuses_a_wrong_answer() -> None:
    class Wrong(Sums):
        def challenge(self, data: bytes | None) -> bytes | None:
            return b"0"

    with InProcessBroker(methods=[SumsAtTheBroker()]) as broker:
        with pytest.raises(ConnectionFailed) as caught:
            Client(client_id="station", authenticator=Wrong()).connect_and_wait(broker.host, broker.port)
    assert caught.value.reason_code == 0x87


def test_the_trace_has_the_packets_under_websocket_frames() -> None:
    trace = Trace(time.monotonic)
    with InProcessBroker(websocket_port=0) as broker:
        with Client(client_id="station", transport="websockets", trace=trace) as client:
            client.connect_and_wait(broker.host, broker.websocket_port)
            client.subscribe_and_wait("t")
            client.publish_and_wait("t", "x", qos=1)
            assert client.message().payload == b"x"
    names = [type(decode(event.packet)).__name__ for event in trace if event.packet]
    assert sorted(names) == sorted(
        ["Connect", "Connack", "Subscribe", "Suback", "Publish", "Publish", "Puback", "Disconnect"]
    )
