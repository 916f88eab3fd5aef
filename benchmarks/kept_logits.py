"""Logits of rows that were left out, kept beside an ablation's result: a new change trains no other anew."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import npz
import numpy as np

from adaptox import evaluate
from adaptox.adapt import needs
from adaptox.config import Config
from adaptox.errors import DataError
from adaptox.records import Example, FloatArray, Scores
from adaptox.teach import Held


@dataclass(frozen=True, slots=True)
class Origin:
    """Where logits come from.

    Attributes:
        rows: hash of the rows, their families and labels.
        base: what the networks started from: a bundle's hash, or a name.
        train_s: seconds that they took to train.
        hardware, commit: that they were scored on and with.
    """

    rows: str
    base: str
    train_s: float
    hardware: str
    commit: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What the networks of a change said of the rows left out.

    Attributes:
        logits: (rows, labels), in the order of the rows' ids.
        origin: where that comes from.
    """

    logits: FloatArray
    origin: Origin

    @classmethod
    def of(cls, held: Held, config: Config) -> Kept:
        """Keep what was measured just now."""
        rounded = held.scores.logits[_order(held.examples)].astype(np.float32).astype(np.float64)
        base = needs.model_sha256(config.base.name)
        return cls(rounded, Origin(_rows(held.examples), base, held.wall_s, evaluate.hardware(), evaluate.commit()))

    def held(self, rows: Sequence[Example], labels: tuple[str, ...]) -> Held:
        """Give the rows with their logits; of how many windows they are is not kept.

        Raises:
            DataError: these are not the rows that it was measured on.
        """
        if self.origin.rows != _rows(rows) or self.logits.shape != (len(rows), len(labels)):
            raise DataError("kept logits are of other rows or labels than these: remove the file to measure anew")
        logits = np.empty_like(self.logits)
        logits[_order(rows)] = self.logits
        unknown = np.zeros(len(rows), dtype=np.int64)
        return Held(tuple(rows), Scores(labels, logits, unknown, unknown.astype(np.bool_)), self.origin.train_s)


def key_of(config: Config, rows: Sequence[Example]) -> str:
    """Name what logits depend on: version, settings, rows, and the lineage of a base that is a bundle.

    Its weights are not in it, since they differ between machines; `Origin` has their hash. Nor are settings at
    their defaults, so that one that came later makes no logits anew.

    Args:
        config: of the networks.
        rows: that they learn from.

    Raises:
        BundleError: the base is a bundle, and damaged.
    """
    unread = {"name", "teach", "sources", "evaluate", "threshold", "lexicon"}
    base, folds = needs.lineage(config.base.name), config.threshold.folds
    read = [
        version("adaptox"),
        config.model_dump(mode="json", exclude=unread, exclude_defaults=True),
        folds,
        base,
        _rows(rows),
    ]
    return hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()[:32]


def read(path: Path) -> dict[str, Kept]:
    """Read what is kept, by key; nothing where there is no such file."""
    if not path.is_file():
        return {}
    with np.load(path) as stored:
        about = json.loads(str(stored[npz.ABOUT]))
        return {key: Kept(stored[key].astype(np.float64), Origin(**told)) for key, told in about.items()}


def write(path: Path, kept: Mapping[str, Kept]) -> None:
    """Write it, whole or not at all; logits as single floats."""
    about = {key: asdict(one.origin) for key, one in kept.items()}
    npz.write(path, about, {key: one.logits for key, one in kept.items()})


def _order(rows: Sequence[Example]) -> list[int]:
    return sorted(range(len(rows)), key=lambda at: rows[at].id)


def _rows(rows: Sequence[Example]) -> str:
    ordered = [rows[at] for at in _order(rows)]
    content = [
        [
            row.id,
            row.group,
            row.conversation.messages(),
            dict(sorted(row.labels.items())),
            row.only_train,
            row.weight,
        ]
        for row in ordered
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
