"""What a run reads besides its settings: the paths that must stay, and the models that must stay as they are."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from adaptox import bundle as bundles
from adaptox import model
from adaptox.config import Config, parse
from adaptox.errors import ConfigError
from adaptox.records import Origin
from adaptox.teach import lessons


def paths(config: Config) -> list[str]:
    """List the paths and names of all that settings may read: data, base and teachers."""
    taught_by = (config.distill.teacher, config.teach.model, *config.teach.members)
    return [config.base.name, *taught_by, *(source.path for source in config.sources)]


def models(config: Config) -> dict[str, str]:
    """Name the models that a training depends on: the base, and the teacher where one teaches.

    Raises:
        BundleError: a bundle is damaged.
    """
    teacher = config.distill.teacher if config.distill.targets else ""
    return {"base": model_sha256(config.base.name), "teacher": model_sha256(teacher)}


def lineage(name: str) -> list[str]:
    """Hash the data and settings of a bundle and of those it came from, nearest first; nothing for other models.

    Who trains a bundle again from the same gets other weights on another machine, and the same lineage. Settings at
    their defaults do not count, so that one that came later changes none.

    Raises:
        BundleError: the bundle is damaged.
    """
    manifest = _manifest(name)
    if manifest is None:
        return []
    own = json.dumps([manifest.data_sha256, _chosen(manifest.metrics.get("config", {}))], sort_keys=True)
    return [hashlib.sha256(own.encode()).hexdigest(), *manifest.base.get("lineage", [])]


def _chosen(trained: dict[str, Any]) -> dict[str, Any]:
    """Leave out of a bundle's settings what is a default; settings of another version stay as they are."""
    try:
        return parse(trained).model_dump(mode="json", exclude_defaults=True)
    except ConfigError:
        return trained


def origins(role: str, name: str) -> tuple[Origin, ...]:
    """Say what a bundle or a teacher's scores learned from, one entry a licence: it binds what they teach, too.

    Args:
        role: what the model is here, ``base`` or ``teacher``.
        name: of the model; one that names no licence itself has no entry.

    Raises:
        BundleError: the bundle is damaged.
        DataError: the teacher's folder is.
    """
    if name and lessons.is_lesson(Path(name)):
        return tuple(Origin(role, name, licence, "", "", 0) for licence in lessons.licences(Path(name)))
    manifest = _manifest(name)
    if manifest is None:
        return ()
    return tuple(Origin(role, name, licence, "", manifest.data_sha256, 0) for licence in manifest.licences)


def model_sha256(name: str) -> str:
    """Hash a bundle or a teacher's scores; anything else is named, and its contents are taken for fixed.

    Raises:
        BundleError: the bundle is damaged.
    """
    if manifest := _manifest(name):
        return manifest.sha256
    if name and lessons.is_lesson(Path(name)):
        return lessons.lesson_sha256(Path(name))
    return name


def _manifest(name: str) -> bundles.Manifest | None:
    """Read a bundle's manifest; None for any other model."""
    place = model.place_of(name)
    return bundles.load(place).manifest if name and (place / bundles.MANIFEST).is_file() else None
