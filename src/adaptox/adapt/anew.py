"""A finished bundle on other rows: calibration and thresholds are learned anew there, the weights stay."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adaptox import bundle as bundles
from adaptox import decide, prepare, sources, train
from adaptox.adapt import folder as folders
from adaptox.adapt import known, seen
from adaptox.adapt.data import read_and_prepare
from adaptox.adapt.judge import conversations
from adaptox.config import Config, ThresholdConfig
from adaptox.decide import Decider
from adaptox.errors import BundleError, ConfigError, DataError, InputError, nearest
from adaptox.evaluate import commit
from adaptox.labels import LabelSet
from adaptox.records import BoolArray, Example, FloatArray, Progress, Scores, silent
from adaptox.scorers import Moderator

ANEW = "anew"
"""What the origin of such a threshold begins with."""

# With more of its own training rows than this among them, rows are a bundle's own data, by which it was measured.
_OWN = 0.1
# Fewer rows of a class than this make a threshold a matter of luck.
_FEW = 30
_HEADING = "\n## Decided anew\n"


@dataclass(frozen=True, slots=True)
class Flagged:
    """What a threshold flags of labelled rows.

    Attributes:
        n, positives: the rows, and how many have the label.
        flagged, hits: how many are flagged, and how many of these have the label.
    """

    n: int
    positives: int
    flagged: int
    hits: int


@dataclass(frozen=True, slots=True)
class DecidedAnew:
    """A bundle with thresholds of other rows.

    Attributes:
        folder: of the new bundle.
        before, after: how the bundle decided, and how it decides now.
        changes: label that was learned anew → what is flagged of its rows by the old threshold, and by the new.
        notes: what a reader must know.
    """

    folder: Path
    before: Decider
    after: Decider
    changes: Mapping[str, tuple[Flagged, Flagged]]
    notes: tuple[str, ...]


def decide_anew(
    bundle: Path,
    config: Config,
    as_split: bool,
    out: Path,
    overwrite: bool = False,
    progress: Progress = silent,
) -> DecidedAnew:
    """Learn a bundle's calibration and thresholds on labelled rows that it did not learn from; write a new bundle.

    Test rows are left out, and so are those that the bundle lists as learned from: on these it is too sure of
    itself. A label of which the rows show one class only keeps what it had.

    Args:
        bundle: the bundle's folder.
        config: names the sources, the labels to learn unless it is all that decide, and the policy.
        as_split: leave out the test part that these settings make. Otherwise a published test split is left out.
        out: the new bundle's folder.
        overwrite: replace a bundle that is there.
        progress: told how many are scored.

    Raises:
        InputError: the bundle, the data or the folder cannot be used; the data is what the bundle was measured on.
        StorageError: the disk refused; nothing is left behind then.
    """
    out = out.resolve()
    _check_place(out, overwrite, [str(bundle), *(source.path for source in config.sources)])
    moderator = Moderator.open(bundle)
    manifest, before = moderator.bundle.manifest, moderator.decider
    labels = _labels(config, before, manifest.name)
    ordered = tuple(dict.fromkeys((*labels, *manifest.labels)))
    config = config.model_copy(update={"labels": ordered, "text": manifest.text})
    rows, notes = _rows(config, as_split, moderator.bundle, labels, progress)
    scores = moderator.scorer.score(conversations(rows), progress)
    after, changes = _learn(scores, rows, before, labels, config.threshold)
    for label, (_, now) in changes.items():
        notes += _cautions(label, now, config.threshold)
    told = {label: _told(now, rows, config) for label, (_, now) in changes.items()}
    name = manifest.name if manifest.decided else f"{manifest.name}, decided anew"
    changed = manifest.model_copy(
        update={"name": name, "decider": after.to_json(), "decided": {**manifest.decided, **told}}
    )
    with bundles.saving(out, changed) as place:
        _copy(moderator.bundle, place)
        keys = np.union1d(prepare.row_keys(rows), known.decided_by(moderator.bundle))
        (place / bundles.DECIDED).write_bytes(known.pack(keys))
        _tell_in_card(place / "README.md", changed)
    return DecidedAnew(out, before, after, changes, notes)


def _check_place(out: Path, overwrite: bool, needed: Sequence[str]) -> None:
    if (out / bundles.MANIFEST).is_file() and not overwrite:
        raise InputError(f"{out} already holds a bundle: --overwrite replaces it, --out chooses another folder")
    bundles.check_place(out)
    folders.check_nothing_lost(out, needed)


def _labels(config: Config, before: Decider, name: str) -> tuple[str, ...]:
    """Give the labels to learn anew: those that are asked for, else all that decide."""
    if "labels" not in config.model_fields_set:
        return tuple(one.label for one in before.thresholds if one.value is not None)
    for label in config.labels:
        if label not in before.labels:
            raise ConfigError(f"the bundle {name} has no label {label!r}: {nearest(label, before.labels)}")
    return config.labels


def _rows(
    config: Config, as_split: bool, bundle: bundles.Bundle, labels: Sequence[str], progress: Progress
) -> tuple[tuple[Example, ...], tuple[str, ...]]:
    """Give the rows to learn from, and say which were left out."""
    name, notes = bundle.manifest.name, []
    if as_split:
        parts = read_and_prepare(config, progress).prepared
        read, tests = (*parts.train, *parts.validation), len(parts.test)
        which = "the test part that these settings make"
    else:
        readings = sources.read_all(config.sources, config.data_seed, config.labels)
        everything = [row for reading in readings for row in reading.examples]
        read = tuple(row for row in everything if row.split != "test")
        tests, which = len(everything) - len(read), "a published test split"
    usable = [row for row in read if not (row.only_train or row.labels.keys().isdisjoint(labels))]
    if not usable:
        there = {label for row in read for label in row.labels}
        raise DataError(
            f"expected rows with a label of the bundle ({', '.join(labels)}), got none among {len(read)} beside "
            f"{tests} test rows, which set no threshold: "
            + (f"{nearest(labels[0], there)}; map its column in sources.columns.labels" if read else "give others")
        )
    learned = known.by_bundle(bundle)
    fresh = [row for row, is_known in zip(usable, learned.find(usable), strict=True) if not is_known]
    count = len(usable) - len(fresh)
    if count > _OWN * len(usable) or seen.shares_sources(config, seen.unsure(config, learned, count)):
        raise DataError(
            f"the bundle {name} learned from {count or 'some'} of these {len(usable)} rows, so what it did not "
            "learn from is what it was measured on: give rows of their own, or train it with another "
            "threshold.policy"
        )
    if tests:
        notes.append(f"{tests} rows of {which} were left out.")
    if count:
        notes.append(f"{count} rows that the bundle {name} learned from were left out.")
    return tuple(fresh), tuple(notes)


def _learn(
    scores: Scores, rows: Sequence[Example], before: Decider, labels: Sequence[str], config: ThresholdConfig
) -> tuple[Decider, dict[str, tuple[Flagged, Flagged]]]:
    """Fit the labels of which both classes are there; the others keep what they had."""
    targets = train.targets(rows, LabelSet(before.labels), labels)
    columns = []
    for column, label in enumerate(before.labels):
        truth = targets.truth[targets.known[:, column], column]
        if label in labels and 0 < truth.sum() < len(truth):
            columns.append(column)
    if not columns:
        raise DataError(
            f"expected rows with and without {' or '.join(labels)}, got {len(rows)} of one class: add the other"
        )
    logits = np.stack([scores.column(label) for label in before.labels], axis=1)
    if not np.isfinite(logits).all():
        raise BundleError("the bundle gives scores that are no finite numbers: restore it, or train it again")
    fitted = decide.fit(
        logits[:, columns],
        targets.truth[:, columns],
        targets.known[:, columns],
        [before.labels[column] for column in columns],
        config.model_copy(update={"folds": 0}),
        learned_on=ANEW,
    )
    after = before.updated(fitted)
    changes = {}
    for column in columns:
        there = targets.known[:, column]
        truth = targets.truth[there, column] == 1
        was, now = (_flagged(decider, logits[there], column, truth) for decider in (before, after))
        changes[before.labels[column]] = (was, now)
    return after, changes


def _flagged(decider: Decider, logits: FloatArray, column: int, truth: BoolArray) -> Flagged:
    cut = decider.thresholds[column].value
    hit = decider.probs(logits)[:, column] >= (np.inf if cut is None else cut)
    return Flagged(len(truth), int(truth.sum()), int(hit.sum()), int((hit & truth).sum()))


def _cautions(label: str, found: Flagged, config: ThresholdConfig) -> tuple[str, ...]:
    notes, negatives = [], found.n - found.positives
    if min(found.positives, negatives) < _FEW:
        notes.append(f"Of {found.n} rows {found.positives} have {label}: with so few its threshold is luck.")
    if config.policy == "max-fpr" and negatives * config.max_fpr < 1:
        notes.append(
            f"{negatives} rows without {label} cannot show a false-positive rate of {config.max_fpr:g}: one of "
            "them is more than that."
        )
    return tuple(notes)


def _told(found: Flagged, rows: Sequence[Example], config: Config) -> dict[str, Any]:
    return {
        "rows": found.n,
        "positives": found.positives,
        "data_sha256": prepare.data_sha256(rows, config.text),
        "threshold": config.threshold.model_dump(mode="json", exclude={"folds"}),
        "commit": commit(),
    }


def _copy(bundle: bundles.Bundle, place: Path) -> None:
    for name, sha256 in bundle.manifest.files.items():
        if name in bundles.REMOVABLE and not (bundle.folder / name).exists():
            continue
        shutil.copyfile(bundle.folder / name, place / name)
        if bundles.sha256(place / name) != sha256:
            raise BundleError(f"{bundle.folder / name} changed meanwhile: run the same command again")


def _tell_in_card(card: Path, manifest: bundles.Manifest) -> None:
    """Say in the model card, if there is one, where thresholds are now."""
    if not card.exists():
        return
    decider = Decider.from_json(manifest.decider)
    lines = [
        f"- {label}: {decider.threshold(label).value:.3f} ({decider.threshold(label).origin}), from {told['rows']} "
        f"rows, {told['positives']} of them positive"
        for label, told in manifest.decided.items()
    ]
    said = (
        "\nCalibration and thresholds were learned anew on other rows than all of the above speaks of; the weights "
        "stayed. What is said above of thresholds, and of what is flagged, was so before:\n\n"
    )
    before = card.read_text(encoding="utf-8").partition(_HEADING)[0].rstrip()
    card.write_text(f"{before}\n{_HEADING}{said}" + "\n".join(lines) + "\n", encoding="utf-8")
