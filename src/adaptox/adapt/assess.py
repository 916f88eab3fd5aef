"""The verb beside the main job: how good a bundle is on labelled data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adaptox import bundle as bundles
from adaptox import prepare, sources
from adaptox.adapt import folder as folders
from adaptox.adapt import known, needs, seen
from adaptox.adapt.against import Against, set_against
from adaptox.adapt.data import Data, is_toxic_chat_test, read_and_prepare
from adaptox.adapt.judge import conversations, judge
from adaptox.config import Config, resolved_json
from adaptox.errors import ConfigError, DataError, nearest
from adaptox.evaluate import Evaluation, Provenance, commit, hardware, rows_to_parquet, to_json
from adaptox.records import Example, Progress, silent
from adaptox.scorers import Moderator


@dataclass(frozen=True, slots=True)
class Assessment:
    """A bundle's result on data.

    Attributes:
        evaluation: of it.
        evaluated_on: which rows those are, in words.
        metrics: metrics.json.
        notes: what a reader must know.
        against: another bundle on the same rows; None where none was asked for.
    """

    evaluation: Evaluation
    evaluated_on: str
    metrics: Mapping[str, object]
    notes: tuple[str, ...]
    against: Against | None = None


@dataclass(frozen=True, slots=True)
class _Rows:
    """What a bundle is judged on, in words, too; whether it is ToxicChat's test split; what a reader must know."""

    examples: tuple[Example, ...]
    words: str
    official: bool
    notes: tuple[str, ...] = ()


def assess(
    bundle: Path,
    config: Config,
    as_split: bool,
    out: Path | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
    against: Path | None = None,
) -> Assessment:
    """Evaluate a bundle on labelled data.

    Args:
        bundle: the bundle's folder.
        config: names the sources, and the label unless it is the bundle's first; `prepare` is read when `as_split`.
            The bundle's own settings say how texts are rendered.
        as_split: evaluate on the test part that these settings make. Otherwise the published test split if the data
            has one, else every row, uncleaned.
        out: where to write metrics.json and the scores of the rows, if anywhere.
        overwrite: replace what `out` holds.
        progress: told how many are scored.
        against: another bundle, to be compared with on the same rows.

    Raises:
        InputError: a bundle, the data or the folder cannot be used.
        StorageError: the disk refused; nothing is left behind then.
    """
    if out is not None:
        read = [bundle, *([against] if against else [])]
        folders.check_free(out, overwrite, [*map(str, read), *needs.paths(config)])
    moderator = Moderator.open(bundle)
    manifest = moderator.bundle.manifest
    config = _as_the_bundle_has_it(config, manifest)
    choose = _test_part if as_split else _all_rows
    rows = choose(config, moderator.bundle, progress)
    scores = moderator.scorer.score(conversations(rows.examples), progress)
    evaluation = judge(scores, moderator.decider, rows.examples, config, rows.official)
    other = set_against(against, evaluation, rows.examples, config, rows.official, progress) if against else None
    own = seen.decided_on(config, manifest)
    notes = (*rows.notes, *own, *(other.notes if other else ()))
    metrics = to_json(evaluation, _provenance(manifest, config, rows, as_split))
    metrics |= {"notes": list(notes)} if notes else {}
    metrics |= {"against": other.to_json()} if other else {}
    if out is not None:
        with folders.whole(out) as folder:
            folder.write(folders.CONFIG, resolved_json(config))
            parts = {"test": evaluation.rows, **({"test, against": other.evaluation.rows} if other else {})}
            folder.write(folders.SCORES, rows_to_parquet(parts))
            folder.write(folders.METRICS, metrics)
    return Assessment(evaluation, rows.words, metrics, notes, other)


def _as_the_bundle_has_it(config: Config, manifest: bundles.Manifest) -> Config:
    """Give the settings with the bundle's way of reading, and the label that is asked for in front."""
    label = config.labels[0] if "labels" in config.model_fields_set else manifest.labels[0]
    if label not in manifest.labels:
        raise ConfigError(f"the bundle {manifest.name} has no label {label!r}: {nearest(label, manifest.labels)}")
    others = tuple(name for name in manifest.labels if name != label)
    changes = {"labels": (label, *others), "text": manifest.text, "encode": manifest.encode}
    return config.model_copy(update=changes)


def _test_part(config: Config, bundle: bundles.Bundle, progress: Progress) -> _Rows:
    manifest = bundle.manifest
    own = seen.trained_on(config, manifest)
    # The bundle's own data is split as it was for the bundle, whichever label is judged.
    data = read_and_prepare(_as_it_was_split(config, manifest) if own else config, progress)
    if own:
        _check_same_split(data, config, manifest)
    if not data.prepared.test:
        raise DataError(
            f"the bundle {manifest.name} learned from all of these sources, so there is nothing to evaluate on: "
            "name other data"
            if own
            else "these settings make no test part, so there is nothing to evaluate on: set prepare.test_fraction, "
            "or name the data in place of the settings file, which evaluates every row"
        )
    learned, test, notes = known.by_bundle(bundle), data.prepared.test, []
    if count := learned.count(test):
        notes.append(f"The bundle {manifest.name} learned from {count} of these {len(test)} test rows.")
    if not own and seen.may_have_seen(config, seen.unsure(config, learned, count)):
        notes.append(
            f"The bundle {manifest.name} learned from some of these sources: test rows may be among what it saw."
        )
    words = "the test part that these settings make"
    return _Rows(test, words, data.official, (*notes, *data.prepared.notes))


def _as_it_was_split(config: Config, manifest: bundles.Manifest) -> Config:
    """Take from the bundle's settings what changes the rows it learned from, and no row of the test part."""
    before = manifest.metrics["config"]["prepare"]
    kept = {key: before[key] for key in ("sample", "validation_fraction") if key in before}
    changes = {"labels": manifest.labels, "prepare": config.prepare.model_copy(update=kept)}
    return config.model_copy(update=changes)


def _check_same_split(data: Data, config: Config, manifest: bundles.Manifest) -> None:
    """Refuse to split the bundle's own data in another way: rows it learned from would be test rows."""
    trained = manifest.metrics["config"]
    published = trained["prepare"]["split"] == config.prepare.split == "official"
    if published or data.prepared.manifest.sha256 == manifest.data_sha256:
        return
    now = config.model_dump(mode="json")
    differing = [key for key in ("seed", "prepare", "text") if trained.get(key) != now[key]]
    raise ConfigError(
        f"the bundle {manifest.name} was trained on these sources, split in another way "
        f"({', '.join(differing) or 'the data changed'}): rows it learned from would be test rows; evaluate it "
        "with the settings it was trained with"
    )


def _all_rows(config: Config, bundle: bundles.Bundle, progress: Progress) -> _Rows:
    readings = sources.read_all(config.sources, config.data_seed, config.labels)
    examples = [example for reading in readings for example in reading.examples if not example.only_train]
    test = [example for example in examples if example.split == "test"]
    target = config.label_set.target
    if not any(target in example.labels for example in test or examples):
        labels = {name for example in test or examples for name in example.labels}
        raise DataError(
            f"expected rows with the bundle's label {target!r}, got none among {len(test or examples)}: "
            f"{nearest(target, labels)}; map its column in sources.columns.labels, or set labels"
        )
    grouped = prepare.mark_families(examples, config.text, progress)
    published = tuple(example for example in grouped if example.split == "test")
    # Without its train split nobody can tell which test rows have a near-copy there.
    complete = any(example.split == "train" for example in grouped)
    rows, name = published or grouped, bundle.manifest.name
    learned = known.by_bundle(bundle)
    notes = []
    if count := learned.count(rows):
        notes.append(f"The bundle {name} learned from {count} of these {len(rows)} rows.")
    stages = seen.unsure(config, learned, count)
    if seen.shares_sources(config, stages) and not (published and seen.left_test_alone(config, stages)):
        notes.append(f"The bundle {name} learned from some of these rows.")
    words = "the published test split" if published else "every row that was read"
    return _Rows(rows, words, complete and is_toxic_chat_test(published, config), tuple(notes))


def _provenance(manifest: bundles.Manifest, config: Config, rows: _Rows, as_split: bool) -> Provenance:
    """Say what was judged, and with which settings: only those that an evaluation reads."""
    read = {"sources", "labels", "seed", "text", "encode", "evaluate", *(("prepare",) if as_split else ())}
    trained = manifest.metrics.get("model", {})
    return Provenance(
        data_sha256=prepare.data_sha256(rows.examples, config.text),
        model={
            **trained,
            "name": manifest.name,
            "base": manifest.base["name"],
            "adapter": manifest.adapter["kind"],
            "weights_sha256": manifest.files[bundles.WEIGHTS],
        },
        seed=config.seed,
        hardware=hardware(),
        commit=commit(),
        config=config.model_dump(mode="json", include=read),
    )
