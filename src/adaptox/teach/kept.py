"""A model's scores on disk: what was scored once is not scored again.

Scores are kept in a Parquet file, one for each model, in `$ADAPTOX_CACHE/teacher` or `~/.cache/adaptox/teacher`.
The file can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from adaptox.errors import MissingExtraError
from adaptox.records import Conversation, FloatArray, Progress

_LOG = logging.getLogger(__name__)

# Conversations scored before they are written: what is lost at most when a run is stopped.
_CHUNK = 2048
# Columns of a cache file, and the key of their hash; Parquet's own checksums leave its headers out.
_KEY, _PROBS, _DIGEST = "conversation", "probs", b"sha256"

# Hash of a conversation → its probabilities, in the order of the model's labels.
Known = dict[str, tuple[float, ...]]
# Conversations → (conversations, labels) probabilities.
Score = Callable[[Sequence[Conversation], Progress], FloatArray]


def scored_once(
    file: Path, conversations: Mapping[str, Conversation], start: Callable[[], Score], progress: Progress
) -> Mapping[str, tuple[float, ...]]:
    """Give the probabilities of every conversation; what had to be scored for it is kept.

    Args:
        file: of the model.
        conversations: by their hash.
        start: loads the model; not called if nothing is missing.
        progress: told how many are scored, of those that were not before.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    known = read(file)
    missing = [key for key in conversations if key not in known]
    if not missing:
        return known
    score = start()
    for begin in range(0, len(missing), _CHUNK):
        chunk = missing[begin : begin + _CHUNK]
        probs = score([conversations[key] for key in chunk], _shifted(progress, begin, len(missing)))
        known.update(zip(chunk, map(tuple, probs.tolist()), strict=True))
        _write(file, known)
    return known


def _shifted(progress: Progress, start: int, total: int) -> Progress:
    return lambda _, done, __: progress("teacher", start + done, total)


def read(file: Path) -> Known:
    """Read what a model scored before; nothing, if there is no file or it is damaged."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("teach", "train", "pyarrow") from error
    if not file.is_file():
        return {}
    try:
        with pyarrow.parquet.ParquetFile(file) as stored:
            table = stored.read()
        known = dict(zip(table.column(_KEY).to_pylist(), map(tuple, table.column(_PROBS).to_pylist()), strict=True))
        if (table.schema.metadata or {}).get(_DIGEST) != _digest(known):
            raise ValueError("its hash is another")
        return known
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        _LOG.warning("%s is damaged, so the teacher scores its rows again: %s", file, error)
        return {}


def _write(file: Path, known: Known) -> None:
    """Write a cache as a whole or not at all; a run does not end because it cannot be written."""
    import pyarrow
    import pyarrow.parquet

    probs = pyarrow.array(list(known.values()), pyarrow.list_(pyarrow.float64()))
    table = pyarrow.table({_KEY: list(known), _PROBS: probs}).replace_schema_metadata({_DIGEST: _digest(known)})
    # Processes of one launch may write at the same time.
    temporary = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(table, temporary)
        os.replace(temporary, file)
    except OSError as error:
        _LOG.warning(
            "cannot keep the teacher's scores (%s): set ADAPTOX_CACHE to a folder that can be written", error
        )
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _digest(known: Known) -> bytes:
    digest = hashlib.sha256("".join(known).encode())
    digest.update(np.array(list(known.values()), np.float64).tobytes())
    return digest.hexdigest().encode()
