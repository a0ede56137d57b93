"""One object a lab, which its notebook talks to: `from mqttsec import labs; lab = labs.CuriousBroker(7)`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mqttsec.labs.anonymity import Anonymity as Anonymity
    from mqttsec.labs.capstone import Capstone as Capstone
    from mqttsec.labs.curious_broker import CuriousBroker as CuriousBroker
    from mqttsec.labs.four_schemes import FourSchemes as FourSchemes
    from mqttsec.labs.group_keys import GroupKeys as GroupKeys
    from mqttsec.labs.handshake import Handshake as Handshake
    from mqttsec.labs.mqtt_a import MqttA as MqttA
    from mqttsec.labs.offline import Offline as Offline
    from mqttsec.labs.overhead import Overhead as Overhead
    from mqttsec.labs.proofs import Proofs as Proofs

_HOME = {
    "Anonymity": "anonymity",
    "Capstone": "capstone",
    "CuriousBroker": "curious_broker",
    "FourSchemes": "four_schemes",
    "GroupKeys": "group_keys",
    "Handshake": "handshake",
    "MqttA": "mqtt_a",
    "Offline": "offline",
    "Overhead": "overhead",
    "Proofs": "proofs",
}
"""Lab object: the module that it lives in; a notebook waits for its own alone."""

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mqttsec.labs' has no attribute {name!r}")
    return getattr(importlib.import_module(f"mqttsec.labs.{_HOME[name]}"), name)
