"""What anonymity costs in time: the latency model, the largest p_f an application bears, and the trade-off.

    T = f_Q [ RTT / (1 - p_f) + T0 ]          publisher and subscriber anonymous
    T = f_Q [ RTT / (2 (1 - p_f)) + T0 ]      one of them

T in ms, RTT between two bridge brokers in ms, T0 = 83 ms for the two legs between bridge and public broker,
f_Q = 1 for QoS 0 and 1.45 for QoS 2. Fitted to MQTT-A, section VIII; it agrees with every printed limit.
[X] The paper's "one-sided below 1.5" contradicts that latencies add up: one-sided is the mean of
both sides and none.
"""

from __future__ import annotations

from dataclasses import dataclass

from mqttsec.anonymity.crowd import Variant, check_n, check_p_f
from mqttsec.anonymity.innocence import least_p_f
from mqttsec.errors import ConfigurationError

T0_MS = 83.0
"""Milliseconds of the two legs between bridge brokers and the public broker, and of the ends."""
QOS_FACTOR = {0: 1.0, 2: 1.45}
"""What a Quality of Service multiplies the latency by; the paper measures 0 and 2."""
BOUNDS_MS = {"Highly-Reliable WSN": 3090.0, "Default WSN": 2115.0, "Low-Latency WSN": 336.0}
"""Latency bounds of three kinds of sensor networks, ms (MQTT-A, VIII-C)."""
RTTS_MS = (40, 55, 140, 180, 260)
"""Round-trip times between bridge brokers of the paper's five networks, ms."""
LARGEST_TRIED = 0.9
"""The largest p_f that the paper measures: a limit beyond it is printed as this."""


def latency_ms(p_f: float, rtt_ms: float, qos: int = 0, sides: int = 2) -> float:
    """Mean milliseconds from publisher to subscriber, with none, one or two anonymous `sides`.

    Raises `ConfigurationError` for a p_f, RTT, QoS or number of sides that cannot be.
    """
    check_p_f(p_f)
    _check(rtt_ms, qos, sides)
    return QOS_FACTOR[qos] * (sides / 2 * rtt_ms / (1 - p_f) + T0_MS)


def largest_p_f(bound_ms: float, rtt_ms: float, qos: int = 0, sides: int = 2) -> float | None:
    """The largest p_f whose mean latency stays within `bound_ms`: 1 - (sides/2) RTT / (bound/f_Q - T0).

    None if not even p_f = 0 does. Raises `ConfigurationError` for a bound, RTT, QoS or number of sides
    that cannot be.
    """
    _check(rtt_ms, qos, sides)
    if not bound_ms > 0:
        raise ConfigurationError(f"bound_ms={bound_ms!r}: a latency bound is above 0 ms")
    if sides == 0:
        raise ConfigurationError("sides=0: nobody is anonymous, so no p_f matters; give 1 or 2")
    room = bound_ms / QOS_FACTOR[qos] - T0_MS
    if room <= 0:
        return None
    found = 1 - sides / 2 * rtt_ms / room
    return found if found >= 0 else None


@dataclass(frozen=True)
class TradeOff:
    """What it takes to resist a share of collaborators."""

    share: float
    """c / n."""
    p_f: float | None
    """The least p_f with probable innocence; None if none will do."""
    hops: float | None
    """Its mean path length."""
    latency_ms: float | None
    """Its mean latency, ms."""


def trade_off(
    n: int, rtt_ms: float, qos: int = 0, sides: int = 2, variant: Variant | str = Variant.A
) -> tuple[TradeOff, ...]:
    """For c = 1 to n - 1: the least p_f (corrected bound), the mean path, the mean latency. [Fig. 13, mended]

    Raises `ConfigurationError` for an n, RTT, QoS or number of sides that cannot be.
    """
    check_n(n)
    _check(rtt_ms, qos, sides)
    found = []
    for c in range(1, n):
        p_f = least_p_f(n, c, variant).value
        if p_f is None:
            found.append(TradeOff(c / n, None, None, None))
        else:
            found.append(TradeOff(c / n, p_f, 1 / (1 - p_f) + 1, latency_ms(p_f, rtt_ms, qos, sides)))
    return tuple(found)


def hops_for_share(share: float) -> float | None:
    """Mean path length that resists a share x = c/n of a large crowd: L = 1 + 2 (1-x) / (1-2x).

    [X] Hyperbolic, with its pole at 1/2, not exponential as MQTT-A says: p_f = 1/(2(1-x)) put into
    L = 1/(1-p_f) + 1. None from 1/2 on. Raises `ConfigurationError` unless 0 <= x <= 1.
    """
    if not 0 <= share <= 1:
        raise ConfigurationError(f"share={share!r}: a share of collaborators is from 0 to 1")
    return 1 + 2 * (1 - share) / (1 - 2 * share) if share < 0.5 else None


def _check(rtt_ms: float, qos: int, sides: int) -> None:
    if not rtt_ms >= 0:
        raise ConfigurationError(f"rtt_ms={rtt_ms!r}: a round-trip time is 0 ms or more")
    if qos not in QOS_FACTOR:
        raise ConfigurationError(f"qos={qos!r}: the model knows QoS 0 and 2, which the paper measured")
    if sides not in (0, 1, 2):
        raise ConfigurationError(f"sides={sides!r}: publisher and subscriber are two; give 0, 1 or 2")
