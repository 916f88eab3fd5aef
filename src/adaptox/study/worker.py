"""One run of a study, in this process or in one of its own."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path

import torch
import transformers

from adaptox.adapt import adapt
from adaptox.adapt.folder import CONFIG, METRICS
from adaptox.errors import AdaptoxError, ConfigError, InterruptedRunError, storage_errors
from adaptox.records import Progress
from adaptox.study.grid import Planned

# (label of the run, stage, done, total).
Report = tuple[str, str, int, int]

_REPORT_EVERY_S = 0.5
# Holds what CUDA_VISIBLE_DEVICES was at first; all of them where it was not set.
_VISIBLE, _ALL = "ADAPTOX_VISIBLE_DEVICES", "all"
_reports: Queue[Report] | None = None
_stop: Event | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What a process needs to make one run.

    Attributes:
        run: which.
        folder: its run folder.
        key: of its settings, data and code.
        device: ``cpu``, a GPU such as ``cuda:1``, or empty for what is there.
        threads: of the processor, for this process.
        command: shown in its report.
    """

    run: Planned
    folder: Path
    key: str
    device: str
    threads: int
    command: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: `error` is empty if it came to a model; `wall_s` counts this process only."""

    label: str
    error: str
    wall_s: float


def enter(reports: Queue[Report], stop: Event) -> None:
    """Prepare a process: where it reports to, what stops it, and that it ends with its parent."""
    global _reports, _stop
    _reports, _stop = reports, stop
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()


def make_reporting(order: Order) -> Ended:
    """Make one run in a process that `enter` prepared."""
    last = 0.0

    def report(label: str, stage: str, done: int, total: int) -> None:
        nonlocal last
        if _stop is not None and _stop.is_set():
            raise KeyboardInterrupt
        if _reports is not None and time.perf_counter() - last >= _REPORT_EVERY_S:
            last = time.perf_counter()
            _reports.put((label, stage, done, total))

    return make(order, report)


def choose_device(device: str) -> None:
    """Let this process see one device: ``cpu``, or a GPU such as ``cuda:1``; empty leaves what is there.

    It is read when the GPU is first used, so whatever trains in a process has to come later. GPUs are counted among
    those that this machine's scheduler left visible.

    Raises:
        ConfigError: no name of a device, or fewer GPUs are visible.
    """
    if not device:
        return
    if device != "cpu" and not re.fullmatch(r"cuda:\d+", device):
        raise ConfigError(f"--device: expected cpu or a GPU such as cuda:1, got {device!r}")
    # What was visible at first, for this process and those that it starts.
    visible = os.environ.setdefault(_VISIBLE, os.environ.get("CUDA_VISIBLE_DEVICES", _ALL))
    chosen = "" if device == "cpu" else device.removeprefix("cuda:")
    if chosen and visible != _ALL:
        there = [one.strip() for one in visible.split(",") if one.strip()]
        if int(chosen) >= len(there):
            raise ConfigError(
                f"--device {device}: CUDA_VISIBLE_DEVICES = {visible!r} shows {len(there)} GPUs, and the first is "
                "cuda:0; choose one of them, or cpu"
            )
        chosen = there[int(chosen)]
    os.environ["CUDA_VISIBLE_DEVICES"] = chosen


def make(order: Order, report: Callable[[str, str, int, int], None]) -> Ended:
    """Make one run, or go on with it.

    Args:
        order: which, where, and on what.
        report: told the run's label, stage, steps done and steps in all.

    Raises:
        ConfigError: as `choose_device`.
        InterruptedRunError: the user stopped it.
    """
    choose_device(order.device)
    torch.set_num_threads(order.threads)
    start = time.perf_counter()
    error = ""
    try:
        _make(order, partial(report, order.run.label))
    except InterruptedRunError:
        raise
    except AdaptoxError as failure:
        error = str(failure)
    except (RuntimeError, MemoryError) as failure:  # of torch, such as a GPU whose memory is too small for this run
        error = f"{type(failure).__name__}: {failure}"
    return Ended(order.run.label, error, time.perf_counter() - start)


def is_kept(order: Order) -> bool:
    """Tell whether an earlier study finished this very run."""
    return _is_same(order) and (order.folder / METRICS).is_file()


def _key_file(order: Order) -> Path:
    return order.folder.with_name(f"{order.folder.name}.key")


def _is_same(order: Order) -> bool:
    key = _key_file(order)
    return key.is_file() and key.read_text(encoding="utf-8") == order.key


def _make(order: Order, progress: Progress) -> None:
    if not _is_same(order):
        key = _key_file(order)
        with storage_errors(order.folder):
            # The folder goes first: a kill between the two leaves nothing that looks like this run.
            if order.folder.exists():
                shutil.rmtree(order.folder)
            key.parent.mkdir(parents=True, exist_ok=True)
            key.write_text(order.key, encoding="utf-8")
    begun = (order.folder / CONFIG).is_file()
    adapt(order.run.config, order.folder, resume=begun, command=order.command, progress=progress)


def _end_with_parent(parent: int) -> None:
    """Leave no orphan: a killed study would go on in its processes, and meet itself when it is started again."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
