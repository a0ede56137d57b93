"""`mqttsec mqtta paths|loops|cycles|crashes|scale`: trials of the anonymity network beside theory.

Real brokers, clients and packets under the virtual clock; the same seed prints the same numbers (times and
memory of `scale` are of this machine). The exit status is 1 where one contradicts theory or QoS.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from mqttsec.mqtta.crashes import BRIDGES, MESSAGES, SUBSCRIBERS, CrashTrial, crash_trial
from mqttsec.mqtta.policies import Form, Strategy, Variant
from mqttsec.mqtta.trials import (
    TABLE_II,
    CycleTrial,
    LoopTrial,
    PathTrial,
    ScaleTrial,
    cycle_trial,
    loop_trial,
    path_trial,
    scale_trial,
)
from mqttsec.packets import MQTT_3_1_1, MQTT_5

LEAST_P = 0.0005
"""A p-value below it contradicts: of the 36 tests of one run, one is there by chance in 2 of 100 runs."""
PROTOCOLS = {"5.0": MQTT_5, "3.1.1": MQTT_3_1_1}
"""Versions of MQTT that a public broker may speak."""
MOST_DEVIATION = 4.0
"""More standard errors than that contradict."""


def main(arguments: list[str]) -> int:
    """Run one of the trials; returns 1 where it contradicts theory."""
    parser = argparse.ArgumentParser(
        prog="mqttsec mqtta", description="Trials of the anonymity network, beside theory."
    )
    actions = parser.add_subparsers(dest="action", required=True)
    paths = _action(actions, "paths", "path lengths and exits of real publishes for every p_f of Table II")
    paths.add_argument("--messages", type=int, default=10_000, help="for each p_f (default: %(default)s)")
    paths.add_argument("--bridges", type=int, default=10, help="bridge brokers (default: %(default)s)")
    paths.add_argument("--variant", choices=["A", "B"], help="may a broker pick itself; default: both")
    paths.add_argument("--p-f", type=float, action="append", metavar="P", help="only this p_f")
    loops = _action(actions, "loops", "subscriptions that the published loop rule loses, and the mended one")
    loops.add_argument(
        "--subscriptions", type=int, default=1000, help="for each network (default: %(default)s)"
    )
    loops.add_argument("--p-f", type=float, default=0.67, metavar="P", help="default: %(default)s")
    cycles = _action(actions, "cycles", "messages that circulate where subscriptions cross")
    cycles.add_argument("--networks", type=int, default=1000, help="seeded networks (default: %(default)s)")
    cycles.add_argument("--bridges", type=int, default=10, help="bridge brokers (default: %(default)s)")
    cycles.add_argument("--subscribers", type=int, default=5, help="of one topic (default: %(default)s)")
    crashes = _action(actions, "crashes", "what a bridge broker that is killed costs, for each strategy")
    crashes.add_argument("--networks", type=int, default=1000, help="seeded networks (default: %(default)s)")
    crashes.add_argument(
        "--strategy", choices=[each.value for each in Strategy], help="only this one; default: all three"
    )
    crashes.add_argument(
        "--public", choices=list(PROTOCOLS), default="5.0", help="MQTT of the public broker; default: 5.0"
    )
    crashes.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="networks at a time (default: cores)"
    )
    scale = _action(actions, "scale", "a large network in one process: start, memory, delivery")
    scale.add_argument("--bridges", type=int, default=100, help="bridge brokers (default: %(default)s)")
    scale.add_argument("--subscriptions", type=int, default=1000, help="default: %(default)s")
    scale.add_argument("--discovery", type=int, default=0, help="discovery brokers (default: none)")
    options = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = {
        "paths": _paths, "loops": _loops, "cycles": _cycles, "crashes": _crashes, "scale": _scale
    }[options.action]  # fmt: skip
    return run(options)


def _action(actions: Any, name: str, words: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=words, description=words.capitalize())
    parser.add_argument("--seed", type=int, default=1, help="decides every draw (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line instead of text")
    return parser


def _variants(options: argparse.Namespace) -> Sequence[Variant]:
    return list(Variant) if options.variant is None else [Variant(options.variant)]


def _print(options: argparse.Namespace, row: dict[str, Any], text: str) -> None:
    print(json.dumps(row) if options.json else text, flush=True)


def _verdict(good: Iterable[bool]) -> str:
    return "as theory" if all(good) else "CONTRADICTS"


# paths -----------------------------------------------------------------------------------------


def _paths(options: argparse.Namespace) -> int:
    bad = 0
    if not options.json:
        print(f"{options.messages} publishes for each p_f, {options.bridges} bridge brokers, real packets")
        print(
            f"{'p_f':>6} {'var.':<4} {'E[L]':>7} {'mean':>8} {'Var':>8} {'sample':>9} {'p lengths':>10} "
            f"{'p exits':>8}"
        )
    for variant in _variants(options):
        for p_f in options.p_f or TABLE_II:
            trial = path_trial(p_f, options.messages, options.bridges, variant, options.seed)
            good = paths_agree(trial)
            bad += not good
            row = path_row(trial)
            text = (
                f"{p_f:>6g} {variant.value:<4} {row['expected_mean']:>7.3f} {row['mean']:>8.3f} "
                f"{row['expected_variance']:>8.3f} {row['variance']:>9.3f} {row['p_lengths']:>10.4f} "
                f"{row['p_exits']:>8.4f}  {_verdict([good])}"
            )
            _print(options, {**row, "agrees": good}, text)
    return 1 if bad else 0


def path_row(trial: PathTrial) -> dict[str, Any]:
    """The numbers of a path trial beside theory."""
    return {
        "p_f": trial.p_f, "variant": trial.variant.value, "bridges": trial.bridges,
        "messages": trial.messages, "expected_mean": trial.expected_mean, "mean": trial.mean,
        "expected_variance": trial.expected_variance, "variance": trial.variance,
        "p_lengths": trial.length_fit[2], "p_exits": trial.exit_fit[2],
    }  # fmt: skip


def paths_agree(trial: PathTrial) -> bool:
    """Whether mean, variance, distribution and exits are as theory has them."""
    near = abs(trial.mean_deviation) < MOST_DEVIATION and abs(trial.variance_deviation) < MOST_DEVIATION
    return near and trial.length_fit[2] > LEAST_P and trial.exit_fit[2] > LEAST_P


# loops -----------------------------------------------------------------------------------------


def _loops(options: argparse.Namespace) -> int:
    bad = 0
    if not options.json:
        print(f"{options.subscriptions} subscriptions a line, p_f = {options.p_f:g}: who gets no message?")
        print(
            f"{'n':>4} {'var.':<4} {'form':<10} {'lost':>6} {'fraction':>9} {'theory':>8} {'std. errors':>12}"
        )
    for bridges in (6, 10, 20):
        for variant in Variant:
            for form in Form:
                trial = loop_trial(form, bridges, options.p_f, variant, options.subscriptions, options.seed)
                good = loops_agree(trial)
                bad += not good
                deviation = f"{trial.deviation:>12.2f}" if form is Form.PUBLISHED else f"{'':>12}"
                text = (
                    f"{bridges:>4} {variant.value:<4} {form.value:<10} {trial.lost:>6} "
                    f"{trial.fraction:>9.4f} {trial.expected:>8.4f} {deviation}  {_verdict([good])}"
                )
                row = {
                    **asdict(trial),
                    "fraction": trial.fraction,
                    "expected": trial.expected,
                    "agrees": good,
                }
                _print(options, row, text)
    return 1 if bad else 0


def loops_agree(trial: LoopTrial) -> bool:
    """Whether as many were lost as theory says; of the mended form none."""
    if trial.form is Form.MENDED:
        return trial.lost == 0
    return abs(trial.deviation) < MOST_DEVIATION


# cycles ----------------------------------------------------------------------------------------


def _cycles(options: argparse.Namespace) -> int:
    bad = 0
    if not options.json:
        print(
            f"{options.networks} seeded networks of {options.bridges} bridge brokers, {options.subscribers} "
            "subscribers of one topic, one message, blind strategy"
        )
    for form in Form:
        trial = cycle_trial(form, options.networks, options.bridges, options.subscribers, seed=options.seed)
        good = cycles_agree(trial)
        bad += not good
        _print(options, {**asdict(trial), "agrees": good}, cycle_text(trial) + f": {_verdict([good])}")
    return 1 if bad else 0


def cycle_text(trial: CycleTrial) -> str:
    """One line."""
    return (
        f"{trial.form.value}: circulates in {trial.circulating} of {trial.networks} networks; subscribers "
        f"got {trial.copies} messages of {trial.expected}; {trial.dropped} repetitions on a path"
    )


def cycles_agree(trial: CycleTrial) -> bool:
    """Published: it circulates somewhere. Mended: nowhere, and each subscriber gets its message once."""
    if trial.form is Form.PUBLISHED:
        return trial.circulating > 0
    once = trial.copies == trial.expected or trial.strategy is not Strategy.BLIND
    return not trial.circulating and once and (not trial.dropped or trial.strategy is not Strategy.BLIND)


# crashes ---------------------------------------------------------------------------------------


def _crashes(options: argparse.Namespace) -> int:
    bad = 0
    if not options.json:
        print(
            f"{options.networks} seeded networks a strategy: {BRIDGES} bridge brokers, {len(SUBSCRIBERS)} "
            f"subscribers of one topic, {MESSAGES} messages\nthrough the network and {MESSAGES} from an "
            "ordinary client, links that lose and reorder; one bridge broker is killed on the way"
        )
        print(f"{'strategy':<19} {'QoS':>4} {'messages':>9} {'lost':>6} {'twice':>6}")
    strategies = list(Strategy) if options.strategy is None else [Strategy(options.strategy)]
    for strategy in strategies:
        trial = crash_trial(
            strategy, options.networks, options.seed, options.processes, PROTOCOLS[options.public]
        )
        bad += not trial.holds
        for row in crash_rows(trial):
            text = (
                f"{row['strategy']:<19} {row['qos']:>4} {row['messages']:>9} {row['lost']:>6} "
                f"{row['twice']:>6}  {row['verdict']}"
            )
            _print(options, row, text)
        if not trial.holds and not options.json:
            print(f"  seeds of the networks: {', '.join(map(str, trial.broken()[:20]))}")
    return 1 if bad else 0


def crash_rows(trial: CrashTrial) -> list[dict[str, Any]]:
    """What came, by the QoS of the subscriber; at QoS 1 a message may come twice, at 2 not."""
    rows = []
    for qos in (1, 2):
        verdict = "as promised"
        if trial.broken(qos):
            verdict = "BROKEN"
        elif qos == 2 and trial.doubled(qos):
            verdict = "published twice: MQTT 3.1.1 has no place for a number"
        row = {
            "strategy": trial.strategy.value, "networks": trial.networks, "qos": qos,
            "messages": trial.expected(qos), "lost": trial.lost(qos), "twice": trial.doubled(qos),
            "verdict": verdict,
        }  # fmt: skip
        rows.append(row)
    return rows


# scale -----------------------------------------------------------------------------------------


def _scale(options: argparse.Namespace) -> int:
    trial = scale_trial(options.bridges, options.subscriptions, options.discovery, seed=options.seed)
    _print(options, asdict(trial), scale_text(trial))
    return 0 if trial.arrived == trial.subscriptions else 1


def scale_text(trial: ScaleTrial) -> str:
    """Some lines."""
    return "\n".join(
        [
            f"{trial.bridges} bridge brokers in one process: started in {trial.start_seconds:.2f} s, "
            f"{trial.start_kib:.0f} KiB each",
            f"{trial.subscriptions} subscriptions, each acknowledged along its path: "
            f"{trial.subscribe_seconds:.2f} s; {trial.total_kib:.0f} KiB a broker with all connections, "
            "clients and public sessions",
            f"{trial.arrived} of {trial.subscriptions} messages came",
        ]
    )
