"""Logits ↔ probabilities."""

from __future__ import annotations

import numpy as np

from adaptox.records import FloatArray

# The logit of the largest float64 below 1.
_MAX_LOGIT = 36.7


def sigmoid(values: FloatArray) -> FloatArray:
    """Squash logits of any shape to probabilities."""
    # exp of a non-positive number only: it cannot overflow.
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1 / (1 + small), small / (1 + small))


def logit(probs: FloatArray) -> FloatArray:
    """Give the logits of probabilities of any shape, kept finite."""
    with np.errstate(divide="ignore"):
        values: FloatArray = np.clip(np.log(probs) - np.log1p(-probs), -_MAX_LOGIT, _MAX_LOGIT)
    return values
