"""One line a packet; whatever bytes come, a label and never an exception."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

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
    SubscribeFilter,
    Unsuback,
    Unsubscribe,
    Will,
    encode,
)
from mqttsec.trace import packet_label, packet_name
from mqttsec.trace.labels import GLUE, cells, glued_label, printable, shorten, wrap

SCRAM = Properties(authentication_method="SCRAM-SHA-256", authentication_data=b"n,,n=lab")

LABELS = [
    (Connect("alice"), 5, 'CONNECT "alice" clean keep alive 60 s'),
    (
        Connect(
            "a",
            clean_start=False,
            keep_alive=0,
            username="u",
            password=b"p",
            will=Will("w"),
            properties=SCRAM,
        ),
        5,
        'CONNECT "a" resume keep alive 0 s user "u" password will "w" method "SCRAM-SHA-256" data 8 B',
    ),
    (Connect("a", protocol=4), 4, 'CONNECT "a" MQTT 3.1.1 clean keep alive 60 s'),
    (Connack(), 5, "CONNACK Success"),
    (Connack(True), 5, "CONNACK Success session present"),
    (Connack(reason_code=0x87), 5, "CONNACK 0x87 Not authorized"),
    (Connack(properties=Properties(assigned_client_identifier="x1")), 5, 'CONNACK Success client id "x1"'),
    (Connack(reason_code=5), 4, "CONNACK 5 Not authorized"),
    (Publish("site/seattle", bytes(20), 1, packet_id=7), 5, 'PUBLISH QoS 1 id 7 "site/seattle" 39 B'),
    (Publish("a", b"", 2, True, True, 9), 4, 'PUBLISH QoS 2 id 9 DUP RETAIN "a" 7 B'),
    (Publish("", b"x", properties=Properties(topic_alias=3)), 5, "PUBLISH QoS 0 alias 3 9 B"),
    (Publish("a", b"x", properties=Properties(topic_alias=3)), 5, 'PUBLISH QoS 0 "a" alias 3 10 B'),
    (Puback(7), 5, "PUBACK id 7"),
    (Puback(7, 0x10), 5, "PUBACK id 7 0x10 No matching subscribers"),
    (Pubrec(7), 4, "PUBREC id 7"),
    (Pubrel(7, 0x92), 5, "PUBREL id 7 0x92 Packet identifier not found"),
    (Pubcomp(7), 5, "PUBCOMP id 7"),
    (
        Subscribe(1, (SubscribeFilter("a/#", 1), SubscribeFilter("b", 0))),
        5,
        'SUBSCRIBE id 1 "a/#" QoS 1, "b" QoS 0',
    ),
    (
        Subscribe(1, tuple(SubscribeFilter(name) for name in "abcde")),
        4,
        'SUBSCRIBE id 1 "a" QoS 0, "b" QoS 0, "c" QoS 0 and 2 more',
    ),
    (Suback(1, (1, 0x87)), 5, "SUBACK id 1 QoS 1, 0x87 Not authorized"),
    (Unsubscribe(2, ("a/#",)), 5, 'UNSUBSCRIBE id 2 "a/#"'),
    (Unsuback(2, (0,)), 5, "UNSUBACK id 2"),
    (Unsuback(2), 4, "UNSUBACK id 2"),
    (Unsuback(2, (0, 0x11)), 5, "UNSUBACK id 2 0x00 Success, 0x11 No subscription existed"),
    (Pingreq(), 5, "PINGREQ"),
    (Pingresp(), 4, "PINGRESP"),
    (Disconnect(), 5, "DISCONNECT"),
    (Disconnect(0x8E), 5, "DISCONNECT 0x8E Session taken over"),
    (Auth(0x18, SCRAM), 5, 'AUTH 0x18 Continue authentication method "SCRAM-SHA-256" data 8 B'),
]


@pytest.mark.parametrize(("packet", "protocol", "label"), LABELS, ids=[label for _, _, label in LABELS])
def test_label(packet: Packet, protocol: int, label: str) -> None:
    assert packet_label(encode(packet, protocol), protocol) == label


def test_password_is_in_no_label() -> None:
    assert "hunter2" not in packet_label(encode(Connect("a", username="u", password=b"hunter2")))


def test_malformed_packet_says_so() -> None:
    whole = encode(Publish("topic", b"x", 1, packet_id=7))
    assert packet_label(whole[:-3]).startswith("malformed PUBLISH 10 B: ")
    assert packet_label(b"\x00\x00").startswith("malformed type 0 2 B: ")


def test_hidden_packet_shows_its_length_alone() -> None:
    assert packet_label(b"", 5, 61) == "TLS 61 B"
    assert packet_label(b"") == "nothing"


def test_long_topic_is_shortened_in_the_middle() -> None:
    label = packet_label(encode(Publish("start/" + "x" * 500 + "/end")))
    assert len(label) < 70
    assert '"start/' in label and '/end"' in label


def test_topic_cannot_fake_lines_or_direction() -> None:
    label = packet_label(encode(Publish("a\u202eb\u00a0c")))
    assert '"a\\u202eb\\xa0c"' in label


@given(st.binary(max_size=60), st.sampled_from([4, 5]))
@example(b"", 5)
@example(b"\xff\xff\xff\xff\xff", 5)
def test_any_bytes_have_a_label_of_one_line(frame: bytes, protocol: int) -> None:
    label = packet_label(frame, protocol)
    assert label and label.isprintable()
    assert glued_label(frame, protocol).replace(GLUE, " ") == label
    assert packet_name(frame)


@given(st.text(max_size=60), st.integers(1, 30))
def test_wrapped_lines_fit_and_lose_nothing(text: str, width: int) -> None:
    text = printable(text)
    lines = wrap(text, width)
    wide = any(cells(character) > width for character in text)
    assert wide or all(cells(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@given(st.text(max_size=60), st.integers(3, 30))
def test_shortened_text_fits_and_keeps_both_ends(text: str, width: int) -> None:
    short = shorten(text, width)
    assert cells(short) <= width
    assert short == text or ".." in short


def test_wrap_breaks_a_long_topic_between_its_levels() -> None:
    assert wrap("PUBLISH seattle/weather/station/temperature", 20) == [
        "PUBLISH", "seattle/weather/", "station/temperature",
    ]
    assert wrap("a/temperature_of_the_sea", 12) == ["a/", "temperature_", "of_the_sea"]


def test_wrap_breaks_at_glue_only_if_it_must() -> None:
    text = f"id{GLUE}7 QoS{GLUE}1"
    assert wrap(text, 6) == ["id 7", "QoS 1"]
    assert wrap(text, 3) == ["id", "7", "QoS", "1"]


def test_wide_characters_take_two_cells_and_marks_none() -> None:
    assert cells("abc") == 3
    assert cells("温度") == 4
    assert cells("e\u0301") == 1
