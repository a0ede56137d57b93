"""The load of an overhead measurement: a process of its own that holds the audiences of all contestants.

    python -m mqttsec.measure.overhead_load [CORE]

It reads one JSON object a line, {"do": "enter" | "single" | "flow" | "leave", ...}, and answers with one.
All audiences stay connected while the contestants take turns, so that a turn costs nothing but itself.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mqttsec.errors import ConnectionFailed, MqttsecError
from mqttsec.measure.audience import MESSAGE_SECONDS, Audience, Entry
from mqttsec.measure.cores import Usage, pin, usage

WARM_UP_SHARE = 0.2
"""Part of a turn that is run and not counted."""


@dataclass(frozen=True)
class Single:
    """One Application Message at a time, back to back. Delays per delivery, microseconds."""

    messages: int
    deliveries: int
    seconds: float
    mean_us: float
    median_us: float
    p95_us: float
    p99_us: float
    min_us: float
    max_us: float
    stdev_us: float
    first_us: float
    """Mean over messages of the first delivery's delay."""
    broker_cpu_us: float
    """Processor time of the broker per delivery, idling between messages included."""
    disturbance: float
    """Share of the time that broker or load (the worse) wanted a core and did not get it."""


@dataclass(frozen=True)
class Flow:
    """A publisher that never lets the broker rest, QoS 0."""

    deliveries: int
    seconds: float
    deliveries_per_s: float
    broker_cpu_us: float
    """Processor time of the broker per delivery."""
    broker_busy: float
    """Share of a core."""
    load_busy: float
    """The same of this process: near 1 it may have been the limit."""
    disturbance: float
    """As in `Single`."""


def single(audience: Audience, seconds: float) -> Single:
    """Messages one after the other for so many seconds; the delay ends when the kernel has the data."""
    warm = time.perf_counter() + WARM_UP_SHARE * seconds
    while time.perf_counter() < warm:
        _one(audience)
    delays: list[int] = []
    firsts: list[int] = []
    meter, begin = _Meter(audience), time.perf_counter()
    end = begin + (1 - WARM_UP_SHARE) * seconds
    while not firsts or time.perf_counter() < end:
        own = _one(audience)
        delays += own
        firsts.append(min(own))
    took = time.perf_counter() - begin
    broker, load = meter.read()
    delays.sort()

    def quantile(share: float) -> float:
        return delays[min(len(delays) - 1, math.floor(share * len(delays)))] / 1e3

    return Single(
        messages=len(firsts),
        deliveries=len(delays),
        seconds=took,
        mean_us=statistics.fmean(delays) / 1e3,
        median_us=quantile(0.5),
        p95_us=quantile(0.95),
        p99_us=quantile(0.99),
        min_us=delays[0] / 1e3,
        max_us=delays[-1] / 1e3,
        stdev_us=statistics.pstdev(delays) / 1e3,
        first_us=statistics.fmean(firsts) / 1e3,
        broker_cpu_us=1e6 * broker.running / len(delays),
        disturbance=max(broker.disturbance, load.disturbance),
    )


def _one(audience: Audience) -> list[int]:
    """One message to everybody: the delay of each delivery, nanoseconds."""
    stride, count, links = audience.stride, audience.count, audience.receivers
    collected, waiting = [b""] * count, count
    due = [link.delivered + stride for link in links]
    delays: list[int] = []
    began = audience.send()
    shared = len(began) == 1
    deadline = time.monotonic() + MESSAGE_SECONDS
    while waiting:
        for number, data, stamp in audience.arrivals(0.05):
            collected[number] += data
            if links[number].delivered == due[number]:
                waiting -= 1
                delays.append(stamp - began[0 if shared else number])
        if time.monotonic() > deadline:
            raise ConnectionFailed(
                f"A message had reached {len(delays)} of {count} subscribers after {MESSAGE_SECONDS:.0f} s."
            )
    audience.settle(collected)
    return delays


def flow(audience: Audience, seconds: float) -> Flow:
    """Deliveries per time when the publisher always has more; nobody is more than a window behind."""
    if audience.entry.qos:
        raise ConnectionFailed("A flood is measured at QoS 0 only.")
    stride, links = audience.stride, audience.receivers
    base = [link.delivered for link in links]
    window, published = _window(audience), 0
    clock = time.perf_counter
    start = clock()
    warm, end = start + WARM_UP_SHARE * seconds, start + seconds
    counting, begin, before, meter = False, start, 0, _Meter(audience)
    while True:
        behind = (
            published - min(link.delivered - old for link, old in zip(links, base, strict=True)) // stride
        )
        if behind <= window // 2:
            for _ in range(window - behind):
                audience.send()
            published += window - behind
        audience.discard(0.02)
        now = clock()
        if now >= warm and not counting:
            counting, begin, meter = True, now, _Meter(audience)
            before = sum(link.delivered for link in links)
        elif counting and now >= end:
            came = (sum(link.delivered for link in links) - before) // stride
            if came >= 2 * window * len(links) or now > end + MESSAGE_SECONDS:
                break
    took = clock() - begin
    broker, load = meter.read()
    if not came:
        raise ConnectionFailed(f"No delivery was completed in {took:.2f} s of a flood.")
    deadline = time.monotonic() + MESSAGE_SECONDS
    while min(link.delivered - old for link, old in zip(links, base, strict=True)) < published * stride:
        audience.discard(0.02)
        if time.monotonic() > deadline:
            raise ConnectionFailed("What was published had not all arrived after the flood.")
    return Flow(
        deliveries=came,
        seconds=took,
        deliveries_per_s=came / took,
        broker_cpu_us=1e6 * broker.running / came,
        broker_busy=broker.running / took,
        load_busy=load.running / took,
        disturbance=max(broker.disturbance, load.disturbance),
    )


def _window(audience: Audience) -> int:
    """Application Messages that may be on their way: enough that the broker never waits for the load."""
    copies = audience.entered.packets_in if audience.entered is not None else 1
    most = (1 << 19) // audience.stride  # half a megabyte for each receiver, which its socket can hold
    # Where every receiver has a copy of its own, a window is work for the broker that is hundreds of times as
    # long: it writes when a batch is over, and a flood of one batch would show nothing.
    own = copies > 1 or audience.seals_for_each
    return max(2, min(4 if own else 64, most))


class _Meter:
    """What broker and load use of the processor from its making on."""

    def __init__(self, audience: Audience) -> None:
        self._pids = (audience.entry.pid, os.getpid())
        self._before = tuple(usage(pid) for pid in self._pids)

    def read(self) -> tuple[Usage, Usage]:
        pairs = zip(self._pids, self._before, strict=True)
        broker, load = (usage(pid).since(before) for pid, before in pairs)
        return broker, load


class Desk:
    """Does the jobs."""

    def __init__(self) -> None:
        self._audiences: dict[int, Audience] = {}

    def enter(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Connect an audience."""
        setup = entry.pop("setup")
        made = Audience(Entry(**entry, setup=tuple(setup) if setup else None))
        self._audiences[made.entry.key] = made
        return asdict(made.enter())

    def single(self, key: int, seconds: float) -> dict[str, Any]:
        """Single messages to an audience."""
        with _steady():
            return asdict(single(self._audiences[key], seconds))

    def flow(self, key: int, seconds: float) -> dict[str, Any]:
        """A flood for an audience."""
        with _steady():
            return asdict(flow(self._audiences[key], seconds))

    def leave(self, key: int) -> dict[str, Any]:
        """Disconnect an audience."""
        audience = self._audiences.pop(key, None)
        if audience is not None:
            audience.close()
        return {}


@contextlib.contextmanager
def _steady() -> Iterator[None]:
    """No collection of garbage falls into a delay: what lives now lives on."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def main(argv: Sequence[str]) -> int:
    """Serve jobs from standard input until it ends; `argv` may hold the core to run on."""
    if argv:
        pin(os.getpid(), int(argv[0]))
    desk = Desk()
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C reaches it too; who started it will say so
        for line in sys.stdin:
            job = json.loads(line)
            work: Callable[..., dict[str, Any]] = getattr(desk, job.pop("do"))
            try:
                answer = work(**job)
            except MqttsecError as error:
                answer = {"error": str(error)}
            print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
