"""Validation logits and truth → calibration and thresholds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np

from adaptox.config import ThresholdConfig
from adaptox.decide.calibrate import Calibration, fit_beta, fit_platt, fit_temperature
from adaptox.decide.decider import Decider, LabelThreshold
from adaptox.decide.policies import learn_cut
from adaptox.errors import CollapseError, DataError
from adaptox.records import BoolArray, FloatArray, IntArray


def fit(
    logits: FloatArray,
    truth: IntArray | FloatArray,
    mask: BoolArray,
    labels: Iterable[str],
    config: ThresholdConfig,
    scored_only: Mapping[str, Calibration] = MappingProxyType({}),
    learned_on: str = "val",
) -> Decider:
    """Fit calibration and thresholds on validation.

    A label other than the target whose validation rows are all of one class cannot be fitted: its temperature is
    1 and its threshold the fixed value, and the origin says so.

    Args:
        logits: (n, labels), as the model gave them.
        truth: (n, labels), 0 or 1; what stands where `mask` is False is not read.
        mask: (n, labels), whether the truth is known.
        labels: names of the columns; the first is the target.
        config: calibration, policy and fixed value.
        scored_only: labels that only a teacher knows, with their calibration; they get no threshold.
        learned_on: what the origin of a threshold calls these rows.

    Raises:
        DataError: the policy has to be fitted and validation has only one class of the target.
        CollapseError: a logit is not a finite number.
    """
    if not np.isfinite(logits).all():
        raise CollapseError(
            f"expected finite scores on validation, got {int((~np.isfinite(logits)).sum())} of {logits.size} "
            "that are not: training diverged; lower train.learning_rate"
        )
    names = tuple(labels)
    calibrations, thresholds = [], []
    for column, label in enumerate(names):
        if label in scored_only:
            calibrations.append(scored_only[label])
            thresholds.append(LabelThreshold(label, None, "scored only", "none"))
            continue
        known = mask[:, column]
        values, positive = logits[known, column].astype(np.float64), truth[known, column] == 1
        missing = _missing_class(positive)
        if missing and config.policy != "fixed" and column == 0:
            raise DataError(
                f"{missing} of {label!r} in validation, so no threshold can be learned: add labelled rows, raise "
                "prepare.validation_fraction, or set threshold.policy = 'fixed'"
            )
        calibrations.append(Calibration() if missing else _calibration(values, positive, config))
        thresholds.append(_threshold(label, calibrations[-1].probs(values), positive, missing, config, learned_on))
    return Decider.of(calibrations, thresholds)


def _calibration(logits: FloatArray, truth: BoolArray, config: ThresholdConfig) -> Calibration:
    match config.calibration:
        case "platt":
            return fit_platt(logits, truth)
        case "beta":
            return fit_beta(logits, truth)
        case "temperature":
            return Calibration(fit_temperature(logits, truth))
        case "none":
            return Calibration()


def _threshold(
    label: str, probs: FloatArray, truth: BoolArray, missing: str, config: ThresholdConfig, learned_on: str
) -> LabelThreshold:
    if config.policy == "fixed":
        return LabelThreshold(label, config.value, f"{config.value:g}", "fixed")
    if missing:
        return LabelThreshold(label, config.value, f"{config.value:g} ({missing} in validation)", "fixed")
    cut = learn_cut(probs, truth, config)
    origin = f"{learned_on}: {cut.origin}" + (f", {config.folds} folds" if config.folds else "")
    return LabelThreshold(label, cut.value, origin, config.policy)


def _missing_class(truth: BoolArray) -> str:
    if not len(truth):
        return "no labelled row"
    if not truth.any():
        return "no positive"
    return "no negative" if truth.all() else ""
