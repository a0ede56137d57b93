"""SUBSCRIBE and UNSUBSCRIBE (3.8 to 3.11)."""

from __future__ import annotations

import pytest

from . import wire
from .client import Connect, RawClient
from .coverage import covers, covers_311
from .reading import Packet
from .wire import Kind, P

NO_LOCAL = 0x04


@covers("MQTT-3.8.4-1", "MQTT-3.8.4-2", "MQTT-2.2.1-6", "MQTT-3.9.3-2")
@covers_311("MQTT-3.8.4-1", "MQTT-3.8.4-2", "MQTT-2.3.1-7", "MQTT-3.9.3-2")
def test_suback(joined: Connect, name: str, protocol: int) -> None:
    client = joined(protocol)
    for number in (1, 65535, 256):
        client.send(wire.subscribe(number, (name, 0), protocol=protocol))
        client.expect(Kind.SUBACK, packet_id=number, reasons=(0,))


@covers("MQTT-3.8.4-5", "MQTT-3.8.4-6", "MQTT-3.8.4-7", "MQTT-3.9.3-1")
@covers_311("MQTT-3.8.4-4", "MQTT-3.8.4-5", "MQTT-3.9.3-1")
def test_many_filters(joined: Connect, name: str, protocol: int) -> None:
    """One SUBACK with the granted QoS of each, in order; each works."""
    client, other = joined(protocol), joined(protocol)
    wanted = [2, 0, 1, 1, 0, 2]
    suback = client.subscribe(*((f"{name}/{number}", qos) for number, qos in enumerate(wanted)))
    assert list(suback.reasons) == wanted
    for number, qos in enumerate(wanted):
        other.publish(f"{name}/{number}", b"x", qos=2)
        assert client.message(f"{name}/{number}", b"x").qos == qos


@covers("MQTT-3.8.4-5", "MQTT-3.8.4-3")
@covers_311("MQTT-3.8.4-4", "MQTT-3.8.4-3")
def test_same_filter_twice_in_one_subscribe(joined: Connect, name: str, protocol: int) -> None:
    """As if two packets had come: the second replaces the first."""
    client, other = joined(protocol), joined(protocol)
    assert client.subscribe((name, 0), (name, 1)).reasons == (0, 1)
    other.publish(name, b"x", qos=2)
    assert client.message(name, b"x").qos == 1
    client.quiet()


@covers("MQTT-3.8.4-3", "MQTT-3.8.4-8")
@covers_311("MQTT-3.8.4-3", "MQTT-3.8.4-6")
def test_subscribing_again_replaces(joined: Connect, name: str, protocol: int) -> None:
    """There is one subscription to a filter, with the options of the last SUBSCRIBE."""
    client, other = joined(protocol), joined(protocol)
    for qos in (1, 0, 2):
        assert client.subscribe((name, qos)).reasons == (qos,)
        other.publish(name, b"x", qos=2)
        assert client.message(name, b"x").qos == qos
        client.quiet()


@covers("MQTT-3.8.3-2", "MQTT-4.13.1-1")
@covers_311("MQTT-3.8.3-3", "MQTT-4.8.0-1")
def test_subscribe_without_filters(joined: Connect, protocol: int) -> None:
    client = joined(protocol)
    client.send(wire.subscribe(1, protocol=protocol))
    client.refused(0x81, 0x82)


@covers("MQTT-3.10.3-2", "MQTT-4.13.1-1")
@covers_311("MQTT-3.10.3-2", "MQTT-4.8.0-1")
def test_unsubscribe_without_filters(joined: Connect, protocol: int) -> None:
    client = joined(protocol)
    client.send(wire.unsubscribe(1, protocol=protocol))
    client.refused(0x81, 0x82)


@pytest.mark.parametrize("options", [0x40, 0x80, 0xC0, 0x03, 0x30])
@covers("MQTT-3.8.3-5", "MQTT-2.1.3-1", "MQTT-4.13.1-1")
def test_wrong_options(joined: Connect, name: str, options: int) -> None:
    """Reserved bits, QoS 3 and Retain Handling 3."""
    client = joined()
    client.send(wire.subscribe(1, (name, options)))
    client.refused(0x81, 0x82)


@pytest.mark.parametrize("options", [0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x03, 0xFC])
@covers_311("MQTT-3.8.3-4")
def test_wrong_options_in_311(joined: Connect, name: str, options: int) -> None:
    """What MQTT 5 gave a meaning is reserved in 3.1.1."""
    client = joined(4)
    client.send(wire.subscribe(1, (name, options), protocol=4))
    client.refused()


@pytest.mark.parametrize(
    "items",
    [
        [(P.SUBSCRIPTION_IDENTIFIER, 0)],
        [(P.SUBSCRIPTION_IDENTIFIER, 1), (P.SUBSCRIPTION_IDENTIFIER, 2)],
        [(P.SUBSCRIPTION_IDENTIFIER, b"\xff\xff\xff\xff\x7f")],
        [(P.REASON_STRING, "a")],
        [(P.TOPIC_ALIAS, 1)],
    ],
    ids=["identifier 0", "two identifiers", "identifier of five bytes", "Reason String", "Topic Alias"],
)
@covers("MQTT-4.13.1-1")
def test_wrong_property_in_subscribe(joined: Connect, name: str, items: list[tuple[int, object]]) -> None:
    client = joined()
    client.send(wire.subscribe(1, (name, 0), props=items))
    client.refused(0x81, 0x82)


@covers("MQTT-4.13.1-1")
def test_wrong_property_in_unsubscribe(joined: Connect, name: str) -> None:
    client = joined()
    client.send(wire.unsubscribe(1, name, props=[(P.SUBSCRIPTION_IDENTIFIER, 1)]))
    client.refused(0x81, 0x82)


@covers("MQTT-3.8.4-1", "MQTT-3.10.4-4")
def test_user_properties_in_subscribe_and_unsubscribe(joined: Connect, name: str) -> None:
    client = joined()
    props = [(P.USER_PROPERTY, ("a", "b")), (P.USER_PROPERTY, ("a", "b"))]
    client.send(wire.subscribe(1, (name, 0), props=props), wire.unsubscribe(2, name, props=props))
    client.expect(Kind.SUBACK, packet_id=1, reasons=(0,))
    client.expect(Kind.UNSUBACK, packet_id=2, reasons=(0,))


BAD_FILTERS = ["", "#/a", "a/#/b", "a#", "a/b#", "##", "+a", "a+", "a/+b", "a/b+/c", "++", "a/#+"]


@pytest.mark.parametrize("pattern", BAD_FILTERS, ids=lambda pattern: pattern or "empty")
@covers("MQTT-4.7.1-1", "MQTT-4.7.1-2", "MQTT-4.7.3-1")
@covers_311("MQTT-4.7.1-2", "MQTT-4.7.1-3", "MQTT-4.7.3-1")
def test_bad_topic_filter(joined: Connect, name: str, protocol: int, pattern: str) -> None:
    """Refused in the SUBACK (0x8F), or by closing: no subscription comes of it."""
    client = joined(protocol)
    client.send(wire.subscribe(1, (pattern, 0), protocol=protocol), wire.PINGREQ)
    for packet in client.expect_closed_or(Kind.PINGRESP):
        if packet.kind is Kind.SUBACK:
            assert packet.reasons == ((0x8F,) if protocol == 5 else (0x80,))
        else:
            assert packet.kind is Kind.DISCONNECT and packet.reason in (0x81, 0x82, 0x8F)


@covers("MQTT-4.7.3-3")
@covers_311("MQTT-4.7.3-3")
def test_longest_topic_filter(joined: Connect, name: str, protocol: int) -> None:
    client, other = joined(protocol), joined(protocol)
    topic = f"{name}/" + "f" * (65535 - len(name) - 1)
    client.subscribe(topic)
    other.publish(topic, b"x")
    client.message(topic, b"x")
    assert client.unsubscribe(topic).reasons == ((0,) if protocol == 5 else ())


@covers("MQTT-3.8.3-3")
def test_no_local(joined: Connect, name: str) -> None:
    """A client does not hear itself; others do, and it hears others."""
    client, other = joined(), joined()
    client.subscribe((name, NO_LOCAL))
    other.subscribe((name, NO_LOCAL))
    client.publish(name, b"from client")
    other.message(name, b"from client")
    other.publish(name, b"from other")
    client.message(name, b"from other")
    client.quiet()
    other.quiet()


@covers("MQTT-3.8.3-3")
def test_no_local_is_about_the_client_identifier(connect: Connect, joined: Connect, name: str) -> None:
    """What a client published on its connection before is its own, too; also in a queue."""
    client = connect()
    client.connect(name, clean=False, props=[(P.SESSION_EXPIRY, 60), (P.RECEIVE_MAXIMUM, 1)])
    client.subscribe((f"{name}/t", NO_LOCAL | 1))
    client.publish(f"{name}/t", b"mine", qos=1)
    client.disconnect()
    joined().publish(f"{name}/t", b"yours", qos=1)
    again = connect()
    again.connect(name, clean=False, props=[(P.SESSION_EXPIRY, 60)])
    again.message(f"{name}/t", b"yours")
    again.quiet()


@covers("MQTT-3.8.3-3")
@covers_311("MQTT-4.5.0-1")
def test_a_client_hears_itself(connect: Connect, joined: Connect, name: str, protocol: int) -> None:
    """Without No Local, and always in 3.1.1."""
    client = joined(protocol)
    client.subscribe(name)
    client.send(wire.publish(name, b"echo", protocol=protocol))
    client.message(name, b"echo")


@covers("MQTT-3.3.4-3", "MQTT-3.3.4-4", "MQTT-3.3.4-5", "MQTT-3.3.4-2")
def test_overlapping_subscriptions(joined: Connect, name: str) -> None:
    """One message with all identifiers, or one for each subscription with its own; the best QoS is there."""
    client, other = joined(), joined()
    client.subscribe((f"{name}/a/b", 1), props=[(P.SUBSCRIPTION_IDENTIFIER, 1)])
    client.subscribe((f"{name}/+/b", 2), props=[(P.SUBSCRIPTION_IDENTIFIER, 200)])
    client.subscribe((f"{name}/#", 0), props=[(P.SUBSCRIPTION_IDENTIFIER, 268_435_455)])
    client.subscribe((f"{name}/c", 0), props=[(P.SUBSCRIPTION_IDENTIFIER, 4)])
    other.publish(f"{name}/a/b", b"x", qos=2)
    copies = messages_until_quiet(client)
    identifiers = [sorted(copy.all(P.SUBSCRIPTION_IDENTIFIER)) for copy in copies]  # type: ignore[type-var]
    qos = [copy.qos for copy in copies]
    if len(copies) == 1:
        assert identifiers == [[1, 200, 268_435_455]] and qos == [2]
    else:
        assert sorted(identifiers) == [[1], [200], [268_435_455]] and max(qos) == 2


@covers_311("MQTT-3.3.5-1")
@covers("MQTT-3.3.4-2")
def test_overlapping_subscriptions_without_identifiers(joined: Connect, name: str, protocol: int) -> None:
    client, other = joined(protocol), joined(protocol)
    client.subscribe((f"{name}/#", 0), (f"{name}/a", 1), (f"{name}/+", 2))
    for qos in (0, 1, 2):
        other.publish(f"{name}/a", b"x", qos=qos)
        copies = messages_until_quiet(client)
        assert 1 <= len(copies) <= 3
        assert max(copy.qos for copy in copies) == qos


def messages_until_quiet(client: RawClient) -> list[Packet]:
    """All messages that are there, their flows completed as they come."""
    found: list[Packet] = []
    client.send(wire.PINGREQ)
    ping = False
    unfinished = 0
    while not ping or unfinished:
        packet = client.recv()
        number = packet.packet_id or 0
        if packet.kind is Kind.PINGRESP:
            ping = True
        elif packet.kind is Kind.PUBREL:
            client.send(wire.ack(Kind.PUBCOMP, number))
            unfinished -= 1
        else:
            assert packet.kind is Kind.PUBLISH
            found.append(packet)
            if packet.qos == 1:
                client.send(wire.ack(Kind.PUBACK, number))
            elif packet.qos == 2:
                client.send(wire.ack(Kind.PUBREC, number))
                unfinished += 1
    return found


@covers("MQTT-3.3.4-3", "MQTT-3.8.4-3")
def test_subscription_identifier(joined: Connect, name: str) -> None:
    """It comes with each message; subscribing again changes it or takes it away."""
    client, other = joined(), joined()
    for identifier in (5, 127, 128, 16_384, None):
        props = [] if identifier is None else [(P.SUBSCRIPTION_IDENTIFIER, identifier)]
        client.subscribe((name, 1), props=props)
        for qos in (0, 1):
            other.publish(name, b"x", qos=qos)
            message = client.message(name, b"x")
            assert message.all(P.SUBSCRIPTION_IDENTIFIER) == ([] if identifier is None else [identifier])


@covers("MQTT-3.3.4-3")
def test_subscription_identifier_with_retained_messages(joined: Connect, name: str) -> None:
    joined().publish(name, b"x", retain=True)
    client = joined()
    client.send(wire.subscribe(1, (name, 0), props=[(P.SUBSCRIPTION_IDENTIFIER, 9)]))
    packets = {packet.kind: packet for packet in (client.recv(), client.recv())}
    assert packets[Kind.PUBLISH].all(P.SUBSCRIPTION_IDENTIFIER) == [9]


@covers("MQTT-3.3.4-3", "MQTT-3.1.2-23")
def test_subscription_identifier_is_part_of_the_session(connect: Connect, joined: Connect, name: str) -> None:
    client = connect()
    client.connect(name, clean=False, props=[(P.SESSION_EXPIRY, 60)])
    client.subscribe((f"{name}/t", 1), props=[(P.SUBSCRIPTION_IDENTIFIER, 42)])
    client.disconnect()
    other = joined()
    other.publish(f"{name}/t", b"while away", qos=1)
    again = connect()
    again.connect(name, clean=False, props=[(P.SESSION_EXPIRY, 60)])
    other.publish(f"{name}/t", b"now", qos=1)
    for payload in (b"while away", b"now"):
        assert again.message(payload=payload).all(P.SUBSCRIPTION_IDENTIFIER) == [42]


@covers("MQTT-3.10.4-1", "MQTT-3.10.4-2", "MQTT-3.10.4-4", "MQTT-3.10.4-5", "MQTT-3.11.3-2", "MQTT-2.2.1-6")
@covers_311("MQTT-3.10.4-1", "MQTT-3.10.4-2", "MQTT-3.10.4-4", "MQTT-3.10.4-5", "MQTT-2.3.1-7")
def test_unsubscribe(joined: Connect, name: str, protocol: int) -> None:
    client, other = joined(protocol), joined(protocol)
    client.subscribe(name)
    client.send(
        wire.unsubscribe(777, name, protocol=protocol), wire.unsubscribe(778, name, protocol=protocol)
    )
    client.expect(Kind.UNSUBACK, packet_id=777, reasons=(0,) if protocol == 5 else ())
    client.expect(Kind.UNSUBACK, packet_id=778, reasons=(0x11,) if protocol == 5 else ())
    other.publish(name, b"x", qos=1)
    client.quiet()


@covers("MQTT-3.10.4-6", "MQTT-3.11.3-1", "MQTT-3.11.3-2")
@covers_311("MQTT-3.10.4-6")
def test_unsubscribe_many(joined: Connect, name: str, protocol: int) -> None:
    client, other = joined(protocol), joined(protocol)
    client.subscribe(f"{name}/a", f"{name}/b", f"{name}/c", f"{name}/d")
    unsuback = client.unsubscribe(f"{name}/d", f"{name}/x", f"{name}/a", f"{name}/a")
    if protocol == 5:
        assert unsuback.reasons == (0, 0x11, 0, 0x11)
    for topic in "abcd":
        other.publish(f"{name}/{topic}", b"x")
    client.message(f"{name}/b")
    client.message(f"{name}/c")
    client.quiet()


@covers("MQTT-3.10.4-1", "MQTT-4.7.3-4")
@covers_311("MQTT-3.10.4-1", "MQTT-4.7.3-4")
def test_unsubscribe_compares_characters(joined: Connect, name: str, protocol: int) -> None:
    """Filters that match the same topics, or look alike, are different ones."""
    client, other = joined(protocol), joined(protocol)
    client.subscribe(f"{name}/+")
    for pattern in (f"{name}/#", f"{name}/a", f"{name.upper()}/+", f"{name}/+/", f"/{name}/+", "#"):
        assert client.unsubscribe(pattern).reasons == ((0x11,) if protocol == 5 else ()), pattern
    other.publish(f"{name}/a", b"x")
    client.message(f"{name}/a", b"x")


@covers("MQTT-3.10.4-3")
@covers_311("MQTT-3.10.4-3")
def test_unsubscribe_completes_what_has_begun(joined: Connect, name: str, protocol: int) -> None:
    client, other = joined(protocol), joined(protocol)
    client.subscribe((name, 2))
    other.publish(name, b"1", qos=1)
    other.publish(name, b"2", qos=2)
    first, second = client.message(payload=b"1", answer=False), client.message(payload=b"2", answer=False)
    client.unsubscribe(name)
    client.send(wire.ack(Kind.PUBACK, first.packet_id or 0), wire.ack(Kind.PUBREC, second.packet_id or 0))
    client.expect(Kind.PUBREL, packet_id=second.packet_id)
    client.send(wire.ack(Kind.PUBCOMP, second.packet_id or 0))
    client.quiet()


@covers("MQTT-3.10.4-3", "MQTT-4.4.0-1")
@covers_311("MQTT-3.10.4-3", "MQTT-4.4.0-1")
def test_unsubscribe_completes_after_a_reconnect(
    connect: Connect, joined: Connect, name: str, protocol: int
) -> None:
    props = [(P.SESSION_EXPIRY, 60)] if protocol == 5 else []
    client = connect(protocol)
    client.connect(name, clean=False, props=props)
    client.subscribe((f"{name}/t", 1))
    joined(protocol).publish(f"{name}/t", b"begun", qos=1)
    client.message(payload=b"begun", answer=False)
    client.unsubscribe(f"{name}/t")
    client.drop()
    again = connect(protocol)
    again.connect(name, clean=False, props=props)
    assert again.message(payload=b"begun").dup
    again.quiet()
