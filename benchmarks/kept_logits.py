"""Logits of rows that were left out, kept beside an ablation's result: a new change trains no other anew."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adaptox import evaluate
from adaptox.config import Config
from adaptox.errors import DataError, storage_errors
from adaptox.prepare import Prepared
from adaptox.records import Example, FloatArray, Scores
from adaptox.teach import Held

_ABOUT = "about"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the networks of a change said of the rows left out, and where that was measured.

    Attributes:
        logits: (rows, labels), in the order of the rows' ids.
        train_s: seconds that the networks took to train.
        hardware, commit: that they were trained on and with.
    """

    logits: FloatArray
    train_s: float
    hardware: str
    commit: str

    @classmethod
    def of(cls, held: Held) -> Kept:
        """Keep what was measured just now."""
        order = _order(held.examples)
        rounded = held.scores.logits[order].astype(np.float32).astype(np.float64)
        return cls(rounded, held.wall_s, evaluate.hardware(), evaluate.commit())

    def held(self, rows: Sequence[Example], labels: tuple[str, ...]) -> Held:
        """Give the rows with their logits.

        Raises:
            DataError: these are not the rows that it was measured on.
        """
        if self.logits.shape != (len(rows), len(labels)):
            raise DataError(
                f"expected kept logits of {len(rows)} rows and {len(labels)} labels, got {self.logits.shape}: "
                "remove the file to measure anew"
            )
        logits = np.empty_like(self.logits, dtype=np.float64)
        logits[_order(rows)] = self.logits
        windows, truncated = np.ones(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.bool_)
        return Held(tuple(rows), Scores(labels, logits, windows, truncated), self.train_s)


def key_of(config: Config, prepared: Prepared) -> str:
    """Name what logits depend on: settings and data, not a base's weights, which differ between machines."""
    unread = {"name", "teach", "sources", "evaluate", "lexicon"}
    read = [config.model_dump(mode="json", exclude=unread), prepared.manifest.sha256]
    return hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()[:32]


def read(path: Path) -> dict[str, Kept]:
    """Read what is kept, by key; nothing where there is no such file."""
    if not path.is_file():
        return {}
    with np.load(path) as stored:
        about = json.loads(str(stored[_ABOUT]))
        return {key: Kept(stored[key].astype(np.float64), **told) for key, told in about.items()}


def write(path: Path, kept: Mapping[str, Kept]) -> None:
    """Write it, whole or not at all; logits as single floats."""
    about = {
        key: {"train_s": one.train_s, "hardware": one.hardware, "commit": one.commit} for key, one in kept.items()
    }
    arrays: dict[str, Any] = {key: one.logits.astype(np.float32) for key, one in kept.items()}
    arrays[_ABOUT] = np.array(json.dumps(about))
    temporary = path.with_name(f".{path.name}.part")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            np.savez_compressed(stream, **arrays)
        os.replace(temporary, path)


def _order(rows: Sequence[Example]) -> list[int]:
    return sorted(range(len(rows)), key=lambda at: rows[at].id)
