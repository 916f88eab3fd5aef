"""How far a teacher agrees with scores that the data already had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from adaptox.config import EvaluateConfig
from adaptox.evaluate import Interval
from adaptox.evaluate.resample import draw_weights, interval
from adaptox.records import Example, FloatArray
from adaptox.teach.values import Agreement

# Two rows always rank alike or the other way round.
_FEWEST = 3


def agreements(
    targets: Sequence[str],
    examples: Sequence[Example],
    scored: Sequence[Mapping[str, float]],
    config: EvaluateConfig,
    seed: int,
) -> tuple[Agreement, ...]:
    """Compare a teacher's scores with those that examples came with; a target that none had is left out.

    Args:
        targets: names of scores.
        examples: with the scores that they came with.
        scored: the teacher's, for each example.
        config: resamples and confidence.
        seed: of the bootstrap.
    """
    found = (_agreement(name, examples, scored, config, seed) for name in targets)
    return tuple(agreement for agreement in found if agreement.n)


def _agreement(
    name: str, examples: Sequence[Example], scored: Sequence[Mapping[str, float]], config: EvaluateConfig, seed: int
) -> Agreement:
    rows = [position for position, example in enumerate(examples) if name in example.teacher]
    if len(rows) < _FEWEST:
        return Agreement(name, len(rows), Interval(float("nan"), float("nan"), float("nan")))
    before = np.array([examples[row].teacher[name] for row in rows])
    now = np.array([scored[row][name] for row in rows])
    groups = [examples[row].group or examples[row].id for row in rows]
    value = float(_rank_correlation(before, now, np.ones((1, len(rows))))[0])
    draws = [_rank_correlation(before, now, weights) for weights in draw_weights(groups, config.resamples, seed)]
    return Agreement(name, len(rows), interval(value, np.concatenate(draws), config.confidence))


def _rank_correlation(one: FloatArray, other: FloatArray, weights: FloatArray) -> FloatArray:
    """Compute Spearman's correlation of (n,) scores in every draw.

    Args:
        one: (n,) scores.
        other: (n,) scores.
        weights: (draws, n), how often each row was drawn.

    Returns:
        (draws,); NaN where the rows that were drawn have the same score.
    """
    total = weights.sum(axis=1, keepdims=True)

    def centred(scores: FloatArray) -> FloatArray:
        ranks = _mean_ranks(scores, weights)
        difference: FloatArray = ranks - (weights * ranks).sum(axis=1, keepdims=True) / total
        return difference

    a, b = centred(one), centred(other)
    scale = np.sqrt((weights * a**2).sum(axis=1) * (weights * b**2).sum(axis=1))
    defined = scale > 0
    found: FloatArray = np.where(defined, (weights * a * b).sum(axis=1), np.nan) / np.where(defined, scale, 1.0)
    return found.clip(-1, 1)


def _mean_ranks(scores: FloatArray, weights: FloatArray) -> FloatArray:
    """Rank (n,) scores in each of several draws, (draws, n); equal scores share the middle of their ranks."""
    _, level, counts = np.unique(scores, return_inverse=True, return_counts=True)
    starts = np.cumsum(counts) - counts
    mass = np.add.reduceat(weights[:, np.argsort(level, kind="stable")], starts, axis=1)
    middle: FloatArray = (np.cumsum(mass, axis=1) - mass / 2)[:, level]
    return middle
