"""Logits → calibrated probabilities → decision.

A label's logits are divided by its temperature, moved by its offset, bent if it has a bend, squashed to
probabilities, and compared with its threshold. All are fitted on validation and stored in the bundle. This room
needs numpy and no more.
"""

from adaptox.decide.calibrate import (
    FEWEST_BENT,
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    Bend,
    Calibration,
    fit_beta,
    fit_platt,
    fit_temperature,
)
from adaptox.decide.decider import Decider, LabelThreshold
from adaptox.decide.fitting import fit
from adaptox.decide.policies import best_at_fpr, best_at_precision, best_at_recall, best_expected_f1, best_f1
from adaptox.decide.squash import logit, sigmoid

__all__ = [
    "FEWEST_BENT",
    "MAX_TEMPERATURE",
    "MIN_TEMPERATURE",
    "Bend",
    "Calibration",
    "Decider",
    "LabelThreshold",
    "best_at_fpr",
    "best_at_precision",
    "best_at_recall",
    "best_expected_f1",
    "best_f1",
    "fit",
    "fit_beta",
    "fit_platt",
    "fit_temperature",
    "logit",
    "sigmoid",
]
