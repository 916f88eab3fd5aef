"""ToxicChat (Lin et al. 2023, arXiv 2310.17389): prompts of real users to a chatbot.

Card: https://huggingface.co/datasets/lmsys/toxic-chat
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from adaptox.config import SourceConfig
from adaptox.errors import DataError, nearest
from adaptox.labels import JAILBREAKING, OPENAI_CATEGORIES, TOXICITY
from adaptox.records import Example, Origin, Reading, Split
from adaptox.sources import cells, hub
from adaptox.sources.files import existing, joined_sha256, read_table
from adaptox.sources.rows import Row, Table

TOXIC_CHAT = "lmsys/toxic-chat"
SUBSETS = {"toxicchat0124": "0124", "toxicchat1123": "1123"}
LICENCE = "CC-BY-NC-4.0"
URL = "https://huggingface.co/datasets/lmsys/toxic-chat"
_FILES: tuple[tuple[str, Split], ...] = (
    ("toxic-chat_annotation_train.csv", "train"),
    ("toxic-chat_annotation_test.csv", "test"),
)
_COLUMNS = ("user_input", "human_annotation", "toxicity", "jailbreaking")


def read_toxic_chat(config: SourceConfig) -> Reading:
    """Read ToxicChat from the hub, its folder, the folder of its CSV files, or one CSV file.

    The conversation is the user's prompt alone: the chatbot's answer (`model_output`) is not read, since both
    labels are about the prompt. The moderation scores become teacher scores by category name.

    Raises:
        DataError: the path holds no ToxicChat, or a row cannot be used.
    """
    subset = config.subset or "toxicchat0124"
    if subset not in SUBSETS:
        raise DataError(f"ToxicChat has no subset {subset!r}: {nearest(subset, SUBSETS)}")
    if config.path in ("", TOXIC_CHAT) and not Path(config.path or TOXIC_CHAT).exists():
        tables, _ = hub.load(TOXIC_CHAT, subset)
        parts = [(table, cells.SPLITS[table.name.rsplit("/", 1)[-1]]) for table in tables]
    else:
        parts = _local(existing(Path(config.path)), subset)
    examples = [
        _example(row, split, number) for table, split in parts for number, row in enumerate(_checked(table), 1)
    ]
    origin = Origin(
        "toxic-chat",
        config.path or TOXIC_CHAT,
        LICENCE,
        URL,
        joined_sha256(table for table, _ in parts),
        len(examples),
        _notes(parts, examples),
    )
    return Reading(tuple(examples), origin)


def csv_folder(path: Path, subset: str = "toxicchat0124") -> Path | None:
    """Say where below a folder the CSV files of ToxicChat lie: in it, or in data/0124; None if nowhere."""
    for folder in (path / "data" / SUBSETS[subset], path / SUBSETS[subset], path):
        if any((folder / name).is_file() for name, _ in _FILES):
            return folder
    return None


def is_toxic_chat(columns: Sequence[str]) -> bool:
    """Say whether a table has ToxicChat's columns."""
    return set(_COLUMNS) <= set(columns)


def _local(path: Path, subset: str) -> list[tuple[Table, Split]]:
    if path.is_file():
        split: Split = "test" if "test" in path.stem.lower() else "train"
        return [(read_table(path), split)]
    folder = csv_folder(path, subset)
    if folder is None:
        raise DataError(
            f"no ToxicChat in {path}: expected data/{SUBSETS[subset]}/{_FILES[0][0]} and {_FILES[1][0]} as in "
            f"{URL}, or one of these files"
        )
    return [(read_table(existing(folder / name)), split) for name, split in _FILES]


def _checked(table: Table) -> Sequence[Row]:
    for name in _COLUMNS:
        if name not in table.columns:
            raise DataError(
                f"{table.name} has no column {name!r}, which ToxicChat has: {nearest(name, table.columns)}; "
                'set reader = "table" and columns for another table'
            )
    return table.rows


def _example(row: Row, split: Split, number: int) -> Example:
    labels = {}
    for name in (TOXICITY, JAILBREAKING):
        label = cells.label(row.cells.get(name), name, row.place)
        if label is not None:
            labels[name] = label
    by_human = cells.label(row.cells.get("human_annotation"), "human_annotation", row.place)
    return Example(
        id=f"toxic-chat/{split}/{number}",
        conversation=cells.text(row.cells.get("user_input"), "user_input", row.place),
        labels=labels,
        teacher=_moderation(row.cells.get("openai_moderation"), row.place),
        split=split,
        source="toxic-chat",
        annotated_by_human=None if by_human is None else bool(by_human),
    )


def _moderation(cell: object, place: str) -> dict[str, float]:
    """Read ``[[category, score], …]`` by name: the pairs are sorted by score, so positions mean nothing."""
    if cells.is_empty(cell):
        return {}
    try:
        pairs = json.loads(str(cell))
        scores = {str(name): value for name, value in pairs}
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"{place}: expected openai_moderation to be a JSON list of [category, score], got {str(cell)[:60]!r}"
        ) from error
    unknown = [name for name in scores if name not in OPENAI_CATEGORIES]
    if unknown:
        raise DataError(
            f"{place}: unknown moderation category {unknown[0]!r}: {nearest(unknown[0], OPENAI_CATEGORIES)}"
        )
    read = {name: cells.score(value, name, place) for name, value in scores.items()}
    return {name: value for name, value in read.items() if value is not None}


def _notes(parts: Sequence[tuple[Table, Split]], examples: Sequence[Example]) -> tuple[str, ...]:
    notes = []
    for table, split in parts:
        own = [example for example in examples if example.split == split]
        nameless = [row for row in table.rows if cells.is_empty(row.cells.get("conv_id"))]
        scored = [example for example in own if example.teacher]
        toxic = sum(example.labels.get(TOXICITY) == 1 for example in scored)
        unseen = [example for example in own if example.annotated_by_human is False]
        notes.append(f"{split}: {len(unseen)} of {len(own)} rows were labelled by no person")
        if nameless:
            notes.append(f"{split}: {len(nameless)} of {len(own)} rows have no conv_id")
        if len(scored) < len(own):
            notes.append(f"{split}: {len(scored)} of {len(own)} rows have moderation scores, {toxic} of them toxic")
    return tuple(notes)
