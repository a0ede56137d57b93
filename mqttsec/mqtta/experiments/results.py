"""What the experiments say: one tidy table a figure of section VIII, from the rows of all cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttsec.anonymity.latency import BOUNDS_MS, LARGEST_TRIED, RTTS_MS, largest_p_f, latency_ms
from mqttsec.errors import ConfigurationError
from mqttsec.mqtta.experiments.sweep import (
    P_FS,
    RATES_KB,
    RTT_MS,
    SHARES,
    SIDES_P_F,
    SIZES,
    collaborators_p_f,
)

if TYPE_CHECKING:
    import pandas as pd

RTT_P_FS = (0.5, 0.835, 0.9)
"""The forwarding probabilities of the experiment over RTT."""
_TYPICAL = 1000
"""Bytes of a message where size is not the matter."""


def _rows(measured: pd.DataFrame, **wanted: float) -> pd.DataFrame:
    """The rows with these values. Raises `ConfigurationError` if there is none."""
    found = measured
    for name, value in wanted.items():
        found = found[found[name] == value]
    if found.empty:
        raise ConfigurationError(f"these cells were not measured: {wanted}; measure(plan()) has all of them")
    return found


def plain_ms(measured: pd.DataFrame, qos: int, rtt_ms: float = RTT_MS, size: int = _TYPICAL) -> float:
    """Mean latency of plain MQTT, both clients at the public broker, ms."""
    rows = _rows(measured, sides=0, qos=qos, rtt_ms=rtt_ms, size_bytes=size)
    return float(rows["latency_mean_ms"].iloc[0])


def mean_ms(
    measured: pd.DataFrame,
    p_f: float,
    qos: int,
    rtt_ms: float = RTT_MS,
    sides: int = 2,
    size: int = _TYPICAL,
) -> float:
    """Mean latency through the network, ms."""
    rows = _rows(measured, p_f=p_f, sides=sides, qos=qos, rtt_ms=rtt_ms, size_bytes=size)
    return float(rows["latency_mean_ms"].iloc[0])


def goodput(measured: pd.DataFrame) -> pd.DataFrame:
    """Goodput against p_f, by sending rate and QoS, and what is lost of plain MQTT's."""
    import pandas as pd

    rates = sorted({1000.0 * rate for rate in RATES_KB})
    shown = measured[
        (measured["sides"] == 2)
        & (measured["rtt_ms"] == RTT_MS)
        & measured["rate_bytes_per_s"].isin(rates)
        & measured["p_f"].isin(P_FS)
    ]
    rows = []
    for _, row in shown.iterrows():
        plain = _rows(measured, sides=0, qos=row["qos"], rtt_ms=RTT_MS, size_bytes=row["size_bytes"])
        base = float(plain["goodput_bytes_per_s"].iloc[0])
        rows.append(
            {
                "p_f": row["p_f"],
                "qos": int(row["qos"]),
                "rate_kB_per_s": row["rate_bytes_per_s"] / 1000,
                "goodput_kB_per_s": row["goodput_bytes_per_s"] / 1000,
                "plain_kB_per_s": base / 1000,
                "loss_percent": 100 * (1 - row["goodput_bytes_per_s"] / base),
                "messages": int(row["messages"]),
            }
        )
    return pd.DataFrame(rows).sort_values(["qos", "rate_kB_per_s", "p_f"], ignore_index=True)


def latency(measured: pd.DataFrame) -> pd.DataFrame:
    """Latency against p_f, by message size and QoS, beside the model."""
    shown = measured[
        (measured["sides"] == 2)
        & (measured["rtt_ms"] == RTT_MS)
        & measured["size_bytes"].isin(SIZES)
        & measured["p_f"].isin(P_FS)
    ]
    table = shown[["p_f", "qos", "size_bytes", "latency_mean_ms", "latency_error_ms", "received"]].copy()
    table["model_ms"] = [
        latency_ms(p_f, RTT_MS, int(qos)) for p_f, qos in zip(table["p_f"], table["qos"], strict=True)
    ]
    return table.sort_values(["qos", "size_bytes", "p_f"], ignore_index=True)


def sides(measured: pd.DataFrame) -> pd.DataFrame:
    """Latency with one and with two anonymous sides, as multiples of plain MQTT's."""
    import pandas as pd

    rows = []
    for qos in (0, 2):
        plain = plain_ms(measured, qos)
        for p_f in sorted({*P_FS, SIDES_P_F}):
            one, both = (mean_ms(measured, p_f, qos, sides=number) for number in (1, 2))
            rows.append(
                {
                    "p_f": p_f,
                    "qos": qos,
                    "plain_ms": plain,
                    "one_ms": one,
                    "both_ms": both,
                    "one_over_plain": one / plain,
                    "both_over_plain": both / plain,
                    "mean_of_both_and_plain_ms": (both + plain) / 2,
                }
            )
    return pd.DataFrame(rows)


def by_rtt(measured: pd.DataFrame) -> pd.DataFrame:
    """Latency and goodput against the round-trip time; goodput at 1 KB/s and p_f = 0.9."""
    import pandas as pd

    rows = []
    for qos in (0, 2):
        for p_f in RTT_P_FS:
            for rtt in RTTS_MS:
                row: dict[str, float] = {
                    "p_f": p_f,
                    "qos": qos,
                    "rtt_ms": float(rtt),
                    "latency_mean_ms": mean_ms(measured, p_f, qos, float(rtt)),
                    "model_ms": latency_ms(p_f, rtt, qos),
                }
                if p_f == max(RTT_P_FS):
                    slow = _rows(
                        measured, p_f=p_f, qos=qos, rtt_ms=float(rtt), sides=2, rate_bytes_per_s=1000.0
                    )
                    row["goodput_over_rate"] = float(slow["goodput_bytes_per_s"].iloc[0]) / 1000.0
                rows.append(row)
    return pd.DataFrame(rows)


def line(measured: pd.DataFrame, qos: int, rtt_ms: float) -> tuple[float, float]:
    """(a, b) of T = a / (1 - p_f) + b, ms: least squares over the measured p_f, weighted by their errors."""
    import numpy as np

    rows = _rows(measured, sides=2, qos=qos, rtt_ms=rtt_ms, size_bytes=_TYPICAL)
    x = 1 / (1 - rows["p_f"].to_numpy(dtype=float))
    slope, start = np.polyfit(
        x, rows["latency_mean_ms"].to_numpy(dtype=float), 1, w=1 / rows["latency_error_ms"].to_numpy(float)
    )
    return float(slope), float(start)


def largest(measured: pd.DataFrame) -> pd.DataFrame:
    """The largest p_f at which the mean latency stays within an application's bound, ours and the model's."""
    import pandas as pd

    rows = []
    for application, bound in BOUNDS_MS.items():
        for qos in (0, 2):
            for rtt in RTTS_MS:
                slope, start = line(measured, qos, float(rtt))
                ours = 1 - slope / (bound - start) if bound > start else -1.0
                model = largest_p_f(bound, rtt, qos)
                rows.append(
                    {
                        "application": application,
                        "bound_ms": bound,
                        "qos": qos,
                        "rtt_ms": float(rtt),
                        "largest_p_f": min(ours, LARGEST_TRIED) if ours >= 0 else float("nan"),
                        "model_p_f": float("nan") if model is None else min(model, LARGEST_TRIED),
                    }
                )
    return pd.DataFrame(rows)


def collaborators(measured: pd.DataFrame) -> pd.DataFrame:
    """Latency of the least p_f that resists a share of collaborating bridge brokers."""
    import pandas as pd

    rows = []
    for share in SHARES:
        p_f = collaborators_p_f(share)
        rows.append(
            {
                "share": share,
                "p_f": p_f,
                "latency_mean_ms": mean_ms(measured, p_f, 0),
                "model_ms": latency_ms(p_f, RTT_MS, 0),
                "mean_hops": 1 / (1 - p_f) + 1,
            }
        )
    return pd.DataFrame(rows)
