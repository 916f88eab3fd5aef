"""Files → rows of named cells, each with the place it stands, for errors that can be acted on."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adaptox.errors import DataError, MissingExtraError, nearest
from adaptox.sources.delimited import parse_csv, parse_tsv
from adaptox.sources.rows import Row, Table

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
_PACKED = ".gz"
# Characters of a path that an error shows.
_SHOWN = 120


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
    else:
        parse = {".csv": parse_csv, ".tsv": parse_tsv, ".json": parse_json_list}.get(suffix, parse_json_lines)
        columns, rows = parse(decode(data, str(path)), str(path))
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
        except (ValueError, RecursionError) as error:  # a number of thousands of digits is a ValueError
            raise DataError(f"{name}, line {number}: broken JSON: {error}; expected one object a line") from error
        rows.append(_object(value, f"{name}, line {number}"))
    return _columns(rows), tuple(rows)


def parse_json_list(text: str, name: str) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    """Read a JSON list of objects; a list of texts is a table with the one column ``text``.

    Args:
        text: of the whole file.
        name: of the file, for errors.

    Returns:
        The names of the columns, and the rows.

    Raises:
        DataError: broken JSON, or something else than such a list.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        hint = "; rename it to .jsonl if it holds one object a line" if error.msg == "Extra data" else ""
        raise DataError(f"{name}, line {error.lineno}: broken JSON: {error.msg}{hint}") from error
    except RecursionError as error:
        raise DataError(f"{name}: expected a JSON list of objects, got one nested too deeply") from error
    except ValueError as error:
        raise DataError(f"{name}: broken JSON: {error}; expected a JSON list of objects") from error
    if not isinstance(value, list) or not value:
        raise DataError(f"{name}: expected a JSON list of objects with at least one, got {type(value).__name__}")
    if all(isinstance(item, str) for item in value):
        value = [{"text": item} for item in value]
    rows = [_object(item, f"{name}, row {number}") for number, item in enumerate(value, 1)]
    return _columns(rows), tuple(rows)


def _unpacked(stored: bytes, path: Path) -> bytes:
    try:
        return gzip.decompress(stored)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file: {error}; fetch it again") from error


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
    columns: dict[str, list[Any]] = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        try:
            columns[field.name] = column.to_pylist()
        except (pyarrow.ArrowException, ValueError, OverflowError, KeyError) as error:
            # Dates that Python has not, such as those after the year 9999, are no text, label or score.
            if not pyarrow.types.is_temporal(field.type):
                raise DataError(
                    f"{name}: cannot read the column {field.name!r} of type {field.type}: "
                    f"{' '.join(str(error).split())}; write it anew, or leave it out"
                ) from error
    cells = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
    return tuple(columns), tuple(Row(f"{name}, row {number}", row) for number, row in enumerate(cells, 1))


def _object(value: object, place: str) -> Row:
    if not isinstance(value, dict):
        raise DataError(f'{place}: expected a JSON object such as {{"text": "hello"}}, got {type(value).__name__}')
    return Row(place, value)


def _columns(rows: Iterable[Row]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for row in rows for name in row.cells))
