"""A model's calibration and thresholds at work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Annotated

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from adaptox.decide.calibrate import Bend, Calibration
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
        bends: one a label, or None for a label whose logits are not bent; left out, none is.

    Raises:
        BundleError: not one of each for each label, in order.
    """

    labels: Annotated[tuple[str, ...], Field(min_length=1)]
    temperatures: tuple[Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)], ...]
    thresholds: tuple[LabelThreshold, ...]
    offsets: tuple[Annotated[float, Field(strict=True, allow_inf_nan=False)], ...] = ()
    bends: tuple[Bend | None, ...] = ()

    def __post_init__(self) -> None:
        named = tuple(threshold.label for threshold in self.thresholds)
        counts = {len(self.temperatures), len(self.offsets or self.labels), len(self.bends or self.labels)}
        if named != self.labels or counts != {len(self.labels)}:
            raise BundleError(
                f"expected a temperature, an offset, a bend and a threshold for each of {', '.join(self.labels)}, "
                f"got {len(self.temperatures)} temperatures, {len(self.offsets)} offsets, {len(self.bends)} bends, "
                f"and thresholds for {', '.join(named) or 'no label'}: train the bundle again"
            )

    @classmethod
    def of(cls, calibrations: Sequence[Calibration], thresholds: Sequence[LabelThreshold]) -> Decider:
        """Put the calibration and the threshold of each label together, in the same order."""
        bends = tuple(one.bend for one in calibrations)
        return cls(
            tuple(one.label for one in thresholds),
            tuple(one.temperature for one in calibrations),
            tuple(thresholds),
            tuple(one.offset for one in calibrations),
            bends if any(bends) else (),
        )

    def threshold(self, label: str) -> LabelThreshold:
        """Give the threshold of a label.

        Raises:
            BundleError: no such label.
        """
        if label not in self.labels:
            raise BundleError(f"no threshold for label {label!r}: there are {', '.join(self.labels)}")
        return self.thresholds[self.labels.index(label)]

    def calibration(self, label: str) -> Calibration:
        """Give the calibration of a label.

        Raises:
            BundleError: no such label.
        """
        self.threshold(label)
        place = self.labels.index(label)
        return Calibration(
            self.temperatures[place],
            self.offsets[place] if self.offsets else 0.0,
            self.bends[place] if self.bends else None,
        )

    def updated(self, other: Decider) -> Decider:
        """Take calibration and thresholds of another decider for its labels, and keep the others.

        Raises:
            BundleError: it has a label that this one lacks.
        """
        own = {label: self._of(label) for label in self.labels}
        for label in other.labels:
            self.threshold(label)
            own[label] = other._of(label)
        return Decider.of(*zip(*own.values(), strict=True))

    def _of(self, label: str) -> tuple[Calibration, LabelThreshold]:
        return self.calibration(label), self.threshold(label)

    def probs(self, logits: FloatArray) -> FloatArray:
        """Calibrate logits of shape (examples, labels) to probabilities of the same shape."""
        columns = zip(self.labels, np.asarray(logits, np.float64).T, strict=True)
        return np.stack([self.calibration(label).probs(column) for label, column in columns], axis=1)

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
        """Give the form that is stored in a bundle; bends are left out where there are none."""
        return {
            "labels": list(self.labels),
            "temperatures": list(self.temperatures),
            "offsets": list(self.offsets),
            **({"bends": [bend and asdict(bend) for bend in self.bends]} if self.bends else {}),
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
