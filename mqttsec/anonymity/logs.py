"""Collaborators and their verdict, from what they logged alone.

Each collaborating bridge broker notes what it sees of a message: when, from which neighbour, under which
topic, and a fingerprint of the payload, which stays the same on its way and lets them recognise it. They
pool their logs; nothing else of the network goes in here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mqttsec.anonymity.crowd import Crowd
from mqttsec.anonymity.predecessor import posterior
from mqttsec.errors import ConfigurationError


@dataclass(frozen=True)
class Observation:
    """One line of a collaborator's log."""

    time: float
    """Seconds."""
    broker: str
    """Who saw it."""
    previous: str
    """The neighbour that it came from."""
    topic: str
    """The topic, as the forwarding brokers see it."""
    message: str
    """A fingerprint of the payload: the same bytes at two collaborators are the same message."""


@dataclass(frozen=True)
class Verdict:
    """Whom the collaborators suspect of one topic's messages."""

    counts: Mapping[str, int]
    """Messages whose first predecessor was this honest broker; every honest broker has its line."""
    posterior: Mapping[str, float]
    """P(it is the publisher's bridge broker | counts)."""

    @property
    def named(self) -> str | None:
        """The broker that is likeliest, if it is so alone; None if several are."""
        best = max(self.posterior.values())
        names = [name for name, value in self.posterior.items() if value >= best - 1e-12]
        return names[0] if len(names) == 1 else None

    @property
    def seen(self) -> int:
        """Messages that a collaborator saw at all."""
        return sum(self.counts.values())


def first_predecessors(
    log: Iterable[Observation], collaborators: Iterable[str]
) -> dict[tuple[str, str], str]:
    """(topic, message): the honest neighbour from which the first collaborator had it.

    The earliest observation counts; what came from a fellow collaborator was seen before. A log that has only
    such an entry is not complete, and the message is left out.
    """
    fellows = set(collaborators)
    first: dict[tuple[str, str], Observation] = {}
    for seen in log:
        if seen.previous in fellows:
            continue
        key = (seen.topic, seen.message)
        if key not in first or seen.time < first[key].time:
            first[key] = seen
    return {key: seen.previous for key, seen in first.items()}


def one_per_path(
    log: Iterable[Observation], collaborators: Iterable[str], lifetime_s: float
) -> list[Observation]:
    """The first observation of each path, where paths are kept for `lifetime_s` seconds (0: never).

    Further messages along a path show its first predecessor again, and are no evidence of their own. The
    collaborators know the lifetime, a setting of the network: what comes under one topic from the same first
    predecessor before it is over came along the same path; what comes later, or from another, did not.
    Raises `ConfigurationError` for a negative lifetime.
    """
    if not lifetime_s >= 0:
        raise ConfigurationError(f"lifetime_s={lifetime_s!r}: a lifetime is 0 seconds or more")
    fellows = set(collaborators)
    first: dict[tuple[str, str], Observation] = {}
    for seen in log:
        key = (seen.topic, seen.message)
        if seen.previous not in fellows and (key not in first or seen.time < first[key].time):
            first[key] = seen
    kept: list[Observation] = []
    current: dict[str, Observation] = {}
    for seen in sorted(first.values(), key=lambda seen: seen.time):
        path = current.get(seen.topic)
        if path is None or path.previous != seen.previous or seen.time >= path.time + lifetime_s:
            current[seen.topic] = seen
            kept.append(seen)
    return kept


def tally(log: Iterable[Observation], collaborators: Iterable[str], topic: str) -> Counter[str]:
    """How often each neighbour was the first predecessor of a message of this topic."""
    first = first_predecessors(log, collaborators)
    return Counter(previous for (about, _), previous in first.items() if about == topic)


def verdict(
    log: Iterable[Observation], collaborators: Sequence[str], honest: Sequence[str], topic: str, crowd: Crowd
) -> Verdict:
    """Whom they suspect of publishing under `topic`; by the exact posterior for a crowd of this kind.

    `honest` are the peers that do not collaborate: everybody knows the set of peers. Raises
    `ConfigurationError` if the names do not fit the crowd, or a message came from none of them.
    """
    if (len(honest), len(collaborators)) != (crowd.h, crowd.c):
        raise ConfigurationError(
            f"{len(honest)} honest and {len(collaborators)} collaborating names, "
            f"but the crowd has {crowd.h} and {crowd.c}"
        )
    counted = tally(log, collaborators, topic)
    strangers = sorted(set(counted) - set(honest))
    if strangers:
        raise ConfigurationError(
            f"{', '.join(strangers)} is no honest peer: is it a client of a collaborator?"
        )
    counts = {name: counted[name] for name in honest}
    return Verdict(counts, dict(zip(honest, posterior(crowd, list(counts.values())), strict=True)))
