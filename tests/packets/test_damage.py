"""Damaged packets: always `ProtocolError` (or its `MalformedPacketError`), never another exception."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqttsec.errors import MalformedPacketError, ProtocolError
from mqttsec.packets import MQTT_3_1_1, MQTT_5, Packet, ReasonCode, decode, encode, explain
from tests.packets.corpus import CORPUS, Seed, body_of, with_length
from tests.packets.mutation import Mutator

SIDES = (None, True, False)


def outcome(frame: bytes, protocol: int) -> Packet | None:
    """The packet that `frame` is, or None where it is refused as the standard says."""
    packet: Packet | None = None
    for from_client in SIDES:
        try:
            found = decode(frame, protocol, from_client)
        except ProtocolError as error:
            assert error.reason_code in set(ReasonCode) and error.reason_code >= 0x80
            assert isinstance(error, MalformedPacketError) or error.reason_code != 0x81
            assert str(error)
        else:
            # What is a packet from one side is the same packet from the other, or refused there.
            assert packet is None or packet == found
            packet = found
    if packet is not None:
        version = getattr(packet, "protocol", protocol)
        assert decode(encode(packet, version), version) == packet
    return packet


@pytest.mark.parametrize("seed", CORPUS, ids=lambda seed: seed.name)
def test_every_packet_cut_off_anywhere_is_malformed(seed: Seed) -> None:
    for length in range(len(seed.frame)):
        for from_client in SIDES:
            with pytest.raises(MalformedPacketError):
                decode(seed.frame[:length], seed.protocol, from_client)


@pytest.mark.parametrize("seed", CORPUS, ids=lambda seed: seed.name)
def test_every_packet_cut_off_anywhere_with_its_length_put_right(seed: Seed) -> None:
    body = body_of(seed.frame)
    for length in range(len(body)):
        outcome(with_length(seed.frame[0], body[:length]), seed.protocol)


@pytest.mark.parametrize("seed", CORPUS, ids=lambda seed: seed.name)
def test_every_packet_with_bytes_too_many(seed: Seed) -> None:
    with pytest.raises(MalformedPacketError):
        decode(seed.frame + b"\x00", seed.protocol)
    outcome(with_length(seed.frame[0], body_of(seed.frame) + b"\x00"), seed.protocol)


@pytest.mark.parametrize("seed", CORPUS, ids=lambda seed: seed.name)
def test_every_bit_flip_of_every_packet(seed: Seed) -> None:
    for bit in range(8 * len(seed.frame)):
        frame = bytearray(seed.frame)
        frame[bit // 8] ^= 1 << bit % 8
        for protocol in (MQTT_5, MQTT_3_1_1):
            outcome(bytes(frame), protocol)


@pytest.mark.parametrize("seed", CORPUS, ids=lambda seed: seed.name)
def test_every_byte_at_its_edges(seed: Seed) -> None:
    for at in range(len(seed.frame)):
        for value in (0x00, 0x7F, 0x80, 0xFF):
            frame = bytearray(seed.frame)
            frame[at] = value
            outcome(bytes(frame), seed.protocol)


@pytest.mark.parametrize("protocol", [MQTT_5, MQTT_3_1_1])
def test_many_damaged_packets(protocol: int) -> None:
    mutator = Mutator(seed=3_1_1 + protocol, protocol=protocol)
    accepted = 0
    for _ in range(15_000):
        frame = mutator.damaged()
        try:
            accepted += outcome(frame, protocol) is not None
        except Exception as error:
            raise AssertionError(f"decode fails with {error!r} on {frame.hex(' ')}") from error
    assert 1_000 < accepted < 12_000


@settings(max_examples=500, deadline=None)
@given(first=st.integers(0, 255), body=st.binary(max_size=60), protocol=st.sampled_from([MQTT_5, MQTT_3_1_1]))
def test_random_bytes(first: int, body: bytes, protocol: int) -> None:
    outcome(with_length(first, body), protocol)
    outcome(bytes((first,)) + body, protocol)


@settings(max_examples=200, deadline=None)
@given(frame=st.binary(max_size=60), protocol=st.sampled_from([MQTT_5, MQTT_3_1_1]))
def test_explain_never_fails(frame: bytes, protocol: int) -> None:
    assert explain(frame, protocol)
