"""Runs → finished runs: one by one in this process, in the standard library's process pool, or on Ray."""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import Queue
from typing import Literal

import torch

from adaptox.errors import InterruptedRunError, RunError
from adaptox.study import cluster
from adaptox.study.board import Ledger, Watch
from adaptox.study.worker import Ended, Order, Report, enter, is_kept, make, make_reporting

Engine = Literal["processes", "ray"]

_LOOK_EVERY_S = 0.5


def threads_for(jobs: int) -> int:
    """Share torch's threads, which OMP_NUM_THREADS may limit, among the runs that go on at the same time."""
    return max(1, torch.get_num_threads() // jobs)


def run_all(orders: Sequence[Order], jobs: int, watch: Watch, engine: Engine = "processes") -> dict[str, Ended]:
    """Make every run that is not finished.

    Args:
        orders: what to make, in this order.
        jobs: how many at a time; on Ray, on each machine like this one.
        watch: told whenever something changed.
        engine: processes of this machine, or Ray.

    Returns:
        Label → how it ended, of the runs that were made now.

    Raises:
        InterruptedRunError: the user stopped it; the same command goes on.
        RunError: a process died, for want of memory as a rule.
    """
    todo = [order for order in orders if not is_kept(order)]
    ledger = Ledger(orders, todo, jobs, watch)
    ledger.show()
    try:
        if engine == "ray" and todo:
            cluster.run_on_ray(todo, ledger)
        elif jobs == 1:
            _one_by_one(todo, ledger)
        else:
            _in_processes(todo, ledger, jobs)
    except (KeyboardInterrupt, InterruptedRunError) as error:
        raise InterruptedRunError("stopped; run the same command again to go on") from error
    return ledger.ended


def _one_by_one(todo: Sequence[Order], ledger: Ledger) -> None:
    """Make runs in this process."""

    def hear(label: str, stage: str, done: int, total: int) -> None:
        ledger.hear(label, stage, done, total)
        ledger.show()

    for order in todo:
        ledger.note(make(order, hear))
        ledger.show()


def _in_processes(todo: Sequence[Order], ledger: Ledger, jobs: int) -> None:
    """Make several runs at a time, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    reports: Queue[Report] = context.Queue()
    stop = context.Event()
    pool = ProcessPoolExecutor(jobs, context, initializer=enter, initargs=(reports, stop), max_tasks_per_child=1)
    try:
        left: set[Future[Ended]] = {pool.submit(make_reporting, order) for order in todo}
        while left:
            done, left = wait(left, timeout=_LOOK_EVERY_S, return_when=FIRST_COMPLETED)
            _hear(reports, ledger)
            for future in done:
                ledger.note(future.result())
            ledger.show()
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


def _hear(reports: Queue[Report], ledger: Ledger) -> None:
    while True:
        try:
            ledger.hear(*reports.get_nowait())
        except queue.Empty:
            return
