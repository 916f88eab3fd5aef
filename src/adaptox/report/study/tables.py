"""How good the runs are: the tables of metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from adaptox.report import phrases
from adaptox.report.phrases import METRIC_WORDS
from adaptox.report.study.cells import Cell, Grid, Head, interval, named, value, words
from adaptox.report.study.runs import (
    SMALL,
    main_slice,
    measured,
    of_panel,
    origins,
    slugs,
    thresholds,
)
from adaptox.report.study.tables_costs import configurations, training
from adaptox.report.study.tables_pairs import agreement, error_shares, pairs
from adaptox.report.study.values import StudyRun, StudyStory

_IN_THE_PAPER = ("accuracy", "precision", "recall", "f1")
_BEYOND = ("auprc", "auroc", "recall_at_fpr_01", "brier", "ece")
_BY_SLICE = ("auprc", "f1", "recall")
_PAPER_DIGITS = 4
_RUN = Head("run", numeric=False)


def shared_grids(story: StudyStory) -> Mapping[str, Grid]:
    """Lay out the tables that hold for all panels: kind → table."""
    made = {"configurations": configurations(story)}
    if story.agreement:
        made["agreement"] = agreement(story.agreement)
    return _with_teacher(made, " ".join(dict.fromkeys(story.teachers.values())))


def panel_grids(story: StudyStory, panel: str) -> Mapping[str, Grid]:
    """Lay out the tables of one panel: kind → table; those without content are left out."""
    runs, ending = of_panel(story, panel), slugs(story)[panel]
    made = {
        "training": training(story, runs),
        "paper": _as_in_the_paper(story, runs),
        "ranking": _beyond_the_paper(runs),
        "thresholds": _learned_thresholds(runs),
    }
    optional = {
        "slices": _other_slices(runs),
        "pairs": pairs([pair for pair in story.pairs if pair.panel == panel], runs),
        "shares": _error_shares(story, panel),
    }
    made |= {kind: grid for kind, grid in optional.items() if grid is not None}
    numbered = _numbered(made, ending, f", {panel}" if ending else "")
    return _with_teacher(numbered, story.teachers.get(panel, ""))


def _numbered(grids: Mapping[str, Grid], ending: str, of: str) -> Mapping[str, Grid]:
    """Number the tables of a panel as they are read, after the one that all panels share."""
    return {
        kind: replace(grid, name=f"table-{number}{ending}", title=f"Table {number}{of}: {grid.title}")
        for number, (kind, grid) in enumerate(grids.items(), 2)
    }


def _with_teacher(grids: Mapping[str, Grid], teacher: str) -> Mapping[str, Grid]:
    """Say above every table whose the teacher is: a reader may see one table alone."""
    return {kind: replace(grid, caption=f"{grid.caption} {teacher}".strip()) for kind, grid in grids.items()}


def _error_shares(story: StudyStory, panel: str) -> Grid | None:
    claim = "The paper says that technical prompts are often flagged by mistake. " if story.paper else ""
    found = [share for share in story.error_shares if share.panel == panel]
    return error_shares(found, of_panel(story, panel), claim)


def _as_in_the_paper(story: StudyStory, runs: Sequence[StudyRun]) -> Grid:
    main = main_slice(runs)
    parts = [(SMALL, "small test set")] if any(SMALL in run.summary for run in runs) else []
    parts.append((main, "full test set"))
    sizes = {name: _size(runs, name) for name, _ in parts}
    told = ["The layout of the paper's Table 3, whose number stands below each of ours."] if story.paper else []
    if len(parts) > 1:
        told.append(f"The small test set is {_described(runs, SMALL)}.")
    return Grid(
        "",
        "metrics at each run's own threshold",
        " ".join(told),
        (_RUN, *(Head(METRIC_WORDS[key], f"{part}{sizes[name]}") for name, part in parts for key in _IN_THE_PAPER)),
        tuple(
            (
                named(run),
                *(
                    interval(measured(run, key, name), _reported(story, run, name == SMALL, key))
                    for name, _ in parts
                    for key in _IN_THE_PAPER
                ),
            )
            for run in runs
        ),
    )


def _reported(story: StudyStory, run: StudyRun, small: bool, key: str) -> str:
    paper = story.paper.get(run.name)
    if paper is None:
        return ""
    found = (paper.small if small else paper.full).get(key, math.nan)
    return f"paper {phrases.number(found, _PAPER_DIGITS)}" if math.isfinite(found) else ""


def _size(runs: Sequence[StudyRun], name: str) -> str:
    """Say how many rows a slice has: `` (n = 5,083, 362 positive)``; nothing where no run has it."""
    for run in runs:
        for evaluation in run.evaluations:
            if name in evaluation.slices:
                found = evaluation.slices[name]
                return f" (n = {phrases.count(found.n)}, {phrases.count(found.positives)} positive)"
    return ""


def _described(runs: Sequence[StudyRun], name: str) -> str:
    for run in runs:
        for evaluation in run.evaluations:
            if name in evaluation.slices:
                return evaluation.slices[name].description
    return "a part of the full one"


def _beyond_the_paper(runs: Sequence[StudyRun]) -> Grid:
    several = any(len(run.seeds) > 1 for run in runs)
    spread = " After ± stands the standard deviation over the seeds." if several else ""
    return Grid(
        "",
        "ranking and calibration",
        "On the full test set. AUPRC, AUROC and recall at 1 % false alarms look at the order of the scores and "
        f"need no threshold; Brier score and calibration error (ECE) are better when lower. Runs are chosen by the "
        f"AUPRC of the validation rows, so that the test rows only measure.{spread}",
        (
            _RUN,
            *(Head(METRIC_WORDS[key]) for key in _BEYOND),
            Head("AUPRC on validation"),
            Head("seeds"),
            Head("threshold"),
            Head("its origin", numeric=False),
        ),
        tuple(
            (
                named(run),
                *(interval(measured(run, key), phrases.spread(run.spread.get(key, math.nan))) for key in _BEYOND),
                value(run.validation_auprc, phrases.number(run.validation_auprc)),
                value(len(run.seeds), phrases.count(len(run.seeds))),
                value(run.evaluations[0].threshold if run.evaluations else math.nan, thresholds(run.evaluations)),
                words(origins(run.evaluations)),
            )
            for run in runs
        ),
    )


def _learned_thresholds(runs: Sequence[StudyRun]) -> Grid:
    return Grid(
        "",
        "F1 at the run's own threshold and at the learned one",
        "On the full test set. The learned threshold is the one with the best expected F1 on validation rows; the "
        "test rows had no say in it. What it gains was lost to the cut, not to the scores.",
        (
            _RUN,
            Head("threshold", "own"),
            Head("F1", "own"),
            Head("threshold", "learned"),
            Head("F1", "learned"),
            Head("precision", "learned"),
            Head("recall", "learned"),
            Head("F1 gained"),
        ),
        tuple(_threshold_row(run) for run in runs),
    )


def _threshold_row(run: StudyRun) -> tuple[Cell, ...]:
    own, learned = measured(run, "f1"), measured(run, "f1", learned=True)
    gained = learned.value - own.value
    first = [found[0].threshold if found else math.nan for found in (run.evaluations, run.learned)]
    return (
        named(run),
        value(first[0], thresholds(run.evaluations)),
        interval(own),
        value(first[1], thresholds(run.learned)),
        interval(learned),
        *(interval(measured(run, key, learned=True)) for key in ("precision", "recall")),
        value(gained, phrases.signed(gained)),
    )


def _other_slices(runs: Sequence[StudyRun]) -> Grid | None:
    main = main_slice(runs)
    names = [
        name for name in dict.fromkeys(name for run in runs for name in run.summary) if name not in (main, SMALL)
    ]
    if not names:
        return None
    told = "; ".join(f"{name}: {_described(runs, name)}" for name in names)
    return Grid(
        "",
        "other slices of the test set",
        f"At each run's own threshold. {told}.",
        (_RUN, *(Head(METRIC_WORDS[key], f"{name}{_size(runs, name)}") for name in names for key in _BY_SLICE)),
        tuple(
            (named(run), *(interval(measured(run, key, name)) for name in names for key in _BY_SLICE))
            for run in runs
        ),
    )
