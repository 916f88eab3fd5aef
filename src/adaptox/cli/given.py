"""What a user wants scored: a text, a file, or standard input → conversations with ids."""

from __future__ import annotations

import sys
from pathlib import Path

from adaptox.errors import DataError
from adaptox.records import Conversation
from adaptox.sources import read_inputs
from adaptox.sources.files import SUFFIXES


def texts(source: str | None) -> tuple[tuple[str, Conversation], ...]:
    """Read what was given.

    Args:
        source: a text, a path, ``-``, or None for standard input.

    Returns:
        (id, conversation) pairs, in order.

    Raises:
        DataError: a file that is not there or cannot be read, or nothing at all.
    """
    if source is None:
        source = "-"
    if not source.strip():
        raise DataError("expected a text to predict on, got an empty one")
    if source == "-" or _names_a_file(source):
        return read_inputs(source, sys.stdin)
    return (("0", Conversation.of(source)),)


def _names_a_file(source: str) -> bool:
    """Tell a path from a text: something is there, or one word ends as our files do."""
    try:
        if Path(source).exists():
            return True
    except (OSError, ValueError):  # too long for a path, or with a null character
        return False
    return len(source.split()) == 1 and source.lower().endswith((".txt", *SUFFIXES))
