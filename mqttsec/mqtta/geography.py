"""Where brokers stand, and how far apart in time: round-trip times in seconds (Buccafurri, VIII)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from mqttsec.errors import ConfigurationError

RTTS = (0.040, 0.055, 0.140, 0.180, 0.260)
"""The five networks of section VIII."""


@dataclass(frozen=True)
class City:
    """A place for brokers."""

    name: str
    """Its name."""
    latitude: float
    """Degrees north."""
    longitude: float
    """Degrees east."""


CITIES = (
    City("Milan", 45.46, 9.19),
    City("London", 51.51, -0.13),
    City("New York", 40.71, -74.01),
    City("San Francisco", 37.77, -122.42),
    City("Singapore", 1.35, 103.82),
    City("Sydney", -33.87, 151.21),
)
"""[D] Six cities in four continents, between which a round trip takes about what the five networks take; the
text of the paper that names its own has not come down to us."""

_EARTH = 6371.0
_SPEED = 200.0
"""Kilometres that light travels in a fibre in a millisecond."""
_DETOUR = 1.5
"""A cable is about so many times as long as the great circle."""
_LAST_MILE = 0.004
"""Seconds of a round trip within a city, and added to every other."""


def distance(a: City, b: City) -> float:
    """Kilometres along the great circle."""
    north_a, north_b = math.radians(a.latitude), math.radians(b.latitude)
    east = math.radians(b.longitude - a.longitude)
    half = (
        math.sin((north_b - north_a) / 2) ** 2
        + math.cos(north_a) * math.cos(north_b) * math.sin(east / 2) ** 2
    )
    return 2 * _EARTH * math.asin(math.sqrt(half))


def round_trip(a: City, b: City) -> float:
    """An estimate of the round-trip time in seconds: light in a cable, there and back."""
    return _LAST_MILE + 2 * _DETOUR * distance(a, b) / _SPEED / 1000


def rtt_matrix(cities: Sequence[City], brokers: int) -> list[list[float]]:
    """Round-trip times of so many brokers, spread over the cities in turn; of one to itself 0.

    Raises `ConfigurationError` without a city.
    """
    if not cities:
        raise ConfigurationError("give one city at least")
    places = list(islice(cycle(cities), brokers))
    return [[0.0 if i == j else round_trip(a, b) for j, b in enumerate(places)] for i, a in enumerate(places)]
