"""What a client lets the broker say: Maximum Packet Size and Request Problem Information (3.1.2.11)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mqttsec.packets import (
    MQTT_5,
    Connack,
    Disconnect,
    Packet,
    Properties,
    Publish,
    encode,
)

LARGEST_PACKET = 268_435_460
"""Bytes of the largest packet there can be: a client without a Maximum Packet Size takes it."""


def encode_reply(
    packet: Packet, protocol: int, maximum_packet_size: int, problem_information: bool
) -> bytes | None:
    """Encode an answer, without its Reason String and User Properties where the client does not want them.

    None when even so it is larger than the client takes: [MQTT-3.1.2-24] "The Server MUST NOT send packets
    exceeding Maximum Packet Size to the Client".
    """
    if (
        protocol >= MQTT_5
        and not problem_information
        and not isinstance(packet, (Publish, Connack, Disconnect))
    ):
        # [MQTT-3.1.2-29] with Request Problem Information 0 they "MUST NOT" stand on any other packet.
        packet = _terse(packet)
    frame = encode(packet, protocol)
    if len(frame) > maximum_packet_size:
        # [MQTT-3.2.2-19], [MQTT-3.14.2-3] and their like: not "if it would increase the size of the ...
        # packet beyond the Maximum Packet Size".
        frame = encode(_terse(packet), protocol)
    return frame if len(frame) <= maximum_packet_size else None


def because(reason: str, server_reference: str | None = None) -> Properties:
    """Properties with `reason` as Reason String, as far as it may stand in a UTF-8 Encoded String."""
    words = reason[:200] if reason.isprintable() else None
    return Properties(reason_string=words, server_reference=server_reference)


def _terse(packet: Packet) -> Packet:
    properties = getattr(packet, "properties", None)
    if properties is None:
        return packet
    less: Any = replace(properties, reason_string=None, user_property=())
    return replace(packet, properties=less)
