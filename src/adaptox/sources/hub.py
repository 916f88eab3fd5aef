"""Any data set of the Hugging Face hub with a column mapping → examples."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from adaptox.config import SourceConfig
from adaptox.errors import DataError, MissingExtraError
from adaptox.labels import TOXICITY
from adaptox.records import Origin, Reading
from adaptox.sources.cells import SPLITS
from adaptox.sources.rows import Row, Table
from adaptox.sources.table import to_examples


def read_hub(config: SourceConfig, labels: Sequence[str] = (TOXICITY,)) -> Reading:
    """Read all splits of a hub data set; the licence is the one its card states.

    Labels are found as in a file.
    Splits named train, validation (valid, val, dev) and test keep their meaning; rows of others have none.

    Raises:
        DataError: the data set cannot be loaded, or its columns do not fit.
        MissingExtraError: `datasets` is not installed.
    """
    tables, licence = load(config.path, config.subset)
    examples = []
    for table in tables:
        name = table.name.rsplit("/", 1)[-1]
        examples += to_examples(table, config.columns, table.name, SPLITS.get(name.lower()), labels)
    digest = hashlib.sha256("\n".join(table.sha256 for table in tables).encode()).hexdigest()
    url = f"https://huggingface.co/datasets/{config.path}"
    return Reading(tuple(examples), Origin("hub", config.path, licence, url, digest, len(examples)))


def load(hub_id: str, subset: str = "") -> tuple[tuple[Table, ...], str]:
    """Load every split of a hub data set.

    Args:
        hub_id: e.g. ``lmsys/toxic-chat``.
        subset: the data set's configuration, or empty for its default.

    Returns:
        One table a split, named ``<hub id>/<split>``, and the licence, ``unknown`` where the card has none.

    Raises:
        DataError: no network and not in the cache, no such data set or subset; says what to do.
        MissingExtraError: `datasets` is not installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError("reading a hub data set", "train", "datasets") from error
    try:
        loaded = datasets.load_dataset(hub_id, subset or None)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise DataError(_refusal(hub_id, subset, error)) from error
    tables = tuple(_table(f"{hub_id}/{name}", split) for name, split in loaded.items() if len(split))
    if not tables:
        raise DataError(f"the hub data set {hub_id} has no row: expected at least one")
    licences = {split.info.license for split in loaded.values()} - {None, ""}
    return tables, ", ".join(sorted(licences)) or "unknown"


def _table(name: str, split: Any) -> Table:
    rows = tuple(Row(f"{name}, row {number}", cells) for number, cells in enumerate(split, 1))
    return Table(name, tuple(split.column_names), rows, str(split._fingerprint))


def _refusal(hub_id: str, subset: str, error: Exception) -> str:
    what = f"the hub data set {hub_id!r}" + (f" ({subset})" if subset else "")
    reason = " ".join(str(error).split())[:200]
    if isinstance(error, ConnectionError):
        return (
            f"cannot reach {what}: {reason}; connect to the internet and unset HF_HUB_OFFLINE, or download it and "
            "give the path of its folder or file"
        )
    return (
        f"cannot load {what}: {reason}; check the id and subset at https://huggingface.co/datasets, or give a path"
    )
