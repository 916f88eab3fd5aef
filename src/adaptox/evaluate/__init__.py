"""Scores + truth → Evaluation: metrics, slices, intervals clustered by prompt family, paired tests.

`evaluate` measures, `bootstrap` and `measure` do so for rows that were kept; `compare`, `mcnemar` and `holm` judge
two or more results; `precision_recall` gives a figure its points, `to_json` writes
``metrics.json``, `rows_to_parquet` every row's score.
"""

from __future__ import annotations

from adaptox.evaluate.curves import precision_recall
from adaptox.evaluate.kept import rows_from_parquet, rows_to_parquet
from adaptox.evaluate.measure import bootstrap, evaluate, few_families, measure
from adaptox.evaluate.paired import compare, holm, mcnemar
from adaptox.evaluate.provenance import commit, hardware
from adaptox.evaluate.resample import FEWEST_FAMILIES
from adaptox.evaluate.values import (
    BETTER_WHEN_LOWER,
    METRICS,
    Comparison,
    Evaluation,
    Interval,
    McNemar,
    PrecisionRecall,
    Provenance,
    ScoredRows,
    SliceResult,
)
from adaptox.evaluate.written import interval_json, slices_json, to_json

__all__ = [
    "BETTER_WHEN_LOWER",
    "FEWEST_FAMILIES",
    "METRICS",
    "Comparison",
    "Evaluation",
    "Interval",
    "McNemar",
    "PrecisionRecall",
    "Provenance",
    "ScoredRows",
    "SliceResult",
    "bootstrap",
    "commit",
    "compare",
    "evaluate",
    "few_families",
    "hardware",
    "holm",
    "interval_json",
    "mcnemar",
    "measure",
    "precision_recall",
    "rows_from_parquet",
    "rows_to_parquet",
    "slices_json",
    "to_json",
]
