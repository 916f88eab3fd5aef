"""Results → the story that a study's report tells."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptox.errors import DataError
from adaptox.evaluate import Interval, commit, hardware
from adaptox.report.study.values import (
    ErrorShare,
    StudyMistake,
    StudyPair,
    StudyStory,
    Summary,
    TeacherAgreement,
)
from adaptox.study.grid import StudyConfig
from adaptox.study.panels import Panel
from adaptox.study.paper import PAPER
from adaptox.study.results import Result


@dataclass(frozen=True, slots=True)
class Before:
    """A finished study that this one is set beside."""

    title: str
    runs: Mapping[tuple[str, str], Summary]


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
        teachers={name: panel.teacher for name, panel in panels.items() if panel.teacher},
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
