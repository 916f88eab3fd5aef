"""The run folder: what a run leaves behind, and how it goes on after a kill.

```
config.json       resolved settings            figures/      PNG and SVG
manifest.json     the data                     report.html   one file to read
dropped.jsonl     rows that cleaning removed   report.md
history.json      the training's log           bundle/       what predict and load read
metrics.json      the result                   checkpoints/  only while the run is unfinished
```
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from adaptox.config import Config, resolved_json
from adaptox.errors import ConfigError, InputError, storage_errors
from adaptox.prepare import Prepared

CONFIG = "config.json"
METRICS = "metrics.json"
BUNDLE = "bundle"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run's place on disk."""

    path: Path

    @property
    def bundle(self) -> Path:
        """Where the bundle goes."""
        return self.path / BUNDLE

    @property
    def checkpoints(self) -> Path:
        """Where the unfinished training keeps its state."""
        return self.path / CHECKPOINTS

    @property
    def finished(self) -> bool:
        """Whether the run came to its end: metrics are written last."""
        return (self.path / METRICS).is_file()

    def write(self, name: str, content: object) -> None:
        """Write a file as a whole or not at all: a string as it is, anything else as JSON.

        Raises:
            StorageError: the disk refused.
        """
        text = content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        target, temporary = self.path / name, self.path / f".{name}.part"
        with storage_errors(target):
            try:
                temporary.write_text(text, encoding="utf-8")
                os.replace(temporary, target)
            finally:
                temporary.unlink(missing_ok=True)

    def write_lines(self, name: str, rows: Iterable[object]) -> None:
        """Write a JSONL file as a whole or not at all.

        Raises:
            StorageError: the disk refused.
        """
        self.write(name, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def write_data(folder: RunFolder, prepared: Prepared) -> None:
    """Write the data's manifest and the rows that were dropped.

    Raises:
        StorageError: the disk refused.
    """
    folder.write("manifest.json", prepared.manifest.to_json())
    folder.write_lines("dropped.jsonl", (asdict(row) for row in prepared.dropped))


def check(path: Path, config: Config, resume: bool, overwrite: bool) -> None:
    """Refuse early, before any work, a folder that cannot be used.

    Raises:
        InputError: the folder holds something else, or a run and neither resume nor overwrite is asked for.
        ConfigError: the run to resume has other settings.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    stored = path / CONFIG
    if not stored.is_file():
        raise InputError(f"{path} exists and is no run folder: choose another with --out")
    if overwrite:
        return
    if not resume:
        raise InputError(f"{path} already holds a run: --resume goes on with it, --overwrite starts over")
    before, now = json.loads(stored.read_text(encoding="utf-8")), json.loads(resolved_json(config))
    changed = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    if changed:
        raise ConfigError(
            f"{path} was started with other settings ({', '.join(changed)} differ): "
            "resume with the old ones, or --overwrite to start over"
        )


def create(path: Path, config: Config, overwrite: bool) -> RunFolder:
    """Make the folder and write the settings into it.

    Raises:
        StorageError: the disk refused.
    """
    with storage_errors(path):
        if overwrite and path.exists():
            shutil.rmtree(path)
        path.mkdir(parents=True, exist_ok=True)
    folder = RunFolder(path)
    folder.write(CONFIG, resolved_json(config))
    return folder
