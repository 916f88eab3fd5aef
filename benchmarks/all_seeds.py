"""Results of one recipe, seeds of each → what all its seeds say together, with words, and as one ensemble.

A recipe's seeds may be measured in several studies: other seeds, another training of the same base. What every seed
said is kept by benchmarks/seeds.py; here it is put together, on the same draws of prompt families and seeds. With
`--calibration`, each seed is decided anew on its rows left out of folds, which takes no training, and is compared
with itself as it was.

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
from seeds import Measured

from adaptox import evaluate
from adaptox.config import Config, ThresholdConfig, override, parse
from adaptox.errors import AdaptoxError, InputError
from adaptox.evaluate import ScoredRows
from adaptox.report.phrases import listed


def run(
    results: Sequence[Path], recipe: str, rows: Mapping[str, ScoredRows], calibration: str | None = None
) -> dict[str, Any]:
    """Measure a recipe over the seeds of all results.

    Args:
        results: folders that benchmarks/seeds.py filled.
        recipe: its name, the same in all of them.
        rows: part → the rows that were scored, in the order of their ids.
        calibration: decide every seed anew by this one; None leaves each as it is.

    Returns:
        A result as that of benchmarks/seeds.py, of one recipe, without its networks alone.

    Raises:
        InputError: no such result or recipe, one of other rows or settings, or a seed that is there twice.
        ConfigError: settings of another version, or no such calibration.
    """
    told = [benchmark.read_result(folder / benchmark.RESULT) for folder in results]
    found = [_named(one, recipe, folder) for one, folder in zip(told, results, strict=True)]
    heard: dict[int, Voice] = {}
    for folder, one in zip(results, found, strict=True):
        if one is not found[0] and _settings(one, calibration) != _settings(found[0], calibration):
            raise InputError(f"{folder}: expected the settings of {results[0]}, but for the seed; got others")
        own = kept_scores.read(folder / kept_scores.FILE).voices(recipe, rows, folder)
        if twice := sorted(heard.keys() & own.keys()):
            raise InputError(f"{folder}: expected seeds that no earlier folder has, got {twice} again")
        heard |= own
    voices, config, against = list(heard.values()), found[0]["config"], {}
    measured = _measured(voices)
    if calibration is not None:
        config = {**config, "threshold": {**config["threshold"], "calibration": calibration}}
        voices = [benchmark.ensemble([voice], threshold(config)) for voice in voices]
        before, measured = measured, _measured(voices)
        main = {part: benchmark.largest(own) for part, own in rows.items()}
        gained = benchmark.gains(measured, before, main)
        against = {"against": {**_told(told), "config": found[0]["config"], "seeds": list(heard), **gained}}
    ensemble = benchmark.ensemble(voices, threshold(config))
    return {
        "study": told[0]["study"],
        "panels": told[0]["panels"],
        "recipes": [
            {
                "name": recipe,
                "seeds": list(heard),
                "config": config,
                "with_words": benchmark.together(measured, rows),
                **against,
                "ensemble": benchmark.together(_measured([ensemble]), rows),
            }
        ],
        "resamples": benchmark.RESAMPLES,
        "confidence": benchmark.CONFIDENCE,
        "hardware": listed(list(dict.fromkeys(one["hardware"] for one in told))),
        "commit": {"runs": _told(told)["commit"], "this": evaluate.commit()},
    }


def threshold(config: Mapping[str, Any]) -> ThresholdConfig:
    """Read how scores become decisions; of the other settings, any may be of another version.

    Raises:
        ConfigError: no such calibration.
    """
    return parse({"threshold": config["threshold"]}).threshold


def _measured(voices: Sequence[Voice]) -> list[Measured]:
    return [benchmark.measure(voice) for voice in voices]


def _told(told: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {"study": told[0]["study"], "commit": listed([one["commit"]["runs"] for one in told])}


def _named(told: Mapping[str, Any], recipe: str, folder: Path) -> Mapping[str, Any]:
    known: dict[str, Mapping[str, Any]] = {one["name"]: one for one in told["recipes"]}
    if recipe not in known:
        raise InputError(f"{folder}: expected the recipe {recipe!r}, got {', '.join(known) or 'none'}")
    return known[recipe]


def _settings(recipe: Mapping[str, Any], calibration: str | None) -> Config:
    """Give what a recipe is: its settings, without the seed and the name of the run, and as it is decided anew."""
    anew = {"threshold.calibration": calibration} if calibration else {}
    return override(parse(recipe["config"]), anew).model_copy(update={"name": "", "seed": 0})


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", help="folders with seeds.json and scores.npz")
    parser.add_argument("--recipe", required=True, help="name of the recipe in each of them")
    parser.add_argument("--calibration", help="decide each seed anew by this; left out, each is as it was decided")
    parser.add_argument("--rows", type=Path, required=True, help="folder of a finished run of these rows")
    parser.add_argument("--out", type=Path, required=True, help="result file")
    given = parser.parse_args()
    try:
        _, voice = benchmark.voices(given.rows)
        result_file.write(given.out, run(given.results, given.recipe, voice.rows, given.calibration))
    except AdaptoxError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
