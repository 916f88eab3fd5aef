"""Which checkpoints of an interrupted run can be trusted."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

# transformers writes this file last, so a checkpoint without a readable one is half-written.
_STATE = "trainer_state.json"
_NAME = re.compile(r"checkpoint-(\d+)")


def discard_partial(folder: Path) -> None:
    """Remove checkpoints that were being written when the run stopped."""
    for path in folder.glob("checkpoint-*"):
        if not _is_whole(path):
            shutil.rmtree(path, ignore_errors=True)


def latest(folder: Path) -> Path | None:
    """Give the newest whole checkpoint, if there is one."""
    whole = [path for path in folder.glob("checkpoint-*") if _NAME.fullmatch(path.name) and _is_whole(path)]
    return max(whole, key=lambda path: int(path.name.split("-")[1]), default=None)


def _is_whole(path: Path) -> bool:
    try:
        json.loads((path / _STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
