"""What a user wants scored → conversations with ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TextIO

from adaptox.config import ColumnMap
from adaptox.errors import DataError
from adaptox.records import Conversation
from adaptox.sources.cells import is_empty
from adaptox.sources.files import (
    SUFFIXES,
    decode,
    existing,
    parse_json_lines,
    parse_json_list,
    read_table,
    readable,
    suffix_of,
)
from adaptox.sources.rows import Table
from adaptox.sources.table import ID_COLUMNS, conversation, fit, usual


def read_inputs(path: str | Path, stream: TextIO) -> tuple[tuple[str, Conversation], ...]:
    """Read texts or conversations without labels.

    A CSV, JSON Lines, JSON or Parquet file has a column ``text`` or ``messages``, and may have an ``id``; a JSON
    file may be a list of texts; a .txt file holds one text a line. ``-`` reads JSON Lines, a JSON list, or else
    plain lines from the stream. Blank lines are skipped.

    Args:
        path: a file, or ``-``.
        stream: read for ``-``.

    Returns:
        (id, conversation) pairs in input order; the id is the position as text, from "0", where none is given.

    Raises:
        DataError: no such file, nothing in it, or a row that holds neither a text nor messages.
    """
    if str(path) == "-":
        return _lines(_read_stream(stream), "standard input")
    file = existing(Path(path))
    if file.suffix.lower() == ".txt" and file.is_file():
        with readable(file):
            data = file.read_bytes()
        return _plain(decode(data, str(file)), str(file))
    if file.is_file() and suffix_of(file) not in SUFFIXES:
        raise DataError(f"cannot read {file}: expected a file named .txt, {', '.join(SUFFIXES)}")
    return _rows(read_table(file))


def _read_stream(stream: TextIO) -> str:
    try:
        return stream.read().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError(f"standard input: expected UTF-8, got other bytes ({error.reason})") from error


def _lines(text: str, name: str) -> tuple[tuple[str, Conversation], ...]:
    if _is_json_list(text):
        columns, rows = parse_json_list(text, name)
    elif _is_json_lines(text):
        columns, rows = parse_json_lines(text, name)
    else:
        return _plain(text, name)
    return _rows(Table(name, columns, rows, ""))


def _is_json_list(text: str) -> bool:
    """Tell a JSON list from plain lines such as ``[removed]``: texts alone, or any object, which are rows."""
    if not text.lstrip().startswith("["):
        return False
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return any(isinstance(item, dict) for item in items) or (
        bool(items) and all(isinstance(item, str) for item in items)
    )


def _is_json_lines(text: str) -> bool:
    """Tell JSON Lines, broken ones too, from plain lines such as ``{curly} words``: an object begins some line."""
    if not text.lstrip().startswith("{"):
        return False
    # The whole text first: an object may be spread over lines, which is told as what is wrong with it.
    return _begins_object(text) or any(map(_begins_object, text.split("\n")))


def _begins_object(text: str) -> bool:
    """Say whether a text begins with a JSON object that has a key; people write ``{}``, too."""
    try:
        value, _ = json.JSONDecoder().raw_decode(text.lstrip())
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and bool(value)


def _plain(text: str, name: str) -> tuple[tuple[str, Conversation], ...]:
    lines = [line.rstrip("\r") for line in text.split("\n") if line.strip()]
    if not lines:
        raise DataError(f"{name} is empty: expected one text a line, or one JSON object a line")
    return tuple((str(number), Conversation.of(line)) for number, line in enumerate(lines))


def _rows(table: Table) -> tuple[tuple[str, Conversation], ...]:
    found = []
    mapped = fit(ColumnMap(), table, wanted=())
    ids = usual(ID_COLUMNS, table)
    for number, row in enumerate(table.rows):
        key = row.cells.get(ids) if ids else None
        found.append((str(number) if is_empty(key) else str(key), conversation(row, mapped)))
    return tuple(found)
