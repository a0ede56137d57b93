"""Whom labs 03 and 05 are about: a weather station, a broker, and those who receive its temperature."""

from __future__ import annotations

from mqttsec.e2e import Setup
from mqttsec.e2e.company import Company
from mqttsec.e2e.setup import BROKER

__all__ = ["BROKER", "RECEIVERS", "STATION", "TOPIC", "company_of", "receivers"]

STATION = "station"
TOPIC = "seattle/temperature"
"""What is published."""
RECEIVERS = ("dashboard", "logger", "phone", "display", "alarm")
"""The first subscribers; further ones are client-6, client-7, ..."""


def receivers(count: int) -> tuple[str, ...]:
    """The names of so many subscribers."""
    return (*RECEIVERS, *(f"client-{number}" for number in range(len(RECEIVERS) + 1, count + 1)))[:count]


def company_of(setup: Setup, subscribers: tuple[str, ...] = ()) -> Company:
    """The station is connected, and `subscribers` have joined.

    Ed25519, because its signatures are all of the same length: labs print sizes.
    """
    company = Company(setup, "Ed25519", publisher=STATION, topic=TOPIC)
    company.connect()
    company.join(*subscribers)
    return company
