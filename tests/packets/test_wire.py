"""The data representations of 1.5 at their edges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttsec.errors import MalformedPacketError
from mqttsec.packets import FieldRow
from mqttsec.packets.wire import (
    MAX_VARIABLE_BYTE_INTEGER,
    Reader,
    RecordingReader,
    check_text,
    push_four_byte_integer,
    push_two_byte_integer,
    push_utf8_string,
    variable_byte_integer,
)


@pytest.mark.parametrize(("value", "raw"), [
    # Table 1-1.
    (0, "00"), (127, "7F"), (128, "8001"), (16_383, "FF7F"), (16_384, "808001"), (2_097_151, "FFFF7F"),
    (2_097_152, "80808001"), (268_435_455, "FFFFFF7F"),
])
def test_variable_byte_integers_of_table_1_1(value: int, raw: str) -> None:
    assert variable_byte_integer(value) == bytes.fromhex(raw)
    assert Reader(bytes.fromhex(raw)).variable_byte_integer("x") == value


@given(st.integers(0, MAX_VARIABLE_BYTE_INTEGER))
def test_variable_byte_integers_come_back(value: int) -> None:
    reader = Reader(variable_byte_integer(value) + b"\xff")
    assert reader.variable_byte_integer("x") == value and reader.remaining == 1


@given(st.binary(max_size=6))
def test_no_variable_byte_integer_has_two_forms(raw: bytes) -> None:
    # [MQTT-1.5.5-1]
    reader = Reader(raw)
    try:
        value = reader.variable_byte_integer("x")
    except MalformedPacketError:
        return
    assert variable_byte_integer(value) == raw[: reader.position]


@pytest.mark.parametrize("value", [-1, 268_435_456])
def test_no_variable_byte_integer(value: int) -> None:
    with pytest.raises(MalformedPacketError):
        variable_byte_integer(value)


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF_FFFF))
def test_integers_are_big_endian(two: int, four: int) -> None:
    out = bytearray()
    push_two_byte_integer(out, two, "x")
    push_four_byte_integer(out, four, "x")
    assert out == two.to_bytes(2, "big") + four.to_bytes(4, "big")
    reader = Reader(bytes(out))
    assert (reader.two_byte_integer("x"), reader.four_byte_integer("x"), reader.remaining) == (two, four, 0)


def test_the_string_example_of_1_5_4() -> None:
    # "A" and U+2A6D4, which is above the Basic Multilingual Plane.
    out = bytearray()
    push_utf8_string(out, "A\U0002a6d4", "x")
    assert out == bytes.fromhex("0005 41F0AA9B94")
    assert Reader(bytes(out)).utf8_string("x") == "A\U0002a6d4"


def test_a_byte_order_mark_stays() -> None:
    # [MQTT-1.5.4-3]
    assert Reader(bytes.fromhex("0004 EFBBBF61")).utf8_string("x") == "\ufeffa"


@pytest.mark.parametrize("character", [
    "\0", "\x01", "\x1f", "\x7f", "\x80", "\x9f", "\ufdd0", "\ufdef", "\ufffe", "\uffff", "\U0001fffe",
    "\U0010ffff"])
def test_characters_that_may_not_stand_in_a_string(character: str) -> None:
    with pytest.raises(MalformedPacketError):
        check_text(f"a{character}b")


@pytest.mark.parametrize("character", [
    " ", "~", "\xa0", "\xad", "\u200b", "\u2028", "\ue000", "\ufdcf", "\ufdf0", "\ufeff", "\ufffd",
    "\U00010000", "\U0010fffd", "\u0378"])
def test_characters_next_to_them_may(character: str) -> None:
    assert check_text(f"a{character}b") == f"a{character}b"


def test_both_readers_pull_the_same() -> None:
    data = bytes.fromhex("07 0102 01020304 FF7F 0002 0102 0001 61 0001 62 0001 63 64")
    values = []
    for reader in (Reader(data), RecordingReader(data)):
        values.append([
            reader.byte("byte"), reader.two_byte_integer("two"), reader.four_byte_integer("four"),
            reader.variable_byte_integer("variable"), reader.binary_data("binary"),
            reader.utf8_string("text"), reader.utf8_string_pair("pair"), reader.rest("rest"),
            reader.remaining])
    assert values[0] == values[1] == [7, 0x0102, 0x01020304, 16_383, b"\1\2", "a", ("b", "c"), b"d", 0]
    assert isinstance(reader, RecordingReader)
    assert [(row.name, row.offset, row.length) for row in reader.rows] == [
        ("byte", 0, 1), ("two", 1, 2), ("four", 3, 4), ("variable", 7, 2), ("binary", 9, 4), ("text", 13, 3),
        ("pair name", 16, 3), ("pair value", 19, 3), ("rest", 22, 1)]


@pytest.mark.parametrize("pull", ["byte", "two_byte_integer", "four_byte_integer", "variable_byte_integer",
                                  "binary_data", "utf8_string", "utf8_string_pair"])
def test_every_pull_stops_at_the_limit(pull: str) -> None:
    # The limit stands before the end of the data: a property may not reach past its Property Length.
    for reader in (Reader(bytes(20)), RecordingReader(bytes(20))):
        outer = reader.enter(0)
        with pytest.raises(MalformedPacketError):
            getattr(reader, pull)("x")
        reader.leave(outer)
        assert reader.remaining == 20
    with pytest.raises(MalformedPacketError):
        Reader(b"abc").enter(4)


def test_payload_that_is_no_text_is_shown_in_hex() -> None:
    reader = RecordingReader(b"\xff\x00")
    reader.rest("Application Message")
    assert reader.rows == [FieldRow("Application Message", 0, 2, "ff 00", "2 bytes")]
