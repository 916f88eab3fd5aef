"""The collapse guard: a model that decides nothing is not a result.

The study's LoRA-Full, Multi-Target-Full and LoRA-Multi-Full runs called every row non-toxic (its Table 3), and were
reported as models. Here such a run ends with the reason and what to change.
"""

from __future__ import annotations

from dataclasses import dataclass

from adaptox.config import Config
from adaptox.evaluate import Evaluation
from adaptox.train import Fitted

# An AUROC below chance means the ranking is worse than none.
CHANCE = 1 / 2


@dataclass(frozen=True, slots=True)
class Collapse:
    """What is wrong with a trained model, and what to change."""

    reason: str
    advice: str

    def __str__(self) -> str:
        return f"{self.reason}. {self.advice}; or record it as it is with --allow-collapse"


def find(validation: Evaluation, fitted: Fitted, config: Config) -> Collapse | None:
    """Look for a collapse.

    Args:
        validation: of the trained model, at the threshold it will be used with.
        fitted: how training went.
        config: names the learning rates in the advice.
    """
    rates = (
        f"train.learning_rate is {config.train.learning_rate:g} and "
        f"train.head_learning_rate {config.train.head_learning_rate:g} over {fitted.steps} steps"
    )
    more = (
        "an adapter needs about 1e-3 (raise train.learning_rate)"
        if config.adapter.kind != "none"
        else "raise train.learning_rate or train.epochs"
    )
    if config.adapter.train_head and not fitted.head_moved:
        return Collapse("the head's weights did not move in training", f"{rates}: {more}")
    auroc = validation.main.metrics["auroc"].value
    if auroc < CHANCE:
        return Collapse(
            f"validation AUROC is {auroc:.3f}, below chance",
            f"{rates}: {more}, keep base.warm_start = true, and check that 1 means {config.labels[0]} in the data",
        )
    flagged = int((validation.rows.probs >= validation.threshold).sum())
    if flagged in (0, len(validation.rows.probs)):
        which = "positive" if flagged else "negative"
        return Collapse(
            f"every one of the {len(validation.rows.probs)} validation rows is called {which} "
            f"at the threshold {validation.threshold:.3g}",
            f"{rates}: {more}, or use threshold.policy = 'f1'",
        )
    return None
