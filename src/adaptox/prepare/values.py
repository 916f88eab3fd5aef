"""What preparing gives: the parts, what was dropped, and the manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from adaptox.records import Example, Split

Reason = Literal["unlabelled", "short", "repeat", "conflict", "language", "family-held-out"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by the class of the target label."""

    rows: int
    positive: int
    negative: int
    unknown: int

    @classmethod
    def of(cls, examples: Iterable[Example], target: str) -> Counts:
        """Count examples by their target label."""
        labels = [example.labels.get(target) for example in examples]
        return cls(len(labels), labels.count(1), labels.count(0), labels.count(None))


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that cleaning took out.

    Attributes:
        id: the example's id.
        reason: ``unlabelled`` (neither target label nor teacher score), ``short``, ``conflict`` (its text stands in
            rows with both labels), ``repeat`` (in an earlier row with the same label), ``language``, or
            ``family-held-out`` (only a teacher scored it, or its source only helps training, and its family is in
            validation or test).
        split: as published, or None.
        label: the target label, None if unknown.
        detail: of which row it is a repeat, or which language with which confidence.
        excerpt: the first 200 characters of the rendered text.
    """

    id: str
    reason: Reason
    split: Split | None
    label: int | None
    detail: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class Step:
    """One cleaning or sampling step."""

    name: str
    before: Counts
    dropped: Counts
    after: Counts


@dataclass(frozen=True, slots=True)
class Families:
    """Prompt families among the kept rows.

    Attributes:
        number: how many.
        largest: rows of the largest.
        in_several_rows: families of two rows or more.
        rows_in_several: rows of those.
    """

    number: int
    largest: int
    in_several_rows: int
    rows_in_several: int


@dataclass(frozen=True, slots=True)
class Leak:
    """Held-out rows whose family is also among the rows that are trained on.

    Attributes:
        rows: how many.
        positive: how many of them are positive.
        of_rows: the part's rows.
        of_positive: the part's positive rows.
    """

    rows: int
    positive: int
    of_rows: int
    of_positive: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was done to the data, in numbers.

    Attributes:
        target: the label that classes are counted by.
        seed: of splitting and sampling.
        config: the settings of cleaning, splitting and rendering, resolved.
        steps: in order.
        parts: train, validation and test.
        by_source: source → split → counts.
        families: of the kept rows.
        twins: rows of a published test split whose family is also in its train split; None without one.
        test_leak: test rows with a family member in train or validation.
        validation_leak: validation rows with a family member in train.
        families_kept_whole: no family crosses a split that was made here; False only with group = "none".
        sha256: `data_sha256` of all parts.
    """

    target: str
    seed: int
    config: Mapping[str, Mapping[str, object]]
    steps: tuple[Step, ...]
    parts: Mapping[str, Counts]
    by_source: Mapping[str, Mapping[str, Counts]]
    families: Families
    twins: Leak | None
    test_leak: Leak
    validation_leak: Leak
    families_kept_whole: bool
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """Give nested dictionaries that `json.dumps` takes."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Data ready for training: every example has its split and group, test rows their twin mark.

    Attributes:
        train: may hold rows whose target label is unknown but that have teacher scores.
        validation: only rows with a known target label, unless published otherwise.
        test: may be empty.
        dropped: rows that cleaning took out, in the order of the input.
        manifest: all of it in numbers.
        notes: what a reader must know of the split, such as a family that holds much of the data.
    """

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    dropped: tuple[Dropped, ...]
    manifest: Manifest
    notes: tuple[str, ...] = ()
