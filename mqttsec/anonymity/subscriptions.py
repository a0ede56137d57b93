"""Subscriptions to one topic whose paths cross: what topic-aware routing does to hops and to anonymity.

Under *blind* every subscription is routed on its own, all the way. Under *topic-aware* (MQTT-A, on path
intersection) a bridge broker that already forwards the topic remembers a further subscription and sends it no
further: paths get shorter, and with them the collaborators' chances, and the initiator's company.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from mqttsec.anonymity.crowd import Crowd, check_count
from mqttsec.anonymity.estimates import Estimate, mean, proportion
from mqttsec.anonymity.simulation import Seed, predecessors, walks
from mqttsec.errors import ConfigurationError


class Strategy(str, enum.Enum):
    """What a bridge broker does with a further subscription to a topic that it forwards."""

    BLIND = "blind"
    """Forwards it like the first one."""
    TOPIC_AWARE = "topic-aware"
    """Remembers it, and forwards it no further."""


@dataclass(frozen=True)
class Subscription:
    """The k-th subscription to a topic, over all trials."""

    number: int
    """1 for the first."""
    hops: Estimate
    """Mean hops that it travelled, that to the public broker counted; 0 if its own broker had the topic."""
    on_path: Estimate
    """P(H1+): a collaborator got it."""
    given_hit: Estimate
    """P(I | H1+): the first collaborator got it from the subscriber's own bridge broker."""


def simulate(
    crowd: Crowd, subscribers: int, trials: int = 20_000, seed: Seed = 7,
    strategy: Strategy | str = Strategy.TOPIC_AWARE,
) -> tuple[Subscription, ...]:  # fmt: skip
    """Let so many clients, at different honest bridge brokers, subscribe to one topic one after the other.

    A broker that the path itself has been at does not end it: that rule would lose subscriptions ([X] of
    MQTT-A), and the mended one goes on. Raises `ConfigurationError` for more subscribers than honest
    brokers, or a number or strategy that cannot be.
    """
    check_count(subscribers, "subscribers")
    check_count(trials, "trials")
    if subscribers > crowd.h:
        raise ConfigurationError(
            f"{subscribers} subscribers at different honest brokers, of which there are {crowd.h}: "
            "lower their number or raise n"
        )
    try:
        strategy = Strategy(strategy)
    except ValueError:
        raise ConfigurationError(
            f"strategy={strategy!r}: there are {', '.join(each.value for each in Strategy)}"
        ) from None
    rng = np.random.default_rng(seed)
    rows = np.arange(trials)
    order = rng.permuted(np.tile(np.arange(crowd.h), (trials, 1)), axis=1)
    forwards = np.zeros((trials, crowd.n), dtype=np.bool_)
    found = []
    for number in range(1, subscribers + 1):
        own = order[:, number - 1]
        paths = walks(crowd, trials, rng, own)
        hops = (paths >= 0).sum(axis=1)
        if strategy is Strategy.TOPIC_AWARE:
            has = forwards[rows[:, None], np.maximum(paths, 0)] & (paths >= 0)
            meets = has.any(axis=1)
            place = has.argmax(axis=1)
            hops = np.where(meets, place, hops)
            beyond = np.arange(paths.shape[1]) > np.where(meets, place, paths.shape[1])[:, None]
            paths[beyond] = -1
            row, column = np.nonzero(paths >= 0)
            forwards[row, paths[row, column]] = True
        before = predecessors(crowd, paths)
        hits = int((before >= 0).sum())
        found.append(Subscription(
            number,
            mean(float(hops.sum()), float((hops * hops).sum()), trials),
            proportion(hits, trials),
            proportion(int((before == own).sum()), hits),
        ))  # fmt: skip
    return tuple(found)
