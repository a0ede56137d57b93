"""How a bridge broker decides: the rules of the paper, and our mended ones (Buccafurri, III, V).

A `Policies` is plain data. `published` does what the paper's text says, with its faults; `mended` is what we
recommend. Every rule can be chosen by itself.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Any

from mqttsec.errors import ConfigurationError


class Variant(str, enum.Enum):
    """Whether a broker may forward to itself."""

    A = "A"
    """It may, as in Crowds; reproduces the paper's formulas."""
    B = "B"
    """It never does; for a deployment."""


class Strategy(str, enum.Enum):
    """What a bridge broker does where paths of the same topic meet (Buccafurri, V)."""

    BLIND = "blind"
    """Every subscription goes its own way; a crossing publish is not looked at."""
    TOPIC_AWARE = "topic-aware"
    """A later subscription of a topic joins the first; a crossing publish is published here as well."""
    TOPIC_AND_QOS_AWARE = "topic-and-qos-aware"
    """The same by classes Q0, Q1, Q2; a crossing publish is published here to Q0 and Q1 only."""


class Form(str, enum.Enum):
    """Which rules keep paths from loops."""

    PUBLISHED = "published"
    """Forwarding state by topic; a subscribe whose Packet Identifier was seen is discarded; acknowledged at
    once."""
    MENDED = "mended"
    """Forwarding state by a random token that is new at every hop; a path may come back to a broker, whose
    state for it is another; acknowledged only after the upstream acknowledged."""


class PathRule(str, enum.Enum):
    """How long a path of published messages lives."""

    FRESH = "fresh"
    """A new one for each message, as in the paper."""
    STICKY = "sticky"
    """The first bridge broker keeps one for each (client, topic), every hop its next hop, for a lifetime."""


@dataclass(frozen=True)
class Policies:
    """The rules of one network. Raises `ConfigurationError` for what cannot be."""

    p_f: float = 2 / 3
    """Forwarding probability, 0 <= p_f < 1."""
    variant: Variant = Variant.A
    """May a broker forward to itself?"""
    strategy: Strategy = Strategy.BLIND
    """What happens where paths meet."""
    form: Form = Form.MENDED
    """Published or mended rules against loops."""
    path: PathRule = PathRule.FRESH
    """Fresh or sticky paths of published messages."""
    lifetime: float = 600.0
    """Seconds that a sticky path lives."""
    hop_limit: int = 1024
    """Mended: a subscription passes at most twice so many bridge brokers. It starts with a random number
    between one and two times the limit, so that nobody learns his place on the path from it."""
    aware_classes: tuple[int, ...] = (0, 1, 2)
    """Topic-and-QoS-aware: the classes that are topic-aware; 2 is always among them, the others are blind."""
    attempts: int = 8
    """How many next hops are tried for a message or a subscription before it is refused."""
    patience: float = 5.0
    """Seconds for which a broker that does not answer is tried again before it is taken to be gone."""

    def __post_init__(self) -> None:
        if not isinstance(self.p_f, (int, float)) or not 0 <= self.p_f < 1:
            raise ConfigurationError(
                f"p_f={self.p_f!r} cannot be: give a probability from 0 to below 1 (at 1 no path would end)"
            )
        for name, kind in (("variant", Variant), ("strategy", Strategy), ("form", Form), ("path", PathRule)):
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, kind(value))
            except ValueError:
                choice = ", ".join(repr(each.value) for each in kind)
                raise ConfigurationError(f"{name}={value!r} is not known; choose one of {choice}") from None
        for name in ("lifetime", "hop_limit", "attempts", "patience"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not value > 0:
                raise ConfigurationError(f"{name}={value!r} cannot be: give a number above 0")
        if 2 not in self.aware_classes or not set(self.aware_classes) <= {0, 1, 2}:
            raise ConfigurationError("aware_classes are some of 0, 1, 2, and always 2 (Buccafurri, V)")

    @classmethod
    def published(cls, **rules: Any) -> Policies:
        """The paper's rules, changed by `rules`."""
        return cls(**{"form": Form.PUBLISHED, **rules})

    @classmethod
    def mended(cls, **rules: Any) -> Policies:
        """The mended rules with sticky paths, for a deployment, changed by `rules`."""
        return cls(**{"variant": Variant.B, "path": PathRule.STICKY, **rules})

    def but(self, **rules: Any) -> Policies:
        """These policies with other `rules`."""
        return replace(self, **rules)

    @property
    def is_published(self) -> bool:
        """True for the published form."""
        return self.form is Form.PUBLISHED

    @property
    def by_class(self) -> bool:
        """True where topics have classes of QoS."""
        return self.strategy is Strategy.TOPIC_AND_QOS_AWARE

    def joins(self, qos_class: int | None) -> bool:
        """Whether a later subscription of a class joins the path of an earlier one."""
        if self.strategy is Strategy.BLIND:
            return False
        return qos_class is None or not self.by_class or qos_class in self.aware_classes

    def publishes_here(self, qos_class: int | None) -> bool:
        """Whether a crossing publish is published at once to the subscribers of a class known here."""
        if not self.joins(qos_class):
            return False
        return not self.by_class or qos_class != 2
