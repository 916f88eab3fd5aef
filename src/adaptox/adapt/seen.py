"""Whether a bundle may have learned from the rows that it, or what starts from it, is judged on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from adaptox import bundle as bundles
from adaptox import model
from adaptox.config import Config
from adaptox.sources import TOXIC_CHAT

# Reader → what it reads where no path is given.
_UNNAMED = {"toxic-chat": TOXIC_CHAT}


def trained_on(config: Config, manifest: bundles.Manifest) -> Mapping[str, Any]:
    """Give the settings that a bundle was trained with if these are its sources, read alike; else nothing."""
    trained: Mapping[str, Any] = manifest.metrics.get("config", {})
    return trained if _placed(trained.get("sources", ())) == _placed(_sources(config)) else {}


def shares_sources(config: Config, manifest: bundles.Manifest) -> bool:
    """Tell whether a bundle learned from a source that is judged on here, however that is read."""
    return bool(_places(manifest.metrics.get("config", {}).get("sources", ())) & _judged(config))


def left_test_alone(config: Config, manifest: bundles.Manifest) -> bool:
    """Tell whether a bundle learned from no published test row of the sources that are judged on here."""
    trained = manifest.metrics.get("config", {})
    # What only helps training is learned from as a whole.
    whole = _places(source for source in trained.get("sources", ()) if source.get("use") == "train")
    return trained.get("prepare", {}).get("split") == "official" and not whole & _judged(config)


def is_kept_apart(config: Config, manifest: bundles.Manifest) -> bool:
    """Tell whether a bundle learned from none of the test rows of a run, since both keep the published split."""
    return config.prepare.split == "official" and left_test_alone(config, manifest)


def notes(config: Config) -> tuple[str, ...]:
    """Say which of the bundles that a run learns from, its base and its teacher, may have seen its test rows."""
    teacher = config.distill.teacher if config.distill.targets else ""
    names = [config.base.name, *([teacher] if teacher else [])]
    found = [name for name in names if (model.place_of(name) / bundles.MANIFEST).is_file()]
    manifests = [(name, bundles.load(model.place_of(name)).manifest) for name in found]
    return tuple(
        f"{name} learned from some of these sources, so rows that are judged on may be among what it saw."
        for name, manifest in manifests
        if shares_sources(config, manifest) and not is_kept_apart(config, manifest)
    )


def _judged(config: Config) -> set[str]:
    return _places(source for source in _sources(config) if source["use"] != "train")


def _sources(config: Config) -> list[dict[str, Any]]:
    sources: list[dict[str, Any]] = config.model_dump(mode="json", include={"sources"})["sources"]
    return sources


def _placed(sources: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**source, "path": _place(source)} for source in sources]


def _places(sources: Iterable[Mapping[str, Any]]) -> set[str]:
    return {_place(source) for source in sources}


def _place(source: Mapping[str, Any]) -> str:
    """Name data by where it is, however its path was typed."""
    path = str(source.get("path") or _UNNAMED.get(str(source.get("reader")), ""))
    return str(Path(path).resolve()) if path and Path(path).exists() else path or str(source.get("reader"))
