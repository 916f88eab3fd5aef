"""Whether a probability says what it means: calibration of one label's logits on validation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from adaptox.decide.squash import sigmoid
from adaptox.records import BoolArray, FloatArray

# A temperature fitted alone stays within these bounds, and one with an offset below the upper. Beyond them the
# logits carry no usable scale: every probability would be 0.5, or 0 and 1.
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
_LEAST_SLOPE = 1 / MAX_TEMPERATURE

# With fewer rows of a class than this, three further numbers cost more than a bend is worth (docs/LOG.md).
FEWEST_BENT = 20

_STEPS = 100
_CONVERGED = 1e-10

_Slope = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
_Offset = Annotated[float, Field(strict=True, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Bend:
    """A slope for either end of the scale: a probability p becomes the sigmoid of a ln p - b ln(1 - p) + c.

    The beta calibration of Kull, Silva Filho and Flach (AISTATS 2017), with its a, b and c.

    Attributes:
        low: a, the slope where p is near 0.
        high: b, the slope where p is near 1.
        offset: c.
    """

    low: _Slope
    high: _Slope
    offset: _Offset

    def logits(self, logits: FloatArray) -> FloatArray:
        """Bend the logits of p, of any shape."""
        bent: FloatArray = self.high * np.logaddexp(0, logits) - self.low * np.logaddexp(0, -logits) + self.offset
        return bent


@dataclass(frozen=True, slots=True)
class Calibration:
    """A label's calibrated logit is logit / temperature + offset, and then bent if it has a bend."""

    temperature: float = 1.0
    offset: float = 0.0
    bend: Bend | None = None

    def probs(self, logits: FloatArray) -> FloatArray:
        """Calibrate logits of any shape to probabilities."""
        scaled = logits / self.temperature + self.offset
        return sigmoid(scaled if self.bend is None else self.bend.logits(scaled))


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
    design = np.stack([logits, np.ones_like(logits)], axis=1)
    weights = _logistic(design, _smoothed(truth), np.array([1.0, 0.0]))
    if weights[0] < _LEAST_SLOPE:
        return Calibration(fit_temperature(logits, truth))
    return Calibration(float(1 / weights[0]), float(weights[1]))


def fit_beta(logits: FloatArray, truth: BoolArray) -> Calibration:
    """Find the bend of Platt's calibrated scores with the lowest log loss.

    One slope serves both ends of the scale badly where a model is surer of what is harmless than of what is not.
    A slope stays at or above the least that Platt's may have, so that the scores keep their order. Where neither
    end has such a slope, or a class has fewer than `FEWEST_BENT` rows, the calibration is Platt's.

    Args:
        logits: (n,) of one label.
        truth: (n,), with both classes.
    """
    platt = fit_platt(logits, truth)
    if min(truth.sum(), (~truth).sum()) < FEWEST_BENT:
        return platt
    scaled = logits / platt.temperature + platt.offset
    ends = np.stack([-np.logaddexp(0, -scaled), np.logaddexp(0, scaled)], axis=1)
    slopes, free = np.ones(2), np.array([True, True])
    while free.any():
        design = np.column_stack([ends[:, free], np.ones_like(logits)])
        weights = _logistic(
            design, _smoothed(truth), np.append(slopes[free], 0.0), base=ends[:, ~free] @ slopes[~free]
        )
        slopes[free] = weights[:-1]
        if (slopes >= _LEAST_SLOPE).all():
            return replace(platt, bend=Bend(float(slopes[0]), float(slopes[1]), float(weights[-1])))
        low = slopes < _LEAST_SLOPE
        slopes[low], free = _LEAST_SLOPE, free & ~low
    return platt


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


def _logistic(
    design: FloatArray, targets: FloatArray, start: FloatArray, base: FloatArray | float = 0
) -> FloatArray:
    """Find the weights with the lowest log loss by Newton's method, halving steps that go too far.

    Args:
        design: (n, weights).
        targets: (n,), in [0, 1].
        start: (weights,).
        base: (n,), added to the logits as it is.
    """

    def loss(weights: FloatArray) -> float:
        values = design @ weights + base
        return float(np.mean(np.logaddexp(0, values) - targets * values))

    weights = start
    for _ in range(_STEPS):
        probs = sigmoid(design @ weights + base)
        gradient = design.T @ (probs - targets) / len(targets)
        curvature = design.T @ (design * (probs * (1 - probs))[:, None]) / len(targets)
        step = np.linalg.solve(curvature + 1e-9 * np.eye(len(weights)), gradient)
        size = 1.0
        while loss(weights - size * step) > loss(weights) and size > _CONVERGED:
            size /= 2
        weights = weights - size * step
        if np.abs(size * step).max() < _CONVERGED:
            break
    return weights


def _smoothed(truth: BoolArray) -> FloatArray:
    positives = int(truth.sum())
    negatives = len(truth) - positives
    return np.where(truth, (positives + 1) / (positives + 2), 1 / (negatives + 2))
