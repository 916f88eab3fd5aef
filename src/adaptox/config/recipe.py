"""What `adaptox train DATA` trains by: the best recipe known, where it is not the defaults.

A setting's default is its plain, quick value, so that a study varies one thing at a time; a user who names data
alone wants the best that is known. configs/best.toml holds the same from a base that comments came before, with
ToxicChat's split; docs/LOG.md says what each of them gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from adaptox.config.reading import override
from adaptox.config.sections import Config

START = "minilm-prompts"
"""Name of the base that is MiniLM taught by the embedded prompts: made when it is first used, and kept."""

PLAIN_BASE: Mapping[str, object] = MappingProxyType({"name": "minilm", "pooling": "mean"})
"""MiniLM as data named alone starts from it where a user asks for it: it was taught sentences by the mean of its
tokens, and not by its pooler, which needs more rows than most data has to become of use."""

RECIPE: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "base": {"name": START},
        # Patience counts evaluations, and ends no training with folds.
        "train": {"evaluations_per_epoch": 4, "average": 4, "patience": 8, "soup": 2},
        "threshold": {"folds": 3},
        "lexicon": {"grams": ["words", "characters"]},
    }
)

_LORA_KINDS = ("lora", "dora", "rslora")
# Queries, keys and values are enough where a pooler is trained beside them, which the mean does without.
_LORA_TARGETS = ("all-linear",)

START_DATA = ("embedded-prompts", "embedded-conversations")
"""What that base learned from; nothing that starts from it can be judged on these."""

# As configs/prompts.toml, from MiniLM.
START_RECIPE: Mapping[str, object] = MappingProxyType(
    {
        "name": START,
        "sources": [{"reader": reader} for reader in START_DATA],
        "prepare": {"test_fraction": 0.05, "validation_fraction": 0.05, "language": "any"},
        "base": {"name": "minilm"},
        "train": {"epochs": 3, "evaluations_per_epoch": 4, "average": 4, "patience": 8},
    }
)


def by_recipe(config: Config) -> Config:
    """Fill in what the recipe knows of MiniLM as it is, and of LoRA there, where a user chose these.

    Args:
        config: the recipe with changes; what they say stays as it is.
    """
    if config.base.name != PLAIN_BASE["name"]:
        return config
    changes: dict[str, Any] = {}
    if "pooling" not in config.base.model_fields_set:
        changes["base.pooling"] = PLAIN_BASE["pooling"]
    if config.adapter.kind in _LORA_KINDS and "targets" not in config.adapter.model_fields_set:
        changes["adapter.targets"] = _LORA_TARGETS
    return override(config, changes)
