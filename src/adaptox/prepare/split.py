"""Holding rows out: stratified by class, families kept whole."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from adaptox.errors import MissingExtraError
from adaptox.records import BoolArray, IntArray

# Folds of which a whole number comes near the wanted share: 20 give steps of at most 5 %, and near any usual share
# far less; small shares need more folds.
_FOLDS = 20
_FOLDS_SMALL_SHARE = 100
_SMALL_SHARE = 0.05


def held_out(labels: Sequence[int], groups: Sequence[int], fraction: float, seed: int) -> BoolArray:
    """Choose rows to hold out, the same share of each class, no group on both sides.

    Groups of several rows are dealt out by scikit-learn's StratifiedGroupKFold. Rows that stand alone then fill
    each class up to its share, which is exact wherever there are enough of them, and quick: the folds cost time for
    each group, and most rows stand alone.

    Args:
        labels: (rows,) class of each row.
        groups: (rows,) group of each row.
        fraction: share of the rows to hold out, in [0, 1).
        seed: of the choice.

    Returns:
        (rows,) whether a row is held out.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    classes = np.asarray(labels, dtype=np.int64)
    _, inverse, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    alone = sizes[inverse] == 1
    chosen = np.zeros(len(classes), dtype=np.bool_)
    together = np.flatnonzero(~alone)
    chosen[together] = _groups_held_out(classes[together], inverse[together], fraction, seed)
    rng = np.random.default_rng(seed)
    for label in np.unique(classes):
        own = classes == label
        wanted = round(fraction * int(own.sum())) - int(chosen[own].sum())
        free = np.flatnonzero(own & alone)
        chosen[rng.permutation(free)[: max(0, wanted)]] = True
    return chosen


def _groups_held_out(labels: IntArray, groups: IntArray, fraction: float, seed: int) -> BoolArray:
    try:
        from sklearn.model_selection import StratifiedGroupKFold
    except ImportError as error:
        raise MissingExtraError("prepare", "train", "scikit-learn") from error
    chosen = np.zeros(len(labels), dtype=np.bool_)
    # scikit-learn wants as many groups as folds, and as many rows in the largest class.
    most = min(len(np.unique(groups)), int(np.bincount(labels).max(initial=0)))
    share = _share(fraction, most)
    if not share:
        return chosen
    folds = StratifiedGroupKFold(n_splits=share.denominator, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # It warns when a class has fewer rows than there are folds; the rows that stand alone make up for that.
        warnings.simplefilter("ignore", UserWarning)
        parts = [test for _, test in folds.split(np.zeros(len(labels)), labels, groups)]
    chosen[np.concatenate(parts[: share.numerator])] = True
    return chosen


def _share(fraction: float, most: int) -> Fraction:
    folds = min(most, _FOLDS_SMALL_SHARE if fraction < _SMALL_SHARE else _FOLDS)
    if folds < 2:
        return Fraction(0)
    share = Fraction(fraction).limit_denominator(folds)
    return min(share, Fraction(folds - 1, folds))
