"""Which rows are measured together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adaptox.labels import JAILBREAKING
from adaptox.records import BoolArray, Example

DESCRIPTIONS = {
    "F": "all rows of the official test split",
    "H": "rows annotated by a person",
    "T": "rows without a near-copy in the official train split",
    "all": "all rows",
    "small": "a balanced sample: every positive row, and as many negative ones",
    "human": "rows annotated by a person",
    "twin-free": "rows without a near-copy in the train split",
    "jailbreak": "rows that try to talk the model out of its rules",
    "non-jailbreak": "rows that do not try to talk the model out of its rules",
}


def find_slices(examples: Sequence[Example], label: str, official: bool) -> dict[str, BoolArray]:
    """Name the subsets that are reported.

    Args:
        examples: n rows.
        label: the label that is measured; its own rows are not sliced by itself.
        official: whether these are the rows of ToxicChat's published test split.

    Returns:
        Slice name → (n,) membership. The first holds all rows; subsets without a row are left out.
    """
    human = np.array([example.annotated_by_human is True for example in examples], dtype=np.bool_)
    twin = np.array([example.twin for example in examples], dtype=np.bool_)
    slices = {"F" if official else "all": np.ones(len(examples), dtype=np.bool_)}
    if official:
        slices |= {"H": human, "T": ~twin}
    else:
        if twin.any():
            slices["twin-free"] = ~twin
        if human.any() and not human.all():
            slices["human"] = human
    if label != JAILBREAKING:
        known = [example.labels.get(JAILBREAKING) for example in examples]
        slices["jailbreak"] = np.array([value == 1 for value in known], dtype=np.bool_)
        slices["non-jailbreak"] = np.array([value == 0 for value in known], dtype=np.bool_)
    return {name: member for name, member in slices.items() if member.any()}
