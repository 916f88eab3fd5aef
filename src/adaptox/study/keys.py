"""What a run depends on → its key: the same key, the same result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import adaptox
from adaptox import sources
from adaptox.adapt.needs import model_sha256
from adaptox.config import Config

# Rooms that no number of a run depends on.
_BESIDE = {"cli", "demo", "report", "study", "__main__"}


class Keys:
    """Makes keys; what is read and hashed for one run is remembered for the next."""

    def __init__(self) -> None:
        self._code = _code_sha256()
        self._data: dict[str, str] = {}

    def key(self, config: Config) -> str:
        """Hash a run's settings, its data, the base and the teacher if they are bundles, and the code.

        Raises:
            InputError: the data cannot be read, or a bundle is damaged.
        """
        settings = config.model_dump(mode="json", exclude={"name"})
        read = json.dumps([settings["sources"], config.data_seed])
        if read not in self._data:
            readings = sources.read_all(config.sources, config.data_seed, config.labels)
            self._data[read] = _sha256(reading.origin.sha256 for reading in readings)
        models = [model_sha256(name) for name in (config.base.name, config.distill.teacher)]
        return _sha256([json.dumps(settings, sort_keys=True), self._data[read], *models, self._code])


def _code_sha256() -> str:
    root = Path(adaptox.__file__).parent
    files = sorted(
        path for path in root.rglob("*.py") if path.relative_to(root).parts[0].split(".")[0] not in _BESIDE
    )
    return _sha256(f"{path.relative_to(root)}\n{path.read_text(encoding='utf-8')}" for path in files)


def _sha256(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part.encode()).digest())
    return digest.hexdigest()
