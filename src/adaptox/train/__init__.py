"""Prepared examples + model + settings → the weights with the best validation AUPRC."""

from __future__ import annotations

import math
import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from transformers import EarlyStoppingCallback, EvalPrediction, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from adaptox import losses, model
from adaptox.config import Config, TrainConfig
from adaptox.encode import Encoder
from adaptox.errors import ConfigError, InterruptedRunError, StorageError, storage_errors
from adaptox.model.quiet import quiet
from adaptox.records import Example, Progress, silent
from adaptox.train.checkpoints import discard_partial, latest
from adaptox.train.rows import Collator, Rows, Targets, targets
from adaptox.train.trainer import ModerationTrainer, ProgressReporter

__all__ = ["Fitted", "Targets", "fit", "is_main_process", "targets"]


@dataclass(frozen=True, slots=True)
class Fitted:
    """How a training went. The network passed to `fit` holds the kept weights.

    Attributes:
        history: the Trainer's log, one mapping an entry.
        wall_s: seconds from the first step to the last, evaluations included; of this process, if resumed.
        rows_per_s: rows trained on per second over that time.
        steps: updates made.
        best_step: the update whose weights were kept.
        best_auprc: validation AUPRC there.
        precision: fp32 or bf16.
        peak_memory_mb: the largest resident memory (CPU) or allocated memory (GPU).
        head_moved: whether any weight of the head changed.
    """

    history: tuple[Mapping[str, float], ...]
    wall_s: float
    rows_per_s: float
    steps: int
    best_step: int
    best_auprc: float
    precision: str
    peak_memory_mb: float
    head_moved: bool


def fit(
    network: torch.nn.Module,
    encoder: Encoder,
    train: Sequence[Example],
    validation: Sequence[Example],
    config: Config,
    folder: Path,
    resume: bool = False,
    progress: Progress = silent,
) -> Fitted:
    """Train a network in place.

    Args:
        network: from `model.attach`.
        encoder: tokenises the examples.
        train: learnt from.
        validation: chooses the checkpoint, and when to stop.
        config: the run's settings; `train`, `loss`, `labels` and `seed` are read.
        folder: holds the checkpoints; the caller removes it once the bundle is written.
        resume: go on from the newest whole checkpoint in `folder`, if there is one.
        progress: told after each step.

    Raises:
        ConfigError: bf16 is asked for where the processor has none, or a logger that is not installed.
        InterruptedRunError: Ctrl-C; what was finished is kept in `folder`.
        StorageError: the disk refused a checkpoint.
    """
    rows = Rows(train, encoder, config.label_set)
    known = rows.targets.known.sum(axis=0).clip(min=1)
    prior = torch.from_numpy(rows.targets.truth.sum(axis=0) / known).float()
    arguments = to_training_arguments(config.train, config.seed, folder, len(rows))
    before = model.head_fingerprint(network)
    if config.train.gradient_checkpointing:
        cast(Any, network).gradient_checkpointing_enable({"use_reentrant": False})
    trainer = ModerationTrainer(
        loss=losses.build(config.loss, prior.to(arguments.device)),
        model=network,
        args=arguments,
        data_collator=Collator(encoder),
        train_dataset=rows,
        eval_dataset=Rows(validation, encoder, config.label_set),
        compute_metrics=_auprc,
        optimizers=(_optimizer(network, config.train), None),
        callbacks=[ProgressReporter(progress), EarlyStoppingCallback(config.train.patience)],
    )
    trainer.remove_callback(PrinterCallback)
    started = time.perf_counter()
    first_step = _run(trainer, folder, resume)
    wall_s = time.perf_counter() - started
    # accelerate leaves the network computing in bf16; scores are in full precision.
    trainer.accelerator.unwrap_model(network, keep_fp32_wrapper=False)
    rows_per_step = arguments.train_batch_size * config.train.accumulation * arguments.world_size
    history: tuple[Mapping[str, float], ...] = tuple(trainer.state.log_history)
    best = max((entry for entry in history if "eval_auprc" in entry), key=lambda entry: entry["eval_auprc"])
    kept = best if config.train.keep_best else {**best, "step": trainer.state.global_step}
    return Fitted(
        history=history,
        wall_s=wall_s,
        rows_per_s=(trainer.state.global_step - first_step) * rows_per_step / wall_s,
        steps=trainer.state.global_step,
        best_step=int(kept["step"]),
        best_auprc=float(best["eval_auprc"]),
        precision="bf16" if arguments.bf16 else "fp32",
        peak_memory_mb=_peak_memory_mb(),
        head_moved=model.head_fingerprint(network) != before,
    )


def to_training_arguments(config: TrainConfig, seed: int, folder: Path, rows: int) -> TrainingArguments:
    """Translate our settings into transformers': the one bridge between the two.

    Args:
        config: how to train.
        seed: of order and dropout.
        folder: for checkpoints.
        rows: rows in the training part, to place the evaluations.

    Raises:
        ConfigError: bf16 where the processor has none.
    """
    if config.precision == "bf16" and not _has_bf16():
        raise ConfigError("train.precision = 'bf16', but this processor has no bf16: set 'auto' or 'fp32'")
    world = int(os.environ.get("WORLD_SIZE", "1"))
    per_epoch = math.ceil(math.ceil(rows / (config.batch_size * world)) / config.accumulation)
    every = max(1, per_epoch // config.evaluations_per_epoch)
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=config.epochs,
        learning_rate=config.learning_rate,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=4 * config.batch_size,
        gradient_accumulation_steps=config.accumulation,
        warmup_steps=config.warmup_fraction,
        lr_scheduler_type=config.schedule if config.schedule != "constant" else "constant_with_warmup",
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        bf16=config.precision != "fp32" and _has_bf16(),
        train_sampling_strategy="group_by_length" if config.buckets else "random",
        eval_strategy="steps",
        save_strategy="steps",
        logging_strategy="steps",
        eval_steps=every,
        save_steps=every,
        logging_steps=max(1, every // 10),
        save_total_limit=2,
        load_best_model_at_end=config.keep_best,
        metric_for_best_model="auprc",
        greater_is_better=True,
        label_names=["truth", "known"],
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to=config.log_to,
        seed=seed,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
        ddp_find_unused_parameters=False,
    )


def is_main_process() -> bool:
    """Tell whether this process writes: true unless torchrun or accelerate launched it with a rank above 0."""
    return int(os.environ.get("RANK", "0")) == 0


def _run(trainer: ModerationTrainer, folder: Path, resume: bool) -> int:
    """Train, and give the step that training started from: 0, or the resumed checkpoint's."""
    discard_partial(folder)
    checkpoint = latest(folder) if resume else None
    try:
        with storage_errors(folder), quiet():
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except KeyboardInterrupt as error:
        discard_partial(folder)
        at = f"step {trainer.state.global_step} of {trainer.state.max_steps}"
        raise InterruptedRunError(f"stopped at {at}; run the same command with --resume to go on") from error
    except StorageError:
        discard_partial(folder)
        raise
    return int(checkpoint.name.split("-")[1]) if checkpoint else 0


def _optimizer(network: torch.nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Make AdamW with a rate of its own for the head, and no decay on biases and norms."""
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


def _auprc(prediction: EvalPrediction) -> dict[str, float]:
    truth, known = (np.asarray(array)[:, 0] for array in prediction.label_ids)
    scores = np.asarray(prediction.predictions)[:, 0]
    rows = known.astype(bool)
    return {"auprc": float(average_precision_score(truth[rows], scores[rows]))}


def _has_bf16() -> bool:
    """Tell whether bf16 is multiplied natively; emulated bf16 is slower than fp32."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _peak_memory_mb() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    # Linux counts kilobytes, macOS bytes.
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
