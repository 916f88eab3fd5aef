"""Bootstrap over prompt families: intervals that do not take near-copies for independent evidence.

Families are drawn with replacement, all their rows with them (the cluster bootstrap; Cameron, Gelbach and Miller,
Bootstrap-Based Improvements for Inference with Clustered Errors, 2008). The interval spans the percentiles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from adaptox.evaluate.values import Interval
from adaptox.records import BoolArray, FloatArray

FEWEST_FAMILIES = 6
"""With fewer families there is no interval and no verdict: even if all agreed, a sign test would not reach 5 %."""

# Resamples measured together: enough for numpy's loops to pay, few enough to stay in the cache.
_CHUNK = 50


def draw_weights(groups: Sequence[str], resamples: int, seed: int) -> Iterator[FloatArray]:
    """Draw families with replacement, as many as there are.

    Args:
        groups: (n,) the family of each row.
        resamples: how many times.
        seed: the same seed and groups give the same draws.

    Yields:
        (at most 50, n): how often each row was drawn.
    """
    _, family = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    families = int(family.max()) + 1
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - start)
        drawn = generator.integers(families, size=(size, families)) + families * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * families).reshape(size, families)
        yield counts.astype(np.float64)[:, family]


def families(groups: Sequence[str], member: BoolArray) -> int:
    """Count the families that some rows are of.

    Args:
        groups: (n,) the family of each row.
        member: (n,) which rows.
    """
    return len({group for group, one in zip(groups, member, strict=True) if one})


def interval(value: float, draws: FloatArray, confidence: float) -> Interval:
    """Put the percentiles of the draws beside a point value.

    The interval always holds the point value. Resampling adds noise, which raises a calibration error; where the
    error is small, the low percentile alone would lie above it.

    Args:
        value: the point value.
        draws: (resamples,); NaN where a resample left the metric undefined, which is not counted.
        confidence: coverage, e.g. 0.95.
    """
    known = draws[np.isfinite(draws)]
    if not np.isfinite(value) or not len(known):
        return Interval(value, float("nan"), float("nan"))
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return Interval(value, min(value, float(low)), max(value, float(high)))
