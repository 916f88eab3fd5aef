"""Published comment corpora → examples with the label toxicity."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adaptox.config import SourceConfig
from adaptox.errors import DataError, nearest
from adaptox.labels import TOXICITY
from adaptox.records import Example, Origin, Reading
from adaptox.sources import cells
from adaptox.sources.files import existing, joined_sha256, read_table
from adaptox.sources.rows import Row, Table


def read_davidson(config: SourceConfig) -> Reading:
    """Read the tweets of Davidson et al. 2017 (arXiv 1703.04009): hate speech and offensive language are toxic.

    Raises:
        DataError: no labeled_data.csv, or a class that is none of 0 (hate), 1 (offensive), 2 (neither).
    """
    tables = _tables(config.path, ("labeled_data.csv",))
    examples = _examples(tables, "davidson", ("tweet", "class"), _davidson)
    return _reading(
        config,
        tables,
        examples,
        "davidson",
        "MIT",
        "https://github.com/t-davidson/hate-speech-and-offensive-language",
    )


def read_wikipedia_context(config: SourceConfig) -> Reading:
    """Read the talk-page comments of Pavlopoulos et al. 2020 (arXiv 2006.00998).

    The comment is the conversation; its parent, shown to the annotators of gc.csv, is not read. `api`, a score
    that a moderation service gave to the comment, becomes the teacher's score.

    Raises:
        DataError: neither gc.csv nor gn.csv, or a row that cannot be used.
    """
    tables = _tables(config.path, ("gc.csv", "gn.csv"))
    examples = _examples(tables, "wikipedia-context", ("text", "label", "api"), _wikipedia_context)
    return _reading(
        config,
        tables,
        examples,
        "wikipedia-context",
        "Apache-2.0",
        "https://github.com/ipavlopoulos/context_toxicity",
        ("the parent comment that annotators of gc.csv saw is not part of the text",),
    )


def read_wikipedia_comments(config: SourceConfig) -> Reading:
    """Read the labelled Wikipedia comments of Dixon et al. 2018; the sentence templates beside them are not read.

    Raises:
        DataError: no toxicity_nonfuzzed_testset.csv, or a row that cannot be used.
    """
    tables = _tables(config.path, ("toxicity_nonfuzzed_testset.csv",))
    examples = _examples(tables, "wikipedia-comments", ("comment", "toxic"), _wikipedia_comments)
    return _reading(
        config,
        tables,
        examples,
        "wikipedia-comments",
        "CC-BY-4.0",
        "https://github.com/conversationai/unintended-ml-bias-analysis",
    )


def read_safenlp(config: SourceConfig) -> Reading:
    """Read implicit hate as SafeNLP (Hosseini et al. 2023, arXiv 2301.09211) cleaned it.

    The label decides: ``hate`` is toxic, ``neutral`` is not. `toxicity_score`, the annotators' mean from 1 to 5,
    agrees with it on every row of toxiGen.json (hate above 3, neutral up to 3) and is one constant a class in
    implicitHate.json, so it is used as neither label nor teacher score.

    Raises:
        DataError: neither file, or a label that is neither hate nor neutral.
    """
    tables = _tables(config.path, ("implicitHate.json", "toxiGen.json"))
    examples = _examples(tables, "safenlp", ("text", "label"), _safenlp)
    return _reading(
        config,
        tables,
        examples,
        "safenlp",
        "MIT; the texts under the terms of ToxiGen and Implicit Hate",
        "https://github.com/microsoft/SafeNLP",
        ("the texts of toxiGen.json were written by a language model",),
    )


# (row, its number, the source's name) → example
_RowReader = Callable[[Row, int, str], Example]


def _davidson(row: Row, number: int, source: str) -> Example:
    value = str(row.cells.get("class")).strip()
    if value not in ("0", "1", "2"):
        raise DataError(f"{row.place}: expected class 0 (hate), 1 (offensive) or 2 (neither), got {value!r}")
    return _comment(row, number, source, "tweet", int(value != "2"))


def _wikipedia_context(row: Row, number: int, source: str) -> Example:
    label = cells.label(row.cells.get("label"), "label", row.place)
    return _comment(row, number, source, "text", label, cells.score(row.cells.get("api"), "api", row.place))


def _wikipedia_comments(row: Row, number: int, source: str) -> Example:
    return _comment(row, number, source, "comment", cells.label(row.cells.get("toxic"), "toxic", row.place))


def _safenlp(row: Row, number: int, source: str) -> Example:
    value = row.cells.get("label")
    if value not in ("hate", "neutral"):
        raise DataError(f"{row.place}: expected the label hate or neutral, got {value!r}")
    return _comment(row, number, source, "text", int(value == "hate"))


def _comment(
    row: Row, number: int, source: str, column: str, label: int | None, score: float | None = None
) -> Example:
    return Example(
        id=f"{source}/{number}",
        conversation=cells.text(row.cells.get(column), column, row.place),
        labels={} if label is None else {TOXICITY: label},
        teacher={} if score is None else {TOXICITY: score},
        source=source.split("/")[0],
        annotated_by_human=True,
    )


def _tables(path: str, names: tuple[str, ...]) -> list[Table]:
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


def _examples(tables: list[Table], source: str, columns: tuple[str, ...], read_row: _RowReader) -> list[Example]:
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


def _reading(
    config: SourceConfig,
    tables: list[Table],
    examples: list[Example],
    reader: str,
    licence: str,
    url: str,
    notes: tuple[str, ...] = (),
) -> Reading:
    origin = Origin(reader, config.path, licence, url, joined_sha256(tables), len(examples), notes)
    return Reading(tuple(examples), origin)
