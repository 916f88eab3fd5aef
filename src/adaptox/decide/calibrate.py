"""Whether a probability says what it means: calibration of one label's logits on validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adaptox.decide.squash import sigmoid
from adaptox.records import BoolArray, FloatArray

# A temperature fitted alone stays within these bounds, and one with an offset below the upper. Beyond them the
# logits carry no usable scale: every probability would be 0.5, or 0 and 1.
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0

_STEPS = 100
_CONVERGED = 1e-10


@dataclass(frozen=True, slots=True)
class Calibration:
    """A label's calibrated logit is logit / temperature + offset."""

    temperature: float = 1.0
    offset: float = 0.0

    def probs(self, logits: FloatArray) -> FloatArray:
        """Calibrate logits of any shape to probabilities."""
        return sigmoid(logits / self.temperature + self.offset)


def fit_platt(logits: FloatArray, truth: BoolArray) -> Calibration:
    """Find temperature and offset with the lowest log loss (Platt, as `fit_temperature`).

    The offset makes up for a training part whose classes were balanced, which a temperature cannot. Newton's
    method, with halved steps where a whole one would go too far (Lin, Lin and Weng, A Note on Platt's Probabilistic
    Outputs for Support Vector Machines, 2007). Logits that rank the classes no better than chance get a temperature
    alone.

    Args:
        logits: (n,) of one label.
        truth: (n,), with both classes.
    """
    targets = _smoothed(truth)
    design = np.stack([logits, np.ones_like(logits)], axis=1)

    def loss(weights: FloatArray) -> float:
        values = design @ weights
        return float(np.mean(np.logaddexp(0, values) - targets * values))

    weights = np.array([1.0, 0.0])
    for _ in range(_STEPS):
        probs = sigmoid(design @ weights)
        gradient = design.T @ (probs - targets) / len(targets)
        curvature = design.T @ (design * (probs * (1 - probs))[:, None]) / len(targets)
        step = np.linalg.solve(curvature + 1e-9 * np.eye(2), gradient)
        size = 1.0
        while loss(weights - size * step) > loss(weights) and size > _CONVERGED:
            size /= 2
        weights = weights - size * step
        if np.abs(size * step).max() < _CONVERGED:
            break
    if weights[0] < 1 / MAX_TEMPERATURE:
        return Calibration(fit_temperature(logits, truth))
    return Calibration(float(1 / weights[0]), float(weights[1]))


def fit_temperature(logits: FloatArray, truth: BoolArray) -> float:
    """Find the temperature with the lowest log loss, between `MIN_TEMPERATURE` and `MAX_TEMPERATURE`.

    The loss is convex in 1 / temperature, so bisection of its slope finds the one minimum. The targets are
    smoothed as Platt's (Probabilistic Outputs for Support Vector Machines, 1999, section 2.2): a few rows that
    happen to be separated perfectly then do not push every probability to 0 or 1.

    Args:
        logits: (n,) of one label.
        truth: (n,), with both classes.
    """
    targets = _smoothed(truth)
    low, high = 1 / MAX_TEMPERATURE, 1 / MIN_TEMPERATURE
    for _ in range(60):
        middle = (low + high) / 2
        if float(np.dot(logits, sigmoid(middle * logits) - targets)) < 0:
            low = middle
        else:
            high = middle
    return float(np.clip(2 / (low + high), MIN_TEMPERATURE, MAX_TEMPERATURE))


def _smoothed(truth: BoolArray) -> FloatArray:
    positives = int(truth.sum())
    negatives = len(truth) - positives
    return np.where(truth, (positives + 1) / (positives + 2), 1 / (negatives + 2))
