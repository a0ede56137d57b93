"""`mqttsec bench overhead`: what the four schemes cost, live, beside no security and beside TLS.

Stages follow each other: every mode and suite with all four schemes, the peers in the first, and the
paper's setting (one ciphertext for all) at smaller numbers of subscribers too. In a stage all take turns;
a turn in which another program had the cores is taken again, for twenty seconds of a run at most.
Delays are those of Application Messages, from just before a copy is sealed until the kernel has it at the
subscriber. Where one ciphertext serves all, what the primitive and the kernel take alone is measured as well:
the floor of Scheme 2. Ratios against the aims come last; --csv keeps the raw rows.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from mqttsec.crypto import SUITES
from mqttsec.e2e.schemes import Mode
from mqttsec.errors import ConfigurationError
from mqttsec.measure.contestants import PEERS, Contestant, find_peer, schemes
from mqttsec.measure.cores import CORES_MAY_SLEEP, Placement, awake, place
from mqttsec.measure.experiments import Row, overhead, write_csv
from mqttsec.measure.floor import floors
from mqttsec.measure.overhead_report import ratios, tables
from mqttsec.measure.spare import Spare


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    subscribers: int = 200
    payload: int = 1024
    """Bytes of an Application Message."""
    qos: int = 0
    suites: tuple[str, ...] = ("paper", "aes-gcm")
    modes: tuple[Mode, ...] = (Mode.PER_RECIPIENT, Mode.SINGLE_CIPHERTEXT)
    peers: tuple[str, ...] = tuple(peer.name for peer in PEERS)
    rounds: int = 5
    seconds: float = 0.35
    """Of one turn with single messages; a flood takes two thirds of it."""
    spare: float = 20.0
    """Seconds in all that may go into taking disturbed turns again."""
    placement: Placement = field(default_factory=place)
    """Which core broker and load get, and whether they are kept awake."""

    def __post_init__(self) -> None:
        for name in self.suites:
            if name not in SUITES:
                raise ConfigurationError(f"no cipher suite {name!r}: take some of {', '.join(SUITES)}")
        for name in self.peers:
            find_peer(name)
        if not 0.02 <= self.seconds <= 60:
            raise ConfigurationError("--seconds takes 0.02 to 60")
        if not self.rounds >= 1:
            raise ConfigurationError("--rounds takes 1 or more")

    def stages(self) -> Iterator[tuple[tuple[Contestant, ...], int, float]]:
        """(who takes part, subscribers, seconds of a flood) of each stage."""
        flood = self.seconds * 2 / 3
        peers = tuple(map(find_peer, self.peers))
        for mode in self.modes:
            for suite in self.suites:
                yield (*schemes((suite,), (mode,)), *peers), self.subscribers, flood
                peers = ()
        if Mode.SINGLE_CIPHERTEXT in self.modes and "paper" in self.suites and self.qos == 0:
            for part in (2, 4):
                if self.subscribers // part:
                    fewer = schemes(("paper",), (Mode.SINGLE_CIPHERTEXT,))
                    yield fewer, self.subscribers // part, 0.0

    def run(self, stop: threading.Event | None = None) -> Iterator[Row]:
        """All rows, as they come."""
        spare = Spare(self.spare)
        for contestants, subscribers, flood in self.stages():
            if stop is not None and stop.is_set():
                return
            yield from overhead(
                contestants,
                subscribers=subscribers,
                payload=self.payload,
                qos=self.qos,
                rounds=self.rounds,
                seconds=self.seconds,
                flood_seconds=flood,
                stop=stop,
                placement=self.placement,
                spare=spare,
            )
            if flood and contestants[0].mode == Mode.SINGLE_CIPHERTEXT.value and not self.qos:
                with awake(self.placement):
                    yield from floors(contestants[0].suite, subscribers, self.payload, self.rounds)


def parse(argv: Sequence[str]) -> tuple[Plan, argparse.Namespace]:
    """The plan that the arguments describe. Raises `ConfigurationError` for values that cannot work."""
    standard = Plan()
    parser = argparse.ArgumentParser(
        prog="mqttsec bench overhead",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--subscribers",
        type=int,
        default=standard.subscribers,
        metavar="N",
        help="1 to 1000 (default: %(default)s)",
    )
    add(
        "--payload",
        type=int,
        default=standard.payload,
        metavar="BYTES",
        help="1 to 65536 (default: %(default)s)",
    )
    add("--qos", type=int, choices=(0, 1, 2), default=standard.qos, help="default: %(default)s")
    add("--suites", type=_words, default=standard.suites, metavar="NAME,...", help=f"of {', '.join(SUITES)}")
    add(
        "--modes",
        type=_words,
        default=tuple(mode.value for mode in standard.modes),
        metavar="NAME,...",
        help=f"of {', '.join(mode.value for mode in Mode)}",
    )
    add(
        "--peers",
        type=_words,
        default=standard.peers,
        metavar="NAME,...",
        help=f"of: {', '.join(standard.peers)}; '' for none",
    )
    add("--rounds", type=int, default=standard.rounds)
    add("--seconds", type=float, default=standard.seconds, help="of one turn (default: %(default)s)")
    add("--cores-may-sleep", action="store_true", help=CORES_MAY_SLEEP)
    add("--csv", type=Path, metavar="PATH", help="keep the raw rows; `mqttsec bench report` draws them")
    add("--quick", action="store_true", help="10 subscribers, 1 round, short turns: shows that it works")
    options = parser.parse_args(argv)
    if options.quick:
        options.subscribers, options.rounds, options.seconds = 10, 1, 0.06
        options.suites = ("paper",)
    try:
        modes = tuple(map(Mode, options.modes))
    except ValueError as error:
        raise ConfigurationError(
            f"--modes: {error}; there are {', '.join(mode.value for mode in Mode)}"
        ) from None
    plan = Plan(
        options.subscribers,
        options.payload,
        options.qos,
        options.suites,
        modes,
        options.peers,
        options.rounds,
        options.seconds,
        placement=place(options.cores_may_sleep),
    )
    return plan, options


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print the report; 0 when every scheme went through, aims met or not.

    Raises `MqttsecError` for arguments that cannot work.
    """
    plan, options = parse(sys.argv[1:] if argv is None else argv)
    stop = threading.Event()
    before = {number: signal.signal(number, _stopper(stop)) for number in (signal.SIGINT, signal.SIGTERM)}
    started, rows = time.monotonic(), []
    try:
        with ExitStack() as stack:
            # Opened before the run: three minutes later is too late to learn that it cannot be written.
            try:
                file = stack.enter_context(options.csv.open("w", newline="")) if options.csv else None
            except OSError as error:
                raise ConfigurationError(
                    f"--csv: {options.csv} cannot be written ({error.strerror}): choose another path."
                ) from error
            print(_circumstances(plan.placement))
            for row in plan.run(stop):
                rows.append(row)
                _progress(row, plan)
            if file is not None:
                write_csv(rows, file)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if sys.stderr.isatty():
        print(f"\r{'':78}\r", end="", file=sys.stderr, flush=True)
    print(tables(rows))
    kept = f", kept in {options.csv}" if options.csv else ""
    print(f"\n{len(rows)} rows in {time.monotonic() - started:.0f} s{kept}{', stopped' * stop.is_set()}")
    print(ratios(rows))
    return 1 if stop.is_set() or any(row.note and row.scheme is not None for row in rows) else 0


def _stopper(stop: threading.Event) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()

    return handle


def _circumstances(placement: Placement) -> str:
    return (
        f"MQTT 5.0; Python {sys.version.split()[0]}; {placement}; load average {os.getloadavg()[0]:.1f}\n"
        "per_recipient: Schemes 1 and 2 send a ciphertext for each subscriber. single_ciphertext (1C): one "
        "for all, as the paper timed it. Compare within a mode."
    )


def _progress(row: Row, plan: Plan) -> None:
    """One line on a terminal that is written over; nothing in a file."""
    if sys.stderr.isatty():
        text = f"{row.experiment}, round {row.round} of {plan.rounds}: n={row.subscribers}, {row.contestant}"
        print(f"\r{text:<78}\r", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
