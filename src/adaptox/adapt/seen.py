"""Whether a bundle may have learned from the rows that it, or what starts from it, is judged on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from adaptox import bundle as bundles
from adaptox import model
from adaptox.config import Config


def trained_on(config: Config, manifest: bundles.Manifest) -> Mapping[str, Any]:
    """Give the settings that a bundle was trained with if these are its sources, read alike; else nothing."""
    trained: Mapping[str, Any] = manifest.metrics.get("config", {})
    return trained if _placed(trained.get("sources", ())) == _placed(_sources(config)) else {}


def shares_sources(config: Config, manifest: bundles.Manifest) -> bool:
    """Tell whether a bundle learned from a source that is judged on here, however that is read."""
    trained = manifest.metrics.get("config", {}).get("sources", ())
    judged = (source for source in _sources(config) if source["use"] != "train")
    return bool(_places(trained) & _places(judged))


def is_kept_apart(config: Config, manifest: bundles.Manifest) -> bool:
    """Tell whether both leave the published test split alone: neither learns from what the other is judged on."""
    trained = manifest.metrics.get("config", {}).get("prepare", {})
    return bool(trained.get("split") == config.prepare.split == "official")


def notes(config: Config) -> tuple[str, ...]:
    """Say which of the bundles that a run learns from, its base and its teacher, may have seen its test rows."""
    names = [config.base.name, *([config.distill.teacher] if config.distill.teacher else [])]
    found = [name for name in names if (model.place_of(name) / bundles.MANIFEST).is_file()]
    manifests = [(name, bundles.load(model.place_of(name)).manifest) for name in found]
    return tuple(
        f"{name} learned from some of these sources, so rows that are judged on may be among what it saw."
        for name, manifest in manifests
        if shares_sources(config, manifest) and not is_kept_apart(config, manifest)
    )


def _sources(config: Config) -> list[dict[str, Any]]:
    sources: list[dict[str, Any]] = config.model_dump(mode="json", include={"sources"})["sources"]
    return sources


def _placed(sources: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**source, "path": _place(source)} for source in sources]


def _places(sources: Iterable[Mapping[str, Any]]) -> set[str]:
    return {_place(source) for source in sources}


def _place(source: Mapping[str, Any]) -> str:
    """Name data by where it is, however its path was typed."""
    path = str(source.get("path") or "")
    return str(Path(path).resolve()) if path and Path(path).exists() else path or str(source.get("reader"))
