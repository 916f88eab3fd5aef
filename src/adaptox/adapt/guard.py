"""The collapse guard: a model that decides nothing is not a result.

The study's LoRA-Full, Multi-Target-Full and LoRA-Multi-Full runs called every row non-toxic (its Table 3), and were
reported as models. Here such a run ends with the reason and what to change.
"""

from __future__ import annotations

from dataclasses import dataclass

from adaptox.config import LEARNING_RATES, Config
from adaptox.errors import CollapseError
from adaptox.evaluate import Evaluation
from adaptox.train import Fitted

# Policies by which a good model flags some rows and not all; a bound or a cost may rightly ask for that.
_FOR_F1 = ("expected-f1", "f1", "fixed")
# An AUROC below chance means the ranking is worse than none.
CHANCE = 1 / 2


@dataclass(frozen=True, slots=True)
class Collapse:
    """What is wrong with a trained model, and what to change."""

    reason: str
    advice: str

    def __str__(self) -> str:
        return f"{self.reason}. {self.advice}; or record it as it is with --resume --allow-collapse"


def check(validation: Evaluation, fitted: Fitted, config: Config, unread: str = "") -> Collapse | None:
    """Look for a collapse.

    Args:
        validation: of the trained network, at the threshold that its own scores came to.
        fitted: how training went.
        config: says whether a collapse is allowed, and names the learning rates in the advice.
        unread: what training left unread, said first in the advice: `cut.first_cause`.

    Returns:
        The collapse, if there is one and it is allowed.

    Raises:
        CollapseError: there is one, and it is not allowed.
    """
    collapse = _find(validation, fitted, config, unread)
    if collapse and not config.train.allow_collapse:
        raise CollapseError(str(collapse))
    return collapse


def _find(validation: Evaluation, fitted: Fitted, config: Config, unread: str) -> Collapse | None:
    adapter, train = config.adapter, config.train
    rates = (
        f"train.learning_rate is {train.learning_rate:g} and train.head_learning_rate "
        f"{train.head_learning_rate:g} over {fitted.steps} steps"
    )
    more = (
        "raise train.learning_rate or train.epochs"
        if adapter.kind == "none"
        else f"an adapter needs about {LEARNING_RATES[adapter.kind]:g} (raise train.learning_rate)"
    )
    head_trains = adapter.kind == "none" or adapter.train_head
    if head_trains and not fitted.head_moved:
        return Collapse("The head's weights did not move in training", f"{rates}: {more}")
    auroc = validation.main.metrics["auroc"].value
    if auroc < CHANCE:
        return Collapse(
            f"Validation AUROC is {auroc:.3f}, below chance",
            f"{unread}{rates}: {more}, keep base.warm_start = true, and check that 1 means {validation.label} "
            "in every part of the data",
        )
    if config.threshold.policy not in _FOR_F1:
        return None
    flagged = int((validation.rows.probs >= validation.threshold).sum())
    if flagged in (0, len(validation.rows.probs)):
        return Collapse(
            f"Every one of the {len(validation.rows.probs)} validation rows is called "
            f"{'positive' if flagged else 'negative'} at the threshold {validation.threshold:.3g}",
            f"{unread}{rates}: {more}, or learn the threshold with threshold.policy = 'f1'",
        )
    return None
