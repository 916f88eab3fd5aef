"""What a user wants scored → conversations with ids."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from adaptox.config import ColumnMap
from adaptox.errors import DataError
from adaptox.records import Conversation
from adaptox.sources.cells import is_empty
from adaptox.sources.files import (
    SUFFIXES,
    Table,
    decode,
    existing,
    parse_json_lines,
    read_table,
    readable,
    suffix_of,
)
from adaptox.sources.table import conversation, fit


def read_inputs(path: str | Path, stream: TextIO) -> tuple[tuple[str, Conversation], ...]:
    """Read texts or conversations without labels.

    A CSV, JSON Lines, JSON or Parquet file has a column ``text`` or ``messages``, and may have an ``id``; a .txt
    file holds one text a line; ``-`` reads JSON Lines, or plain lines, from the stream. Blank lines are skipped.

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
    if not text.lstrip().startswith("{"):
        return _plain(text, name)
    columns, rows = parse_json_lines(text, name)
    return _rows(Table(name, columns, rows, ""))


def _plain(text: str, name: str) -> tuple[tuple[str, Conversation], ...]:
    lines = [line.rstrip("\r") for line in text.split("\n") if line.strip()]
    if not lines:
        raise DataError(f"{name} is empty: expected one text a line, or one JSON object a line")
    return tuple((str(number), Conversation.of(line)) for number, line in enumerate(lines))


def _rows(table: Table) -> tuple[tuple[str, Conversation], ...]:
    found = []
    mapped = fit(ColumnMap(), table, labels_needed=False)
    for number, row in enumerate(table.rows):
        key = row.cells.get("id")
        found.append((str(number) if is_empty(key) else str(key), conversation(row, mapped)))
    return tuple(found)
