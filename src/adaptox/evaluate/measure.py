"""Scores + truth → Evaluation: every metric of every slice, with its interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adaptox.config import EvaluateConfig
from adaptox.errors import CollapseError, DataError
from adaptox.evaluate.metrics import point_metrics
from adaptox.evaluate.resample import FEWEST_FAMILIES, draw_weights, families, interval
from adaptox.evaluate.slices import DESCRIPTIONS, find_slices
from adaptox.evaluate.values import METRICS, Draws, Evaluation, ScoredRows, SliceResult
from adaptox.evaluate.weighted import member_order, sort_rows, weighted_metrics
from adaptox.records import Example, FloatArray


def evaluate(
    examples: Sequence[Example],
    probs: FloatArray,
    label: str,
    threshold: float,
    origin: str,
    config: EvaluateConfig,
    seed: int,
    official: bool = False,
) -> Evaluation:
    """Measure how good the scores of one label are.

    Rows whose label is unknown are left out.

    Args:
        examples: n rows.
        probs: (n,) calibrated probabilities of the label.
        label: which label.
        threshold: rows at or above it are called positive.
        origin: where the threshold came from.
        config: resamples and confidence.
        seed: of the bootstrap.
        official: whether these are the rows of ToxicChat's published test split, which has its own slices.

    Raises:
        DataError: no row has the label.
        CollapseError: a score is not a finite number.
        MissingExtraError: scikit-learn is not installed.
    """
    known = [index for index, example in enumerate(examples) if label in example.labels]
    if not known:
        raise DataError(
            f"expected rows labelled with {label!r}, got {len(examples)} rows without it: name its column in "
            "sources.columns.labels"
        )
    scores = np.asarray(probs, dtype=np.float64)[known]
    if not np.isfinite(scores).all():
        raise CollapseError(
            f"expected finite scores, got {int((~np.isfinite(scores)).sum())} of {len(scores)} that are not: "
            "training diverged; lower train.learning_rate"
        )
    kept = [examples[index] for index in known]
    rows = ScoredRows(
        ids=tuple(example.id for example in kept),
        probs=scores,
        truth=np.array([example.labels[label] for example in kept], dtype=np.int64),
        groups=tuple(example.group or example.id for example in kept),
        slices=find_slices(kept, label, official),
    )
    return measure(rows, label, threshold, origin, config, bootstrap(rows, threshold, config.resamples, seed))


def measure(
    rows: ScoredRows, label: str, threshold: float, origin: str, config: EvaluateConfig, draws: Draws
) -> Evaluation:
    """Measure rows that are scored already.

    Args:
        rows: with their slices.
        label: which label they were scored for.
        threshold: rows at or above it are called positive.
        origin: where the threshold came from.
        config: resamples and confidence.
        draws: of these rows at this threshold, from `bootstrap`.
    """
    return Evaluation(
        label=label,
        slices={name: _summarise(name, rows, threshold, drawn, config.confidence) for name, drawn in draws.items()},
        threshold=threshold,
        origin=origin,
        confidence=config.confidence,
        resamples=config.resamples,
        rows=rows,
    )


def bootstrap(rows: ScoredRows, threshold: float, resamples: int, seed: int) -> Draws:
    """Measure all slices on the same draws of families.

    Rows of the same families and seed are drawn alike, so the draws of two models on the same rows can be
    subtracted.

    Args:
        rows: n scored rows.
        threshold: rows at or above it are called positive.
        resamples: how many draws.
        seed: of the draws.

    Returns:
        Slice name → (metrics, resamples), in the order of `METRICS`; NaN where a draw leaves a metric undefined,
        and for a slice of fewer than `FEWEST_FAMILIES` families.
    """
    ready = {
        name: sort_rows(rows.probs[member], rows.truth[member], threshold) for name, member in rows.slices.items()
    }
    positions = {name: member_order(ready[name], member) for name, member in rows.slices.items()}
    draws: dict[str, list[FloatArray]] = {name: [] for name in ready}
    for weights in draw_weights(rows.groups, resamples, seed):
        for name, chunks in draws.items():
            measured = weighted_metrics(ready[name], weights[:, positions[name]])
            chunks.append(np.stack([measured[metric] for metric in METRICS]))
    drawn = {name: np.concatenate(chunks, axis=1) for name, chunks in draws.items()}
    few = few_families(rows)
    return {name: np.full_like(one, np.nan) if name in few else one for name, one in drawn.items()}


def few_families(rows: ScoredRows) -> tuple[str, ...]:
    """Name the slices of fewer than `FEWEST_FAMILIES` families, whose numbers have no interval."""
    return tuple(name for name, member in rows.slices.items() if families(rows.groups, member) < FEWEST_FAMILIES)


def _summarise(name: str, rows: ScoredRows, threshold: float, draws: FloatArray, confidence: float) -> SliceResult:
    member = rows.slices[name]
    probs, truth = rows.probs[member], rows.truth[member]
    points = point_metrics(probs, truth, threshold)
    return SliceResult(
        description=DESCRIPTIONS[name],
        n=len(truth),
        positives=int(truth.sum()),
        metrics={
            metric: interval(points[metric], draws[index], confidence) for index, metric in enumerate(METRICS)
        },
    )
