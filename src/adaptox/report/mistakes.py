"""The worst mistakes of a model: where it was most sure, and wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from adaptox.evaluate.values import Evaluation

# A longer text is cut in the report: twenty of this length still leave the page small.
MAX_CHARS = 4000


@dataclass(frozen=True, slots=True)
class Mistake:
    """One row that was decided wrongly.

    Attributes:
        id: the example's id.
        score: calibrated probability.
        slices: the slices it belongs to, the main one left out.
        text: what was said, None where the text was not kept.
        omitted: characters cut from the end of the text.
    """

    id: str
    score: float
    slices: tuple[str, ...]
    text: str | None
    omitted: int


@dataclass(frozen=True, slots=True)
class Mistakes:
    """False alarms by falling score, misses by rising score; and how many there are in all."""

    false_alarms: tuple[Mistake, ...]
    misses: tuple[Mistake, ...]
    all_false_alarms: int
    all_misses: int


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How many rows were decided in which way."""

    found: int
    missed: int
    false_alarms: int
    passed: int


def outcomes(evaluation: Evaluation) -> Outcomes:
    """Count the rows by truth and decision."""
    flagged = evaluation.rows.probs >= evaluation.threshold
    truth = evaluation.rows.truth == 1
    return Outcomes(
        found=int((flagged & truth).sum()),
        missed=int((~flagged & truth).sum()),
        false_alarms=int((flagged & ~truth).sum()),
        passed=int((~flagged & ~truth).sum()),
    )


def worst_mistakes(evaluation: Evaluation, texts: Mapping[str, str], each: int = 10) -> Mistakes:
    """Choose the most confident false alarms and the most confident misses.

    Args:
        evaluation: with the rows behind it.
        texts: example id → rendered text; an id may be absent.
        each: how many of either kind at most. Equal scores go by id.
    """
    rows = evaluation.rows
    flagged = rows.probs >= evaluation.threshold
    alarms = np.flatnonzero(flagged & (rows.truth == 0)).tolist()
    misses = np.flatnonzero(~flagged & (rows.truth == 1)).tolist()
    alarms.sort(key=lambda place: (-rows.probs[place], rows.ids[place]))
    misses.sort(key=lambda place: (rows.probs[place], rows.ids[place]))
    return Mistakes(
        false_alarms=tuple(_mistake(evaluation, place, texts) for place in alarms[:each]),
        misses=tuple(_mistake(evaluation, place, texts) for place in misses[:each]),
        all_false_alarms=len(alarms),
        all_misses=len(misses),
    )


def _mistake(evaluation: Evaluation, place: int, texts: Mapping[str, str]) -> Mistake:
    rows = evaluation.rows
    text = texts.get(rows.ids[place])
    others = list(evaluation.slices)[1:]
    return Mistake(
        id=rows.ids[place],
        score=float(rows.probs[place]),
        slices=tuple(name for name in others if name in rows.slices and rows.slices[name][place]),
        text=text if text is None else text[:MAX_CHARS],
        omitted=max(0, len(text or "") - MAX_CHARS),
    )
