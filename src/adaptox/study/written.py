"""Story → study.json: every number of a study with its interval, and all it needs to be believed; no text."""

from __future__ import annotations

import math
from typing import Any

from adaptox.evaluate import Evaluation, interval_json
from adaptox.report import TrainingFacts
from adaptox.report.study.values import ErrorShare, StudyPair, StudyRun, StudyStory, Summary


def to_json(story: StudyStory) -> dict[str, object]:
    """Give the content of ``study.json``. A number that is not defined is null."""
    return {
        "title": story.title,
        "question": story.question,
        "panels": [
            {"name": name, "words": story.panel_words.get(name, ""), "data_sha256": story.data_sha256[name]}
            for name in story.panels
        ],
        "axes": {axis: list(values) for axis, values in story.axes.items()},
        "runs": [_run(run) for run in story.runs],
        "pairs": [_pair(pair) for pair in story.pairs],
        "error_shares": [_share(share) for share in story.error_shares],
        "teacher": [
            {"name": one.name, "n": one.n, "rank_correlation": interval_json(one.rank_correlation)}
            for one in story.agreement
        ],
        "beside": story.before_title,
        "notes": list(story.notes),
        "resamples": story.resamples,
        "confidence": story.confidence,
        "hardware": story.hardware,
        "commit": story.commit,
        "command": story.command,
    }


def _run(run: StudyRun) -> dict[str, object]:
    return {
        "name": run.name,
        "panel": run.panel,
        "variants": dict(run.variants),
        "state": run.state,
        "notes": list(run.notes),
        "slices": {name: _summary(run, name, summary) for name, summary in run.summary.items()},
        "slices_at_learned_threshold": {
            name: _summary(run, name, summary) for name, summary in run.summary_learned.items()
        },
        "validation_auprc": _number(run.validation_auprc),
        "spread": {name: _number(value) for name, value in run.spread.items()},
        "seeds": [_seed(*one) for one in zip(run.seeds, run.evaluations, run.learned, run.training, strict=True)],
        "config": dict(run.config),
    }


def _summary(run: StudyRun, name: str, summary: Summary) -> dict[str, object]:
    first = run.evaluations[0].slices[name]
    numbers = {metric: interval_json(interval) for metric, interval in summary.items()}
    return {"n": first.n, "positives": first.positives, **numbers}


def _seed(seed: int, own: Evaluation, learned: Evaluation, training: TrainingFacts) -> dict[str, object]:
    return {
        "seed": seed,
        "threshold": {"value": own.threshold, "origin": own.origin},
        "learned_threshold": learned.threshold,
        "metrics": {name: _number(one.value) for name, one in own.main.metrics.items()},
        "f1_at_learned_threshold": _number(learned.main.metrics["f1"].value),
        "training": {
            "wall_s": training.wall_s,
            "rows_per_s": training.rows_per_s,
            "steps": training.steps,
            "best_step": training.best_step,
            "trainable": training.trainable,
            "parameters": training.total,
            "precision": training.precision,
            "peak_memory_mb": training.peak_memory_mb,
        },
    }


def _pair(pair: StudyPair) -> dict[str, Any]:
    return {
        "panel": pair.panel,
        "first": pair.first,
        "second": pair.second,
        "metrics": {
            one.metric: {
                "difference": interval_json(one.difference),
                "p_value": one.p_value,
                "p_holm": pair.p_holm[one.metric],
                "verdict": one.verdict,
            }
            for one in pair.comparisons
        },
        "mcnemar": {
            "only_first": pair.mcnemar.only_first,
            "only_second": pair.mcnemar.only_second,
            "p_value": pair.mcnemar.p_value,
            "p_holm": pair.mcnemar_holm,
        },
        "sentence": pair.sentence,
    }


def _share(share: ErrorShare) -> dict[str, object]:
    return {
        "panel": share.panel,
        "run": share.run,
        "kind": share.kind,
        "rows": share.rows,
        "n": share.n,
        "share": interval_json(share.share),
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
