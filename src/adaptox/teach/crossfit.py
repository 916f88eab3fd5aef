"""An ensemble as teacher: every row is scored by members that saw neither it nor its family.

A model that saw a row repeats its label, and a small model that learns from such scores learns nothing new. Scores
from folds tell what an ensemble makes of a row it does not know, doubts and doubtful labels included.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

import numpy as np

from adaptox import config as settings
from adaptox import text
from adaptox.config import Config, DistillConfig, Grams, LexiconConfig, cache_root
from adaptox.decide import fit_platt, logit
from adaptox.errors import ConfigError, DataError
from adaptox.lexicon import fit_part
from adaptox.records import WAITING, Example, FloatArray, IntArray, Progress
from adaptox.teach.folds import CrossFit, Held, folds_key, is_scored, split_folds
from adaptox.teach.values import MakeStart, Member, start_is_there

_SETTING = "teach.folds"
_SETTINGS = "settings"


@dataclass(frozen=True, slots=True)
class Crossfitted:
    """What an ensemble gave.

    Attributes:
        examples: the labelled rows.
        probs: (examples, labels), the ensemble's calibrated probabilities.
        members: each member's, and the ensemble's last.
    """

    examples: tuple[Example, ...]
    probs: FloatArray
    members: tuple[Member, ...]


def crossfit(
    config: Config, rows: Sequence[Example], progress: Progress, make_start: MakeStart = start_is_there
) -> Crossfitted:
    """Train every member on folds, and average their calibrated logits.

    Members are calibrated by Platt scaling on their own out-of-fold logits. What is finished is kept in adaptox's
    cache, so that the same call goes on after an interruption, and a member that is added costs no other.

    Args:
        config: `teach` names folds, seeds and members; the rest is the network of `settings`.
        rows: prepared; without the target label they only help the networks.
        progress: told how far it is.
        make_start: makes what a network starts from.

    Raises:
        ConfigError: a member that is neither known nor a settings file, or several processes.
        DataError: too few rows of a class, or none.
    """
    target = config.label_set.target
    labelled = tuple(row for row in rows if is_scored(row, target))
    fold_of = split_folds(labelled, config, config.teach.folds, _SETTING)
    _check_classes(labelled, config.labels)
    members = []
    for name, chosen in _members(config):
        if isinstance(chosen, Config):
            if int(os.environ.get("WORLD_SIZE", "1")) > 1:
                raise ConfigError("a crossfit teacher runs in one process: start it without torchrun")
            make_start(chosen, progress)
            logits = _networks(chosen, rows, labelled, progress)
        else:
            logits = _words(config, chosen, labelled, fold_of)
        members.append(Member(name, _calibrated(logits, labelled, config.labels)))
    mean = np.mean([logit(member.probs) for member in members], axis=0)
    ensemble = Member("ensemble", _calibrated(mean, labelled, config.labels))
    return Crossfitted(labelled, ensemble.probs, (*members, ensemble))


def _check_classes(labelled: Sequence[Example], labels: Sequence[str]) -> None:
    """Refuse, before anything is trained, a label that nothing can be calibrated on."""
    for label in labels:
        found = sorted({row.labels[label] for row in labelled if label in row.labels})
        if len(found) < 2:
            came = f"those of {found[0]}" if found else "none"
            raise DataError(
                f"expected rows of both classes of {label!r}, got {came}: leave it out of labels, or give more data"
            )


def bases(config: Config) -> list[str]:
    """Name what the networks of an ensemble start from, each once.

    Raises:
        ConfigError: a member that is neither known nor a settings file.
    """
    return list(dict.fromkeys(one.base.name for _, one in _members(config) if isinstance(one, Config)))


def _members(config: Config) -> list[tuple[str, Config | Grams]]:
    """Lay out the members: words once, networks once for each seed."""
    found: list[tuple[str, Config | Grams]] = []
    for name in config.teach.members:
        if name in get_args(Grams):
            found.append((name, cast(Grams, name)))
            continue
        network = _plain(config) if name == _SETTINGS else _plain(_from_file(name, config))
        for seed in config.teach.seeds:
            # The split stays that of the run, whatever the seed of the weights.
            prepare = network.prepare.model_copy(update={"seed": config.data_seed})
            found.append((f"{name}, seed {seed}", network.model_copy(update={"seed": seed, "prepare": prepare})))
    if len({name for name, _ in found}) < len(found):
        raise ConfigError("teach.members and teach.seeds name a member twice: each counts once")
    return found


def _plain(config: Config) -> Config:
    """Train on labels alone: a teacher's teacher would hand on what it saw."""
    return config.model_copy(update={"distill": DistillConfig(), "lexicon": LexiconConfig()})


def _from_file(name: str, config: Config) -> Config:
    if not Path(name).is_file():
        known = ", ".join((*get_args(Grams), _SETTINGS))
        raise ConfigError(f"teach.members: expected {known} or a settings file, got {name!r}, which is no file")
    other = settings.load(Path(name))
    tables = {table: getattr(other, table) for table in ("base", "adapter", "loss", "train", "encode")}
    return config.model_copy(update=tables)


def _networks(
    config: Config, rows: Sequence[Example], labelled: Sequence[Example], progress: Progress
) -> FloatArray:
    plain = [replace(row, teacher={}) for row in rows]
    folder = cache_root() / "crossfit" / folds_key(config, config.teach.folds, plain)
    folds = CrossFit(config, config.teach.folds, _SETTING, folder, True, progress)
    # Another process that trains the same network writes the same checkpoints: who waited finds it finished.
    lock = folder.with_name(f"{folder.name}.lock")
    with settings.alone(lock, lambda on: progress(WAITING, int(not on), 1)):
        held = cast(Held, folds.score(rows))  # None in helper processes alone
    position = {row.id: index for index, row in enumerate(held.examples)}
    order = [position[row.id] for row in labelled]
    columns = [held.scores.column(label)[order] for label in config.labels]
    return np.stack(columns, axis=1)


def _words(config: Config, grams: Grams, labelled: Sequence[Example], fold_of: IntArray) -> FloatArray:
    texts = np.array([text.render(row.conversation, config.text).text for row in labelled], dtype=object)
    known = np.array([[label in row.labels for label in config.labels] for row in labelled])
    truth = np.array([[row.labels.get(label) == 1 for label in config.labels] for row in labelled])
    weights = np.array([row.weight for row in labelled])
    logits = np.zeros(truth.shape)
    for fold in range(config.teach.folds):
        held, rest = fold_of == fold, fold_of != fold
        for column, label in enumerate(config.labels):
            seen = truth[rest & known[:, column], column]
            if seen.all() or not seen.any():
                raise DataError(
                    f"a fold without both classes of {label!r} teaches nothing: lower {_SETTING}, or give more data"
                )
        part = fit_part(texts[rest].tolist(), truth[rest], known[rest], weights[rest], grams, config.seed)
        logits[held] = part.score(texts[held].tolist())
    return logits


def _calibrated(logits: FloatArray, labelled: Sequence[Example], labels: Sequence[str]) -> FloatArray:
    probs = np.empty_like(logits)
    for column, label in enumerate(labels):
        known = np.array([label in row.labels for row in labelled])
        truth = np.array([row.labels.get(label) == 1 for row in labelled])
        probs[:, column] = fit_platt(logits[known, column], truth[known]).probs(logits[:, column])
    return probs
