"""The verb beside the main job: how good a bundle is on labelled data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adaptox import bundle as bundles
from adaptox import prepare, sources
from adaptox.adapt import folder as folders
from adaptox.adapt import needs, seen
from adaptox.adapt.against import Against, open_rival, set_against
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
    """What bundles are judged on.

    Attributes:
        examples: the rows.
        words: which they are.
        official: they are ToxicChat's test split.
        published: as for `seen.told_of`.
        data_sha256: of all that settings prepared; empty for data named alone.
        notes: what a reader must know of them, whoever is judged.
    """

    examples: tuple[Example, ...]
    words: str
    official: bool
    published: bool | None = None
    data_sha256: str = ""
    notes: tuple[str, ...] = ()

    def seen_by(self, bundle: bundles.Bundle, config: Config) -> tuple[str, ...]:
        """Say what a bundle has seen of them."""
        manifest = bundle.manifest
        own = self.published is None and _is_same_split(self.data_sha256, config, manifest)
        return seen.told_of(bundle, config, self.examples, own, self.published)


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
    rival = open_rival(against, config) if against else None
    rows = _test_part(config, manifest, progress) if as_split else _all_rows(config, manifest, progress)
    scores = moderator.scorer.score(conversations(rows.examples), progress)
    evaluation = judge(scores, moderator.decider, rows.examples, config, rows.official)
    notes = (*rows.seen_by(moderator.bundle, config), *rows.notes)
    metrics = to_json(evaluation, _provenance(manifest, config, rows, as_split))
    other = None
    if rival is not None:
        other = set_against(rival, evaluation, rows.examples, config, rows.official, progress)
        notes = (*notes, *rows.seen_by(rival.bundle, config))
        metrics |= {"against": other.to_json()}
    metrics |= {"notes": list(notes)} if notes else {}
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


def _test_part(config: Config, manifest: bundles.Manifest, progress: Progress) -> _Rows:
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
    return _Rows(
        data.prepared.test,
        "the test part that these settings make",
        data.official,
        None,
        data.prepared.manifest.sha256,
        data.prepared.notes,
    )


def _as_it_was_split(config: Config, manifest: bundles.Manifest) -> Config:
    """Take from the bundle's settings what changes the rows it learned from, and no row of the test part."""
    before = manifest.metrics["config"]["prepare"]
    kept = {key: before[key] for key in ("sample", "validation_fraction") if key in before}
    changes = {"labels": manifest.labels, "prepare": config.prepare.model_copy(update=kept)}
    return config.model_copy(update=changes)


def _is_same_split(data_sha256: str, config: Config, manifest: bundles.Manifest) -> bool:
    """Tell whether a bundle was trained on these sources, and the test part is what that left."""
    trained = seen.trained_on(config, manifest)
    if not trained:
        return False
    return trained["prepare"]["split"] == config.prepare.split == "official" or data_sha256 == manifest.data_sha256


def _check_same_split(data: Data, config: Config, manifest: bundles.Manifest) -> None:
    """Refuse to split the bundle's own data in another way: rows it learned from would be test rows."""
    if _is_same_split(data.prepared.manifest.sha256, config, manifest):
        return
    trained = manifest.metrics["config"]
    now = config.model_dump(mode="json")
    differing = [key for key in ("seed", "prepare", "text") if trained.get(key) != now[key]]
    raise ConfigError(
        f"the bundle {manifest.name} was trained on these sources, split in another way "
        f"({', '.join(differing) or 'the data changed'}): rows it learned from would be test rows; evaluate it "
        "with the settings it was trained with"
    )


def _all_rows(config: Config, manifest: bundles.Manifest, progress: Progress) -> _Rows:
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
    words = "the published test split" if published else "every row that was read"
    official = complete and is_toxic_chat_test(published, config)
    return _Rows(published or grouped, words, official, bool(published))


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
