"""Runs → finished runs on Ray: more than one machine, or the GPUs of one (https://docs.ray.io/en/latest/ray-core).

Ray places each run where its threads, and a GPU if there are any, are free. The machines share a file system with
the study's folder, the data and adaptox under the same paths. RAY_ADDRESS names a cluster that is up; without it
one is started on this machine, and ended with the study.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptox.errors import AdaptoxError, ConfigError, MissingExtraError, RunError
from adaptox.study.board import Ledger
from adaptox.study.worker import Ended, Order, make

if TYPE_CHECKING:
    from ray.util.queue import Queue

_LOOK_EVERY_S = 0.5
_END_WITHIN_S = 10
# What goes along from this environment; keys do not, since Ray shows what it was given.
_VARIABLES = ("ADAPTOX_CACHE", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM")


def check(device: str) -> None:
    """Refuse, before any work, what Ray cannot do.

    Raises:
        ConfigError: a single GPU is asked for: Ray gives each run one.
        MissingExtraError: Ray is not installed.
    """
    if device not in ("", "cpu"):
        raise ConfigError(f"Ray chooses each run's GPU, got --device {device}: leave it out, or use cpu")
    try:
        found = find_spec("ray")
    except ValueError:  # what stands in sys.modules is no module
        found = None
    if found is None:
        raise MissingExtraError("study --engine ray", "ray", "ray")


def run_on_ray(todo: Sequence[Order], ledger: Ledger) -> None:
    """Make runs, as many at a time as the cluster has room for.

    Args:
        todo: what to make, after `check`; what comes first is begun first.
        ledger: told how far it is.

    Raises:
        RunError: no cluster came up, none of its machines has the threads of a run, or a process or a machine died.
    """
    # Whether anything is sent to Ray's makers is the user's to say, and not said by default.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    environment = {"env_vars": {name: os.environ[name] for name in _VARIABLES if name in os.environ}}
    address = os.environ.get("RAY_ADDRESS") or "local"
    try:
        ray.init(address, runtime_env=environment, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise RunError(
            f"no Ray cluster came up ({_first_line(error)}): check RAY_ADDRESS and `ray status`"
        ) from error
    try:
        _submit_and_follow(todo, ledger)
    finally:
        ray.shutdown()


def _submit_and_follow(todo: Sequence[Order], ledger: Ledger) -> None:
    import ray
    from ray.util.queue import Queue

    machines: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    cores = max(machine["Resources"].get("CPU", 0) for machine in machines)
    threads = todo[0].threads
    if threads > cores:
        raise RunError(
            f"a run takes {threads} threads, and no machine of the cluster has more than {cores:g}: raise --jobs, "
            "or lower OMP_NUM_THREADS"
        )
    gpus = 1 if any(machine["Resources"].get("GPU") for machine in machines) else 0
    reports = Queue(actor_options={"num_cpus": 0})
    place = str(Path.cwd())
    # A fresh process for each run has its own memory, and none is tried again without the user's knowledge.
    remote = ray.remote(max_calls=1, max_retries=0)(_make_there)
    runs = []
    for order in todo:
        placed = _placed(order, gpus)
        needed = {"num_cpus": threads, "num_gpus": 0 if placed.device == "cpu" else gpus}
        runs.append(remote.options(name=order.run.label, **needed).remote(placed, place, reports))
    _follow(runs, reports, ledger)


def _placed(order: Order, gpus: int) -> Order:
    """Leave the choice of a GPU to Ray, which shows a run its own alone."""
    device = "cpu" if order.device == "cpu" or not gpus else ""
    return replace(order, folder=order.folder.absolute(), device=device)


def _follow(runs: Sequence[Any], reports: Queue, ledger: Ledger) -> None:
    import ray

    left = list(runs)
    try:
        while left:
            done, left = ray.wait(left, timeout=_LOOK_EVERY_S)
            _hear(reports, ledger)
            for one in done:
                ledger.note(ray.get(one))
            ledger.show()
    except ray.exceptions.RayTaskError as error:
        # What a run raised comes as an error of Ray's that is also of its own kind.
        if isinstance(error, AdaptoxError):
            raise
        raise RunError(f"a run failed for no reason adaptox knows: {error.cause!r}") from error
    except ray.exceptions.RayError as error:
        raise RunError(
            f"a run's process or machine died ({_first_line(error)}): run the same command again to go on; lower "
            "--jobs, so that fewer run at a time, if memory ran out"
        ) from error
    finally:
        for one in left:
            ray.cancel(one)
        if left:
            ray.wait(left, num_returns=len(left), timeout=_END_WITHIN_S)


def _make_there(order: Order, place: str, reports: Queue) -> Ended:
    """Make one run on whatever machine this is."""
    os.chdir(place)
    last = 0.0

    def report(label: str, stage: str, done: int, total: int) -> None:
        nonlocal last
        if time.perf_counter() - last >= _LOOK_EVERY_S:
            last = time.perf_counter()
            reports.put((label, stage, done, total))

    return make(order, report)


def _hear(reports: Queue, ledger: Ledger) -> None:
    from ray.util.queue import Empty

    with suppress(Empty):
        while True:
            ledger.hear(*reports.get_nowait())


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
