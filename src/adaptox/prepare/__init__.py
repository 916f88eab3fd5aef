"""Examples → cleaned, de-duplicated, split and sampled data, with a manifest."""

from adaptox.prepare.families import families
from adaptox.prepare.keys import RowKeys, row_keys
from adaptox.prepare.large import largest_in_class
from adaptox.prepare.preparing import data_sha256, mark_families, prepare
from adaptox.prepare.values import Counts, Dropped, Families, Leak, Manifest, Prepared, Reason, Step

__all__ = [
    "Counts",
    "Dropped",
    "Families",
    "Leak",
    "Manifest",
    "Prepared",
    "Reason",
    "RowKeys",
    "Step",
    "data_sha256",
    "families",
    "largest_in_class",
    "mark_families",
    "prepare",
    "row_keys",
]
