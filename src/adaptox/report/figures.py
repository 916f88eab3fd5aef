"""What the figures of a report show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from adaptox.evaluate import precision_recall
from adaptox.evaluate.values import Evaluation, Interval
from adaptox.records import FloatArray, IntArray
from adaptox.report.phrases import count, metric, number, subject
from adaptox.report.theme import BASE, INK, NEGATIVE, POSITIVE, Drawing, draw
from adaptox.report.values import RunStory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BINS = 10


def draw_all(story: RunStory) -> tuple[Drawing, ...]:
    """Draw every figure that the story has data for.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    evaluation = story.evaluation
    things = subject(evaluation.label)
    drawings = []
    both = 0 < evaluation.rows.truth.sum() < len(evaluation.rows.truth)
    if both:
        drawings.append(
            draw(
                "precision-recall",
                "Precision and recall at every threshold",
                f"Further up and to the right is better. The dot is the chosen threshold "
                f"({number(evaluation.threshold)}) with its intervals; dotted lines join points of equal F1.",
                lambda figure: _precision_recall(figure, evaluation, story.baseline),
            )
        )
    if len(evaluation.rows.truth):
        drawings.append(
            draw(
                "scores",
                "How far the scores keep the classes apart",
                f"Each class's rows by calibrated score, as shares of that class. Right of the line a row is "
                f"flagged: {things} left of it are missed, other rows right of it are false alarms.",
                lambda figure: _score_densities(figure, evaluation),
            )
        )
        drawings.append(
            draw(
                "reliability",
                "Whether a score of 0.7 means 70 %",
                "On the diagonal, a score is the share of such rows that are positive. Bars are 95 % Wilson "
                "intervals; below stands how many rows have such a score (logarithmic).",
                lambda figure: _reliability(figure, evaluation.rows.probs, evaluation.rows.truth),
            )
        )
    curves = _curves(story.history)
    if curves:
        drawings.append(
            draw(
                "learning",
                "Learning curves",
                _kept(story, curves),
                lambda figure: _learning(figure, curves, story.training.best_step),
            )
        )
    return tuple(drawings)


def _precision_recall(figure: Figure, evaluation: Evaluation, baseline: Evaluation | None) -> None:
    axes = figure.subplots()
    grid = np.linspace(0.01, 1, 200)
    for f1 in (0.2, 0.4, 0.6, 0.8):
        recall = grid[grid > f1 / (2 - f1) - 1e-9]
        axes.plot(recall, f1 * recall / (2 * recall - f1), ":", color=INK, alpha=0.35, linewidth=0.8)
        axes.annotate(
            f"F1 .{f1 * 10:.0f}",
            (1, f1 / (2 - f1)),
            (3, 0),
            textcoords="offset points",
            fontsize=8,
            va="center",
            alpha=0.7,
        )
    share = evaluation.main.positives / max(evaluation.main.n, 1)
    axes.axhline(share, color=INK, linestyle="--", linewidth=0.8, alpha=0.6)
    now = "" if baseline is None else "adapted, "
    _step_curve(axes, evaluation, POSITIVE, f"{now}AUPRC {number(metric(evaluation.main, 'auprc').value)}")
    if baseline is not None:
        _step_curve(
            axes, baseline, BASE, f"before adaptation, AUPRC {number(metric(baseline.main, 'auprc').value)}"
        )
    _chosen_point(axes, metric(evaluation.main, "recall"), metric(evaluation.main, "precision"))
    axes.set(xlabel="recall: positives that are found", ylabel="precision: alarms that are right")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)


def _step_curve(axes: Axes, evaluation: Evaluation, colour: str, name: str) -> None:
    curve = precision_recall(evaluation)
    axes.step(curve.recall, curve.precision, where="post", color=colour, label=name)


def _chosen_point(axes: Axes, recall: Interval, precision: Interval) -> None:
    axes.plot([recall.low, recall.high], [precision.value] * 2, color=INK, linewidth=1.1)
    axes.plot([recall.value] * 2, [precision.low, precision.high], color=INK, linewidth=1.1)
    axes.plot([recall.value], [precision.value], "o", color=INK, markersize=6, label="chosen threshold")


def _score_densities(figure: Figure, evaluation: Evaluation) -> None:
    probs, truth = evaluation.rows.probs, evaluation.rows.truth
    logits = _logit(np.clip(probs, 1e-4, 1 - 1e-4))
    line = float(_logit(np.clip(np.array([evaluation.threshold]), 1e-4, 1 - 1e-4))[0])
    low, high = min(float(logits.min()), line) - 0.4, max(float(logits.max()), line) + 0.4
    edges = np.linspace(low, high, 41)
    axes = figure.subplots()
    for value, colour, name in ((0, NEGATIVE, "negative"), (1, POSITIVE, "positive")):
        members = logits[truth == value]
        if not len(members):
            continue
        heights = 100 * np.histogram(members, edges)[0] / len(members)
        axes.stairs(heights, edges, fill=True, color=colour, alpha=0.25)
        axes.stairs(heights, edges, color=colour, linewidth=1.6, label=f"{name} (n = {count(len(members))})")
    axes.axvline(line, color=INK, linewidth=1.2)
    axes.annotate(
        f"threshold {number(evaluation.threshold)}",
        (line, 1),
        (4, -2),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        va="top",
        fontsize=9,
    )
    ticks = [tick for tick in (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999) if low < np.log(tick / (1 - tick)) < high]
    axes.set_xticks(
        [float(np.log(tick / (1 - tick))) for tick in ticks], [number(tick).rstrip("0") for tick in ticks]
    )
    axes.set(xlabel="calibrated score (log-odds scale)", ylabel="% of the class", xlim=(low, high))
    axes.margins(y=0.18)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)


def _logit(probs: FloatArray) -> FloatArray:
    return np.log(probs) - np.log1p(-probs)


def _reliability(figure: Figure, probs: FloatArray, truth: IntArray) -> None:
    # Bins of equal width: of equal mass, as the calibration error has them, nearly all would lie at a score of 0.
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    edges = np.linspace(0, 1, _BINS + 1)
    bins = np.clip(np.digitize(probs, edges) - 1, 0, _BINS - 1)
    sizes = np.bincount(bins, minlength=_BINS)
    filled = sizes > 0
    n = sizes[filled]
    mean = np.bincount(bins, probs, _BINS)[filled] / n
    share = np.bincount(bins, truth, _BINS)[filled] / n
    middle = (share + 1.92 / n) / (1 + 3.84 / n)
    half = 1.96 / (1 + 3.84 / n) * np.sqrt(share * (1 - share) / n + 0.96 / n**2)
    upper.plot([0, 1], [0, 1], "--", color=INK, linewidth=0.9, alpha=0.6)
    upper.vlines(mean, middle - half, middle + half, color=POSITIVE, linewidth=1.4)
    upper.plot(mean, share, "o-", color=POSITIVE, markersize=5, linewidth=1.2)
    upper.set(ylabel="share that is positive", xlim=(0, 1), ylim=(-0.02, 1.02))
    lower.bar(edges[:-1] + 0.05, sizes, width=0.08, color=BASE, alpha=0.6)
    lower.set_yscale("log")
    lower.set(xlabel="calibrated score", ylabel="rows", ylim=(0.7, 3 * sizes.max()))


def _curves(history: tuple[Mapping[str, float], ...]) -> dict[str, tuple[list[float], list[float]]]:
    curves = {}
    for name in ("loss", "eval_loss", "eval_auprc"):
        points = [(entry["step"], entry[name]) for entry in history if name in entry and "step" in entry]
        if points:
            curves[name] = ([step for step, _ in points], [value for _, value in points])
    return curves


def _kept(story: RunStory, curves: Mapping[str, tuple[list[float], list[float]]]) -> str:
    settings = story.provenance.config.get("train")
    train: Mapping[str, Any] = settings if isinstance(settings, Mapping) else {}
    watched = "eval_auprc" in curves
    average, soup = train.get("average", 1), train.get("soup", 1)
    if average > 1:
        there = len(curves["eval_auprc"][0]) if watched else average
        kept = f"The mean weights of {min(average, there)} checkpoints were kept"
    else:
        kept = f"The weights of step {count(story.training.best_step)} were kept"
    if not watched:
        by = "the last, since no row was left to choose by"
    else:
        by = "the best AUPRC on validation" if train.get("keep_best", True) else "the last, as the settings ask"
    several = f" This is the first of {soup} trainings, whose weights were averaged." if soup > 1 else ""
    return f"{kept}: {by}.{several}"


def _learning(figure: Figure, curves: Mapping[str, tuple[list[float], list[float]]], best_step: int) -> None:
    if set(curves) == {"loss"}:
        axes = figure.subplots()
        axes.plot(*curves["loss"], color=NEGATIVE)
        axes.set(xlabel="step", ylabel="training loss")
        axes.set_ylim(bottom=0)
        return
    upper, lower = figure.subplots(2, 1, sharex=True)
    for name, colour, words, marker in (
        ("loss", NEGATIVE, "training", ""),
        ("eval_loss", POSITIVE, "validation", "o"),
    ):
        if name in curves:
            upper.plot(*curves[name], marker=marker, markersize=4, color=colour, label=words)
    if "eval_auprc" in curves:
        lower.plot(*curves["eval_auprc"], marker="o", markersize=4, color=POSITIVE)
    for axes in (upper, lower):
        axes.axvline(best_step, color=INK, linewidth=1, linestyle="--", alpha=0.6)
    upper.set(ylabel="loss")
    upper.set_ylim(bottom=0)
    if {"loss", "eval_loss"} & set(curves):
        upper.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    lower.set(xlabel="step", ylabel="validation AUPRC")
