"""`mqttsec bench handshake`: what a handshake costs, one run, three parts.

1. Block 1 (CONNECT to CONNACK of a publisher) beside a TLS 1.3 CONNECT with client certificate to
   mosquitto, in turn, A B A B, over loopback TCP; every connection is fresh.
2. Many subscribers join through Blocks 1 and 2 in one process.
3. Thousands of CONNECTs that never go on: how many are held, what each costs, what the others get.

Tables show medians; raw rows can be kept as CSV; the ratios against the aims come last.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from mqttsec.crypto import CURVES, CertificateAuthority, Identity, Profile
from mqttsec.crypto.pem import write_identity, write_trust
from mqttsec.e2e import SCHEMES, Setup
from mqttsec.e2e.broker import TICKETS_EACH
from mqttsec.e2e.broker_side import HALF_OPEN_AT_MOST
from mqttsec.errors import ConfigurationError, MissingPeerError
from mqttsec.measure import connects, half_open, joins, peers
from mqttsec.measure.cores import allow_open_files, place
from mqttsec.measure.figures import Figure, spread, things, values, write_csv

RATIO_AIM = 1.5
"""Block 1 takes at most so many times as long as TLS 1.3 to mosquitto."""

JOIN_AIM = 3.0
"""Seconds for 200 subscribers on two cores."""

JOIN_AIM_FOR = 200


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    scheme: int = 3
    """Of all three parts; Block 1 is the same in all four."""
    curves: tuple[str, ...] = tuple(CURVES)
    """Of the ephemeral keys; certificates are on P-256 at both ends in any case."""
    rounds: int = 200
    """Connections of each contestant in part 1."""
    subscribers: int = JOIN_AIM_FOR
    """How many join in part 2; 0 leaves it out."""
    joins: int = 3
    """How often they do."""
    flood: int = 5000
    """How many CONNECTs never go on in part 3; 0 leaves it out."""
    held: int = HALF_OPEN_AT_MOST
    """The broker's limit of half-open handshakes."""
    patience: float = 10.0
    """Seconds that the broker waits for an answer: its time limit of a half-open handshake."""

    def __post_init__(self) -> None:
        """Raises `ConfigurationError` for a number that cannot work."""
        if min(self.rounds, self.joins, self.held) < 1 or min(self.subscribers, self.flood) < 0:
            raise ConfigurationError("--rounds, --joins and --half-open: at least one; the others from 0")

    def setups(self) -> list[Setup]:
        """Both profiles on each curve."""
        return [Setup(self.scheme, profile, curve=curve) for curve in self.curves for profile in Profile]


def parse(arguments: Sequence[str]) -> tuple[Plan, Path | None]:
    """The plan that the arguments describe, and where raw rows go. Raises `ConfigurationError`."""
    parser = argparse.ArgumentParser(
        prog="mqttsec bench handshake",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, standard = parser.add_argument, Plan()
    add("--scheme", type=int, choices=tuple(SCHEMES), default=standard.scheme, help="default: %(default)s")
    add("--curve", choices=tuple(CURVES), help="of ephemeral keys (default: both)")
    add("--rounds", type=int, default=standard.rounds, metavar="N",
        help="connections of each contestant (default: %(default)s)")  # fmt: skip
    add("--subscribers", type=int, default=standard.subscribers, metavar="N",
        help="how many join; 0 leaves that part out (default: %(default)s)")  # fmt: skip
    add("--joins", type=int, default=standard.joins, metavar="N",
        help="how often they join (default: %(default)s)")  # fmt: skip
    add("--flood", type=int, default=standard.flood, metavar="N",
        help="CONNECTs that never go on; 0 leaves that part out (default: %(default)s)")  # fmt: skip
    add("--half-open", type=int, default=standard.held, metavar="N",
        help="the broker's limit of half-open handshakes (default: %(default)s)")  # fmt: skip
    add("--csv", type=Path, metavar="PATH", help="keep the raw rows")
    add("--quick", action="store_true", help="a few seconds with small numbers; shows that it works")
    options = parser.parse_args(arguments)
    curves = standard.curves if options.curve is None else (options.curve,)
    if options.quick:
        return Plan(options.scheme, curves, 5, 5, 1, 40, 10, 0.5), options.csv
    return Plan(
        options.scheme, curves, options.rounds, options.subscribers, options.joins, options.flood,
        options.half_open,
    ), options.csv  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run the benchmark and print the report; 0 when every run went through, aims met or not.

    Raises `MqttsecError` for arguments that cannot work and for a broker of ours that fails.
    """
    plan, path = parse(arguments)
    try:
        # Opened before the run: a minute later is too late to learn that it cannot be written.
        file = path.open("w", newline="") if path is not None else None
    except OSError as error:
        raise ConfigurationError(f"--csv: {path} cannot be written ({error.strerror})") from error
    began = time.monotonic()
    rows: list[Figure] = []
    for row in run(plan):
        rows.append(row)
    if file is not None:
        with file:
            write_csv(rows, file)
    print("\n".join(report(plan, rows)))
    kept = f", kept in {path}" if path is not None else ""
    print(f"\n{len(rows)} rows in {time.monotonic() - began:.0f} s{kept}")
    print("\n".join(ratios(plan, rows)))
    return 0


def run(plan: Plan) -> Iterator[Figure]:
    """All parts. A mosquitto that is not installed is named and left out."""
    cores = place()
    authority = CertificateAuthority()
    trust = authority.trust
    crowd = -(-plan.flood // TICKETS_EACH)
    names = (connects.BROKER, connects.CLIENT, *joins.subscriber_names(max(plan.subscribers, 3)))
    identities = {name: authority.issue(name) for name in names}
    with tempfile.TemporaryDirectory(prefix="mqttsec-handshake-") as scratch:
        folder = Path(scratch)
        write_trust(trust, folder)
        for name in (connects.BROKER, connects.CLIENT):
            write_identity(identities[name], folder)
        tls = _mosquitto_or_why()
        where = f"brokers on core {cores.broker}" if cores.apart else "brokers and clients share the cores"
        print(f"Scheme {plan.scheme}; certificates ECDSA P-256; {tls or _versions()}; "
              f"Python {sys.version.split()[0]}; {where}; load average {os.getloadavg()[0]:.1f}")  # fmt: skip
        client = identities[connects.CLIENT]
        with (
            _on_core(cores.load),
            connects.contestants(plan.setups(), client, trust, folder, cores.broker, not tls) as found,
        ):
            yield from connects.measure(found, plan.rounds)
        for number in range(1, plan.joins + 1 if plan.subscribers else 1):
            for setup in plan.setups():
                took = asyncio.run(joins.join(setup, identities, trust, plan.subscribers))
                yield Figure(joins.PART, f"{setup.profile.value} {setup.curve}", number, took, "s")
        if plan.flood:
            allow_open_files(plan.flood + 500)
            setup = plan.setups()[-1]
            options = (
                *connects.scheme_options(setup, folder),
                "--half-open", str(plan.held), "--connect-timeout", str(plan.patience),
            )  # fmt: skip
            thief, reader, *_ = (identities[name] for name in joins.subscriber_names(3))
            many: list[Identity] = [authority.issue(f"flood-{number}") for number in range(crowd)]
            who = half_open.Crowd(thief, many, reader, client)
            with peers.mqttsec_broker(core=cores.broker, options=options) as broker:
                yield from asyncio.run(
                    half_open.measure(broker.port, broker.pid, setup, trust, who, plan.flood)
                )


class _on_core:
    """This process on one core for a while; None: wherever."""

    def __init__(self, core: int | None) -> None:
        self._core = core

    def __enter__(self) -> None:
        if self._core is not None:
            self._before = os.sched_getaffinity(0)
            os.sched_setaffinity(0, {self._core})

    def __exit__(self, *error: object) -> None:
        if self._core is not None:
            os.sched_setaffinity(0, self._before)


def _mosquitto_or_why() -> str:
    """Empty where there is a mosquitto; else what to say."""
    try:
        peers.find_mosquitto()
    except MissingPeerError as error:
        print(f"left out: {error}")
        return "no mosquitto"
    return ""


def _versions() -> str:
    return f"mosquitto {peers.mosquitto().version}; clients on {ssl.OPENSSL_VERSION}"


# The report ------------------------------------------------------------------------------------


def report(plan: Plan, rows: Sequence[Figure]) -> Iterator[str]:
    """Tables of all parts."""
    yield f"\nOne CONNECT, from before TCP connects until the CONNACK is checked: us, {plan.rounds} times"
    yield f"  {'':28}{'median':>8}{'quartiles':>18}{'95 %':>8}"
    for what in things(rows, connects.PART):
        low, middle, high, late = spread(values(rows, connects.PART, what))
        yield f"  {what:28}{middle:8.0f}{f'{low:.0f} .. {high:.0f}':>18}{late:8.0f}"
    if plan.subscribers:
        yield f"\n{plan.subscribers} subscribers join, all parties in one process: s, {plan.joins} times"
        for what in things(rows, joins.PART):
            measured = values(rows, joins.PART, what)
            span = f"{min(measured):.2f} .. {max(measured):.2f}"
            yield f"  {what:28}{median(measured):8.2f}{span:>18}"
    if plan.flood:
        yield (f"\n{plan.flood:,} CONNECTs that never go on, at most {plan.held:,} half-open, "
               f"{TICKETS_EACH} of one name, {plan.patience:g} s each")  # fmt: skip
        for row in rows:
            if row.part == half_open.PART:
                number = f"{row.value:.3f}" if row.unit == "s" else f"{row.value:,.0f}"
                yield f"  {row.what:66}{number:>10} {row.unit}"


def ratios(plan: Plan, rows: Sequence[Figure]) -> Iterator[str]:
    """Each aim, and whether it was met."""
    yield ""
    for setup in plan.setups():
        of, to = connects.block_1_name(setup.profile, setup.curve), connects.tls_name(setup.curve)
        ours, theirs = (values(rows, connects.PART, what) for what in (of, to))
        if ours and theirs:
            ratio = median(ours) / median(theirs)
            yield f"  {of} / {to}: {ratio:.2f}  aim <= {RATIO_AIM}: {_met(ratio <= RATIO_AIM)}"
    if plan.subscribers == JOIN_AIM_FOR:
        for what in things(rows, joins.PART):
            took = median(values(rows, joins.PART, what))
            text = f"  {plan.subscribers} subscribers, {what}: {took:.2f} s"
            yield f"{text}  aim < {JOIN_AIM:g} s: {_met(took < JOIN_AIM)}"
    held = [
        row for row in rows if row.part == half_open.PART and row.what.endswith(": held at the same time")
    ]
    left = [row for row in rows if row.part == half_open.PART and ": left after" in row.what]
    if held:
        most = max(row.value for row in held)
        yield f"  half-open handshakes held: {most:,.0f}  aim <= {plan.held:,}: {_met(most <= plan.held)}"
        rest = sum(row.value for row in left)
        yield f"  left after the time limit: {rest:,.0f}  aim 0: {_met(not rest)}"


def _met(good: bool) -> str:
    return "met" if good else "NOT MET"
