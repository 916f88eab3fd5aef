"""The metrics of one label: point values from scikit-learn, where it has the metric."""

from __future__ import annotations

import math

import numpy as np

from adaptox.errors import MissingExtraError
from adaptox.records import BoolArray, FloatArray, IntArray

# Bins of the expected calibration error (arXiv 1706.04599 takes 15, of equal width; of equal mass they hold
# enough rows each when most scores are near 0).
ECE_BINS = 15
MAX_FPR = 0.01


def point_metrics(probs: FloatArray, truth: IntArray, threshold: float) -> dict[str, float]:
    """Measure the scores of one label.

    Args:
        probs: (n,) calibrated probabilities.
        truth: (n,) 0 or 1.
        threshold: rows at or above it are called positive.

    Returns:
        Metric name (see `values.METRICS`) → value, NaN where it is not defined: F1 and recall without a
        positive row, AUPRC, AUROC and recall at a false-positive rate without both classes, precision without a row
        called positive.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn import metrics
    except ImportError as error:
        raise MissingExtraError("evaluate", "train", "scikit-learn") from error
    called = (probs >= threshold).astype(np.int64)
    positive, both = bool(truth.any()), 0 < truth.sum() < len(truth)
    values = {
        "auprc": metrics.average_precision_score(truth, probs) if both else math.nan,
        "f1": metrics.f1_score(truth, called) if positive else math.nan,
        "precision": metrics.precision_score(truth, called, zero_division=math.nan),
        "recall": metrics.recall_score(truth, called, zero_division=math.nan),
        "accuracy": metrics.accuracy_score(truth, called),
        "auroc": metrics.roc_auc_score(truth, probs) if both else math.nan,
        "recall_at_fpr_01": _recall_at_fpr(probs, truth) if both else math.nan,
        "brier": metrics.brier_score_loss(truth, probs, pos_label=1),
        "ece": calibration_error(probs, truth),
    }
    return {name: float(value) for name, value in values.items()}


def _recall_at_fpr(probs: FloatArray, truth: IntArray) -> float:
    from sklearn import metrics

    false_positive_rate, recall, _ = metrics.roc_curve(truth, probs, drop_intermediate=False)
    return float(recall[false_positive_rate <= MAX_FPR].max())


def calibration_error(probs: FloatArray, truth: IntArray, bins: int = ECE_BINS) -> float:
    """Give the expected calibration error: the mean gap between score and share of positives in a bin.

    Scikit-learn has no such metric. Bins hold equal numbers of rows; equal scores stay in one bin.

    Args:
        probs: (n,) calibrated probabilities.
        truth: (n,) 0 or 1.
        bins: how many at most.
    """
    members = bin_members(probs, bins).astype(np.float64)
    return float(np.abs((probs - truth) @ members).sum() / len(probs))


def bin_members(probs: FloatArray, bins: int) -> BoolArray:
    """Sort rows into bins of equal mass.

    Args:
        probs: (n,) scores.
        bins: how many at most; fewer where many scores are equal.

    Returns:
        (n, bins actually used), True where a row belongs to a bin, in ascending order of score.
    """
    inner = np.unique(np.quantile(probs, np.arange(1, bins) / bins))
    index = np.searchsorted(inner, probs, side="right")
    members: BoolArray = index[:, None] == np.unique(index)[None, :]
    return members
