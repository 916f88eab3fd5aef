"""Results of one recipe, seeds of each → what all its seeds say together, with words, and as one ensemble.

A recipe's seeds may be measured in several studies: other seeds, another training of the same base. What every seed
said is kept by benchmarks/seeds.py; here it is put together, on the same draws of prompt families and seeds.

    python benchmarks/all_seeds.py docs/results/study-best docs/results/study-best-more --recipe all
        --rows runs/study-best-more/runs/all-s5 --out docs/results/study-best-all/seeds.json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import kept_scores
import result_file
import seeds as benchmark
from kept_scores import Voice

from adaptox import evaluate
from adaptox.config import Config, parse
from adaptox.errors import AdaptoxError, InputError
from adaptox.evaluate import ScoredRows
from adaptox.report.phrases import listed


def run(results: Sequence[Path], recipe: str, rows: Mapping[str, ScoredRows]) -> dict[str, Any]:
    """Measure a recipe over the seeds of all results.

    Args:
        results: folders that benchmarks/seeds.py filled.
        recipe: its name, the same in all of them.
        rows: part → the rows that were scored, in the order of their ids.

    Returns:
        A result as that of benchmarks/seeds.py, of one recipe, without its networks alone.

    Raises:
        InputError: no such result or recipe, one of other rows or settings, or a seed that is there twice.
        ConfigError: settings of another version.
    """
    told = [benchmark.read_result(folder / benchmark.RESULT) for folder in results]
    found = [_named(one, recipe, folder) for one, folder in zip(told, results, strict=True)]
    heard: dict[int, Voice] = {}
    for folder, one in zip(results, found, strict=True):
        if _settings(one) != _settings(found[0]):
            raise InputError(f"{folder}: expected the settings of {results[0]}, but for the seed; got others")
        own = kept_scores.read(folder / kept_scores.FILE).voices(recipe, rows, folder)
        if twice := sorted(heard.keys() & own.keys()):
            raise InputError(f"{folder}: expected seeds that no earlier folder has, got {twice} again")
        heard |= own
    voices = list(heard.values())
    return {
        "study": told[0]["study"],
        "panels": told[0]["panels"],
        "recipes": [
            {
                "name": recipe,
                "seeds": list(heard),
                "config": found[0]["config"],
                "with_words": benchmark.together([benchmark.measure(voice) for voice in voices], rows),
                "ensemble": benchmark.together([benchmark.measure(benchmark.ensemble(voices))], rows),
            }
        ],
        "resamples": benchmark.RESAMPLES,
        "confidence": benchmark.CONFIDENCE,
        "hardware": listed(list(dict.fromkeys(one["hardware"] for one in told))),
        "commit": {"runs": listed([one["commit"]["runs"] for one in told]), "this": evaluate.commit()},
    }


def _named(told: Mapping[str, Any], recipe: str, folder: Path) -> Mapping[str, Any]:
    known: dict[str, Mapping[str, Any]] = {one["name"]: one for one in told["recipes"]}
    if recipe not in known:
        raise InputError(f"{folder}: expected the recipe {recipe!r}, got {', '.join(known) or 'none'}")
    return known[recipe]


def _settings(recipe: Mapping[str, Any]) -> Config:
    """Give what a recipe is: its settings, without the seed and the name of the run."""
    return parse(recipe["config"]).model_copy(update={"name": "", "seed": 0})


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", help="folders with seeds.json and scores.npz")
    parser.add_argument("--recipe", required=True, help="name of the recipe in each of them")
    parser.add_argument("--rows", type=Path, required=True, help="folder of a finished run of these rows")
    parser.add_argument("--out", type=Path, required=True, help="result file")
    given = parser.parse_args()
    try:
        _, voice = benchmark.voices(given.rows)
        result_file.write(given.out, run(given.results, given.recipe, voice.rows))
    except AdaptoxError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
