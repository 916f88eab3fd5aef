"""What each change of training gives: an ablation, one change at a time, on folds of the training rows alone.

Every row of train and validation is scored by a network that saw neither it nor its family, as `threshold.folds`
does; a change is compared with what it is made to by the paired bootstrap over prompt families. The test split is
never scored, so networks may be chosen by it. Words beside a network are weighed, and thresholds are learned, on
the very rows that are then told of; so a change of words or of calibration gets no p-value.

    python benchmarks/ablation.py benchmarks/ablation.toml --out docs/results/ablation.json

Started again, it goes on where it was: folds that are finished are kept in `--work`, and the logits of the rows
left out in `--kept`, so that a change that is added trains no other anew, on whatever machine; remove that file to
measure all from scratch. `--only` measures some changes and writes no result, so that several processes can
share the work; two that differ in words alone share their networks, and belong in one process.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kept_logits
import levers
import result_file
from changes import RESAMPLES, Change, read_changes
from kept_logits import Kept

from adaptox import evaluate
from adaptox.adapt import make_start, read_and_prepare
from adaptox.adapt.judge import fit_decider, judge
from adaptox.adapt.words import learn_words, weigh_words
from adaptox.errors import AdaptoxError, ConfigError, nearest
from adaptox.evaluate import Evaluation, interval_json
from adaptox.prepare import Prepared
from adaptox.records import Example, silent
from adaptox.teach import CrossFit, Held, folds_key, is_scored

METRICS = ("auprc", "f1")


@dataclass(frozen=True, slots=True)
class Measured:
    """What a change comes to on the rows left out, what its networks said of them, and the data's hash."""

    result: Evaluation
    networks: Kept
    data_sha256: str


def read_rows(changes: Sequence[Change]) -> dict[str, Prepared]:
    """Read and prepare the data of every change, each data set once.

    Raises:
        ConfigError: a change would be measured on other rows than what it is made to.
        DataError: the data cannot be used.
    """
    read: dict[str, Prepared] = {}
    found: dict[str, Prepared] = {}
    for change in changes:
        data = change.config.model_dump_json(include={"sources", "text"}) + change.config.label_set.target
        if data not in read:
            read[data] = read_and_prepare(change.config).prepared
        found[change.name] = read[data]
        ground = change.ground
        if ground and _labelled(change, found) != _labelled(ground, found):
            raise ConfigError(f"{change.name!r} would be measured on other rows than {ground.name!r}")
    return found


def _labelled(change: Change, parts: Mapping[str, Prepared]) -> list[tuple[str, str, int]]:
    prepared, target = parts[change.name], change.config.label_set.target
    rows = (row for row in _learned(prepared) if is_scored(row, target))
    return [(row.id, row.group, row.labels[target]) for row in rows]


def _learned(prepared: Prepared) -> tuple[Example, ...]:
    return (*prepared.train, *prepared.validation)


def measure(change: Change, prepared: Prepared, work: Path, kept: dict[str, Kept]) -> Measured:
    """Cross-fit the networks of a change unless they are kept, add its words, and measure the rows left out.

    Args:
        change: to measure.
        prepared: its data.
        work: folder of folds that are finished.
        kept: logits of networks measured before, by key; what is measured is added.

    Raises:
        InputError: the data or the base cannot be used, or kept logits are of other rows.
        RunError: as `train.fit`.
    """
    config, rows = change.config, _learned(prepared)
    make_start(config)
    key = "-".join(filter(None, (kept_logits.key_of(config, rows), change.lever)))
    if key not in kept:
        kept[key] = Kept.of(_cross_fit(change, rows, work), config)
    scored = [row for row in rows if is_scored(row, config.label_set.target)]
    held = kept[key].held(scored, config.outputs.names)
    if config.lexicon.grams:
        held = weigh_words(config, learn_words(config, prepared), held).held
    decider = fit_decider(held.scores, held.examples, config, {})
    result = judge(held.scores, decider, held.examples, config)
    return Measured(result, kept[key], prepared.manifest.sha256)


def _cross_fit(change: Change, rows: Sequence[Example], work: Path) -> Held:
    config, folds = change.config, change.config.threshold.folds
    place = work / "-".join(filter(None, (folds_key(config, folds, rows), change.lever)))
    place.mkdir(parents=True, exist_ok=True)
    with levers.pulled(change.lever):
        held = CrossFit(config, folds, "folds", place, True, silent).score(rows)
    if held is None:
        raise ConfigError("an ablation is measured in one process: start it without torchrun")
    return held


def compared(changes: Sequence[Change], found: Mapping[str, Measured]) -> dict[str, dict[str, Any]]:
    """Compare each change with what it is made to.

    P-values are corrected after Holm for all that are tested on the way, and for all that are tested beside it.
    """
    told: dict[str, dict[str, Any]] = {}
    tested: dict[bool, list[tuple[str, str, float]]] = {True: [], False: []}
    for change in changes:
        if change.ground is None:
            continue
        one, other = found[change.name].result, found[change.ground.name].result
        for metric in METRICS:
            test = evaluate.compare(one, other, metric, RESAMPLES, change.config.seed)
            told.setdefault(change.name, {})[metric] = {**interval_json(test.difference), "p_holm": None}
            if change.tested:
                tested[change.beside].append((change.name, metric, test.p_value))
    for family in tested.values():
        corrected = evaluate.holm([p_value for *_, p_value in family])
        for (name, metric, _), p_value in zip(family, corrected, strict=True):
            told[name][metric]["p_holm"] = p_value
    return told


def content(changes: Sequence[Change], found: Mapping[str, Measured]) -> dict[str, Any]:
    """Give what the result file holds."""
    first = changes[0].config
    differences = compared(changes, found)
    return {
        "folds": first.threshold.folds,
        "seed": first.seed,
        "resamples": RESAMPLES,
        "confidence": first.evaluate.confidence,
        "commit": evaluate.commit(),
        "changes": [_shown(one, found[one.name], differences.get(one.name)) for one in changes],
    }


def _shown(change: Change, one: Measured, difference: Mapping[str, Any] | None) -> dict[str, Any]:
    main = next(iter(one.result.slices.values()))
    return {
        "name": change.name,
        "what": change.what,
        "on": change.ground.name if change.ground else None,
        "beside": change.beside,
        "n": main.n,
        "positives": main.positives,
        **{metric: interval_json(main.metrics[metric]) for metric in METRICS},
        "difference": difference,
        "train_s": round(one.networks.origin.train_s, 1),
        "hardware": one.networks.origin.hardware,
        "commit": one.networks.origin.commit,
        "base": one.networks.origin.base,
        "lever": change.lever,
        "data_sha256": one.data_sha256,
        "config": change.config.model_dump(mode="json", exclude_unset=True),
    }


def main() -> None:
    """Measure the changes, print, and write the result file if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("changes", type=Path, help="what is changed, one table a change (TOML)")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="measure these changes alone")
    parser.add_argument("--work", type=Path, default=Path("runs/ablation"), help="folder for what is finished")
    parser.add_argument(
        "--kept",
        type=Path,
        default=Path("docs/results/ablation.npz"),
        help="logits measured before, which it adds to",
    )
    parser.add_argument("--out", type=Path, help="result file (JSON) to write")
    given = parser.parse_args()
    if given.only and given.out:
        raise ConfigError("--only measures a part, and --out is of the whole: give one of the two")
    changes = read_changes(given.changes)
    names = [one.name for one in changes]
    unknown = [name for name in given.only if name not in names]
    if unknown:
        raise ConfigError(f"--only: no change {unknown[0]!r}: {nearest(unknown[0], names)}")
    parts = read_rows(changes)
    kept = kept_logits.read(given.kept)
    found: dict[str, Measured] = {}
    for change in (one for one in changes if not given.only or one.name in given.only):
        found[change.name] = measure(change, parts[change.name], given.work, kept)
        # Another process may have added to it meanwhile.
        kept_logits.write(given.kept, kept_logits.read(given.kept) | kept)
        metrics = next(iter(found[change.name].result.slices.values())).metrics
        print(f"{change.name:28}" + "".join(f"{name} {metrics[name].value:.3f}  " for name in METRICS), flush=True)
    if given.out is not None:
        result_file.write(given.out, content(changes, found))


if __name__ == "__main__":
    try:
        main()
    except AdaptoxError as error:
        sys.exit(f"ablation: {error}")
