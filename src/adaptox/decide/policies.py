"""Calibrated probabilities → a threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adaptox.config import ThresholdConfig
from adaptox.decide.squash import logit, sigmoid
from adaptox.errors import ConfigError
from adaptox.records import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class Cut:
    """A threshold that was learned.

    Attributes:
        value: rows at or above it are flagged.
        origin: what it is the best for, as shown beside numbers; it follows "the threshold with the", and holds no
            colon and no comma.
    """

    value: float
    origin: str


def learn_cut(probs: FloatArray, truth: BoolArray, config: ThresholdConfig) -> Cut:
    """Learn a threshold by the policy of the settings.

    Where no cut that finds anything keeps to max_fpr, nothing is flagged; a precision that no cut reaches gives the
    cut with the highest. The origin says so: a training is not lost for it.

    Args:
        probs: (n,) calibrated probabilities.
        truth: (n,) whether the label holds; both classes occur.
        config: policy and bounds.

    Raises:
        ConfigError: the policy learns nothing.
    """
    match config.policy:
        case "expected-f1":
            return Cut(best_expected_f1(probs, truth, config.beta), f"best expected F{config.beta:g}")
        case "f1":
            return Cut(best_f1(probs, truth, config.beta), f"best F{config.beta:g}")
        case "max-fpr":
            value, limit = best_at_fpr(probs, truth, config.max_fpr), config.max_fpr
            rate = float((probs[~truth] >= value).mean())
            if rate > limit:
                return Cut(value, f"lowest false-positive rate there is ({rate:.3g}; {limit:g} was asked for)")
            if not (probs >= value).any():
                kept = f"nothing is flagged; no cut that finds a row keeps to {limit:g}"
                return Cut(value, f"fewest false positives ({kept})")
            return Cut(value, f"most recall at a false-positive rate of at most {limit:g}")
        case "min-precision":
            value, limit = best_at_precision(probs, truth, config.min_precision), config.min_precision
            precision = float(truth[probs >= value].mean())
            if precision < limit:
                return Cut(value, f"highest precision there is ({precision:.3g}; {limit:g} was asked for)")
            return Cut(value, f"most recall at a precision of at least {limit:g}")
        case "min-recall":
            value = best_at_recall(probs, truth, config.min_recall)
            return Cut(value, f"fewest false positives at a recall of at least {config.min_recall:g}")
        case "cost":
            cost = config.miss_cost
            return Cut(1 / (1 + cost), f"least expected cost where a miss costs {cost:g} false positives")
        case "fixed":
            raise ConfigError("threshold.policy = 'fixed' learns no threshold")


def best_f1(probs: FloatArray, truth: BoolArray, beta: float = 1.0) -> float:
    """Find the threshold with the best F1, or F-beta.

    Every cut between neighbouring distinct scores is tried. Of cuts with the same, the one that flags the
    fewest rows wins. The threshold lies halfway between its neighbours in logit space, so that a score a
    rounding error away from one of them falls on the same side.

    Args:
        probs: (n,) calibrated probabilities.
        truth: (n,) whether the label holds.
        beta: weight of recall beside precision.

    Returns:
        A threshold; rows at or above it are flagged.
    """
    return _Ranked.of(probs, truth).best_f(beta)


def best_expected_f1(probs: FloatArray, truth: BoolArray, beta: float = 1.0) -> float:
    """Find the threshold with the best F1, or F-beta, that the probabilities themselves expect.

    In place of the truth of each row stands its calibrated probability (Ye et al., Optimizing F-measures: A Tale of
    Two Approaches, arXiv 1206.4625). The truth has its say through calibration, which has few parameters; the
    single best cut depends on a few rows, and with some fifty positives it is a matter of luck.

    Args:
        probs: (n,) calibrated probabilities.
        truth: (n,) not read.
        beta: weight of recall beside precision.

    Returns:
        A threshold; rows at or above it are flagged.
    """
    return _Ranked.of(probs, probs).best_f(beta)


def best_at_fpr(probs: FloatArray, truth: BoolArray, limit: float) -> float:
    """Find the threshold with the most recall of those whose false-positive rate is at most `limit`.

    Of cuts with the same recall, the one that flags the fewest rows wins. Where none that finds a row keeps the
    limit, the threshold lies above all scores, or at 1 if a score is 1.

    Args:
        probs: (n,) calibrated probabilities.
        truth: (n,) whether the label holds.
        limit: share of rows without the label that may be flagged.

    Returns:
        A threshold; rows at or above it are flagged.
    """
    ranked = _Ranked.of(probs, truth)
    rate = (ranked.flagged - ranked.hits) / (~truth).sum()
    found = np.where(rate <= limit, ranked.hits, 0)
    return ranked.cut(int(np.argmax(found))) if found.any() else min(1.0, float(np.nextafter(probs.max(), 2)))


def best_at_precision(probs: FloatArray, truth: BoolArray, limit: float) -> float:
    """Find the threshold with the most recall of those whose precision is at least `limit`.

    Of cuts with the same recall, the one that flags the fewest rows wins; where no cut keeps the limit, the one
    with the highest precision.

    Args:
        probs: (n,) calibrated probabilities.
        truth: (n,) whether the label holds.
        limit: share of the flagged rows that must have the label.

    Returns:
        A threshold; rows at or above it are flagged.
    """
    ranked = _Ranked.of(probs, truth)
    precision = ranked.hits / ranked.flagged
    kept = precision >= limit
    return ranked.cut(int(np.argmax(np.where(kept, ranked.hits, -1) if kept.any() else precision)))


def best_at_recall(probs: FloatArray, truth: BoolArray, limit: float) -> float:
    """Find the threshold that flags the fewest rows of those whose recall is at least `limit`.

    Args:
        probs: (n,) calibrated probabilities.
        truth: (n,) whether the label holds.
        limit: share of the rows with the label that must be flagged.

    Returns:
        A threshold; rows at or above it are flagged.
    """
    ranked = _Ranked.of(probs, truth)
    return ranked.cut(int(np.argmax(ranked.hits / ranked.hits[-1] >= limit)))


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Rows from the highest score down, at every place where they can be cut: between distinct scores.

    Attributes:
        scores: (cuts,), the lowest that is flagged.
        flagged: (cuts,), how many rows are.
        hits: (cuts,), how many of these have the label.
    """

    scores: FloatArray
    flagged: FloatArray
    hits: FloatArray

    @classmethod
    def of(cls, probs: FloatArray, weights: FloatArray | BoolArray) -> _Ranked:
        order = np.argsort(-probs, kind="stable")
        scores, hits = probs[order], np.cumsum(weights[order].astype(np.float64))
        last = np.flatnonzero(np.append(scores[1:] < scores[:-1], True))
        return cls(scores[last], (last + 1).astype(np.float64), hits[last])

    def best_f(self, beta: float) -> float:
        """Give the threshold with the best F-beta; of equal ones, the highest."""
        weight = beta * beta
        return self.cut(int(np.argmax((1 + weight) * self.hits / (self.flagged + weight * self.hits[-1]))))

    def cut(self, place: int) -> float:
        """Give the threshold there: halfway to the next lower score, if there is one."""
        above = float(self.scores[place])
        return above if place + 1 == len(self.scores) else _between(float(self.scores[place + 1]), above)


def _between(low: float, high: float) -> float:
    """Give the threshold halfway between two scores in logit space."""
    middle = float(sigmoid(logit(np.array([low, high])).mean(keepdims=True))[0])
    return middle if low < middle <= high else high
