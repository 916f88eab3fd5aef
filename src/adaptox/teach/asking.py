"""Conversations + a teacher's server → answers in the store, each paid for once, and what that took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from types import MappingProxyType

from adaptox import config as settings
from adaptox.config import TeachConfig
from adaptox.errors import DataError, InterruptedRunError, nearest
from adaptox.records import WAITING, Conversation, Progress, silent
from adaptox.teach.interrupts import is_ours_to_take
from adaptox.teach.round import Questions, Round
from adaptox.teach.server import Ask
from adaptox.teach.store import Answer, Store


@dataclass(frozen=True, slots=True)
class Cost:
    """What asking took.

    Attributes:
        calls: attempts, failed ones too.
        retries: those that repeated a failed one.
        kept: conversations that the store had an answer to before.
        declined: conversations that the server would say nothing of, now or before; they have no score.
        failed: names of conversations that had no answer while others had; the next run asks about them again.
        prompt_tokens: of these calls, where the server says.
        completion_tokens: likewise.
        prompt_tokens_in_all: of all kept answers to these conversations, whichever run asked.
        completion_tokens_in_all: likewise.
        wall_s: seconds that asking took.
    """

    calls: int
    retries: int
    kept: int
    declined: int
    failed: tuple[str, ...]
    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_in_all: int
    completion_tokens_in_all: int
    wall_s: float


def plan_calls(conversations: Mapping[str, Conversation], store: Store) -> tuple[int, int]:
    """Count what is to be asked, and what the store has an answer to, without asking.

    Raises:
        DataError: the store is damaged.
    """
    kept = len(store.known(conversations))
    return len(conversations) - kept, kept


def check_targets(targets: Sequence[str], answers: Mapping[str, Answer]) -> None:
    """Refuse names of scores that no answer has; where none has any, nothing can be said.

    Raises:
        DataError: names the nearest score that there is.
    """
    there = {name for answer in answers.values() for name in answer.scores}
    unknown = [name for name in targets if name not in there]
    if unknown and there:
        raise DataError(f"the server gives no score for {unknown[0]!r}: {nearest(unknown[0], there)}")


def ask_all(
    conversations: Mapping[str, Conversation],
    ask: Ask,
    store: Store,
    config: TeachConfig,
    progress: Progress = silent,
    names: Mapping[str, str] = MappingProxyType({}),
    targets: Sequence[str] = (),
) -> Cost:
    """Ask about every conversation that the store has no answer to, and keep each answer as it comes.

    Runs an event loop, so it is not for use within one. Another process that asks the same teacher is waited for.
    However it ends, answers that came are in the store: Ctrl-C waits for the calls under way, and only a second one
    drops them. A conversation that the server says nothing of is kept without a score; one that fails again and
    again while others do not is set aside, and the next run asks about it again.

    Args:
        conversations: key → conversation.
        ask: the teacher; its connections are closed at the end.
        store: where answers are kept.
        config: concurrency, calls_per_minute, retries, retry_budget and most_declined.
        progress: told how many conversations are answered, of those that were not before.
        names: key → what an error calls that conversation; its key where there is none.
        targets: names of scores that the answers must have.

    Raises:
        ConfigError: the server knows no such key, address or model.
        InputError: the server refuses conversations.
        InterruptedRunError: Ctrl-C; the same command goes on.
        RunError: too many calls failed; the same command goes on.
        StorageError: an answer cannot be kept.
        DataError: the store is damaged, or an answer lacks a target.
    """
    started_s = time.perf_counter()
    lock = store.file.with_name(f"{store.file.name}.lock")
    turn = settings.alone(lock, lambda on: progress(WAITING, int(not on), 1))
    with nullcontext() if len(store.known(conversations)) == len(conversations) else turn:
        known = store.read(conversations)  # anew: whoever was waited for may have asked about the same
        check_targets(targets, known)
        needed = {key: conversation for key, conversation in conversations.items() if key not in known}
        scored = sum(bool(answer.scores) for answer in known.values())
        questions = Questions(needed, names, scored, lambda answer: check_targets(targets, {**known, "": answer}))
        asked = Round(questions, ask, store, config, progress)
        if needed:
            _run(asked)
    found = store.read(conversations).values()
    return Cost(
        calls=asked.calls,
        retries=asked.retries,
        kept=len(known),
        declined=len(known) - scored + len(asked.declined),
        failed=tuple(names.get(key, key) for key in needed if key in asked.failed),
        prompt_tokens=asked.prompt_tokens,
        completion_tokens=asked.completion_tokens,
        prompt_tokens_in_all=sum(answer.prompt_tokens for answer in found),
        completion_tokens_in_all=sum(answer.completion_tokens for answer in found),
        wall_s=time.perf_counter() - started_s,
    )


def _run(asked: Round) -> None:
    takes_interrupts = is_ours_to_take()
    try:
        asyncio.run(asked.run(takes_interrupts))
    except KeyboardInterrupt as error:
        raise asked.told(InterruptedRunError("stopped")) from error
