"""What stages are played on: a company (`mqttsec.e2e.company`)."""

from mqttsec.e2e.company import START as NOON
from mqttsec.e2e.company import TOPIC, across
from mqttsec.e2e.company import Company as World

__all__ = ["NOON", "TOPIC", "World", "across"]
