"""The errors a user can meet.

```
AdaptoxError
├── InputError              what the user gave cannot be used          exit code 2
│   ├── ConfigError         a key, value or combination in the settings
│   ├── DataError           a file, column, row or label
│   │   └── NoWordsError    texts without a word that occurs often enough
│   ├── BaseModelError      a base model that cannot be found or read
│   ├── BundleError         a bundle that is missing, damaged or of another version
│   ├── BusyError           a folder that another process is at work in
│   └── MissingExtraError   a room whose optional packages are not installed
└── RunError                the work itself failed                     exit code 1
    ├── CollapseError       training ended in a model that decides nothing
    ├── StorageError        the disk refused what had to be written
    └── InterruptedRunError the user stopped a run that can be resumed
```

Every message says what was expected, what came, and what to do.
"""

from __future__ import annotations

import difflib
import errno
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

# A disk with less than one block of weights left counts as full.
_NEARLY_FULL_BYTES = 4 * 1024 * 1024


class AdaptoxError(Exception):
    """Root of everything adaptox raises on purpose."""

    exit_code = 1


class InputError(AdaptoxError):
    """What the user gave cannot be used."""

    exit_code = 2


class ConfigError(InputError):
    """A setting is unknown, of the wrong kind, or contradicts another."""


class DataError(InputError):
    """A data file, column, row or label cannot be used."""


class NoWordsError(DataError):
    """No n-gram of a kind occurs often enough in the texts."""


class BaseModelError(InputError):
    """A base model cannot be found, or lacks a part."""


class BundleError(InputError):
    """A bundle is missing, damaged, or written by another version."""


class MissingExtraError(InputError):
    """A room needs optional packages that are not installed."""

    def __init__(self, room: str, extra: str, package: str) -> None:
        super().__init__(
            f"{room} needs the package {package!r}, which is not installed: pip install 'adaptox[{extra}]'"
        )


class BusyError(InputError):
    """Another process is at work in the folder."""


class RunError(AdaptoxError):
    """The work itself failed."""


class CollapseError(RunError):
    """Training ended in a model that decides nothing."""


class StorageError(RunError):
    """The disk refused what had to be written."""


class InterruptedRunError(RunError):
    """The user stopped a run; what it finished is kept."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name the user may have meant, and which there are.

    Args:
        name: what came.
        known: what there is.

    Returns:
        A clause such as ``did you mean 'text'? There are: id, text``.
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    listed = f"there are: {', '.join(names)}" if names else "there are none"
    return f"did you mean {close[0]!r}? ({listed})" if close else listed


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn a refusal to write below `path` into a `StorageError`.

    Raises:
        StorageError: the disk is full, read-only, over quota, the folder may not be written, or a file stands in
            its place.
    """
    reasons = {
        errno.ENOSPC: "the disk is full; free some space",
        errno.EDQUOT: "the disk quota is used up; free some space",
        errno.EFBIG: "the file would be larger than the limit allows; raise it",
        errno.EROFS: "the file system is read-only; choose another folder with --out",
        errno.EACCES: "you may not write there; choose another folder with --out",
        errno.EPERM: "you may not write there; choose another folder with --out",
        errno.ENOTDIR: "a file stands where a folder is needed; choose another folder with --out",
        errno.EEXIST: "a file stands where a folder is needed; choose another folder with --out",
    }
    try:
        yield
    except AdaptoxError:
        raise
    except Exception as error:
        code = _refusal(error, path)
        if code not in reasons:
            raise
        raise StorageError(f"cannot write {path}: {reasons[code]}, then run the same command again") from error


def _refusal(error: Exception, path: Path) -> int | None:
    """Find the operating system's number behind an error; safetensors has it in its text, torch not at all."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    if found:
        return int(found[1])
    return errno.ENOSPC if _is_full(path) else None


def _is_full(path: Path) -> bool:
    place = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(place).free < _NEARLY_FULL_BYTES
