"""`mqttsec verify`: ask whether the handshake keeps its promises, and show the attack where it does not."""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from mqttsec.errors import ConfigurationError
from mqttsec.trace import ladder, text_ladder
from mqttsec.verify.cases import Goal, Intruder, Property
from mqttsec.verify.findings import Attack, attack
from mqttsec.verify.from_steps import protocol
from mqttsec.verify.matrix import (
    DIRECTIONS,
    GROUP_KEYS,
    KEYS,
    PARTS,
    Matrix,
    Part,
    Question,
    legend,
    questions,
)
from mqttsec.verify.replay import DoesNotCarryOver, run
from mqttsec.verify.runner import AT_ONCE, LIMIT, Result, require_engine, search, search_together
from mqttsec.verify.variants import VARIANTS, Variant, variant

WIDEST = 600
"""A mutation that has shown its attacks is not searched deeper once a search saw so many states."""

DEEP = 12
"""Instances of Block 2 in a deep search."""

EXPORTS = ("hlpsl", "proverif", "tamarin", "maude")
"""The formats of `--export`."""

SAFE, BROKEN = 0, 1
"""Exit statuses."""


def main(arguments: list[str]) -> int:
    """0: safe within the bound (with --all: everything as it should be). 1: an attack, or no time left."""
    given = _parser().parse_args(arguments)
    if given.list:
        print(_listed())
        return SAFE
    variants = [variant(name) for name in given.variant or ()]
    intruders = [Intruder(name) for name in given.intruder or ()] or list(Intruder)
    if given.export:
        return _export(given.export, (variants or [variant("hardened")])[0])
    require_engine()
    if given.deep:
        return _deep(
            given, variants or [variant("hardened")], [Intruder(i) for i in given.intruder or ("outsider",)]
        )
    if given.all:
        return _all(given, variants or list(VARIANTS), intruders)
    return _ask(given, variants or [variant("hardened")], intruders)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mqttsec verify",
        description="Search for attacks on the handshake with Maude, as far as a number of role instances.",
        epilog="What is found is run on the real machines, too. Safe means: no attack with so many "
        "instances, perfect cryptography, values of different sorts never mistaken for each other, one "
        "honest principal of each kind. The exit status is 1 if an attack is found or the time runs out; "
        "with --all, if anything is not as it should be.",
    )
    parser.add_argument("--list", action="store_true", help="list variants, intruders and goals")
    parser.add_argument("--all", action="store_true", help="the whole table")
    parser.add_argument(
        "--run", action="store_true", help="with --all: run every attack of the table on the machines, too"
    )
    parser.add_argument("--deep", action="store_true", help=f"Block 2 with {DEEP} instances (outsider)")
    parser.add_argument("--variant", action="append", metavar="NAME", help="which handshake (hardened)")
    parser.add_argument(
        "--intruder", action="append", choices=[each.value for each in Intruder], help="who attacks (all)"
    )
    parser.add_argument(
        "--goal", metavar="GOAL", help="one goal alone, such as 'agreement S-P' or 'secrecy K_PB'"
    )
    parser.add_argument("--part", choices=[part.name for part in PARTS], help="which blocks (all)")
    parser.add_argument("--instances", type=int, metavar="N", help="the bound (that of --all)")
    parser.add_argument(
        "--limit", type=float, default=LIMIT, metavar="S", help="seconds a search (%(default)s)"
    )
    parser.add_argument(
        "--jobs", type=int, default=AT_ONCE, metavar="N", help="searches at once (%(default)s)"
    )
    parser.add_argument("--ladder", action="store_true", help="show each attack as a ladder of packets")
    parser.add_argument("--csv", metavar="FILE", help="write every verdict as CSV too")
    parser.add_argument("--export", choices=EXPORTS, help="print the model for another tool, and stop")
    return parser


# The whole table -------------------------------------------------------------------------------


def _all(given: argparse.Namespace, variants: Sequence[Variant], intruders: Sequence[Intruder]) -> int:
    began = time.monotonic()
    asked = list(questions(variants, intruders))
    matrix = Matrix()
    for question, result in _answers(asked, given):
        matrix.answers[question] = result
    # In the order of the questions, whatever came first.
    matrix.answers = {question: matrix.answers[question] for question in asked}
    print(matrix.text())
    print()
    print(legend())
    states = sum(result.states for result in matrix.answers.values())
    seconds = time.monotonic() - began
    print(f"{len(asked)} searches, {states} states at the last bound of each, {seconds:.0f} s")
    for line in _safe_bounds(matrix):
        print(line)
    if given.csv:
        _write_csv(Path(given.csv), matrix)
    surprises = matrix.surprises()
    if given.run:
        succeeded, refused = _run_all(matrix)
        print(f"{succeeded + len(refused)} attacks run on the real machines: {succeeded} succeeded")
        surprises += refused
    for line in surprises:
        print(f"not as it should be: {line}", file=sys.stderr)
    return BROKEN if surprises else SAFE


def _run_all(matrix: Matrix) -> tuple[int, list[str]]:
    """Run every attack that was found: how many succeeded, and what was refused, in words."""
    succeeded, refused = 0, []
    for question, result in matrix.answers.items():
        for goal in result.attacks:
            found = attack(result, goal)
            try:
                outcome = run(found, question.variant.setup(question.part.scheme))
            except DoesNotCarryOver as error:
                refused.append(f"{question.variant.name}, {question.intruder.value}: {goal}: {error}")
                continue
            if outcome.achieved == found.summary:
                succeeded += 1
            else:
                refused.append(
                    f"{question.variant.name}, {question.intruder.value}: {goal}: {outcome.achieved}"
                )
    return succeeded, refused


def _safe_bounds(matrix: Matrix) -> Iterator[str]:
    """How far the handshakes that are safe were searched."""
    for each in dict.fromkeys(question.variant for question in matrix.answers):
        if not each.safe:
            continue
        for part in PARTS:
            results = [
                result
                for question, result in matrix.answers.items()
                if question.variant == each and question.part == part
            ]
            if results:
                bound = min(result.bound for result in results)
                states = sum(result.states for result in results)
                yield f"{each.name}, {part.name}: {bound} instances, {states} states in all"


def _answers(asked: Sequence[Question], given: argparse.Namespace) -> Iterator[tuple[Question, Result]]:
    """The answers as they come, several searches at a time, with a line of progress on a terminal."""

    groups: dict[tuple[Variant, Intruder], list[Question]] = {}
    for question in asked:
        groups.setdefault((question.variant, question.intruder), []).append(question)

    def one(group: list[Question]) -> list[tuple[Question, Result]]:
        # The questions about one row share a process; a time limit each, all together.
        widest = 0 if group[0].variant.safe else WIDEST
        cases = [question.case(given.instances) for question in group]
        results = search_together(cases, given.limit * len(group), widest=widest)
        return list(zip(group, results, strict=True))

    # The widest first, so that none of them is left alone at the end.
    in_order = sorted(groups.values(), key=lambda group: group[0].intruder is not Intruder.INSIDER)
    pool = ThreadPoolExecutor(given.jobs)
    try:
        running = [pool.submit(one, group) for group in in_order]
        count = 0
        for done in as_completed(running):
            yield from done.result()
            count += len(done.result())
            if sys.stderr.isatty():
                question = done.result()[0][0]
                name = f"{question.variant.name}, {question.intruder.value}"
                print(f"\r{count} of {len(asked)}: {name:<60}", end="", file=sys.stderr, flush=True)
        if sys.stderr.isatty():
            print("\r" + " " * 76 + "\r", end="", file=sys.stderr)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _write_csv(path: Path, matrix: Matrix) -> None:
    rows = list(matrix.records())
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}; choose another file") from None


# Single questions ------------------------------------------------------------------------------


def _ask(given: argparse.Namespace, variants: Sequence[Variant], intruders: Sequence[Intruder]) -> int:
    goal = _goal(given.goal) if given.goal else None
    parts = [part for part in PARTS if given.part in (None, part.name)]
    if goal is not None:
        parts = [replace(part, goals=(goal,)) for part in parts if goal in part.goals]
    if not parts:
        raise ConfigurationError(f"{given.goal!r} is not asked of {given.part!r}: see mqttsec verify --list")
    if given.instances is not None and given.instances < 1:
        raise ConfigurationError("--instances must be 1 or more")
    found = False
    for question, result in _answers(list(questions(variants, intruders, parts)), given):
        found |= _report(question, result, given)
    return BROKEN if found else SAFE


def _report(question: Question, result: Result, given: argparse.Namespace) -> bool:
    """Print what came of a question; True unless it is safe."""
    where = f"{question.variant.name}, {question.intruder.value}, {question.part.name}"
    if not result.complete:
        print(f"{where}: no answer within {given.limit:g} s; ask for fewer --instances")
        return True
    if not result.attacks:
        print(f"{where}: safe with {result.bound} instances ({result.states} states)")
        return False
    for goal, found in result.attacks.items():
        each = attack(result, goal)
        print(f"{where}: {goal} fails with {found.instances} instances")
        print(f"    {each.summary}")
        _show(each, question, given.ladder)
    rest = [str(goal) for goal in result.case.goals if goal not in result.attacks]
    if rest:
        print(f"{where}: safe with {result.bound} instances: {', '.join(rest)}")
    return True


def _show(each: Attack, question: Question, as_ladder: bool) -> None:
    outcome = run(each, question.variant.setup(question.part.scheme))
    if as_ladder:
        print(text_ladder(ladder(outcome.trace)))
    else:
        for line in each.lines():
            print(f"      {line}")
    print("    run on the real machines: it succeeds")


def _goal(text: str) -> Goal:
    kind, _, subject = text.partition(" ")
    known = [goal for part in PARTS for goal in part.goals]
    if kind in [each.value for each in Property] and Goal(Property(kind), subject) in known:
        return Goal(Property(kind), subject)
    raise ConfigurationError(f"there is no goal {text!r}: see mqttsec verify --list")


def _deep(given: argparse.Namespace, variants: Sequence[Variant], intruders: Sequence[Intruder]) -> int:
    """Block 2 as far as a minute goes: one search, all goals."""
    worst = SAFE
    part: Part = next(part for part in PARTS if part.name == "Block 2")
    for each in variants:
        for intruder in intruders:
            case = Question(each, intruder, part).case(given.instances or DEEP)
            result = search(case, given.limit, deepen=False)
            where = f"{each.name}, {intruder.value}, Block 2"
            if not result.complete:
                print(f"{where}: no answer within {given.limit:g} s")
                worst = BROKEN
                continue
            verdict = f"{len(result.attacks)} goals fail" if result.attacks else "safe"
            print(
                f"{where}: {verdict} with {result.bound} instances, {result.states} states, "
                f"{result.seconds:.0f} s"
            )
            worst = max(worst, BROKEN if result.attacks else SAFE)
    return worst


# What there is ---------------------------------------------------------------------------------


def _listed() -> str:
    lines = ["variants:"]
    lines += [f"  {each.name:<22}{each.text}" for each in VARIANTS]
    lines += ["intruders:"]
    lines += [f"  {each.value:<22}{_said(each)}" for each in Intruder]
    lines += ["goals:"]
    keys = ", ".join((*KEYS, *GROUP_KEYS))
    for each in Property:
        about = keys if each in (Property.SECRECY, Property.FORWARD) else ", ".join(DIRECTIONS)
        lines.append(f"  {each.value:<22}of {about}")
    lines += ["parts, with their bounds:"]
    lines += [f"  {part.name:<22}{part.instances} instances of {', '.join(part.roles)}" for part in PARTS]
    return "\n".join(lines)


def _said(intruder: Intruder) -> str:
    if intruder is Intruder.OUTSIDER:
        return "owns the network"
    kind = "whatever it likes" if intruder is Intruder.INSIDER else f"a {intruder.value}"
    return f"owns the network, and has a certificate as {kind}"


def _export(form: str, each: Variant) -> int:
    roles = protocol(each.script, each.name)
    if form == "maude":
        from mqttsec.verify.module import module

        print(module(Question(each, Intruder.INSIDER, PARTS[1]).case()).text, end="")
    elif form == "hlpsl":
        from mqttsec.verify import hlpsl

        print(hlpsl.text(roles), end="")
    elif form == "proverif":
        from mqttsec.verify import proverif

        print(proverif.text(roles), end="")
    else:
        from mqttsec.verify import tamarin

        print(tamarin.text(roles), end="")
    return SAFE
