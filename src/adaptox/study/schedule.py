"""Runs → finished runs: one by one in this process, or several at a time in the standard library's process pool."""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing.queues import Queue
from typing import Literal

import torch

from adaptox.errors import InterruptedRunError, RunError
from adaptox.study.worker import Ended, Order, Report, enter, is_kept, make, make_reporting

_LOOK_EVERY_S = 0.5


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


def threads_for(jobs: int) -> int:
    """Share torch's threads, which OMP_NUM_THREADS may limit, among the runs that go on at the same time."""
    return max(1, torch.get_num_threads() // jobs)


def run_all(orders: Sequence[Order], jobs: int, watch: Watch) -> dict[str, Ended]:
    """Make every run that is not finished.

    Args:
        orders: what to make, in this order.
        jobs: how many at a time.
        watch: told whenever something changed.

    Returns:
        Label → how it ended, of the runs that were made now.

    Raises:
        InterruptedRunError: the user stopped it; the same command goes on.
        RunError: a process died, for want of memory as a rule.
    """
    todo = [order for order in orders if not is_kept(order)]
    states = {
        order.run.label: RunState(order.run.label, "waiting" if order in todo else "kept") for order in orders
    }
    watch(_board(states, {}, jobs))
    try:
        return _one_by_one(todo, states, watch) if jobs == 1 else _in_processes(todo, states, jobs, watch)
    except (KeyboardInterrupt, InterruptedRunError) as error:
        raise InterruptedRunError("stopped; run the same command again to go on") from error


def _one_by_one(todo: Sequence[Order], states: dict[str, RunState], watch: Watch) -> dict[str, Ended]:
    """Make runs in this process."""
    ended: dict[str, Ended] = {}

    def hear(label: str, stage: str, done: int, total: int) -> None:
        states[label] = replace(states[label], state="running", stage=stage, done=done, total=total)
        watch(_board(states, ended, 1))

    for order in todo:
        end = make(order, hear)
        _note(end, states, ended)
        watch(_board(states, ended, 1))
    return ended


def _in_processes(todo: Sequence[Order], states: dict[str, RunState], jobs: int, watch: Watch) -> dict[str, Ended]:
    """Make several runs at a time, each in a process of its own."""
    ended: dict[str, Ended] = {}
    context = multiprocessing.get_context("spawn")
    reports: Queue[Report] = context.Queue()
    stop = context.Event()
    pool = ProcessPoolExecutor(jobs, context, initializer=enter, initargs=(reports, stop), max_tasks_per_child=1)
    try:
        left: set[Future[Ended]] = {pool.submit(make_reporting, order) for order in todo}
        while left:
            done, left = wait(left, timeout=_LOOK_EVERY_S, return_when=FIRST_COMPLETED)
            _hear(reports, states)
            for future in done:
                _note(future.result(), states, ended)
            watch(_board(states, ended, jobs))
    except BrokenProcessPool as error:
        raise RunError(
            "a run's process died, which happens when memory runs out: lower --jobs, and run the same command "
            "again to go on"
        ) from error
    finally:
        # Ctrl-C reaches the other processes of a terminal, and only this one where a program sends it.
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
        reports.close()
    return ended


def _note(end: Ended, states: dict[str, RunState], ended: dict[str, Ended]) -> None:
    ended[end.label] = end
    states[end.label] = RunState(end.label, "failed" if end.error else "done", wall_s=end.wall_s, error=end.error)


def _hear(reports: Queue[Report], states: dict[str, RunState]) -> None:
    while True:
        try:
            label, stage, done, total = reports.get_nowait()
        except queue.Empty:
            return
        # A run's last words may come after its end was seen.
        if states[label].state not in ("done", "failed"):
            states[label] = replace(states[label], state="running", stage=stage, done=done, total=total)


def _board(states: Mapping[str, RunState], ended: Mapping[str, Ended], jobs: int) -> Board:
    """Guess the time left from the runs that ended: as if those to come took as long as these on average."""
    waiting = sum(state.state == "waiting" for state in states.values())
    running = sum(state.state == "running" for state in states.values())
    if not ended:
        return Board(tuple(states.values()), None)
    mean_s = sum(end.wall_s for end in ended.values()) / len(ended)
    return Board(tuple(states.values()), mean_s * (waiting + running / 2) / jobs)
