"""Five ways to send readings, and what a run of one of them leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field

from mqttsec.e2e import Setup
from mqttsec.mqtta.seen import Seen
from mqttsec.trace.events import Event

STATION, READERS = "station", ("dashboard", "logger")
"""Who publishes and who reads: their Client Identifiers, which are their real names."""
PUBLIC, STRANGER = "public1", "stranger"
"""The public broker, and somebody who subscribes to everything there."""
TOPIC = "g/weather"
"""What is published; it says nothing about the station's place."""
SIGNING = "Ed25519"
RTT_MS = 55.0
"""Round-trip time between any two brokers, ms."""
ATTACKS = ("changed", "replay")
"""What somebody on the way may do."""


@dataclass(frozen=True)
class System:
    """One way to send readings."""

    name: str
    """For tables."""
    scheme: bool
    """With Scheme 4 around the messages."""
    network: bool
    """Through MQTT-A; else parties are clients of the public broker."""
    pseudonyms: bool = False
    """Certificates for pseudonyms."""


PLAIN = System("plain MQTT", False, False)
SCHEME = System("Scheme 4", True, False)
ANONYMOUS = System("MQTT-A", False, True)
NAMED = System("Scheme 4 over MQTT-A, real names", True, True)
COMBINED = System("Scheme 4 over MQTT-A, pseudonyms", True, True, True)
SYSTEMS = (PLAIN, SCHEME, ANONYMOUS, NAMED, COMBINED)


@dataclass
class Outcome:
    """What a run leaves behind."""

    system: System
    """The way."""
    readings: tuple[bytes, ...]
    """What the station sent, in plain."""
    opened: dict[str, list[bytes]] = field(default_factory=dict)
    """What each reader has, by its real name."""
    pseudonyms: dict[str, str] = field(default_factory=dict)
    """The name in the certificate of each party, by its real name."""
    bridges: tuple[str, ...] = ()
    """The bridge brokers."""
    homes: dict[str, str] = field(default_factory=dict)
    """The bridge broker of each party, by its real name; empty without a network."""
    views: dict[str, tuple[Event, ...]] = field(default_factory=dict)
    """What each bridge broker, the public broker and the stranger saw: their own packets, and no others."""
    machines: dict[str, object] = field(default_factory=dict)
    """The machine of each party and of B, by name, whose memory can be searched for keys."""
    setup: Setup | None = None
    """Of Scheme 4."""
    refused: list[str] = field(default_factory=list)
    """What B, or a reader, did not believe."""
    last: tuple[Seen, ...] = ()
    """The rows of all bridge brokers about the last message, there and back."""
    latencies_ms: list[float] = field(default_factory=list)
    """Milliseconds of virtual time from the station to each reader, of each reading."""
