"""How far a teacher's scores agree with the labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adaptox.config import Config
from adaptox.evaluate import Interval, evaluate
from adaptox.records import Example, FloatArray
from adaptox.teach.teachers import Given

# A teacher decides nothing, so metrics that need a threshold are left out.
_METRICS = ("auprc", "auroc", "brier", "ece")
_UNUSED_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Judged:
    """How far one score agrees with a label.

    Attributes:
        name: of the member or the score.
        label: what it is compared with.
        n: rows.
        positives: of these.
        metrics: auprc, auroc, brier and ece (calibration error), each with its interval over prompt families.
    """

    name: str
    label: str
    n: int
    positives: int
    metrics: Mapping[str, Interval]


def judge_members(given: Given, ids: Collection[str], config: Config) -> tuple[Judged, ...]:
    """Compare scores with the target label: the members' of an ensemble, else each score and the highest of all.

    Args:
        given: what the teacher gave.
        ids: the rows to look at; rows without the label are left out, and of each score those that lack it.
        config: target label, bootstrap and seed.

    Returns:
        One for each member or score; nothing where no row of both classes has both.
    """
    target = config.label_set.target
    known = [
        position
        for position, row in enumerate(given.examples)
        if row.id in ids and target in row.labels and row.teacher
    ]
    rows = [given.examples[position] for position in known]
    if given.members:
        column = config.labels.index(target)
        found = [_judge(one.name, rows, one.probs[known, column], config) for one in given.members]
        return tuple(one for one in found if one)
    columns = {name: [(row, row.teacher[name]) for row in rows if name in row.teacher] for name in given.targets}
    if len(columns) > 1:
        columns["highest of all"] = [(row, max(row.teacher.values())) for row in rows]
    scored = [
        _judge(name, [row for row, _ in pairs], np.array([score for _, score in pairs]), config)
        for name, pairs in columns.items()
    ]
    return tuple(one for one in scored if one)


def _judge(name: str, rows: Sequence[Example], probs: FloatArray, config: Config) -> Judged | None:
    """Judge scores of rows; None where these are not of both classes."""
    if len({row.labels[config.label_set.target] for row in rows}) < 2:
        return None
    label = config.label_set.target
    main = evaluate(rows, probs, label, _UNUSED_THRESHOLD, "none", config.evaluate, config.seed).main
    return Judged(name, label, main.n, main.positives, {metric: main.metrics[metric] for metric in _METRICS})
