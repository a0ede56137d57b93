"""`mqttsec tamper`: every field of every message changed in five ways, and what the model says to it.

Each message of the handshake and each layer of a data message is delivered with a field flipped, cut, taken
from another session, taken from before, or removed. A cell says who refuses and by which check, as predicted
from the step data and as seen in the run; "accepted [n]" that nobody does, and note n why the model says so;
"lost [n]" that nothing arrives, and note n what becomes of it. "-" is a change that changes nothing: the
field is empty, or the same there. A case in which run and model differ is a surprise, and makes the exit
status 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from mqttsec.crypto import CURVES, SUITES, Profile
from mqttsec.e2e.alterations import Alteration
from mqttsec.e2e.schemes import scheme
from mqttsec.e2e.steps import Checking, Script
from mqttsec.e2e.tamper_matrix import MESSAGE_ROW, Cell, Matrix, Plan, plans, run
from mqttsec.errors import ConfigurationError


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog="mqttsec tamper", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("--scheme", default="1,2,3,4", metavar="N,N", help="which schemes (default: %(default)s)")
    add(
        "--profile",
        choices=tuple(profile.value for profile in Profile),
        help="default: both",
    )
    add("--suite", choices=tuple(SUITES), default="paper", help="cipher suite (default: %(default)s)")
    add("--curve", choices=tuple(CURVES), default="P-256", help="of ephemeral keys (default: %(default)s)")
    add("--bits", type=int, default=4, help="bits flipped of each field (default: %(default)s)")
    add("--seed", type=int, default=0, help="which bits (default: %(default)s)")
    add(
        "--without",
        metavar="CHECK",
        help="leave a check out of the machines but not of the model, to see surprises: 'signature Sig_P:c1'",
    )
    add("--summary", action="store_true", help="one line a table")
    add("--json", action="store_true", help="every case, for a program to read")
    return made


def main(arguments: list[str]) -> int:
    """Print the matrix; 1 if it holds a surprise.

    Raises `ConfigurationError` for options that cannot work.
    """
    options = parser().parse_args(arguments)
    if options.bits < 1:
        raise ConfigurationError("--bits: flip at least one of each field")
    profiles = tuple(Profile) if options.profile is None else (Profile(options.profile),)
    made: list[tuple[Plan, Matrix]] = []
    used = options.without is None
    with warnings.catch_warnings():
        # A flipped bit makes a serial number negative, on which `cryptography` has a word to say.
        warnings.filterwarnings("ignore", message="Parsed a serial number")
        for plan in plans(_schemes(options.scheme), profiles, options.suite, options.curve):
            model = plan.setup.script
            weakened = plan
            if options.without is not None:
                altered = without(model, options.without)
                used = used or altered != model
                weakened = replace(plan, setup=replace(plan.setup, altered=altered))
            made.append((plan, run(weakened, options.seed, model, options.bits)))
            if not options.json:
                print("\n".join(summary(*made[-1]) if options.summary else table(*made[-1])), flush=True)
    if not used:
        raise ConfigurationError(f"--without: no handshake has a check {options.without!r}")
    surprises = sum(len(matrix.surprises) for _, matrix in made)
    if options.json:
        json.dump([as_json(*each) for each in made], sys.stdout, indent=1)
        print()
    else:
        cells, cases = (sum(count) for count in zip(*((len(m.cells), m.cases) for _, m in made), strict=True))
        taken = sum(not case.seen.party for _, m in made for cell in m.cells for case in cell.cases)
        print(f"\n{len(made)} tables, {cells:,} cells, {cases:,} changed messages, {taken:,} not refused")
        print(f"surprises: {surprises}")
    return 1 if surprises else 0


def without(script: Script, name: str) -> Script:
    """The handshake without the checks that are called `name`; the same where there is none."""
    for step in script.steps:
        for check in step.checks if isinstance(step, Checking) else ():
            if str(check) == name:
                return script.without(check.kind, check.subject)
    return script


def table(plan: Plan, matrix: Matrix) -> Iterator[str]:
    """The matrix as lines of text: rows are fields, columns changes."""
    yield ""
    yield from summary(plan, matrix)
    notes: dict[str, int] = {}
    rows = [(*name, *(_text(cell, notes) for cell in row)) for name, row in _rows(matrix)]
    heads = [alteration.value for alteration in Alteration]
    first = max(len(message) for message, *_ in rows)
    first = max(first, *(len(name) + 2 for _, name, *_ in rows))
    widths = [max(len(head), *(len(row[at + 2]) for row in rows)) for at, head in enumerate(heads)]
    shown = ""
    for message, name, *texts in rows:
        if message != shown:
            shown = message
            yield "\n" + _line(message, heads, first, widths)
        yield _line(f"  {name}", texts, first, widths)
    if notes:
        yield ""
    for note, number in notes.items():
        yield f"[{number}] {note}"
    for surprise in matrix.surprises:
        yield f"SURPRISE {surprise}"


def _line(name: str, texts: list[str], first: int, widths: list[int]) -> str:
    cells = "  ".join(f"{text:{width}}" for text, width in zip(texts, widths, strict=True))
    return f"{name:{first}}  {cells}".rstrip()


def summary(plan: Plan, matrix: Matrix) -> Iterator[str]:
    """One line."""
    setup = matrix.setup
    about = ", ".join(part for part in (setup.suite, setup.curve, plan.title) if part)
    yield (
        f"Scheme {setup.scheme}, {setup.profile.value} ({about}): {len(matrix.cells)} cells, "
        f"{matrix.cases} changed messages, surprises: {len(matrix.surprises)}"
    )


def as_json(plan: Plan, matrix: Matrix) -> dict[str, Any]:
    """Every case."""
    setup = matrix.setup
    return {
        "scheme": setup.scheme,
        "profile": setup.profile.value,
        "method": setup.method,
        "about": plan.title,
        "cells": [
            {
                "message": cell.message,
                "field": cell.field,
                "change": cell.alteration.value,
                "cases": [
                    {"predicted": str(case.predicted), "why": case.predicted.why, "seen": str(case.seen)}
                    for case in cell.cases
                ],
            }
            for cell in matrix.cells
        ],
        "surprises": list(matrix.surprises),
    }


def _rows(matrix: Matrix) -> Iterator[tuple[tuple[str, str], list[Cell]]]:
    rows: dict[tuple[str, str], list[Cell]] = {}
    for cell in matrix.cells:
        rows.setdefault((cell.message, cell.field), []).append(cell)
    yield from rows.items()


def _text(cell: Cell, notes: dict[str, int]) -> str:
    """What happened, each outcome once: `B form, client`; with a number for what is said below."""
    by_party: dict[str, list[str]] = {}
    lost = cell.field == MESSAGE_ROW and cell.alteration is Alteration.REMOVE
    for case in cell.cases:
        seen, predicted = case.seen, case.predicted
        if case.surprise:
            word = f"SURPRISE {seen.short}"
        elif seen.party:
            word = seen.short
        else:
            note = "; ".join(part for part in (seen.effect, predicted.why) if part)
            word = f"[{notes.setdefault(note, len(notes) + 1)}]"
        words = by_party.setdefault(seen.party or ("lost" if lost else "accepted"), [])
        if word not in words:
            words.append(word)
    return "; ".join(f"{party} {', '.join(words)}" for party, words in by_party.items()) or "-"


def _schemes(text: str) -> tuple[int, ...]:
    try:
        return tuple(scheme(int(word)).number for word in text.split(","))
    except ValueError:
        raise ConfigurationError(f"--scheme {text}: numbers from 1 to 4, with commas between them") from None
