"""Conversations + a teacher's server → answers in the store, within limits of rate, patience and money."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from adaptox.config import TeachConfig
from adaptox.errors import ConfigError, InputError, InterruptedRunError, MissingExtraError, RunError
from adaptox.records import Conversation, Progress, silent
from adaptox.teach.server import Ask, CallError
from adaptox.teach.store import Answer, Store

if TYPE_CHECKING:
    from tenacity import RetryCallState

_LOG = logging.getLogger(__name__)

# The first pause, which doubles with each attempt, and the longest; each with up to a first pause more, by chance,
# so that the calls of many workers do not come back together.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
_MINUTE_S = 60.0
_GO_ON = "the same command goes on from there"
# A server that says nothing of more of the conversations than both of these is not the teacher that was wanted.
_MOST_DECLINED, _MOST_DECLINED_SHARE = 10, 0.05


@dataclass(frozen=True, slots=True)
class Cost:
    """What asking took.

    Attributes:
        calls: attempts, failed ones too.
        retries: those that repeated a failed one.
        kept: conversations that the store had an answer to before.
        declined: conversations that the server would say nothing of, now or before; they have no score.
        prompt_tokens: of these calls, where the server says.
        completion_tokens: likewise.
        wall_s: seconds that asking took.
    """

    calls: int
    retries: int
    kept: int
    declined: int
    prompt_tokens: int
    completion_tokens: int
    wall_s: float


def plan_calls(conversations: Mapping[str, Conversation], store: Store) -> tuple[int, int]:
    """Count what is to be asked, and what the store has an answer to, without asking.

    Raises:
        DataError: the store is damaged.
    """
    kept = len(store.known(conversations))
    return len(conversations) - kept, kept


def ask_all(
    conversations: Mapping[str, Conversation],
    ask: Ask,
    store: Store,
    config: TeachConfig,
    progress: Progress = silent,
    names: Mapping[str, str] = MappingProxyType({}),
) -> Cost:
    """Ask about every conversation that the store has no answer to, and keep each answer as it comes.

    Runs an event loop, so it is not for use within one. However it ends, answers that came are in the store. A
    conversation that the server says nothing of, after all attempts, is kept without a score.

    Args:
        conversations: key → conversation.
        ask: the teacher; its connections are closed at the end.
        store: where answers are kept.
        config: concurrency, calls_per_minute, retries and retry_budget.
        progress: told how many conversations are answered, of those that were not before.
        names: key → what an error calls that conversation; its key where there is none.

    Raises:
        ConfigError: the server knows no such key, address or model.
        InputError: the server refuses a conversation.
        InterruptedRunError: Ctrl-C; the same command goes on.
        RunError: too many calls failed; the same command goes on.
        StorageError: an answer cannot be kept.
        DataError: the store is damaged.
        MissingExtraError: aiolimiter or tenacity is not installed.
    """
    for package in ("aiolimiter", "tenacity"):
        try:
            __import__(package)
        except ImportError as error:
            raise MissingExtraError("teach", "teach", package) from error
    started_s = time.perf_counter()
    known = store.read(conversations)
    needed = {key: conversation for key, conversation in conversations.items() if key not in known}
    declined = sum(not answer.scores for answer in known.values())
    asking = _Asking(needed, ask, store, config, progress, names, declined, len(conversations))
    if needed:
        try:
            asyncio.run(asking.run())
        except KeyboardInterrupt as error:
            raise InterruptedRunError(f"stopped; {asking.state()}: {_GO_ON}") from error
    return Cost(
        asking.calls,
        asking.retries,
        len(known),
        declined + len(asking.declined),
        asking.prompt_tokens,
        asking.completion_tokens,
        time.perf_counter() - started_s,
    )


class _Asking:
    """One round of questions: workers take conversations in their order, and the first trouble stops them all."""

    def __init__(
        self,
        needed: Mapping[str, Conversation],
        ask: Ask,
        store: Store,
        config: TeachConfig,
        progress: Progress,
        names: Mapping[str, str],
        declined_before: int,
        in_all: int,
    ) -> None:
        self._names = names
        self._declined_before, self._in_all = declined_before, in_all
        self._needed, self._ask, self._store, self._config = needed, ask, store, config
        self._progress = progress
        self._left = iter(needed)
        self._trouble: Exception | None = None
        self._workers: set[asyncio.Task[None]] = set()
        self._calling: set[asyncio.Task[None]] = set()
        self.declined: list[str] = []
        self.done = self.calls = self.retries = self.prompt_tokens = self.completion_tokens = 0

    def state(self) -> str:
        """Say how far it came."""
        left = len(self._needed) - self.done - len(self.declined)
        return f"{self.done} conversations are answered and kept, {left} are left"

    async def run(self) -> None:
        """Ask about all of them."""
        from aiolimiter import AsyncLimiter

        # One at a time: a bucket of a minute's calls would allow twice as many in the first minute.
        self._limiter = AsyncLimiter(1, _MINUTE_S / self._config.calls_per_minute)
        count = min(self._config.concurrency, len(self._needed))
        self._workers = {asyncio.create_task(self._work()) for _ in range(count)}
        try:
            await asyncio.gather(*self._workers, return_exceptions=True)
        finally:
            await self._ask.close()
            if not self._is_doubtful():  # a refusal is an answer, whatever ends the round
                for key in self.declined:
                    self._store.keep(key, Answer({}))
        if self._trouble is not None:
            raise self._trouble

    def _is_doubtful(self) -> bool:
        """Tell whether the server says nothing of so many that it may be the wrong one."""
        declined = self._declined_before + len(self.declined)
        return declined > max(_MOST_DECLINED, _MOST_DECLINED_SHARE * self._in_all)

    async def _work(self) -> None:
        """Ask about one conversation after the other, until there is none left or there is trouble."""
        for key in self._left:
            try:
                await self._retried(key)
            except CallError as error:
                self._give_up(key, error)
            except ConfigError as error:
                self._stop(ConfigError(f"{error}; {self.state()}"))
            except RunError as error:
                self._stop(type(error)(f"{error}; {self.state()}: {_GO_ON}"))
            except Exception as error:
                self._stop(error)
            if self._trouble is not None:
                return

    def _stop(self, trouble: Exception) -> None:
        """End all workers; those that wait for an answer keep it first, since it is paid for."""
        if self._trouble is not None:
            return
        self._trouble = trouble
        for worker in self._workers - self._calling:
            if worker is not asyncio.current_task():
                worker.cancel()

    async def _retried(self, key: str) -> None:
        """Ask about one conversation, again and again if need be."""
        import tenacity

        await tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, CallError) and error.again),
            wait=_pause_s,
            stop=self._is_enough,
            before_sleep=self._count_retry,
            reraise=True,
        )(self._attempt, key)

    async def _attempt(self, key: str) -> None:
        await self._limiter.acquire()
        worker = asyncio.current_task()
        assert worker is not None
        self.calls += 1
        self._calling.add(worker)
        try:
            answer = await self._ask(self._needed[key])
        except CallError as error:
            self._count_tokens(error)
            raise
        finally:
            self._calling.discard(worker)
        self._store.keep(key, answer)
        self._count_tokens(answer)
        self.done += 1
        self._progress("teacher", self.done, len(self._needed))

    def _count_tokens(self, call: Answer | CallError) -> None:
        self.prompt_tokens += call.prompt_tokens
        self.completion_tokens += call.completion_tokens

    def _is_enough(self, state: RetryCallState) -> bool:
        return (
            self._trouble is not None
            or state.attempt_number > self._config.retries
            or self.retries >= self._config.retry_budget
        )

    def _count_retry(self, state: RetryCallState) -> None:
        self.retries += 1
        _LOG.info("a call failed, the next attempt is in %.1f s: %s", state.upcoming_sleep, _error(state))

    def _give_up(self, key: str, error: CallError) -> None:
        """Do without the score of a conversation that the server says nothing of; any other failure ends all."""
        spent = error.again and self.retries >= self._config.retry_budget
        if not error.declined or spent or self._trouble is not None:
            self._stop(self._given_up(key, error))
            return
        self.declined.append(key)
        if self._is_doubtful():
            self._stop(
                RunError(
                    f"the teacher says nothing of {self._declined_before + len(self.declined)} conversations: "
                    f"another model, or another teach.policy, may answer; {self.state()}. The last failure: {error}"
                )
            )

    def _given_up(self, key: str, error: CallError) -> Exception:
        """Say why a conversation has no answer."""
        name = self._names.get(key, key)
        if not error.again:
            return InputError(
                f"the teacher's server refuses conversation {name} ({error}): leave that row out or check "
                f"teach.model; {self.state()}"
            )
        if self.retries >= self._config.retry_budget:
            reason = f"teach.retry_budget = {self._config.retry_budget} further attempts are spent"
        else:
            reason = f"conversation {name} failed teach.retries + 1 = {self._config.retries + 1} times"
        return RunError(f"the teacher stopped, {reason}; {self.state()}: {_GO_ON}. The last failure: {error}")


def _pause_s(state: RetryCallState) -> float:
    """Give the seconds until the next attempt: as many as the server asks for, or more each time."""
    from tenacity import wait_exponential, wait_random

    jitter_s = wait_random(0, _FIRST_PAUSE_S)(state)
    error = _error(state)
    if isinstance(error, CallError) and error.pause_s is not None:
        return error.pause_s + jitter_s
    return wait_exponential(multiplier=_FIRST_PAUSE_S, max=_LONGEST_PAUSE_S)(state) + jitter_s


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None
