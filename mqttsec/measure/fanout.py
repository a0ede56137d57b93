"""`mqttsec bench fanout`: one publisher, many subscribers, our broker against others, in one alternating run.

For every number of subscribers, payload and QoS, every broker gets the same job in turn (A B C, A B C, ...),
so that whatever else the machine does hits all of them. Raw rows can be kept as CSV; the table shows
medians over rounds with their spread; the ratios against the aims come last.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from mqttsec.errors import ConfigurationError, ConnectionFailed, MissingPeerError, MqttsecError
from mqttsec.measure import peers
from mqttsec.measure.cores import CORES_MAY_SLEEP, Placement, allow_open_files, awake, place
from mqttsec.measure.load import Job
from mqttsec.measure.plan import (
    AMQTT,
    BACK_TO_BACK,
    CEILING,
    MOSQUITTO,
    NAMES,
    OURS,
    OURS_ACL,
    PAUSED,
    SATURATED,
    Cell,
    Plan,
    Row,
    write_csv,
)
from mqttsec.measure.report import ratios, tables
from mqttsec.measure.spare import Spare

BROKERS: dict[str, Callable[[int | None], peers.BrokerProcess]] = {
    OURS: lambda core: peers.mqttsec_broker(core=core),
    MOSQUITTO: lambda core: peers.mosquitto(core=core),
    AMQTT: lambda core: peers.stock_amqtt(core=core),
    OURS_ACL: lambda core: peers.mqttsec_broker(core=core, acl=True),
    CEILING: lambda core: peers.ceiling(core=core),
}
"""How each of `plan.NAMES` is made, given the core it has to run on."""


class LoadProcess:
    """The load generator in its own process, on its own core; a context manager."""

    def __init__(self, core: int | None) -> None:
        command = [sys.executable, "-m", "mqttsec.measure.load", *([] if core is None else [str(core)])]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, job: Job) -> dict[str, Any]:
        """The `Measurement` of a job as a dict. Raises `ConnectionFailed` when the broker failed in it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended: the empty answer below says so
            self._process.stdin.write(json.dumps(asdict(job)) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise MqttsecError("The load generator ended in the middle of a run; its traceback is above. "
                               "Please report it.")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ConnectionFailed(answer["error"])
        return answer

    def __enter__(self) -> LoadProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()  # the end of its input ends it, unless it is in the middle of a job
        if kind is not None:
            self._process.kill()
        self._process.wait()
        self._process.stdout.close()


class Contest:
    """The running brokers of a plan and the load generator; a context manager.

    `missing` names the peers that are not installed, with the reason; they are left out.
    """

    def __init__(self, plan: Plan, placement: Placement | None = None) -> None:
        self.plan = plan
        self.placement = place() if placement is None else placement
        self.brokers: dict[str, peers.BrokerProcess] = {}
        self.missing: dict[str, str] = {}
        self._stack = contextlib.ExitStack()
        self._spare = Spare(plan.spare)

    def __enter__(self) -> Contest:
        allow_open_files(max(self.plan.subscribers) + 200)
        with self._stack:
            self._stack.enter_context(awake(self.placement))
            for name in self.plan.brokers:
                try:
                    broker = BROKERS[name](self.placement.broker)
                except MissingPeerError as error:
                    self.missing[name] = str(error)
                    continue
                self.brokers[name] = self._stack.enter_context(broker)
            self._load = self._stack.enter_context(LoadProcess(self.placement.load))
            self._stack = self._stack.pop_all()  # no error so far: stopping is now __exit__'s business
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._stack.__exit__(kind, value, trace)

    def rows(self) -> Iterator[Row]:
        """Run the plan, round by round; yields each raw row as soon as it is there."""
        for number in range(1, self.plan.rounds + 1):
            for cell in self.plan.cells():
                for name in cell.brokers:
                    if name in self.brokers:
                        yield from self._measure(number, cell, name)

    def _measure(self, number: int, cell: Cell, name: str) -> Iterator[Row]:
        broker = self.brokers[name]
        job = Job(broker.host, broker.port, broker.pid, cell.subscribers, cell.payload, cell.qos,
                  self.plan.seconds / 3, cell.window, self.plan.protocol, self.plan.gap, self.placement.apart)

        def row(regime: str, **figures: Any) -> Row:
            return Row(number, name, cell.subscribers, cell.payload, cell.qos, regime, **figures)

        try:
            # A broker that has not drained is not asked again: what it still owes would be in the next run.
            found = self._spare.least_disturbed(
                partial(self._load.run, job), _disturbance, lambda found: not found["flow"]["drained"]
            )
        except ConnectionFailed as failure:
            note = f"failed: {failure}" + ("" if broker.running else " The broker has ended.")
            broker.restart()
            yield from (row(regime, note=note) for regime in (PAUSED, BACK_TO_BACK, SATURATED))
            return
        for regime, key in ((PAUSED, "paused"), (BACK_TO_BACK, "back_to_back")):
            delays = found[key]
            messages = delays.pop("messages")
            yield row(regime, deliveries=messages * cell.subscribers, **delays)
        flow = found["flow"]
        drained = flow.pop("drained")
        yield row(SATURATED, deliveries_per_s=flow["deliveries"] / flow["seconds"], **flow)
        if not drained:
            # It still works on what is left, and would do so in the time of the next broker.
            broker.restart()
        else:
            _wait_until_quiet(broker)


def _disturbance(found: dict[str, Any]) -> float:
    return float(max(found[key]["disturbance"] for key in ("paused", "back_to_back", "flow")))


def _wait_until_quiet(broker: peers.BrokerProcess, most: float = 0.5) -> None:
    """Return when the broker has tidied up after its clients, or after `most` seconds."""
    end = time.monotonic() + most
    while time.monotonic() < end:
        before = broker.cpu_seconds()
        time.sleep(0.02)
        if broker.cpu_seconds() - before < 0.001:
            return


def parse(argv: Sequence[str]) -> tuple[Plan, argparse.Namespace]:
    """The plan that the arguments describe. Raises `ConfigurationError` for values that cannot work."""
    parser = argparse.ArgumentParser(prog="mqttsec bench fanout", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    standard = Plan()
    parser.add_argument("--subscribers", type=_numbers, default=standard.subscribers, metavar="N,N,...",
                        help="how many subscribers every message goes to (default: 1,10,200)")
    parser.add_argument("--payload", type=_numbers, default=standard.payloads, metavar="BYTES,...",
                        help="payload sizes; a single subscriber gets the first only (default: 100,1000)")
    parser.add_argument("--qos", type=_numbers, default=standard.qos, metavar="0,1,2",
                        help="QoS of publisher and subscribers (default: all three)")
    parser.add_argument("--peers", type=lambda text: tuple(text.split(",")), default=standard.brokers,
                        metavar="NAME,...",
                        help=f"brokers to compare, of: {', '.join(NAMES)}; all but the last by default")
    parser.add_argument("--rounds", type=int, default=standard.rounds, metavar="N",
                        help="how often every broker has its turn in every cell (default: %(default)s)")
    parser.add_argument("--seconds-per-cell", type=float, default=standard.seconds, metavar="S",
                        help="seconds for a cell, broker and round, besides connecting and draining "
                             "(default: %(default)s)")
    parser.add_argument("--gap-ms", type=float, default=1e3 * standard.gap, metavar="MS",
                        help="mean pause between single messages (default: %(default)s)")
    parser.add_argument("--protocol", type=int, default=standard.protocol, metavar="4|5",
                        help="4: MQTT 3.1.1, which every peer speaks (default), 5: MQTT 5.0")
    parser.add_argument("--cores-may-sleep", action="store_true", help=CORES_MAY_SLEEP)
    parser.add_argument("--csv", type=Path, metavar="PATH", help="keep the raw rows in this file")
    parser.add_argument("--quick", action="store_true",
                        help="a few seconds: 10 subscribers, 100 bytes, one round; shows that it works")
    options = parser.parse_args(argv)
    if options.quick:
        options.subscribers, options.payload = (10,), (100,)
        options.rounds, options.seconds_per_cell = 1, 0.12
    return Plan(options.subscribers, options.payload, options.qos, options.peers, options.rounds,
                options.seconds_per_cell, options.protocol, options.gap_ms / 1e3), options


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print the report; 0 when every run went through, met or not.

    Raises `MqttsecError` for arguments that cannot work and for a broker of ours that does not start.
    """
    plan, options = parse(sys.argv[1:] if argv is None else argv)
    before = signal.signal(signal.SIGTERM, _leave)
    started = time.monotonic()
    try:
        with contextlib.ExitStack() as stack:
            # Opened before the run: three minutes later is too late to learn that it cannot be written.
            try:
                file = stack.enter_context(options.csv.open("w", newline="")) if options.csv else None
            except OSError as error:
                raise ConfigurationError(f"--csv: {options.csv} cannot be written "
                                         f"({error.strerror}): choose another path.") from error
            contest = stack.enter_context(Contest(plan, place(options.cores_may_sleep)))
            for reason in contest.missing.values():
                print(f"left out: {reason}")
            print(_circumstances(contest))
            rows = []
            for row in contest.rows():
                rows.append(row)
                _progress(row, plan)
            if file is not None:
                write_csv(rows, file)
    finally:
        signal.signal(signal.SIGTERM, before)
    _progress(None, plan)
    print(tables(rows))
    print(f"\n{len(rows)} rows in {time.monotonic() - started:.0f} s"
          + (f", kept in {options.csv}" if options.csv else ""))
    print(ratios(rows))
    return 1 if any(row.note.startswith("failed") and row.broker.startswith(OURS) for row in rows) else 0


def _circumstances(contest: Contest) -> str:
    names = ", ".join(f"{name} {broker.version}".strip() for name, broker in contest.brokers.items())
    version = "5.0" if contest.plan.protocol == 5 else "3.1.1"
    return (f"MQTT {version}; {names}; Python {sys.version.split()[0]}; {contest.placement}; "
            f"load average {os.getloadavg()[0]:.1f}")


def _progress(row: Row | None, plan: Plan) -> None:
    """One line on a terminal that is written over; nothing in a file."""
    if sys.stderr.isatty():
        text = "" if row is None else (f"round {row.round} of {plan.rounds}: {row.subscribers} subscribers, "
                                       f"{row.payload_bytes} B, QoS {row.qos}, {row.broker}")
        print(f"\r{text:<78}\r", end="", file=sys.stderr, flush=True)


def _leave(number: int, frame: FrameType | None) -> None:
    """SIGTERM leaves through every `with`, so that no broker stays behind."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except MqttsecError as error:
        sys.exit(f"mqttsec bench fanout: {error}")
