"""Curves of many runs: a small plot for runs that differ in one axis, the others in grey behind them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from adaptox.evaluate import precision_recall
from adaptox.evaluate.values import Evaluation
from adaptox.records import FloatArray
from adaptox.report.phrases import number
from adaptox.report.study.runs import Look, drawn_name, mean, measured
from adaptox.report.study.values import StudyRun
from adaptox.report.theme import BASE, Drawing, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Steps of a curve that a reader can still see; the thousands of a test set would make the page heavy.
_POINTS = 150
_COLUMNS = 2
_TITLE_CHARS = 52

Paint = Callable[["Axes", StudyRun, Mapping[str, Any], str], None]


def draw_curves(runs: Sequence[StudyRun], found: Mapping[str, Look], ending: str, of: str) -> Drawing | None:
    """Draw precision against recall, first seed; None where no run has both classes.

    Args:
        runs: of one panel.
        found: how each is drawn.
        ending: of the figure's name.
        of: of its title.
    """
    drawn = [run for run in runs if run.evaluations and _both_classes(run.evaluations[0])]
    if not drawn:
        return None
    return draw(
        f"curves{ending}",
        f"Precision and recall at every threshold{of}",
        "Further up and to the right is better. Dots are the runs' own thresholds; beside the names stands AUPRC. "
        "Grey behind each plot are all other runs. First seed of each run.",
        partial(
            _facets, runs=runs, drawn=drawn, looks=found, paint=_precision_recall, finish=_finish_precision_recall
        ),
        _size(runs, found),
    )


def draw_learning(runs: Sequence[StudyRun], found: Mapping[str, Look], ending: str, of: str) -> Drawing | None:
    """Draw AUPRC on validation over the training; None where no run has a log of it.

    Args:
        runs: of one panel.
        found: how each is drawn.
        ending: of the figure's name.
        of: of its title.
    """
    drawn = [run for run in runs if any(_evaluated(history, "step") for history in run.histories)]
    if not drawn:
        return None
    axis = "epoch" if all(_has_epochs(run) for run in drawn) else "step"
    return draw(
        f"learning{ending}",
        f"Learning curves{of}",
        "AUPRC on validation after each evaluation, one line a seed; the dot is the step whose weights were kept. "
        "Beside the names stands its value, the mean over the seeds. Grey behind each plot are all other runs.",
        partial(
            _facets,
            runs=runs,
            drawn=drawn,
            looks=found,
            paint=partial(_learning, axis=axis),
            finish=partial(_finish_learning, axis=axis),
        ),
        _size(runs, found),
    )


def _size(runs: Sequence[StudyRun], found: Mapping[str, Look]) -> tuple[float, float]:
    facets = len({found[run.name].facet for run in runs})
    return (8.4, 0.5 + 2.75 * math.ceil(facets / _COLUMNS)) if facets > 1 else (6.4, 4.2)


def _facets(
    figure: Figure,
    runs: Sequence[StudyRun],
    drawn: Sequence[StudyRun],
    looks: Mapping[str, Look],
    paint: Paint,
    finish: Callable[[Axes], None],
) -> None:
    facets = tuple(dict.fromkeys(looks[run.name].facet for run in runs))
    columns = min(_COLUMNS, len(facets))
    with_data = {run.name for run in drawn}
    grid = figure.subplots(math.ceil(len(facets) / columns), columns, sharex=True, sharey=True, squeeze=False)
    for axes, facet in zip(grid.flat, facets, strict=False):
        members = [run for run in runs if looks[run.name].facet == facet]
        for run in drawn:
            if looks[run.name].facet != facet:
                paint(axes, run, {"color": BASE, "linewidth": 0.7, "alpha": 0.45, "zorder": 1}, "")
        for run in members:
            look = looks[run.name]
            if run.name in with_data:
                paint(axes, run, {"color": look.colour, "linestyle": look.line, "zorder": 3}, _named(run))
            else:
                words = f"{drawn_name(run.name)}: {'failed' if run.state == 'failed' else 'nothing to draw'}"
                axes.plot([], [], color=look.colour, linestyle=look.line, label=words)
        if facet:
            axes.set_title(drawn_name(facet, _TITLE_CHARS), loc="left", fontsize=10, fontweight="bold")
        finish(axes)
        axes.label_outer()
    for axes in grid.flat[len(facets) :]:
        axes.set_visible(False)


def _named(run: StudyRun) -> str:
    return f"{drawn_name(run.name)} (collapsed)" if run.state == "collapsed" else drawn_name(run.name)


def _both_classes(evaluation: Evaluation) -> bool:
    return 0 < int(evaluation.rows.truth.sum()) < len(evaluation.rows.truth)


def _precision_recall(axes: Axes, run: StudyRun, style: Mapping[str, Any], label: str) -> None:
    evaluation = run.evaluations[0]
    recall, precision = _thinned(evaluation)
    words = f"{label}  {number(measured(run, 'auprc').value)}" if label else ""
    axes.step(recall, precision, where="post", label=words, **style)
    if label:
        main = evaluation.main.metrics
        at = [main[key].value for key in ("recall", "precision") if key in main]
        if len(at) == 2 and all(map(math.isfinite, at)):
            axes.plot(*at, "o", color=style["color"], markersize=5.5, zorder=4, clip_on=False)


def _thinned(evaluation: Evaluation) -> tuple[FloatArray, FloatArray]:
    """Give the curve's recall, falling, and the precision there, at fewer points."""
    curve = precision_recall(evaluation)
    # At equal recall the last threshold is the highest, and its precision the best.
    last = np.append(np.flatnonzero(np.diff(curve.recall)), len(curve.recall) - 1)
    kept = last[np.unique(np.linspace(0, len(last) - 1, _POINTS).round().astype(np.int64))]
    return curve.recall[kept], curve.precision[kept]


def _finish_precision_recall(axes: Axes) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.legend(loc="lower left", handlelength=2.6)


def _evaluated(history: Sequence[Mapping[str, float]], axis: str) -> list[tuple[float, float]]:
    return [
        (entry[axis], entry["eval_auprc"])
        for entry in history
        if "eval_auprc" in entry and axis in entry and math.isfinite(entry["eval_auprc"])
    ]


def _has_epochs(run: StudyRun) -> bool:
    return all("epoch" in entry for history in run.histories for entry in history if "eval_auprc" in entry)


def _learning(axes: Axes, run: StudyRun, style: Mapping[str, Any], label: str, axis: str) -> None:
    for seed, history in enumerate(run.histories):
        points = _evaluated(history, axis)
        words = f"{label}  {number(mean(fact.best_auprc for fact in run.training))}" if label and seed == 0 else ""
        axes.plot(
            [at for at, _ in points], [auprc for _, auprc in points], marker=".", markersize=3, label=words, **style
        )
        if label and seed < len(run.training):
            kept = [
                (entry[axis], entry["eval_auprc"])
                for entry in history
                if "eval_auprc" in entry and entry.get("step") == run.training[seed].best_step and axis in entry
            ]
            for spot in kept[:1]:
                axes.plot(*spot, "o", color=style["color"], markersize=5, zorder=4)


def _finish_learning(axes: Axes, axis: str) -> None:
    axes.set(ylim=(0, 1.02), xlabel=axis, ylabel="validation AUPRC")
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", integer=True)
    axes.legend(loc="lower right", handlelength=2.6)
