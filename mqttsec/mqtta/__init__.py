"""MQTT-A: an anonymity network of bridge brokers on real brokers (Buccafurri, De Angelis, Lazzaro, 2023).

Its parties: bridge brokers forward by chance, public brokers host the topics and are any brokers, discovery
brokers say who and where all these are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttsec.on_demand import on_demand

if TYPE_CHECKING:
    from mqttsec.mqtta.announcers import Limits as Limits
    from mqttsec.mqtta.bridge import BridgeBroker as BridgeBroker
    from mqttsec.mqtta.companion import Companion as Companion
    from mqttsec.mqtta.discovery import DiscoveryBroker as DiscoveryBroker
    from mqttsec.mqtta.discovery_client import DiscoveryClient as DiscoveryClient
    from mqttsec.mqtta.drawing import Decision as Decision
    from mqttsec.mqtta.lab_network import LabNetwork as LabNetwork
    from mqttsec.mqtta.network import Network as Network
    from mqttsec.mqtta.notices import At as At
    from mqttsec.mqtta.policies import Form as Form
    from mqttsec.mqtta.policies import PathRule as PathRule
    from mqttsec.mqtta.policies import Policies as Policies
    from mqttsec.mqtta.policies import Strategy as Strategy
    from mqttsec.mqtta.policies import Variant as Variant
    from mqttsec.mqtta.seen import Direction as Direction
    from mqttsec.mqtta.seen import Path as Path
    from mqttsec.mqtta.seen import Seen as Seen
    from mqttsec.mqtta.sequence import Reorderer as Reorderer
    from mqttsec.mqtta.sequence import Sequencer as Sequencer
    from mqttsec.mqtta.topics import forwarding as forwarding

_HOME = {
    "At": "notices",
    "BridgeBroker": "bridge",
    "Companion": "companion",
    "Decision": "drawing",
    "Direction": "seen",
    "DiscoveryBroker": "discovery",
    "DiscoveryClient": "discovery_client",
    "Form": "policies",
    "LabNetwork": "lab_network",
    "Limits": "announcers",
    "Network": "network",
    "Path": "seen",
    "PathRule": "policies",
    "Policies": "policies",
    "Reorderer": "sequence",
    "Seen": "seen",
    "Sequencer": "sequence",
    "Strategy": "policies",
    "Variant": "policies",
    "forwarding": "topics",
}
"""Public name: the module that it lives in, imported when it is first asked for (PEP 562)."""

__all__ = sorted(_HOME)

__getattr__ = on_demand(__name__, _HOME)
