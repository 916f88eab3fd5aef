"""Logits → calibrated probabilities → decision.

A label's logits are divided by its temperature (arXiv 1706.04599), squashed to probabilities, and compared with
its threshold. Both are fitted on validation and stored in the bundle. This room needs numpy and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Annotated

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from adaptox.config import ThresholdConfig
from adaptox.errors import BundleError, CollapseError, DataError
from adaptox.records import BoolArray, FloatArray, IntArray, Scores, Verdict

# A fitted temperature stays within these bounds. Outside of them the logits carry no usable scale: every
# probability would be 0.5, or 0 and 1.
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0

# The logit of the largest float64 below 1.
_MAX_LOGIT = 36.7

# (probs (n,), truth (n,)) → threshold. Both classes occur in truth.
Policy = Callable[[FloatArray, BoolArray], float]


def best_f1(probs: FloatArray, truth: BoolArray) -> float:
    """Find the threshold with the best F1.

    Every cut between neighbouring distinct scores is tried. Of cuts with the same F1, the one that flags the
    fewest rows wins. The threshold lies halfway between its neighbours in logit space, so that a score a
    rounding error away from one of them falls on the same side.

    Args:
        probs: (n,) calibrated probabilities.
        truth: (n,) whether the label holds.

    Returns:
        A threshold; rows at or above it are flagged.
    """
    order = np.argsort(-probs, kind="stable")
    scores, hits = probs[order], np.cumsum(truth[order])
    last = np.flatnonzero(np.append(scores[1:] < scores[:-1], True))
    f1 = 2 * hits[last] / (last + 1 + hits[-1])
    best = int(np.argmax(f1))
    above = float(scores[last[best]])
    return above if best + 1 == len(last) else _between(float(scores[last[best + 1]]), above)


# A policy's name in the settings → how it finds a threshold, and its origin as shown beside numbers.
POLICIES: Mapping[str, tuple[Policy, str]] = {"f1": (best_f1, "val: best F1")}


@dataclass(frozen=True, slots=True)
class LabelThreshold:
    """Where a label's decision falls.

    Attributes:
        label: which label.
        value: on calibrated probabilities; at or above it the label is flagged. None if the label is scored and
            never flagged, because only a teacher knows it.
        origin: where it came from: a plain number, or ``val: <policy>``.
        policy: ``f1``, ``fixed`` or ``none``.
    """

    label: str
    value: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)] | None
    origin: str
    policy: str


@dataclass(frozen=True, slots=True)
class Decider:
    """Turns a model's logits into probabilities and decisions.

    Attributes:
        labels: the model's labels, in the order of its logits; the first is the target.
        temperatures: one a label; 1.0 leaves the logits as they are.
        thresholds: one a label.

    Raises:
        BundleError: not one temperature and one threshold for each label, in order.
    """

    labels: Annotated[tuple[str, ...], Field(min_length=1)]
    temperatures: tuple[Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)], ...]
    thresholds: tuple[LabelThreshold, ...]

    def __post_init__(self) -> None:
        named = tuple(threshold.label for threshold in self.thresholds)
        if named != self.labels or len(self.temperatures) != len(self.labels):
            raise BundleError(
                f"expected a temperature and a threshold for each of {', '.join(self.labels)}, got "
                f"{len(self.temperatures)} temperatures and thresholds for {', '.join(named) or 'no label'}: "
                "train the bundle again"
            )

    def threshold(self, label: str) -> LabelThreshold:
        """Give the threshold of a label.

        Raises:
            BundleError: no such label.
        """
        if label not in self.labels:
            raise BundleError(f"no threshold for label {label!r}: there are {', '.join(self.labels)}")
        return self.thresholds[self.labels.index(label)]

    def probs(self, logits: FloatArray) -> FloatArray:
        """Calibrate logits of shape (examples, labels) to probabilities of the same shape."""
        return _sigmoid(np.asarray(logits, np.float64) / np.array(self.temperatures))

    def apply(self, scores: Scores, ids: Sequence[str]) -> tuple[Verdict, ...]:
        """Decide: block where any label is flagged, else allow.

        Args:
            scores: of n conversations; its columns are matched by label name.
            ids: n ids, in the same order.

        Returns:
            n verdicts, in the same order.

        Raises:
            BundleError: `scores` lacks one of the labels.
        """
        missing = [label for label in self.labels if label not in scores.labels]
        if missing:
            raise BundleError(
                f"expected scores for {', '.join(self.labels)}, got {', '.join(scores.labels)}: "
                "the bundle's weights and thresholds come from different runs"
            )
        probs = self.probs(np.stack([scores.column(label) for label in self.labels], axis=1))
        return tuple(
            self._verdict(name, row, bool(truncated), int(windows))
            for name, row, truncated, windows in zip(ids, probs, scores.truncated, scores.windows, strict=True)
        )

    def _verdict(self, name: str, probs: FloatArray, truncated: bool, windows: int) -> Verdict:
        flagged = {
            threshold.label: bool(prob >= threshold.value)
            for threshold, prob in zip(self.thresholds, probs, strict=True)
            if threshold.value is not None
        }
        return Verdict(
            id=name,
            scores=dict(zip(self.labels, probs.tolist(), strict=True)),
            decision="block" if any(flagged.values()) else "allow",
            flagged=flagged,
            truncated=truncated,
            windows=windows,
        )

    def to_json(self) -> dict[str, object]:
        """Give the form that is stored in a bundle."""
        return {
            "labels": list(self.labels),
            "temperatures": list(self.temperatures),
            "thresholds": [asdict(threshold) for threshold in self.thresholds],
        }

    @classmethod
    def from_json(cls, data: object) -> Decider:
        """Read what `to_json` gave.

        Raises:
            BundleError: something is missing or of the wrong kind, a temperature is not above 0, or a threshold
                lies outside of [0, 1].
        """
        try:
            return _stored().validate_python(data)
        except ValidationError as error:
            detail = error.errors()[0]
            place = ".".join(str(part) for part in detail["loc"]) or "the calibration"
            raise BundleError(
                f"{place}: {detail['msg']}, got {str(detail['input'])[:60]}: train the bundle again"
            ) from error


def fit(
    logits: FloatArray,
    truth: IntArray | FloatArray,
    mask: BoolArray,
    labels: Iterable[str],
    config: ThresholdConfig,
    scored_only: Collection[str] = (),
) -> Decider:
    """Fit temperatures and thresholds on validation.

    A label other than the target whose validation rows are all of one class cannot be fitted: its temperature is
    1 and its threshold the fixed value, and the origin says so.

    Args:
        logits: (n, labels), as the model gave them.
        truth: (n, labels), 0 or 1; what stands where `mask` is False is not read.
        mask: (n, labels), whether the truth is known.
        labels: names of the columns; the first is the target.
        config: calibration, policy and fixed value.
        scored_only: labels that get neither, because only a teacher knows them.

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
    temperatures, thresholds = [], []
    for column, label in enumerate(names):
        if label in scored_only:
            temperatures.append(1.0)
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
        calibrate = config.calibration == "temperature" and not missing
        temperatures.append(fit_temperature(values, positive) if calibrate else 1.0)
        thresholds.append(_threshold(label, _sigmoid(values / temperatures[-1]), positive, missing, config))
    return Decider(names, tuple(temperatures), tuple(thresholds))


def fit_temperature(logits: FloatArray, truth: BoolArray) -> float:
    """Find the temperature with the lowest log loss, between `MIN_TEMPERATURE` and `MAX_TEMPERATURE`.

    The loss is convex in 1 / temperature, so bisection of its slope finds the one minimum. The targets are
    smoothed as Platt's (Probabilistic Outputs for Support Vector Machines, 1999, section 2.2): a few rows that
    happen to be separated perfectly then do not push every probability to 0 or 1.

    Args:
        logits: (n,) of one label.
        truth: (n,), with both classes.
    """
    positives = int(truth.sum())
    negatives = len(truth) - positives
    targets = np.where(truth, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    low, high = 1 / MAX_TEMPERATURE, 1 / MIN_TEMPERATURE
    for _ in range(60):
        middle = (low + high) / 2
        if float(np.dot(logits, _sigmoid(middle * logits) - targets)) < 0:
            low = middle
        else:
            high = middle
    return float(np.clip(2 / (low + high), MIN_TEMPERATURE, MAX_TEMPERATURE))


def _threshold(
    label: str, probs: FloatArray, truth: BoolArray, missing: str, config: ThresholdConfig
) -> LabelThreshold:
    if config.policy == "fixed":
        return LabelThreshold(label, config.value, f"{config.value:g}", "fixed")
    if missing:
        return LabelThreshold(label, config.value, f"{config.value:g} ({missing} in validation)", "fixed")
    policy, origin = POLICIES[config.policy]
    return LabelThreshold(label, policy(probs, truth), origin, config.policy)


def _missing_class(truth: BoolArray) -> str:
    if not len(truth):
        return "no labelled row"
    if not truth.any():
        return "no positive"
    return "no negative" if truth.all() else ""


def _between(low: float, high: float) -> float:
    ends = np.clip([_logit(low), _logit(high)], -_MAX_LOGIT, _MAX_LOGIT)
    middle = float(_sigmoid(np.mean(ends, keepdims=True))[0])
    return middle if low < middle <= high else high


def _logit(prob: float) -> float:
    with np.errstate(divide="ignore"):
        return float(np.log(prob) - np.log1p(-prob))


def _sigmoid(values: FloatArray) -> FloatArray:
    # exp of a non-positive number only: it cannot overflow.
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1 / (1 + small), small / (1 + small))


@cache
def _stored() -> TypeAdapter[Decider]:
    return TypeAdapter(Decider)
