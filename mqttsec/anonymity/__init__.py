"""Anonymity of paths through a crowd of brokers: formulas, simulation, attacks over time, and verdicts.

Plain Python, for any notebook: `crowd` (paths, exits), `innocence` (collaborators and probable innocence),
`adversaries`, `entropy`, `rounds`, `predecessor` (the attack, exactly), `latency`, `estimates`, `walking`,
`logs` (a verdict from logs alone). With NumPy, imported when asked for: `simulation`, `attacks`, `uneven`,
`subscriptions`, `sweep`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttsec.on_demand import on_demand

if TYPE_CHECKING:
    from mqttsec.anonymity.adversaries import Adversary as Adversary
    from mqttsec.anonymity.adversaries import Property as Property
    from mqttsec.anonymity.adversaries import exposures as exposures
    from mqttsec.anonymity.crowd import Crowd as Crowd
    from mqttsec.anonymity.crowd import Variant as Variant
    from mqttsec.anonymity.estimates import Estimate as Estimate
    from mqttsec.anonymity.estimates import proportion as proportion
    from mqttsec.anonymity.innocence import Solution as Solution
    from mqttsec.anonymity.innocence import collaborator_on_path as collaborator_on_path
    from mqttsec.anonymity.innocence import least_n as least_n
    from mqttsec.anonymity.innocence import least_p_f as least_p_f
    from mqttsec.anonymity.innocence import predecessor_is_initiator as predecessor_is_initiator
    from mqttsec.anonymity.logs import Observation as Observation
    from mqttsec.anonymity.logs import verdict as verdict
    from mqttsec.anonymity.predecessor import messages_until as messages_until
    from mqttsec.anonymity.predecessor import named as named
    from mqttsec.anonymity.predecessor import posterior as posterior
    from mqttsec.anonymity.simulation import tally as tally

_HOME = {
    "Adversary": "adversaries",
    "Crowd": "crowd",
    "Estimate": "estimates",
    "Observation": "logs",
    "Property": "adversaries",
    "Solution": "innocence",
    "Variant": "crowd",
    "collaborator_on_path": "innocence",
    "exposures": "adversaries",
    "least_n": "innocence",
    "least_p_f": "innocence",
    "messages_until": "predecessor",
    "named": "predecessor",
    "posterior": "predecessor",
    "predecessor_is_initiator": "innocence",
    "proportion": "estimates",
    "tally": "simulation",
    "verdict": "logs",
}
"""Public name: the module that it lives in."""

__all__ = sorted(_HOME)

__getattr__ = on_demand(__name__, _HOME)
