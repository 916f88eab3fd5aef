"""When the next call may begin: not too soon, not while the server wants a pause, later after it was too soon."""

from __future__ import annotations

import asyncio
import math
import random
import time

# The first pause, which doubles with each failure, and the longest; each with up to a first pause more, by chance,
# so that what failed together does not come back together.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
_MINUTE_S = 60.0
# A refusal takes this share of the rate, and each answer gives a little back: some 180 answers undo one refusal.
_SLOWER, _FASTER = 0.7, 1.002
_FEWEST_A_MINUTE = 1
# After so many pauses without an answer between them, minutes in all, more of them will not help.
_MOST_PAUSES = 10


def grown_pause_s(failures: int) -> float:
    """Give the seconds to wait after so many failures before this one."""
    grown_s = _FIRST_PAUSE_S * 2.0 ** min(failures, 30)
    return min(grown_s, _LONGEST_PAUSE_S) + jitter_s()


def jitter_s() -> float:
    """Give a part of the first pause, by chance."""
    return random.uniform(0, _FIRST_PAUSE_S)


class Pace:
    """The one clock of all who call a server: whoever wants to call takes a turn, and says what came of it.

    Turns are a gap apart. The gap grows when the server says that calls come too fast, and shrinks again with every
    answer, so that the rate settles below what the server allows without knowing it.

    Args:
        calls_per_minute: the highest rate.
    """

    def __init__(self, calls_per_minute: int) -> None:
        self._least_gap_s = self._gap_s = _MINUTE_S / calls_per_minute
        self._next_s, self._slowed_s = 0.0, -math.inf
        self._pauses = 0
        self._door = asyncio.Lock()

    @property
    def calls_per_minute(self) -> float:
        """The rate of now."""
        return _MINUTE_S / self._gap_s

    @property
    def is_hopeless(self) -> bool:
        """Whether the server has refused call after call, whatever the pauses."""
        return self._pauses > _MOST_PAUSES

    async def turn(self) -> float:
        """Wait until a call may begin; give when that was, on the monotonic clock."""
        async with self._door:
            # A pause may grow while it is waited for.
            while (left_s := self._next_s - time.monotonic()) > 0:
                await asyncio.sleep(left_s)
            begun_s = time.monotonic()
            self._next_s = begun_s + self._gap_s
        return begun_s

    def hold(self, pause_s: float) -> None:
        """Let nobody call for a while."""
        self._next_s = max(self._next_s, time.monotonic() + pause_s)

    def answered(self) -> None:
        """Note that a call came through."""
        self._pauses = 0
        self._gap_s = max(self._least_gap_s, self._gap_s / _FASTER)

    def refused(self, begun_s: float, asked_s: float | None) -> float | None:
        """Note that a call came too soon: all wait, and go on more slowly.

        Calls that were under way with it tell nothing new: they neither slow the rate again nor lengthen the pause,
        unless the server asks for a longer one.

        Args:
            begun_s: when that call began, as `turn` said.
            asked_s: the pause that the server asks for, None if it does not say.

        Returns:
            The pause in seconds; None where an earlier refusal has said the same.
        """
        if begun_s <= self._slowed_s:
            self.hold(asked_s or 0.0)
            return None
        if asked_s is None or self._pauses:  # what it asked for before was not enough
            pause_s = max(asked_s or 0.0, grown_pause_s(self._pauses))
        else:
            pause_s = asked_s + jitter_s()
        self._pauses += 1
        self._slowed_s = time.monotonic()
        self._gap_s = min(self._gap_s / _SLOWER, max(_MINUTE_S / _FEWEST_A_MINUTE, self._least_gap_s))
        self.hold(pause_s)
        return pause_s
