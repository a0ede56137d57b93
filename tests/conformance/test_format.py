"""Chapters 1 and 2: text, numbers, the fixed header, Packet Identifiers."""

from __future__ import annotations

import pytest

from . import wire
from .client import Connect, RawClient
from .coverage import covers, covers_311
from .wire import Kind, P, Will

BAD_TEXT = {
    "surrogate": b"a\xed\xa0\x80b",
    "overlong": b"a\xc0\xafb",
    "truncated": b"ab\xe2\x82",
    "stray": b"a\x80b",
    "beyond": b"a\xf4\x90\x80\x80b",
    "null": b"a\x00b",
}
"""Text that is none (1.5.4). Overlong and surrogate forms are what careless decoders let through."""

bad_text = pytest.mark.parametrize("text", BAD_TEXT.values(), ids=BAD_TEXT.keys())


@bad_text
@covers("MQTT-1.5.4-1", "MQTT-1.5.4-2", "MQTT-3.1.3-4", "MQTT-3.1.3-8", "MQTT-3.1.4-1")
@covers_311("MQTT-1.5.3-1", "MQTT-1.5.3-2", "MQTT-3.1.3-4")
def test_ill_formed_client_identifier(connect: Connect, protocol: int, text: bytes) -> None:
    client = connect(protocol)
    client.send(wire.connect(text, protocol=protocol))
    client.refused(0x81, 0x82, 0x85, 2)


@bad_text
@covers("MQTT-1.5.4-1", "MQTT-1.5.4-2", "MQTT-3.1.3-11")
@covers_311("MQTT-1.5.3-1", "MQTT-1.5.3-2", "MQTT-3.1.3-10")
def test_ill_formed_will_topic(connect: Connect, name: str, protocol: int, text: bytes) -> None:
    client = connect(protocol)
    client.send(wire.connect(name, protocol=protocol, will=Will(text)))
    client.refused(0x81, 0x82, 0x90)


@bad_text
@covers("MQTT-1.5.4-1", "MQTT-1.5.4-2", "MQTT-3.1.3-12")
@covers_311("MQTT-1.5.3-1", "MQTT-1.5.3-2", "MQTT-3.1.3-11")
def test_ill_formed_user_name(connect: Connect, name: str, protocol: int, text: bytes) -> None:
    client = connect(protocol)
    client.send(wire.connect(name, protocol=protocol, username=text, password=b"p"))
    client.refused(0x81, 0x82, 0x86)


@bad_text
@covers("MQTT-1.5.4-1", "MQTT-1.5.4-2", "MQTT-3.3.2-1", "MQTT-4.7.3-2")
@covers_311("MQTT-1.5.3-1", "MQTT-1.5.3-2", "MQTT-3.3.2-1", "MQTT-4.7.3-2")
def test_ill_formed_topic_name(joined: Connect, protocol: int, text: bytes) -> None:
    client = joined(protocol)
    client.send(wire.publish(text, b"x", protocol=protocol))
    client.refused(0x81, 0x82, 0x90)


@bad_text
@covers("MQTT-1.5.4-1", "MQTT-1.5.4-2", "MQTT-3.8.3-1", "MQTT-4.7.3-2")
@covers_311("MQTT-1.5.3-1", "MQTT-1.5.3-2", "MQTT-3.8.3-1", "MQTT-4.7.3-2")
def test_ill_formed_topic_filter_in_subscribe(joined: Connect, protocol: int, text: bytes) -> None:
    client = joined(protocol)
    client.send(wire.subscribe(1, (text, 0), protocol=protocol))
    client.refused(0x81, 0x82, 0x8F)


@bad_text
@covers("MQTT-1.5.4-1", "MQTT-1.5.4-2", "MQTT-3.10.3-1")
@covers_311("MQTT-1.5.3-1", "MQTT-1.5.3-2", "MQTT-3.10.3-1")
def test_ill_formed_topic_filter_in_unsubscribe(joined: Connect, protocol: int, text: bytes) -> None:
    client = joined(protocol)
    client.send(wire.unsubscribe(1, text, protocol=protocol))
    client.refused(0x81, 0x82, 0x8F)


@pytest.mark.parametrize("place", ["name", "value"])
@bad_text
@covers("MQTT-1.5.7-1", "MQTT-1.5.4-1", "MQTT-1.5.4-2")
def test_ill_formed_user_property(joined: Connect, name: str, text: bytes, place: str) -> None:
    client = joined()
    pair = (text, "v") if place == "name" else ("n", text)
    client.send(wire.publish(name, props=[(P.USER_PROPERTY, pair)]))
    client.refused(0x81, 0x82)


@bad_text
@covers("MQTT-3.3.2-13", "MQTT-1.5.4-1", "MQTT-1.5.4-2")
def test_ill_formed_response_topic(joined: Connect, name: str, text: bytes) -> None:
    client = joined()
    client.send(wire.publish(name, props=[(P.RESPONSE_TOPIC, text)]))
    client.refused(0x81, 0x82, 0x90)


@bad_text
@covers("MQTT-3.3.2-19", "MQTT-1.5.4-1", "MQTT-1.5.4-2")
def test_ill_formed_content_type(joined: Connect, name: str, text: bytes) -> None:
    client = joined()
    client.send(wire.publish(name, props=[(P.CONTENT_TYPE, text)]))
    client.refused(0x81, 0x82)


@covers("MQTT-1.5.4-3", "MQTT-4.7.3-4")
@covers_311("MQTT-1.5.3-3", "MQTT-4.7.3-4")
def test_byte_order_mark_is_a_character(joined: Connect, name: str, protocol: int) -> None:
    client = joined(protocol)
    client.subscribe(f"\ufeff{name}")
    client.subscribe(f"{name}/\ufeff")
    other = joined(protocol)
    other.publish(name, b"without")
    other.publish(f"\ufeff{name}", b"in front")
    other.publish(f"{name}/", b"without")
    other.publish(f"{name}/\ufeff", b"behind")
    client.message(f"\ufeff{name}", b"in front")
    client.message(f"{name}/\ufeff", b"behind")
    client.quiet()


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 200_000])
@covers("MQTT-1.5.5-1", "MQTT-4.2.0-1")
def test_remaining_length_takes_the_fewest_bytes(
    joined: Connect, name: str, protocol: int, size: int
) -> None:
    """The reader of the suite refuses longer forms; here are the lengths at which their number changes."""
    client, other = joined(protocol), joined(protocol)
    client.subscribe(name)
    overhead = 2 + len(name) + (1 if protocol == 5 else 0)
    payload = bytes(range(256)) * (size // 256 + 1)
    other.publish(name, payload[: max(0, size - overhead)])
    client.message(name, payload[: max(0, size - overhead)])


@pytest.mark.parametrize("size", [126, 127, 128, 129])
@covers("MQTT-1.5.5-1")
def test_property_length_takes_the_fewest_bytes(joined: Connect, name: str, size: int) -> None:
    client, other = joined(), joined()
    client.subscribe(name)
    other.publish(name, b"x", props=[(P.CONTENT_TYPE, "c" * (size - 3))])
    assert client.message(name, b"x").text(P.CONTENT_TYPE) == "c" * (size - 3)


RESERVED_FLAGS = [
    Kind.CONNECT,
    Kind.PUBACK,
    Kind.PUBREC,
    Kind.PUBREL,
    Kind.PUBCOMP,
    Kind.SUBSCRIBE,
    Kind.UNSUBSCRIBE,
    Kind.PINGREQ,
    Kind.DISCONNECT,
    Kind.AUTH,
]
"""What a client sends, but PUBLISH, whose flags all mean something."""


@pytest.mark.parametrize("kind", RESERVED_FLAGS, ids=lambda kind: kind.name)
@covers("MQTT-2.1.3-1", "MQTT-3.6.1-1", "MQTT-3.8.1-1", "MQTT-3.10.1-1", "MQTT-3.14.1-1", "MQTT-3.15.1-1")
@covers_311("MQTT-2.2.2-1", "MQTT-2.2.2-2", "MQTT-3.6.1-1", "MQTT-3.8.1-1", "MQTT-3.10.1-1", "MQTT-3.14.1-1")
def test_reserved_flags(connect: Connect, joined: Connect, name: str, protocol: int, kind: Kind) -> None:
    """Every wrong value of the reserved bits ends the connection, whatever the packet."""
    good = {
        Kind.CONNECT: wire.connect(name, protocol=protocol),
        Kind.PUBACK: wire.ack(Kind.PUBACK, 1),
        Kind.PUBREC: wire.ack(Kind.PUBREC, 1),
        Kind.PUBREL: wire.ack(Kind.PUBREL, 1),
        Kind.PUBCOMP: wire.ack(Kind.PUBCOMP, 1),
        Kind.SUBSCRIBE: wire.subscribe(1, (name, 0), protocol=protocol),
        Kind.UNSUBSCRIBE: wire.unsubscribe(1, name, protocol=protocol),
        Kind.PINGREQ: wire.PINGREQ,
        Kind.DISCONNECT: wire.disconnect(),
        Kind.AUTH: wire.auth(0x19, [(P.AUTHENTICATION_METHOD, "none")]),
    }
    packet = good[kind]
    right = packet[0] & 15
    for flags in sorted({0, 1, 2, 4, 8, 15} - {right}):
        client = connect(protocol) if kind is Kind.CONNECT else joined(protocol)
        client.send(bytes((kind << 4 | flags,)) + packet[1:])
        client.refused(0x81, 0x82)


@covers("MQTT-3.14.1-1")
def test_disconnect_with_reserved_flags_publishes_the_will(joined: Connect, name: str) -> None:
    """A DISCONNECT that is malformed does not cancel the will: the connection ended by an error (3.1.2.5)."""
    watcher = joined()
    watcher.subscribe(name)
    client = joined(will=Will(name, b"will"))
    client.send(b"\xe1\x00")
    client.refused(0x81, 0x82)
    watcher.message(name, b"will")


@pytest.mark.parametrize("packet", [b"\x00\x00", b"\x0f\x00"], ids=["type 0", "type 0, flags"])
@covers("MQTT-4.13.1-1")
@covers_311("MQTT-4.8.0-1")
def test_reserved_packet_type(joined: Connect, protocol: int, packet: bytes) -> None:
    client = joined(protocol)
    client.send(packet)
    client.refused(0x81, 0x82)


@covers_311("MQTT-4.8.0-1")
def test_auth_does_not_exist_in_311(joined: Connect) -> None:
    client = joined(4)
    client.send(b"\xf0\x00")
    client.refused()


SERVER_PACKETS = {
    "CONNACK": b"\x20\x03\x00\x00\x00",
    "SUBACK": b"\x90\x04\x00\x01\x00\x00",
    "UNSUBACK": b"\xb0\x04\x00\x01\x00\x00",
    "PINGRESP": b"\xd0\x00",
}


@pytest.mark.parametrize("packet", SERVER_PACKETS.values(), ids=SERVER_PACKETS.keys())
@covers("MQTT-4.13.1-1")
@covers_311("MQTT-4.8.0-1")
def test_packet_that_only_a_server_sends(joined: Connect, protocol: int, packet: bytes) -> None:
    client = joined(protocol)
    client.send(packet)
    client.refused(0x81, 0x82)


@pytest.mark.parametrize(
    "first", [b"\x30", b"\x82", b"\xc0", b"\xe0"], ids=["PUBLISH", "SUBSCRIBE", "PING", "BYE"]
)
@covers("MQTT-4.13.1-1")
@covers_311("MQTT-4.8.0-1")
def test_remaining_length_of_five_bytes(joined: Connect, protocol: int, first: bytes) -> None:
    client = joined(protocol)
    client.send(first + b"\x80\x80\x80\x80\x01")
    client.refused(0x81, 0x82)


@covers("MQTT-3.1.4-1")
@covers_311("MQTT-3.1.4-1")
def test_remaining_length_of_five_bytes_in_connect(connect: Connect) -> None:
    client = connect()
    client.send(b"\x10\xff\xff\xff\xff\x7f")
    client.refused(0x81, 0x82)


TRUNCATED = {
    "PUBLISH, half a topic": b"\x30\x04\x00\x09ab",
    "PUBLISH, no topic": b"\x30\x01\x00",
    "PUBLISH, no identifier": b"\x32\x05\x00\x03abc",
    "SUBSCRIBE, no options": b"\x82\x07\x00\x01\x00\x00\x02ab",
    "SUBSCRIBE, no identifier": b"\x82\x01\x00",
    "UNSUBSCRIBE, half a filter": b"\xa2\x07\x00\x01\x00\x00\x09ab",
    "PUBACK, one byte": b"\x40\x01\x00",
    "PUBREC, nothing": b"\x50\x00",
    "PUBREL, one byte": b"\x62\x01\x00",
    "PUBCOMP, nothing": b"\x70\x00",
}


@pytest.mark.parametrize("packet", TRUNCATED.values(), ids=TRUNCATED.keys())
@covers("MQTT-4.13.1-1", "MQTT-4.13.2-1")
@covers_311("MQTT-4.8.0-1")
def test_packet_shorter_than_its_fields(joined: Connect, protocol: int, packet: bytes) -> None:
    client = joined(protocol)
    client.send(packet)
    client.refused(0x81, 0x82)


TRAILING = {
    "PINGREQ": b"\xc0\x01\x00",
    "PUBACK": b"\x40\x05\x00\x01\x00\x00\x00",
    "DISCONNECT": b"\xe0\x03\x00\x00\x00",
}


@pytest.mark.parametrize("packet", TRAILING.values(), ids=TRAILING.keys())
@covers("MQTT-4.13.1-1")
def test_packet_longer_than_its_fields(joined: Connect, packet: bytes) -> None:
    client = joined()
    client.send(packet)
    client.refused(0x81, 0x82)


@pytest.mark.parametrize("kind", ["PUBLISH", "SUBSCRIBE", "UNSUBSCRIBE"])
@covers("MQTT-2.2.1-3")
@covers_311("MQTT-2.3.1-1")
def test_packet_identifier_zero(joined: Connect, name: str, protocol: int, kind: str) -> None:
    client = joined(protocol)
    packets = {
        "PUBLISH": wire.publish(name, qos=1, packet_id=0, protocol=protocol),
        "SUBSCRIBE": wire.subscribe(0, (name, 0), protocol=protocol),
        "UNSUBSCRIBE": wire.unsubscribe(0, name, protocol=protocol),
    }
    client.send(packets[kind])
    client.refused(0x81, 0x82)


@covers("MQTT-2.2.1-2")
@covers_311("MQTT-2.3.1-5")
def test_qos_0_has_no_packet_identifier(joined: Connect, name: str, protocol: int) -> None:
    """The bytes after the topic are properties and payload, in both directions."""
    client, other = joined(protocol), joined(protocol)
    client.subscribe(name, qos=2)
    other.publish(name, b"\x00\x01payload")
    message = client.message(name, b"\x00\x01payload")
    header = 2 + 2 + len(name) + (1 if protocol == 5 else 0)
    assert len(message.raw) == header + len(b"\x00\x01payload")


@covers("MQTT-2.2.1-4", "MQTT-2.2.1-5", "MQTT-4.3.2-1", "MQTT-4.3.3-1")
@covers_311("MQTT-2.3.1-4", "MQTT-2.3.1-6", "MQTT-4.3.2-1", "MQTT-4.3.3-1")
def test_server_packet_identifiers_are_unused(joined: Connect, name: str, protocol: int) -> None:
    """While nothing is acknowledged, no identifier comes twice, whatever the QoS."""
    client, other = joined(protocol), joined(protocol)
    client.subscribe((name, 2))
    for number in range(10):
        other.publish(name, b"%d" % number, qos=1 + number % 2)
    messages = [client.message(name, b"%d" % number, answer=False) for number in range(10)]
    identifiers = [message.packet_id for message in messages]
    assert len(set(identifiers)) == 10 and None not in identifiers and 0 not in identifiers
    for message in messages:
        client.send(wire.ack(Kind.PUBACK if message.qos == 1 else Kind.PUBREC, message.packet_id or 0))
        if message.qos == 2:
            client.expect(Kind.PUBREL, packet_id=message.packet_id)
            client.send(wire.ack(Kind.PUBCOMP, message.packet_id or 0))
    client.quiet()


@covers("MQTT-4.2.0-1")
def test_packets_in_single_bytes(connect: Connect, name: str, protocol: int) -> None:
    """TCP gives a stream: where a write ended says nothing."""
    client = connect(protocol)
    stream = wire.connect(name, protocol=protocol) + wire.subscribe(1, (name, 1), protocol=protocol)
    for byte in stream:
        client.send(bytes((byte,)))
    client.expect(Kind.CONNACK, reason=0)
    client.expect(Kind.SUBACK, reasons=(1,))


@covers("MQTT-4.2.0-1", "MQTT-3.1.4-5")
def test_packets_in_one_write(connect: Connect, name: str, protocol: int) -> None:
    """A client need not wait for CONNACK (3.1.4): all of this may come in one segment."""
    client = connect(protocol)
    client.send(
        wire.connect(name, protocol=protocol),
        wire.subscribe(1, (name, 0), protocol=protocol),
        *(wire.publish(name, b"%d" % number, protocol=protocol) for number in range(50)),
        wire.PINGREQ,
    )
    client.expect(Kind.CONNACK, reason=0)
    client.expect(Kind.SUBACK, packet_id=1)
    seen = client_messages(client, 50)
    assert seen == [b"%d" % number for number in range(50)]


def client_messages(client: RawClient, count: int) -> list[bytes]:
    """The payloads of the next messages; a PINGRESP may come between them."""
    payloads: list[bytes] = []
    while len(payloads) < count:
        packet = client.recv()
        if packet.kind is Kind.PUBLISH:
            payloads.append(packet.payload)
        else:
            assert packet.kind is Kind.PINGRESP
    return payloads
