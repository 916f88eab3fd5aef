"""A teacher's scores → soft targets that a small model can learn.

A moderation service gives most prompts scores between 1e-6 and 1e-2. Taken as they are, they pull all their logits
to the same low value and tell hardly anything apart; scaled, they use the whole range.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from scipy.special import expit

from adaptox.config import DistillConfig
from adaptox.decide import Calibration
from adaptox.errors import DataError, nearest
from adaptox.records import Example, FloatArray

# As in `losses`: a score of 0 or 1 has no finite logit.
_SMALLEST = 1e-6
# A teacher that gives every row the same score has no deviation to divide by.
_NARROWEST = 1e-3


@dataclass(frozen=True, slots=True)
class Scale:
    """How the scores of one name become soft targets.

    Attributes:
        apply: (rows,) scores in [0, 1] → (rows,) soft targets in [0, 1].
        back: turns the logits of a model that learnt the soft targets into the teacher's scores; ranks stay ranks.
    """

    apply: Callable[[FloatArray], FloatArray]
    back: Calibration = field(default_factory=Calibration)

    def __call__(self, scores: FloatArray) -> FloatArray:
        """Scale scores."""
        return self.apply(scores)


def fit_scales(train: Sequence[Example], config: DistillConfig) -> Mapping[str, Scale]:
    """Fit the scale of every target on the training part.

    Args:
        train: examples with teacher scores.
        config: targets and kind of scale.

    Returns:
        Target → its scale.

    Raises:
        DataError: a target that no row has a score for, so that nothing would teach its output.
    """
    found = {name: np.array([e.teacher[name] for e in train if name in e.teacher]) for name in config.targets}
    untaught = [name for name, scores in found.items() if not len(scores)]
    if untaught:
        there = {name for example in train for name in example.teacher}
        raise DataError(
            f"distill.targets names {untaught[0]!r}, but none of the {len(train)} training rows has a score "
            f"of that name: {nearest(untaught[0], there)}; map columns.teacher, or set distill.teacher to a bundle"
        )
    return {name: _fit(scores, config) for name, scores in found.items()}


def _fit(scores: FloatArray, config: DistillConfig) -> Scale:
    match config.scale:
        case "raw":
            return Scale(_raw)
        case "logit":
            logits = _logit(scores)
            mean, deviation = float(logits.mean()), max(float(logits.std()), _NARROWEST)
            apply = partial(_standardised, mean=mean, deviation=deviation)
            return Scale(apply, Calibration(temperature=1 / deviation, offset=mean))
        case "quantile":
            levels, counts = np.unique(scores, return_counts=True)
            # Equal scores share the middle of their ranks.
            return Scale(partial(_ranked, levels=levels, ranks=(np.cumsum(counts) - counts / 2) / len(scores)))


def _raw(scores: FloatArray) -> FloatArray:
    return scores


def _standardised(scores: FloatArray, mean: float, deviation: float) -> FloatArray:
    scaled: FloatArray = expit((_logit(scores) - mean) / deviation)
    return scaled


def _ranked(scores: FloatArray, levels: FloatArray, ranks: FloatArray) -> FloatArray:
    return np.interp(scores, levels, ranks)


def _logit(scores: FloatArray) -> FloatArray:
    clipped = np.clip(scores, _SMALLEST, 1 - _SMALLEST)
    return np.log(clipped) - np.log1p(-clipped)
