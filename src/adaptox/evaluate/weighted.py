"""The same metrics for many resamples at once.

A resample is a vector of weights: how often each row was drawn. The metrics of all resamples then are a few
cumulative sums over rows sorted once, some hundred times faster than a library call per resample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from adaptox.evaluate.metrics import ECE_BINS, MAX_FPR, bin_members
from adaptox.records import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class SortedRows:
    """Rows ready to be weighted, highest score first.

    Attributes:
        order: (n,) positions in the arrays that came in.
        probs: (n,) calibrated probabilities.
        truth: (n,) 1.0 or 0.0.
        called: (n,) 1.0 where the score is at or above the threshold.
        last: (distinct scores,) the position of the last row of each distinct score.
        members: (n, bins) 1.0 where a row belongs to a calibration bin.
    """

    order: IntArray
    probs: FloatArray
    truth: FloatArray
    called: FloatArray
    last: IntArray
    members: FloatArray


def sort_rows(probs: FloatArray, truth: IntArray, threshold: float) -> SortedRows:
    """Sort rows once for all resamples.

    Args:
        probs: (n,) calibrated probabilities.
        truth: (n,) 0 or 1.
        threshold: rows at or above it are called positive.
    """
    order = np.argsort(-probs, kind="stable")
    scores = probs[order]
    return SortedRows(
        order=order,
        probs=scores,
        truth=truth[order].astype(np.float64),
        called=(scores >= threshold).astype(np.float64),
        last=np.flatnonzero(np.append(scores[1:] < scores[:-1], True)),
        members=bin_members(scores, ECE_BINS).astype(np.float64),
    )


def weighted_metrics(rows: SortedRows, weights: FloatArray) -> Mapping[str, FloatArray]:
    """Measure every resample.

    Args:
        rows: n sorted rows.
        weights: (resamples, n), in the order of `rows`.

    Returns:
        Metric name (see `values.METRICS`) → (resamples,), NaN where a resample leaves it undefined.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return {**_of_decisions(rows, weights), **_of_ranking(rows, weights), **_of_probs(rows, weights)}


def weighted_metric(rows: SortedRows, weights: FloatArray, metric: str) -> FloatArray:
    """Measure every resample by one metric, as `weighted_metrics`, at the cost of its kin only."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return _KIN[metric](rows, weights)[metric]


def _of_decisions(rows: SortedRows, weights: FloatArray) -> dict[str, FloatArray]:
    hits, called, positives = (weights @ np.stack([rows.truth * rows.called, rows.called, rows.truth], axis=1)).T
    total = weights.sum(axis=1)
    return {
        "f1": np.where(positives > 0, 2 * hits / (called + positives), np.nan),
        "precision": hits / called,
        "recall": hits / positives,
        "accuracy": (total - called - positives + 2 * hits) / total,
    }


def _of_ranking(rows: SortedRows, weights: FloatArray) -> dict[str, FloatArray]:
    above = np.cumsum(weights, axis=1)[:, rows.last]
    hits = np.cumsum(weights * rows.truth, axis=1)[:, rows.last]
    alarms = above - hits
    positives, negatives = hits[:, -1:], alarms[:, -1:]
    gained = np.diff(hits, axis=1, prepend=0.0)
    precision = np.divide(hits, above, out=np.zeros_like(hits), where=above > 0)
    # A negative is outranked by the positives above it, and half by those of the same score.
    outranked = np.diff(alarms, axis=1, prepend=0.0) * (hits - gained / 2)
    within = np.where(alarms / negatives <= MAX_FPR, hits, 0.0).max(axis=1, keepdims=True)
    return {
        "auprc": np.where(negatives > 0, (gained * precision).sum(axis=1, keepdims=True) / positives, np.nan)[:, 0],
        "auroc": (outranked.sum(axis=1, keepdims=True) / (positives * negatives))[:, 0],
        "recall_at_fpr_01": np.where(negatives > 0, within / positives, np.nan)[:, 0],
    }


def _of_probs(rows: SortedRows, weights: FloatArray) -> dict[str, FloatArray]:
    total = weights.sum(axis=1)
    gaps = rows.probs - rows.truth
    return {
        "brier": weights @ gaps**2 / total,
        "ece": np.abs(weights @ (gaps[:, None] * rows.members)).sum(axis=1) / total,
    }


_KIN: Mapping[str, Callable[[SortedRows, FloatArray], dict[str, FloatArray]]] = {
    **dict.fromkeys(("f1", "precision", "recall", "accuracy"), _of_decisions),
    **dict.fromkeys(("auprc", "auroc", "recall_at_fpr_01"), _of_ranking),
    **dict.fromkeys(("brier", "ece"), _of_probs),
}


def member_order(rows: SortedRows, member: BoolArray) -> IntArray:
    """Give the positions, in the whole, of the sorted rows of a subset: ``np.flatnonzero(member)[rows.order]``."""
    positions: IntArray = np.flatnonzero(member)[rows.order]
    return positions
