"""Seeds of one recipe → what a share of their base, mixed into their weights, gives back of what they forgot.

The weights of a fine-tuned network, moved a part of the way back to those it started from (WiSE-FT, arXiv
2109.01903): one network, no training. Each share is judged on folds of the recipe's training rows, and on rows that
were held out when the base was trained, at the threshold that the folds teach. The test split of the recipe's data
has no part in this.

    python benchmarks/remembering.py runs/study-best all configs/prompts.toml --shares 0.25 0.5
        --out docs/results/remembering.json

The members are as in benchmarks/soups.py, and may share its `--work`.
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
import torch
from kept_scores import Voice
from seeds import Measured
from soups import Members, States, as_scores, rows_of

from adaptox import config as settings
from adaptox import evaluate, model, train
from adaptox.adapt import read_and_prepare
from adaptox.adapt.judge import conversations, judge, judge_model
from adaptox.adapt.words import weigh_words
from adaptox.errors import AdaptoxError, ConfigError
from adaptox.records import Example, FloatArray, Scores
from adaptox.scorers import TorchScorer
from adaptox.teach import Held

# What is told of each part, under the names that benchmarks/seeds.py has for two parts.
PARTS = {"test": "held out from the base", "folds": "folds"}


@dataclass(frozen=True, slots=True)
class Mixer:
    """Members, their base's weights, and rows that were held out when that was trained."""

    members: Members
    base: States
    before: tuple[Example, ...]
    before_sha256: str

    @classmethod
    def of(cls, members: Members, before: Path) -> Mixer:
        """Read the base, and the test part of the settings that it was trained by."""
        config = members.config
        network = model.load_base(config.base, config.outputs, 0).network
        data = read_and_prepare(settings.load(before))
        rows = tuple(row for row in data.prepared.test if config.label_set.target in row.labels)
        floats = {key: own for key, own in network.state_dict().items() if own.is_floating_point()}
        return cls(members, floats, rows, data.prepared.manifest.sha256)

    def logits(self, seed: int, share: float, fold: int | None) -> FloatArray:
        """Score a fold's rows left out, or the rows held out from the base, by a mixed network, once."""
        members, config = self.members, self.members.config
        scored = f"before-{self.before_sha256[:12]}" if fold is None else fold
        file = members.work / f"mixed-{seed}-{share:g}-{scored}.npy"
        if not file.is_file():
            own = members.network(seed, fold)
            mixed = {key: torch.lerp(own[key].float(), start, share) for key, start in self.base.items()}
            network = model.load_base(config.base, config.outputs, 0)
            network.network.load_state_dict({**network.network.state_dict(), **mixed})
            scorer = TorchScorer(network.network, train.encoder_for(network, config), config.outputs.names)
            rows = self.before if fold is None else members.folds[fold].held
            part = file.with_name(f".{file.name}")
            np.save(part, scorer.score(conversations(rows)).logits)
            part.replace(file)
        found: FloatArray = np.load(file)
        return found

    def voices(self, seed: int, share: float) -> tuple[Voice, Voice]:
        """Judge a mixed network alone, and with words."""
        members, config = self.members, self.members.config
        folds = [self.logits(seed, share, number) for number in range(len(members.folds))]
        rows = tuple(row for fold in members.folds for row in fold.held)
        held = Held(rows, as_scores(members, np.concatenate(folds)), 0.0)
        before = as_scores(members, self.logits(seed, share, None))
        words = weigh_words(config, members.words, held)
        alone = self._judged(held, before)
        return alone, self._judged(words.held, words.add(before, self.before, config))

    def _judged(self, held: Held, before: Scores) -> Voice:
        config = self.members.config
        found = judge_model(held, None, self.members.data, config, {})
        kept = judge(before, found.decider, self.before, config)
        return Voice({"test": rows_of(kept), "folds": rows_of(found.validation)}, found.validation.threshold)


def run(mixer: Mixer, shares: Sequence[float]) -> dict[str, Any]:
    """Measure every share, and what it gives beside none."""
    members = mixer.members
    told: list[dict[str, Any]] = []
    none: tuple[list[Measured], list[Measured]] | None = None
    for share in (0.0, *shares):
        heard = [mixer.voices(seed, share) for seed in members.runs]
        rows = heard[0][0].rows
        sides = [[benchmark.measure(pair[side]) for pair in heard] for side in (0, 1)]
        none = none or (sides[0], sides[1])
        main = {part: next(iter(one.slices)) for part, one in rows.items()}
        one: dict[str, Any] = {"share": share}
        for name, side, before in zip(("network_alone", "with_words"), sides, none, strict=True):
            gained = benchmark.gains(side, before, main)
            one[name] = _named(benchmark.together(side, rows))
            one[f"{name}_gained"] = _named(gained) if share else None
        told.append(one)
        print(f"share {share:g}: {_said(one)}", flush=True)
    metrics = [json.loads((run / "metrics.json").read_text(encoding="utf-8")) for run in members.runs.values()]
    return {
        "seeds": list(members.runs),
        "shares": told,
        "config": members.config.model_dump(mode="json"),
        "data": {"folds": metrics[0]["data"], "held_out_from_the_base": {"sha256": mixer.before_sha256}},
        "resamples": benchmark.RESAMPLES,
        "confidence": benchmark.CONFIDENCE,
        "hardware": evaluate.hardware(),
        "commit": evaluate.commit(),
    }


def _named(told: dict[str, Any]) -> dict[str, Any]:
    return {name: told[part] for part, name in PARTS.items()}


def _said(one: dict[str, Any]) -> str:
    found = []
    for part, slices in one["with_words"].items():
        main = next(iter(slices.values()))
        found.append(f"{part} " + " ".join(f"{m} {main[m]['value']:.3f}" for m in ("auprc", "f1", "recall")))
    return "; ".join(found)


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="folder of a finished study")
    parser.add_argument("name", help="recipe of it, such as all")
    parser.add_argument("before", type=Path, help="settings that the base was trained by")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.25, 0.5], help="of the base, each below 1")
    parser.add_argument("--work", type=Path, help="folder for what is finished, as that of benchmarks/soups.py")
    parser.add_argument("--out", type=Path, required=True, help="result file")
    given = parser.parse_args()
    if not all(0 < share < 1 for share in given.shares):
        raise ConfigError(f"--shares: expected numbers between 0 and 1, got {given.shares}")
    work = given.work or Path("runs/soups") / given.study.name / given.name
    members = Members.of(given.study, given.name, work, "beta")
    result_file.write(given.out, run(Mixer.of(members, given.before), given.shares))


if __name__ == "__main__":
    try:
        main()
    except AdaptoxError as error:
        sys.exit(f"error: {error}")
