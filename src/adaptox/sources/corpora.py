"""What the readers of published corpora share: files in a folder, rows in them, licence and origin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adaptox.config import SourceConfig
from adaptox.errors import DataError, nearest
from adaptox.records import Example, Origin, Reading
from adaptox.sources.files import existing, joined_sha256, read_table
from adaptox.sources.rows import Row, Table

RowReader = Callable[[Row, int, str], Example]


def read_tables(path: str, names: tuple[str, ...]) -> list[Table]:
    """Read the files of a corpus: those of its folder that are there, or one of them by itself.

    Args:
        path: of the folder or of a file.
        names: of the files as they are published.

    Raises:
        DataError: no path, nothing there, or a folder without any of the files.
    """
    if not path:
        raise DataError(f"expected the folder with {' and '.join(names)}, got no path: set path in this source")
    place = existing(Path(path))
    if place.is_file():
        return [read_table(place)]
    found = [place / name for name in names if (place / name).is_file()]
    if not found:
        known = [item.name for item in place.iterdir()]
        raise DataError(f"expected {' or '.join(names)} in the folder {place}: {nearest(names[0], known)}")
    return [read_table(file) for file in found]


def read_examples(tables: list[Table], source: str, columns: tuple[str, ...], read_row: RowReader) -> list[Example]:
    """Read the rows of a corpus; ids are the source's name, the file's and the row's number.

    Args:
        tables: its files.
        source: its name.
        columns: that every file has to have.
        read_row: a row, its number, and the source and file it stands in → example.

    Raises:
        DataError: a column is missing, or as `read_row`.
    """
    examples = []
    for table in tables:
        for name in columns:
            if name not in table.columns:
                raise DataError(
                    f"{table.name} has no column {name!r}, which {source} has: {nearest(name, table.columns)}; "
                    'set reader = "table" for another table'
                )
        prefix = f"{source}/{Path(table.name).stem}"
        examples += [read_row(row, number, prefix) for number, row in enumerate(table.rows, 1)]
    return examples


def reading_of(
    config: SourceConfig,
    tables: list[Table],
    examples: list[Example],
    reader: str,
    licence: str,
    url: str,
    notes: tuple[str, ...] = (),
) -> Reading:
    """Put the examples of a corpus together with where they come from."""
    origin = Origin(reader, config.path, licence, url, joined_sha256(tables), len(examples), notes)
    return Reading(tuple(examples), origin)
