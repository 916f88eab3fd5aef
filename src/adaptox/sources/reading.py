"""One source of the settings → its reading."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from adaptox.config import ColumnMap, Reader, SourceConfig
from adaptox.errors import DataError, nearest
from adaptox.labels import TOXICITY
from adaptox.records import Reading
from adaptox.sources.comments import read_davidson, read_safenlp, read_wikipedia_comments, read_wikipedia_context
from adaptox.sources.embedded import read_embedded_comments, read_embedded_conversations, read_embedded_prompts
from adaptox.sources.files import SUFFIXES, existing, read_table, readable, suffix_of
from adaptox.sources.hub import read_hub
from adaptox.sources.openai_moderation import FILES, read_openai_moderation
from adaptox.sources.safety_sets import DIASAFETY, is_diasafety, read_diasafety, read_hatecheck, read_xstest
from adaptox.sources.table import read_plain
from adaptox.sources.toxic_chat import TOXIC_CHAT, csv_folder, is_toxic_chat, read_toxic_chat

_HUB_ID = re.compile(r"\w[\w.-]*/[\w.-]+")
# A file that tells whose folder it lies in.
_SIGNS: Mapping[str, Reader] = {
    "labeled_data.csv": "davidson",
    "gc.csv": "wikipedia-context",
    "gn.csv": "wikipedia-context",
    "toxicity_nonfuzzed_testset.csv": "wikipedia-comments",
    "toxiGen.json": "safenlp",
    "implicitHate.json": "safenlp",
    "test_suite_cases.csv": "hatecheck",
    "xstest_v2_prompts.csv": "xstest",
    **dict.fromkeys(FILES, "openai-moderation"),
}
# Names that stand for data inside the package.
_EMBEDDED_PREFIX = "embedded-"
_EMBEDDED: tuple[Reader, ...] = ("embedded-comments", "embedded-prompts", "embedded-conversations")


def read(source: SourceConfig, seed: int = 0, labels: Sequence[str] = (TOXICITY,)) -> Reading:
    """Read one source.

    Args:
        source: which reader, where, which columns, how many rows.
        seed: of the random sample that `max_examples` asks for; file order is kept.
        labels: our names of them, which columns of tables may have.

    Raises:
        DataError: what cannot be read, where it stands, and what to do.
        MissingExtraError: an optional package is not installed.
    """
    readers: dict[Reader, Callable[[SourceConfig], Reading]] = {
        "toxic-chat": read_toxic_chat,
        "table": partial(read_plain, labels=labels),
        "hub": partial(read_hub, labels=labels),
        "davidson": read_davidson,
        "wikipedia-context": read_wikipedia_context,
        "wikipedia-comments": read_wikipedia_comments,
        "safenlp": read_safenlp,
        "hatecheck": read_hatecheck,
        "xstest": read_xstest,
        "diasafety": read_diasafety,
        "openai-moderation": read_openai_moderation,
        "embedded-comments": read_embedded_comments,
        "embedded-prompts": read_embedded_prompts,
        "embedded-conversations": read_embedded_conversations,
    }
    reader = recognise(source) if source.reader == "auto" else source.reader
    if reader in ("table", "hub") and not source.path:
        raise DataError(f"expected a path for the reader {reader!r}, got none: set path in this source")
    return _sampled(readers[reader](source), source.max_examples, seed)


def read_all(
    sources: Sequence[SourceConfig], seed: int = 0, labels: Sequence[str] = (TOXICITY,)
) -> tuple[Reading, ...]:
    """Read several sources; where two give the same id, the later source's ids get its number in front.

    Args:
        sources: which.
        seed: as for `read`.
        labels: as for `read`.

    Raises:
        DataError: as `read`.
    """
    readings: list[Reading] = []
    taken: set[str] = set()
    for number, source in enumerate(sources, 1):
        reading = read(source, seed, labels)
        if source.use == "train":
            helping = (replace(example, split=None, only_train=True) for example in reading.examples)
            reading = replace(reading, examples=tuple(helping))
        if source.weight != 1:
            weighted = (replace(example, weight=source.weight) for example in reading.examples)
            reading = replace(reading, examples=tuple(weighted))
        if not taken.isdisjoint(example.id for example in reading.examples):
            renamed = tuple(replace(example, id=f"{number}:{example.id}") for example in reading.examples)
            reading = replace(reading, examples=renamed)
        taken.update(example.id for example in reading.examples)
        readings.append(reading)
    return tuple(readings)


def recognise(source: SourceConfig) -> Reader:
    """Tell which reader a source needs, from its name, the files in its folder, or its columns.

    Raises:
        DataError: no path, or one that is neither there nor looks like a hub id.
    """
    name = source.path
    if not name:
        raise DataError("expected a path or a hub id, got none: set path in this source")
    for embedded in _EMBEDDED:
        if name == embedded:
            return embedded
    path = Path(name)
    with readable(path):
        is_folder, is_file = path.is_dir(), path.is_file()
    if is_folder or is_file:
        found = _recognise_folder(path) if is_folder else _recognise_file(path)
        # Who says which column holds what has a table; ToxicChat's folders are none.
        layout = is_folder and found == "toxic-chat"
        return found if layout or source.columns == ColumnMap() else "table"
    if name == TOXIC_CHAT:
        return "toxic-chat"
    if name.startswith(_EMBEDDED_PREFIX) and "/" not in name and suffix_of(path) not in SUFFIXES:
        raise DataError(f"no embedded data {name!r}: {nearest(name, _EMBEDDED)}")
    if suffix_of(path) in SUFFIXES or not _HUB_ID.fullmatch(name) or path.parent.is_dir():
        existing(path)
    return "hub"


def _recognise_file(file: Path) -> Reader:
    columns = read_table(file).columns
    if is_toxic_chat(columns):
        return "toxic-chat"
    return "diasafety" if is_diasafety(columns) else _SIGNS.get(file.name, "table")


def _recognise_folder(folder: Path) -> Reader:
    if csv_folder(folder) or csv_folder(folder, "toxicchat1123"):
        return "toxic-chat"
    for sign, reader in _SIGNS.items():
        if (folder / sign).is_file():
            return reader
    part = next((folder / name for name in DIASAFETY if (folder / name).is_file()), None)
    return "diasafety" if part and is_diasafety(read_table(part).columns) else "table"


def _sampled(reading: Reading, most: int | None, seed: int) -> Reading:
    count = len(reading.examples)
    if most is None or most >= count:
        return reading
    kept = np.sort(np.random.default_rng(seed).choice(count, size=most, replace=False))
    origin = replace(
        reading.origin,
        rows=most,
        notes=(*reading.origin.notes, f"a random sample of {most} of {count} rows (max_examples, seed {seed})"),
    )
    return Reading(tuple(reading.examples[index] for index in kept), origin)
