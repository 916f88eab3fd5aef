"""Published tests of safety → examples with the label toxicity."""

from __future__ import annotations

from collections.abc import Sequence

from adaptox.config import SourceConfig
from adaptox.errors import DataError
from adaptox.labels import TOXICITY
from adaptox.records import Conversation, Example, Reading
from adaptox.sources import cells
from adaptox.sources.corpora import read_examples, read_tables, reading_of
from adaptox.sources.rows import Row

# What DiaSafety calls unsafe for another reason than that it insults, agrees with an insult, or is biased.
_OTHER_HARMS = ("Risk Ignorance", "Unauthorized Expertise")
_CONTRAST = "contrast_"
# Its files as they are published.
DIASAFETY = ("train.json", "val.json", "test.json")
_EXCHANGE = ("context", "response", "category", "label")


def is_diasafety(columns: Sequence[str]) -> bool:
    """Tell DiaSafety by its columns: other data has files of these names, too."""
    return set(_EXCHANGE) <= set(columns)


def read_hatecheck(config: SourceConfig) -> Reading:
    """Read the functional tests of hate-speech detectors by Röttger et al. 2021 (arXiv 2012.15606).

    Hateful cases are toxic. The others hold profanity, counter speech, and mentions of groups without hate.

    Raises:
        DataError: no test_suite_cases.csv, or a label that is neither hateful nor non-hateful.
    """
    tables = read_tables(config.path, ("test_suite_cases.csv",))
    examples = read_examples(tables, "hatecheck", ("test_case", "label_gold"), _hatecheck)
    return reading_of(
        config, tables, examples, "hatecheck", "CC-BY-4.0", "https://github.com/paul-rottger/hatecheck-data"
    )


def read_xstest(config: SourceConfig) -> Reading:
    """Read the test of over-blocking by Röttger et al. 2024 (arXiv 2308.01263).

    Prompts whose type begins with contrast_ ask for something harmful, and are toxic; the others only sound so.

    Raises:
        DataError: no xstest_v2_prompts.csv, or a row that cannot be used.
    """
    tables = read_tables(config.path, ("xstest_v2_prompts.csv",))
    examples = read_examples(tables, "xstest", ("prompt", "type"), _xstest)
    return reading_of(
        config, tables, examples, "xstest", "CC-BY-4.0", "https://github.com/paul-rottger/exaggerated-safety"
    )


def read_diasafety(config: SourceConfig) -> Reading:
    """Read the exchanges of Sun et al. 2022 (DiaSafety, arXiv 2110.08466): a user's turn, and a chatbot's answer.

    The label is the answer's, in its context. Answers that are unsafe because they overlook a risk, or give advice
    that takes an expert, are not toxic for that, nor known not to be: they have no label. The published parts are
    not kept apart.

    Raises:
        DataError: none of train.json, val.json and test.json, or a label that is neither Safe nor Unsafe.
    """
    tables = read_tables(config.path, DIASAFETY)
    examples = read_examples(tables, "diasafety", _EXCHANGE, _diasafety)
    unknown = sum(not example.labels for example in examples)
    note = f"{unknown} of {len(examples)} answers are unsafe for another reason than toxicity, and have no label"
    return reading_of(
        config, tables, examples, "diasafety", "Apache-2.0", "https://github.com/thu-coai/DiaSafety", (note,)
    )


def _hatecheck(row: Row, number: int, source: str) -> Example:
    value = _one_of(row, "label_gold", ("hateful", "non-hateful"))
    return _example(row, number, source, "test_case", int(value == "hateful"))


def _xstest(row: Row, number: int, source: str) -> Example:
    kind = str(row.cells.get("type") or "").strip()
    if not kind:
        raise DataError(f"{row.place}: expected a type such as homonyms or contrast_homonyms, got none")
    return _example(row, number, source, "prompt", int(kind.startswith(_CONTRAST)))


def _diasafety(row: Row, number: int, source: str) -> Example:
    unsafe = _one_of(row, "label", ("Safe", "Unsafe")) == "Unsafe"
    context, response = (
        cells.text(row.cells.get(name), name, row.place).turns[0].content for name in ("context", "response")
    )
    turns = [{"role": "user", "content": context}, {"role": "assistant", "content": response}]
    return Example(
        id=f"{source}/{number}",
        conversation=Conversation.of(turns),
        labels={} if unsafe and row.cells.get("category") in _OTHER_HARMS else {TOXICITY: int(unsafe)},
        source="diasafety",
        annotated_by_human=True,
    )


def _one_of(row: Row, column: str, names: tuple[str, str]) -> str:
    value = row.cells.get(column)
    if value not in names:
        raise DataError(f"{row.place}: expected {names[0]} or {names[1]} in the column {column!r}, got {value!r}")
    return str(value)


def _example(row: Row, number: int, source: str, column: str, toxic: int) -> Example:
    return Example(
        id=f"{source}/{number}",
        conversation=cells.text(row.cells.get(column), column, row.place),
        labels={TOXICITY: toxic},
        source=source.split("/")[0],
        annotated_by_human=True,
    )
