"""What was read of a file: rows of named cells, each with the place it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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
