"""Examples → cleaned, de-duplicated, split, sampled, with a manifest of all that."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from adaptox.config import PrepareConfig, TextConfig
from adaptox.errors import DataError, nearest
from adaptox.prepare import large
from adaptox.prepare.clean import EXCERPT_CHARS, Cleaned, Row, clean, step
from adaptox.prepare.families import families
from adaptox.prepare.parts import Parts, balanced, official, resplit
from adaptox.prepare.values import Counts, Dropped, Families, Leak, Manifest, Prepared, Step
from adaptox.records import Conversation, Example, Progress, silent
from adaptox.text import render


def prepare(
    examples: Sequence[Example],
    config: PrepareConfig,
    text: TextConfig,
    target: str,
    seed: int,
    progress: Progress = silent,
) -> Prepared:
    """Clean, split and sample.

    Under ``split = "official"`` the published test rows are neither dropped nor changed: they only get their family
    and their twin mark. Families are those of all rows given, so cleaning does not move the twin marks.

    Args:
        examples: of all sources, with ids that differ.
        config: what to drop, how to split and sample.
        text: how conversations are rendered.
        target: the label that splitting and sampling are stratified by.
        seed: of splitting and sampling.
        progress: told now and then.

    Raises:
        DataError: no rows, an id that occurs twice, an unknown target, no published test split, or too few rows of
            a class; says what to change.
        MissingExtraError: an optional package is not installed.
        RunError: a family crosses a split made here.
    """
    _check(examples, target)
    marked = mark_families(examples, text, progress)
    fixed = [example for example in marked if example.split == "test" and config.split == "official"]
    free = [Row(example, render(example.conversation, text).text) for example in _without(marked, fixed)]
    cleaned = _cleaned(free, config, target, progress)
    kept = [row.example for row in cleaned.kept]
    try:
        if config.split == "official":
            parts = official(kept, fixed, config, target, seed)
        else:
            parts = resplit([replace(example, twin=False) for example in kept], config, target, seed)
    except DataError as error:
        raise DataError(f"{error}{_lost(cleaned, len(free))}") from error
    return _prepared(_Work(marked, cleaned, parts, config, text, target, seed))


def mark_families(
    examples: Sequence[Example], text: TextConfig, progress: Progress = silent
) -> tuple[Example, ...]:
    """Fill in every example's family, and the twin mark of published test rows; drop nothing.

    Args:
        examples: with the splits as published.
        text: how conversations are rendered.
        progress: told now and then.

    Returns:
        The examples in the same order; `group` is the id of the family's first example. Where a user speaks, only
        that counts: conversations that share a user's prompt are kin, those that share a system turn, a bot's
        greeting or its stock answer are not, or all of a bot's would be one family.

    Raises:
        MissingExtraError: an optional package is not installed.
    """
    first = families([_said(example.conversation, text) for example in examples], progress)
    grouped = [replace(example, group=examples[index].id) for example, index in zip(examples, first, strict=True)]
    trained_on = {example.group for example in grouped if example.split != "test" and not example.only_train}
    return tuple(
        replace(example, twin=example.split == "test" and example.group in trained_on) for example in grouped
    )


def data_sha256(examples: Iterable[Example], text: TextConfig) -> str:
    """Hash what a model and its numbers depend on: ids, rendered texts, labels, teacher scores, splits, weights.

    Args:
        examples: of all parts.
        text: how conversations are rendered.
    """
    digest = hashlib.sha256()
    for example in examples:
        row = [
            example.id,
            render(example.conversation, text).text,
            sorted(example.labels.items()),
            sorted(example.teacher.items()),
            example.split,
            *([] if example.weight == 1 else [example.weight]),
        ]
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _Work:
    """All that the manifest is counted from."""

    marked: tuple[Example, ...]
    cleaned: Cleaned
    parts: Parts
    config: PrepareConfig
    text: TextConfig
    target: str
    seed: int


def _check(examples: Sequence[Example], target: str) -> None:
    if not examples:
        raise DataError("expected at least one row, got none: check the sources")
    twice = [id_ for id_, count in Counter(example.id for example in examples).items() if count > 1]
    if twice:
        raise DataError(
            f"expected ids that differ, got {twice[0]!r} twice (and {len(twice) - 1} more): "
            "read each source once, and rename files that share a name"
        )
    known = {name for example in examples for name in example.labels}
    if target not in known:
        raise DataError(f"no row has the label {target!r}: {nearest(target, known)}; set labels or columns.labels")


def _without(examples: Iterable[Example], taken: Sequence[Example]) -> list[Example]:
    ids = {example.id for example in taken}
    return [example for example in examples if example.id not in ids]


def _cleaned(rows: Sequence[Row], config: PrepareConfig, target: str, progress: Progress) -> Cleaned:
    """Clean the rows that only help training by themselves: no repeat or conflict of theirs costs another row."""
    helping = [row for row in rows if row.example.only_train]
    own = clean([row for row in rows if not row.example.only_train], config, target, progress)
    if not helping:
        return own
    helped = clean(helping, config, target, progress)
    steps = (replace(one, name=f"{one.name}, of sources that only help training") for one in helped.steps)
    return Cleaned((*own.kept, *helped.kept), (*own.dropped, *helped.dropped), (*own.steps, *steps))


def _lost(cleaned: Cleaned, rows: int) -> str:
    """Say what cleaning took, for an error that tells of too few rows."""
    taken = [f"{step.name}: {step.dropped.rows}" for step in cleaned.steps if step.dropped.rows]
    if not taken:
        return ""
    foreign = any(step.name.startswith("language") and step.dropped.rows for step in cleaned.steps)
    kept = "; prepare.language = 'any' keeps other languages" if foreign else ""
    return f" (cleaning dropped {len(cleaned.dropped)} of {rows} rows before that, {', '.join(taken)}{kept})"


def _said(conversation: Conversation, text: TextConfig) -> str:
    """Give what families are found by: of the turns that are read, a user's; else any but the system's; else all.

    A user's turns stand without their role, so that a long prompt is kin of a conversation that begins with it.
    """
    user = tuple(turn for turn in conversation.turns if turn.role == "user")
    read = user[-1:] if text.turns == "last-user" else user
    asked = "\n".join(render(Conversation((turn,)), text).text for turn in read)
    # A picture alone is an empty text here, and empty texts are no kin.
    if asked.strip():
        return asked
    turns = tuple(turn for turn in conversation.turns if turn.role != "system") or conversation.turns
    return render(Conversation(turns), text).text


def _prepared(work: _Work) -> Prepared:
    parts, target = work.parts, work.target
    steps = list(work.cleaned.steps)
    train = parts.train
    if parts.unplaced or any(example.only_train for example in train):
        steps.append(step("family held out", (*train, *parts.unplaced), train, target))
    if work.config.sample == "balanced":
        train = balanced(parts.train, target, work.seed)
        steps.append(step("balanced sample of train", parts.train, train, target))
    parts = replace(parts, train=train)
    unplaced = (_unplaced(example, work) for example in work.parts.unplaced)
    order = {example.id: position for position, example in enumerate(work.marked)}
    dropped = sorted((*work.cleaned.dropped, *unplaced), key=lambda item: order[item.id])
    manifest = _manifest(replace(work, parts=parts), tuple(steps))
    return Prepared(parts.train, parts.validation, parts.test, tuple(dropped), manifest, _notes(work))


def _notes(work: _Work) -> tuple[str, ...]:
    """Say what a large family did to the split, where one was made."""
    parts, published = work.parts, work.config.split == "official"
    if published and any(
        row.example.split == "validation" and not row.example.only_train for row in work.cleaned.kept
    ):
        return ()
    test = () if published else parts.test
    return large.notes(parts.train, parts.validation, test, work.config, work.target)


def _unplaced(example: Example, work: _Work) -> Dropped:
    excerpt = render(example.conversation, work.text).text[:EXCERPT_CHARS]
    why = "its source only helps training" if example.only_train else "only a teacher scored it"
    detail = f"{why}, and its family {example.group} is held out"
    return Dropped(example.id, "family-held-out", example.split, None, detail, excerpt)


def _manifest(work: _Work, steps: tuple[Step, ...]) -> Manifest:
    parts, target = work.parts, work.target
    named = {"train": parts.train, "validation": parts.validation, "test": parts.test}
    everything = (*parts.train, *parts.validation, *parts.test)
    sources = sorted({example.source for example in everything})
    return Manifest(
        target=target,
        seed=work.seed,
        config={
            "prepare": work.config.model_dump(mode="json"),
            "text": work.text.model_dump(mode="json"),
        },
        steps=steps,
        parts={name: Counts.of(part, target) for name, part in named.items()},
        by_source={
            source: {
                name: Counts.of((example for example in part if example.source == source), target)
                for name, part in named.items()
            }
            for source in sources
        },
        families=_families(everything),
        twins=_leak(parts.test, (e for e in work.marked if e.split != "test" and not e.only_train), target)
        if work.config.split == "official"
        else None,
        test_leak=_leak(parts.test, (*parts.train, *parts.validation), target),
        validation_leak=_leak(parts.validation, parts.train, target),
        families_kept_whole=work.config.group == "family",
        sha256=data_sha256(everything, work.text),
    )


def _families(examples: Iterable[Example]) -> Families:
    sizes = Counter(example.group for example in examples).values()
    several = [size for size in sizes if size > 1]
    return Families(len(sizes), max(sizes, default=0), len(several), sum(several))


def _leak(held: Sequence[Example], trained_on: Iterable[Example], target: str) -> Leak:
    seen = {example.group for example in trained_on}
    own, leaking = Counts.of(held, target), Counts.of((e for e in held if e.group in seen), target)
    return Leak(leaking.rows, leaking.positive, own.rows, own.positive)
