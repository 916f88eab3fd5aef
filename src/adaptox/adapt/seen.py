"""Whether a bundle may have learned from the rows that it, or what starts from it, is judged on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adaptox import bundle as bundles
from adaptox import model
from adaptox.config import Config
from adaptox.sources import TOXIC_CHAT
from adaptox.teach import lessons

# Reader → what it reads where no path is given.
_UNNAMED = {"toxic-chat": TOXIC_CHAT}


def trained_on(config: Config, manifest: bundles.Manifest) -> Mapping[str, Any]:
    """Give the settings that a bundle was trained with if these are its sources, read alike; else nothing."""
    trained: Mapping[str, Any] = manifest.metrics.get("config", {})
    return trained if _placed(trained.get("sources", ())) == _placed(_sources(config)) else {}


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
    return [
        {"sources": trained.get("sources", []), "prepare": {"split": trained.get("prepare", {}).get("split")}}
        for trained in _stages(bundles.load(place).manifest)
    ]


def shares_sources(config: Config, manifest: bundles.Manifest) -> bool:
    """Tell whether a bundle, or what it came from, learned from what is judged on here, however that is read."""
    return _share(config, _stages(manifest))


def left_test_alone(config: Config, manifest: bundles.Manifest) -> bool:
    """Tell whether a bundle, and what it came from, learned from no published test row that is judged on here."""
    return _left_test_alone(config, _stages(manifest))


def is_kept_apart(config: Config, manifest: bundles.Manifest) -> bool:
    """Tell whether a bundle learned from none of the test rows of a run, since both keep the published split."""
    return _is_kept_apart(config, _stages(manifest))


def left_validation_alone(config: Config, manifest: bundles.Manifest, data_sha256: str) -> bool:
    """Tell whether a bundle learned from no validation row of data: it may have chosen its weights by them.

    Args:
        config: of the data.
        manifest: the bundle's.
        data_sha256: of the data as prepared.
    """
    own = trained_on(config, manifest)
    watched = bool(own) and manifest.data_sha256 == data_sha256 and not own.get("threshold", {}).get("folds")
    before = manifest.base.get("learned", [])
    return not _share(config, before if watched else _stages(manifest))


def notes(config: Config) -> tuple[str, ...]:
    """Say which of the models that a run learns from, base and teacher, may have seen rows that it is judged on."""
    teacher = config.distill.teacher if config.distill.targets else ""
    found = [(name, _stages_of(name)) for name in (config.base.name, teacher) if name]
    told = [
        f"{name} learned from some of these sources, so rows that are judged on may be among what it saw."
        for name, stages in found
        if _share(config, stages) and not _is_kept_apart(config, stages)
    ]
    taught = [
        f"{name} learned from some of these training rows and hands on their labels, so the numbers on validation "
        "rows are flattering."
        for name, stages in found
        if name == teacher and _share(config, stages) and _is_kept_apart(config, stages)
    ]
    return (*told, *taught)


def _stages_of(name: str) -> Sequence[Mapping[str, Any]]:
    """Give the stages of a bundle, or of the bundle whose scores `adaptox teach` wrote; nothing for others."""
    place = model.place_of(name)
    if (place / bundles.MANIFEST).is_file():
        return _stages(bundles.load(place).manifest)
    return lessons.learned(place) if lessons.is_lesson(place) else []


def _stages(manifest: bundles.Manifest) -> list[Mapping[str, Any]]:
    """Give the settings of a bundle's training, and of those that it came from."""
    return [manifest.metrics.get("config", {}), *manifest.base.get("learned", [])]


def _share(config: Config, stages: Sequence[Mapping[str, Any]]) -> bool:
    return any(_shares(config, stage) for stage in stages)


def _left_test_alone(config: Config, stages: Sequence[Mapping[str, Any]]) -> bool:
    return all(
        stage.get("prepare", {}).get("split") == "official"
        # What only helps training is learned from as a whole.
        and not _overlap((source for source in stage["sources"] if source.get("use") == "train"), _judged(config))
        for stage in stages
        if _shares(config, stage)
    )


def _is_kept_apart(config: Config, stages: Sequence[Mapping[str, Any]]) -> bool:
    return config.prepare.split == "official" and _left_test_alone(config, stages)


def _shares(config: Config, stage: Mapping[str, Any]) -> bool:
    return _overlap(stage.get("sources", ()), _judged(config))


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
