"""One round of questions: workers that share pace and patience, and keep each answer as it comes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass

from adaptox.config import TeachConfig
from adaptox.errors import InputError, InterruptedRunError, RunError
from adaptox.records import Conversation, Progress
from adaptox.teach.interrupts import on_interrupt
from adaptox.teach.pace import Pace
from adaptox.teach.patience import Patience, Tried
from adaptox.teach.server import Ask, CallError
from adaptox.teach.store import Answer, Store

_LOG = logging.getLogger(__name__)

# No call takes as many, and no database holds any number.
_TOO_MANY_TOKENS = 2**31


@dataclass(frozen=True, slots=True)
class Questions:
    """What a round is to ask.

    Attributes:
        needed: key → conversation.
        names: key → what an error calls that conversation; its key where there is none.
        kept: how many other conversations have a score from before.
        check: refuses an answer without the scores that are wanted.
    """

    needed: Mapping[str, Conversation]
    names: Mapping[str, str]
    kept: int
    check: Callable[[Answer], None]


class Round:
    """Asks about conversations in their order; trouble that ends one worker ends them all.

    Attributes:
        declined: keys of what the server would say nothing of; kept, without a score.
        failed: keys of what had no answer while others had; not kept, so that a later round asks again.
        done: answered.
        calls: attempts, failed ones too.
        retries: those that repeated a failed one.
        prompt_tokens: of these calls.
        completion_tokens: likewise.
    """

    def __init__(
        self, questions: Questions, ask: Ask, store: Store, config: TeachConfig, progress: Progress
    ) -> None:
        self._questions, self._ask, self._store, self._progress = questions, ask, store, progress
        self._concurrency = min(config.concurrency, len(questions.needed))
        self._pace = Pace(config.calls_per_minute)
        self._patience = Patience(config, self._pace, len(questions.needed))
        self._left = iter(questions.needed)
        self._trouble: Exception | None = None
        self._last_failure: Exception | None = None
        self._is_interrupted = False
        self._workers: set[asyncio.Task[None]] = set()
        self._calling: set[asyncio.Task[None]] = set()
        self._pausing: set[asyncio.Task[None]] = set()
        self.declined: list[str] = []
        self.failed: set[str] = set()
        self.done = self.calls = self.retries = self.prompt_tokens = self.completion_tokens = 0

    def state(self) -> str:
        """Say how far it came."""
        left = len(self._questions.needed) - self.done - len(self.declined)
        return f"{self._questions.kept + self.done} conversations are answered and kept, {left} are left"

    async def run(self, takes_interrupts: bool) -> None:
        """Ask about all of them.

        Args:
            takes_interrupts: at Ctrl-C wait for the calls under way, and keep their answers.

        Raises:
            InputError: as `ask_all`.
            RunError: likewise.
        """
        self._workers = {asyncio.create_task(self._work()) for _ in range(self._concurrency)}
        with on_interrupt(self._interrupt) if takes_interrupts else nullcontext():
            try:
                await asyncio.gather(*self._workers, return_exceptions=True)
            finally:
                await self._ask.close()
                if self._patience.is_in_doubt:
                    self._store.drop(self.declined)
                    self.declined.clear()
        if not self._questions.kept + self.done:  # what fails where nothing ever came through is no odd row
            self._trouble = self._trouble or self._last_failure
        if self._trouble is not None:
            raise self.told(self._trouble)

    async def _work(self) -> None:
        """Ask about one conversation after the other, until there is none left or there is trouble."""
        for key in self._left:
            try:
                await self._ask_about(key)
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

    def _interrupt(self) -> None:
        """Stop at the first Ctrl-C, and at the second without the answers that are still awaited."""
        if self._is_interrupted:
            for worker in self._workers:
                worker.cancel()
            return
        self._is_interrupted = True
        if self._calling:
            _LOG.warning("stopping after %d calls under way; Ctrl-C once more drops them", len(self._calling))
        self._stop(InterruptedRunError("stopped"))

    def told(self, trouble: Exception) -> Exception:
        """Add to an error of ours how far the round came, with what was under way when it happened."""
        if isinstance(trouble, RunError):
            return type(trouble)(f"{trouble}; {self.state()}: the same command goes on from there")
        return type(trouble)(f"{trouble}; {self.state()}") if isinstance(trouble, InputError) else trouble

    async def _ask_about(self, key: str) -> None:
        """Ask about one conversation, again and again if need be."""
        tried = Tried()
        while True:
            tried.begun_s = await self._pace.turn()
            try:
                await self._attempt(key, tried)
                return
            except CallError as error:
                if self._trouble is not None:
                    return
                pause_s = self._patience.pause_s(error, tried)
                if pause_s is None:
                    self._give_up(key, error, tried)
                    return
                self.retries += 1
                _LOG.info("a call failed, the next attempt is in %.1f s: %s", pause_s, error)
                await self._pause(pause_s, error, tried)

    async def _attempt(self, key: str, tried: Tried) -> None:
        worker = asyncio.current_task()
        assert worker is not None
        self.calls += 1
        self._calling.add(worker)
        try:
            answer = await self._ask(self._questions.needed[key])
        except CallError as error:
            self._count_tokens(error, tried)
            raise
        finally:
            self._calling.discard(worker)
        self._count_tokens(answer, tried)
        self._keep(key, answer.scores, tried)
        self._patience.answered()
        self.done += 1
        if self.done == 1:
            self._questions.check(answer)
        self._progress("teacher", self.done, len(self._questions.needed))

    def _keep(self, key: str, scores: Mapping[str, float], tried: Tried) -> None:
        self._store.keep(key, Answer(scores, tried.prompt_tokens, tried.completion_tokens))

    def _count_tokens(self, call: Answer | CallError, tried: Tried) -> None:
        counts = (call.prompt_tokens, call.completion_tokens)
        prompt, completion = (count if count < _TOO_MANY_TOKENS else 0 for count in counts)
        tried.prompt_tokens += prompt
        tried.completion_tokens += completion
        self.prompt_tokens += prompt
        self.completion_tokens += completion

    async def _pause(self, pause_s: float, error: CallError, tried: Tried) -> None:
        """Let this worker sleep; if all of them do, and not for the first time, the user should know."""
        worker = asyncio.current_task()
        assert worker is not None
        self._pausing.add(worker)
        if tried.failures > 1 and all(other in self._pausing or other.done() for other in self._workers):
            self._patience.tell_silence(error, pause_s)
        try:
            await asyncio.sleep(pause_s)
        finally:
            self._pausing.discard(worker)

    def _give_up(self, key: str, error: CallError, tried: Tried) -> None:
        """Do without the score of one conversation."""
        if error.declined:
            self._keep(key, {}, tried)  # at once: it was paid for, too
            self.declined.append(key)
            self._patience.decline(error)
            return
        name = self._questions.names.get(key, key)
        self._last_failure = self._patience.set_aside(name, error, tried)
        self.failed.add(key)
        _LOG.warning("conversation %s has no score for now: %s", name, error)
