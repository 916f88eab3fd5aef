"""What an evaluation consists of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from adaptox.records import BoolArray, FloatArray, IntArray

# In the order of the tables. All are better when higher, but for the last two.
METRICS = ("auprc", "f1", "precision", "recall", "accuracy", "auroc", "recall_at_fpr_01", "brier", "ece")
BETTER_WHEN_LOWER = ("brier", "ece")

# Slice name → (metrics, resamples): every metric of every bootstrap resample.
Draws = Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True)
class Interval:
    """A number and the ends of its bootstrap interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SliceResult:
    """The metrics of one subset of the rows.

    Attributes:
        description: one clause that says which rows.
        n: rows with a known label.
        positives: how many of them are positive.
        metrics: name (see `METRICS`) → interval.
    """

    description: str
    n: int
    positives: int
    metrics: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """The rows behind an evaluation; only rows with a known label.

    Attributes:
        ids: (n,) example ids.
        probs: (n,) calibrated probabilities of the label.
        truth: (n,) 0 or 1.
        groups: (n,) prompt families.
        slices: slice name → (n,) membership.
    """

    ids: tuple[str, ...]
    probs: FloatArray
    truth: IntArray
    groups: tuple[str, ...]
    slices: Mapping[str, BoolArray]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good the scores of one label are.

    Attributes:
        label: which label.
        slices: slice name → result; the first is the main one (``F``, or ``all``).
        threshold: rows at or above it are called positive.
        origin: where the threshold came from: ``0.5`` or ``val: <policy>``.
        confidence: coverage of the intervals.
        resamples: bootstrap resamples of prompt families.
        rows: the rows behind the numbers.
    """

    label: str
    slices: Mapping[str, SliceResult]
    threshold: float
    origin: str
    confidence: float
    resamples: int
    rows: ScoredRows

    @property
    def main(self) -> SliceResult:
        """The slice that the one-sentence result is about."""
        return next(iter(self.slices.values()))


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a number needs to be believed.

    Attributes:
        data_sha256: hash of the prepared rows (ids, texts, labels, splits).
        model: name, parameters, trainable parameters, adapter, weights hash.
        seed: the run's seed.
        hardware: processor or GPU, cores, memory.
        commit: the code's version and git commit.
        config: the resolved settings.
    """

    data_sha256: str
    model: Mapping[str, object]
    seed: int
    hardware: str
    commit: str
    config: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether one evaluation is better than another on the same rows.

    Attributes:
        metric: which metric, see `METRICS`.
        slice_name: on which slice.
        difference: first minus second, with its interval over the same draws of families.
        p_value: two-sided, that there is no difference.
        verdict: about the first: ``better`` or ``worse`` where the interval leaves 0 out.
    """

    metric: str
    slice_name: str
    difference: Interval
    p_value: float
    verdict: Literal["better", "worse", "not distinguishable"]


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's exact test on the decisions of two evaluations.

    Attributes:
        only_first: rows that only the first decides rightly.
        only_second: rows that only the second decides rightly.
        p_value: two-sided, that both are as likely to be the right one.
    """

    only_first: int
    only_second: int
    p_value: float


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """The precision-recall curve, from the lowest threshold to the highest.

    Attributes:
        thresholds: (points,) ascending.
        precision: (points,) at each threshold.
        recall: (points,) at each threshold.
    """

    thresholds: FloatArray
    precision: FloatArray
    recall: FloatArray
