"""Seeds of one recipe → soups of them: the mean of their weights, one network to serve (arXiv 2203.05482).

`train.soup = 3` trains three times and keeps such a mean. Here the members are the seeds of a finished study whose
runs start from one base and one head, so that soups of several sizes share their members: each is judged without
words and with them, on folds of train by the mean of networks that saw neither a row nor its family, and on the
test split. Soups of neighbouring seeds, taken round, overlap; only the whole one has no like.

    python benchmarks/soups.py runs/study-best all --out docs/results/soups.json

The members' networks on folds are trained, unless `--work` holds them; started again, it goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import result_file
import seeds as benchmark
import torch
from kept_scores import Voice
from safetensors.torch import load_file, save_file
from seeds import PARTS, Measured, gains, measure, together

from adaptox import bundle as bundles
from adaptox import config as settings
from adaptox import evaluate, model, train
from adaptox.adapt import read_and_prepare
from adaptox.adapt.data import Data
from adaptox.adapt.judge import conversations, judge_model
from adaptox.adapt.words import Learned, learn_words, weigh_words
from adaptox.config import Config
from adaptox.errors import AdaptoxError, InputError
from adaptox.evaluate import Evaluation
from adaptox.records import Example, FloatArray, Scores
from adaptox.report.phrases import listed
from adaptox.scorers import TorchScorer
from adaptox.teach import Fold, Held, lay_out_folds, settled, watched

SIZES = (1, 3)
States = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Members:
    """The seeds of a recipe, and what they learned from.

    Attributes:
        runs: seed → its run folder.
        config: of the first; the others differ in their seed alone.
        data: of all.
        folds: of the rows that are not test rows.
        words: learned from the same.
        work: folder of what is trained and scored here, named after the runs' weights.
    """

    runs: Mapping[int, Path]
    config: Config
    data: Data
    folds: tuple[Fold, ...]
    words: Learned
    work: Path

    @classmethod
    def of(cls, study: Path, name: str, work: Path, calibration: str | None = None) -> Members:
        """Find the seeds of a recipe of a study.

        Args:
            study: its folder.
            name: of the recipe.
            work: folder for what is trained and scored here.
            calibration: that all are decided by; None leaves the one that they have.

        Raises:
            ConfigError: no such calibration.
            InputError: no such seeds, or seeds with data of their own.
        """
        found = sorted(study.glob(f"runs/{name}-s*/metrics.json"), key=lambda file: _seed(file.parent))
        if len(found) < 2:
            raise InputError(f"{study}: expected finished runs {name}-s0, {name}-s1, …, got {len(found)}")
        runs = {_seed(file.parent): file.parent for file in found}
        anew = {"threshold.calibration": calibration} if calibration else {}
        configs = [
            settings.override(settings.parse(json.loads((run / "config.json").read_text("utf-8"))), anew)
            for run in runs.values()
        ]
        config = configs[0]
        alike = {one.model_copy(update={"seed": 0, "name": ""}).model_dump_json() for one in configs}
        if len(alike) > 1 or config.prepare.seed is None or not config.threshold.folds or not config.lexicon.grams:
            raise InputError(
                f"{study}: expected runs that differ in their seed alone, with prepare.seed, threshold.folds and "
                "lexicon.grams: set these, and run the study again"
            )
        data = read_and_prepare(config)
        rows = (*data.prepared.train, *data.prepared.validation)
        folds = lay_out_folds(rows, config, config.threshold.folds, "threshold.folds")
        read = [bundles.load(run / "bundle").manifest.sha256 for run in runs.values()]
        own = hashlib.sha256("".join(read).encode()).hexdigest()[:12]
        return cls(runs, config, data, folds, learn_words(config, data.prepared), work / own)

    def network(self, seed: int, fold: int | None) -> States:
        """Give the weights of a seed: without a fold, or its run's own."""
        if fold is None:
            return load_file(self.runs[seed] / "bundle" / bundles.WEIGHTS)
        kept = self.work / f"s{seed}-fold-{fold}.safetensors"
        if not kept.is_file():
            config = settled(self.config.model_copy(update={"seed": seed}))
            base = model.load_base(config.base, config.outputs, config.seed)
            encoder = train.encoder_for(base, config)
            network = model.attach(base.network, config.adapter, config.seed, base.prompt)
            few = watched(self.folds[fold].held, config.label_set.target)
            place = self.work / f"s{seed}-fold-{fold}"
            merged, _ = train.fit_soup(network, encoder, self.folds[fold].rest, few, config, place, True)
            part = kept.with_name(f".{kept.name}.part")
            save_file({key: tensor.contiguous().clone() for key, tensor in merged.state_dict().items()}, part)
            part.replace(kept)
            shutil.rmtree(place, ignore_errors=True)
        return load_file(kept)


def _seed(run: Path) -> int:
    return int(run.name.rpartition("-s")[2])


def mean_of(states: Sequence[States]) -> States:
    """Take the mean of weights; what is no weight, such as the numbers of positions, is left out."""
    floats = (name for name, tensor in states[0].items() if tensor.is_floating_point())
    return {name: torch.stack([state[name] for state in states]).mean(0) for name in floats}


def scores(members: Members, group: Sequence[int], fold: int | None, rows: Sequence[Example]) -> Scores:
    """Score rows by a soup of seeds, once."""
    file = members.work / f"{'-'.join(map(str, group))}-{'test' if fold is None else fold}.npy"
    if not file.is_file():
        base = model.load_base(members.config.base, members.config.outputs, 0)
        weights = mean_of([members.network(seed, fold) for seed in group])
        base.network.load_state_dict({**base.network.state_dict(), **weights})
        encoder = train.encoder_for(base, members.config)
        file.parent.mkdir(parents=True, exist_ok=True)
        scorer = TorchScorer(base.network, encoder, members.config.outputs.names)
        part = file.with_name(f".{file.name}")
        np.save(part, scorer.score(conversations(rows)).logits)
        part.replace(file)
    return as_scores(members, np.load(file))


def as_scores(members: Members, logits: FloatArray) -> Scores:
    """Put logits under the names of a recipe's outputs."""
    windows = np.ones(len(logits), dtype=np.int64)  # how many there were is not asked here
    return Scores(members.config.outputs.names, logits, windows, windows > 1)


def voices(members: Members, group: Sequence[int]) -> tuple[Voice, Voice]:
    """Judge a soup: its network alone, and with words."""
    config, data = members.config, members.data
    parts = [scores(members, group, number, fold.held) for number, fold in enumerate(members.folds)]
    rows = tuple(row for fold in members.folds for row in fold.held)
    held = Held(rows, as_scores(members, np.concatenate([part.logits for part in parts])), 0.0)
    test = scores(members, group, None, data.prepared.test)
    alone = judge_model(held, test, data, config, {})
    words = weigh_words(config, members.words, held)
    both = judge_model(words.held, words.add(test, data.prepared.test, config), data, config, {})
    told = ({"test": one.evaluation, "folds": one.validation} for one in (alone, both))
    first, second = (Voice({part: rows_of(one[part]) for part in PARTS}, one["folds"].threshold) for one in told)
    return first, second


def rows_of(evaluation: Evaluation) -> evaluate.ScoredRows:
    """Give what was judged, in the order of the rows' ids."""
    return benchmark.in_order(evaluation.rows)


def groups(seeds: Sequence[int], size: int) -> list[tuple[int, ...]]:
    """Give the soups of a size: neighbouring seeds, taken round; all of them once."""
    if size >= len(seeds):
        return [tuple(seeds)]
    return [tuple(sorted(seeds[(at + step) % len(seeds)] for step in range(size))) for at in range(len(seeds))]


def run(members: Members, sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """Measure soups of several sizes and of all, and what each gains over the first size: single members."""
    seeds = list(members.runs)
    told: list[dict[str, Any]] = []
    single: tuple[list[Measured], list[Measured]] | None = None
    for size in (*(size for size in sizes if size < len(seeds)), len(seeds)):
        heard = [voices(members, group) for group in groups(seeds, size)]
        rows = heard[0][0].rows
        alone, words = ([measure(pair[side]) for pair in heard] for side in (0, 1))
        single = single or (alone, words)
        compare = partial(gains, main={part: next(iter(one.slices)) for part, one in rows.items()})
        told.append(
            {
                "size": size,
                "soups": groups(seeds, size),
                "network_alone": together(alone, rows),
                "with_words": together(words, rows),
                "over_members": {
                    "network_alone": compare(alone, single[0]),
                    "with_words": compare(words, single[1]),
                },
            }
        )
    metrics = [json.loads((run / "metrics.json").read_text(encoding="utf-8")) for run in members.runs.values()]
    return {
        "seeds": seeds,
        "sizes": told,
        "config": members.config.model_dump(mode="json"),
        "data": metrics[0]["data"],
        "resamples": benchmark.RESAMPLES,
        "confidence": benchmark.CONFIDENCE,
        "hardware": _all(metrics, "hardware"),
        "commit": {"runs": _all(metrics, "commit"), "this": evaluate.commit()},
    }


def _all(metrics: Sequence[Mapping[str, str]], key: str) -> str:
    return listed(list(dict.fromkeys(one[key] for one in metrics)))


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="folder of a finished study")
    parser.add_argument("name", help="recipe of it, such as all")
    parser.add_argument(
        "--work", type=Path, help="folder for what is finished; left out, it is runs/soups/STUDY/NAME"
    )
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=SIZES,
        metavar="N",
        help="how many networks a soup has, single ones first; one of all is made, too",
    )
    parser.add_argument("--calibration", help="decide all by this; left out, as the study's runs are")
    parser.add_argument("--out", type=Path, required=True, help="result file")
    given = parser.parse_args()
    if given.sizes[0] != 1:
        parser.error("--sizes: expected 1 first, which the others are compared with")
    try:
        work = given.work or Path("runs/soups") / given.study.name / given.name
        members = Members.of(given.study, given.name, work, given.calibration)
        result_file.write(given.out, run(members, given.sizes))
    except AdaptoxError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
