"""Sources → prepared data; and the verb that stops there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from adaptox import prepare, sources
from adaptox.adapt import folder as folders
from adaptox.adapt import needs
from adaptox.config import Config, resolved_json
from adaptox.errors import DataError
from adaptox.prepare import Prepared
from adaptox.records import Example, Progress, Reading, silent
from adaptox.teach import Agreement, conversation_key, lay_out_folds, lessons, teach


@dataclass(frozen=True, slots=True)
class Data:
    """What was read, and what became of it.

    Attributes:
        readings: one for each source.
        prepared: the parts.
        official: the test part is ToxicChat's, whole and as published.
        agreement: of the bundle that teaches with scores that the data had; empty where none teaches.
    """

    readings: tuple[Reading, ...]
    prepared: Prepared
    official: bool
    agreement: tuple[Agreement, ...] = ()

    def judged(self, config: Config) -> tuple[Example, ...]:
        """Give the rows that the result is about: the test part; without one, those that were held out.

        That is validation, or with folds every row of train and validation that is scored, fold by fold.
        """
        parts, folds = self.prepared, config.threshold.folds
        if parts.test or not folds:
            return parts.test or parts.validation
        laid_out = lay_out_folds((*parts.train, *parts.validation), config, folds, "threshold.folds")
        return tuple(row for fold in laid_out for row in fold.held)


def read_and_prepare(config: Config, progress: Progress = silent) -> Data:
    """Read every source, join them, clean and split.

    Raises:
        DataError: a source cannot be read, or no split can be made of it.
    """
    readings = sources.read_all(config.sources, config.data_seed, config.labels)
    prepared = prepare.prepare(
        [example for reading in readings for example in reading.examples],
        config.prepare,
        config.text,
        config.label_set.target,
        config.data_seed,
        progress,
    )
    published = config.prepare.split == "official"
    return Data(readings, prepared, published and is_toxic_chat_test(prepared.test, config))


def taught(data: Data, config: Config, progress: Progress = silent) -> Data:
    """Give what is learnt from a teacher's scores, if the settings name one: a bundle, or what `teach` wrote.

    Raises:
        InputError: no such teacher, one that lacks a target, or an ensemble that learned from test rows.
    """
    if not (config.distill.teacher and config.distill.targets):
        return data
    prepared = data.prepared
    learnt = (*prepared.train, *prepared.validation)
    # Test rows are scored only where the data has scores of its own, to see how far the teacher agrees.
    others = tuple(example for example in prepared.test if example.teacher)
    rows, folder, targets = (*learnt, *others), Path(config.distill.teacher), config.distill.targets
    if lessons.is_lesson(folder):
        _check_same_split(folder, prepared)
        done = lessons.read(rows, folder, targets, config.evaluate, config.data_seed)
    else:
        done = teach(rows, folder, targets, config.evaluate, config.data_seed, progress=progress)
    split = len(prepared.train)
    parts = replace(prepared, train=done.examples[:split], validation=done.examples[split : len(learnt)])
    return replace(data, prepared=parts, agreement=done.agreement)


def _check_same_split(teacher: Path, prepared: Prepared) -> None:
    """Refuse an ensemble that learned from the labels of rows that are test rows here."""
    published = prepared.manifest.config["prepare"]["split"] == "official"
    # The same words may be said in both parts of a published split, where the teacher saw those of train.
    if not lessons.is_crossfitted(teacher) or (published and lessons.split_of(teacher) == "official"):
        return
    known = lessons.conversations(teacher)
    seen = sum(conversation_key(row.conversation) in known for row in prepared.test)
    if seen:
        raise DataError(
            f"the teacher {teacher} learned from {seen} of the {len(prepared.test)} rows that are test rows here: "
            "it was made with another split; run adaptox teach with this run's seed and prepare settings"
        )


def is_toxic_chat_test(test: tuple[Example, ...], config: Config) -> bool:
    """Tell whether published test rows are ToxicChat's and all of them: its slices F, H and T mean nothing else."""
    whole = all(source.max_examples is None for source in config.sources if source.use != "train")
    return whole and bool(test) and all(example.source == "toxic-chat" for example in test)


def prepare_only(config: Config, out: Path, overwrite: bool = False, progress: Progress = silent) -> Prepared:
    """Write the cleaned and split data into a folder: a JSONL file for each part, manifest, dropped rows.

    The folder can be read as a source. How much a source counted, and whether it only helped training, is lost.

    Raises:
        InputError: the data or the folder cannot be used.
        StorageError: the disk refused; nothing is left behind then.
    """
    folders.check_free(out, overwrite, needs.paths(config))
    prepared = read_and_prepare(config, progress).prepared
    with folders.whole(out) as folder:
        folder.write(folders.CONFIG, resolved_json(config))
        folders.write_data(folder, prepared)
        for examples in (prepared.train, prepared.validation, prepared.test):
            if examples:
                folder.write_lines(f"{examples[0].split}.jsonl", (_row(example) for example in examples))
    return prepared


def _row(example: Example) -> dict[str, object]:
    return {
        "id": example.id,
        "messages": example.conversation.messages(),
        "labels": dict(example.labels),
        "teacher": dict(example.teacher),
        "group": example.group,
        "twin": example.twin,
        "source": example.source,
    }
