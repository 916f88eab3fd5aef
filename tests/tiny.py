"""A tiny data set and tiny settings, on which a whole run takes seconds; and the command line in this process."""

from __future__ import annotations

import csv
import io
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adaptox import cli, config, study
from adaptox.config import Config
from adaptox.decide import Decider, logit

_WORDS = (
    "tea",
    "cup",
    "garden",
    "river",
    "window",
    "pencil",
    "train",
    "morning",
    "paper",
    "music",
    "bread",
    "stone",
    "bridge",
    "winter",
    "lamp",
    "cloud",
    "table",
    "letter",
    "market",
    "ocean",
    "candle",
    "mirror",
    "basket",
    "feather",
    "ladder",
    "button",
    "pocket",
    "saddle",
    "carpet",
    "whistle",
)
ROWS = 90


def texts(rows: int = ROWS, seed: int = 0) -> list[tuple[str, int]]:
    """Give texts that no two share much of; every third is rude, which a tiny model can learn."""
    rng = random.Random(seed)
    found = []
    for number in range(rows):
        words = rng.sample(_WORDS, 7)
        rude = number % 3 == 0
        if rude:
            words.insert(rng.randrange(3), "stupid idiot")
        found.append((" ".join(words), int(rude)))
    return found


def write_csv(path: Path, rows: Sequence[Sequence[object]], header: Sequence[str] = ("text", "toxicity")) -> Path:
    """Write a table."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def settings(base: Path, data: Path, /, **tables: Any) -> Config:
    """Give settings of a short training; `tables` change them."""
    chosen: dict[str, Any] = {
        "name": "tiny",
        "sources": [{"path": str(data)}],
        "base": {"name": str(base)},
        "prepare": {"language": "any"},
        "encode": {"max_tokens": 64, "stride": 8},
        "train": {"epochs": 6, "learning_rate": 3e-3, "batch_size": 8, "precision": "fp32", "patience": 10},
        "evaluate": {"resamples": 100},
    }
    for name, values in tables.items():
        chosen[name] = {**chosen.get(name, {}), **values} if isinstance(values, dict) else values
    return config.parse(chosen)


def uncalibrated(probs: Sequence[float] | np.ndarray, decider: Decider) -> np.ndarray:
    """Give the target's logits behind calibrated probabilities.

    The logits of so small a network lie close together, and its temperature is tiny: a last bit that differs is
    much more after calibration.
    """
    offset = decider.offsets[0] if decider.offsets else 0.0
    return (logit(np.asarray(probs)) - offset) * decider.temperatures[0]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Shell:
    """Runs the command line in this process."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: object, stdin: str = "") -> Ended:
        """Run `adaptox ARGUMENTS` and give its exit code and what it wrote."""
        self.monkeypatch.setattr(sys, "argv", ["adaptox", *map(str, arguments)])
        self.monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        written = self.capsys.readouterr()
        return Ended(int(ended.value.code or 0), written.out, written.err)


def write_toml(path: Path, config: Config) -> Path:
    """Write settings that hold only strings, numbers, truth values, lists and tables."""
    chosen = config.model_dump(mode="json", exclude_unset=True)
    return write_tables(path, chosen)


def write_tables(path: Path, tables: dict[str, Any]) -> Path:
    """Write TOML, each table on a line."""

    def inline(value: object) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f'"{key}" = {inline(item)}' for key, item in value.items()) + "}"
        return "[" + ", ".join(map(inline, value)) + "]" if isinstance(value, list) else json.dumps(value)

    path.write_text("".join(f"{key} = {inline(value)}\n" for key, value in tables.items()), encoding="utf-8")
    return path


def two_seeds(base: Path, place: Path) -> Path:
    """Run a study of two seeds of one recipe, with folds and words, and give its folder."""
    data = write_csv(place / "rows.csv", texts())
    common = settings(base, data, threshold={"folds": 2}, lexicon={"grams": ["words"]})
    grid = {
        "name": "tiny",
        "common": common.model_dump(mode="json", exclude_unset=True, exclude={"name"}),
        "axes": {"adapter": {"all": {}}},
        "seeds": [0, 1],
    }
    study.study(study.StudyConfig.model_validate(grid), place / "study")
    return place / "study"
