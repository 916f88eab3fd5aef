"""A note where adapting made a model worse than the base that it started from."""

from __future__ import annotations

from dataclasses import replace

from adaptox.config import Config
from adaptox.evaluate import compare
from adaptox.report import RunStory
from adaptox.report.phrases import METRIC_WORDS, signed, signed_bracket

_COMPARED = ("auprc", "f1")


def told_if_worse(story: RunStory, config: Config) -> RunStory:
    """Put a note first where the base was better on the same rows by more than luck; else change nothing.

    A metric counts where the interval of the paired difference lies below zero, each model at its own threshold.

    Args:
        story: of the run; without a baseline there is nothing to compare with.
        config: how many resamples, and the seed of the draws.
    """
    after, before = story.evaluation, story.baseline
    if before is None:
        return story
    found = [compare(after, before, metric, config.evaluate.resamples, config.seed) for metric in _COMPARED]
    lost = [
        f"{METRIC_WORDS[one.metric]} {signed(one.difference.value)} {signed_bracket(one.difference)}"
        for one in found
        if one.verdict == "worse"
    ]
    if not lost:
        return story
    note = (
        f"The adapted model is worse than its base on the same rows: {', '.join(lost)}. Keep the base, or train on "
        "more rows, with a lower train.learning_rate or an adapter."
    )
    return replace(story, notes=(note, *story.notes))
