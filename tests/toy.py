"""A toy problem that a tiny base learns in a second: texts with a rude word among mild ones."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from adaptox import config as settings
from adaptox import model, train
from adaptox.config import Config
from adaptox.encode import Encoder
from adaptox.records import Conversation, Example, Progress, silent
from adaptox.train import Fitted

MILD = ("please", "write", "story", "hello", "the", "you", "are", "user")
RUDE = ("idiot", "stupid", "hate")


def examples(count: int, seed: int) -> list[Example]:
    """Make examples of 2 to 12 words, every third with a rude one."""
    chance = random.Random(seed)
    made = []
    for position in range(count):
        words = [chance.choice(MILD) for _ in range(chance.randint(2, 12))]
        rude = position % 3 == 0
        if rude:
            words[chance.randrange(len(words))] = chance.choice(RUDE)
        made.append(Example(f"{seed}-{position}", Conversation.of(" ".join(words)), {"toxicity": int(rude)}))
    return made


TRAIN, VALIDATION = examples(96, seed=0), examples(48, seed=1)


@dataclass(frozen=True)
class Toy:
    """A toy training: what it learns with, and how it went."""

    config: Config
    encoder: Encoder
    network: torch.nn.Module
    fitted: Fitted


def config_of(base: Path, **changes: Any) -> Config:
    """Make settings for a tiny base; changes as in `override`, with two underscores for each dot."""
    plain = settings.parse(
        {
            "base": {"name": str(base)},
            "encode": {"max_tokens": 32, "stride": 0},
            "train": {"epochs": 3, "learning_rate": 1e-2, "batch_size": 8, "precision": "fp32"},
        }
    )
    return settings.override(plain, {key.replace("__", "."): value for key, value in changes.items()})


# Updates of a toy training.
STEPS, STEPS_PER_EPOCH = 36, 12


def fit(
    base: Path,
    folder: Path,
    resume: bool = False,
    progress: Progress = silent,
    learnt: Sequence[Example] = TRAIN,
    held: Sequence[Example] = VALIDATION,
    **changes: Any,
) -> Toy:
    """Train a fresh network on the toy problem."""
    config = config_of(base, **changes)
    loaded = model.load_base(config.base, config.outputs, config.seed)
    encoder = Encoder(loaded.tokenizer, loaded.pad_token_id, config.encode, config.text, loaded.max_positions)
    torch.manual_seed(config.seed)
    network = model.attach(loaded.network, config.adapter)
    fitted = train.fit(network, encoder, learnt, held, config, folder, resume, progress)
    return Toy(config, encoder, network, fitted)
