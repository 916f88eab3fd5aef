"""Where adaptox keeps what outlives a run, and who may make it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from adaptox.errors import storage_errors


def cache_root(given: Path | None = None) -> Path:
    """Give the folder of everything that adaptox keeps between runs: `given`, or what ADAPTOX_CACHE names."""
    return given or Path(os.environ.get("ADAPTOX_CACHE") or "~/.cache/adaptox").expanduser()


def lock_file(folder: Path) -> Path:
    """Name the hidden file beside a folder that tells that somebody is at it."""
    return folder.with_name(f".{folder.name}.lock")


@contextmanager
def alone(folder: Path, waiting: Callable[[bool], None]) -> Iterator[None]:
    """Let one process at a time make what is kept in a folder; others wait, and find it made.

    Args:
        folder: `lock_file` stands beside it.
        waiting: told True when another process has to be waited for, and False when that is over. What it raises
            ends the wait before it begins.

    Raises:
        StorageError: the lock cannot be written.
    """
    lock = FileLock(lock_file(folder))
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            waiting(True)
            lock.acquire()
            waiting(False)
    try:
        yield
    finally:
        lock.release()
