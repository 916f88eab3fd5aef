"""The two verbs beside the main job: prepare data without training, and evaluate a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adaptox import prepare, sources
from adaptox.adapt import folder as folders
from adaptox.adapt.judge import judge
from adaptox.adapt.story import Data
from adaptox.config import Config
from adaptox.errors import DataError
from adaptox.evaluate import Evaluation, Provenance, commit, hardware, to_json
from adaptox.prepare import Prepared
from adaptox.records import Example, Progress, silent
from adaptox.scorers import Moderator


@dataclass(frozen=True, slots=True)
class Assessment:
    """A bundle's result on data, as a value and as metrics.json has it."""

    evaluation: Evaluation
    metrics: Mapping[str, object]


def read_and_prepare(config: Config, progress: Progress = silent) -> Data:
    """Read every source, join them, clean and split.

    Raises:
        DataError: a source cannot be read, or no split can be made of it.
    """
    readings = tuple(sources.read(source, config.seed) for source in config.sources)
    examples = [example for reading in readings for example in reading.examples]
    target = config.label_set.target
    prepared = prepare.prepare(examples, config.prepare, config.text, target, config.seed, progress)
    return Data(readings, prepared, published=config.prepare.split == "official")


def prepare_only(config: Config, out: Path, overwrite: bool = False, progress: Progress = silent) -> Prepared:
    """Write the cleaned and split data into a folder: a JSONL file for each part, manifest, dropped rows.

    Raises:
        InputError: the data or the folder cannot be used.
        StorageError: the disk refused.
    """
    folders.check(out, config, resume=False, overwrite=overwrite)
    data = read_and_prepare(config, progress)
    folder = folders.create(out, config, overwrite)
    folders.write_data(folder, data.prepared)
    parts = {
        "train": data.prepared.train,
        "validation": data.prepared.validation,
        "test": data.prepared.test,
    }
    for split, examples in parts.items():
        folder.write_lines(f"{split}.jsonl", (_row(example) for example in examples))
    return data.prepared


def assess(
    bundle: Path,
    config: Config,
    as_split: bool,
    out: Path | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Assessment:
    """Evaluate a bundle on labelled data.

    Args:
        bundle: the bundle's folder.
        config: names the sources; `prepare` is read when `as_split`.
        as_split: evaluate on the test part that these settings make. Otherwise the published test split if the data
            has one, else every row, uncleaned.
        out: where to write metrics.json, if anywhere.
        overwrite: replace what `out` holds.
        progress: told how many are scored.

    Raises:
        InputError: the bundle, the data or the folder cannot be used.
    """
    if out is not None:
        folders.check(out, config, resume=False, overwrite=overwrite)
    moderator = Moderator.open(bundle)
    label = moderator.decider.labels[0]
    if as_split:
        data = read_and_prepare(config, progress)
        rows, official = data.judged, data.official
    else:
        rows, official = _all_rows(config, progress)
    evaluation = judge(moderator.scorer, moderator.decider, rows, config.evaluate, config.seed, official, progress)
    manifest = moderator.bundle.manifest
    weights = manifest.files["model.safetensors"]
    provenance = Provenance(
        data_sha256=prepare.data_sha256(rows, config.text),
        model={"name": manifest.name, "label": label, "base": manifest.base["name"], "weights_sha256": weights},
        seed=config.seed,
        hardware=hardware(),
        commit=commit(),
        config=config.model_dump(mode="json"),
    )
    metrics = to_json(evaluation, provenance)
    if out is not None:
        folders.create(out, config, overwrite).write(folders.METRICS, metrics)
    return Assessment(evaluation, metrics)


def _all_rows(config: Config, progress: Progress) -> tuple[tuple[Example, ...], bool]:
    readings = [sources.read(source, config.seed) for source in config.sources]
    examples = [example for reading in readings for example in reading.examples]
    if not examples:
        raise DataError("expected rows to evaluate on, got none")
    grouped = prepare.mark_families(examples, config.text, progress)
    test = tuple(example for example in grouped if example.split == "test")
    official = bool(test) and all(example.source == "toxic-chat" for example in test)
    return (test, official) if test else (grouped, False)


def _row(example: Example) -> dict[str, object]:
    return {
        "id": example.id,
        "messages": example.conversation.messages(),
        "labels": dict(example.labels),
        "teacher": dict(example.teacher),
        "group": example.group,
        "twin": example.twin,
        "source": example.source,
    }
