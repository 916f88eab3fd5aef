"""Results of one recipe that were measured apart → one result over all their seeds.

A recipe is measured again when its base is made anew: each training of the base gives a result of
benchmarks/seeds.py, and none of them is the better one to report. Here their seeds count alike. The rows are read
again, since the scores that are kept beside a result hold no label.

    python benchmarks/pooled.py docs/results/study-best docs/results/study-best-first --recipe all \
        --out docs/results/study-best-both/seeds.json

Intervals take the seeds as drawn one by one; that some share a training of the base is not in them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import kept_scores
import numpy as np
import seeds as benchmark
from kept_scores import Voice

from adaptox import config as settings
from adaptox import evaluate
from adaptox.adapt import read_and_prepare
from adaptox.config import Config
from adaptox.errors import AdaptoxError, InputError
from adaptox.evaluate import ScoredRows
from adaptox.records import Example
from adaptox.teach import lay_out_folds

# What makes a recipe; the rest of the settings says how it is shown.
_SHARED = (
    "sources",
    "labels",
    "text",
    "prepare",
    "base",
    "encode",
    "adapter",
    "train",
    "threshold",
    "lexicon",
)


def rows_of(config: Config) -> dict[str, ScoredRows]:
    """Read the rows that a recipe was measured on, in the order of their ids; their scores are zeros."""
    data = read_and_prepare(config)
    parts = data.prepared
    folds = lay_out_folds((*parts.train, *parts.validation), config, config.threshold.folds, "threshold.folds")
    held = [row for fold in folds for row in fold.held]
    return {"test": _unscored(parts.test, config, data.official), "folds": _unscored(held, config, False)}


def _unscored(examples: Sequence[Example], config: Config, official: bool) -> ScoredRows:
    few = config.evaluate.model_copy(update={"resamples": 1})
    zeros = np.zeros(len(examples))
    found = evaluate.evaluate(examples, zeros, config.label_set.target, 0.5, "0.5", few, 0, official)
    return benchmark.in_order(found.rows)


def voices(folder: Path, name: str, rows: Mapping[str, ScoredRows]) -> list[Voice]:
    """Read what the seeds of a recipe said, with words.

    Raises:
        InputError: no such recipe, or it was measured on other rows.
    """
    kept = kept_scores.read(folder / kept_scores.FILE)
    if name not in kept.probs:
        raise InputError(f"{folder}: expected the recipe {name!r}, got {', '.join(kept.probs)}")
    if any(kept.rows[part] != kept_scores.rows_sha256(rows[part]) for part in benchmark.PARTS):
        raise InputError(f"{folder}: expected a result of the same rows as the first, got others")
    return [
        Voice(
            {part: replace(rows[part], probs=said[part]) for part in benchmark.PARTS}, kept.thresholds[name][seed]
        )
        for seed, said in kept.probs[name].items()
    ]


def run(folders: Sequence[Path], name: str) -> dict[str, Any]:
    """Measure a recipe over the seeds of all results.

    Raises:
        InputError: a result has no such recipe, or another one by that name.
    """
    told = [json.loads((folder / benchmark.RESULT).read_text(encoding="utf-8")) for folder in folders]
    configs = [_config(folder, result, name) for folder, result in zip(folders, told, strict=True)]
    for folder, config in zip(folders[1:], configs[1:], strict=True):
        other = [key for key in _SHARED if getattr(config, key) != getattr(configs[0], key)]
        if other:
            raise InputError(f"{folder}: expected the recipe of {folders[0]}, got other settings of {other}")
    rows = rows_of(configs[0])
    heard = [voice for folder in folders for voice in voices(folder, name, rows)]
    recipe = {
        "name": name,
        "seeds": [seed for result in told for seed in _recipe(result, name)["seeds"]],
        "config": configs[0].model_dump(mode="json"),
        "with_words": benchmark.together([benchmark.measure(voice) for voice in heard], rows),
        "ensemble": benchmark.together([benchmark.measure(benchmark.ensemble(heard))], rows),
    }
    return {
        "study": told[0]["study"],
        "panels": told[0]["panels"],
        "recipes": [recipe],
        "of": [folder.name for folder in folders],
        "resamples": benchmark.RESAMPLES,
        "confidence": benchmark.CONFIDENCE,
        "hardware": " and ".join(dict.fromkeys(result["hardware"] for result in told)),
        "commit": {"runs": [result["commit"]["runs"] for result in told], "this": evaluate.commit()},
    }


def _recipe(result: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(one for one in result["recipes"] if one["name"] == name)
    return found


def _config(folder: Path, result: Mapping[str, Any], name: str) -> Config:
    names = [one["name"] for one in result["recipes"]]
    if name not in names:
        raise InputError(f"{folder}: expected the recipe {name!r}, got {', '.join(names)}")
    return settings.parse(_recipe(result, name)["config"])


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path, help="folders of results of benchmarks/seeds.py")
    parser.add_argument("--recipe", required=True, help="which recipe of them")
    parser.add_argument("--out", type=Path, required=True, help="result file")
    given = parser.parse_args()
    try:
        result = run(given.results, given.recipe)
    except AdaptoxError as error:
        sys.exit(f"error: {error}")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    print(f"wrote {given.out}")


if __name__ == "__main__":
    main()
