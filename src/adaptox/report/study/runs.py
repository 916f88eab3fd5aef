"""What tables and figures ask of the runs of a study."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from adaptox.evaluate.values import Evaluation, Interval
from adaptox.report.phrases import DASH, number
from adaptox.report.study.values import StudyRun, StudyStory
from adaptox.report.theme import RUNS

UNDEFINED = Interval(math.nan, math.nan, math.nan)
SMALL = "small"
_ADAPTER = "adapter"
_TARGETS = "targets"
_LINES = ("-", (0, (4, 1.6)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
# Longer names would take the room of what the figures show.
_NAME_CHARS = 26

Line = str | tuple[float, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Look:
    """How a run is drawn, alike in every figure.

    Attributes:
        facet: all axes but the one that `line` tells, such as ``data full · adapter lora``; runs of a facet share a
            small plot.
        colour: of the facet.
        line: tells the runs of a facet apart.
        filled: whether its bars are; likewise.
    """

    facet: str
    colour: str
    line: Line
    filled: bool


def of_panel(story: StudyStory, panel: str) -> tuple[StudyRun, ...]:
    """Give the runs of a panel, in the order of the grid."""
    return tuple(run for run in story.runs if run.panel == panel)


def main_slice(runs: Iterable[StudyRun]) -> str:
    """Name the slice that the results are about; empty where no run has one."""
    for run in runs:
        for name in (*run.summary, *(name for evaluation in run.evaluations for name in evaluation.slices)):
            return name
    return ""


def measured(run: StudyRun, name: str, slice_name: str = "", learned: bool = False) -> Interval:
    """Give a metric over the seeds.

    Args:
        run: any; one that failed gives NaN.
        name: of the metric.
        slice_name: the main one if empty.
        learned: at the learned threshold instead of the run's own.
    """
    summary = run.summary_learned if learned else run.summary
    return summary.get(slice_name or main_slice([run]), {}).get(name, UNDEFINED)


def seed_values(run: StudyRun, name: str) -> tuple[float, ...]:
    """Give a metric of each seed on the main slice, at the run's own threshold."""
    return tuple(evaluation.main.metrics.get(name, UNDEFINED).value for evaluation in run.evaluations)


def thresholds(evaluations: Sequence[Evaluation]) -> str:
    """Write the threshold, or where the seeds differ its range."""
    values = sorted(evaluation.threshold for evaluation in evaluations)
    if not values:
        return DASH
    low, high = number(values[0]), number(values[-1])
    return low if low == high else f"{low}{DASH}{high}"


def origins(evaluations: Sequence[Evaluation]) -> str:
    """Say where the thresholds came from."""
    return ", ".join(dict.fromkeys(evaluation.origin for evaluation in evaluations)) or DASH


def twin(run: StudyRun, runs: Sequence[StudyRun]) -> StudyRun | None:
    """Find the run that differs in its adapter only and trains more parameters."""
    if _ADAPTER not in run.variants or not run.training:
        return None
    rest = {axis: value for axis, value in run.variants.items() if axis != _ADAPTER}
    candidates = (
        other
        for other in runs
        if other.training
        and other.training[0].trainable > run.training[0].trainable
        and {axis: value for axis, value in other.variants.items() if axis != _ADAPTER} == rest
    )
    return max(candidates, key=lambda other: other.training[0].trainable, default=None)


def best(runs: Iterable[StudyRun]) -> StudyRun | None:
    """Give the working run with the highest AUPRC on validation, None where none works; test rows only measure."""
    working = [run for run in runs if run.state == "done" and math.isfinite(run.validation_auprc)]
    return max(working, key=lambda run: run.validation_auprc, default=None)


def mean(values: Iterable[float | None]) -> float:
    """Average what is known; NaN for nothing."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def slugs(story: StudyStory) -> Mapping[str, str]:
    """Give each panel an ending for ids and file names, ``-`` and letters; empty where there is one panel."""
    if len(story.panels) < 2:
        return dict.fromkeys(story.panels, "")
    made: dict[str, str] = {}
    for place, panel in enumerate(story.panels, 1):
        slug = f"-{re.sub(r'[^a-z0-9]+', '-', panel.lower()).strip('-')[:24]}"
        made[panel] = slug if len(slug) > 1 and slug not in made.values() else f"-{place}"
    return made


def looks(story: StudyStory) -> Mapping[str, Look]:
    """Choose how each run is drawn: its colour by all axes but one, its line by that one."""
    axes = [axis for axis, values in story.axes.items() if len(values) > 1]
    by_line = next((axis for axis in reversed(axes) if axis == _TARGETS), axes[-1] if len(axes) > 1 else "")
    by_colour = [axis for axis in axes if axis != by_line]
    facets: dict[tuple[str, ...], int] = {}
    lines: dict[str, int] = {}
    made = {}
    for run in story.runs:
        key = tuple(run.variants.get(axis, "") for axis in by_colour)
        facet = facets.setdefault(key, len(facets))
        line = lines.setdefault(run.variants.get(by_line, ""), len(lines))
        made[run.name] = Look(
            facet=" · ".join(f"{axis} {value}" for axis, value in zip(by_colour, key, strict=True)),
            colour=RUNS[facet % len(RUNS)],
            line=_LINES[line % len(_LINES)],
            filled=line == 0,
        )
    return made


def drawn_name(name: str, chars: int = _NAME_CHARS) -> str:
    """Make a name fit for a figure: short, and without the dollar signs that start a formula.

    Args:
        name: of a run, a panel, a study.
        chars: how long at most.
    """
    short = name if len(name) <= chars else f"{name[: chars - 1]}…"
    return short.replace("$", r"\$")
