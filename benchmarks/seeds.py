"""A study of one recipe over seeds → what the seeds say together, what words give, and what an ensemble would.

Reads the run folders of a finished study whose runs have words beside the network (`lexicon.grams`), so that every
run holds the network's scores alone, too: each recipe is measured without words and with them, on the same draws of
prompt families and seeds, on the test split and on folds of train. The ensemble of a recipe's seeds is the line
above: the mean of their calibrated logits, with a threshold learned on folds of train.

    python benchmarks/seeds.py runs/study-best --out docs/results/study-best/seeds.json

Beside the result it writes scores.npz, what every seed said with words. With `--before FOLDER`, an earlier result
of the same rows, each recipe is compared with the one of its name there, or with the one that `--recipe` names,
seed by seed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import kept_scores
import numpy as np
import result_file
from kept_scores import Kept, Voice

from adaptox import decide, evaluate
from adaptox.config import ThresholdConfig, parse
from adaptox.errors import AdaptoxError, InputError
from adaptox.evaluate import METRICS, ScoredRows, bootstrap, interval_json, rows_from_parquet
from adaptox.evaluate.metrics import point_metrics
from adaptox.evaluate.paired import judge
from adaptox.evaluate.resample import interval
from adaptox.evaluate.values import Draws
from adaptox.study.results import mean_draws

STUDY, RESULT = "study.json", "seeds.json"
PARTS = {"test": "test", "folds": "validation"}
ALONE = ", network alone"
COMPARED = ("auprc", "f1")
SEED, RESAMPLES, CONFIDENCE = 0, 2000, 0.95
LEVEL = 1 - CONFIDENCE


@dataclass(frozen=True, slots=True)
class Measured:
    """What a voice comes to: part → slice → metric, and the draws behind it."""

    points: Mapping[str, Mapping[str, Mapping[str, float]]]
    draws: Mapping[str, Draws]


def voices(folder: Path) -> tuple[Voice, Voice]:
    """Read a run: its network alone, and with words.

    Raises:
        InputError: no such run, or one without words.
    """
    if not (folder / "metrics.json").is_file():
        raise InputError(f"{folder} holds no finished run: run the study again")
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    if "lexicon" not in metrics:
        raise InputError(f"{folder}: expected a run with words beside its network; set lexicon.grams")
    kept = rows_from_parquet(folder / "scores.parquet")
    thresholds = (metrics["lexicon"]["network_alone"]["threshold"]["value"], metrics["threshold"]["value"])
    alone, words = (
        Voice({name: in_order(kept[part + suffix]) for name, part in PARTS.items()}, threshold)
        for suffix, threshold in zip((ALONE, ""), thresholds, strict=True)
    )
    return alone, words


def in_order(rows: ScoredRows) -> ScoredRows:
    """Sort by id: the order of the rows may differ from run to run."""
    order = np.argsort(rows.ids)
    return ScoredRows(
        tuple(rows.ids[at] for at in order),
        rows.probs[order],
        rows.truth[order],
        tuple(rows.groups[at] for at in order),
        {name: member[order] for name, member in rows.slices.items()},
    )


def measure(voice: Voice) -> Measured:
    """Measure a voice, on the same draws as every other."""
    points = {
        part: {
            name: point_metrics(rows.probs[member], rows.truth[member], voice.threshold)
            for name, member in rows.slices.items()
        }
        for part, rows in voice.rows.items()
    }
    draws = {part: bootstrap(rows, voice.threshold, RESAMPLES, SEED) for part, rows in voice.rows.items()}
    return Measured(points, draws)


def together(seeds: Sequence[Measured], rows: Mapping[str, ScoredRows]) -> dict[str, Any]:
    """Say what seeds come to on average: mean, interval over families and seeds, deviation between seeds."""
    return {
        part: {
            name: {
                "n": int(member.sum()),
                "positives": int(rows[part].truth[member].sum()),
                **{metric: _mean(seeds, part, name, metric) for metric in METRICS},
            }
            for name, member in rows[part].slices.items()
        }
        for part in PARTS
    }


def _mean(seeds: Sequence[Measured], part: str, name: str, metric: str) -> dict[str, Any]:
    values = [one.points[part][name][metric] for one in seeds]
    drawn = interval(float(np.mean(values)), np.clip(_drawn(seeds, part, name, metric), 0, 1), CONFIDENCE)
    return {
        **interval_json(drawn),
        "spread": _known(float(np.std(values, ddof=1))) if len(values) > 1 else None,
        "seeds": [_known(value) for value in values],
    }


def _known(value: float) -> float | None:
    """Give a number as JSON has it: null where it is not defined."""
    return float(value) if np.isfinite(value) else None


def gains(after: Sequence[Measured], before: Sequence[Measured], main: Mapping[str, str]) -> dict[str, Any]:
    """Compare two measurements of the same seeds: families and seeds are drawn alike on both sides.

    p-values are corrected for the metrics compared, after Holm.
    """
    found: dict[str, Any] = {}
    for part, name in main.items():
        for metric in COMPARED:
            difference = _drawn(after, part, name, metric) - _drawn(before, part, name, metric)
            value = np.mean([one.points[part][name][metric] for one in after]) - np.mean(
                [one.points[part][name][metric] for one in before]
            )
            told = judge(metric, name, float(value), difference, CONFIDENCE)
            found.setdefault(part, {})[metric] = {
                **interval_json(told.difference),
                # On folds the shares of words were chosen on these very rows: nothing is tested there.
                **({"p_value": told.p_value, "verdict": told.verdict} if part == "test" else {}),
            }
    corrected = evaluate.holm([found["test"][metric].pop("p_value") for metric in COMPARED])
    for metric, p_value in zip(COMPARED, corrected, strict=True):
        told = found["test"][metric]
        told["p_holm"] = p_value
        if p_value >= LEVEL:
            told["verdict"] = "not distinguishable"
    return found


def _drawn(seeds: Sequence[Measured], part: str, name: str, metric: str) -> Any:
    return mean_draws([one.draws[part][name][METRICS.index(metric)] for one in seeds], SEED)


def ensemble(members: Sequence[Voice], config: ThresholdConfig) -> Voice:
    """Put several voices together: the mean of their calibrated logits, calibrated anew on folds of train.

    Raises:
        InputError: the threshold cannot be learned.
    """
    rows = {
        part: replace(
            members[0].rows[part],
            probs=np.mean([decide.logit(one.rows[part].probs) for one in members], axis=0),
        )
        for part in PARTS
    }
    folds = rows["folds"]
    known = np.ones((len(folds.probs), 1), dtype=np.bool_)
    decider = decide.fit(folds.probs[:, None], folds.truth[:, None], known, ["target"], config)
    (threshold,) = decider.thresholds
    if threshold.value is None:
        raise InputError("the ensemble has no threshold")
    calibrated = {part: replace(one, probs=decider.probs(one.probs[:, None])[:, 0]) for part, one in rows.items()}
    return Voice(calibrated, threshold.value)


def largest(rows: ScoredRows) -> str:
    """Name the slice of all rows."""
    return max(rows.slices, key=lambda name: int(rows.slices[name].sum()))


def run(study: Path, before: Path | None = None, recipe: str = "") -> tuple[dict[str, Any], Kept]:
    """Measure every recipe of a study, and what it gains over `recipe`, or its namesake, in an earlier result.

    Returns:
        The result, and what every seed said with words.

    Raises:
        InputError: no finished study there, one without words, or an earlier result of other rows.
    """
    told = read_result(study / STUDY)
    known = set() if before is None else {one["name"] for one in read_result(before / RESULT)["recipes"]}
    wanted = {recipe} if recipe else {one["name"] for one in told["runs"]}
    if before is not None and not known & wanted:
        expected = f"the recipe {recipe!r}" if recipe else f"a recipe of {study}"
        raise InputError(f"{before}: expected {expected}, got {', '.join(sorted(known)) or 'none'}")
    recipes, heard = [], {}
    for one in told["runs"]:
        numbers = [seed["seed"] for seed in one["seeds"]]
        seeds = [voices(study / "runs" / f"{one['name']}-s{number}") for number in numbers]
        alone, words = ([measure(pair[side]) for pair in seeds] for side in (0, 1))
        now = {number: (pair[1], own) for number, pair, own in zip(numbers, seeds, words, strict=True)}
        rows = seeds[0][0].rows
        heard[one["name"]] = {number: voice for number, (voice, _) in now.items()}
        main = {part: largest(rows[part]) for part in PARTS}
        other, config = recipe or one["name"], parse(one["config"]).threshold
        recipes.append(
            {
                "name": one["name"],
                "seeds": numbers,
                "config": one["config"],
                "network_alone": together(alone, rows),
                "with_words": together(words, rows),
                "words": gains(words, alone, main),
                **({"against": against(before, other, now, main)} if before and other in known else {}),
                "ensemble": together([measure(ensemble([pair[1] for pair in seeds], config))], rows),
            }
        )
    result = {
        "study": told["title"],
        "panels": told["panels"],
        "recipes": recipes,
        "resamples": RESAMPLES,
        "confidence": CONFIDENCE,
        "hardware": told["hardware"],
        "commit": {"runs": told["commit"], "this": evaluate.commit()},
    }
    return result, Kept.of(heard)


def read_result(file: Path) -> Mapping[str, Any]:
    """Read a file of a finished study or result.

    Raises:
        InputError: no such file.
    """
    if not file.is_file():
        raise InputError(f"{file.parent} holds no {file.name}: expected the folder of a finished study or result")
    told: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return told


def against(
    before: Path, name: str, now: Mapping[int, tuple[Voice, Measured]], main: Mapping[str, str]
) -> dict[str, Any]:
    """Compare a recipe, with words, with the one of its name in an earlier result, on the seeds that both have.

    Args:
        before: folder of the earlier result.
        name: of the recipe.
        now: seed → what it says here, and what that comes to.
        main: part → its slice of all rows.

    Raises:
        InputError: no such result or recipe, no seed in common, or other rows.
    """
    told = read_result(before / RESULT)
    kept = kept_scores.read(before / kept_scores.FILE)
    shared = [number for number in now if number in kept.probs.get(name, {})]
    if not shared:
        raise InputError(f"{before}: expected the recipe {name!r} with seeds among {list(now)}, got none")
    old = [measure(kept.voices(name, now[number][0].rows, before)[number]) for number in shared]
    return {
        "study": told["study"],
        "commit": told["commit"]["runs"],
        "config": next(one["config"] for one in told["recipes"] if one["name"] == name),
        "seeds": shared,
        **gains([now[number][1] for number in shared], old, main),
    }


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="folder of a finished study")
    parser.add_argument("--before", type=Path, help="folder of an earlier result to compare with")
    parser.add_argument(
        "--recipe", default="", help="its recipe to compare with; left out, the one of the same name"
    )
    parser.add_argument("--out", type=Path, required=True, help="result file")
    given = parser.parse_args()
    try:
        result, kept = run(given.study, given.before, given.recipe)
        kept_scores.write(given.out.with_name(kept_scores.FILE), kept)
        result_file.write(given.out, result)
    except AdaptoxError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
