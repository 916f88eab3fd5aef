"""Tables: results of committed runs, nested facts; as Markdown and as plain text."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from adaptox.report.phrases import DASH, count

COMPARED = ("auprc", "f1", "precision", "recall")


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text; numeric columns are set to the right."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]


def markdown(table: Table) -> str:
    """Write a table as GitHub's Markdown, every cell escaped; ends with a newline."""
    rule = ("---:" if numeric else "---" for numeric in table.numeric)
    lines = [tuple(map(markdown_cell, table.header)), tuple(rule)]
    lines += [tuple(map(markdown_cell, row)) for row in table.rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def markdown_cell(text: str) -> str:
    """Make a text safe inside a Markdown table: one line, no markup, no HTML."""
    flat = re.sub(r"\s*[\r\n]+\s*", " ", text.strip())
    flat = re.sub(r"([\\|`*])", r"\\\1", flat).replace("](", "]\\(")
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain(table: Table) -> str:
    """Write a table as aligned text; ends with a newline."""
    rows = (table.header, *table.rows)
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.header))]
    lines = []
    for row in rows:
        cells = (
            cell.rjust(width) if numeric else cell.ljust(width)
            for cell, width, numeric in zip(row, widths, table.numeric, strict=True)
        )
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines) + "\n"


def nested_tables(facts: Mapping[str, object], title: str = "") -> tuple[Table, ...]:
    """Lay nested facts out as flat tables, whatever their shape.

    Plain values become one table of names and values, a mapping or list of mappings that are alike one grid, and
    anything deeper its own tables under a joined title.

    Args:
        facts: JSON types, nested at will.
        title: of the first table.
    """
    simple = {key: value for key, value in facts.items() if not _is_nested(value)}
    tables: list[Table] = []
    if simple:
        rows = tuple((words(key), cell(value)) for key, value in simple.items())
        tables.append(Table(title, ("", ""), rows, (False, False)))
    for key, value in facts.items():
        if key in simple:
            continue
        below = f"{title} · {words(key)}" if title else words(key)
        rows_of = _records(value)
        if rows_of is not None:
            tables.append(_grid(below, rows_of))
        elif isinstance(value, Mapping):
            tables.extend(nested_tables(value, below))
        elif isinstance(value, list | tuple):
            tables.extend(nested_tables({str(place): item for place, item in enumerate(value, 1)}, below))
    return tuple(tables)


def _is_nested(value: object) -> bool:
    if isinstance(value, Mapping):
        return bool(value)
    return isinstance(value, list | tuple) and any(isinstance(item, Mapping | list | tuple) for item in value)


def _records(value: object) -> list[tuple[str, Mapping[str, object]]] | None:
    """Give named rows where a value is a mapping or list of mappings that are alike, else None."""
    if isinstance(value, Mapping):
        named = [(words(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        named = [_called(item, place) for place, item in enumerate(value, 1)]
    else:
        return None
    records = [(name, item) for name, item in named if isinstance(item, Mapping) and item]
    if not records or len(records) < len(named):
        return None
    columns = {key for _, record in records for key in record}
    alike = all(2 * len(record) >= len(columns) for _, record in records)
    shallow = all(_fits_a_cell(inner) for _, record in records for inner in record.values())
    return records if alike and shallow else None


def _called(item: object, place: int) -> tuple[str, object]:
    """Call a listed mapping by its name, and anything else by its place."""
    if isinstance(item, Mapping) and isinstance(item.get("name"), str):
        return item["name"], {key: inner for key, inner in item.items() if key != "name"}
    return str(place), item


def _fits_a_cell(value: object) -> bool:
    inside = value.values() if isinstance(value, Mapping) else ()
    return not any(map(_is_nested, inside)) and (isinstance(value, Mapping) or not _is_nested(value))


def _grid(title: str, records: list[tuple[str, Mapping[str, object]]]) -> Table:
    columns = list(dict.fromkeys(key for _, record in records for key in record))
    rows = tuple((name, *(cell(record.get(key)) for key in columns)) for name, record in records)
    numeric = (all(_is_number(record.get(key)) for _, record in records) for key in columns)
    return Table(title, ("", *map(words, columns)), rows, (False, *numeric))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | None) and not isinstance(value, bool)


def words(key: str) -> str:
    """Turn a key into words: ``dropped_per_reason`` → ``dropped per reason``."""
    return str(key).replace("_", " ")


def cell(value: object) -> str:
    """Write any value on one line."""
    if value is None or value == {}:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return DASH
        return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value) or DASH
    if isinstance(value, Mapping):
        told = [f"{words(key)} {cell(item)}" for key, item in value.items() if item != 0]
        return ", ".join(told) or "0"
    return str(value)
