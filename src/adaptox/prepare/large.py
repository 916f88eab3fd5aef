"""Families so large that a split suffers, and what to say of them.

A family goes into one part whole. One that holds much of the data takes the part's share with it, and leaves the
other parts without anything like it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from adaptox.config import PrepareConfig
from adaptox.records import Example

# Share of the rows in one family, and deviation from the share that a part was to have, that a reader is told of.
_LARGE = 0.05
_OFF = 0.05

_APART = 'prepare.group = "none" splits {them}, and near-copies then stand on both sides'


def notes(
    train: Sequence[Example],
    validation: Sequence[Example],
    test: Sequence[Example],
    config: PrepareConfig,
    target: str,
) -> tuple[str, ...]:
    """Say where a split made here suffers from a large family.

    Args:
        train: as it was split, before any sampling.
        validation: split from train.
        test: the rows that were split off; none where the test part was published.
        config: what was asked for.
        target: the label that was stratified by.
    """
    parts = [
        [row for row in part if target in row.labels and not row.only_train] for part in (train, validation, test)
    ]
    dealt = [row for part in parts for row in part]
    family, size = Counter(row.group for row in dealt).most_common(1)[0]
    if config.group == "none" or size == 1:  # no family is kept whole, or there is none of several rows
        return ()
    found = []
    if size > _LARGE * len(dealt):
        found.append(
            f"One prompt family, that of {family}, holds {size} of {len(dealt)} rows ({size / len(dealt):.0%}) and "
            f"is in one part whole: its texts begin alike, or are near-copies. {_APART.format(them='it')}."
        )
    return (*found, *_missed(len(parts[0]), len(parts[1]), len(parts[2]), config))


def _missed(train: int, validation: int, test: int, config: PrepareConfig) -> Iterator[str]:
    rest = train + validation
    for name, rows, among, asked in (
        ("test", test, rest + test, config.test_fraction if config.split == "resplit" else 0.0),
        ("validation", validation, rest, config.validation_fraction),
    ):
        if abs(rows - asked * among) > _OFF * among:
            yield (
                f"prepare.{name}_fraction asks for {asked:.0%} of the rows, and {name} has {rows} of {among} "
                f"({rows / among:.0%}), as prompt families stay whole. {_APART.format(them='them')}."
            )


def largest_in_class(rows: Sequence[Example], target: str, value: int, needed: int) -> str:
    """Say for an error of too few families that one holds most of a class, and what splits it; else nothing.

    Args:
        rows: labelled with the target, families marked.
        target: the label.
        value: the class.
        needed: rows of the class that have to be there where no family is kept whole.
    """
    own = [row.group for row in rows if row.labels[target] == value]
    size = max(Counter(own).values(), default=0)
    if len(own) < needed or 2 * size <= len(own):
        return ""
    return (
        f"one family holds {size} of the {len(own)} rows with {target} = {value}, as their texts begin alike or "
        f"are near-copies; {_APART.format(them='it')}"
    )
