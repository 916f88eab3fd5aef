"""What `adaptox train DATA` trains by: the best recipe known, where it is not the defaults.

A setting's default is its plain, quick value, so that a study varies one thing at a time; a user who names data
alone wants the best that is known. configs/best.toml holds the same from a base that comments came before, with
ToxicChat's split; docs/LOG.md says what each of them gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

START = "minilm-prompts"
"""Name of the base that is MiniLM taught by the embedded prompts: made when it is first used, and kept."""

PLAIN_BASE: Mapping[str, object] = MappingProxyType({"name": "minilm", "pooling": "mean"})
"""MiniLM as the recipe starts from it: it was taught sentences by the mean of its tokens, and not by its pooler."""

RECIPE: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "base": {"name": START},
        # Patience counts evaluations, and ends no training with folds.
        "train": {"evaluations_per_epoch": 4, "average": 4, "patience": 8},
        "threshold": {"folds": 3},
        "lexicon": {"grams": ["words", "characters"]},
    }
)

START_DATA = ("embedded-prompts", "embedded-conversations")
"""What that base learned from; nothing that starts from it can be judged on these."""

# As configs/prompts.toml, from MiniLM.
START_RECIPE: Mapping[str, object] = MappingProxyType(
    {
        "name": START,
        "sources": [{"reader": reader} for reader in START_DATA],
        "prepare": {"test_fraction": 0.05, "validation_fraction": 0.05, "language": "any"},
        "base": PLAIN_BASE,
        "train": {"epochs": 3, "evaluations_per_epoch": 4, "average": 4, "patience": 8},
    }
)
