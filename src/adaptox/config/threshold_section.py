"""The table of the settings that says how scores become decisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from adaptox.config.data_sections import Section

Policy = Literal["expected-f1", "f1", "max-fpr", "min-precision", "min-recall", "cost", "fixed"]

# A number → the policies that read it.
_READ_BY: Mapping[str, tuple[Policy, ...]] = {
    "beta": ("expected-f1", "f1"),
    "max_fpr": ("max-fpr",),
    "min_precision": ("min-precision",),
    "min_recall": ("min-recall",),
    "miss_cost": ("cost",),
}


class ThresholdConfig(Section):
    """How scores become decisions. Fitted on validation, stored in the bundle."""

    policy: Policy = "expected-f1"
    """expected-f1 takes the threshold with the best F1 on validation, a row's probability standing for its truth,
    which is steady where positives are few; f1 takes the best cut on validation as it is. max-fpr and min-precision
    take the cut with the most recall within the bound of that name, min-recall the one with the fewest false
    positives, on validation as it is. cost takes the cut with the least cost that probabilities expect; fixed takes
    `value`."""
    beta: float = Field(1.0, gt=0, allow_inf_nan=False)
    """For expected-f1 and f1: how much recall weighs beside precision; with 2 it is F2 that is best."""
    max_fpr: float = Field(0.01, ge=0, lt=1)
    """For max-fpr: the share of rows without the label that may be flagged, the false-positive rate."""
    min_precision: float = Field(0.9, gt=0, le=1)
    """For min-precision: the share of the flagged rows that must have the label."""
    min_recall: float = Field(0.9, gt=0, le=1)
    """For min-recall: the share of rows with the label that must be flagged."""
    miss_cost: float = Field(1.0, gt=0, allow_inf_nan=False)
    """For cost: how many false positives a missed row costs."""
    value: float = Field(0.5, gt=0, lt=1)
    """The threshold of the fixed policy, on calibrated probabilities."""
    folds: int = Field(0, ge=0)
    """Learn calibration and threshold on every row of train and validation, each scored by a model that was trained
    without its fold, and train the final model on all of them. Takes that many further trainings; 0 uses the
    validation part."""
    calibration: Literal["beta", "platt", "temperature", "none"] = "beta"
    """platt fits scale and offset of the logits on validation (Platt 1999); beta then fits a slope for either end
    of the scale (Kull et al., AISTATS 2017), where both classes have 20 rows or more. temperature fits the scale
    alone (arXiv 1706.04599); none takes raw sigmoid outputs."""

    @model_validator(mode="after")
    def _two_folds(self) -> ThresholdConfig:
        if self.folds == 1:
            raise ValueError("folds must be 0, or at least 2, got 1: one fold leaves nothing to train on")
        return self

    @model_validator(mode="after")
    def _numbers_are_read(self) -> ThresholdConfig:
        for name, policies in _READ_BY.items():
            given = getattr(self, name)
            if given != type(self).model_fields[name].default and self.policy not in policies:
                wanted = " or ".join(f"'{policy}'" for policy in policies)
                raise ValueError(
                    f"{name} = {given:g} is read with policy = {wanted} alone, got '{self.policy}': set that, or "
                    f"leave {name} out"
                )
        return self
