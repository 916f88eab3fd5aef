"""Rows → scores by networks that did not see them: cross-fitting, also known as out-of-fold prediction.

Every row is scored by a network that was trained without its fold. No row is lost to training, and what is learnt
from the scores, a threshold or a smaller model, hangs on all positives.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from adaptox import bundle as bundles
from adaptox import model, train
from adaptox.config import Config
from adaptox.errors import DataError, storage_errors
from adaptox.prepare import largest_in_class
from adaptox.records import Example, IntArray, Progress, Scores
from adaptox.scorers import TorchScorer

# What the Trainer is given to watch where nothing is chosen by it: so many rows of each class.
_WATCHED = 16
_NEVER = 10**6


@dataclass(frozen=True, slots=True)
class Held:
    """Rows with scores of networks that did not see them, and the seconds that took."""

    examples: tuple[Example, ...]
    scores: Scores
    wall_s: float = 0.0


def settled(config: Config) -> Config:
    """Give the settings of a training whose length is fixed: nothing is left that could choose a checkpoint."""
    fixed = {"keep_best": False, "patience": _NEVER}
    return config.model_copy(update={"train": config.train.model_copy(update=fixed)})


def is_scored(row: Example, target: str) -> bool:
    """Tell whether cross-fitting scores a row: it has the target label, and may do more than help training."""
    return target in row.labels and not row.only_train


def watched(rows: Sequence[Example], target: str) -> list[Example]:
    """Give a few rows of each class, for a Trainer that needs some to watch."""
    return [row for value in (0, 1) for row in [r for r in rows if r.labels.get(target) == value][:_WATCHED]]


def split_folds(rows: Sequence[Example], config: Config, folds: int, setting: str) -> IntArray:
    """Give every row its fold: stratified, and families whole unless the settings split them.

    Args:
        rows: with a known target label.
        config: target label, grouping and seed.
        folds: how many.
        setting: what an error calls that number.

    Returns:
        (rows,), the number of each row's fold.

    Raises:
        DataError: fewer families of a class than folds.
    """
    target = config.label_set.target
    truth = [row.labels[target] for row in rows]
    groups = [(row.group if config.prepare.group == "family" else "") or row.id for row in rows]
    for value in (0, 1):
        there = len({group for group, own in zip(groups, truth, strict=True) if own == value})
        if there < folds:
            whole = config.prepare.group == "family"
            large = largest_in_class(rows, target, value, folds) if whole else ""
            raise DataError(
                f"{setting} = {folds} needs as many families of rows with {target} = {value}, got {there}: "
                f"{large or 'lower it, or give more data'}"
            )
    fold_of = np.empty(len(rows), dtype=np.int64)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=config.data_seed)
    for fold, (_, held) in enumerate(splitter.split(truth, truth, groups)):
        fold_of[held] = fold
    return fold_of


@dataclass(frozen=True, slots=True)
class Fold:
    """Rows that are left out, and those that are learned from meanwhile."""

    held: tuple[Example, ...]
    rest: tuple[Example, ...]


def lay_out_folds(rows: Sequence[Example], config: Config, folds: int, setting: str) -> tuple[Fold, ...]:
    """Give the folds: every row that `is_scored` is left out once; others are learned from unless kin is left out.

    Raises:
        DataError: fewer families of a class than folds.
    """
    target = config.label_set.target
    labelled = [row for row in rows if is_scored(row, target)]
    others = [row for row in rows if not is_scored(row, target)]
    fold_of = split_folds(labelled, config, folds, setting)
    found = []
    for fold in range(folds):
        held = tuple(row for row, own in zip(labelled, fold_of, strict=True) if own == fold)
        families = {row.group for row in held}
        rest = [row for row, own in zip(labelled, fold_of, strict=True) if own != fold]
        rest += [row for row in others if row.group not in families]
        found.append(Fold(held, tuple(rest)))
    return tuple(found)


def folds_key(config: Config, folds: int, rows: Sequence[Example]) -> str:
    """Name what a cross-fit's scores depend on: settings, version, the base's weights, and the rows in order.

    Args:
        config: of the networks.
        folds: how many.
        rows: as they are given to `CrossFit.score`.

    Raises:
        BundleError: the base is a bundle, and damaged.
    """
    read = config.model_dump(mode="json", exclude={"name", "teach", "sources", "evaluate", "threshold", "lexicon"})
    content = [
        [
            row.id,
            row.conversation.messages(),
            dict(sorted(row.labels.items())),
            dict(sorted(row.teacher.items())),
            row.group,
            row.only_train,
            row.weight,
        ]
        for row in rows
    ]
    weights = _weights(model.place_of(config.base.name))
    whole = json.dumps([version("adaptox"), read, folds, weights, content], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()[:32]


def _weights(base: Path) -> list[str]:
    """Hash a base that is a folder; any other is known by its name."""
    if (base / bundles.MANIFEST).is_file():
        return [bundles.load(base).manifest.sha256]
    files = sorted(file for file in base.glob("*") if file.is_file()) if base.is_dir() else []
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


@dataclass(frozen=True, slots=True)
class CrossFit:
    """Trains one network for each fold.

    Attributes:
        config: of the networks; their length is fixed, as by `settled`.
        folds: how many.
        setting: what an error calls that number.
        folder: for checkpoints, and for the scores of folds that are finished.
        resume: go on with what is there.
        progress: told how far it is.
    """

    config: Config
    folds: int
    setting: str
    folder: Path
    resume: bool
    progress: Progress

    def score(self, rows: Sequence[Example]) -> Held | None:
        """Score every row that `is_scored`, fold by fold.

        Returns:
            The labelled rows, fold by fold; None in all but the main process.

        Raises:
            InputError: as `train.fit`; or fewer families of a class than folds.
            RunError: as `train.fit`.
        """
        folds = lay_out_folds(rows, self.config, self.folds, self.setting)
        scored = [self._fold(number, fold.rest, fold.held) for number, fold in enumerate(folds)]
        found = [one for one in scored if one]
        return _joined(found) if found else None

    def _fold(self, fold: int, rest: Sequence[Example], held: Sequence[Example]) -> Held | None:
        place, file = self.folder / f"fold-{fold}", self.folder / f"fold-{fold}.npz"
        if not (self.resume and file.is_file()):
            config = settled(self.config)
            base = model.load_base(config.base, config.outputs, config.seed)
            base = model.with_prompt(base, config.adapter, config.seed)
            encoder = train.encoder_for(base, config)
            network = model.attach(base.network, config.adapter, config.seed, base.prompt)
            few = watched(held, config.label_set.target)
            merged, fitted = train.fit_soup(network, encoder, rest, few, config, place, self.resume, self.progress)
            if not train.is_main_process():
                return None
            scorer = TorchScorer(merged, encoder, config.outputs.names)
            _write(file, scorer.score([row.conversation for row in held], self.progress), fitted.wall_s)
            shutil.rmtree(place, ignore_errors=True)
        if not train.is_main_process():
            return None
        with np.load(file) as kept:
            scores = Scores(self.config.outputs.names, kept["logits"], kept["windows"], kept["truncated"])
            return Held(tuple(held), scores, float(kept["wall_s"]))


def _joined(parts: Sequence[Held]) -> Held:
    scores = Scores(
        parts[0].scores.labels,
        np.concatenate([part.scores.logits for part in parts]),
        np.concatenate([part.scores.windows for part in parts]),
        np.concatenate([part.scores.truncated for part in parts]),
    )
    examples = tuple(example for part in parts for example in part.examples)
    return Held(examples, scores, sum(part.wall_s for part in parts))


def _write(file: Path, scores: Scores, wall_s: float) -> None:
    temporary = file.with_name(f".{file.name}.part")
    with storage_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            np.savez(
                stream, logits=scores.logits, windows=scores.windows, truncated=scores.truncated, wall_s=wall_s
            )
        os.replace(temporary, file)
