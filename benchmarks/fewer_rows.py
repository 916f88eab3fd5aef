"""Finished runs → what they would have made of fewer rows: a learning curve on folds of the training rows alone.

Each run's networks on folds are trained once more from the same base, by the same settings and seed, on a half, a
quarter, … of the families that they learned from, and score the same rows left out; each is compared with the run
itself, networks alone, by the paired bootstrap over prompt families. The test split has no part in this.

    python benchmarks/fewer_rows.py runs/study-best/runs/all-s0 --parts 2 4 --out docs/results/fewer-rows.json

Started again, it goes on where it was: folds that are finished are kept in `--work`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import result_file
import seeds as benchmark
from sklearn.model_selection import StratifiedGroupKFold

from adaptox import config as settings
from adaptox import evaluate
from adaptox.adapt import read_and_prepare
from adaptox.adapt.judge import fit_decider, judge
from adaptox.config import Config
from adaptox.errors import AdaptoxError, ConfigError, InputError
from adaptox.evaluate import Evaluation, interval_json
from adaptox.records import Example, silent
from adaptox.teach import CrossFit, Held, folds_key, is_scored, lay_out_folds

METRICS = ("auprc", "f1")
RESAMPLES = 5000


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run, and the rows that it was trained and decided on."""

    folder: Path
    config: Config
    rows: tuple[Example, ...]
    data_sha256: str

    @classmethod
    def of(cls, folder: Path) -> Run:
        """Read it.

        Raises:
            InputError: no finished run, or one without folds.
        """
        if not (folder / "metrics.json").is_file():
            raise InputError(f"{folder} is no finished run: adaptox train --resume finishes it")
        config = settings.parse(json.loads((folder / "config.json").read_text(encoding="utf-8")))
        if not config.threshold.folds:
            raise InputError(f"{folder}: expected a run with folds to be measured on; set threshold.folds")
        prepared = read_and_prepare(config).prepared
        return cls(folder, config, (*prepared.train, *prepared.validation), prepared.manifest.sha256)

    def whole(self) -> Evaluation:
        """Measure what its own networks on folds said."""
        alone, _ = benchmark.voices(self.folder)
        rows = alone.rows["folds"]
        known = {row.id: row for row in self.rows}
        examples = [known[name] for name in rows.ids]
        target = self.config.label_set.target
        return evaluate.evaluate(
            examples, rows.probs, target, alone.threshold, "", self.config.evaluate, self.config.seed
        )

    def toxic(self, parts: int) -> float:
        """Count the toxic rows that a network learns from, the mean over folds."""
        folds = lay_out_folds(self.rows, self.config, self.config.threshold.folds, "threshold.folds")
        target = self.config.label_set.target
        learned = [one_of(fold.rest, parts, self.config) for fold in folds]
        return float(np.mean([sum(row.labels.get(target, 0) for row in rows) for rows in learned]))

    def part(self, parts: int, work: Path) -> Evaluation:
        """Train on one of so many parts of what each fold learns from, and measure."""
        config = self.config
        key = folds_key(config, config.threshold.folds, self.rows)
        crossfit = Fewer(config, config.threshold.folds, "folds", work / f"{key}-{parts}", True, silent, parts)
        held = crossfit.score(self.rows)
        if held is None:
            raise ConfigError("a curve is measured in one process: start it without torchrun")
        decider = fit_decider(held.scores, held.examples, config, {})
        return judge(held.scores, decider, held.examples, config)


@dataclass(frozen=True, slots=True)
class Fewer(CrossFit):
    """Networks of folds that learn from a part of what they might, families whole."""

    parts: int

    def _fold(self, fold: int, rest: Sequence[Example], held: Sequence[Example]) -> Held | None:
        return CrossFit._fold(self, fold, one_of(rest, self.parts, self.config), held)


def one_of(rows: Sequence[Example], parts: int, config: Config) -> list[Example]:
    """Take one of so many parts of the labelled rows, stratified and families whole; all others stay."""
    if parts == 1:
        return list(rows)
    target = config.label_set.target
    labelled = [row for row in rows if is_scored(row, target)]
    truth, groups = [row.labels[target] for row in labelled], [row.group or row.id for row in labelled]
    splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=config.seed)
    _, kept = next(iter(splitter.split(truth, truth, groups)))
    chosen = {labelled[at].id for at in kept}
    return [row for row in rows if row.id in chosen or not is_scored(row, target)]


def measure(runs: Sequence[Run], parts: Sequence[int], work: Path) -> list[dict[str, Any]]:
    """Measure every run on every part of its rows, and compare it with itself."""
    found = []
    for run in runs:
        whole = run.whole()
        curve = [{"parts": 1, "toxic_rows_learned_from": run.toxic(1), **_levels(whole)}]
        for number in sorted(parts):
            one = run.part(number, work)
            tests = {name: evaluate.compare(one, whole, name, RESAMPLES, run.config.seed) for name in METRICS}
            difference = {name: interval_json(test.difference) for name, test in tests.items()}
            toxic = run.toxic(number)
            curve.append(
                {"parts": number, "toxic_rows_learned_from": toxic, **_levels(one), "difference": difference}
            )
            print(f"{run.folder.name}, one of {number}: {_said(one)}, whole {_said(whole)}", flush=True)
        found.append(
            {
                "run": run.folder.name,
                "seed": run.config.seed,
                "data_sha256": run.data_sha256,
                "config": run.config.model_dump(mode="json", exclude_unset=True),
                "curve": curve,
            }
        )
    return found


def _levels(one: Evaluation) -> dict[str, Any]:
    main = next(iter(one.slices.values()))
    return {
        "n": main.n,
        "positives": main.positives,
        **{name: interval_json(main.metrics[name]) for name in METRICS},
    }


def _said(one: Evaluation) -> str:
    main = next(iter(one.slices.values()))
    return " ".join(f"{name} {main.metrics[name].value:.3f}" for name in METRICS)


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="folders of finished runs")
    parser.add_argument("--parts", type=int, nargs="+", default=[2], help="learn from one of so many parts")
    parser.add_argument("--work", type=Path, default=Path("runs/fewer-rows"), help="folder for what is finished")
    parser.add_argument("--out", type=Path, required=True, help="result file (JSON) to write")
    given = parser.parse_args()
    if min(given.parts) < 2:
        raise ConfigError(f"--parts: expected 2 or more, got {min(given.parts)}")
    runs = [Run.of(folder) for folder in given.runs]
    content = {
        "runs": measure(runs, given.parts, given.work),
        "folds": runs[0].config.threshold.folds,
        "resamples": RESAMPLES,
        "confidence": runs[0].config.evaluate.confidence,
        "hardware": evaluate.hardware(),
        "commit": evaluate.commit(),
    }
    result_file.write(given.out, content)


if __name__ == "__main__":
    try:
        main()
    except AdaptoxError as error:
        sys.exit(f"error: {error}")
