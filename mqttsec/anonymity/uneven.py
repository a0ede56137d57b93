"""Peers that are not all alike: exact answers from the Markov chain of the path, in NumPy.

A broker draws its next hop by weights (nearer or better known peers are likelier). Who came before the first
collaborator then tells more about some initiators than about others. With even weights it is
`innocence.round_probabilities` again, which a test holds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mqttsec.anonymity.crowd import Crowd, Variant
from mqttsec.anonymity.simulation import check_weights


def likelihoods(crowd: Crowd, weights: npt.ArrayLike | None = None) -> npt.NDArray[np.float64]:
    """P(what one round shows | initiator): shape (h, h + 1), a row an initiator.

    Column j < h: the first predecessor is broker j; the last column: no collaborator was on the path.
    With T[i, j] the probability that i draws j (w_j in A; w_j / (1 - w_i), never i, in B), the draws made at
    j are V = (I - p T_hh)^-1 in the mean, and each of them meets a collaborator with T_jC: V[i, j] T_jC.
    Raises `ConfigurationError` for weights that cannot be.
    """
    shares = check_weights(crowd, np.ones(crowd.n) if weights is None else weights)
    step = np.tile(shares, (crowd.n, 1))
    if crowd.variant is Variant.B:
        np.fill_diagonal(step, 0)
        step /= step.sum(axis=1, keepdims=True)
    honest = step[: crowd.h, : crowd.h]
    visits = np.linalg.inv(np.eye(crowd.h) - crowd.p_f * honest)
    shown = visits * step[: crowd.h, crowd.h :].sum(axis=1)
    nothing = np.maximum(0, 1 - shown.sum(axis=1, keepdims=True))
    return np.hstack([shown, nothing])


def information(crowd: Crowd, weights: npt.ArrayLike | None = None) -> float:
    """I(initiator; what one round shows), bits, the initiator uniform over the honest brokers.

    sum over i, o of P(i) P(o|i) log2 (P(o|i) / P(o)). Raises `ConfigurationError` as `likelihoods` does.
    """
    shown = likelihoods(crowd, weights)
    overall = shown.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(shown > 0, shown * np.log2(shown / overall), 0.0)
    return float(parts.sum() / crowd.h)
