"""Examples + a bundle → the bundle's scores as soft targets, and how far they agree with scores that the data had.

Scoring is the slow part, so it is done once for a conversation: scores are kept in a Parquet file, one for each
bundle, in `$ADAPTOX_CACHE/teacher` or `~/.cache/adaptox/teacher`. The file can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np

from adaptox import bundle as bundles
from adaptox.bundle import Bundle
from adaptox.config import EvaluateConfig
from adaptox.decide import Decider
from adaptox.errors import DataError, MissingExtraError, nearest
from adaptox.records import Conversation, Example, Progress, silent
from adaptox.scorers import Moderator, open_scorer
from adaptox.teach.agreement import agreements
from adaptox.teach.values import Taught, conversation_key, with_scores

_LOG = logging.getLogger(__name__)

# Conversations scored before they are written: what is lost at most when a run is stopped.
_CHUNK = 2048
# Columns of a cache file, and the key of their hash; Parquet's own checksums leave its headers out.
_KEY, _PROBS, _DIGEST = "conversation", "probs", b"sha256"

# Hash of a conversation → its probabilities, in the order of the bundle's labels.
_Known = dict[str, tuple[float, ...]]


def teach(
    examples: Sequence[Example],
    bundle: Path,
    targets: Sequence[str],
    config: EvaluateConfig,
    seed: int,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Taught:
    """Let a bundle score examples, to learn from the scores (arXiv 1503.02531).

    The bundle reads conversations as it was trained to: its own rendering, windows and calibration. A conversation
    that it has scored before is not scored again.

    Args:
        examples: scores that they have are replaced.
        bundle: the folder of the teacher.
        targets: labels of the bundle.
        config: resamples and confidence of the agreement.
        seed: of its bootstrap.
        cache: folder of everything that adaptox keeps between runs; left out, it is what the environment variable
            ADAPTOX_CACHE names, or ~/.cache/adaptox.
        progress: told how many conversations are scored, of those that were not before.

    Raises:
        BundleError: missing, damaged, or of another version.
        DataError: the bundle has no label of that name.
        MissingExtraError: torch or pyarrow is not installed.
    """
    teacher = bundles.load(bundle)
    labels = teacher.manifest.labels
    unknown = [name for name in targets if name not in labels]
    if unknown:
        raise DataError(f"the teacher {bundle} gives no score for {unknown[0]!r}: {nearest(unknown[0], labels)}")
    keys = [conversation_key(example.conversation) for example in examples]
    conversations = {key: example.conversation for key, example in zip(keys, examples, strict=True)}
    probs = _probs(teacher, conversations, _cache_file(teacher, cache), progress)
    columns = {name: labels.index(name) for name in targets}
    scored = [{name: probs[key][column] for name, column in columns.items()} for key in keys]
    return Taught(with_scores(examples, scored), agreements(targets, examples, scored, config, seed))


def _probs(
    teacher: Bundle, conversations: Mapping[str, Conversation], file: Path, progress: Progress
) -> Mapping[str, tuple[float, ...]]:
    """Give the probabilities of every conversation; what had to be scored for it is kept."""
    labels = teacher.manifest.labels
    known = _read(file)
    missing = [key for key in conversations if key not in known]
    if not missing:
        return known
    moderator = Moderator(open_scorer(teacher), Decider.from_json(teacher.manifest.decider), teacher)
    for start in range(0, len(missing), _CHUNK):
        chunk = missing[start : start + _CHUNK]
        verdicts = moderator.score(
            [conversations[key] for key in chunk], progress=_shifted(progress, start, len(missing))
        )
        for key, verdict in zip(chunk, verdicts, strict=True):
            known[key] = tuple(verdict.scores[label] for label in labels)
        _write(file, known)
    return known


def _shifted(progress: Progress, start: int, total: int) -> Progress:
    return lambda _, done, __: progress("teacher", start + done, total)


def _cache_file(teacher: Bundle, cache: Path | None) -> Path:
    """Name the file of a bundle; its manifest's hash covers those of its other files, the weights among them."""
    root = cache or Path(os.environ.get("ADAPTOX_CACHE") or "~/.cache/adaptox").expanduser()
    # Another version may render, cut or calibrate otherwise.
    return root / "teacher" / f"{teacher.manifest.sha256}-{version('adaptox')}.parquet"


def _read(file: Path) -> _Known:
    """Read what a bundle scored before; nothing, if there is no file or it is damaged."""
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


def _write(file: Path, known: _Known) -> None:
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


def _digest(known: _Known) -> bytes:
    digest = hashlib.sha256("".join(known).encode())
    digest.update(np.array(list(known.values()), np.float64).tobytes())
    return digest.hexdigest().encode()
