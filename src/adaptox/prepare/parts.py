"""Kept rows → train, validation and test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from adaptox.config import PrepareConfig
from adaptox.errors import DataError, RunError
from adaptox.prepare.large import largest_in_class
from adaptox.prepare.split import held_out
from adaptox.records import Example, Split


@dataclass(frozen=True, slots=True)
class Parts:
    """The three parts, each in the order of the input.

    Attributes:
        train: rows to train on, those that only a teacher scored among them.
        validation: rows to choose by.
        test: rows to report on.
        unplaced: rows whose family is held out: without a target label, or of a source that only helps training.
    """

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    unplaced: tuple[Example, ...]


def official(
    kept: Sequence[Example], test: Sequence[Example], config: PrepareConfig, target: str, seed: int
) -> Parts:
    """Keep the published test split, and validation if it is published; else carve it from train.

    Args:
        kept: all other rows, cleaned.
        test: the published test rows.
        config: shares and grouping.
        target: the label to stratify by.
        seed: of the choice.

    Raises:
        DataError: no published test rows, or too few rows of a class.
        RunError: a family crosses the split made here.
    """
    if not test:
        raise DataError(
            'prepare.split = "official" needs rows with a published test split, got none: '
            'set prepare.split = "resplit", or columns.split'
        )
    own = [example for example in kept if not example.only_train]
    validation = tuple(example for example in own if example.split == "validation")
    if validation:
        train = tuple(example for example in own if example.split != "validation")
        parts = Parts(_in(train, "train"), validation, tuple(test), ())
    else:
        parts = replace(_carved(own, 0.0, config, target, seed), test=tuple(test))
    return _checked(_helped(parts, kept), (*parts.train, *parts.validation), config, target)


def resplit(kept: Sequence[Example], config: PrepareConfig, target: str, seed: int) -> Parts:
    """Pool all rows and split them again; a test share of 0 gives an empty test part.

    Args:
        kept: all rows, cleaned.
        config: shares and grouping.
        target: the label to stratify by.
        seed: of the choice.

    Raises:
        DataError: too few rows of a class.
        RunError: a family crosses the split.
    """
    own = [example for example in kept if not example.only_train]
    parts = _carved(own, config.test_fraction, config, target, seed)
    return _checked(_helped(parts, kept), own, config, target)


def balanced(train: Sequence[Example], target: str, seed: int) -> tuple[Example, ...]:
    """Draw as many rows of each class as the smaller one has; rows without a target label stay.

    Args:
        train: the training part.
        target: the label whose classes are made equal.
        seed: of the draw.
    """
    by_class = defaultdict(list)
    for position, example in enumerate(train):
        by_class[example.labels.get(target)].append(position)
    fewest = min(len(by_class[0]), len(by_class[1]))
    rng = np.random.default_rng(seed)
    chosen = set(by_class[None])
    for label in (0, 1):
        chosen.update(rng.choice(by_class[label], size=fewest, replace=False).tolist())
    return tuple(example for position, example in enumerate(train) if position in chosen)


def _carved(kept: Sequence[Example], test_fraction: float, config: PrepareConfig, target: str, seed: int) -> Parts:
    labelled = [example for example in kept if target in example.labels]
    _check_supply(labelled, target, 3 if test_fraction else 2, config.group == "family")
    rest, test = _divided(labelled, test_fraction, config, target, seed)
    # Another seed, so that validation is not the same draw from what test left.
    train, validation = _divided(rest, config.validation_fraction, config, target, seed + 1)
    held = {example.group for example in (*test, *validation)} if config.group == "family" else set()
    unlabelled = [example for example in kept if target not in example.labels]
    unplaced = tuple(example for example in unlabelled if example.group in held)
    trained = {example.id for example in train} | {
        example.id for example in unlabelled if example.group not in held
    }
    parts = Parts(
        _in((example for example in kept if example.id in trained), "train"),
        _in(validation, "validation"),
        _in(test, "test"),
        unplaced,
    )
    if config.group == "family":
        _check_families(parts)
    return parts


def _helped(parts: Parts, kept: Iterable[Example]) -> Parts:
    """Add the rows that only help training, but for those whose family is in validation or test."""
    held = {example.group for example in (*parts.validation, *parts.test)}
    helping = [example for example in kept if example.only_train]
    added = _in((example for example in helping if example.group not in held), "train")
    unplaced = (example for example in helping if example.group in held)
    return replace(parts, train=(*parts.train, *added), unplaced=(*parts.unplaced, *unplaced))


def _divided(
    examples: Sequence[Example], fraction: float, config: PrepareConfig, target: str, seed: int
) -> tuple[list[Example], list[Example]]:
    numbers: dict[str, int] = {}
    groups = [numbers.setdefault(example.group, len(numbers)) for example in examples]
    if config.group == "none":
        groups = list(range(len(examples)))
    held = held_out([example.labels[target] for example in examples], groups, fraction, seed)
    kept = [example for example, out in zip(examples, held, strict=True) if not out]
    return kept, [example for example, out in zip(examples, held, strict=True) if out]


def _in(examples: Iterable[Example], split: Split) -> tuple[Example, ...]:
    return tuple(replace(example, split=split) for example in examples)


def _check_supply(labelled: Sequence[Example], target: str, parts: int, by_family: bool) -> None:
    unit = "families of rows" if by_family else "rows"
    for label in (1, 0):
        own = [example for example in labelled if example.labels[target] == label]
        there = len({example.group for example in own}) if by_family else len(own)
        if there < parts:
            large = largest_in_class(labelled, target, label, parts) if by_family else ""
            raise DataError(
                f"expected at least {parts} {unit} with {target} = {label}, one for each part, got {there} among "
                f"{len(labelled)} labelled rows: {large or f'give more data, or map {target} to another column'}"
            )


def _check_families(parts: Parts) -> None:
    train, validation, test = (
        {example.group for example in part} for part in (parts.train, parts.validation, parts.test)
    )
    crossing = (train & validation) | (train & test) | (validation & test)
    if crossing:
        raise RunError(
            f"{len(crossing)} prompt families cross the split, such as that of {min(crossing)}: expected none; "
            "please report this as a fault of adaptox"
        )


def _checked(parts: Parts, dealt: Sequence[Example], config: PrepareConfig, target: str) -> Parts:
    """Check the classes of the parts; `dealt` are the rows that were split here."""
    advice = {
        "train": "lower prepare.test_fraction and prepare.validation_fraction",
        "validation": "raise prepare.validation_fraction",
        "test": "raise prepare.test_fraction",
    }
    for name, part in (("train", parts.train), ("validation", parts.validation)):
        for label, word in ((1, "positive"), (0, "negative")):
            if not any(example.labels.get(target) == label for example in part):
                labelled = [example for example in dealt if target in example.labels]
                large = largest_in_class(labelled, target, label, 3) if config.group == "family" else ""
                raise DataError(
                    f"{name} has no {word} for {target} among its {len(part)} rows: "
                    f"{large or f'{advice[name]}, or give more data'}"
                )
    # A published test part is taken as it is, and an empty one was asked for.
    if parts.test and not any(target in example.labels for example in parts.test):
        raise DataError(f"no row of test has the label {target}: map it in columns.labels")
    return parts
