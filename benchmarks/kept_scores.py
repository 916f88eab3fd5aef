"""Scores of a recipe's seeds, kept beside their result: a later recipe is compared with them, wherever it runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import npz
import numpy as np

from adaptox.errors import DataError, InputError
from adaptox.evaluate import ScoredRows
from adaptox.records import FloatArray

FILE = "scores.npz"


@dataclass(frozen=True, slots=True)
class Voice:
    """One model's scores of the test split and of the rows left out of folds, and where it draws the line.

    Attributes:
        rows: part → its rows, in the order of their ids.
        threshold: on the probabilities.
    """

    rows: Mapping[str, ScoredRows]
    threshold: float


@dataclass(frozen=True, slots=True)
class Kept:
    """What seeds of recipes said.

    Attributes:
        rows: part → hash of its rows, their families, labels and slices.
        thresholds: recipe → seed → where it draws the line.
        probs: recipe → seed → part → (rows,) probabilities, in the order of the rows' ids.
    """

    rows: Mapping[str, str]
    thresholds: Mapping[str, Mapping[int, float]]
    probs: Mapping[str, Mapping[int, Mapping[str, FloatArray]]]

    @classmethod
    def of(cls, heard: Mapping[str, Mapping[int, Voice]]) -> Kept:
        """Keep what was heard: recipe → seed → its voice, of the same rows for all."""
        some = next(voice for seeds in heard.values() for voice in seeds.values())
        return cls(
            {part: rows_sha256(rows) for part, rows in some.rows.items()},
            {name: {seed: voice.threshold for seed, voice in seeds.items()} for name, seeds in heard.items()},
            {
                name: {
                    seed: {part: rows.probs for part, rows in voice.rows.items()} for seed, voice in seeds.items()
                }
                for name, seeds in heard.items()
            },
        )

    def voices(self, recipe: str, rows: Mapping[str, ScoredRows], place: Path) -> dict[int, Voice]:
        """Put what a recipe's seeds said back on their rows.

        Args:
            recipe: its name.
            rows: part → the rows, in the order of their ids; their scores are replaced.
            place: where this was read, for the error.

        Returns:
            Seed → its voice; empty for a recipe that is not there.

        Raises:
            InputError: other rows than those that were scored.
        """
        if any(self.rows[part] != rows_sha256(own) for part, own in rows.items()):
            raise InputError(f"{place}: expected a result of the same rows as this one, got others")
        return {
            seed: Voice(
                {part: replace(own, probs=parts[part]) for part, own in rows.items()},
                self.thresholds[recipe][seed],
            )
            for seed, parts in self.probs.get(recipe, {}).items()
        }


def rows_sha256(rows: ScoredRows) -> str:
    """Hash rows that are in the order of their ids, but for their scores."""
    slices = {name: np.flatnonzero(member).tolist() for name, member in sorted(rows.slices.items())}
    content = json.dumps([rows.ids, rows.groups, rows.truth.tolist(), slices])
    return hashlib.sha256(content.encode()).hexdigest()


def write(path: Path, kept: Kept) -> None:
    """Write it, whole or not at all; probabilities as single floats.

    Raises:
        StorageError: the disk refused.
    """
    arrays = {
        json.dumps([recipe, seed, part]): probs
        for recipe, seeds in kept.probs.items()
        for seed, parts in seeds.items()
        for part, probs in parts.items()
    }
    npz.write(path, {"rows": kept.rows, "thresholds": kept.thresholds}, arrays)


def read(path: Path) -> Kept:
    """Read it.

    Raises:
        DataError: no such file, or a damaged one.
    """
    try:
        with np.load(path) as stored:
            about = json.loads(str(stored[npz.ABOUT]))
            probs: dict[str, dict[int, dict[str, FloatArray]]] = {}
            for name in stored.files:
                if name != npz.ABOUT:
                    recipe, seed, part = json.loads(name)
                    probs.setdefault(recipe, {}).setdefault(seed, {})[part] = stored[name].astype(np.float64)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"cannot read the scores kept in {path} ({error}): run benchmarks/seeds.py again"
        ) from error
    thresholds = {
        recipe: {int(seed): float(value) for seed, value in seeds.items()}
        for recipe, seeds in about["thresholds"].items()
    }
    return Kept(about["rows"], thresholds, probs)
