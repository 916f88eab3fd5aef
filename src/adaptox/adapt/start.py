"""The base `minilm-prompts`, which is made when it is first used: whether it is there, and who makes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from adaptox import config as settings
from adaptox import train
from adaptox.adapt.folder import CONFIG, METRICS
from adaptox.config import START, Config
from adaptox.errors import StorageError
from adaptox.model import start
from adaptox.records import WAITING, Progress


def is_missing(config: Config) -> bool:
    """Tell whether these settings start from the base that is made on first use, and it is not there."""
    return config.base.name == START and not (start.run_folder() / METRICS).is_file()


def is_begun() -> bool:
    """Tell whether an earlier process began to make it."""
    return (start.run_folder() / CONFIG).is_file()


@contextmanager
def alone(progress: Progress) -> Iterator[None]:
    """Let one run at a time make it; others wait, and find it made.

    Args:
        progress: told of the wait.

    Raises:
        StorageError: the folder that it is kept in cannot be written.
    """
    place = start.run_folder()
    # Processes of one launch make it together.
    launched = train.processes() > 1
    lock = place.with_name(f"{place.name}.lock")  # the run that makes it has another
    turn = nullcontext() if launched else settings.alone(lock, lambda on: progress(WAITING, int(not on), 1))
    try:
        with turn:
            yield
    except StorageError as error:
        raise StorageError(
            f"{error} (base {START} is made and kept there: ADAPTOX_CACHE names another place, and base.name = "
            "'minilm' does without)"
        ) from error
