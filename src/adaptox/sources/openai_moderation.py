"""OpenAI's evaluation set (A Holistic Approach to Undesired Content Detection, Markov et al., arXiv 2208.03274).

Page: https://github.com/openai/moderation-api-release
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from adaptox.config import SourceConfig
from adaptox.errors import DataError, nearest
from adaptox.labels import TOXICITY
from adaptox.records import Example, Origin, Reading
from adaptox.sources import cells
from adaptox.sources.files import existing, read_table
from adaptox.sources.rows import Row, Table

LICENCE = "MIT"
URL = "https://github.com/openai/moderation-api-release"
# As published, and unpacked.
FILES = ("samples-1680.jsonl.gz", "samples-1680.jsonl")
CATEGORIES: Mapping[str, str] = {
    "S": "sexual",
    "H": "hate",
    "V": "violence",
    "HR": "harassment",
    "SH": "self-harm",
    "S3": "sexual/minors",
    "H2": "hate/threatening",
    "V2": "violence/graphic",
}
_PROMPT = "prompt"


def read_openai_moderation(config: SourceConfig) -> Reading:
    """Read the prompts with the categories that people gave them, from the folder or the file.

    A category that a row leaves out was not looked at, so it is unknown. `toxicity` is 1 where any category is; it
    is 0 where none is and at least one was looked at, which is a weaker no the fewer there were.

    Raises:
        DataError: no such file, a key that is neither the prompt nor a category, or a value other than 0 and 1.
    """
    table = _table(config.path)
    examples = [_example(row, number) for number, row in enumerate(table.rows, 1)]
    origin = Origin("openai-moderation", config.path, LICENCE, URL, table.sha256, len(examples), _notes(examples))
    return Reading(tuple(examples), origin)


def _table(path: str) -> Table:
    if not path:
        raise DataError(f"expected the folder with {FILES[0]}, got no path: set path in this source")
    place = existing(Path(path))
    if place.is_file():
        return read_table(place)
    found = next((place / name for name in FILES if (place / name).is_file()), None)
    if found is None:
        known = [item.name for item in place.iterdir()]
        raise DataError(f"expected {' or '.join(FILES)} in the folder {place}: {nearest(FILES[0], known)}")
    return read_table(found)


def _example(row: Row, number: int) -> Example:
    if _PROMPT not in row.cells:
        raise DataError(f"{row.place}: expected the key {_PROMPT!r}: {nearest(_PROMPT, row.cells)}")
    return Example(
        id=f"openai-moderation/{number}",
        conversation=cells.text(row.cells[_PROMPT], _PROMPT, row.place),
        labels=_labels(row),
        source="openai-moderation",
        annotated_by_human=True,
    )


def _labels(row: Row) -> dict[str, int]:
    labels = {}
    for key, value in row.cells.items():
        if key == _PROMPT:
            continue
        if key not in CATEGORIES:
            raise DataError(f"{row.place}: unknown category {key!r}: {nearest(key, CATEGORIES)}")
        label = cells.label(value, key, row.place)
        if label is not None:
            labels[CATEGORIES[key]] = label
    return {TOXICITY: max(labels.values()), **labels} if labels else {}


def _notes(examples: Sequence[Example]) -> tuple[str, ...]:
    """Say how much is unknown."""
    unknown = {name: sum(name not in example.labels for example in examples) for name in CATEGORIES.values()}
    known = [len(example.labels) - 1 for example in examples if example.labels.get(TOXICITY) == 0]
    partly = sum(count < len(CATEGORIES) for count in known)
    notes = []
    if any(unknown.values()):
        listed = ", ".join(f"{name} on {count}" for name, count in unknown.items() if count)
        notes.append(f"a category that a row leaves out is unknown: of {len(examples)} rows, {listed}")
    if partly:
        notes.append(
            f"toxicity is any of the categories: of its {len(known)} negatives, {partly} have only been looked at "
            f"for some of the {len(CATEGORIES)}"
        )
    return tuple(notes)
