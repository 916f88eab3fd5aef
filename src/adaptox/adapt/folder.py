"""The run folder: what a run leaves behind, and how it goes on after a kill.

```
config.json       resolved settings            figures/      PNG and SVG
manifest.json     the data                     report.html   one file to read
dropped.jsonl     rows that cleaning removed   report.md
models.json       hashes of base and teacher   bundle/       what predict and load read
history.json      the training's log
scores.parquet    every row's score            checkpoints/  only while the run is unfinished
metrics.json      the result, written last
```
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adaptox import bundle as bundles
from adaptox import config as settings
from adaptox.adapt import needs, same
from adaptox.config import Config, resolved_json
from adaptox.errors import BusyError, ConfigError, InputError, StorageError, storage_errors
from adaptox.prepare import Prepared

CONFIG = "config.json"
DATA = "manifest.json"
MODELS = "models.json"
HISTORY = "history.json"
METRICS = "metrics.json"
SCORES = "scores.parquet"
BUNDLE = "bundle"
CHECKPOINTS = "checkpoints"

_PART = ".part"
# Tables of the settings that no other tool's config.json has.
_OURS = {"sources", "prepare", "evaluate"}


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

    def write(self, name: str, content: object) -> None:
        """Write a file as a whole or not at all: a string or bytes as they are, anything else as JSON.

        Raises:
            StorageError: the disk refused.
        """
        text = (
            content
            if isinstance(content, str | bytes)
            else json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        )
        data = text.encode() if isinstance(text, str) else text
        target, temporary = self.path / name, self.path / f".{name}{_PART}"
        with storage_errors(target):
            try:
                temporary.write_bytes(data)
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
    folder.write(DATA, prepared.manifest.to_json())
    folder.write_lines("dropped.jsonl", (asdict(row) for row in prepared.dropped))


def is_finished(path: Path, config: Config) -> bool:
    """Tell whether these settings were run to the end there.

    Raises:
        InputError: the folder holds something else than a run.
        ConfigError: it holds a run with other settings.
    """
    stored = _stored(path)
    if stored is None:
        return False
    same.settings(path, stored, config)
    return (path / METRICS).is_file()


def check(path: Path, config: Config, resume: bool, overwrite: bool) -> None:
    """Refuse, before any work, a place that a run cannot be written to.

    Raises:
        InputError: the folder holds something else, or a run and neither resume nor overwrite is asked for.
        ConfigError: the run to resume has other settings.
    """
    if resume and overwrite:
        raise ConfigError("--resume goes on with a run and --overwrite starts over: choose one")
    stored = _stored(path)
    if stored is None:
        return
    if overwrite:
        check_nothing_lost(path, needs.paths(config))
    elif resume:
        if is_finished(path, config):
            raise InputError(f"{path} is finished, nothing is left to resume: --overwrite starts over")
    else:
        raise InputError(f"{path} already holds a run: --resume goes on with it, --overwrite starts over")


def check_free(path: Path, overwrite: bool, needed: Iterable[str]) -> None:
    """Refuse, before any work, a place that results cannot be written to.

    Args:
        path: the folder to be.
        overwrite: replace results that are there.
        needed: paths that are read, which overwriting must not remove.

    Raises:
        InputError: the folder holds something else, or results and overwrite is not asked for.
    """
    if _stored(path) is None:
        return
    if not overwrite:
        raise InputError(f"{path} already holds results: --overwrite replaces them, --out chooses another folder")
    check_nothing_lost(path, needed)


def check_nothing_lost(path: Path, needed: Iterable[str]) -> None:
    """Refuse to overwrite a folder with what is read meanwhile in it.

    Raises:
        InputError: what would be lost.
    """
    for name in needed:
        if name and Path(name).exists() and Path(name).resolve().is_relative_to(path.resolve()):
            raise InputError(
                f"--overwrite would remove {name}, which this command reads, with all of {path}: "
                "choose another folder with --out"
            )


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let no other process write a folder meanwhile.

    Args:
        path: of a run or a study; a hidden lock file stands beside it as long as it is held.

    Raises:
        BusyError: another process is at work there.
        StorageError: the lock cannot be written.
    """

    def refuse(_: bool) -> None:
        raise BusyError(f"another process is at work in {path}: wait for it, or choose another folder with --out")

    lock = _beside(path, "lock")
    with settings.alone(lock, refuse):
        try:
            yield
        finally:
            with suppress(OSError):  # some systems do not remove what is open
                lock.unlink()


def create(path: Path, config: Config, prepared: Prepared, resume: bool, overwrite: bool) -> RunFolder:
    """Make the run folder, or enter the one that is resumed, and write settings and data into it.

    Args:
        path: checked by `check` before the data was read, and once more: another run may have come in between.
        config: the run's settings.
        prepared: the run's data.
        resume: go on with the run that is there.
        overwrite: remove what is there.

    Raises:
        InputError: as `check`.
        DataError: the rows, the base or the teacher of the run that is resumed are others by now.
        StorageError: the disk refused; a new folder is gone again then.
    """
    check(path, config, resume, overwrite)
    new = overwrite or not _is_occupied(path)
    folder = RunFolder(path)
    models = needs.models(config)
    if not new:
        same.data(path / DATA, prepared)
        same.models(path / MODELS, models)
    try:
        with storage_errors(path):
            if overwrite:
                _remove(path)
            path.mkdir(parents=True, exist_ok=True)
            _tidy(path)
        folder.write(CONFIG, resolved_json(config))
        folder.write(MODELS, models)
        write_data(folder, prepared)
    except StorageError:
        if new:
            shutil.rmtree(path, ignore_errors=True)
        raise
    return folder


@contextmanager
def whole(path: Path) -> Iterator[RunFolder]:
    """Write a folder as a whole or not at all; what is there is replaced.

    Raises:
        StorageError: the disk refused.
    """
    with bundles.replacing(path.resolve()) as temporary:
        yield RunFolder(temporary)


def _remove(path: Path) -> None:
    """Remove a folder so that a kill leaves it whole or gone."""
    gone = _beside(path, "gone")
    if path.exists():
        shutil.rmtree(gone, ignore_errors=True)
        path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _beside(path: Path, ending: str) -> Path:
    """Name a hidden file beside a folder, which may be given as ``.``."""
    own = Path(os.path.abspath(path))
    return own.with_name(f".{own.name}.{ending}")


def _is_occupied(path: Path) -> bool:
    """Tell whether a folder holds more than a file that was cut off while it was written."""
    return path.is_dir() and any(not item.name.endswith(_PART) for item in path.iterdir())


def _stored(path: Path) -> Mapping[str, Any] | None:
    """Give the settings of the run that is there; None if the place is free."""
    if not path.exists():
        above = next(folder for folder in path.absolute().parents if folder.exists())
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            what = "is a file" if not above.is_dir() else "may not be written to"
            raise InputError(f"cannot make the folder {path}: {above} {what}; choose another with --out")
        return None
    if not path.is_dir():
        raise InputError(f"{path} is a file: expected a folder to write; choose another with --out")
    if not _is_occupied(path):
        return None
    try:
        settings = json.loads((path / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        settings = None
    if not isinstance(settings, dict) or not settings.keys() >= _OURS:
        raise InputError(f"{path} holds something else than a run of adaptox: choose another folder with --out")
    return settings


def _tidy(path: Path) -> None:
    """Remove what a kill cut off while it was written."""
    for item in path.glob(f".*{_PART}"):
        if item.is_dir():
            shutil.rmtree(item)
        else:
            item.unlink()
