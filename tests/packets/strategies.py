"""Hypothesis strategies for every packet that the standard allows, in both protocol versions."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from hypothesis import strategies as st

from mqttsec.packets import (
    MQTT_3_1_1,
    MQTT_5,
    NO_PROPERTIES,
    PROPERTY_TABLE,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    PacketType,
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
    SubscribeFilter,
    Unsuback,
    Unsubscribe,
    Will,
)
from mqttsec.packets.properties import Where
from mqttsec.packets.reason_codes import ALLOWED_REASON_CODES

NONCHARACTERS = "".join(map(chr, range(0xFDD0, 0xFDF0))) + "".join(
    chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF)
)
CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=NONCHARACTERS)

# Most strings are short; now and then one is as long as the two length bytes allow.
texts = (st.text(CHARACTERS, max_size=12) | st.sampled_from(["\ufeffBOM stays", "\U0010fffd"])
         | st.just(65_535).map("x".__mul__))
binaries = st.binary(max_size=12) | st.just(65_535).map(b"\xff".__mul__)
levels = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"],
                               exclude_characters=NONCHARACTERS + "+#/"), max_size=4)
topics = st.lists(levels, min_size=1, max_size=4).map("/".join).filter(bool)
plain_filters = (
    st.tuples(st.lists(levels | st.just("+"), max_size=3), st.sampled_from([[], ["#"]]))
    .map(lambda parts: "/".join(parts[0] + parts[1]))
    .filter(lambda text: text and not text.startswith("$share/"))
)
shared_filters = st.builds(lambda name, plain: f"$share/{name}/{plain}", levels.filter(bool), plain_filters)
topic_filters = plain_filters | shared_filters
packet_ids = st.integers(1, 65_535)
qoses = st.integers(0, 2)

_LARGEST = {"byte": 0xFF, "two_byte_integer": 0xFFFF, "four_byte_integer": 0xFFFF_FFFF,
            "variable_byte_integer": 268_435_455}


def _value(attribute: str) -> st.SearchStrategy[Any]:
    row = next(row for row in PROPERTY_TABLE.values() if row.attribute == attribute)
    if attribute == "response_topic":
        return topics
    if row.kind in _LARGEST:
        largest = _LARGEST[row.kind] if row.largest is None else row.largest
        return st.integers(row.smallest or 0, largest)
    values = {"utf8_string": texts, "binary_data": binaries, "utf8_string_pair": st.tuples(texts, texts)}
    return values[row.kind]


def properties(where: Where) -> st.SearchStrategy[Properties]:
    """Any set of the properties that may stand in `where`."""
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for row in PROPERTY_TABLE.values():
        if where in row.where:
            value = _value(row.attribute)
            if row.repeatable:
                most = 1 if (where, row.attribute) == (Where.SUBSCRIBE, "subscription_identifier") else 3
                value = st.lists(value, min_size=1, max_size=most).map(tuple)
            optional[row.attribute] = value

    def make(found: dict[str, Any]) -> Properties:
        # Authentication Data needs a method (3.1.2.11.10).
        if "authentication_data" in found:
            found.setdefault("authentication_method", "SCRAM-SHA-256")
        return Properties(**found)

    return st.fixed_dictionaries({}, optional=optional).map(make)


def _reason(packet_type: PacketType) -> st.SearchStrategy[int]:
    return st.sampled_from(sorted(ALLOWED_REASON_CODES[packet_type]))


def _own(protocol: int, where: Where) -> st.SearchStrategy[Properties]:
    return properties(where) if protocol == MQTT_5 else st.just(NO_PROPERTIES)


def connects(protocol: int) -> st.SearchStrategy[Connect]:
    """CONNECT; MQTT 3.1.1 has no Password without a User Name."""
    will = st.builds(Will, topics, binaries, qoses, st.booleans(), _own(protocol, Where.WILL))
    credentials = st.one_of(
        st.just((None, None)), st.tuples(texts, st.none() | binaries),
        *([st.tuples(st.none(), binaries)] if protocol == MQTT_5 else []),
    )
    return st.builds(
        lambda client_id, clean, keep_alive, names, will, own: Connect(
            client_id, clean, keep_alive, names[0], names[1], will, own, protocol),
        texts, st.booleans(), st.integers(0, 65_535), credentials, st.none() | will,
        _own(protocol, Where.CONNECT),
    )


def connacks(protocol: int) -> st.SearchStrategy[Connack]:
    """CONNACK; Session Present goes with success only."""
    codes = _reason(PacketType.CONNACK) if protocol == MQTT_5 else st.integers(0, 5)
    return st.builds(lambda present, code, own: Connack(present and not code, code, own),
                     st.booleans(), codes, _own(protocol, Where.CONNACK))


def publishes(protocol: int) -> st.SearchStrategy[Publish]:
    """PUBLISH with a Topic Name or, in MQTT 5, a Topic Alias alone."""
    def make(topic: str, payload: bytes, qos: int, retain: bool, dup: bool, number: int, own: Properties,
             aliased: bool) -> Publish:
        if aliased and own.topic_alias is not None:
            topic = ""
        return Publish(topic, payload, qos, retain, dup and qos > 0, number if qos else None, own)

    return st.builds(make, topics, binaries, qoses, st.booleans(), st.booleans(), packet_ids,
                     _own(protocol, Where.PUBLISH), st.booleans())


def _answers(make: Any, protocol: int) -> st.SearchStrategy[Any]:
    if protocol != MQTT_5:
        return st.builds(make, packet_ids)
    return st.builds(make, packet_ids, _reason(make.packet_type), properties(Where[make.packet_type.name]))


def subscribes(protocol: int) -> st.SearchStrategy[Subscribe]:
    """SUBSCRIBE; No Local never with a shared subscription."""
    def make(text: str, qos: int, no_local: bool, as_published: bool, handling: int) -> SubscribeFilter:
        if protocol != MQTT_5:
            return SubscribeFilter(text, qos)
        return SubscribeFilter(text, qos, no_local and not text.startswith("$share/"), as_published, handling)

    one = st.builds(make, topic_filters, qoses, st.booleans(), st.booleans(), qoses)
    return st.builds(Subscribe, packet_ids, st.lists(one, min_size=1, max_size=3).map(tuple),
                     _own(protocol, Where.SUBSCRIBE))


def _coded(make: Any, protocol: int) -> st.SearchStrategy[Any]:
    if protocol == MQTT_5:
        codes = _reason(make.packet_type)
    elif make is Suback:
        codes = st.sampled_from([0, 1, 2, 0x80])
    else:
        return st.builds(make, packet_ids)
    return st.builds(make, packet_ids, st.lists(codes, min_size=1, max_size=3).map(tuple),
                     _own(protocol, Where[make.packet_type.name]))


def auths() -> st.SearchStrategy[Auth]:
    """AUTH: bare Success, or any code with an Authentication Method."""
    def make(code: int, method: str, own: Properties) -> Auth:
        return Auth(code, replace(own, authentication_method=method))

    return st.just(Auth()) | st.builds(make, _reason(PacketType.AUTH), texts, properties(Where.AUTH))


@cache
def packets(packet_type: PacketType, protocol: int) -> st.SearchStrategy[Packet]:
    """Any packet of one type that may be sent in this version of the protocol."""
    of: dict[PacketType, st.SearchStrategy[Any]] = {
        PacketType.CONNECT: connects(protocol),
        PacketType.CONNACK: connacks(protocol),
        PacketType.PUBLISH: publishes(protocol),
        PacketType.PUBACK: _answers(Puback, protocol),
        PacketType.PUBREC: _answers(Pubrec, protocol),
        PacketType.PUBREL: _answers(Pubrel, protocol),
        PacketType.PUBCOMP: _answers(Pubcomp, protocol),
        PacketType.SUBSCRIBE: subscribes(protocol),
        PacketType.SUBACK: _coded(Suback, protocol),
        PacketType.UNSUBSCRIBE: st.builds(Unsubscribe, packet_ids,
                                          st.lists(topic_filters, min_size=1, max_size=3).map(tuple),
                                          _own(protocol, Where.UNSUBSCRIBE)),
        PacketType.UNSUBACK: _coded(Unsuback, protocol),
        PacketType.PINGREQ: st.just(Pingreq()),
        PacketType.PINGRESP: st.just(Pingresp()),
        PacketType.DISCONNECT: st.just(Disconnect()) if protocol != MQTT_5 else st.builds(
            Disconnect, _reason(PacketType.DISCONNECT), properties(Where.DISCONNECT)),
        PacketType.AUTH: auths(),
    }
    return of[packet_type]


def kinds() -> list[tuple[PacketType, int]]:
    """Every (packet type, protocol) that exists."""
    return [(packet_type, protocol) for protocol in (MQTT_5, MQTT_3_1_1) for packet_type in PacketType
            if (packet_type, protocol) != (PacketType.AUTH, MQTT_3_1_1)]


def any_packet(protocol: int) -> st.SearchStrategy[Packet]:
    """Any packet of any type."""
    return st.one_of([packets(kind, version) for kind, version in kinds() if version == protocol])
