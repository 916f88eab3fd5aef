"""One bundle beside another on the same rows: paired differences, and how often one alone is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adaptox import bundle as bundles
from adaptox.adapt.judge import conversations, judge
from adaptox.config import Config
from adaptox.errors import ConfigError, nearest
from adaptox.evaluate import Comparison, Evaluation, McNemar, compare, holm, interval_json, mcnemar, slices_json
from adaptox.records import Example, Progress
from adaptox.scorers import Moderator

COMPARED = ("auprc", "f1", "recall_at_fpr_01")


@dataclass(frozen=True, slots=True)
class Against:
    """What another bundle makes of the rows, and what lies between the two.

    Attributes:
        name: of the other bundle.
        weights_sha256: hash of its weights.
        evaluation: of it, at its own threshold.
        differences: the judged bundle less this one, on the main slice.
        p_values: one a difference, corrected after Holm.
        decisions: on how many rows one of the two alone is right.
    """

    name: str
    weights_sha256: str
    evaluation: Evaluation
    differences: tuple[Comparison, ...]
    p_values: tuple[float, ...]
    decisions: McNemar

    def to_json(self) -> dict[str, object]:
        """Give what metrics.json holds of it."""
        differences = {
            one.metric: {**interval_json(one.difference), "p_holm": p_value, "verdict": one.verdict}
            for one, p_value in zip(self.differences, self.p_values, strict=True)
        }
        tested = self.decisions
        return {
            "name": self.name,
            "weights_sha256": self.weights_sha256,
            "threshold": {"value": self.evaluation.threshold, "origin": self.evaluation.origin},
            "slices": slices_json(self.evaluation),
            "differences": differences,
            "mcnemar": {"only_this": tested.only_first, "only_other": tested.only_second, "p": tested.p_value},
        }


def open_rival(folder: Path, config: Config) -> Moderator:
    """Open the bundle to compare with, and make sure that it decides what is asked.

    Raises:
        InputError: the bundle cannot be used, has no such label, or scores it without deciding.
    """
    moderator = Moderator.open(folder)
    manifest, target = moderator.bundle.manifest, config.label_set.target
    if target not in manifest.labels:
        raise ConfigError(f"the bundle {manifest.name} has no label {target!r}: {nearest(target, manifest.labels)}")
    if moderator.decider.threshold(target).value is None:
        raise ConfigError(f"the bundle {manifest.name} scores {target!r} and decides nothing by it: choose a label")
    return moderator


def set_against(
    rival: Moderator,
    ours: Evaluation,
    rows: Sequence[Example],
    config: Config,
    official: bool,
    progress: Progress,
) -> Against:
    """Let another bundle score the rows that one was judged on, and compare the two.

    Both are compared by the paired bootstrap over prompt families, each with its own reading, calibration and
    threshold.

    Args:
        rival: the other bundle.
        ours: how the first was judged.
        rows: on which.
        config: the label, resamples and seed.
        official: the rows are ToxicChat's test split.
        progress: told how many are scored.
    """
    scores = rival.scorer.score(conversations(rows), progress)
    theirs = judge(scores, rival.decider, rows, config, official)
    found = tuple(compare(ours, theirs, metric, config.evaluate.resamples, config.seed) for metric in COMPARED)
    manifest = rival.bundle.manifest
    return Against(
        manifest.name,
        manifest.files[bundles.WEIGHTS],
        theirs,
        found,
        holm([one.p_value for one in found]),
        mcnemar(ours, theirs),
    )
