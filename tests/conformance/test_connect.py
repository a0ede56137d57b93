"""CONNECT (3.1): what is accepted, what is refused and how."""

from __future__ import annotations

import pytest

from . import wire
from .brokers import Brokers, Profile
from .client import Closed, Connect, RawClient
from .coverage import covers, covers_311
from .reading import read
from .wire import Kind, P, Will

FIRST_PACKETS = {
    "PUBLISH": wire.publish("first", b"x"),
    "SUBSCRIBE": wire.subscribe(1, ("first", 0)),
    "PINGREQ": wire.PINGREQ,
    "DISCONNECT": wire.disconnect(),
    "PUBREL": wire.ack(Kind.PUBREL, 1),
    "AUTH": wire.auth(0x18, [(P.AUTHENTICATION_METHOD, "none")]),
    "type 0": b"\x00\x00",
}


@pytest.mark.parametrize("packet", FIRST_PACKETS.values(), ids=FIRST_PACKETS.keys())
@covers("MQTT-3.1.0-1", "MQTT-3.2.0-1", "MQTT-3.14.0-1")
@covers_311("MQTT-3.1.0-1", "MQTT-3.2.0-1")
def test_first_packet_is_connect(connect: Connect, packet: bytes) -> None:
    """Anything else ends the connection, and no DISCONNECT comes before a CONNACK."""
    client = connect()
    client.send(packet)
    assert [p for p in client.expect_closed() if p.kind is not Kind.CONNACK] == []


@covers("MQTT-3.1.0-2", "MQTT-3.2.0-2", "MQTT-4.13.1-1")
@covers_311("MQTT-3.1.0-2", "MQTT-4.8.0-1")
def test_second_connect(connect: Connect, name: str, protocol: int) -> None:
    client = connect(protocol)
    client.connect(name)
    client.send(wire.connect(name, protocol=protocol))
    before = client.expect_closed()
    assert all(packet.kind is Kind.DISCONNECT and packet.reason == 0x82 for packet in before)


@covers("MQTT-3.1.0-2", "MQTT-3.2.0-2")
@covers_311("MQTT-3.1.0-2")
def test_second_connect_in_the_same_write(connect: Connect, name: str, protocol: int) -> None:
    client = connect(protocol)
    client.send(wire.connect(name, protocol=protocol), wire.connect(name, protocol=protocol))
    kinds = [packet.kind for packet in client.expect_closed()]
    assert kinds.count(Kind.CONNACK) <= 1


@pytest.mark.parametrize("protocol_name", ["MQTU", "mqtt", "MQT", "", "MQTTT"])
@covers("MQTT-3.1.2-1", "MQTT-3.1.4-1")
@covers_311("MQTT-3.1.2-1")
def test_protocol_name(connect: Connect, name: str, protocol: int, protocol_name: str) -> None:
    client = connect(protocol)
    client.send(wire.connect(name, protocol=protocol, name=protocol_name))
    frames = raw_until_closed(client)
    assert frames == b"" or frames[0] == 0x20 and frames[3] != 0


@pytest.mark.parametrize("level", [0, 1, 2, 6, 127, 255])
@covers("MQTT-3.1.2-2", "MQTT-3.2.2-7")
@covers_311("MQTT-3.1.2-2", "MQTT-3.2.2-5")
def test_protocol_version(connect: Connect, name: str, level: int) -> None:
    """A refusal in the form of 3.1.1 (0x01) or of 5.0 (0x84), or none, and the connection ends."""
    client = connect()
    client.send(wire.connect(name, level=level))
    frames = raw_until_closed(client)
    if frames not in (b"", b"\x20\x02\x00\x01"):
        assert read(frames, 5).reason == 0x84 and not read(frames, 5).session_present


def raw_until_closed(client: RawClient) -> bytes:
    """What comes before the connection ends; in which version it is meant is not known."""
    got = b""
    while True:
        try:
            got += client.frame()
        except Closed:
            return got


@covers("MQTT-3.1.2-3", "MQTT-2.1.3-1", "MQTT-3.1.4-1")
@covers_311("MQTT-3.1.2-3", "MQTT-3.1.4-1")
def test_reserved_connect_flag(connect: Connect, name: str, protocol: int) -> None:
    client = connect(protocol)
    client.send(wire.connect(name, protocol=protocol, flags=0x03))
    client.refused(0x81, 0x82)


WILL_FLAGS = {
    "Will QoS 1 without will": 0x02 | 0x08,
    "Will QoS 2 without will": 0x02 | 0x10,
    "Will Retain without will": 0x02 | 0x20,
}


@pytest.mark.parametrize("flags", WILL_FLAGS.values(), ids=WILL_FLAGS.keys())
@covers("MQTT-3.1.2-11", "MQTT-3.1.2-13", "MQTT-3.1.4-1")
@covers_311("MQTT-3.1.2-11", "MQTT-3.1.2-13", "MQTT-3.1.2-15")
def test_will_flags_without_a_will(connect: Connect, name: str, protocol: int, flags: int) -> None:
    client = connect(protocol)
    client.send(wire.connect(name, protocol=protocol, flags=flags))
    client.refused(0x81, 0x82)


@covers("MQTT-3.1.2-12", "MQTT-3.1.4-1")
@covers_311("MQTT-3.1.2-14")
def test_will_qos_3(connect: Connect, name: str, protocol: int) -> None:
    client = connect(protocol)
    client.send(wire.connect(name, protocol=protocol, will=Will(name, qos=3)))
    client.refused(0x81, 0x82, 0x9B)


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\x00\x03abc"], ids=["nothing", "half", "topic only"])
@covers("MQTT-3.1.2-9", "MQTT-3.1.4-1")
@covers_311("MQTT-3.1.2-9", "MQTT-3.1.4-1")
def test_will_flag_without_will_fields(connect: Connect, name: str, protocol: int, payload: bytes) -> None:
    client = connect(protocol)
    head = wire.binary("MQTT") + bytes((protocol, 0x06)) + wire.u16(60)
    will = b"\x00" if protocol == 5 and payload else b""
    body = head + (b"\x00" if protocol == 5 else b"") + wire.binary(name) + will + payload
    client.send(wire.frame(0x10, body))
    client.refused(0x81, 0x82)


@covers("MQTT-3.1.2-16", "MQTT-3.1.2-18", "MQTT-3.1.4-1")
@covers_311("MQTT-3.1.2-18", "MQTT-3.1.2-20", "MQTT-3.1.4-1")
def test_credentials_without_flags(connect: Connect, name: str, protocol: int) -> None:
    """User Name and Password in the payload, but no flag for them: bytes too many."""
    client = connect(protocol)
    client.send(wire.connect(name, protocol=protocol, username="u", password=b"p", flags=0x02))
    client.refused(0x81, 0x82)


@pytest.mark.parametrize("flags", [0x82, 0xC2], ids=["User Name", "both"])
@covers("MQTT-3.1.2-17", "MQTT-3.1.2-19", "MQTT-3.1.4-1")
@covers_311("MQTT-3.1.2-19", "MQTT-3.1.2-21", "MQTT-3.1.4-1")
def test_credential_flags_without_credentials(connect: Connect, name: str, protocol: int, flags: int) -> None:
    client = connect(protocol)
    client.send(wire.connect(name, protocol=protocol, flags=flags))
    client.refused(0x81, 0x82)


@covers("MQTT-3.1.2-19")
@covers_311("MQTT-3.1.2-21")
def test_password_flag_without_password(connect: Connect, name: str, protocol: int) -> None:
    client = connect(protocol)
    client.send(wire.connect(name, protocol=protocol, username="u", flags=0xC2))
    client.refused(0x81, 0x82)


@covers("MQTT-3.1.2-18", "MQTT-3.1.4-5")
def test_password_without_user_name_is_possible_in_5(connect: Connect, name: str) -> None:
    """MQTT 5 allows a Password without a User Name (3.1.2.9)."""
    connect().connect(name, password=b"p")


@covers_311("MQTT-3.1.2-22", "MQTT-3.1.4-1")
def test_password_without_user_name_is_wrong_in_311(connect: Connect, name: str) -> None:
    client = connect(4)
    client.send(wire.connect(name, protocol=4, password=b"p"))
    assert client.expect_closed() == []


@covers("MQTT-3.1.3-1", "MQTT-3.1.2-9", "MQTT-3.1.2-17", "MQTT-3.1.2-19", "MQTT-3.1.4-5")
@covers_311("MQTT-3.1.3-1", "MQTT-3.1.2-9", "MQTT-3.1.2-19", "MQTT-3.1.2-21", "MQTT-3.1.4-4")
def test_all_payload_fields_at_once(joined: Connect, connect: Connect, name: str, protocol: int) -> None:
    """Each field is taken from its place: the will arrives with its own topic and payload."""
    watcher = joined(protocol)
    watcher.subscribe(f"{name}/will")
    client = connect(protocol)
    client.connect(name, will=Will(f"{name}/will", b"payload"), username="user", password=b"secret")
    client.drop()
    watcher.message(f"{name}/will", b"payload")


@covers("MQTT-3.1.3-3", "MQTT-3.1.4-1")
@covers_311("MQTT-3.1.3-3", "MQTT-3.1.4-1")
def test_connect_without_client_identifier(connect: Connect, protocol: int) -> None:
    client = connect(protocol)
    head = wire.binary("MQTT") + bytes((protocol, 0x02)) + wire.u16(60) + (b"\x00" if protocol == 5 else b"")
    client.send(wire.frame(0x10, head))
    client.refused(0x81, 0x82)


@pytest.mark.parametrize("length", range(1, 14))
@covers("MQTT-3.1.4-1", "MQTT-3.1.4-6")
@covers_311("MQTT-3.1.4-1")
def test_connect_cut_short(connect: Connect, name: str, protocol: int, length: int) -> None:
    """The Remaining Length ends inside a field."""
    client = connect(protocol)
    client.send(wire.frame(0x10, wire.connect(name, protocol=protocol)[2 : 2 + length]))
    assert [packet for packet in client.expect_closed() if packet.reason == 0] == []


@pytest.mark.parametrize("client_id", ["a", "0", "Z", "0123456789abcdefghijklm", "NOPQRSTUVWXYZnopqrstuvw"])
@covers("MQTT-3.1.3-5", "MQTT-3.1.4-5", "MQTT-3.2.0-1")
@covers_311("MQTT-3.1.3-5", "MQTT-3.1.4-4", "MQTT-3.2.0-1")
def test_plain_client_identifiers(connect: Connect, protocol: int, client_id: str) -> None:
    client = connect(protocol)
    connack = client.connect(client_id)
    assert connack.get(P.ASSIGNED_CLIENT_IDENTIFIER) is None
    client.quiet()


@covers("MQTT-3.1.3-6", "MQTT-3.1.3-7", "MQTT-3.2.2-16", "MQTT-3.1.3-2")
def test_empty_client_identifier(connect: Connect, name: str) -> None:
    """Each client gets an identifier of its own, under which its session is found again."""
    first, second = connect(), connect()
    expiry = [(P.SESSION_EXPIRY, 60)]
    told = [client.connect("", props=expiry).text(P.ASSIGNED_CLIENT_IDENTIFIER) for client in (first, second)]
    assert told[0] != told[1] and "" not in told
    first.subscribe(name)
    first.disconnect()
    again = connect()
    connack = again.connect(told[0], clean=False)
    assert connack.session_present and connack.get(P.ASSIGNED_CLIENT_IDENTIFIER) is None


@covers("MQTT-3.1.3-6")
def test_empty_client_identifier_without_clean_start(connect: Connect) -> None:
    """MQTT 5 has no rule that binds the empty identifier to Clean Start: it begins a new session."""
    connack = connect().connect("", clean=False)
    assert not connack.session_present
    assert connack.text(P.ASSIGNED_CLIENT_IDENTIFIER)


@covers_311("MQTT-3.1.3-6")
def test_empty_client_identifier_in_311(connect: Connect, name: str) -> None:
    """Two of them are two clients: neither takes the other's session over."""
    first, second = connect(4), connect(4)
    first.connect("")
    second.connect("")
    first.subscribe(name)
    second.publish(name, b"x")
    first.message(name, b"x")


@covers_311("MQTT-3.1.3-7", "MQTT-3.1.3-8", "MQTT-3.1.3-9", "MQTT-3.2.2-4", "MQTT-3.2.2-5")
def test_empty_client_identifier_with_stored_session_in_311(connect: Connect) -> None:
    client = connect(4)
    client.send(wire.connect("", protocol=4, clean=False))
    client.expect(Kind.CONNACK, reason=2, session_present=False)
    assert client.expect_closed() == []


@covers("MQTT-3.1.3-8", "MQTT-3.2.2-6", "MQTT-3.2.2-7", "MQTT-3.2.2-8")
@covers_311("MQTT-3.1.3-9", "MQTT-3.2.2-4", "MQTT-3.2.2-5")
def test_rejected_client_identifier(brokers: Brokers, connect: Connect, protocol: int) -> None:
    """A broker that gives no identifiers away."""
    client = connect(protocol, brokers(Profile(empty_client_id=False)))
    client.send(wire.connect("", protocol=protocol))
    connack = client.expect(Kind.CONNACK, session_present=False)
    assert connack.reason in ((0x85, 0x80) if protocol == 5 else (2,))
    assert client.expect_closed() == []


@covers("MQTT-3.1.4-2", "MQTT-3.2.2-6", "MQTT-3.2.2-7", "MQTT-3.2.2-8", "MQTT-4.13.2-1")
@covers_311("MQTT-3.2.2-4", "MQTT-3.2.2-5")
def test_credentials(brokers: Brokers, connect: Connect, name: str, protocol: int) -> None:
    at = brokers(Profile(users=(("alice", "right"),)))
    connect(protocol, at).connect(name, username="alice", password=b"right")
    for username, password in (("alice", b"wrong"), ("bob", b"right"), (None, None)):
        client = connect(protocol, at)
        client.send(wire.connect(f"{name}-2", protocol=protocol, username=username, password=password))
        connack = client.expect(Kind.CONNACK)
        assert connack.reason in ((0x86, 0x87) if protocol == 5 else (4, 5)), client.story("wrong reason")
        assert not connack.session_present
        assert client.expect_closed() == []


@covers("MQTT-3.1.4-6")
@covers_311("MQTT-3.1.4-5")
def test_nothing_after_a_rejected_connect(
    brokers: Brokers, connect: Connect, name: str, protocol: int
) -> None:
    at = brokers(Profile(users=(("alice", "right"),)))
    watcher = connect(protocol, at)
    watcher.connect(f"{name}-watch", username="alice", password=b"right")
    watcher.subscribe(name)
    intruder = connect(protocol, at)
    intruder.send(
        wire.connect(f"{name}-in", protocol=protocol, username="alice", password=b"wrong"),
        wire.publish(name, b"intruded", protocol=protocol),
        wire.PINGREQ,
    )
    assert [packet.kind for packet in intruder.expect_closed()] == [Kind.CONNACK]
    watcher.quiet()


PROPERTIES_TWICE = {
    "SESSION_EXPIRY": (P.SESSION_EXPIRY, 5),
    "RECEIVE_MAXIMUM": (P.RECEIVE_MAXIMUM, 5),
    "MAXIMUM_PACKET_SIZE": (P.MAXIMUM_PACKET_SIZE, 500),
    "TOPIC_ALIAS_MAXIMUM": (P.TOPIC_ALIAS_MAXIMUM, 5),
    "REQUEST_RESPONSE_INFORMATION": (P.REQUEST_RESPONSE_INFORMATION, 0),
    "REQUEST_PROBLEM_INFORMATION": (P.REQUEST_PROBLEM_INFORMATION, 1),
    "AUTHENTICATION_METHOD": (P.AUTHENTICATION_METHOD, "m"),
    "AUTHENTICATION_DATA": (P.AUTHENTICATION_DATA, b"d"),
}


@pytest.mark.parametrize("item", PROPERTIES_TWICE.values(), ids=PROPERTIES_TWICE.keys())
@covers("MQTT-3.1.4-1", "MQTT-4.13.1-1")
def test_property_twice_in_connect(connect: Connect, name: str, item: tuple[int, object]) -> None:
    client = connect()
    client.send(wire.connect(name, props=[item, item]))
    client.refused(0x81, 0x82)


WRONG_IN_CONNECT = {
    "PAYLOAD_FORMAT": (P.PAYLOAD_FORMAT, 0),
    "TOPIC_ALIAS": (P.TOPIC_ALIAS, 1),
    "SUBSCRIPTION_IDENTIFIER": (P.SUBSCRIPTION_IDENTIFIER, 1),
    "REASON_STRING": (P.REASON_STRING, "why"),
    "SERVER_KEEP_ALIVE": (P.SERVER_KEEP_ALIVE, 5),
    "ASSIGNED_CLIENT_IDENTIFIER": (P.ASSIGNED_CLIENT_IDENTIFIER, "me"),
    "MAXIMUM_QOS": (P.MAXIMUM_QOS, 1),
    "WILL_DELAY": (P.WILL_DELAY, 1),
    "Receive Maximum 0": (P.RECEIVE_MAXIMUM, 0),
    "Maximum Packet Size 0": (P.MAXIMUM_PACKET_SIZE, 0),
    "Request Problem Information 2": (P.REQUEST_PROBLEM_INFORMATION, 2),
    "Request Response Information 2": (P.REQUEST_RESPONSE_INFORMATION, 2),
    "Authentication Data alone": (P.AUTHENTICATION_DATA, b"d"),
}


@pytest.mark.parametrize("item", WRONG_IN_CONNECT.values(), ids=WRONG_IN_CONNECT.keys())
@covers("MQTT-3.1.4-1", "MQTT-4.13.1-1")
def test_wrong_property_in_connect(connect: Connect, name: str, item: tuple[int, object]) -> None:
    client = connect()
    client.send(wire.connect(name, props=[item]))
    client.refused(0x81, 0x82)


@pytest.mark.parametrize(
    "block",
    [b"\x02\x7f\x00", b"\x05\x11\x00", b"\x20\x21\x00\x05"],
    ids=["unknown identifier", "cut short", "length too long"],
)
@covers("MQTT-3.1.4-1", "MQTT-4.13.1-1")
def test_malformed_properties_in_connect(connect: Connect, name: str, block: bytes) -> None:
    client = connect()
    head = wire.binary("MQTT") + b"\x05\x02" + wire.u16(60)
    client.send(wire.frame(0x10, head + block + wire.binary(name)))
    client.refused(0x81, 0x82)


WRONG_IN_WILL = {
    "twice": [(P.WILL_DELAY, 1), (P.WILL_DELAY, 1)],
    "SESSION_EXPIRY": [(P.SESSION_EXPIRY, 1)],
    "TOPIC_ALIAS": [(P.TOPIC_ALIAS, 1)],
    "SUBSCRIPTION_IDENTIFIER": [(P.SUBSCRIPTION_IDENTIFIER, 1)],
}


@pytest.mark.parametrize("items", WRONG_IN_WILL.values(), ids=WRONG_IN_WILL.keys())
@covers("MQTT-3.1.4-1", "MQTT-4.13.1-1")
def test_wrong_will_property(connect: Connect, name: str, items: list[tuple[int, object]]) -> None:
    client = connect()
    client.send(wire.connect(name, will=Will(name, properties=tuple(items))))
    client.refused(0x81, 0x82)


@pytest.mark.parametrize("topic", ["a/#", "+/b", ""], ids=["#", "+", "empty"])
@covers("MQTT-4.7.0-1", "MQTT-4.7.3-1", "MQTT-3.1.4-2")
@covers_311("MQTT-4.7.1-1", "MQTT-4.7.3-1")
def test_will_topic_is_a_topic_name(connect: Connect, name: str, protocol: int, topic: str) -> None:
    client = connect(protocol)
    client.send(wire.connect(name, protocol=protocol, will=Will(topic)))
    client.refused(0x81, 0x82, 0x90)
