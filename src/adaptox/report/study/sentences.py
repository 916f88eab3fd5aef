"""What a study found, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from adaptox.report import phrases
from adaptox.report.study.runs import best, main_slice, measured, of_panel
from adaptox.report.study.values import StudyPair, StudyRun, StudyStory

_GAP = "\N{NO-BREAK SPACE}"


def headline(story: StudyStory) -> str:
    """Say which run ranks validation best, and what it reaches on test, with intervals; a sentence a panel."""
    several = len(story.panels) > 1
    return " ".join(_best_of(panel if several else "", of_panel(story, panel)) for panel in story.panels)


def _best_of(panel: str, runs: tuple[StudyRun, ...]) -> str:
    where = f"In panel {panel}, " if panel else ""
    found = best(runs)
    if found is None:
        return f"{where or 'So far, '}no run came to a model that works."
    auprc, f1 = (
        f"{words} {phrases.with_interval(measured(found, key), 2)}".replace(" ", _GAP)
        for key, words in (("auprc", "AUPRC"), ("f1", "F1"))
    )
    if len(runs) == 1:
        return f"{where}{found.name} reaches {auprc}, {f1}."
    chosen = f"AUPRC{_GAP}{phrases.number(found.validation_auprc, 2)}"
    return f"{where}{found.name} comes first on validation ({chosen}), and reaches {auprc}, {f1} on the test rows."


def rivals(story: StudyStory) -> Iterator[str]:
    """Say which runs the best one cannot be told apart from, where it was compared; a sentence a panel."""
    for panel in story.panels:
        found = best(of_panel(story, panel))
        if found is None:
            continue
        equal = [
            other
            for pair in story.pairs
            if pair.panel == panel and (other := _other(pair, found.name)) and _equal(pair)
        ]
        if equal:
            where = f" in panel {panel}" if len(story.panels) > 1 else ""
            yield f"In AUPRC, {found.name} is not distinguishable from {phrases.listed(equal)}{where}."


def _other(pair: StudyPair, name: str) -> str:
    return {pair.first: pair.second, pair.second: pair.first}.get(name, "")


def _equal(pair: StudyPair) -> bool:
    return any(
        comparison.metric == "auprc" and comparison.verdict == "not distinguishable"
        for comparison in pair.comparisons
    )


def states(story: StudyStory) -> str:
    """Say how many runs collapsed and how many failed, and which."""
    total = len(story.runs)
    if not total:
        return "There was no run."
    collapsed, failed = ([run for run in story.runs if run.state == state] for state in ("collapsed", "failed"))
    runs = "1 run" if total == 1 else f"{phrases.count(total)} runs"
    if not collapsed and not failed:
        return f"Of {runs}, none collapsed and none failed."
    told = [
        f"{phrases.count(len(found))} {verb} ({_placed(story, found)})" if found else f"none {verb}"
        for found, verb in ((collapsed, "collapsed"), (failed, "failed"))
    ]
    return f"Of {runs}, {' and '.join(told)}."


def _placed(story: StudyStory, found: Iterable[StudyRun]) -> str:
    panels: dict[str, list[str]] = {}
    for run in found:
        panels.setdefault(run.name, []).append(run.panel)
    if len(story.panels) < 2:
        return ", ".join(panels)
    return ", ".join(f"{name} in {phrases.listed(where)}" for name, where in panels.items())


def troubles(runs: Iterable[StudyRun]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Give the name, state and notes of the runs that have something to say."""
    for run in runs:
        if run.notes or run.state != "done":
            yield run.name, run.state, run.notes


def rows_sentence(runs: tuple[StudyRun, ...]) -> str:
    """Say how many test rows a panel has; empty where no run came to a model."""
    name = main_slice(runs)
    for run in runs:
        for evaluation in run.evaluations:
            found = evaluation.slices[name]
            things = phrases.subject(evaluation.label)
            return f"Test rows: {phrases.count(found.n)}, of which {phrases.count(found.positives)} are {things}."
    return ""


def sentence(clause: str) -> str:
    """Make a sentence of a clause."""
    text = clause.strip()
    return f"{text[0].upper()}{text[1:]}{'' if text[-1] in '.!?' else '.'}" if text else ""


def confidence(story: StudyStory) -> str:
    """Say what the brackets are."""
    return (
        f"Brackets are {phrases.share(story.confidence)} intervals from {phrases.count(story.resamples)} bootstrap "
        "resamples of whole prompt families, and of seeds where there are several."
    )
