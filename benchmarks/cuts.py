"""Kept scores of many seeds → which way to learn a threshold decides rows best that it was not learned from.

On rows left out of folds alone: calibration and threshold are learned on four fifths of the families and decide the
last fifth; F1 and log loss are those of all rows. Then each fourteenth of the families decides the next, which is
how few rows a small validation part has. The test split has no part in this.

    python benchmarks/cuts.py docs/results/study-best docs/results/study-best-more docs/results/study-best-lora
        --rows runs/study-best-more/runs/all-s5 --out docs/results/cuts.json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kept_scores
import numpy as np
import result_file
import seeds as benchmark
from sklearn.isotonic import IsotonicRegression
from sklearn.model_selection import StratifiedGroupKFold

from adaptox import evaluate
from adaptox.decide import Calibration, best_expected_f1, best_f1, fit_beta, fit_platt, logit
from adaptox.errors import AdaptoxError, InputError
from adaptox.evaluate import ScoredRows, interval_json
from adaptox.evaluate.resample import draw_weights, interval
from adaptox.records import BoolArray, FloatArray, IntArray

PARTS, FEW_PARTS, PARTITIONS = 5, 14, 4
SEED, RESAMPLES, CONFIDENCE = 0, 2000, 0.95
# No probability is surer than this where log loss is taken: a step of isotonic calibration may say 0 or 1.
_SUREST = 1e-6


@dataclass(frozen=True, slots=True)
class Way:
    """A way to learn a threshold: calibration, and then a cut, both on the same rows.

    Attributes:
        calibrate: probabilities and truth to learn from, and others → the same and the others, calibrated.
        cut: probabilities and truth → a threshold.
    """

    calibrate: Callable[[FloatArray, BoolArray, FloatArray], tuple[FloatArray, FloatArray]]
    cut: Callable[[FloatArray, BoolArray], float] = best_expected_f1


def _by(fit: Callable[[FloatArray, BoolArray], Calibration]) -> Way:
    def calibrate(probs: FloatArray, truth: BoolArray, others: FloatArray) -> tuple[FloatArray, FloatArray]:
        found = fit(logit(probs), truth)
        return found.probs(logit(probs)), found.probs(logit(others))

    return Way(calibrate)


def _isotonic(probs: FloatArray, truth: BoolArray, others: FloatArray) -> tuple[FloatArray, FloatArray]:
    steps = IsotonicRegression(out_of_bounds="clip").fit(probs, truth)
    return steps.predict(probs), steps.predict(others)


def _as_they_are(probs: FloatArray, truth: BoolArray, others: FloatArray) -> tuple[FloatArray, FloatArray]:
    return probs, others


# The first is what `threshold` does by default, and what the others are compared with.
WAYS: Mapping[str, Way] = {
    "platt, best expected F1": _by(fit_platt),
    "beta, best expected F1": _by(fit_beta),
    "isotonic, best expected F1": Way(_isotonic),
    "best F1": Way(_as_they_are, best_f1),
}


def f1(flags: FloatArray, truth: BoolArray, weights: FloatArray) -> FloatArray:
    """Give F1 of (rows, seeds x partitions) decisions under (draws, rows) weights: (draws, seeds x partitions)."""
    hits, flagged = weights @ (flags * truth[:, None]), weights @ flags
    return np.asarray(2 * hits / (flagged + (weights @ truth)[:, None]))


def partitions(rows: ScoredRows, parts: int = PARTS) -> list[IntArray]:
    """Part the families several times: (rows,), the number of each row's part."""
    found = []
    for seed in range(PARTITIONS):
        part_of = np.empty(len(rows.truth), dtype=np.int64)
        splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
        for part, (_, left) in enumerate(splitter.split(rows.truth, rows.truth, rows.groups)):
            part_of[left] = part
        found.append(part_of)
    return found


@dataclass(frozen=True, slots=True)
class Decided:
    """Rows decided by thresholds that were learned without them, seed by seed and partition by partition.

    Attributes:
        flags: (rows, seeds x partitions), 1 for a row that is flagged.
        losses: of the same shape, the log loss of a row's calibrated probability.
    """

    flags: FloatArray
    losses: FloatArray

    @classmethod
    def together(cls, many: Sequence[Decided]) -> Decided:
        """Put the seeds of several recipes beside each other."""
        flags, losses = [one.flags for one in many], [one.losses for one in many]
        return cls(np.concatenate(flags, axis=1), np.concatenate(losses, axis=1))


def decide(
    way: Way, truth: BoolArray, seeds: Sequence[FloatArray], parted: Sequence[IntArray], few: bool = False
) -> Decided:
    """Decide rows by thresholds that were learned without them.

    Args:
        way: to learn a threshold.
        truth: (rows,).
        seeds: (rows,) probabilities each.
        parted: (rows,) the number of each row's part, for each partition.
        few: learn on one part, and decide another; if not, learn on all parts but the one that is decided.
    """
    flags, losses = [], []
    for probs in seeds:
        for part_of in parted:
            found, calibrated = np.zeros(len(truth)), np.zeros(len(truth))
            parts = int(part_of.max()) + 1
            for part in range(parts):
                left = part_of == part
                learned = part_of == (part + 1) % parts if few else ~left
                seen, calibrated[left] = way.calibrate(probs[learned], truth[learned], probs[left])
                found[left] = calibrated[left] >= way.cut(seen, truth[learned])
            sure = np.clip(calibrated, _SUREST, 1 - _SUREST)
            flags.append(found)
            losses.append(-np.log(np.where(truth, sure, 1 - sure)))
    return Decided(np.stack(flags, axis=1), np.stack(losses, axis=1))


def run(results: Sequence[Path], rows: ScoredRows) -> dict[str, Any]:
    """Compare the ways on every recipe of some results.

    Args:
        results: folders with the scores that benchmarks/seeds.py keeps.
        rows: those left out of folds, in the order of their ids.

    Raises:
        InputError: a result of other rows.
    """
    said = {folder: kept_scores.read(folder / kept_scores.FILE) for folder in results}
    for folder, kept in said.items():
        if kept.rows["folds"] != kept_scores.rows_sha256(rows):
            raise InputError(f"{folder}: expected scores of the same rows as this run, got others")
    recipes = {
        (folder.name, recipe): [parts["folds"] for parts in seeds.values()]
        for folder, kept in said.items()
        for recipe, seeds in kept.probs.items()
    }
    weights = np.concatenate(list(draw_weights(rows.groups, RESAMPLES, SEED)))
    return {
        "n": len(rows.truth),
        "positives": int(rows.truth.sum()),
        "seeds": sum(len(probs) for probs in recipes.values()),
        **_compared(recipes, rows, weights, partitions(rows)),
        "few": {"parts": FEW_PARTS, **_compared(recipes, rows, weights, partitions(rows, FEW_PARTS), few=True)},
        "parts": PARTS,
        "partitions": PARTITIONS,
        "resamples": RESAMPLES,
        "confidence": CONFIDENCE,
        "rows_sha256": kept_scores.rows_sha256(rows),
        "hardware": evaluate.hardware(),
        "commit": evaluate.commit(),
    }


def _compared(
    recipes: Mapping[tuple[str, str], Sequence[FloatArray]],
    rows: ScoredRows,
    weights: FloatArray,
    parted: Sequence[IntArray],
    few: bool = False,
) -> dict[str, Any]:
    """Compare the ways on every recipe, and on all of them together."""
    truth, told = rows.truth == 1, []
    whole: dict[str, list[Decided]] = {name: [] for name in WAYS}
    for (study, recipe), probs in recipes.items():
        decided = {name: decide(way, truth, probs, parted, few) for name, way in WAYS.items()}
        told.append({"study": study, "recipe": recipe, **_told(decided, truth, weights)})
        for name, one in decided.items():
            whole[name].append(one)
    together = {name: Decided.together(many) for name, many in whole.items()}
    return {"together": _told(together, truth, weights), "recipes": told}


def _told(decided: Mapping[str, Decided], truth: BoolArray, weights: FloatArray) -> dict[str, Any]:
    """Give each way's F1 and log loss, means over seeds, and both beside the first's, with intervals over families.

    More F1 is better, and less log loss.
    """
    once = np.ones((1, len(truth)))
    ways: dict[str, dict[str, Any]] = {name: {} for name in decided}
    for metric, measure, better in (("f1", _f1, 1), ("log_loss", _log_loss, -1)):
        points = {name: measure(one, truth, once)[0] for name, one in decided.items()}
        draws = {name: measure(one, truth, weights).mean(axis=1) for name, one in decided.items()}
        first = next(iter(decided))
        for name, values in points.items():
            gained, drawn = values - points[first], draws[name] - draws[first]
            by_seed = gained.reshape(-1, PARTITIONS).mean(axis=1)
            ways[name][metric] = {
                **interval_json(interval(float(values.mean()), draws[name], CONFIDENCE)),
                "gain": interval_json(interval(float(gained.mean()), drawn, CONFIDENCE)),
                "seeds_better": int((better * by_seed > 0).sum()),
            }
    return {"ways": ways}


def _f1(one: Decided, truth: BoolArray, weights: FloatArray) -> FloatArray:
    return f1(one.flags, truth, weights)


def _log_loss(one: Decided, truth: BoolArray, weights: FloatArray) -> FloatArray:
    return np.asarray(weights @ one.losses / weights.sum(axis=1, keepdims=True))


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
