"""The path's Markov chain in fractions, solved step by step: an answer that owes nothing to the formulas.

States are the brokers while they hold the message. Broker 0 is the initiator, h to n - 1 collaborate.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

from mqttsec.anonymity.crowd import Crowd, Variant

F = Fraction


def step(n: int, variant: Variant, here: int, there: int) -> Fraction:
    """P(here draws there)."""
    if variant is Variant.A:
        return F(1, n)
    return F(0) if here == there else F(1, n - 1)


def solve(matrix: list[list[Fraction]], right: list[Fraction]) -> list[Fraction]:
    """x with matrix x = right, by Gauss and Jordan."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for column in range(len(rows)):
        pivot = next(i for i in range(column, len(rows)) if rows[i][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        head = rows[column][column]
        rows[column] = [value / head for value in rows[column]]
        for i, row in enumerate(rows):
            if i != column and row[column]:
                factor = row[column]
                rows[i] = [a - factor * b for a, b in zip(row, rows[column], strict=True)]
    return [row[-1] for row in rows]


def first_predecessor(crowd: Crowd, p_f: Fraction, initiator: int = 0) -> list[Fraction]:
    """P(broker j handed to the first collaborator), for each honest j, in one round."""
    h, n, v = crowd.h, crowd.n, crowd.variant
    # draws[j]: mean number of draws that j makes before a collaborator has the message:
    # draws = start + p_f T' draws.
    matrix = [[F(i == j) - p_f * step(n, v, j, i) for j in range(h)] for i in range(h)]
    draws = solve(matrix, [F(i == initiator) for i in range(h)])
    return [draws[j] * sum(step(n, v, j, k) for k in range(h, n)) for j in range(h)]


def exit_distribution(crowd: Crowd, p_f: Fraction) -> list[Fraction]:
    """P(broker j hands to the public broker), for each of the n, the initiator being 0."""
    n, v = crowd.n, crowd.variant
    matrix = [[F(i == j) - p_f * step(n, v, j, i) for j in range(n)] for i in range(n)]
    # Mean number of times that j is drawn; each time it hands out with 1 - p_f.
    drawn = solve(matrix, [step(n, v, 0, i) for i in range(n)])
    return [(1 - p_f) * times for times in drawn]


def outcomes(chances: list[Fraction], rounds: int) -> Iterator[tuple[tuple[int, ...], Fraction]]:
    """(counts per honest broker, probability) of every sequence of rounds; `chances` per honest broker."""
    nothing = 1 - sum(chances)
    for sequence in product(range(-1, len(chances)), repeat=rounds):
        chance = F(1)
        for seen in sequence:
            chance *= nothing if seen < 0 else chances[seen]
        yield tuple(sequence.count(j) for j in range(len(chances))), chance
