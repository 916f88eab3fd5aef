"""Scored rows on disk, so that runs can be compared later, row by row; they hold no text."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from adaptox.errors import DataError, MissingExtraError
from adaptox.evaluate.values import ScoredRows

_SLICE = "slice:"


def rows_to_parquet(parts: Mapping[str, ScoredRows]) -> bytes:
    """Write rows as Parquet: part, id, group, truth, prob, and a column for each slice.

    Args:
        parts: ``test`` and ``validation``, or one of them.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    pyarrow, parquet = _pyarrow()
    tables = []
    for part, rows in parts.items():
        columns = {
            "part": [part] * len(rows.ids),
            "id": list(rows.ids),
            "group": list(rows.groups),
            "truth": rows.truth,
            "prob": rows.probs,
            **{f"{_SLICE}{name}": member for name, member in rows.slices.items()},
        }
        tables.append(pyarrow.table(columns))
    stream = io.BytesIO()
    parquet.write_table(pyarrow.concat_tables(tables, promote_options="default"), stream)
    return stream.getvalue()


def rows_from_parquet(path: Path) -> dict[str, ScoredRows]:
    """Read what `rows_to_parquet` wrote: part → its rows, slices in their order.

    Raises:
        DataError: no such file, or another one.
        MissingExtraError: pyarrow is not installed.
    """
    pyarrow, parquet = _pyarrow()
    try:
        table = parquet.read_table(path)
        parts = np.array(table.column("part").to_pylist())
        return {part: _rows(table.filter(pyarrow.array(parts == part))) for part in dict.fromkeys(parts.tolist())}
    except (OSError, KeyError, pyarrow.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"expected the scores of a run in {path}: {reason}; run it again") from error


def _rows(table: Any) -> ScoredRows:
    slices = {
        name.removeprefix(_SLICE): table.column(name)
        for name in table.column_names
        # A slice of another part is null here.
        if name.startswith(_SLICE) and not table.column(name).null_count
    }
    # The slice of all rows comes first, and the other part's columns may stand before it.
    slices = dict(sorted(slices.items(), key=lambda one: not all(one[1].to_pylist())))
    return ScoredRows(
        ids=tuple(table.column("id").to_pylist()),
        probs=table.column("prob").to_numpy(),
        truth=table.column("truth").to_numpy(),
        groups=tuple(table.column("group").to_pylist()),
        slices={name: np.array(column.to_pylist(), dtype=np.bool_) for name, column in slices.items()},
    )


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("keeping scores", "train", "pyarrow") from error
    return pyarrow, pyarrow.parquet
