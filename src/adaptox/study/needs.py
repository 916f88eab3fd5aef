"""What a study's runs start from: a base or a teacher that is trained first."""

from __future__ import annotations

from pathlib import Path

from adaptox import config as settings
from adaptox.adapt import adapt, is_finished
from adaptox.adapt.folder import CONFIG
from adaptox.errors import ConfigError
from adaptox.study.schedule import Board, RunState, Watch


def ensure(folder: Path, path: Path, watch: Watch) -> None:
    """Make a run that a study needs, or go on with it, unless it is finished.

    Args:
        folder: of the run.
        path: its settings, a TOML file.
        watch: told how far it is.

    Raises:
        InputError: settings, data or folder cannot be used.
        RunError: the run failed.
    """
    chosen = settings.load(path)
    try:
        finished = is_finished(folder, chosen)
    except ConfigError as error:
        raise ConfigError(f"needs: {error}; or remove {folder}, and it is made anew") from error
    if finished:
        return

    def progress(stage: str, done: int, total: int) -> None:
        watch(Board((RunState(str(folder), "running", stage, done, total),), None))

    resume = (folder / CONFIG).is_file()
    adapt(chosen, folder, resume=resume, command=f"adaptox train {path} --out {folder}", progress=progress)
