"""What the figures draw."""

from __future__ import annotations

import numpy as np

from adaptox.errors import DataError, MissingExtraError
from adaptox.evaluate.metrics import ECE_BINS, bin_members
from adaptox.evaluate.values import Evaluation, PrecisionRecall, Reliability


def precision_recall(evaluation: Evaluation) -> PrecisionRecall:
    """Give the precision-recall curve of all rows.

    Raises:
        DataError: no row is positive.
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.metrics import precision_recall_curve
    except ImportError as error:
        raise MissingExtraError("evaluate", "train", "scikit-learn") from error
    rows = evaluation.rows
    if not rows.truth.any():
        raise DataError(
            f"expected rows with {evaluation.label!r} to draw a precision-recall curve, got none among "
            f"{len(rows.ids)}: add labelled rows"
        )
    precision, recall, thresholds = precision_recall_curve(rows.truth, rows.probs)
    # Scikit-learn appends precision 1 at recall 0, which no threshold reaches.
    return PrecisionRecall(thresholds=thresholds, precision=precision[:-1], recall=recall[:-1])


def reliability(evaluation: Evaluation, bins: int = ECE_BINS) -> Reliability:
    """Give the mean score and the share of positives of each bin of all rows.

    Args:
        evaluation: of n rows.
        bins: how many at most; they hold equal numbers of rows, and equal scores stay together.
    """
    rows = evaluation.rows
    members = bin_members(rows.probs, bins)
    counts = members.sum(axis=0).astype(np.int64)
    return Reliability(scores=rows.probs @ members / counts, shares=rows.truth @ members / counts, counts=counts)
