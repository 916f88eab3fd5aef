"""Cleaning: what leaves before the split, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from adaptox.config import PrepareConfig
from adaptox.prepare.language import foreign
from adaptox.prepare.values import Counts, Dropped, Reason, Step
from adaptox.records import Example, Progress, silent
from adaptox.text import normalise

EXCERPT_CHARS = 200


@dataclass(frozen=True, slots=True)
class Row:
    """An example beside its rendered text."""

    example: Example
    text: str


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What cleaning kept and dropped, both in the order of the input."""

    kept: tuple[Row, ...]
    dropped: tuple[Dropped, ...]
    steps: tuple[Step, ...]


# Rows → position of a row to drop → (reason, detail).
_Verdicts = Mapping[int, tuple[Reason, str]]


def clean(rows: Sequence[Row], config: PrepareConfig, target: str, progress: Progress = silent) -> Cleaned:
    """Drop rows that teach nothing, repeats, and rows in another language; cleaning twice changes nothing more.

    Args:
        rows: in the order of the input.
        config: what to drop.
        target: the label whose classes are counted, and whose conflicts make copies unusable.
        progress: told now and then.

    Raises:
        MissingExtraError: the language filter is on and lingua is not installed.
    """
    checks: list[tuple[str, Callable[[Sequence[Row]], _Verdicts]]] = [
        ("unlabelled", lambda left: _unlabelled(left, target)),
        ("short", lambda left: _short(left, config.min_chars)),
    ]
    if config.drop_repeats:
        checks.append(("conflicts", lambda left: _conflicts(left, target)))
        checks.append(("repeats", lambda left: _repeats(left, target)))
    if config.language == "en":
        checks.append(("language", lambda left: _language(left, progress)))
    left, dropped, steps = tuple(rows), [], []
    for name, check in checks:
        verdicts = check(left)
        gone = [_dropped(left[position], *verdicts[position], target) for position in sorted(verdicts)]
        kept = tuple(row for position, row in enumerate(left) if position not in verdicts)
        steps.append(step(name, (row.example for row in left), (row.example for row in kept), target))
        dropped += gone
        left = kept
    order = {row.example.id: position for position, row in enumerate(rows)}
    return Cleaned(left, tuple(sorted(dropped, key=lambda item: order[item.id])), tuple(steps))


def step(name: str, before: Iterable[Example], after: Iterable[Example], target: str) -> Step:
    """Count what a step took."""
    was, left = Counts.of(before, target), Counts.of(after, target)
    gone = Counts(
        was.rows - left.rows,
        was.positive - left.positive,
        was.negative - left.negative,
        was.unknown - left.unknown,
    )
    return Step(name, was, gone, left)


def _dropped(row: Row, reason: Reason, detail: str, target: str) -> Dropped:
    example = row.example
    return Dropped(example.id, reason, example.split, example.labels.get(target), detail, row.text[:EXCERPT_CHARS])


def _unlabelled(rows: Sequence[Row], target: str) -> _Verdicts:
    return {
        position: ("unlabelled", f"neither {target} nor a teacher score is known")
        for position, row in enumerate(rows)
        if target not in row.example.labels and not row.example.teacher
    }


def _short(rows: Sequence[Row], min_chars: int) -> _Verdicts:
    return {
        position: ("short", f"{len(text)} characters, expected at least {min_chars}")
        for position, row in enumerate(rows)
        if len(text := normalise(row.text).text) < min_chars
    }


def _conflicts(rows: Sequence[Row], target: str) -> _Verdicts:
    verdicts: dict[int, tuple[Reason, str]] = {}
    for positions in _copies(rows):
        if len({rows[position].example.labels.get(target) for position in positions} - {None}) > 1:
            detail = f"its {len(positions)} copies are labelled both 0 and 1 for {target}"
            verdicts.update((position, ("conflict", detail)) for position in positions)
    return verdicts


def _repeats(rows: Sequence[Row], target: str) -> _Verdicts:
    verdicts: dict[int, tuple[Reason, str]] = {}
    for positions in _copies(rows):
        # The first copy with a known label stands for those that only a teacher scored, too.
        known = [position for position in positions if target in rows[position].example.labels]
        keep = (known or positions)[0]
        detail = f"repeats {rows[keep].example.id}"
        verdicts.update((position, ("repeat", detail)) for position in positions if position != keep)
    return verdicts


def _copies(rows: Sequence[Row]) -> Iterable[list[int]]:
    copies: defaultdict[str, list[int]] = defaultdict(list)
    for position, row in enumerate(rows):
        copies[normalise(row.text).text].append(position)
    return copies.values()


def _language(rows: Sequence[Row], progress: Progress) -> _Verdicts:
    found = foreign([row.text for row in rows], progress)
    return {
        position: ("language", f"{item.language} {item.confidence:.2f}, English {item.english:.4f}")
        for position, item in enumerate(found)
        if item is not None
    }
