"""Finished run folders → results: every seed's evaluation, and what the seeds say together."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from adaptox import decide
from adaptox.adapt.folder import HISTORY, METRICS, SCORES
from adaptox.config import EvaluateConfig, ThresholdConfig
from adaptox.decide import LabelThreshold
from adaptox.evaluate import METRICS as MEASURED
from adaptox.evaluate import Evaluation, Interval, ScoredRows, bootstrap, measure, rows_from_parquet
from adaptox.evaluate.resample import interval
from adaptox.evaluate.values import Draws
from adaptox.records import FloatArray
from adaptox.report import TrainingFacts
from adaptox.report.study.values import StudyRun
from adaptox.study.grid import Planned

# The balanced part of the test rows, which the paper calls the small test set.
SMALL = "small"
# Test rows that nothing learned from repeats.
TWIN_FREE = "twin-free"


@dataclass(frozen=True, slots=True)
class Seed:
    """One finished training.

    Attributes:
        own: on the test rows, at the run's own threshold.
        learned: on the same, at the threshold that is learned on validation by default.
        own_draws: the bootstrap behind `own`.
        learned_draws: the bootstrap behind `learned`.
        training: what it took.
        history: the Trainer's log.
        metrics: as the run wrote them.
    """

    own: Evaluation
    learned: Evaluation
    own_draws: Draws
    learned_draws: Draws
    training: TrainingFacts
    history: tuple[Mapping[str, float], ...]
    metrics: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """One configuration: what the report shows, and the seeds behind it."""

    run: StudyRun
    seeds: tuple[Seed, ...]


def read_seed(folder: Path, config: EvaluateConfig, seed: int, twins: Set[str] = frozenset()) -> Seed:
    """Read a finished run.

    Args:
        folder: of the run.
        config: resamples and confidence.
        seed: of the data: it chooses the small test set and the draws, the same ones in every run.
        twins: ids of test rows with a near-copy in rows learned from, where the split left them there.

    Raises:
        DataError: a file of the run is missing or of another kind.
    """
    metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    parts = rows_from_parquet(folder / SCORES)
    rows, validation = _with_small(_with_twins(parts["test"], twins), seed), parts["validation"]
    label, threshold = metrics["label"], metrics["threshold"]
    learned_at = _learned(validation)
    own_draws = bootstrap(rows, threshold["value"], config.resamples, seed)
    own = measure(rows, label, threshold["value"], threshold["origin"], config, own_draws)
    learned_draws, learned = own_draws, own
    # Where it was learned on folds, the origin says so after a comma, and no other has to be learned.
    if threshold["origin"].partition(",")[0] != learned_at.origin and learned_at.value is not None:
        learned_draws = bootstrap(rows, learned_at.value, config.resamples, seed)
        learned = measure(rows, label, learned_at.value, learned_at.origin, config, learned_draws)
    history = json.loads((folder / HISTORY).read_text(encoding="utf-8"))
    return Seed(own, learned, own_draws, learned_draws, _training(metrics, history), tuple(history), metrics)


def join(runs: Sequence[Planned], seeds: Mapping[int, Seed], errors: Mapping[int, str], draw_seed: int) -> Result:
    """Put the seeds of one configuration together.

    Args:
        runs: the configuration's runs, a seed each.
        seeds: seed → what it came to; a failed one is absent.
        errors: seed → why it failed.
        draw_seed: of drawing seeds with replacement.
    """
    done = [seeds[run.seed] for run in runs if run.seed in seeds]
    collapses = {run.seed: _collapse(seeds[run.seed].metrics) for run in runs if run.seed in seeds}
    notes = [f"seed {seed}: {note}" for seed, note in {**collapses, **errors}.items() if note]
    state: Literal["done", "collapsed", "failed"] = "done"
    if not done:
        state = "failed"
    elif any(collapses.values()):
        state = "collapsed"
    first = runs[0]
    run = StudyRun(
        name=first.name,
        panel=first.panel,
        variants=first.variants,
        state=state,
        notes=tuple(notes),
        seeds=tuple(run.seed for run in runs if run.seed in seeds),
        evaluations=tuple(one.own for one in done),
        learned=tuple(one.learned for one in done),
        validation_auprc=_validation_auprc(done),
        training=tuple(one.training for one in done),
        histories=tuple(one.history for one in done),
        summary=_summary([one.own for one in done], [one.own_draws for one in done], draw_seed),
        summary_learned=_summary([one.learned for one in done], [one.learned_draws for one in done], draw_seed),
        spread=_spread([one.own for one in done]),
        config=first.config.model_dump(mode="json"),
        failed=tuple(run.label for run in runs if run.seed not in seeds),
    )
    return Result(run, tuple(done))


def mean_draws(draws: Sequence[FloatArray], seed: int) -> FloatArray:
    """Average a metric's bootstrap over seeds that are drawn with replacement, too.

    The mean of k values drawn from k deviates less than that of k new ones: it has (k - 1) / k of the variance
    (Davison and Hinkley, Bootstrap Methods and their Application, 1997, chapter 2). What the seeds add is widened
    by that; one seed adds nothing.

    Args:
        draws: a seed each, (resamples,).
        seed: of the choice of seeds.

    Returns:
        (resamples,): how the mean over seeds would have come out with other families and other seeds.
    """
    table = np.stack(draws)
    seeds = len(table)
    chosen = np.random.default_rng(seed).integers(seeds, size=table.shape)
    centre: FloatArray = table.mean(axis=0)
    drawn: FloatArray = np.take_along_axis(table, chosen, axis=0).mean(axis=0)
    return centre + (drawn - centre) * math.sqrt(seeds / max(seeds - 1, 1))


def _summary(
    evaluations: Sequence[Evaluation], draws: Sequence[Draws], seed: int
) -> dict[str, dict[str, Interval]]:
    if not evaluations:
        return {}
    return {
        name: {
            metric: interval(
                float(np.mean([one.slices[name].metrics[metric].value for one in evaluations])),
                # Every metric is a share; what is widened can leave that range.
                np.clip(mean_draws([one[name][position] for one in draws], seed), 0, 1),
                evaluations[0].confidence,
            )
            for position, metric in enumerate(MEASURED)
        }
        for name in evaluations[0].slices
    }


def _validation_auprc(seeds: Sequence[Seed]) -> float:
    slices = [next(iter(one.metrics["validation"].values())) for one in seeds]
    values = [one["auprc"]["value"] for one in slices]
    return math.nan if not values or None in values else float(np.mean(values))


def _spread(evaluations: Sequence[Evaluation]) -> dict[str, float]:
    if len(evaluations) < 2:
        return dict.fromkeys(MEASURED, math.nan)
    return {
        metric: float(np.std([one.main.metrics[metric].value for one in evaluations], ddof=1))
        for metric in MEASURED
    }


def _learned(validation: ScoredRows) -> LabelThreshold:
    """Learn the best expected F1, on the scale of the run's own probabilities: Platt's calibration, then undone."""
    logits = decide.logit(validation.probs)
    known = np.ones((len(logits), 1), dtype=np.bool_)
    config = ThresholdConfig(calibration="platt")
    decider = decide.fit(logits[:, None], validation.truth[:, None], known, ["target"], config)
    (found,) = decider.thresholds
    if found.value is None:
        return found
    moved = (decide.logit(np.array([found.value])) - np.array(decider.offsets)) * np.array(decider.temperatures)
    return replace(found, value=float(decide.sigmoid(moved)[0]))


def _with_twins(rows: ScoredRows, twins: Set[str]) -> ScoredRows:
    member = np.array([name in twins for name in rows.ids], dtype=np.bool_)
    told = member.any() and not member.all()
    return replace(rows, slices={**rows.slices, TWIN_FREE: ~member}) if told else rows


def _with_small(rows: ScoredRows, seed: int) -> ScoredRows:
    positives, negatives = (np.flatnonzero(rows.truth == value) for value in (1, 0))
    size = min(len(positives), len(negatives))
    if not size:
        return rows
    member = np.zeros(len(rows.ids), dtype=np.bool_)
    rng = np.random.default_rng(seed)
    for of_class in (positives, negatives):
        member[rng.choice(of_class, size=size, replace=False)] = True
    return replace(rows, slices={**rows.slices, SMALL: member})


def _collapse(metrics: Mapping[str, Any]) -> str:
    return next((note for note in metrics["notes"] if note.startswith("Collapsed")), "")


def _training(metrics: Mapping[str, Any], history: Sequence[Mapping[str, float]]) -> TrainingFacts:
    training, model = metrics["training"], metrics["model"]
    best = [
        entry["eval_auprc"]
        for entry in history
        if entry.get("step") == training["best_step"] and "eval_auprc" in entry
    ]
    return TrainingFacts(
        wall_s=training["wall_s"],
        rows_per_s=training["rows_per_s"],
        steps=training["steps"],
        best_step=training["best_step"],
        best_auprc=best[0] if best else math.nan,
        trainable=model["trainable"],
        total=model["parameters"],
        precision=training["precision"],
        peak_memory_mb=training["peak_memory_mb"],
        warm=model.get("warm", {}),
    )
