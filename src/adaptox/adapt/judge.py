"""Scores + decider → evaluation; one path for a run's own test and for a bundle on other data."""

from __future__ import annotations

from collections.abc import Sequence

from adaptox.config import EvaluateConfig
from adaptox.decide import Decider
from adaptox.errors import DataError
from adaptox.evaluate import Evaluation, evaluate
from adaptox.records import Example, Progress, silent
from adaptox.scorers import Scorer


def judge(
    scorer: Scorer,
    decider: Decider,
    examples: Sequence[Example],
    config: EvaluateConfig,
    seed: int,
    official: bool,
    progress: Progress = silent,
) -> Evaluation:
    """Evaluate a scorer's target label.

    Args:
        scorer: scores the conversations.
        decider: calibrates them, and holds the threshold.
        examples: with families and, on a published test split, twins marked.
        config: resamples and confidence.
        seed: of the bootstrap.
        official: the rows are ToxicChat's test split as published, which has slices of its own.
        progress: told how many are scored.

    Raises:
        DataError: no example has a known target label.
    """
    label = decider.labels[0]
    labelled = [example for example in examples if label in example.labels]
    if not labelled:
        raise DataError(f"expected rows with the label {label!r} to evaluate on, got none: map its column")
    scores = scorer.score([example.conversation for example in labelled], progress)
    threshold = decider.threshold(label)
    return evaluate(
        labelled,
        decider.probs(scores.logits)[:, 0],
        label,
        threshold.value,
        threshold.origin,
        config,
        seed,
        official=official,
    )
