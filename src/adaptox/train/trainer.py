"""The one Trainer subclass, and the callback that reports progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from adaptox.records import Progress

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class ModerationTrainer(Trainer):
    """transformers' Trainer with our loss; `compute_loss` is its only override.

    Args:
        loss: (logits, truth, known), each (batch, labels) → scalar.
        options: everything that transformers' Trainer takes.
    """

    def __init__(self, loss: Loss, **options: Any) -> None:
        super().__init__(**options)
        self._loss = loss

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Compute the loss of one batch over its known labels."""
        outputs = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
        loss = self._loss(outputs.logits, inputs["truth"], inputs["known"])
        return (loss, outputs) if return_outputs else loss


class ProgressReporter(TrainerCallback):
    """Passes the step count on.

    Args:
        progress: told after each step.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Report the step; called by transformers."""
        if state.is_world_process_zero:
            self._progress("train", state.global_step, state.max_steps)
