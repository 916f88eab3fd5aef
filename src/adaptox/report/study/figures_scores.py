"""The densities of the scores of many runs, one small plot each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from adaptox.records import FloatArray
from adaptox.report.study.runs import drawn_name
from adaptox.report.study.values import StudyRun
from adaptox.report.theme import INK, NEGATIVE, POSITIVE, Drawing, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 4
_BINS = 40
_SMALLEST = 1e-4
_HALF = 0.5
_TICKS = ((0.001, ".001"), (0.03, ".03"), (0.5, ".5"), (0.97, ".97"), (0.999, ".999"))


def draw_scores(runs: Sequence[StudyRun], ending: str, of: str) -> Drawing | None:
    """Draw the scores of each run's first seed, by class; None where no run came to a model.

    Args:
        runs: of one panel.
        ending: of the figure's name.
        of: of its title.
    """
    if not any(run.evaluations for run in runs):
        return None
    rows = math.ceil(len(runs) / _COLUMNS)
    return draw(
        f"scores{ending}",
        f"Figure 2{of}: how far the scores keep the classes apart",
        "Sigmoid outputs of each class on the full test set, on the log-odds scale, each class scaled to its own "
        "peak. The dashed line is .5, the solid one the learned threshold; what lies right of a line is flagged at "
        "it. First seed of each run.",
        partial(_paint, runs=runs),
        (8.4, 0.7 + 1.75 * rows),
    )


def _paint(figure: Figure, runs: Sequence[StudyRun]) -> None:
    columns = min(_COLUMNS, len(runs))
    grid = figure.subplots(math.ceil(len(runs) / columns), columns, sharex=True, squeeze=False)
    edges = np.linspace(*_range(runs), _BINS + 1)
    for axes, run in zip(grid.flat, runs, strict=False):
        state = "" if run.state == "done" else f"\n({run.state})"
        axes.set_title(f"{drawn_name(run.name)}{state}", fontsize=9, loc="left")
        if run.evaluations:
            _densities(axes, run, edges)
        else:
            axes.annotate(
                "no scores", (0.5, 0.5), xycoords="axes fraction", ha="center", style="italic", alpha=0.75
            )
        _finish(axes, edges)
    for axes in grid.flat[len(runs) :]:
        axes.set_visible(False)
    _legend(figure)
    figure.supxlabel("score (log-odds scale)", fontsize=10)


def _range(runs: Sequence[StudyRun]) -> tuple[float, float]:
    ends = [_logit(run.evaluations[0].rows.probs) for run in runs if run.evaluations]
    ends += [_logit(np.array([_HALF, *(found.threshold for found in run.learned[:1])])) for run in runs]
    return min(float(part.min()) for part in ends) - 0.3, max(float(part.max()) for part in ends) + 0.3


def _logit(probs: FloatArray) -> FloatArray:
    clipped = np.clip(probs, _SMALLEST, 1 - _SMALLEST)
    return np.log(clipped) - np.log1p(-clipped)


def _densities(axes: Axes, run: StudyRun, edges: FloatArray) -> None:
    rows = run.evaluations[0].rows
    logits = _logit(rows.probs)
    for value, colour in ((0, NEGATIVE), (1, POSITIVE)):
        counts = np.histogram(logits[rows.truth == value], edges)[0]
        if counts.any():
            axes.stairs(counts / counts.max(), edges, fill=True, color=colour, alpha=0.28)
            axes.stairs(counts / counts.max(), edges, color=colour, linewidth=1.2)
    axes.axvline(0, color=INK, linewidth=1, linestyle=(0, (3, 2)))
    for learned in run.learned[:1]:
        axes.axvline(float(_logit(np.array([learned.threshold]))[0]), color=INK, linewidth=1.3)


def _finish(axes: Axes, edges: FloatArray) -> None:
    shown = [
        (math.log(at / (1 - at)), words) for at, words in _TICKS if edges[0] < math.log(at / (1 - at)) < edges[-1]
    ]
    axes.set_xticks([at for at, _ in shown], [words for _, words in shown])
    axes.tick_params(axis="x", labelsize=8)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1.08))
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)


def _legend(figure: Figure) -> None:
    axes = figure.axes[0]
    entries = [
        *axes.plot([], [], color=NEGATIVE, linewidth=5, alpha=0.5, label="negative"),
        *axes.plot([], [], color=POSITIVE, linewidth=5, alpha=0.5, label="positive"),
        *axes.plot([], [], color=INK, linewidth=1, linestyle=(0, (3, 2)), label="at .5"),
        *axes.plot([], [], color=INK, linewidth=1.3, label="learned threshold"),
    ]
    figure.legend(handles=entries, loc="outside upper center", ncols=4)
