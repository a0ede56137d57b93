"""Searches by Maude, in a process of their own: `python -m mqttsec.verify.worker`, jobs as JSON on stdin.

A process of its own, because a search cannot be interrupted, a module cannot be unloaded, and an engine that
crashes takes its process along. A few jobs that belong together share one, since half the time of a small
search is the start of the engine. The answers are a line of JSON on stdout.

Job: `text` of the module, `instances` (the bound), `goals` (their names in the module), `deepen` (search with
1, 2, ... instances, so that the first attack is the smallest, and not with the bound at once), `widest` (go
no deeper after a search that saw more states than that; 0: go on).
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def search(job: dict[str, Any]) -> dict[str, Any]:
    """Do a job. Keys of the answer: `states`, `bound`, `attacks` ({goal: ...}), or `error`."""
    try:
        import maude
    except ImportError:
        return {"error": "no engine"}
    maude.init(advise=False)
    maude.input(job["text"])
    module = maude.getModule("CASE")
    if module is None:
        return {"error": "the module does not parse"}
    attacks: dict[str, Any] = {}
    reached = states = 0
    for bound in range(1 if job["deepen"] else job["instances"], job["instances"] + 1):
        open_goals = [name for name in job["goals"] if name not in attacks]
        if not open_goals or (job["widest"] and states > job["widest"]):
            break
        states = _search(maude, module, bound, open_goals, attacks)
        if states < 0:
            return {"error": "the module does not run"}
        reached = bound
    return {"states": states, "bound": reached, "attacks": attacks, "cpu": time.process_time()}


def _search(maude: Any, module: Any, bound: int, open_goals: list[str], attacks: dict[str, Any]) -> int:
    """Search with so many instances for the goals that are not broken yet; how many states were seen."""
    start = module.parseTerm(f"start({bound})")
    pattern = module.parseTerm("Z:State")
    # Only what is still asked for is looked at: most of the time goes into it.
    wrong = module.parseTerm(" , ".join(f"w{name[1:]}(Z:State)" for name in open_goals))
    goals = module.parseTerm("Y:Goals")
    safe = module.parseTerm("ok")
    if None in (start, pattern, wrong, goals, safe):
        return -1
    missing = len(open_goals)
    states = 0
    found = start.search(maude.ANY_STEPS, pattern, condition=[maude.AssignmentCondition(goals, wrong)])
    for _, substitution, path, _ in found:
        states += 1
        broken = substitution.value(goals)
        if broken.equal(safe):
            continue
        new = [name for name in str(broken).split(", ") if name not in attacks]
        for name in new:
            on_the_way = [each for each in path() if not isinstance(each, maude.Rule)]
            attacks[name] = {"instances": bound, "path": [tree(each) for each in on_the_way]}
        missing -= len(new)
        if not missing:
            break
    return states


def tree(term: Any) -> Any:
    """A term as nested lists: [operator, argument, ...]; a natural number as itself."""
    name = str(term.symbol())
    if name in ("0", "s_"):
        return term.toInt()
    return [name, *map(tree, term.arguments())]


def main() -> int:
    """Read a few jobs, print the answers."""
    print(json.dumps([search(job) for job in json.load(sys.stdin)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
