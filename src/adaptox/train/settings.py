"""Our settings → transformers' and the optimizer's; and what the machine offers."""

from __future__ import annotations

import math
import os
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import TrainingArguments

from adaptox import model
from adaptox.config import TrainConfig
from adaptox.errors import ConfigError
from adaptox.train.precision import bf16_pays, has_bf16
from adaptox.train.trainer import TARGETS


def check(config: TrainConfig) -> None:
    """Refuse, before any work, settings that this machine cannot follow.

    Raises:
        ConfigError: bf16 where the processor has none, or a logger that is not installed.
    """
    if config.precision == "bf16" and not has_bf16():
        raise ConfigError("train.precision = 'bf16', but this processor has no bf16: set 'auto' or 'fp32'")
    if config.log_to != "none" and find_spec(config.log_to) is None:
        raise ConfigError(
            f"train.log_to = {config.log_to!r}, but that package is not installed: pip install {config.log_to}, "
            "or set 'none'"
        )


def to_training_arguments(config: TrainConfig, seed: int, folder: Path, rows: int) -> TrainingArguments:
    """Translate our settings into transformers': the one bridge between the two.

    Args:
        config: how to train.
        seed: of dropout; the order of the rows comes from `Epochs`.
        folder: for checkpoints.
        rows: rows in the training part, to place the evaluations.

    Raises:
        ConfigError: as `check`.
    """
    check(config)
    per_epoch = math.ceil(math.ceil(rows / (config.batch_size * devices())) / config.accumulation)
    every = max(1, per_epoch // config.evaluations_per_epoch)
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=config.epochs,
        learning_rate=config.learning_rate,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=4 * config.batch_size,
        gradient_accumulation_steps=config.accumulation,
        activation_checkpointing=config.gradient_checkpointing,
        warmup_steps=config.warmup_fraction,
        lr_scheduler_type=config.schedule if config.schedule != "constant" else "constant_with_warmup",
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        bf16=config.precision == "bf16" or (config.precision == "auto" and bf16_pays()),
        train_sampling_strategy="sequential",
        eval_strategy="steps",
        save_strategy="steps",
        logging_strategy="steps",
        eval_steps=every,
        save_steps=every,
        logging_steps=max(1, every // 10),
        # A diverged loss must show in the log.
        logging_nan_inf_filter=False,
        save_total_limit=2,
        restore_callback_states_from_checkpoint=True,
        metric_for_best_model="auprc",
        greater_is_better=True,
        label_names=list(TARGETS),
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="mlflow" if config.log_to == "mlflow" else "none",
        seed=seed,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
        ddp_find_unused_parameters=False,
    )


def make_optimizer(network: torch.nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Make AdamW with a rate of its own for the head, and no decay on biases and norms.

    Args:
        network: from `model.attach`.
        config: `learning_rate`, `head_learning_rate` and `weight_decay` are read.
    """
    head = model.head_parameter_names(network)
    groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((name in head, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": config.head_learning_rate if in_head else config.learning_rate,
                "weight_decay": config.weight_decay if decays else 0.0,
            }
            for (in_head, decays), parameters in groups.items()
        ],
        fused=True,
    )


def is_main_process() -> bool:
    """Tell whether this process writes: true unless torchrun or accelerate launched it with a rank above 0."""
    return int(os.environ.get("RANK", "0")) == 0


def wait_for_main_process() -> None:
    """Let the processes of a launch wait for one another; one that is alone goes on."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()


def processes() -> int:
    """Count the processes that train together, which torchrun or accelerate launched."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def devices() -> int:
    """Count the devices that train together: one for each process that was launched, else the GPUs of this one."""
    return processes() if "WORLD_SIZE" in os.environ else max(1, torch.cuda.device_count())
