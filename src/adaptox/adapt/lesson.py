"""The verb that makes soft targets: prepared data + a teacher → a folder that training reads, and a report."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from adaptox import bundle as bundles
from adaptox import model, teach
from adaptox.adapt import folder as folders
from adaptox.adapt import known, needs, seen
from adaptox.adapt.data import read_and_prepare
from adaptox.adapt.run import make_start
from adaptox.config import Config, resolved_json
from adaptox.errors import InterruptedRunError
from adaptox.evaluate import Interval, commit, hardware, interval_json
from adaptox.prepare import Prepared
from adaptox.records import Example, Progress, silent
from adaptox.teach import lessons


@dataclass(frozen=True, slots=True)
class Plan:
    """What a teacher would have to do.

    Attributes:
        conversations: different ones among the rows.
        kept: of these, scored before.
        calls: to a server; retries come on top. 0 where none is asked.
    """

    conversations: int
    kept: int
    calls: int


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a teacher did.

    Attributes:
        folder: where the scores are.
        targets: names of the scores.
        rows: of the training and validation parts.
        scored: of these, with a score.
        judged: how far the scores agree with the labels; one for each member of an ensemble, or for each score.
        judged_on: which rows, or why none.
        doubted: labels that an ensemble doubts, listed in label-faults.jsonl; None where none was asked.
        cost: of a server that was asked; else None.
    """

    folder: Path
    targets: tuple[str, ...]
    rows: int
    scored: int
    judged: tuple[teach.Judged, ...]
    judged_on: str
    doubted: int | None
    cost: teach.Cost | None


def plan_lesson(config: Config, progress: Progress = silent) -> Plan:
    """Say what `make_lesson` would do, and ask nobody.

    Raises:
        InputError: the settings or the data cannot be used.
    """
    rows = _learnt(read_and_prepare(config, progress).prepared)
    needed, kept = teach.count_calls(rows, config)
    return Plan(needed + kept, kept, needed if config.teach.kind in ("moderation", "chat") else 0)


def make_lesson(config: Config, out: Path, overwrite: bool = False, progress: Progress = silent) -> Lesson:
    """Let a teacher score the training and the validation part.

    Test rows are not scored. What a teacher gave is kept in adaptox's cache, so the same command goes on after an
    interruption, and nothing is scored or paid for twice.

    Args:
        config: `teach` names the teacher, the rest the data.
        out: the folder to write.
        overwrite: replace what it holds.
        progress: told how far it is.

    Raises:
        InputError: the settings, the data, the teacher or the folder cannot be used.
        RunError: the server failed too often, the disk refused, or the user stopped it.
    """
    folders.check_free(out, overwrite, needs.paths(config))
    crossfitted = config.teach.kind == "crossfit"
    if crossfitted:
        teach.need_cleanlab()
    prepared = read_and_prepare(config, progress).prepared
    rows = _learnt(prepared)
    try:
        given = teach.ask_teacher(rows, config, progress, make_start)
    except InterruptedRunError as error:
        if crossfitted:  # stopped in a training, which knows another way to go on
            raise InterruptedRunError("stopped; the same command goes on with what is finished") from error
        raise
    on, judged_on = _judged_on(config, prepared)
    judged = teach.judge_members(given, {row.id for row in judged_on}, config)
    if judged_on and not judged:
        on = f"no rows: the {on} with a score are not of both classes of {config.label_set.target}"
    scores = lessons.pack(given.examples, given.targets)
    scored = sum(bool(row.teacher) for row in given.examples)
    faults = teach.doubted_labels(given, config) if crossfitted else []
    doubted = len(faults) if crossfitted else None
    lesson = Lesson(out, given.targets, len(rows), scored, judged, on, doubted, given.cost)
    with folders.whole(out) as folder:
        folder.write(folders.CONFIG, resolved_json(config))
        folder.write(lessons.SCORES, scores)
        if config.teach.kind == "model" and len(keys := known.by_model(config.teach.model).keys):
            folder.write(bundles.LEARNED, known.pack(keys))
        if crossfitted:
            folder.write_lines(lessons.FAULTS, faults)
        folder.write(lessons.TEACHER, _report(lesson, given.agreement, config, prepared, scores))
    return lesson


def _judged_on(config: Config, prepared: Prepared) -> tuple[str, Sequence[Example]]:
    """Choose the rows that a teacher is judged on, none that it may have learned from, and say which they are."""
    if config.teach.kind == "crossfit":
        return "training and validation rows, out of fold", _learnt(prepared)
    place = model.place_of(config.teach.model)
    if config.teach.kind == "model" and (place / bundles.MANIFEST).is_file():
        return _unseen(config, prepared, bundles.load(place))
    return "validation rows", prepared.validation


def _unseen(config: Config, prepared: Prepared, bundle: bundles.Bundle) -> tuple[str, Sequence[Example]]:
    name, rows = config.teach.model, prepared.validation
    learned = known.by_bundle(bundle).find(rows)
    left = [row for row, seen_before in zip(rows, learned, strict=True) if not seen_before]
    if not seen.left_validation_alone(config, bundle, prepared.manifest.sha256):
        return f"no rows: {name} learned from some of these, and would be praised for them", ()
    if not left:
        return f"no rows: {name} learned from all of these, and would be praised for them", ()
    if len(left) < len(rows):
        return f"{len(left)} of {len(rows)} validation rows, those that {name} did not learn from", left
    return "validation rows", rows


def _licences(config: Config) -> Sequence[str]:
    """Say whose terms the scores are under, besides those of the rows."""
    if config.teach.kind in ("moderation", "chat"):
        return [f"the terms of {config.teach.url}"]
    if config.teach.kind == "model":
        return [one.licence for one in needs.origins("teacher", config.teach.model)] or ["unknown"]
    if config.teach.kind == "crossfit":
        return sorted({one.licence for base in teach.bases(config) for one in needs.origins("base", base)})
    return []


def _learnt(prepared: Prepared) -> tuple[Example, ...]:
    return (*prepared.train, *prepared.validation)


def _report(
    lesson: Lesson, agreement: Sequence[teach.Agreement], config: Config, prepared: Prepared, scores: bytes
) -> Mapping[str, object]:
    return {
        "schema": 1,
        "kind": config.teach.kind,
        "targets": list(lesson.targets),
        "learned": seen.learned_by(config.teach.model) if config.teach.kind == "model" else [],
        "licences": _licences(config),
        "rows": lesson.rows,
        "scored": lesson.scored,
        "judged_on": lesson.judged_on,
        "judged": [_judged(one) for one in lesson.judged],
        "agreement": [
            {"name": one.name, "n": one.n, "rank_correlation": interval_json(one.rank_correlation)}
            for one in agreement
        ],
        "doubted": lesson.doubted,
        "cost": None if lesson.cost is None else asdict(lesson.cost),
        "scores_sha256": hashlib.sha256(scores).hexdigest(),
        "data": {"sha256": prepared.manifest.sha256},
        "config": config.model_dump(mode="json"),
        "seed": config.seed,
        "commit": commit(),
        "hardware": hardware(),
    }


def _judged(one: teach.Judged) -> Mapping[str, object]:
    metrics: Mapping[str, Interval] = one.metrics
    return {
        "name": one.name,
        "label": one.label,
        "n": one.n,
        "positives": one.positives,
        **{name: interval_json(value) for name, value in metrics.items()},
    }
