"""Whole attacks, simulated message by message: fresh or sticky paths, churn, uneven peers; in NumPy.

Each trial has its own initiator, drawn among the honest brokers. The collaborators add up the logarithms of
the likelihoods of what new paths show them (`uneven.likelihoods`): their exact posterior, up to a constant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mqttsec.anonymity.crowd import Crowd, check_count, check_probability
from mqttsec.anonymity.estimates import Z_95, Estimate, proportion
from mqttsec.anonymity.rounds import check_lifetime, rounds
from mqttsec.anonymity.simulation import Seed, predecessors, walks
from mqttsec.anonymity.uneven import likelihoods

_SAME = 1e-9
"""Scores that differ by less are a tie: they are sums of the same logarithms in another order."""


@dataclass(frozen=True)
class AttackRun:
    """How often the attack succeeded in so many trials, after each message."""

    crowd: Crowd
    """The crowd."""
    trials: int
    """Publishers that were attacked."""
    named: tuple[int, ...]
    """`named[t]`: trials in which the initiator alone was the likeliest after t messages."""
    rounds: tuple[float, ...]
    """`rounds[t]`: mean number of paths drawn in the first t messages."""
    candidates: tuple[float, ...]
    """`candidates[t]`: mean number of honest brokers that were there all the time."""

    def share(self, messages: int, z: float = Z_95) -> Estimate:
        """P(named) after so many messages, with its band. Raises `IndexError` beyond those simulated."""
        return proportion(self.named[messages], self.trials, z)


def simulate(
    crowd: Crowd,
    messages: int,
    trials: int = 2000,
    seed: Seed = 7,
    *,
    lifetime: int | None = 1,
    churn: float = 0.0,
    weights: npt.ArrayLike | None = None,
) -> AttackRun:
    """Attack `trials` publishers, each of which sends so many messages.

    `lifetime`: a path is kept for so many messages (None: for ever). `churn`: between two messages each
    honest broker other than the initiator leaves with this probability, and a new one takes its place; paths
    over it are drawn anew, and the collaborators, who see the set of peers as everybody does, suspect only
    brokers that were there from the beginning. `weights`: as `simulation.walks` has them.
    Raises `ConfigurationError` for a number, lifetime, probability or weights that cannot be.
    """
    check_count(messages, "messages", 0)
    check_count(trials, "trials")
    lifetime = check_lifetime(lifetime)
    check_probability(churn, "churn")
    rng = np.random.default_rng(seed)
    with np.errstate(divide="ignore"):
        learnt = np.log(likelihoods(crowd, weights))
    attack = _Attack(crowd, trials, rng, learnt, weights)
    if not churn:
        attack.draw_ahead(rounds(messages, lifetime))
    named, drawn, left = [attack.named()], [0.0], [float(crowd.h)]
    for _ in range(messages):
        if churn and len(drawn) > 1:
            attack.replace(churn)
        attack.send(lifetime)
        named.append(attack.named())
        drawn.append(float(attack.drawn.mean()))
        left.append(float(attack.suspected.sum(axis=1).mean()))
    return AttackRun(crowd, trials, tuple(named), tuple(drawn), tuple(left))


class _Attack:
    """The state of all trials; every array has a row a trial."""

    def __init__(
        self, crowd: Crowd, trials: int, rng: np.random.Generator,
        learnt: npt.NDArray[np.float64], weights: npt.ArrayLike | None,
    ) -> None:  # fmt: skip
        self.crowd, self.rng, self.weights = crowd, rng, weights
        self.learnt = learnt
        self.initiator = rng.integers(crowd.h, size=trials)
        self.score = np.zeros((trials, crowd.h))
        self.suspected = np.ones((trials, crowd.h), dtype=np.bool_)
        self.drawn = np.zeros(trials, dtype=np.int64)
        self.age = np.zeros(trials, dtype=np.int64)
        """Messages sent along the current path; 0: there is none."""
        self.on_path = np.zeros((trials, crowd.h), dtype=np.bool_)
        self._ahead: npt.NDArray[np.int32] | None = None

    def draw_ahead(self, rounds: int) -> None:
        """Draw so many paths for each trial at once, which is quicker, if nobody leaves and breaks them."""
        if rounds:
            paths = walks(
                self.crowd,
                len(self.initiator) * rounds,
                self.rng,
                np.repeat(self.initiator, rounds),
                self.weights,
            )
            self._ahead = predecessors(self.crowd, paths).reshape(-1, rounds)

    def send(self, lifetime: int | None) -> None:
        """One message each; where there is no path, or its life is over, along a new one."""
        if lifetime is not None:
            self.age[self.age >= lifetime] = 0
        new = np.flatnonzero(self.age == 0)
        if len(new) and self._ahead is not None:
            self.score += self.learnt[:, self._ahead[:, self.drawn[0]]].T
            self.drawn += 1
        elif len(new):
            paths = walks(self.crowd, len(new), self.rng, self.initiator[new], self.weights)
            before = predecessors(self.crowd, paths)
            # Nobody is -1, which is the last column.
            self.score[new] += self.learnt[:, before].T
            self.drawn[new] += 1
            self.on_path[new] = False
            row, place = np.nonzero((paths >= 0) & (paths < self.crowd.h))
            self.on_path[new[row], paths[row, place]] = True
        self.age += 1

    def replace(self, churn: float) -> None:
        """Some honest brokers leave, and new ones, whom nobody suspects, take their places."""
        gone = self.rng.random(self.suspected.shape) < churn
        gone[np.arange(len(gone)), self.initiator] = False
        self.suspected &= ~gone
        self.age[(gone & self.on_path).any(axis=1)] = 0

    def named(self) -> int:
        """Trials in which the initiator alone has the highest score among the suspected."""
        score = np.where(self.suspected, self.score, -np.inf)
        rows = np.arange(len(score))
        own = score[rows, self.initiator].copy()
        score[rows, self.initiator] = -np.inf
        others = score.max(axis=1) if score.shape[1] > 1 else np.full(len(score), -np.inf)
        return int(np.count_nonzero(own > others + _SAME))
