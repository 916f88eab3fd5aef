"""Text of a CSV or TSV file → rows, with the line where something is amiss."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from adaptox.errors import DataError
from adaptox.sources.rows import Row

TAB = "\t"
# What may stand between cells instead of commas, and the way out.
_OTHER_SEPARATORS = {
    TAB: ("tabs", "name it .tsv, or save it with commas"),
    ";": ("';'", "save it with commas, or with tabs and name it .tsv"),
}
# Characters a field may have: the largest C long on Windows.
_LONGEST_FIELD = 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Record:
    """The cells of one row, and the first and last line it stands on, from 1."""

    cells: list[str]
    first: int
    last: int


def parse_csv(text: str, name: str) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    """Read CSV (RFC 4180), the header first.

    Args:
        text: of the whole file.
        name: of the file, for errors.

    Returns:
        The names of the columns, and the rows.

    Raises:
        DataError: a quoted field that never ends, a row with other cells than the header, or cells that seem to
            be separated by something else; names the line.
    """
    header = next((line for line in io.StringIO(text, newline="") if line.strip()), "")
    for separator, (named, remedy) in _OTHER_SEPARATORS.items():
        if separator in header and "," not in header:
            raise DataError(
                f"{name}: expected cells separated by commas, but they seem separated by {named}, since the header "
                f"is {header.strip()[:60]!r}; {remedy}"
            )
    return _parse(text, name, ",")


def parse_tsv(text: str, name: str) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    """Read cells separated by tabs, the header first, written with CSV's quotes or without any.

    Published tables often have none. It shows where a quote has no proper end, or holds what reads as whole rows;
    then quotes are part of the text, if every line has as many cells as the header.

    Args:
        text: of the whole file.
        name: of the file, for errors.

    Returns:
        The names of the columns, and the rows.

    Raises:
        DataError: neither way every row has as many cells as the header; names the line.
    """
    try:
        return _parse(text, name, TAB)
    except DataError as error:
        if '"' not in text:
            raise
        return _without_quotes(text, name, error)


def _parse(text: str, name: str, delimiter: str) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    lines = list(io.StringIO(text, newline=""))
    header: tuple[str, ...] = ()
    rows: list[Row] = []
    with _long_fields():
        for record in _records(lines, name, delimiter):
            if not record.cells:
                continue
            if not header:
                header = _header(record.cells, name)
            elif len(record.cells) != len(header):
                raise DataError(
                    f"{name}, line {record.first}: expected {len(header)} cells as in the header, got "
                    f"{len(record.cells)}; put text with {'tabs' if delimiter == TAB else 'commas'} or quotes "
                    "between double quotes, and double the quotes inside ('\"\"')"
                )
            else:
                if delimiter == TAB:
                    _check_holds_no_row(record, lines, len(header), name)
                place = f"{name}, row {len(rows) + 1} (line {record.first})"
                rows.append(Row(place, dict(zip(header, record.cells, strict=True))))
    return header, tuple(rows)


def _check_holds_no_row(record: _Record, lines: list[str], count: int, name: str) -> None:
    """Refuse a cell with tabs and line ends whose first and last line have all cells of a row, quotes apart."""
    if record.first == record.last or not any(TAB in cell for cell in record.cells):
        return
    if all(lines[line - 1].count(TAB) == count - 1 for line in (record.first, record.last)):
        raise DataError(
            f"{name}, line {record.first}: the quoted field that begins here holds what reads as whole rows, up to "
            f"line {record.last}; close it, and double the quotes inside it"
        )


def _without_quotes(text: str, name: str, quoted: DataError) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    lines = [
        (number, line.rstrip("\r\n").split(TAB))
        for number, line in enumerate(io.StringIO(text, newline=""), 1)
        if line.strip("\r\n")
    ]
    header = _header(lines[0][1], name)
    for number, cells in lines:
        if len(cells) != len(header):
            raise DataError(
                f"{quoted}; read without quotes it is no table either: expected {len(header)} cells as in the "
                f"header, got {len(cells)} in line {number}"
            ) from quoted
    rows = (
        Row(f"{name}, row {row} (line {number})", dict(zip(header, cells, strict=True)))
        for row, (number, cells) in enumerate(lines[1:], 1)
    )
    return header, tuple(rows)


def _header(cells: list[str], name: str) -> tuple[str, ...]:
    if len(set(cells)) != len(cells):
        twice = sorted({cell for cell in cells if cells.count(cell) > 1})
        raise DataError(f"{name}: column names must differ, got {', '.join(map(repr, twice))} twice; rename one")
    return tuple(cells)


def _records(lines: list[str], name: str, delimiter: str) -> Iterator[_Record]:
    reader = csv.reader(lines, strict=True, delimiter=delimiter)
    first = 1
    try:
        for cells in reader:
            yield _Record(cells, first, reader.line_num)
            first = reader.line_num + 1
    except csv.Error as error:
        line = first + _broken_field(lines[first - 1 :], delimiter)
        raise DataError(
            f"{name}, line {line}: the quoted field that begins here has no proper end ({error}); close it, and "
            "double the quotes inside it"
        ) from error


def _broken_field(lines: list[str], delimiter: str) -> int:
    """Say how many lines after the first the quoted field begins that the CSV reader could not end."""
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
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)
