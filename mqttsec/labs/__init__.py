"""One object a lab, which its notebook talks to: `from mqttsec import labs; lab = labs.CuriousBroker(7)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttsec.on_demand import on_demand

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

__getattr__ = on_demand(__name__, _HOME)
