"""How often a server is asked again, and when it is not asked any more: one account for all who ask."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from adaptox.config import TeachConfig
from adaptox.errors import InputError, RunError
from adaptox.teach.pace import Pace, grown_pause_s, jitter_s
from adaptox.teach.server import CallError

_LOG = logging.getLogger(__name__)

# A server that says nothing of more of a round's conversations than this, and than teach.most_declined, is not the
# teacher that was wanted; as many that failed are no odd rows; and as many in a row are a server that is down.
_FEW = 10
# So many calls one after the other that no server answered, before any was: the address is wrong.
_UNREACHED = 3
# Further attempts at what the server says nothing of: at temperature 0 it says the same again.
_SECOND_THOUGHTS = 1
_UNAVAILABLE = 503
# Shorter pauses of all are told once.
_LONG_S = 10.0


@dataclass(slots=True)
class Tried:
    """What became of the attempts at one conversation.

    Attributes:
        begun_s: when the last one began, on the monotonic clock.
        failures: that count against teach.retries.
        refusals: to say anything of it.
        prompt_tokens: paid for in all attempts.
        completion_tokens: likewise.
    """

    begun_s: float = 0.0
    failures: int = 0
    refusals: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Patience:
    """Sorts failures: those that another attempt may mend, odd rows, and a server that is not worth asking.

    Args:
        config: url, retries, retry_budget, most_declined and calls_per_minute.
        pace: told when calls come too soon.
        asked: conversations of the round.
    """

    def __init__(self, config: TeachConfig, pace: Pace, asked: int) -> None:
        self._config, self._pace = config, pace
        self._most = max(_FEW, int(config.most_declined * asked))
        self._spent = self._declined = self._failed = self._failed_in_a_row = self._unreached = 0
        self._unreached_s = 0.0
        self._has_answers = self._told_of_wait = self._told_of_silence = False

    @property
    def is_in_doubt(self) -> bool:
        """Whether the server says nothing of so many that it may be the wrong one."""
        return self._declined > self._most

    def answered(self) -> None:
        """Note that an answer came."""
        self._pace.answered()
        self._has_answers, self._told_of_silence = True, False
        self._failed_in_a_row = 0

    def pause_s(self, error: CallError, tried: Tried) -> float | None:
        """Give the seconds until the same conversation is asked about again; None where that is not worth while.

        Raises:
            RunError: nobody seems to be at the address.
        """
        self._note_reach(error, tried.begun_s)
        if error.is_haste:
            self._slow_down(error, tried.begun_s)
        if not error.again:
            return None
        if error.declined:  # an answer of a kind, so that it counts as no failure
            self._has_answers = True
            tried.refusals += 1
            return 0.0 if tried.refusals <= min(_SECOND_THOUGHTS, self._config.retries) else None
        tried.failures += not error.is_haste
        if tried.failures > self._config.retries or self._is_spent() or (error.is_haste and self._pace.is_hopeless):
            return None
        self._spent += 1
        return self._grown_pause_s(error, tried)

    def decline(self, error: CallError) -> None:
        """Do without a conversation that the server says nothing of.

        Raises:
            RunError: that makes too many.
        """
        self._declined += 1
        self._failed_in_a_row = 0
        if self.is_in_doubt:
            raise RunError(
                f"the teacher says nothing of {self._declined} conversations: another model, or another "
                f"teach.policy, may answer, and teach.most_declined allows more (the last answer: {error})"
            )

    def set_aside(self, name: str, error: CallError, tried: Tried) -> Exception:
        """Do without a conversation that failed.

        Args:
            name: of the conversation.
            error: its last failure.
            tried: what became of it before.

        Returns:
            What to say if none is ever answered.

        Raises:
            InputError: the server refuses too many.
            RunError: it is not this conversation alone that fails.
        """
        if error.again and error.is_haste:
            limit = f"teach.retry_budget = {self._config.retry_budget} further attempts are spent on"
            spent = limit if self._is_spent() else "there is no end to"
            raise RunError(
                f"the teacher stopped, {spent} calls that come too fast for the server: lower "
                f"teach.calls_per_minute = {self._config.calls_per_minute} (the last failure: {error})"
            ) from error
        if error.again and tried.failures <= self._config.retries:  # the budget denies what is left
            raise RunError(
                f"the teacher stopped, teach.retry_budget = {self._config.retry_budget} further attempts are spent "
                f"(the last failure: {error})"
            ) from error
        self._failed += 1
        self._failed_in_a_row += error.again
        reason = self._why(name, error)
        if self._failed > self._most or self._failed_in_a_row > _FEW:
            raise reason from error
        return reason

    def tell_silence(self, error: CallError, pause_s: float) -> None:
        """Tell the user, once, that nobody gets an answer just now."""
        if not self._told_of_silence:
            self._told_of_silence = True
            _LOG.warning("no call succeeds just now, all pause, the next %.1f s: %s", pause_s, error)

    def _why(self, name: str, error: CallError) -> Exception:
        """Say why a conversation has no answer."""
        count = f" (the last of {self._failed})" if self._failed > 1 else ""
        if not error.again:
            return InputError(
                f"the teacher's server refuses conversation {name}{count} ({error}): leave that row out or check "
                "teach.model"
            )
        return RunError(
            f"the teacher stopped, conversation {name}{count} failed teach.retries + 1 = "
            f"{self._config.retries + 1} times (the last failure: {error})"
        )

    def _is_spent(self) -> bool:
        return self._spent >= self._config.retry_budget

    def _note_reach(self, error: CallError, begun_s: float) -> None:
        """Stop where nothing was ever answered and one call after the other reaches no such server."""
        if self._has_answers or not error.unreached:
            self._unreached = 0
        elif begun_s > self._unreached_s:  # calls that were under way together fail together
            self._unreached += 1
            self._unreached_s = time.monotonic()
        if self._unreached >= _UNREACHED:
            raise RunError(
                f"could not reach {self._config.url} ({error}): check teach.url, and whether the server runs"
            ) from error

    def _slow_down(self, error: CallError, begun_s: float) -> None:
        """Let all wait, and go on more slowly."""
        pause_s = self._pace.refused(begun_s, error.pause_s)
        if pause_s is None:
            return
        rate, most = self._pace.calls_per_minute, self._config.calls_per_minute
        wait = f"then go on with {rate:.0f} a minute, where teach.calls_per_minute allows {most}"
        self._tell_of_wait(
            f"calls come too fast for the server: all wait {pause_s:.1f} s, {wait}: {error}", pause_s
        )

    def _tell_of_wait(self, message: str, pause_s: float) -> None:
        is_news = not self._told_of_wait or pause_s > _LONG_S
        self._told_of_wait = True
        _LOG.log(logging.WARNING if is_news else logging.INFO, message)

    def _grown_pause_s(self, error: CallError, tried: Tried) -> float:
        if error.is_haste:
            return 0.0  # all wait for their turn
        if error.pause_s is None:
            return grown_pause_s(tried.failures - 1)
        if error.status == _UNAVAILABLE:
            self._pace.hold(error.pause_s)
            self._tell_of_wait(f"the server is busy: all wait {error.pause_s:.1f} s: {error}", error.pause_s)
        return error.pause_s + jitter_s()
