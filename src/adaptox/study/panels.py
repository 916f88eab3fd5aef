"""The data of a study's panels, as a reader of its numbers must know it: texts, leaks, gaps, the teacher."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adaptox import bundle as bundles
from adaptox.adapt import Data, cautions, read_and_prepare
from adaptox.config import Config
from adaptox.prepare import Leak
from adaptox.records import Progress
from adaptox.study.grid import Planned
from adaptox.teach import lessons
from adaptox.text import render


@dataclass(frozen=True, slots=True)
class Panel:
    """The data of a panel, as its first run has it.

    Attributes:
        texts: example id → rendered text, of the test rows.
        twins: run name → ids of its test rows with a near-copy in what it learns from, or a run that shares its
            test part; runs whose split keeps families whole have none.
        teacher: whose the scores are that its runs learn from, a sentence each; or empty.
        data_sha256: of the prepared rows.
        notes: gaps that a reader of the numbers must know, and what a random split leaks to each way to sample.
    """

    texts: Mapping[str, str]
    twins: Mapping[str, frozenset[str]]
    teacher: str
    data_sha256: str
    notes: tuple[str, ...]


def read_panels(runs: Sequence[Planned], progress: Progress) -> dict[str, Panel]:
    """Read and prepare the data of every panel, before a run is made.

    Raises:
        InputError: a source cannot be read.
    """
    panels = dict.fromkeys(run.panel for run in runs)
    return {panel: _panel([run for run in runs if run.panel == panel], progress) for panel in panels}


def _panel(runs: Sequence[Planned], progress: Progress) -> Panel:
    first = runs[0]
    data = read_and_prepare(first.config, progress)
    leaks, twins = _leaks(runs, data, progress)
    notes = [
        f"{first.panel or 'All runs'}: rows were split at random, so {leak.rows} of {leak.of_rows} test rows "
        f"({leak.positive} of {leak.of_positive} positive ones) have a near-copy in the rows that {name}"
        f"{' and its like learn' if len(leaks) > 1 else ' learns'} from."
        for name, leak in leaks.items()
    ]
    taught_by = dict.fromkeys(run.config.distill.teacher for run in runs if run.config.distill.targets)
    teachers = [whose(Path(folder)) for folder in taught_by if folder]
    notes += data.prepared.notes
    notes += dict.fromkeys(caution for run in runs for caution in cautions(data, run.config))
    notes += [*teachers, *(note for reading in data.readings for note in reading.origin.notes)]
    texts = {
        example.id: render(example.conversation, first.config.text).text for example in data.judged(first.config)
    }
    return Panel(texts, twins, " ".join(teachers), data.prepared.manifest.sha256, tuple(notes))


def _leaks(
    runs: Sequence[Planned], data: Data, progress: Progress
) -> tuple[dict[str, Leak], dict[str, frozenset[str]]]:
    """Find what random splits leak: a count for each way to prepare rows, and the test rows for each run.

    Runs whose test part is the same share one set: near-copies of what any of them learns from, so that a balanced
    sample, which repeats fewer test rows than all rows do, is judged on the same rows.
    """
    leaks: dict[str, Leak] = {}
    judged: dict[str, dict[str, str]] = {}
    learned: dict[str, set[str]] = {}
    for run in {_prepared_as(run.config): run for run in reversed(runs)}.values():
        if run.config.prepare.split == "resplit" and run.config.prepare.group == "none":
            there = data if run is runs[0] else read_and_prepare(run.config, progress)
            leaks[run.name] = there.prepared.manifest.test_leak
            parts, key = there.prepared, _split_as(run.config)
            judged[key] = {example.id: example.group for example in there.judged(run.config)}
            rest = (*parts.train, *parts.validation) if parts.test else parts.train
            learned.setdefault(key, set()).update(example.group for example in rest)
    found = {
        key: frozenset(name for name, family in rows.items() if family in learned[key])
        for key, rows in judged.items()
    }
    twins = {run.name: found[_split_as(run.config)] for run in runs if _split_as(run.config) in found}
    return dict(reversed(leaks.items())), twins


def _prepared_as(config: Config) -> str:
    """Name what the rows of a run depend on."""
    return config.model_dump_json(include={"sources", "prepare", "text", "labels"}) + str(config.data_seed)


def _split_as(config: Config) -> str:
    """Name what the test part of a run depends on, which sampling the training part does not change."""
    return _prepared_as(config.model_copy(update={"prepare": config.prepare.model_copy(update={"sample": "all"})}))


def whose(teacher: Path) -> str:
    """Say whose a teacher's scores are: a model of ours, or what `adaptox teach` asked.

    Args:
        teacher: a bundle, or a folder that `adaptox teach` wrote.
    """
    asked = (
        json.loads((teacher / lessons.TEACHER).read_text(encoding="utf-8")) if lessons.is_lesson(teacher) else {}
    )
    if asked.get("kind") == "column":
        return f"The teacher is {teacher}, the scores that the data has."
    if asked.get("kind") in ("moderation", "chat"):
        server = asked["config"]["teach"]
        return f"The teacher is {teacher}, what {server['model'] or 'the model'} at {server['url']} said."
    if asked.get("kind") == "model" and not (Path(asked["config"]["teach"]["model"]) / bundles.MANIFEST).is_file():
        return f"The teacher is {teacher}, made by {asked['config']['teach']['model']}."
    return f"The teacher is {teacher}, a model of ours, and not OpenAI's moderation."
