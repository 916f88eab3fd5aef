"""A model's calibration and thresholds at work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Annotated

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from adaptox.decide.squash import sigmoid
from adaptox.errors import BundleError
from adaptox.records import FloatArray, Scores, Verdict


@dataclass(frozen=True, slots=True)
class LabelThreshold:
    """Where a label's decision falls.

    Attributes:
        label: which label.
        value: on calibrated probabilities; at or above it the label is flagged. None if the label is scored and
            never flagged, because only a teacher knows it.
        origin: where it came from: a plain number, or ``val: <policy>``.
        policy: that of `ThresholdConfig`, or ``none``.
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
        offsets: one a label, added to the logits after they were divided; left out, they are 0.

    Raises:
        BundleError: not one temperature and one threshold for each label, in order.
    """

    labels: Annotated[tuple[str, ...], Field(min_length=1)]
    temperatures: tuple[Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)], ...]
    thresholds: tuple[LabelThreshold, ...]
    offsets: tuple[Annotated[float, Field(strict=True, allow_inf_nan=False)], ...] = ()

    def __post_init__(self) -> None:
        named = tuple(threshold.label for threshold in self.thresholds)
        counts = {len(self.temperatures), len(self.offsets or self.labels)}
        if named != self.labels or counts != {len(self.labels)}:
            raise BundleError(
                f"expected a temperature, an offset and a threshold for each of {', '.join(self.labels)}, got "
                f"{len(self.temperatures)} temperatures, {len(self.offsets)} offsets, and thresholds for "
                f"{', '.join(named) or 'no label'}: "
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

    def updated(self, other: Decider) -> Decider:
        """Take calibration and thresholds of another decider for its labels, and keep the others.

        Raises:
            BundleError: it has a label that this one lacks.
        """
        own = {label: self._of(label) for label in self.labels}
        for label in other.labels:
            self.threshold(label)
            own[label] = other._of(label)
        temperatures, offsets, thresholds = zip(*own.values(), strict=True)
        return Decider(self.labels, temperatures, thresholds, offsets)

    def _of(self, label: str) -> tuple[float, float, LabelThreshold]:
        place = self.labels.index(label)
        return self.temperatures[place], self.offsets[place] if self.offsets else 0.0, self.thresholds[place]

    def probs(self, logits: FloatArray) -> FloatArray:
        """Calibrate logits of shape (examples, labels) to probabilities of the same shape."""
        offsets = np.array(self.offsets or [0.0] * len(self.labels))
        return sigmoid(np.asarray(logits, np.float64) / np.array(self.temperatures) + offsets)

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
            "offsets": list(self.offsets),
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


@cache
def _stored() -> TypeAdapter[Decider]:
    return TypeAdapter(Decider)
