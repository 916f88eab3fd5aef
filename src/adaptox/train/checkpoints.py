"""Checkpoints of an interrupted run: which can be trusted, and what is in them.

They are transformers' own. It names the best one in `trainer_state.json` by a path, which is stale once the run
folder has moved; here it is found by its step.
"""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, set_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from transformers import TrainerState

from adaptox.errors import ConfigError, StorageError

_STATE = "trainer_state.json"
_WEIGHT_FILES = ("model.safetensors", "adapter_model.safetensors")
_KEPT = "kept"
_NAME = re.compile(r"checkpoint-(\d+)")


def at(folder: Path, step: int) -> Path:
    """Give the place of the checkpoint of a step."""
    return folder / f"checkpoint-{step}"


def discard(folder: Path, only_partial: bool) -> None:
    """Remove checkpoints: all of them, or those that were being written when a run stopped."""
    for path in folder.glob("checkpoint-*"):
        if not (only_partial and _is_whole(path)):
            shutil.rmtree(path, ignore_errors=True)


def latest(folder: Path, processes: int, batch: int | None = None) -> Path | None:
    """Give the newest checkpoint that training can go on from, if there is one.

    Args:
        folder: holds the checkpoints.
        processes: how many train together now.
        batch: rows that a process computes together, over all of its GPUs; None if it does not matter.

    Raises:
        ConfigError: another number of processes or GPUs wrote it, whose steps have other rows.
    """
    whole = [path for path in folder.glob("checkpoint-*") if _NAME.fullmatch(path.name) and _is_whole(path)]
    for path in sorted(whole, key=_step, reverse=True):
        best = read_state(path).best_global_step
        if best and not _is_whole(at(folder, best)):
            continue
        states = {file.name for file in path.glob("rng_state*.pth")}
        expected = {f"rng_state_{rank}.pth" for rank in range(processes)} if processes > 1 else {"rng_state.pth"}
        if states - expected:
            raise ConfigError(
                f"the run in {folder} was started with another number of processes than {processes}: "
                "resume it with as many, or --overwrite to start over"
            )
        if states == expected:
            before = read_state(path).train_batch_size
            if None not in (batch, before) and batch != before:
                raise ConfigError(
                    f"the run in {folder} was started with {before} rows in a step of a process, and would have "
                    f"{batch} now: resume it with as many GPUs, or --overwrite to start over"
                )
            return path
    return None


def is_last(checkpoint: Path) -> bool:
    """Tell whether training had come to its end there, by the number of steps or by early stopping."""
    stored: Any = read_state(checkpoint).stateful_callbacks
    return bool(stored["TrainerControl"]["args"]["should_training_stop"])


def read_state(checkpoint: Path) -> TrainerState:
    """Read how far training had come."""
    state: TrainerState = TrainerState.load_from_json(str(checkpoint / _STATE))
    return state


def chosen(state: TrainerState, average: int, best: bool) -> tuple[int, ...]:
    """Choose the steps whose weights are averaged: the best by validation AUPRC, the best first, or the last.

    Args:
        state: of the training so far.
        average: how many at most.
        best: take the best, not the last.
    """
    scored = [(entry["eval_auprc"], entry["step"]) for entry in state.log_history if "eval_auprc" in entry]
    ranked = sorted(scored, key=lambda one: (-one[0], one[1])) if best else scored[::-1]
    return tuple(int(step) for _, step in ranked[:average])


def keep(folder: Path, steps: Collection[int]) -> None:
    """Keep the weights of these steps when their checkpoints are gone, and no others.

    A kept file is a second name of the checkpoint's own, where the file system allows: it takes no space as long as
    that is there.

    Args:
        folder: holds the checkpoints.
        steps: whose checkpoints are there, or were kept before.
    """
    (folder / _KEPT).mkdir(exist_ok=True)
    for path in (folder / _KEPT).glob("*.safetensors"):
        if int(path.stem) not in steps or at(folder, int(path.stem)).is_dir():
            path.unlink()
    for step in steps:
        if at(folder, step).is_dir():
            _link(weights(at(folder, step)), kept(folder, step))


def _link(file: Path, name: Path) -> None:
    """Give a file a second name; where the file system knows none, a copy."""
    try:
        os.link(file, name)
    except OSError:
        part = name.with_suffix(".part")
        shutil.copyfile(file, part)
        os.replace(part, name)


def kept(folder: Path, step: int) -> Path:
    """Give the place of a step's kept weights."""
    return folder / _KEPT / f"{step}.safetensors"


def weights(checkpoint: Path) -> Path:
    """Give the place of a checkpoint's weights."""
    return next(checkpoint / name for name in _WEIGHT_FILES if (checkpoint / name).is_file())


def restore(network: torch.nn.Module, files: Sequence[Path]) -> None:
    """Put the mean of several files' weights into the network that they were written from.

    Weights of one training tend to lie in one basin, and their mean depends less on the last few batches than any
    of them (Wortsman et al., Model soups, arXiv 2203.05482).

    Raises:
        StorageError: a file is gone.
    """
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise StorageError(f"{missing[0]} is gone, which the run still needs: start over with --overwrite")
    mean = load_file(files[0])
    for file in files[1:]:
        for name, tensor in load_file(file).items():
            mean[name] = mean[name] + tensor
    mean = {name: tensor / len(files) for name, tensor in mean.items()} if len(files) > 1 else mean
    if isinstance(network, PeftModel):
        set_peft_model_state_dict(network, mean)
    else:
        network.load_state_dict(mean)


def _step(path: Path) -> int:
    return int(path.name.split("-")[1])


def _is_whole(path: Path) -> bool:
    """Tell whether nothing is missing or cut off; files are written one after the other."""
    pickled = [path / "optimizer.pt", path / "scheduler.pt", *path.glob("rng_state*.pth")]
    files = [path / name for name in _WEIGHT_FILES if (path / name).is_file()]
    if len(pickled) < 3 or not files or not all(zipfile.is_zipfile(file) for file in pickled):
        return False
    try:
        read_state(path)
        for file in files:
            with safe_open(file, "pt"):
                pass
    except (OSError, ValueError, TypeError, SafetensorError):
        return False
    return True
