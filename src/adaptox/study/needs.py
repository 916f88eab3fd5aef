"""What a study's runs start from: a base that is trained first, or a teacher that scores first."""

from __future__ import annotations

from pathlib import Path

from adaptox import config as settings
from adaptox.adapt import adapt, is_finished, make_lesson
from adaptox.adapt.folder import CONFIG, METRICS
from adaptox.errors import ConfigError
from adaptox.study.board import Board, RunState, Watch
from adaptox.teach import lessons


def ensure(folder: Path, path: Path, watch: Watch) -> str:
    """Make what a study needs, or go on with it, unless the folder holds it finished.

    Args:
        folder: of the run, or of a teacher's scores.
        path: its settings, a TOML file; with a `teach` table they are those of a teacher.
        watch: told how far it is.

    Returns:
        What a reader must know of it: that it was made with other settings, or nothing.

    Raises:
        InputError: settings, data or folder cannot be used.
        RunError: it failed.
    """
    chosen = settings.load(path)
    teaches = "teach" in chosen.model_fields_set
    last = folder / (lessons.TEACHER if teaches else METRICS)
    try:
        is_finished(folder, chosen)
    except ConfigError as error:
        if last.is_file():
            return f"{folder} was made with other settings than {path} has now."
        raise ConfigError(f"needs: {error}; or remove {folder}, and it is made anew") from error
    if last.is_file():
        return ""

    def progress(stage: str, done: int, total: int) -> None:
        watch(Board((RunState(str(folder), "running", stage, done, total),), None))

    if teaches:
        make_lesson(chosen, folder, progress=progress)
    else:
        resume = (folder / CONFIG).is_file()
        command = f"adaptox train {path} --out {folder}"
        adapt(chosen, folder, resume=resume, command=command, progress=progress)
    return ""
