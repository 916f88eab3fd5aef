"""The rows that calibration and thresholds are learned on, scored by models that did not see them.

Usually that is the validation part, which also chooses the weights. With `threshold.folds` every row of train and
validation is scored by a model that was trained without its fold, and the final model is trained on all rows. Its
weights are those of the last checkpoints, since nothing is left that could choose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from sklearn.metrics import average_precision_score
from transformers import PreTrainedModel

from adaptox import train
from adaptox.adapt.judge import conversations
from adaptox.config import Config
from adaptox.encode import Encoder
from adaptox.errors import ConfigError, DataError, nearest
from adaptox.prepare import Prepared
from adaptox.records import Example, Progress
from adaptox.scorers import TorchScorer
from adaptox.teach import CrossFit, Held, lay_out_folds, settled, watched
from adaptox.train import Fitted


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of it.

    Attributes:
        network: the plain classifier.
        fitted: how the final training went.
        held: the rows that were held out; None in all but the main process.
    """

    network: PreTrainedModel
    fitted: Fitted
    held: Held | None


def check_settings(config: Config) -> None:
    """Refuse, before anything is read, what cannot be trained: as `train.check`, and folds of a balanced sample.

    Raises:
        ConfigError: what, and what to set.
    """
    train.check(config.train)
    if config.threshold.folds and config.prepare.sample == "balanced":
        raise ConfigError(
            "threshold.folds learns calibration on the rows that are trained on, where prepare.sample = 'balanced' "
            "makes positives too frequent: set threshold.folds = 0, or prepare.sample = 'all'"
        )


def check_rows(config: Config, parts: Prepared) -> None:
    """Make sure, before a folder is touched, that training will find the rows that it needs.

    Raises:
        DataError: fewer families of a class than folds, a label that no row has, or no row with a teacher's score
            that is to be learned.
    """
    learned = (*parts.train, *parts.validation) if config.threshold.folds else parts.train
    known = {label for row in learned for label in row.labels}
    unknown = [label for label in config.labels if label not in (*known, *config.distill.targets)]
    if unknown:
        raise DataError(
            f"no row to learn from has the label {unknown[0]!r}, so its output would be chance: "
            f"{nearest(unknown[0], known)}; name its column in columns.labels, or leave it out of labels"
        )
    if config.threshold.folds:
        lay_out_folds(learned, config, config.threshold.folds, "threshold.folds")
    train.fit_scales(learned, config.distill)


def train_and_hold(
    config: Config,
    parts: Prepared,
    network: torch.nn.Module,
    encoder: Encoder,
    folder: Path,
    resume: bool,
    progress: Progress,
) -> Trained:
    """Train a network, and score the rows that it, or its folds' networks, did not see.

    Args:
        config: the run's settings.
        parts: the prepared data.
        network: from `model.attach`.
        encoder: of the run.
        folder: for checkpoints.
        resume: go on with what is there.
        progress: told how far it is.

    Raises:
        InputError: as `train.fit`; or fewer positives than folds.
        RunError: as `train.fit`.
    """
    if not config.threshold.folds:
        merged, fitted = train.fit_soup(
            network, encoder, parts.train, parts.validation, config, folder, resume, progress
        )
        main = train.is_main_process()
        held = _score(merged, encoder, parts.validation, config, progress) if main else None
        return Trained(merged, fitted, held)
    pooled = (*parts.train, *parts.validation)
    crossfit = CrossFit(config, config.threshold.folds, "threshold.folds", folder, resume, progress)
    held = crossfit.score(pooled)
    few = watched(pooled, config.label_set.target)
    merged, fitted = train.fit_soup(network, encoder, pooled, few, settled(config), folder, resume, progress)
    return Trained(merged, _told(fitted, held, config) if held else fitted, held)


def _score(
    network: PreTrainedModel, encoder: Encoder, rows: Sequence[Example], config: Config, progress: Progress
) -> Held:
    scorer = TorchScorer(network, encoder, config.outputs.names)
    return Held(tuple(rows), scorer.score(conversations(rows), progress))


def _told(fitted: Fitted, held: Held, config: Config) -> Fitted:
    """Say of the training what is true: what it watched was no validation."""
    target = config.label_set.target
    history = tuple(entry for entry in fitted.history if not any(key.startswith("eval_") for key in entry))
    truth = [example.labels[target] for example in held.examples]
    auprc = float(average_precision_score(truth, held.scores.column(target)))
    return replace(fitted, history=history, best_auprc=auprc, wall_s=fitted.wall_s + held.wall_s)
