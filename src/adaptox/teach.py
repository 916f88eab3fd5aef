"""Examples + a bundle → the bundle's scores as soft targets, and how far they agree with scores that the data had.

Scoring is the slow part, so it is done once for a conversation: scores are kept in a Parquet file, one for each
bundle, in `$ADAPTOX_CACHE/teacher` or `~/.cache/adaptox/teacher`. The file can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

import numpy as np

from adaptox import bundle as bundles
from adaptox.bundle import Bundle
from adaptox.config import EvaluateConfig
from adaptox.decide import Decider
from adaptox.errors import DataError, MissingExtraError, nearest
from adaptox.evaluate import Interval
from adaptox.evaluate.resample import draw_weights, interval
from adaptox.records import Conversation, Example, FloatArray, Progress, silent
from adaptox.scorers import Moderator, open_scorer

_LOG = logging.getLogger(__name__)

# Conversations scored before they are written: what is lost at most when a run is stopped.
_CHUNK = 2048
# Two rows always rank alike or the other way round.
_FEWEST = 3
# Columns of a cache file, and the key of their hash; Parquet's own checksums leave its headers out.
_KEY, _PROBS, _DIGEST = "conversation", "probs", b"sha256"

# Hash of a conversation → its probabilities, in the order of the bundle's labels.
_Known = dict[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a teacher agrees with scores that the data already had.

    Attributes:
        name: of the score.
        n: rows that had one.
        rank_correlation: Spearman's, over these rows, with its bootstrap interval over prompt families; NaN where
            there are fewer than three rows or either side gives all of them the same score.
    """

    name: str
    n: int
    rank_correlation: Interval


@dataclass(frozen=True, slots=True)
class Taught:
    """Examples with soft targets.

    Attributes:
        examples: as they came, but that `teacher` holds the bundle's calibrated probabilities of the targets alone.
        agreement: one for each target that the data had scores for, in the order of the targets.
    """

    examples: tuple[Example, ...]
    agreement: tuple[Agreement, ...]


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
    keys = [_key(example.conversation) for example in examples]
    conversations = {key: example.conversation for key, example in zip(keys, examples, strict=True)}
    probs = _probs(teacher, conversations, _cache_file(teacher, cache), progress)
    columns = {name: labels.index(name) for name in targets}
    scored = [{name: probs[key][column] for name, column in columns.items()} for key in keys]
    taught = tuple(
        replace(example, teacher=MappingProxyType(scores)) for example, scores in zip(examples, scored, strict=True)
    )
    agreement = (_agreement(name, examples, scored, config, seed) for name in targets)
    return Taught(taught, tuple(found for found in agreement if found.n))


def _key(conversation: Conversation) -> str:
    return hashlib.sha256(json.dumps(conversation.messages()).encode()).hexdigest()


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


def _agreement(
    name: str, examples: Sequence[Example], scored: Sequence[Mapping[str, float]], config: EvaluateConfig, seed: int
) -> Agreement:
    rows = [position for position, example in enumerate(examples) if name in example.teacher]
    if len(rows) < _FEWEST:
        return Agreement(name, len(rows), Interval(float("nan"), float("nan"), float("nan")))
    before = np.array([examples[row].teacher[name] for row in rows])
    now = np.array([scored[row][name] for row in rows])
    groups = [examples[row].group or examples[row].id for row in rows]
    value = float(_rank_correlation(before, now, np.ones((1, len(rows))))[0])
    draws = [_rank_correlation(before, now, weights) for weights in draw_weights(groups, config.resamples, seed)]
    return Agreement(name, len(rows), interval(value, np.concatenate(draws), config.confidence))


def _rank_correlation(one: FloatArray, other: FloatArray, weights: FloatArray) -> FloatArray:
    """Compute Spearman's correlation of (n,) scores in every draw.

    Args:
        one: (n,) scores.
        other: (n,) scores.
        weights: (draws, n), how often each row was drawn.

    Returns:
        (draws,); NaN where the rows that were drawn have the same score.
    """
    total = weights.sum(axis=1, keepdims=True)

    def centred(scores: FloatArray) -> FloatArray:
        ranks = _mean_ranks(scores, weights)
        difference: FloatArray = ranks - (weights * ranks).sum(axis=1, keepdims=True) / total
        return difference

    a, b = centred(one), centred(other)
    scale = np.sqrt((weights * a**2).sum(axis=1) * (weights * b**2).sum(axis=1))
    defined = scale > 0
    found: FloatArray = np.where(defined, (weights * a * b).sum(axis=1), np.nan) / np.where(defined, scale, 1.0)
    return found.clip(-1, 1)


def _mean_ranks(scores: FloatArray, weights: FloatArray) -> FloatArray:
    """Rank (n,) scores in each of several draws, (draws, n); equal scores share the middle of their ranks."""
    _, level, counts = np.unique(scores, return_inverse=True, return_counts=True)
    starts = np.cumsum(counts) - counts
    mass = np.add.reduceat(weights[:, np.argsort(level, kind="stable")], starts, axis=1)
    middle: FloatArray = (np.cumsum(mass, axis=1) - mass / 2)[:, level]
    return middle
