"""Settings → the teacher they name, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from adaptox import bundle as bundles
from adaptox.config import Config
from adaptox.errors import ConfigError, DataError, nearest
from adaptox.records import Conversation, Example, Progress
from adaptox.teach.agreement import agreements
from adaptox.teach.asking import Cost, ask_all, check_targets, plan_calls
from adaptox.teach.chat import SCORE, Chat
from adaptox.teach.crossfit import crossfit
from adaptox.teach.kept import read
from adaptox.teach.models import Classifier, of_base, of_bundle, teach_by
from adaptox.teach.moderation import Moderation
from adaptox.teach.server import Ask
from adaptox.teach.store import Store, store_file
from adaptox.teach.values import Agreement, MakeStart, Member, conversation_key, start_is_there, with_scores


@dataclass(frozen=True, slots=True)
class Given:
    """What a teacher gave.

    Attributes:
        examples: as they came, but that `teacher` holds its scores alone; empty where it has none.
        targets: names of the scores.
        agreement: with scores that the data had, one for each target that it had.
        members: of an ensemble, the ensemble itself last; their rows are the examples.
        cost: of a server that was asked.
    """

    examples: tuple[Example, ...]
    targets: tuple[str, ...]
    agreement: tuple[Agreement, ...] = ()
    members: tuple[Member, ...] = ()
    cost: Cost | None = None


def ask_teacher(
    rows: Sequence[Example], config: Config, progress: Progress, make_start: MakeStart = start_is_there
) -> Given:
    """Let the teacher of `config.teach` score rows.

    Args:
        rows: prepared.
        config: names the teacher.
        progress: told how far it is.
        make_start: makes what a crossfit teacher's network starts from.

    Raises:
        InputError: the settings, the rows or the teacher cannot be used.
        RunError: a server failed too often, or the user stopped it.
    """
    match config.teach.kind:
        case "column":
            return _from_column(rows, config)
        case "model":
            teacher = _classifier(config)
            targets = config.teach.targets or teacher.labels
            taught = teach_by(teacher, rows, targets, config.evaluate, config.data_seed, progress=progress)
            return Given(taught.examples, targets, taught.agreement)
        case "crossfit":
            _check_targets(config, config.labels)
            found = crossfit(config, rows, progress, make_start)
            scored = [dict(zip(config.labels, row, strict=True)) for row in found.probs.tolist()]
            given = Given(with_scores(found.examples, scored), config.labels, members=found.members)
            return _compared(given, found.examples, config)
        case "moderation" | "chat":
            return _from_server(rows, config, progress)


def count_calls(rows: Sequence[Example], config: Config) -> tuple[int, int]:
    """Count the conversations that a teacher has not scored yet, and those that it has; nobody is asked.

    A crossfit teacher keeps whole folds, which are not counted: none of its rows counts as scored.

    Raises:
        InputError: the settings or the teacher cannot be used, as far as that shows without asking.
    """
    conversations = _by_key(rows)
    match config.teach.kind:
        case "column":
            return 0, len(conversations)
        case "model":
            known = read(_classifier(config).file(None))
            kept = sum(key in known for key in conversations)
            return len(conversations) - kept, kept
        case "crossfit":
            return len(conversations), 0
        case "moderation" | "chat":
            _server(config)
            with _store(config) as store:
                if config.teach.kind == "moderation":
                    check_targets(config.teach.targets, store.read(conversations))
                return plan_calls(conversations, store)


def _from_column(rows: Sequence[Example], config: Config) -> Given:
    there = sorted({name for row in rows for name in row.teacher})
    targets = config.teach.targets or tuple(there)
    if not there:
        if any(source.columns.teacher for source in config.sources):
            raise DataError("expected rows with a teacher's score, got none: fill the columns of columns.teacher")
        raise DataError(
            "no column is mapped as a teacher's score: set sources.0.columns.teacher.NAME=COLUMN with --set, or "
            "columns.teacher of the source in the settings"
        )
    missing = [name for name in targets if name not in there]
    if missing:
        raise DataError(f"expected rows with the teacher's score {missing[0]!r}: {nearest(missing[0], there)}")
    scored = [{name: row.teacher[name] for name in targets if name in row.teacher} for row in rows]
    return Given(with_scores(rows, scored), targets)


def _classifier(config: Config) -> Classifier:
    name = config.teach.model
    if not name:
        raise ConfigError("teach.kind = 'model' needs teach.model: a bundle's folder, or a classifier of the hub")
    if (Path(name) / bundles.MANIFEST).is_file():
        return of_bundle(Path(name))
    return of_base(config, config.teach.targets or config.labels)


def _from_server(rows: Sequence[Example], config: Config, progress: Progress) -> Given:
    conversations = _by_key(rows)
    ask = _server(config)
    names = {conversation_key(row.conversation): row.id for row in rows}
    target = _one_target(config) if config.teach.kind == "chat" else ""
    wanted = (SCORE,) if target else config.teach.targets
    with _store(config) as store:
        cost = ask_all(conversations, ask, store, config.teach, progress, names, wanted)
        known: Mapping[str, Mapping[str, float]] = store.scores(conversations)
    if target:
        known = {key: {target: found[SCORE]} if found else {} for key, found in known.items()}
    there = tuple(sorted({name for found in known.values() for name in found}))
    if not there:
        raise DataError("the server would say nothing of any conversation: another model may answer (teach.model)")
    targets = config.teach.targets or ((target,) if target else there)
    found_for = [known.get(conversation_key(row.conversation), {}) for row in rows]
    scored = [{name: found[name] for name in targets if name in found} for found in found_for]
    return _compared(Given(with_scores(rows, scored), targets, cost=cost), rows, config)


def _server(config: Config) -> Ask:
    """Give the teacher behind the server; nothing is sent yet."""
    if config.teach.kind == "chat":
        _one_target(config)
        return Chat(config.teach)
    return Moderation(config.teach)


def _one_target(config: Config) -> str:
    targets = config.teach.targets or (config.label_set.target,)
    if len(targets) > 1:
        raise ConfigError(f"a chat teacher has one policy: expected one name in teach.targets, got {len(targets)}")
    return targets[0]


def _compared(given: Given, rows: Sequence[Example], config: Config) -> Given:
    """Add how far the scores agree with those that the rows came with."""
    scored = [row.teacher for row in given.examples]
    whole = [position for position, found in enumerate(scored) if len(found) == len(given.targets)]
    before, now = [rows[position] for position in whole], [scored[position] for position in whole]
    return replace(given, agreement=agreements(given.targets, before, now, config.evaluate, config.data_seed))


def _store(config: Config) -> Store:
    chosen = config.teach
    return Store(store_file(chosen.kind, chosen.url, chosen.model, chosen.policy))


def _by_key(rows: Sequence[Example]) -> Mapping[str, Conversation]:
    return MappingProxyType({conversation_key(row.conversation): row.conversation for row in rows})


def _check_targets(config: Config, labels: Sequence[str]) -> None:
    unknown = [name for name in config.teach.targets if name not in labels]
    if unknown:
        raise ConfigError(f"teach.targets: a crossfit teacher scores the labels: {nearest(unknown[0], labels)}")
