"""Results → the story that a study's report tells."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptox.adapt import read_and_prepare
from adaptox.errors import DataError
from adaptox.evaluate import Interval, commit, hardware
from adaptox.records import Progress
from adaptox.report.study.values import (
    ErrorShare,
    StudyMistake,
    StudyPair,
    StudyStory,
    Summary,
    TeacherAgreement,
)
from adaptox.study.grid import Planned, StudyConfig
from adaptox.study.paper import PAPER
from adaptox.study.results import Result
from adaptox.text import render


@dataclass(frozen=True, slots=True)
class Panel:
    """The data of a panel, as its first run has it.

    Attributes:
        texts: example id → rendered text, of the test rows.
        twins: ids of the test rows with a near-copy in what any of its runs learns from.
        data_sha256: of the prepared rows.
        notes: gaps that a reader of the numbers must know, and what a random split leaks to each way to sample.
    """

    texts: Mapping[str, str]
    twins: frozenset[str]
    data_sha256: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Before:
    """A finished study that this one is set beside."""

    title: str
    runs: Mapping[tuple[str, str], Summary]


def read_panels(runs: Sequence[Planned], progress: Progress) -> dict[str, Panel]:
    """Read and prepare the data of every panel, before a run is made.

    Raises:
        InputError: a source cannot be read.
    """
    panels = dict.fromkeys(run.panel for run in runs)
    return {panel: _panel([run for run in runs if run.panel == panel], progress) for panel in panels}


def tell(
    study: StudyConfig,
    results: Sequence[Result],
    panels: Mapping[str, Panel],
    *,
    pairs: Sequence[StudyPair],
    mistakes: Sequence[StudyMistake],
    shares: Sequence[ErrorShare],
    notes: Sequence[str],
    command: str,
) -> StudyStory:
    """Put the story of a study together."""
    before = read_before(study)
    evaluation = next(seed.own for result in results for seed in result.seeds)
    names = {result.run.name for result in results}
    return StudyStory(
        title=study.name,
        question=study.question,
        panels=tuple(panels),
        panel_words=study.panel_words,
        axes={
            axis: tuple(dict.fromkeys(result.run.variants[axis] for result in results))
            for axis in study.axes
            if axis != study.panel
        },
        runs=tuple(result.run for result in results),
        pairs=tuple(pairs),
        mistakes=tuple(mistakes),
        error_shares=tuple(shares),
        paper={name: paper for name, paper in PAPER.items() if name in names},
        before=before.runs,
        before_title=before.title,
        teachers=tuple(dict.fromkeys(name for result in results if (name := _teacher(result.run.config)))),
        agreement=_agreement(results),
        notes=tuple(dict.fromkeys((*notes, *(note for panel in panels.values() for note in panel.notes)))),
        hardware=hardware(),
        commit=commit(),
        data_sha256={name: panel.data_sha256 for name, panel in panels.items()},
        command=command,
        resamples=evaluation.resamples,
        confidence=evaluation.confidence,
    )


def read_before(study: StudyConfig) -> Before:
    """Read the study that this one is set beside: what its runs came to on their main slice.

    Raises:
        DataError: no such file, or not one that a study wrote.
    """
    if not study.beside:
        return Before("", {})
    path = Path(study.beside)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        runs = {(run["panel"], run["name"]): _summary(run) for run in data["runs"] if run["slices"]}
        return Before(str(data["title"]), runs)
    except FileNotFoundError as error:
        raise DataError(f"beside: no file {path}: run that study first, or leave `beside` out") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"beside: {path} is not the study.json of a study ({error}): run that study again"
        ) from error


def _summary(run: Mapping[str, Any]) -> Summary:
    main = next(iter(run["slices"].values()))
    return {
        name: Interval(*(math.nan if entry[end] is None else entry[end] for end in ("value", "low", "high")))
        for name, entry in main.items()
        if isinstance(entry, dict)
    }


def _panel(runs: Sequence[Planned], progress: Progress) -> Panel:
    first = runs[0]
    data = read_and_prepare(first.config, progress)
    notes, families, leaks = [], set[str](), {}
    # A balanced sample learns from fewer near-copies of test rows than all rows do.
    for prepare, run in {run.config.prepare: run for run in reversed(runs)}.items():
        if prepare.split == "resplit" and prepare.group == "none":
            there = data if run is first else read_and_prepare(run.config, progress)
            leaks[run.name] = there.prepared.manifest.test_leak
            families |= {example.group for example in (*there.prepared.train, *there.prepared.validation)}
    for name, leak in reversed(leaks.items()):
        notes.append(
            f"{first.panel or 'All runs'}: rows were split at random, so {leak.rows} of {leak.of_rows} test rows "
            f"({leak.positive} of {leak.of_positive} positive ones) have a near-copy in the rows that {name}"
            f"{' and its like learn' if len(leaks) > 1 else ' learns'} from."
        )
    for teacher in dict.fromkeys(_teacher(run.config.model_dump()) for run in runs):
        if teacher:
            notes.append(f"The teacher is {teacher}, a model of ours, and not OpenAI's moderation.")
    notes += [note for reading in data.readings for note in reading.origin.notes]
    texts = {example.id: render(example.conversation, first.config.text).text for example in data.judged}
    twins = frozenset(example.id for example in data.judged if example.group in families)
    return Panel(texts, twins, data.prepared.manifest.sha256, tuple(notes))


def _teacher(config: Mapping[str, Any]) -> str:
    """Name the bundle or folder whose scores a run learns from; empty where it learns from none, or the data's."""
    distill = config["distill"]
    return str(distill["teacher"]) if distill["targets"] else ""


def _agreement(results: Sequence[Result]) -> tuple[TeacherAgreement, ...]:
    """Take the teacher's agreement from the first run that a bundle taught."""
    for result in results:
        for seed in result.seeds:
            if seed.metrics.get("teacher"):
                return tuple(
                    TeacherAgreement(
                        entry["name"],
                        entry["n"],
                        Interval(
                            *(math.nan if entry[end] is None else entry[end] for end in ("value", "low", "high"))
                        ),
                    )
                    for entry in seed.metrics["teacher"]
                )
    return ()
