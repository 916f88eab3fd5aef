"""Evaluation → metrics.json."""

from __future__ import annotations

import math

from adaptox.evaluate.values import Evaluation, Interval, Provenance, SliceResult


def to_json(evaluation: Evaluation, provenance: Provenance) -> dict[str, object]:
    """Give the content of ``metrics.json``: every number with its interval, and all it needs to be believed.

    A number that is not defined is null.
    """
    return {
        "label": evaluation.label,
        "slices": slices_json(evaluation),
        "threshold": {"value": evaluation.threshold, "origin": evaluation.origin},
        "confidence": evaluation.confidence,
        "resamples": evaluation.resamples,
        "data": {"sha256": provenance.data_sha256},
        "model": dict(provenance.model),
        "seed": provenance.seed,
        "hardware": provenance.hardware,
        "commit": provenance.commit,
        "config": dict(provenance.config),
    }


def slices_json(evaluation: Evaluation) -> dict[str, object]:
    """Give every slice with its rows and numbers."""
    return {name: _slice(result) for name, result in evaluation.slices.items()}


def _slice(result: SliceResult) -> dict[str, object]:
    numbers = {name: interval_json(measured) for name, measured in result.metrics.items()}
    return {"n": result.n, "positives": result.positives, **numbers}


def interval_json(measured: Interval) -> dict[str, float | None]:
    """Give a number and its ends; null where one is not defined."""
    ends = {"value": measured.value, "low": measured.low, "high": measured.high}
    return {name: number if math.isfinite(number) else None for name, number in ends.items()}
