"""Monte Carlo over paths, in NumPy: hop by hop for many paths at once, and a quick one for statistics.

`walks` draws every hop of every path. `tally` draws of every path what its statistics need: how many hops it
has, where a collaborator would come first, and who came before; `PathTally` adds them up, with bands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mqttsec.anonymity.crowd import Crowd, Variant, check_count
from mqttsec.anonymity.estimates import Z_95, Estimate, mean, proportion
from mqttsec.errors import ConfigurationError

Seed = int | np.random.SeedSequence | np.random.Generator
"""What chance begins with; a Generator is drawn from on."""
Walks = npt.NDArray[np.int32]
"""Paths as rows: the initiator, each broker drawn, then -1 to the end. Shape (paths, longest path)."""

_CHUNK = 1 << 15
"""Paths drawn at once by `tally`: two arrays of this length stay in a core's cache."""
_LONGEST = 256
"""Lengths are counted up to this many hops; longer ones are counted as this."""


@dataclass(frozen=True)
class PathTally:
    """What so many simulated paths of one crowd came to."""

    crowd: Crowd
    """The crowd."""
    paths: int
    """How many were drawn."""
    hits: int
    """Those with a collaborator on them: H1+."""
    initiator: int
    """Those whose first collaborator got it from the initiator."""
    hops: tuple[int, ...]
    """Paths by length: `hops[l]` have l hops; those of more than 256 are counted at the end."""
    total_hops: int
    """The sum of all lengths."""
    squared_hops: int
    """The sum of their squares."""

    def on_path(self, z: float = Z_95) -> Estimate:
        """P(H1+), with its band."""
        return proportion(self.hits, self.paths, z)

    def given_hit(self, z: float = Z_95) -> Estimate:
        """P(I | H1+), with its band; of the paths that were hit."""
        return proportion(self.initiator, self.hits, z)

    def per_round(self, z: float = Z_95) -> Estimate:
        """p0: P(the first predecessor is the initiator), of all paths."""
        return proportion(self.initiator, self.paths, z)

    def mean_hops(self, z: float = Z_95) -> Estimate:
        """E[L], hops."""
        return mean(self.total_hops, self.squared_hops, self.paths, z)

    def __add__(self, other: PathTally) -> PathTally:
        """Both together. Raises `ConfigurationError` for another crowd."""
        if self.crowd != other.crowd:
            raise ConfigurationError(f"paths of {self.crowd} and of {other.crowd} cannot be counted together")
        longer, shorter = sorted((self.hops, other.hops), key=len, reverse=True)
        hops = tuple(a + b for a, b in zip(longer, (*shorter, *[0] * len(longer)), strict=False))
        return PathTally(
            self.crowd, self.paths + other.paths, self.hits + other.hits, self.initiator + other.initiator,
            hops, self.total_hops + other.total_hops, self.squared_hops + other.squared_hops,
        )  # fmt: skip


# -- every hop of every path ----------------------------------------------------------------------


def walks(
    crowd: Crowd,
    count: int,
    seed: Seed,
    initiators: npt.ArrayLike = 0,
    weights: npt.ArrayLike | None = None,
) -> Walks:
    """Draw `count` paths hop by hop, all of them one hop at a time.

    `initiators` is one number or one a path; `weights`, one for each of the n brokers, makes some peers
    likelier than others (by default all are alike). Shape (count, longest path), -1 after each end.
    Raises `ConfigurationError` for a count or weights that cannot be.
    """
    check_count(count, "paths")
    rng = np.random.default_rng(seed)
    cumulated = None if weights is None else np.cumsum(check_weights(crowd, weights))
    here = np.broadcast_to(np.asarray(initiators, dtype=np.int32), (count,)).copy()
    columns = [here]
    going = np.arange(count)
    while len(going):
        drawn = _draw(crowd, columns[-1][going], rng, cumulated)
        column = np.full(count, -1, dtype=np.int32)
        column[going] = drawn
        columns.append(column)
        going = going[rng.random(len(going)) < crowd.p_f]
    return np.stack(columns, axis=1)


def _draw(
    crowd: Crowd, here: npt.NDArray[np.int32], rng: np.random.Generator,
    cumulated: npt.NDArray[np.float64] | None,
) -> npt.NDArray[np.int32]:  # fmt: skip
    if cumulated is None:
        peers = rng.integers(crowd.choices, size=len(here), dtype=np.int32)
        return peers + (peers >= here) if crowd.variant is Variant.B else peers
    drawn = np.searchsorted(cumulated, rng.random(len(here)), side="right").astype(np.int32)
    drawn = np.minimum(drawn, crowd.n - 1)
    if crowd.variant is Variant.B:
        again = np.flatnonzero(drawn == here)
        while len(again):
            anew = np.searchsorted(cumulated, rng.random(len(again)), side="right").astype(np.int32)
            drawn[again] = np.minimum(anew, crowd.n - 1)
            again = again[drawn[again] == here[again]]
    return drawn


def check_weights(crowd: Crowd, weights: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Weights of the n brokers as shares that sum to 1.

    Raises `ConfigurationError` unless there are n of them, all above 0 and finite.
    """
    values = np.asarray(weights, dtype=np.float64)
    if values.shape != (crowd.n,):
        raise ConfigurationError(f"give one weight for each of the {crowd.n} brokers, not {values.shape}")
    if not np.all(np.isfinite(values)) or not np.all(values > 0):
        raise ConfigurationError("weights are above 0: a broker that nobody ever draws is not in the crowd")
    shares: npt.NDArray[np.float64] = values / values.sum()
    return shares


def predecessors(crowd: Crowd, paths: Walks) -> npt.NDArray[np.int32]:
    """Who handed to the first collaborator of each path; -1 if none was on it. Shape (paths,)."""
    collaborates = paths >= crowd.h
    place = collaborates.argmax(axis=1)
    before = np.take_along_axis(paths, np.maximum(place - 1, 0)[:, None], axis=1)[:, 0]
    return np.where(collaborates.any(axis=1), before, -1).astype(np.int32)


def exits(paths: Walks) -> npt.NDArray[np.int32]:
    """Who handed each path's message to the public broker. Shape (paths,)."""
    last = (paths >= 0).sum(axis=1) - 1
    return np.take_along_axis(paths, last[:, None], axis=1)[:, 0]


def tally_walks(crowd: Crowd, count: int, seed: Seed) -> PathTally:
    """The statistics of `count` paths drawn hop by hop; what `tally` is tested against.

    Raises `ConfigurationError` for a count that cannot be.
    """
    rng = np.random.default_rng(seed)
    total = PathTally(crowd, 0, 0, 0, (), 0, 0)
    for begin in range(0, check_count(count, "paths"), _CHUNK):
        paths = walks(crowd, min(_CHUNK, count - begin), rng)
        before = predecessors(crowd, paths)
        hops = (paths >= 0).sum(axis=1)
        total += PathTally(
            crowd, len(paths), int((before >= 0).sum()), int((before == 0).sum()),
            _histogram(hops), int(hops.sum()), int((hops * hops).sum()),
        )  # fmt: skip
    return total


def _histogram(hops: npt.NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(count) for count in np.bincount(np.minimum(hops, _LONGEST)))


# -- what the statistics need of every path -------------------------------------------------------


def tally(crowd: Crowd, count: int, seed: Seed) -> PathTally:
    """The statistics of `count` paths, each drawn on its own, without drawing every hop.

    Of each path are drawn: D, the number of draws until a broker hands out, geometric with 1 - p_f; and G,
    the draw that would meet a collaborator first if the path never ended, geometric with c/m, m the choices.
    A collaborator is on the path if G <= D; its length is D + 1. For each of these is drawn whether the
    predecessor is the initiator: surely if G = 1; else the message has gone over k = G - 1 honest brokers,
    uniform each in A, so 1/h; in B each other than the one before, so 1/h + (1 - 1/h) (-1/(h-1))^k.
    Raises `ConfigurationError` for a count that cannot be.
    """
    check_count(count, "paths")
    rng = np.random.default_rng(seed)
    draws, first = np.empty(_CHUNK), np.empty(_CHUNK)
    hit = np.empty(_CHUNK, dtype=np.bool_)
    whole = np.empty(_CHUNK, dtype=np.int64)
    hops = np.zeros(_LONGEST + 1, dtype=np.int64)
    hits = initiator = total = squares = 0
    for begin in range(0, count, _CHUNK):
        size = min(_CHUNK, count - begin)
        d, g, on, w = draws[:size], first[:size], hit[:size], whole[:size]
        _geometric(1 - crowd.p_f, rng, d)
        _geometric(crowd.c / crowd.choices, rng, g)
        np.less_equal(g, d, out=on)
        found = int(np.count_nonzero(on))
        at_once = int(np.count_nonzero(np.less_equal(g, 1)))
        hits += found
        initiator += at_once
        if crowd.variant is Variant.A:
            initiator += int(np.count_nonzero(rng.random(found - at_once) < 1 / crowd.h))
        elif crowd.h > 1:
            # Over one honest broker the message is surely not at the initiator any more.
            over = g[on & (g > 2)] - 1
            initiator += int(np.count_nonzero(rng.random(len(over)) < _back_again(crowd.h, over)))
        draws_made = int(d.sum())
        total += draws_made + size
        # Not np.dot: its threads wait for a core that others have.
        squares += int(np.multiply(d, d, out=g).sum()) + 2 * draws_made + size
        np.copyto(w, d, casting="unsafe")
        np.minimum(w, _LONGEST - 1, out=w)
        counted = np.bincount(w)
        hops[1 : len(counted) + 1] += counted
    longest = int(np.flatnonzero(hops)[-1])
    lengths = tuple(int(each) for each in hops[: longest + 1])
    return PathTally(crowd, count, hits, initiator, lengths, total, squares)


def _geometric(success: float, rng: np.random.Generator, out: npt.NDArray[np.float64]) -> None:
    """Fill `out` with trials until the first success: 1 + floor(E / -ln(1 - success)), E exponential."""
    if success >= 1:
        out[:] = 1
    elif success <= 0:
        out[:] = np.inf
    else:
        rng.standard_exponential(out=out)
        np.multiply(out, -1 / math.log1p(-success), out=out)
        np.floor(out, out=out)
        np.add(out, 1, out=out)


def _back_again(h: int, over: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """P(at the initiator | over so many honest brokers, each other than the one before), for h >= 2."""
    ratio = -1 / (h - 1)
    back: npt.NDArray[np.float64] = 1 / h + (1 - 1 / h) * np.power(ratio, over)
    return back
