"""What happened in a run → the story that the report tells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adaptox import model, report
from adaptox.adapt import cut, needs, seen
from adaptox.adapt.data import Data
from adaptox.adapt.guard import Collapse
from adaptox.adapt.judge import Judged
from adaptox.adapt.words import Worded
from adaptox.config import Config
from adaptox.evaluate import Evaluation, Provenance, commit, compare, hardware, interval_json, to_json
from adaptox.records import Origin
from adaptox.teach import lessons
from adaptox.text import render
from adaptox.train import Fitted

# Share of rows in other languages that a reader is told of; a few are in most data.
_MANY = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run.

    Attributes:
        share: parameters trained.
        fitted: how training went.
        baseline: the base as it was, on the rows that the result is about; None if it does not know the label.
        judged: the adapted model.
        network: its network alone, where words have a say; else the same.
        words: those; None where they have no say.
        collapse: what is wrong with the model, if that was allowed.
    """

    share: model.TrainableShare
    fitted: Fitted
    baseline: Evaluation | None
    judged: Judged
    network: Judged
    words: Worded | None
    collapse: Collapse | None


def tell(config: Config, data: Data, base: model.Base, outcome: Outcome, command: str) -> report.RunStory:
    """Put the story of a run together."""
    manifest = data.prepared.manifest
    words = _words(outcome, config)
    provenance = Provenance(
        data_sha256=manifest.sha256,
        model={
            "name": config.name,
            "base": base.name,
            "adapter": config.adapter.kind,
            "parameters": outcome.share.total,
            "trainable": outcome.share.trainable,
            **({"pooling": pooling} if (pooling := model.pooling_of(base.network)) != "own" else {}),
            **({"lexicon": words.weights} if words else {}),
        },
        seed=config.seed,
        hardware=hardware(),
        commit=commit(),
        config=config.model_dump(mode="json"),
    )
    return report.RunStory(
        title=config.name,
        evaluation=outcome.judged.evaluation,
        evaluated_on=_part(data, config),
        validation=outcome.judged.validation,
        baseline=outcome.baseline,
        history=outcome.fitted.history,
        texts={example.id: render(example.conversation, config.text).text for example in data.judged(config)},
        manifest=manifest.to_json(),
        origins=(*(reading.origin for reading in data.readings), *_model_origins(config)),
        provenance=provenance,
        training=_facts(base, outcome),
        notes=(
            *_notes(data, config, outcome.collapse),
            *cut.notes(outcome.fitted, data.prepared.train, base, config),
            *([report.words_sentence(words.weights, words.gains[0])] if words else []),
        ),
        command=command,
        agreement=tuple(
            {"name": one.name, "n": one.n, **interval_json(one.rank_correlation)} for one in data.agreement
        ),
        words=words,
    )


def _words(outcome: Outcome, config: Config) -> report.WordsFacts | None:
    if outcome.words is None:
        return None
    after, before = outcome.judged.validation, outcome.network.validation
    gains = tuple(
        compare(after, before, metric, config.evaluate.resamples, config.seed) for metric in ("auprc", "f1")
    )
    lexicon = outcome.words.lexicon
    return report.WordsFacts(lexicon.weights, outcome.words.shares, before, outcome.network.evaluation, gains)


def _facts(base: model.Base, outcome: Outcome) -> report.TrainingFacts:
    fitted, share = outcome.fitted, outcome.share
    return report.TrainingFacts(
        wall_s=fitted.wall_s,
        rows_per_s=fitted.rows_per_s,
        steps=fitted.steps,
        best_step=fitted.best_step,
        best_auprc=fitted.best_auprc,
        trainable=share.trainable,
        total=share.total,
        precision=fitted.precision,
        peak_memory_mb=fitted.peak_memory_mb,
        warm=base.warm,
    )


def metrics_json(story: report.RunStory) -> dict[str, object]:
    """Give the run's metrics.json: the test part's, then validation's and the baseline's."""
    metrics = to_json(story.evaluation, story.provenance)
    training = story.training
    metrics["evaluated_on"] = story.evaluated_on
    metrics["validation"] = to_json(story.validation, story.provenance)["slices"]
    if story.baseline is not None:
        before = to_json(story.baseline, story.provenance)
        metrics["baseline"] = {"slices": before["slices"], "threshold": before["threshold"]}
    metrics["training"] = {
        "wall_s": round(training.wall_s, 1),
        "rows_per_s": round(training.rows_per_s, 1),
        "steps": training.steps,
        "best_step": training.best_step,
        "precision": training.precision,
        "peak_memory_mb": training.peak_memory_mb and round(training.peak_memory_mb),
    }
    if story.words:
        metrics["lexicon"] = _words_json(story.words, story.provenance)
    if story.agreement:
        metrics["teacher"] = [dict(one) for one in story.agreement]
    metrics["notes"] = list(story.notes)
    return metrics


def _words_json(words: report.WordsFacts, provenance: Provenance) -> dict[str, object]:
    alone = to_json(words.evaluation, provenance)
    return {
        "weights": words.weights,
        "shares": {label: dict(shares) for label, shares in words.shares.items()},
        # No p-values: the shares were chosen on these very rows.
        "gains_on_validation": {gain.metric: interval_json(gain.difference) for gain in words.gains},
        "network_alone": {
            "slices": alone["slices"],
            "threshold": alone["threshold"],
            "validation": to_json(words.validation, provenance)["slices"],
        },
    }


def _part(data: Data, config: Config) -> str:
    if not data.prepared.test:
        return "rows left out of folds" if config.threshold.folds else "validation"
    return "the official test split" if data.official else "the held-out test part"


def _model_origins(config: Config) -> tuple[Origin, ...]:
    """Name the licences that base and teacher bring along: what they learned from taught these weights, too."""
    teacher = config.distill.teacher if config.distill.targets else ""
    return (*needs.origins("base", config.base.name), *needs.origins("teacher", teacher))


def _notes(data: Data, config: Config, collapse: Collapse | None) -> tuple[str, ...]:
    notes = [f"Collapsed: {collapse.reason}."] if collapse else []
    if config.prepare.group == "none" and config.prepare.split == "resplit":
        leak = data.prepared.manifest.test_leak
        notes.append(
            f"Rows were split at random: {leak.rows} test rows ({leak.positive} of them positive) have a "
            "near-copy in train, so the result is flattering."
        )
    read = (note for reading in data.readings for note in reading.origin.notes)
    return (*notes, *_foreign(data), *data.prepared.notes, *cautions(data, config), *read)


def _foreign(data: Data) -> tuple[str, ...]:
    """Say so where the language filter took more than a few rows: nothing of them was learned."""
    steps = [step for step in data.prepared.manifest.steps if step.name == "language"]
    return tuple(
        f"{step.dropped.rows} of {step.before.rows} rows are not English and were left out; prepare.language = "
        "'any' keeps them."
        for step in steps
        if step.dropped.rows >= _MANY * step.before.rows
    )


def cautions(data: Data, config: Config) -> tuple[str, ...]:
    """Say what flatters the numbers of a run: rows that had a say in it, or that a model it learns from saw."""
    notes = []
    if not data.prepared.test:
        where = (
            "rows of which each was scored by a model that did not see it; the threshold was learned on them"
            if config.threshold.folds
            else "validation, which also chose the weights"
        )
        notes.append(f"There is no test part: the numbers are from {where}.")
    teacher = config.distill.teacher
    if config.threshold.folds and teacher and lessons.is_crossfitted(Path(teacher)):
        notes.append(
            f"The scores of {teacher} come from models that saw the labels of other folds, so the numbers on "
            "validation rows are flattering."
        )
    parts = data.prepared
    held = (*parts.train, *parts.validation) if config.threshold.folds else parts.validation
    return (*notes, *seen.notes(config, data.judged(config), held if parts.test else ()))
