"""Is one model better than another, or is it luck? Tests on the same rows, decided together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from adaptox.errors import DataError, MissingExtraError, nearest
from adaptox.evaluate.resample import FEWEST_FAMILIES, draw_weights, families, interval
from adaptox.evaluate.values import (
    BETTER_WHEN_LOWER,
    METRICS,
    Comparison,
    Evaluation,
    Interval,
    McNemar,
    ScoredRows,
)
from adaptox.evaluate.weighted import member_order, sort_rows, weighted_metric
from adaptox.records import FloatArray, IntArray


def compare(
    a: Evaluation, b: Evaluation, metric: str, resamples: int, seed: int, slice_name: str | None = None
) -> Comparison:
    """Compare two evaluations of the same rows by the paired bootstrap over prompt families.

    Both are measured on the same draws, each at its own threshold, so what makes a draw easy or hard cancels.

    Args:
        a: the one the verdict is about.
        b: what it is compared with.
        metric: see `METRICS`.
        resamples: how many draws.
        seed: of the draws.
        slice_name: on which slice; None takes the main one.

    Raises:
        DataError: the rows, their truth or their families differ, or there is no such metric or slice.
    """
    name = slice_name or next(iter(a.slices))
    for wanted, known in ((metric, METRICS), (name, tuple(a.rows.slices)), (name, tuple(b.rows.slices))):
        if wanted not in known:
            raise DataError(f"cannot compare by {wanted!r}: {nearest(wanted, known)}")
    match = _match(a.rows, b.rows)
    member = a.rows.slices[name]
    sides = (
        sort_rows(a.rows.probs[member], a.rows.truth[member], a.threshold),
        sort_rows(b.rows.probs[match][member], a.rows.truth[member], b.threshold),
    )
    positions = [member_order(side, member) for side in sides]
    draws = [
        np.subtract(
            *(weighted_metric(side, weights[:, at], metric) for side, at in zip(sides, positions, strict=True))
        )
        for weights in draw_weights(a.rows.groups, resamples, seed)
    ]
    value = a.slices[name].metrics[metric].value - b.slices[name].metrics[metric].value
    drawn = np.concatenate(draws)
    few = families(a.rows.groups, member) < FEWEST_FAMILIES
    return judge(metric, name, value, np.full_like(drawn, np.nan) if few else drawn, a.confidence)


def judge(metric: str, slice_name: str, value: float, draws: FloatArray, confidence: float) -> Comparison:
    """Judge a difference by its bootstrap.

    Args:
        metric: see `METRICS`.
        slice_name: on which slice.
        value: the difference, first minus second.
        draws: (resamples,) differences on the same draws; NaN where one is undefined.
        confidence: coverage of the interval.
    """
    difference = interval(value, draws, confidence)
    known = draws[np.isfinite(draws)]
    # One is added to both counts: the data as they came are a draw, too, and no p-value is 0.
    tails = min(int((known <= 0).sum()), int((known >= 0).sum())) + 1
    return Comparison(
        metric=metric,
        slice_name=slice_name,
        difference=difference,
        p_value=min(1.0, 2 * tails / (len(known) + 1)),
        verdict=_verdict(metric, difference),
    )


def _verdict(metric: str, difference: Interval) -> Literal["better", "worse", "not distinguishable"]:
    higher, lower = difference.low > 0, difference.high < 0
    if metric in BETTER_WHEN_LOWER:
        higher, lower = lower, higher
    if higher:
        return "better"
    return "worse" if lower else "not distinguishable"


def mcnemar(a: Evaluation, b: Evaluation) -> McNemar:
    """Test whether two sets of decisions on the same rows are right equally often.

    The exact test (McNemar 1947; binomial, on the rows where only one is right). It takes rows for independent;
    where many prompts have near-copies, `compare` is the stricter one.

    Raises:
        DataError: the rows or their truth differ.
        MissingExtraError: scipy is not installed.
    """
    try:
        from scipy.stats import binomtest
    except ImportError as error:
        raise MissingExtraError("evaluate", "train", "scipy") from error
    match = _match(a.rows, b.rows)
    right_a = (a.rows.probs >= a.threshold) == (a.rows.truth == 1)
    right_b = (b.rows.probs[match] >= b.threshold) == (a.rows.truth == 1)
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    differing = only_a + only_b
    p_value = float(binomtest(only_a, differing, 0.5).pvalue) if differing else 1.0
    return McNemar(only_a, only_b, p_value)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Correct p-values for having tested several things (Holm 1979).

    Args:
        p_values: one a test.

    Returns:
        Corrected p-values in the same order; each may be held against the same level.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(stepped, 1.0)
    return tuple(corrected.tolist())


def _match(a: ScoredRows, b: ScoredRows) -> IntArray:
    """Give the position in `b` of every row of `a`."""
    place = {name: index for index, name in enumerate(b.ids)}
    alone = set(a.ids) ^ set(b.ids)
    if alone or len(a.ids) != len(b.ids):
        raise DataError(
            f"expected two evaluations of the same rows, got {len(a.ids)} and {len(b.ids)} rows, of which "
            f"{len(alone)} occur in one only: evaluate both on the same data"
        )
    match = np.array([place[name] for name in a.ids], dtype=np.int64)
    same = (b.truth[match] == a.truth).all() and tuple(b.groups[index] for index in match) == a.groups
    if not same:
        raise DataError(
            "expected two evaluations of the same rows, got rows whose labels or prompt families differ: "
            "evaluate both on the same prepared data"
        )
    return match
