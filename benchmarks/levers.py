"""What each lever of training gives: one change at a time, measured on folds of the training rows alone.

Every row of train and validation is scored by a network that saw neither it nor its family, as `threshold.folds`
does; a lever is compared with what it stands on by the paired bootstrap over prompt families. The test split is
never scored, so everything here may be chosen by. Thresholds are learned on the rows that F1 is then told of, alike
for all.

    python benchmarks/levers.py benchmarks/levers.toml --out docs/results/levers.json

Started again, it goes on where it was: folds that are finished are kept in `--work`, and a lever that is added
costs no other. `--only` measures some of them and writes no result, so that several processes can share the work.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adaptox import bundle as bundles
from adaptox import config as settings
from adaptox import decide, evaluate
from adaptox.adapt import read_and_prepare
from adaptox.adapt.words import learn_words, weigh_words
from adaptox.config import Config
from adaptox.errors import AdaptoxError, ConfigError, nearest
from adaptox.evaluate import Evaluation, interval_json
from adaptox.prepare import Prepared
from adaptox.records import silent
from adaptox.teach import CrossFit, Held

METRICS = ("auprc", "f1")
# Tables that the folds' networks depend on, beside the data.
NETWORK = {"labels", "seed", "text", "encode", "base", "adapter", "loss", "distill", "train"}


@dataclass(frozen=True, slots=True)
class Lever:
    """One change of the settings, and what it is made to; the first stands on nothing."""

    name: str
    what: str
    on: str | None
    config: Config


@dataclass(frozen=True, slots=True)
class Measured:
    """What a lever comes to on the rows left out, and the seconds its networks took to train."""

    result: Evaluation
    train_s: float


def read_levers(path: Path) -> tuple[Lever, ...]:
    """Read the file: a settings file to start from, folds, and levers in an order in which each knows its ground.

    Raises:
        ConfigError: a lever that stands on one that is not above it, or a name that occurs twice.
    """
    given = tomllib.loads(path.read_text(encoding="utf-8"))
    start = settings.override(settings.load(Path(given["settings"])), {"threshold.folds": given["folds"]})
    found: dict[str, Lever] = {}
    for one in given["levers"]:
        name, on = one["name"], one.get("on")
        if name in found:
            raise ConfigError(f"{path}: the lever {name!r} stands there twice")
        if on is not None and on not in found:
            raise ConfigError(f"{path}: {name!r} stands on {on!r}, which is not above it: {nearest(on, found)}")
        ground = found[on].config if on else start
        found[name] = Lever(name, one["what"], on, settings.override(ground, one.get("set", {})))
    return tuple(found.values())


def measure(lever: Lever, work: Path) -> Measured:
    """Cross-fit the networks of a lever, add its words, and measure the rows left out."""
    config = lever.config
    prepared = read_and_prepare(config).prepared
    held = _held(config, prepared, work)
    target = config.label_set.target
    logits = held.scores.column(target)[:, None]
    truth = np.array([[row.labels[target]] for row in held.examples])
    decider = decide.fit(logits, truth, np.ones_like(truth, dtype=bool), [target], config.threshold)
    (cut,) = decider.thresholds
    if cut.value is None:
        raise ConfigError(f"{lever.name}: no threshold could be learned for {target}")
    result = evaluate.evaluate(
        held.examples,
        decider.probs(logits)[:, 0],
        target,
        cut.value,
        cut.origin,
        config.evaluate,
        config.data_seed,
    )
    return Measured(result, held.wall_s)


def _held(config: Config, prepared: Prepared, work: Path) -> Held:
    rows = (*prepared.train, *prepared.validation)
    place = work / _key(config, prepared)
    place.mkdir(parents=True, exist_ok=True)
    (place / "config.json").write_text(settings.resolved_json(config), encoding="utf-8")
    held = CrossFit(config, config.threshold.folds, "folds", place, True, silent).score(rows)
    if held is None:
        raise ConfigError("levers are measured in one process: start without torchrun")
    if config.lexicon.grams:
        held = weigh_words(config, learn_words(config, prepared), held).held
    return held


def _key(config: Config, prepared: Prepared) -> str:
    """Name what the networks' scores depend on."""
    base = Path(config.base.name)
    weights = bundles.load(base).manifest.sha256 if (base / bundles.MANIFEST).is_file() else config.base.name
    read = config.model_dump(mode="json", include=NETWORK)
    whole = json.dumps([read, config.threshold.folds, weights, prepared.manifest.sha256], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def compared(levers: Sequence[Lever], found: Mapping[str, Measured]) -> dict[str, dict[str, Any]]:
    """Compare each lever with what it stands on; p-values are corrected for all of it after Holm."""
    pairs = [(one, metric) for one in levers if one.on for metric in METRICS]
    tests = [
        evaluate.compare(
            found[one.name].result,
            found[one.on or ""].result,
            metric,
            one.config.evaluate.resamples,
            one.config.data_seed,
        )
        for one, metric in pairs
    ]
    corrected = evaluate.holm([test.p_value for test in tests])
    told: dict[str, dict[str, Any]] = {}
    for (one, metric), test, p_value in zip(pairs, tests, corrected, strict=True):
        told.setdefault(one.name, {})[metric] = {**interval_json(test.difference), "p_holm": p_value}
    return told


def _shown(lever: Lever, one: Measured, differences: Mapping[str, Any] | None) -> dict[str, Any]:
    main = next(iter(one.result.slices.values()))
    return {
        "name": lever.name,
        "what": lever.what,
        "on": lever.on,
        "n": main.n,
        "positives": main.positives,
        **{metric: interval_json(main.metrics[metric]) for metric in METRICS},
        "difference": differences,
        "train_s": round(one.train_s, 1),
        "config": lever.config.model_dump(mode="json", exclude_unset=True),
    }


def main() -> None:
    """Measure the levers, print, and write the result file if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("levers", type=Path, help="what is changed, one table a lever (TOML)")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="measure these levers alone")
    parser.add_argument("--work", type=Path, default=Path("runs/levers"), help="folder for what is finished")
    parser.add_argument("--out", type=Path, help="result file (JSON) to write")
    given = parser.parse_args()
    if given.only and given.out:
        raise ConfigError("--only measures a part, and --out is of the whole: give one of the two")
    levers = read_levers(given.levers)
    unknown = [name for name in given.only if name not in {one.name for one in levers}]
    if unknown:
        raise ConfigError(f"--only: no lever {unknown[0]!r}: {nearest(unknown[0], [one.name for one in levers])}")
    found: dict[str, Measured] = {}
    for lever in levers:
        if given.only and lever.name not in given.only:
            continue
        found[lever.name] = measure(lever, given.work)
        metrics = next(iter(found[lever.name].result.slices.values())).metrics
        print(f"{lever.name:28}" + "".join(f"{name} {metrics[name].value:.3f}  " for name in METRICS), flush=True)
    if given.out is not None:
        differences = compared(levers, found)
        content = {
            "schema": 1,
            "folds": levers[0].config.threshold.folds,
            "seed": levers[0].config.seed,
            "hardware": evaluate.hardware(),
            "commit": evaluate.commit(),
            "levers": [_shown(one, found[one.name], differences.get(one.name)) for one in levers],
        }
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except AdaptoxError as error:
        sys.exit(f"levers: {error}")
