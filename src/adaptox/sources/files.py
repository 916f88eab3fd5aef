"""Files → rows of named cells, each with the place it stands, for errors that can be acted on."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptox.errors import DataError, MissingExtraError, nearest

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
_PACKED = ".gz"
# Characters of a path that an error shows.
_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Row:
    """One row: where it stands, and its cells by column name."""

    place: str
    cells: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one file or hub split.

    Attributes:
        name: the path as the user gave it, or hub id and split.
        columns: in file order; for JSON, in order of first appearance.
        rows: at least one.
        sha256: of the file's bytes, or the hub's fingerprint.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    sha256: str


def existing(path: Path) -> Path:
    """Give the path back if something is there.

    Raises:
        DataError: nothing is; the nearest existing name in that folder is suggested.
    """
    with readable(path):
        if path.exists():
            return path
        folder = path.parent
        if not folder.is_dir():
            raise DataError(f"no such file or folder: {path} (there is no folder {folder} either); check the path")
        known = sorted(item.name for item in folder.iterdir() if not item.name.startswith("."))[:40]
    raise DataError(f"no such file or folder: {path}: {nearest(path.name, known)}")


def read_table(path: Path) -> Table:
    """Read a CSV, TSV, JSON Lines, JSON or Parquet file, told apart by its suffix; ``.gz`` may stand after it.

    Raises:
        DataError: no such file, an unknown suffix, no row, or content that does not parse; says where.
        MissingExtraError: Parquet without pyarrow.
    """
    existing(path)
    if path.is_dir():
        raise DataError(f"expected a file, got the folder {path}: name one of {', '.join(SUFFIXES)} in it")
    suffix = suffix_of(path)
    if suffix not in SUFFIXES:
        raise DataError(f"cannot read {path}: expected a file named {', '.join(SUFFIXES)}, got {suffix or 'none'}")
    with readable(path):
        stored = path.read_bytes()
    data = _unpacked(stored, path) if path.suffix.lower() == _PACKED else stored
    if not data.strip():
        raise DataError(f"{path} is empty: expected a table with at least one row")
    if suffix == ".parquet":
        columns, rows = _parquet(data, str(path))
    elif suffix in (".csv", ".tsv"):
        columns, rows = parse_csv(decode(data, str(path)), str(path), "," if suffix == ".csv" else "\t")
    elif suffix == ".json":
        columns, rows = _json_list(decode(data, str(path)), str(path))
    else:
        columns, rows = parse_json_lines(decode(data, str(path)), str(path))
    if not rows:
        raise DataError(f"{path} has a header but no row: expected at least one row below {', '.join(columns)}")
    return Table(str(path), columns, rows, hashlib.sha256(stored).hexdigest())


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what the system says of a path that it will not read into an error that names it.

    Raises:
        DataError: the system's reason.
    """
    try:
        yield
    except OSError as error:
        name = str(path)
        shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
        raise DataError(f"cannot read {shown}: {error.strerror}; check the path and its permissions") from error


def name_of(path: Path) -> str:
    """Give a file's name without the suffix that tells what it holds."""
    return _bare(path).stem


def suffix_of(path: Path) -> str:
    """Give the suffix that tells what a file holds, in lower case; of one packed with gzip, that before ``.gz``."""
    return _bare(path).suffix.lower()


def _bare(path: Path) -> Path:
    return path.with_suffix("") if path.suffix.lower() == _PACKED else path


def joined_sha256(tables: Iterable[Table]) -> str:
    """Hash several files as one; the hash of a single file is that file's own."""
    hashes = [table.sha256 for table in tables]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def decode(data: bytes, name: str) -> str:
    """Decode UTF-8, with or without a byte-order mark.

    Raises:
        DataError: other bytes came; names the line.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{name}, line {line}: expected UTF-8, got the byte 0x{data[error.start]:02x}; save the file as UTF-8"
        ) from error


def parse_csv(text: str, name: str, delimiter: str = ",") -> tuple[tuple[str, ...], tuple[Row, ...]]:
    """Read CSV (RFC 4180), the header first.

    Raises:
        DataError: a quoted field that never ends, or a row with other cells than the header; names the line.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    header: tuple[str, ...] = ()
    rows: list[Row] = []
    with _long_fields():
        for number, cells in _records(reader, text, name, delimiter):
            if not cells:
                continue
            if not header:
                header = _header(cells, name)
            elif len(cells) != len(header):
                raise DataError(
                    f"{name}, line {number}: expected {len(header)} cells as in the header, got {len(cells)}; "
                    "put text with commas or quotes between double quotes, and double the quotes inside ('\"\"')"
                )
            else:
                place = f"{name}, row {len(rows) + 1} (line {number})"
                rows.append(Row(place, dict(zip(header, cells, strict=True))))
    return header, tuple(rows)


def parse_json_lines(text: str, name: str) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    """Read one JSON object a line; blank lines are passed over.

    Raises:
        DataError: a line is not a JSON object; names it.
    """
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise DataError(f"{name}, line {number}: broken JSON: {error}; expected one object a line") from error
        rows.append(_object(value, f"{name}, line {number}"))
    return _columns(rows), tuple(rows)


def _unpacked(stored: bytes, path: Path) -> bytes:
    try:
        return gzip.decompress(stored)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file: {error}; fetch it again") from error


def _json_list(text: str, name: str) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        hint = "; rename it to .jsonl if it holds one object a line" if error.msg == "Extra data" else ""
        raise DataError(f"{name}, line {error.lineno}: broken JSON: {error.msg}{hint}") from error
    except RecursionError as error:
        raise DataError(f"{name}: expected a JSON list of objects, got one nested too deeply") from error
    if not isinstance(value, list) or not value:
        raise DataError(f"{name}: expected a JSON list of objects with at least one, got {type(value).__name__}")
    rows = [_object(item, f"{name}, row {number}") for number, item in enumerate(value, 1)]
    return _columns(rows), tuple(rows)


def _parquet(data: bytes, name: str) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("reading Parquet", "train", "pyarrow") from error
    try:
        table = pyarrow.parquet.read_table(io.BytesIO(data))
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{name} is not a readable Parquet file: {str(error).splitlines()[0]}") from error
    rows = tuple(Row(f"{name}, row {number}", cells) for number, cells in enumerate(table.to_pylist(), 1))
    return tuple(table.column_names), rows


def _object(value: object, place: str) -> Row:
    if not isinstance(value, dict):
        raise DataError(f'{place}: expected a JSON object such as {{"text": "hello"}}, got {type(value).__name__}')
    return Row(place, value)


def _columns(rows: Iterable[Row]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for row in rows for name in row.cells))


def _header(cells: list[str], name: str) -> tuple[str, ...]:
    if len(set(cells)) != len(cells):
        twice = sorted({cell for cell in cells if cells.count(cell) > 1})
        raise DataError(f"{name}: column names must differ, got {', '.join(map(repr, twice))} twice; rename one")
    return tuple(cells)


def _records(reader: Iterator[list[str]], text: str, name: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    start = 1
    try:
        for cells in reader:
            yield start, cells
            start = reader.line_num + 1  # type: ignore[attr-defined]
    except csv.Error as error:
        line = start + _broken_field(text, start, delimiter)
        raise DataError(
            f"{name}, line {line}: the quoted field that begins here has no proper end ({error}); close it, and "
            "double the quotes inside it"
        ) from error


def _broken_field(text: str, start: int, delimiter: str) -> int:
    """Say how many lines after line `start` the quoted field begins that the CSV reader could not end."""
    lines = list(io.StringIO(text, newline=""))[start - 1 :]
    record = "".join(lines)
    began, quoted, fresh = 0, False, True
    position = 0
    while position < len(record):
        char = record[position]
        if quoted:
            if char == '"':
                after = record[position + 1 : position + 2]
                if after == '"':
                    position += 1
                elif after in (delimiter, "\r", "\n", ""):
                    quoted = False
                else:
                    break
        elif char == '"' and fresh:
            quoted, began = True, position
        fresh = not quoted and char in (delimiter, "\r", "\n")
        position += 1
    return len(list(io.StringIO(record[:began], newline=""))) - (1 if record[:began][-1:] not in "\r\n" else 0)


@contextmanager
def _long_fields() -> Iterator[None]:
    """Lift csv's limit of 131,072 characters a field, which is global, for a while."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)
