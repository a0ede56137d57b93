"""A model of what the schemes cost: the table of operations x what each operation takes on a machine.

    costs = recorded_costs()                       # or `measured_costs()`, of this machine
    print(predict(costs, Setup(2), subscribers=200, payload=1024).broker_cpu_us)

The table of specification 1.5 says how often a layer is put on and taken off; `Costs` says what that
takes for so many bytes, and what a broker without any security needs to take a PUBLISH, to write it to
a receiver, and to make a receiver a copy of its own. Nothing else is in the model.
"""

from __future__ import annotations

import csv
import os
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TextIO

from mqttsec.crypto import SUITES, Key, Purpose, SealKey, Suite
from mqttsec.e2e.schemes import Protection, ciphertexts
from mqttsec.e2e.setup import Setup
from mqttsec.errors import ConfigurationError
from mqttsec.measure.recorded import COSTS, lines

SIZES = (64, 256, 1024, 4096, 16_384, 65_536)
"""Bytes for which primitives are measured; between two of them costs are taken to be linear."""
PRIMITIVES = ("seal", "open", "mac")
"""EI put on, EI taken off, I made or checked."""
FORWARDING = ("take", "send", "copy")
"""A broker's work without cryptography: a PUBLISH comes in; it is written to one receiver; a receiver gets
a copy of its own, which is queued and written at the end."""
HEADER = 48
"""Bytes of a layer's header with names as of the measurement."""
ROUNDS = 7


@dataclass(frozen=True)
class Cost:
    """What one thing takes."""

    what: str
    """Of `PRIMITIVES` or `FORWARDING`."""
    suite: str
    """For primitives."""
    bytes: int
    """Of the message; 0 where it does not matter."""
    us: float
    """Microseconds."""


@dataclass(frozen=True)
class Costs:
    """What everything takes on one machine, microseconds."""

    rows: tuple[Cost, ...]
    """As measured."""
    _curves: Mapping[tuple[str, str], list[tuple[int, float]]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        curves: dict[tuple[str, str], list[tuple[int, float]]] = {}
        for row in self.rows:
            curves.setdefault((row.what, row.suite), []).append((row.bytes, row.us))
        object.__setattr__(self, "_curves", {name: sorted(points) for name, points in curves.items()})

    def of(self, what: str, suite: str = "", size: float = 0) -> float:
        """Microseconds; between two sizes, and beyond the largest, on the line through its neighbours.

        Raises `ConfigurationError` for what was not measured.
        """
        points = self._curves.get((what, suite))
        if points is None:
            raise ConfigurationError(f"there is no cost of {what!r} {suite}: measure it first")
        if len(points) == 1:
            return points[0][1]
        place = min(max(bisect_right(points, (size, float("inf"))), 1), len(points) - 1)
        (left, low), (right, high) = points[place - 1], points[place]
        return max(0.0, low + (high - low) * (size - left) / (right - left))


def measured_costs(
    suites: Sequence[str] = tuple(SUITES), forwarding: Iterable[Cost] = (), sizes: Sequence[int] = SIZES
) -> Costs:
    """This machine's primitives, about a second a suite; `forwarding` is added (see `report.forwarding`)."""
    rows: list[Cost] = []
    for name in suites:
        suite = SUITES[name]
        box = suite.box(_key(suite))
        for size in sizes:
            message = os.urandom(size)
            sealed, tag = box.seal(message), box.mac(message)
            for what, call in (
                ("seal", partial(box.seal, message)),
                ("open", partial(box.open, sealed)),
                ("mac", partial(box.mac, message)),
            ):
                rows.append(Cost(what, name, size, round(_least(call), 3)))
            assert tag
    return Costs((*rows, *forwarding))


def _key(suite: Suite) -> SealKey:
    secret = os.urandom(suite.encryption_key_size)
    return SealKey.single(Key("K", Purpose.ENCRYPTION_AND_MAC, secret))


def _least(call: Callable[[], object]) -> float:
    """Microseconds of processor time of one call at best: what other programs do does not count."""
    start = time.thread_time()
    call()
    calls = max(3, min(2000, int(0.004 / max(time.thread_time() - start, 1e-7))))
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.thread_time()
        for _ in range(calls):
            call()
        best = min(best, (time.thread_time() - start) / calls)
    return best * 1e6


def recorded_costs() -> Costs:
    """Those in `data/`: the same figures on every machine."""
    return costs_of(lines(COSTS))


def costs_of(rows: Iterable[Mapping[str, str]]) -> Costs:
    """From the lines of a CSV file. Raises `ConfigurationError` for lines that are no costs."""
    try:
        return Costs(
            tuple(Cost(row["what"], row["suite"], int(row["bytes"]), float(row["us"])) for row in rows)
        )
    except (KeyError, ValueError) as error:
        raise ConfigurationError(
            f"these are no costs ({error}): columns are what, suite, bytes, us"
        ) from None


def write_costs(costs: Costs, file: TextIO) -> None:
    """As CSV."""
    writer = csv.writer(file)
    writer.writerow(("what", "suite", "bytes", "us"))
    writer.writerows((row.what, row.suite, row.bytes, row.us) for row in costs.rows)


@dataclass(frozen=True)
class Prediction:
    """What the model says of one Application Message."""

    scheme: int
    suite: str
    mode: str
    subscribers: int
    payload_bytes: int
    publisher_us: float
    """P's cryptography for all copies."""
    crypto_us: float
    """B's cryptography for all deliveries."""
    broker_cpu_us: float
    """B's processor time per delivery, forwarding included."""
    mean_us: float
    """Publish to receive, mean over deliveries."""
    min_us: float
    """Publish to receive, the first delivery."""


def predict(costs: Costs, setup: Setup, subscribers: int, payload: int) -> Prediction:
    """The model. Raises `ConfigurationError` for a suite that was not measured."""
    suite, row = setup.suite, setup.row
    take, send, copy = (costs.of(what) for what in FORWARDING)
    copies = ciphertexts(row, setup.mode, subscribers)
    inner_cell = row.end_to_end(setup.mode)
    inner = SUITES[suite].sealed_size(payload) + HEADER

    def on(protection: Protection, size: int) -> float:
        if protection is Protection.EI:
            return costs.of("seal", suite, size)
        return costs.of("mac", suite, size) if protection is Protection.I else 0.0

    def off(protection: Protection, size: int) -> float:
        if protection is Protection.EI:
            return costs.of("open", suite, size)
        return on(protection, size)

    # One copy at P: the inner layer, and the one for B; at B: that one comes off.
    sealing = on(inner_cell.protection, payload) + on(row.publisher_broker.protection, inner)
    opening = off(row.publisher_broker.protection, inner)
    outbound = row.broker_subscriber
    wrapping = on(outbound.protection, inner)
    own = outbound.key is not None and not outbound.key.is_group
    once = wrapping if not own else 0.0
    each = wrapping if own else 0.0
    reached = subscribers // copies
    if own:
        # Copies of their own are all made before the first is written.
        make = reached * (copy + each)
        first, last = make + send, make + reached * send
    else:
        first, last = send, reached * send
    crypto = copies * (opening + (once if reached else 0.0)) + subscribers * each
    cpu = (copies * take + crypto + subscribers * (send + (copy if own else 0.0))) / subscribers
    # With a ciphertext per recipient the copies queue at the slower of P and B.
    head = sealing + take + opening + once
    pace = take + opening + once + reached * (send + (copy + each if own else 0.0))
    queue = max(0.0, pace - sealing) * (copies - 1) / 2
    return Prediction(
        setup.scheme,
        suite,
        setup.mode.value,
        subscribers,
        payload,
        round(copies * sealing, 3),
        round(crypto, 3),
        round(cpu, 3),
        round(head + queue + (first + last) / 2, 3),
        round(head + first, 3),
    )
