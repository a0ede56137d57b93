"""The latency model against every number the paper prints, and the trade-off with the corrected bound."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from mqttsec.anonymity.innocence import least_p_f
from mqttsec.anonymity.latency import (
    BOUNDS_MS,
    LARGEST_TRIED,
    RTTS_MS,
    hops_for_share,
    largest_p_f,
    latency_ms,
    trade_off,
)
from mqttsec.errors import ConfigurationError


def printed(bound: str, rtt_ms: float, qos: int) -> float:
    found = largest_p_f(BOUNDS_MS[bound], rtt_ms, qos)
    assert found is not None
    return min(found, LARGEST_TRIED)


def test_the_limits_of_figure_12() -> None:
    assert round(printed("Low-Latency WSN", 40, 0), 3) == 0.842
    for rtt in RTTS_MS:
        for qos in (0, 2):
            expected = 0.873 if (rtt, qos) == (260, 2) else 0.9
            assert round(printed("Highly-Reliable WSN", rtt, qos), 3) == expected
    for qos in (0, 2):
        assert 0.8 < printed("Default WSN", 260, qos) < 0.9
    assert largest_p_f(BOUNDS_MS["Low-Latency WSN"], 260) is None
    assert largest_p_f(BOUNDS_MS["Low-Latency WSN"], 180, 2) is None


def test_what_the_paper_says_of_latencies() -> None:
    plain = latency_ms(0.67, 55, sides=0)
    assert latency_ms(0.67, 55) / plain < 3.1
    # [X] "one-sided below 1.5": latencies add up, so that one side is half way between none and both.
    one = latency_ms(0.67, 55, sides=1)
    assert one == pytest.approx((plain + latency_ms(0.67, 55)) / 2) and 1.5 < one / plain < 2.1
    assert 1.4 <= latency_ms(0.67, 55, 2) / latency_ms(0.67, 55, 0) <= 1.5
    assert latency_ms(0.835, 110) - latency_ms(0.835, 55) == pytest.approx(
        latency_ms(0.835, 165) - latency_ms(0.835, 110)
    )


def test_a_limit_is_where_the_latency_meets_the_bound() -> None:
    for sides in (1, 2):
        for qos in (0, 2):
            limit = largest_p_f(2115, 55, qos, sides)
            assert limit is not None
            assert latency_ms(limit, 55, qos, sides) == pytest.approx(2115)


def test_the_trade_off_follows_the_corrected_bound() -> None:
    rows = trade_off(30, 55)
    assert len(rows) == 29
    for c, row in enumerate(rows, 1):
        assert row.share == c / 30 and row.p_f == least_p_f(30, c).value
        if row.p_f is None:
            assert row.hops is row.latency_ms is None and c >= 14
        else:
            assert row.latency_ms == pytest.approx(latency_ms(row.p_f, 55))
    hops = [row.hops for row in rows if row.hops is not None]
    assert hops == sorted(hops)


def test_the_growth_is_hyperbolic() -> None:
    assert hops_for_share(0) == 3 and hops_for_share(1 / 3) == pytest.approx(5)
    assert hops_for_share(0.5) is None
    for share in (0.1, 0.3, 0.45):
        large = least_p_f(10**7, round(share * 10**7)).value
        assert large is not None
        assert hops_for_share(share) == pytest.approx(1 / (1 - large) + 1, rel=1e-4)
    # 1/L falls to 0 in a straight line near the pole; an exponential would never get there.
    near = [1 / float(hops_for_share(0.5 - gap) or math.inf) for gap in (0.004, 0.002, 0.001)]
    assert near[0] / near[1] == pytest.approx(2, rel=0.02) and near[1] / near[2] == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize(("call", "said"), [
    (lambda: latency_ms(1, 55), "never leave"),
    (lambda: latency_ms(0.5, -1), "round-trip time"),
    (lambda: latency_ms(0.5, math.nan), "round-trip time"),
    (lambda: latency_ms(0.5, 55, 1), "QoS 0 and 2"),
    (lambda: latency_ms(0.5, 55, sides=3), "give 0, 1 or 2"),
    (lambda: largest_p_f(0, 55), "above 0 ms"),
    (lambda: largest_p_f(100, 55, sides=0), "nobody is anonymous"),
    (lambda: trade_off(1, 55), "2 bridge brokers"),
    (lambda: hops_for_share(1.5), "from 0 to 1"),
])  # fmt: skip
def test_bad_parameters_say_what_to_do(call: Callable[[], object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        call()
