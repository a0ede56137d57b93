"""What the plots of lab 07 show, as data: formula, simulation and the real network's tally side by side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mqttsec.anonymity import attacks
from mqttsec.anonymity.crowd import Crowd, Variant
from mqttsec.anonymity.estimates import Estimate
from mqttsec.anonymity.innocence import (
    collaborator_on_path,
    least_p_f,
    most_collaborators,
    predecessor_is_initiator,
    printed_bound,
)
from mqttsec.anonymity.latency import (
    BOUNDS_MS,
    LARGEST_TRIED,
    QOS_FACTOR,
    RTTS_MS,
    hops_for_share,
    largest_p_f,
    latency_ms,
    trade_off,
)
from mqttsec.anonymity.predecessor import messages_until, named_by_message
from mqttsec.anonymity.simulation import PathTally, tally
from mqttsec.widgets.table import Table

if TYPE_CHECKING:
    import pandas

    from mqttsec.labs.real_crowd import Tally

PATHS = 20_000
"""Paths simulated for each point of a plot."""
TRIALS = 400
"""Publishers attacked for each curve of a plot."""
P_FS = tuple(round(0.05 * step, 2) for step in range(20))
"""Where the plot of one path has its points."""


def _frame(rows: list[dict[str, object]]) -> pandas.DataFrame:
    import pandas

    return pandas.DataFrame(rows)


# -- one path -------------------------------------------------------------------------------------

QUANTITIES = ("P(H1+)", "P(I|H1+)")


@lru_cache(maxsize=4096)
def simulated(crowd: Crowd, paths: int, seed: int) -> PathTally:
    """`simulation.tally`, remembered: sliders go to and fro."""
    return tally(crowd, paths, seed)


@dataclass(frozen=True)
class OnePath:
    """P(H1+) and P(I|H1+) over p_f: formula, simulation, and the tally of the real network."""

    crowd: Crowd
    """The crowd that the table is about; the plot shows its n, c and variant over all p_f."""
    seed: int
    """Of the simulation."""
    network: Tally | None = None
    """What the real network showed, if it ran with this n, c and variant."""

    def frame(self) -> pandas.DataFrame:
        """A row a point: p_f, quantity, source (`formula`, `simulation`, `network`), value, low, high."""
        rows: list[dict[str, object]] = []
        for p_f in P_FS:
            crowd = Crowd(self.crowd.n, self.crowd.c, p_f, self.crowd.variant)
            found = simulated(crowd, PATHS, self.seed)
            for quantity, value, estimate in zip(QUANTITIES, formulas(crowd), estimates(found), strict=True):
                rows.append(_point(p_f, quantity, "formula", value))
                rows.append(_point(p_f, quantity, "simulation", estimate.value, estimate))
        if self.network is not None:
            for quantity, estimate in zip(QUANTITIES, self.network.estimates(), strict=True):
                rows.append(_point(self.network.crowd.p_f, quantity, "network", estimate.value, estimate))
        return _frame(rows)

    def table(self) -> Table:
        """For the p_f that was chosen: formula, simulation with its band, the network with its band."""
        rows = []
        sources: list[tuple[str, tuple[Estimate, Estimate]]] = [
            ("simulation", estimates(simulated(self.crowd, PATHS, self.seed)))
        ]
        if self.network is not None and self.network.crowd == self.crowd:
            sources.append(("real network", self.network.estimates()))
        for place, (quantity, value) in enumerate(zip(QUANTITIES, formulas(self.crowd), strict=True)):
            for source, found in sources:
                estimate = found[place]
                rows.append((
                    quantity, f"{value:.3f}", source, f"{estimate.value:.3f}",
                    f"{estimate.low:.3f} to {estimate.high:.3f}", estimate.count,
                    f"{estimate.sigmas(value):.1f}",
                ))  # fmt: skip
        columns = ("quantity", "formula", "from", "share", "95 % band", "of", "std. errors off")
        return Table(columns, tuple(rows), str(self.crowd))


def formulas(crowd: Crowd) -> tuple[float, float]:
    """The two `QUANTITIES`."""
    return collaborator_on_path(crowd), predecessor_is_initiator(crowd)


def estimates(found: PathTally) -> tuple[Estimate, Estimate]:
    """The two `QUANTITIES`, simulated."""
    return found.on_path(), found.given_hit()


def _point(
    x: float, series: str, source: str, value: float, estimate: Estimate | None = None
) -> dict[str, object]:
    low, high = (value, value) if estimate is None else (estimate.low, estimate.high)
    return {"x": x, "series": series, "source": source, "value": value, "low": low, "high": high}


# -- over time ------------------------------------------------------------------------------------

KINDS = ("a fresh path each", "sticky paths")


@dataclass(frozen=True)
class OverTime:
    """P(named) by messages sent, with fresh and with sticky paths."""

    crowd: Crowd
    """The crowd."""
    messages: int
    """Sent at most."""
    lifetime: int
    """Messages that a sticky path carries."""
    seed: int
    """Of the simulation."""
    network: tuple[tuple[str, int, Estimate], ...] = ()
    """(kind, messages, share named) in the real network, if it ran with this crowd and lifetime."""

    def curves(self) -> dict[str, tuple[list[float], attacks.AttackRun]]:
        """By kind: the formula after 0, 1, ... messages, and the simulation."""
        return {kind: _attacked(self.crowd, self.messages, life, self.seed)
                for kind, life in zip(KINDS, (1, self.lifetime), strict=True)}  # fmt: skip

    def frame(self) -> pandas.DataFrame:
        """A row a point: x (messages), series (kind of path), source, value, low, high."""
        rows: list[dict[str, object]] = []
        for kind, (exact, run) in self.curves().items():
            for number, value in enumerate(exact):
                estimate = run.share(number)
                rows.append(_point(number, kind, "formula", value))
                rows.append(_point(number, kind, "simulation", estimate.value, estimate))
        rows += [_point(number, kind, "network", found.value, found) for kind, number, found in self.network]
        return _frame(rows)

    def table(self) -> Table:
        """At the end: formula and simulation; and when a publisher is named with 95 %."""
        rows = []
        lives = (1, self.lifetime)
        for (kind, (exact, run)), life in zip(self.curves().items(), lives, strict=True):
            estimate = run.share(self.messages)
            until = messages_until(self.crowd, 0.95, life, convolve=np.convolve)
            rows.append((
                kind, life, f"{run.rounds[-1]:.0f}", f"{exact[-1]:.3f}",
                f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})",
                "more than can be computed" if until is None else str(until),
            ))  # fmt: skip
        columns = ("paths", "lifetime", "rounds", "P(named)", "simulated", "messages until 95 %")
        return Table(columns, tuple(rows), f"{self.crowd}, after {self.messages} messages")


@lru_cache(maxsize=256)
def _attacked(crowd: Crowd, messages: int, lifetime: int, seed: int) -> tuple[list[float], attacks.AttackRun]:
    exact = named_by_message(crowd, messages, lifetime, convolve=np.convolve)
    return exact, attacks.simulate(crowd, messages, TRIALS, seed, lifetime=lifetime)


# -- what it costs --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Costs:
    """Latency against the share of collaborators that is resisted."""

    n: int
    """Bridge brokers."""
    rtt_ms: float
    """Between two of them."""
    qos: int
    """0 or 2."""
    variant: Variant = Variant.A
    """Whether a broker may pick itself."""

    def frame(self) -> pandas.DataFrame:
        """A row a point: x (c/n), series, value (ms)."""
        rows: list[dict[str, object]] = []
        corrected, limit, printed = f"corrected bound, n = {self.n}", "corrected, very large n", "as printed"
        for row in trade_off(self.n, self.rtt_ms, self.qos, variant=self.variant):
            if row.latency_ms is not None:
                rows.append({"x": row.share, "series": corrected, "value": row.latency_ms})
        for step in range(197):
            share = step / 400
            hops = hops_for_share(share)
            if hops is not None:
                p_f = (hops - 2) / (hops - 1)
                rows.append({"x": share, "series": limit, "value": latency_ms(p_f, self.rtt_ms, self.qos)})
        wrong = latency_ms(printed_bound(self.n), self.rtt_ms, self.qos)
        rows += [{"x": share, "series": printed, "value": wrong} for share in (0.0, 0.5)]
        return _frame(rows)

    def table(self) -> Table:
        """For each application: the largest p_f that its latency bound bears, and whom that resists."""
        rows = []
        for application, bound in BOUNDS_MS.items():
            p_f = largest_p_f(bound, self.rtt_ms, self.qos)
            if p_f is None:
                rows.append((application, f"{bound:.0f}", "none", "not even p_f = 0"))
            else:
                resists = most_collaborators(self.n, min(p_f, 0.999), self.variant)
                words = "nobody" if resists.value is None else f"{resists.value:.0f} of {self.n}"
                rows.append((application, f"{bound:.0f}", f"{p_f:.3f}", words))
        title = f"RTT {self.rtt_ms:g} ms, QoS {self.qos}, both sides anonymous"
        return Table(("application", "bound ms", "largest p_f", "resists"), tuple(rows), title)


def limits() -> Table:
    """Fig. 12: the largest p_f of each application, network and QoS; capped at what the paper tried."""
    rows = []
    for application, bound in BOUNDS_MS.items():
        for qos in QOS_FACTOR:
            cells = []
            for rtt in RTTS_MS:
                found = largest_p_f(bound, rtt, qos)
                cells.append("none" if found is None else f"{min(found, LARGEST_TRIED):.3f}")
            rows.append((application, str(qos), *cells))
    columns = ("application", "QoS", *(f"RTT {rtt} ms" for rtt in RTTS_MS))
    return Table(columns, tuple(rows), f"largest p_f, both sides anonymous, at most {LARGEST_TRIED}")


def limits_frame() -> pandas.DataFrame:
    """The same as a row a point: x (RTT, ms), series, value."""
    rows: list[dict[str, object]] = []
    for application, bound in BOUNDS_MS.items():
        for qos in QOS_FACTOR:
            for rtt in RTTS_MS:
                found = largest_p_f(bound, rtt, qos)
                if found is not None:
                    series = f"{application}, QoS {qos}"
                    rows.append({"x": rtt, "series": series, "value": min(found, LARGEST_TRIED)})
    return _frame(rows)


def bound_table(n: int = 20) -> Table:
    """For each number of collaborators: the printed bound, the corrected one, and P(I|H1+) at both."""
    rows = []
    for c in range(1, n // 2 + 1):
        right, wrong = least_p_f(n, c), printed_bound(n)
        at_wrong = predecessor_is_initiator(Crowd(n, c, wrong))
        if right.value is None:
            rows.append((c, f"{wrong:.3f}", f"{at_wrong:.3f}", "none will do", ""))
        else:
            at_right = predecessor_is_initiator(Crowd(n, c, right.value))
            rows.append((c, f"{wrong:.3f}", f"{at_wrong:.3f}", f"{right.value:.3f}", f"{at_right:.3f}"))
    columns = ("c", "printed p_f", "P(I|H1+) there", "corrected p_f", "P(I|H1+) there ")
    return Table(columns, tuple(rows), f"n {n}")
