"""Calibrated probabilities → a threshold."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from adaptox.decide.squash import logit, sigmoid
from adaptox.records import BoolArray, FloatArray

# (probs (n,), truth (n,)) → threshold. Both classes occur in truth.
Policy = Callable[[FloatArray, BoolArray], float]


def best_f1(probs: FloatArray, truth: BoolArray) -> float:
    """Find the threshold with the best F1.

    Every cut between neighbouring distinct scores is tried. Of cuts with the same F1, the one that flags the
    fewest rows wins. The threshold lies halfway between its neighbours in logit space, so that a score a
    rounding error away from one of them falls on the same side.

    Args:
        probs: (n,) calibrated probabilities.
        truth: (n,) whether the label holds.

    Returns:
        A threshold; rows at or above it are flagged.
    """
    order = np.argsort(-probs, kind="stable")
    scores, hits = probs[order], np.cumsum(truth[order])
    last = np.flatnonzero(np.append(scores[1:] < scores[:-1], True))
    f1 = 2 * hits[last] / (last + 1 + hits[-1])
    best = int(np.argmax(f1))
    above = float(scores[last[best]])
    return above if best + 1 == len(last) else _between(float(scores[last[best + 1]]), above)


def best_expected_f1(probs: FloatArray, truth: BoolArray) -> float:
    """Find the threshold with the best F1 that the probabilities themselves expect.

    In place of the truth of each row stands its calibrated probability (Ye et al., Optimizing F-measures: A Tale of
    Two Approaches, arXiv 1206.4625). The truth has its say through calibration, which has two parameters; the
    single best cut depends on a few rows, and with some fifty positives it is a matter of luck.

    Args:
        probs: (n,) calibrated probabilities.
        truth: (n,) not read.

    Returns:
        A threshold; rows at or above it are flagged.
    """
    order = np.argsort(-probs, kind="stable")
    scores = probs[order]
    last = np.flatnonzero(np.append(scores[1:] < scores[:-1], True))
    f1 = 2 * np.cumsum(scores)[last] / (last + 1 + scores.sum())
    best = int(np.argmax(f1))
    above = float(scores[last[best]])
    return above if best + 1 == len(last) else _between(float(scores[last[best + 1]]), above)


# A policy's name in the settings → how it finds a threshold, and its origin as shown beside numbers.
POLICIES: Mapping[str, tuple[Policy, str]] = {
    "expected-f1": (best_expected_f1, "val: best expected F1"),
    "f1": (best_f1, "val: best F1"),
}


def _between(low: float, high: float) -> float:
    """Give the threshold halfway between two scores in logit space."""
    middle = float(sigmoid(logit(np.array([low, high])).mean(keepdims=True))[0])
    return middle if low < middle <= high else high
