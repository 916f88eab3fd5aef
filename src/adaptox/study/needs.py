"""What a study's runs start from: a base or a teacher that is trained first."""

from __future__ import annotations

from pathlib import Path

from adaptox import config as settings
from adaptox.adapt import adapt, is_finished
from adaptox.adapt.folder import CONFIG, METRICS
from adaptox.errors import ConfigError
from adaptox.study.board import Board, RunState, Watch


def ensure(folder: Path, path: Path, watch: Watch) -> str:
    """Make a run that a study needs, or go on with it, unless the folder holds a finished one.

    Args:
        folder: of the run.
        path: its settings, a TOML file.
        watch: told how far it is.

    Returns:
        What a reader must know of the run: that it was made with other settings, or nothing.

    Raises:
        InputError: settings, data or folder cannot be used.
        RunError: the run failed.
    """
    chosen = settings.load(path)
    try:
        finished = is_finished(folder, chosen)
    except ConfigError as error:
        if (folder / METRICS).is_file():
            return f"{folder} was made with other settings than {path} has now."
        raise ConfigError(f"needs: {error}; or remove {folder}, and it is made anew") from error
    if not finished:
        resume = (folder / CONFIG).is_file()
        command = f"adaptox train {path} --out {folder}"

        def progress(stage: str, done: int, total: int) -> None:
            watch(Board((RunState(str(folder), "running", stage, done, total),), None))

        adapt(chosen, folder, resume=resume, command=command, progress=progress)
    return ""
