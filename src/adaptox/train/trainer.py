"""The one Trainer subclass."""

from __future__ import annotations

from typing import Any

import torch
from transformers import Trainer

from adaptox.losses import Objective

# What a batch holds beside tokens, in the order that an objective takes it.
TARGETS = ("truth", "known", "soft", "soft_known")


class ModerationTrainer(Trainer):
    """transformers' Trainer with our loss; `compute_loss` is its only override.

    Args:
        objective: (logits, truth, known, soft, soft_known), each (batch, outputs) → scalar, a mean over the batch.
        options: everything that transformers' Trainer takes.
    """

    # The Trainer divides the mean of each batch by the number of batches that make up an update.
    loss_is_scaled_for_ga = False

    def __init__(self, objective: Objective, **options: Any) -> None:
        super().__init__(**options)
        self._objective = objective

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Compute the loss of one batch over what is known of it."""
        tokens = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        outputs = model(**tokens)
        loss = self._objective(outputs.logits, *(inputs[name] for name in TARGETS))
        return (loss, outputs) if return_outputs else loss
