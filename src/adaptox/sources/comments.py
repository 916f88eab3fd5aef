"""Published comment corpora → examples with the label toxicity."""

from __future__ import annotations

from adaptox.config import SourceConfig
from adaptox.errors import DataError
from adaptox.labels import TOXICITY
from adaptox.records import Example, Reading
from adaptox.sources import cells
from adaptox.sources.corpora import read_examples, read_tables, reading_of
from adaptox.sources.rows import Row


def read_davidson(config: SourceConfig) -> Reading:
    """Read the tweets of Davidson et al. 2017 (arXiv 1703.04009): hate speech and offensive language are toxic.

    Raises:
        DataError: no labeled_data.csv, or a class that is none of 0 (hate), 1 (offensive), 2 (neither).
    """
    tables = read_tables(config.path, ("labeled_data.csv",))
    examples = read_examples(tables, "davidson", ("tweet", "class"), _davidson)
    return reading_of(
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
    tables = read_tables(config.path, ("gc.csv", "gn.csv"))
    examples = read_examples(tables, "wikipedia-context", ("text", "label", "api"), _wikipedia_context)
    return reading_of(
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
    tables = read_tables(config.path, ("toxicity_nonfuzzed_testset.csv",))
    examples = read_examples(tables, "wikipedia-comments", ("comment", "toxic"), _wikipedia_comments)
    return reading_of(
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
    tables = read_tables(config.path, ("implicitHate.json", "toxiGen.json"))
    examples = read_examples(tables, "safenlp", ("text", "label"), _safenlp)
    return reading_of(
        config,
        tables,
        examples,
        "safenlp",
        "MIT; the texts under the terms of ToxiGen and Implicit Hate",
        "https://github.com/microsoft/SafeNLP",
        ("the texts of toxiGen.json were written by a language model",),
    )


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
