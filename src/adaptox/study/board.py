"""How far a study is: what every run is doing, and a guess of the time to go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from adaptox.study.worker import Ended, Order


@dataclass(frozen=True, slots=True)
class RunState:
    """How far one run is.

    Attributes:
        label: of the run.
        state: `kept` if an earlier study had finished it.
        stage: what it is doing.
        done: steps of that stage.
        total: steps of that stage.
        wall_s: seconds it took, of a run that ended now.
        error: why it failed.
    """

    label: str
    state: Literal["waiting", "running", "done", "kept", "failed"] = "waiting"
    stage: str = ""
    done: int = 0
    total: int = 0
    wall_s: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Board:
    """How far the study is.

    Attributes:
        runs: every run's state, in order.
        left_s: a guess of the seconds left; None before the first run ended.
    """

    runs: tuple[RunState, ...]
    left_s: float | None


Watch = Callable[[Board], None]


class Ledger:
    """Keeps account of the runs, and shows it.

    Args:
        orders: all runs, in order.
        todo: those that no earlier study finished.
        jobs: how many are made at a time.
        watch: is shown the board.
    """

    def __init__(self, orders: Sequence[Order], todo: Sequence[Order], jobs: int, watch: Watch) -> None:
        self.ended: dict[str, Ended] = {}
        self._jobs = jobs
        self._watch = watch
        self._states = {
            order.run.label: RunState(order.run.label, "waiting" if order in todo else "kept") for order in orders
        }

    def hear(self, label: str, stage: str, done: int, total: int) -> None:
        """Take note of what a run is doing."""
        # A run's last words may come after its end was seen.
        if self._states[label].state not in ("done", "failed"):
            self._states[label] = replace(self._states[label], state="running", stage=stage, done=done, total=total)

    def note(self, end: Ended) -> None:
        """Take note of how a run ended."""
        self.ended[end.label] = end
        state: Literal["done", "failed"] = "failed" if end.error else "done"
        self._states[end.label] = RunState(end.label, state, wall_s=end.wall_s, error=end.error)

    def show(self) -> None:
        """Show how far the study is; the time left is guessed as if every run took as long as those that ended."""
        states = tuple(self._states.values())
        left_s = None
        if self.ended:
            waiting = sum(state.state == "waiting" for state in states)
            running = sum(state.state == "running" for state in states)
            mean_s = sum(end.wall_s for end in self.ended.values()) / len(self.ended)
            left_s = mean_s * (waiting + running / 2) / self._jobs
        self._watch(Board(states, left_s))
