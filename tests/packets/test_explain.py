"""The byte explanation: every byte in one row, in order, in agreement with the decoder."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqttsec.errors import ConfigurationError, ProtocolError
from mqttsec.packets import (
    MQTT_3_1_1,
    MQTT_5,
    Connect,
    FieldRow,
    Publish,
    decode,
    encode,
    explain,
    explain_text,
)
from mqttsec.packets.properties import PROPERTY_TABLE
from tests.packets.corpus import CORPUS, Seed
from tests.packets.mutation import Mutator
from tests.packets.strategies import any_packet


def check_rows(frame: bytes, protocol: int) -> tuple[FieldRow, ...]:
    """The rows of `frame`, after the checks that hold for any bytes."""
    rows = explain(frame, protocol)
    position = 0
    for row in rows:
        if row.length:
            assert row.offset == position, f"{row} leaves a gap or overlaps"
            position += row.length
        elif row.name in ("fault", "Application Message"):
            assert row.offset == position
        else:
            # A part belongs to the byte before it.
            assert row.offset == position - 1
    assert position == len(frame)
    faults = [row for row in rows if row.name == "fault"]
    try:
        decode(frame, protocol)
    except ProtocolError as error:
        assert faults == [rows[-1]] and rows[-1].meaning == str(error)
        assert rows[-1].value == frame[rows[-1].offset:].hex(" ")
    else:
        assert not faults
    return rows


@pytest.mark.parametrize("seed", CORPUS, ids=lambda seed: seed.name)
def test_rows_cover_the_corpus(seed: Seed) -> None:
    rows = check_rows(seed.frame, seed.protocol)
    names = [row.name for row in rows]
    own = getattr(seed.packet, "properties", None)
    for attribute, value in own.present() if own is not None else ():
        title = next(row.title for row in PROPERTY_TABLE.values() if row.attribute == attribute)
        if attribute == "user_property":
            pairs = [row.value for row in rows if row.name.startswith(f"{title} ")]
            assert pairs[-2 * len(value):] == [repr(text) for pair in value for text in pair]
        elif attribute == "subscription_identifier":
            assert [row.value for row in rows if row.name == title] == [str(number) for number in value]
        else:
            assert title in names


@settings(max_examples=150, deadline=None)
@given(data=st.data(), protocol=st.sampled_from([MQTT_5, MQTT_3_1_1]))
def test_rows_cover_any_packet(data: st.DataObject, protocol: int) -> None:
    packet = data.draw(any_packet(protocol))
    check_rows(encode(packet, protocol), protocol)


@pytest.mark.parametrize("protocol", [MQTT_5, MQTT_3_1_1])
def test_rows_cover_damaged_packets(protocol: int) -> None:
    mutator = Mutator(seed=7, protocol=protocol)
    for _ in range(3_000):
        frame = mutator.damaged()
        check_rows(frame, protocol)
        check_rows(frame[: mutator.random.randrange(len(frame) + 1)], protocol)


def test_a_publish_row_by_row() -> None:
    frame = encode(Publish("a/b", b"12.8", 1, True, False, 10))
    assert explain(frame) == (
        FieldRow("Fixed Header", 0, 1, "0x33"),
        FieldRow("Control Packet type", 0, 0, "3", "PUBLISH"),
        FieldRow("DUP", 0, 0, "0"),
        FieldRow("QoS", 0, 0, "1", "at least once"),
        FieldRow("RETAIN", 0, 0, "1"),
        FieldRow("Remaining Length", 1, 1, "12"),
        FieldRow("Topic Name", 2, 5, "'a/b'", "UTF-8 Encoded String, 3 bytes after a two-byte length"),
        FieldRow("Packet Identifier", 7, 2, "10"),
        FieldRow("Property Length", 9, 1, "0"),
        FieldRow("Application Message", 10, 4, "'12.8'", "4 bytes"),
    )


def test_a_fault_covers_what_makes_no_field() -> None:
    # The Topic Name says 9 bytes and has 3.
    frame = bytes.fromhex("30 05 0009 612F62")
    assert explain(frame)[-2:] == (
        FieldRow("Remaining Length", 1, 1, "5"),
        FieldRow("fault", 2, 5, "00 09 61 2f 62", "Topic Name: the packet ends 6 bytes too early"),
    )


def test_a_fault_of_meaning_covers_no_byte() -> None:
    frame = bytes.fromhex("32 07 0003 612F62 0000")
    assert explain(frame, MQTT_3_1_1)[-1] == FieldRow("fault", 9, 0, "", "the Packet Identifier is 0")


def test_the_text_table_is_as_wide_as_asked() -> None:
    frame = encode(Connect("station", username="user", password=b"secret"))
    text = explain_text(frame, width=80)
    assert all(len(line) <= 80 for line in text.splitlines())
    rows = [line for line in text.splitlines() if line[:30].strip()]
    assert len(rows) == len(explain(frame)) + 1
    assert "  MQTT 5.0" not in text and "(MQTT 5.0)" in text


def test_a_long_meaning_has_a_line_of_its_own() -> None:
    frame = encode(Publish("seattle/temperature", b"20.6"))
    lines = explain_text(frame, width=104).splitlines()
    at = next(number for number, line in enumerate(lines) if "Topic Name" in line)
    assert lines[at].endswith("'seattle/temperature'")
    assert lines[at + 1].strip() == "(UTF-8 Encoded String, 19 bytes after a two-byte length)"
    assert lines[at + 1].index("(") == lines[at].index("'")


def test_explaining_nothing() -> None:
    (row,) = explain(b"")
    assert (row.name, row.offset, row.length) == ("fault", 0, 0)
    assert "fault" in explain_text(b"")


@pytest.mark.parametrize("wrong", [None, "100c", 16, [16, 12]])
def test_explain_says_what_it_wants(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="the bytes of one packet, not .*`packet` of an event"):
        explain(wrong)
    with pytest.raises(ConfigurationError, match="the bytes of one packet"):
        explain_text(wrong)


@pytest.mark.parametrize("wrong", [None, "5", 7])
def test_explain_knows_two_protocols(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="protocol 4 .* and 5"):
        explain(b"\xc0\x00", wrong)


def test_explain_takes_any_kind_of_bytes() -> None:
    assert explain(bytearray(b"\xc0\x00")) == explain(memoryview(b"\xc0\x00")) == explain(b"\xc0\x00")
