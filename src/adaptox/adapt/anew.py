"""A finished bundle on other rows: calibration and thresholds are learned anew there, the weights stay."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adaptox import bundle as bundles
from adaptox import decide, prepare, sources, train
from adaptox.adapt import known, needs, seen
from adaptox.adapt.judge import conversations
from adaptox.config import Config, ThresholdConfig
from adaptox.decide import Decider
from adaptox.errors import DataError, nearest
from adaptox.evaluate import commit
from adaptox.labels import LabelSet
from adaptox.records import Example, Progress, Scores, silent
from adaptox.scorers import Moderator

_CARD = """
## Decided anew

Calibration and thresholds of {labels} were learned anew on {rows} other rows, and the weights stayed as they are.
The numbers above were measured before that: they tell how well the model ranks, and not what it flags now.
"""


@dataclass(frozen=True, slots=True)
class DecidedAnew:
    """A bundle with thresholds of other rows.

    Attributes:
        folder: of the new bundle.
        before: how the bundle decided.
        after: how it decides now.
        rows: label that was learned anew → its rows and positives.
        notes: what a reader must know.
    """

    folder: Path
    before: Decider
    after: Decider
    rows: Mapping[str, tuple[int, int]]
    notes: tuple[str, ...]


def decide_anew(
    bundle: Path, config: Config, out: Path, overwrite: bool = False, progress: Progress = silent
) -> DecidedAnew:
    """Learn a bundle's calibration and thresholds on labelled rows that it did not learn from; write a new bundle.

    Rows of a published test split are left out, and so are those that the bundle learned from: on these it is too
    sure of itself. A label of which the rows show one class only keeps what it had.

    Args:
        bundle: the bundle's folder.
        config: names the sources, and the policy of the thresholds.
        out: the new bundle's folder.
        overwrite: replace a bundle that is there.
        progress: told how many are scored.

    Raises:
        InputError: the bundle, the data or the folder cannot be used.
        StorageError: the disk refused; nothing is left behind then.
    """
    _check_place(out, overwrite, [str(bundle), *needs.paths(config)])
    moderator = Moderator.open(bundle)
    manifest = moderator.bundle.manifest
    if seen.trained_on(config, manifest):
        raise DataError(
            f"the bundle {manifest.name} was trained on these sources, and what it did not learn from measured it: "
            "name other rows, or train it with another threshold.policy"
        )
    rows, notes = _rows(config, moderator.bundle)
    scores = moderator.scorer.score(conversations(rows), progress)
    decider, counts = _learn(scores, rows, moderator.decider, config.threshold)
    told = {
        "sources": [source.model_dump(mode="json", exclude_defaults=True) for source in config.sources],
        "data_sha256": prepare.data_sha256(rows, manifest.text),
        "rows": {label: {"n": n, "positives": positives} for label, (n, positives) in counts.items()},
        "policy": config.threshold.policy,
        "commit": commit(),
    }
    changed = manifest.model_copy(update={"decider": decider.to_json(), "decided": told})
    with bundles.saving(out, changed) as place:
        for name in manifest.files:
            if (bundle / name).exists():
                shutil.copyfile(bundle / name, place / name)
        card = place / "README.md"
        if card.exists():
            said = _CARD.format(labels=", ".join(counts), rows=len(rows))
            card.write_text(card.read_text(encoding="utf-8").rstrip() + "\n" + said, encoding="utf-8")
    return DecidedAnew(out, moderator.decider, decider, counts, notes)


def _check_place(out: Path, overwrite: bool, needed: Sequence[str]) -> None:
    if (out / bundles.MANIFEST).is_file() and not overwrite:
        raise DataError(f"{out} already holds a bundle: --overwrite replaces it, --out chooses another folder")
    if any(Path(path).resolve() == out.resolve() for path in needed):
        raise DataError(f"{out} is what is read: --out chooses another folder")
    bundles.check_place(out)


def _rows(config: Config, bundle: bundles.Bundle) -> tuple[tuple[Example, ...], tuple[str, ...]]:
    """Give the rows to learn from, and say which were left out."""
    name, labels = bundle.manifest.name, bundle.manifest.labels
    readings = sources.read_all(config.sources, config.data_seed, labels)
    examples = [row for reading in readings for row in reading.examples if not row.only_train]
    usable = [row for row in examples if row.split != "test" and not row.labels.keys().isdisjoint(labels)]
    if not usable:
        there = {label for row in examples for label in row.labels}
        raise DataError(
            f"expected rows with a label of the bundle ({', '.join(labels)}) that are no published test rows, got "
            f"none among {len(examples)}: {nearest(labels[0], there)}; map its column in sources.columns.labels"
        )
    learned = known.by_bundle(bundle)
    fresh = [row for row, is_known in zip(usable, learned.find(usable), strict=True) if not is_known]
    notes = []
    if count := sum(row.split == "test" for row in examples):
        notes.append(f"{count} rows of a published test split were left out.")
    if count := len(usable) - len(fresh):
        notes.append(
            f"{count} rows that the bundle {name} learned from were left out; what it was measured on may be among "
            "the others."
        )
    if seen.shares_sources(config, seen.unsure(config, learned, count)):
        notes.append(f"The bundle {name} learned from some of these sources, where it may be too sure of itself.")
    return tuple(fresh), tuple(notes)


def _learn(
    scores: Scores, rows: Sequence[Example], before: Decider, config: ThresholdConfig
) -> tuple[Decider, dict[str, tuple[int, int]]]:
    """Fit the labels of which both classes are there; the others keep what they had."""
    labels = LabelSet(before.labels)
    targets = train.targets(rows, labels, labels.names)
    counts = {}
    for column, label in enumerate(labels):
        known_rows = targets.known[:, column]
        n, positives = int(known_rows.sum()), int(targets.truth[known_rows, column].sum())
        if 0 < positives < n:
            counts[label] = (n, positives)
    if not counts:
        raise DataError(
            f"expected rows with and rows without {' or '.join(labels)} that the bundle did not learn from, got "
            f"{len(rows)} rows of one class: add the other"
        )
    chosen = [labels.names.index(label) for label in counts]
    fitted = decide.fit(
        np.stack([scores.column(label) for label in counts], axis=1),
        targets.truth[:, chosen],
        targets.known[:, chosen],
        tuple(counts),
        config.model_copy(update={"folds": 0}),
    )
    return before.updated(fitted), counts
