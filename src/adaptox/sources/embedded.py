"""The data inside the package, written for it: comments, prompts and conversations."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from adaptox.config import ColumnMap, SourceConfig
from adaptox.errors import DataError
from adaptox.labels import JAILBREAKING, TOXICITY
from adaptox.records import Example, Origin, Reading
from adaptox.sources.files import parse_json_lines
from adaptox.sources.rows import Row, Table
from adaptox.sources.table import to_examples

LICENCE = "Apache-2.0"


def read_embedded_comments(config: SourceConfig) -> Reading:
    """Read the embedded comments: short, in the manner of social media, with the label toxicity.

    Raises:
        DataError: the installed package lacks them.
    """
    table = _table("comments.jsonl")
    columns = ColumnMap(id="id", text="text", labels={TOXICITY: "toxicity"})
    return _reading("embedded-comments", table, to_examples(table, columns, "embedded-comments"))


def read_embedded_prompts(config: SourceConfig) -> Reading:
    """Read the embedded prompts to a chatbot: toxicity and jailbreaking, with near neighbours that are neither.

    Raises:
        DataError: the installed package lacks them.
    """
    table = _table("prompts.jsonl")
    columns = ColumnMap(id="id", text="text", labels={TOXICITY: "toxicity", JAILBREAKING: "jailbreaking"})
    return _reading("embedded-prompts", table, to_examples(table, columns, "embedded-prompts"))


def read_embedded_conversations(config: SourceConfig) -> Reading:
    """Read the embedded chatbot conversations: toxicity, jailbreaking, and a moderation score for each category.

    Raises:
        DataError: the installed package lacks them.
    """
    packed = _table("conversations.jsonl")
    # One column a category, so that the scores are read like those of any table.
    rows = tuple(
        Row(row.place, {**row.cells, **{f"moderation/{k}": v for k, v in row.cells["moderation"].items()}})
        for row in packed.rows
    )
    columns = tuple(dict.fromkeys(name for row in rows for name in row.cells))
    prefix = "moderation/"
    mapping = ColumnMap(
        id="id",
        messages="messages",
        labels={TOXICITY: "toxicity", JAILBREAKING: "jailbreaking"},
        teacher={name.removeprefix(prefix): name for name in columns if name.startswith(prefix)},
    )
    table = Table(packed.name, columns, rows, packed.sha256)
    return _reading("embedded-conversations", table, to_examples(table, mapping, "embedded-conversations"))


def _table(name: str) -> Table:
    resource = files("adaptox") / "data" / name
    if not resource.is_file():
        raise DataError(f"the installed package lacks data/{name}: install adaptox again")
    data = resource.read_bytes()
    columns, rows = parse_json_lines(data.decode("utf-8"), f"adaptox/data/{name}")
    return Table(f"adaptox/data/{name}", columns, rows, hashlib.sha256(data).hexdigest())


def _reading(name: str, table: Table, examples: list[Example]) -> Reading:
    return Reading(tuple(examples), Origin(name, name, LICENCE, "", table.sha256, len(examples)))
