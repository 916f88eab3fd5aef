"""A teacher's scores as a folder: `adaptox teach` writes it, and training reads it through distill.teacher.

```
config.json          resolved settings
scores.parquet       conversation (hash of its messages), and a column for each score
label-faults.jsonl   labels that an ensemble doubts, for people to look at
learned.bin          of a bundle that gave them: a hash of each row that it learned from; may be removed
teacher.json         who taught, how far that agrees with the labels, what it cost; written last
```
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adaptox.config import EvaluateConfig
from adaptox.errors import DataError, MissingExtraError, nearest
from adaptox.records import Example
from adaptox.teach.agreement import agreements
from adaptox.teach.values import Taught, conversation_key, with_scores

TEACHER = "teacher.json"
SCORES = "scores.parquet"
FAULTS = "label-faults.jsonl"
_KEY = "conversation"


def is_lesson(folder: Path) -> bool:
    """Tell whether `adaptox teach` wrote a folder."""
    return (folder / TEACHER).is_file()


def is_crossfitted(folder: Path) -> bool:
    """Tell whether a folder holds the scores of an ensemble that learned from folds of the same rows.

    Raises:
        DataError: the folder is damaged.
    """
    return is_lesson(folder) and _told(folder).get("kind") == "crossfit"


def split_of(folder: Path) -> str:
    """Say how the rows that a teacher learned from were split: ``official`` or ``resplit``.

    Raises:
        DataError: the folder is damaged.
    """
    return str(_told(folder).get("config", {}).get("prepare", {}).get("split", ""))


def learned(folder: Path) -> Sequence[Mapping[str, Any]]:
    """Give the sources and split of what the bundle learned from that gave a folder's scores; nothing for others.

    Raises:
        DataError: the folder is damaged.
    """
    found: Sequence[Mapping[str, Any]] = _told(folder).get("learned", [])
    return found


def licences(folder: Path) -> tuple[str, ...]:
    """Give what the licences of a teacher ask for that is none of the data's own; nothing for older folders.

    Raises:
        DataError: the folder is damaged.
    """
    return tuple(_told(folder).get("licences", ()))


def _told(folder: Path) -> Mapping[str, Any]:
    try:
        told: Mapping[str, Any] = json.loads((folder / TEACHER).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(folder, error) from error
    return told


def _damaged(folder: Path, error: Exception) -> DataError:
    return DataError(
        f"the teacher's folder {folder} is damaged ({str(error).splitlines()[0]}): run adaptox teach again, which "
        "scores nothing twice"
    )


def lesson_sha256(folder: Path) -> str:
    """Hash what training reads of a folder."""
    return hashlib.sha256((folder / SCORES).read_bytes()).hexdigest()


def conversations(folder: Path) -> frozenset[str]:
    """Give the keys of the conversations that a folder has scores of.

    Raises:
        DataError: the folder is damaged.
        MissingExtraError: pyarrow is not installed.
    """
    return frozenset(_unpack(folder)[1])


def pack(examples: Sequence[Example], targets: Sequence[str]) -> bytes:
    """Write the scores of examples as Parquet; equal conversations share a row, a score that is unknown is null.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    pyarrow, parquet = _pyarrow()
    scores = {conversation_key(example.conversation): example.teacher for example in examples if example.teacher}
    columns: dict[str, Any] = {_KEY: list(scores)}
    for target in targets:
        values = [found.get(target) for found in scores.values()]
        columns[target] = pyarrow.array(values, pyarrow.float64())
    stream = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), stream)
    return stream.getvalue()


def read(
    examples: Sequence[Example], folder: Path, targets: Sequence[str], config: EvaluateConfig, seed: int
) -> Taught:
    """Give examples the scores that a folder holds; rows that it lacks have none, and are masked in training.

    Args:
        examples: scores that they have are replaced.
        folder: written by `adaptox teach`.
        targets: which scores.
        config: resamples and confidence of the agreement with the scores they had.
        seed: of its bootstrap.

    Raises:
        DataError: the folder is damaged, lacks a target, or knows none of the conversations.
        MissingExtraError: pyarrow is not installed.
    """
    names, known = _unpack(folder)
    unknown = [name for name in targets if name not in names]
    if unknown:
        raise DataError(f"the teacher {folder} gives no score for {unknown[0]!r}: {nearest(unknown[0], names)}")
    scored = []
    for example in examples:
        found = known.get(conversation_key(example.conversation), {})
        scored.append({name: found[name] for name in targets if name in found})
    if examples and not any(scored):
        raise DataError(
            f"the teacher {folder} knows none of the {len(examples)} conversations: it was made from other data; "
            "run adaptox teach with the settings of this run"
        )
    both = [position for position, found in enumerate(scored) if len(found) == len(targets)]
    agreement = agreements(
        targets, [examples[position] for position in both], [scored[position] for position in both], config, seed
    )
    return Taught(with_scores(examples, scored), agreement)


def _unpack(folder: Path) -> tuple[tuple[str, ...], Mapping[str, Mapping[str, float]]]:
    """Give the names of the scores, and conversation → name → score."""
    pyarrow, parquet = _pyarrow()
    try:
        expected = json.loads((folder / TEACHER).read_text(encoding="utf-8"))["scores_sha256"]
        content = (folder / SCORES).read_bytes()
        if hashlib.sha256(content).hexdigest() != expected:
            raise ValueError(f"{SCORES} is not the file that was written")
        table = parquet.read_table(io.BytesIO(content))
        names = tuple(name for name in table.column_names if name != _KEY)
        keys = table.column(_KEY).to_pylist()
        columns = [table.column(name).to_pylist() for name in names]
    except (OSError, ValueError, KeyError, TypeError, pyarrow.ArrowException) as error:
        raise _damaged(folder, error) from error
    rows = zip(*columns, strict=True)
    found = ({name: value for name, value in zip(names, row, strict=True) if value is not None} for row in rows)
    return names, dict(zip(keys, found, strict=True))


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("teach", "train", "pyarrow") from error
    return pyarrow, pyarrow.parquet
