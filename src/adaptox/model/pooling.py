"""What a head reads of a text: what its architecture gives it, or the mean of all tokens."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from adaptox.errors import BaseModelError

# The key of config.json that tells a bundle's reader; transformers passes unknown keys on.
_KEY = "adaptox_pooling"
_MEAN = "mean"


def ask_for_mean(config: PreTrainedConfig, name: str) -> None:
    """Note in a network's settings that its head reads the mean of the tokens (Sentence-BERT, arXiv 1908.10084).

    Args:
        config: changed in place; it is saved with the network.
        name: of the base, for the error.

    Raises:
        BaseModelError: an architecture whose head reads the first token from within.
    """
    if config.model_type == "modernbert":
        config.classifier_pooling = _MEAN
    elif config.model_type == "bert":
        setattr(config, _KEY, _MEAN)
    else:
        raise BaseModelError(
            f"base {name!r}: expected a base of type bert or modernbert for base.pooling = 'mean', got "
            f"{config.model_type!r}: set base.pooling = 'own'"
        )


def pooled(network: PreTrainedModel) -> PreTrainedModel:
    """Make a fresh or loaded network pool as its settings say.

    Args:
        network: changed in place: BERT's pooler goes, and with it its weights.
    """
    if _reads_mean(network):
        body: Any = network.base_model
        body.pooler = None
        body.register_forward_hook(_give_mean, with_kwargs=True)
    return network


def pooling_of(network: torch.nn.Module) -> str:
    """Tell what a network's head reads: `mean`, or `own`, what its architecture gives it."""
    return _MEAN if _reads_mean(network) else "own"


def has_pooler(network: PreTrainedModel, name: str) -> bool:
    """Tell whether a network has a module of its architecture's pooler left to train."""
    return bool(name) and not _reads_mean(network)


def _reads_mean(network: Any) -> bool:
    return getattr(network.config, _KEY, None) == _MEAN


def _give_mean(_: torch.nn.Module, __: Any, given: dict[str, Any], output: Any) -> Any:
    """Put the mean over the tokens of each text, (batch, hidden), where the pooler's output would stand."""
    hidden = output.last_hidden_state.float()  # a long sum, whatever autocast computes in
    mask = given.get("attention_mask")
    mask = torch.ones_like(hidden[..., :1]) if mask is None else mask.unsqueeze(-1)
    mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
    # Made anew, since the head takes what comes second.
    return type(output)(**{**output, "pooler_output": mean})
