"""Entropies: how many brokers the initiator still hides among, in bits.

Given that a collaborator is on the path, the collaborators' distribution over the h = n - c honest
brokers is P(I|H1+) for the first predecessor and the rest spread evenly. (Diaz, Seys, Claessens, Preneel,
Towards measuring anonymity, 2002, section 4 on Crowds; Serjantov and Danezis, 2002.)
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from mqttsec.anonymity.crowd import Crowd
from mqttsec.anonymity.innocence import (
    collaborator_on_path,
    predecessor_is_another,
    predecessor_is_initiator,
)
from mqttsec.errors import ConfigurationError


def entropy(distribution: Iterable[float]) -> float:
    """H = -sum p log2 p, in bits; 0 log 0 counts 0.

    Raises `ConfigurationError` unless the probabilities are 0 or more and sum to 1 (within 1e-6).
    """
    values = list(distribution)
    if any(value < 0 for value in values) or abs(sum(values) - 1) > 1e-6:
        raise ConfigurationError(f"probabilities are 0 or more and sum to 1; these sum to {sum(values):g}")
    return -sum(value * math.log2(value) for value in values if value > 0) + 0.0


def entropy_given_hit(crowd: Crowd) -> float:
    """H of the initiator for the collaborators, given H1+, in bits. [Diaz et al., 4.1]

    -[a log2 a + (h-1) b log2 b], a = P(I|H1+), b = `predecessor_is_another`; in A a = 1 - p(h-1)/n, b = p/n.
    Raises `ConfigurationError` without a collaborator.
    """
    a, b = predecessor_is_initiator(crowd), predecessor_is_another(crowd)
    return entropy([a, *[b] * (crowd.h - 1)])


def degree_of_anonymity(crowd: Crowd) -> float:
    """d = H / log2(n - c), 1 at best; given H1+. [Diaz et al., 3]

    0 if the initiator is the only honest broker. Raises `ConfigurationError` without a collaborator.
    """
    hidden = entropy_given_hit(crowd)
    return hidden / math.log2(crowd.h) if crowd.h > 1 else 0.0


def effective_set_size(crowd: Crowd) -> float:
    """2^H: as well hidden as among so many equally likely brokers, given H1+. [Serjantov, Danezis]

    Raises `ConfigurationError` without a collaborator.
    """
    return float(2 ** entropy_given_hit(crowd))


def mutual_information(crowd: Crowd) -> float:
    """I(initiator; what the collaborators observe of one path), in bits.

    P(H1+) (log2 h - H): before, all h are alike; with 1 - P(H1+) nothing is observed and they stay so;
    else H remains. What collaborators see after the first of them adds nothing: the path goes on from
    there in the same way whoever began it. 0 without a collaborator.
    """
    if crowd.c == 0:
        return 0.0
    return collaborator_on_path(crowd) * (math.log2(crowd.h) - entropy_given_hit(crowd))
