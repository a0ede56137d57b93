"""Real input: four years of a weather station's daily readings (`data/seattle-weather.csv`, NOAA)."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

from mqttsec.errors import ConfigurationError

_PLACES = (Path(__file__).parent / "_data", Path(__file__).parent.parent / "data")
# Inside an installed wheel, and in a checkout.
_ALL = 1461


@dataclass(frozen=True)
class Reading:
    """What the station measured on one day."""

    date: str
    """The day, ISO 8601."""
    precipitation: float
    """Millimetres."""
    temp_max: float
    """Degrees Celsius."""
    temp_min: float
    """Degrees Celsius."""
    wind: float
    """Metres per second."""
    weather: str
    """drizzle, rain, sun, snow or fog."""

    def messages(self, station: str = "seattle") -> tuple[tuple[str, bytes], ...]:
        """(Topic Name, payload) of the messages that the station publishes for this day.

        Payloads are UTF-8 JSON: `{"date": "2012-01-01", "value": 12.8, "unit": "degC"}`.
        """
        values: tuple[tuple[str, float | str, str], ...] = (
            ("temperature", self.temp_max, "degC"),
            ("precipitation", self.precipitation, "mm"),
            ("wind", self.wind, "m/s"),
            ("weather", self.weather, ""),
        )
        return tuple(
            (
                f"{station}/{name}",
                json.dumps({"date": self.date, "value": value, "unit": unit}).encode("utf-8"),
            )
            for name, value, unit in values
        )


def weather(days: int | None = None) -> tuple[Reading, ...]:
    """The first `days` readings, or all 1,461 of 2012 to 2015.

    Raises `ConfigurationError` if the file is not there or has not so many days.
    """
    if days is not None and not 1 <= days <= _ALL:
        raise ConfigurationError(f"{days} days cannot be; ask for 1 to 1461")
    path = next(
        (place / "seattle-weather.csv" for place in _PLACES if (place / "seattle-weather.csv").exists()), None
    )
    if path is None:
        raise ConfigurationError("data/seattle-weather.csv is missing; take it from the repository again")
    with path.open(newline="", encoding="utf-8") as file:
        rows = [
            Reading(
                row["date"].replace("/", "-"),
                float(row["precipitation"]),
                float(row["temp_max"]),
                float(row["temp_min"]),
                float(row["wind"]),
                row["weather"],
            )
            for row in csv.DictReader(file)
        ]
    return tuple(rows[:days])
