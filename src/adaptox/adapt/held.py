"""The rows that calibration and thresholds are learned on, scored by models that did not see them.

Usually that is the validation part, which also chooses the weights. With `threshold.folds` every row of train and
validation is scored by a model that was trained without its fold (cross-fitting, also known as out-of-fold
prediction), and the final model is trained on all of them: no row is lost to training, and thresholds hang on all
positives, not on a seventh of them. The weights are then those of the last checkpoints, since nothing is left that
could choose.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedGroupKFold

from adaptox import model, train
from adaptox.adapt.judge import conversations
from adaptox.config import Config
from adaptox.encode import Encoder
from adaptox.errors import DataError, storage_errors
from adaptox.prepare import Prepared
from adaptox.records import Example, IntArray, Progress, Scores
from adaptox.scorers import TorchScorer
from adaptox.train import Fitted

# What the Trainer is given to watch where nothing is chosen by it: so many rows of each class.
_WATCHED = 16
_NEVER = 10**6


@dataclass(frozen=True, slots=True)
class Held:
    """Rows with scores of models that did not see them, and the seconds that took beside the final training."""

    examples: tuple[Example, ...]
    scores: Scores
    wall_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Trained:
    """How the final training went, and the rows that were held out: None in all but the main process."""

    fitted: Fitted
    held: Held | None


def train_and_hold(
    config: Config,
    parts: Prepared,
    network: torch.nn.Module,
    encoder: Encoder,
    folder: Path,
    resume: bool,
    progress: Progress,
) -> Trained:
    """Train a network in place, and score the rows that it, or its folds' networks, did not see.

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
    main = train.is_main_process()
    if not config.threshold.folds:
        fitted = train.fit(network, encoder, parts.train, parts.validation, config, folder, resume, progress)
        held = _score(network, encoder, parts.validation, config, progress) if main else None
        return Trained(fitted, held)
    pooled = (*parts.train, *parts.validation)
    last = {"keep_best": False, "patience": _NEVER}
    settled = config.model_copy(update={"train": config.train.model_copy(update=last)})
    held = _cross_fit(settled, pooled, encoder, folder, resume, progress)
    fitted = train.fit(network, encoder, pooled, _few(pooled, config), settled, folder, resume, progress)
    return Trained(_told(fitted, held, config) if held else fitted, held)


def _cross_fit(
    config: Config, pooled: Sequence[Example], encoder: Encoder, folder: Path, resume: bool, progress: Progress
) -> Held | None:
    """Score every labelled row by a model that was trained without its fold."""
    target = config.label_set.target
    labelled = [example for example in pooled if target in example.labels]
    others = [example for example in pooled if target not in example.labels]
    fold_of = _folds(labelled, config)
    found: list[Held] = []
    for fold in range(config.threshold.folds):
        held = [example for example, own in zip(labelled, fold_of, strict=True) if own == fold]
        families = {example.group for example in held}
        rest = [example for example, own in zip(labelled, fold_of, strict=True) if own != fold]
        rest += [example for example in others if example.group not in families]
        scored = _fold(config, fold, rest, held, encoder, folder, resume, progress)
        found += [scored] if scored else []
    if not found:
        return None
    parts = [one.scores for one in found]
    scores = Scores(
        parts[0].labels,
        np.concatenate([one.logits for one in parts]),
        np.concatenate([one.windows for one in parts]),
        np.concatenate([one.truncated for one in parts]),
    )
    examples = tuple(example for one in found for example in one.examples)
    return Held(examples, scores, sum(one.wall_s for one in found))


def _fold(
    config: Config,
    fold: int,
    rest: Sequence[Example],
    held: Sequence[Example],
    encoder: Encoder,
    folder: Path,
    resume: bool,
    progress: Progress,
) -> Held | None:
    place = folder / f"fold-{fold}"
    file = folder / f"fold-{fold}.npz"
    if not (resume and file.is_file()):
        base = model.load_base(config.base, config.outputs, config.seed)
        network = model.attach(base.network, config.adapter, config.seed)
        fitted = train.fit(network, encoder, rest, _few(held, config), config, place, resume, progress)
        if not train.is_main_process():
            return None
        scored = _score(network, encoder, held, config, progress)
        _write(file, scored.scores, fitted.wall_s)
        shutil.rmtree(place, ignore_errors=True)
    if not train.is_main_process():
        return None
    with np.load(file) as kept:
        scores = Scores(config.outputs.names, kept["logits"], kept["windows"], kept["truncated"])
        return Held(tuple(held), scores, float(kept["wall_s"]))


def _folds(labelled: Sequence[Example], config: Config) -> IntArray:
    """Give every row its fold: stratified, and families whole unless the settings split them."""
    folds, target = config.threshold.folds, config.label_set.target
    truth = [example.labels[target] for example in labelled]
    whole = config.prepare.group == "family"
    groups = [example.group if whole else example.id for example in labelled]
    for value in (0, 1):
        there = len({group for group, own in zip(groups, truth, strict=True) if own == value})
        if there < folds:
            raise DataError(
                f"threshold.folds = {folds} needs as many families of rows with {target} = {value}, got {there}: "
                "lower it, or give more data"
            )
    fold_of = np.empty(len(labelled), dtype=np.int64)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=config.data_seed)
    for fold, (_, held) in enumerate(splitter.split(truth, truth, groups)):
        fold_of[held] = fold
    return fold_of


def _score(
    network: torch.nn.Module, encoder: Encoder, rows: Sequence[Example], config: Config, progress: Progress
) -> Held:
    scorer = TorchScorer(model.merge(network), encoder, config.outputs.names)
    return Held(tuple(rows), scorer.score(conversations(rows), progress))


def _few(rows: Sequence[Example], config: Config) -> list[Example]:
    target = config.label_set.target
    return [row for value in (0, 1) for row in [r for r in rows if r.labels.get(target) == value][:_WATCHED]]


def _told(fitted: Fitted, held: Held, config: Config) -> Fitted:
    """Say of the training what is true: what it watched was no validation."""
    target = config.label_set.target
    history = tuple(entry for entry in fitted.history if not any(key.startswith("eval_") for key in entry))
    truth = [example.labels[target] for example in held.examples]
    auprc = float(average_precision_score(truth, held.scores.column(target)))
    return replace(fitted, history=history, best_auprc=auprc, wall_s=fitted.wall_s + held.wall_s)


def _write(file: Path, scores: Scores, wall_s: float) -> None:
    temporary = file.with_name(f".{file.name}.part")
    with storage_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            np.savez(
                stream, logits=scores.logits, windows=scores.windows, truncated=scores.truncated, wall_s=wall_s
            )
        os.replace(temporary, file)
