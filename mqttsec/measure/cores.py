"""Processor time and processor cores: who used how much, and who may run where."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mqttsec.errors import ConfigurationError


@dataclass(frozen=True)
class Placement:
    """Which core the broker under test gets, and which one the load generator gets."""

    broker: int | None
    """Core of the broker; None: the scheduler decides."""
    load: int | None
    """Core of the load generator; None: the scheduler decides."""
    awake: bool = False
    """Whether both cores are kept from falling asleep: see `awake`."""

    @property
    def apart(self) -> bool:
        """True when broker and load cannot take processor time from each other."""
        return self.broker is not None and self.broker != self.load

    def __str__(self) -> str:
        if not self.apart:
            return "brokers and load share the core: compare with care"
        state = "kept awake" if self.awake else "may fall asleep"
        return f"broker on core {self.broker}, load on core {self.load}, both {state}"


def place(may_sleep: bool = False) -> Placement:
    """Give the broker one core and the load another, where this process may use at least two.

    Both are to be kept awake, unless they `may_sleep`: on Linux, and not where others would pay for it.

    Every peer of a comparison gets the same placement: a broker that the scheduler moves from core to
    core loses its caches, and two brokers moved differently cannot be compared.
    """
    if not hasattr(os, "sched_getaffinity"):
        return Placement(None, None)
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        return Placement(None, None)
    return Placement(usable[0], usable[1], not (may_sleep or _is_shared()) and _has_idle_class())


def pin(pid: int, core: int | None) -> None:
    """Bind every thread of process `pid` to `core`; None leaves them where they are."""
    if core is None:
        return
    for thread in _threads(pid):
        try:
            os.sched_setaffinity(int(thread.name), {core})
        except ProcessLookupError:
            continue  # a thread that ended between the listing and the call


CORES_MAY_SLEEP = "let idle cores sleep; else a process of the class SCHED_IDLE keeps each awake (Linux)"
"""What a command says of its option of that name."""

_PROBE = "import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))"
_KEEPER = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
while os.getppid() == int(sys.argv[1]):
    for _ in range(1_000):
        pass
"""
# Ends with the process that started it, even where that was killed. Ctrl-C is for that one.
_QUOTAS = (Path("/sys/fs/cgroup/cpu.max"), Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"))
_UNLIMITED = ("max", "-1")


def _run(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    # -S -E: nothing but the program, started in no time.
    command = [sys.executable, "-S", "-E", "-c", program, *arguments]
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere)


@cache
def _has_idle_class() -> bool:
    """Whether a process of ours may be of the class SCHED_IDLE: not every system or sandbox has it."""
    return hasattr(os, "SCHED_IDLE") and _run(_PROBE).wait() == 0


def _is_shared() -> bool:
    """True on a hub, and where a container may use so much processor time and no more.

    What keeps cores awake would there take from other people's share, or from our own.
    """
    for path in _QUOTAS:
        try:
            if path.read_text().split()[0] not in _UNLIMITED:
                return True
        except (OSError, IndexError):
            continue
    return "JUPYTERHUB_USER" in os.environ


@contextlib.contextmanager
def awake(placement: Placement) -> Iterator[None]:
    """Keep both cores from falling asleep, where `Placement.awake` says so.

    A virtual machine gives a core back that has nothing to do, and gets it again late, slow and with cold
    caches: one message at a time is then a measurement of that. What keeps a core awake here is of Linux's
    class SCHED_IDLE (sched(7)): it has the core while nobody else of this login or container wants it, and
    yields it at once.
    """
    keepers: list[subprocess.Popen[bytes]] = []
    try:
        for core in (placement.broker, placement.load) if placement.awake else ():
            keepers.append(_run(_KEEPER, str(os.getpid())))
            pin(keepers[-1].pid, core)
            os.sched_setscheduler(keepers[-1].pid, os.SCHED_IDLE, os.sched_param(0))
        yield
    finally:
        for keeper in keepers:
            keeper.kill()
        for keeper in keepers:
            keeper.wait()


@dataclass(frozen=True)
class Usage:
    """What a process has had of the processor, all threads together."""

    running: float
    """Seconds on a core, user + system."""
    waiting: float
    """Seconds ready to run while something else had the core; 0 where the kernel does not count them."""

    def since(self, earlier: Usage) -> Usage:
        """The part of it after `earlier`."""
        return Usage(self.running - earlier.running, self.waiting - earlier.waiting)

    @property
    def disturbance(self) -> float:
        """Share of the time it wanted to run in which it did not: 0 is an undisturbed process."""
        wanted = self.running + self.waiting
        return self.waiting / wanted if wanted > 0.0 else 0.0


def usage(pid: int) -> Usage:
    """What process `pid` has used so far.

    `schedstat` counts nanoseconds; `stat`, which every kernel has, counts ticks of 10 ms and no waiting.
    Both figures are nan for a process that is gone.
    """
    try:
        counted = [(thread / "schedstat").read_text().split() for thread in _threads(pid)]
        running, waiting = (sum(int(fields[column]) for fields in counted) / 1e9 for column in (0, 1))
        if running > 0.0:
            return Usage(running, waiting)
    except OSError:
        pass  # a kernel built without schedstat, or a thread that has just ended: the ticks will do
    try:
        # The command in parentheses may hold spaces; the counted fields begin after it (proc(5)).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return Usage(float("nan"), float("nan"))
    user, system = int(fields[11]), int(fields[12])
    return Usage((user + system) / os.sysconf("SC_CLK_TCK"), 0.0)


def allow_open_files(wanted: int) -> None:
    """Raise this process's limit, which brokers and load inherit. `ConfigurationError` if it cannot be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise ConfigurationError(f"{wanted} open files are needed and {hard} are allowed: "
                                     "ask for fewer subscribers or raise the limit (ulimit -Hn).")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _threads(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []
