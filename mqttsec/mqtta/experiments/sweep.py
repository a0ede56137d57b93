"""All cells of section VIII, and the DataFrame that comes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mqttsec.anonymity.innocence import least_p_f
from mqttsec.anonymity.latency import RTTS_MS
from mqttsec.errors import ConfigurationError
from mqttsec.mqtta.experiments.cells import Cell, Measured, run_cell

if TYPE_CHECKING:
    import pandas as pd

P_FS = (0.5, 0.66, 0.75, 0.8, 0.835, 0.86, 0.875, 0.89, 0.9)
"""The forwarding probabilities of Table II."""
FAR_P_FS = (0.5, 0.75, 0.835, 0.875, 0.9)
"""Those of them that are measured at every round-trip time."""
QOSES = (0, 2)
"""The paper measures QoS 0 and 2."""
RTT_MS = 55.0
"""The round-trip time of its first experiments."""
RATES_KB = (1, 10, 100)
"""Sending rates of the goodput experiment, KB/s."""
SIZES = (100, 1000, 10_000)
"""Message sizes of the latency experiment, bytes."""
SIDES_P_F = 0.67
"""Where the paper compares one anonymous side with two."""
CROWD = 100
"""[D] Bridge brokers for which p_f is chosen from c/n. Path lengths do not depend on the number, so that the
network that is measured is as small as in the other cells."""
SHARES = (0.01, 0.1, 0.2, 0.25, 0.3, 0.33, 0.4, 0.43)
"""Shares c/n of collaborators."""

Map = Callable[..., Iterable[Any]]
"""The builtin `map`, an executor's, or a Dask client's followed by `gather`."""


def size_for_rate(rate_kb: float, messages: int, window_s: float) -> int:
    """Bytes of a message, so that `messages` of them in the window make `rate_kb` KB/s."""
    return round(rate_kb * 1000 * window_s / messages)


def collaborators_p_f(share: float) -> float:
    """The least p_f with probable innocence against a share of collaborators.

    Raises `ConfigurationError` where no p_f will do.
    """
    found = least_p_f(CROWD, round(share * CROWD)).value
    if found is None:
        raise ConfigurationError(f"against {share:.0%} collaborators no p_f gives probable innocence")
    return round(found, 6)


def plan(messages: int = 200, window_s: float = 10.0) -> tuple[Cell, ...]:
    """The cells of all experiments, each once, in a fixed order.

    Raises `ConfigurationError` for a number or a window that cannot be.
    """

    def cell(p_f: float, **more: Any) -> Cell:
        return Cell(p_f, messages=messages, window_s=window_s, **more)

    sizes = [size_for_rate(rate, messages, window_s) for rate in RATES_KB]
    cells = [cell(p_f, qos=qos, size=size) for p_f in P_FS for qos in QOSES for size in (*sizes, *SIZES)]
    cells += [cell(p_f, qos=qos, sides=1) for p_f in (*P_FS, SIDES_P_F) for qos in QOSES]
    cells += [cell(SIDES_P_F, qos=qos) for qos in QOSES]
    cells += [
        cell(0.5, qos=qos, sides=0, size=size, rtt_ms=float(rtt))
        for qos in QOSES
        for rtt in RTTS_MS
        for size in ((*sizes, *SIZES) if rtt == RTT_MS else (sizes[0], 1000))
    ]
    cells += [cell(p_f, qos=qos, rtt_ms=float(rtt)) for rtt in RTTS_MS for p_f in FAR_P_FS for qos in QOSES]
    cells += [cell(0.9, qos=qos, rtt_ms=float(rtt), size=sizes[0]) for rtt in RTTS_MS for qos in QOSES]
    cells += [cell(collaborators_p_f(share)) for share in SHARES]
    return tuple(dict.fromkeys(cells))


def measure(
    cells: Sequence[Cell],
    seed: int = 1,
    map: Map = map,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Measure cells, one row each; `map` may be an executor's, without a change of any number.

    `progress` is called with (done, all). Raises `ConfigurationError` for a seed below 0 or no cells.
    """
    import numpy as np
    import pandas as pd

    if not cells or seed < 0:
        raise ConfigurationError("give at least one cell, and a seed from 0 on")
    children = np.random.SeedSequence(seed).spawn(len(cells))
    seeds = [int(child.generate_state(1)[0]) for child in children]
    rows = []
    # The slow cells first would be quicker on two cores, but the order must not matter and does not.
    for done, measured in enumerate(map(run_cell, list(cells), seeds), 1):
        assert isinstance(measured, Measured)
        rows.append(measured.row())
        if progress is not None:
            progress(done, len(cells))
    return pd.DataFrame(rows)
