"""Searches, each in a process of its own, several at a time, each with a time limit."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from mqttsec.errors import MissingPeerError, MqttsecError
from mqttsec.verify.cases import Case, Goal
from mqttsec.verify.module import Module, module

AT_ONCE = 2
"""Searches at the same time."""

LIMIT = 60.0
"""Seconds that one search may take."""


@dataclass(frozen=True)
class Found:
    """An attack, as the engine tells it."""

    instances: int
    """Runs of roles that take part: the fewest with which the goal is broken."""
    path: tuple[Any, ...]
    """The states on the way, as nested lists (`worker.tree`)."""


@dataclass(frozen=True)
class Result:
    """What came of a search."""

    case: Case
    """The question."""
    made: Module
    """What was asked of the engine."""
    bound: int
    """The most instances that were searched with; 0 where the time ran out, less than asked for where the
    search became too wide, or all goals were broken before."""
    states: int
    """States that were seen with that many."""
    attacks: dict[Goal, Found]
    """The goals that are broken, smallest attack first."""
    seconds: float
    """How long it took."""
    cpu: float = 0.0
    """How much of it was computing."""

    @property
    def complete(self) -> bool:
        """False where the time ran out: then nothing is known of the goals that are not broken."""
        return self.bound > 0


def installed() -> bool:
    """Whether the engine is there."""
    return importlib.util.find_spec("maude") is not None


def require_engine() -> None:
    """Raises `MissingPeerError` without the engine."""
    if not installed():
        raise MissingPeerError(
            "the symbolic analysis needs Maude, which is an extra of its own (GPLv2): "
            "pip install 'mqttsec[verify]'"
        )


def search(case: Case, limit: float = LIMIT, deepen: bool = True, widest: int = 0) -> Result:
    """Ask the engine. `limit` is in seconds; `deepen` searches with 1, 2, ... instances, and goes no deeper
    after a search that saw more than `widest` states (0: goes on).

    Raises `MissingPeerError` without the engine, `MqttsecError` where the engine fails.
    """
    (result,) = search_together((case,), limit, deepen, widest)
    return result


def search_together(
    cases: Sequence[Case], limit: float = LIMIT, deepen: bool = True, widest: int = 0
) -> list[Result]:
    """Ask the engine several small questions in one process; `limit` is for all of them together.

    Where it is exceeded none of them has an answer. Raises as `search` does.
    """
    require_engine()
    began = time.monotonic()
    made = [module(case) for case in cases]
    jobs = [
        {
            "text": each.text,
            "instances": case.instances,
            "goals": [f"b{number}" for number in range(len(case.goals))],
            "deepen": deepen,
            "widest": widest,
        }
        for case, each in zip(cases, made, strict=True)
    ]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "mqttsec.verify.worker"],
            input=json.dumps(jobs),
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        seconds = time.monotonic() - began
        return [Result(case, each, 0, 0, {}, seconds) for case, each in zip(cases, made, strict=True)]
    seconds = time.monotonic() - began
    try:
        answers = json.loads(done.stdout)
    except ValueError:
        answers = [{"error": f"status {done.returncode}"}]
    for answer in answers:
        if "error" in answer:
            said = " ".join(done.stderr.split())[-300:]
            raise MqttsecError(f"Maude gave no answer ({answer['error']}): {said}; please report this")
    return [
        _result(case, each, answer, seconds) for case, each, answer in zip(cases, made, answers, strict=True)
    ]


def _result(case: Case, made: Module, answer: dict[str, Any], seconds: float) -> Result:
    attacks = {
        case.goals[int(name[1:])]: Found(each["instances"], tuple(each["path"]))
        for name, each in answer["attacks"].items()
    }
    return Result(case, made, answer["bound"], answer["states"], attacks, seconds, answer["cpu"])


def search_all(cases: Iterable[Case], limit: float = LIMIT, at_once: int = AT_ONCE) -> Iterator[Result]:
    """Ask many, `at_once` at a time; the results as they come. What is not asked for any more is dropped."""
    require_engine()
    waiting = list(cases)
    pool = ThreadPoolExecutor(at_once)
    running: set[Future[Result]] = set()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                running.add(pool.submit(search, waiting.pop(0), limit))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for each in done:
                yield each.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
