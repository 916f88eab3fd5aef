"""Whether a bundle may have learned from the rows that it, or what starts from it, is judged on.

Rows that a bundle lists decide, wherever they lie by now. Of a training whose rows are not listed, as older bundles
list none, the place of its data and its split say what can be said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adaptox import bundle as bundles
from adaptox import model, prepare
from adaptox.adapt import known
from adaptox.config import Config
from adaptox.records import Example
from adaptox.sources import TOXIC_CHAT

# Reader → what it reads where no path is given.
_UNNAMED = {"toxic-chat": TOXIC_CHAT}

_Stages = Sequence[Mapping[str, Any]]


def trained_on(config: Config, manifest: bundles.Manifest) -> Mapping[str, Any]:
    """Give the settings that a bundle was trained with if these are its sources, read alike; else nothing."""
    trained: Mapping[str, Any] = manifest.metrics.get("config", {})
    return trained if _placed(trained.get("sources", ())) == _placed(_sources(config)) else {}


def told_of(
    bundle: bundles.Bundle, config: Config, rows: Sequence[Example], own_split: bool, published: bool | None
) -> tuple[str, ...]:
    """Say what a finished bundle has seen of the rows that it is judged on.

    Args:
        bundle: which.
        config: of the rows.
        rows: those.
        own_split: they are what its own training left for a test.
        published: whether they are a published test split that stands beside its train split; None where settings
            made a test part of them.
    """
    learned, name = known.by_bundle(bundle), bundle.manifest.name
    notes = []
    test = "test rows" if published is None else "rows"
    if count := learned.count(rows):
        notes.append(f"The bundle {name} learned from {count} of these {len(rows)} {test}.")
    stages = unsure(config, learned, count)
    if published is None and not own_split and may_have_seen(config, stages):
        notes.append(f"The bundle {name} learned from some of these sources: test rows may be among what it saw.")
    if (
        published is not None
        and shares_sources(config, stages)
        and not (published and left_test_alone(config, stages))
    ):
        notes.append(f"The bundle {name} learned from some of these rows.")
    return (*notes, *decided_on(bundle, rows))


def decided_on(bundle: bundles.Bundle, rows: Sequence[Example]) -> tuple[str, ...]:
    """Say on how many of these rows a bundle's thresholds were learned anew."""
    count = int(np.isin(prepare.row_keys(rows), known.decided_by(bundle)).sum())
    if not count:
        return ()
    return (
        f"Thresholds of the bundle {bundle.manifest.name} were learned anew on {count} of these {len(rows)} rows.",
    )


def learned_before(config: Config) -> list[dict[str, Any]]:
    """List, for a bundle's manifest, what its base learned from, and what that started from: the settings' part.

    Raises:
        BundleError: the base is a damaged bundle.
    """
    return learned_by(config.base.name)


def learned_by(name: str) -> list[dict[str, Any]]:
    """List what a bundle learned from, and what that started from: sources and split; nothing for other models.

    Raises:
        BundleError: the bundle is damaged.
    """
    place = model.place_of(name)
    if not (name and (place / bundles.MANIFEST).is_file()):
        return []
    bundle = bundles.load(place)
    unlisted = known.by_bundle(bundle).unlisted
    return [
        {
            "sources": stage.get("sources", []),
            "prepare": {"split": stage.get("prepare", {}).get("split")},
            known.LISTED: stage not in unlisted,
        }
        for stage in known.stages(bundle.manifest)
    ]


def shares_sources(config: Config, stages: _Stages) -> bool:
    """Tell whether one of these trainings read what is judged on here, however that is read."""
    return any(_shares(config, stage) for stage in stages)


def left_test_alone(config: Config, stages: _Stages) -> bool:
    """Tell whether none of these trainings learned from a published test row that is judged on here."""
    return all(
        stage.get("prepare", {}).get("split") == "official"
        # What only helps training is learned from as a whole.
        and not _overlap((source for source in stage["sources"] if source.get("use") == "train"), _judged(config))
        for stage in stages
        if _shares(config, stage)
    )


def is_kept_apart(config: Config, stages: _Stages) -> bool:
    """Tell whether none of these trainings learned from test rows of a run, since all keep the published split."""
    return config.prepare.split == "official" and left_test_alone(config, stages)


def may_have_seen(config: Config, stages: _Stages) -> bool:
    """Tell whether test rows of a run may be among what these trainings read."""
    return shares_sources(config, stages) and not is_kept_apart(config, stages)


def unsure(config: Config, learned: known.Known, count: int) -> _Stages:
    """Give the trainings of which rows do not decide: they list none, or read the same place in another way.

    Args:
        config: of what is judged on.
        learned: what a model learned from.
        count: of the rows that are judged on, how many it lists. None is no proof where its rows were made of other
            columns.
    """
    return (
        *learned.unlisted,
        *(stage for stage in learned.listed if not count and _reads_otherwise(config, stage)),
    )


def left_validation_alone(config: Config, bundle: bundles.Bundle, data_sha256: str) -> bool:
    """Tell whether no training of which a bundle lists no rows learned from validation rows of data.

    The bundle's own may have chosen its weights by them.

    Args:
        config: of the data.
        bundle: which.
        data_sha256: of the data as prepared.
    """
    own = trained_on(config, bundle.manifest)
    same = bundle.manifest.data_sha256 == data_sha256
    watched = bool(own) and same and not own.get("threshold", {}).get("folds")
    unlisted = known.by_bundle(bundle).unlisted
    return not shares_sources(config, [stage for stage in unlisted if not (watched and stage is own)])


def notes(config: Config, judged: Sequence[Example], held: Sequence[Example]) -> tuple[str, ...]:
    """Say which of the models that a run learns from, base and teacher, may have seen rows that it is judged on.

    Args:
        config: of the run.
        judged: the rows that its result is about.
        held: others that numbers are told of, by which the threshold is learned.
    """
    teacher = config.distill.teacher if config.distill.targets else ""
    return tuple(
        note
        for name, teaches in ((config.base.name, False), (teacher, True))
        if name
        for note in _notes_on(name, teaches, config, judged, held)
    )


def _notes_on(
    name: str, teaches: bool, config: Config, judged: Sequence[Example], held: Sequence[Example]
) -> Iterable[str]:
    learned = known.by_model(name)
    if seen := learned.count(judged):
        yield f"{name} learned from {seen} of the {len(judged)} rows that are judged on."
    if may_have_seen(config, unsure(config, learned, seen)):
        yield f"{name} learned from some of these sources, so rows that are judged on may be among what it saw."
    if not teaches:
        place = model.place_of(name)
        if (place / bundles.MANIFEST).is_file():
            yield from decided_on(bundles.load(place), judged)
        return
    handed = "and hands on their labels, so the numbers on validation rows are flattering."
    if seen := learned.count(held):
        yield f"{name} learned from {seen} of the {len(held)} validation rows {handed}"
    if shares_sources(config, learned.unlisted) and is_kept_apart(config, learned.unlisted):
        yield f"{name} learned from some of these training rows {handed}"


def _shares(config: Config, stage: Mapping[str, Any]) -> bool:
    return _overlap(stage.get("sources", ()), _judged(config))


def _reads_otherwise(config: Config, stage: Mapping[str, Any]) -> bool:
    def way(source: Mapping[str, Any]) -> tuple[Any, Any]:
        return source.get("reader"), source.get("columns")

    judged = _judged(config)
    return any(
        way(one) != way(other) and _overlap([one], [other]) for one in stage.get("sources", ()) for other in judged
    )


def _judged(config: Config) -> list[dict[str, Any]]:
    return [source for source in _sources(config) if source["use"] != "train"]


def _sources(config: Config) -> list[dict[str, Any]]:
    sources: list[dict[str, Any]] = config.model_dump(mode="json", include={"sources"})["sources"]
    return sources


def _placed(sources: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**source, "path": _place(source)} for source in sources]


def _overlap(some: Iterable[Mapping[str, Any]], others: Iterable[Mapping[str, Any]]) -> bool:
    """Tell whether two lists of sources have data in common: the same, or a file and the folder that it lies in."""
    mine, theirs = ([Path(_place(source)) for source in sources] for sources in (some, others))
    return any(one.is_relative_to(other) or other.is_relative_to(one) for one in mine for other in theirs)


def _place(source: Mapping[str, Any]) -> str:
    """Name data by where it is, however its path was typed."""
    path = str(source.get("path") or _UNNAMED.get(str(source.get("reader")), ""))
    return str(Path(path).resolve()) if path and Path(path).exists() else path or str(source.get("reader"))
