"""What the figures of a study show: metrics with intervals, before and after, panel beside panel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from adaptox.evaluate.values import Interval
from adaptox.report.phrases import METRIC_WORDS
from adaptox.report.study.figures_curves import draw_curves, draw_learning
from adaptox.report.study.figures_scores import draw_scores
from adaptox.report.study.runs import (
    UNDEFINED,
    drawn_name,
    looks,
    measured,
    of_panel,
    seed_values,
    slugs,
)
from adaptox.report.study.values import StudyRun, StudyStory
from adaptox.report.theme import BASE, INK, RUNS, Drawing, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BARS = ("precision", "recall", "f1", "auprc")
_ACROSS = ("auprc", "f1")
_MARKS = ("o", "s", "^", "v")


def panel_figures(story: StudyStory, panel: str) -> Mapping[str, Drawing]:
    """Draw the figures of one panel: kind → figure; those without data are left out.

    Raises:
        MissingExtraError: matplotlib or scikit-learn is not installed.
    """
    runs, ending = of_panel(story, panel), slugs(story)[panel]
    of = f", {panel}" if ending else ""
    if not runs:
        return {}
    made = {
        "metrics": _metrics(story, runs, ending, of),
        "repair": _repair(story, runs, panel, ending, of),
        "curves": draw_curves(runs, looks(story), ending, of),
        "scores": draw_scores(runs, ending, of),
        "learning": draw_learning(runs, looks(story), ending, of),
    }
    return {kind: drawing for kind, drawing in made.items() if drawing is not None}


def leak_figure(story: StudyStory) -> Drawing | None:
    """Draw the same runs in every panel; None where no run stands in two."""
    panels = [panel for panel in story.panels if of_panel(story, panel)]
    by_name: dict[str, dict[str, StudyRun]] = {}
    for run in story.runs:
        by_name.setdefault(run.name, {})[run.panel] = run
    shared = {name: found for name, found in by_name.items() if len(found) > 1}
    if not shared:
        return None
    return draw(
        "panels",
        "The same runs, panel beside panel",
        "A line joins a run's results on the rows of each panel, with their intervals. Where one panel's test rows "
        "have near-copies in its training rows, the distance is what they lend.",
        partial(_panels, panels=panels, by_name=shared),
        (8.4, _height(len(shared))),
    )


def _height(rows: int) -> float:
    return 1.35 + 0.36 * rows


def _metrics(story: StudyStory, runs: Sequence[StudyRun], ending: str, of: str) -> Drawing:
    several = any(len(run.seeds) > 1 for run in runs)
    told = [f"Bars are {'means over the seeds' if several else 'the measured values'}, with their intervals."]
    if several:
        told.append("Small dots are the seeds.")
    if any(run.name in story.paper for run in runs):
        told.append("Diamonds are the paper's values, measured on its own test rows; it gives no AUPRC.")
    return draw(
        f"metrics{ending}",
        f"Figure 1{of}: precision, recall, F1 and AUPRC",
        f"On the full test set, at each run's own threshold. {' '.join(told)}",
        partial(_paint_metrics, story=story, runs=runs),
        (8.4, _height(len(runs))),
    )


def _paint_metrics(figure: Figure, story: StudyStory, runs: Sequence[StudyRun]) -> None:
    found = looks(story)
    for axes, key in zip(figure.subplots(1, len(_BARS), sharey=True), _BARS, strict=True):
        for place, run in enumerate(runs):
            look = found[run.name]
            interval = measured(run, key)
            if math.isfinite(interval.value):
                alpha = 0.85 if look.filled else 0.4
                axes.barh(place, interval.value, height=0.62, color=look.colour, alpha=alpha, linewidth=0)
                _whisker(axes, interval, place, INK)
                _seeds(axes, seed_values(run, key), place)
            _paper(axes, story, run, key, place)
            _told_instead(axes, run, place, math.isfinite(interval.value))
        axes.set_title(METRIC_WORDS[key], fontsize=10, fontweight="bold")
        axes.set_xlim(0, 1.03)
        _ticks(axes)
    _name_rows(figure.axes[0], runs)
    figure.axes[0].tick_params(axis="y", pad=8)  # room for a diamond at 0
    _metrics_legend(figure, story, runs)


def _metrics_legend(figure: Figure, story: StudyStory, runs: Sequence[StudyRun]) -> None:
    axes = figure.axes[0]
    entries = [*axes.plot([], [], color=INK, linewidth=1.3, label="interval")]
    if any(len(run.seeds) > 1 for run in runs):
        entries += axes.plot([], [], "o", color=INK, markersize=2.6, markeredgewidth=0, label="one seed")
    if any(run.name in story.paper for run in runs):
        entries += axes.plot([], [], "D", color="none", markeredgecolor=INK, markersize=5.5, label="the paper")
    figure.legend(handles=entries, loc="outside upper center", ncols=len(entries))


def _whisker(axes: Axes, interval: Interval, place: float, colour: str) -> None:
    if math.isfinite(interval.low) and math.isfinite(interval.high):
        axes.plot(
            [interval.low, interval.high],
            [place, place],
            color=colour,
            linewidth=1.3,
            zorder=3,
            solid_capstyle="butt",
        )


def _seeds(axes: Axes, values: Sequence[float], place: float) -> None:
    if len(values) > 1:
        spots = [place + 0.2] * len(values)
        axes.plot(values, spots, "o", color=INK, markersize=2.6, markeredgewidth=0, zorder=4)


def _paper(axes: Axes, story: StudyStory, run: StudyRun, key: str, place: float) -> None:
    reported = story.paper[run.name].full.get(key, math.nan) if run.name in story.paper else math.nan
    if math.isfinite(reported):
        axes.plot(
            reported, place, "D", color="none", markeredgecolor=INK, markersize=5.5, markeredgewidth=1.2,
            zorder=5, clip_on=False,
        )  # fmt: skip


def _told_instead(axes: Axes, run: StudyRun, place: float, known: bool) -> None:
    """Say in the place of a bar why there is none."""
    if run.state == "failed" or not known:
        text = "failed" if run.state == "failed" else "not defined"
        axes.annotate(text, (0.06, place), fontsize=8, va="center", style="italic", alpha=0.75)


def _ticks(axes: Axes) -> None:
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", ".5", "", "1"])
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def _name_rows(axes: Axes, runs: Sequence[StudyRun]) -> None:
    names = [
        f"{drawn_name(run.name)} ({run.state})" if run.state == "collapsed" else drawn_name(run.name)
        for run in runs
    ]
    axes.set_yticks(range(len(runs)), names)
    axes.set_ylim(len(runs) - 0.5, -0.5)


def _repair(story: StudyStory, runs: Sequence[StudyRun], panel: str, ending: str, of: str) -> Drawing | None:
    before = {run.name: story.before[panel, run.name] for run in runs if (panel, run.name) in story.before}
    if not before:
        return None
    values = {name: summary.get("f1", UNDEFINED) for name, summary in before.items()}
    diamonds = " Diamonds are the paper's values." if any(run.name in story.paper for run in runs) else ""
    return draw(
        f"repair{ending}",
        f"Collapse and repair{of}: F1 before and after",
        f"F1 on the full test set at each run's own threshold, with intervals; before is {story.before_title}, "
        f"after is this study.{diamonds}",
        partial(_paint_repair, story=story, runs=runs, before=values),
        (8.4, _height(len(runs))),
    )


def _paint_repair(
    figure: Figure, story: StudyStory, runs: Sequence[StudyRun], before: Mapping[str, Interval]
) -> None:
    axes = figure.subplots()
    for place, run in enumerate(runs):
        old, new = before.get(run.name, UNDEFINED), measured(run, "f1")
        _arrow(axes, old, new, place)
        for interval, offset, colour in ((old, -0.16, BASE), (new, 0.16, RUNS[0])):
            _mark(axes, interval, place + offset, colour, "o")
        _paper(axes, story, run, "f1", place)
        _told_instead(axes, run, place + 0.16, math.isfinite(new.value))
    # Marks off the plot give the legend its entries even where no run has the value.
    for colour, words in ((BASE, f"before: {drawn_name(story.before_title)}"), (RUNS[0], "after: this study")):
        axes.plot([], [], "o-", color=colour, markersize=6, linewidth=1.3, label=words)
    if any(run.name in story.paper for run in runs):
        axes.plot([], [], "D", color="none", markeredgecolor=INK, markersize=5.5, label="the paper")
    axes.set(xlabel="F1", xlim=(-0.02, 1))
    _ticks(axes)
    _name_rows(axes, runs)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)


def _collapsed(axes: Axes, run: StudyRun, interval: Interval, place: float) -> None:
    if run.state == "collapsed":
        right = interval.high if math.isfinite(interval.high) else interval.value
        # Beside the interval, on the side that has room.
        at, side = (right + 0.03, "left") if right < 0.6 else (2 * interval.value - right - 0.03, "right")
        axes.text(at, place, "collapsed", ha=side, fontsize=8, va="center", style="italic", alpha=0.75)


def _arrow(axes: Axes, old: Interval, new: Interval, place: float) -> None:
    if math.isfinite(old.value) and math.isfinite(new.value):
        axes.annotate(
            "",
            (new.value, place + 0.16),
            (old.value, place - 0.16),
            arrowprops={"arrowstyle": "-", "color": INK, "alpha": 0.35, "linewidth": 1},
        )


def _mark(axes: Axes, interval: Interval, place: float, colour: str, marker: str) -> None:
    if math.isfinite(interval.value):
        _whisker(axes, interval, place, colour)
        axes.plot(interval.value, place, marker, color=colour, markersize=6, zorder=4, clip_on=False)


def _panels(figure: Figure, panels: Sequence[str], by_name: Mapping[str, Mapping[str, StudyRun]]) -> None:
    for axes, key in zip(figure.subplots(1, len(_ACROSS), sharey=True), _ACROSS, strict=True):
        for place, found in enumerate(by_name.values()):
            _across(axes, key, place, panels, found)
        axes.set_title(METRIC_WORDS[key], fontsize=10, fontweight="bold")
        axes.set_xlim(-0.02, 1.03)
        _ticks(axes)
    first = figure.axes[0]
    for number, panel in enumerate(panels):
        first.plot(
            [], [], f"{_MARKS[number % len(_MARKS)]}-", color=RUNS[number % len(RUNS)], markersize=6,
            linewidth=1.3, label=drawn_name(panel),
        )  # fmt: skip
    first.set_yticks(range(len(by_name)), [drawn_name(name) for name in by_name])
    first.set_ylim(len(by_name) - 0.5, -0.5)
    handles, labels = first.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(panels))


def _across(axes: Axes, key: str, place: int, panels: Sequence[str], found: Mapping[str, StudyRun]) -> None:
    spots = []
    for number, panel in enumerate(panels):
        if panel not in found:
            continue
        run, interval = found[panel], measured(found[panel], key)
        at = place + 0.3 * (number / max(len(panels) - 1, 1) - 0.5)
        _mark(axes, interval, at, RUNS[number % len(RUNS)], _MARKS[number % len(_MARKS)])
        _told_instead(axes, run, at, math.isfinite(interval.value))
        if math.isfinite(interval.value):
            spots.append((interval.value, at))
            _collapsed(axes, run, interval, at)
    axes.plot([x for x, _ in spots], [y for _, y in spots], color=INK, alpha=0.35, linewidth=1, zorder=1)
