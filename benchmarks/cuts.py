"""Kept scores of many seeds → which way to learn a threshold decides rows best that it was not learned from.

On rows left out of folds alone: calibration and threshold are learned on four fifths of the families and decide the
last fifth, and F1 is that of all rows. The test split has no part in this.

    python benchmarks/cuts.py docs/results/study-best docs/results/study-best-more docs/results/study-best-lora
        --rows runs/study-best-more/runs/all-s5 --out docs/results/cuts.json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import kept_scores
import numpy as np
import result_file
import seeds as benchmark
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from adaptox import evaluate
from adaptox.decide.calibrate import fit_platt
from adaptox.decide.policies import best_expected_f1, best_f1
from adaptox.decide.squash import logit
from adaptox.errors import AdaptoxError, InputError
from adaptox.evaluate import ScoredRows, interval_json
from adaptox.evaluate.resample import draw_weights, interval
from adaptox.records import BoolArray, FloatArray, IntArray

PARTS, PARTITIONS = 5, 4
SEED, RESAMPLES, CONFIDENCE = 0, 2000, 0.95
_TINY = 1e-9

# Probabilities and truth to learn from, and probabilities to decide → decisions.
Way = Callable[[FloatArray, BoolArray, FloatArray], BoolArray]


def _platt(probs: FloatArray, truth: BoolArray, others: FloatArray) -> BoolArray:
    calibration = fit_platt(logit(probs), truth)
    cut = best_expected_f1(calibration.probs(logit(probs)), truth)
    return calibration.probs(logit(others)) >= cut


def _beta(probs: FloatArray, truth: BoolArray, others: FloatArray) -> BoolArray:
    """Beta calibration (Kull, Silva Filho and Flach, AISTATS 2017): a slope for either end of the scale."""
    plain = LogisticRegression(C=np.inf, max_iter=1000).fit(_ends(probs), truth)
    cut = best_expected_f1(plain.predict_proba(_ends(probs))[:, 1], truth)
    return np.asarray(plain.predict_proba(_ends(others))[:, 1] >= cut)


def _ends(probs: FloatArray) -> FloatArray:
    return np.stack([np.log(np.clip(probs, _TINY, 1)), -np.log(np.clip(1 - probs, _TINY, 1))], axis=1)


def _isotonic(probs: FloatArray, truth: BoolArray, others: FloatArray) -> BoolArray:
    steps = IsotonicRegression(out_of_bounds="clip").fit(probs, truth)
    return np.asarray(steps.predict(others) >= best_expected_f1(steps.predict(probs), truth))


def _best(probs: FloatArray, truth: BoolArray, others: FloatArray) -> BoolArray:
    return others >= best_f1(probs, truth)


# The first is what `threshold` does by default, and what the others are compared with.
WAYS: Mapping[str, Way] = {
    "platt, best expected F1": _platt,
    "beta, best expected F1": _beta,
    "isotonic, best expected F1": _isotonic,
    "best F1": _best,
}


def f1(flags: FloatArray, truth: BoolArray, weights: FloatArray) -> FloatArray:
    """Give F1 of (rows, seeds x partitions) decisions under (draws, rows) weights: (draws, seeds x partitions)."""
    hits, flagged = weights @ (flags * truth[:, None]), weights @ flags
    return np.asarray(2 * hits / (flagged + (weights @ truth)[:, None]))


def partitions(rows: ScoredRows) -> list[IntArray]:
    """Part the families several times: (rows,), the number of each row's part."""
    found = []
    for seed in range(PARTITIONS):
        part_of = np.empty(len(rows.truth), dtype=np.int64)
        splitter = StratifiedGroupKFold(PARTS, shuffle=True, random_state=seed)
        for part, (_, left) in enumerate(splitter.split(rows.truth, rows.truth, rows.groups)):
            part_of[left] = part
        found.append(part_of)
    return found


def decide(way: Way, truth: BoolArray, seeds: Sequence[FloatArray], parted: Sequence[IntArray]) -> FloatArray:
    """Decide rows by thresholds that were learned without them.

    Args:
        way: to learn a threshold.
        truth: (rows,).
        seeds: (rows,) probabilities each.
        parted: (rows,) the number of each row's part, for each partition.

    Returns:
        (rows, seeds x partitions), 1 for a row that is flagged; seed by seed.
    """
    flags = []
    for probs in seeds:
        for part_of in parted:
            found = np.zeros(len(truth))
            for part in range(PARTS):
                learned, left = part_of != part, part_of == part
                found[left] = way(probs[learned], truth[learned], probs[left])
            flags.append(found)
    return np.stack(flags, axis=1)


def run(results: Sequence[Path], rows: ScoredRows) -> dict[str, Any]:
    """Compare the ways on every recipe of some results.

    Args:
        results: folders with the scores that benchmarks/seeds.py keeps.
        rows: those left out of folds, in the order of their ids.

    Raises:
        InputError: a result of other rows.
    """
    told: list[dict[str, Any]] = []
    whole: dict[str, list[FloatArray]] = {name: [] for name in WAYS}
    parted, truth = partitions(rows), rows.truth == 1
    weights = np.concatenate(list(draw_weights(rows.groups, RESAMPLES, SEED)))
    for folder in results:
        kept = kept_scores.read(folder / kept_scores.FILE)
        if kept.rows["folds"] != kept_scores.rows_sha256(rows):
            raise InputError(f"{folder}: expected scores of the same rows as this run, got others")
        for recipe, seeds in kept.probs.items():
            probs = [parts["folds"] for parts in seeds.values()]
            decided = {name: decide(way, truth, probs, parted) for name, way in WAYS.items()}
            told.append({"study": folder.name, "recipe": recipe, **_told(decided, truth, weights)})
            for name, one in decided.items():
                whole[name].append(one)
    together = {name: np.concatenate(flags, axis=1) for name, flags in whole.items()}
    return {
        "n": len(truth),
        "positives": int(truth.sum()),
        "seeds": together[next(iter(WAYS))].shape[1] // PARTITIONS,
        "together": _told(together, truth, weights),
        "recipes": told,
        "parts": PARTS,
        "partitions": PARTITIONS,
        "resamples": RESAMPLES,
        "confidence": CONFIDENCE,
        "rows_sha256": kept_scores.rows_sha256(rows),
        "hardware": evaluate.hardware(),
        "commit": evaluate.commit(),
    }


def _told(decided: Mapping[str, FloatArray], truth: BoolArray, weights: FloatArray) -> dict[str, Any]:
    """Give each way's F1, mean over seeds, and what it is beyond the first, with intervals over families."""
    once = np.ones((1, len(truth)))
    points = {name: f1(one, truth, once)[0] for name, one in decided.items()}
    draws = {name: f1(one, truth, weights).mean(axis=1) for name, one in decided.items()}
    first = next(iter(decided))
    ways = {}
    for name, values in points.items():
        gained, drawn = values - points[first], draws[name] - draws[first]
        by_seed = gained.reshape(-1, PARTITIONS).mean(axis=1)
        ways[name] = {
            "f1": interval_json(interval(float(values.mean()), draws[name], CONFIDENCE)),
            "gain": interval_json(interval(float(gained.mean()), drawn, CONFIDENCE)),
            "seeds_better": int((by_seed > 0).sum()),
        }
    return {"ways": ways}


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", help="folders with scores.npz")
    parser.add_argument("--rows", type=Path, required=True, help="folder of a finished run of these rows")
    parser.add_argument("--out", type=Path, required=True, help="result file")
    given = parser.parse_args()
    try:
        _, voice = benchmark.voices(given.rows)
        result_file.write(given.out, run(given.results, voice.rows["folds"]))
    except AdaptoxError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
