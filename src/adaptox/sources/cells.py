"""Cells → values: labels, scores, splits, conversations; every refusal names the place."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from adaptox.errors import DataError
from adaptox.records import Conversation, Split

SPLITS: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
# What pydantic takes for a truth value, too; a word that says something of the text, such as safe, is none.
_LABELS = {"false": 0, "no": 0, "f": 0, "n": 0, "true": 1, "yes": 1, "t": 1, "y": 1}


def is_empty(value: object) -> bool:
    """Say whether a cell holds nothing: None, blank text, NaN."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def label(value: object, name: str, place: str) -> int | None:
    """Read a label; None for an empty cell.

    Raises:
        DataError: neither 0 nor 1, such as 1.00, nor true or false, yes or no, or their first letters.
    """
    if is_empty(value):
        return None
    written = str(value).strip().lower()
    found = _LABELS.get(written, _zero_or_one(written))
    if found is None:
        raise DataError(
            f"{place}: expected 0 or 1 in the label column {name!r}, got {value!r}; "
            "map it to 0 and 1 (yes and no, true and false do as well), or leave the cell empty if it is unknown"
        )
    return found


def score(value: object, name: str, place: str) -> float | None:
    """Read a teacher's score; None for an empty cell.

    Raises:
        DataError: no number in [0, 1].
    """
    if is_empty(value):
        return None
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise DataError(
            f"{place}: expected a score in [0, 1] in the teacher column {name!r}, got {value!r}; "
            "scale the scores, or leave the cell empty if it is unknown"
        )
    return number


def split(value: object, name: str, place: str) -> Split | None:
    """Read a split's name; None for an empty cell.

    Raises:
        DataError: an unknown name.
    """
    if is_empty(value):
        return None
    if not is_split(value):
        raise DataError(
            f"{place}: expected train, validation or test in the split column {name!r}, got {value!r}; change it, "
            "leave the cell empty, or rename the column if it holds something else"
        )
    return SPLITS[_split_name(value)]


def is_split(value: object) -> bool:
    """Say whether a cell names a split."""
    return _split_name(value) in SPLITS


def text(value: object, name: str, place: str) -> Conversation:
    """Read a text as one user turn; an empty cell is an empty text, which cleaning drops.

    Raises:
        DataError: not a text.
    """
    if value is None:
        return Conversation.of("")
    if not isinstance(value, str):
        raise DataError(f"{place}: expected a text in the column {name!r}, got {type(value).__name__}")
    return Conversation.of(value)


def messages(value: object, name: str, place: str) -> Conversation:
    """Read messages in OpenAI's chat form or ShareGPT's, as a list or as JSON text.

    Raises:
        DataError: neither; says what came.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:  # a number of thousands of digits is a ValueError
            raise DataError(f"{place}: broken JSON in the column {name!r}: {error}") from error
    if not isinstance(value, list):
        raise DataError(f"{place}: expected a list of messages in the column {name!r}, got {type(value).__name__}")
    try:
        return Conversation.of(value)
    except DataError as error:
        raise DataError(f"{place}: {error}") from error


def _zero_or_one(written: str) -> int | None:
    try:
        number = Decimal(written)
        return int(number) if number in (0, 1) else None
    except InvalidOperation:
        return None


def _split_name(value: object) -> str:
    return str(value).strip().lower()
