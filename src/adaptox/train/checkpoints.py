"""Checkpoints of an interrupted run: which can be trusted, and what is in them.

They are transformers' own. It names the best one in `trainer_state.json` by a path, which is stale once the run
folder has moved; here it is found by its step.
"""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, set_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, load_model
from transformers import TrainerState

from adaptox.errors import ConfigError

_STATE = "trainer_state.json"
_WEIGHTS, _ADAPTER_WEIGHTS = "model.safetensors", "adapter_model.safetensors"
_NAME = re.compile(r"checkpoint-(\d+)")


def at(folder: Path, step: int) -> Path:
    """Give the place of the checkpoint of a step."""
    return folder / f"checkpoint-{step}"


def discard(folder: Path, only_partial: bool) -> None:
    """Remove checkpoints: all of them, or those that were being written when a run stopped."""
    for path in folder.glob("checkpoint-*"):
        if not (only_partial and _is_whole(path)):
            shutil.rmtree(path, ignore_errors=True)


def latest(folder: Path, processes: int) -> Path | None:
    """Give the newest checkpoint that training can go on from, if there is one.

    Args:
        folder: holds the checkpoints.
        processes: how many train together now.

    Raises:
        ConfigError: another number of processes wrote it, whose steps have other rows.
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


def restore(network: torch.nn.Module, checkpoint: Path) -> None:
    """Put a checkpoint's weights into the network that it was written from."""
    if isinstance(network, PeftModel):
        set_peft_model_state_dict(network, load_file(checkpoint / _ADAPTER_WEIGHTS))
    else:
        load_model(network, checkpoint / _WEIGHTS)


def _step(path: Path) -> int:
    return int(path.name.split("-")[1])


def _is_whole(path: Path) -> bool:
    """Tell whether nothing is missing or cut off; files are written one after the other."""
    pickled = [path / "optimizer.pt", path / "scheduler.pt", *path.glob("rng_state*.pth")]
    weights = [path / name for name in (_WEIGHTS, _ADAPTER_WEIGHTS) if (path / name).is_file()]
    if len(pickled) < 3 or not weights or not all(zipfile.is_zipfile(file) for file in pickled):
        return False
    try:
        read_state(path)
        for file in weights:
            with safe_open(file, "pt"):
                pass
    except (OSError, ValueError, TypeError, SafetensorError):
        return False
    return True
