"""Several trainings → one network: a model soup (Wortsman et al., arXiv 2203.05482).

Trainings from one start that differ in the order of rows and in dropout tend to end in one basin. The mean of their
weights is then steadier than any of them, at the cost of one of them in use; it is no ensemble, which gains more.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from transformers import PreTrainedModel

from adaptox import model
from adaptox.config import Config
from adaptox.encode import Encoder
from adaptox.records import Example, Progress, silent
from adaptox.train.fitting import Fitted, fit

# Between the seeds of a soup's members, so that soups of neighbouring seeds share none.
_STRIDE = 1_000_003
_SEEDS = 2**31


def fit_soup(
    network: torch.nn.Module,
    encoder: Encoder,
    train: Sequence[Example],
    validation: Sequence[Example],
    config: Config,
    folder: Path,
    resume: bool = False,
    progress: Progress = silent,
) -> tuple[PreTrainedModel, Fitted]:
    """Train `config.train.soup` copies of a network, as `fit` does, and take the mean of their weights.

    Args:
        network: from `model.attach`; trained itself if the soup has one member, else left as it was.
        encoder: tokenises the examples.
        train: learnt from.
        validation: chooses each member's checkpoint, and when it stops.
        config: the run's settings.
        folder: holds the checkpoints, of each member in a folder of its own.
        resume: go on with what is there.
        progress: told after each step of a member.

    Returns:
        The plain classifier, adapters merged into its weights; and how it went: seconds, steps and rows of all
        members, the log and best step of the first, the mean of the best validation AUPRCs.

    Raises:
        InputError: as `fit`.
        RunError: as `fit`.
    """
    if config.train.soup == 1:
        fitted = fit(network, encoder, train, validation, config, folder, resume, progress)
        return model.merge(network), fitted
    merged, fits = [], []
    for member in range(config.train.soup):
        own = copy.deepcopy(network)
        seeded = config.model_copy(update={"seed": (config.seed + member * _STRIDE) % _SEEDS})
        place = folder / f"member-{member}"
        fits.append(fit(own, encoder, train, validation, seeded, place, resume, progress))
        merged.append(model.merge(own))
    return _mean(merged), _together(fits)


def _mean(networks: Sequence[PreTrainedModel]) -> PreTrainedModel:
    """Put the mean of all weights into the first network."""
    first, states = networks[0], [network.state_dict() for network in networks]
    first.load_state_dict(
        {
            name: torch.stack([state[name] for state in states]).mean(0) if tensor.is_floating_point() else tensor
            for name, tensor in states[0].items()
        }
    )
    return first


def _together(fits: Sequence[Fitted]) -> Fitted:
    wall_s = sum(one.wall_s for one in fits)
    return replace(
        fits[0],
        wall_s=wall_s,
        rows_per_s=sum(one.rows_per_s * one.wall_s for one in fits) / wall_s if wall_s else 0.0,
        steps=sum(one.steps for one in fits),
        best_auprc=sum(one.best_auprc for one in fits) / len(fits),
        peak_memory_mb=max(one.peak_memory_mb for one in fits),
        head_moved=all(one.head_moved for one in fits),
    )
