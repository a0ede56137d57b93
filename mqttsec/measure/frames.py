"""The bytes that the load generator sends, built once, and what it has to know of those it receives."""

from __future__ import annotations

from dataclasses import dataclass, field

from mqttsec.packets import MQTT_3_1_1, Publish, encode

TOPIC = "plant/hall/7/temperature"
"""The one Topic Name that everything is published to."""

PUBACK, PUBREC, PUBREL, PUBCOMP = b"\x40", b"\x50", b"\x62", b"\x70"
"""First bytes of the four acknowledgements; each is 4 bytes long when its Reason Code is left out."""


@dataclass(frozen=True)
class PublishFrames:
    """`count` PUBLISH packets of equal length; their Packet Identifiers at QoS 1 and 2 are 1, 2, ..."""

    payload_length: int
    """Bytes of payload in each."""
    qos: int
    count: int
    """At most 65,535, the number of Packet Identifiers (MQTT 5, 2.2.1)."""
    protocol: int = MQTT_3_1_1
    """4 for MQTT 3.1.1, 5 for MQTT 5.0."""
    head: bytes = field(init=False)
    """What every one of them begins with: fixed header and Topic Name."""
    stride: int = field(init=False)
    """Length of one, in bytes. A broker that adds no property sends subscribers the same length."""
    blob: bytes = field(init=False, repr=False)
    """All of them, joined."""

    def __post_init__(self) -> None:
        payload = (b"0123456789abcdef" * (self.payload_length // 16 + 1))[:self.payload_length]
        numbers = (number if self.qos else None for number in range(1, self.count + 1))
        frames = [encode(Publish(TOPIC, payload, self.qos, packet_id=number), self.protocol)
                  for number in numbers]
        topic = TOPIC.encode()
        object.__setattr__(self, "head", frames[0][:frames[0].index(topic) + len(topic)])
        object.__setattr__(self, "stride", len(frames[0]))
        object.__setattr__(self, "blob", b"".join(frames))


def acknowledgements(kind: bytes, high: bytes | bytearray, low: bytes | bytearray) -> bytearray:
    """One acknowledgement per Packet Identifier, given as its high and its low bytes, in that order."""
    answer = bytearray((kind + b"\x02\x00\x00") * len(high))
    answer[2::4] = high
    answer[3::4] = low
    return answer


def leading(firsts: bytes | bytearray, value: bytes) -> int:
    """How many bytes at the beginning of `firsts` equal `value`."""
    return len(firsts) - len(firsts.lstrip(value))
