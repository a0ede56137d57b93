"""Processor time and processor cores: who used how much, and who may run where."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Placement:
    """Which core the broker under test gets, and which one the load generator gets."""

    broker: int | None
    """Core of the broker; None: the scheduler decides."""
    load: int | None
    """Core of the load generator; None: the scheduler decides."""

    @property
    def apart(self) -> bool:
        """True when broker and load cannot take processor time from each other."""
        return self.broker is not None and self.broker != self.load


def place() -> Placement:
    """Give the broker one core and the load another, where this process may use at least two.

    Every peer of a comparison gets the same placement: a broker that the scheduler moves from core to
    core loses its caches, and two brokers moved differently cannot be compared.
    """
    if not hasattr(os, "sched_getaffinity"):
        return Placement(None, None)
    usable = sorted(os.sched_getaffinity(0))
    return Placement(usable[0], usable[1]) if len(usable) > 1 else Placement(None, None)


def pin(pid: int, core: int | None) -> None:
    """Bind every thread of process `pid` to `core`; None leaves them where they are."""
    if core is None:
        return
    for thread in _threads(pid):
        try:
            os.sched_setaffinity(int(thread.name), {core})
        except ProcessLookupError:
            continue  # a thread that ended between the listing and the call


def cpu_seconds(pid: int) -> float:
    """Processor time (user + system, all threads) that process `pid` has used so far, in seconds.

    `schedstat` counts nanoseconds; `stat`, which every kernel has, counts ticks of 10 ms.
    Returns nan for a process that is gone.
    """
    try:
        exact = sum(int(_first_word(thread / "schedstat")) for thread in _threads(pid)) / 1e9
        if exact > 0.0:
            return exact
    except OSError:
        pass  # a kernel built without schedstat, or a thread that has just ended: the ticks will do
    try:
        # The command in parentheses may hold spaces; the counted fields begin after it (proc(5)).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    user, system = int(fields[11]), int(fields[12])
    return (user + system) / os.sysconf("SC_CLK_TCK")


def _threads(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def _first_word(path: Path) -> str:
    return path.read_text().split()[0]
