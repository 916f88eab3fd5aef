"""Which rows a model learned from, by what they say: a bundle, or a teacher's scores, holds a key of each.

Keys are hashes, so a list of them tells nobody a text; who has a text can look whether it is among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adaptox import bundle as bundles
from adaptox import model
from adaptox.adapt.data import Data
from adaptox.config import Config
from adaptox.errors import DataError
from adaptox.prepare import RowKeys, row_keys
from adaptox.records import BoolArray, Example, Reading
from adaptox.teach import lessons

LISTED = "listed"
"""Key of a stage: whether the rows of that training are among the keys of what came of it."""

_NO_KEYS: RowKeys = np.array([], dtype=np.uint64)
_ON_DISK = "<u8"


@dataclass(frozen=True, slots=True)
class Known:
    """What a model learned from.

    Attributes:
        keys: sorted, of the rows that are listed.
        unlisted: settings of the trainings whose rows are not, which are known by the place of their data alone.
        listed: settings of the others.
    """

    keys: RowKeys
    unlisted: tuple[Mapping[str, Any], ...]
    listed: tuple[Mapping[str, Any], ...] = ()

    def find(self, rows: Sequence[Example]) -> BoolArray:
        """Tell of each row whether it is listed: (rows,)."""
        found: BoolArray = np.isin(row_keys(rows), self.keys) if len(self.keys) else np.zeros(len(rows), bool)
        return found

    def count(self, rows: Sequence[Example]) -> int:
        """Count the rows that are listed."""
        return int(self.find(rows).sum())


def stages(manifest: bundles.Manifest) -> tuple[Mapping[str, Any], ...]:
    """Give the settings of a bundle's training, and of those that it came from."""
    return (manifest.metrics.get("config", {}), *manifest.base.get("learned", []))


def by_bundle(bundle: bundles.Bundle) -> Known:
    """Give what a bundle learned from, and what that started from."""
    own, *before = stages(bundle.manifest)
    # A file that the manifest does not name was not written with the bundle.
    if not (bundles.LEARNED in bundle.manifest.files and (bundle.folder / bundles.LEARNED).is_file()):
        return Known(_NO_KEYS, (own, *before))
    return _sorted(_read(bundle.folder / bundles.LEARNED), ({**own, LISTED: True}, *before))


def decided_by(bundle: bundles.Bundle) -> RowKeys:
    """Give keys of the rows that a bundle's thresholds were learned anew on; none where they were not."""
    there = bundles.DECIDED in bundle.manifest.files and (bundle.folder / bundles.DECIDED).is_file()
    return _read(bundle.folder / bundles.DECIDED) if there else _NO_KEYS


def by_model(name: str) -> Known:
    """Give what a bundle learned from, or the bundle whose scores `adaptox teach` wrote; nothing for other models.

    Raises:
        BundleError: the bundle is damaged.
        DataError: the folder of scores is damaged.
    """
    place = model.place_of(name)
    if name and (place / bundles.MANIFEST).is_file():
        return by_bundle(bundles.load(place))
    if not (name and lessons.is_lesson(place)):
        return Known(_NO_KEYS, ())
    told = lessons.learned(place)
    if not (place / bundles.LEARNED).is_file():
        return Known(_NO_KEYS, tuple(told))
    return _sorted(_read(place / bundles.LEARNED), told)


def by_run(config: Config, data: Data) -> RowKeys:
    """List what a run learns from, and what its base did.

    Of a published split that is kept, rows of train that stand in test word for word are left out: that is how it
    was published, and the bundle would be told of for ever as one that saw its test rows.

    Raises:
        BundleError: the base is a damaged bundle.
    """
    parts = data.prepared
    keys = row_keys((*parts.train, *parts.validation) if config.threshold.folds else parts.train)
    if config.prepare.split == "official":
        keys = np.setdiff1d(keys, _in_both_parts(data.readings))
    return np.union1d(keys, by_model(config.base.name).keys)


def pack(keys: RowKeys) -> bytes:
    """Write keys: sorted, eight bytes each, the lowest first."""
    return np.unique(keys).astype(_ON_DISK).tobytes()


def _in_both_parts(readings: Iterable[Reading]) -> RowKeys:
    both = _NO_KEYS
    for reading in readings:
        # What only helps training is learned from as a whole.
        rows = [row for row in reading.examples if row.split and not row.only_train]
        test, rest = (row_keys(row for row in rows if (row.split == "test") is told) for told in (True, False))
        both = np.union1d(both, np.intersect1d(test, rest))
    return both


def _sorted(keys: RowKeys, told: Sequence[Mapping[str, Any]]) -> Known:
    listed, unlisted = (tuple(one for one in told if bool(one.get(LISTED)) is is_so) for is_so in (True, False))
    return Known(keys, unlisted, listed)


def _read(path: Path) -> RowKeys:
    try:
        return np.frombuffer(path.read_bytes(), _ON_DISK).astype(np.uint64)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}): make the folder again, or remove the file") from error
