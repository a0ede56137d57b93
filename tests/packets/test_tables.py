"""The tables of the package against the tables of the standard, typed in here a second time by packet."""

from __future__ import annotations

from dataclasses import fields

import pytest

from mqttsec.packets import PROPERTY_TABLE, PacketType, Properties, PropertyId, ReasonCode, reason_name
from mqttsec.packets.properties import Where
from mqttsec.packets.reason_codes import (
    ALLOWED_REASON_CODES,
    CLIENT_DISCONNECT_CODES,
    SERVER_DISCONNECT_CODES,
    ConnectReturnCode,
    connect_return_code,
)

# Table 2-4: identifier, name, type, packets.
TABLE_2_4 = """
01 Payload Format Indicator          | Byte                  | PUBLISH, Will Properties
02 Message Expiry Interval           | Four Byte Integer     | PUBLISH, Will Properties
03 Content Type                      | UTF-8 Encoded String  | PUBLISH, Will Properties
08 Response Topic                    | UTF-8 Encoded String  | PUBLISH, Will Properties
09 Correlation Data                  | Binary Data           | PUBLISH, Will Properties
0B Subscription Identifier           | Variable Byte Integer | PUBLISH, SUBSCRIBE
11 Session Expiry Interval           | Four Byte Integer     | CONNECT, CONNACK, DISCONNECT
12 Assigned Client Identifier        | UTF-8 Encoded String  | CONNACK
13 Server Keep Alive                 | Two Byte Integer      | CONNACK
15 Authentication Method             | UTF-8 Encoded String  | CONNECT, CONNACK, AUTH
16 Authentication Data               | Binary Data           | CONNECT, CONNACK, AUTH
17 Request Problem Information       | Byte                  | CONNECT
18 Will Delay Interval               | Four Byte Integer     | Will Properties
19 Request Response Information      | Byte                  | CONNECT
1A Response Information              | UTF-8 Encoded String  | CONNACK
1C Server Reference                  | UTF-8 Encoded String  | CONNACK, DISCONNECT
1F Reason String                     | UTF-8 Encoded String  | CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, \
SUBACK, UNSUBACK, DISCONNECT, AUTH
21 Receive Maximum                   | Two Byte Integer      | CONNECT, CONNACK
22 Topic Alias Maximum               | Two Byte Integer      | CONNECT, CONNACK
23 Topic Alias                       | Two Byte Integer      | PUBLISH
24 Maximum QoS                       | Byte                  | CONNACK
25 Retain Available                  | Byte                  | CONNACK
26 User Property                     | UTF-8 String Pair     | CONNECT, CONNACK, PUBLISH, Will Properties, \
PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, DISCONNECT, AUTH
27 Maximum Packet Size               | Four Byte Integer     | CONNECT, CONNACK
28 Wildcard Subscription Available   | Byte                  | CONNACK
29 Subscription Identifier Available | Byte                  | CONNACK
2A Shared Subscription Available     | Byte                  | CONNACK
"""
ROWS_2_4 = TABLE_2_4.strip().splitlines()

# Table 2-6: value, name, packets.
TABLE_2_6 = """
00 Success                                | CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK, AUTH
00 Normal disconnection                   | DISCONNECT
00 Granted QoS 0                          | SUBACK
01 Granted QoS 1                          | SUBACK
02 Granted QoS 2                          | SUBACK
04 Disconnect with Will Message           | DISCONNECT
10 No matching subscribers                | PUBACK, PUBREC
11 No subscription existed                | UNSUBACK
18 Continue authentication                | AUTH
19 Re-authenticate                        | AUTH
80 Unspecified error                      | CONNACK, PUBACK, PUBREC, SUBACK, UNSUBACK, DISCONNECT
81 Malformed Packet                       | CONNACK, DISCONNECT
82 Protocol Error                         | CONNACK, DISCONNECT
83 Implementation specific error          | CONNACK, PUBACK, PUBREC, SUBACK, UNSUBACK, DISCONNECT
84 Unsupported Protocol Version           | CONNACK
85 Client Identifier not valid            | CONNACK
86 Bad User Name or Password              | CONNACK
87 Not authorized                         | CONNACK, PUBACK, PUBREC, SUBACK, UNSUBACK, DISCONNECT
88 Server unavailable                     | CONNACK
89 Server busy                            | CONNACK, DISCONNECT
8A Banned                                 | CONNACK
8B Server shutting down                   | DISCONNECT
8C Bad authentication method              | CONNACK, DISCONNECT
8D Keep Alive timeout                     | DISCONNECT
8E Session taken over                     | DISCONNECT
8F Topic Filter invalid                   | SUBACK, UNSUBACK, DISCONNECT
90 Topic Name invalid                     | CONNACK, PUBACK, PUBREC, DISCONNECT
91 Packet Identifier in use               | PUBACK, PUBREC, SUBACK, UNSUBACK
92 Packet Identifier not found            | PUBREL, PUBCOMP
93 Receive Maximum exceeded               | DISCONNECT
94 Topic Alias invalid                    | DISCONNECT
95 Packet too large                       | CONNACK, DISCONNECT
96 Message rate too high                  | DISCONNECT
97 Quota exceeded                         | CONNACK, PUBACK, PUBREC, SUBACK, DISCONNECT
98 Administrative action                  | DISCONNECT
99 Payload format invalid                 | CONNACK, PUBACK, PUBREC, DISCONNECT
9A Retain not supported                   | CONNACK, DISCONNECT
9B QoS not supported                      | CONNACK, DISCONNECT
9C Use another server                     | CONNACK, DISCONNECT
9D Server moved                           | CONNACK, DISCONNECT
9E Shared Subscriptions not supported     | SUBACK, DISCONNECT
9F Connection rate exceeded               | CONNACK, DISCONNECT
A0 Maximum connect time                   | DISCONNECT
A1 Subscription Identifiers not supported | SUBACK, DISCONNECT
A2 Wildcard Subscriptions not supported   | SUBACK, DISCONNECT
"""
ROWS_2_6 = TABLE_2_6.strip().splitlines()

TYPES = {
    "Byte": "byte", "Two Byte Integer": "two_byte_integer", "Four Byte Integer": "four_byte_integer",
    "Variable Byte Integer": "variable_byte_integer", "UTF-8 Encoded String": "utf8_string",
    "Binary Data": "binary_data", "UTF-8 String Pair": "utf8_string_pair",
}

# The bounds that the text of 3.1.2.11, 3.2.2.3, 3.3.2.3 and 3.8.2.1 sets: (smallest, largest).
BOUNDS = {
    "Payload Format Indicator": (None, 1), "Request Problem Information": (None, 1),
    "Request Response Information": (None, 1), "Maximum QoS": (None, 1), "Retain Available": (None, 1),
    "Wildcard Subscription Available": (None, 1), "Subscription Identifier Available": (None, 1),
    "Shared Subscription Available": (None, 1), "Receive Maximum": (1, None),
    "Maximum Packet Size": (1, None), "Topic Alias": (1, None), "Subscription Identifier": (1, 268_435_455),
}


@pytest.mark.parametrize("line", ROWS_2_4, ids=lambda line: line[3:36].strip())
def test_table_2_4(line: str) -> None:
    name, kind, where = (part.strip() for part in line[3:].split("|"))
    row = PROPERTY_TABLE[int(line[:2], 16)]
    assert row.identifier == int(line[:2], 16) and row.title == name
    assert row.kind == TYPES[kind]
    assert row.where == {Where(place) for place in where.split(", ")}
    assert (row.smallest, row.largest) == BOUNDS.get(name, (None, None))
    # 3.3.2.3.4 has a Reason Code of its own for a bad Topic Alias; all other bounds are Protocol Errors.
    assert row.refusal == (0x94 if name == "Topic Alias" else 0x82)
    assert hasattr(Properties(), row.attribute)


def test_table_2_4_is_complete() -> None:
    assert len(ROWS_2_4) == len(PROPERTY_TABLE) == len(PropertyId) == 27
    assert [field.name for field in fields(Properties)] == [row.attribute for row in PROPERTY_TABLE.values()]
    assert [row.identifier for row in PROPERTY_TABLE.values() if row.repeatable] == [0x0B, 0x26]


@pytest.mark.parametrize("line", ROWS_2_6, ids=lambda line: line[:2] + line[3:41].rstrip())
def test_table_2_6(line: str) -> None:
    code = int(line[:2], 16)
    name, where = (part.strip() for part in line[3:].split("|"))
    for place in where.split(", "):
        packet_type = PacketType[place]
        assert code in ALLOWED_REASON_CODES[packet_type]
        said = reason_name(code, packet_type)
        assert said.replace("-", " ").lower() == f"0x{code:02X} {name}".replace("-", " ").lower()
    assert ReasonCode(code) == code


def test_table_2_6_is_complete() -> None:
    rows = {(int(line[:2], 16), PacketType[place])
            for line in ROWS_2_6 for place in line.split("|")[1].strip().split(", ")}
    assert rows == {(code, kind) for kind, codes in ALLOWED_REASON_CODES.items() for code in codes}
    assert {code for code, _ in rows} == set(ReasonCode)


def test_who_may_disconnect_with_what() -> None:
    # 3.14.2.1, column "Sent by".
    client_only = {0x04}
    server_only = {0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, *range(0x9A, 0xA3)}
    assert CLIENT_DISCONNECT_CODES - SERVER_DISCONNECT_CODES == client_only
    assert SERVER_DISCONNECT_CODES - CLIENT_DISCONNECT_CODES == server_only
    assert CLIENT_DISCONNECT_CODES | SERVER_DISCONNECT_CODES == ALLOWED_REASON_CODES[PacketType.DISCONNECT]


@pytest.mark.parametrize(("reason_code", "return_code"), [
    (0x00, 0), (0x84, 1), (0x85, 2), (0x88, 3), (0x89, 3), (0x86, 4), (0x87, 5), (0x8A, 5), (0x8C, 5),
    (0x80, 3), (0x97, 3), (0x77, 3),
])
def test_return_codes_of_3_1_1(reason_code: int, return_code: int) -> None:
    assert connect_return_code(reason_code) == return_code
    assert len(ConnectReturnCode) == 6


def test_an_unassigned_reason_code_is_named_by_its_number() -> None:
    assert reason_name(0x77) == "0x77" and reason_name(0x77, PacketType.SUBACK) == "0x77"


def test_packet_types() -> None:
    # Table 2-1.
    names = ("CONNECT CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK "
             "PINGREQ PINGRESP DISCONNECT AUTH").split()
    assert [(kind.name, int(kind)) for kind in PacketType] == list(zip(names, range(1, 16), strict=True))
