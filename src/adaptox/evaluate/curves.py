"""What the figures draw."""

from __future__ import annotations

from adaptox.errors import DataError, MissingExtraError
from adaptox.evaluate.values import Evaluation, PrecisionRecall


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
