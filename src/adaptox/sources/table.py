"""Any table with a column mapping → examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from adaptox.config import ColumnMap, SourceConfig
from adaptox.errors import DataError, nearest
from adaptox.labels import TOXICITY
from adaptox.records import Conversation, Example, Origin, Reading, Split
from adaptox.sources import cells
from adaptox.sources.files import SUFFIXES, existing, joined_sha256, name_of, read_table, suffix_of
from adaptox.sources.rows import Row, Table

# Looked for in this order where the settings name no column, first as they stand, then ignoring case and spaces
# around them.
TEXT_COLUMNS = ("text", "prompt", "comment", "user_input", "tweet", "sentence", "comment_text")
MESSAGE_COLUMNS = ("messages", "conversation", "conversations")
LABEL_COLUMNS = ("toxicity", "toxic", "label", "is_toxic")
SPLIT_COLUMNS = ("split",)
ID_COLUMNS = ("id",)

# (our name, column) each.
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Mapped:
    """A column mapping that fits a table: every column it names is there.

    Attributes:
        text: column of the text, or None.
        messages: column of the messages, which are read where the text is empty; or None.
        labels: (our name, column) pairs.
        teacher: (our name, column) pairs.
        id: column of the ids, or None.
        split: column of the splits, or None.
    """

    text: str | None
    messages: str | None
    labels: Pairs
    teacher: Pairs
    id: str | None
    split: str | None


def read_plain(config: SourceConfig, labels: Sequence[str] = (TOXICITY,)) -> Reading:
    """Read a CSV, TSV, JSON Lines, JSON or Parquet file, or a folder of such files named by split.

    Without a mapping, the text is looked for in columns such as ``text`` or ``prompt``, a label in one of its name,
    toxicity in ``toxic`` or ``label``, too, the split in ``split``; capitals and spaces around a name do not count.
    A column ``split`` that names no split in any row is not read. A field of an object is a column, such as
    ``labels.toxicity``. Without a label, the fields of ``labels`` and ``teacher`` are taken, which is how
    `adaptox prepare` writes.

    Raises:
        DataError: what cannot be read, and where.
    """
    path = existing(Path(config.path))
    files = _split_files(path) if path.is_dir() else ((path, None),)
    tables = [read_table(file) for file, _ in files]
    examples = []
    for table, (file, split) in zip(tables, files, strict=True):
        source = f"{path.stem}/{name_of(file)}" if split else path.stem
        examples += to_examples(table, config.columns, source, split, labels)
    origin = Origin("table", config.path, "unknown", "", joined_sha256(tables), len(examples))
    return Reading(tuple(examples), origin)


def to_examples(
    table: Table,
    columns: ColumnMap,
    source: str,
    split: Split | None = None,
    labels: Sequence[str] = (TOXICITY,),
) -> list[Example]:
    """Turn the rows of a table into examples.

    Args:
        table: the rows.
        columns: which column holds what.
        source: goes before the ids, and into the examples.
        split: of rows without a split column.
        labels: as for `fit`.

    Raises:
        DataError: a column that is not there, a cell that cannot be used, or an id that occurs twice.
    """
    table = _unfolded(table)
    mapped = fit(columns, table, labels)
    seen: dict[str, str] = {}
    examples = []
    for number, row in enumerate(table.rows, 1):
        example = _example(row, mapped, source, number, split)
        if example.id in seen:
            raise DataError(
                f"{row.place}: expected ids that differ, got {example.id!r} as in {seen[example.id]}; "
                "make them unique or leave out columns.id"
            )
        seen[example.id] = row.place
        examples.append(example)
    return examples


def fit(columns: ColumnMap, table: Table, wanted: Sequence[str] = (TOXICITY,)) -> Mapped:
    """Fit a column mapping to a table, with the usual names where it says nothing.

    Args:
        columns: which column holds what.
        table: to look for them in.
        wanted: our names of the labels; empty where rows are only scored, and there are no settings.

    Returns:
        The mapping, with every column that was found.

    Raises:
        DataError: a column that is not there, none that could be the text or the label, or several that could;
            names those there are.
    """
    _check_there(columns, table)
    text, messages = _content(columns, table, bool(wanted))
    labels, teacher = tuple(columns.labels.items()), tuple(columns.teacher.items())
    if wanted and not labels:
        labels, teacher = (_labels_beside(teacher, wanted, table), teacher) if teacher else _labels(wanted, table)
    return Mapped(text, messages, labels, teacher, columns.id, columns.split or _split(table))


def usual(names: Sequence[str], table: Table, exactly: bool = False) -> str | None:
    """Find the first column with one of some usual names; of two that differ in case, the exact one.

    Args:
        names: in lower case, in the order they are looked for.
        table: to look in.
        exactly: whether capitals, and spaces around a name, count.

    Returns:
        The column as the table has it, or None.

    Raises:
        DataError: no column has the name itself, and several have it but for case and spaces around it.
    """
    exact = next((name for name in names if name in table.columns), None)
    if exact or exactly:
        return exact
    for name in names:
        found = [column for column in table.columns if column.strip().lower() == name]
        if len(found) > 1:
            raise DataError(
                f"{table.name}: expected one column {name!r}, got {', '.join(map(repr, found))}; rename the one "
                f"that counts to {name!r}"
            )
        if found:
            return found[0]
    return None


def _check_there(columns: ColumnMap, table: Table) -> None:
    keys = {"id": columns.id, "text": columns.text, "messages": columns.messages, "split": columns.split}
    keys |= {f"labels.{name}": column for name, column in columns.labels.items()}
    keys |= {f"teacher.{name}": column for name, column in columns.teacher.items()}
    for key, name in keys.items():
        if name is not None and name not in table.columns:
            raise DataError(
                f"{table.name} has no column {name!r}: {nearest(name, table.columns)}; set {_setting(key)}"
            )


def _setting(key: str) -> str:
    """Say how a column is named: in the settings, and on the command line."""
    return f"columns.{key} of this source (for the first source: --set sources.0.columns.{key}=NAME)"


def _labels(wanted: Sequence[str], table: Table) -> tuple[Pairs, Pairs]:
    """Find the labels of a table, or else the labels and teacher's scores that are fields of an object."""
    fields = _fields("labels", table.columns)
    found = _named(wanted, table, exactly=bool(fields))
    if found:
        return found, ()
    if not fields:
        names = (*wanted, *(LABEL_COLUMNS if TOXICITY in wanted else ()))
        raise DataError(
            f"{table.name} has no label column: expected one of {', '.join(dict.fromkeys(names))}, or set "
            f"{_setting(f'labels.{wanted[0]}')} (there are: {', '.join(table.columns)})"
        )
    return fields, _fields("teacher", table.columns)


def _labels_beside(teacher: Pairs, wanted: Sequence[str], table: Table) -> Pairs:
    """Find the labels, if there are any, of a table whose teacher's scores are mapped: none of their columns."""
    scores = {column for _, column in teacher}
    return tuple((name, column) for name, column in _named(wanted, table) if column not in scores)


def _named(wanted: Sequence[str], table: Table, exactly: bool = False) -> Pairs:
    """Pair labels with the columns that have their names; for toxicity, and where none is there, the usual ones."""
    own = {name: usual((name,), table, exactly) for name in wanted}
    if TOXICITY in wanted or not any(own.values()):
        own[TOXICITY] = usual(LABEL_COLUMNS, table, exactly)
    return tuple((name, column) for name, column in own.items() if column)


def _split(table: Table) -> str | None:
    """Find the column of the splits; one that names none in any row holds something else, such as a fold."""
    column = usual(SPLIT_COLUMNS, table)
    return column if column and any(cells.is_split(row.cells.get(column)) for row in table.rows) else None


def conversation(row: Row, mapped: Mapped) -> Conversation:
    """Read the conversation of a row: its text, or its messages; rows of one table may differ.

    Raises:
        DataError: a cell that holds no such thing, or a row that has neither.
    """
    names = [name for name in (mapped.text, mapped.messages) if name is not None]
    there = [name for name in names if name in row.cells]
    if not there:
        wanted = " or ".join(map(repr, names))
        raise DataError(f"{row.place}: expected {wanted} as in other rows, got {', '.join(row.cells) or 'nothing'}")
    name = next((name for name in there if not cells.is_empty(row.cells[name])), there[0])
    read = cells.messages if name == mapped.messages else cells.text
    return read(row.cells[name], name, row.place)


def _unfolded(table: Table) -> Table:
    """Give every field of an object in a cell a column of its own, too, named ``COLUMN.FIELD``."""
    if not any(isinstance(value, Mapping) for row in table.rows for value in row.cells.values()):
        return table
    rows = tuple(Row(row.place, dict(_fields_apart(row.cells))) for row in table.rows)
    return replace(table, columns=tuple(dict.fromkeys(name for row in rows for name in row.cells)), rows=rows)


def _fields_apart(row: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in row.items():
        yield name, value
        if isinstance(value, Mapping):
            yield from ((f"{name}.{field}", part) for field, part in value.items())


def _fields(name: str, columns: Sequence[str]) -> Pairs:
    """Pair the fields of an object that was unfolded with their columns; it is a column itself, too."""
    found = [column for column in columns if column.startswith(f"{name}.")] if name in columns else []
    return tuple((column.removeprefix(f"{name}."), column) for column in found)


def _content(columns: ColumnMap, table: Table, settings: bool) -> tuple[str | None, str | None]:
    if columns.text and columns.messages:
        raise DataError(
            f"columns names both a text ({columns.text!r}) and messages ({columns.messages!r}): keep one of them"
        )
    if columns.text or columns.messages:
        return columns.text, columns.messages
    # Beside a column named exactly so, one such as Comment rather holds what somebody said of the row.
    exactly = any(name in table.columns for name in (*TEXT_COLUMNS, *MESSAGE_COLUMNS))
    text, messages = (usual(names, table, exactly) for names in (TEXT_COLUMNS, MESSAGE_COLUMNS))
    if text or messages:
        return text, messages
    remedy = f"set {_setting('text')}" if settings else "rename the one that holds the text to text"
    raise DataError(
        f"{table.name} has neither a text nor a messages column: expected one of {', '.join(TEXT_COLUMNS)} or "
        f"{', '.join(MESSAGE_COLUMNS)}; {remedy} (there are: {', '.join(table.columns)})"
    )


def _example(row: Row, mapped: Mapped, source: str, number: int, split: Split | None) -> Example:
    labels = {}
    for name, column in mapped.labels:
        label = cells.label(row.cells.get(column), column, row.place)
        if label is not None:
            labels[name] = label
    teacher = {}
    for name, column in mapped.teacher:
        score = cells.score(row.cells.get(column), column, row.place)
        if score is not None:
            teacher[name] = score
    own = row.cells.get(mapped.id) if mapped.id else None
    return Example(
        id=f"{source}/{number if cells.is_empty(own) else own}",
        conversation=conversation(row, mapped),
        labels=labels,
        teacher=teacher,
        split=cells.split(row.cells.get(mapped.split), mapped.split, row.place) if mapped.split else split,
        source=source,
    )


def _split_files(folder: Path) -> Sequence[tuple[Path, Split]]:
    files = [
        (file, cells.SPLITS[name_of(file).lower()])
        for file in sorted(folder.iterdir())
        if suffix_of(file) in SUFFIXES and name_of(file).lower() in cells.SPLITS
    ]
    if not files:
        names = ", ".join(sorted(item.name for item in folder.iterdir())[:20]) or "nothing"
        raise DataError(
            f"expected files such as train.csv and test.csv in the folder {folder}, got {names}; name one file"
        )
    return files
