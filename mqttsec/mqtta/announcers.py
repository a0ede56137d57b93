"""Clients that announce things to a discovery broker: how much it bears of each, and of all together."""

from __future__ import annotations

from dataclasses import dataclass

from mqttsec.errors import ConfigurationError


@dataclass(frozen=True)
class Limits:
    """What one discovery broker bears; past it notices are refused with 0x97 Quota exceeded."""

    topics: int = 100_000
    """Topics in S, withdrawn ones as well."""
    peers: int = 10_000
    """Bridge brokers in S', those that left as well."""
    pairs_per_client: int = 10_000
    """Pairs that one client may announce."""
    notices_per_second: float = 200.0
    """Notices that one client may send in the long run."""
    burst: int = 2_000
    """Notices that it may send at once."""
    largest_notice: int = 2_048
    """Bytes of one notice; a larger one is refused with 0x99 Payload format invalid."""
    part_size: int = 100
    """Entries of one retained message: a larger set is split over T_S, T_S/1, T_S/2, ..."""

    def __post_init__(self) -> None:
        """Raises `ConfigurationError` for a bound that is not positive."""
        for name, value in vars(self).items():
            if not value > 0:
                raise ConfigurationError(f"Limits.{name} is {value!r}: give a number above 0")


class Announcer:
    """One client of a discovery broker: what it announced, and how fast."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.pairs: set[tuple[str, str]] = set()
        """(subject, key) of what it announced and has not withdrawn."""
        self._limits = limits
        self._tokens = float(limits.burst)
        self._then = now

    def may_speak(self, now: float) -> bool:
        """Token bucket: a burst, and then so many notices a second."""
        self._tokens = min(
            float(self._limits.burst), self._tokens + (now - self._then) * self._limits.notices_per_second
        )
        self._then = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
