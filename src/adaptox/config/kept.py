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


@contextmanager
def alone(lock: Path, waiting: Callable[[bool], None]) -> Iterator[None]:
    """Let one process at a time make what is kept; others wait, and find it made.

    Args:
        lock: the file that tells that somebody is at it.
        waiting: told True when another process has to be waited for, and False when that is over. What it raises
            ends the wait before it begins.

    Raises:
        StorageError: the lock cannot be written.
    """
    held = FileLock(lock)
    with storage_errors(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            held.acquire(blocking=False)
        except Timeout:
            waiting(True)
            held.acquire()
            waiting(False)
    try:
        yield
    finally:
        held.release()
