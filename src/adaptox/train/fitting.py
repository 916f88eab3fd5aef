"""The training itself, and what is said of it afterwards."""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from transformers import EvalPrediction, TrainerState
from transformers.trainer_callback import PrinterCallback

from adaptox import losses, model
from adaptox.config import Config, TrainConfig
from adaptox.decide import Calibration
from adaptox.encode import Encoder
from adaptox.errors import CollapseError, InterruptedRunError, StorageError, storage_errors
from adaptox.model.quiet import quiet
from adaptox.records import Example, Progress, silent
from adaptox.train import checkpoints
from adaptox.train.callbacks import Stopwatch, callbacks
from adaptox.train.rows import Collator, Epochs, Rows, longest_first
from adaptox.train.scale import fit_scales
from adaptox.train.settings import devices, make_optimizer, processes, to_training_arguments
from adaptox.train.trainer import ModerationTrainer

# A head that changed by less, in proportion to its weights, stayed where it was.
_MOVED = 1e-6


@dataclass(frozen=True, slots=True)
class Fitted:
    """How a training went. The network passed to `fit` holds the kept weights.

    Attributes:
        history: the Trainer's log, one mapping an entry.
        wall_s: seconds of training up to the last checkpoint, evaluations included; of a resumed run, the seconds
            of its parts together.
        rows_per_s: rows trained on per second over that time.
        steps: updates made.
        best_step: the update whose weights were kept; of several that were averaged, the best one.
        best_auprc: validation AUPRC there, before averaging.
        precision: fp32 or bf16.
        peak_memory_mb: the largest resident memory (CPU) or allocated memory (GPU) of this process in training.
        head_moved: whether the weights of the head changed by more than rounding does.
        taught: name of a teacher's score → what turns its logits back into such scores.
        rows: rows trained on.
        cut: of these, those that are longer than what training reads of them.
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
    taught: Mapping[str, Calibration]
    rows: int
    cut: int


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

    Under torchrun every process calls this with the same arguments; only the main one writes.

    Args:
        network: from `model.attach`.
        encoder: tokenises the examples.
        train: learnt from.
        validation: chooses the checkpoint, and when to stop.
        config: the run's settings; `train`, `loss`, `distill`, `labels` and `seed` are read.
        folder: holds the checkpoints; the caller removes it once the bundle is written.
        resume: go on from the newest whole checkpoint in `folder`, if there is one, and end as if there had been no
            interruption. Otherwise checkpoints that are there are removed.
        progress: told after each step.

    Raises:
        ConfigError: bf16 is asked for where the processor has none, a logger that is not installed, or a run
            resumed with another number of processes.
        DataError: a teacher's scores are asked for and no training row has any.
        CollapseError: the loss left all bounds.
        InterruptedRunError: Ctrl-C; what was finished is kept in `folder`.
        StorageError: the disk refused a checkpoint.
    """
    before = _head(network)
    _forget_peak_memory()
    scales = fit_scales(train, config.distill)
    rows, held = Rows(train, encoder, config, scales, weighted=True), Rows(validation, encoder, config, scales)
    trainer = _trainer(network, encoder, rows, held, config, folder, progress)
    state = _run(trainer, folder, resume)
    kept = (state.best_global_step if config.train.keep_best else None) or state.global_step
    checkpoints.restore(network, _kept_files(folder, kept, state, config.train))
    # No process may run ahead and remove what another still reads.
    trainer.accelerator.wait_for_everyone()
    wall_s = Stopwatch.read(state)
    return Fitted(
        history=tuple(state.log_history),
        wall_s=wall_s,
        rows_per_s=(state.epoch or 0.0) * len(train) / wall_s if wall_s else 0.0,
        steps=state.global_step,
        best_step=kept,
        best_auprc=_auprc_at(kept, state),
        precision="bf16" if trainer.args.bf16 else "fp32",
        peak_memory_mb=_peak_memory_mb(),
        head_moved=bool((_head(network) - before).norm() > _MOVED * before.norm()),
        taught={name: scale.back for name, scale in scales.items()},
        rows=len(rows),
        cut=rows.cut,
    )


def _kept_files(folder: Path, kept: int, state: TrainerState, config: TrainConfig) -> list[Path]:
    """Give the files whose mean the network becomes: of the kept step, or of several."""
    if config.average == 1:
        return [checkpoints.weights(checkpoints.at(folder, kept))]
    steps = checkpoints.chosen(state, config.average, config.keep_best)
    return [checkpoints.kept(folder, step) for step in steps]


def _trainer(
    network: torch.nn.Module,
    encoder: Encoder,
    rows: Rows,
    held: Rows,
    config: Config,
    folder: Path,
    progress: Progress,
) -> ModerationTrainer:
    arguments = to_training_arguments(config.train, config.seed, folder, len(rows))
    prior = rows.prior.to(arguments.device)
    objective = losses.build_objective(config.loss, config.distill, prior, config.outputs.names)
    indifferent = rows.indifferent_loss(objective, arguments.device)
    # The batches that make up an update are of different lengths: it sees short and long prompts.
    per_batch = config.train.batch_size * devices()
    with storage_errors(folder), quiet():
        trainer = ModerationTrainer(
            objective=objective,
            model=network,
            args=arguments,
            data_collator=Collator(encoder),
            train_dataset=Epochs(rows, per_batch, config.train.buckets, config.seed),
            eval_dataset=longest_first(held),
            compute_metrics=_auprc,
            optimizers=(make_optimizer(network, config.train), None),
            callbacks=callbacks(config.train, indifferent, folder, progress),
        )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _run(trainer: ModerationTrainer, folder: Path, resume: bool) -> TrainerState:
    """Train to the end, from the start or from where an earlier process came to."""
    main = trainer.is_world_process_zero()
    if main:
        checkpoints.discard(folder, only_partial=resume)
    trainer.accelerator.wait_for_everyone()
    batch = trainer.args.train_batch_size
    checkpoint = checkpoints.latest(folder, processes(), batch) if resume else None
    if checkpoint and checkpoints.is_last(checkpoint):
        return checkpoints.read_state(checkpoint)
    try:
        with storage_errors(folder), quiet():
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except KeyboardInterrupt as error:
        at = f"step {trainer.state.global_step} of {trainer.state.max_steps}"
        raise InterruptedRunError(f"stopped at {at}; run the same command with --resume to go on") from error
    except StorageError as error:
        if main:
            checkpoints.discard(folder, only_partial=True)
        raise StorageError(f"{error} with --resume") from error
    finally:
        # accelerate leaves the network computing in bf16; scores are in full precision.
        trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    return trainer.state


def _auprc(prediction: EvalPrediction) -> dict[str, float]:
    truth, known = (np.asarray(array)[:, 0] for array in prediction.label_ids[:2])
    scores = np.asarray(prediction.predictions)[:, 0]
    if not np.isfinite(scores).all():
        raise CollapseError(
            "training diverged: the network's logits are infinite or no numbers any more; "
            "lower train.learning_rate and train.head_learning_rate"
        )
    rows = known.astype(bool)
    return {"auprc": float(average_precision_score(truth[rows], scores[rows]))}


def _auprc_at(step: int, state: TrainerState) -> float:
    return next(
        float(entry["eval_auprc"]) for entry in state.log_history if "eval_auprc" in entry and entry["step"] == step
    )


def _head(network: torch.nn.Module) -> torch.Tensor:
    """Copy the head's trainable weights, on the processor, as one vector; an empty one if it is frozen."""
    names = model.head_parameter_names(network)
    weights = [weight.detach().flatten().cpu() for name, weight in network.named_parameters() if name in names]
    return torch.cat([torch.empty(0), *weights])


def _forget_peak_memory() -> None:
    """Start the measurement of peak memory anew, where the system can: several trainings may share a process."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_memory_mb() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    with suppress(OSError):
        high = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
        if high:
            return int(high[1]) / 2**10
    # Linux counts kilobytes, macOS bytes.
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
